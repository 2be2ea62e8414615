"""SNS: https://docs.aws.amazon.com/sns/latest/api/API_Operations.html"""
import base64
import http.server
import json
import pathlib
import queue as queue_of
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, role, until

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


@operations("sns", "Publish", "SetTopicAttributes")
def encryption():
    kms, (url, endpoint) = client("kms"), queue()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    arn = topic(Attributes={"KmsMasterKeyId": key})
    sns().subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint, Attributes={"FilterPolicyScope": "MessageBody", "FilterPolicy": '{"a":[1]}'})
    sns().publish(TopicArn=arn, Message='{"a":1}')
    equal(json.loads(received(url, 1)[0]["Body"])["Message"], '{"a":1}')
    # Its key makes no new data keys, and what a topic has kept of one runs out only later: another topic has none.
    other = topic(Attributes={"KmsMasterKeyId": key})
    kms.disable_key(KeyId=key)
    refused("KMSDisabled", key, sns().publish, TopicArn=other, Message="x")
    sns().set_topic_attributes(TopicArn=other, AttributeName="KmsMasterKeyId", AttributeValue="alias/nothing-here")
    refused("KMSNotFound", "alias/nothing-here", sns().publish, TopicArn=other, Message="x")
    refused("NotFound", "Topic does not exist", sns().set_topic_attributes, TopicArn=GONE, AttributeName="KmsMasterKeyId", AttributeValue=key)


class Endpoint:
    """An HTTP endpoint that keeps what is posted, and answers with the statuses that it is told, then with 200."""

    def __init__(self):
        self.posts, self.statuses = queue_of.Queue(), []
        own = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                own.posts.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(own.statuses.pop(0) if own.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}/messages?from=sns"

    def next(self):
        return self.posts.get(timeout=600)


def fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=600) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def is_signed(message):
    """Whether the signature of a message is of the certificate that it names: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html"""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("text", "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()),
                              ("signature", base64.b64decode(message["Signature"])), ("certificate", fetched(message["SigningCertURL"])[1].encode())):
            pathlib.Path(folder, name).write_bytes(content)
        public = subprocess.run(["openssl", "x509", "-in", "certificate", "-noout", "-pubkey"], cwd=folder, check=True, capture_output=True).stdout
        pathlib.Path(folder, "public").write_bytes(public)
        digest = {"1": "-sha1", "2": "-sha256"}[message["SignatureVersion"]]
        checked = subprocess.run(["openssl", "dgst", digest, "-verify", "public", "-signature", "signature", "text"], cwd=folder, capture_output=True)
        return checked.returncode == 0


@operations("sns", "ConfirmSubscription", "Unsubscribe", "Subscribe")
def endpoints():
    arn, endpoint = topic(), Endpoint()
    equal(sns().subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url)["SubscriptionArn"], "pending confirmation")
    headers, body = endpoint.next()
    asked = json.loads(body)
    holds(headers, **{"x-amz-sns-message-type": "SubscriptionConfirmation", "x-amz-sns-topic-arn": arn, "x-amz-sns-message-id": asked["MessageId"],
                      "content-type": "text/plain; charset=UTF-8"})
    holds(asked, Type="SubscriptionConfirmation", TopicArn=arn, SignatureVersion="1")
    assert is_signed(asked)
    refused("InvalidParameter", "Token", sns().confirm_subscription, TopicArn=arn, Token="not a token")
    refused("NotFound", "Topic does not exist", sns().confirm_subscription, TopicArn=GONE, Token="a" * 64)
    sns().publish(TopicArn=arn, Message="before it is confirmed")
    made = sns().confirm_subscription(TopicArn=arn, Token=asked["Token"], AuthenticateOnUnsubscribe="true")["SubscriptionArn"]
    holds(sns().get_subscription_attributes(SubscriptionArn=made)["Attributes"], Protocol="http", Endpoint=endpoint.url, PendingConfirmation="false",
          ConfirmationWasAuthenticated="true")
    id = sns().publish(TopicArn=arn, Message="hello", Subject="s", MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}})["MessageId"]
    headers, body = endpoint.next()
    told = json.loads(body)
    holds(headers, **{"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": id, "x-amz-sns-topic-arn": arn, "x-amz-sns-subscription-arn": made})
    holds(told, Type="Notification", MessageId=id, Message="hello", Subject="s", MessageAttributes={"k": {"Type": "String", "Value": "v"}})
    assert is_signed(told) and not is_signed({**told, "Message": "other"})
    # A link alone does not end what was confirmed with AuthenticateOnUnsubscribe.
    equal(fetched(told["UnsubscribeURL"])[0], 403)
    # What its owner ends stays ended: the endpoint is told nothing, in particular no link that brings it back.
    sns().unsubscribe(SubscriptionArn=made)
    refused("NotFound", "Subscription does not exist", sns().get_subscription_attributes, SubscriptionArn=made)
    assert sns().subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url)["SubscriptionArn"] == "pending confirmation"
    asked = json.loads(endpoint.next()[1])
    holds(asked, Type="SubscriptionConfirmation")
    made = sns().confirm_subscription(TopicArn=arn, Token=asked["Token"])["SubscriptionArn"]
    sns().publish(TopicArn=arn, Message="again")
    equal(fetched(json.loads(endpoint.next()[1])["UnsubscribeURL"])[0], 200)
    headers, body = endpoint.next()
    farewell = json.loads(body)
    equal((farewell["Type"], headers["x-amz-sns-subscription-arn"], is_signed(farewell)), ("UnsubscribeConfirmation", made, True))
    refused("NotFound", "Subscription does not exist", sns().get_subscription_attributes, SubscriptionArn=made)
    status, answer = fetched(farewell["SubscribeURL"])
    assert status == 200 and made in answer, answer
    equal(sns().get_subscription_attributes(SubscriptionArn=made)["Attributes"]["PendingConfirmation"], "false")
    refused("InvalidParameter", "Endpoint must match the specified protocol", sns().subscribe, TopicArn=arn, Protocol="https", Endpoint=endpoint.url)
    refused("InvalidParameter", "SubscriptionArn", sns().unsubscribe, SubscriptionArn="not an arn")


