// Where the page is: `#/page/rest?name=value`. Filters and selections are parameters, so that every view has an address.

import { useEffect, useState } from "preact/hooks";

export interface Route { page: string; rest: string; params: URLSearchParams }

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const slash = path.indexOf("/");
  const page = slash < 0 ? path : path.slice(0, slash);
  const rest = slash < 0 ? "" : path.slice(slash + 1);
  let plain = rest;
  try { plain = decodeURIComponent(rest); } catch { /* a stray percent sign: as it is */ }
  return { page, rest: plain, params: new URLSearchParams(query) };
}

export const link = (page: string, rest = "", params: Record<string, string | undefined> = {}): string => {
  const kept = Object.entries(params).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const query = new URLSearchParams(kept).toString();
  return `#/${page}${rest ? `/${encodeURIComponent(rest)}` : ""}${query ? `?${query}` : ""}`;
};

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const moved = () => setHash(location.hash);
    addEventListener("hashchange", moved);
    addEventListener("popstate", moved);
    return () => { removeEventListener("hashchange", moved); removeEventListener("popstate", moved); };
  }, []);
  return parse(hash);
}

/** Changes parameters of the address without a new entry of the history. */
export function setParams(changes: Record<string, string | undefined>): void {
  const { page, rest, params } = parse(location.hash);
  const now = Object.fromEntries(params);
  history.replaceState(null, "", link(page, rest, { ...now, ...changes }));
  dispatchEvent(new PopStateEvent("popstate"));
}

export const arnLink = (arn: string): string | undefined => {
  const [, , service, , , kind = "", ...names] = arn.split(":");
  const name = names.join(":");
  if (service === "states") return { execution: link("execution", arn), express: link("execution", arn), stateMachine: link("machine", arn), mapRun: link("map-run", arn) }[kind];
  if (service === "lambda" && kind === "function") return link("functions", names[0]);
  if (service === "sqs") return link("queues", kind);
  if (service === "sns") return link("topics", arn);
  if (service === "dynamodb") return link("tables", kind.replace(/^table\//, "").split("/")[0]);
  if (service === "s3") return link("lake", `s3/${kind || name}`);
  if (service === "iam" && kind.startsWith("role/")) return link("roles", kind.split("/").pop());
  if (service === "logs" && kind === "log-group") return link("logs", "", { group: names[0] });
  if (service === "glue" && kind.startsWith("job/")) return link("jobs", kind.slice(4));
  if (service === "glue" && kind.startsWith("crawler/")) return link("jobs", kind);
  if (service === "sagemaker") {
    const [what = "", ...of] = kind.split("/");
    const page = ({ model: "model", endpoint: "endpoint", "transform-job": "transform" } as Record<string, string>)[what];
    return page ? link("models", `${page}/${of.join("/")}`) : undefined;
  }
  if (service === "glue" && kind.startsWith("table/")) return link("lake", `catalog/${kind.slice(6)}`);
  if (service === "cloudformation" && kind.startsWith("stack/")) return link("stacks", kind.split("/")[1]);
  if (service === "events" && kind.startsWith("rule/")) { const [, ...of] = kind.split("/"); return link("rules", `rule/${of.length === 1 ? `default/${of[0]}` : of.join("/")}`); }
  if (service === "scheduler" && kind.startsWith("schedule/")) return link("rules", kind);
  if (service === "pipes" && kind.startsWith("pipe/")) return link("things", `pipes/${kind.slice(5)}`);
  if (service === "events" && kind.startsWith("event-bus/")) return link("things", `buses/${kind.slice(10)}`);
  if (service === "kms" && kind.startsWith("key/")) return link("things", `keys/${kind.slice(4)}`);
  if (service === "ssm" && kind.startsWith("parameter/")) return link("things", `parameters/${kind.slice(kind.indexOf("/", 10) < 0 ? 10 : 9)}`);
  if (service === "athena" && kind.startsWith("workgroup/")) return link("things", `workgroups/${kind.slice(10)}`);
  if (service === "ecr" && kind.startsWith("repository/")) return link("things", `repositories/${kind.slice(11)}`);
  if (service === "secretsmanager") return link("secrets");
  if (service === "cloudwatch" && kind === "alarm") return link("alarms", names.join(":"));
  return undefined;
};

/** The page of what a metric's dimension names. */
export const dimensionLink = (name: string, value: string): string | undefined =>
  ({ QueueName: link("queues", value), FunctionName: link("functions", value), TableName: link("tables", value), StateMachineArn: link("machine", value), EndpointName: link("models", `endpoint/${value}`), JobName: link("jobs", value), BucketName: link("lake", `s3/${value}`) } as Record<string, string>)[name];
