// What a history says of each state, visit by visit and attempt by attempt: pure, fed one event at a time, tested without a
// browser. A state's status comes from its own events; what a branch's failure or an execution's end cut off is aborted.

export interface HistoryEvent {
  id: number;
  previousEventId?: number;
  timestamp: number;
  type: string;
  stateEnteredEventDetails?: { name: string; input?: string };
  stateExitedEventDetails?: { name: string; output?: string; assignedVariables?: Record<string, string> };
  [details: string]: unknown;
}

export type Status = "running" | "succeeded" | "failed" | "caught" | "aborted";

export interface Attempt {
  /** The event that scheduled it. */
  event: number;
  began: number;
  ended?: number;
  status: Status;
  /** `lambda:invoke`, a function's or an activity's ARN. */
  resource: string;
  /** The parameters, as the history has them. */
  parameters?: string;
  /** What it answered, or what its job was submitted with. */
  answer?: string;
  /** The event that ended it: its data have the cause. */
  over?: number;
  error?: string;
  cause?: string;
}

/** A visit of a state, an iteration of a Map, or the execution itself. */
export interface Node {
  id: number;
  kind: "execution" | "state" | "iteration";
  name: string;
  type: string;
  /** Of an iteration. */
  index?: number;
  parent?: Node;
  children: Node[];
  status: Status;
  began: number;
  ended?: number;
  /** The events whose data are the input and the output. */
  entered?: number;
  exited?: number;
  /** The event that says why it failed. */
  failed?: number;
  error?: string;
  cause?: string;
  variables?: Record<string, string>;
  attempts: Attempt[];
  mapRun?: string;
}

interface Place { node: Node; inside: boolean }

const details = (event: HistoryEvent): Record<string, unknown> =>
  (Object.entries(event).find(([name]) => name.endsWith("EventDetails"))?.[1] as Record<string, unknown> | undefined) ?? {};

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

export class History {
  readonly events: HistoryEvent[] = [];
  readonly root: Node;
  /** All visits of states, in order. */
  readonly visits: Node[] = [];
  readonly byState = new Map<string, Node[]>();
  redrives = 0;
  private readonly places = new Map<number, Place>();
  private next = 1;

  constructor() {
    this.root = { id: 0, kind: "execution", name: "", type: "", children: [], status: "running", began: 0, attempts: [] };
  }

  get last(): number { return this.events[this.events.length - 1]?.id ?? 0; }

  /** Takes events in, in order; what is known already is left out. */
  add(events: HistoryEvent[]): void {
    for (const event of events) if (event.id > this.last) this.take(event);
  }

  /** The state that each event is of, by the event's id. */
  of(id: number): Node | undefined { return this.places.get(id)?.node; }

  private take(event: HistoryEvent): void {
    this.events.push(event);
    const before = this.places.get(event.previousEventId ?? 0) ?? { node: this.root, inside: true };
    this.places.set(event.id, this.step(event, before));
  }

