"""Shows a running execution: a tree of its states where there is a terminal, a line per change where there is none."""
import datetime
import sys
import time

from . import history

MARKS = {"succeeded": ("✓", "32"), "running": ("▸", "36"), "failed": ("✗", "31"), "waiting": ("·", "2")}
HIDDEN = ("Choice", "Wait", "Succeed", "Pass")


def flatten(definition, depth=0):
    """[(name, type, depth)] in the order in which the states come."""
    rows, name, seen = [], definition["StartAt"], set()
    queue = [name]
    while queue:
        name = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        state = definition["States"][name]
        rows.append((name, state["Type"], depth))
        for inner in state.get("Branches", []) + [state[key] for key in ("ItemProcessor", "Iterator") if key in state]:
            rows += flatten(inner, depth + 1)
        following = [choice["Next"] for choice in state.get("Choices", [])] + [state.get("Default"), state.get("Next")]
        following += [catch["Next"] for catch in state.get("Catch", [])]
        queue += [n for n in following if n]
    return rows


class Progress:
    def __init__(self, states, arn, definition, out=sys.stdout):
        self.states, self.arn, self.out = states, arn, out
        self.rows = flatten(definition)
        self.live = out.isatty()
        self.drawn, self.told, self.began = 0, {}, time.monotonic()

    def follow(self):
        """Until the execution has ended; gives DescribeExecution's answer and the history."""
        while True:
            execution = self.states.describe_execution(executionArn=self.arn)
            events = history.events(self.states, self.arn)
            self.draw(events)
            if execution["status"] != "RUNNING":
                return execution, events
            time.sleep(0.2 if self.live else 0.3)

    def draw(self, events):
        found, _ = history.by_state(events)
        now = datetime.datetime.now(datetime.timezone.utc)
        shown = [(name, kind, depth, found.get(name, history.State())) for name, kind, depth in self.rows]
        shown = [row for row in shown if row[1] not in HIDDEN and (row[3].entered or (row[1] != "Fail" and row[0] != "Alert"))]
        (self._tree if self.live else self._lines)(shown, now)

    def _tree(self, shown, now):
        lines = []
        for name, kind, depth, state in shown:
            mark, colour = MARKS[state.status]
            text = f"{'  ' * depth}{mark} {name}"
            lines.append(f"\x1b[{colour}m{text:<40}\x1b[0m {self._facts(kind, state, now)}")
        if self.drawn:
            self.out.write(f"\x1b[{self.drawn}A")
        self.out.write("".join(f"\x1b[2K{line}\n" for line in lines))
        if self.drawn > len(lines):
            self.out.write("\x1b[0J")
        self.drawn = len(lines)
        self.out.flush()

    def _lines(self, shown, now):
        for name, kind, _, state in shown:
            key = (state.status, state.tries)
            if state.entered and self.told.get(name) != key:
                self.told[name] = key
                self.out.write(f"{time.monotonic() - self.began:7.1f} s  {name:<22} {state.status:<10} {self._facts(kind, state, now)}\n")
        self.out.flush()

    def _facts(self, kind, state, now):
        if not state.entered:
            return ""
        end = now if state.status == "running" else state.last or now
        seconds = max(0.0, (end - state.first).total_seconds())
        count = f"{state.exited}/{state.entered}" if state.entered > 1 else ""
        rows = f"{state.rows:,} rows" if state.rows else ""
        tries = f"{state.tries} failed: {state.error or 'tried again'}" if state.tries else ""
        return f"{seconds:7.2f} s  {count:<7} {rows:<14} {tries}".rstrip()
