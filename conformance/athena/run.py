#!/usr/bin/env python3
"""Real clients of Athena against a server, as their users use them.

    eval "$(lakerun env)" && python3 conformance/athena/run.py [pyathena|awswrangler|dbt|pyiceberg|iceberg_rest|duckdb|delta|spark_rest|ibis|dlt|gx|sqlmesh ...]
    python3 conformance/athena/run.py --lakerun target/debug/lakerun        # against a server of its own

The pinned packages of requirements.txt, and of requirements-dbt.txt, requirements-pyiceberg.txt, requirements-duckdb.txt, requirements-delta.txt, requirements-spark.txt and requirements-tools.txt for some, are installed into environments of their own
(CONFORMANCE_VENV names a folder to keep them in). Where they cannot be had, each client is skipped with the reason. Closes with 'N passed, N failed, N skipped'.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import uuid

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from server import Server  # noqa: E402

CLIENTS = ("pyathena", "awswrangler", "dbt", "pyiceberg", "iceberg_rest", "duckdb", "delta", "ibis", "dlt", "gx", "sqlmesh")
# Spark and the jars that it fetches are large: only who names it has it.
ON_DEMAND = ("spark_rest",)
# Those whose packages do not go together with the others'.
REQUIREMENTS = {"dbt": "requirements-dbt", "pyiceberg": "requirements-pyiceberg", "iceberg_rest": "requirements-pyiceberg",
                "duckdb": "requirements-duckdb", "delta": "requirements-delta", "spark_rest": "requirements-spark", **dict.fromkeys(["ibis", "dlt", "gx", "sqlmesh"], "requirements-tools")}


def environment(folder, requirements):
    """The Python of an environment with the requirements, or why there is none."""
    home = pathlib.Path(os.environ.get("CONFORMANCE_VENV", folder)) / requirements
    python = home / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(home)], capture_output=True, text=True)
        if made.returncode:
            return None, made.stderr.strip()[-300:]
    done = subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(HERE / f"{requirements}.txt")], capture_output=True, text=True)
    return (python, None) if done.returncode == 0 else (None, done.stderr.strip()[-300:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakerun", help="the binary; without it the server of AWS_ENDPOINT_URL")
    parser.add_argument("clients", nargs="*", metavar="CLIENT", choices=[*CLIENTS, *ON_DEMAND, []])
    given = parser.parse_args()
    server = Server(os.path.abspath(given.lakerun)) if given.lakerun else None
    try:
        return run(given.clients or CLIENTS)
    finally:
        if server:
            server.stop()


def run(wanted):
    failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            python, why = environment(folder, REQUIREMENTS.get(name, "requirements"))
            if python is None:
                print(f"skipped {name}: its packages cannot be installed: {why}")
                skipped += 1
                continue
            unique = uuid.uuid4().hex[:8]
            env = dict(os.environ, CONFORMANCE_BUCKET=f"conformance-{name.replace('_', '-')}-{unique}", CONFORMANCE_DATABASE=f"conformance_{name}_{unique}")
            print(f"== {name}", flush=True)
            failed += subprocess.run([str(python), str(HERE / f"{name}_cases.py")], env=env, cwd=folder).returncode != 0
    print(f"{len(wanted) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
