// The console's only door: AWS operations through the server's Router, with the session's principal.

export class ApiError extends Error {
  constructor(readonly code: string, message: string, readonly status: number) {
    super(message);
  }
}

async function post<T>(path: string, body: unknown): Promise<T> {
  const response = await fetch(`/console/api/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(value.__type ?? "Error", value.message ?? response.statusText, response.status);
  return value as T;
}

export const call = <T>(service: string, operation: string, input: object = {}): Promise<T> =>
  post<T>(`${service}/${operation}`, input);

export interface Session { principal: string; account: string; region: string }

export const signIn = (secret: { token: string } | { accessKey: string; secretKey: string }): Promise<Session> =>
  post<Session>("session", secret);
