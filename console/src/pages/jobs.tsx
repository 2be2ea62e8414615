// What works on the lake: Glue jobs with their runs and bookmarks, crawlers, triggers and workflows.

import { useEffect, useState } from "preact/hooks";
import { all, call, session } from "../api.ts";
import { link, setParams } from "../route.ts";
import { duration } from "../time.ts";
import { Arn, Badge, Failure, fail, KeyValues, Loaded, Loading, Page, say, Table, Tabs, Time, useLoad, Value } from "../ui.tsx";
import { Logs } from "./functions.tsx";
import { Place } from "./lake.tsx";
import { Origin } from "./origin.tsx";

interface Job { Name: string; Role?: string; Command?: { Name?: string; ScriptLocation?: string; PythonVersion?: string }; GlueVersion?: string; WorkerType?: string; NumberOfWorkers?: number; Timeout?: number; MaxRetries?: number; LastModifiedOn?: number; DefaultArguments?: Record<string, string> }
interface JobRun { Id: string; JobName: string; JobRunState: string; StartedOn?: number; CompletedOn?: number; ExecutionTime?: number; ErrorMessage?: string; StateDetail?: string; Attempt?: number; Arguments?: Record<string, string> }
interface Crawler { Name: string; State: string; DatabaseName?: string; Role?: string; Targets?: { S3Targets?: { Path: string }[] }; LastCrawl?: { Status: string; ErrorMessage?: string; StartTime?: number } }
interface Crawl { CrawlId: string; State: string; StartTime?: number; EndTime?: number; Summary?: string; ErrorMessage?: string }
interface Trigger { Name: string; Type: string; State: string; Schedule?: string; WorkflowName?: string; Actions?: { JobName?: string; CrawlerName?: string }[]; Predicate?: { Logical?: string; Conditions?: { JobName?: string; State?: string; CrawlerName?: string; CrawlState?: string }[] } }
interface WorkflowRun { WorkflowRunId: string; Status: string; StartedOn?: number; CompletedOn?: number; ErrorMessage?: string; Statistics?: { TotalActions?: number; SucceededActions?: number; FailedActions?: number; TimeoutActions?: number; StoppedActions?: number; RunningActions?: number } }
interface Bookmark { Version?: number; Run?: number; Attempt?: number; RunId?: string; JobBookmark?: string }

export default function Jobs({ rest, params }: { rest: string; params: URLSearchParams }) {
  if (rest.startsWith("run/")) return <Run id={rest.slice(4)} />;
  if (rest.startsWith("crawler/")) return <OneCrawler name={rest.slice(8)} params={params} />;
  if (rest.startsWith("workflow/")) return <OneWorkflow name={rest.slice(9)} />;
  return rest ? <OneJob name={rest} params={params} /> : <List params={params} />;
}

