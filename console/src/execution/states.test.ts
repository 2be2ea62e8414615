import assert from "node:assert/strict";
import { test } from "node:test";
import { type HistoryEvent, runs } from "./states.ts";

const history = (rows: [string, number, object?][]): HistoryEvent[] =>
  rows.map(([type, previousEventId, rest], i) => ({ id: i + 1, previousEventId, timestamp: i, type, ...rest }));

test("running, retried, caught and failed states", () => {
  const events = history([
    ["ExecutionStarted", 0],
    ["TaskStateEntered", 0, { stateEnteredEventDetails: { name: "A", input: "{}" } }],
    ["TaskScheduled", 2], ["TaskStarted", 3],
    ["TaskFailed", 4, { taskFailedEventDetails: { error: "E", cause: "c" } }],
    ["TaskScheduled", 5], ["TaskStarted", 6],
    ["TaskFailed", 7, { taskFailedEventDetails: { error: "E2" } }],
    ["TaskStateExited", 8, { stateExitedEventDetails: { name: "A", output: "1" } }],
    ["TaskStateEntered", 9, { stateEnteredEventDetails: { name: "B" } }],
  ]);
  const now = runs(events, "RUNNING", 20);
  assert.equal(now.get("A")?.status, "caught");
  assert.equal(now.get("A")?.retries, 1);
  assert.equal(now.get("A")?.error, "E2");
  assert.equal(now.get("B")?.status, "running");
  assert.equal(now.get("B")?.seconds, 11);
  assert.equal(runs(events, "FAILED", 20).get("B")?.status, "failed");
});
