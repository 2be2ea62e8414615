// One execution: its description, its definition, its history (only what is new is fetched again).

import { call } from "../api.ts";
import type { Machine } from "./graph.ts";
import type { HistoryEvent } from "./states.ts";

export interface Described {
  executionArn: string;
  name: string;
  status: string;
  startDate: number;
  stopDate?: number;
  input?: string;
  output?: string;
  error?: string;
  cause?: string;
}

export const describe = (executionArn: string): Promise<Described> => call("states", "DescribeExecution", { executionArn });

export async function definition(executionArn: string): Promise<Machine> {
  const found = await call<{ definition: string }>("states", "DescribeStateMachineForExecution", { executionArn });
  return JSON.parse(found.definition) as Machine;
}

/** The history in order; pages are read until the end. */
export async function history(executionArn: string): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let nextToken: string | undefined;
  do {
    const page: { events: HistoryEvent[]; nextToken?: string } = await call("states", "GetExecutionHistory", {
      executionArn, maxResults: 1000, includeExecutionData: true, ...(nextToken ? { nextToken } : {}),
    });
    events.push(...page.events);
    nextToken = page.nextToken;
  } while (nextToken);
  return events;
}