function List({ params }: { params: URLSearchParams }) {
  const tabs = ["Jobs", "Crawlers", "Triggers", "Workflows"];
  const tab = tabs.includes(params.get("tab") ?? "") ? params.get("tab")! : "Jobs";
  const loaded = useLoad(async () => {
    const [jobs, crawlers, triggers, workflows] = await Promise.all([
      all<Job>("glue", "GetJobs", {}, "Jobs", "NextToken"), all<Crawler>("glue", "GetCrawlers", {}, "Crawlers", "NextToken"),
      all<Trigger>("glue", "GetTriggers", {}, "Triggers", "NextToken"), all<string>("glue", "ListWorkflows", {}, "Workflows", "NextToken"),
    ]);
    return { jobs: jobs.items, crawlers: crawlers.items, triggers: triggers.items, workflows: workflows.items };
  }, [], ["glue"]);
  return (
    <Page title="Jobs and crawlers">
      <Tabs names={tabs} now={tab} onPick={(t) => setParams({ tab: t === "Jobs" ? undefined : t })} />
      <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
        <Loaded of={loaded}>{({ jobs, crawlers, triggers, workflows }) => (tab === "Jobs" ? <Table rows={jobs} label="Jobs" empty="No job yet." columns={[
          { name: "Job", cell: (j) => <a href={link("jobs", j.Name)}>{j.Name}</a>, sort: (j) => j.Name },
          { name: "Kind", cell: (j) => j.Command?.Name }, { name: "Glue", cell: (j) => j.GlueVersion },
          { name: "Script", wide: true, cell: (j) => <Place uri={j.Command?.ScriptLocation} /> }, { name: "Changed", cell: (j) => <Time at={j.LastModifiedOn} />, sort: (j) => j.LastModifiedOn ?? 0 },
        ]} /> : tab === "Crawlers" ? <Table rows={crawlers} label="Crawlers" empty="No crawler yet." columns={[
          { name: "Crawler", cell: (c) => <a href={link("jobs", `crawler/${c.Name}`)}>{c.Name}</a>, sort: (c) => c.Name },
          { name: "State", cell: (c) => <Badge status={c.State} /> }, { name: "Database", cell: (c) => c.DatabaseName },
          { name: "Last crawl", cell: (c) => (c.LastCrawl ? <><Badge status={c.LastCrawl.Status} /> <Time at={c.LastCrawl.StartTime} /></> : "") },
          { name: "Reads", wide: true, cell: (c) => c.Targets?.S3Targets?.map((t) => <div><Place uri={t.Path} /></div>) },
        ]} /> : tab === "Triggers" ? <Table rows={triggers} label="Triggers" empty="No trigger yet." columns={[
          { name: "Trigger", cell: (t) => t.Name, sort: (t) => t.Name }, { name: "State", cell: (t) => <Badge status={t.State} /> }, { name: "Fires", wide: true, cell: when },
          { name: "Starts", wide: true, cell: (t) => (t.Actions ?? []).map((a) => <div>{a.JobName ? <a href={link("jobs", a.JobName)}>{a.JobName}</a> : <a href={link("jobs", `crawler/${a.CrawlerName}`)}>{a.CrawlerName}</a>}</div>) },
          { name: "Workflow", cell: (t) => (t.WorkflowName ? <a href={link("jobs", `workflow/${t.WorkflowName}`)}>{t.WorkflowName}</a> : "") },
        ]} /> : <Table rows={workflows} label="Workflows" empty="No workflow yet." columns={[
          { name: "Workflow", wide: true, cell: (w) => <a href={link("jobs", `workflow/${w}`)}>{w}</a>, sort: (w) => w },
        ]} />)}</Loaded>
      </div>
    </Page>
  );
}

/** When a trigger fires, in a line. */
function when(t: Trigger): string {
  if (t.Type === "SCHEDULED") return t.Schedule ?? "";
  if (t.Type !== "CONDITIONAL") return t.Type === "ON_DEMAND" ? "on demand" : "on an event";
  return (t.Predicate?.Conditions ?? []).map((c) => `${c.JobName ?? c.CrawlerName} ${c.State ?? c.CrawlState}`).join(t.Predicate?.Logical === "ANY" ? " or " : " and ");
}

