// Stacks: resources, events, outputs, drift, template.

import { useState } from "preact/hooks";
import { all, call } from "../api.ts";
import { arnLink, link, setParams } from "../route.ts";
import { Badge, fail, KeyValues, Loaded, Page, Table, Tabs, Time, useLoad } from "../ui.tsx";

interface Stack { StackName: string; StackId: string; StackStatus: string; StackStatusReason?: string; CreationTime: number; LastUpdatedTime?: number; Description?: string; Parameters?: { ParameterKey: string; ParameterValue: string }[]; Outputs?: { OutputKey: string; OutputValue: string; Description?: string }[] }
interface Resource { LogicalResourceId: string; PhysicalResourceId?: string; ResourceType: string; ResourceStatus: string; ResourceStatusReason?: string; LastUpdatedTimestamp?: number }
interface Event extends Resource { EventId: string; Timestamp: number }

export default function Stacks({ rest, params }: { rest: string; params: URLSearchParams }) {
  return rest ? <One name={rest} params={params} /> : <List />;
}

function List() {
  const loaded = useLoad(() => all<Stack>("cloudformation", "DescribeStacks", {}, "Stacks", "NextToken"), [], ["cloudformation"]);
  return <Page title="Stacks"><Loaded of={loaded}>{({ items }) => <Table rows={items} label="Stacks" empty="No stack yet: lakerun deploy makes one." columns={[
    { name: "Stack", cell: (s) => <a href={link("stacks", s.StackName)}>{s.StackName}</a>, sort: (s) => s.StackName }, { name: "Status", cell: (s) => <Badge status={s.StackStatus} />, sort: (s) => s.StackStatus },
    { name: "Changed", cell: (s) => <Time at={s.LastUpdatedTime ?? s.CreationTime} />, sort: (s) => s.LastUpdatedTime ?? s.CreationTime }, { name: "Description", wide: true, cell: (s) => s.Description },
  ]} />}</Loaded></Page>;
}

const target = (r: Resource): string | undefined => {
  const id = r.PhysicalResourceId;
  if (!id) return undefined;
  if (id.startsWith("arn:")) return arnLink(id);
  const page = { "AWS::S3::Bucket": link("lake", `s3/${id}`), "AWS::Lambda::Function": link("functions", id), "AWS::DynamoDB::Table": link("tables", id), "AWS::Glue::Job": link("jobs", id), "AWS::Glue::Crawler": link("jobs", `crawler/${id}`), "AWS::IAM::Role": link("roles", id), "AWS::SQS::Queue": link("queues", id.split("/").pop()) } as Record<string, string>;
  return page[r.ResourceType];
};

