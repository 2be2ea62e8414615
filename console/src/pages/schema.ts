// What differs between two versions of a table's schema: pure, tested without a browser.

export interface SchemaColumn { Name: string; Type?: string }
export interface Compared { name: string; before?: string; after?: string; what: "same" | "added" | "removed" | "type" | "moved" }

/** Columns in the order of the later version, those that are gone at the end. Names are compared as Glue does: without case. */
export function compared(before: SchemaColumn[], after: SchemaColumn[]): Compared[] {
  const key = (c: SchemaColumn) => c.Name.toLowerCase();
  const old = new Map(before.map((c, at) => [key(c), { type: c.Type ?? "", at }]));
  const kept = before.map(key).filter((name) => after.some((c) => key(c) === name));
  const order = after.map(key).filter((name) => old.has(name));
  const rows = after.map((c): Compared => {
    const was = old.get(key(c));
    const type = c.Type ?? "";
    if (!was) return { name: c.Name, after: type, what: "added" };
    const moved = kept.indexOf(key(c)) !== order.indexOf(key(c));
    return { name: c.Name, before: was.type, after: type, what: was.type !== type ? "type" : moved ? "moved" : "same" };
  });
  const gone = before.filter((c) => !after.some((a) => key(a) === key(c)));
  return [...rows, ...gone.map((c): Compared => ({ name: c.Name, before: c.Type ?? "", what: "removed" }))];
}
