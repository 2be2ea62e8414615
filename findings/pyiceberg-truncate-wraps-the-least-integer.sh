#!/usr/bin/env bash
# pyiceberg 0.12.0 with pyiceberg-core 0.10.1: truncate(10) of the least integer has no place in its type. The writer (Rust) wraps: the partition of
# -2147483648 is 2147483646. The reader's projection of a filter (Python, whose integers are unbounded) makes -2147483650 of it. So a row that is
# there is given by no filter that it meets, k < 0 and k = -2147483648 included, and nothing fails; the same of 64 bits.
# A decimal(9, 2) that truncates below its precision raises instead, when it is written.
# Guess before the run: an error when it is written, or writer and reader that wrap alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'pyiceberg[sql-sqlite,pyarrow]==0.12.0' pyiceberg-core==0.10.1 pyarrow==26.0.1
FOLDER="$folder" "$folder/venv/bin/python" -W ignore - <<'PY'
import os
import pyarrow as pa
import pyiceberg
from pyiceberg.catalog import load_catalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import TruncateTransform
from pyiceberg.types import IntegerType, LongType, NestedField

folder = os.environ["FOLDER"]
catalog = load_catalog("here", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
seen = {}
for name, kind, arrow, least in (("int", IntegerType(), pa.int32(), -(2**31)), ("long", LongType(), pa.int64(), -(2**63))):
    spec = PartitionSpec(PartitionField(1, 1000, TruncateTransform(width=10), "p"))
    table = catalog.create_table(f"n.{name}", Schema(NestedField(1, "k", kind, required=False)), partition_spec=spec)
    table.append(pa.table({"k": pa.array([least], arrow)}))
    partition = [task.file.partition[0] for task in table.scan().plan_files()]
    filters = ("k = %d" % least, "k < 0", "k >= %d" % least)
    seen[name] = (partition, table.scan().to_arrow().num_rows, [table.scan(row_filter=f).to_arrow().num_rows for f in filters])
print(f"pyiceberg {pyiceberg.__version__}: partition, rows, rows of k = least, k < 0, k >= least:", seen)
assert seen["int"] == ([2**31 - 2], 1, [0, 0, 1]), seen
assert seen["long"] == ([2**63 - 2], 1, [0, 0, 1]), seen
PY
