"""The server alone, on an empty data folder: how soon it answers, what it holds and what it does when nobody asks."""
import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import time

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def alone(binary, work, idle_seconds=5):
    data = pathlib.Path(work) / "measured"
    shutil.rmtree(data, ignore_errors=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    key, secret = "AKIALAKERUNMEASURED0", "a-secret-for-one-measurement-only-0000000"
    request = AWSRequest("GET", f"http://{address}/", headers={"x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})
    SigV4Auth(Credentials(key, secret), "s3", "us-east-1").add_auth(request)
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LAKERUN_ROOT_ACCESS_KEY_ID": key, "LAKERUN_ROOT_SECRET_ACCESS_KEY": secret}
    with open(data.with_suffix(".log"), "w") as log:
        began = time.monotonic()
        process = subprocess.Popen([binary, "up", "--data", data, "--listen", address], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        status = None
        while status is None and time.monotonic() - began < 30:
            try:
                connection = http.client.HTTPConnection(address)
                connection.request("GET", "/", headers=dict(request.headers.items()))
                status = connection.getresponse().status
            except OSError:
                time.sleep(0.001)
        answered = time.monotonic() - began
        time.sleep(1)
        before = _cpu(process.pid)
        time.sleep(idle_seconds)
        return {"list_buckets_status": status, "first_list_buckets_ms": round(answered * 1000, 1), "idle_resident_mib": resident_mib(process.pid),
                "idle_cpu_ms_per_s": round((_cpu(process.pid) - before) * 1000 / idle_seconds, 2)}
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(data, ignore_errors=True)


def resident_mib(pid):
    """Resident memory of the process itself, without its children."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(round(int(line.split()[1]) / 1024, 1) for line in status if line.startswith("VmRSS"))


def children(pid):
    """How many processes the server has started that still run, theirs included."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            pass
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return len(found) - 1


def _cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
