#!/usr/bin/env bash
# pyiceberg 0.11.1: delete("x != 5") on a data file that holds 5, 7 and a null removes all three rows, the 5 too, although a scan with the
# same filter gives 7 alone. Without the null it removes the 7 only. A file's statistics say "may hold nulls", and the strict evaluator
# takes that as proof that every row matches != and NOT IN (apache/iceberg-python issue 3498; mended after 0.11.1).
# Guess before the run: the rows that a scan gives are the rows that a delete takes, or at most the null as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'pyiceberg[sql-sqlite,pyarrow,pyiceberg-core]==0.11.1'
FOLDER="$folder" "$folder/venv/bin/python" -W ignore - <<'PY'
import os
import pyarrow as pa
import pyiceberg
from pyiceberg.catalog import load_catalog

folder = os.environ["FOLDER"]
catalog = load_catalog("here", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")


def after(name, rows, filter):
    """What a scan gives, and what is left when that is deleted."""
    rows = pa.table({"x": pa.array(rows, pa.int64())})
    table = catalog.create_table(f"n.{name}", rows.schema)
    table.append(rows)
    seen = table.scan(row_filter=filter).to_arrow()["x"].to_pylist()
    table.delete(filter)
    return seen, table.refresh().scan().to_arrow()["x"].to_pylist()


whole = after("whole", [5, 7], "x != 5")
null = after("with_null", [5, 7, None], "x != 5")
within = after("not_in", [5, 7, None], "x not in (5, 6)")
print(f"pyiceberg {pyiceberg.__version__}, scanned and left: {whole} without a null; {null} with one; NOT IN {within}")
assert whole == ([7], [5]), whole
assert null == ([7], []), null
# NOT IN of two values also scans the null, which NOT IN of one does not.
assert within == ([7, None], []), within
PY
