"""The loop of an adapter in Python: a line of JSON for each thing to do, a line for each answer."""
import json
import os
import sys
import traceback


def serve(client, version, cannot):
    # What the client prints is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answer = lambda told: print(json.dumps(told), file=answers, flush=True)
    answer({"version": version, "cannot": cannot})
    for line in sys.stdin:
        what = json.loads(line)
        try:
            do = getattr(client, what.pop("do"), None)
            answer({"error": "not done by the client"} if do is None else {"ok": do(**what)})
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            if os.environ.get("LAKERUN_TRACE"):
                traceback.print_exc()
            answer({"error": f"{type(error).__name__}: {error}"})
