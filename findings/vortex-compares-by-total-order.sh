#!/usr/bin/env bash
# vortex-data 0.93.0: filters of a scan order floating-point numbers by IEEE 754's total order, not as SQL, Parquet's readers and pyarrow compare
# them: of 0.0 and -0.0 the filter k == 0.0 gives one row, k < 0.0 gives -0.0, and k > 5.0 gives NaN. A table that was Parquet before gives other
# rows for the same question, and a file of negative zeros (as rounding makes them) has no row that equals zero.
# Guess before the run: 0.0 equals -0.0; NaN, perhaps, above all numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q vortex-data==0.93.0 pyarrow==26.0.1
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import os
import pyarrow as pa
import pyarrow.compute as pc
import vortex
import vortex.expr as ve

table = pa.table({"k": [0.0, -0.0, float("nan"), 7.0]})
path = os.environ["FOLDER"] + "/t.vortex"
vortex.io.write(vortex.array(table), path)
k, f = ve.column("k"), pc.field("k")
asked = {"k == 0.0": (k == 0.0, f == 0.0), "k < 0.0": (k < 0.0, f < 0.0), "k > 5.0": (k > 5.0, f > 5.0)}
seen = {}
for text, (here, there) in asked.items():
    rows = pa.chunked_array([vortex.open(path).scan(expr=here).read_all().to_arrow_array().field("k")])
    seen[text] = (len(rows), table.filter(there).num_rows)
print(f"vortex-data {importlib.metadata.version('vortex-data')}: rows by vortex, by pyarrow:", seen)
assert seen == {"k == 0.0": (1, 2), "k < 0.0": (1, 0), "k > 5.0": (2, 1)}, seen
PY
