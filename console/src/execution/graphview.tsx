// The live graph: SVG, each state a group with data-state and data-status, so that a test can wait for a colour.

import { useMemo } from "preact/hooks";
import { layout, type Machine } from "./graph.ts";
import type { StateRun } from "./states.ts";
import { duration } from "../time.ts";

const path = (points: { x: number; y: number }[]): string =>
  points.map((p, i) => `${i === 0 ? "M" : "L"}${p.x.toFixed(1)},${p.y.toFixed(1)}`).join("");

export function Graph(props: { machine: Machine; runs: Map<string, StateRun>; selected?: string; onSelect: (name: string) => void }) {
  const drawing = useMemo(() => layout(props.machine), [props.machine]);
  return (
    <svg class="graph" viewBox={`0 0 ${drawing.width} ${drawing.height}`} width={drawing.width} height={drawing.height} role="img" aria-label="State machine">
      <defs>
        <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z" /></marker>
      </defs>
      {drawing.groups.map((g) => <rect class="group" x={g.x - g.width / 2} y={g.y - g.height / 2} width={g.width} height={g.height} rx={8} />)}
      {drawing.arrows.map((a) => <path class={`arrow ${a.kind}`} d={path(a.points)} marker-end="url(#head)" />)}
      {drawing.boxes.map((b) => {
        if (b.name === undefined) {
          return <circle class={`dot ${b.type}`} cx={b.x} cy={b.y} r={b.width / 2} />;
        }
        const run = props.runs.get(b.name);
        const note = run && (run.entered > 1 ? `${run.exited}/${run.entered}` : run.seconds > 0 ? duration(run.seconds) : "");
        return (
          <g data-state={b.name} data-status={run?.status ?? "idle"} class={props.selected === b.name ? "selected" : ""}
            transform={`translate(${b.x - b.width / 2},${b.y - b.height / 2})`} tabIndex={0} role="button"
            onClick={() => props.onSelect(b.name!)} onKeyDown={(e) => e.key === "Enter" && props.onSelect(b.name!)}>
            <title>{`${b.name} (${b.type}): ${run?.status ?? "not reached"}`}</title>
            <rect width={b.width} height={b.height} rx={7} />
            <text x={b.width / 2} y={note ? 17 : 24}>{b.name}</text>
            {note ? <text class="note" x={b.width / 2} y={32}>{note}</text> : null}
          </g>
        );
      })}
    </svg>
  );
}
