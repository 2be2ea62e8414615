// One execution: live graph, timeline, states, events; beside them the selected state, or the execution's own input and output.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { listen } from "../api.ts";
import { link, setParams } from "../route.ts";
import { count, duration } from "../time.ts";
import { Arn, Badge, Dialog, Failure, fail, KeyValues, late, Loading, Page, say, SIGNS, Table, Tabs, Time, Value, Virtual } from "../ui.tsx";
import { counted, Data, definition, type Described, describe, load, mapRun, news, redrive, stop, topicsOf } from "./data.ts";
import { isExpress } from "./express.ts";
import { type Machine, states } from "./graph.ts";
import { Graph } from "./graphview.tsx";
import { Panel, words } from "./panel.tsx";
import { History, type HistoryEvent, iterations, type Node, picked, summary } from "./states.ts";

// What is shown on demand is fetched on demand.
const Start = late(() => import("./start.tsx").then((m) => m.Start));
const Costs = late(() => import("../pages/costs.tsx").then((m) => m.Costs));
const Origin = late(() => import("../pages/origin.tsx").then((m) => m.Origin));
const Drawn = late(() => import("../pages/lineage.tsx").then((m) => m.Drawn));

/** Tabs that take the whole width. */
const WIDE = new Set(["Data", "Costs"]);
const TABS = ["Graph", "Timeline", "States", "Events", "Data", "Costs"];
/** Lineage and costs do not tell single Express executions apart. */
const OF_EXPRESS = TABS.slice(0, 4);

