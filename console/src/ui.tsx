// What all pages are made of: headings, states of loading, badges, tables, tabs, values, dialogs, messages.

import { type ComponentChildren, type ComponentType, Fragment, type VNode } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, cut, listen } from "./api.ts";
import { arnLink } from "./route.ts";
import { clock, zoned } from "./time.ts";
import { SIGNS, type Tone, toneOf } from "./tone.ts";

export { SIGNS, type Tone, toneOf };

/** A page's heading; it names the browser's tab too. */
export function Page(props: { title: string; kind?: string; up?: [string, string]; actions?: ComponentChildren; note?: ComponentChildren; children: ComponentChildren }) {
  useEffect(() => { document.title = `${props.title}${props.kind ? ` – ${props.kind}` : ""} · Lakerun`; }, [props.title, props.kind]);
  return (
    <section class="page">
      <header class="bar">
        <div class="heading">
          {props.up ? <a class="up" href={props.up[1]}>← {props.up[0]}</a> : null}
          <h1>{props.kind ? <span class="kind">{props.kind} </span> : null}{props.title}</h1>
          {props.note}
        </div>
        {props.actions ? <div class="actions">{props.actions}</div> : null}
      </header>
      <Cut />
      {props.children}
    </section>
  );
}

/** Says which lists of this page are longer than what was read of them. */
function Cut() {
  const [lists, setLists] = useState<[string, number][]>([...cut.lists]);
  useEffect(() => { cut.changed = () => setLists([...cut.lists]); return () => { cut.changed = () => {}; }; }, []);
  if (lists.length === 0) return null;
  return <p class="cut" role="status">There is more than this page shows: {lists.map(([operation, n]) => `the first ${n.toLocaleString()} of ${operation}`).join(", ")} {lists.length === 1 ? "was" : "were"} read.</p>;
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const code = error instanceof ApiError ? error.code.split("#").pop() : "";
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div class="failure" role="alert">
      <b>{code || "Something is wrong"}</b>
      <p>{message}</p>
      {retry ? <button onClick={retry}>Try again</button> : null}
    </div>
  );
}

/** A component whose code is fetched when it is first shown. */
export function late<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let found: ComponentType<P> | undefined;
  return (props: P) => {
    const [error, setError] = useState<unknown>();
    const [, shown] = useState(0);
    useEffect(() => { if (!found) load().then((c) => { found = c; shown((n) => n + 1); }, setError); }, []);
    const Found = found;
    return Found ? <Found {...props} /> : error ? <Failure error={error} retry={() => location.reload()} /> : <Loading />;
  };
}

export const Empty = ({ children }: { children: ComponentChildren }) => <p class="empty">{children}</p>;

export const Loading = () => <div class="skeleton" role="status" aria-label="Loading"><i /><i /><i /></div>;

const AGAIN_MS = 3000;

/** Loads, and loads again when one of the topics changes; what was shown stays while it does. */
export function useLoad<T>(load: () => Promise<T>, on: unknown[], topics: string[] = []): { value?: T; error?: unknown; again: () => void } {
  const [state, setState] = useState<{ value?: T; error?: unknown }>({});
  const run = useRef(0);
  const again = useCallback(() => {
    const mine = ++run.current;
    load().then(
      (value) => { if (mine === run.current) setState({ value }); },
      (error) => { if (mine === run.current) setState((old) => ({ ...old, error })); },
    );
  }, on);
  useEffect(() => {
    setState({});
    again();
    return () => { run.current += 1; };
  }, on);
  useEffect(() => {
    if (topics.length === 0) return undefined;
    // What changes all the time is read again now and then.
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    const close = listen(topics, () => {
      timer ??= setTimeout(() => { timer = undefined; last = Date.now(); again(); }, Math.max(0, last + AGAIN_MS - Date.now()));
    });
    return () => { clearTimeout(timer); close(); };
  }, [...on, topics.join()]);
  return { ...state, again };
}

/** What was loaded, or that it is loading, or why it could not be. */
export function Loaded<T>({ of, children }: { of: { value?: T; error?: unknown; again: () => void }; children: (value: T) => ComponentChildren }) {
  if (of.value === undefined) return of.error === undefined ? <Loading /> : <Failure error={of.error} retry={of.again} />;
  return <>{of.error === undefined ? null : <Failure error={of.error} retry={of.again} />}{children(of.value)}</>;
}

const WORDS: Record<string, string> = { TIMED_OUT: "timed out", PENDING_REDRIVE: "pending redrive" };

/** A status is told by its word and its sign, never by colour alone. */
export function Badge({ status, tone = toneOf(status) }: { status: string; tone?: Tone }) {
  return <span class="badge" data-tone={tone} data-status={status}><span aria-hidden="true">{SIGNS[tone]}</span> {WORDS[status] ?? status.toLowerCase().replace(/_/g, " ")}</span>;
}

