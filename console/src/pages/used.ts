// Reads CloudWatch's metrics of usage and of the machine.

import { all, call } from "../api.ts";
import { DAY, KINDS, type Series, USAGE } from "./usage.ts";

export interface Metric { Namespace: string; MetricName: string; Dimensions: { Name: string; Value: string }[] }
interface Result { Id: string; Timestamps: number[]; Values: number[] }

/** Source: API Reference, GetMetricData. */
const QUERIES = 500;

/** Values by beginning of a period, for each of the metrics, in their order; of one statistic, or of one for each. */
export async function read(metrics: Metric[], from: number, to: number, period: number, stat: string | string[]): Promise<Map<number, number>[]> {
  const found: Map<number, number>[] = metrics.map(() => new Map());
  for (let at = 0; at < metrics.length; at += QUERIES) {
    const { MetricDataResults } = await call<{ MetricDataResults: Result[] }>("cloudwatch", "GetMetricData", {
      StartTime: from, EndTime: to,
      MetricDataQueries: metrics.slice(at, at + QUERIES).map((Metric, i) => ({ Id: `m${at + i}`, MetricStat: { Metric, Period: period, Stat: typeof stat === "string" ? stat : stat[at + i]! } })),
    });
    for (const { Id, Timestamps, Values } of MetricDataResults) Timestamps.forEach((time, i) => found[Number(Id.slice(1))]!.set(time, Values[i]!));
  }
  return found;
}

/** What was used on these days: by service in all, or by what used it. */
export async function used(by: "Service" | "Resource", days: number[]): Promise<Series[]> {
  const metrics = by === "Service"
    ? Object.entries(KINDS).map(([MetricName, { service }]): Metric => ({ Namespace: USAGE, MetricName, Dimensions: [{ Name: "Service", Value: service }] }))
    : (await all<Metric>("cloudwatch", "ListMetrics", { Namespace: USAGE }, "Metrics", "NextToken", 10_000)).items.filter((m) => m.Dimensions[0]?.Name === by);
  const values = await read(metrics, days[0]!, days[days.length - 1]! + DAY, DAY, "Sum");
  return metrics.map((m, i) => ({ metric: m.MetricName, value: m.Dimensions[0]!.Value, days: values[i]! }));
}
