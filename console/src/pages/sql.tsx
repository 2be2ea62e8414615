// SQL: an editor that knows the catalog, results in pages, the history, cancel, CSV.

import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { sql, type SQLNamespace, StandardSQL } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef, useState } from "preact/hooks";
import { all, call, pool } from "../api.ts";
import { link, setParams } from "../route.ts";
import { bytes, duration } from "../time.ts";
import { Badge, Failure, fail, Loaded, Loading, Page, Table, Time, useLoad } from "../ui.tsx";
import { save } from "./lake.tsx";

interface Query { QueryExecutionId: string; Query: string; StatementType?: string; Status: { State: string; StateChangeReason?: string; SubmissionDateTime?: number }; Statistics?: { DataScannedInBytes?: number; TotalExecutionTimeInMillis?: number; QueryQueueTimeInMillis?: number }; ResultConfiguration?: { OutputLocation?: string } }
interface ResultPage { ResultSet: { Rows: { Data: { VarCharValue?: string }[] }[]; ResultSetMetadata: { ColumnInfo: { Name: string; Type: string }[] } }; NextToken?: string }
interface Named { database: string; table: string; columns: { Name: string; Type?: string }[] }

const RESULTS = "lakerun-query-results";
const KEPT = "lakerun:sql";

async function catalog(): Promise<Named[]> {
  const { items } = await all<{ Name: string }>("glue", "GetDatabases", {}, "DatabaseList", "NextToken");
  const lists = await pool(items, 4, async (d) => {
    const tables = await all<{ Name: string; PartitionKeys?: Named["columns"]; StorageDescriptor?: { Columns?: Named["columns"] } }>("glue", "GetTables", { DatabaseName: d.Name }, "TableList", "NextToken");
    return tables.items.map((t) => ({ database: d.Name, table: t.Name, columns: [...(t.StorageDescriptor?.Columns ?? []), ...(t.PartitionKeys ?? [])] }));
  });
  return lists.flat();
}

/** Runs a statement; where its workgroup names no place for results, in a bucket that is made for them. */
async function start(statement: string, database: string): Promise<string> {
  const { WorkGroup } = await call<{ WorkGroup: { Configuration?: { ResultConfiguration?: { OutputLocation?: string } } } }>("athena", "GetWorkGroup", { WorkGroup: "primary" });
  const placed = Boolean(WorkGroup.Configuration?.ResultConfiguration?.OutputLocation);
  if (!placed) await call("s3", "CreateBucket", { Bucket: RESULTS }).catch(() => {});
  const { QueryExecutionId } = await call<{ QueryExecutionId: string }>("athena", "StartQueryExecution", {
    QueryString: statement.trim().replace(/;+\s*$/, ""), QueryExecutionContext: { Database: database },
    ...(placed ? {} : { ResultConfiguration: { OutputLocation: `s3://${RESULTS}/` } }),
  });
  return QueryExecutionId;
}

const describe = (id: string): Promise<Query> => call<{ QueryExecution: Query }>("athena", "GetQueryExecution", { QueryExecutionId: id }).then((r) => r.QueryExecution);
const running = (q: Query) => ["QUEUED", "RUNNING"].includes(q.Status.State);

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" }, { tag: [tags.string, tags.special(tags.string)], color: "var(--succeeded-line)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--caught-line)" }, { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" }, { tag: tags.typeName, color: "var(--aborted-line)" },
]);

export default function Sql({ params }: { rest: string; params: URLSearchParams }) {
  const tables = useLoad(catalog, [], ["glue"]);
  const [database, setDatabase] = useState("default");
  const id = params.get("query") ?? undefined;
  const [error, setError] = useState<unknown>();
  const editor = useRef<EditorView | undefined>(undefined);
  const run = () => {
    const view = editor.current!;
    const { from, to } = view.state.selection.main;
    const text = from === to ? view.state.doc.toString() : view.state.sliceDoc(from, to);
    setError(undefined);
    if (text.trim() === "") { setError(new Error("There is no statement to run")); return; }
    start(text, database).then((query) => setParams({ query, statement: undefined }), setError);
  };
  const insert = (text: string) => { const view = editor.current!; view.dispatch(view.state.replaceSelection(text)); view.focus(); };
  const databases = [...new Set(["default", ...(tables.value ?? []).map((t) => t.database)])];
  return (
    <Page title="SQL" actions={<>
      <label>Database <select value={database} onChange={(e) => setDatabase(e.currentTarget.value)}>{databases.map((d) => <option>{d}</option>)}</select></label>
      <button class="primary" onClick={run}>Run <span class="kbd">(Ctrl-Enter)</span></button>
    </>}>
      <div class="split">
        <div>
          <Editor view={editor} tables={tables.value ?? []} database={database} first={params.get("statement") ?? localStorage.getItem(KEPT) ?? "SELECT 1"} onRun={run} />
          {error ? <Failure error={error} /> : null}
          {id ? <Answer key={id} id={id} /> : null}
        </div>
        <aside class="card sidebar" aria-label="Catalog and history" tabIndex={0}>
          <h2>Catalog</h2>
          <Loaded of={tables}>{(found) => (found.length === 0 ? <p class="quiet">No tables yet.</p> : <>{found.map((t) => (
            <details key={`${t.database}.${t.table}`}>
              <summary>{t.database}.{t.table}</summary>
              <ul><li><button class="quiet-button" onClick={() => insert(`"${t.database}"."${t.table}"`)}>insert name</button></li>{t.columns.map((c) => <li><button class="quiet-button" onClick={() => insert(c.Name)}>{c.Name}</button> <span class="quiet">{c.Type}</span></li>)}</ul>
            </details>
          ))}</>)}</Loaded>
          <History now={id} onTake={(text) => { const view = editor.current!; view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }); }} />
        </aside>
      </div>
    </Page>
  );
}

