// What was used, day by day, as the server counts it (metrics of `Lakerun/Usage`), and what AWS's list prices make of it: pure, tested
// without a browser.

import { priceOf } from "./prices.ts";

export const USAGE = "Lakerun/Usage";
export const DAY = 86_400;

interface Kind { service: string; name: string; price?: string; per: number; unit: string }

/** By metric. Those without a price are shown as amounts. */
export const KINDS: Record<string, Kind> = {
  StateTransitions: { service: "states", name: "Step Functions", price: "states.transition", per: 1, unit: "transitions" },
  Requests: { service: "lambda", name: "Lambda, invocations", price: "lambda.request", per: 1, unit: "invocations" },
  GBSeconds: { service: "lambda", name: "Lambda, duration", price: "lambda.gb_second", per: 1, unit: "GB-seconds" },
  DPUSeconds: { service: "glue", name: "Glue jobs", price: "glue.dpu_hour", per: 3600, unit: "DPU-seconds" },
  FlexDPUSeconds: { service: "glue", name: "Glue jobs, flexible", price: "glue.flex_dpu_hour", per: 3600, unit: "DPU-seconds" },
  CrawlerDPUSeconds: { service: "glue", name: "Crawlers", price: "glue.crawler_dpu_hour", per: 3600, unit: "DPU-seconds" },
  MDPUSeconds: { service: "glue", name: "Glue jobs, memory-optimised", per: 3600, unit: "M-DPU-seconds" },
  BilledBytes: { service: "athena", name: "Athena", price: "athena.terabyte", per: 1e12, unit: "bytes" },
  ReadRequestUnits: { service: "dynamodb", name: "DynamoDB, reads", price: "dynamodb.read_request_unit", per: 1, unit: "read request units" },
  WriteRequestUnits: { service: "dynamodb", name: "DynamoDB, writes", price: "dynamodb.write_request_unit", per: 1, unit: "write request units" },
  ProvisionedUnits: { service: "dynamodb", name: "DynamoDB, tables that are provisioned or gone", per: 1, unit: "capacity units" },
};

/** Each type of instance is a metric of its own. */
const TRANSFORM = "TransformSeconds/";

/** What a metric counts; some have a name for each of what they are of. */
export function kindOf(metric: string): Kind | undefined {
  if (!metric.startsWith(TRANSFORM)) return KINDS[metric];
  const type = metric.slice(TRANSFORM.length);
  return { service: "sagemaker", name: `Batch transforms, ${type}`, price: `sagemaker.${type}`, per: 3600, unit: "instance-seconds" };
}

/** The price of an amount; none is known for some. */
export const priced = (metric: string, amount: number): number | undefined => {
  const kind = kindOf(metric);
  const usd = priceOf(kind?.price);
  return kind && usd !== undefined ? (amount / kind.per) * usd : undefined;
};

export interface Series { metric: string; value: string; days: Map<number, number> }

export const sum = (series: Series): number => [...series.days.values()].reduce((all, n) => all + n, 0);

/** What all of them cost on each of these days, and altogether. */
export function costs(all: Series[], days: number[]): { byDay: number[]; total: number; unpriced: Series[] } {
  const byDay = days.map((day) => all.reduce((n, s) => n + (priced(s.metric, s.days.get(day) ?? 0) ?? 0), 0));
  return { byDay, total: byDay.reduce((n, day) => n + day, 0), unpriced: all.filter((s) => priced(s.metric, 1) === undefined && sum(s) > 0) };
}

/** The beginnings of the last days, in UTC, as AWS's bills have them; the last is today. */
export const lastDays = (count: number, now: number): number[] => Array.from({ length: count }, (_, i) => (Math.floor(now / DAY) - (count - 1 - i)) * DAY);
