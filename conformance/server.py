"""A server of its own for a conformance run, on a free port, with a data folder that goes with it."""
import os
import signal
import subprocess
import sys
import tempfile


class Server:
    """Started, and its clients' settings in the environment, when it is made."""

    def __init__(self, binary):
        self.folder = tempfile.TemporaryDirectory()
        # Port 0: a port that is looked for first may be taken by the look itself, or by another.
        self.process = subprocess.Popen([binary, "up", "--listen", "127.0.0.1:0", "--data", self.folder.name], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        if "serves at" not in self.process.stdout.readline():
            sys.exit("the server ended")
        for line in subprocess.run([binary, "env", "--data", self.folder.name], capture_output=True, text=True, check=True).stdout.splitlines():
            if line.startswith("export "):
                name, _, value = line[7:].partition("=")
                os.environ[name] = value

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.folder.cleanup()
