"""SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html"""
import hashlib
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, until

MISSING = "AWS.SimpleQueueService.NonExistentQueue"


def sqs():
    return client("sqs")


def queue(name=None, **attributes):
    return sqs().create_queue(QueueName=name or named("queue"), Attributes={k: str(v) for k, v in attributes.items()})["QueueUrl"]


def arn(url):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"


def gone():
    return queue().rsplit("/", 1)[0] + "/nothing-here"


def receive(url, count=1, **more):
    """As many messages as are wanted, in as many answers as it takes."""
    found = []
    while len(found) < count:
        found += sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20, **more).get("Messages", [])
    return found


@operations("sqs", "CreateQueue", "GetQueueUrl", "ListQueues", "GetQueueAttributes", "SetQueueAttributes", "DeleteQueue", "TagQueue", "UntagQueue",
            "ListQueueTags")
def queues():
    name = named("queue")
    url = sqs().create_queue(QueueName=name, Attributes={"VisibilityTimeout": "5"}, tags={"a": "1"})["QueueUrl"]
    assert url.endswith(f"/{ACCOUNT}/{name}"), url
    equal(sqs().get_queue_url(QueueName=name)["QueueUrl"], url)
    equal(sqs().create_queue(QueueName=name, Attributes={"VisibilityTimeout": "5"})["QueueUrl"], url)
    refused("QueueAlreadyExists", "VisibilityTimeout", sqs().create_queue, QueueName=name, Attributes={"VisibilityTimeout": "6"})
    holds(sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"], QueueArn=arn(url), VisibilityTimeout="5",
          DelaySeconds="0", MaximumMessageSize="1048576", MessageRetentionPeriod="345600", ReceiveMessageWaitTimeSeconds="0",
          ApproximateNumberOfMessages="0", ApproximateNumberOfMessagesNotVisible="0", ApproximateNumberOfMessagesDelayed="0",
          SqsManagedSseEnabled="true")
    sqs().set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "3"})
    equal(sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "VisibilityTimeout"])["Attributes"],
          {"DelaySeconds": "3", "VisibilityTimeout": "5"})
    sqs().tag_queue(QueueUrl=url, Tags={"a": "2", "b": ""})
    equal(sqs().list_queue_tags(QueueUrl=url)["Tags"], {"a": "2", "b": ""})
    sqs().untag_queue(QueueUrl=url, TagKeys=["a", "never"])
    equal(sqs().list_queue_tags(QueueUrl=url)["Tags"], {"b": ""})
    others = [queue(f"{name}-{n}") for n in range(2)]
    found, count = pages(sqs().list_queues, "QueueUrls", "NextToken", "NextToken", QueueNamePrefix=name, MaxResults=2)
    equal((sorted(found), count), (sorted([url, *others]), 2))
    equal(sqs().list_queues(QueueNamePrefix=named("none")).get("QueueUrls", []), [])
    refused("InvalidAttributeValue", "DelaySeconds", sqs().set_queue_attributes, QueueUrl=url, Attributes={"DelaySeconds": "901"})
    refused("InvalidAttributeName", "Colour", sqs().set_queue_attributes, QueueUrl=url, Attributes={"Colour": "red"})
    refused("InvalidAttributeName", "Colour", sqs().get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])
    refused("InvalidParameterValue", "MaxResults", sqs().list_queues, MaxResults=1001)
    denied("AccessDeniedException", "sqs:ListQueues", "list_queues")
    sqs().delete_queue(QueueUrl=url)
    for call, given in ((sqs().get_queue_attributes, {}), (sqs().delete_queue, {}), (sqs().list_queue_tags, {}), (sqs().tag_queue, {"Tags": {"a": "1"}}),
                        (sqs().untag_queue, {"TagKeys": ["a"]})):
        refused(MISSING, "does not exist", call, QueueUrl=url, **given)
    refused(MISSING, "does not exist", sqs().get_queue_url, QueueName=name)


