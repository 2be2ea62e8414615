// SQL: an editor that knows the catalog, in several tabs; results in pages, as a chart, as a plan with rows and time per operator; saved
// queries, the history, cancel, CSV.

import { sql, type SQLNamespace, StandardSQL } from "@codemirror/lang-sql";
import type { EditorView } from "@codemirror/view";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { all, call, pool } from "../api.ts";
import { Editor, replace } from "../editor/editor.tsx";
import { link, setParams } from "../route.ts";
import { bytes, duration } from "../time.ts";
import { Badge, Failure, fail, late, Loaded, Loading, Page, save, say, Table, Time, useLoad } from "../ui.tsx";
import { type Cells, Grid, isNumber, SORTED_MOST } from "./grid.tsx";
import { Origin } from "./origin.tsx";
import { operators } from "./plan.ts";

interface Query { QueryExecutionId: string; Query: string; WorkGroup?: string; QueryExecutionContext?: { Database?: string }; StatementType?: string; Status: { State: string; StateChangeReason?: string; SubmissionDateTime?: number }; Statistics?: { DataScannedInBytes?: number; TotalExecutionTimeInMillis?: number; QueryQueueTimeInMillis?: number }; ResultConfiguration?: { OutputLocation?: string } }
interface ResultPage { ResultSet: { Rows: { Data: { VarCharValue?: string }[] }[]; ResultSetMetadata: { ColumnInfo: { Name: string; Type: string }[] } }; NextToken?: string }
interface Named { database: string; table: string; columns: { Name: string; Type?: string }[] }

const RESULTS = "lakerun-query-results";
const KEPT = "lakerun:sql:tabs";
const PRIMARY = "primary";
const LISTED = 20;
const Chart = late(() => import("./chart.tsx").then((m) => m.Chart));

async function catalog(): Promise<Named[]> {
  const { items } = await all<{ Name: string }>("glue", "GetDatabases", {}, "DatabaseList", "NextToken");
  const lists = await pool(items, 4, async (d) => {
    const tables = await all<{ Name: string; PartitionKeys?: Named["columns"]; StorageDescriptor?: { Columns?: Named["columns"] } }>("glue", "GetTables", { DatabaseName: d.Name }, "TableList", "NextToken");
    return tables.items.map((t) => ({ database: d.Name, table: t.Name, columns: [...(t.StorageDescriptor?.Columns ?? []), ...(t.PartitionKeys ?? [])] }));
  });
  return lists.flat();
}

/** Runs a statement; where its workgroup names no place for results, in a bucket that is made for them. */
async function start(statement: string, database: string, workgroup: string): Promise<string> {
  const { WorkGroup } = await call<{ WorkGroup: { Configuration?: { ResultConfiguration?: { OutputLocation?: string } } } }>("athena", "GetWorkGroup", { WorkGroup: workgroup });
  const placed = Boolean(WorkGroup.Configuration?.ResultConfiguration?.OutputLocation);
  if (!placed) await call("s3", "CreateBucket", { Bucket: RESULTS }).catch(() => {});
  const { QueryExecutionId } = await call<{ QueryExecutionId: string }>("athena", "StartQueryExecution", {
    QueryString: statement.trim().replace(/;+\s*$/, ""), WorkGroup: workgroup, QueryExecutionContext: { Database: database },
    ...(placed ? {} : { ResultConfiguration: { OutputLocation: `s3://${RESULTS}/` } }),
  });
  return QueryExecutionId;
}

const describe = (id: string): Promise<Query> => call<{ QueryExecution: Query }>("athena", "GetQueryExecution", { QueryExecutionId: id }).then((r) => r.QueryExecution);
const running = (q: Query) => ["QUEUED", "RUNNING"].includes(q.Status.State);

export interface Tab { id: number; text: string; query?: string }

const FIRST = "SELECT 1";

