"""A PostgreSQL server in a folder of its own: of this machine's programs, or of a wheel that is installed into the user's cache."""
import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

WHEEL = "pgserver==0.1.4"


def programs():
    """The folder that holds initdb and pg_ctl."""
    given = [os.environ["POSTGRES_BIN"]] if "POSTGRES_BIN" in os.environ else []
    found = shutil.which("initdb")
    on_path = [os.path.dirname(os.path.realpath(found))] if found else []
    for folder in given + on_path + sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
        if os.path.exists(os.path.join(folder, "initdb")):
            return folder
    cache = pathlib.Path(os.environ.get("LAKERUN_CACHE") or pathlib.Path.home() / ".cache/lakerun") / "postgresql"
    pattern = str(cache / "lib/python*/site-packages/pgserver/pginstall/bin")
    if not glob.glob(pattern):
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache], check=True)
        subprocess.run([cache / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL], check=True)
    # nobody, as whom it runs where this is root, must reach it.
    return glob.glob(pattern)[0]


class PostgreSQL:
    """Started when it is made. Of root it runs as nobody: PostgreSQL refuses root."""

    def __init__(self):
        self.bin = programs()
        self.folder = tempfile.mkdtemp(prefix="lakerun-pg", dir="/tmp")
        self.user = "nobody" if os.geteuid() == 0 else None
        if self.user:
            nobody = pwd.getpwnam(self.user)
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.data = os.path.join(self.folder, "data")
        self._run("initdb", "-D", self.data, "-U", "lakerun", "-A", "trust", "--locale=C", "-E", "UTF8")
        self.start()

    def _run(self, program, *arguments):
        with open(os.path.join(self.folder, "out"), "a") as out:
            command = [os.path.join(self.bin, program), *arguments]
            subprocess.run(command, check=True, stdout=out, stderr=out, user=self.user, cwd=self.folder, group=self.user and pwd.getpwnam(self.user).pw_gid)

    def start(self):
        options = f"-k '{self.folder}' -c listen_addresses= -c max_connections=300"
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "600", "-l", os.path.join(self.folder, "log"), "-o", options, "start")

    def stop(self, how="immediate"):
        """`immediate` is a crash: it recovers from its log at the next start."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "600", "-m", how, "stop")

    def url(self, schema):
        """A database of its own, made at the first connection to it."""
        place = self.folder.replace("/", "%2F")
        return f"postgres://lakerun@{place}/postgres?options=-csearch_path%3D{schema}"

    def close(self):
        self.stop()
        shutil.rmtree(self.folder)
