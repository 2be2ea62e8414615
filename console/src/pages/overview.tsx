// The first page: what runs and fails now, the runs of the last day, and what needs attention, each with the way there.

import { useEffect, useRef, useState } from "preact/hooks";
import { all, call, listen, pool } from "../api.ts";
import { link } from "../route.ts";
import { count } from "../time.ts";
import { Badge, Empty, Failure, late, Loading, Page, Table, Time } from "../ui.tsx";
import { Cell, type Machine, type Run, runColumns, type Runs, runsOf } from "./runs.tsx";

const DAY = 86_400;
/** So many of a machine are read and shown, the newest. */
const NEWEST = 40;
/** So many machines are asked again at a change, those that run first; the others follow in turn. */
const AGAIN = 5;
const TURN_MS = 800;

export interface Trouble { what: string; status: string; to: string; why?: string; at?: number }
interface Looked { found: Trouble[]; /** What could not be looked at, and why. */ unseen: string[] }

const Glance = late(() => import("./glance.tsx").then((m) => m.default));

/** Crawlers and jobs whose last run failed, stacks that are broken, and what else `attention.ts` finds; and what could not be looked at. */
async function troubles(): Promise<Looked> {
  const crawlers = all<{ Name: string; LastCrawl?: { Status: string; ErrorMessage?: string; StartTime?: number } }>("glue", "GetCrawlers", {}, "Crawlers", "NextToken").then(({ items }) =>
    items.filter((c) => c.LastCrawl?.Status === "FAILED").map((c): Trouble => ({ what: `Crawler ${c.Name}`, status: "FAILED", to: link("jobs", `crawler/${c.Name}`), why: c.LastCrawl?.ErrorMessage, at: c.LastCrawl?.StartTime })));
  const jobs = all<{ Name: string }>("glue", "GetJobs", {}, "Jobs", "NextToken").then(({ items }) => pool(items, 4, async (job) => {
    const { JobRuns: [run] } = await call<{ JobRuns: { JobRunState: string; ErrorMessage?: string; StartedOn?: number }[] }>("glue", "GetJobRuns", { JobName: job.Name, MaxResults: 1 });
    return run && ["FAILED", "TIMEOUT", "ERROR"].includes(run.JobRunState) ? [{ what: `Job ${job.Name}`, status: run.JobRunState, to: link("jobs", job.Name), why: run.ErrorMessage, at: run.StartedOn }] : [];
  })).then((found) => found.flat());
  const stacks = all<{ StackName: string; StackStatus: string; StackStatusReason?: string }>("cloudformation", "DescribeStacks", {}, "Stacks", "NextToken").then(({ items }) =>
    items.filter((s) => /FAILED|ROLLBACK/.test(s.StackStatus)).map((s): Trouble => ({ what: `Stack ${s.StackName}`, status: s.StackStatus, to: link("stacks", s.StackName), why: s.StackStatusReason })));
  const { attention } = await import("./attention.ts");
  return looked({ crawlers, jobs, stacks, ...attention() });
}

/** What all searches found, and of those that failed, why. */
async function looked(searches: Record<string, Promise<Trouble[]>>): Promise<Looked> {
  const lists = await Promise.all(Object.entries(searches).map(([name, list]) => list.then((found) => ({ found, unseen: [] as string[] }),
    (e: Error & { code?: string }) => ({ found: [] as Trouble[], unseen: [`${name} (${e.code?.split("#").pop() || e.message})`] }))));
  return { found: lists.flatMap((l) => l.found), unseen: lists.flatMap((l) => l.unseen) };
}

/** What is known of a machine's executions. */
interface Known { runs: Run[]; running: Run[]; failed: Run[]; /** There are others of the last day than `runs`, or others of a status than are listed. */ more: boolean; moreRunning: boolean; moreFailed: boolean }

const FAILED = ["FAILED", "TIMED_OUT"];
/** So many of a status are read of a machine that has many. */
const OF_STATUS = 1000;

const within = (runs: Run[], since: number): Run[] => runs.filter((r) => r.startDate > since);

