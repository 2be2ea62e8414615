"""The Lakerun server that the demo runs on: start, stop, kill, credentials, deploy."""
import json
import os
import pathlib
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import boto3
import pg8000.native
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from . import measure


class Platform:
    def __init__(self, binary, work, smtp_port, read_paths, store=None):
        self.binary, self.work, self.data = str(binary), pathlib.Path(work), pathlib.Path(work) / "data"
        self.log = self.work / "server.log"
        self.smtp_port, self.read_paths = smtp_port, read_paths
        self.process, self.env = None, {}
        # The database, and what is the demo's there.
        self.store, self.schema = store, None

    def fresh(self):
        """Ends an older demo's server and removes its data."""
        pid_file = self.work / "server.pid"
        if pid_file.exists():
            pid = int(pid_file.read_text() or 0)
            try:
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                command = []
            if str(self.data).encode() in command:
                os.kill(pid, signal.SIGTERM)
                deadline = time.monotonic() + 5
                while pathlib.Path(f"/proc/{pid}").exists():
                    if time.monotonic() > deadline:
                        os.kill(pid, signal.SIGKILL)
                    time.sleep(0.05)
            pid_file.unlink()
        shutil.rmtree(self.data, ignore_errors=True)
        self.schema = f"demo_{secrets.token_hex(4)}"
        self.log.unlink(missing_ok=True)
        self.listen = f"127.0.0.1:{_free_port(4566)}"

    def start(self, tries=30):
        """Starts the server, also again after a kill, and waits until it answers."""
        settings = self.work / "lakerun.toml"
        settings.write_text(self._settings())
        began = time.monotonic()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [self.binary, "up", "--data", str(self.data), "--listen", self.listen, "--config", str(settings)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environ())
        (self.work / "server.pid").write_text(str(self.process.pid))
        while True:
            try:
                socket.create_connection(self.listen.split(":"), 0.2).close()
                self.env = self._environment()
                self.session = boto3.Session(self.env["AWS_ACCESS_KEY_ID"], self.env["AWS_SECRET_ACCESS_KEY"], region_name=self.env["AWS_REGION"])
                self.client("s3").list_buckets()
                return time.monotonic() - began
            except (OSError, RuntimeError, BotoCoreError) as error:
                # A process that the killed server had forked and that was no program yet had its folder's lock for a moment longer.
                if tries and self.process.poll() is not None and "another lakerun server holds" in self.log_tail(1):
                    time.sleep(0.1)
                    return self.start(tries - 1)
                if self.process.poll() is not None or time.monotonic() - began > 60:
                    raise RuntimeError(f"Lakerun did not start ({error}), see {self.log}:\n{self.log_tail()}") from None
                time.sleep(0.01)

    def database(self):
        """A connection to where the records are, in the demo's schema of it."""
        url = urllib.parse.urlsplit(self.store)
        name, _, place = url.netloc.rpartition("@")
        user, _, password = (urllib.parse.unquote(part) for part in name.partition(":"))
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "")
        host, port = urllib.parse.unquote(host), int(port or 5432)
        at = {"unix_sock": f"{host}/.s.PGSQL.{port}"} if host.startswith("/") else {"host": host, "port": port}
        connection = pg8000.native.Connection(user, password=password or None, database=url.path.strip("/") or None, **at)
        connection.run(f"SET search_path = {self.schema}")
        return connection

    def _settings(self):
        paths = ", ".join(f'"{path}"' for path in self.read_paths)
        store = ""
        if self.store:
            url = f"{self.store}{'&' if '?' in self.store else '?'}options=-csearch_path%3D{self.schema}"
            store = f"store = {json.dumps(url)}\n\n"
        return f'{store}[smtp]\nhost = "127.0.0.1"\nport = {self.smtp_port}\nfrom = "lakerun@localhost"\n\n[lambda]\nread_paths = [{paths}]\n'

    def _environment(self):
        done = subprocess.run([self.binary, "env", "--data", str(self.data)], capture_output=True, text=True, env=_environ())
        if done.returncode:
            raise RuntimeError(f"lakerun env: {done.stderr}")
        lines = (line.removeprefix("export ") for line in done.stdout.splitlines() if "=" in line and not line.startswith("#"))
        return {key: shlex.split(value)[0] if value else "" for key, _, value in (line.partition("=") for line in lines)}

    def client(self, service):
        return self.session.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"], config=Config(
            retries={"total_max_attempts": 3}, s3={"addressing_style": "path"}, inject_host_prefix=False, read_timeout=120))

    def deploy(self, template, parameters, output=None):
        command = [self.binary, "deploy", "flights", str(template), "--data", str(self.data)]
        for key, value in parameters.items():
            command += ["--parameter", f"{key}={value}"]
        done = subprocess.run(command, env={**_environ(), **self.env}, stdout=output or subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"lakerun deploy failed:\n{done.stdout or ''}")
        return self.outputs()

    def outputs(self):
        stack = self.client("cloudformation").describe_stacks(StackName="flights")["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def kill(self):
        """kill -9, the server alone."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        (self.work / "server.pid").unlink(missing_ok=True)

    def resident_mib(self):
        return measure.resident_mib(self.process.pid)

    def log_tail(self, lines=20):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


def _environ():
    """Ours, without settings that somebody's own Lakerun has."""
    keep = ("LAKERUN_CACHE", "LAKERUN_PYTHON")
    return {key: value for key, value in os.environ.items() if not key.startswith("LAKERUN_") or key in keep}


def _free_port(wanted):
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
