#!/usr/bin/env python3
"""What a failed operation leaves: of each type a stack is made by a role that may call nothing but what reads and undoes, then one call more, and so
on until it is made: after each failure nothing may be left. The same with updates to all of a type's properties: after each failure the
resource is as it was before.

    python3 conformance/cloudformation/failures.py --binary target/debug/lakerun [TYPE ...]    # a server of its own; needs boto3

Closes with 'N passed, N failed'.
"""
import functools
import json
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402

import defaults  # noqa: E402
from defaults import ACCOUNT, FUNCTION, QUEUE, REGION, ROLE, TAGS, TOPIC, arn, iam, plain, policy  # noqa: E402

client = functools.cache(boto3.client)

SERVICES = ["athena", "cloudformation", "cloudtrail", "cloudwatch", "dynamodb", "ecr", "events", "glue", "iam", "kms", "lambda", "logs", "pipes", "s3", "sagemaker",
            "scheduler", "secretsmanager", "sns", "sqs", "ssm", "states"]
# What looks, what undoes, and what hands a role on.
ALWAYS = [f"{service}:{word}*" for service in SERVICES for word in ("Get", "List", "Describe", "Delete", "Remove", "Detach", "Untag", "Cancel")] + [
    "iam:PassRole", "sns:Unsubscribe", "kms:ScheduleKeyDeletion", "ssm:RemoveTagsFromResource", "dynamodb:UntagResource", "cloudtrail:StopLogging"]
DENIED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")
NOTHING = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


def everybody(action, resource):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": iam("root")}, "Action": action, "Resource": resource}]}


