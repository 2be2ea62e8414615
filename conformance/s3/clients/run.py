#!/usr/bin/env python3
"""S3 through the clients that people use, each with the same questions: keys of every kind, lists, 30 MB in parts, conditional writes.

    python3 conformance/s3/clients/run.py [--lakerun target/debug/lakerun] [--table] [CLIENT ...]

Starts a server of its own. Clients of PyPI, npm and Go modules are pinned here and kept in the user's cache; what cannot be had (no npm,
no Go) is told and skipped. Without CLIENT those run that are quick to install; rclone, java and hadoop run where they are named, `all` is
all of them. `--table` prints what each could, as docs/s3.md has it. Closes with 'N passed, N failed, N skipped'.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent.parent))

from server import Server, need_boto3, python  # noqa: E402

need_boto3(__file__)

import checks  # noqa: E402

LIBRARIES = ("s3fs==2026.9.0 pyarrow==26.0.1 polars==2.1.0 duckdb==1.4.4 duckdb-ext==0.1.2 duckdb-ext-httpfs==1.4.4.20260205 "
             "deltalake==1.6.6 pyiceberg[sql-sqlite]==0.12.0 pylance==14.0.2 awscli==1.46.3 s3cmd==2.4.0")



class Unavailable(Exception):
    pass


def cache():
    return pathlib.Path(os.environ.get("LAKERUN_CACHE") or pathlib.Path.home() / ".cache/lakerun") / "s3-clients"


def made(folder, program, build):
    """What `build` makes of a copy of `folder`, once for what the folder holds."""
    if not shutil.which(program):
        raise Unavailable(f"{program} is not installed")
    files = sorted(path for path in (HERE / folder).rglob("*") if path.is_file())
    told = hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()[:16]
    home = cache() / f"{folder}-{told}"
    if not (home / "made").exists():
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(HERE / folder, home)
        # A server's settings are not the build's.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(build, cwd=home, env=clean, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"{folder} cannot be built: {(done.stderr or done.stdout)[-400:]}")
        (home / "made").touch()
    return home


def module(name):
    return lambda: [python(LIBRARIES, "s3-clients"), HERE / "libraries.py", name]


def tool(name):
    return lambda: [python(LIBRARIES, "s3-clients"), HERE / "tools.py", name]


def go_tool(name):
    def command():
        home = made(name, "go", ["go", "build", "-mod=mod", "-o", name, GO_TOOLS[name]])
        return [python(LIBRARIES, "s3-clients"), HERE / "tools.py", name, home / name]
    return command


def java(name):
    def command():
        home = made("java", "mvn", ["mvn", "-q", "-B", "package", "dependency:copy-dependencies"])
        return ["java", "-cp", f"{home}/target/classes:{home}/target/dependency/*", "Client", name]
    return command


GO_TOOLS = {"s5cmd": "github.com/peak/s5cmd/v2", "rclone": "github.com/rclone/rclone"}
#: The client, how its adapter is started, and whether it runs where no client is named.
CLIENTS = {
    "aws-cli-v1": (tool("aws"), True),
    "s3cmd": (tool("s3cmd"), True),
    "s3fs": (module("s3fs"), True),
    "pyarrow": (module("pyarrow"), True),
    "aws-sdk-go-v2": (lambda: [made("go", "go", ["go", "build", "-o", "client", "."]) / "client"], True),
    "s5cmd": (go_tool("s5cmd"), True),
    "aws-sdk-js-v3": (lambda: ["node", made("javascript", "npm", ["npm", "ci", "--silent"]) / "client.mjs"], True),
    "rclone": (go_tool("rclone"), False),
    "aws-sdk-java-v2": (java("sdk"), False),
    "hadoop-s3a": (java("hadoop"), False),
}
TABLES = ["polars", "duckdb", "deltalake", "pyiceberg", "lance"]


def tables(name, counts):
    """A client that knows tables and no keys asks by itself, and tells how it went line by line."""
    run = subprocess.run([python(LIBRARIES, "s3-clients"), HERE / "tables.py", name], capture_output=True, text=True, timeout=300)
    told = [line.split(" ", 1) for line in run.stdout.splitlines() if line.startswith(("ok ", "FAILED "))]
    if run.returncode or not told:
        told.append(["FAILED", f"ended with {run.returncode}: {run.stderr[-800:]}"])
    for how, what in told:
        counts[how == "ok"] += 1
        if how != "ok":
            print(f"FAILED {name}: {what}")
    print(f"{name}: {', '.join(what for how, what in told if how == 'ok')}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--lakerun", default="target/debug/lakerun")
    options.add_argument("--table", action="store_true")
    options.add_argument("clients", nargs="*")
    given = options.parse_args()
    everything = [*CLIENTS, *TABLES]
    wanted = given.clients or [name for name in everything if name in TABLES or CLIENTS[name][1]]
    wanted = everything if wanted == ["all"] else wanted
    server = Server(given.lakerun)
    counts, rows = {True: 0, False: 0, None: 0}, []
    try:
        with tempfile.TemporaryDirectory() as folder:
            world = checks.World(server.variables["AWS_ENDPOINT_URL"], pathlib.Path(folder))
            for name in wanted:
                try:
                    if name in TABLES:
                        tables(name, counts)
                    else:
                        rows.append((name, checks.client(world, name, CLIENTS[name][0](), counts)))
                except (Unavailable, subprocess.CalledProcessError) as why:
                    counts[None] += 1
                    print(f"{name} is not tried: {why}")
    finally:
        server.stop()
    if given.table:
        print(checks.table(rows))
    print(f"{counts[True]} passed, {counts[False]} failed, {counts[None]} skipped")
    sys.exit(counts[False] > 0)


if __name__ == "__main__":
    main()
