import assert from "node:assert/strict";
import { test } from "node:test";
import { described, executions, machineOf } from "./express.ts";
import { History } from "./states.ts";

const arn = "arn:aws:states:us-east-1:000000000000:express:quick:one:uuid";
const line = (id: number, type: string, details: object, at: number) => JSON.stringify({ id: String(id), type, details, previous_event_id: String(id - 1), event_timestamp: String(at), execution_arn: arn, redrive_count: "0" });

test("the lines of a log are a history", () => {
  const messages = [
    line(3, "PassStateExited", { name: "A", output: "{}" }, 3000), line(1, "ExecutionStarted", { input: "{}", roleArn: "r" }, 1000), "not a line",
    line(2, "PassStateEntered", { name: "A", input: "{}" }, 2000), line(4, "ExecutionFailed", { error: "E", cause: "why" }, 4000),
  ];
  const events = executions(messages).get(arn)!;
  const history = new History();
  history.add(events);
  assert.equal(history.byState.get("A")![0]!.status, "succeeded");
  const of = described(arn, events, 10);
  assert.deepEqual([of.status, of.name, of.startDate, of.stopDate, of.error, of.input], ["FAILED", "one", 1, 4, "E", "{}"]);
  assert.equal(machineOf(arn), "arn:aws:states:us-east-1:000000000000:stateMachine:quick");
  assert.equal(described(arn, events.slice(0, 2), 10).status, "RUNNING");
  assert.equal(described(arn, events.slice(0, 2), 1000).status, "UNKNOWN");
});
