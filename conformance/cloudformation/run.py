#!/usr/bin/env python3
"""Templates as CloudFormation's and SAM's guides have them: made, looked at, deleted.

    eval "$(lakerun env)" && python3 conformance/cloudformation/run.py        # needs boto3; the Serverless transform's package comes from PyPI

Closes with 'N passed, N failed'.
"""
import io
import json
import os
import sys
import time
import uuid
import zipfile

import boto3
import botocore.exceptions

REGION = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
X = uuid.uuid4().hex[:6]
BUCKET = f"templates-{X}"
results = []

SERVERLESS = "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\n"
FUNCTION = f"""  Fn:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: s3://{BUCKET}/code.zip
      Handler: app.handler
      Runtime: python3.11
"""


def event(text):
    return f"      Events:\n        E: {text}\n"


TEMPLATES = {
    "a function": "Resources:\n" + FUNCTION,
    "globals": "Globals:\n  Function:\n    Timeout: 7\n    Environment: {Variables: {MODE: b}}\nResources:\n" + FUNCTION,
    "a schedule": "Resources:\n" + FUNCTION + event("{Type: Schedule, Properties: {Schedule: 'rate(1 hour)'}}"),
    "a schedule of Scheduler": "Resources:\n" + FUNCTION + event("{Type: ScheduleV2, Properties: {ScheduleExpression: 'rate(1 hour)'}}"),
    "a queue": "Resources:\n  Q: {Type: AWS::SQS::Queue}\n" + FUNCTION + event("{Type: SQS, Properties: {Queue: !GetAtt Q.Arn, BatchSize: 5}}"),
    "a topic": "Resources:\n  T: {Type: AWS::SNS::Topic}\n" + FUNCTION + event("{Type: SNS, Properties: {Topic: !Ref T}}"),
    "a bucket": "Resources:\n  B: {Type: AWS::S3::Bucket}\n" + FUNCTION + event("{Type: S3, Properties: {Bucket: !Ref B, Events: 's3:ObjectCreated:*'}}"),
    "a rule": "Resources:\n" + FUNCTION + event("{Type: EventBridgeRule, Properties: {Pattern: {source: [my.app]}}}"),
    "logs": "Resources:\n  G: {Type: AWS::Logs::LogGroup}\n" + FUNCTION + event("{Type: CloudWatchLogs, Properties: {LogGroupName: !Ref G, FilterPattern: ERROR}}"),
    "a table and a policy template": "Resources:\n  Tab: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Name: id, Type: String}}}\n" + FUNCTION
    + "      Policies:\n        - DynamoDBCrudPolicy: {TableName: !Ref Tab}\n",
    "an alias": "Resources:\n" + FUNCTION + "      AutoPublishAlias: live\nOutputs: {V: {Value: !Ref Fn.Version}, A: {Value: !Ref Fn.Alias}}\n",
    "policies": "Resources:\n" + FUNCTION + "      Policies:\n        - AWSLambdaBasicExecutionRole\n        - S3ReadPolicy: {BucketName: x}\n"
    "        - Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]\n",
    "a state machine": "Resources:\n  M:\n    Type: AWS::Serverless::StateMachine\n    Properties:\n"
    "      Definition: {StartAt: P, States: {P: {Type: Pass, End: true}}}\n"
    "      Policies: [{Statement: [{Effect: Allow, Action: 'lambda:*', Resource: '*'}]}]\n" + event("{Type: Schedule, Properties: {Schedule: 'rate(1 day)'}}"),
    "inline code": "Resources:\n  Q: {Type: AWS::SQS::Queue}\n  Fn:\n    Type: AWS::Serverless::Function\n    Properties:\n"
    "      InlineCode: |\n        def handler(e, c):\n            return 1\n      Handler: index.handler\n      Runtime: python3.11\n"
    "      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Q.Arn}\n",
    "a connector": "Resources:\n  Q: {Type: AWS::SQS::Queue}\n" + FUNCTION + "    Connectors:\n      C: {Properties: {Destination: {Id: Q}, Permissions: [Write]}}\n",
    "destinations": "Resources:\n  Q: {Type: AWS::SQS::Queue}\n" + FUNCTION
    + "      EventInvokeConfig:\n        MaximumRetryAttempts: 1\n        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Q.Arn}}\n",
}


