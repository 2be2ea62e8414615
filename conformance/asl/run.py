#!/usr/bin/env python3
"""Replays the AWS-recorded Step Functions cases against a server, and holds the result against what is known.

    python3 conformance/asl/run.py --lakerun target/debug/lakerun    # its own server on fresh data, its own environment
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

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

from server import Server, python  # noqa: E402

KNOWN = HERE / "known_failures.txt"


def known():
    """The listed cases: those that fail, those that chance decides."""
    lines = [line for line in KNOWN.read_text().split("\n") if line]
    return {line for line in lines if line[0] != "?"}, {line[2:] for line in lines if line[0] == "?"}


def replay(python, folder, work):
    """Which cases there were, and what was wrong with each that failed."""
    out = work / "out.json"
    command = [python, folder / "run_cases.py", "--endpoint", os.environ["AWS_ENDPOINT_URL"], "--strict", "--timeout", "75", "-j", "4", "-q",
               "--out", out]

    def run(*more):
        subprocess.run([*command, *more, folder / "cases.jsonl"], stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())

    results = run()
    again = [case for case, why in results.items() if why and case not in set.union(*known())]
    if again:
        results |= run("--grep", "^(?:" + "|".join(map(re.escape, again)) + ")$")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakerun", help="the binary; without it the server of AWS_ENDPOINT_URL")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    folder = pathlib.Path(os.environ.get("LAKERUN_SHARED", "../shared")).resolve() / "conformance/asl"
    if not (folder / "cases.jsonl").exists():
        sys.exit(f"{folder}/cases.jsonl is not there: set LAKERUN_SHARED")
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if asked.lakerun:
            # Its buckets encrypt as those of the recordings.
            server = Server(asked.lakerun, LAKERUN_S3_DEFAULT_ENCRYPTION="AES256")
            try:
                results = replay(python(), folder, work)
            finally:
                server.stop()
        else:
            results = replay(sys.executable, folder, work)
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
