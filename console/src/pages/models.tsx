// Models and what predicts with them: endpoints with a call to try, batch transforms with what they wrote.

import { useState } from "preact/hooks";
import { all, base64, call } from "../api.ts";
import { link, setParams } from "../route.ts";
import { duration } from "../time.ts";
import { Arn, Badge, Failure, KeyValues, Loaded, Page, Table, Tabs, Time, useLoad, Value } from "../ui.tsx";
import { Logs } from "./functions.tsx";
import { Place } from "./lake.tsx";
import { Origin } from "./origin.tsx";

interface Model { ModelName: string; ModelArn: string; CreationTime: number }
interface Container { Image?: string; ModelDataUrl?: string; Environment?: Record<string, string> }
interface Endpoint { EndpointName: string; EndpointStatus: string; CreationTime: number; LastModifiedTime: number }
interface Variant { VariantName: string; ModelName?: string; InitialInstanceCount?: number; InstanceType?: string; InitialVariantWeight?: number; ServerlessConfig?: { MemorySizeInMB: number; MaxConcurrency: number } }
interface Transform { TransformJobName: string; TransformJobStatus: string; CreationTime: number; TransformEndTime?: number; FailureReason?: string }
interface Described extends Transform {
  TransformJobArn: string; ModelName: string; TransformStartTime?: number; MaxConcurrentTransforms?: number; BatchStrategy?: string;
  TransformInput: { DataSource: { S3DataSource: { S3Uri: string; S3DataType?: string } }; ContentType?: string; CompressionType?: string; SplitType?: string };
  TransformOutput: { S3OutputPath: string; Accept?: string; AssembleWith?: string }; TransformResources?: { InstanceType: string; InstanceCount: number }; DataProcessing?: { InputFilter?: string; OutputFilter?: string; JoinSource?: string };
}

export default function Models({ rest, params }: { rest: string; params: URLSearchParams }) {
  const [kind = "", ...name] = rest.split("/");
  if (kind === "model") return <OneModel name={name.join("/")} />;
  if (kind === "endpoint") return <OneEndpoint name={name.join("/")} />;
  if (kind === "transform") return <OneTransform name={name.join("/")} />;
  return <List params={params} />;
}

function List({ params }: { params: URLSearchParams }) {
  const tabs = ["Models", "Endpoints", "Transforms"];
  const tab = tabs.includes(params.get("tab") ?? "") ? params.get("tab")! : "Models";
  const loaded = useLoad(async () => {
    const [models, endpoints, transforms] = await Promise.all([
      all<Model>("sagemaker", "ListModels", {}, "Models", "NextToken"), all<Endpoint>("sagemaker", "ListEndpoints", {}, "Endpoints", "NextToken"),
      all<Transform>("sagemaker", "ListTransformJobs", {}, "TransformJobSummaries", "NextToken", 500),
    ]);
    return { models: models.items, endpoints: endpoints.items, transforms: transforms.items };
  }, [], ["sagemaker"]);
  return (
    <Page title="Models">
      <Tabs names={tabs} now={tab} onPick={(t) => setParams({ tab: t === "Models" ? undefined : t })} />
      <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
        <Loaded of={loaded}>{({ models, endpoints, transforms }) => (tab === "Models" ? <Table rows={models} label="Models" empty="No model yet." columns={[
          { name: "Model", wide: true, cell: (m) => <a href={link("models", `model/${m.ModelName}`)}>{m.ModelName}</a>, sort: (m) => m.ModelName },
          { name: "Made", cell: (m) => <Time at={m.CreationTime} />, sort: (m) => m.CreationTime },
        ]} /> : tab === "Endpoints" ? <Table rows={endpoints} label="Endpoints" empty="No endpoint yet." columns={[
          { name: "Endpoint", wide: true, cell: (e) => <a href={link("models", `endpoint/${e.EndpointName}`)}>{e.EndpointName}</a>, sort: (e) => e.EndpointName },
          { name: "Status", cell: (e) => <Badge status={e.EndpointStatus} />, sort: (e) => e.EndpointStatus }, { name: "Changed", cell: (e) => <Time at={e.LastModifiedTime} />, sort: (e) => e.LastModifiedTime },
        ]} /> : <Transforms rows={transforms} />)}</Loaded>
      </div>
    </Page>
  );
}

