// What a state ran, with the way there, and the log of that: of a function this invocation's lines only, of a job its own streams.

import { useEffect, useState } from "preact/hooks";
import { call, listen, some } from "../api.ts";
import { arnLink, link } from "../route.ts";
import { Loading, parsed } from "../ui.tsx";
import { begun, type LogEvent, own } from "./invocation.ts";
import type { Attempt, HistoryEvent, Node } from "./states.ts";

/** Where its log is: a function's, told by its requests; or streams of a group, by their names, or by a word that their lines have. */
type Source = { function: string; requests: string[] } | { group: string; streams?: string[]; prefix?: string; crawler?: string };
interface Trace { sources: Source[]; links: [string, string][] }

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const functionName = (name: string): string => name.replace(/^.*function:/, "").split(":")[0]!;

interface Known { node: Node; scheduled: Map<number, HistoryEvent>; answers: string[]; causes: string[] }

/** What a state ran, as its parameters and answers name it. */
function trace({ node, scheduled, answers, causes }: Known): Trace {
  const found: Trace = { sources: [], links: [] };
  const last = node.attempts[node.attempts.length - 1];
  if (!last) return found;
  const details = Object.entries(scheduled.get(last.event) ?? {}).find(([name]) => name.endsWith("EventDetails"))?.[1] as Record<string, unknown> | undefined;
  const parameters = (parsed(details?.parameters as string | undefined) ?? {}) as Record<string, unknown>;
  const resource = last.resource || text(details?.resource);
  const said = answers.map((a) => parsed(a) as Record<string, unknown> | undefined).filter((a) => a && typeof a === "object") as Record<string, unknown>[];
  if (/^(aws-sdk:)?lambda:invoke/.test(resource) || resource.includes(":function:")) {
    const name = functionName(text(parameters.FunctionName) || resource);
    const requests = said.map((a) => text((a.SdkResponseMetadata as Record<string, unknown> | undefined)?.RequestId)).filter(Boolean);
    // A function that fails says in its cause which request that was.
    requests.push(...causes.map((cause) => text((parsed(cause) as Record<string, unknown> | undefined)?.requestId)).filter(Boolean));
    found.sources.push({ function: name, requests });
    found.links.push([`Function ${name}`, link("functions", name)]);
  }
  if (/glue:startCrawler/.test(resource)) {
    const crawler = text(parameters.Name);
    found.sources.push({ group: "/aws-glue/crawlers", streams: [crawler], crawler });
    found.links.push([`Crawler ${crawler}`, link("jobs", `crawler/${crawler}`)]);
  }
  if (/sagemaker:createTransformJob/.test(resource)) {
    const job = text(parameters.TransformJobName);
    found.sources.push({ group: "/aws/sagemaker/TransformJobs", prefix: `${job}/` });
    found.links.push([`Transform ${job}`, link("models", `transform/${job}`)]);
  }
  const runs: string[] = [];
  for (const answer of said) {
    const query = (answer.QueryExecution as Record<string, unknown> | undefined)?.QueryExecutionId ?? answer.QueryExecutionId;
    if (typeof query === "string") found.links.push([`Query ${query}`, link("sql", "", { query })]);
    const run = /glue:startJobRun/.test(resource) ? text(answer.JobRunId ?? answer.Id) : "";
    if (run && !runs.includes(run)) {
      const job = text(answer.JobName ?? parameters.JobName);
      runs.push(run);
      found.links.push([`Run ${run} of ${job}`, link("jobs", job, { run })]);
    }
    const nested = text(answer.ExecutionArn);
    if (nested) found.links.push([`Execution ${nested.split(":").pop()}`, arnLink(nested) ?? "#"]);
  }
  if (runs.length > 0) found.sources.push(...["/aws-glue/jobs/output", "/aws-glue/jobs/error"].map((group) => ({ group, streams: runs })));
  const unique = new Map(found.links.map((l) => [l[1], l]));
  return { ...found, links: [...unique.values()] };
}

/** So many lines are read of one log; that there are more is said. */
const MOST = 5000;
/** So long before and after an attempt its lines may be dated. */
const SLACK_MS = 1000;

interface Part { title: string; events: LogEvent[]; more: boolean; note?: string }

const filter = async (of: object): Promise<{ items: LogEvent[]; more: boolean }> => some<LogEvent>("logs", "FilterLogEvents", of, "events", "nextToken", MOST);

/** What the state has started, as the lineage knows it: ids of workers. */
async function started(arn: string, state: string): Promise<string[]> {
  const worker = `${arn}#${state}`;
  const { Edges = [] } = await call<{ Edges?: { Source: string; Target: string; Type: string }[] }>("lineage", "GetLineage", { Resource: worker, MaxDepth: 1 });
  return Edges.filter((e) => e.Type === "STARTED" && e.Source === worker).map((e) => e.Target);
}

/** The group that a function logs to. */
const groupOf = (name: string): Promise<string> =>
  call<{ LoggingConfig?: { LogGroup?: string } }>("lambda", "GetFunctionConfiguration", { FunctionName: name }).then((f) => f.LoggingConfig?.LogGroup ?? `/aws/lambda/${name}`, () => `/aws/lambda/${name}`);

