"""What the suites share: a Python with boto3, and a server of their own on a free port, with a data folder that goes with it."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

REQUIREMENTS = "boto3==1.43.11"


def python(requirements=REQUIREMENTS, name=None):
    """A Python with boto3, or with what else is required, made once in the user's cache (under `name`, where the requirements are many)."""
    caches = pathlib.Path(os.environ.get("LAKERUN_CACHE") or pathlib.Path.home() / ".cache/lakerun")
    usual = "" if requirements == REQUIREMENTS else f"-{requirements.replace('==', '-').replace(' ', '-')}"
    cache = caches / f"conformance{usual if name is None else '-' + name}"
    python, stamp = cache / "bin/python", cache / "requirements.txt"
    if not (python.exists() and stamp.exists() and stamp.read_text() == requirements):
        subprocess.run([os.environ.get("LAKERUN_PYTHON", "python3"), "-m", "venv", "--clear", cache], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements.split()], check=True)
        stamp.write_text(requirements)
    return python


def need_boto3(script, exactly=None):
    """Runs the script again where boto3 is, if it is not here, or where `exactly` that one is (`boto3==1.44.8`)."""
    try:
        import boto3
        if exactly in (None, f"boto3=={boto3.__version__}"):
            return
    except ImportError:
        pass
    sys.exit(subprocess.run([python(exactly or REQUIREMENTS), os.path.abspath(script), *sys.argv[1:]]).returncode)


class Server:
    """Started, and its clients' settings in the environment, when it is made. `settings` are variables of its own; a data folder that
    is given stays."""

    def __init__(self, binary, data=None, arguments=(), **settings):
        self.folder = tempfile.TemporaryDirectory()
        self.data = data or os.path.join(self.folder.name, "data")
        # A pipe that nobody reads would hold the server.
        log = open(os.path.join(self.folder.name, "log"), "w+")
        # Port 0: a port that is looked for first may be taken by the look itself, or by another.
        command = [os.path.abspath(binary), "up", "--listen", "127.0.0.1:0", "--data", self.data, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | settings)
        if "serves at" not in self.process.stdout.readline():
            self.process.wait()
            log.seek(0)
            sys.exit(f"the server ended: {log.read()[-3000:]}")
        self.variables = {}
        told = subprocess.run([command[0], "env", "--data", self.data], capture_output=True, text=True, check=True).stdout
        for line in told.splitlines():
            if line.startswith("export "):
                name, _, value = line[7:].partition("=")
                self.variables[name] = value
        os.environ |= self.variables
        # The default session keeps the keys of the server before.
        if "boto3" in sys.modules:
            sys.modules["boto3"].DEFAULT_SESSION = None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.folder.cleanup()
