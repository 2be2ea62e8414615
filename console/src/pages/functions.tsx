// Functions: configuration, versions and what calls them, a test, metrics of the last day, logs.

import { useState } from "preact/hooks";
import { all, ApiError, base64, call, pool } from "../api.ts";
import { Log } from "../execution/panel.tsx";
import { link, setParams } from "../route.ts";
import { bytes, duration } from "../time.ts";
import { Arn, Badge, Failure, KeyValues, Loaded, Page, Table, Tabs, Time, useLoad, Value } from "../ui.tsx";
import { type Figure, LastDay } from "./lastday.tsx";

interface Fn { FunctionName: string; FunctionArn: string; Runtime?: string; Handler?: string; MemorySize?: number; Timeout?: number; CodeSize?: number; LastModified?: string; Role?: string; State?: string; StateReason?: string; Environment?: { Variables?: Record<string, string> }; Description?: string; LoggingConfig?: { LogGroup?: string } }

export default function Functions({ rest, params }: { rest: string; params: URLSearchParams }) {
  return rest ? <One name={rest} params={params} /> : <List />;
}

function List() {
  const loaded = useLoad(() => all<Fn>("lambda", "ListFunctions", {}, "Functions", "NextMarker"), [], ["lambda"]);
  return (
    <Page title="Functions">
      <Loaded of={loaded}>{({ items }) => <Table rows={items} label="Functions" empty="No function yet." columns={[
        { name: "Function", cell: (f) => <a href={link("functions", f.FunctionName)}>{f.FunctionName}</a>, sort: (f) => f.FunctionName, wide: true },
        { name: "Runtime", cell: (f) => f.Runtime, sort: (f) => f.Runtime ?? "" },
        { name: "Memory", numeric: true, cell: (f) => `${f.MemorySize} MB`, sort: (f) => f.MemorySize ?? 0 },
        { name: "Timeout", numeric: true, cell: (f) => `${f.Timeout} s`, sort: (f) => f.Timeout ?? 0 },
        { name: "Code", numeric: true, cell: (f) => bytes(f.CodeSize), sort: (f) => f.CodeSize ?? 0 },
        { name: "Changed", cell: (f) => <Time at={f.LastModified} />, sort: (f) => f.LastModified ?? "" },
      ]} />}</Loaded>
    </Page>
  );
}

function One({ name, params }: { name: string; params: URLSearchParams }) {
  const loaded = useLoad(() => call<{ Configuration: Fn; Concurrency?: { ReservedConcurrentExecutions?: number } }>("lambda", "GetFunction", { FunctionName: name }), [name], ["lambda"]);
  const tabs = ["Test", "Configuration", "Triggers", "Monitor", "Logs"];
  const tab = tabs.includes(params.get("tab") ?? "") ? params.get("tab")! : "Test";
  return (
    <Page title={name} kind="Function" up={["Functions", "#/functions"]}>
      <Loaded of={loaded}>{({ Configuration: f, Concurrency }) => (
        <>
          <Tabs names={tabs} now={tab} onPick={(t) => setParams({ tab: t })} />
          <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
            {tab === "Test" ? <Test name={name} /> : null}
            {tab === "Configuration" ? <div class="card"><KeyValues of={[
              ["ARN", <Arn arn={f.FunctionArn} />], ["State", f.State ? <Badge status={f.State} /> : ""], ["Why", f.StateReason], ["Runtime", f.Runtime], ["Handler", f.Handler], ["Memory", `${f.MemorySize} MB`], ["Timeout", `${f.Timeout} s`], ["Code", bytes(f.CodeSize)],
              ["Role", f.Role ? <Arn arn={f.Role} /> : ""], ["Reserved concurrency", Concurrency?.ReservedConcurrentExecutions], ["Changed", <Time at={f.LastModified} />],
              ...Object.keys(f.Environment?.Variables ?? {}).map((key): [string, string] => [`$${key}`, "set"]),
            ]} /></div> : null}
            {tab === "Triggers" ? <Triggers name={name} arn={f.FunctionArn} /> : null}
            {tab === "Monitor" ? <LastDay namespace="AWS/Lambda" dimensions={{ FunctionName: name }} figures={FIGURES} /> : null}
            {tab === "Logs" ? <Logs group={f.LoggingConfig?.LogGroup ?? `/aws/lambda/${name}`} /> : null}
          </div>
        </>
      )}</Loaded>
    </Page>
  );
}

interface Mapping { UUID: string; EventSourceArn?: string; State?: string; BatchSize?: number; LastProcessingResult?: string }
interface Named { Name: string; FunctionVersion: string; Description?: string }

/** So many buckets are asked whom they tell. */
const BUCKETS = 200;

interface Caller { kind: string; name: string; to?: string; what?: string }
interface Notified { LambdaFunctionConfigurations?: { LambdaFunctionArn: string; Events?: string[] }[] }

