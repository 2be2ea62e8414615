// One execution: live graph, the selected state's input, output and error, and the table of events.

import { useEffect, useMemo, useState } from "preact/hooks";
import { clock, duration } from "../time.ts";
import { stop } from "../executions/data.ts";
import { definition, type Described, describe, history } from "./data.ts";
import type { Machine } from "./graph.ts";
import { Graph } from "./graphview.tsx";
import { type HistoryEvent, runs } from "./states.ts";

const MAX_ROWS = 500;

const pretty = (text?: string): string => {
  if (text === undefined) return "";
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};

function Block({ title, text }: { title: string; text?: string }) {
  return text === undefined ? null : <details open><summary>{title}</summary><pre>{pretty(text)}</pre></details>;
}

export function Execution({ arn, onError }: { arn: string; onError: (e: unknown) => void }) {
  const [described, setDescribed] = useState<Described>();
  const [machine, setMachine] = useState<Machine>();
  const [events, setEvents] = useState<HistoryEvent[]>([]);
  const [selected, setSelected] = useState<string>();
  useEffect(() => {
    let alive = true;
    let timer: ReturnType<typeof setTimeout>;
    const refresh = async () => {
      try {
        const now = await describe(arn);
        const all = await history(arn);
        if (!alive) return;
        setDescribed(now);
        setEvents(all);
        if (now.status === "RUNNING") timer = setTimeout(refresh, 700);
      } catch (e) { if (alive) onError(e); }
    };
    definition(arn).then((m) => alive && setMachine(m)).catch(onError);
    refresh();
    return () => { alive = false; clearTimeout(timer); };
  }, [arn]);
  const byState = useMemo(() => runs(events, described?.status ?? "RUNNING", Date.now() / 1000), [events, described]);
  if (!described) return <p class="quiet">Loading…</p>;
  const state = selected ? byState.get(selected) : undefined;
  const start = described.startDate;
  return (
    <section>
      <header class="bar">
        <a href="#/">← Executions</a>
        <h1>{described.name}</h1>
        <span class="badge" data-status={described.status}>{described.status}</span>
        <span class="quiet">{clock(start)} · {duration((described.stopDate ?? Date.now() / 1000) - start)} · {events.length} events</span>
        {described.status === "RUNNING" ? <button onClick={() => stop(arn).catch(onError)}>Stop</button> : null}
      </header>
      {described.error ? <p class="error"><b>{described.error}</b> {described.cause}</p> : null}
      <div class="split">
        <div class="canvas">{machine ? <Graph machine={machine} runs={byState} selected={selected} onSelect={setSelected} /> : null}</div>
        <aside>
          {selected ? (
            <>
              <h2>{selected}</h2>
              <p class="quiet">{state ? `${state.status} · ${duration(state.seconds)}${state.entered > 1 ? ` · ${state.entered} runs` : ""}${state.retries ? ` · ${state.retries} retries` : ""}` : "not reached"}</p>
              {state?.error ? <p class="error"><b>{state.error}</b> {state.cause}</p> : null}
              <Block title="Input" text={state?.input} />
              <Block title="Output" text={state?.output} />
            </>
          ) : (
            <>
              <h2>Execution</h2>
              <Block title="Input" text={described.input} />
              <Block title="Output" text={described.output} />
            </>
          )}
        </aside>
      </div>
      <h2>Events</h2>
      <table class="events">
        <thead><tr><th>#</th><th>After</th><th>Type</th><th>State</th><th>Details</th></tr></thead>
        <tbody>
          {events.slice(-MAX_ROWS).map((e) => {
            const details = Object.entries(e).find(([k]) => k.endsWith("EventDetails"))?.[1] as Record<string, unknown> | undefined;
            const text = details ? JSON.stringify(details) : "";
            return (
              <tr key={e.id}>
                <td>{e.id}</td>
                <td>{duration(Math.max(0, e.timestamp - start))}</td>
                <td>{e.type}</td>
                <td>{e.stateEnteredEventDetails?.name ?? e.stateExitedEventDetails?.name ?? ""}</td>
                <td class="details" title={text.slice(0, 4000)}>{text.slice(0, 160)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