@operations("sqs", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "PurgeQueue")
def messages():
    url = queue()
    sent = sqs().send_message(QueueUrl=url, MessageBody="hello", MessageAttributes={"n": {"DataType": "Number", "StringValue": "7"}})
    equal(sent["MD5OfMessageBody"], hashlib.md5(b"hello").hexdigest())
    got = receive(url, MessageAttributeNames=["All"], AttributeNames=["ApproximateReceiveCount"])[0]
    holds(got, MessageId=sent["MessageId"], Body="hello", MD5OfBody=sent["MD5OfMessageBody"], MD5OfMessageAttributes=sent["MD5OfMessageAttributes"],
          MessageAttributes={"n": {"DataType": "Number", "StringValue": "7"}}, Attributes={"ApproximateReceiveCount": "1"})
    equal(sqs().receive_message(QueueUrl=url).get("Messages", []), [])
    sqs().change_message_visibility(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=0)
    again = receive(url, AttributeNames=["ApproximateReceiveCount"])[0]
    equal((again["MessageId"], again["Attributes"]), (sent["MessageId"], {"ApproximateReceiveCount": "2"}))
    sqs().delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    attributes = sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"])
    equal(set(attributes["Attributes"].values()), {"0"})
    refused("InvalidParameterValue", "VisibilityTimeout", sqs().change_message_visibility, QueueUrl=url, ReceiptHandle=again["ReceiptHandle"],
            VisibilityTimeout=43201)
    for call, given in ((sqs().change_message_visibility, {"VisibilityTimeout": 1}), (sqs().delete_message, {})):
        refused("ReceiptHandleIsInvalid", "not a handle", call, QueueUrl=url, ReceiptHandle="not a handle", **given)
    refused("InvalidParameterValue", "shorter than 1048576 bytes", sqs().send_message, QueueUrl=url, MessageBody="x" * 1048577)
    refused("InvalidMessageContents", "", sqs().send_message, QueueUrl=url, MessageBody="\x01")
    refused("InvalidParameterValue", "MaxNumberOfMessages", sqs().receive_message, QueueUrl=url, MaxNumberOfMessages=11)
    for n in range(3):
        sqs().send_message(QueueUrl=url, MessageBody=str(n))
    sqs().purge_queue(QueueUrl=url)
    equal(sqs().receive_message(QueueUrl=url).get("Messages", []), [])
    refused("AWS.SimpleQueueService.PurgeQueueInProgress", url.rsplit("/", 1)[1], sqs().purge_queue, QueueUrl=url)
    refused(MISSING, "does not exist", sqs().purge_queue, QueueUrl=gone())


@operations("sqs", "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")
def batches():
    url = queue()
    sent = sqs().send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "2"}, {"Id": "c", "MessageBody": "\x01"}])
    equal((names(sent["Successful"], "Id"), [(f["Id"], f["Code"], f["SenderFault"]) for f in sent["Failed"]]),
          (["a", "b"], [("c", "InvalidMessageContents", True)]))
    got = receive(url, 2)
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)]
    changed = sqs().change_message_visibility_batch(QueueUrl=url, Entries=[
        {**handles[0], "VisibilityTimeout": 0}, {"Id": "x", "ReceiptHandle": "not a handle", "VisibilityTimeout": 0},
        {"Id": "y", "ReceiptHandle": handles[1]["ReceiptHandle"], "VisibilityTimeout": 43201}])
    equal((names(changed["Successful"], "Id"), {f["Id"]: f["Code"] for f in changed["Failed"]}),
          (["0"], {"x": "ReceiptHandleIsInvalid", "y": "InvalidParameterValue"}))
    equal(receive(url)[0]["MessageId"], got[0]["MessageId"])
    deleted = sqs().delete_message_batch(QueueUrl=url, Entries=[handles[1], {"Id": "x", "ReceiptHandle": "not a handle"}])
    equal((names(deleted["Successful"], "Id"), [(f["Id"], f["Code"]) for f in deleted["Failed"]]), (["1"], [("x", "ReceiptHandleIsInvalid")]))
    for call, entry in ((sqs().send_message_batch, {"MessageBody": "1"}), (sqs().delete_message_batch, {"ReceiptHandle": "h"}),
                        (sqs().change_message_visibility_batch, {"ReceiptHandle": "h", "VisibilityTimeout": 0})):
        refused("AWS.SimpleQueueService.EmptyBatchRequest", "at least one", call, QueueUrl=url, Entries=[])
        refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id a repeated", call, QueueUrl=url, Entries=[{"Id": "a", **entry}] * 2)
        refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "10", call, QueueUrl=url, Entries=[{"Id": str(n), **entry} for n in range(11)])


