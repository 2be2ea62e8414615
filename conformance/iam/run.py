#!/usr/bin/env python3
"""Who gets in by a resource's policy: another account, a service, nobody where it denies. Boto3 against a server of two accounts.

    python3 conformance/iam/run.py --binary target/debug/lakerun        # a server of its own; needs boto3

Closes with 'N passed, N failed'. Expectations: IAM User Guide, "Cross-account policy evaluation logic"; the services' guides on their
resource-based policies.
"""
import io
import json
import os
import pathlib
import sys
import tempfile
import time
import uuid
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402
import botocore.exceptions  # noqa: E402

SETTINGS = """[s3.accounts.222222222222]
access_key_id = "AKIAOTHERACCOUNT0001"
secret_access_key = "anotheraccountssecretaccesskey0000000001"
"""
REGION = "us-east-1"
X = uuid.uuid4().hex[:6]
WAIT = 600
results = []


def check(name, ok, saw=""):
    results.append(ok)
    print(f"{'ok  ' if ok else 'FAIL'} {name}{'' if ok else f': {saw}'}", flush=True)


def own(service):
    return boto3.client(service, region_name=REGION)


def other(service):
    return boto3.client(service, region_name=REGION, aws_access_key_id="AKIAOTHERACCOUNT0001",
                        aws_secret_access_key="anotheraccountssecretaccesskey0000000001")


def error(call, **arguments):
    try:
        call(**arguments)
        return ""
    except botocore.exceptions.ClientError as found:
        return found.response["Error"]["Code"]


def denied(name, call, **arguments):
    code = error(call, **arguments)
    # SNS says it in its own word.
    check(name, "AccessDenied" in code or code == "AuthorizationError", code or "it was let in")


def may(name, call, **arguments):
    code = error(call, **arguments)
    check(name, code == "", code)


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect, principal, action, resource, condition=None):
    made = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}
    return {**made, "Condition": condition} if condition else made


def queue():
    """A queue with its URL, its ARN, and a function that sets its policy."""
    sqs = own("sqs")
    name = f"q{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn, lambda *statements: sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(*statements)})


def first(url, key=lambda body: body):
    """The first message, by what its sender marked it with."""
    sqs, end = own("sqs"), time.time() + WAIT
    while time.time() < end:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return key(message["Body"])
    sys.exit("nothing came")


