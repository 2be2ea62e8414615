#!/usr/bin/env bash
# dlt 1.31.0 makes one column of keys that its naming convention writes alike, and keeps the value of one of them: a record with userId and
# user_id, or with a nested x.y beside a flat x__y, is loaded without one of the values, with success and without a warning.
# Which is kept differs: of two flat keys the later in the record, of a nested and a flat one always the nested.
# Guess before the run: an error, or a second column with a suffix, as it makes one for a value of another type (n__v_text).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'dlt[duckdb]==1.31.0' 'duckdb==2.0.1'
cd "$folder"
RUNTIME__DLTHUB_TELEMETRY=false FOLDER="$folder" "$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import os
import dlt

folder = os.environ["FOLDER"]
pipeline = dlt.pipeline("names", destination=dlt.destinations.duckdb(f"{folder}/lake.duckdb"), dataset_name="d", pipelines_dir=folder)


def loaded(name, rows):
    """Columns and first row of a table of its own, without dlt's own columns."""
    pipeline.run(rows, table_name=name).raise_on_failed_jobs()
    with pipeline.sql_client() as client, client.execute_query(f"SELECT * FROM {name}") as result:
        columns = [column[0] for column in result.description]
        return {c: v for c, v in zip(columns, result.fetchone()) if not c.startswith("_dlt")}


flat = loaded("flat", [{"userId": 1, "user_id": 2}])
turned = loaded("turned", [{"user_id": 2, "userId": 1}])
nested = loaded("nested", [{"x": {"y": 1}, "x__y": 2}])
after = loaded("after", [{"x__y": 2, "x": {"y": 1}}])
print(f"dlt {dlt.__version__}: userId=1, user_id=2 is {flat}; the other way round {turned}; x.y=1, x__y=2 is {nested}")
assert flat == {"user_id": 2} and turned == {"user_id": 1}, (flat, turned)
assert nested == after == {"x__y": 1}, (nested, after)
PY