function OneJob({ name, params }: { name: string; params: URLSearchParams }) {
  const loaded = useLoad(async () => {
    const [{ Job }, runs] = await Promise.all([call<{ Job: Job }>("glue", "GetJob", { JobName: name }), all<JobRun>("glue", "GetJobRuns", { JobName: name }, "JobRuns", "NextToken", 200)]);
    // A job that has never run with bookmarks has none, and asking for it is an error.
    const marks = [Job.DefaultArguments, ...runs.items.map((r) => r.Arguments)].some((of) => of?.["--job-bookmark-option"] === "job-bookmark-enable");
    const bookmark = marks ? await call<{ JobBookmarkEntry?: Bookmark }>("glue", "GetJobBookmark", { JobName: name }).then((r) => r.JobBookmarkEntry, () => undefined) : undefined;
    return { job: Job, runs: runs.items, bookmark };
  }, [name], ["glue"]);
  const run = params.get("run");
  const start = () => call<{ JobRunId: string }>("glue", "StartJobRun", { JobName: name }).then((made) => { say("Started"); setParams({ run: made.JobRunId }); loaded.again(); }, fail);
  return (
    <Page title={name} kind="Job" up={["Jobs", "#/jobs"]} actions={<button class="primary" onClick={start}>Run</button>}>
      <Loaded of={loaded}>{({ job, runs, bookmark }) => (
        <>
          <div class="card"><KeyValues of={[["Kind", job.Command?.Name], ["Script", <Place uri={job.Command?.ScriptLocation} />], ["Glue version", job.GlueVersion], ["Workers", job.NumberOfWorkers ? `${job.NumberOfWorkers} × ${job.WorkerType ?? ""}` : ""], ["Timeout", job.Timeout ? `${job.Timeout} min` : ""], ["Retries", job.MaxRetries], ["Role", job.Role?.startsWith("arn:") ? <Arn arn={job.Role} /> : job.Role], ...Object.entries(job.DefaultArguments ?? {})]} /></div>
          <h2>Runs</h2>
          <Table rows={runs} label="Runs" empty="It has not run yet." mark={(r) => r.Id === run} key={(r) => r.Id} columns={[
            { name: "Run", cell: (r) => <button class="quiet-button" aria-pressed={r.Id === run} onClick={() => setParams({ run: r.Id === run ? undefined : r.Id })}>{r.Id}</button>, wide: true },
            { name: "State", cell: (r) => <Badge status={r.JobRunState} />, sort: (r) => r.JobRunState }, { name: "Started", cell: (r) => <Time at={r.StartedOn} />, sort: (r) => r.StartedOn ?? 0 },
            { name: "Lasted", numeric: true, cell: (r) => (r.StartedOn && r.CompletedOn ? duration(r.CompletedOn - r.StartedOn) : ""), sort: (r) => r.ExecutionTime ?? 0 },
            { name: "Why", wide: true, cell: (r) => (r.StateDetail ? <span class="quiet">{r.StateDetail}</span> : <span class="error">{r.ErrorMessage}</span>) },
            { name: "", cell: (r) => (["RUNNING", "STARTING", "WAITING"].includes(r.JobRunState) ? <button class="danger" onClick={() => call("glue", "BatchStopJobRun", { JobName: name, JobRunIds: [r.Id] }).then(loaded.again, fail)}>Stop</button> : "") },
          ]} />
          {bookmark ? <><h2>Bookmark</h2><div class="card"><KeyValues of={[["Version", bookmark.Version], ["Made by run", bookmark.RunId], ["Runs with it", bookmark.Run]]} /><Value title="State" text={bookmark.JobBookmark} /><p><button class="danger" onClick={() => { if (confirm(`Reset the bookmark of ${name}? The next run reads everything again.`)) call("glue", "ResetJobBookmark", { JobName: name }).then(() => { say("Reset"); loaded.again(); }, fail); }}>Reset…</button></p></div></> : null}
          {run ? <><h2>Run {run}</h2><Origin worker={`glue:jobrun:${run}`} /><p><a href={link("lineage", `glue:jobrun:${run}`)}>What it read and wrote</a></p><h2>Output</h2><Logs group="/aws-glue/jobs/output" streams={[run]} /><h2>Errors</h2><Logs group="/aws-glue/jobs/error" streams={[run]} /></> : null}
        </>
      )}</Loaded>
    </Page>
  );
}

/** A run whose job is not known: its id alone leads there. */
function Run({ id }: { id: string }) {
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let alive = true;
    const look = async () => {
      const { items } = await all<Job>("glue", "GetJobs", {}, "Jobs", "NextToken", 10_000);
      for (const { Name } of items) {
        const there = await call("glue", "GetJobRun", { JobName: Name, RunId: id }).then(() => true, () => false);
        if (!alive) return;
        if (there) { location.replace(link("jobs", Name, { run: id })); return; }
      }
      throw new Error(`No job that is there has a run ${id}: its job was deleted, or its runs are no longer kept.`);
    };
    look().catch((e) => alive && setError(e));
    return () => { alive = false; };
  }, [id]);
  return <Page title={id} kind="Job run" up={["Jobs", "#/jobs"]}>{error ? <Failure error={error} /> : <Loading />}<p><a href={link("lineage", `glue:jobrun:${id}`)}>What it read and wrote</a></p></Page>;
}

/** The lineage's name of a crawl: of its account and region. */
const crawlOf = (name: string, id: string): string | undefined => (session.who ? `glue:crawl:${session.who.account}:${session.who.region}:${name}:${id}` : undefined);