/** The newest executions of a machine; where that is not all of its last day, those that run or failed are asked for by themselves. */
async function known(machine: Machine): Promise<Known> {
  if (machine.type === "EXPRESS") return { runs: [], running: [], failed: [], more: false, moreRunning: false, moreFailed: false };
  const of = { stateMachineArn: machine.stateMachineArn };
  const since = Date.now() / 1000 - DAY;
  const newest = await runsOf(of, "", NEWEST);
  const runs = newest.executions;
  const by = (...statuses: string[]) => runs.filter((r) => statuses.includes(r.status));
  if (!newest.nextToken) return { runs, running: by("RUNNING"), failed: within(by(...FAILED), since), more: false, moreRunning: false, moreFailed: false };
  const [running, ...failed] = await Promise.all(["RUNNING", ...FAILED].map((status) => runsOf(of, status, OF_STATUS)));
  const cut = (page: Runs) => Boolean(page.nextToken) && page.executions[page.executions.length - 1]!.startDate > since;
  return {
    runs, running: running!.executions, failed: within(failed.flatMap((page) => page.executions), since),
    more: runs[runs.length - 1]!.startDate > since, moreRunning: Boolean(running!.nextToken), moreFailed: failed.some(cut),
  };
}

const WIDTH = 6;
/** What failed elsewhere is looked for again at a change, but no sooner. */
const TROUBLE_MS = 30_000;

/** A number, and that it is at least that. */
const least = (n: number, more: boolean): string => `${n.toLocaleString()}${more ? "+" : ""}`;

