// AWS's list prices (models/prices.json, each with the pages it was checked against) and what they make of an amount: pure, tested without a browser.

import list from "../../../models/prices.json";

export const prices = list;

export const usd = (name: keyof typeof prices.prices): number => prices.prices[name].usd;

export const money = (n: number): string => (n === 0 ? "$0" : n < 0.01 ? `$${n.toFixed(Math.min(20, 1 - Math.floor(Math.log10(n))))}` : `$${n.toFixed(2)}`);

/** GB-seconds of an attempt of a function: its time here, rounded up to a millisecond. */
export const lambda = (seconds: number, memoryMb: number): number => (Math.ceil(seconds * 1000) / 1000) * (memoryMb / 1024) * usd("lambda.gb_second") + usd("lambda.request");

export const athena = (scanned: number): number => (Math.max(scanned, 10e6) / 1e12) * usd("athena.terabyte");

export const glue = (seconds: number, dpus: number): number => (Math.max(60, seconds) / 3600) * dpus * usd("glue.dpu_hour");

/** DPUs of a worker of a type; those of memory-optimised ones (R) are priced otherwise. Source: Glue's developer guide, "AWS Glue worker types". */
export const DPUS: Record<string, number> = { "G.025X": 0.25, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16, Standard: 1 };