@operations("sqs", "AddPermission", "RemovePermission")
def permissions():
    url = queue()
    at = {"QueueUrl": url}

    def statements():
        return json.loads(sqs().get_queue_attributes(**at, AttributeNames=["Policy"])["Attributes"]["Policy"])["Statement"]

    def statement(label, who, action):
        return {"Sid": label, "Effect": "Allow", "Principal": {"AWS": who}, "Action": action, "Resource": arn(url)}

    one, two = (f"arn:aws:iam::{account}:root" for account in ("111111111111", "222222222222"))
    sqs().add_permission(**at, Label="send", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    first = statement("send", one, "SQS:SendMessage")
    equal(statements(), [first])
    sqs().add_permission(**at, Label="both", AWSAccountIds=["111111111111", "222222222222"], Actions=["ReceiveMessage", "DeleteMessage"])
    second = statement("both", [one, two], ["SQS:ReceiveMessage", "SQS:DeleteMessage"])
    equal(statements(), [first, second])
    refused("InvalidParameterValue", "Value send for parameter Label", sqs().add_permission, **at, Label="send", AWSAccountIds=["222222222222"],
            Actions=["SendMessage"])
    refused("InvalidParameterValue", "DeleteQueue", sqs().add_permission, **at, Label="owner", AWSAccountIds=["111111111111"], Actions=["DeleteQueue"])
    for code, words, wrong in [("InvalidParameterValue", "a b for parameter Label", {"Label": "a b"}), ("InvalidParameterValue", "[you]", {"AWSAccountIds": ["you"]}),
                               ("InvalidParameterValue", "PrincipalId", {"AWSAccountIds": []}), ("MissingParameter", "Actions", {"Actions": []}),
                               ("OverLimit", "maximum allowed is 7", {"Actions": ["SendMessage"] * 8})]:
        refused(code, words, sqs().add_permission, **at, **{"Label": "third", "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"], **wrong})
    equal(statements(), [first, second])
    sqs().remove_permission(**at, Label="send")
    equal(statements(), [second])
    refused("InvalidParameterValue", "Value send for parameter Label", sqs().remove_permission, **at, Label="send")
    sqs().remove_permission(**at, Label="both")
    equal(sqs().get_queue_attributes(**at, AttributeNames=["All"])["Attributes"].get("Policy"), None)
    granted = {"Label": "send", "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"]}
    denied("AccessDeniedException", "sqs:AddPermission", "add_permission", **at, **granted)
    denied("AccessDeniedException", "sqs:RemovePermission", "remove_permission", **at, Label="send")
    refused(MISSING, "does not exist", sqs().add_permission, QueueUrl=gone(), **granted)
    refused(MISSING, "does not exist", sqs().remove_permission, QueueUrl=gone(), Label="send")


