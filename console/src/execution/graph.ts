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
  Resource?: string;
  QueryLanguage?: string;
}
export interface Machine { StartAt: string; States: Record<string, State>; QueryLanguage?: string; /** The role that an execution runs as. */ roleArn?: string }

export interface Box { id: string; name?: string; type: string; x: number; y: number; width: number; height: number; holds: number; collapsed: boolean }
export interface Arrow { points: { x: number; y: number }[]; kind: "next" | "catch" }
export interface Drawing { boxes: Box[]; groups: Box[]; arrows: Arrow[]; width: number; height: number }

export const inner = (s: State): Machine[] => s.Branches ?? [s.ItemProcessor ?? s.Iterator].filter((m) => m !== undefined);

const size = (m: Machine): number => Object.values(m.States).reduce((n, s) => n + 1 + inner(s).reduce((k, i) => k + size(i), 0), 0);

/** All states, those of branches and iterations too. */
export function* states(machine: Machine): Generator<[string, State, string | undefined]> {
  function* walk(m: Machine, above?: string): Generator<[string, State, string | undefined]> {
    for (const [name, state] of Object.entries(m.States)) {
      yield [name, state, above];
      for (const part of inner(state)) yield* walk(part, name);
    }
  }
  yield* walk(machine);
}

/**
 * Lays the machine out. A Parallel or Map state is its own box above a dashed group, its branches join below; a collapsed one is
 * its box alone. States may have any name, so that what is no state has ids that begin otherwise.
 */
export function layout(machine: Machine, collapsed: ReadonlySet<string>): Drawing {
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: 28, ranksep: 38, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  const dot = { width: 22, height: 22, holds: 0, collapsed: false };
  const id = (name: string) => `state:${name}`;
  graph.setNode("start", { ...dot, type: "Start" });
  graph.setNode("end", { ...dot, type: "End" });
  const edge = (from: string, to: string, kind: Arrow["kind"]) => graph.setEdge(from, to, { kind }, `${from}>${to}>${kind}`);
  const add = (m: Machine, parent: string | undefined, end: string) => {
    for (const [name, state] of Object.entries(m.States)) {
      const parts = inner(state);
      const holds = parts.reduce((n, part) => n + size(part), 0);
      const closed = collapsed.has(name);
      graph.setNode(id(name), { width: Math.max(120, Math.min(name.length, 40) * 8 + 30), height: 42, name, type: state.Type, holds, collapsed: closed });
      if (parent) graph.setParent(id(name), parent);
      let out = id(name);
      if (parts.length > 0 && !closed) {
        const [box, join] = [`group:${name}`, `join:${name}`];
        graph.setNode(box, { type: "Group" });
        graph.setNode(join, { width: 10, height: 10, type: "Join", holds: 0, collapsed: false });
        if (parent) { graph.setParent(box, parent); graph.setParent(join, parent); }
        for (const part of parts) {
          add(part, box, join);
          edge(id(name), id(part.StartAt), "next");
        }
        out = join;
      }
      const nexts = [state.Next, state.Default, ...(state.Choices ?? []).map((c) => c.Next)].filter((n) => n !== undefined);
      for (const next of new Set(nexts)) edge(out, id(next), "next");
      if (nexts.length === 0) edge(out, end, "next");
      for (const next of new Set((state.Catch ?? []).map((c) => c.Next))) edge(out, id(next), "catch");
    }
  };
  add(machine, undefined, "end");
  edge("start", id(machine.StartAt), "next");
  dagre.layout(graph);
  const boxes: Box[] = [];
  const groups: Box[] = [];
  for (const id of graph.nodes()) {
    const node = graph.node(id) as unknown as Box | undefined;
    if (!node || Number.isNaN(node.x)) continue;
    (node.type === "Group" ? groups : boxes).push({ ...node, id });
  }
  const arrows = graph.edges().map((e) => {
    const { points, kind } = graph.edge(e) as unknown as Arrow;
    return { points, kind };
  });
  const whole = graph.graph();
  return { boxes, groups, arrows, width: whole.width ?? 0, height: whole.height ?? 0 };
}