/** The tabs as they were left; a statement in the address opens one of its own. */
function opened(statement: string | null, query: string | undefined): { tabs: Tab[]; at: number } {
  const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null") as { tabs: Tab[]; at: number } | null;
  const { tabs, at } = kept && Array.isArray(kept.tabs) && kept.tabs.length > 0 ? kept : { tabs: [{ id: 1, text: FIRST }], at: 1 };
  if (statement !== null) {
    const same = tabs.find((t) => t.text === statement);
    if (same) return { tabs, at: same.id };
    const id = Math.max(...tabs.map((t) => t.id)) + 1;
    return { tabs: [...tabs, { id, text: statement, query }], at: id };
  }
  return { tabs: query ? tabs.map((t) => (t.id === at ? { ...t, query } : t)) : tabs, at };
}

export default function Sql({ params }: { rest: string; params: URLSearchParams }) {
  const tables = useLoad(catalog, [], ["glue"]);
  const [database, workgroup] = [params.get("database") ?? "default", params.get("workgroup") ?? PRIMARY];
  const workgroups = useLoad(() => all<{ Name: string }>("athena", "ListWorkGroups", {}, "WorkGroups", "NextToken").then((r) => r.items.map((w) => w.Name)), [], ["athena"]);
  const asked = params.get("query") ?? undefined;
  const [{ tabs, at }, setOpen] = useState(() => opened(params.get("statement"), asked));
  const now = tabs.find((t) => t.id === at) ?? tabs[0]!;
  const [error, setError] = useState<unknown>();
  const editor = useRef<EditorView | undefined>(undefined);
  useEffect(() => { localStorage.setItem(KEPT, JSON.stringify({ tabs, at })); }, [tabs, at]);
  const change = (of: Partial<Tab>) => setOpen((old) => ({ ...old, tabs: old.tabs.map((t) => (t.id === old.at ? { ...t, ...of } : t)) }));
  const go = (id: number) => { const tab = tabs.find((t) => t.id === id); setError(undefined); setOpen({ tabs, at: id }); setParams({ query: tab?.query, statement: undefined }); };
  const more = () => { const id = Math.max(...tabs.map((t) => t.id)) + 1; setOpen({ tabs: [...tabs, { id, text: "" }], at: id }); setParams({ query: undefined, statement: undefined }); };
  const close = (id: number) => {
    const left = tabs.filter((t) => t.id !== id);
    const next = left.length > 0 ? left : [{ id: 1, text: "" }];
    const to = id === at ? next[next.length - 1]! : now;
    setOpen({ tabs: next, at: to.id });
    setParams({ query: to.query, statement: undefined });
  };
  const chosen = () => {
    const view = editor.current!;
    const { from, to } = view.state.selection.main;
    return (from === to ? view.state.doc.toString() : view.state.sliceDoc(from, to)).trim().replace(/;+\s*$/, "");
  };
  const send = (statement: string) => {
    setError(undefined);
    if (statement === "") { setError(new Error("There is no statement to run")); return; }
    start(statement, database, workgroup).then((query) => { change({ query }); setParams({ query, statement: undefined }); }, setError);
  };
  const run = () => send(chosen());
  const explain = (how: string) => { const statement = chosen(); send(/^explain\b/i.test(statement) || statement === "" ? statement : `${how} ${statement}`); };
  const insert = (text: string) => { const view = editor.current!; view.dispatch(view.state.replaceSelection(text)); view.focus(); };
  const databases = [...new Set(["default", database, ...(tables.value ?? []).map((t) => t.database)])];
  const language = useMemo(() => {
    const schema: Record<string, SQLNamespace> = {};
    for (const t of tables.value ?? []) ((schema[t.database] ??= {}) as Record<string, string[]>)[t.table] = t.columns.map((c) => c.Name);
    return sql({ dialect: StandardSQL, schema, defaultSchema: database, upperCaseKeywords: true });
  }, [tables.value, database]);
  return (
    <Page title="SQL" actions={<>
      <label>Database <select value={database} onChange={(e) => setParams({ database: e.currentTarget.value === "default" ? undefined : e.currentTarget.value })}>{databases.map((d) => <option>{d}</option>)}</select></label>
      <label>Workgroup <select value={workgroup} onChange={(e) => setParams({ workgroup: e.currentTarget.value === PRIMARY ? undefined : e.currentTarget.value })}>{[...new Set([workgroup, ...(workgroups.value ?? [])])].map((w) => <option>{w}</option>)}</select></label>
      <button onClick={() => explain("EXPLAIN")} title="Shows the plan; the statement is not run">Explain</button>
      <button onClick={() => explain("EXPLAIN ANALYZE")} title="Runs the statement, and shows each operator with its rows and time">Explain and run</button>
      <button class="primary" onClick={run}>Run <span class="kbd">(Ctrl-Enter)</span></button>
    </>}>
      <div class="split">
        <div>
          <div class="tabline" role="group" aria-label="Statements">
            {tabs.map((t) => <button key={t.id} aria-current={t.id === at} onClick={() => go(t.id)}>{t.text.trim().replace(/\s+/g, " ").slice(0, 24) || "empty"}</button>)}
            <button onClick={more} aria-label="New tab">+</button>
            <button onClick={() => close(at)}>Close tab</button>
          </div>
          <Editor key={at} label="SQL statement" text={now.text} language={language} view={editor} onText={(text) => change({ text })} onRun={run} />
          {error ? <Failure error={error} /> : null}
          {now.query ? <Answer key={now.query} id={now.query} /> : null}
        </div>
        <aside class="card sidebar" aria-label="Catalog and history" tabIndex={0}>
          <h2>Catalog</h2>
          <Loaded of={tables}>{(found) => (found.length === 0 ? <p class="quiet">No tables yet.</p> : <>{found.map((t) => (
            <details key={`${t.database}.${t.table}`}>
              <summary>{t.database}.{t.table}</summary>
              <ul><li><button class="quiet-button" onClick={() => insert(`"${t.database}"."${t.table}"`)}>insert name</button></li>{t.columns.map((c) => <li><button class="quiet-button" onClick={() => insert(c.Name)}>{c.Name}</button> <span class="quiet">{c.Type}</span></li>)}</ul>
            </details>
          ))}</>)}</Loaded>
          <Saved text={now.text} database={database} workgroup={workgroup} onTake={(text) => replace(editor.current, text)} />
          <Prepared text={now.text} workgroup={workgroup} onTake={(text) => replace(editor.current, text)} />
          <History now={now.query} workgroup={workgroup} onTake={(text) => replace(editor.current, text)} />
        </aside>
      </div>
    </Page>
  );
}

