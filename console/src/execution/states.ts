// What a history says of each state: pure, tested without a browser.

export interface HistoryEvent {
  id: number;
  previousEventId?: number;
  timestamp: number;
  type: string;
  stateEnteredEventDetails?: { name: string; input?: string };
  stateExitedEventDetails?: { name: string; output?: string };
  [details: string]: unknown;
}

export type Status = "idle" | "running" | "succeeded" | "failed" | "caught";

export interface StateRun {
  name: string;
  status: Status;
  entered: number;
  exited: number;
  retries: number;
  seconds: number;
  input?: string;
  output?: string;
  error?: string;
  cause?: string;
}

const FAILED = /(Failed|TimedOut|Aborted)$/;

/** The runs of all states by name; a state of a Map or a loop sums its runs up. */
export function runs(events: HistoryEvent[], executionStatus: string, now: number): Map<string, StateRun> {
  const byId = new Map(events.map((e) => [e.id, e]));
  const owner = new Map<number, string>();
  const found = new Map<string, StateRun>();
  const open = new Map<string, number[]>();
  const run = (name: string): StateRun => {
    const old = found.get(name);
    if (old) return old;
    const made: StateRun = { name, status: "idle", entered: 0, exited: 0, retries: 0, seconds: 0 };
    found.set(name, made);
    return made;
  };
  for (const event of events) {
    const entered = event.stateEnteredEventDetails;
    const exited = event.stateExitedEventDetails;
    if (entered) {
      const state = run(entered.name);
      state.entered += 1;
      state.status = "running";
      state.input = entered.input;
      delete state.output;
      owner.set(event.id, entered.name);
      open.set(entered.name, [...(open.get(entered.name) ?? []), event.timestamp]);
      continue;
    }
    const name = exited?.name ?? owner.get(event.previousEventId ?? 0);
    if (name === undefined) continue;
    owner.set(event.id, name);
    const state = run(name);
    if (exited) {
      state.exited += 1;
      state.output = exited.output;
      const since = open.get(name)?.shift();
      if (since !== undefined) state.seconds += event.timestamp - since;
      const before = byId.get(event.previousEventId ?? 0);
      const broke = before !== undefined && FAILED.test(before.type);
      state.status = broke ? "caught" : state.entered > state.exited ? "running" : "succeeded";
    } else if (FAILED.test(event.type)) {
      const details = Object.entries(event).find(([k]) => k.endsWith("EventDetails"))?.[1] as { error?: string; cause?: string } | undefined;
      state.error = details?.error;
      state.cause = details?.cause;
    } else if (/(Scheduled)$/.test(event.type) && state.error !== undefined) {
      state.retries += 1;
      delete state.error;
      delete state.cause;
    }
  }
  const over = executionStatus !== "RUNNING";
  for (const state of found.values()) {
    for (const since of open.get(state.name) ?? []) state.seconds += (over ? lastTime(events, now) : now) - since;
    if (over && state.entered > state.exited) state.status = executionStatus === "SUCCEEDED" ? "succeeded" : "failed";
  }
  return found;
}

const lastTime = (events: HistoryEvent[], now: number): number => events[events.length - 1]?.timestamp ?? now;
