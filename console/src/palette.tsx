// Ctrl-K: goes to any page, state machine, execution, function, table, bucket, queue, or asks SQL.

import { useEffect, useRef, useState } from "preact/hooks";
import { some } from "./api.ts";
import { NAVIGATION } from "./main.tsx";
import { arnLink, link } from "./route.ts";

interface Found { name: string; kind: string; to: string }

/** So many of each kind are looked through. */
const MOST = 5000;

type Row = Record<string, string>;
const list = (service: string, operation: string, member: string, make: (row: Row) => Found, token = "nextToken"): Promise<Found[]> =>
  some<Row>(service, operation, {}, member, token, MOST).then((r) => r.items.map(make), () => []);

/** Everything that has a name; asked for when the palette opens, and no sooner. */
async function everything(): Promise<Found[]> {
  const lists = await Promise.all([
    list("states", "ListStateMachines", "stateMachines", (m) => ({ name: m.name!, kind: "state machine", to: link("machine", m.stateMachineArn) })),
    list("lambda", "ListFunctions", "Functions", (f) => ({ name: f.FunctionName!, kind: "function", to: link("functions", f.FunctionName) }), "NextMarker"),
    list("glue", "GetJobs", "Jobs", (j) => ({ name: j.Name!, kind: "job", to: link("jobs", j.Name) }), "NextToken"),
    list("glue", "SearchTables", "TableList", (t) => ({ name: `${t.DatabaseName}.${t.Name}`, kind: "catalog table", to: link("lake", `catalog/${t.DatabaseName}/${t.Name}`) }), "NextToken"),
    list("s3", "ListBuckets", "Buckets", (b) => ({ name: b.Name!, kind: "bucket", to: link("lake", `s3/${b.Name}`) }), "ContinuationToken"),
    some<string>("dynamodb", "ListTables", {}, "TableNames", "LastEvaluatedTableName", MOST).then((r) => r.items.map((name) => ({ name, kind: "table", to: link("tables", name) })), () => []),
    some<string>("sqs", "ListQueues", {}, "QueueUrls", "NextToken", MOST).then((r) => r.items.map((url) => ({ name: url.split("/").pop()!, kind: "queue", to: link("queues", url.split("/").pop()) })), () => []),
  ]);
  return lists.flat();
}

export function Palette() {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [things, setThings] = useState<Found[]>([]);
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const keys = (e: KeyboardEvent) => {
      if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k") { e.preventDefault(); setOpen((o) => !o); }
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  useEffect(() => {
    if (!open) { box.current?.close(); return; }
    setText(""); setAt(0);
    box.current?.showModal();
    void everything().then(setThings);
  }, [open]);
  const pages = NAVIGATION.flatMap(([, group]) => group.map(([page, name]): Found => ({ name, kind: "page", to: `#/${page}` })));
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...pages, ...things].filter((f) => wanted.every((word) => `${f.name} ${f.kind}`.toLowerCase().includes(word))).slice(0, 40);
  if (text.startsWith("arn:") && arnLink(text)) found.unshift({ name: text, kind: "ARN", to: arnLink(text)! });
  if (/^\s*(select|with|show|describe|explain)\b/i.test(text)) found.unshift({ name: text, kind: "ask SQL", to: link("sql", "", { statement: text }) });
  const go = (f?: Found) => { if (!f) return; setOpen(false); location.hash = f.to; };
  useEffect(() => { document.getElementById(`found-${at}`)?.scrollIntoView({ block: "nearest" }); }, [at]);
  const keys = (e: KeyboardEvent) => {
    if (e.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
    else if (e.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (e.key === "Enter") go(found[at]);
    else return;
    e.preventDefault();
  };
  return (
    <dialog ref={box} class="palette" aria-label="Find anything" onClose={() => setOpen(false)} onClick={(e) => e.target === box.current && setOpen(false)}>
      {open ? (
        <>
          <input role="combobox" aria-label="Find" aria-expanded="true" aria-controls="found" aria-activedescendant={found[at] ? `found-${at}` : undefined} placeholder="A page, a name, an ARN, or SQL"
            value={text} onInput={(e) => { setText(e.currentTarget.value); setAt(0); }} onKeyDown={keys} autofocus />
          <ul id="found" role="listbox" aria-label="Found">
            {found.map((f, i) => <li key={f.kind + f.to + i} id={`found-${i}`} role="option" aria-selected={i === at} onMouseEnter={() => setAt(i)} onClick={() => go(f)}><span class="quiet">{f.kind}</span>{f.name}</li>)}
          </ul>
          {found.length === 0 ? <p class="empty" role="status">Nothing has “{text}” in its name.</p> : null}
        </>
      ) : null}
    </dialog>
  );
}