def client(service):
    return boto3.client(service, region_name=REGION)


stacks = client("cloudformation")


def check(what, holds, shown=""):
    results.append(bool(holds))
    if not holds:
        print(f"FAIL {what} | {str(shown)[:600]}")


def settled(name):
    end = time.time() + 600
    while time.time() < end:
        stack = stacks.describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        time.sleep(0.2)
    return stack


def reasons(name):
    return [e.get("ResourceStatusReason") for e in stacks.describe_stack_events(StackName=name)["StackEvents"] if "FAILED" in e["ResourceStatus"]]


def made(what, name, template, look=lambda stack: None):
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    try:
        stacks.create_stack(StackName=name, TemplateBody=template, Capabilities=capabilities)
    except botocore.exceptions.ClientError as error:
        return check(f"{what} is made", False, error)
    stack = settled(name)
    check(f"{what} is made", stack["StackStatus"] == "CREATE_COMPLETE", (stack["StackStatus"], reasons(name)))
    if stack["StackStatus"] == "CREATE_COMPLETE":
        look(stack)
    stacks.delete_stack(StackName=name)
    gone = settled(stack["StackId"])
    check(f"{what} is deleted", gone["StackStatus"] == "DELETE_COMPLETE", gone.get("StackStatusReason"))


def resource(stack, kind):
    listed = stacks.list_stack_resources(StackName=stack["StackName"])["StackResourceSummaries"]
    return next(r["PhysicalResourceId"] for r in listed if r["ResourceType"] == kind)


def mapping_has_tags(stack):
    found = client("lambda").get_event_source_mapping(UUID=resource(stack, "AWS::Lambda::EventSourceMapping"))
    tags = client("lambda").list_tags(Resource=found["EventSourceMappingArn"])["Tags"]
    check("the mapping has the stack's tags", tags.get("aws:cloudformation:stack-name") == stack["StackName"], tags)


def serverless():
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return {'ok': 1}\n")
    s3 = client("s3")
    where = {} if REGION == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    s3.create_bucket(Bucket=BUCKET, **where)
    s3.put_object(Bucket=BUCKET, Key="code.zip", Body=code.getvalue())
    looks = {"a queue": mapping_has_tags}
    for n, (what, template) in enumerate(TEMPLATES.items()):
        made(what, f"sam-{n}-{X}", SERVERLESS + template, looks.get(what, lambda stack: None))
    try:
        stacks.create_stack(StackName=f"bad-{X}", TemplateBody=SERVERLESS + "Resources:\n  Fn: {Type: AWS::Serverless::Function, Properties: {Handler: x}}\n",
                            Capabilities=["CAPABILITY_AUTO_EXPAND"])
        check("a bad function is refused", False)
    except botocore.exceptions.ClientError as error:
        check("a bad function is refused", "Resource with id [Fn] is invalid" in str(error), error)


def nested():
    child = {"Parameters": {"Name": {"Type": "String"}}, "Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Name"}}}},
             "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Q", "Arn"]}}}}
    client("s3").put_object(Bucket=BUCKET, Key="child.json", Body=json.dumps(child).encode())
    url = f"https://{BUCKET}.s3.{REGION}.amazonaws.com/child.json"

    def parent(name):
        return json.dumps({"Resources": {"C": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url, "Parameters": {"Name": name}}}},
                           "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["C", "Outputs.Arn"]}}}})

    made("a stack in a stack", f"nest-{X}", parent(f"inner-{X}"),
         lambda stack: check("its output", stack["Outputs"][0]["OutputValue"].endswith(f":inner-{X}"), stack))
    stacks.create_stack(StackName=f"nestbad-{X}", TemplateBody=parent("not a name"))
    failed = settled(f"nestbad-{X}")
    check("a stack in a stack that fails takes it back", failed["StackStatus"] == "ROLLBACK_COMPLETE", failed)
    left = [s["StackName"] for s in stacks.describe_stacks()["Stacks"] if s["StackName"].startswith(f"nestbad-{X}-")]
    check("and is deleted", left == [], left)
    stacks.delete_stack(StackName=f"nestbad-{X}")


