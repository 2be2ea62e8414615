import assert from "node:assert/strict";
import { test } from "node:test";
import { compared } from "./schema.ts";

test("what came, went, changed and moved", () => {
  const column = (Name: string, Type: string) => ({ Name, Type });
  const before = [column("id", "int"), column("city", "string"), column("amount", "int"), column("old", "string")];
  const after = [column("ID", "int"), column("amount", "double"), column("city", "string"), column("new", "date")];
  assert.deepEqual(compared(before, after).map((c) => [c.name, c.what]), [["ID", "same"], ["amount", "type"], ["city", "moved"], ["new", "added"], ["old", "removed"]]);
  assert.ok(compared(before, before).every((c) => c.what === "same"));
});
