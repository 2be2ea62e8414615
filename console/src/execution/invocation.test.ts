import assert from "node:assert/strict";
import { test } from "node:test";
import { begun, own } from "./invocation.ts";

const [a, b, c] = ["a", "b", "c"].map((letter) => `${letter.repeat(8)}-0000-4000-8000-000000000000`) as [string, string, string];
const line = (timestamp: number, logStreamName: string, message: string) => ({ timestamp, logStreamName, message });
/** Two environments at once; the first works on two invocations, one after the other. */
const events = [
  line(1, "one", `START RequestId: ${a} Version: $LATEST`), line(2, "two", `START RequestId: ${b} Version: $LATEST`),
  line(3, "one", "of a"), line(3, "two", "of b"), line(4, "one", `REPORT RequestId: ${a}\tDuration: 3 ms`),
  line(5, "one", `START RequestId: ${c} Version: $LATEST`), line(6, "one", "of c"), line(7, "two", `REPORT RequestId: ${b}\tDuration: 5 ms`),
];
const texts = (request: string, running = false) => own(events, request, running).map((e) => e.message.slice(0, 5));

test("an invocation's log is its own, whatever runs beside it and after it", () => {
  assert.deepEqual(texts(a), ["START", "of a", "REPOR"]);
  assert.deepEqual(texts(b), ["START", "of b", "REPOR"]);
  assert.deepEqual(texts(c, true), ["START", "of c"]);
  assert.deepEqual(texts("nobody"), []);
});

test("which invocations began in a span is read from their first lines, as text or as JSON", () => {
  assert.deepEqual(begun(events, 2, 5), [b, c]);
  const json = line(9, "three", `{"time":"2024","type":"platform.start","record":{"requestId":"${a}","version":"1"}}`);
  assert.deepEqual(begun([json], 0, 10), [a]);
});
