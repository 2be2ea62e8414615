#!/usr/bin/env bash
# deltalake 1.6.6 makes the statistics of a decimal column by way of a double: of a file with 123456789012345.67 the log's minValues and maxValues say
# 123456789012345.69, which is not even the nearest double's text. Its readers skip files by them: an equality finds no row, by the dataset of
# pyarrow as by QueryBuilder, and so a delete deletes nothing. From 16 digits on; every engine that reads the table's log is told the same.
# Guess before the run: exact text, or bounds that are widened, as the protocol lets statistics be wide but not wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q deltalake==1.6.6 pyarrow==26.0.1
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY'
import glob
import json
import os
from decimal import Decimal
import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, QueryBuilder, write_deltalake

seen = {}
for text in ("12345678901234.56", "123456789012345.67", "90071992547409.93"):
    path = f"{os.environ['FOLDER']}/{text}"
    write_deltalake(path, pa.table({"k": pa.array([Decimal(text)], pa.decimal128(18, 2))}))
    table = DeltaTable(path)
    lines = [json.loads(line) for name in glob.glob(f"{path}/_delta_log/*.json") for line in open(name)]
    told = [json.loads(line["add"]["stats"], parse_float=str)["minValues"]["k"] for line in lines if "add" in line]
    asked = f"k = CAST('{text}' AS decimal(18, 2))"
    by_file = table.to_pyarrow_dataset().to_table(filter=pc.field("k") == pa.scalar(Decimal(text), pa.decimal128(18, 2))).num_rows
    by_sql = pa.table(QueryBuilder().register("t", table).execute(f"SELECT k FROM t WHERE {asked}")).num_rows
    seen[text] = (told, by_file, by_sql, table.delete(asked)["num_deleted_rows"])
print(f"deltalake {deltalake.__version__}: the log's least value, rows by dataset, by SQL, deleted:", seen)
assert seen == {
    "12345678901234.56": (["12345678901234.56"], 1, 1, 1),
    "123456789012345.67": (["123456789012345.69"], 0, 0, 0),
    "90071992547409.93": (["90071992547409.92"], 0, 0, 0),
}, seen
PY