/** Rules, topics and buckets that call a function, and its URLs: of whatever version or alias. */
async function callers(name: string, arn: string): Promise<{ found: Caller[]; more: boolean }> {
  const its = (target?: string) => target === arn || target?.startsWith(`${arn}:`) === true;
  const [rules, topics, urls, buckets] = await Promise.all([
    all<string>("events", "ListRuleNamesByTarget", { TargetArn: arn }, "RuleNames", "NextToken"),
    all<{ TopicArn: string; Endpoint: string; Protocol: string }>("sns", "ListSubscriptions", {}, "Subscriptions", "NextToken", 10_000),
    all<{ FunctionUrl: string; AuthType: string }>("lambda", "ListFunctionUrlConfigs", { FunctionName: name }, "FunctionUrlConfigs", "NextMarker"),
    all<{ Name: string }>("s3", "ListBuckets", {}, "Buckets", "ContinuationToken", 10_000),
  ]);
  const told = await pool(buckets.items.slice(0, BUCKETS), 6, async ({ Name }): Promise<Caller[]> => {
    const { LambdaFunctionConfigurations: of = [] } = await call<Notified>("s3", "GetBucketNotificationConfiguration", { Bucket: Name }).catch(() => ({}) as Notified);
    return of.filter((c) => its(c.LambdaFunctionArn)).map((c) => ({ kind: "bucket", name: Name, to: link("lake", `s3/${Name}`), what: c.Events?.join(", ") }));
  });
  return {
    found: [
      ...rules.items.map((rule) => ({ kind: "rule", name: rule, to: link("rules", `rule/default/${rule}`) })),
      ...topics.items.filter((s) => s.Protocol === "lambda" && its(s.Endpoint)).map((s) => ({ kind: "topic", name: s.TopicArn.split(":").pop()!, to: link("topics", s.TopicArn) })),
      ...told.flat(), ...urls.items.map((u) => ({ kind: "URL", name: u.FunctionUrl, what: u.AuthType })),
    ],
    more: buckets.items.length > BUCKETS,
  };
}

function Callers({ name, arn }: { name: string; arn: string }) {
  const loaded = useLoad(() => callers(name, arn), [name, arn], ["events", "sns", "lambda"]);
  return (
    <>
      <h2>Called by</h2>
      <Loaded of={loaded}>{({ found, more }) => <>{more ? <p class="cut" role="status">The first {BUCKETS} buckets were asked whom they tell.</p> : null}<Table rows={found} label="Callers" empty="No rule of the default bus, no topic and no bucket calls it, and it has no URL." columns={[
        { name: "Kind", cell: (c) => c.kind, sort: (c) => c.kind }, { name: "Name", wide: true, cell: (c) => (c.to ? <a href={c.to}>{c.name}</a> : c.name), sort: (c) => c.name }, { name: "When", wide: true, cell: (c) => c.what },
      ]} /></>}</Loaded>
    </>
  );
}

/** Versions and aliases, environments that are kept warm, and the queues and streams that it reads. */
function Triggers({ name, arn }: { name: string; arn: string }) {
  const loaded = useLoad(async () => {
    const of = { FunctionName: name };
    const [versions, aliases, mappings, warm] = await Promise.all([
      all<Fn & { Version: string }>("lambda", "ListVersionsByFunction", of, "Versions", "NextMarker"), all<Named>("lambda", "ListAliases", of, "Aliases", "NextMarker"),
      all<Mapping>("lambda", "ListEventSourceMappings", of, "EventSourceMappings", "NextMarker"),
      call<{ ProvisionedConcurrencyConfigs?: { FunctionArn: string; AllocatedProvisionedConcurrentExecutions?: number; Status?: string }[] }>("lambda", "ListProvisionedConcurrencyConfigs", of).then((r) => r.ProvisionedConcurrencyConfigs ?? []),
    ]);
    return { versions: versions.items, aliases: aliases.items, mappings: mappings.items, warm };
  }, [name], ["lambda"]);
  return <Loaded of={loaded}>{({ versions, aliases, mappings, warm }) => (
    <>
      <h2>Event sources</h2>
      <Table rows={mappings} label="Event sources" empty="It reads no queue and no stream." columns={[
        { name: "Source", wide: true, cell: (m) => <Arn arn={m.EventSourceArn ?? ""} /> }, { name: "State", cell: (m) => <Badge status={(m.State ?? "").toUpperCase()} /> }, { name: "Batch", numeric: true, cell: (m) => m.BatchSize }, { name: "Last", wide: true, cell: (m) => m.LastProcessingResult },
      ]} />
      <Callers name={name} arn={arn} />
      <h2>Provisioned concurrency</h2>
      <Table rows={warm} label="Provisioned concurrency" empty="No environment is provisioned." columns={[{ name: "Of", wide: true, cell: (w) => <Arn arn={w.FunctionArn} /> }, { name: "Environments", numeric: true, cell: (w) => w.AllocatedProvisionedConcurrentExecutions }, { name: "Status", cell: (w) => <Badge status={w.Status ?? ""} /> }]} />
      <h2>Aliases</h2>
      <Table rows={aliases} label="Aliases" empty="It has no aliases." columns={[{ name: "Alias", cell: (a) => a.Name, sort: (a) => a.Name }, { name: "Version", numeric: true, cell: (a) => a.FunctionVersion }, { name: "Description", wide: true, cell: (a) => a.Description }]} />
      <h2>Versions</h2>
      <Table rows={versions} label="Versions" columns={[{ name: "Version", cell: (v) => v.Version }, { name: "Code", numeric: true, cell: (v) => bytes(v.CodeSize) }, { name: "Changed", cell: (v) => <Time at={v.LastModified} /> }, { name: "Description", wide: true, cell: (v) => v.Description }]} />
    </>
  )}</Loaded>;
}

