#!/usr/bin/env bash
# Guess: an engine that speaks Spark's protocol writes a null partition value as Spark does, in a folder
#   k=__HIVE_DEFAULT_PARTITION__, or refuses it.
# Seen (pysail 0.7.2, pyspark-client 4.2.0, 2026-11-29): partitionBy writes the type's zero, without an error: a null int becomes
#   n=0, a null boolean b=false, a null date d=1970-01-01. Read back, the rows with null cannot be told from those with the zero.
# Meaning: before partitionBy, cast the columns to text and put the marker in the nulls' place.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pysail==0.7.2 pyspark-client==4.2.0 pandas==2.3.3 pyarrow==26.0.1 grpcio==1.85.1 grpcio-status==1.85.1
cat > "$work/run.py" <<'PY'
import datetime, os, sys
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
spark = SparkSession.builder.remote("sc://%s:%d" % server.listening_address).getOrCreate()
expected = {"n": "n=0", "b": "b=false", "d": "d=1970-01-01"}
for key, kind in (("n", "int"), ("b", "boolean"), ("d", "date")):
    target = os.path.join(sys.argv[1], key)
    spark.createDataFrame([(1, None)], f"id int, {key} {kind}").write.partitionBy(key).parquet("file://" + target)
    folders = sorted(name for name in os.listdir(target) if "=" in name)
    print(key, kind, folders)
    assert folders == [expected[key]], "it changed: " + str(folders)
os._exit(0)
PY
"$work/env/bin/python" "$work/run.py" "$work"
echo "as stated"
