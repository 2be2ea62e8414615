// What needs attention besides executions, crawlers, jobs and stacks: alarms, dead letters, failing functions and transforms, machines
// that are full. Each with the way there.

import { all, call, pool } from "../api.ts";
import { link } from "../route.ts";
import { count } from "../time.ts";
import { hosts } from "./glance.tsx";
import type { Trouble } from "./overview.tsx";
import { type Metric, read } from "./used.ts";

const DAY = 86_400;
const FULL = 90;

interface Alarm { AlarmName: string; StateReason?: string; StateUpdatedTimestamp?: number }

async function alarms(): Promise<Trouble[]> {
  const { MetricAlarms = [], CompositeAlarms = [] } = await call<{ MetricAlarms?: Alarm[]; CompositeAlarms?: Alarm[] }>("cloudwatch", "DescribeAlarms", { StateValue: "ALARM", AlarmTypes: ["MetricAlarm", "CompositeAlarm"], MaxRecords: 100 });
  return [...MetricAlarms, ...CompositeAlarms].map((a) => ({ what: `Alarm ${a.AlarmName}`, status: "ALARM", at: a.StateUpdatedTimestamp, why: a.StateReason,
    to: link("alarms", a.AlarmName) }));
}

/** Queues that others send their dead letters to, and that hold some. */
async function deadLetters(): Promise<Trouble[]> {
  const { items } = await all<string>("sqs", "ListQueues", { MaxResults: 1000 }, "QueueUrls", "NextToken");
  const queues = await pool(items, 4, (QueueUrl) => call<{ Attributes: Record<string, string> }>("sqs", "GetQueueAttributes", { QueueUrl, AttributeNames: ["QueueArn", "RedrivePolicy", "ApproximateNumberOfMessages"] }).then((r) => r.Attributes, () => ({}) as Record<string, string>));
  const targets = new Set(queues.map((q) => (q.RedrivePolicy ? (JSON.parse(q.RedrivePolicy) as { deadLetterTargetArn?: string }).deadLetterTargetArn : undefined)));
  return queues.filter((q) => targets.has(q.QueueArn!) && Number(q.ApproximateNumberOfMessages) > 0).map((q) => {
    const name = q.QueueArn!.split(":").pop()!;
    return { what: `Dead letters in ${name}`, status: "DEAD_LETTERS", to: link("queues", name), why: count(Number(q.ApproximateNumberOfMessages), "message") };
  });
}

async function transforms(): Promise<Trouble[]> {
  const { items } = await all<{ TransformJobName: string; FailureReason?: string; TransformEndTime?: number }>("sagemaker", "ListTransformJobs", { StatusEquals: "Failed", LastModifiedTimeAfter: Math.floor(Date.now() / 1000) - DAY, MaxResults: 100 }, "TransformJobSummaries", "NextToken", 100);
  return items.map((t) => ({ what: `Transform ${t.TransformJobName}`, status: "FAILED", to: link("models", `transform/${t.TransformJobName}`), why: t.FailureReason, at: t.TransformEndTime }));
}

/** Functions whose invocations failed within a day. */
async function functions(): Promise<Trouble[]> {
  const { items } = await all<Metric>("cloudwatch", "ListMetrics", { Namespace: "AWS/Lambda", MetricName: "Errors" }, "Metrics", "NextToken");
  const now = Math.floor(Date.now() / 1000);
  const values = items.length > 0 ? await read(items, now - DAY, now + 60, 3600, "Sum") : [];
  return items.flatMap((m, i) => {
    const failed = [...values[i]!.values()].reduce((n, v) => n + v, 0);
    const name = m.Dimensions[0]?.Value ?? "";
    return failed > 0 ? [{ what: `Function ${name}`, status: "FAILED", to: link("functions", name), why: `${count(failed, "invocation")} failed within a day` }] : [];
  });
}

async function machines(): Promise<Trouble[]> {
  return (await hosts()).flatMap(({ name, at, values: v }) => [
    ...([["disk", v.disk_used_percent, "disk_used_percent"], ["memory", v.mem_used_percent, "mem_used_percent"]] as const).filter(([, share]) => (share ?? 0) >= FULL)
      .map(([what, share, metric]): Trouble => ({ what: `The ${what} of ${name}`, status: "FULL", at, to: link("metrics", "", { metric: `CWAgent ${metric}`, stat: "Average", span: "86400" }), why: `${Math.round(share!)} % is used` })),
    ...(v.Waiting ? [{ what: `Work waits on ${name}`, status: "PENDING", at, to: link("metrics", "", { metric: "Lakerun/Capacity Waiting", stat: "Maximum" }), why: `${count(v.Waiting, "process", "processes")} wait for memory or a place: all that the machine promises is promised` }] : []),
  ]);
}

/** Each search by what it looks at. */
export const attention = (): Record<string, Promise<Trouble[]>> => ({ alarms: alarms(), "dead letters": deadLetters(), transforms: transforms(), functions: functions(), machines: machines() });
