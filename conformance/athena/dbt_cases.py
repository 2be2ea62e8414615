"""dbt-athena: debug, seed, run (view, table, incremental by append, insert_overwrite and merge, HA tables), snapshot, test, run again."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from checks import case, check, close, place

place()
PROJECT = pathlib.Path(__file__).parent / "dbt"
DBT = pathlib.Path(sys.executable).parent / "dbt"


@case
def project():
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(shutil.copytree(PROJECT, pathlib.Path(folder, "dbt")))
        env = dict(os.environ, DBT_SEND_ANONYMOUS_USAGE_STATS="false")
        for step in (["debug"], ["seed"], ["run"], ["snapshot"], ["test"], ["seed", "--full-refresh"], ["run"], ["run", "--full-refresh"], ["snapshot"], ["docs", "generate"]):
            done = subprocess.run([str(DBT), "--no-use-colors", *step, "--profiles-dir", "."], cwd=home, env=env, capture_output=True, text=True)
            check("dbt " + " ".join(step), done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if "rror" in line or "FAIL" in line)[-900:])


close()