@operations("sqs", "ListDeadLetterSourceQueues", "StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask")
def dead_letters():
    dead = queue()
    source = queue(VisibilityTimeout=0, RedrivePolicy=json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1}))
    equal(sqs().list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [source])
    equal(sqs().list_dead_letter_source_queues(QueueUrl=source).get("queueUrls", []), [])
    for n in range(3):
        sqs().send_message(QueueUrl=source, MessageBody=str(n))
    receive(source, 3)

    def dead_now():
        sqs().receive_message(QueueUrl=source, MaxNumberOfMessages=10)
        return sqs().get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]["ApproximateNumberOfMessages"]

    until(dead_now, lambda count: count == "3")
    handle = sqs().start_message_move_task(SourceArn=arn(dead), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    holds(sqs().list_message_move_tasks(SourceArn=arn(dead))["Results"][0], SourceArn=arn(dead), Status="RUNNING", TaskHandle=handle,
          MaxNumberOfMessagesPerSecond=1)
    moved = sqs().cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    ended = until(lambda: sqs().list_message_move_tasks(SourceArn=arn(dead))["Results"][0], lambda task: task["Status"] == "CANCELLED")
    assert moved <= ended["ApproximateNumberOfMessagesMoved"] <= 3 and "TaskHandle" not in ended, ended
    refused("ResourceNotFoundException", "", sqs().cancel_message_move_task, TaskHandle=handle)
    refused("InvalidParameterValue", "", sqs().start_message_move_task, SourceArn=arn(source))
    refused("ResourceNotFoundException", "", sqs().start_message_move_task, SourceArn=arn(gone()))
    refused("ResourceNotFoundException", "", sqs().list_message_move_tasks, SourceArn=arn(gone()))
    refused(MISSING, "does not exist", sqs().list_dead_letter_source_queues, QueueUrl=gone())


@operations("sqs", "SendMessage", "SendMessageBatch", "ReceiveMessage", "SetQueueAttributes")
def encryption():
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    dead = queue()
    url = queue(KmsMasterKeyId=key, VisibilityTimeout=0, RedrivePolicy=json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1}))
    holds(sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"], KmsMasterKeyId=key, KmsDataKeyReusePeriodSeconds="300",
          SqsManagedSseEnabled="false")
    sent = sqs().send_message(QueueUrl=url, MessageBody="hidden")
    equal(sent["MD5OfMessageBody"], hashlib.md5(b"hidden").hexdigest())
    sqs().send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "too"}])
    found = sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    equal(sorted((m["Body"], m["MD5OfBody"]) for m in found), sorted((body, hashlib.md5(body.encode()).hexdigest()) for body in ("hidden", "too")))
    # What was sealed stays so in the dead-letter queue, which has no key of its own.
    equal(sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []), [])
    equal(sorted(m["Body"] for m in sqs().receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]), ["hidden", "too"])
    other = queue(KmsMasterKeyId=key)
    kms.disable_key(KeyId=key)
    refused("KMS.DisabledException", key, sqs().send_message, QueueUrl=other, MessageBody="x")
    refused("KMS.DisabledException", key, sqs().send_message_batch, QueueUrl=other, Entries=[{"Id": "a", "MessageBody": "x"}])
    sqs().set_queue_attributes(QueueUrl=other, Attributes={"SqsManagedSseEnabled": "true"})
    sqs().send_message(QueueUrl=other, MessageBody="x")
    both = {"SqsManagedSseEnabled": "true", "KmsMasterKeyId": key}
    refused("InvalidAttributeValue", "one type of server-side encryption", sqs().set_queue_attributes, QueueUrl=other, Attributes=both)
    refused(MISSING, "does not exist", sqs().receive_message, QueueUrl=gone())


@operations("sqs", "SendMessage", "SendMessageBatch")
def attributes_of_messages():
    """Source: SQS Developer Guide, "Message attribute components" and "Message attribute data types"."""
    url = client("sqs").create_queue(QueueName=named("queue"))["QueueUrl"]

    def attribute(name, kind="String", text="x"):
        return {"QueueUrl": url, "MessageBody": "b", "MessageAttributes": {name: {"DataType": kind, "StringValue": text}}}

    for name, kind, text in (("a.b-c_D9", "String", "x"), ("n", "Number", "-1.5e3"), ("n", "Number.int", "12345678901234567890123456789012345678"), ("awsome", "String", "x")):
        client("sqs").send_message(**attribute(name, kind, text))
    for name in ("AWS.x", "aws.x", "Amazon.y"):
        refused("InvalidParameterValue", "reserved for internal use", client("sqs").send_message, **attribute(name))
    for name in (".a", "a.", "a..b", "a b", "\u00fc"):
        refused("InvalidParameterValue", f"The message attribute name '{name}' is invalid", client("sqs").send_message, **attribute(name))
    for text in ("x", "inf", "1e127", "1" * 39, "0x10"):
        refused("InvalidParameterValue", "Can't cast the value of message (user) attribute 'n' to a number", client("sqs").send_message, **attribute("n", "Number", text))
    answer = client("sqs").send_message_batch(QueueUrl=url, Entries=[
        {"Id": "good", "MessageBody": "b"}, {"Id": "bad", "MessageBody": "b", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "x"}}}])
    equal(([one["Id"] for one in answer["Successful"]], [(one["Id"], one["Code"]) for one in answer["Failed"]]), (["good"], [("bad", "InvalidParameterValue")]))
    refused("AWS.SimpleQueueService.EmptyBatchRequest", "", client("sqs").send_message_batch, QueueUrl=url, Entries=[])
