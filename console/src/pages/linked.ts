// What the server has noted of data: the question, its answer, and where its nodes lead. Without the drawing, so that pages that ask
// do not bring it.

import { call } from "../api.ts";
import { link } from "../route.ts";

export interface LineageNode { Id: string; Type: string; Name: string; ExecutionArn?: string; StateName?: string; AskedBy?: string; Objects?: number }
export interface LineageEdge { Source: string; Target: string; Type: string; Count?: number; Bytes?: number; FirstTime?: number; LastTime?: number; ETag?: string }
export interface Graph { Nodes: LineageNode[]; Edges: LineageEdge[]; Truncated: boolean }

export const DATA = new Set(["OBJECT", "FOLDER", "CATALOG_TABLE", "DYNAMODB_TABLE"]);
export const KINDS: Record<string, string> = {
  OBJECT: "object", FOLDER: "folder", CATALOG_TABLE: "catalog table", DYNAMODB_TABLE: "DynamoDB table", STATE: "state", EXECUTION: "execution", MAP_RUN: "Map Run", STATE_MACHINE: "state machine",
  QUERY: "query", JOB_RUN: "Glue job run", CRAWL: "crawl", TRANSFORM_JOB: "batch transform", INVOCATION: "function", JOB: "job",
};

export const lineage = (Resource: string, Detail = "FOLDER", Direction = "BOTH", MaxDepth?: number): Promise<Graph> =>
  call("lineage", "GetLineage", { Resource, Detail, Direction, ...(MaxDepth ? { MaxDepth } : {}) });

/** Who asked for a worker, from the nearest up to the execution or the principal; and what it has asked for itself. */
export function asked(graph: Graph, worker: string): { by: LineageNode[]; principal?: string; started: LineageNode[] } {
  const nodes = new Map(graph.Nodes.map((n) => [n.Id, n]));
  const started = graph.Edges.filter((e) => e.Type === "STARTED");
  const above = new Map(started.map((e) => [e.Target, e.Source]));
  const by: LineageNode[] = [];
  for (let at = above.get(worker); at && by.length < 20; at = above.get(at)) { const node = nodes.get(at); if (node) by.push(node); }
  // What a state of an execution asks for is the execution's.
  const own = (id: string): boolean => id === worker || id.startsWith(`${worker}#`);
  const below = started.filter((e) => own(e.Source) && !own(e.Target)).map((e) => nodes.get(e.Target)).filter((n) => n !== undefined);
  return { by, principal: (by[by.length - 1] ?? nodes.get(worker))?.AskedBy, started: below };
}

/** The page of a node. */
export function nodeLink(node: LineageNode): string {
  if (node.Type === "STATE" && node.ExecutionArn?.includes(":stateMachine:")) return link("machine", node.ExecutionArn);
  if (node.Type === "STATE_MACHINE") return link("machine", node.Id);
  if (node.Type === "STATE") return link("execution", node.ExecutionArn, { state: node.StateName });
  if (node.Type === "EXECUTION") return link("execution", node.Id);
  if (node.Type === "MAP_RUN") return link("map-run", node.Id);
  if (node.Type === "QUERY") return link("sql", "", { query: node.Name });
  if (node.Type === "INVOCATION" && node.Id.startsWith("arn:")) return link("functions", node.Name);
  if (node.Type === "JOB_RUN") return link("jobs", `run/${node.Name}`);
  if (node.Type === "CRAWL") return link("jobs", `crawler/${node.Name}`, { crawl: node.Id.split(":").pop() });
  if (node.Type === "TRANSFORM_JOB") return link("models", `transform/${node.Name}`);
  if (node.Type === "CATALOG_TABLE") return link("lake", `catalog/${node.Name.replace(".", "/")}`);
  if (node.Type === "DYNAMODB_TABLE") return link("tables", node.Name);
  if (node.Type === "FOLDER" || node.Type === "OBJECT") {
    const [, bucket = "", key = ""] = /^s3:\/\/([^/]+)\/(.*)$/.exec(node.Id) ?? [];
    const prefix = key.slice(0, key.lastIndexOf("/") + 1);
    return link("lake", `s3/${bucket}`, { prefix, key: node.Type === "OBJECT" ? key : undefined });
  }
  return link("lineage", node.Id);
}
