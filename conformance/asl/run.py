#!/usr/bin/env python3
"""Replays the AWS-recorded Step Functions cases against a server, and holds the result against what is known.

    python3 conformance/asl/run.py --binary target/debug/lakerun     # its own server on fresh data, its own environment
    eval "$(lakerun env)" && python3 conformance/asl/run.py          # a running server; needs boto3
    ... --write                                                      # take the result as known

The cases are not part of this repository: LAKERUN_SHARED names the folder that has `conformance/asl/run_cases.py` and `cases.jsonl`.
All cases are taken, whatever services they need, but those that need a second account; every field of every event is compared.
`known_failures.txt` lists the cases that fail today, a line each; a case that fails, twice, and is not listed ends the run with 1, as does
a listed one that passes (take it off the list). A line that begins with `?` is a case that passes or fails by chance.
Closes with 'N passed, N failed', the known ones counted as skipped.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
KNOWN = HERE / "known_failures.txt"
REQUIREMENTS = "boto3==1.43.11"


def environment():
    """A Python with boto3, made once in the user's cache."""
    cache = pathlib.Path(os.environ.get("LAKERUN_CACHE") or pathlib.Path.home() / ".cache/lakerun") / "conformance"
    python, stamp = cache / "bin/python", cache / "requirements.txt"
    if not (python.exists() and stamp.exists() and stamp.read_text() == REQUIREMENTS):
        subprocess.run([os.environ.get("LAKERUN_PYTHON", "python3"), "-m", "venv", "--clear", cache], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENTS], check=True)
        stamp.write_text(REQUIREMENTS)
    return python


def serve(binary, data):
    """Starts a server on a free port, whose buckets encrypt as those of the recordings; the process and the variables that clients need."""
    log = open(data / "server.log", "w")
    process = subprocess.Popen([binary, "up", "--listen", "127.0.0.1:0", "--data", data / "data"], stderr=log, cwd=data,
                               env=os.environ | {"LAKERUN_S3_DEFAULT_ENCRYPTION": "AES256"})
    file = data / "data/server.json"
    while not file.exists():
        if process.poll() is not None:
            sys.exit(f"the server ended: {(data / 'server.log').read_text()}")
    server = json.loads(file.read_text())
    return process, {"AWS_ENDPOINT_URL": server["endpoint"], "AWS_ACCESS_KEY_ID": server["access_key"],
                     "AWS_SECRET_ACCESS_KEY": server["secret_key"], "AWS_DEFAULT_REGION": server["region"], "AWS_REGION": server["region"],
                     "AWS_DISABLE_HOST_PREFIX_INJECTION": "true", "AWS_EC2_METADATA_DISABLED": "true"}


def known():
    """The listed cases: those that fail, those that chance decides."""
    lines = [line for line in KNOWN.read_text().split("\n") if line]
    return {line for line in lines if line[0] != "?"}, {line[2:] for line in lines if line[0] == "?"}


def replay(python, variables, folder, work):
    """Which cases there were, and what was wrong with each that failed."""
    out = work / "out.json"
    command = [python, folder / "run_cases.py", "--endpoint", variables["AWS_ENDPOINT_URL"], "--strict", "--timeout", "75", "-j", "4", "-q",
               "--out", out]

    def run(*more):
        subprocess.run([*command, *more, folder / "cases.jsonl"], env=os.environ | variables, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())

    results = run()
    again = [case for case, why in results.items() if why and case not in set.union(*known())]
    if again:
        results |= run("--grep", "^(?:" + "|".join(map(re.escape, again)) + ")$")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    folder = pathlib.Path(os.environ.get("LAKERUN_SHARED", "../shared")).resolve() / "conformance/asl"
    if not (folder / "cases.jsonl").exists():
        sys.exit(f"{folder}/cases.jsonl is not there: set LAKERUN_SHARED")
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if asked.binary:
            process, variables = serve(asked.binary.resolve(), work)
            try:
                results = replay(environment(), variables, folder, work)
            finally:
                process.terminate()
                process.wait()
        else:
            results = replay(sys.executable, {"AWS_ENDPOINT_URL": os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")}, folder, work)
    failed = {case: why for case, why in results.items() if why}
    listed, chance = known()
    if asked.write:
        listed = failed.keys() - chance
        KNOWN.write_text("".join(f"{case}\n" for case in sorted(listed)) + "".join(f"? {case}\n" for case in sorted(chance)))
    new = {case: why for case, why in failed.items() if case not in listed | chance}
    mended = listed & (results.keys() - failed.keys())
    for case, why in new.items():
        print(f"FAIL {case} | {why[:400]}")
    for case in sorted(mended):
        print(f"PASSES NOW, take it off known_failures.txt: {case}")
    print(f"{len(results) - len(failed)} passed, {len(new)} failed, {len(failed) - len(new)} skipped")
    return 1 if new or mended else 0


if __name__ == "__main__":
    sys.exit(main())