  private step(event: HistoryEvent, before: Place): Place {
    const { type, timestamp: at } = event;
    const standing = before.node;
    if (event.stateEnteredEventDetails) {
      const parent = before.inside ? standing : (standing.parent ?? this.root);
      return { node: this.enter(event, parent), inside: false };
    }
    if (event.stateExitedEventDetails) return this.exit(event, standing);
    const data = details(event);
    switch (type) {
      case "ExecutionStarted":
        this.root.began = at;
        return { node: this.root, inside: true };
      case "ExecutionRedriven":
        this.redrives += 1;
        this.reopen(this.root);
        return { node: this.root, inside: true };
      case "ExecutionSucceeded": case "ExecutionFailed": case "ExecutionAborted": case "ExecutionTimedOut":
        this.over(event, data);
        return { node: this.root, inside: true };
      case "ParallelStateStarted":
        return { node: standing, inside: true };
      case "ParallelStateSucceeded": case "MapStateSucceeded":
        return { node: up(standing, (n) => type.startsWith(n.type)), inside: false };
      case "ParallelStateFailed": case "MapStateFailed": {
        const node = up(standing, (n) => type.startsWith(n.type));
        this.closeBelow(node, at);
        node.status = "failed";
        node.failed = data.error === undefined ? cut(node)?.failed : event.id;
        node.error = text(data.error) ?? node.error ?? cut(node)?.error;
        node.cause = text(data.cause) ?? node.cause ?? cut(node)?.cause;
        return { node, inside: false };
      }
      case "MapRunStarted": case "MapRunRedriven": {
        const node = up(standing, (n) => n.type === "Map");
        node.mapRun = text(data.mapRunArn) ?? node.mapRun;
        this.reopen(node);
        return { node, inside: false };
      }
      case "MapRunFailed": case "MapRunAborted": {
        const node = up(standing, (n) => n.type === "Map");
        this.fail(node, type.endsWith("Aborted") ? "aborted" : "failed", data, event.id);
        return { node, inside: false };
      }
      case "MapIterationStarted": {
        const map = up(standing, (n) => n.type === "Map");
        const index = Number(data.index ?? 0);
        const node = this.make("iteration", `#${index}`, "", map, at);
        node.index = index;
        return { node, inside: true };
      }
      case "MapIterationSucceeded": case "MapIterationFailed": case "MapIterationAborted": {
        const node = up(standing, (n) => n.kind === "iteration");
        this.closeBelow(node, at);
        this.close(node, type.endsWith("Succeeded") ? "succeeded" : type.endsWith("Failed") ? "failed" : "aborted", at);
        return { node: node.parent ?? this.root, inside: false };
      }
      case "EvaluationFailed":
        this.fail(standing, "failed", data, event.id);
        return before;
    }
    if (type.endsWith("StateAborted")) {
      this.closeBelow(standing, at);
      this.close(standing, "aborted", at);
      return before;
    }
    if (standing.kind === "state") this.attempt(event, standing, data);
    return before;
  }

  private enter(event: HistoryEvent, parent: Node): Node {
    const name = event.stateEnteredEventDetails!.name;
    const node = this.make("state", name, event.type.replace(/StateEntered$/, ""), parent, event.timestamp);
    node.entered = event.id;
    this.visits.push(node);
    const others = this.byState.get(name);
    if (others) others.push(node); else this.byState.set(name, [node]);
    return node;
  }

  private exit(event: HistoryEvent, standing: Node): Place {
    const { name, assignedVariables } = event.stateExitedEventDetails!;
    const node = up(standing, (n) => n.kind === "state" && n.name === name);
    this.closeBelow(node, event.timestamp);
    node.exited = event.id;
    node.variables = assignedVariables;
    // A state that is left after it failed was left through its Catch.
    this.close(node, node.status === "failed" ? "caught" : "succeeded", event.timestamp);
    for (const attempt of node.attempts) if (attempt.ended === undefined) { attempt.ended = event.timestamp; attempt.status = "succeeded"; }
    return { node: node.parent ?? this.root, inside: true };
  }

  private attempt(event: HistoryEvent, node: Node, data: Record<string, unknown>): void {
    const { type, timestamp: at } = event;
    const current = node.attempts[node.attempts.length - 1];
    if (type.endsWith("Scheduled")) {
      const resource = text(data.resourceType) ? `${data.resourceType}:${data.resource}` : (text(data.resource) ?? "");
      node.attempts.push({ event: event.id, began: at, status: "running", resource });
      this.reopen(node);
    } else if (/(Failed|TimedOut)$/.test(type)) {
      if (current && current.ended === undefined) {
        Object.assign(current, { ended: at, over: event.id, status: "failed", error: text(data.error), cause: text(data.cause) });
      }
      this.fail(node, "failed", { error: data.error ?? (type.endsWith("TimedOut") ? "States.Timeout" : undefined), cause: data.cause }, event.id);
    } else if (/(Succeeded|Aborted)$/.test(type) && current && current.ended === undefined) {
      current.ended = at;
      current.status = type.endsWith("Aborted") ? "aborted" : "succeeded";
    }
  }