const span = (attempt: Attempt): [number, number] => [attempt.began * 1000 - SLACK_MS, (attempt.ended ?? Date.now() / 1000) * 1000 + SLACK_MS];

/** The log of the state's own invocations, attempt by attempt: the history or a cause names the request; else it is one that the lineage knows of this state, that began during the attempt, and of several the one that ended as the attempt did. */
async function invocations(arn: string, node: Node, source: { function: string; requests: string[] }): Promise<Part[]> {
  const logGroupName = await groupOf(source.function);
  const spans = node.attempts.map(span);
  const { items, more } = await filter({ logGroupName, startTime: Math.floor(spans[0]![0]), endTime: Math.ceil(spans[spans.length - 1]![1]) });
  const named = [...new Set(source.requests)].filter((request) => own(items, request).length > 0);
  const parts = named.map((request): Part => ({ title: `Invocation ${request} in ${logGroupName}`, events: own(items, request), more }));
  if (named.length >= node.attempts.length) return parts;
  const known = (await started(arn, node.name).catch(() => [])).map((id) => id.split("#").pop()!);
  const taken = new Set(named);
  for (const [n, attempt] of node.attempts.entries()) {
    const running = attempt.ended === undefined;
    const there = begun(items, ...spans[n]!).filter((r) => !taken.has(r) && (running || known.includes(r)));
    const end = (request: string) => own(items, request).pop()?.timestamp ?? 0;
    const off = (request: string) => Math.abs(end(request) - attempt.ended! * 1000);
    // One that was named already is an attempt's own: there are as many left as attempts without.
    const chosen = running ? there : there.sort((a, b) => off(a) - off(b)).slice(0, 1);
    const note = running ? (there.length > 1 ? "While it runs, its log is told from those of other invocations by its time only: these began meanwhile." : undefined)
      : there.length > 1 ? `Told by its end from ${there.length - 1} other ${there.length === 2 ? "invocation" : "invocations"} of this state at this time.` : undefined;
    for (const request of chosen) {
      taken.add(request);
      parts.push({ title: `Invocation ${request} in ${logGroupName}`, events: own(items, request, running), more, note });
    }
    if (parts.length >= node.attempts.length && !running) break;
  }
  return parts;
}

async function read(arn: string, node: Node, source: Source): Promise<Part[]> {
  if ("function" in source) return invocations(arn, node, source);
  const { group, streams, prefix, crawler } = source;
  const of = { logGroupName: group, startTime: Math.floor(node.began * 1000) - SLACK_MS, ...(streams ? { logStreamNames: streams } : {}), ...(prefix ? { logStreamNamePrefix: prefix } : {}) };
  if (crawler === undefined) {
    const { items, more } = await filter(of);
    return [{ title: group, events: items, more }];
  }
  // A crawl goes on when its state is left; each of its lines has its id.
  const ids = (await started(arn, node.name)).filter((id) => id.startsWith("glue:crawl:")).map((id) => id.split(":").pop()!);
  return Promise.all(ids.map(async (id) => { const { items, more } = await filter({ ...of, filterPattern: `"${id}"` }); return { title: `Crawl ${id}`, events: items, more }; }));
}

/** So often a log that grows is read again. */
const LOG_MS = 1000;

export function Ran({ arn, ...known }: Known & { arn: string }) {
  const { node } = known;
  const last = node.attempts[node.attempts.length - 1];
  const [parts, setParts] = useState<Part[]>();
  const [unread, setUnread] = useState<string>();
  const found = trace(known);
  useEffect(() => {
    let alive = true;
    if (found.sources.length === 0 || !last) return undefined;
    const look = () => Promise.all(found.sources.map((source) => read(arn, node, source).catch((e: Error & { code?: string }) => {
      if (alive && !e.code?.includes("ResourceNotFound")) setUnread(e.message);
      return [] as Part[];
    }))).then((lists) => { if (alive) setParts(lists.flat()); });
    void look();
    // While it runs, its log is read again when there is more of it.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const goesOn = last.ended === undefined || found.sources.some((s) => "crawler" in s && s.crawler);
    const close = goesOn ? listen(["logs"], () => { timer ??= setTimeout(() => { timer = undefined; void look(); }, LOG_MS); }) : undefined;
    return () => { alive = false; clearTimeout(timer); close?.(); };
  }, [node.id, node.exited, last?.ended, known.answers.length]);
  if (found.sources.length === 0 && found.links.length === 0) return null;
  const lines = parts?.reduce((n, part) => n + part.events.length, 0);
  return (
    <>
      <h3>What it ran</h3>
      {found.links.map(([name, to]) => <p key={to}><a href={to}>{name}</a></p>)}
      {unread ? <p class="cut" role="status">Its log could not be read: {unread}</p> : null}
      {found.sources.length === 0 ? null : parts === undefined ? <Loading /> : lines === 0 ? <p class="quiet">It has logged nothing that is kept.</p> : parts.filter((p) => p.events.length > 0).map((part) => (
        <div key={part.title}>
          {part.note ? <p class="cut" role="status">{part.note}</p> : null}
          <p class="title">{part.title}{part.more ? <span class="quiet"> (of the first {MOST.toLocaleString()} lines of this time)</span> : null}</p>
          <Log events={part.events} />
        </div>
      ))}
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
