// What was used, day by day, as the server counts it (metrics of `Lakerun/Usage`), and what AWS's list prices make of it: pure, tested
// without a browser.

import { type prices, usd } from "./prices.ts";

export const USAGE = "Lakerun/Usage";
export const DAY = 86_400;

interface Kind { service: string; name: string; price?: keyof typeof prices.prices; per: number; unit: string }

/** By metric. Those without a price are shown as amounts. */
export const KINDS: Record<string, Kind> = {
  StateTransitions: { service: "states", name: "Step Functions", price: "states.transition", per: 1, unit: "transitions" },
  Requests: { service: "lambda", name: "Lambda, invocations", price: "lambda.request", per: 1, unit: "invocations" },
  GBSeconds: { service: "lambda", name: "Lambda, duration", price: "lambda.gb_second", per: 1, unit: "GB-seconds" },
  DPUSeconds: { service: "glue", name: "Glue jobs", price: "glue.dpu_hour", per: 3600, unit: "DPU-seconds" },
  FlexDPUSeconds: { service: "glue", name: "Glue jobs, flexible", per: 3600, unit: "DPU-seconds" },
  MDPUSeconds: { service: "glue", name: "Glue jobs, memory-optimised", per: 3600, unit: "M-DPU-seconds" },
  BilledBytes: { service: "athena", name: "Athena", price: "athena.terabyte", per: 1e12, unit: "bytes" },
};

/** The price of an amount; none is known for some. */
export const priced = (metric: string, amount: number): number | undefined => {
  const kind = KINDS[metric];
  return kind?.price ? (amount / kind.per) * usd(kind.price) : undefined;
};

export interface Series { metric: string; value: string; days: Map<number, number> }

export const sum = (series: Series): number => [...series.days.values()].reduce((all, n) => all + n, 0);

/** What all of them cost on each of these days, and altogether. */
export function costs(all: Series[], days: number[]): { byDay: number[]; total: number; unpriced: Series[] } {
  const byDay = days.map((day) => all.reduce((n, s) => n + (priced(s.metric, s.days.get(day) ?? 0) ?? 0), 0));
  return { byDay, total: byDay.reduce((n, day) => n + day, 0), unpriced: all.filter((s) => !KINDS[s.metric]?.price && sum(s) > 0) };
}

/** The beginnings of the last days, in UTC, as AWS's bills have them; the last is today. */
export const lastDays = (count: number, now: number): number[] => Array.from({ length: count }, (_, i) => (Math.floor(now / DAY) - (count - 1 - i)) * DAY);
