#!/usr/bin/env bash
# Guess: a NaN, or a very large number, counts in the sums of those frames of a window that hold it, and in no later ones.
# Seen (pysail 0.7.2, pyspark-client 4.2.0, 2026-11-30): sum(v) over (order by g rows between 1 preceding and current row)
#   v                        Sail                      Apache Spark 3.5.9
#   1.0, NaN, 2.0, 3.0, 4.0  1.0, NaN, NaN, NaN, NaN   1.0, NaN, NaN, 5.0, 7.0
#   1.0, 1e300, 2.0, 3.0     1.0, 1e300, 1e300, 0.0    1.0, 1e300, 1e300, 5.0     2.0 + 3.0 is 0.0
# The engine takes away what leaves a frame instead of adding up what is in it.
# Meaning: one bad reading spoils a moving sum or average for the rest of its partition, and a large one makes small ones vanish.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pysail==0.7.2 pyspark-client==4.2.0 pandas==2.3.3 pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import math
import sys

import pysail
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
_, port = server.listening_address
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()


def sums(values):
    rows = ", ".join(f"({n}, cast('{value}' as double))" for n, value in enumerate(values))
    query = f"select sum(v) over (order by g rows between 1 preceding and current row) as s from (values {rows}) as t(g, v) order by g"
    return [row.s for row in spark.sql(query).collect()]


print("pysail", pysail.__version__)
nan, large = sums([1.0, "NaN", 2.0, 3.0, 4.0]), sums([1.0, 1e300, 2.0, 3.0])
print("1.0, NaN, 2.0, 3.0, 4.0:", nan)
print("1.0, 1e300, 2.0, 3.0:   ", large)
sys.exit(not (nan[0] == 1.0 and all(map(math.isnan, nan[1:])) and large[3] == 0.0))
PYTHON
