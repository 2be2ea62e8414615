"""SQLMesh over Athena: seed, full, view, incremental by time range and by unique key (Iceberg), audits, plan, run, a second environment."""
import os
import pathlib
import subprocess
import sys
import tempfile
from checks import BUCKET, DATABASE, case, check, close, place

place()
FILES = {
    "config.yaml": f"""
gateways:
  athena:
    connection:
      type: athena
      region_name: us-east-1
      s3_staging_dir: s3://{BUCKET}/staging/
      s3_warehouse_location: s3://{BUCKET}/warehouse/
      work_group: primary
    state_connection:
      type: duckdb
      database: state.db
default_gateway: athena
model_defaults:
  dialect: athena
  start: 2020-01-01
""",
    "seeds/events.csv": "id,name,day\n1,ann,2020-01-01\n2,bob,2020-01-02\n3,cid,2020-01-03\n",
    "models/events.sql": f"MODEL (name {DATABASE}.events, kind SEED (path '../seeds/events.csv'), columns (id INTEGER, name VARCHAR, day DATE));\n",
    "models/daily.sql": f"MODEL (name {DATABASE}.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day), partitioned_by (day), cron '@daily', audits (not_null(columns := (id))));\nSELECT id, upper(name) AS name, day FROM {DATABASE}.events WHERE day BETWEEN @start_date AND @end_date\n",
    "models/latest.sql": f"MODEL (name {DATABASE}.latest, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id), table_format iceberg);\nSELECT id, name, day FROM {DATABASE}.daily\n",
    "models/total.sql": f"MODEL (name {DATABASE}.total, kind FULL, audits (number_of_rows(threshold := 0)));\nSELECT count(*) AS n, max(day) AS last FROM {DATABASE}.daily\n",
    "models/shown.sql": f"MODEL (name {DATABASE}.shown, kind VIEW);\nSELECT n, last FROM {DATABASE}.total\n",
}


@case
def project():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        sqlmesh = pathlib.Path(sys.executable).parent / "sqlmesh"
        env = dict(os.environ, SQLMESH__DISABLE_ANONYMIZED_ANALYTICS="true", MAX_FORK_WORKERS="1")
        for step in (["plan", "--auto-apply", "--no-prompts"], ["run"], ["plan", "dev", "--auto-apply", "--no-prompts", "--include-unmodified"], ["audit"], ["fetchdf", f"SELECT n FROM {DATABASE}.shown"]):
            done = subprocess.run([str(sqlmesh), *step], cwd=folder, env=env, capture_output=True, text=True)
            check("sqlmesh " + " ".join(step[:2]), done.returncode == 0, (done.stdout + done.stderr)[-1500:])
            if step[0] == "fetchdf":
                check("three rows", "3" in done.stdout, done.stdout)


close()