def more_types(version):
    """Types of which all is said when they are made: what they have."""
    url = client("sqs").get_queue_url(QueueName="base")["QueueUrl"]
    machine = arn("states", "stateMachine:fresh")
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/lakerun-inference:latest"
    return {
        "AWS::Athena::NamedQuery": {"Name": "NAME", "Database": "base", "QueryString": "SELECT 1", "Description": "d"},
        "AWS::CloudFormation::Macro": {"Name": "NAME", "FunctionName": arn("lambda", "function:base")},
        "AWS::CloudTrail::Trail": {"TrailName": "NAME", "S3BucketName": "base-logs", "IsLogging": True, "Tags": TAGS,
                                   "EventSelectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]},
        "AWS::CloudWatch::Dashboard": {"DashboardName": "NAME", "DashboardBody": "{\"widgets\":[]}"},
        "AWS::DynamoDB::GlobalTable": {"TableName": "NAME", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                                       "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}], "TimeToLiveSpecification": {"AttributeName": "t", "Enabled": True},
                                       "Replicas": [{"Region": REGION, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}, "Tags": TAGS}]},
        "AWS::Events::EventBusPolicy": {"EventBusName": "base", "StatementId": "NAME", "Action": "events:PutEvents", "Principal": "111111111111"},
        "AWS::Glue::DataQualityRuleset": {"Name": "NAME", "Ruleset": "Rules = [ RowCount > 1 ]", "TargetTable": {"DatabaseName": "base", "TableName": "rows"}, "Tags": {"a": "1"}},
        "AWS::Glue::Partition": {"CatalogId": ACCOUNT, "DatabaseName": "base", "TableName": "rows", "PartitionInput": {"Values": ["1"]}},
        "AWS::Glue::Registry": {"Name": "NAME", "Description": "d", "Tags": TAGS},
        "AWS::Glue::Schema": {"Name": "NAME", "Registry": {"Name": "base"}, "DataFormat": "JSON", "Compatibility": "NONE", "SchemaDefinition": "{\"type\":\"object\"}",
                              "CheckpointVersion": {"IsLatest": True}, "Tags": TAGS},
        "AWS::Glue::SecurityConfiguration": {"Name": "NAME", "EncryptionConfiguration": {"S3Encryptions": [{"S3EncryptionMode": "SSE-S3"}]}},
        "AWS::IAM::AccessKey": {"UserName": "base", "Status": "Inactive"},
        "AWS::IAM::GroupPolicy": {"GroupName": "base", "PolicyName": "NAME", "PolicyDocument": policy()},
        "AWS::IAM::Policy": {"PolicyName": "NAME", "PolicyDocument": policy(), "Roles": ["base"], "Users": ["base"], "Groups": ["base"]},
        "AWS::IAM::RolePolicy": {"RoleName": "base", "PolicyName": "NAME", "PolicyDocument": policy()},
        "AWS::IAM::ServiceLinkedRole": {"AWSServiceName": "ecs.amazonaws.com", "Description": "d"},
        "AWS::IAM::UserPolicy": {"UserName": "base", "PolicyName": "NAME", "PolicyDocument": policy()},
        "AWS::IAM::UserToGroupAddition": {"GroupName": "base", "Users": ["base"]},
        "AWS::KMS::Alias": {"AliasName": "alias/NAME", "TargetKeyId": "THE_KEY"},
        "AWS::Lambda::LayerVersion": {"LayerName": "NAME", "Content": {"S3Bucket": "base-bucket", "S3Key": "layer.zip"}, "Description": "d"},
        "AWS::Lambda::LayerVersionPermission": {"LayerVersionArn": arn("lambda", "layer:base:1"), "Action": "lambda:GetLayerVersion", "Principal": "111111111111"},
        "AWS::Lambda::Permission": {"FunctionName": "base", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"},
        "AWS::Lambda::Version": {"FunctionName": "base2", "Description": "d"},
        "AWS::Logs::LogStream": {"LogGroupName": "/base", "LogStreamName": "NAME"},
        "AWS::Logs::ResourcePolicy": {"PolicyName": "NAME", "PolicyDocument": json.dumps(everybody("logs:PutLogEvents", "*"))},
        "AWS::Logs::SubscriptionFilter": {"LogGroupName": "/base", "FilterName": "NAME", "FilterPattern": "", "DestinationArn": arn("lambda", "function:base")},
        "AWS::S3::BucketPolicy": {"Bucket": "base-bucket", "PolicyDocument": everybody("s3:GetObject", "arn:aws:s3:::base-bucket/*")},
        "AWS::SNS::TopicInlinePolicy": {"TopicArn": TOPIC, "PolicyDocument": everybody("sns:Publish", TOPIC)},
        "AWS::SNS::TopicPolicy": {"Topics": [TOPIC, arn("sns", "second")], "PolicyDocument": everybody("sns:Publish", "*")},
        "AWS::SQS::QueueInlinePolicy": {"Queue": url, "PolicyDocument": everybody("sqs:SendMessage", QUEUE)},
        "AWS::SQS::QueuePolicy": {"Queues": [url, url.replace("base", "first")], "PolicyDocument": everybody("sqs:SendMessage", "*")},
        "AWS::SageMaker::EndpointConfig": {"EndpointConfigName": "NAME", "ProductionVariants": [
            {"ModelName": "base", "VariantName": "v", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large", "InitialVariantWeight": 1}], "Tags": TAGS},
        "AWS::SageMaker::Model": {"ModelName": "NAME", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": image}, "Tags": TAGS},
        "AWS::Scheduler::ScheduleGroup": {"Name": "NAME", "Tags": TAGS},
        "AWS::SecretsManager::ResourcePolicy": {"SecretId": "base", "ResourcePolicy": everybody("secretsmanager:GetSecretValue", "*")},
        "AWS::StepFunctions::Activity": {"Name": "NAME", "Tags": TAGS},
        "AWS::StepFunctions::StateMachineVersion": {"StateMachineArn": machine, "Description": "again"},
    }


def more_base():
    """What they name, beside what the defaults' types name."""
    client("iam").create_user(UserName="base")
    client("stepfunctions").create_state_machine(name="fresh", definition=json.dumps(defaults.ASL), roleArn=ROLE)
    client("sns").create_topic(Name="second")
    client("glue").create_registry(RegistryName="base")
    client("glue").create_table(DatabaseName="base", TableInput={"Name": "rows", "PartitionKeys": [{"Name": "p", "Type": "string"}],
                                                                       "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}], "Location": "s3://base-bucket/rows/"}})
    client("s3").put_object(Bucket="base-bucket", Key="layer.zip", Body=defaults.zipped("x = 1"))
    client("s3").put_bucket_policy(Bucket="base-logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": ["s3:GetBucketAcl", "s3:PutObject"],
         "Resource": ["arn:aws:s3:::base-logs", "arn:aws:s3:::base-logs/*"]}]}))
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/lakerun-inference:latest"
    client("sagemaker").create_model(ModelName="base", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": image})
    client("iam").create_role(RoleName="deployer", AssumeRolePolicyDocument=json.dumps(defaults.trust("cloudformation")))


# Whose resources are asked for, where a type's are asked for parent by parent.
PARENTS = {"WorkGroup": ["base"], "FunctionName": ["base", "base2", "base3"], "TargetFunctionArn": ["base2", "base3"], "LayerName": ["base"], "LogGroupName": ["/base"],
           "StateMachineArn": [arn("states", "stateMachine:base"), arn("states", "stateMachine:fresh")]}


def asked(service, operation, member, **given):
    caller = client(service)
    try:
        answer = getattr(caller, operation)(**given)
    except caller.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    found = answer.get(member)
    return [{key: value for key, value in one.items() if not defaults.APART.search(key)} if isinstance(one, dict) else one for one in found] if isinstance(found, list) else found


def inventory(listed):
    """All that there is, of every type that can be listed, and what stacks may have put onto what was there."""
    control, found = client("cloudcontrol"), {}
    for kind, parent in listed:
        models = [{}] if parent is None else [{"ResourceModel": json.dumps({parent: value})} for value in PARENTS[parent]]
        for model in models:
            try:
                pages = control.get_paginator("list_resources").paginate(TypeName=kind, **model)
                # What services log of themselves is no stack's.
                found[kind, str(model)] = [one["Identifier"] for page in pages for one in page["ResourceDescriptions"]
                                           if not one["Identifier"].startswith("/aws/") and "log_stream_created_by_aws" not in one["Identifier"]]
            except control.exceptions.ClientError as error:
                found[kind, str(model)] = error.response["Error"]["Code"]
    kms = client("kms")
    told = [kms.describe_key(KeyId=key)["KeyMetadata"] for key in found["AWS::KMS::Key", "{}"]]
    # A key of AWS is made when it is first named, and stays.
    keys = [key["KeyId"] for key in told if key["KeyState"] != "PendingDeletion" and key["KeyManager"] == "CUSTOMER"]
    found["AWS::KMS::Key", "{}"] = keys
    url = client("sqs").get_queue_url(QueueName="base")["QueueUrl"]
    for service, operation, member, given in (
            ("glue", "get_classifiers", "Classifiers", {}), ("glue", "get_connections", "ConnectionList", {}), ("glue", "list_data_quality_rulesets", "Rulesets", {}),
            ("glue", "get_partitions", "Partitions", {"DatabaseName": "base", "TableName": "rows"}), ("glue", "get_security_configurations", "SecurityConfigurations", {}),
            ("glue", "get_tables", "TableList", {"DatabaseName": "base"}), ("glue", "list_workflows", "Workflows", {}), ("iam", "list_access_keys", "AccessKeyMetadata", {"UserName": "base"}),
            ("iam", "list_role_policies", "PolicyNames", {"RoleName": "base"}), ("iam", "list_user_policies", "PolicyNames", {"UserName": "base"}),
            ("iam", "list_group_policies", "PolicyNames", {"GroupName": "base"}), ("iam", "list_groups_for_user", "Groups", {"UserName": "base"}),
            ("iam", "list_entities_for_policy", "PolicyRoles", {"PolicyArn": iam("policy/base")}), ("sagemaker", "list_endpoint_configs", "EndpointConfigs", {}),
            ("events", "describe_event_bus", "Policy", {"Name": "base"}), ("sqs", "get_queue_attributes", "Attributes", {"QueueUrl": url, "AttributeNames": ["Policy"]}),
            ("sqs", "get_queue_attributes", "Attributes", {"QueueUrl": url.replace("base", "first"), "AttributeNames": ["Policy"]}),
            ("lambda", "get_layer_version_policy", "Policy", {"LayerName": "base", "VersionNumber": 1})):
        found[service, operation, str(given)] = asked(service, operation, member, **given)
    for topic in ("base", "second"):
        told = json.loads(client("sns").get_topic_attributes(TopicArn=arn("sns", topic))["Attributes"]["Policy"])
        found["sns", topic] = told["Id"] if told.get("Id") == "__default_policy_ID" else told
    return found


def may(actions):
    """What the stacks' role may do from now on; no rotation is under way."""
    defaults.rotated()
    client("iam").put_role_policy(RoleName="deployer", PolicyName="may", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ALWAYS + sorted(actions), "Resource": "*"}]}))


