import assert from "node:assert/strict";
import { test } from "node:test";
import { operators } from "./plan.ts";

test("operators with their depth, rows and time; what is not said is left out", () => {
  const found = operators([
    "ProjectionExec: expr=[a@0 as a], metrics=[output_rows=3, elapsed_compute=3.89µs, output_bytes=16.1 KB]",
    "  AggregateExec: mode=Partial, aggr=[sum(t.a)], metrics=[output_rows=1.5 K, elapsed_compute=579.76ms, spill_count=0]",
    "    FileExec: pieces=1, partitions=1, metrics=[]",
    "    CoalescePartitionsExec",
    "",
  ]);
  assert.deepEqual(found, [
    { depth: 0, name: "ProjectionExec", about: "expr=[a@0 as a]", rows: 3, ns: 3890 },
    { depth: 1, name: "AggregateExec", about: "mode=Partial, aggr=[sum(t.a)]", rows: 1500, ns: 579_760_000 },
    { depth: 2, name: "FileExec", about: "pieces=1, partitions=1" },
    { depth: 2, name: "CoalescePartitionsExec", about: "" },
  ]);
});
