// One state machine: its executions, its definition beside its graph, versions and aliases, and the form that starts it.

import { useEffect, useMemo, useState } from "preact/hooks";
import { all, call, listen } from "../api.ts";
import { setParams } from "../route.ts";
import { count, duration } from "../time.ts";
import { Arn, Badge, Failure, fail, late, Loaded, Page, Table, Tabs, Time, useLoad } from "../ui.tsx";
import type { Figure } from "./lastday.tsx";
import { figures, type Run, runColumns, type Runs, runsOf, STATUSES } from "./runs.tsx";

export interface Described { stateMachineArn: string; name: string; status: string; definition: string; roleArn: string; type: string; creationDate: number; revisionId?: string; description?: string; loggingConfiguration?: { level?: string; destinations?: { cloudWatchLogsLogGroup?: { logGroupArn?: string } }[] } }

// What is shown on demand is fetched on demand.
const Start = late(() => import("../execution/start.tsx").then((m) => m.Start));
const Defined = late(() => import("./definition.tsx").then((m) => m.Defined));
const Times = late(() => import("./times.tsx").then((m) => m.Times));

const Express = late(() => import("./express.tsx").then((m) => m.Express));
const LastDay = late(() => import("./lastday.tsx").then((m) => m.LastDay));

const TABS = ["Executions", "Definition", "Times", "Metrics", "Versions"];

