// Where data comes from and where it goes, as the server has noted it: a graph from left to right, and the same as a table. What is
// not recorded is said.

import dagre from "@dagrejs/dagre";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { link, setParams } from "../route.ts";
import { bytes, count } from "../time.ts";
import { Loaded, Page, Table, Time, useLoad } from "../ui.tsx";
import { DATA, type Graph, KINDS, lineage, type LineageNode, nodeLink } from "./linked.ts";

/** Who asked for whom, up to the execution: `state Clean of run-1`. */
function forWhom(graph: Graph): Map<string, LineageNode[]> {
  const nodes = new Map(graph.Nodes.map((n) => [n.Id, n]));
  const by = new Map(graph.Edges.filter((e) => e.Type === "STARTED").map((e) => [e.Target, e.Source]));
  return new Map(graph.Nodes.map((node) => {
    const chain: LineageNode[] = [];
    for (let at = by.get(node.Id); at && chain.length < 20; at = by.get(at)) { const above = nodes.get(at); if (above) chain.push(above); }
    return [node.Id, chain];
  }));
}

export default function Lineage({ rest, params }: { rest: string; params: URLSearchParams }) {
  const [asked, setAsked] = useState(rest);
  const detail = params.get("detail") === "OBJECT" ? "OBJECT" : "FOLDER";
  const way = ["UPSTREAM", "DOWNSTREAM"].includes(params.get("way") ?? "") ? params.get("way")! : "BOTH";
  const depth = Number(params.get("depth")) || undefined;
  const go = (e: Event) => { e.preventDefault(); location.hash = link("lineage", asked.trim()); };
  return (
    <Page title={rest ? rest.replace(/^arn:aws:states:[^:]*:[^:]*:/, "") : "Lineage"} kind={rest ? "Lineage" : undefined} up={rest ? ["Lake", "#/lake"] : undefined}
      actions={rest ? <>
        <label>Way <select value={way} onChange={(e) => setParams({ way: e.currentTarget.value === "BOTH" ? undefined : e.currentTarget.value })}><option value="BOTH">both</option><option value="UPSTREAM">where it comes from</option><option value="DOWNSTREAM">where it goes</option></select></label>
        <label>Steps <select value={depth ?? ""} onChange={(e) => setParams({ depth: e.currentTarget.value || undefined })}><option value="">all</option>{[1, 2, 3, 5].map((n) => <option>{n}</option>)}</select></label>
        <label>Show <select value={detail} onChange={(e) => setParams({ detail: e.currentTarget.value === "OBJECT" ? "OBJECT" : undefined })}><option value="FOLDER">folders</option><option value="OBJECT">every object</option></select></label></> : null}>
      <form class="row" onSubmit={go}>
        <label style="flex:1">An object, a folder, a table or an execution <input style="width:100%" value={asked} placeholder="s3://bucket/key, s3://bucket/folder/, glue://database/table, dynamodb://table, an execution's ARN" onInput={(e) => setAsked(e.currentTarget.value)} /></label>
        <button>Show</button>
      </form>
      <p />
      {rest ? <Drawn key={`${rest} ${detail} ${way} ${depth}`} resource={rest} detail={detail} way={way} depth={depth} /> : <p class="quiet">The server notes which state, job and function reads and writes which data. Give what you want to know of, or follow “Lineage” on an object, a table or an execution.</p>}
    </Page>
  );
}

/** The graph of a resource with its table. */
export function Drawn({ resource, detail = "FOLDER", way = "BOTH", depth, topics = [] }: { resource: string; detail?: string; way?: string; depth?: number; topics?: string[] }) {
  const loaded = useLoad(() => lineage(resource, detail, way, depth), [resource, detail, way, depth], topics);
  return (
    <Loaded of={loaded}>{(graph) => {
      const data = graph.Edges.filter((e) => e.Type !== "STARTED");
      if (data.length === 0) return <Unrecorded resource={resource} />;
      return (
        <>
          {graph.Truncated ? <p class="error">Not all is shown: there is more than one answer holds.</p> : null}
          <Flow graph={graph} of={resource} />
          <Rows graph={graph} of={resource} />
          <p class="quiet">Links go by content: a job is behind another one where it read what the other one wrote. Not recorded: calls with keys of users and of the owner (an upload has no writer here), listings, what is older than 90 days.</p>
        </>
      );
    }}</Loaded>
  );
}

