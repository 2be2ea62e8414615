// What is known of one state: its visits and iterations, its attempts, input and output with what it changed, and the logs of what
// it ran.

import { useEffect, useState } from "preact/hooks";
import { link } from "../route.ts";
import { duration } from "../time.ts";
import { Arn, Badge, Empty, Failure, KeyValues, late, Loading, Time, Value, parsed } from "../ui.tsx";
import type { Data, Described } from "./data.ts";
import { type Machine, states } from "./graph.ts";
import { Log, Ran } from "./ran.tsx";
import { type History, type HistoryEvent, iterations, type Node, type Picked, picked } from "./states.ts";

const Try = late(() => import("./try.tsx").then((m) => m.Try));

/** So many iterations are in the list; of more, one is picked by its number. */
const OFFERED = 500;
/** Of so many attempts the parameters and causes are read. */
const READ = 20;

interface Shown { input?: string; output?: string; scheduled: Map<number, HistoryEvent>; answers: string[]; causes: Map<number, string> }

const first = (event?: HistoryEvent): Record<string, unknown> =>
  (event ? (Object.entries(event).find(([name]) => name.endsWith("EventDetails"))?.[1] as Record<string, unknown>) : undefined) ?? {};

export function Panel(props: { arn: string; history: History; data: Data; name: string; picks: Picked; onPick: (map: string, index?: number) => void; visit: number; onVisit: (n: number) => void; size: number; machine?: Machine; described: Described }) {
  const all = props.history.byState.get(props.name) ?? [];
  const visits = picked(all, props.picks);
  const at = Math.min(Math.max(0, props.visit), visits.length - 1);
  const node = visits[at];
  const maps = [...new Set(all.flatMap((visit) => iterations(visit).map((it) => it.parent!.name)))];
  return (
    <div>
      <h2>{props.name}</h2>
      {maps.map((map) => {
        const indexes = [...new Set(all.flatMap((v) => iterations(v).filter((it) => it.parent!.name === map).map((it) => it.index!)))].sort((a, b) => a - b);
        return (
          <p class="row" key={map}>
            <label>Iteration of {map}
              <select value={props.picks.get(map) ?? ""} onChange={(e) => props.onPick(map, e.currentTarget.value === "" ? undefined : Number(e.currentTarget.value))}>
                <option value="">all ({indexes.length})</option>
                {[...new Set([...indexes.slice(0, OFFERED), ...(props.picks.has(map) ? [props.picks.get(map)!] : [])])].map((n) => <option value={n}>#{n}</option>)}
              </select>
            </label>
            {indexes.length > OFFERED ? <label>of {indexes.length.toLocaleString()}, number <input type="number" min={0} max={indexes[indexes.length - 1]} value={props.picks.get(map)} onChange={(e) => props.onPick(map, e.currentTarget.value === "" ? undefined : Number(e.currentTarget.value))} /></label> : null}
          </p>
        );
      })}
      {visits.length > 1 ? (
        <p class="row">
          <button aria-label="Earlier visit" disabled={at <= 0} onClick={() => props.onVisit(at - 1)}>‹</button>
          visit {at + 1} of {visits.length}{node && iterations(node).length > 0 ? ` (${iterations(node).map((it) => it.name).join(" ")})` : ""}
          <button aria-label="Later visit" disabled={at >= visits.length - 1} onClick={() => props.onVisit(at + 1)}>›</button>
        </p>
      ) : null}
      {node?.type === "Task" ? <p><a href={link("lineage", `${props.arn}#${props.name}`, { detail: "OBJECT", depth: "1" })}>What it read and wrote</a></p> : null}
      {node ? <Visit key={node.id} arn={props.arn} machine={props.machine} described={props.described} node={node} history={props.history} data={props.data} size={props.size} /> : <Empty>This state was not reached.</Empty>}
    </div>
  );
}

function Visit({ arn, machine, described, node, history, data }: { arn: string; machine?: Machine; described: Described; node: Node; history: History; data: Data; size: number }) {
  const [shown, setShown] = useState<Shown>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let alive = true;
    const read = async () => {
      const input = node.entered ? first(await data.event(node.entered)).input : undefined;
      const output = node.exited ? first(await data.event(node.exited)).output : undefined;
      const scheduled = new Map<number, HistoryEvent>();
      const answers: string[] = [];
      for (const attempt of node.attempts.slice(0, READ)) {
        const event = await data.event(attempt.event);
        if (event) scheduled.set(attempt.event, event);
      }
      const own = history.events.filter((e) => /(Submitted|Succeeded)$/.test(e.type) && history.of(e.id) === node).slice(0, READ);
      for (const event of own) {
        const answer = first(await data.event(event.id)).output;
        if (typeof answer === "string") answers.push(answer);
      }
      // The history without data has the errors' names only.
      const causes = new Map<number, string>();
      for (const id of [node.failed, ...node.attempts.slice(0, READ).map((a) => a.over)]) {
        const { cause } = id === undefined ? {} as { cause?: unknown } : first(await data.event(id));
        if (typeof cause === "string") causes.set(id!, cause);
      }
      if (alive) setShown({ causes, input: input as string | undefined, output: output as string | undefined, scheduled, answers });
    };
    read().catch((e) => alive && setError(e));
    return () => { alive = false; };
  }, [node.id, node.exited, node.attempts.length, node.status]);
  return (
    <div>
      <KeyValues of={[
        ["Status", <Badge status={node.status} />], ["Type", node.type], ["Started", <Time at={node.began} />],
        ["Lasted", duration((node.ended ?? Date.now() / 1000) - node.began)],
        ["Map Run", node.mapRun ? <a href={link("map-run", node.mapRun)}>counts and children</a> : undefined],
      ]} />
      {node.error !== undefined || node.cause !== undefined ? <p class="error"><b>{node.error}</b> {words(node.cause ?? shown?.causes.get(node.failed ?? 0))}</p> : null}
      {error ? <Failure error={error} /> : null}
      {node.attempts.length > 0 ? (
        <>
          <h3>{node.attempts.length === 1 ? "Attempt" : `${node.attempts.length} attempts`}{node.attempts.length > READ ? <span class="quiet"> (causes and logs of the first {READ})</span> : null}</h3>
          <ol class="attempts">
            {node.attempts.map((attempt, n) => (
              <li key={attempt.event}>
                <Badge status={attempt.status} /> {duration((attempt.ended ?? Date.now() / 1000) - attempt.began)}
                {n > 0 ? <span class="quiet"> after a wait of {duration(attempt.began - (node.attempts[n - 1]!.ended ?? attempt.began))}</span> : null}
                {attempt.error ? <p class="error"><b>{attempt.error}</b> {words(attempt.cause ?? shown?.causes.get(attempt.over ?? 0))}</p> : null}
              </li>
            ))}
          </ol>
        </>
      ) : null}
      {shown ? (
        <>
          <Value title="Input" text={shown.input} />
          <Value title="Output" text={shown.output} before={parsed(shown.input)} compared />
          {node.variables && Object.keys(node.variables).length > 0 ? <Value title="Variables" text={JSON.stringify(node.variables)} /> : null}
          <Trial machine={machine} described={described} node={node} shown={shown} />
          <Ran key={node.id} arn={arn} node={node} scheduled={shown.scheduled} answers={shown.answers} causes={[...shown.causes.values()]} />
        </>
      ) : error ? null : <Loading />}
    </div>
  );
}

