// Topics and who is told.

import { useState } from "preact/hooks";
import { all, call } from "../api.ts";
import { link } from "../route.ts";
import { Arn, Badge, fail, KeyValues, Loaded, Page, say, Table, useLoad } from "../ui.tsx";
import { type Figure, LastDay } from "./lastday.tsx";

interface Subscription { SubscriptionArn: string; Protocol: string; Endpoint: string; TopicArn: string }

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
    { name: "Subscriptions", wide: true, cell: (t) => t.told.map((s) => `${s.Protocol}: ${s.Endpoint}`).join(", ") },
  ]} />}</Loaded></Page>;
}

function One({ arn }: { arn: string }) {
  const loaded = useLoad(async () => {
    const [{ Attributes }, subscriptions] = await Promise.all([call<{ Attributes: Record<string, string> }>("sns", "GetTopicAttributes", { TopicArn: arn }), all<Subscription>("sns", "ListSubscriptionsByTopic", { TopicArn: arn }, "Subscriptions", "NextToken")]);
    return { attributes: Attributes, subscriptions: subscriptions.items };
  }, [arn], ["sns"]);
  const [text, setText] = useState("");
  const publish = (e: Event) => { e.preventDefault(); call("sns", "Publish", { TopicArn: arn, Message: text }).then(() => { say("Published"); setText(""); }, fail); };
  return (
    <Page title={arn.split(":").pop() ?? arn} kind="Topic" up={["Topics", "#/topics"]}>
      <Loaded of={loaded}>{({ attributes, subscriptions }) => (
        <>
          <div class="card"><KeyValues of={[["ARN", <Arn arn={arn} />], ["Name to show", attributes.DisplayName], ["Confirmed", attributes.SubscriptionsConfirmed], ["Pending", attributes.SubscriptionsPending], ["FIFO", attributes.FifoTopic]]} /></div>
          <LastDay namespace="AWS/SNS" dimensions={{ TopicName: arn.split(":").pop()! }} figures={FIGURES} />
          <h2>Subscriptions</h2>
          <Table rows={subscriptions} label="Subscriptions" empty="Nobody is told." columns={[{ name: "Protocol", cell: (s) => s.Protocol }, { name: "Endpoint", wide: true, cell: (s) => (s.Endpoint.startsWith("arn:") ? <Arn arn={s.Endpoint} /> : s.Endpoint) }, { name: "", cell: (s) => <Badge status={s.SubscriptionArn.startsWith("arn:") ? "ACTIVE" : "PENDING"} /> }]} />
          <form onSubmit={publish}><h2>Publish</h2><label style="display:grid">Message <textarea rows={4} required value={text} onInput={(e) => setText(e.currentTarget.value)} /></label><p><button>Publish</button></p></form>
        </>
      )}</Loaded>
    </Page>
  );
}
