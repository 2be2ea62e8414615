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


def main():
    serverless()
    nested()
    types()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