interface NamedQuery { NamedQueryId: string; Name: string; QueryString: string; Database: string }

/** Named queries of the workgroup: kept by the server, for everybody. */
function Saved({ text, database, workgroup, onTake }: { text: string; database: string; workgroup: string; onTake: (text: string) => void }) {
  const loaded = useLoad(async () => {
    const { items } = await all<string>("athena", "ListNamedQueries", { WorkGroup: workgroup }, "NamedQueryIds", "NextToken", 50);
    if (items.length === 0) return [];
    return (await call<{ NamedQueries: NamedQuery[] }>("athena", "BatchGetNamedQuery", { NamedQueryIds: items.slice(0, 50) })).NamedQueries;
  }, [workgroup], ["athena"]);
  const keep = () => {
    const Name = prompt("Save the statement as");
    if (Name) call("athena", "CreateNamedQuery", { Name, Database: database, WorkGroup: workgroup, QueryString: text }).then(() => { say("Saved for everybody"); loaded.again(); }, fail);
  };
  const drop = (query: NamedQuery) => { if (confirm(`Delete the saved query ${query.Name}?`)) call("athena", "DeleteNamedQuery", { NamedQueryId: query.NamedQueryId }).then(loaded.again, fail); };
  return (
    <>
      <h2>Saved</h2>
      <p><button class="quiet-button" onClick={keep}>Save this statement…</button></p>
      <Loaded of={loaded}>{(found) => <>{found.map((q) => <p key={q.NamedQueryId}><button class="quiet-button" title={q.QueryString} onClick={() => onTake(q.QueryString)}>{q.Name}</button> <button class="quiet-button" onClick={() => drop(q)}>delete</button></p>)}</>}</Loaded>
    </>
  );
}

