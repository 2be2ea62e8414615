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

    def __init__(self, port=None):
        """`port`: where it also listens on 127.0.0.1, by TLS alone, under the authority of `ca.pem` in its folder."""
        self.port = port
        self.bin = programs()
        self.folder = tempfile.mkdtemp(prefix="lakerun-pg", dir="/tmp")
        self.user = "nobody" if os.geteuid() == 0 else None
        if self.user:
            nobody = pwd.getpwnam(self.user)
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.data = os.path.join(self.folder, "data")
        self._run("initdb", "-D", self.data, "-U", "lakerun", "-A", "trust", "--locale=C", "-E", "UTF8")
        if port:
            self._certify()
        self.start()

    def _certify(self):
        """An authority, and the server's certificate for 127.0.0.1 by it."""
        place = lambda name: os.path.join(self.folder, name)
        openssl = lambda *arguments: subprocess.run(["openssl", *arguments], check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", place("ca.key"), "-out", place("ca.pem"))
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", place("server.key"), "-out", place("server.csr"))
        with open(place("names"), "w") as names:
            names.write("subjectAltName=IP:127.0.0.1")
        openssl("x509", "-req", "-in", place("server.csr"), "-CA", place("ca.pem"), "-CAkey", place("ca.key"), "-CAcreateserial", "-days", "2",
                "-extfile", place("names"), "-out", place("server.pem"))
        os.chmod(place("server.key"), 0o600)
        if self.user:
            nobody = pwd.getpwnam(self.user)
            os.chown(place("server.key"), nobody.pw_uid, nobody.pw_gid)
        with open(os.path.join(self.data, "pg_hba.conf"), "w") as access:
            access.write("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")

    def _run(self, program, *arguments):
        with open(os.path.join(self.folder, "out"), "a") as out:
            command = [os.path.join(self.bin, program), *arguments]
            subprocess.run(command, check=True, stdout=out, stderr=out, user=self.user, cwd=self.folder, group=self.user and pwd.getpwnam(self.user).pw_gid)

    def start(self):
        options = f"-k '{self.folder}' -c listen_addresses= -c max_connections=300"
        if self.port:
            options = (f"-k '{self.folder}' -c listen_addresses=127.0.0.1 -p {self.port} -c max_connections=300 -c ssl=on "
                       f"-c ssl_cert_file={self.folder}/server.pem -c ssl_key_file={self.folder}/server.key")
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "600", "-l", os.path.join(self.folder, "log"), "-o", options, "start")

    def stop(self, how="immediate"):
        """`immediate` is a crash: it recovers from its log at the next start."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "600", "-m", how, "stop")

    def url(self, schema):
        """A database of its own, made at the first connection to it."""
        if self.port:
            return f"postgres://lakerun@127.0.0.1:{self.port}/postgres?sslmode=require&options=-csearch_path%3D{schema}"
        place = self.folder.replace("/", "%2F")
        return f"postgres://lakerun@{place}/postgres?options=-csearch_path%3D{schema}"

    def ask(self, schema, sql):
        """The rows of a statement, as text."""
        command = [os.path.join(self.bin, "psql"), "-h", self.folder, "-U", "lakerun", "-d", "postgres", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1",
                   "-c", f"SET search_path = {schema}", "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    def tasks(self, schema):
        """How many tasks wait or run, of all stores, a second ago. Source of the keys: crates/store/src/queue.rs."""
        keys = "WHERE head >= '\\x017461736b0001' AND head < '\\x017461736b0002'"
        return sum(int(self.ask(schema, f"SELECT count(*) FROM lakerun_kv_{store} {keys}")[0]) for store in ("control", "s3", "dynamodb"))

    def close(self):
        self.stop()
        shutil.rmtree(self.folder)


if __name__ == "__main__":
    # Can a server be had here? Started once, as a machine may have the programs and not let them run.
    PostgreSQL().close()
    print(programs())
