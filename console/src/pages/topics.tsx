// Topics, who is told, and how each message's way to them went.

import { useEffect, useState } from "preact/hooks";
import { all, call } from "../api.ts";
import { arnLink, link } from "../route.ts";
import { Arn, Badge, fail, KeyValues, Loaded, Page, say, Table, Time, useLoad } from "../ui.tsx";
import { type Figure, LastDay } from "./lastday.tsx";

interface Subscription { SubscriptionArn: string; Protocol: string; Endpoint: string; TopicArn: string }

interface Delivery { MessageId?: string; Protocol: string; Endpoint: string; Status: string; Attempts: number; StatusCode?: number; ProviderResponse?: string; PublishedTime?: number; LastAttemptTime: number; NextAttemptTime?: number }

const FIGURES: Figure[] = [["NumberOfMessagesPublished", "Sum", "published"], ["NumberOfNotificationsDelivered", "Sum", "delivered"], ["NumberOfNotificationsFailed", "Sum", "failed"], ["NumberOfNotificationsFilteredOut", "Sum", "held back by filters"], ["NumberOfNotificationsRedrivenToDlq", "Sum", "to dead-letter queues"]];

export default function Topics({ rest }: { rest: string; params: URLSearchParams }) {
  return rest ? <One arn={rest} /> : <List />;
}

function List() {
  const loaded = useLoad(async () => {
    const [topics, subscriptions] = await Promise.all([all<{ TopicArn: string }>("sns", "ListTopics", {}, "Topics", "NextToken"), all<Subscription>("sns", "ListSubscriptions", {}, "Subscriptions", "NextToken")]);
    return topics.items.map((t) => ({ arn: t.TopicArn, told: subscriptions.items.filter((s) => s.TopicArn === t.TopicArn) }));
  }, [], ["sns"]);
  return <Page title="Topics"><Loaded of={loaded}>{(rows) => <Table rows={rows} label="Topics" empty="No topic yet." columns={[
    { name: "Topic", cell: (t) => <a href={link("topics", t.arn)}>{t.arn.split(":").pop()}</a>, sort: (t) => t.arn, wide: true },
    { name: "Subscriptions", wide: true, cell: (t) => t.told.map((s) => <div key={s.SubscriptionArn + s.Endpoint}><span class="quiet">{s.Protocol}</span> {arnLink(s.Endpoint) ? <a href={arnLink(s.Endpoint)}>{s.Endpoint.split(":").pop()}</a> : s.Endpoint}</div>) },
  ]} />}</Loaded></Page>;
}

function One({ arn }: { arn: string }) {
  const loaded = useLoad(async () => {
    const [{ Attributes }, subscriptions] = await Promise.all([call<{ Attributes: Record<string, string> }>("sns", "GetTopicAttributes", { TopicArn: arn }), all<Subscription>("sns", "ListSubscriptionsByTopic", { TopicArn: arn }, "Subscriptions", "NextToken")]);
    return { attributes: Attributes, subscriptions: subscriptions.items };
  }, [arn], ["sns"]);
  const [text, setText] = useState("");
  const [published, setPublished] = useState(0);
  const publish = (e: Event) => { e.preventDefault(); call("sns", "Publish", { TopicArn: arn, Message: text }).then(() => { say("Published"); setText(""); setPublished(published + 1); }, fail); };
  return (
    <Page title={arn.split(":").pop() ?? arn} kind="Topic" up={["Topics", "#/topics"]}>
      <Loaded of={loaded}>{({ attributes, subscriptions }) => (
        <>
          <div class="card"><KeyValues of={[["ARN", <Arn arn={arn} />], ["Name to show", attributes.DisplayName], ["Confirmed", attributes.SubscriptionsConfirmed], ["Pending", attributes.SubscriptionsPending], ["FIFO", attributes.FifoTopic === "true" ? "yes" : ""]]} /></div>
          <LastDay namespace="AWS/SNS" dimensions={{ TopicName: arn.split(":").pop()! }} figures={FIGURES} />
          <h2>Subscriptions</h2>
          <Table rows={subscriptions} label="Subscriptions" empty="Nobody is told." columns={[{ name: "Protocol", cell: (s) => s.Protocol }, { name: "Endpoint", wide: true, cell: (s) => (s.Endpoint.startsWith("arn:") ? <Arn arn={s.Endpoint} /> : s.Endpoint) }, { name: "State", cell: (s) => <Badge status={s.SubscriptionArn.startsWith("arn:") ? "ACTIVE" : "PENDING"} /> }]} />
          <Deliveries arn={arn} published={published} />
          <form onSubmit={publish}><h2>Publish</h2><label style="display:grid">Message <textarea rows={4} required value={text} onInput={(e) => setText(e.currentTarget.value)} /></label><p><button>Publish</button></p></form>
        </>
      )}</Loaded>
    </Page>
  );
}

/** So many are read: all that the server keeps. */
const KEPT = 200;
/** A message that was published here has reached most by then. */
const SOON_MS = 1000;

/** How each message's way to each subscription went since the server started, mails among them: an operation of Lakerun's own. */
function Deliveries({ arn, published }: { arn: string; published: number }) {
  const loaded = useLoad(() => call<{ Deliveries: Delivery[]; Since: number }>("lakerun", "ListDeliveries", { TopicArn: arn, MaxResults: KEPT }), [arn], ["sns", "sqs"]);
  useEffect(() => {
    if (published === 0) return undefined;
    const timer = setTimeout(loaded.again, SOON_MS);
    return () => clearTimeout(timer);
  }, [published]);
  return (
    <>
      <h2>Deliveries</h2>
      <Loaded of={loaded}>{({ Deliveries: rows, Since }) => (
        <>
          <p class="row"><span class="quiet">The newest {KEPT} that ended or failed since the server started, <Time at={Since} />.</span> <button onClick={loaded.again}>Refresh</button></p>
          <Table rows={rows} label="Deliveries" empty="Nothing was delivered yet." columns={[
            { name: "Status", cell: (d) => <Badge status={d.Status} tone={d.Status === "RETRYING" ? "caught" : undefined} />, sort: (d) => d.Status },
            { name: "To", wide: true, cell: (d) => <><span class="quiet">{d.Protocol}</span> {arnLink(d.Endpoint) ? <a href={arnLink(d.Endpoint)}>{d.Endpoint.split(":").pop()}</a> : d.Endpoint}</>, sort: (d) => d.Endpoint },
            { name: "Message", cell: (d) => d.MessageId ?? <span class="quiet">request to confirm</span>, sort: (d) => d.MessageId ?? "" },
            { name: "Published", cell: (d) => <Time at={d.PublishedTime} />, sort: (d) => d.PublishedTime ?? 0 },
            { name: "Last try", cell: (d) => <Time at={d.LastAttemptTime} />, sort: (d) => d.LastAttemptTime },
            { name: "Tries", numeric: true, cell: (d) => d.Attempts, sort: (d) => d.Attempts },
            { name: "Next try", cell: (d) => <Time at={d.NextAttemptTime} />, sort: (d) => d.NextAttemptTime ?? 0 },
            { name: "Answer", wide: true, cell: (d) => <span class={d.Status === "DELIVERED" ? "quiet" : "error"}>{d.StatusCode ? `${d.StatusCode} ` : ""}{d.ProviderResponse}</span> },
          ]} />
        </>
      )}</Loaded>
    </>
  );
}