/** What data and workers are called by. */
const ADDRESS = /^(s3|glue|dynamodb):\/\/.|^arn:.|^(athena|glue|sagemaker|lambda):\w/;

const Unrecorded = ({ resource }: { resource: string }) => (!ADDRESS.test(resource) ? <p class="empty">“{resource}” is no address: data is named s3://bucket/key, s3://bucket/folder/, glue://database/table or dynamodb://table, an execution by its ARN.</p> :
  <p class="empty">Nothing is recorded of {resource}. {resource.startsWith("arn:") ? "It has read and written nothing itself, or before lineage was kept." : "No state, job or function has read or written it; what is done with keys of users and of the owner is not recorded."}</p>
);

/** A picture of more takes long to lay out, and nobody finds their way in it. */
const MOST_DRAWN = 300;
const WIDTH = 210;
const HEIGHT = 44;
/** Names that are ids are told by their beginning; the whole is in the link. */
const brief = (node: LineageNode): string => (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(node.Name) ? node.Name.slice(0, 8) : /^jr_[0-9a-f]{40,}$/.test(node.Name) ? `${node.Name.slice(0, 3)}…${node.Name.slice(-8)}` : node.Name);
const short = (text: string, most = 30) => (text.length > most ? `…${text.slice(1 - most)}` : text);

