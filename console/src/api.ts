// The console's only door: AWS operations through the server's Router, with the session's principal; and the stream that says
// which services have written something.

export class ApiError extends Error {
  constructor(readonly code: string, message: string, readonly status: number) {
    super(message);
  }
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/console/api/${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError("Unreachable", "The server does not answer. It may be stopping or starting; this page goes on when it is back.", 0);
  }
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(value.__type ?? value.code ?? "Error", value.message ?? value.Message ?? response.statusText, response.status);
  return value as T;
}

/** Who is signed in, and what to do when the session is over; the app sets both. */
export const session: { who?: Session; lost: () => void } = { lost: () => {} };

export async function call<T>(service: string, operation: string, input: object = {}): Promise<T> {
  try {
    return await request<T>("POST", `${service}/${operation}`, input);
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) session.lost();
    throw e;
  }
}

export interface Session { principal: string; account: string; region: string; version: string }

export const whoAmI = (): Promise<Session> => request("GET", "session");
export const signIn = (secret: { token: string } | { accessKey: string; secretKey: string }): Promise<Session> => request("POST", "session", secret);
export const signOut = (): Promise<unknown> => request("DELETE", "session");

/** What of this page's lists was cut: by operation, how many were read. The page says it (`Page` of ui.tsx); a new page begins without. */
export const cut = { lists: new Map<string, number>(), changed: () => {} };

/** All items of a list operation, page by page. Where there are more than `limit`, the page says so. */
export async function all<T>(
  service: string, operation: string, input: object, member: string, token = "nextToken", limit = 1000,
): Promise<{ items: T[]; more: boolean }> {
  const page = here();
  const found = await some<T>(service, operation, input, member, token, limit);
  if (here() === page && cut.lists.get(operation) !== (found.more ? found.items.length : undefined)) {
    if (found.more) cut.lists.set(operation, found.items.length); else cut.lists.delete(operation);
    cut.changed();
  }
  return found;
}

/** The page, without its filters. */
const here = (): string => location.hash.split("?")[0]!;

/** The same for who says it himself that there are `more`. */
export async function some<T>(
  service: string, operation: string, input: object, member: string, token: string, limit: number,
): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let next: string | undefined;
  do {
    const page = await call<Record<string, unknown>>(service, operation, next ? { ...input, [tokenInput(token)]: next } : input);
    items.push(...((page[member] as T[] | undefined) ?? []));
    next = page[token] as string | undefined;
  } while (next && items.length < limit);
  return { items, more: Boolean(next) };
}

/** Some services name the page that they ask for otherwise than the one that they give. */
const tokenInput = (token: string): string =>
  ({ NextContinuationToken: "ContinuationToken", NextMarker: "Marker", LastEvaluatedTableName: "ExclusiveStartTableName" })[token] ?? token;

/** A text's bytes as a blob of AWS's JSON; piece by piece, as a call takes so many arguments only. */
export const base64 = (text: string): string => {
  const bytes = new TextEncoder().encode(text);
  let plain = "";
  for (let at = 0; at < bytes.length; at += 32_768) plain += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  return btoa(plain);
};

/** Runs jobs, at most `width` at once. */
export async function pool<T, R>(items: T[], width: number, run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let at = 0;
  const worker = async () => {
    while (at < items.length) {
      const mine = at++;
      results[mine] = await run(items[mine]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}

/**
 * Calls `changed` whenever one of these services has written something: one stream, no polling. It is closed while the page is
 * hidden (a browser has few connections to one server), and asks once when the page is shown again.
 */
export function listen(topics: string[], changed: () => void): () => void {
  let source: EventSource | undefined;
  let missed = false;
  const open = () => {
    source = new EventSource(`/console/api/changes?topics=${topics.join(",")}`);
    source.onmessage = changed;
    source.onopen = () => { if (missed) changed(); missed = false; };
    source.onerror = () => { missed = true; };
  };
  const shown = () => {
    if (document.hidden) { source?.close(); source = undefined; missed = true; } else if (!source) open();
  };
  document.addEventListener("visibilitychange", shown);
  if (!document.hidden) open();
  return () => { document.removeEventListener("visibilitychange", shown); source?.close(); };
}
