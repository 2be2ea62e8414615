// A result as a chart: one column across, numbers up.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { ofValues } from "./axis.ts";

const COLOURS = ["#3b7ddd", "#d9622b", "#2e9e5b", "#b5417f", "#8a6fd1", "#b58a00", "#1b9aaa", "#7a7f8a"];

interface Props { names: string[]; numeric: boolean[]; rows: (string | undefined)[][] }

/** A time or a date as Athena writes it. */
const instant = (text: string | undefined): number => (text !== undefined && /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text.includes(" ") ? `${text.replace(" ", "T")}Z` : text) / 1000 : Number.NaN);

/** A bar's length is its value: it begins at zero. */
const fromZero = (_: unknown, least: number, most: number): [number, number] => [Math.min(0, least) * 1.05, Math.max(0, most) * 1.05 || 1];

export function Chart({ names, numeric, rows }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const first = Math.max(0, numeric.findIndex((n) => !n));
  const [across, setAcross] = useState(first);
  const [form, setForm] = useState<"lines" | "bars">("bars");
  const up = names.map((_, at) => at).filter((at) => numeric[at] && at !== across).slice(0, COLOURS.length);
  useEffect(() => {
    if (!box.current || up.length === 0) return undefined;
    const keys = rows.map((r) => r[across]);
    const times = keys.map(instant);
    const isTime = times.every((t) => !Number.isNaN(t));
    const isNumber = !isTime && numeric[across];
    const at = isTime ? times : isNumber ? keys.map(Number) : keys.map((_, i) => i);
    // What goes across is in order.
    const order = isTime || isNumber ? [...at.keys()].sort((a, b) => at[a]! - at[b]!) : [...at.keys()];
    const colour = getComputedStyle(box.current).color;
    const axis = { stroke: colour, grid: { stroke: "#8885", width: 1 }, ticks: { stroke: "#8885" } };
    const label = (_: unknown, values: number[]) => values.map((v) => (Number.isInteger(v) ? (keys[v] ?? "").slice(0, 14) : ""));
    const plot = new uPlot({
      width: box.current.clientWidth, height: 300, scales: { x: { time: isTime, ...(isTime || isNumber ? {} : { range: [-0.6, rows.length - 0.4] }) }, ...(form === "bars" ? { y: { range: fromZero } } : {}) },
      axes: [isTime || isNumber ? axis : { ...axis, values: label, incrs: [1, 2, 5, 10, 20, 50, 100] }, ofValues(axis)],
      series: [{ label: names[across] }, ...up.map((c, i) => ({ label: names[c], stroke: COLOURS[i], width: 2, fill: form === "bars" ? `${COLOURS[i]}99` : undefined, ...(form === "bars" ? { paths: uPlot.paths.bars!({ size: [0.7, 60] }) } : {}), points: { show: form === "lines" && rows.length < 200 } }))],
    }, [order.map((i) => at[i]!), ...up.map((c) => order.map((i) => (rows[i]![c] === undefined ? null : Number(rows[i]![c]))))], box.current);
    const sized = new ResizeObserver(() => box.current && plot.setSize({ width: box.current.clientWidth, height: 300 }));
    sized.observe(box.current);
    return () => { sized.disconnect(); plot.destroy(); };
  }, [rows, across, form]);
  return (
    <div class="card">
      <p class="row">
        <label>Across <select value={across} onChange={(e) => setAcross(Number(e.currentTarget.value))}>{names.map((n, i) => <option value={i}>{n}</option>)}</select></label>
        <label>As <select value={form} onChange={(e) => setForm(e.currentTarget.value as "lines" | "bars")}><option>bars</option><option>lines</option></select></label>
        <span class="quiet">{up.length === 0 ? "No other column has numbers." : `Of the ${rows.length.toLocaleString()} rows that are read.`}</span>
      </p>
      <div class="plot" ref={box} role="img" aria-label={`Chart of ${up.map((c) => names[c]).join(", ")} by ${names[across]}`} />
    </div>
  );
}
