#!/usr/bin/env python3
"""Runs a command with LAKERUN_STORE set to a PostgreSQL database of its own, which goes with it: any suite that starts one server.

    on_postgresql.py python3 conformance/asl/run.py --lakerun target/debug/lakerun
"""
import os
import subprocess
import sys

from postgresql import PostgreSQL


def main():
    database = PostgreSQL()
    try:
        return subprocess.run(sys.argv[1:], env=os.environ | {"LAKERUN_STORE": database.url("conformance")}).returncode
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
