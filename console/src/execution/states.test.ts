import assert from "node:assert/strict";
import { test } from "node:test";
import { History, type HistoryEvent, picked, summary } from "./states.ts";

const history = (rows: [string, number, object?][]): History => {
  const found = new History();
  found.add(rows.map(([type, previousEventId, rest], i): HistoryEvent => ({ id: i + 1, previousEventId, timestamp: i, type, ...rest })));
  return found;
};
const entered = (name: string) => ({ stateEnteredEventDetails: { name } });
const exited = (name: string) => ({ stateExitedEventDetails: { name } });
const index = (index: number) => ({ mapIterationStartedEventDetails: { name: "M", index } });
const status = (found: History, name: string) => summary(found.byState.get(name) ?? [], 100).status;

test("attempts of a retried state, and a caught one", () => {
  const found = history([
    ["ExecutionStarted", 0],
    ["TaskStateEntered", 0, entered("A")],
    ["TaskScheduled", 2, { taskScheduledEventDetails: { resourceType: "lambda", resource: "invoke" } }], ["TaskStarted", 3],
    ["TaskFailed", 4, { taskFailedEventDetails: { error: "E", cause: "c" } }],
    ["TaskScheduled", 5], ["TaskStarted", 6],
    ["TaskFailed", 7, { taskFailedEventDetails: { error: "E2" } }],
    ["TaskStateExited", 8, exited("A")],
    ["TaskStateEntered", 9, entered("B")],
  ]);
  const [a] = found.byState.get("A")!;
  assert.deepEqual(a!.attempts.map((x) => [x.status, x.error, x.began, x.ended]), [["failed", "E", 2, 4], ["failed", "E2", 5, 7]]);
  assert.equal(a!.attempts[0]!.resource, "lambda:invoke");
  assert.deepEqual([a!.status, a!.error], ["caught", "E2"]);
  assert.equal(status(found, "B"), "running");
  found.add([{ id: 11, previousEventId: 10, timestamp: 12, type: "ExecutionFailed", executionFailedEventDetails: { error: "X" } }]);
  const [b] = found.byState.get("B")!;
  assert.deepEqual([b!.status, b!.error, b!.ended], ["failed", "X", 12]);
});

test("a caught failure of a Parallel shows the branch that failed and the one that it aborted", () => {
  const found = history([
    ["ExecutionStarted", 0],
    ["ParallelStateEntered", 0, entered("P")], ["ParallelStateStarted", 2],
    ["FailStateEntered", 3, entered("F")],
    ["WaitStateEntered", 3, entered("W")],
    ["ParallelStateFailed", 4, { parallelStateFailedEventDetails: { error: "E" } }],
    ["ParallelStateExited", 6, exited("P")],
    ["PassStateEntered", 7, entered("T")], ["PassStateExited", 8, exited("T")],
    ["ExecutionSucceeded", 9],
  ]);
  assert.deepEqual(["P", "F", "W", "T"].map((name) => status(found, name)), ["caught", "failed", "aborted", "succeeded"]);
  assert.equal(found.root.status, "succeeded");
});

test("each iteration of a Map has its own visits", () => {
  const found = history([
    ["ExecutionStarted", 0],
    ["MapStateEntered", 0, entered("M")], ["MapStateStarted", 2],
    ["MapIterationStarted", 3, index(0)],
    ["MapIterationStarted", 3, index(1)],
    ["PassStateEntered", 4, entered("A")],
    ["PassStateEntered", 5, entered("A")],
    ["PassStateExited", 6, exited("A")],
    ["MapIterationSucceeded", 8],
    ["TaskFailed", 7, { taskFailedEventDetails: { error: "E" } }],
    ["MapIterationFailed", 10],
    ["MapStateFailed", 11],
    ["ExecutionFailed", 12, { executionFailedEventDetails: { error: "E" } }],
  ]);
  const visits = found.byState.get("A")!;
  assert.deepEqual(visits.map((v) => v.status), ["succeeded", "failed"]);
  assert.deepEqual(picked(visits, new Map([["M", 1]])).map((v) => v.entered), [7]);
  assert.deepEqual(summary(visits, 0).by, { running: 0, succeeded: 1, failed: 1, caught: 0, aborted: 0 });
  assert.equal(found.byState.get("M")![0]!.error, "E");
});

test("a redrive opens what had failed", () => {
  const found = history([
    ["ExecutionStarted", 0],
    ["TaskStateEntered", 0, entered("A")], ["TaskScheduled", 2], ["TaskFailed", 3, { taskFailedEventDetails: { error: "E" } }],
    ["ExecutionFailed", 4, { executionFailedEventDetails: { error: "E" } }],
    ["ExecutionRedriven", 5],
    ["TaskScheduled", 4], ["TaskSucceeded", 7], ["TaskStateExited", 8, exited("A")], ["ExecutionSucceeded", 9],
  ]);
  assert.deepEqual([found.redrives, found.root.status, status(found, "A")], [1, "succeeded", "succeeded"]);
  assert.deepEqual(found.byState.get("A")![0]!.attempts.map((a) => a.status), ["failed", "succeeded"]);
});

test("a Distributed Map names its Map Run", () => {
  const found = history([
    ["ExecutionStarted", 0], ["MapStateEntered", 0, entered("D")], ["MapStateStarted", 2],
    ["MapRunStarted", 3, { mapRunStartedEventDetails: { mapRunArn: "arn" } }],
    ["MapRunSucceeded", 4], ["MapStateSucceeded", 5], ["MapStateExited", 5, exited("D")], ["ExecutionSucceeded", 7],
  ]);
  assert.deepEqual([found.byState.get("D")![0]!.mapRun, status(found, "D")], ["arn", "succeeded"]);
});
