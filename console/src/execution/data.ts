// One execution: its description, its definition, its history. Of the history only what is new is fetched, and the data of events
// only where they are looked at.

import { call } from "../api.ts";
import { described as ofLog, isExpress, read } from "./express.ts";
import type { Machine } from "./graph.ts";
import { History, type HistoryEvent } from "./states.ts";

export interface Described {
  executionArn: string;
  stateMachineArn: string;
  mapRunArn?: string;
  name: string;
  status: string;
  startDate: number;
  stopDate?: number;
  input?: string;
  output?: string;
  error?: string;
  cause?: string;
  redriveCount?: number;
  redriveStatus?: string;
  redriveStatusReason?: string;
  stateMachineVersionArn?: string;
}

interface Page { events: HistoryEvent[]; nextToken?: string }

/** Of an Express execution there is its log alone. */
export const describe = async (executionArn: string): Promise<Described> =>
  (isExpress(executionArn) ? ofLog(executionArn, (await read(executionArn)).events, Date.now() / 1000) : call("states", "DescribeExecution", { executionArn }));

/** The services that write when an execution goes on. */
export const topicsOf = (executionArn: string): string[] => [isExpress(executionArn) ? "logs" : "states"];

export async function definition(executionArn: string): Promise<Machine> {
  if (isExpress(executionArn)) {
    const { machine } = await read(executionArn);
    return { ...(JSON.parse(machine.definition) as Machine), roleArn: machine.roleArn };
  }
  const found = await call<{ definition: string; roleArn: string }>("states", "DescribeStateMachineForExecution", { executionArn });
  return { ...(JSON.parse(found.definition) as Machine), roleArn: found.roleArn };
}

const PAGE = 1000;
const NEWS = 100;

const SHOW_MS = 400;

/** Reads the history from its beginning, without data; what is there is shown now and then. */
export async function load(executionArn: string, into: History, data: Data, seen: () => void): Promise<void> {
  if (isExpress(executionArn)) {
    data.hold((await read(executionArn)).events);
    into.add(data.held);
    seen();
    return;
  }
  let nextToken: string | undefined;
  let shown = 0;
  const ask = (token?: string): Promise<Page> => call("states", "GetExecutionHistory", {
    executionArn, maxResults: PAGE, includeExecutionData: false, ...(token ? { nextToken: token } : {}),
  });
  let asked = ask();
  do {
    data.mark(nextToken);
    const page: Page = await asked;
    nextToken = page.nextToken;
    // The next page comes while this one is taken in.
    if (nextToken) asked = ask(nextToken);
    into.add(page.events);
    if (performance.now() - shown > SHOW_MS || !nextToken) {
      seen();
      shown = performance.now();
    }
  } while (nextToken);
}

/** Reads what is new, from the end back to what is known. */
export async function news(executionArn: string, into: History, data: Data): Promise<void> {
  if (isExpress(executionArn)) {
    data.hold((await read(executionArn)).events);
    into.add(data.held);
    return;
  }
  const found: HistoryEvent[] = [];
  let nextToken: string | undefined;
  do {
    const page: Page = await call("states", "GetExecutionHistory", {
      executionArn, maxResults: NEWS, reverseOrder: true, includeExecutionData: false, ...(nextToken ? { nextToken } : {}),
    });
    found.push(...page.events);
    nextToken = page.nextToken;
  } while (nextToken && found[found.length - 1]!.id > into.last + 1);
  into.add(found.reverse());
}

/** Events with their data, by piece; pieces are remembered. */
export class Data {
  private readonly pieces = new Map<number, Promise<Map<number, HistoryEvent>>>();
  /** The tokens of the pages of a thousand, as the first reading got them: from there it is not far to any event. */
  private readonly marks: (string | undefined)[] = [];

  constructor(readonly executionArn: string) {}

  mark(token: string | undefined): void { this.marks.push(token); }

  /** Events that came with their data, as a log has them. */
  held: HistoryEvent[] = [];

  hold(events: HistoryEvent[]): void { this.held = events; }

  async event(id: number): Promise<HistoryEvent | undefined> {
    if (this.held.length > 0) return this.held.find((event) => event.id === id);
    const piece = Math.floor((id - 1) / NEWS);
    const known = await this.piece(piece);
    if (known.has(id)) return known.get(id);
    // The piece was the last one when it was read.
    this.pieces.delete(piece);
    return (await this.piece(piece)).get(id);
  }

  private piece(at: number): Promise<Map<number, HistoryEvent>> {
    const known = this.pieces.get(at);
    if (known) return known;
    const reading = this.read(at);
    reading.catch(() => this.pieces.delete(at));
    this.pieces.set(at, reading);
    return reading;
  }

  private async read(at: number): Promise<Map<number, HistoryEvent>> {
    const mark = Math.min(this.marks.length - 1, Math.floor((at * NEWS) / PAGE));
    let token = mark < 0 ? undefined : this.marks[mark];
    for (let here = Math.max(0, mark) * (PAGE / NEWS); here < at; here++) {
      token = (await this.page(token, false)).nextToken;
      if (token === undefined) return new Map();
    }
    const page = await this.page(token, true);
    return new Map(page.events.map((event) => [event.id, event]));
  }

  private page(nextToken: string | undefined, includeExecutionData: boolean): Promise<Page> {
    return call("states", "GetExecutionHistory", { executionArn: this.executionArn, maxResults: NEWS, includeExecutionData, ...(nextToken ? { nextToken } : {}) });
  }
}

export const stop = (executionArn: string): Promise<unknown> =>
  call("states", "StopExecution", { executionArn, error: "Console.Stopped", cause: "Stopped in the console" });

export const redrive = (executionArn: string): Promise<unknown> => call("states", "RedriveExecution", { executionArn });

export const start = (stateMachineArn: string, input: string, name?: string): Promise<{ executionArn: string }> =>
  call("states", "StartExecution", { stateMachineArn, input, ...(name ? { name } : {}) });

export interface Synchronous { executionArn: string; name: string; status: string; startDate: number; stopDate: number; output?: string; error?: string; cause?: string; billingDetails?: { billedMemoryUsedInMB: number; billedDurationInMilliseconds: number } }

export const startSync = (stateMachineArn: string, input: string, name?: string): Promise<Synchronous> =>
  call("states", "StartSyncExecution", { stateMachineArn, input, ...(name ? { name } : {}) });

export interface MapRun { mapRunArn: string; executionArn: string; status: string; startDate: number; stopDate?: number; maxConcurrency: number; toleratedFailurePercentage: number; toleratedFailureCount: number; itemCounts: Counts; executionCounts: Counts }
export interface Counts { pending: number; running: number; succeeded: number; failed: number; timedOut: number; aborted: number; total: number; resultsWritten: number }

export const mapRun = (mapRunArn: string): Promise<MapRun> => call("states", "DescribeMapRun", { mapRunArn });

export const counted = (of: Counts): string => {
  const bad = of.failed + of.timedOut + of.aborted;
  return [`${of.succeeded}/${of.total}`, bad > 0 ? `${bad} ✕` : "", of.running + of.pending > 0 ? `${of.running} ●` : ""].filter(Boolean).join(" ");
};
