import assert from "node:assert/strict";
import { test } from "node:test";
import { costs, DAY, lastDays, priced } from "./usage.ts";

test("what was used is priced by what AWS bills it by", () => {
  assert.equal(priced("StateTransitions", 4000), 0.1);
  assert.equal(priced("DPUSeconds", 3600), 0.44);
  assert.equal(priced("BilledBytes", 1e12), 5);
  assert.ok(Math.abs(priced("Requests", 1e6)! - 0.2) < 1e-12);
  assert.equal(priced("FlexDPUSeconds", 3600), 0.29);
  assert.equal(priced("CrawlerDPUSeconds", 7200), 0.88);
  assert.ok(Math.abs(priced("WriteRequestUnits", 2e6)! - 1.25) < 1e-12);
  assert.equal(priced("TransformSeconds/ml.m5.large", 3600), 0.115);
  assert.equal(priced("TransformSeconds/ml.unheard", 3600), undefined, "no price is kept");
  assert.equal(priced("MDPUSeconds", 3600), undefined, "no price is kept");
  assert.equal(priced("Unheard", 1), undefined);
});

test("days add up, and what has no price is told apart", () => {
  const [first, second] = lastDays(2, 3 * DAY + 5);
  assert.deepEqual([first, second], [2 * DAY, 3 * DAY]);
  const glue = { metric: "DPUSeconds", value: "etl", days: new Map([[first!, 3600], [second!, 7200], [0, 99]]) };
  const large = { metric: "MDPUSeconds", value: "etl", days: new Map([[second!, 60]]) };
  const idle = { metric: "TransformSeconds/ml.unheard", value: "etl", days: new Map() };
  const found = costs([glue, large, idle], [first!, second!]);
  assert.deepEqual(found.byDay, [0.44, 0.88]);
  assert.ok(Math.abs(found.total - 1.32) < 1e-12);
  assert.deepEqual(found.unpriced, [large]);
});
