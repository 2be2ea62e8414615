// Where the time of a state machine goes: its last executions' histories, state by state, on the graph and as a table.

import { useMemo, useState } from "preact/hooks";
import { pool } from "../api.ts";
import { Data, load } from "../execution/data.ts";
import { type Machine as Definition, states } from "../execution/graph.ts";
import { Graph } from "../execution/graphview.tsx";
import { History, type Node, summary } from "../execution/states.ts";
import { count, duration, percentile } from "../time.ts";
import { Loaded, Spark, Table, useLoad } from "../ui.tsx";
import type { Described } from "./machine.tsx";
import { type Run, runsOf } from "./runs.tsx";

const RUNS = 20;
const AT_ONCE = 3;

/** All visits of the states of some executions. */
async function visits(runs: Run[]): Promise<Map<string, Node[]>> {
  const found = new Map<string, Node[]>();
  await pool(runs, AT_ONCE, async (run) => {
    const history = new History();
    await load(run.executionArn, history, new Data(run.executionArn), () => {});
    for (const [name, of] of history.byState) found.set(name, [...(found.get(name) ?? []), ...of]);
  });
  return found;
}

export function Times({ of }: { of: Described }) {
  const [selected, setSelected] = useState<string>();
  const machine = useMemo(() => JSON.parse(of.definition) as Definition, [of.definition]);
  const loaded = useLoad(async () => {
    const { executions } = await runsOf({ stateMachineArn: of.stateMachineArn }, "", RUNS);
    return { runs: executions, byState: await visits(executions) };
  }, [of.stateMachineArn]);
  return (
    <Loaded of={loaded}>{({ runs, byState }) => {
      const now = Date.now() / 1000;
      const summaries = new Map([...byState].map(([name, nodes]) => [name, summary(nodes, now)]));
      const rows = [...states(machine)].map(([name, state]) => {
        const nodes = byState.get(name) ?? [];
        const times = nodes.filter((n) => n.ended !== undefined).map((n) => n.ended! - n.began);
        return { name, type: state.Type, of: summary(nodes, now), times, p50: percentile(times, 0.5), p95: percentile(times, 0.95) };
      });
      return runs.length === 0 ? <p class="empty">It has not run yet.</p> : (
        <>
          <p class="quiet">The last {count(runs.length, "execution")}, of whatever version of the definition each ran; states that are no longer there are left out.</p>
          <div class="split">
            <Graph machine={machine} summaries={summaries} hot selected={selected} onSelect={(name) => setSelected(name === selected ? undefined : name)} />
            <Table rows={rows} label="Times of states" mark={(r) => r.name === selected} columns={[
              { name: "State", cell: (r) => r.name, sort: (r) => r.name }, { name: "Visits", numeric: true, cell: (r) => r.of.visits || "", sort: (r) => r.of.visits },
              { name: "Total", numeric: true, cell: (r) => (r.of.visits ? duration(r.of.seconds) : ""), sort: (r) => r.of.seconds },
              { name: "p50", numeric: true, cell: (r) => (r.p50 === undefined ? "" : duration(r.p50)), sort: (r) => r.p50 ?? -1 }, { name: "p95", numeric: true, cell: (r) => (r.p95 === undefined ? "" : duration(r.p95)), sort: (r) => r.p95 ?? -1 },
              { name: "Failed", numeric: true, cell: (r) => r.of.by.failed + r.of.by.caught || "", sort: (r) => r.of.by.failed + r.of.by.caught }, { name: "Retries", numeric: true, cell: (r) => r.of.retries || "", sort: (r) => r.of.retries },
              { name: "Durations", cell: (r) => (r.times.length > 1 ? <Spark values={r.times.slice(-60)} label={`Durations of the last ${Math.min(60, r.times.length)} visits`} /> : "") },
            ]} />
          </div>
        </>
      );
    }}</Loaded>
  );
}