/** Prepared statements of the workgroup: run by EXECUTE with a value for each question mark. */
function Prepared({ text, workgroup, onTake }: { text: string; workgroup: string; onTake: (text: string) => void }) {
  const loaded = useLoad(() => all<{ StatementName: string }>("athena", "ListPreparedStatements", { WorkGroup: workgroup }, "PreparedStatements", "NextToken", 200).then((r) => r.items), [workgroup], ["athena"]);
  const keep = () => {
    const StatementName = prompt("Prepare the statement as");
    if (StatementName) call("athena", "CreatePreparedStatement", { StatementName, WorkGroup: workgroup, QueryStatement: text.trim().replace(/;+\s*$/, "") }).then(() => { say("Prepared"); loaded.again(); }, fail);
  };
  const take = (StatementName: string) => call<{ PreparedStatement: { QueryStatement: string } }>("athena", "GetPreparedStatement", { StatementName, WorkGroup: workgroup }).then(({ PreparedStatement: p }) => {
    const values = p.QueryStatement.replace(/'(?:[^']|'')*'/g, "").split("?").length - 1;
    onTake(`-- ${p.QueryStatement.replace(/\s+/g, " ")}\nEXECUTE ${StatementName}${values > 0 ? ` USING ${Array.from({ length: values }, () => "?").join(", ")}` : ""}`);
  }, fail);
  const drop = (StatementName: string) => { if (confirm(`Delete the prepared statement ${StatementName}?`)) call("athena", "DeletePreparedStatement", { StatementName, WorkGroup: workgroup }).then(loaded.again, fail); };
  return (
    <>
      <h2>Prepared</h2>
      <p><button class="quiet-button" onClick={keep}>Prepare this statement…</button></p>
      <Loaded of={loaded}>{(found) => <>{found.map((p) => <p key={p.StatementName}><button class="quiet-button" onClick={() => take(p.StatementName)}>{p.StatementName}</button> <button class="quiet-button" onClick={() => drop(p.StatementName)}>delete</button></p>)}</>}</Loaded>
    </>
  );
}

function Answer({ id }: { id: string }) {
  const [query, setQuery] = useState<Query>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let alive = true;
    // A query is short, or worth a look now and then: sooner at first.
    const look = async (wait: number): Promise<void> => {
      const now = await describe(id);
      if (!alive) return;
      setQuery(now);
      if (running(now)) { await new Promise((done) => setTimeout(done, wait)); if (alive) await look(Math.min(1000, wait * 1.5)); }
    };
    look(80).catch((e) => alive && setError(e));
    return () => { alive = false; };
  }, [id]);
  if (error) return <Failure error={error} />;
  if (!query) return <Loading />;
  const told = query.Statistics;
  return (
    <div>
      <p class="row"><Badge status={query.Status.State} />
        {running(query) ? <button onClick={() => call("athena", "StopQueryExecution", { QueryExecutionId: id }).catch(fail)}>Cancel</button> : null}
        <span class="quiet">{told?.TotalExecutionTimeInMillis === undefined ? "" : duration(told.TotalExecutionTimeInMillis / 1000)}{told?.DataScannedInBytes === undefined ? "" : ` · ${bytes(told.DataScannedInBytes)} scanned`}</span> {running(query) ? null : <a href={link("lineage", `athena:query:${id}`)}>Lineage</a>}</p>
      <Origin worker={`athena:query:${id}`} again={running(query)} />
      {query.Status.State === "FAILED" ? <p class="error" role="alert">{query.Status.StateChangeReason}</p> : null}
      {query.Status.State === "SUCCEEDED" ? (/^\s*explain\b/i.test(query.Query) ? <Plan query={query} /> : <Rows query={query} />) : null}
    </div>
  );
}

/** Times shorter than a page otherwise shows. */
const brief = (ns: number): string => (ns < 1e3 ? `${ns} ns` : ns < 1e6 ? `${(ns / 1e3).toFixed(1)} µs` : ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : duration(ns / 1e9));

