// Metrics of something's last day, by the hour.

import { link } from "../route.ts";
import { Loaded, Spark, useLoad } from "../ui.tsx";
import { read } from "./used.ts";

const HOURS = 24;

/** A metric, the statistic that is shown, and what it counts, in words. */
export type Figure = [metric: string, stat: "Sum" | "Average" | "Maximum" | "p50" | "p95", words: string];

/** The sum, the highest, or the average of the hours in which there was something. */
function whole(values: number[], stat: Figure[1]): number | undefined {
  // What was never measured is not nothing.
  if (stat !== "Sum" && values.length === 0) return undefined;
  if (stat === "Sum") return values.reduce((a, b) => a + b, 0);
  // A percentile of the day is not made of those of its hours: the slowest hour's is told.
  if (stat === "Maximum" || stat.startsWith("p")) return Math.max(...values);
  const seen = values.filter((v) => v > 0);
  return seen.length > 0 ? seen.reduce((a, b) => a + b, 0) / seen.length : 0;
}

export function LastDay({ namespace, dimensions, figures }: { namespace: string; dimensions: Record<string, string>; figures: Figure[] }) {
  const named = Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value }));
  const loaded = useLoad(async () => {
    const end = Math.ceil(Date.now() / 3_600_000) * 3600;
    const found = await read(figures.map(([MetricName]) => ({ Namespace: namespace, MetricName, Dimensions: named })), end - HOURS * 3600, end, 3600, figures.map(([, stat]) => stat));
    const hours = Array.from({ length: HOURS }, (_, n) => end - (HOURS - n) * 3600);
    return found.map((values) => ({ measured: [...values.values()], hours: hours.map((at) => values.get(at) ?? 0) }));
  }, [namespace, JSON.stringify(dimensions)]);
  return <Loaded of={loaded}>{(series) => (
    <div class="cards">{figures.map(([metric, stat, words], n) => (
      <div class="figure" key={`${metric} ${stat}`}><span>{words}, last day</span><b>{whole(series[n]!.measured, stat)?.toLocaleString(undefined, { maximumFractionDigits: 1 }) ?? <span title="It has not been measured yet">–</span>}</b><Spark values={series[n]!.hours} label={`${metric}, ${stat}, by the hour`} /><br /><a href={link("metrics", "", { metric: `${namespace} ${metric}`, stat, span: "86400", of: Object.values(dimensions).join(", ") })}>Plot</a></div>
    ))}</div>
  )}</Loaded>;
}