const Transforms = ({ rows }: { rows: Transform[] }) => (
  <Table rows={rows} label="Batch transforms" empty="No batch transform yet." columns={[
    { name: "Transform", cell: (t) => <a href={link("models", `transform/${t.TransformJobName}`)}>{t.TransformJobName}</a>, sort: (t) => t.TransformJobName },
    { name: "Status", cell: (t) => <Badge status={t.TransformJobStatus} />, sort: (t) => t.TransformJobStatus },
    { name: "Started", cell: (t) => <Time at={t.CreationTime} />, sort: (t) => t.CreationTime },
    { name: "Lasted", numeric: true, cell: (t) => (t.TransformEndTime ? duration(t.TransformEndTime - t.CreationTime) : ""), sort: (t) => (t.TransformEndTime ?? 0) - t.CreationTime },
    { name: "Why", wide: true, cell: (t) => <span class="error">{t.FailureReason}</span> },
  ]} />
);

function OneModel({ name }: { name: string }) {
  const loaded = useLoad(async () => {
    const [model, transforms] = await Promise.all([
      call<Model & { ExecutionRoleArn?: string; PrimaryContainer?: Container; Containers?: Container[] }>("sagemaker", "DescribeModel", { ModelName: name }),
      all<Transform>("sagemaker", "ListTransformJobs", {}, "TransformJobSummaries", "NextToken", 500),
    ]);
    // The list does not name the model: the newest are asked.
    const asked = await Promise.all(transforms.items.slice(0, 50).map((t) => call<Described>("sagemaker", "DescribeTransformJob", { TransformJobName: t.TransformJobName }).catch(() => undefined)));
    return { model, transforms: asked.filter((t): t is Described => t?.ModelName === name) };
  }, [name], ["sagemaker"]);
  return (
    <Page title={name} kind="Model" up={["Models", "#/models"]}>
      <Loaded of={loaded}>{({ model, transforms }) => (
        <>
          <div class="card"><KeyValues of={[["ARN", <Arn arn={model.ModelArn} />], ["Made", <Time at={model.CreationTime} />], ["Role", model.ExecutionRoleArn ? <Arn arn={model.ExecutionRoleArn} /> : ""]]} /></div>
          {[model.PrimaryContainer, ...(model.Containers ?? [])].filter((c) => c !== undefined).map((c, n) => (
            <div class="card" key={n}><h2>Container{n > 0 ? ` ${n + 1}` : ""}</h2><KeyValues of={[["Image", c.Image], ["Data", <Place uri={c.ModelDataUrl} />], ...Object.entries(c.Environment ?? {}) as [string, string][]]} /></div>
          ))}
          <h2>Its last transforms</h2>
          <Transforms rows={transforms} />
        </>
      )}</Loaded>
    </Page>
  );
}

function OneEndpoint({ name }: { name: string }) {
  const loaded = useLoad(async () => {
    const endpoint = await call<Endpoint & { EndpointArn: string; EndpointConfigName: string; FailureReason?: string }>("sagemaker", "DescribeEndpoint", { EndpointName: name });
    const config = await call<{ ProductionVariants: Variant[] }>("sagemaker", "DescribeEndpointConfig", { EndpointConfigName: endpoint.EndpointConfigName });
    return { endpoint, variants: config.ProductionVariants };
  }, [name], ["sagemaker"]);
  return (
    <Page title={name} kind="Endpoint" up={["Endpoints", link("models", "", { tab: "Endpoints" })]}>
      <Loaded of={loaded}>{({ endpoint, variants }) => (
        <>
          <div class="card"><KeyValues of={[["ARN", <Arn arn={endpoint.EndpointArn} />], ["Status", <Badge status={endpoint.EndpointStatus} />], ["Why", endpoint.FailureReason], ["Configuration", endpoint.EndpointConfigName], ["Changed", <Time at={endpoint.LastModifiedTime} />]]} /></div>
          <h2>Variants</h2>
          <Table rows={variants} label="Variants" columns={[
            { name: "Variant", cell: (v) => v.VariantName }, { name: "Model", cell: (v) => (v.ModelName ? <a href={link("models", `model/${v.ModelName}`)}>{v.ModelName}</a> : "") },
            { name: "Weight", numeric: true, cell: (v) => v.InitialVariantWeight }, { name: "On", cell: (v) => (v.ServerlessConfig ? `serverless, ${v.ServerlessConfig.MemorySizeInMB} MB, at most ${v.ServerlessConfig.MaxConcurrency} at once` : `${v.InitialInstanceCount ?? 1} × ${v.InstanceType ?? ""}`) },
          ]} />
          <Try name={name} />
        </>
      )}</Loaded>
    </Page>
  );
}

