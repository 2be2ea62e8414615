#!/usr/bin/env bash
# deltalake 1.6.6: a table that is partitioned by a binary column writes its values as the Delta protocol says, each byte as \u00NN, and reads them back
# as that text: b"a" becomes the six bytes \u0061, in pyarrow, in QueryBuilder and in the log's actions as it shows them; k = X'61' finds no row.
# Guess before the run: what a library writes by the protocol it reads by the protocol.
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

path = os.environ["FOLDER"] + "/t"
write_deltalake(path, pa.table({"k": [b"a"], "v": [1]}), partition_by=["k"])
table = DeltaTable(path)
read = table.to_pyarrow_table()["k"].to_pylist()
select = lambda text: pa.table(QueryBuilder().register("t", table).execute(text))
by_sql, found = select("SELECT k FROM t")["k"].to_pylist(), select("SELECT k FROM t WHERE k = X'61'").num_rows
print(f"deltalake {deltalake.__version__}: b'a' is read as", read, "and", by_sql, "rows of k = X'61':", found)
assert (read, by_sql, found) == ([b"\\u0061"], [b"\\u0061"], 0), (read, by_sql, found)
PY
