"""What a server has run, for the programs here."""
import pathlib


class Cpu:
    """What all threads of a process have run, in seconds; those that have ended count with what they had last."""

    def __init__(self, pid):
        self.pid, self.seen = pid, {}

    def __call__(self):
        for thread in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                self.seen[thread.name] = int((thread / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass
        return sum(self.seen.values()) / 1e9
