// Reads CloudWatch's metrics of usage and of the machine.

import { all, call, pool } from "../api.ts";
import { DAY, kindOf, type Series, USAGE } from "./usage.ts";

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

/** So many tables are asked whether they are billed by request. */
const TABLES = 300;

/** What on-demand tables have taken, by table: CloudWatch counts it in any mode, and what is provisioned is billed by the hour. */
async function tables(days: number[]): Promise<Series[]> {
  const { items } = await all<Metric>("cloudwatch", "ListMetrics", { Namespace: "AWS/DynamoDB" }, "Metrics", "NextToken", 10_000);
  const metrics = items.filter((m) => m.Dimensions.length === 1 && m.Dimensions[0]!.Name === "TableName" && /^Consumed(Read|Write)CapacityUnits$/.test(m.MetricName));
  if (metrics.length === 0) return [];
  const values = await read(metrics, days[0]!, days[days.length - 1]! + DAY, DAY, "Sum");
  const there = new Set((await all<string>("dynamodb", "ListTables", {}, "TableNames", "LastEvaluatedTableName", 10_000)).items);
  const names = [...new Set(metrics.filter((_, i) => values[i]!.size > 0).map((m) => m.Dimensions[0]!.Value))].filter((name) => there.has(name)).slice(0, TABLES);
  const modes = new Map(await pool(names, 6, async (TableName): Promise<[string, string | undefined]> =>
    [TableName, await call<{ Table: { BillingModeSummary?: { BillingMode?: string } } }>("dynamodb", "DescribeTable", { TableName }).then(({ Table }) => Table.BillingModeSummary?.BillingMode, () => undefined)]));
  return metrics.map((m, i) => {
    const value = m.Dimensions[0]!.Value;
    const metric = modes.get(value) !== "PAY_PER_REQUEST" ? "ProvisionedUnits" : m.MetricName.includes("Read") ? "ReadRequestUnits" : "WriteRequestUnits";
    return { metric, value, days: values[i]! };
  });
}

/** Series of one metric, added up. */
function together(all: Series[]): Series[] {
  const found = new Map<string, Series>();
  for (const { metric, days } of all) {
    const whole = found.get(metric) ?? { metric, value: "", days: new Map() };
    for (const [day, n] of days) whole.days.set(day, (whole.days.get(day) ?? 0) + n);
    found.set(metric, whole);
  }
  return [...found.values()];
}

/** What was used on these days: by service in all, or by what used it. */
export async function used(by: "Service" | "Resource", days: number[]): Promise<Series[]> {
  const listed = all<Metric>("cloudwatch", "ListMetrics", { Namespace: USAGE, Dimensions: [{ Name: by }] }, "Metrics", "NextToken", 10_000);
  const metrics = (await listed).items.filter((m) => kindOf(m.MetricName));
  const [values, dynamo] = await Promise.all([metrics.length > 0 ? read(metrics, days[0]!, days[days.length - 1]! + DAY, DAY, "Sum") : [], tables(days)]);
  const found = metrics.map((m, i) => ({ metric: m.MetricName, value: m.Dimensions[0]!.Value, days: values[i]! }));
  return [...found, ...(by === "Service" ? together(dynamo) : dynamo)];
}
