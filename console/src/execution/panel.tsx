// What is known of one state: its visits and iterations, its attempts, input and output with what it changed, and the logs of what
// it ran.

import { useEffect, useState } from "preact/hooks";
import { call, listen } from "../api.ts";
import { arnLink, link } from "../route.ts";
import { duration } from "../time.ts";
import { Arn, Badge, Empty, Failure, KeyValues, Loading, Time, Value, parsed } from "../ui.tsx";
import type { Data } from "./data.ts";
import { type Attempt, type History, type HistoryEvent, iterations, type Node, type Picked, picked } from "./states.ts";

interface Shown { input?: string; output?: string; scheduled: Map<number, HistoryEvent>; answers: string[]; causes: Map<number, string> }

const first = (event?: HistoryEvent): Record<string, unknown> =>
  (event ? (Object.entries(event).find(([name]) => name.endsWith("EventDetails"))?.[1] as Record<string, unknown>) : undefined) ?? {};

export function Panel(props: { arn: string; history: History; data: Data; name: string; picks: Picked; onPick: (map: string, index?: number) => void; visit: number; onVisit: (n: number) => void; size: number }) {
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
                {indexes.slice(0, 2000).map((n) => <option value={n}>#{n}</option>)}
              </select>
            </label>
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
      {node ? <Visit key={node.id} node={node} history={props.history} data={props.data} size={props.size} /> : <Empty>This state was not reached.</Empty>}
    </div>
  );
}

function Visit({ node, history, data }: { node: Node; history: History; data: Data; size: number }) {
  const [shown, setShown] = useState<Shown>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let alive = true;
    const read = async () => {
      const input = node.entered ? first(await data.event(node.entered)).input : undefined;
      const output = node.exited ? first(await data.event(node.exited)).output : undefined;
      const scheduled = new Map<number, HistoryEvent>();
      const answers: string[] = [];
      for (const attempt of node.attempts.slice(0, 20)) {
        const event = await data.event(attempt.event);
        if (event) scheduled.set(attempt.event, event);
      }
      const own = history.events.filter((e) => /(Submitted|Succeeded)$/.test(e.type) && history.of(e.id) === node).slice(0, 20);
      for (const event of own) {
        const answer = first(await data.event(event.id)).output;
        if (typeof answer === "string") answers.push(answer);
      }
      // The history without data has the errors' names only.
      const causes = new Map<number, string>();
      for (const id of [node.failed, ...node.attempts.slice(0, 20).map((a) => a.over)]) {
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
          <h3>{node.attempts.length === 1 ? "Attempt" : `${node.attempts.length} attempts`}</h3>
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
          <Ran node={node} shown={shown} />
        </>
      ) : error ? null : <Loading />}
    </div>
  );
}

/** A cause that is JSON, as Lambda's are, in words. */
export function words(cause?: string): string {
  if (!cause) return "";
  const value = parsed(cause) as { errorMessage?: string; errorType?: string; stackTrace?: string[] } | undefined;
  if (!value || typeof value !== "object" || typeof value.errorMessage !== "string") return cause;
  return [`${value.errorType ? `${value.errorType}: ` : ""}${value.errorMessage}`, ...(value.stackTrace ?? [])].join("\n");
}

interface Trace { groups: string[]; streams?: string[]; links: [string, string][] }

/** What a state ran, as its parameters and answers name it. */
function trace(attempt: Attempt, scheduled: HistoryEvent | undefined, answers: string[]): Trace {
  const told = first(scheduled);
  const parameters = (parsed(told.parameters as string | undefined) ?? {}) as Record<string, unknown>;
  const found: Trace = { groups: [], links: [] };
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  const resource = attempt.resource || text(told.resource);
  if (resource.startsWith("lambda:") || resource.includes(":function:")) {
    const name = (text(parameters.FunctionName) || resource).replace(/^.*:function:/, "").split(":")[0]!;
    found.groups.push(`/aws/lambda/${name}`);
    found.links.push([`Function ${name}`, link("functions", name)]);
  }
  for (const answer of answers.map((a) => parsed(a) as Record<string, unknown> | undefined)) {
    if (!answer || typeof answer !== "object") continue;
    const query = (answer.QueryExecution as Record<string, unknown> | undefined)?.QueryExecutionId ?? answer.QueryExecutionId;
    if (typeof query === "string") found.links.push([`Query ${query}`, link("sql", "", { query })]);
    const run = resource.startsWith("glue:") ? text(answer.JobRunId ?? answer.Id) : "";
    if (run) {
      const job = text(answer.JobName ?? parameters.JobName);
      found.groups.push("/aws-glue/jobs/output", "/aws-glue/jobs/error");
      found.streams = [run];
      found.links.push([`Run of ${job}`, link("jobs", job)]);
    }
    const nested = text(answer.ExecutionArn);
    if (nested) found.links.push([`Execution ${nested.split(":").pop()}`, arnLink(nested) ?? "#"]);
  }
  const unique = new Map(found.links.map((l) => [l[1], l]));
  return { ...found, links: [...unique.values()] };
}

/** So often a log that grows is read again. */
const LOG_MS = 1000;

interface LogEvent { timestamp: number; message: string }

function Ran({ node, shown }: { node: Node; shown: Shown }) {
  const last = node.attempts[node.attempts.length - 1];
  const [events, setEvents] = useState<LogEvent[]>();
  const found = last ? trace(last, shown.scheduled.get(last.event), shown.answers) : undefined;
  useEffect(() => {
    let alive = true;
    setEvents(undefined);
    if (!found || found.groups.length === 0 || !last) return undefined;
    const read = async () => {
      const lists = await Promise.all(found.groups.map((logGroupName) =>
        call<{ events: LogEvent[] }>("logs", "FilterLogEvents", {
          logGroupName, limit: 500, startTime: Math.floor(node.began * 1000) - 500, endTime: Math.ceil((last.ended ?? Date.now() / 1000) * 1000) + 1500,
          ...(found.streams ? { logStreamNames: found.streams } : {}),
        }).then((page) => page.events, () => [])));
      if (alive) setEvents(lists.flat().sort((a, b) => a.timestamp - b.timestamp));
    };
    void read();
    // While it runs, its log is read again when there is more of it.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const close = last.ended === undefined ? listen(["logs"], () => { timer ??= setTimeout(() => { timer = undefined; void read(); }, LOG_MS); }) : undefined;
    return () => { alive = false; clearTimeout(timer); close?.(); };
  }, [node.id, node.exited, last?.ended, found?.streams?.[0]]);
  if (!found || (found.groups.length === 0 && found.links.length === 0)) return null;
  return (
    <>
      <h3>What it ran</h3>
      {found.links.map(([name, to]) => <p key={to}><a href={to}>{name}</a></p>)}
      {found.groups.length === 0 ? null : events === undefined ? <Loading /> : events.length === 0 ? <p class="quiet">No logs of this time in {found.groups.join(", ")}.</p> : <Log events={events} />}
    </>
  );
}

export const Log = ({ events }: { events: LogEvent[] }) => (
  <div class="log" tabIndex={0} role="region" aria-label="Log">
    {events.map((e, i) => (
      <div key={i} class={/error|exception|traceback/i.test(e.message) ? "bad" : ""}>
        <time>{new Date(e.timestamp).toLocaleTimeString(undefined, { hour12: false })}.{String(e.timestamp % 1000).padStart(3, "0")}</time> {e.message.trimEnd()}
      </div>
    ))}
  </div>
);

export { Arn };
