// A state machine's definition as boxes and arrows: coordinates by dagre, drawing in graphview.tsx.

import dagre from "@dagrejs/dagre";

export interface State {
  Type: string;
  Next?: string;
  Default?: string;
  Choices?: { Next: string }[];
  Catch?: { Next: string }[];
  Branches?: Machine[];
  Iterator?: Machine;
  ItemProcessor?: Machine;
}
export interface Machine { StartAt: string; States: Record<string, State> }

export interface Box { id: string; name?: string; type: string; x: number; y: number; width: number; height: number }
export interface Arrow { points: { x: number; y: number }[]; kind: "next" | "catch" }
export interface Drawing { boxes: Box[]; groups: Box[]; arrows: Arrow[]; width: number; height: number }

const inner = (s: State): Machine[] => s.Branches ?? [s.ItemProcessor ?? s.Iterator].filter((m) => m !== undefined);

/** Lays the machine out. A Parallel or Map state is its own box above a dashed group, its branches join below. */
export function layout(machine: Machine): Drawing {
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: 28, ranksep: 38, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  const dot = { width: 22, height: 22 };
  graph.setNode("start", { ...dot, type: "Start" });
  graph.setNode("end", { ...dot, type: "End" });
  const group = (id: string, parent?: string) => {
    graph.setNode(id, { type: "Group" });
    if (parent) graph.setParent(id, parent);
  };
  const edge = (from: string, to: string, kind: Arrow["kind"]) => graph.setEdge(from, to, { kind }, `${from}>${to}>${kind}`);
  const add = (m: Machine, parent: string | undefined, end: string) => {
    for (const [name, state] of Object.entries(m.States)) {
      graph.setNode(name, { width: Math.max(110, name.length * 8 + 28), height: 40, name, type: state.Type });
      if (parent) graph.setParent(name, parent);
      let out = name;
      const machines = inner(state);
      if (machines.length > 0) {
        const box = `${name}/group`;
        const join = `${name}/join`;
        group(box, parent);
        graph.setNode(join, { width: 10, height: 10, type: "Join" });
        if (parent) graph.setParent(join, parent);
        for (const branch of machines) {
          add(branch, box, join);
          edge(name, branch.StartAt, "next");
        }
        out = join;
      }
      const nexts = [state.Next, state.Default, ...(state.Choices ?? []).map((c) => c.Next)].filter((n) => n !== undefined);
      for (const next of new Set(nexts)) edge(out, next, "next");
      if (nexts.length === 0) edge(out, end, "next");
      for (const next of new Set((state.Catch ?? []).map((c) => c.Next))) edge(out, next, "catch");
    }
  };
  add(machine, undefined, "end");
  edge("start", machine.StartAt, "next");
  dagre.layout(graph);
  const boxes: Box[] = [];
  const groups: Box[] = [];
  for (const id of graph.nodes()) {
    const node = graph.node(id) as unknown as Box & { type: string; name?: string };
    if (!node) continue;
    (node.type === "Group" ? groups : boxes).push({ ...node, id });
  }
  const arrows = graph.edges().map((e) => {
    const { points, kind } = graph.edge(e) as unknown as Arrow;
    return { points, kind };
  });
  const size = graph.graph();
  return { boxes, groups, arrows, width: size.width ?? 0, height: size.height ?? 0 };
}
