"""SNS: https://docs.aws.amazon.com/sns/latest/api/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused

GONE = f"arn:aws:sns:{REGION}:{ACCOUNT}:nothing-here"


def sns():
    return client("sns")


def topic(name=None, **more):
    return sns().create_topic(Name=name or named("topic"), **more)["TopicArn"]


def queue():
    """A queue that topics may send to: its URL and ARN."""
    name = named("queue")
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]})
    return client("sqs").create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"], arn


def received(url, count):
    found = []
    while len(found) < count:
        got = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20, MessageAttributeNames=["All"]).get("Messages", [])
        found += got
        for message in got:
            client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


@operations("sns", "CreateTopic", "GetTopicAttributes", "SetTopicAttributes", "ListTopics", "DeleteTopic", "TagResource", "UntagResource",
            "ListTagsForResource")
def topics():
    name = named("topic")
    arn = topic(name, Attributes={"DisplayName": "one"}, Tags=[{"Key": "a", "Value": "1"}])
    equal(arn, f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
    equal(topic(name), arn)
    found = sns().get_topic_attributes(TopicArn=arn)["Attributes"]
    holds(found, TopicArn=arn, Owner=ACCOUNT, DisplayName="one", SubscriptionsConfirmed="0", SubscriptionsPending="0", SubscriptionsDeleted="0")
    equal(json.loads(found["Policy"])["Statement"][0]["Resource"], arn)
    sns().set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="two")
    equal(sns().get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"], "two")
    assert arn in names(pages(sns().list_topics, "Topics", "NextToken", "NextToken")[0], "TopicArn")
    sns().tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    equal(sorted(sns().list_tags_for_resource(ResourceArn=arn)["Tags"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    sns().untag_resource(ResourceArn=arn, TagKeys=["a", "never"])
    equal(sns().list_tags_for_resource(ResourceArn=arn)["Tags"], [{"Key": "b", "Value": ""}])
    refused("InvalidParameter", "Topic Name", sns().create_topic, Name="a b")
    refused("InvalidParameter", "Tags", sns().create_topic, Name=name, Tags=[{"Key": "other", "Value": "1"}])
    refused("InvalidParameter", "AttributeName", sns().set_topic_attributes, TopicArn=arn, AttributeName="Colour", AttributeValue="red")
    denied("AuthorizationError", "sns:ListTopics", "list_topics")
    for call, given in ((sns().get_topic_attributes, {}), (sns().set_topic_attributes, {"AttributeName": "DisplayName", "AttributeValue": "x"})):
        refused("NotFound", "Topic does not exist", call, TopicArn=GONE, **given)
    for call, given in ((sns().tag_resource, {"Tags": [{"Key": "a", "Value": "1"}]}), (sns().untag_resource, {"TagKeys": ["a"]}), (sns().list_tags_for_resource, {})):
        refused("ResourceNotFound", "Resource does not exist", call, ResourceArn=GONE, **given)
    sns().delete_topic(TopicArn=arn)
    sns().delete_topic(TopicArn=arn)
    refused("NotFound", "Topic does not exist", sns().get_topic_attributes, TopicArn=arn)
    refused("InvalidParameter", "TopicArn", sns().delete_topic, TopicArn="not an arn")


@operations("sns", "AddPermission", "RemovePermission")
def permissions():
    arn = topic()
    granted = {"Label": "two", "AWSAccountId": ["111111111111", "222222222222"], "ActionName": ["Publish", "Subscribe"]}

    def statements():
        return {held["Sid"]: held for held in json.loads(sns().get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])["Statement"]}

    sns().add_permission(TopicArn=arn, Label="one", AWSAccountId=["111111111111"], ActionName=["Publish"])
    sns().add_permission(TopicArn=arn, **granted)
    one, two = (f"arn:aws:iam::{account}:root" for account in granted["AWSAccountId"])
    holds(statements(), one={"Sid": "one", "Effect": "Allow", "Principal": {"AWS": one}, "Action": "SNS:Publish", "Resource": arn},
          two={"Sid": "two", "Effect": "Allow", "Principal": {"AWS": [one, two]}, "Action": ["SNS:Publish", "SNS:Subscribe"], "Resource": arn})
    refused("InvalidParameter", "Statement already exists", sns().add_permission, TopicArn=arn, **granted)
    refused("InvalidParameter", "action out of service scope", sns().add_permission, TopicArn=arn, **{**granted, "Label": "three", "ActionName": ["Fly"]})
    for member, wrong in {"AWSAccountId": ["you"], "ActionName": [], "Label": ""}.items():
        refused("InvalidParameter", member, sns().add_permission, TopicArn=arn, **{**granted, "Label": "three", member: wrong})
    sns().remove_permission(TopicArn=arn, Label="one")
    equal(["one" in statements(), "two" in statements()], [False, True])
    sns().remove_permission(TopicArn=arn, Label="two")
    equal([label for label in statements() if label in ("one", "two", "three")], [])
    denied("AuthorizationError", "sns:AddPermission", "add_permission", TopicArn=arn, **granted)
    denied("AuthorizationError", "sns:RemovePermission", "remove_permission", TopicArn=arn, Label="two")
    refused("NotFound", "Topic does not exist", sns().add_permission, TopicArn=GONE, **granted)
    refused("NotFound", "Topic does not exist", sns().remove_permission, TopicArn=GONE, Label="two")


@operations("sns", "Subscribe", "GetSubscriptionAttributes", "SetSubscriptionAttributes", "ListSubscriptions", "ListSubscriptionsByTopic", "Unsubscribe")
def subscriptions():
    arn, (_, endpoint) = topic(), queue()
    made = sns().subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint, ReturnSubscriptionArn=True)["SubscriptionArn"]
    assert made.startswith(arn + ":"), made
    equal(sns().subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)["SubscriptionArn"], made)
    holds(sns().get_subscription_attributes(SubscriptionArn=made)["Attributes"], SubscriptionArn=made, TopicArn=arn, Protocol="sqs", Endpoint=endpoint,
          Owner=ACCOUNT, RawMessageDelivery="false", PendingConfirmation="false", ConfirmationWasAuthenticated="true")
    for name, value in (("RawMessageDelivery", "true"), ("FilterPolicy", '{"kind":["a"]}'), ("FilterPolicyScope", "MessageBody")):
        sns().set_subscription_attributes(SubscriptionArn=made, AttributeName=name, AttributeValue=value)
        equal(sns().get_subscription_attributes(SubscriptionArn=made)["Attributes"][name], value)
    told = {"SubscriptionArn": made, "Owner": ACCOUNT, "Protocol": "sqs", "Endpoint": endpoint, "TopicArn": arn}
    equal(sns().list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"], [told])
    assert told in pages(sns().list_subscriptions, "Subscriptions", "NextToken", "NextToken")[0]
    equal(sns().get_topic_attributes(TopicArn=arn)["Attributes"]["SubscriptionsConfirmed"], "1")
    refused("InvalidParameter", "protocol", sns().subscribe, TopicArn=arn, Protocol="pigeon", Endpoint="x")
    refused("InvalidParameter", "SQS endpoint ARN", sns().subscribe, TopicArn=arn, Protocol="sqs", Endpoint="not an arn")
    refused("NotFound", "Topic does not exist", sns().subscribe, TopicArn=GONE, Protocol="sqs", Endpoint=endpoint)
    refused("NotFound", "Topic does not exist", sns().list_subscriptions_by_topic, TopicArn=GONE)
    denied("AuthorizationError", "sns:ListSubscriptions", "list_subscriptions")
    for name, value in (("FilterPolicy", "{"), ("RawMessageDelivery", "perhaps"), ("Colour", "red")):
        refused("InvalidParameter", "", sns().set_subscription_attributes, SubscriptionArn=made, AttributeName=name, AttributeValue=value)
    sns().unsubscribe(SubscriptionArn=made)
    refused("NotFound", "Subscription does not exist", sns().get_subscription_attributes, SubscriptionArn=made)
    equal(sns().list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"], [])
    refused("InvalidParameter", "SubscriptionArn", sns().unsubscribe, SubscriptionArn="not an arn")


@operations("sns", "Publish", "PublishBatch")
def publishing():
    arn, (url, endpoint) = topic(), queue()
    made = sns().subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)["SubscriptionArn"]
    id = sns().publish(TopicArn=arn, Message="hello", Subject="s", MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}})["MessageId"]
    envelope = json.loads(received(url, 1)[0]["Body"])
    holds(envelope, Type="Notification", MessageId=id, TopicArn=arn, Message="hello", Subject="s", MessageAttributes={"k": {"Type": "String", "Value": "v"}})
    sns().set_subscription_attributes(SubscriptionArn=made, AttributeName="RawMessageDelivery", AttributeValue="true")
    batch = sns().publish_batch(TopicArn=arn, PublishBatchRequestEntries=[
        {"Id": "a", "Message": "1", "MessageAttributes": {"k": {"DataType": "String", "StringValue": "v"}}}, {"Id": "b", "Message": "2"},
        {"Id": "c", "Message": "3", "MessageStructure": "json"}])
    equal((names(batch["Successful"], "Id"), [(f["Id"], f["Code"], f["SenderFault"]) for f in batch["Failed"]]),
          (["a", "b"], [("c", "InvalidParameter", True)]))
    found = sorted(received(url, 2), key=lambda m: m["Body"])
    equal([(m["Body"], m.get("MessageAttributes", {}).get("k", {}).get("StringValue")) for m in found], [("1", "v"), ("2", None)])
    entry = {"Id": "a", "Message": "1"}
    refused("EmptyBatchRequest", "", sns().publish_batch, TopicArn=arn, PublishBatchRequestEntries=[])
    refused("BatchEntryIdsNotDistinct", "", sns().publish_batch, TopicArn=arn, PublishBatchRequestEntries=[entry, entry])
    refused("TooManyEntriesInBatchRequest", "", sns().publish_batch, TopicArn=arn, PublishBatchRequestEntries=[{**entry, "Id": str(n)} for n in range(11)])
    refused("NotFound", "Topic does not exist", sns().publish_batch, TopicArn=GONE, PublishBatchRequestEntries=[entry])
    refused("NotFound", "Topic does not exist", sns().publish, TopicArn=GONE, Message="x")
    refused("InvalidParameter", "Empty message", sns().publish, TopicArn=arn, Message="")


@operations("sns", "ConfirmSubscription", only_refused="the token is sent to the endpoint; the crate's own tests take it from there")
def confirmation():
    refused("InvalidParameter", "Token", sns().confirm_subscription, TopicArn=topic(), Token="not a token")
    refused("NotFound", "Topic does not exist", sns().confirm_subscription, TopicArn=GONE, Token="a" * 64)