  private over(event: HistoryEvent, data: Record<string, unknown>): void {
    const { type, timestamp: at } = event;
    const status = type === "ExecutionSucceeded" ? "succeeded" : type === "ExecutionAborted" ? "aborted" : "failed";
    if (status === "failed") {
      this.root.failed = event.id;
      // What fails an execution is the state that it stands on: the outermost that is open.
      for (const node of this.root.children.filter((n) => n.ended === undefined)) {
        this.closeBelow(node, at);
        if (node.error === undefined) node.failed = event.id;
        node.error ??= text(data.error) ?? (type === "ExecutionTimedOut" ? "States.Timeout" : undefined);
        node.cause ??= text(data.cause);
        this.close(node, "failed", at);
      }
    }
    this.closeBelow(this.root, at);
    this.root.error = text(data.error);
    this.root.cause = text(data.cause);
    this.close(this.root, status, at);
  }

  /** What of a state's branches or of an iteration still ran when it ended: what had failed is why, the rest was aborted. */
  private closeBelow(above: Node, at: number): void {
    for (const node of above.children) {
      if (node.ended !== undefined) continue;
      this.closeBelow(node, at);
      const failed = node.status === "failed" || node.type === "Fail" || node.children.some((n) => n.status === "failed");
      this.close(node, failed ? "failed" : "aborted", at);
    }
  }

  private close(node: Node, status: Status, at: number): void {
    node.status = status;
    node.ended = at;
    if (status === "aborted" || status === "failed") {
      for (const attempt of node.attempts) if (attempt.ended === undefined) { attempt.ended = at; attempt.status = status; }
    }
  }

  private fail(node: Node, status: Status, data: Record<string, unknown>, event: number): void {
    node.status = status;
    node.failed = event;
    node.error = text(data.error);
    node.cause = text(data.cause);
  }

  /** Runs again: a retry, or a redrive. */
  private reopen(node: Node): void {
    for (let at: Node | undefined = node; at; at = at.parent) {
      at.status = "running";
      delete at.ended;
      delete at.failed;
      delete at.error;
      delete at.cause;
    }
  }

  private make(kind: Node["kind"], name: string, type: string, parent: Node, at: number): Node {
    const node: Node = { id: this.next++, kind, name, type, parent, children: [], status: "running", began: at, attempts: [] };
    parent.children.push(node);
    return node;
  }
}

function up(from: Node, like: (node: Node) => boolean): Node {
  let node = from;
  while (node.parent && !(node.kind !== "execution" && like(node) && (node.type !== "" || node.kind === "iteration"))) node = node.parent;
  return node;
}

/** The failed state below, which is why its container failed. */
const cut = (node: Node): Node | undefined => {
  for (const child of node.children) {
    if (child.status !== "failed") continue;
    return cut(child) ?? (child.error === undefined ? undefined : child);
  }
  return undefined;
};

/** The iterations that a visit is in, outermost first. */
export function iterations(node: Node): Node[] {
  const found: Node[] = [];
  for (let at = node.parent; at; at = at.parent) if (at.kind === "iteration") found.unshift(at);
  return found;
}

/** Which iteration of which Map is looked at: indexes by the Map's name. */
export type Picked = ReadonlyMap<string, number>;

/** The visits of a state that are within the picked iterations. */
export const picked = (visits: Node[], picks: Picked): Node[] =>
  visits.filter((visit) => iterations(visit).every((it) => {
    const wanted = picks.get(it.parent?.name ?? "");
    return wanted === undefined || wanted === it.index;
  }));

export interface Summary { status: Status | "idle"; visits: number; by: Record<Status, number>; seconds: number; retries: number }

/** Many visits as one: what runs is running, else what went worst. */
export function summary(visits: Node[], now: number): Summary {
  const by: Record<Status, number> = { running: 0, succeeded: 0, failed: 0, caught: 0, aborted: 0 };
  let [seconds, retries] = [0, 0];
  for (const visit of visits) {
    by[visit.status] += 1;
    seconds += Math.max(0, (visit.ended ?? now) - visit.began);
    retries += Math.max(0, visit.attempts.length - 1);
  }
  const worst = (["running", "failed", "caught", "aborted", "succeeded"] as const).find((status) => by[status] > 0);
  return { status: worst ?? "idle", visits: visits.length, by, seconds, retries };
}
