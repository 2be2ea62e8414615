#!/usr/bin/env bash
# pylance 14.0.2: the filter f > 5 takes NaN (Lance orders it above every number). After create_scalar_index("f", "ZONEMAP"), which is made to
# make the same query faster, it no longer gives the NaN rows of a zone that holds nothing else. A BTREE index keeps the answer.
# Seen, of fragments [1.0, 7.0] and [NaN, NaN]: three rows without an index and with BTREE, one with ZONEMAP.
# Guess before the run: an index changes how long an answer takes, not the answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pylance==14.0.2 pyarrow==26.0.1
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY'
import os
import lance
import pyarrow as pa

folder, nan = os.environ["FOLDER"], float("nan")


def rows(index):
    """How many rows f > 5 gives, by an index of that kind."""
    path = f"{folder}/{index}.lance"
    lance.write_dataset(pa.table({"f": [1.0, 7.0]}), path)
    dataset = lance.write_dataset(pa.table({"f": [nan, nan]}), path, mode="append")
    if index:
        dataset.create_scalar_index("f", index)
    return lance.dataset(path).to_table(filter="f > 5").num_rows


seen = {index: rows(index) for index in (None, "BTREE", "ZONEMAP")}
print(f"pylance {lance.__version__}, rows of f > 5: {seen}")
assert seen == {None: 3, "BTREE": 3, "ZONEMAP": 1}, seen
PY
