#!/usr/bin/env bash
# duckdb 2.0.1: sum() of a BIGINT column is a HUGEINT, exact to 38 digits, and COPY ... TO Parquet writes a HUGEINT as DOUBLE, without an error or
# a warning: from 2^53 on the file holds another number than the query showed, and Athena, Spark and Glue see a column of doubles. An INTERVAL
# loses its microseconds in the same silence. sum(x)::DECIMAL(38, 0), or ::BIGINT, keeps the number.
# Seen: 9007199254740993 becomes 9007199254740992.0; 3.000001 seconds become 3.
# Guess before the run: DECIMAL(38, 0), since Parquet has no integer of 128 bits but has decimals, or a refusal, as of negative intervals.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q duckdb==2.0.1 pyarrow==26.0.1
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY'
import os
import duckdb
import pyarrow.parquet as pq

path = os.environ["FOLDER"] + "/sums.parquet"
connection = duckdb.connect()


def crossed(expression):
    """The value as the query shows it, and the type and the value that another reader finds in the file."""
    query = f"SELECT {expression} AS v FROM (VALUES (9007199254740000), (993)) AS t(x)"
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    shown = connection.execute(f"SELECT v::VARCHAR FROM ({query})").fetchall()[0][0]
    return shown, str(pq.read_schema(path).field("v").type), connection.execute(f"SELECT v::VARCHAR FROM '{path}'").fetchall()[0][0]


total, cast = crossed("sum(x)"), crossed("sum(x)::DECIMAL(38, 0)")
interval = crossed("any_value(INTERVAL '3.000001 seconds')")
print(f"duckdb {duckdb.__version__}: sum(x) {total}; as a decimal {cast}; interval {interval}")
assert total == ("9007199254740993", "double", "9007199254740992.0"), total
assert cast == ("9007199254740993", "decimal128(38, 0)", "9007199254740993"), cast
assert interval[0] == "00:00:03.000001" and interval[2] == "00:00:03", interval
PY
