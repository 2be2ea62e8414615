// The first page: executions of all state machines, newest first.

import { useEffect, useState } from "preact/hooks";
import { clock, duration } from "../time.ts";
import { type Execution, load } from "./data.ts";

const STATUSES = ["", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];

export function Executions({ onError }: { onError: (e: unknown) => void }) {
  const [status, setStatus] = useState("");
  const [executions, setExecutions] = useState<Execution[]>();
  useEffect(() => {
    let alive = true;
    const refresh = () => load(status).then((r) => alive && setExecutions(r.executions)).catch(onError);
    refresh();
    const timer = setInterval(refresh, 2000);
    return () => { alive = false; clearInterval(timer); };
  }, [status]);
  return (
    <section>
      <header class="bar">
        <h1>Executions</h1>
        <select aria-label="Status" value={status} onChange={(e) => setStatus(e.currentTarget.value)}>
          {STATUSES.map((s) => <option value={s}>{s || "All"}</option>)}
        </select>
      </header>
      {executions === undefined ? <p class="quiet">Loading…</p> : executions.length === 0
        ? <p class="quiet">No executions yet. Start one: <code>aws stepfunctions start-execution --state-machine-arn …</code></p>
        : (
          <table>
            <thead><tr><th>Execution</th><th>State machine</th><th>Status</th><th>Started</th><th>Duration</th></tr></thead>
            <tbody>
              {executions.map((e) => (
                <tr key={e.executionArn}>
                  <td><a href={`#/execution/${encodeURIComponent(e.executionArn)}`}>{e.name}</a></td>
                  <td>{e.stateMachineArn.split(":").pop()}</td>
                  <td><span class="badge" data-status={e.status}>{e.status}</span></td>
                  <td>{clock(e.startDate)}</td>
                  <td>{duration((e.stopDate ?? Date.now() / 1000) - e.startDate)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
    </section>
  );
}