function OneCrawler({ name, params }: { name: string; params: URLSearchParams }) {
  const chosen = params.get("crawl") ?? undefined;
  const loaded = useLoad(async () => {
    const [{ Crawler }, crawls] = await Promise.all([call<{ Crawler: Crawler }>("glue", "GetCrawler", { Name: name }), all<Crawl>("glue", "ListCrawls", { CrawlerName: name }, "Crawls", "NextToken", 200)]);
    return { crawler: Crawler, crawls: crawls.items };
  }, [name], ["glue"]);
  return (
    <Page title={name} kind="Crawler" up={["Crawlers", "#/jobs?tab=Crawlers"]} actions={<button class="primary" onClick={() => call("glue", "StartCrawler", { Name: name }).then(() => { say("Started"); loaded.again(); }, fail)}>Run</button>}>
      <Loaded of={loaded}>{({ crawler, crawls }) => (
        <>
          <div class="card"><KeyValues of={[["State", <Badge status={crawler.State} />], ["Database", crawler.DatabaseName], ["Role", crawler.Role?.startsWith("arn:") ? <Arn arn={crawler.Role} /> : crawler.Role], ["Reads", crawler.Targets?.S3Targets?.map((t) => <div><Place uri={t.Path} /></div>)], ["Last error", crawler.LastCrawl?.ErrorMessage]]} /></div>
          <h2>Crawls</h2>
          <Table rows={crawls} label="Crawls" empty="It has not run yet." mark={(c) => c.CrawlId === chosen} key={(c) => c.CrawlId} columns={[
            { name: "Crawl", cell: (c) => <button class="quiet-button" aria-pressed={c.CrawlId === chosen} onClick={() => setParams({ crawl: c.CrawlId === chosen ? undefined : c.CrawlId })}>{c.CrawlId}</button> }, { name: "State", cell: (c) => <Badge status={c.State} /> }, { name: "Started", cell: (c) => <Time at={c.StartTime} />, sort: (c) => c.StartTime ?? 0 },
            { name: "Lasted", numeric: true, cell: (c) => (c.StartTime && c.EndTime ? duration(c.EndTime - c.StartTime) : "") }, { name: "Changed", wide: true, cell: (c) => <code>{c.Summary}</code> }, { name: "Why", wide: true, cell: (c) => <span class="error">{c.ErrorMessage}</span> },
          ]} />
          {chosen ? <><h2>Crawl {chosen}</h2>{crawlOf(name, chosen) ? <><Origin worker={crawlOf(name, chosen)!} /><p><a href={link("lineage", crawlOf(name, chosen))}>What it read and wrote</a></p></> : null}<h2>Log</h2><Logs group="/aws-glue/crawlers" streams={[name]} pattern={`"${chosen}"`} /></> : null}
        </>
      )}</Loaded>
    </Page>
  );
}

function OneWorkflow({ name }: { name: string }) {
  const loaded = useLoad(async () => {
    const [{ Workflow }, runs] = await Promise.all([
      call<{ Workflow: { Description?: string; DefaultRunProperties?: Record<string, string>; LastModifiedOn?: number; MaxConcurrentRuns?: number } }>("glue", "GetWorkflow", { Name: name }),
      all<WorkflowRun>("glue", "GetWorkflowRuns", { Name: name }, "Runs", "NextToken", 200),
    ]);
    return { workflow: Workflow, runs: runs.items };
  }, [name], ["glue"]);
  return (
    <Page title={name} kind="Workflow" up={["Workflows", "#/jobs?tab=Workflows"]} actions={<button class="primary" onClick={() => call("glue", "StartWorkflowRun", { Name: name }).then(() => { say("Started"); loaded.again(); }, fail)}>Run</button>}>
      <Loaded of={loaded}>{({ workflow, runs }) => (
        <>
          <div class="card"><KeyValues of={[["Description", workflow.Description], ["At once, at most", workflow.MaxConcurrentRuns], ["Changed", <Time at={workflow.LastModifiedOn} />], ...Object.entries(workflow.DefaultRunProperties ?? {})]} /></div>
          <h2>Runs</h2>
          <Table rows={runs} label="Runs" empty="It has not run yet." columns={[
            { name: "Run", wide: true, cell: (r) => r.WorkflowRunId }, { name: "Status", cell: (r) => <Badge status={r.Status} tone={r.Statistics?.FailedActions || r.Statistics?.TimeoutActions ? "failed" : undefined} /> }, { name: "Started", cell: (r) => <Time at={r.StartedOn} />, sort: (r) => r.StartedOn ?? 0 },
            { name: "Lasted", numeric: true, cell: (r) => (r.StartedOn && r.CompletedOn ? duration(r.CompletedOn - r.StartedOn) : "") },
            { name: "Actions", cell: (r) => (r.Statistics ? `${r.Statistics.SucceededActions ?? 0} of ${r.Statistics.TotalActions ?? 0} succeeded${r.Statistics.FailedActions ? `, ${r.Statistics.FailedActions} failed` : ""}` : "") },
            { name: "Why", wide: true, cell: (r) => <span class="error">{r.ErrorMessage}</span> },
          ]} />
        </>
      )}</Loaded>
    </Page>
  );
}