export default function Execution({ rest: arn, params }: { rest: string; params: URLSearchParams }) {
  const [described, setDescribed] = useState<Described>();
  const [machine, setMachine] = useState<Machine>();
  const [error, setError] = useState<unknown>();
  const [version, setVersion] = useState(0);
  const [asking, setAsking] = useState<"stop" | "again">();
  const [notes, setNotes] = useState<Map<string, string>>(new Map());
  const kept = useRef<{ history: History; data: Data } | undefined>(undefined);
  if (!kept.current) kept.current = { history: new History(), data: new Data(arn) };
  const { history, data } = kept.current;

  useEffect(() => {
    let alive = true;
    let close: (() => void) | undefined;
    const seen = () => alive && setVersion((n) => n + 1);
    let busy = false;
    let missed = false;
    const follow = async () => {
      if (busy) { missed = true; return; }
      busy = true;
      try {
        do {
          missed = false;
          const before = history.last;
          await news(arn, history, data);
          await told();
          if (history.last !== before) seen();
          if (history.root.ended !== undefined) {
            const now = await describe(arn);
            if (!alive) return;
            setDescribed(now);
            if (now.status !== "RUNNING") { close?.(); close = undefined; }
          }
        } while (missed && alive);
        if (alive) setError(undefined);
      } catch (e) { if (alive) setError(e); } finally { busy = false; }
    };
    /** How far the Map Runs of Distributed Maps are: their children are executions of their own. */
    const settled = new Set<string>();
    const told = async () => {
      for (const visit of history.visits) {
        if (!visit.mapRun || settled.has(visit.mapRun)) continue;
        const run = await mapRun(visit.mapRun).catch(() => undefined);
        if (!run || !alive) continue;
        if (run.status !== "RUNNING") settled.add(visit.mapRun);
        setNotes((old) => new Map(old).set(visit.name, counted(run.itemCounts)));
      }
    };
    const begin = async () => {
      try {
        const now = await describe(arn);
        if (!alive) return;
        setDescribed(now);
        definition(arn).then((m) => alive && setMachine(m), (e) => alive && setError(e));
        await load(arn, history, data, seen);
        await told();
        if (!alive) return;
        if (now.status === "RUNNING") { close = listen(topicsOf(arn), follow); void follow(); }
      } catch (e) { if (alive) setError(e); }
    };
    void begin();
    return () => { alive = false; close?.(); };
  }, [arn]);

  // What runs gets longer though nothing is written.
  useEffect(() => {
    if (described?.status !== "RUNNING") return undefined;
    const timer = setInterval(() => { if (!document.hidden) setVersion((n) => n + 1); }, 1000);
    return () => clearInterval(timer);
  }, [described?.status]);

  const express = isExpress(arn);
  const tabs = express ? OF_EXPRESS : TABS;
  const tab = tabs.includes(params.get("tab") ?? "") ? params.get("tab")! : "Graph";
  const selected = params.get("state") ?? undefined;
  const picks = useMemo(() => new Map((params.get("pick") ?? "").split("~").filter(Boolean).map((pair): [string, number] => {
    const cut = pair.lastIndexOf("#");
    return [pair.slice(0, cut), Number(pair.slice(cut + 1))];
  })), [params.get("pick")]);
  const now = Date.now() / 1000;
  const summaries = useMemo(() => new Map([...history.byState].map(([name, visits]) => [name, summary(picked(visits, picks), Date.now() / 1000)])), [version, picks]);
  const select = (name: string) => setParams({ state: name === selected ? undefined : name, visit: undefined });
  const pick = (map: string, index?: number) => {
    const next = new Map(picks);
    if (index === undefined) next.delete(map); else next.set(map, index);
    setParams({ pick: [...next].map(([name, n]) => `${name}#${n}`).join("~") || undefined, visit: undefined });
  };

  if (!described) {
    return <Page title={arn.split(":").pop() ?? "Execution"} kind="Execution" up={["Overview", "#/"]}>{error ? <Failure error={error} /> : <Loading />}</Page>;
  }
  const machineName = described.stateMachineArn.split(":")[6]?.split("/")[0] ?? "";
  const lasted = (described.stopDate ?? now) - described.startDate;
  return (
    <Page title={described.name} kind="Execution" up={[machineName, link("machine", described.stateMachineArn)]}
      note={<p class="row"><Badge status={described.status} /> <span class="quiet"><Time at={described.startDate} /> · {duration(lasted)} · {count(history.events.length, "event")}{described.redriveCount ? ` · ${count(described.redriveCount, "redrive")}` : ""}</span></p>}
      actions={<>
        {described.status === "RUNNING" && !express ? <button class="danger" onClick={() => setAsking("stop")}>Stop…</button> : null}
        {described.redriveStatus === "REDRIVABLE" ? <button onClick={() => redrive(arn).then(() => location.reload(), fail)}>Redrive</button> : null}
        <button onClick={() => setAsking("again")}>Run again…</button>
        {express ? null : <a class="button" href={link("compare", arn)}>Compare</a>}
      </>}>
      {error ? <Failure error={error} /> : null}
      {express ? <p class="quiet">As its log tells it: nothing else is kept of an Express execution.</p> : null}
      {described.mapRunArn ? <p>A child of <a href={link("map-run", described.mapRunArn)}>a Map Run</a></p> : null}
      {described.error || described.cause ? <p class="error"><b>{described.error}</b> {words(described.cause)}</p> : null}
      <div class={WIDE.has(tab) ? "" : "split"}>
        <div>
          <Tabs names={tabs} now={tab} onPick={(name) => setParams({ tab: name === "Graph" ? undefined : name })} />
          <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
            {tab === "Graph" ? (machine ? <Graph machine={machine} summaries={summaries} notes={notes} selected={selected} onSelect={select} /> : <Loading />) : null}
            {tab === "Timeline" ? <Timeline history={history} version={version} onSelect={select} /> : null}
            {tab === "States" ? <States history={history} machine={machine} version={version} onSelect={select} /> : null}
            {tab === "Data" ? <Drawn resource={arn} topics={described.status === "RUNNING" ? ["lineage"] : []} /> : null}
            {tab === "Costs" ? <Costs history={history} data={data} version={version} /> : null}
            {tab === "Events" ? <Events history={history} data={data} version={version} start={described.startDate} params={params} /> : null}
          </div>
        </div>
        {WIDE.has(tab) ? null : <aside class="card" aria-label="Details">
          {selected ? (
            <>
              <p><button class="quiet-button" onClick={() => setParams({ state: undefined })}>← The execution</button></p>
              <Panel arn={arn} history={history} data={data} name={selected} picks={picks} onPick={pick} visit={Number(params.get("visit") ?? 0)} onVisit={(n) => setParams({ visit: String(n) })} size={version} machine={machine} described={described} />
            </>
          ) : (
            <>
              <h2>Execution</h2>
              <KeyValues of={[["ARN", <Arn arn={arn} />], ["State machine", <Arn arn={described.stateMachineArn} />], ["Started", <Time at={described.startDate} />], ["Ended", <Time at={described.stopDate} />], ["Redrive", described.redriveStatusReason]]} />
              {express ? null : <Origin worker={arn} again={described.status} />}
              <Value title="Input" text={described.input} />
              <Value title="Output" text={described.output} />
            </>
          )}
        </aside>}
      </div>
      {asking === "stop" ? (
        <Dialog title="Stop this execution?" onClose={() => setAsking(undefined)}>
          <p>What it runs is stopped with it. It ends ABORTED and can be redriven.</p>
          <form method="dialog" class="row">
            <button class="danger" onClick={() => { stop(arn).then(() => say("Stopped"), fail); }}>Stop it</button>
            <button>Leave it</button>
          </form>
        </Dialog>
      ) : null}
      {asking === "again" ? <Start machine={described.stateMachineArn} input={described.input ?? "{}"} express={express} onClose={() => setAsking(undefined)} /> : null}
    </Page>
  );
}

const depthOf = (node: Node): number => { let n = 0; for (let at = node.parent; at?.parent; at = at.parent) n += 1; return n; };

