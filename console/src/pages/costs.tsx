// What an execution would have cost at AWS's list prices: an estimate from what is known here of what it ran, row by row, and what is
// left out said.

import { all, call, pool } from "../api.ts";
import type { History, Node } from "../execution/states.ts";
import type { Data } from "../execution/data.ts";
import { bytes, count, duration } from "../time.ts";
import { Loaded, parsed, Table, useLoad } from "../ui.tsx";
import { Prices } from "./pricelist.tsx";
import { asked, lineage } from "./linked.ts";
import { athena, CRAWL_DPUS, crawl, DPUS, glue, lambda, money, prices, requestUnits, transform, usd } from "./prices.ts";

export interface Cost { what: string; state: string; amount: string; usd: number }

/** Transitions: each state entered, and each retry. Source: Step Functions' pricing page, "State transitions". */
export const transitions = (history: History): number => history.visits.reduce((n, v) => n + 1 + Math.max(0, v.attempts.length - 1), 0);

const MOST = 200;

async function estimate(history: History, data: Data): Promise<{ rows: Cost[]; lacking: string[] }> {
  const rows: Cost[] = [];
  const lacking = new Set<string>();
  const n = transitions(history);
  rows.push({ what: "Step Functions", state: "", amount: count(n, "transition"), usd: n * usd("states.transition") });
  const memory = new Map<string, Promise<number>>();
  const tasks = history.visits.flatMap((visit) => visit.attempts.map((attempt) => ({ visit, attempt })));
  if (tasks.length > MOST) lacking.add(`all but the first ${MOST} of ${tasks.length} attempts`);
  const details = async (id: number | undefined) => (id === undefined ? {} : (Object.entries((await data.event(id)) ?? {}).find(([k]) => k.endsWith("EventDetails"))?.[1] ?? {}) as Record<string, unknown>);
  await pool(tasks.slice(0, MOST), 6, async ({ visit, attempt }) => {
    const scheduled = await details(attempt.event);
    const parameters = (parsed(scheduled.parameters as string | undefined) ?? {}) as Record<string, unknown>;
    const resource = attempt.resource || String(scheduled.resource ?? "");
    const seconds = (attempt.ended ?? Date.now() / 1000) - attempt.began;
    if (resource.startsWith("lambda:") || resource.includes(":function:")) {
      const name = String(parameters.FunctionName ?? resource);
      if (!memory.has(name)) memory.set(name, call<{ MemorySize?: number }>("lambda", "GetFunctionConfiguration", { FunctionName: name }).then((f) => f.MemorySize ?? 128));
      const mb = await memory.get(name)!.catch(() => { lacking.add(`function ${name}, which is gone`); return 0; });
      if (mb > 0) rows.push({ what: "Lambda", state: visit.name, amount: `${duration(seconds)} × ${mb} MB`, usd: lambda(seconds, mb) });
    } else if (/^athena:startQueryExecution/.test(resource)) {
      const id = await answerOf(history, data, visit, ["QueryExecutionId"]);
      const scanned = id ? await call<{ QueryExecution: { Statistics?: { DataScannedInBytes?: number } } }>("athena", "GetQueryExecution", { QueryExecutionId: id }).then((q) => q.QueryExecution.Statistics?.DataScannedInBytes, () => undefined) : undefined;
      if (scanned === undefined) lacking.add(`the query of ${visit.name}`);
      else rows.push({ what: "Athena", state: visit.name, amount: `${bytes(scanned)} scanned`, usd: athena(scanned) });
    } else if (/^glue:startJobRun/.test(resource)) {
      const [run, job] = [await answerOf(history, data, visit, ["JobRunId", "Id"]), String(parameters.JobName ?? "")];
      const found = run ? await call<{ JobRun: { ExecutionTime?: number; ExecutionClass?: string; WorkerType?: string; NumberOfWorkers?: number; MaxCapacity?: number } }>("glue", "GetJobRun", { JobName: job, RunId: run }).then((r) => r.JobRun, () => undefined) : undefined;
      if (!found) lacking.add(`the job run of ${visit.name}`);
      else {
        const each = found.WorkerType ? DPUS[found.WorkerType] : undefined;
        const dpus = found.NumberOfWorkers && found.WorkerType ? each && found.NumberOfWorkers * each : found.MaxCapacity;
        const flexible = found.ExecutionClass === "FLEX";
        if (dpus === undefined) lacking.add(`the job run of ${visit.name}: no price is known for its workers`);
        else rows.push({ what: "Glue", state: visit.name, amount: `${duration(found.ExecutionTime ?? seconds)} × ${dpus} DPU${flexible ? ", FLEX" : ""}`, usd: glue(found.ExecutionTime ?? seconds, dpus, flexible) });
      }
    } else if (/glue:startCrawler/.test(resource)) {
      const crawls = await crawled(data.executionArn, visit.name, String(parameters.Name ?? "")).catch(() => []);
      if (crawls.length === 0) lacking.add(`the crawl of ${visit.name}`);
      for (const seconds of crawls) rows.push({ what: "Crawler", state: visit.name, amount: `${duration(seconds)} × ${CRAWL_DPUS} DPU, at least ten minutes`, usd: crawl(seconds) });
    } else if (/^sagemaker:createTransformJob/.test(resource)) {
      const job = await call<Transform>("sagemaker", "DescribeTransformJob", { TransformJobName: parameters.TransformJobName }).catch(() => undefined);
      const took = job?.TransformEndTime !== undefined && job.TransformStartTime !== undefined ? job.TransformEndTime - job.TransformStartTime : undefined;
      const cost = job && took !== undefined ? transform(took, job.TransformResources.InstanceType, job.TransformResources.InstanceCount) : undefined;
      if (cost === undefined) lacking.add(took === undefined ? `the transform of ${visit.name}, which has not ended` : `the transform of ${visit.name}: no price is kept for ${job!.TransformResources.InstanceType}`);
      else rows.push({ what: "SageMaker", state: visit.name, amount: `${duration(took!)} × ${job!.TransformResources.InstanceCount} ${job!.TransformResources.InstanceType}`, usd: cost });
    } else if (/dynamodb:\w+Item$/.test(resource) && !/batch|transact/i.test(resource)) {
      const units = requestUnits(resource, parameters);
      lacking.add("how DynamoDB's tables are billed: requests are reckoned as of on-demand ones");
      rows.push({ what: "DynamoDB", state: visit.name, amount: `${units.amount} ${units.write ? "write" : "read"} request ${units.amount === 1 ? "unit" : "units"} at least`, usd: units.amount * usd(units.write ? "dynamodb.write_request_unit" : "dynamodb.read_request_unit") });
    } else if (/dynamodb:/.test(resource)) lacking.add(`the DynamoDB requests of ${visit.name}: what they have read is not in the history`);
    else if (/^states:startExecution/.test(resource)) lacking.add("nested executions: see them by themselves");
    else if (/^(sagemaker|ecs|batch|emr)/.test(resource)) lacking.add(`what ${visit.name} ran (${resource.split(":")[0]} is priced by instances)`);
  });
  if (history.visits.some((v) => v.mapRun)) lacking.add("children of Map Runs: see them by themselves");
  return { rows, lacking: [...lacking] };
}