const TYPES = ["text/csv", "application/json", "application/jsonlines"];

/** A call of an endpoint, as an application makes it. */
function Try({ name }: { name: string }) {
  const [type, setType] = useState(TYPES[0]!);
  const [text, setText] = useState("");
  const [answer, setAnswer] = useState<{ body: string; variant?: string; seconds: number }>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const run = async (e: Event) => {
    e.preventDefault();
    setError(undefined);
    setBusy(true);
    const began = performance.now();
    try {
      const Body = base64(text);
      const found = await call<{ Body?: string; InvokedProductionVariant?: string }>("sagemakerruntime", "InvokeEndpoint", { EndpointName: name, ContentType: type, Body });
      setAnswer({ body: new TextDecoder().decode(Uint8Array.from(atob(found.Body ?? ""), (c) => c.charCodeAt(0))), variant: found.InvokedProductionVariant, seconds: (performance.now() - began) / 1000 });
    } catch (wrong) { setError(wrong); } finally { setBusy(false); }
  };
  return (
    <form onSubmit={run}>
      <h2>Try it</h2>
      <p class="row"><label>Content type <select value={type} onChange={(e) => setType(e.currentTarget.value)}>{TYPES.map((t) => <option>{t}</option>)}</select></label></p>
      <label style="display:grid">What to predict from <textarea rows={5} required spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>
      <p><button class="primary" disabled={busy}>{busy ? "Asking…" : "Ask"}</button></p>
      {error ? <Failure error={error} /> : null}
      {answer ? <div class="card"><p class="quiet">{answer.variant} · {duration(answer.seconds)}</p><Value title="Answer" text={answer.body} /></div> : null}
    </form>
  );
}

/** The lineage's name of a transform: of its account and region. */
const worker = (arn: string): string => { const [, , , region, account, name] = arn.split(":"); return `sagemaker:transform:${account}:${region}:${name!.split("/").pop()}`; };

function OneTransform({ name }: { name: string }) {
  const loaded = useLoad(() => call<Described>("sagemaker", "DescribeTransformJob", { TransformJobName: name }), [name], ["sagemaker"]);
  return (
    <Page title={name} kind="Batch transform" up={["Transforms", link("models", "", { tab: "Transforms" })]}>
      <Loaded of={loaded}>{(t) => (
        <>
          <div class="card"><KeyValues of={[
            ["ARN", <Arn arn={t.TransformJobArn} />], ["Status", <Badge status={t.TransformJobStatus} />], ["Why", t.FailureReason], ["Model", <a href={link("models", `model/${t.ModelName}`)}>{t.ModelName}</a>],
            ["Reads", <Place uri={t.TransformInput.DataSource.S3DataSource.S3Uri} />], ["As", [t.TransformInput.ContentType, t.TransformInput.SplitType, t.TransformInput.CompressionType].filter((v) => v && v !== "None").join(", ")],
            ["Writes", <Place uri={t.TransformOutput.S3OutputPath} />], ["Accepts", t.TransformOutput.Accept], ["Puts together", t.TransformOutput.AssembleWith],
            ["Input filter", t.DataProcessing?.InputFilter], ["Output filter", t.DataProcessing?.OutputFilter], ["Join", t.DataProcessing?.JoinSource],
            ["On", t.TransformResources ? `${t.TransformResources.InstanceCount} × ${t.TransformResources.InstanceType}` : ""], ["Started", <Time at={t.TransformStartTime ?? t.CreationTime} />],
            ["Lasted", t.TransformEndTime ? duration(t.TransformEndTime - (t.TransformStartTime ?? t.CreationTime)) : ""],
          ]} /></div>
          <Origin worker={worker(t.TransformJobArn)} />
          <p><a href={link("lineage", worker(t.TransformJobArn))}>What it read and wrote</a></p>
          <h2>Log</h2>
          <Logs group="/aws/sagemaker/TransformJobs" prefix={`${name}/`} />
        </>
      )}</Loaded>
    </Page>
  );
}
