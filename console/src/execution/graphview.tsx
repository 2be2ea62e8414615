// The live graph: SVG, each state a button with data-state and data-status: reached by keyboard, read out by screen readers, and a
// test can wait for a colour.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { SIGNS } from "../ui.tsx";
import { duration } from "../time.ts";
import { layout, type Machine } from "./graph.ts";
import type { Summary } from "./states.ts";

const path = (points: { x: number; y: number }[]): string =>
  points.map((p, i) => `${i === 0 ? "M" : "L"}${p.x.toFixed(1)},${p.y.toFixed(1)}`).join("");

const STEP = 1.25;

export interface GraphProps { machine: Machine; summaries: Map<string, Summary>; notes?: Map<string, string>; selected?: string; /** Begins with the colours of time. */ hot?: boolean; onSelect: (name: string) => void }

export function Graph({ machine, summaries, notes, selected, hot, onSelect }: GraphProps) {
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const [zoom, setZoom] = useState<number>();
  const [heat, setHeat] = useState(hot ?? false);
  const canvas = useRef<HTMLDivElement>(null);
  const drawing = useMemo(() => layout(machine, collapsed), [machine, collapsed]);
  const groups = useMemo(() => layout(machine, new Set()).boxes.filter((b) => b.holds > 0).map((b) => b.name!), [machine]);
  // It fits the width at first, but is never so small that its names cannot be read.
  const fit = () => Math.min(1, Math.max(0.55, ((canvas.current?.clientWidth ?? 800) - 4) / drawing.width));
  useEffect(() => { setZoom(fit()); }, [machine]);
  const scale = zoom ?? 1;
  // The time of states that hold no others: what a Map waits for is its states' own.
  const own = (name: string) => (groups.includes(name) && summaries.get(name) && drawing.boxes.find((b) => b.name === name)?.collapsed === false ? 0 : (summaries.get(name)?.seconds ?? 0));
  const spent = drawing.boxes.reduce((n, b) => n + (b.name === undefined ? 0 : own(b.name)), 0);
  const toggle = (name: string) => setCollapsed((old) => {
    const next = new Set(old);
    if (!next.delete(name)) next.add(name);
    return next;
  });
  return (
    <div>
      <div class="tools">
        <button onClick={() => setZoom(scale * STEP)} aria-label="Zoom in">+</button>
        <button onClick={() => setZoom(scale / STEP)} aria-label="Zoom out">−</button>
        <button onClick={() => setZoom(fit())}>Fit</button>
        {groups.length > 0 ? (collapsed.size < groups.length
          ? <button onClick={() => setCollapsed(new Set(groups))}>Collapse all</button>
          : <button onClick={() => setCollapsed(new Set())}>Expand all</button>) : null}
        {spent > 0 ? <button aria-pressed={heat} onClick={() => setHeat(!heat)}>Where the time goes</button> : null}
        {selected && groups.includes(selected) ? <button onClick={() => toggle(selected)}>{collapsed.has(selected) ? "Expand" : "Collapse"} {selected}</button> : null}
      </div>
      <div class="canvas" ref={canvas} tabIndex={0} role="region" aria-label="Graph of the state machine">
        <svg class="graph" viewBox={`0 0 ${drawing.width} ${drawing.height}`} width={drawing.width * scale} height={drawing.height * scale}>
          <defs>
            <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z" /></marker>
          </defs>
          {drawing.groups.map((g) => <rect key={g.id} class="group" x={g.x - g.width / 2} y={g.y - g.height / 2} width={g.width} height={g.height} rx={8} />)}
          {drawing.arrows.map((a) => <path class={`arrow ${a.kind}`} d={path(a.points)} marker-end="url(#head)" />)}
          {drawing.boxes.map((b) => {
            if (b.name === undefined) return <circle key={b.id} class={`dot ${b.type}`} cx={b.x} cy={b.y} r={b.width / 2} />;
            const name = b.name;
            const of = summaries.get(name);
            const status = of?.status ?? "idle";
            const note = notes?.get(name) ?? told(of) ?? (b.collapsed ? `${b.holds} states inside` : "");
            const share = heat && spent > 0 ? own(name) / spent : undefined;
            const words = `${name}, ${b.type}, ${of && of.visits > 0 ? status : "not reached"}${note ? `, ${note}` : ""}${share === undefined ? "" : `, ${Math.round(share * 100)} % of the time`}`;
            const short = name.length > 40 ? `${name.slice(0, 39)}…` : name;
            // In SVG the attribute is case-sensitive: tabIndex would be an attribute that means nothing.
            // What is drawn on a box is not its name: a screen reader is told the state's in words.
            return (
              <g key={b.id} transform={`translate(${b.x - b.width / 2},${b.y - b.height / 2})`}>
                <g data-state={name} data-status={status} data-note={note} class={selected === name ? "selected" : ""} tabindex={0} role="button" aria-label={words} aria-pressed={selected === name}
                  onClick={() => onSelect(name)} onDblClick={() => b.holds > 0 && toggle(name)}
                  onKeyDown={(e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); onSelect(name); } }}>
                  <rect width={b.width} height={b.height} rx={7} style={share === undefined ? undefined : { fill: `color-mix(in srgb, var(--heat) ${Math.round(share * 100)}%, var(--card))` }} />
                </g>
                <g class="label" aria-hidden="true">
                  <text x={b.width / 2} y={note ? 18 : 26}>{status === "idle" ? "" : `${SIGNS[status]} `}{short}</text>
                  {note ? <text class="note" x={b.width / 2} y={33}>{note}{share === undefined ? "" : ` · ${Math.round(share * 100)} %`}</text> : null}
                </g>
              </g>
            );
          })}
        </svg>
      </div>
    </div>
  );
}

/** What a box says below its name: how long, or of how many visits how many went how. */
function told(of?: Summary): string | undefined {
  if (!of || of.visits === 0) return undefined;
  if (of.visits === 1) return of.seconds > 0 ? `${duration(of.seconds)}${of.retries > 0 ? `, ${of.retries}×retried` : ""}` : undefined;
  const bad = of.by.failed + of.by.caught + of.by.aborted;
  return [`${of.by.succeeded}/${of.visits}`, bad > 0 ? `${bad} ✕` : "", of.by.running > 0 ? `${of.by.running} ●` : ""].filter(Boolean).join(" ");
}
