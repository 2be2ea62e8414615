#!/usr/bin/env python3
"""Holds a server against its goals, beside an earlier one in the same run: the two take turns, the best of some rounds counts.

goals.py --binary target/release/lakerun [--baseline OLDER] [--rounds 3] [--only PART]; needs `lakerun-bench` beside the binary. Ports and data
folders are temporary. Figures of time stand beside an fsync measured in the same round; CPU is that of the server with its processes.
"""

import argparse
import datetime
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

KEYS = {"LAKERUN_ROOT_ACCESS_KEY_ID": "AKIAGOALS", "LAKERUN_ROOT_SECRET_ACCESS_KEY": "goals"}
# Load of lakerun-bench, the figure to read, what it is called, its goal, whether more is better.
LOADS = [
    (["starts", "--executions", "6000"], "server cpu ms each", "CPU of an execution of 5 Pass states under load, ms", 0.08, False),
    (["starts", "--executions", "750", "--rate", "250"], "server cpu ms each", "the same, 250 a second evenly apart, ms", 0.2, False),
    (["tasks"], "per second", "durable transitions a second", 30000, True),
    (["tasks"], "server cpu us each", "CPU of one, µs", None, False),
    (["chain"], "wall ms best", "100 Pass states in a row, ms", None, False),
    (["map"], "wall ms best", "Map of 1,000, ms", 3, False),
    (["lambda"], "wall ms best", "40 calls of a warm function, ms", 20, False),
]


class Server:
    def __init__(self, binary, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.binary, self.folder, self.process = binary, folder, None

    def start(self):
        """Answers with the milliseconds from exec to the first signed answer."""
        request = self.request()
        begun = time.perf_counter()
        command = [self.binary, "up", "--data", self.folder, "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **KEYS})
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as connection:
                    connection.sendall(request)
                    answer = connection.recv(65536)
                    took = (time.perf_counter() - begun) * 1000
                    assert answer.startswith(b"HTTP/1.1 200"), answer
                    return took
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.0002)

    def request(self):
        """ListStateMachines, signed."""
        host, body, kind = f"127.0.0.1:{self.port}", b"{}", "application/x-amz-json-1.0"
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        target, names = "AWSStepFunctions.ListStateMachines", "content-type;host;x-amz-date;x-amz-target"
        scope = f"{now[:8]}/us-east-1/states/aws4_request"
        canonical = f"POST\n/\n\ncontent-type:{kind}\nhost:{host}\nx-amz-date:{now}\nx-amz-target:{target}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("AWS4" + KEYS["LAKERUN_ROOT_SECRET_ACCESS_KEY"]).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        credential = f"{KEYS['LAKERUN_ROOT_ACCESS_KEY_ID']}/{scope}"
        headers = {
            "host": host, "content-type": kind, "x-amz-date": now, "x-amz-target": target, "content-length": len(body),
            "authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def load(bench, server, arguments):
    """Figures by name; of a spread also its best."""
    text = subprocess.run([bench, "http", "--data", server.folder, *arguments], capture_output=True, text=True, check=True).stdout
    figures = {}
    for pair in text.splitlines()[0].split(None, 1)[1].split("|"):
        name, _, value = pair.strip().partition(": ")
        figures.setdefault(name, value)
        if value.startswith("best "):
            figures[f"{name} best"], figures[f"{name} p50"] = value.split()[1], value.split()[3]
    return figures


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--baseline")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", default="")
    given = arguments.parse_args()
    binaries = {"new": os.path.abspath(given.binary), "baseline": given.baseline and os.path.abspath(given.baseline)}
    bench = os.path.join(os.path.dirname(binaries["new"]), "lakerun-bench")
    place = tempfile.mkdtemp(prefix="goals-", dir=os.environ.get("TMPDIR", "."))
    servers = {name: Server(binary, os.path.join(place, name)) for name, binary in binaries.items() if binary}
    results = {}

    def note(what, goal, more, name, value, fsync=None):
        entry = results.setdefault(what, {"goal": goal, "more": more})
        if name not in entry or (value > entry[name]) == more:
            entry[name] = value
            if name == "new":
                entry["fsync"] = fsync

    def show(what):
        entry = results[what]
        figures = [f"{entry[name]:.3f}" if name in entry else "-" for name in ("new", "baseline")]
        ratio = f"{entry['new'] / entry['baseline']:.2f}" if "baseline" in entry else "-"
        goal = "" if entry["goal"] is None else f"{entry['goal']}{'' if (entry['new'] >= entry['goal']) == entry['more'] else ', missed'}"
        print(f"| {what} | {goal} | {figures[0]} | {figures[1]} | {ratio} | {entry.get('fsync') or ''} |", flush=True)

    print("| what | goal | seen | baseline | ratio | fsync ms p50 |\n|---|---|---|---|---|---|", flush=True)
    try:
        for server in servers.values():
            server.start()
        idle = {}
        if given.only in ("", "memory"):
            time.sleep(20)
            for name, server in servers.items():
                idle[name] = server.memory()
                note("memory idle, MiB", 25, False, name, idle[name])
            show("memory idle, MiB")
        if given.only in ("", "load", "memory"):
            for load_arguments in {tuple(one[0]): one[0] for one in LOADS}.values():
                for _ in range(given.rounds):
                    for name, server in servers.items():
                        figures = load(bench, server, load_arguments)
                        for one, figure, what, goal, more in LOADS:
                            if one == load_arguments:
                                note(what, goal, more, name, float(figures[figure]), figures.get("fsync ms p50"))
                for one, _, what, _, _ in LOADS:
                    if one == load_arguments:
                        show(what)
        if given.only in ("", "memory"):
            what = "memory a minute after these loads, of idle"
            for name, server in servers.items():
                note("memory right after, MiB", None, False, name, server.memory())
            show("memory right after, MiB")
            time.sleep(60)
            for name, server in servers.items():
                note("memory a minute later, MiB", None, False, name, server.memory())
                note(what, 1.2, False, name, server.memory() / idle[name])
            show("memory a minute later, MiB")
            show(what)
        for server in servers.values():
            server.stop()
        if given.only in ("", "start"):
            for _ in range(4 * given.rounds):
                for name, server in servers.items():
                    note("exec to first signed answer, ms", 15, False, name, server.start())
                    server.stop()
                    fresh = Server(server.binary, os.path.join(place, "fresh"))
                    note("the same, first start of all, ms", None, False, name, fresh.start())
                    fresh.stop()
                    shutil.rmtree(fresh.folder)
            show("exec to first signed answer, ms")
            show("the same, first start of all, ms")
    finally:
        for server in servers.values():
            if server.process.poll() is None:
                server.stop()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
