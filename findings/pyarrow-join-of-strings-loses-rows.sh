#!/usr/bin/env bash
# pyarrow 26.0.1, pyarrow.compute.binary_join_element_wise with null_handling="skip": of columns in which a row is null everywhere the
# result should hold an empty text for that row, and have as many rows as its inputs. It has fewer: such rows are left out, so that
# what is built of the result no longer lines up with the table. null_handling="replace" keeps them.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PY'
import pyarrow as pa
import pyarrow.compute as pc

print("pyarrow", pa.__version__)
one = pa.array([None, "b", None, "d"])
for columns in ((one,), (one, pa.array([None, "x", "y", None]))):
    skipped = pc.binary_join_element_wise(*columns, ",", null_handling="skip")
    replaced = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
    print(len(columns), "columns of", len(one), "rows; skip:", len(skipped), skipped.to_pylist(), "replace:", len(replaced), replaced.to_pylist())
assert len(pc.binary_join_element_wise(one, ",", null_handling="skip")) < len(one), "rows are kept now"
assert len(pc.binary_join_element_wise(one, ",", null_handling="replace", null_replacement="")) == len(one)
PY
