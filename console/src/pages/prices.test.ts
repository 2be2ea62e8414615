import assert from "node:assert/strict";
import { test } from "node:test";
import { athena, crawl, glue, lambda, money, prices, requestUnits, transform } from "./prices.ts";

test("amounts are priced as AWS's pages say", () => {
  assert.equal(athena(1e12), 5);
  assert.equal(athena(92), 0.00005, "at least 10 MB");
  assert.equal(glue(30, 2), (2 * 0.44) / 60, "at least a minute");
  assert.equal(glue(3600, 10), 4.4);
  assert.equal(glue(3600, 10, true), 2.9, "the execution class FLEX");
  assert.equal(crawl(30), (600 / 3600) * 2 * 0.44, "at least ten minutes");
  assert.equal(transform(1800, "ml.m5.large", 2), 0.115);
  assert.equal(transform(1800, "ml.unheard", 2), undefined);
  assert.ok(Math.abs(lambda(1, 1024) - 0.0000168667) < 1e-12);
  assert.ok(lambda(0.0101, 1024) === lambda(0.011, 1024), "by the millisecond, rounded up");
});

test("small money is not nothing", () => {
  assert.deepEqual([0, 0.000075, 0.0000002, 0.5, 12.345].map(money), ["$0", "$0.000075", "$0.00000020", "$0.50", "$12.35"]);
});

test("every price names the pages that it was checked against", () => {
  for (const [name, price] of Object.entries(prices.prices)) {
    assert.ok(price.sources.length > 0, name);
    for (const { source, date, says } of price.sources) assert.ok(source.startsWith("https://") && date && says, name);
  }
});

test("a request for an item takes what DynamoDB's guide says, at the least", () => {
  assert.deepEqual(requestUnits("dynamodb:getItem", { Key: { id: { S: "a" } } }), { write: false, amount: 0.5 });
  assert.deepEqual(requestUnits("dynamodb:getItem", { ConsistentRead: true }), { write: false, amount: 1 });
  assert.deepEqual(requestUnits("dynamodb:updateItem", { Key: { id: { S: "a" } } }), { write: true, amount: 1 });
  assert.deepEqual(requestUnits("aws-sdk:dynamodb:putItem", { Item: { id: { S: "x".repeat(1022) } } }), { write: true, amount: 1 });
  assert.deepEqual(requestUnits("dynamodb:putItem", { Item: { id: { S: "x".repeat(1023) } } }), { write: true, amount: 2 }, "the name counts too");
});
