// The log of one invocation among those of others: pure, tested without a browser. An environment works on one invocation at a time, so
// what lies in its stream between the first and the last line that names the request is the invocation's own.

export interface LogEvent { timestamp: number; message: string; logStreamName?: string; eventId?: string }

/** The lines of an invocation, from its START to its REPORT, or to the end where it still runs. */
export function own(events: LogEvent[], request: string, running = false): LogEvent[] {
  for (const stream of streams(events)) {
    const first = stream.findIndex((e) => e.message.includes(request));
    if (first < 0) continue;
    const last = stream.findLastIndex((e) => e.message.includes(request));
    const end = running && !isEnd(stream[last]!.message) ? stream.length : last + 1;
    return stream.slice(first, end);
  }
  return [];
}

const isEnd = (message: string): boolean => message.startsWith("REPORT RequestId: ") || message.includes('"platform.report"');

/** The request of a first line, be it text or JSON. */
function started(message: string): string | undefined {
  if (message.startsWith("START RequestId: ")) return message.slice(17, 17 + 36);
  return message.includes('"platform.start"') ? /"requestId":\s*"([0-9a-f-]{36})"/.exec(message)?.[1] : undefined;
}

/** The requests that began between two times, in milliseconds. */
export function begun(events: LogEvent[], from: number, to: number): string[] {
  return events.filter((e) => e.timestamp >= from && e.timestamp <= to).flatMap((e) => started(e.message) ?? []);
}

function streams(events: LogEvent[]): LogEvent[][] {
  const found = new Map<string, LogEvent[]>();
  for (const event of events) {
    const name = event.logStreamName ?? "";
    const stream = found.get(name);
    if (stream) stream.push(event); else found.set(name, [event]);
  }
  return [...found.values()];
}