/** The state alone, with what it had here to begin with. */
function Trial({ machine, described, node, shown }: { machine?: Machine; described: Described; node: Node; shown: Shown }) {
  const [open, setOpen] = useState(false);
  const state = machine && [...states(machine)].find(([name]) => name === node.name)?.[1];
  if (!state) return null;
  const at = (seconds: number) => new Date(seconds * 1000).toISOString();
  const iteration = iterations(node).pop();
  const context = {
    Execution: { Id: described.executionArn, Input: parsed(described.input) ?? {}, Name: described.name, RoleArn: machine.roleArn, StartTime: at(described.startDate) },
    State: { Name: node.name, EnteredTime: at(node.began), RetryCount: 0 }, StateMachine: { Id: described.stateMachineArn, Name: described.stateMachineArn.split(":")[6] },
    ...(iteration ? { Map: { Item: { Index: iteration.index, Value: parsed(shown.input) } } } : {}),
  };
  return (
    <details class="try" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>Try this state</summary>
      {open ? <Try name={node.name} state={state} language={state.QueryLanguage ?? machine.QueryLanguage} role={machine.roleArn} input={shown.input} answer={shown.answers[shown.answers.length - 1]} context={context} /> : null}
    </details>
  );
}

/** A cause that is JSON, as Lambda's are, in words. */
export function words(cause?: string): string {
  if (!cause) return "";
  const value = parsed(cause) as { errorMessage?: string; errorType?: string; stackTrace?: string[] } | undefined;
  if (!value || typeof value !== "object" || typeof value.errorMessage !== "string") return cause;
  return [`${value.errorType ? `${value.errorType}: ` : ""}${value.errorMessage}`, ...(value.stackTrace ?? [])].join("\n");
}

export { Arn, Log };