def nested_changes():
    """A stack within is looked at with every update of the one around it, and goes back to what it was made of."""
    def child(delay):
        template = {"Parameters": {"Name": {"Type": "String"}}, "Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {
            "QueueName": {"Ref": "Name"}, "DelaySeconds": delay}}}, "Outputs": {"Url": {"Value": {"Ref": "Q"}}}}
        client("s3").put_object(Bucket=BUCKET, Key="changes.json", Body=json.dumps(template).encode())

    def parent(label, queue="other"):
        return {"C": {"Type": "AWS::CloudFormation::Stack", "Properties": {
                    "TemplateURL": f"https://{BUCKET}.s3.{REGION}.amazonaws.com/changes.json", "Parameters": {"Name": f"changes-{X}"}}},
                "P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": label}},
                "Q": {"Type": "AWS::SQS::Queue", "DependsOn": "C", "Properties": {"QueueName": f"{queue}-{X}"}}}

    def delay():
        url = client("sqs").get_queue_url(QueueName=f"changes-{X}")["QueueUrl"]
        return client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]["DelaySeconds"]

    name = f"changes-{X}"
    child(1)
    check("the stack around is made", create(name, parent("a")) == "CREATE_COMPLETE", reasons(name))
    child(2)
    check("it is updated", update(name, parent("b")) == "UPDATE_COMPLETE", reasons(name))
    check("the other template at the same URL is that of the stack within", delay() == "2", delay())
    child(3)
    ended = update(name, parent("c", "not a name"))
    check("an update that fails afterwards goes back", ended == "UPDATE_ROLLBACK_COMPLETE", (ended, reasons(name)))
    check("the stack within is what it was", delay() == "2", delay())
    stacks.delete_stack(StackName=name)
    settled(stacks.describe_stacks(StackName=name)["Stacks"][0]["StackId"])


def types():
    template = f"""
Resources:
  G: {{Type: AWS::Logs::LogGroup, Properties: {{RetentionInDays: 7}}}}
  F: {{Type: AWS::Logs::MetricFilter, Properties: {{LogGroupName: !Ref G, FilterPattern: '{{ $.ms > 1 }}', MetricTransformations: [{{MetricName: M, MetricNamespace: N{X}, MetricValue: $.ms, Dimensions: [{{Key: P, Value: $.p}}]}}]}}}}
  A: {{Type: AWS::CloudWatch::Alarm, Properties: {{Namespace: N{X}, MetricName: M, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold}}}}
  C: {{Type: AWS::CloudWatch::CompositeAlarm, Properties: {{AlarmRule: !Sub 'ALARM("${{A}}")'}}}}
  D: {{Type: AWS::CloudWatch::Dashboard, Properties: {{DashboardBody: '{{"widgets": []}}'}}}}
  S: {{Type: AWS::Scheduler::ScheduleGroup}}
  W: {{Type: AWS::Athena::WorkGroup, Properties: {{Name: w{X}}}}}
  P: {{Type: AWS::Athena::PreparedStatement, Properties: {{StatementName: p{X}, WorkGroup: !Ref W, QueryStatement: SELECT 1}}}}
  B: {{Type: AWS::Events::EventBus, Properties: {{Name: bus-{X}}}}}
  From: {{Type: AWS::SQS::Queue}}
  To: {{Type: AWS::SQS::Queue}}
  Role: {{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {{Statement: [{{Effect: Allow, Principal: {{Service: pipes.amazonaws.com}}, Action: 'sts:AssumeRole'}}]}}, Policies: [{{PolicyName: all, PolicyDocument: {{Statement: [{{Effect: Allow, Action: 'sqs:*', Resource: '*'}}]}}}}]}}}}
  Pipe: {{Type: AWS::Pipes::Pipe, Properties: {{Source: !GetAtt From.Arn, Target: !GetAtt To.Arn, RoleArn: !GetAtt Role.Arn, TargetParameters: {{InputTemplate: '<$.body>'}}, Tags: {{a: b}}}}}}
  Q: {{Type: AWS::Logs::QueryDefinition, Properties: {{Name: q{X}, QueryString: fields @message}}}}
"""

    def look(stack):
        alarm = client("cloudwatch").describe_alarms(AlarmNames=[resource(stack, "AWS::CloudWatch::Alarm")])["MetricAlarms"][0]
        check("the alarm's threshold", alarm["Threshold"] == 1, alarm)
        group = resource(stack, "AWS::Logs::LogGroup")
        filters = client("logs").describe_metric_filters(logGroupName=group)["metricFilters"]
        pipe = client("pipes").describe_pipe(Name=resource(stack, "AWS::Pipes::Pipe"))
        check("the pipe runs", (pipe["CurrentState"], pipe["Tags"]["a"]) == ("RUNNING", "b"), pipe)
        check("the filter's dimensions", filters[0]["metricTransformations"][0]["dimensions"] == {"P": "$.p"}, filters)

    made("one of each simple type", f"types-{X}", template, look)


TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


def create(name, resources, **more):
    stacks.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources, **more}), Capabilities=["CAPABILITY_NAMED_IAM"])
    return settled(name)["StackStatus"]


def update(name, resources, **more):
    stacks.update_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources, **more}), Capabilities=["CAPABILITY_NAMED_IAM"])
    return settled(name)["StackStatus"]


def failed_updates():
    """An update of one resource that fails after its first call is taken back from what it had come to."""
    name = f"back-{X}"

    def role(trust, policy, *arns):
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": policy, "Resource": "*"}]}
        return {"R": {"Type": "AWS::IAM::Role", "Properties": {
            "RoleName": f"role-{X}", "AssumeRolePolicyDocument": trust, "Policies": [{"PolicyName": "p", "PolicyDocument": document}],
            "ManagedPolicyArns": list(arns)}}}

    check("the role is made", create(name, role(TRUST, "sqs:SendMessage")) == "CREATE_COMPLETE", reasons(name))
    other = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"Service": "glue.amazonaws.com"}}]}
    ended = update(name, role(other, "s3:*", "arn:aws:iam::aws:policy/NoSuchPolicyAnywhere"))
    check("its update goes back", ended == "UPDATE_ROLLBACK_COMPLETE", (ended, reasons(name)))
    found = client("iam").get_role(RoleName=f"role-{X}")["Role"]["AssumeRolePolicyDocument"]
    check("the trust policy is the old one", found == TRUST, found)
    found = client("iam").get_role_policy(RoleName=f"role-{X}", PolicyName="p")["PolicyDocument"]["Statement"][0]["Action"]
    check("the inline policy is the old one", found == "sqs:SendMessage", found)
    stacks.delete_stack(StackName=name)


