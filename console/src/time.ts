// How times, durations, sizes and numbers are shown. Times of the API are seconds since 1970.

/** The zone in which all times are shown but those that say another one. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export const seconds = (time?: number | string): number | undefined =>
  time === undefined ? undefined : typeof time === "number" ? time : Date.parse(time) / 1000;

export const clock = (time?: number | string): string => {
  const at = seconds(time);
  return at === undefined || Number.isNaN(at) ? "" : long.format(at * 1000);
};

export const zoned = (time?: number | string): string => {
  const at = seconds(time);
  return at === undefined || Number.isNaN(at) ? "" : `${full.format(at * 1000)} (${ZONE})`;
};

const two = (n: number, digits = 2): string => String(n).padStart(digits, "0");

/** A time in milliseconds, to the millisecond, in the zone of the browser. */
export function instant(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
}

export function duration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function bytes(n?: number): string {
  if (n === undefined) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) { n /= 1024; at += 1; }
  return `${at === 0 ? n : n.toFixed(1)} ${units[at]}`;
}

export const count = (n: number, one: string, many = `${one}s`): string => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** The value below which a share of the sorted values lies (nearest rank). */
export function percentile(values: number[], share: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}