export default function Overview() {
  const [machines, setMachines] = useState<Machine[]>();
  const [runs, setRuns] = useState<Map<string, Known>>();
  const [trouble, setTrouble] = useState<Looked>();
  const [error, setError] = useState<unknown>();
  const kept = useRef(new Map<string, Known>());
  useEffect(() => {
    let alive = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stale: Machine[] = [];
    let list: Machine[] = [];
    let sought = 0;
    const put = (found: Machine[], lists: Known[]) => {
      found.forEach((m, i) => kept.current.set(m.stateMachineArn, lists[i]!));
      if (alive) setRuns(new Map(kept.current));
    };
    const named = async () => {
      const found = await all<Machine>("states", "ListStateMachines", { maxResults: 1000 }, "stateMachines", "nextToken", 10_000);
      list = found.items;
      const there = new Set(list.map((m) => m.stateMachineArn));
      for (const arn of kept.current.keys()) if (!there.has(arn)) kept.current.delete(arn);
      if (alive) setMachines(list);
    };
    const seek = async () => { sought = Date.now(); const found = await troubles(); if (alive) setTrouble(found); };
    const begin = async () => {
      await named();
      put(list, await pool(list, WIDTH, known));
      await seek();
    };
    let [due, busy] = [false, false];
    const turn = async () => {
      timer = undefined;
      busy = true;
      try {
        if (due) {
          due = false;
          await named();
          stale = list.filter((m) => m.type !== "EXPRESS");
        }
        const rank = (m: Machine) => ((kept.current.get(m.stateMachineArn)?.running.length ?? 1) > 0 ? 0 : 1);
        stale.sort((a, b) => rank(a) - rank(b));
        const now = stale.splice(0, AGAIN);
        put(now, await pool(now, WIDTH, known));
        if (stale.length === 0 && Date.now() - sought > TROUBLE_MS) await seek();
        if (alive) setError(undefined);
      } catch (e) { if (alive) setError(e); } finally { busy = false; }
      if (alive && (due || stale.length > 0)) timer = setTimeout(turn, TURN_MS);
    };
    const changed = () => { due = true; if (!busy) timer ??= setTimeout(turn, TURN_MS); };
    begin().catch((e) => alive && setError(e));
    const close = listen(["states"], changed);
    return () => { alive = false; clearTimeout(timer); close(); };
  }, []);
  const every = [...(runs?.values() ?? [])];
  const since = Date.now() / 1000 - DAY;
  const newest = (list: Run[]) => list.sort((a, b) => b.startDate - a.startDate);
  const day = every.flatMap((k) => within(k.runs, since));
  const running = newest(every.flatMap((k) => k.running));
  const failed = newest(every.flatMap((k) => k.failed));
  const [more, moreRunning, moreFailed] = [every.some((k) => k.more), every.some((k) => k.moreRunning), every.some((k) => k.moreFailed)];
  const of = (m: Machine): Run[] => runs?.get(m.stateMachineArn)?.runs ?? [];
  const active = (machines ?? []).filter((m) => of(m).length > 0).sort((a, b) => of(b)[0]!.startDate - of(a)[0]!.startDate);
  const told = runs === undefined ? "…" : undefined;
  return (
    <Page title="Overview">
      {error ? <Failure error={error} /> : null}
      {machines === undefined ? (error ? null : <Loading />) : (
        <>
          <div class="cards">
            <a class="figure" href={link("machines", "", { status: "RUNNING" })}><span>Running</span><b>{told ?? least(running.length, moreRunning)}</b></a>
            <a class="figure" data-tone={failed.length > 0 ? "failed" : ""} href={link("machines", "", { status: "FAILED" })}><span>Failed, last day</span><b>{told ?? least(failed.length, moreFailed)}</b></a>
            <div class="figure" title={more ? `Counted among the newest ${NEWEST} of each machine` : undefined}><span>Succeeded, last day</span><b>{told ?? least(day.filter((r) => r.status === "SUCCEEDED").length, more)}</b></div>
            <a class="figure" href="#/machines"><span>State machines</span><b>{machines.length.toLocaleString()}</b></a>
          </div>
          <div class="card">
            <h2>Needs attention</h2>
            <Attention failed={failed} trouble={trouble} error={error} />
          </div>
          <Glance />
          <div class="card">
            <h2>Runs, newest first <span class="quiet">({count(day.length, "run")} of the last day{more ? ` among the last ${NEWEST} of each machine; there were more` : ""})</span></h2>
            {runs === undefined ? <Loading /> : active.length === 0 ? <Empty>No execution yet. <code>lakerun init FOLDER</code> writes a pipeline to start from.</Empty> : active.slice(0, 60).map((m) => (
              <div class="grid-row" key={m.stateMachineArn}>
                <a href={link("machine", m.stateMachineArn)}>{m.name}</a>
                <div class="cells">{of(m).slice(0, NEWEST).map((r) => <Cell key={r.executionArn} run={r} />)}</div>
              </div>
            ))}
            {active.length > 60 ? <p><a href="#/machines">All {active.length} state machines</a></p> : null}
          </div>
          {running.length > 0 ? <div class="card"><h2>Running now</h2><Table rows={running} label="Running executions" columns={runColumns(true)} key={(r) => r.executionArn} /></div> : null}
        </>
      )}
    </Page>
  );
}

/** What failed. That nothing did is said only when everything has been looked at. */
function Attention({ failed, trouble, error }: { failed: Run[]; trouble?: Looked; error: unknown }) {
  const nothing = failed.length === 0 && trouble?.found.length === 0;
  return (
    <>
      {trouble === undefined ? <p class="quiet">{error ? "Not all of it could be looked at." : "Looking…"}</p> : null}
      {trouble && trouble.unseen.length > 0 ? <p class="cut" role="status">Not looked at: {trouble.unseen.join(", ")}.</p> : null}
      {nothing && !error ? <p class="quiet">{trouble.unseen.length > 0 ? "Nothing else failed within a day." : "Nothing failed within a day."}</p> : null}
      {trouble && trouble.found.length > 0 ? <Table rows={trouble.found} label="What failed or is full" columns={[
        { name: "What", cell: (t) => <a href={t.to}>{t.what}</a> }, { name: "Status", cell: (t) => <Badge status={t.status} /> },
        { name: "Since", cell: (t) => <Time at={t.at} /> }, { name: "Why", wide: true, cell: (t) => <span class="error">{t.why?.slice(0, 300)}</span> },
      ]} /> : null}
      {failed.length > 0 ? <Table rows={failed} label="Executions that failed" columns={runColumns(true)} key={(r) => r.executionArn} /> : null}
    </>
  );
}