export const Time = ({ at }: { at?: number | string }) => (at === undefined ? null : <time title={zoned(at)}>{clock(at)}</time>);

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = () => {
    void navigator.clipboard?.writeText(text).then(() => { setDone(true); setTimeout(() => setDone(false), 1500); });
  };
  return <button class="quiet-button" title={text} onClick={copy}>{done ? "Copied" : label}</button>;
}

/** A name that leads to its page where it has one. */
export const Arn = ({ arn }: { arn: string }) => {
  const to = arnLink(arn);
  return <span class="arn">{to ? <a href={to}>{arn}</a> : <code>{arn}</code>} <Copy text={arn} /></span>;
};

export interface Column<T> { name: string; cell: (row: T) => ComponentChildren; sort?: (row: T) => string | number; numeric?: boolean; wide?: boolean }

const ROWS = 100;

/** A table: sorted by a click, shown in parts of a hundred rows. */
export function Table<T>(props: { rows: T[]; columns: Column<T>[]; label: string; key?: (row: T) => string; empty?: ComponentChildren; more?: () => void; moreWords?: string; mark?: (row: T) => boolean }) {
  const [by, setBy] = useState<{ column: number; down: boolean }>();
  const [shown, setShown] = useState(ROWS);
  const sorted = useMemo(() => {
    const sort = by && props.columns[by.column]?.sort;
    if (!sort || !by) return props.rows;
    return [...props.rows].sort((a, b) => {
      const [x, y] = [sort(a), sort(b)];
      return (x < y ? -1 : x > y ? 1 : 0) * (by.down ? -1 : 1);
    });
  }, [props.rows, by]);
  if (props.rows.length === 0) {
    const more = props.more ? <p><button onClick={props.more}>{props.moreWords ?? "Load more"}</button></p> : null;
    return <><Empty>{props.empty ?? "There is nothing here yet."}</Empty>{more}</>;
  }
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={props.label}>
      <table>
        <thead>
          <tr>
            {props.columns.map((c, at) => (
              <th class={c.numeric ? "number" : ""} scope="col" aria-sort={by?.column === at ? (by.down ? "descending" : "ascending") : undefined}>
                {c.sort
                  ? <button class="sort" onClick={() => setBy({ column: at, down: by?.column === at ? !by.down : Boolean(c.numeric) })}>{c.name}{by?.column === at ? (by.down ? " ↓" : " ↑") : ""}</button>
                  : c.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, shown).map((row, i) => (
            <tr key={props.key?.(row) ?? i} class={props.mark?.(row) ? "marked" : ""}>
              {props.columns.map((c) => <td class={`${c.numeric ? "number" : ""} ${c.wide ? "wide" : ""}`}>{c.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
      {sorted.length > shown ? <p class="more"><button onClick={() => setShown(shown + 5 * ROWS)}>Show more</button> {shown.toLocaleString()} of {sorted.length.toLocaleString()}</p>
        : props.more ? <p class="more"><button onClick={() => { setShown(shown + ROWS); props.more?.(); }}>{props.moreWords ?? "Load more"}</button> {sorted.length.toLocaleString()} so far</p> : null}
    </div>
  );
}

/** Rows of one height, of which only those in sight are made. `table`: it is one of so many columns. `seen` is told up to which row it is in sight. */
export function Virtual<T>(props: { rows: T[]; height: number; label: string; row: (row: T, at: number) => ComponentChildren; head?: ComponentChildren; table?: number; seen?: (to: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const element = box.current!;
    const look = () => setView({ top: element.scrollTop, height: element.clientHeight });
    look();
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
  }, []);
  const from = Math.max(0, Math.floor(view.top / props.height) - 10);
  const to = Math.min(props.rows.length, Math.ceil((view.top + view.height) / props.height) + 10);
  useEffect(() => { props.seen?.(to); }, [to, props.rows]);
  const table = props.table === undefined ? {} : { role: "table" as const, "aria-label": props.label, "aria-rowcount": props.rows.length + 1, "aria-colcount": props.table };
  return (
    <div class="virtual" ref={box} tabIndex={0} role="region" aria-label={props.label}>
      <div {...table}>
        {props.head}
        <div style={{ height: `${props.rows.length * props.height}px`, position: "relative" }} role={props.table === undefined ? undefined : "rowgroup"}>
          {props.rows.slice(from, to).map((row, i) => (
            <div key={from + i} class="virtual-row" role={props.table === undefined ? undefined : "row"} style={{ top: `${(from + i) * props.height}px`, height: `${props.height}px` }}>{props.row(row, from + i)}</div>
          ))}
        </div>
      </div>
    </div>
  );
}

export function Tabs({ names, now, onPick }: { names: string[]; now: string; onPick: (name: string) => void }) {
  const keys = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    const next = names[(names.indexOf(now) + step + names.length) % names.length]!;
    onPick(next);
    requestAnimationFrame(() => (document.getElementById(`tab-${next}`) as HTMLElement | null)?.focus());
  };
  const row = useRef<HTMLDivElement>(null);
  // On a narrow window the tab that is shown may lie beyond the edge.
  useEffect(() => {
    const tab = row.current?.querySelector<HTMLElement>('[aria-selected="true"]');
    if (tab && row.current) row.current.scrollLeft = tab.offsetLeft + tab.offsetWidth / 2 - row.current.clientWidth / 2;
  }, [now]);
  return (
    <div class="tabs" role="tablist" onKeyDown={keys} ref={row}>
      {names.map((name) => (
        <button id={`tab-${name}`} role="tab" aria-selected={name === now} tabIndex={name === now ? 0 : -1} onClick={() => onPick(name)}>{name}</button>
      ))}
    </div>
  );
}

/** Nothing to show: no value, or a time that is not known. */
const isBlank = (value: ComponentChildren): boolean =>
  value === undefined || value === null || value === "" || (typeof value === "object" && "type" in value && value.type === Time && (value.props as { at?: unknown }).at === undefined);

export const KeyValues = ({ of }: { of: [string, ComponentChildren][] }) => (
  <dl class="values">{of.filter(([, value]) => !isBlank(value)).map(([name, value]) => <Fragment key={name}><dt>{name}</dt><dd>{value}</dd></Fragment>)}</dl>
);

export const parsed = (text?: string): unknown => {
  if (text === undefined) return undefined;
  try { return JSON.parse(text); } catch { return text; }
};

const SHOWN = 100;

/** A value as a tree. `before`: what it is compared with; what differs is marked. */
export function Tree({ value, before, compared = false, depth = 0 }: { value: unknown; before?: unknown; compared?: boolean; depth?: number }): VNode {
  if (value === null || typeof value !== "object") {
    const changed = compared && JSON.stringify(before) !== JSON.stringify(value);
    const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
    return <span class={`leaf ${typeof value} ${changed ? "changed" : ""}`}>{shown.length > 2000 ? `${shown.slice(0, 2000)}…` : shown}</span>;
  }
  const entries = Object.entries(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return <span class="leaf">{open}{close}</span>;
  const old = before !== null && typeof before === "object" ? (before as Record<string, unknown>) : undefined;
  const gone = compared && old && !Array.isArray(value) ? Object.keys(old).filter((name) => !(name in value)) : [];
  return (
    <details class="tree" open={depth < 2 || entries.length < 6}>
      <summary>{open} <span class="quiet">{entries.length} {Array.isArray(value) ? (entries.length === 1 ? "item" : "items") : (entries.length === 1 ? "member" : "members")}</span></summary>
      <ul>
        {entries.slice(0, SHOWN).map(([name, inner]) => {
          const added = compared && (old === undefined || !(name in old));
          return <li key={name} class={added ? "added" : ""}><span class="name">{name}</span>{" "}<Tree value={inner} before={old?.[name]} compared={compared && !added} depth={depth + 1} /></li>;
        })}
        {entries.length > SHOWN ? <li class="quiet">… {entries.length - SHOWN} more (copy for all)</li> : null}
        {gone.map((name) => <li class="gone"><span class="name">{name}</span> <span class="quiet">left out</span></li>)}
      </ul>
    </details>
  );
}

/** A titled value with its text to copy. */
export function Value({ title, text, before, compared }: { title: string; text?: string; before?: unknown; compared?: boolean }) {
  if (text === undefined) return null;
  return (
    <div class="value">
      <div class="title">{title} <Copy text={text} /></div>
      <Tree value={parsed(text)} before={before} compared={compared} />
    </div>
  );
}

/** A question before something that cannot be undone, or a form. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => { box.current?.showModal(); }, []);
  return (
    <dialog ref={box} aria-label={props.title} onClose={props.onClose} onClick={(e) => e.target === box.current && box.current?.close()}>
      <h2>{props.title}</h2>
      {props.children}
    </dialog>
  );
}

const toasts = { show: (_: string, __: boolean) => {} };
/** Says in passing that something is done, or could not be. */
export const say = (text: string) => toasts.show(text, false);
export const fail = (e: unknown) => toasts.show(e instanceof Error ? e.message : String(e), true);

export function Toasts() {
  const [told, setTold] = useState<{ id: number; text: string; bad: boolean }[]>([]);
  useEffect(() => {
    let id = 0;
    toasts.show = (text, bad) => {
      const mine = { id: ++id, text, bad };
      setTold((old) => [...old, mine]);
      setTimeout(() => setTold((old) => old.filter((t) => t !== mine)), bad ? 9000 : 4000);
    };
  }, []);
  return <div class="toasts" role="status" aria-live="polite">{told.map((t) => <div key={t.id} class={t.bad ? "toast bad" : "toast"}>{t.text}</div>)}</div>;
}

export const Spark = ({ values, label }: { values: number[]; label: string }) => {
  const most = Math.max(...values, 0.001);
  const points = values.map((v, i) => `${(i / Math.max(1, values.length - 1)) * 98 + 1},${23 - (v / most) * 20}`).join(" ");
  return <svg class="spark" viewBox="0 0 100 24" role="img" aria-label={label} preserveAspectRatio="none"><polyline points={points} /></svg>;
};

/** Hands a file to the browser. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const a = Object.assign(document.createElement("a"), { href: url, download: name });
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