def queues():
    url, arn, allow = queue()
    sqs, yours = own("sqs"), other("sqs")
    you = other("sts").get_caller_identity()["Account"]
    check("the other account is another", you == "222222222222", you)
    denied("another account may not send", yours.send_message, QueueUrl=url, MessageBody="x")
    sqs.add_permission(QueueUrl=url, Label="you", AWSAccountIds=[you], Actions=["SendMessage"])
    may("with AddPermission it may", yours.send_message, QueueUrl=url, MessageBody="x")
    denied("but not receive", yours.receive_message, QueueUrl=url)
    check("a label is there once", error(sqs.add_permission, QueueUrl=url, Label="you", AWSAccountIds=[you], Actions=["SendMessage"]) == "InvalidParameterValue")
    sqs.remove_permission(QueueUrl=url, Label="you")
    denied("after RemovePermission it may not", yours.send_message, QueueUrl=url, MessageBody="x")
    check("no policy is left", "Policy" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])
    allow(statement("Deny", "*", "sqs:SendMessage", arn))
    denied("a Deny holds for the owner, too", sqs.send_message, QueueUrl=url, MessageBody="x")
    check("a malformed policy", error(sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": "{}"}) == "InvalidAttributeValue")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    may("the owner can always take it away", sqs.send_message, QueueUrl=url, MessageBody="x")


def by_services():
    """Of two topics, rules and buckets that send to a queue its policy names one: what the other sends never comes."""
    sns, events, s3 = own("sns"), own("events"), own("s3")
    account = own("sts").get_caller_identity()["Account"]
    url, arn, allow = queue()

    def topic(name):
        made = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=made, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        return made, lambda: sns.publish(TopicArn=made, Message=name)

    def rule(name):
        made = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn, "InputPath": "$.source"}])
        return made, lambda: events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": "{}"}])

    def bucket(name):
        s3.create_bucket(Bucket=name)
        told = {"Bucket": name, "NotificationConfiguration": {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}}
        check("a queue that S3 may not send to is refused", error(s3.put_bucket_notification_configuration, **told) == "InvalidArgument")
        s3.put_bucket_notification_configuration(SkipDestinationValidation=True, **told)
        return f"arn:aws:s3:::{name}", lambda: s3.put_object(Bucket=name, Key="k", Body=b"")

    def sender(body):
        if not body.startswith("{"):
            return body.strip('"')
        told = json.loads(body)
        return told["Records"][0]["s3"]["bucket"]["name"] if "Records" in told else None

    for name, service, make in [("topic", "sns", topic), ("rule", "events", rule), ("bucket", "s3", bucket)]:
        allow(statement("Allow", {"Service": "nobody.amazonaws.com"}, "sqs:SendMessage", arn))
        (_, send_no), (source, send_yes) = make(f"no-{name}-{X}"), make(f"yes-{name}-{X}")
        condition = {"ArnEquals": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": account}}
        allow(statement("Allow", {"Service": f"{service}.amazonaws.com"}, "sqs:SendMessage", arn, condition))
        send_no()
        send_yes()
        while (seen := first(url, sender)) is None:
            pass
        check(f"of two of the kind {name} the one that is named gets in", seen == f"yes-{name}-{X}", seen)


def others():
    you = other("sts").get_caller_identity()["Account"]
    topic = own("sns").create_topic(Name=f"u{X}")["TopicArn"]
    denied("another account may not publish", other("sns").publish, TopicArn=topic, Message="x")
    own("sns").add_permission(TopicArn=topic, Label="l", AWSAccountId=[you], ActionName=["Publish"])
    may("with AddPermission it may", other("sns").publish, TopicArn=topic, Message="x")

    bus = own("events").describe_event_bus()["Arn"]
    put = {"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}", "EventBusName": bus}]}
    denied("another account's events", other("events").put_events, **put)
    own("events").put_permission(Action="events:PutEvents", Principal=you, StatementId="you")
    may("with PutPermission", other("events").put_events, **put)
    own("events").remove_permission(StatementId="you")
    denied("without it again", other("events").put_events, **put)

    secrets, theirs = own("secretsmanager"), other("secretsmanager")
    # A key of one's own that lets the other account in: the account's own key of Secrets Manager never does.
    key = own("kms").create_key(Policy=policy(statement("Allow", {"AWS": "arn:aws:iam::000000000000:root"}, "kms:*", "*"),
                                              statement("Allow", {"AWS": f"arn:aws:iam::{you}:root"}, "kms:Decrypt", "*")))["KeyMetadata"]["Arn"]
    secret = secrets.create_secret(Name=f"s{X}", SecretString="mine", KmsKeyId=key)["ARN"]
    theirs.create_secret(Name=f"s{X}", SecretString="theirs")
    denied("another account's secret", theirs.get_secret_value, SecretId=secret)
    secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(statement("Allow", {"AWS": f"arn:aws:iam::{you}:root"}, "secretsmanager:GetSecretValue", "*")))
    check("by a policy it is the owner's", theirs.get_secret_value(SecretId=secret)["SecretString"] == "mine")
    denied("and only read", theirs.put_secret_value, SecretId=secret, SecretString="x")
    closed = secrets.create_secret(Name=f"c{X}", SecretString="mine")["ARN"]
    secrets.put_resource_policy(SecretId=closed, ResourcePolicy=policy(statement("Allow", {"AWS": f"arn:aws:iam::{you}:root"}, "secretsmanager:GetSecretValue", "*")))
    denied("not under a key that lets nobody in", theirs.get_secret_value, SecretId=closed)
    check("a public policy is blocked", error(secrets.put_resource_policy, SecretId=secret, BlockPublicPolicy=True,
                                              ResourcePolicy=policy(statement("Allow", "*", "*", "*"))) == "PublicPolicyException")
    check("a malformed one", error(secrets.put_resource_policy, SecretId=secret, ResourcePolicy=policy()) == "MalformedPolicyDocumentException")
    secrets.delete_resource_policy(SecretId=secret)
    denied("without it again", theirs.get_secret_value, SecretId=secret)
    old = secrets.get_secret_value(SecretId=secret)["VersionId"]
    new = secrets.put_secret_value(SecretId=secret, SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    move = {"SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": new}
    check("a stage is taken from the version that has it", error(secrets.update_secret_version_stage, **move) == "InvalidParameterException")
    secrets.update_secret_version_stage(**move, RemoveFromVersionId=old)
    check("and then moves", secrets.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["VersionId"] == old)

    glue = own("glue")
    arn = bus.replace(":events:", ":glue:").rsplit(":", 1)[0]
    glue.create_database(DatabaseInput={"Name": f"d{X}"})
    glue.put_resource_policy(PolicyInJson=policy(statement("Deny", "*", "glue:DeleteDatabase", arn + ":*")))
    denied("the catalog's Deny", glue.delete_database, Name=f"d{X}")
    glue.delete_resource_policy()
    may("without it", glue.delete_database, Name=f"d{X}")

    logs = own("logs")
    logs.create_log_group(logGroupName=f"g{X}")
    logs.create_log_stream(logGroupName=f"g{X}", logStreamName="s")
    line = {"logGroupName": f"g{X}", "logStreamName": "s", "logEvents": [{"timestamp": int(time.time() * 1000), "message": "x"}]}
    logs.put_resource_policy(policyName=X, policyDocument=policy(statement("Deny", "*", "logs:PutLogEvents", "*")))
    denied("a Deny of Logs", logs.put_log_events, **line)
    logs.delete_resource_policy(policyName=X)
    may("without it", logs.put_log_events, **line)

    kms = own("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    denied("another account's key", other("kms").encrypt, KeyId=key, Plaintext=b"x")
    given = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    given["Statement"].append(statement("Allow", {"AWS": you}, "kms:Encrypt", "*"))
    kms.put_key_policy(KeyId=key, Policy=json.dumps(given))
    may("by the key's policy", other("kms").encrypt, KeyId=key, Plaintext=b"x")


def functions():
    iam, functions = own("iam"), own("lambda")
    you = other("sts").get_caller_identity()["Account"]
    role = iam.create_role(RoleName=f"f{X}", AssumeRolePolicyDocument=policy(
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}))["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return event\n")
    arn = functions.create_function(FunctionName=f"f{X}", Role=role, Runtime="python3.11", Handler="app.handler", Code={"ZipFile": code.getvalue()})["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName=f"f{X}")
    denied("another account may not invoke", other("lambda").invoke, FunctionName=arn)
    functions.add_permission(FunctionName=f"f{X}", StatementId="you", Action="lambda:InvokeFunction", Principal=you)
    answer = other("lambda").invoke(FunctionName=arn, Payload=b'{"n": 1}')["Payload"].read()
    check("with AddPermission it may", json.loads(answer) == {"n": 1}, answer)
    denied("but not see its code", other("lambda").get_function, FunctionName=arn)


def main():
    folder = tempfile.TemporaryDirectory()
    settings = pathlib.Path(folder.name) / "settings.toml"
    settings.write_text(SETTINGS)
    server = Server(sys.argv[sys.argv.index("--binary") + 1], arguments=["--config", str(settings)])
    try:
        for part in (queues, by_services, others, functions):
            print(f"-- {part.__name__}")
            part()
    finally:
        server.stop()
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
