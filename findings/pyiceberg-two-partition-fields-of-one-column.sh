#!/usr/bin/env bash
# pyiceberg 0.11.1 reads a table that is partitioned by two transforms of one column, as the specification allows and Athena, Trino and
# Spark make them, but cannot append to it: the spec is accepted when the table is created and the first write fails.
# Guess before the run: what may be created may be written.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'pyiceberg[sql-sqlite,pyarrow,pyiceberg-core]==0.11.1'
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY'
import os
import pyarrow as pa
import pyiceberg
from pyiceberg.catalog import load_catalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform, TruncateTransform
from pyiceberg.types import NestedField, StringType

folder = os.environ["FOLDER"]
catalog = load_catalog("here", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
schema = Schema(NestedField(1, "kind", StringType()))
rows = pa.table({"kind": ["apple"]})

one = catalog.create_table("n.one", schema, partition_spec=PartitionSpec(PartitionField(1, 1000, TruncateTransform(2), "kind_trunc")))
one.append(rows)
two = catalog.create_table("n.two", schema, partition_spec=PartitionSpec(
    PartitionField(1, 1000, IdentityTransform(), "kind"), PartitionField(1, 1001, TruncateTransform(2), "kind_trunc")))
try:
    two.append(rows)
    seen = "appended"
except ValueError as error:
    seen = str(error).split(":")[0]
print(f"pyiceberg {pyiceberg.__version__}: one field of a column: {one.scan().to_arrow().num_rows} row; two fields: {seen}")
assert seen == "Cannot have redundant partitions", seen
PY
