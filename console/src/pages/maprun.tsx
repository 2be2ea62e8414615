// A Map Run: how many of its items went how, how fast, and the children, those that failed first.

import { useEffect, useState } from "preact/hooks";
import { listen } from "../api.ts";
import { type MapRun as Described, mapRun } from "../execution/data.ts";
import { link, setParams } from "../route.ts";
import { duration } from "../time.ts";
import { Arn, Badge, Failure, fail, KeyValues, Loading, Page, Table, Time } from "../ui.tsx";
import { OF_CHILDREN, type Run, runColumns, runsOf } from "./runs.tsx";

export default function MapRun({ rest: arn, params }: { rest: string; params: URLSearchParams }) {
  const [run, setRun] = useState<Described>();
  const [children, setChildren] = useState<Run[]>();
  const [next, setNext] = useState<string>();
  const [error, setError] = useState<unknown>();
  const asked = params.get("status");
  useEffect(() => {
    let alive = true;
    let close: (() => void) | undefined;
    const read = async () => {
      try {
        const now = await mapRun(arn);
        const bad = now.itemCounts.failed + now.itemCounts.timedOut > 0;
        const page = await runsOf({ mapRunArn: arn }, asked ?? (bad ? "FAILED" : ""), 100);
        if (!alive) return;
        setRun(now); setChildren(page.executions); setNext(page.nextToken); setError(undefined);
        if (now.status !== "RUNNING") { close?.(); close = undefined; }
      } catch (e) { if (alive) setError(e); }
    };
    void read();
    close = listen(["states"], () => void read());
    return () => { alive = false; close?.(); };
  }, [arn, asked]);
  if (!run) return <Page title={arn.split("/").pop() ?? "Map Run"} kind="Map Run">{error ? <Failure error={error} /> : <Loading />}</Page>;
  const items = run.itemCounts;
  const bad = items.failed + items.timedOut + items.aborted;
  const lasted = (run.stopDate ?? Date.now() / 1000) - run.startDate;
  const status = asked ?? (items.failed + items.timedOut > 0 ? "FAILED" : "");
  const done = items.succeeded + bad;
  return (
    <Page title={arn.split("/").pop() ?? arn} kind="Map Run" up={["Its execution", link("execution", run.executionArn)]}
      note={<p class="row"><Badge status={run.status} /><span class="quiet"><Time at={run.startDate} /> · {duration(lasted)} · {(done / Math.max(0.001, lasted)).toFixed(1)} items a second</span></p>}>
      {error ? <Failure error={error} /> : null}
      <div class="cards">
        {([["Items", items.total], ["Succeeded", items.succeeded], ["Failed", items.failed + items.timedOut], ["Aborted", items.aborted], ["Running", items.running], ["Pending", items.pending]] as const).map(([name, n]) =>
          <div class="figure" data-tone={name === "Failed" && n > 0 ? "failed" : ""}><span>{name}</span><b>{n.toLocaleString()}</b></div>)}
      </div>
      <div class="card"><KeyValues of={[
        ["ARN", <Arn arn={arn} />], ["Execution", <Arn arn={run.executionArn} />], ["Concurrency", run.maxConcurrency === 0 ? "no limit of its own" : run.maxConcurrency],
        ["Tolerated failures", `${run.toleratedFailurePercentage} %, ${run.toleratedFailureCount} items`], ["Child executions", `${run.executionCounts.total} (${run.executionCounts.failed} failed)`],
      ]} /></div>
      <h2>Children</h2>
      <p><label>Status <select value={status} onChange={(e) => setParams({ status: e.currentTarget.value || "" })}><option value="">all</option>{OF_CHILDREN.map((s) => <option value={s}>{s.toLowerCase().replace("_", " ")}</option>)}</select></label></p>
      <Table rows={children ?? []} label="Child executions" columns={runColumns(false)} key={(r) => r.executionArn}
        empty={status ? `No child is ${status.toLowerCase().replace("_", " ")}.` : "No children."}
        more={next ? () => { runsOf({ mapRunArn: arn }, status, 1000, next).then((page) => { setChildren((old) => [...(old ?? []), ...page.executions]); setNext(page.nextToken); }, fail); } : undefined} />
    </Page>
  );
}
