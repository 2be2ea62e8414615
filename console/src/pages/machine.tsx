// One state machine: its executions, its definition beside its graph, versions and aliases, and the form that starts it.

import { useEffect, useMemo, useState } from "preact/hooks";
import { all, call, listen } from "../api.ts";
import type { Machine as Definition } from "../execution/graph.ts";
import { Graph } from "../execution/graphview.tsx";
import { Start } from "../execution/view.tsx";
import { setParams } from "../route.ts";
import { count, duration } from "../time.ts";
import { Arn, Badge, Copy, Failure, fail, KeyValues, Loaded, Page, say, Table, Tabs, Time, useLoad } from "../ui.tsx";
import { figures, type Run, runColumns, runsOf, STATUSES } from "./runs.tsx";

interface Described { stateMachineArn: string; name: string; status: string; definition: string; roleArn: string; type: string; creationDate: number; revisionId?: string; description?: string; loggingConfiguration?: { level?: string; destinations?: { cloudWatchLogsLogGroup?: { logGroupArn?: string } }[] } }

const TABS = ["Executions", "Definition", "Versions"];

export default function Machine({ rest: arn, params }: { rest: string; params: URLSearchParams }) {
  const machine = useLoad(() => call<Described>("states", "DescribeStateMachine", { stateMachineArn: arn }), [arn]);
  const [starting, setStarting] = useState(false);
  const tab = TABS.includes(params.get("tab") ?? "") ? params.get("tab")! : "Executions";
  const base = arn.split(":").slice(0, 7).join(":");
  return (
    <Page title={base.split(":").pop() ?? arn} kind="State machine" up={["State machines", "#/machines"]}
      actions={<button class="primary" onClick={() => setStarting(true)}>Start…</button>}
      note={machine.value ? <p class="row"><span class="quiet">{machine.value.type.toLowerCase()} · <Arn arn={arn} /></span></p> : null}>
      <Loaded of={machine}>{(m) => (
        <>
          <Tabs names={TABS} now={tab} onPick={(name) => setParams({ tab: name === "Executions" ? undefined : name })} />
          <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
            {tab === "Executions" ? (m.type === "EXPRESS" ? <Express of={m} /> : <Executions arn={arn} params={params} />) : null}
            {tab === "Definition" ? <Defined of={m} onSaved={machine.again} /> : null}
            {tab === "Versions" ? <Versions arn={base} of={m} /> : null}
          </div>
        </>
      )}</Loaded>
      {starting ? <Start machine={arn} input="{}" onClose={() => setStarting(false)} /> : null}
    </Page>
  );
}

function Express({ of }: { of: Described }) {
  const group = of.loggingConfiguration?.destinations?.[0]?.cloudWatchLogsLogGroup?.logGroupArn?.split(":")[6];
  return <p>Of Express executions only their logs are kept: {group ? <a href={`#/logs?group=${encodeURIComponent(group)}`}>{group}</a> : "this machine has no logging configured."}</p>;
}

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
  const more = next ? () => { runsOf(of, status, 1000, next).then((page) => { setRuns((old) => [...(old ?? []), ...page.executions]); setNext(page.nextToken); }, fail); } : undefined;
  const shown = useMemo(() => (runs ?? []).filter((r) => r.name.toLowerCase().includes(name.toLowerCase())), [runs, name]);
  const told = figures(runs ?? []);
  return (
    <>
      <div class="row">
        <label>Status <select value={status} onChange={(e) => setParams({ status: e.currentTarget.value || undefined })}><option value="">all</option>{STATUSES.map((s) => <option value={s}>{s.toLowerCase().replace("_", " ")}</option>)}</select></label>
        <label>Name <input type="search" value={name} onInput={(e) => setParams({ name: e.currentTarget.value || undefined })} /></label>
        {runs ? <span class="quiet">{count(runs.length, "execution")}{next ? " so far" : ""}{told.rate === undefined ? "" : ` · ${Math.round(told.rate * 100)} % succeeded`}{told.p50 === undefined ? "" : ` · p50 ${duration(told.p50)} · p95 ${duration(told.p95!)}`}</span> : null}
      </div>
      {error ? <Failure error={error} /> : null}
      {runs ? <Table rows={shown} label="Executions" columns={runColumns(false)} key={(r) => r.executionArn} more={more}
        empty={status || name ? `No execution ${name ? `with “${name}” in its name ` : ""}${status ? `is ${status.toLowerCase().replace("_", " ")}` : "was found"}.` : "It has not run yet: Start… runs it."} /> : null}
    </>
  );
}

interface Diagnostic { severity: string; code: string; message: string; location?: string }

function Defined({ of, onSaved }: { of: Described; onSaved: () => void }) {
  const [text, setText] = useState(of.definition);
  const [found, setFound] = useState<Diagnostic[]>([]);
  const [drawn, setDrawn] = useState<Definition>(() => JSON.parse(of.definition) as Definition);
  const [selected, setSelected] = useState<string>();
  // Checked by the server while it is typed, once the typing pauses.
  useEffect(() => {
    if (text === of.definition) { setFound([]); return undefined; }
    const timer = setTimeout(() => {
      call<{ result: string; diagnostics: Diagnostic[] }>("states", "ValidateStateMachineDefinition", { definition: text, type: of.type }).then((answer) => {
        setFound(answer.diagnostics);
        if (answer.result === "OK") setDrawn(JSON.parse(text) as Definition);
      }, (e: Error) => setFound([{ severity: "ERROR", code: "", message: e.message }]));
    }, 500);
    return () => clearTimeout(timer);
  }, [text]);
  const save = () => call("states", "UpdateStateMachine", { stateMachineArn: of.stateMachineArn, definition: text }).then(() => { say("Saved: executions that start from now on follow it"); onSaved(); }, fail);
  const pretty = () => { try { setText(JSON.stringify(JSON.parse(text), null, 2)); } catch (e) { fail(e); } };
  return (
    <div class="halves">
      <div>
        <label style="display:grid">Definition (Amazon States Language) <textarea rows={28} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>
        <p class="row"><button class="primary" disabled={text === of.definition || found.some((d) => d.severity === "ERROR")} onClick={save}>Save</button><button onClick={pretty}>Format</button><button disabled={text === of.definition} onClick={() => setText(of.definition)}>Undo</button><Copy text={text} /></p>
        {found.map((d) => <p class={d.severity === "ERROR" ? "error" : "quiet"}><b>{d.code}</b> {d.message} {d.location ? <code>{d.location}</code> : null}</p>)}
        <KeyValues of={[["Role", <Arn arn={of.roleArn} />], ["Made", <Time at={of.creationDate} />], ["Revision", of.revisionId], ["Logging", of.loggingConfiguration?.level]]} />
      </div>
      <Graph machine={drawn} summaries={new Map()} selected={selected} onSelect={setSelected} />
    </div>
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
