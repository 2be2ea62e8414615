// All state machines, with how they fare; or, with a status, all executions that have it.

import { useMemo } from "preact/hooks";
import { all } from "../api.ts";
import { link, setParams } from "../route.ts";
import { duration } from "../time.ts";
import { Badge, Loaded, Page, Spark, Table, Time, useLoad } from "../ui.tsx";
import { figures, lasted, type Machine, newest, type Run, runColumns, STATUSES } from "./runs.tsx";

/** So many executions of each machine are read: for its figures, and of one status. */
const OF_EACH = 50;
const OF_EACH_FOUND = 200;

export default function Machines({ params }: { rest: string; params: URLSearchParams }) {
  const status = params.get("status") ?? "";
  const name = params.get("name") ?? "";
  const loaded = useLoad(async () => {
    const { items } = await all<Machine>("states", "ListStateMachines", { maxResults: 1000 }, "stateMachines", "nextToken", 10_000);
    const lists = await newest(items, status, status ? OF_EACH_FOUND : OF_EACH);
    return items.map((machine, i) => ({ machine, runs: lists[i]!.executions, more: Boolean(lists[i]!.nextToken) }));
  }, [status]);
  return (
    <Page title={status ? `Executions, ${status.toLowerCase().replace("_", " ")}` : "State machines"} actions={<>
      <label>Name <input type="search" value={name} onInput={(e) => setParams({ name: e.currentTarget.value || undefined })} /></label>
      <label>Executions <select value={status} onChange={(e) => setParams({ status: e.currentTarget.value || undefined })}>
        <option value="">by state machine</option>{STATUSES.map((s) => <option value={s}>{s.toLowerCase().replace("_", " ")}</option>)}
      </select></label>
      <button onClick={loaded.again}>Refresh</button>
    </>}>
      <Loaded of={loaded}>{(rows) => {
        const named = rows.filter((r) => r.machine.name.toLowerCase().includes(name.toLowerCase()));
        return status ? <Found of={named} status={status} name={name} /> : <List rows={named} name={name} />;
      }}</Loaded>
    </Page>
  );
}

interface Row { machine: Machine; runs: Run[]; more: boolean }

function Found({ of, status, name }: { of: Row[]; status: string; name: string }) {
  const sorted = useMemo(() => of.flatMap((r) => r.runs).sort((a, b) => b.startDate - a.startDate), [of]);
  const longer = of.filter((r) => r.more);
  return <>{longer.length > 0 ? <p class="cut" role="status">The newest {OF_EACH_FOUND} of each machine. There are more of {longer.map((r, i) => <>{i > 0 ? ", " : ""}<a href={link("machine", r.machine.stateMachineArn, { status })}>{r.machine.name}</a></>)}.</p> : null}<Table rows={sorted} label="Executions" columns={runColumns(true)} key={(r) => r.executionArn}
    empty={`No execution ${name ? `of a machine with “${name}” in its name ` : ""}is ${status.toLowerCase().replace("_", " ")}.`} /></>;
}

function List({ rows, name }: { rows: Row[]; name: string }) {
  return <>{rows.length > 0 ? <p class="quiet">* of the last {OF_EACH} executions of each machine</p> : null}<Table rows={rows} label="State machines" key={(r) => r.machine.stateMachineArn}
    empty={name ? `No state machine has “${name}” in its name.` : <>No state machine yet. <code>lakerun init FOLDER</code> writes a pipeline to start from.</>}
    columns={[
      { name: "Name", cell: (r) => <a href={link("machine", r.machine.stateMachineArn)}>{r.machine.name}</a>, sort: (r) => r.machine.name, wide: true },
      { name: "Type", cell: (r) => r.machine.type.toLowerCase(), sort: (r) => r.machine.type },
      { name: "Last run", cell: (r) => (r.runs[0] ? <><Badge status={r.runs[0].status} /> <Time at={r.runs[0].startDate} /></> : r.machine.type === "EXPRESS" ? <span class="quiet">in its logs</span> : ""), sort: (r) => r.runs[0]?.startDate ?? 0 },
      { name: "Succeeded*", numeric: true, cell: (r) => { const { rate } = figures(r.runs); return rate === undefined ? "" : `${Math.round(rate * 100)} %`; }, sort: (r) => figures(r.runs).rate ?? -1 },
      { name: "p50*", numeric: true, cell: (r) => { const { p50 } = figures(r.runs); return p50 === undefined ? "" : duration(p50); }, sort: (r) => figures(r.runs).p50 ?? -1 },
      { name: "p95*", numeric: true, cell: (r) => { const { p95 } = figures(r.runs); return p95 === undefined ? "" : duration(p95); }, sort: (r) => figures(r.runs).p95 ?? -1 },
      { name: "Durations*", cell: (r) => (r.runs.length > 1 ? <Spark values={r.runs.map(lasted).reverse()} label={`Durations of the last ${r.runs.length} runs`} /> : "") },
    ]} /></>;
}
