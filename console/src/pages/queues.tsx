// Queues: how full they are, a look at messages, sending one, moving failed ones back.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { all, call, pool } from "../api.ts";
import { arnLink, link, setParams } from "../route.ts";
import { count, duration } from "../time.ts";
import { Arn, fail, KeyValues, Loaded, Page, say, Table, Time, useLoad, Value } from "../ui.tsx";
import { type Figure, LastDay } from "./lastday.tsx";

type Attributes = Record<string, string>;
interface Message { MessageId: string; ReceiptHandle: string; Body: string; Attributes?: Attributes }

const FIGURES: Figure[] = [["NumberOfMessagesSent", "Sum", "sent"], ["NumberOfMessagesReceived", "Sum", "received"], ["NumberOfMessagesDeleted", "Sum", "deleted"], ["ApproximateNumberOfMessagesVisible", "Maximum", "waiting at once"], ["ApproximateAgeOfOldestMessage", "Maximum", "age of the oldest, in s"]];

const attributes = (QueueUrl: string) => call<{ Attributes: Attributes }>("sqs", "GetQueueAttributes", { QueueUrl, AttributeNames: ["All"] }).then((r) => r.Attributes);

export default function Queues({ rest, params }: { rest: string; params: URLSearchParams }) {
  return rest ? <One name={rest} /> : <List name={params.get("name") ?? ""} />;
}

/** So many queues are asked how many messages they hold. */
const COUNTED = 300;

function List({ name }: { name: string }) {
  const loaded = useLoad(async () => {
    const { items } = await all<string>("sqs", "ListQueues", { MaxResults: 1000 }, "QueueUrls", "NextToken");
    const named = items.filter((url) => url.split("/").pop()!.toLowerCase().includes(name.toLowerCase()));
    const counts = await pool(named.slice(0, COUNTED), 6, attributes);
    return named.map((url, i) => ({ name: url.split("/").pop()!, of: counts[i] ?? {} }));
  }, [name], ["sqs"]);
  return <Page title="Queues" actions={<label>Name <input type="search" value={name} onInput={(e) => setParams({ name: e.currentTarget.value || undefined })} /></label>}>
    <Loaded of={loaded}>{(rows) => <>{rows.length > COUNTED ? <p class="cut" role="status">The messages of the first {COUNTED} of {rows.length.toLocaleString()} queues are counted: a name shows those of others.</p> : null}<Table rows={rows} label="Queues" empty={name ? `No queue has “${name}” in its name.` : "No queue yet."} columns={[
    { name: "Queue", cell: (q) => <a href={link("queues", q.name)}>{q.name}</a>, sort: (q) => q.name, wide: true },
    { name: "Waiting", numeric: true, cell: (q) => q.of.ApproximateNumberOfMessages, sort: (q) => Number(q.of.ApproximateNumberOfMessages ?? -1) },
    { name: "In flight", numeric: true, cell: (q) => q.of.ApproximateNumberOfMessagesNotVisible, sort: (q) => Number(q.of.ApproximateNumberOfMessagesNotVisible ?? -1) },
    { name: "Delayed", numeric: true, cell: (q) => q.of.ApproximateNumberOfMessagesDelayed },
    { name: "Failed messages go to", cell: (q) => (q.of.RedrivePolicy ? <a href={arnLink((JSON.parse(q.of.RedrivePolicy) as { deadLetterTargetArn: string }).deadLetterTargetArn)}>{(JSON.parse(q.of.RedrivePolicy) as { deadLetterTargetArn: string }).deadLetterTargetArn.split(":").pop()}</a> : "") },
  ]} /></>}</Loaded></Page>;
}

/** Names with their pages, one a line. */
const named = (of: [string, string | undefined][]): ComponentChildren => (of.length === 0 ? "" : of.map(([name, to]) => <div key={name}>{to ? <a href={to}>{name}</a> : name}</div>));

/** Where messages go that were received too often. */
function dead(of: Attributes): ComponentChildren {
  if (!of.RedrivePolicy) return "";
  const { deadLetterTargetArn: arn, maxReceiveCount: most } = JSON.parse(of.RedrivePolicy) as { deadLetterTargetArn: string; maxReceiveCount: number | string };
  return <><Arn arn={arn} /> after {count(Number(most), "receive")}</>;
}

