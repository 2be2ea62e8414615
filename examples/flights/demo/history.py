"""Reads an execution's history: which state did what, and how long the platform itself took on the critical path."""
import json

WAITING = ("TaskStarted", "TaskSubmitted", "WaitStateEntered", "TaskFailed", "TaskTimedOut")


def events(states, arn):
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn, maxResults=1000)
    return [event for page in pages for event in page["events"]]


def detail(event):
    return next((value for key, value in event.items() if key.endswith("EventDetails")), {})


class State:
    """What the events say of one state of the definition, over all times it was entered."""

    def __init__(self):
        self.entered = self.exited = self.tries = 0
        self.first = self.last = self.error = None
        self.rows = 0

    @property
    def status(self):
        if not self.entered:
            return "waiting"
        if self.exited == self.entered:
            return "succeeded"
        return "failed" if self.error else "running"


def by_state(history):
    """{state name: State}, and the name of the state that each event belongs to."""
    states, owner = {}, {}
    for event in history:
        kind = event["type"]
        if kind.endswith("StateEntered"):
            name = detail(event)["name"]
            state = states.setdefault(name, State())
            state.entered += 1
            state.first = state.first or event["timestamp"]
        elif kind.endswith("StateExited"):
            name = detail(event)["name"]
            state = states.setdefault(name, State())
            state.exited += 1
            state.error = None
            state.last = event["timestamp"]
            state.rows += _rows(detail(event).get("output"))
        else:
            name = owner.get(event.get("previousEventId"))
            state = states.get(name)
            if state and kind in ("TaskFailed", "TaskTimedOut", "ExecutionFailed", "TaskStartFailed", "TaskSubmitFailed"):
                state.error = detail(event).get("error", kind)
                state.last = event["timestamp"]
                state.tries += 1
        owner[event["id"]] = name
    return states, owner


def _rows(output):
    try:
        value = json.loads(output)
        return value.get("rows", 0) if isinstance(value.get("rows", 0), int) else 0
    except (TypeError, ValueError, AttributeError):
        return 0


def critical_path(history):
    """(seconds, of them inside tasks and waits, transitions) along the chain of events that ends last."""
    at = {event["id"]: event for event in history}
    inside_of = {}
    for event in history:  # a container ends with the branch or iteration that ended last, and makes room for the next
        if event["type"] in ("ParallelStateSucceeded", "MapStateSucceeded", "MapIterationStarted"):
            inside_of[event["id"]] = event["id"] - 1
    chain, event = [], history[-1]
    while event:
        chain.append(event)
        event = at.get(inside_of.get(event["id"], event.get("previousEventId") or 0))
    chain.reverse()
    total = (chain[-1]["timestamp"] - chain[0]["timestamp"]).total_seconds()
    inside = sum((b["timestamp"] - a["timestamp"]).total_seconds() for a, b in zip(chain, chain[1:]) if a["type"] in WAITING)
    return total, inside, sum(event["type"].endswith("StateEntered") for event in chain)


def quick_states_ms(history):
    """Mean time of the states whose tasks do next to nothing, from entry to exit: an upper bound of what a transition costs."""
    entered, taken = {}, []
    for event in history:
        name = detail(event).get("name", "")
        if event["type"] == "TaskStateEntered" and name.startswith(("Count", "Look", "Read", "Tell", "Crawl")):
            entered[name] = event["timestamp"]
        elif event["type"] == "TaskStateExited" and name in entered:
            taken.append((event["timestamp"] - entered.pop(name)).total_seconds() * 1000)
    return round(sum(taken) / max(len(taken), 1), 2)