const FIGURES: Figure[] = [["Invocations", "Sum", "invocations"], ["Errors", "Sum", "errors"], ["Throttles", "Sum", "throttles"], ["Duration", "Average", "ms on average"], ["ConcurrentExecutions", "Maximum", "at once, at most"]];

function Test({ name }: { name: string }) {
  const saved = `lakerun:event:${name}`;
  const [text, setText] = useState(localStorage.getItem(saved) ?? "{}");
  const [answer, setAnswer] = useState<{ payload?: string; error?: string; log?: string; seconds: number }>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const run = async (e: Event) => {
    e.preventDefault();
    setError(undefined);
    setBusy(true);
    const began = performance.now();
    try {
      try { JSON.parse(text); } catch (bad) { throw new Error(`The event is not JSON: ${(bad as Error).message}`); }
      localStorage.setItem(saved, text);
      const found = await call<{ Payload?: string; FunctionError?: string; LogResult?: string }>("lambda", "Invoke", { FunctionName: name, Payload: base64(text), LogType: "Tail" });
      const plain = (b64?: string) => (b64 === undefined ? undefined : new TextDecoder().decode(Uint8Array.from(atob(b64), (c) => c.charCodeAt(0))));
      setAnswer({ payload: plain(found.Payload), error: found.FunctionError, log: plain(found.LogResult), seconds: (performance.now() - began) / 1000 });
    } catch (wrong) { setError(wrong); } finally { setBusy(false); }
  };
  return (
    <form onSubmit={run}>
      <label style="display:grid">Event (JSON) <textarea rows={8} value={text} spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} /></label>
      <p><button class="primary" disabled={busy}>{busy ? "Running…" : "Run"}</button></p>
      {error ? <Failure error={error} /> : null}
      {answer ? <div class="card"><p><Badge status={answer.error ? "FAILED" : "SUCCEEDED"} /> {answer.error} <span class="quiet">{duration(answer.seconds)}</span></p><Value title="Answer" text={answer.payload} />{answer.log ? <><h3>Log</h3><pre tabIndex={0}>{answer.log}</pre></> : null}</div> : null}
    </form>
  );
}

/** Of a group without a choice of streams the newest lines are shown: the shortest of these times, in minutes, that has enough. */
const SPANS: [number, string][] = [[10, "ten minutes"], [120, "two hours"], [1440, "day"]];
const ENOUGH = 100;
const LINES = 2000;

/** A group's lines: of some streams, or lines with a pattern, all; else the newest. */
export function Logs({ group, streams, prefix, pattern }: { group: string; streams?: string[]; prefix?: string; pattern?: string }) {
  const whole = Boolean(streams || prefix || pattern);
  const loaded = useLoad(async () => {
    const of = { logGroupName: group, ...(streams ? { logStreamNames: streams } : {}), ...(prefix ? { logStreamNamePrefix: prefix } : {}), ...(pattern ? { filterPattern: pattern } : {}) };
    const read = (startTime?: number) => all<{ timestamp: number; message: string }>("logs", "FilterLogEvents", startTime ? { ...of, startTime } : of, "events", "nextToken", LINES);
    const sorted = (items: { timestamp: number; message: string }[]) => items.sort((a, b) => a.timestamp - b.timestamp);
    if (whole) return { events: sorted((await read()).items), span: "" };
    for (const [minutes, span] of SPANS) {
      const { items, more } = await read(Date.now() - minutes * 60_000);
      if (items.length >= ENOUGH || more || minutes === 1440) return { events: sorted(items), span };
    }
    return { events: [], span: "day" };
  }, [group, streams?.join(), prefix, pattern], ["logs"]);
  if (loaded.value === undefined && loaded.error instanceof ApiError && loaded.error.code.includes("ResourceNotFound")) return <p class="quiet">No logs yet in {group}.</p>;
  return <Loaded of={loaded}>{({ events, span }) => (events.length === 0 ? <p class="quiet">{whole ? `It has logged nothing in ${group} that is kept.` : `No logs of the last day in ${group}.`}</p> : (
    <>{whole ? null : <p class="quiet">The last {span} of <a href={link("logs", "", { group })}>{group}</a>.</p>}<Log events={events} /></>
  ))}</Loaded>;
}