/** Data and workers; who asked for them is told in words. */
function Flow({ graph, of }: { graph: Graph; of: string }) {
  const chains = useMemo(() => forWhom(graph), [graph]);
  const drawing = useMemo(() => {
    if (graph.Nodes.length > MOST_DRAWN) return undefined;
    const g = new dagre.graphlib.Graph({ multigraph: true });
    g.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 56, marginx: 12, marginy: 12 });
    g.setDefaultEdgeLabel(() => ({}));
    const edges = graph.Edges.filter((e) => e.Type !== "STARTED");
    const shown = new Set(edges.flatMap((e) => [e.Source, e.Target]));
    for (const n of graph.Nodes) if (shown.has(n.Id)) g.setNode(n.Id, { width: WIDTH, height: HEIGHT });
    for (const e of edges) g.setEdge(e.Source, e.Target, { type: e.Type }, e.Type);
    dagre.layout(g);
    const boxes = graph.Nodes.filter((n) => shown.has(n.Id)).map((node) => ({ node, ...(g.node(node.Id) as { x: number; y: number }) }));
    const arrows = g.edges().map((e) => g.edge(e) as unknown as { points: { x: number; y: number }[]; type: string });
    return { boxes, arrows, width: g.graph().width ?? 0, height: g.graph().height ?? 0 };
  }, [graph]);
  // What was asked for is in sight; else what stands first.
  const canvas = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const first = drawing?.boxes.find((b) => b.node.Id === of) ?? [...(drawing?.boxes ?? [])].sort((a, b) => a.x - b.x || a.y - b.y)[0];
    if (first && canvas.current) canvas.current.scrollTo({ left: first.x - canvas.current.clientWidth / 3, top: first.y - canvas.current.clientHeight / 2 });
  }, [drawing]);
  if (!drawing) return <p class="quiet">{graph.Nodes.length.toLocaleString()} nodes are too many for a picture: the table has them all. Ask for a folder or an object of it.</p>;
  const path = (points: { x: number; y: number }[]) => points.map((p, i) => `${i === 0 ? "M" : "L"}${p.x.toFixed(1)},${p.y.toFixed(1)}`).join("");
  return (
    <div class="canvas" ref={canvas} tabIndex={0} role="region" aria-label={`Graph of the lineage of ${of}`}>
      <svg class="graph flow" viewBox={`0 0 ${drawing.width} ${drawing.height}`} width={drawing.width} height={drawing.height}>
        <defs><marker id="flow-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z" /></marker></defs>
        {drawing.arrows.map((a) => <path class={`arrow ${a.type === "DELETED" ? "catch" : ""}`} d={path(a.points)} marker-end="url(#flow-head)" />)}
        {drawing.boxes.map(({ node, x, y }) => {
          const chain = chains.get(node.Id) ?? [];
          const below = DATA.has(node.Type) ? `${KINDS[node.Type]}${node.Objects ? `, ${count(node.Objects, "object")}` : ""}` : `${KINDS[node.Type] ?? node.Type}${chain[0]?.Type === "STATE" ? ` of ${chain[0].Name}` : ""}`;
          const words = `${KINDS[node.Type] ?? node.Type} ${node.Name}${chain.length > 0 ? `, for ${chain.map((c) => `${KINDS[c.Type]} ${c.Name}`).join(", for ")}` : ""}`;
          return (
            <g key={node.Id}><a href={nodeLink(node)} aria-label={words} data-node={node.Id} data-kind={DATA.has(node.Type) ? "data" : "work"} class={node.Id === of ? "selected" : ""}>
              <title>{words}</title>
              <rect x={x - WIDTH / 2} y={y - HEIGHT / 2} width={WIDTH} height={HEIGHT} rx={DATA.has(node.Type) ? 20 : 6} />
            </a>
              <g class="label" aria-hidden="true" transform={`translate(${x - WIDTH / 2},${y - HEIGHT / 2})`}>
                <text x={WIDTH / 2} y={18}>{short(brief(node).replace(/^s3:\/\//, ""))}</text>
                <text class="note" x={WIDTH / 2} y={34}>{short(below, 36)}</text>
              </g>
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function Rows({ graph, of }: { graph: Graph; of: string }) {
  const nodes = new Map(graph.Nodes.map((n) => [n.Id, n]));
  const chains = forWhom(graph);
  const rows = graph.Edges.filter((e) => e.Type !== "STARTED").map((edge) => {
    const [who, data] = edge.Type === "READ" ? [edge.Target, edge.Source] : [edge.Source, edge.Target];
    return { edge, who: nodes.get(who)!, data: nodes.get(data)! };
  }).filter((r) => r.who && r.data);
  const name = (n: LineageNode) => <span class="lined"><span class="quiet">{KINDS[n.Type] ?? n.Type}</span> <a href={nodeLink(n)} title={n.Name}>{brief(n)}</a></span>;
  return <Table rows={rows} label={`Reads and writes of ${of}`} columns={[
    { name: "Who", cell: (r) => name(r.who), sort: (r) => r.who.Name },
    { name: "For", cell: (r) => { const chain = chains.get(r.who.Id) ?? []; const last = chain[chain.length - 1]; return chain.length > 0 ? <>{chain.map((c) => <div>{name(c)}</div>)}{last?.AskedBy ? <div class="quiet">asked by {last.AskedBy.split(":").slice(5).join(":")}</div> : null}</> : r.who.AskedBy ? <span class="quiet">{r.who.AskedBy.split(":").slice(5).join(":")}</span> : <span class="quiet">not recorded</span>; } },
    { name: "Did", cell: (r) => r.edge.Type.toLowerCase(), sort: (r) => r.edge.Type },
    { name: "What", wide: true, cell: (r) => name(r.data), sort: (r) => r.data.Name },
    { name: "Times", numeric: true, cell: (r) => r.edge.Count?.toLocaleString(), sort: (r) => r.edge.Count ?? 0 },
    { name: "Bytes", numeric: true, cell: (r) => (r.edge.Bytes ? bytes(r.edge.Bytes) : ""), sort: (r) => r.edge.Bytes ?? 0 },
    { name: "Last", cell: (r) => <Time at={r.edge.LastTime} />, sort: (r) => r.edge.LastTime ?? 0 },
  ]} />;
}
