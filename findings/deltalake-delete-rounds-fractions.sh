#!/usr/bin/env bash
# deltalake 1.6.6: delete and update take the type of the column for the literals of their predicate: k = 5.4 over integers is asked as k = 5.
# A SELECT by its own QueryBuilder compares as numbers. So of 4, 5 and 6 delete("k = 5.4") deletes the 5 that the SELECT does not give,
# delete("k != 5.4") keeps it, and delete("k < 5.4") leaves it behind; update() does alike.
# Guess before the run: the rows that a SELECT with a predicate gives are the rows that a delete with it takes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q deltalake==1.6.6 pyarrow==26.0.1
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY'
import os
import deltalake
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

seen = {}
for number, predicate in enumerate(("k = 5.4", "k != 5.4", "k < 5.4")):
    path = f"{os.environ['FOLDER']}/{number}"
    write_deltalake(path, pa.table({"k": [4, 5, 6]}))
    table = DeltaTable(path)
    selected = pa.table(QueryBuilder().register("t", table).execute(f"SELECT k FROM t WHERE {predicate}"))["k"].to_pylist()
    table.delete(predicate)
    seen[predicate] = (sorted(selected), sorted(table.to_pyarrow_table()["k"].to_pylist()))
print(f"deltalake {deltalake.__version__}, of [4, 5, 6]: selected, left after the delete:", seen)
assert seen == {"k = 5.4": ([], [4, 6]), "k != 5.4": ([4, 5, 6], [5]), "k < 5.4": ([4, 5], [5, 6])}, seen
PY