interface Transform { TransformStartTime?: number; TransformEndTime?: number; TransformResources: { InstanceType: string; InstanceCount: number } }

/** How long each crawl took that a state has started. */
async function crawled(arn: string, state: string, CrawlerName: string): Promise<number[]> {
  const worker = `${arn}#${state}`;
  const graph = await lineage(worker, "FOLDER", "UPSTREAM", 1);
  const ids = new Set(asked(graph, worker).started.filter((n) => n.Type === "CRAWL").map((n) => n.Id.split(":").pop()));
  const { items } = await all<{ CrawlId: string; StartTime?: number; EndTime?: number }>("glue", "ListCrawls", { CrawlerName }, "Crawls", "NextToken", 200);
  return items.filter((c) => ids.has(c.CrawlId) && c.StartTime !== undefined && c.EndTime !== undefined).map((c) => c.EndTime! - c.StartTime!);
}

/** What a job was submitted with, by its answer. */
async function answerOf(history: History, data: Data, visit: Node, names: string[]): Promise<string | undefined> {
  for (const event of history.events.filter((e) => /(Submitted|Succeeded)$/.test(e.type) && history.of(e.id) === visit).slice(0, 20)) {
    const whole = await data.event(event.id);
    const output = (Object.entries(whole ?? {}).find(([k]) => k.endsWith("EventDetails"))?.[1] as { output?: string } | undefined)?.output;
    const value = parsed(output) as Record<string, unknown> | undefined;
    const inner = (value?.QueryExecution as Record<string, unknown> | undefined) ?? value;
    for (const name of names) if (typeof inner?.[name] === "string") return inner[name] as string;
  }
  return undefined;
}

export function Costs({ history, data, version }: { history: History; data: Data; version: number }) {
  const loaded = useLoad(() => estimate(history, data), [history.root.ended === undefined ? version : 0]);
  return (
    <Loaded of={loaded}>{({ rows, lacking }) => (
      <>
        <p><b class="total">{money(rows.reduce((n, r) => n + r.usd, 0))}</b> <span class="quiet">is an estimate: what AWS's list prices in {prices.region}, as the pages under <i>Prices</i> gave them when looked up on {prices.checked}, make of what ran here, without free tiers, discounts, storage, requests and transfer. It costs nothing here.</span></p>
        <Table rows={rows} label="Costs" columns={[
          { name: "Service", cell: (r) => r.what, sort: (r) => r.what }, { name: "State", cell: (r) => r.state, sort: (r) => r.state, wide: true }, { name: "Amount", cell: (r) => r.amount },
          { name: "At AWS's price", numeric: true, cell: (r) => money(r.usd), sort: (r) => r.usd },
        ]} />
        {lacking.length > 0 ? <p class="quiet">Not in it: {lacking.join("; ")}.</p> : null}
        <Prices />
      </>
    )}</Loaded>
  );
}