/** A plan as a tree; the bar is an operator's share of all operators' time. */
function Plan({ query }: { query: Query }) {
  const loaded = useLoad(async () => {
    const page = await call<ResultPage>("athena", "GetQueryResults", { QueryExecutionId: query.QueryExecutionId, MaxResults: 1000 });
    return page.ResultSet.Rows.flatMap((r) => (r.Data[0]?.VarCharValue ?? "").split("\n")).filter((line) => line !== "Query Plan");
  }, [query.QueryExecutionId]);
  return (
    <Loaded of={loaded}>{(lines) => {
      const all = operators(lines);
      const whole = all.reduce((n, o) => n + (o.ns ?? 0), 0);
      return (
        <>
          <div class="scroll" tabIndex={0} role="region" aria-label="Plan">
            <table>
              <thead><tr><th scope="col">Operator</th><th scope="col" class="number">Rows out</th><th scope="col" class="number">Time of its own</th><th scope="col">Share</th></tr></thead>
              <tbody>{all.map((o) => (
                <tr>
                  <td class="wide" style={{ paddingLeft: `${12 + o.depth * 18}px` }}><b>{o.name}</b> <span class="quiet">{o.about}</span></td>
                  <td class="number">{o.rows?.toLocaleString() ?? <span class="quiet">not said</span>}</td>
                  <td class="number">{o.ns === undefined ? <span class="quiet">not said</span> : brief(o.ns)}</td>
                  <td>{o.ns !== undefined && whole > 0 ? <div class="operator-bar" style={{ width: `${Math.max(1, (o.ns / whole) * 100)}px` }} title={`${Math.round((o.ns / whole) * 100)} %`} /> : null}</td>
                </tr>))}</tbody>
            </table>
          </div>
          <details><summary>As the engine writes it</summary><pre tabIndex={0}>{lines.join("\n")}</pre></details>
        </>
      );
    }}</Loaded>
  );
}

/** Of so many bytes at once a browser takes a file. */
const MOST_BYTES = 64 << 20;

/** Has Athena write the result as Parquet, with the columns' types, and hands its files over; they are deleted then. */
async function packed(query: Query): Promise<void> {
  const prefix = `unload/${query.QueryExecutionId}-${Date.now()}/`;
  await call("s3", "CreateBucket", { Bucket: RESULTS }).catch(() => {});
  const id = await start(`UNLOAD (${query.Query}) TO 's3://${RESULTS}/${prefix}' WITH (format = 'PARQUET')`, query.QueryExecutionContext?.Database ?? "default", query.WorkGroup ?? PRIMARY);
  let now = await describe(id);
  for (let wait = 80; running(now); wait = Math.min(1000, wait * 1.5)) { await new Promise((done) => setTimeout(done, wait)); now = await describe(id); }
  if (now.Status.State !== "SUCCEEDED") throw new Error(now.Status.StateChangeReason ?? now.Status.State);
  const { items } = await all<{ Key: string; Size: number }>("s3", "ListObjectsV2", { Bucket: RESULTS, Prefix: prefix }, "Contents", "NextContinuationToken");
  if (items.length === 0) throw new Error("The statement has no rows: no file is written.");
  const large = items.find((o) => o.Size > MOST_BYTES);
  if (large) throw new Error(`The files are too large for a browser to take; they are in s3://${RESULTS}/${prefix}: lakerun s3 cp brings them.`);
  for (const [n, { Key }] of items.entries()) {
    const { Body } = await call<{ Body: string }>("s3", "GetObject", { Bucket: RESULTS, Key });
    save(new Blob([Uint8Array.from(atob(Body), (c) => c.charCodeAt(0))], { type: "application/vnd.apache.parquet" }), `${query.QueryExecutionId}${items.length > 1 ? `-${n + 1}` : ""}.parquet`);
    await call("s3", "DeleteObject", { Bucket: RESULTS, Key });
  }
}

const PAGE = 500;