@operations("sns", "Subscribe", "SetTopicAttributes", "SetSubscriptionAttributes")
def deliveries():
    arn, endpoint, (url, dead) = topic(Attributes={"SignatureVersion": "2"}), Endpoint(), queue()
    policy = {"healthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 2, "numNoDelayRetries": 2}}
    made = sns().subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url, ReturnSubscriptionArn=True, Attributes={
        "DeliveryPolicy": json.dumps(policy), "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead})})["SubscriptionArn"]
    asked = json.loads(endpoint.next()[1])
    equal((asked["SignatureVersion"], is_signed(asked)), ("2", True))
    status, answer = fetched(asked["SubscribeURL"])
    assert status == 200 and made in answer, answer
    equal(fetched(asked["SubscribeURL"])[0], 200)
    found = sns().get_subscription_attributes(SubscriptionArn=made)["Attributes"]
    equal(found["ConfirmationWasAuthenticated"], "false")
    holds(json.loads(found["EffectiveDeliveryPolicy"])["healthyRetryPolicy"], numRetries=2, numNoDelayRetries=2, minDelayTarget=1, backoffFunction="linear")
    sns().set_subscription_attributes(SubscriptionArn=made, AttributeName="RawMessageDelivery", AttributeValue="true")
    endpoint.statuses = [503, 429]
    sns().publish(TopicArn=arn, Message="third time")
    for _ in range(3):
        headers, body = endpoint.next()
        equal((body, headers["x-amz-sns-rawdelivery"]), ("third time", "true"))
    for statuses in ([500, 500, 500], [404]):
        endpoint.statuses = list(statuses)
        sns().publish(TopicArn=arn, Message=f"never {len(statuses)}")
        equal([message["Body"] for message in received(url, 1)], [f"never {len(statuses)}"])
        for _ in statuses:
            endpoint.next()
    policy["requestPolicy"] = {"headerContentType": "application/json"}
    sns().set_subscription_attributes(SubscriptionArn=made, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(policy))
    sns().publish(TopicArn=arn, Message="{}")
    equal(endpoint.next()[0]["content-type"], "application/json")
    policy["healthyRetryPolicy"]["numRetries"] = 1
    refused("InvalidParameter", "DeliveryPolicy: healthyRetryPolicy", sns().set_subscription_attributes, SubscriptionArn=made,
            AttributeName="DeliveryPolicy", AttributeValue=json.dumps(policy))
    http = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 7}, "disableSubscriptionOverrides": True}}
    sns().set_topic_attributes(TopicArn=arn, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(http))
    for found in (sns().get_subscription_attributes(SubscriptionArn=made), sns().get_topic_attributes(TopicArn=arn)):
        assert '"numRetries":7' in found["Attributes"]["EffectiveDeliveryPolicy"], found
    refused("InvalidParameter", "DeliveryPolicy", sns().set_topic_attributes, TopicArn=arn, AttributeName="DeliveryPolicy", AttributeValue='{"htp":{}}')
    refused("InvalidParameter", "Endpoint must match", sns().subscribe, TopicArn=arn, Protocol="http", Endpoint="ftp://127.0.0.1/")
    assert endpoint.posts.empty()
    equal(fetched(told_in(arn)["UnsubscribeURL"])[0], 200)


