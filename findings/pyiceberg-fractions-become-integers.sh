#!/usr/bin/env bash
# pyiceberg 0.12.0 rounds a number with a fraction to an integer where the column is an integer, and asks the rounded filter: of 4, 5 and 6 the
# filter k = 5.4 gives the row 5, k < 5.4 leaves it out, k <= 5.9 gives 6 as well. delete() takes its filter the same way, so that delete("k = 5.4")
# deletes the 5 and nothing says so. A decimal column refuses such a literal ("Could not convert 1.105 into a decimal(9, 2)").
# Guess before the run: no row equals 5.4, or the same refusal as with decimals.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'pyiceberg[sql-sqlite,pyarrow,pyiceberg-core]==0.12.0' pyarrow==26.0.1
FOLDER="$folder" "$folder/venv/bin/python" -W ignore - <<'PY'
import os
import pyarrow as pa
import pyiceberg
from pyiceberg.catalog import load_catalog

folder = os.environ["FOLDER"]
catalog = load_catalog("here", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
rows = pa.table({"k": pa.array([4, 5, 6], pa.int32())})
table = catalog.create_table("n.t", rows.schema)
table.append(rows)
seen = {f: table.scan(row_filter=f).to_arrow()["k"].to_pylist() for f in ("k = 5.4", "k < 5.4", "k > 4.5", "k <= 5.9", "k in (5.9)")}
table.delete("k = 5.4")
left = table.scan().to_arrow()["k"].to_pylist()
print(f"pyiceberg {pyiceberg.__version__}, of [4, 5, 6]:", seen, "left by delete('k = 5.4'):", left)
assert seen == {"k = 5.4": [5], "k < 5.4": [4], "k > 4.5": [5, 6], "k <= 5.9": [4, 5, 6], "k in (5.9)": [6]}, seen
assert left == [4, 6], left
PY
