// Two executions, state by state: status, time, and where inputs and outputs part.

import { useState } from "preact/hooks";
import { Data, definition, describe, load } from "../execution/data.ts";
import { states } from "../execution/graph.ts";
import { History, type Node, summary } from "../execution/states.ts";
import { link, setParams } from "../route.ts";
import { duration } from "../time.ts";
import { Badge, Loaded, Page, Table, useLoad, Value, parsed } from "../ui.tsx";
import { type Run, runsOf } from "./runs.tsx";

async function read(arn: string) {
  const [described, machine] = await Promise.all([describe(arn), definition(arn)]);
  const [history, data] = [new History(), new Data(arn)];
  await load(arn, history, data, () => {});
  return { described, machine, history, data };
}

export default function Compare({ rest: arn, params }: { rest: string; params: URLSearchParams }) {
  const other = params.get("with") ?? "";
  const first = useLoad(async () => {
    const one = await read(arn);
    const { executions } = await runsOf({ stateMachineArn: one.described.stateMachineArn.split(":").slice(0, 7).join(":") }, "", 100);
    return { one, others: executions.filter((r) => r.executionArn !== arn) };
  }, [arn]);
  return (
    <Page title={arn.split(":").pop() ?? arn} kind="Compare" up={["The execution", link("execution", arn)]}>
      <Loaded of={first}>{({ one, others }) => (
        <>
          <p><label>With <select value={other} onChange={(e) => setParams({ with: e.currentTarget.value || undefined })}>
            <option value="">another execution of the machine…</option>
            {others.map((r: Run) => <option value={r.executionArn}>{r.name} ({r.status.toLowerCase()}, {new Date(r.startDate * 1000).toLocaleString()})</option>)}
          </select></label></p>
          {other ? <Both key={other} one={one} other={other} /> : <p class="quiet">Choose the execution to compare with.</p>}
        </>
      )}</Loaded>
    </Page>
  );
}

/** Of several visits the last is shown. */
const last = (visits?: Node[]): string => (visits && visits.length > 1 ? `, the last of ${visits.length} visits` : "");

type Whole = Awaited<ReturnType<typeof read>>;
interface Row { name: string; a?: Node[]; b?: Node[] }

function Both({ one, other }: { one: Whole; other: string }) {
  const second = useLoad(() => read(other), [other]);
  const [open, setOpen] = useState<Row>();
  /** Input and output of the last visit. */
  const shown = async (of: Whole, visits?: Node[]) => {
    const last = visits?.[visits.length - 1];
    const [entered, exited] = await Promise.all([last?.entered, last?.exited].map((id) => (id ? of.data.event(id) : undefined)));
    return { input: entered?.stateEnteredEventDetails?.input, output: exited?.stateExitedEventDetails?.output };
  };
  const both = useLoad(async () => (open && second.value ? Promise.all([shown(one, open.a), shown(second.value, open.b)]) : [{}, {}] as { input?: string; output?: string }[]), [open, second.value]);
  return (
    <Loaded of={second}>{(two) => {
      const names = new Set([...states(one.machine), ...states(two.machine)].map(([name]) => name));
      const rows: Row[] = [...names].map((name) => ({ name, a: one.history.byState.get(name), b: two.history.byState.get(name) }));
      const cell = (visits?: Node[]) => { if (!visits) return <span class="quiet">not reached</span>; const of = summary(visits, Date.now() / 1000); return <><Badge status={of.status} /> {duration(of.seconds)}{of.visits > 1 ? ` · ${of.visits} visits` : ""}</>; };
      const seconds = (visits?: Node[]) => (visits ? summary(visits, Date.now() / 1000).seconds : 0);
      return (
        <>
          <Table rows={rows} label="States" mark={(r) => r === open} columns={[
            { name: "State", cell: (r) => <button class="quiet-button" onClick={() => setOpen(r)}>{r.name}</button>, sort: (r) => r.name },
            { name: one.described.name.slice(0, 18), cell: (r) => cell(r.a), sort: (r) => seconds(r.a) },
            { name: two.described.name.slice(0, 18), cell: (r) => cell(r.b), sort: (r) => seconds(r.b) },
            { name: "Longer by", numeric: true, cell: (r) => (r.a && r.b ? `${seconds(r.b) >= seconds(r.a) ? "+" : "−"}${duration(Math.abs(seconds(r.b) - seconds(r.a)))}` : ""), sort: (r) => seconds(r.b) - seconds(r.a) },
          ]} />
          {open ? <div class="halves"><div class="card"><h2>{open.name}, first{last(open.a)}</h2><Value title="Input" text={both.value?.[0]?.input} /><Value title="Output" text={both.value?.[0]?.output} /></div><div class="card"><h2>{open.name}, second{last(open.b)}</h2><Value title="Input" text={both.value?.[1]?.input} before={parsed(both.value?.[0]?.input)} compared /><Value title="Output" text={both.value?.[1]?.output} before={parsed(both.value?.[0]?.output)} compared /></div></div> : <p class="quiet">A state's name shows input and output of its last visit in both, what differs marked.</p>}
        </>
      );
    }}</Loaded>
  );
}