def settled(stack):
    stacks = client("cloudformation")
    while (found := stacks.describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"].endswith("IN_PROGRESS"):
        time.sleep(0.02)
    return found["StackStatus"]


def reasons(stack):
    events = client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return [one.get("ResourceStatusReason", "") for one in events if one["ResourceStatus"].endswith("_FAILED")]


def next_action(stack, allowed):
    """The call that was refused; the first one that is not allowed yet."""
    told = reasons(stack)
    for reason in told:
        for action in DENIED.findall(reason):
            if action not in allowed:
                return action
    raise AssertionError(f"it failed by itself: {told}")


def gone(stack, allowed):
    """Deletes a stack, with what that asks of the role."""
    stacks = client("cloudformation")
    stack_id = stacks.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    for _ in range(5):
        stacks.delete_stack(StackName=stack_id)
        if settled(stack_id) == "DELETE_COMPLETE":
            return
        allowed.add(next_action(stack_id, allowed))
        may(allowed)
    raise AssertionError(f"it stays: {reasons(stack_id)}")


def differences(before, after):
    return [f"{key}: {before.get(key)} has become {after.get(key)}"[:600] for key in {*before, *after} if before.get(key) != after.get(key)]


def creations(number, kind, properties, listed):
    """How many calls were let fail, each the last but those before."""
    stacks, allowed, before = client("cloudformation"), set(), inventory(listed)
    for attempt in range(40):
        stack = f"c{number}-{attempt}"
        may(allowed)
        stacks.create_stack(StackName=stack, RoleARN=iam("role/deployer"), Capabilities=["CAPABILITY_NAMED_IAM"],
                            TemplateBody=json.dumps({"Resources": {"R": {"Type": kind, "Properties": properties}}}))
        status = settled(stack)
        action = None if status == "CREATE_COMPLETE" else next_action(stack, allowed)
        # What the way back lacks is not what is looked for.
        if status == "ROLLBACK_COMPLETE":
            left = differences(before, inventory(listed))
            assert not left, f"without {action} there is left {left}"
        gone(stack, allowed)
        left = differences(before, inventory(listed))
        assert not left, f"after the deletion ({status}, without {action}) there is left {left}"
        if action is None:
            return len(allowed)
        allowed.add(action)
    raise AssertionError(f"it is never made: {sorted(allowed)}")


def updates(number, kind, needed, more, reader):
    stacks, stack, allowed = client("cloudformation"), f"u{number}", set()

    def template(properties):
        return json.dumps({"Resources": {"R": {"Type": kind, "Properties": properties}, "Other": NOTHING}})

    # Made by the owner, changed by the role.
    stacks.create_stack(StackName=stack, TemplateBody=template(needed), Capabilities=["CAPABILITY_NAMED_IAM"])
    assert settled(stack) == "CREATE_COMPLETE", reasons(stack)
    physical = stacks.describe_stack_resource(StackName=stack, LogicalResourceId="R")["StackResourceDetail"]["PhysicalResourceId"]
    before = plain(reader(physical), [])
    for _ in range(40):
        may(allowed)
        stacks.update_stack(StackName=stack, TemplateBody=template(needed | more), RoleARN=iam("role/deployer"), Capabilities=["CAPABILITY_NAMED_IAM"])
        status = settled(stack)
        if status == "UPDATE_COMPLETE":
            break
        action = next_action(stack, allowed)
        while status == "UPDATE_ROLLBACK_FAILED":
            refused = next_action(stack, allowed)
            may(allowed | {refused})
            allowed.add(refused)
            stacks.continue_update_rollback(StackName=stack)
            status = settled(stack)
        assert status == "UPDATE_ROLLBACK_COMPLETE", status
        same = {**defaults.SAME.get(kind, {}), "LastModifiedUser": None}
        left = defaults.differences(defaults.without(plain(reader(physical), []), same), defaults.without(before, same))
        assert not left, f"without {action}: {left}"
        allowed.add(action)
    else:
        raise AssertionError(f"it is never changed: {sorted(allowed)}")
    may({f"{service}:*" for service in SERVICES})
    gone(stack, set())
    return len(allowed)


def filled(value, names):
    if isinstance(value, str):
        for word, text in names:
            value = value.replace(word, text)
    if isinstance(value, list):
        return [filled(one, names) for one in value]
    return {key: filled(one, names) for key, one in value.items()} if isinstance(value, dict) else value


def listable():
    stacks, found = client("cloudformation"), []
    for page in stacks.get_paginator("list_types").paginate(Visibility="PUBLIC"):
        for one in page["TypeSummaries"]:
            schema = json.loads(stacks.describe_type(Type="RESOURCE", TypeName=one["TypeName"])["Schema"])
            if "list" in schema.get("handlers", {}):
                found.append((one["TypeName"], schema["handlers"]["list"].get("handlerSchema", {}).get("required", [None])[0]))
    return found


def main():
    words = [word for word in sys.argv[1:] if word.startswith("AWS::")]
    server = Server(os.path.abspath(sys.argv[sys.argv.index("--binary") + 1]))
    os.environ.update(AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION)
    passed = failed = calls = 0
    try:
        version = defaults.base()
        more_base()
        connection = client("events").describe_connection(Name="base")["ConnectionArn"]
        key = client("kms").describe_key(KeyId="alias/base")["KeyMetadata"]["Arn"]
        listed = listable()
        every = dict(defaults.types(version))
        # Who protects a table from being deleted keeps the way back from deleting it.
        every["AWS::DynamoDB::Table"][1].pop("DeletionProtectionEnabled")
        every |= {kind: ({}, given, None) for kind, given in more_types(version).items()}
        for number, (kind, (needed, more, reader)) in enumerate(sorted(every.items())):
            if words and kind not in words:
                continue
            name = f"thing{number}"
            names = [("NAME_", name), ("NAME", name), ("FUNCTION", "base2"), ("SOURCE", defaults.SOURCES[0]), ("CONNECTION", connection), ("THE_KEY", key)]
            defaults.READING.update(FUNCTION="base2", STACK="none")
            try:
                begun = time.monotonic()
                failures = creations(number, kind, filled(needed | more, names), listed)
                changed = updates(number, kind, filled(needed, names), filled(more, names), reader) if reader and more else 0
                calls += failures + changed
                passed += 1
                print(f"ok    {kind}: {failures} calls of its creation, {changed} of an update, {time.monotonic() - begun:.1f} s", flush=True)
            except Exception as error:  # noqa: BLE001 - the next type shall be looked at, too
                failed += 1
                print(f"FAIL  {kind}: {type(error).__name__} {error}", flush=True)
    finally:
        server.stop()
    print(f"{calls} calls failed")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