function Rows({ query }: { query: Query }) {
  const [rows, setRows] = useState<Cells[]>([]);
  const [names, setNames] = useState<{ Name: string; Type: string }[]>();
  const [next, setNext] = useState<string>();
  const id = query.QueryExecutionId;
  const read = async (token?: string, size = PAGE) => {
    const page = await call<ResultPage>("athena", "GetQueryResults", { QueryExecutionId: id, MaxResults: size, ...(token ? { NextToken: token } : {}) });
    const columns = page.ResultSet.ResultSetMetadata.ColumnInfo;
    let cells = page.ResultSet.Rows.map((r) => columns.map((_, at) => r.Data[at]?.VarCharValue));
    // A SELECT's first row repeats the names.
    if (!token && query.StatementType === "DML" && cells[0]?.every((cell, at) => cell === columns[at]?.Name)) cells = cells.slice(1);
    return { columns, cells, next: page.NextToken };
  };
  /** A page is read once, whoever asks. */
  const asked = useRef(new Map<string, Promise<string | undefined>>());
  const add = (token = "", size = PAGE): Promise<string | undefined> => {
    const known = asked.current.get(token);
    if (known) return known;
    const reading = read(token || undefined, size).then((page) => {
      setNames(page.columns);
      setRows((old) => [...(token ? old : []), ...page.cells]);
      setNext(page.next);
      return page.next;
    });
    asked.current.set(token, reading);
    reading.catch(() => asked.current.delete(token));
    return reading;
  };
  const rest = async () => {
    let held = rows.length;
    for (let token = next; token && held < SORTED_MOST; held += 1000) token = await add(token, 1000);
  };
  useEffect(() => { add().catch(fail); }, [id]);
  const csv = async () => {
    const quoted = (text?: string) => (text === undefined ? "" : /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
    const lines: string[] = [];
    let token: string | undefined;
    do {
      const page: Awaited<ReturnType<typeof read>> = await read(token, 1000);
      if (!token) lines.push(page.columns.map((c) => quoted(c.Name)).join(","));
      lines.push(...page.cells.map((row) => row.map(quoted).join(",")));
      token = page.next;
    } while (token);
    save(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }), `${id}.csv`);
  };
  const [packing, setPacking] = useState(false);
  const parquet = async () => {
    setPacking(true);
    try { await packed(query); } catch (e) { fail(e); } finally { setPacking(false); }
  };
  const [chart, setChart] = useState(false);
  if (!names) return <Loading />;
  const drawable = rows.length > 1 && names.some((c) => isNumber(c.Type));
  return (
    <>
      <p class="row"><button onClick={() => void csv().catch(fail)}>Download CSV</button>{/^\s*(select|with|values|table)\b/i.test(query.Query) ? <button disabled={packing} title="Runs the statement again, as UNLOAD" onClick={() => void parquet()}>{packing ? "Writing Parquet…" : "Download Parquet"}</button> : null}{drawable ? <button aria-pressed={chart} onClick={() => setChart(!chart)}>Chart</button> : null} <span class="quiet">{rows.length.toLocaleString()} rows{next ? " so far, more as you scroll" : ""}</span></p>
      {chart && drawable ? <Chart names={names.map((c) => c.Name)} numeric={names.map((c) => isNumber(c.Type))} rows={rows} /> : null}
      <Grid rows={rows} columns={names} more={next ? () => void add(next).catch(fail) : undefined} rest={() => rest().catch(fail)} />
    </>
  );
}

function History({ now, workgroup, onTake }: { now?: string; workgroup: string; onTake: (text: string) => void }) {
  const loaded = useLoad(async () => {
    const { QueryExecutionIds } = await call<{ QueryExecutionIds: string[] }>("athena", "ListQueryExecutions", { MaxResults: LISTED, WorkGroup: workgroup });
    if (QueryExecutionIds.length === 0) return [];
    const { QueryExecutions } = await call<{ QueryExecutions: Query[] }>("athena", "BatchGetQueryExecution", { QueryExecutionIds });
    return QueryExecutions.sort((a, b) => (b.Status.SubmissionDateTime ?? 0) - (a.Status.SubmissionDateTime ?? 0));
  }, [now, workgroup], ["athena"]);
  return (
    <>
      <h2>History <span class="quiet">(the last {LISTED})</span></h2>
      <Loaded of={loaded}>{(found) => (found.length === 0 ? <p class="quiet">No query yet.</p> : <>{found.map((q) => (
        <div key={q.QueryExecutionId}>
          <p><a href={link("sql", "", { query: q.QueryExecutionId })}><code>{q.Query.slice(0, 90)}</code></a><br />
            <Badge status={q.Status.State} /> <Time at={q.Status.SubmissionDateTime} /> <button class="quiet-button" onClick={() => onTake(q.Query)}>edit</button></p>
        </div>
      ))}</>)}</Loaded>
    </>
  );
}
