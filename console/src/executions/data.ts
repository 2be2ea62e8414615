// What the list of executions shows: the state machines, and the newest executions of each.

import { call } from "../api.ts";

export interface Execution {
  executionArn: string;
  stateMachineArn: string;
  name: string;
  status: string;
  startDate: number;
  stopDate?: number;
}

interface Machine { stateMachineArn: string; name: string; type: string }

/** All state machines' newest executions, newest first. */
export async function load(status: string): Promise<{ machines: Machine[]; executions: Execution[] }> {
  const { stateMachines } = await call<{ stateMachines: Machine[] }>("states", "ListStateMachines", { maxResults: 100 });
  const lists = await Promise.all(
    stateMachines.filter((m) => m.type !== "EXPRESS").map((m) =>
      call<{ executions: Execution[] }>("states", "ListExecutions", {
        stateMachineArn: m.stateMachineArn, maxResults: 50, ...(status ? { statusFilter: status } : {}),
      })),
  );
  const executions = lists.flatMap((l) => l.executions).sort((a, b) => b.startDate - a.startDate);
  return { machines: stateMachines, executions };
}

export const stop = (arn: string): Promise<unknown> =>
  call("states", "StopExecution", { executionArn: arn, error: "Console.Stopped", cause: "Stopped in the console" });
