// The first page: what runs, fails and waits now, the runs of the last day, and what needs attention, each with the way there.

import { useEffect, useRef, useState } from "preact/hooks";
import { all, call, listen, pool } from "../api.ts";
import { link } from "../route.ts";
import { count } from "../time.ts";
import { Badge, Empty, Failure, late, Loading, Page, Table, Time } from "../ui.tsx";
import { Cell, type Machine, newest, type Run, runColumns } from "./runs.tsx";

const DAY = 86_400;
const IN_GRID = 40;
/** So many machines are asked again at a change, those that run first; the others follow in turn. */
const AGAIN = 5;
const TURN_MS = 800;

export interface Trouble { what: string; status: string; to: string; why?: string; at?: number }

const Glance = late(() => import("./glance.tsx").then((m) => m.default));

/** Crawlers and jobs whose last run failed, stacks that are broken, and what else `attention.ts` finds. */
async function troubles(): Promise<Trouble[]> {
  const crawlers = all<{ Name: string; LastCrawl?: { Status: string; ErrorMessage?: string; StartTime?: number } }>("glue", "GetCrawlers", {}, "Crawlers", "NextToken").then(({ items }) =>
    items.filter((c) => c.LastCrawl?.Status === "FAILED").map((c): Trouble => ({ what: `Crawler ${c.Name}`, status: "FAILED", to: link("jobs", `crawler/${c.Name}`), why: c.LastCrawl?.ErrorMessage, at: c.LastCrawl?.StartTime })));
  const jobs = all<{ Name: string }>("glue", "GetJobs", {}, "Jobs", "NextToken", 50).then(({ items }) => pool(items, 4, async (job) => {
    const { JobRuns: [run] } = await call<{ JobRuns: { JobRunState: string; ErrorMessage?: string; StartedOn?: number }[] }>("glue", "GetJobRuns", { JobName: job.Name, MaxResults: 1 });
    return run && ["FAILED", "TIMEOUT", "ERROR"].includes(run.JobRunState) ? [{ what: `Job ${job.Name}`, status: run.JobRunState, to: link("jobs", job.Name), why: run.ErrorMessage, at: run.StartedOn }] : [];
  })).then((found) => found.flat());
  const stacks = all<{ StackName: string; StackStatus: string; StackStatusReason?: string }>("cloudformation", "DescribeStacks", {}, "Stacks", "NextToken").then(({ items }) =>
    items.filter((s) => /FAILED|ROLLBACK/.test(s.StackStatus)).map((s): Trouble => ({ what: `Stack ${s.StackName}`, status: s.StackStatus, to: link("stacks", s.StackName), why: s.StackStatusReason })));
  const others = import("./attention.ts").then(({ attention }) => attention());
  // What the signed-in may not list is not theirs to mend.
  const found = await Promise.all([crawlers, jobs, stacks, others].map((list) => list.catch(() => [] as Trouble[])));
  return found.flat();
}