export default function Machine({ rest: arn, params }: { rest: string; params: URLSearchParams }) {
  const machine = useLoad(() => call<Described>("states", "DescribeStateMachine", { stateMachineArn: arn }), [arn]);
  const [starting, setStarting] = useState(false);
  const tab = TABS.includes(params.get("tab") ?? "") ? params.get("tab")! : "Executions";
  const base = arn.split(":").slice(0, 7).join(":");
  return (
    <Page title={base.split(":").pop() ?? arn} kind="State machine" up={["State machines", "#/machines"]}
      actions={<button class="primary" disabled={!machine.value} onClick={() => setStarting(true)}>Start…</button>}
      note={machine.value ? <p class="row"><span class="quiet">{machine.value.type.toLowerCase()} · <Arn arn={arn} /></span></p> : null}>
      <Loaded of={machine}>{(m) => (
        <>
          <Tabs names={TABS} now={tab} onPick={(name) => setParams({ tab: name === "Executions" ? undefined : name })} />
          <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
            {tab === "Executions" ? (m.type === "EXPRESS" ? <Express of={m} params={params} /> : <Executions arn={arn} params={params} />) : null}
            {tab === "Definition" ? <Defined of={m} onSaved={machine.again} /> : null}
            {tab === "Times" ? (m.type === "EXPRESS" ? <p class="quiet">The times of Express executions are in their metrics, and state by state in each one's log.</p> : <Times of={m} />) : null}
            {tab === "Metrics" ? <LastDay namespace="AWS/States" dimensions={{ StateMachineArn: base }} figures={FIGURES} /> : null}
            {tab === "Versions" ? <Versions arn={base} of={m} /> : null}
          </div>
        </>
      )}</Loaded>
      {starting ? <Start machine={arn} input="{}" express={machine.value?.type === "EXPRESS"} onClose={() => setStarting(false)} /> : null}
    </Page>
  );
}

/** Nothing is throttled here, so that there is no figure of it. */
const FIGURES: Figure[] = [
  ["ExecutionsStarted", "Sum", "started"], ["ExecutionsSucceeded", "Sum", "succeeded"], ["ExecutionsFailed", "Sum", "failed"], ["ExecutionsTimedOut", "Sum", "timed out"], ["ExecutionsAborted", "Sum", "aborted"],
  ["ExecutionTime", "p50", "ms, median of the slowest hour"], ["ExecutionTime", "p95", "ms, p95 of the slowest hour"], ["ExecutionTime", "Maximum", "ms, the longest"],
];

function Executions({ arn, params }: { arn: string; params: URLSearchParams }) {
  const status = params.get("status") ?? "";
  const name = params.get("name") ?? "";
  const [runs, setRuns] = useState<Run[]>();
  const [next, setNext] = useState<string>();
  const [error, setError] = useState<unknown>();
  const of = { stateMachineArn: arn };
  useEffect(() => {
    let alive = true;
    setRuns(undefined);
    const read = (first: boolean) => runsOf(of, status, first ? 100 : 50).then((page) => {
      if (!alive) return;
      setError(undefined);
      // What is new goes before what is shown; what was shown changes its status.
      setRuns((old) => {
        if (first || !old) return page.executions;
        const fresh = new Set(page.executions.map((r) => r.executionArn));
        const oldest = page.executions[page.executions.length - 1]?.startDate ?? 0;
        return [...page.executions, ...old.filter((r) => !fresh.has(r.executionArn) && r.startDate <= oldest)];
      });
      if (first) setNext(page.nextToken);
    }, (e) => alive && setError(e));
    void read(true);
    const close = listen(["states"], () => void read(false));
    return () => { alive = false; close(); };
  }, [arn, status]);
  const fits = (r: Run) => r.name.toLowerCase().includes(name.toLowerCase());
  const [busy, setBusy] = useState(false);
  /** Reads on; with a name, until one fits or there are no others: the server's list knows no names. */
  const older = async () => {
    setBusy(true);
    try {
      let token = next;
      let page: Runs;
      do {
        page = await runsOf(of, status, 1000, token);
        const { executions } = page;
        setRuns((old) => [...(old ?? []), ...executions]);
        setNext(token = page.nextToken);
      } while (token && name && !page.executions.some(fits));
    } catch (e) { fail(e); } finally { setBusy(false); }
  };
  const more = next && !busy ? () => void older() : undefined;
  const shown = useMemo(() => (runs ?? []).filter(fits), [runs, name]);
  const which = `${name ? `with “${name}” in its name ` : ""}${status ? `is ${status.toLowerCase().replace("_", " ")}` : "was found"}`;
  const told = figures(runs ?? []);
  return (
    <>
      <div class="row">
        <label>Status <select value={status} onChange={(e) => setParams({ status: e.currentTarget.value || undefined })}><option value="">all</option>{STATUSES.map((s) => <option value={s}>{s.toLowerCase().replace("_", " ")}</option>)}</select></label>
        <label>Name <input type="search" value={name} onInput={(e) => setParams({ name: e.currentTarget.value || undefined })} /></label>
        {runs ? <span class="quiet">{count(runs.length, "execution")}{next ? " so far" : ""}{told.rate === undefined ? "" : ` · ${Math.round(told.rate * 100)} % succeeded`}{told.p50 === undefined ? "" : ` · p50 ${duration(told.p50)} · p95 ${duration(told.p95!)}`}</span> : null}
      </div>
      {error ? <Failure error={error} /> : null}
      {runs ? <Table rows={shown} label="Executions" columns={runColumns(false)} key={(r) => r.executionArn} more={more} moreWords={name ? "Look through older ones" : undefined}
        empty={next ? `Among the newest ${count(runs.length, "execution")} none ${which}. There are older ones.` : status || name ? `No execution ${which}.` : "It has not run yet: Start… runs it."} /> : null}
    </>
  );
}

function Versions({ arn, of }: { arn: string; of: Described }) {
  const loaded = useLoad(async () => {
    const [versions, aliases] = await Promise.all([
      all<{ stateMachineVersionArn: string; creationDate: number }>("states", "ListStateMachineVersions", { stateMachineArn: arn }, "stateMachineVersions"),
      all<{ stateMachineAliasArn: string; creationDate: number }>("states", "ListStateMachineAliases", { stateMachineArn: arn }, "stateMachineAliases"),
    ]);
    return { versions: versions.items, aliases: aliases.items };
  }, [arn]);
  const publish = () => call("states", "PublishStateMachineVersion", { stateMachineArn: arn, revisionId: of.revisionId }).then(loaded.again, fail);
  return (
    <Loaded of={loaded}>{({ versions, aliases }) => (
      <>
        <p><button onClick={publish}>Publish a version</button></p>
        <h2>Versions</h2>
        <Table rows={versions} label="Versions" empty="No version is published." columns={[{ name: "Version", cell: (v) => <Arn arn={v.stateMachineVersionArn} />, wide: true }, { name: "Published", cell: (v) => <Time at={v.creationDate} /> }]} />
        <h2>Aliases</h2>
        <Table rows={aliases} label="Aliases" empty="No alias." columns={[{ name: "Alias", cell: (a) => <Arn arn={a.stateMachineAliasArn} />, wide: true }, { name: "Made", cell: (a) => <Time at={a.creationDate} /> }]} />
        <p><Badge status={of.status} /></p>
      </>
    )}</Loaded>
  );
}
