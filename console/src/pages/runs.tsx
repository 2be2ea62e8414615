// Executions of one machine or of all: reading them within bounds, and showing them.

import { call, pool } from "../api.ts";
import { link } from "../route.ts";
import { duration, percentile } from "../time.ts";
import { Badge, type Column, SIGNS, Time, toneOf } from "../ui.tsx";

export interface Machine { stateMachineArn: string; name: string; type: string; creationDate: number }
export interface Run { executionArn: string; stateMachineArn: string; name: string; status: string; startDate: number; stopDate?: number; itemCount?: number; redriveCount?: number }

export const STATUSES = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];
/** Children of a Map Run alone wait for a redrive. Source: API Reference, ListExecutions, `statusFilter`. */
export const OF_CHILDREN = [...STATUSES, "PENDING_REDRIVE"];

export interface Runs { executions: Run[]; nextToken?: string }

export const runsOf = (of: { stateMachineArn: string } | { mapRunArn: string }, status = "", maxResults = 50, nextToken?: string): Promise<Runs> =>
  call("states", "ListExecutions", { ...of, maxResults, ...(status ? { statusFilter: status } : {}), ...(nextToken ? { nextToken } : {}) });

const WIDTH = 6;

/** The newest runs of each machine, and whether it has others. */
export const newest = (machines: Machine[], status = "", each = 30): Promise<Runs[]> =>
  pool(machines, WIDTH, (m) => (m.type === "EXPRESS" ? Promise.resolve({ executions: [] }) : runsOf({ stateMachineArn: m.stateMachineArn }, status, each)));

export const lasted = (run: Run): number => (run.stopDate ?? Date.now() / 1000) - run.startDate;

export const runColumns = (withMachine: boolean): Column<Run>[] => [
  { name: "Execution", cell: (r) => <a href={link("execution", r.executionArn)}>{r.name}</a>, sort: (r) => r.name, wide: true },
  ...(withMachine ? [{ name: "State machine", cell: (r: Run) => <a href={link("machine", r.stateMachineArn)}>{r.stateMachineArn.split(":").pop()}</a>, sort: (r: Run) => r.stateMachineArn }] : []),
  { name: "Status", cell: (r) => <Badge status={r.status} />, sort: (r) => r.status },
  { name: "Started", cell: (r) => <Time at={r.startDate} />, sort: (r) => r.startDate },
  { name: "Lasted", numeric: true, cell: (r) => duration(lasted(r)), sort: lasted },
];

/** A run as a cell of a grid. */
export const Cell = ({ run }: { run: Run }) => {
  const tone = toneOf(run.status);
  const words = `${run.stateMachineArn.split(":").pop()}, ${run.name}: ${run.status.toLowerCase()}, ${duration(lasted(run))}, ${new Date(run.startDate * 1000).toLocaleString()}`;
  return <a class="cell" data-tone={tone} href={link("execution", run.executionArn)} title={words} aria-label={words}>{SIGNS[tone]}</a>;
};

export function figures(runs: Run[]): { rate?: number; p50?: number; p95?: number } {
  const over = runs.filter((r) => r.stopDate !== undefined);
  const times = over.filter((r) => r.status === "SUCCEEDED").map(lasted);
  const good = over.filter((r) => r.status === "SUCCEEDED").length;
  return { rate: over.length > 0 ? good / over.length : undefined, p50: percentile(times, 0.5), p95: percentile(times, 0.95) };
}