function Editor(props: { view: { current?: EditorView }; tables: Named[]; database: string; first: string; onRun: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const words = useRef(new Compartment());
  const onRun = useRef(props.onRun);
  onRun.current = props.onRun;
  const language = () => {
    const schema: Record<string, SQLNamespace> = {};
    for (const t of props.tables) {
      const columns = t.columns.map((c) => c.Name);
      const inner = (schema[t.database] ?? {}) as Record<string, string[]>;
      inner[t.table] = columns;
      schema[t.database] = inner;
    }
    return sql({ dialect: StandardSQL, schema, defaultSchema: props.database, upperCaseKeywords: true });
  };
  useEffect(() => {
    const view = new EditorView({
      parent: box.current!,
      state: EditorState.create({
        doc: props.first,
        extensions: [
          lineNumbers(), history(), bracketMatching(), autocompletion(), syntaxHighlighting(colours),
          Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => { onRun.current(); return true; } }])),
          // Tab indents; Escape and then Tab leaves the editor.
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          words.current.of(language()), EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "SQL statement" }),
          EditorView.updateListener.of((u) => { if (u.docChanged) localStorage.setItem(KEPT, u.state.doc.toString()); }),
          EditorView.theme({ "&": { minHeight: "160px", maxHeight: "44vh" }, ".cm-scroller": { overflow: "auto" }, ".cm-gutters": { background: "transparent", color: "var(--quiet)", border: "0" }, "&.cm-focused": { outline: "2px solid var(--accent)" }, ".cm-content": { caretColor: "var(--fg)" }, ".cm-tooltip": { background: "var(--card)", color: "var(--fg)" } }, { dark: matchMedia("(prefers-color-scheme: dark)").matches }),
        ],
      }),
    });
    props.view.current = view;
    return () => view.destroy();
  }, []);
  useEffect(() => { props.view.current?.dispatch({ effects: words.current.reconfigure(language()) }); }, [props.tables, props.database]);
  return <div class="editor" ref={box} />;
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
        <span class="quiet">{told?.TotalExecutionTimeInMillis === undefined ? "" : duration(told.TotalExecutionTimeInMillis / 1000)}{told?.DataScannedInBytes === undefined ? "" : ` · ${bytes(told.DataScannedInBytes)} scanned`}</span></p>
      {query.Status.State === "FAILED" ? <p class="error" role="alert">{query.Status.StateChangeReason}</p> : null}
      {query.Status.State === "SUCCEEDED" ? <Rows query={query} /> : null}
    </div>
  );
}

const PAGE = 500;

function Rows({ query }: { query: Query }) {
  const [rows, setRows] = useState<(string | undefined)[][]>([]);
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
  const add = (token?: string) => read(token).then((page) => { setNames(page.columns); setRows((old) => [...(token ? old : []), ...page.cells]); setNext(page.next); }, fail);
  useEffect(() => { void add(); }, [id]);
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
  if (!names) return <Loading />;
  const numeric = (type: string) => /int|double|float|decimal|real/.test(type);
  return (
    <>
      <p class="row"><button onClick={() => void csv().catch(fail)}>Download CSV</button> <span class="quiet">{rows.length.toLocaleString()} rows{next ? " so far" : ""}</span></p>
      <Table rows={rows} label="Result" empty="No rows." more={next ? () => void add(next) : undefined} columns={names.map((c, at) => ({
        name: `${c.Name}`, numeric: numeric(c.Type), cell: (r: (string | undefined)[]) => r[at] ?? <span class="quiet">NULL</span>,
        sort: (r: (string | undefined)[]) => (numeric(c.Type) ? Number(r[at] ?? Number.NEGATIVE_INFINITY) : (r[at] ?? "")),
      }))} />
    </>
  );
}

function History({ now, onTake }: { now?: string; onTake: (text: string) => void }) {
  const loaded = useLoad(async () => {
    const { QueryExecutionIds } = await call<{ QueryExecutionIds: string[] }>("athena", "ListQueryExecutions", { MaxResults: 20 });
    if (QueryExecutionIds.length === 0) return [];
    const { QueryExecutions } = await call<{ QueryExecutions: Query[] }>("athena", "BatchGetQueryExecution", { QueryExecutionIds });
    return QueryExecutions.sort((a, b) => (b.Status.SubmissionDateTime ?? 0) - (a.Status.SubmissionDateTime ?? 0));
  }, [now], ["athena"]);
  return (
    <>
      <h2>History</h2>
      <Loaded of={loaded}>{(found) => (found.length === 0 ? <p class="quiet">No query yet.</p> : <>{found.map((q) => (
        <div key={q.QueryExecutionId}>
          <p><a href={link("sql", "", { query: q.QueryExecutionId })}><code>{q.Query.slice(0, 90)}</code></a><br />
            <Badge status={q.Status.State} /> <Time at={q.Status.SubmissionDateTime} /> <button class="quiet-button" onClick={() => onTake(q.Query)}>edit</button></p>
        </div>
      ))}</>)}</Loaded>
    </>
  );
}
