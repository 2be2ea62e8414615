// AWS's list prices (models/prices.json, each with the pages it was checked against) and what they make of an amount: pure, tested without a browser.

import list from "../../../models/prices.json";

export const prices = list;

export const usd = (name: keyof typeof prices.prices): number => prices.prices[name].usd;

/** The price of that name, if it is kept. */
export const priceOf = (name = ""): number | undefined => (prices.prices as Record<string, { usd: number }>)[name]?.usd;

export const money = (n: number): string => (n === 0 ? "$0" : n < 0.01 ? `$${n.toFixed(Math.min(20, 1 - Math.floor(Math.log10(n))))}` : `$${n.toFixed(2)}`);

/** GB-seconds of an attempt of a function: its time here, rounded up to a millisecond. */
export const lambda = (seconds: number, memoryMb: number): number => (Math.ceil(seconds * 1000) / 1000) * (memoryMb / 1024) * usd("lambda.gb_second") + usd("lambda.request");

export const athena = (scanned: number): number => (Math.max(scanned, 10e6) / 1e12) * usd("athena.terabyte");

export const glue = (seconds: number, dpus: number, flexible = false): number => (Math.max(60, seconds) / 3600) * dpus * usd(flexible ? "glue.flex_dpu_hour" : "glue.dpu_hour");

/** DPUs that are reckoned for a crawl: `models/prices.json` says why. */
export const CRAWL_DPUS = 2;

export const crawl = (seconds: number): number => (Math.max(600, seconds) / 3600) * CRAWL_DPUS * usd("glue.crawler_dpu_hour");

/** A transform's instances, each for so long; none is known for some types. */
export const transform = (seconds: number, type: string, instances: number): number | undefined => {
  const hour = priceOf(`sagemaker.${type}`);
  return hour === undefined ? undefined : (seconds / 3600) * instances * hour;
};

/** DPUs of a worker of a type; those of memory-optimised ones (R) are priced otherwise. Source: Glue's developer guide, "AWS Glue worker types". */
export const DPUS: Record<string, number> = { "G.025X": 0.25, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16, Standard: 1 };

/** What a request for one item takes at the least, as if its table were on demand: a KB of it that is written is a unit, an eventually consistent read of 4 KB half a one. */
export function requestUnits(resource: string, parameters: Record<string, unknown>): { write: boolean; amount: number } {
  const write = !/getItem$/.test(resource);
  if (!write) return { write, amount: parameters.ConsistentRead ? 1 : 0.5 };
  return { write, amount: Math.max(1, Math.ceil(itemBytes(parameters.Item ?? parameters.Key) / 1024)) };
}

/** Bytes of an item: its names and values. Source: DynamoDB Developer Guide, "DynamoDB item sizes and formats". */
function itemBytes(value: unknown): number {
  const text = (of: string) => new TextEncoder().encode(of).length;
  if (value === null || typeof value !== "object") return typeof value === "string" ? text(value) : 1;
  if (Array.isArray(value)) return 3 + value.reduce((n: number, v) => n + 1 + itemBytes(v), 0);
  return Object.entries(value).reduce((n, [name, inner]) => n + (/^(S|N|B|BOOL|NULL|M|L|SS|NS|BS)$/.test(name) ? 0 : text(name)) + itemBytes(inner), 0);
}
