#!/usr/bin/env python3
"""Every operation by boto3: what it answers, and how it refuses. One file here is one service.

    python3 conformance/operations/run.py [--lakerun target/debug/lakerun] [WORD ...]

Starts a server of its own, or uses that of AWS_ENDPOINT_URL with the keys of the environment; needs boto3. A WORD picks the cases whose
file or name has it. What is right is said by each service's API reference. A case fails too when an operation that it names was
not seen to succeed and to be refused. Closes with 'N passed, N failed'.
"""
import argparse
import importlib
import os
import pathlib
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import harness  # noqa: E402


def hold(function, service, operations, only_refused):
    """Runs a case; each operation that it names must have succeeded and failed in it."""
    harness.ANSWERED.clear()
    harness.REFUSED.clear()
    function()
    for what, seen in (("refused", harness.REFUSED),) if only_refused else (("answered", harness.ANSWERED), ("refused", harness.REFUSED)):
        missing = [name for name in operations if (service, name) not in seen]
        assert not missing, f"not seen to be {what}: {', '.join(missing)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lakerun", help="the binary; without it the server of AWS_ENDPOINT_URL")
    parser.add_argument("words", nargs="*", metavar="WORD")
    arguments = parser.parse_args()
    for file in sorted(HERE.glob("*.py")):
        if file.stem not in ("run", "harness"):
            importlib.import_module(file.stem)
    server = Server(os.path.abspath(arguments.lakerun)) if arguments.lakerun else None
    passed, failed = 0, 0
    try:
        for function, *held in harness.CASES:
            name = f"{function.__module__}.{function.__name__}"
            if arguments.words and not any(word in name for word in arguments.words):
                continue
            try:
                hold(function, *held)
                passed += 1
                print(f"ok    {name}", flush=True)
            except Exception:  # noqa: BLE001 - the next case shall run too
                failed += 1
                print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
    finally:
        if server:
            server.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