export default function Overview() {
  const [machines, setMachines] = useState<Machine[]>();
  const [runs, setRuns] = useState<Map<string, Run[]>>(new Map());
  const [trouble, setTrouble] = useState<Trouble[]>([]);
  const [error, setError] = useState<unknown>();
  const known = useRef(new Map<string, Run[]>());
  useEffect(() => {
    let alive = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stale: Machine[] = [];
    let list: Machine[] = [];
    const put = (found: Machine[], lists: Run[][]) => {
      found.forEach((m, i) => known.current.set(m.stateMachineArn, lists[i]!));
      if (alive) setRuns(new Map(known.current));
    };
    const begin = async () => {
      const found = await all<Machine>("states", "ListStateMachines", { maxResults: 1000 }, "stateMachines", "nextToken", 10_000);
      list = found.items;
      if (alive) setMachines(list);
      put(list, await newest(list));
      setTrouble(await troubles());
    };
    const turn = async () => {
      timer = undefined;
      const runs = (m: Machine) => known.current.get(m.stateMachineArn)?.some((r) => r.status === "RUNNING") ? 0 : 1;
      stale.sort((a, b) => runs(a) - runs(b));
      const now = stale.splice(0, AGAIN);
      try { put(now, await newest(now)); setError(undefined); } catch (e) { if (alive) setError(e); }
      if (alive && stale.length > 0) timer = setTimeout(turn, TURN_MS);
    };
    const changed = () => {
      stale = list.filter((m) => m.type !== "EXPRESS");
      timer ??= setTimeout(turn, TURN_MS);
    };
    begin().catch((e) => alive && setError(e));
    const close = listen(["states"], changed);
    return () => { alive = false; clearTimeout(timer); close(); };
  }, []);
  const every = [...runs.values()].flat();
  const since = Date.now() / 1000 - DAY;
  const day = every.filter((r) => r.startDate > since || r.status === "RUNNING");
  const running = every.filter((r) => r.status === "RUNNING").sort((a, b) => b.startDate - a.startDate);
  const failed = day.filter((r) => ["FAILED", "TIMED_OUT"].includes(r.status)).sort((a, b) => b.startDate - a.startDate);
  const waiting = day.filter((r) => r.status === "PENDING_REDRIVE");
  const active = (machines ?? []).filter((m) => (runs.get(m.stateMachineArn) ?? []).length > 0)
    .sort((a, b) => (runs.get(b.stateMachineArn)![0]!.startDate) - (runs.get(a.stateMachineArn)![0]!.startDate));
  return (
    <Page title="Overview">
      {error ? <Failure error={error} /> : null}
      {machines === undefined ? (error ? null : <Loading />) : (
        <>
          <div class="cards">
            <a class="figure" href={link("machines", "", { status: "RUNNING" })}><span>Running</span><b>{running.length.toLocaleString()}</b></a>
            <a class="figure" data-tone={failed.length > 0 ? "failed" : ""} href={link("machines", "", { status: "FAILED" })}><span>Failed, last day</span><b>{failed.length.toLocaleString()}</b></a>
            <div class="figure"><span>Succeeded, last day</span><b>{day.filter((r) => r.status === "SUCCEEDED").length.toLocaleString()}</b></div>
            {waiting.length > 0 ? <div class="figure"><span>Waiting for a redrive</span><b>{waiting.length}</b></div> : null}
            <a class="figure" href="#/machines"><span>State machines</span><b>{machines.length.toLocaleString()}</b></a>
          </div>
          <div class="card">
            <h2>Needs attention</h2>
            {failed.length + trouble.length === 0 ? <p class="quiet">Nothing failed within a day.</p> : (
              <>
                {trouble.length > 0 ? <Table rows={trouble} label="What failed or is full" columns={[
                  { name: "What", cell: (t) => <a href={t.to}>{t.what}</a> }, { name: "Status", cell: (t) => <Badge status={t.status} /> },
                  { name: "Since", cell: (t) => <Time at={t.at} /> }, { name: "Why", wide: true, cell: (t) => <span class="error">{t.why?.slice(0, 300)}</span> },
                ]} /> : null}
                {failed.length > 0 ? <Table rows={failed} label="Executions that failed" columns={runColumns(true)} key={(r) => r.executionArn} /> : null}
              </>
            )}
          </div>
          <Glance />
          <div class="card">
            <h2>Runs, newest first <span class="quiet">({count(day.length, "run")} of the last day among the last 30 of each machine)</span></h2>
            {active.length === 0 ? <Empty>No execution yet. <code>lakerun init FOLDER</code> writes a pipeline to start from.</Empty> : active.slice(0, 60).map((m) => (
              <div class="grid-row" key={m.stateMachineArn}>
                <a href={link("machine", m.stateMachineArn)}>{m.name}</a>
                <div class="cells">{runs.get(m.stateMachineArn)!.slice(0, IN_GRID).map((r) => <Cell key={r.executionArn} run={r} />)}</div>
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