def told_in(arn):
    """The envelope of a message that a queue gets of a topic; its queue's subscription is ended by the caller, who has the link."""
    url, endpoint = queue()
    sns().subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)
    sns().publish(TopicArn=arn, Message="{}")
    told = json.loads(received(url, 1)[0]["Body"])
    equal((told["SignatureVersion"], is_signed(told)), ("2", True))
    return told


@operations("sns", "SetTopicAttributes")
def delivery_status():
    arn, logger = topic(), role("sns")
    allow = {"Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
    client("iam").put_role_policy(RoleName=logger.rsplit("/", 1)[1], PolicyName="logs", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow}))
    for name, value in (("SQSSuccessFeedbackRoleArn", logger), ("SQSSuccessFeedbackSampleRate", "100"), ("SQSFailureFeedbackRoleArn", logger)):
        sns().set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)
    url, target = queue()
    gone = target + "-gone"
    for endpoint in (target, gone):
        sns().subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)
    id = sns().publish(TopicArn=arn, Message="hello")["MessageId"]
    at = f"sns/{REGION}/{ACCOUNT}/{arn.rsplit(':', 1)[1]}"

    def logged(group):
        def ask():
            try:
                return [json.loads(e["message"]) for e in client("logs").filter_log_events(logGroupName=group)["events"]]
            except client("logs").exceptions.ResourceNotFoundException:
                return []
        return until(ask, bool)

    good, = logged(at)
    holds(good["notification"], messageId=id, topicArn=arn, messageMD5Sum="5d41402abc4b2a76b9719d911017c592")
    holds(good["delivery"], destination=target, statusCode=200, attempts=1)
    assert json.loads(good["delivery"]["providerResponse"])["sqsMessageId"] and good["status"] == "SUCCESS", good
    bad, = logged(at + "/Failure")
    holds(bad["delivery"], destination=gone, statusCode=400)
    equal((bad["status"], json.loads(bad["delivery"]["providerResponse"])["ErrorCode"].split(".")[-1]), ("FAILURE", "NonExistentQueue"))
    refused("InvalidParameter", "SQSSuccessFeedbackSampleRate", sns().set_topic_attributes, TopicArn=arn, AttributeName="SQSSuccessFeedbackSampleRate", AttributeValue="101")


@operations("sns", "Subscribe", "SetSubscriptionAttributes", "Publish")
def complexity_of_filters():
    """Source: SNS Developer Guide, "Filter policy constraints": five keys, of nested ones the outermost, and 150 combinations."""
    topic = sns().create_topic(Name=named("topic"))["TopicArn"]
    queue = client("sqs").create_queue(QueueName=named("queue"))["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def keys(n):
        return {f"k{i}": ["x"] for i in range(n)}

    made = sns().subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"FilterPolicy": json.dumps(keys(5))})["SubscriptionArn"]

    def given(policy):
        return {"SubscriptionArn": made, "AttributeName": "FilterPolicy", "AttributeValue": json.dumps(policy)}

    def put(policy):
        sns().set_subscription_attributes(**given(policy))

    def refuses(text, policy):
        refused("InvalidParameter", text, sns().set_subscription_attributes, **given(policy))

    put({"a": [str(n) for n in range(150)]})
    refuses("can not have more than 5 keys", keys(6))
    refuses("too complex", {"a": [str(n) for n in range(151)]})
    refuses("either all values are number or string", {"a": [{"anything-but": ["x", 1]}]})
    refused("InvalidParameter", "can not have more than 5 keys", sns().subscribe, TopicArn=topic, Protocol="sqs", Endpoint=arn.replace("queue", "other"),
            Attributes={"FilterPolicy": json.dumps(keys(6))})
    sns().set_subscription_attributes(SubscriptionArn=made, AttributeName="FilterPolicyScope", AttributeValue="MessageBody")
    put({"a": {"b": [str(n) for n in range(75)]}})
    refuses("too complex", {"a": {"b": [str(n) for n in range(76)]}})
    sns().publish(TopicArn=topic, Message="m", MessageAttributes={"n": {"DataType": "Number", "StringValue": "1.5"}})
    refused("ParameterValueInvalid", "Could not cast message attribute 'n' value to number", sns().publish, TopicArn=topic, Message="m",
            MessageAttributes={"n": {"DataType": "Number", "StringValue": "x"}})