function One({ name, params }: { name: string; params: URLSearchParams }) {
  const tabs = ["Resources", "Events", "Outputs", "Drift", "Template"];
  const tab = tabs.includes(params.get("tab") ?? "") ? params.get("tab")! : "Resources";
  const loaded = useLoad(async () => {
    const [stacks, resources, events] = await Promise.all([
      call<{ Stacks: Stack[] }>("cloudformation", "DescribeStacks", { StackName: name }), all<Resource>("cloudformation", "ListStackResources", { StackName: name }, "StackResourceSummaries", "NextToken"),
      all<Event>("cloudformation", "DescribeStackEvents", { StackName: name }, "StackEvents", "NextToken", 500),
    ]);
    return { stack: stacks.Stacks[0]!, resources: resources.items, events: events.items };
  }, [name], ["cloudformation"]);
  const template = useLoad(() => (tab === "Template" ? call<{ TemplateBody: string }>("cloudformation", "GetTemplate", { StackName: name }).then((r) => (typeof r.TemplateBody === "string" ? r.TemplateBody : JSON.stringify(r.TemplateBody, null, 2))) : Promise.resolve("")), [name, tab]);
  return (
    <Page title={name} kind="Stack" up={["Stacks", "#/stacks"]}>
      <Loaded of={loaded}>{({ stack, resources, events }) => (
        <>
          <div class="card"><KeyValues of={[["Status", <Badge status={stack.StackStatus} />], ["Why", stack.StackStatusReason], ["Description", stack.Description], ["Made", <Time at={stack.CreationTime} />], ["Changed", <Time at={stack.LastUpdatedTime} />], ...(stack.Parameters ?? []).map((p): [string, string] => [p.ParameterKey, p.ParameterValue])]} /></div>
          <Tabs names={tabs} now={tab} onPick={(t) => setParams({ tab: t })} />
          <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
            {tab === "Resources" ? <Table rows={resources} label="Resources" columns={[
              { name: "Resource", cell: (r) => r.LogicalResourceId, sort: (r) => r.LogicalResourceId }, { name: "Type", cell: (r) => r.ResourceType, sort: (r) => r.ResourceType }, { name: "Status", cell: (r) => <Badge status={r.ResourceStatus} /> },
              { name: "Id", wide: true, cell: (r) => (target(r) ? <a href={target(r)}>{r.PhysicalResourceId}</a> : r.PhysicalResourceId) }, { name: "Why", wide: true, cell: (r) => r.ResourceStatusReason }]} /> : null}
            {tab === "Events" ? <Table rows={events} label="Events" columns={[
              { name: "When", cell: (e) => <Time at={e.Timestamp} /> }, { name: "Status", cell: (e) => <Badge status={e.ResourceStatus} /> }, { name: "Resource", cell: (e) => e.LogicalResourceId }, { name: "Type", cell: (e) => e.ResourceType }, { name: "Why", wide: true, cell: (e) => e.ResourceStatusReason }]} /> : null}
            {tab === "Outputs" ? <Table rows={stack.Outputs ?? []} label="Outputs" empty="No outputs." columns={[{ name: "Output", cell: (o) => o.OutputKey }, { name: "Value", wide: true, cell: (o) => o.OutputValue }, { name: "Description", cell: (o) => o.Description }]} /> : null}
            {tab === "Drift" ? <Drift name={name} /> : null}
            {tab === "Template" ? <Loaded of={template}>{(text) => <pre tabIndex={0}>{text}</pre>}</Loaded> : null}
          </div>
        </>
      )}</Loaded>
    </Page>
  );
}

interface Drifted { LogicalResourceId: string; ResourceType: string; StackResourceDriftStatus: string; PropertyDifferences?: { PropertyPath: string; ExpectedValue: string; ActualValue: string; DifferenceType: string }[] }

/** How what is there differs from the template: as last looked at, and a look now. */
function Drift({ name }: { name: string }) {
  const [looking, setLooking] = useState(false);
  const loaded = useLoad(() => all<Drifted>("cloudformation", "DescribeStackResourceDrifts", { StackName: name }, "StackResourceDrifts", "NextToken").then((r) => r.items), [name]);
  const look = async () => {
    setLooking(true);
    try {
      const { StackDriftDetectionId } = await call<{ StackDriftDetectionId: string }>("cloudformation", "DetectStackDrift", { StackName: name });
      for (;;) {
        const now = await call<{ DetectionStatus: string; DetectionStatusReason?: string }>("cloudformation", "DescribeStackDriftDetectionStatus", { StackDriftDetectionId });
        if (now.DetectionStatus === "DETECTION_FAILED") throw new Error(now.DetectionStatusReason ?? "The look failed");
        if (now.DetectionStatus !== "DETECTION_IN_PROGRESS") break;
        await new Promise((done) => setTimeout(done, 500));
      }
      loaded.again();
    } catch (error) { fail(error); } finally { setLooking(false); }
  };
  return (
    <>
      <p><button class="primary" disabled={looking} onClick={look}>{looking ? "Looking…" : "Look now"}</button></p>
      <Loaded of={loaded}>{(rows) => <Table rows={rows} label="Drift" empty="Nobody has looked yet." columns={[
        { name: "Resource", cell: (r) => r.LogicalResourceId, sort: (r) => r.LogicalResourceId }, { name: "Type", cell: (r) => r.ResourceType }, { name: "Status", cell: (r) => <Badge status={r.StackResourceDriftStatus} />, sort: (r) => r.StackResourceDriftStatus },
        { name: "Differs", wide: true, cell: (r) => (r.PropertyDifferences ?? []).map((d) => <div><code>{d.PropertyPath}</code> {d.DifferenceType.toLowerCase().replace("_", " ")}: {d.ExpectedValue} → {d.ActualValue}</div>) },
      ]} />}</Loaded>
    </>
  );
}