def change_sets():
    """A change set tells what goes because its condition does not hold any more, and is of the stack as it was."""
    name = f"sets-{X}"
    template = {"Parameters": {"Env": {"Type": "String", "Default": "prod"}, "Secret": {"Type": "String", "NoEcho": True, "Default": "hush"}},
                "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Env"}, "prod"]}},
                "Resources": {"Keep": {"Type": "AWS::SQS::Queue"}, "Q": {"Type": "AWS::SQS::Queue", "Condition": "IsProd"}}}
    check("a stack with a condition", create(name, template.pop("Resources"), **template) == "CREATE_COMPLETE", reasons(name))

    def prepared(set_name, env):
        stacks.create_change_set(StackName=name, ChangeSetName=set_name, UsePreviousTemplate=True, Parameters=[
            {"ParameterKey": "Env", "ParameterValue": env}, {"ParameterKey": "Secret", "UsePreviousValue": True}])
        return stacks.describe_change_set(StackName=name, ChangeSetName=set_name)

    first = prepared("one", "dev")
    changes = [(c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"]) for c in first["Changes"]]
    check("it tells of the removal", changes == [("Remove", "Q")], changes)
    told = {p["ParameterKey"]: p["ParameterValue"] for p in first["Parameters"]}
    check("it hides what is hidden", told == {"Env": "dev", "Secret": "****"}, told)
    stacks.update_stack(StackName=name, UsePreviousTemplate=True, Tags=[{"Key": "a", "Value": "b"}], Parameters=[
        {"ParameterKey": "Env", "UsePreviousValue": True}, {"ParameterKey": "Secret", "UsePreviousValue": True}])
    settled(name)
    check("it is obsolete after another update", stacks.describe_change_set(StackName=name, ChangeSetName="one")["ExecutionStatus"] == "OBSOLETE")
    try:
        stacks.execute_change_set(StackName=name, ChangeSetName="one")
        check("and is not executed", False)
    except botocore.exceptions.ClientError as error:
        check("and is not executed", error.response["Error"]["Code"] == "InvalidChangeSetStatus", error)
    drift = stacks.detect_stack_resource_drift(StackName=name, LogicalResourceId="Keep")["StackResourceDrift"]
    check("drift tells no secret", "hush" not in json.dumps(drift, default=str), drift)
    stacks.delete_stack(StackName=name)


def references():
    """Dynamic references are what they lead to, and stay references in the record."""
    client("ssm").put_parameter(Name=f"/ref/{X}", Value="seven", Type="String")
    client("secretsmanager").create_secret(Name=f"ref-{X}", SecretString=json.dumps({"password": "s3cret"}))
    name = f"refs-{X}"
    value = f"{{{{resolve:ssm:/ref/{X}}}}} and {{{{resolve:secretsmanager:ref-{X}:SecretString:password}}}}"

    def parameter(value):
        return {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": f"/made/{X}", "Type": "String", "Value": value}}}

    check("a stack with references", create(name, parameter(value)) == "CREATE_COMPLETE", reasons(name))
    found = client("ssm").get_parameter(Name=f"/made/{X}")["Parameter"]["Value"]
    check("they are resolved", found == "seven and s3cret", found)
    told = json.dumps(stacks.describe_stack_events(StackName=name)["StackEvents"], default=str)
    check("and not told", "s3cret" not in told)
    ended = update(name, parameter("{{resolve:ssm:/no/such/parameter}}"))
    check("one that leads to nothing fails", ended == "UPDATE_ROLLBACK_COMPLETE", ended)
    check("with its reason", any("[ssm:/no/such/parameter] cannot be found" in (r or "") for r in reasons(name)), reasons(name))
    check("and the parameter is as it was", client("ssm").get_parameter(Name=f"/made/{X}")["Parameter"]["Value"] == "seven and s3cret")
    stacks.delete_stack(StackName=name)


def what_leaves():
    """A property that leaves the template has its default again."""
    name = f"leaves-{X}"

    def function(**properties):
        return {"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
                "F": {"Type": "AWS::Lambda::Function", "Properties": {
                    "FunctionName": f"leaves-{X}", "Handler": "index.handler", "Runtime": "python3.11", "Role": {"Fn::GetAtt": ["R", "Arn"]},
                    "Code": {"ZipFile": "def handler(e, c):\n    return 1\n"}, **properties}}}

    check("a function is made", create(name, function(Environment={"Variables": {"SECRET": "x"}}, Timeout=30, MemorySize=256,
                                                      ReservedConcurrentExecutions=0)) == "CREATE_COMPLETE", reasons(name))
    check("and changed", update(name, function()) == "UPDATE_COMPLETE", reasons(name))
    found = client("lambda").get_function(FunctionName=f"leaves-{X}")
    configuration = found["Configuration"]
    check("its environment is gone", not configuration.get("Environment", {}).get("Variables"), configuration)
    check("its settings are the defaults", (configuration["Timeout"], configuration["MemorySize"]) == (3, 128), configuration)
    check("it may run again", "ReservedConcurrentExecutions" not in found.get("Concurrency", {}), found.get("Concurrency"))
    stacks.delete_stack(StackName=name)


def overwriting():
    """A policy that is there is not overwritten, and not taken away by the way back."""
    bucket = f"kept-{X}"
    where = {} if REGION == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    client("s3").create_bucket(Bucket=bucket, **where)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": f"arn:aws:s3:::{bucket}"}]}
    client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    policy = {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": bucket, "PolicyDocument": {**document, "Id": "other"}}}
    name = f"over-{X}"
    check("a policy that is there", create(name, {"P": policy}) == "ROLLBACK_COMPLETE", reasons(name))
    check("is named", f"The bucket policy already exists on bucket {bucket}." in reasons(name), reasons(name))
    check("and stays", json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"]) == document)
    stacks.delete_stack(StackName=name)
    client("s3").delete_bucket_policy(Bucket=bucket)
    name = f"moved-{X}"
    check("a policy is made", create(name, {"P": policy}) == "CREATE_COMPLETE", reasons(name))
    check("another name for it is refused", update(name, {"Q": policy}) == "UPDATE_ROLLBACK_COMPLETE", reasons(name))
    check("and the bucket still has it", "Id" in json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"]))
    stacks.delete_stack(StackName=name)


def main():
    serverless()
    nested()
    nested_changes()
    types()
    failed_updates()
    change_sets()
    references()
    what_leaves()
    overwriting()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