function Timeline({ history, version, onSelect }: { history: History; version: number; onSelect: (name: string) => void }) {
  const visits = useMemo(() => [...history.visits], [version]);
  const began = history.root.began;
  const end = history.root.ended ?? Date.now() / 1000;
  const whole = Math.max(0.001, end - began);
  const bar = (from: number, to: number | undefined) => ({ left: `${((from - began) / whole) * 100}%`, width: `${(Math.max(0, (to ?? end) - from) / whole) * 100}%` });
  return (
    <Virtual rows={visits} height={28} label="Timeline" row={(visit) => (
      <div class="gantt">
        <button onClick={() => onSelect(visit.name)} style={{ paddingLeft: `${depthOf(visit) * 10}px` }} title={visit.name}>{SIGNS[visit.status]} {visit.name}{iterations(visit).map((it) => ` ${it.name}`).join("")}</button>
        <div class="lane" aria-hidden="true">
          <i class={visit.attempts.length > 0 ? "life" : ""} data-tone={visit.attempts.length > 0 ? undefined : visit.status} style={bar(visit.began, visit.ended)} />
          {visit.attempts.map((a, n) => <i data-tone={a.status} style={bar(a.began, a.ended)} title={`attempt ${n + 1}: ${a.status}`} />)}
        </div>
        <span class="number quiet">{duration((visit.ended ?? end) - visit.began)}</span>
      </div>
    )} />
  );
}

function States({ history, machine, version, onSelect }: { history: History; machine?: Machine; version: number; onSelect: (name: string) => void }) {
  const rows = useMemo(() => {
    const named = machine ? [...states(machine)].map(([name, state]) => ({ name, type: state.Type })) : [];
    return named.map((row) => ({ ...row, of: summary(history.byState.get(row.name) ?? [], Date.now() / 1000) }));
  }, [version, machine]);
  return <Table rows={rows} label="States" columns={[
    { name: "State", cell: (r) => <button class="quiet-button" onClick={() => onSelect(r.name)}>{r.name}</button>, sort: (r) => r.name },
    { name: "Type", cell: (r) => r.type, sort: (r) => r.type },
    { name: "Status", cell: (r) => (r.of.visits === 0 ? <span class="quiet">not reached</span> : <Badge status={r.of.status} />), sort: (r) => r.of.status },
    { name: "Visits", numeric: true, cell: (r) => r.of.visits || "", sort: (r) => r.of.visits },
    { name: "Failed", numeric: true, cell: (r) => r.of.by.failed + r.of.by.caught || "", sort: (r) => r.of.by.failed + r.of.by.caught },
    { name: "Retries", numeric: true, cell: (r) => r.of.retries || "", sort: (r) => r.of.retries },
    { name: "Time", numeric: true, cell: (r) => (r.of.visits ? duration(r.of.seconds) : ""), sort: (r) => r.of.seconds },
  ]} />;
}

function Events({ history, data, version, start, params }: { history: History; data: Data; version: number; start: number; params: URLSearchParams }) {
  const filter = params.get("events") ?? "";
  const [open, setOpen] = useState<HistoryEvent>();
  const rows = useMemo(() => {
    const wanted = filter.toLowerCase();
    if (!wanted) return [...history.events];
    return history.events.filter((e) => `${e.id} ${e.type} ${history.of(e.id)?.name ?? ""} ${JSON.stringify(rest(e))}`.toLowerCase().includes(wanted));
  }, [version, filter]);
  const show = (event: HistoryEvent) => data.event(event.id).then((whole) => setOpen(whole ?? event), fail);
  return (
    <>
      <p class="row"><label>Filter <input type="search" value={filter} onInput={(e) => setParams({ events: e.currentTarget.value || undefined })} /></label> <span class="quiet">{rows.length.toLocaleString()} of {history.events.length.toLocaleString()}</span></p>
      <Virtual rows={rows} height={30} label="Events" row={(e) => (
        <div class="event">
          <button onClick={() => show(e)} aria-label={`Event ${e.id}, ${e.type}`}>{e.id}</button>
          <span>{duration(Math.max(0, e.timestamp - start))}</span>
          <span title={e.type}>{e.type}</span>
          <span>{history.of(e.id)?.name ?? ""}</span>
          <span class="mono quiet">{JSON.stringify(rest(e))}</span>
        </div>
      )} />
      {open ? <Dialog title={`Event ${open.id}: ${open.type}`} onClose={() => setOpen(undefined)}><Value title="Details" text={JSON.stringify(open)} /><form method="dialog"><button>Close</button></form></Dialog> : null}
    </>
  );
}

const rest = (event: HistoryEvent): unknown => Object.entries(event).find(([name]) => name.endsWith("EventDetails"))?.[1] ?? {};
