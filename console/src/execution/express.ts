// An Express execution as its log tells it: lines become events of a history. Pure but for the reading, tested without a browser.
// Source: Developer Guide, "Logging using CloudWatch Logs", and the lines that Lakerun writes.

import { call, some } from "../api.ts";
import type { Described } from "./data.ts";
import type { HistoryEvent } from "./states.ts";

interface Line { id: string; type: string; details?: Record<string, unknown>; previous_event_id?: string; event_timestamp: string; execution_arn: string }

export const isExpress = (arn: string): boolean => arn.split(":")[5] === "express";

/** `arn:aws:states:REGION:ACCOUNT:express:MACHINE:NAME:ID` */
export const machineOf = (arn: string): string => {
  const parts = arn.split(":");
  return [...parts.slice(0, 5), "stateMachine", parts[6]].join(":");
};

/** Details have the members that a history's events have, under the name that those have them. */
function event(line: Line): HistoryEvent {
  const member = /State(Entered|Exited)$/.exec(line.type);
  const name = member ? `state${member[1]}EventDetails` : `${line.type[0]!.toLowerCase()}${line.type.slice(1)}EventDetails`;
  return {
    id: Number(line.id), previousEventId: Number(line.previous_event_id ?? 0), timestamp: Number(line.event_timestamp) / 1000, type: line.type,
    ...(line.details ? { [name]: line.details } : {}),
  };
}

/** The events of each execution, in their order; what is no line of a history is left out. */
export function executions(messages: string[]): Map<string, HistoryEvent[]> {
  const found = new Map<string, HistoryEvent[]>();
  for (const message of messages) {
    let line: Line;
    try { line = JSON.parse(message) as Line; } catch { continue; }
    if (typeof line?.execution_arn !== "string" || typeof line.type !== "string") continue;
    const events = found.get(line.execution_arn);
    if (events) events.push(event(line)); else found.set(line.execution_arn, [event(line)]);
  }
  for (const events of found.values()) events.sort((a, b) => a.id - b.id);
  return found;
}

const ENDS: Record<string, string> = { ExecutionSucceeded: "SUCCEEDED", ExecutionFailed: "FAILED", ExecutionTimedOut: "TIMED_OUT", ExecutionAborted: "ABORTED" };
/** No Express execution is older. Source: Service quotas. */
const LONGEST_S = 300;

/** What the events say of the execution as a whole. Where its start was not logged, it began when it was first heard of. */
export function described(executionArn: string, events: HistoryEvent[], now: number): Described {
  const end = events.find((e) => ENDS[e.type]);
  const of = (e?: HistoryEvent) => (Object.entries(e ?? {}).find(([name]) => name.endsWith("EventDetails"))?.[1] ?? {}) as { input?: string; output?: string; error?: string; cause?: string };
  const started = events.find((e) => e.type === "ExecutionStarted");
  const first = started ?? events[0]!;
  // Without an end in the log it runs, or its end was not written: after five minutes it cannot run.
  const status = end ? ENDS[end.type]! : now - first.timestamp > LONGEST_S + 60 ? "UNKNOWN" : "RUNNING";
  return {
    executionArn, stateMachineArn: machineOf(executionArn), name: executionArn.split(":")[7] ?? "", status, startDate: first.timestamp,
    ...(end ? { stopDate: end.timestamp } : {}), input: of(started).input, output: of(end).output, error: of(end).error, cause: of(end).cause,
  };
}

export interface Machine { name: string; definition: string; roleArn: string; loggingConfiguration?: { level?: string; includeExecutionData?: boolean; destinations?: { cloudWatchLogsLogGroup?: { logGroupArn?: string } }[] } }

export const groupOf = (machine: Machine): string | undefined =>
  (machine.loggingConfiguration?.level ?? "OFF") === "OFF" ? undefined : machine.loggingConfiguration?.destinations?.[0]?.cloudWatchLogsLogGroup?.logGroupArn?.split(":")[6];

/** So many lines are read at most. */
export const MOST = 10_000;

export async function lines(group: string, pattern: string, startTime: number, endTime?: number): Promise<{ messages: string[]; more: boolean }> {
  const { items, more } = await some<{ message: string }>("logs", "FilterLogEvents", { logGroupName: group, filterPattern: pattern, startTime, ...(endTime ? { endTime } : {}) }, "events", "nextToken", MOST);
  return { messages: items.map((e) => e.message), more };
}

/** All that its log has of one execution. */
export async function read(arn: string): Promise<{ machine: Machine; events: HistoryEvent[] }> {
  const machine = await call<Machine>("states", "DescribeStateMachine", { stateMachineArn: machineOf(arn) });
  const group = groupOf(machine);
  if (!group) throw new Error(`Of Express executions only their logs are kept, and ${machine.name} logs nothing: its loggingConfiguration is off.`);
  const { messages } = await lines(group, `{ $.execution_arn = "${arn}" }`, 0);
  const events = executions(messages).get(arn) ?? [];
  if (events.length === 0) throw new Error(`Nothing of this execution is in ${group}: it is gone from the log, or the log's level leaves it out.`);
  return { machine, events };
}