function One({ name }: { name: string }) {
  const loaded = useLoad(async () => {
    const { QueueUrl } = await call<{ QueueUrl: string }>("sqs", "GetQueueUrl", { QueueName: name });
    const [of, sources] = await Promise.all([attributes(QueueUrl), call<{ queueUrls?: string[] }>("sqs", "ListDeadLetterSourceQueues", { QueueUrl }).then((r) => r.queueUrls ?? [], () => [])]);
    const [readers, topics, pipes] = await Promise.all([
      all<{ FunctionArn: string; State: string }>("lambda", "ListEventSourceMappings", { EventSourceArn: of.QueueArn }, "EventSourceMappings", "NextMarker"),
      all<{ TopicArn: string; Endpoint: string }>("sns", "ListSubscriptions", {}, "Subscriptions", "NextToken", 10_000),
      all<{ Name: string; Source?: string; Target?: string }>("pipes", "ListPipes", {}, "Pipes", "NextToken"),
    ]);
    const from = topics.items.filter((s) => s.Endpoint === of.QueueArn).map((s) => s.TopicArn);
    return { url: QueueUrl, of, sources, readers: readers.items, from, pipes: pipes.items.filter((p) => [p.Source, p.Target].includes(of.QueueArn)) };
  }, [name], ["sqs"]);
  const [messages, setMessages] = useState<Message[]>();
  const [body, setBody] = useState("");
  const url = loaded.value?.url;
  // A look shows messages again at once; it counts as a receive, which the page says.
  const peek = () => call<{ Messages?: Message[] }>("sqs", "ReceiveMessage", { QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 0, MessageSystemAttributeNames: ["All"] }).then((r) => setMessages(r.Messages ?? []), fail);
  const send = (e: Event) => { e.preventDefault(); call("sqs", "SendMessage", { QueueUrl: url, MessageBody: body }).then(() => { say("Sent"); setBody(""); }, fail); };
  return (
    <Page title={name} kind="Queue" up={["Queues", "#/queues"]}>
      <Loaded of={loaded}>{({ of, sources, readers, from, pipes }) => (
        <>
          <div class="cards">{([["Waiting", "ApproximateNumberOfMessages"], ["In flight", "ApproximateNumberOfMessagesNotVisible"], ["Delayed", "ApproximateNumberOfMessagesDelayed"]] as const).map(([label, key]) => <div class="figure"><span>{label}</span><b>{of[key]}</b></div>)}</div>
          <div class="card"><KeyValues of={[["ARN", <Arn arn={of.QueueArn!} />], ["Visibility timeout", `${of.VisibilityTimeout} s`], ["Kept for", duration(Number(of.MessageRetentionPeriod))], ["FIFO", of.FifoQueue === "true" ? "yes" : ""], ["Dead letters go to", dead(of)], ["Topics that send to it", named(from.map((arn) => [arn.split(":").pop()!, link("topics", arn)]))], ["Functions that read it", named(readers.map((r) => [r.FunctionArn.split(":")[6] ?? r.FunctionArn, arnLink(r.FunctionArn)]))],
            ["Pipes", named(pipes.map((p) => [p.Name, link("things", `pipes/${p.Name}`)]))], ["Dead letters of", named(sources.map((s) => [s.split("/").pop()!, link("queues", s.split("/").pop())]))]]} />
            {sources.length > 0 ? <p><button onClick={() => call("sqs", "StartMessageMoveTask", { SourceArn: of.QueueArn }).then(() => say("The messages go back to where they came from"), fail)}>Move all back to their queues</button></p> : null}
          </div>
          <LastDay namespace="AWS/SQS" dimensions={{ QueueName: name }} figures={FIGURES} />
          <p class="row"><button onClick={peek}>Look at messages</button> <span class="quiet">A look counts as a receive of each.</span></p>
          {messages ? <Table rows={messages} label="Messages" empty="Nothing is visible now." columns={[
            { name: "Message", wide: true, cell: (m) => <Value title="" text={m.Body} /> }, { name: "Sent", cell: (m) => <Time at={Number(m.Attributes?.SentTimestamp) / 1000} /> }, { name: "Received", numeric: true, cell: (m) => m.Attributes?.ApproximateReceiveCount },
            { name: "", cell: (m) => <button class="danger" onClick={() => call("sqs", "DeleteMessage", { QueueUrl: url, ReceiptHandle: m.ReceiptHandle }).then(() => setMessages(messages.filter((o) => o !== m)), fail)}>Delete</button> },
          ]} /> : null}
          <form onSubmit={send}><h2>Send</h2><label style="display:grid">Body <textarea rows={4} value={body} required onInput={(e) => setBody(e.currentTarget.value)} /></label><p><button>Send</button></p></form>
        </>
      )}</Loaded>
    </Page>
  );
}
