#!/usr/bin/env python3
"""Replays the AWS-recorded Step Functions cases against a running server.

    eval "$(lakerun env)"
    python3 conformance/asl/run.py [--endpoint URL] [arguments of run_cases.py …]

The cases are not part of this repository: LAKERUN_SHARED names the folder that has `conformance/asl/run_cases.py` and `cases.jsonl`
beside it. Needs boto3. Without arguments it takes the cases that need Step Functions alone and JSONPath, and closes with
'N passed, N failed'; exit status 0 when every case passed, 2 when the cases are not there.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

DEFAULT = ["--kind", "execution", "--needs", "pure", "-j", "4"]
# Waits of a minute are a case's own, not ours.
TIMEOUT = ["--timeout", "75"]


def main():
    folder = pathlib.Path(os.environ.get("LAKERUN_SHARED", "../shared")) / "conformance" / "asl"
    runner, cases = folder / "run_cases.py", folder / "cases.jsonl"
    if not cases.exists():
        print(f"{cases} is not there: set LAKERUN_SHARED", file=sys.stderr)
        return 2
    arguments = sys.argv[1:]
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    if "--endpoint" in arguments:
        at = arguments.index("--endpoint")
        endpoint = arguments[at + 1]
        del arguments[at : at + 2]
    everything = "--all-languages" in arguments
    arguments = [argument for argument in arguments if argument != "--all-languages"]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as chosen:
        for line in cases.read_text().splitlines():
            if everything or json.loads(line).get("query_language") == "JSONPath":
                chosen.write(line + "\n")
        chosen.flush()
        command = [sys.executable, str(runner), "--endpoint", endpoint, *TIMEOUT, *(arguments or DEFAULT), chosen.name]
        return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
