#!/usr/bin/env python3
"""The deploy tools as people run them: bootstrap, deploy, deploy again, look, remove. Of CDK, SAM and Serverless those that are installed.

    python3 conformance/deploy/run.py --binary target/debug/lakerun     # a server of its own; needs boto3

`cdk` needs `aws-cdk-lib` and `constructs` where node finds them (NODE_PATH). Closes with 'N passed, N failed' and says what was skipped.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402

LIMIT = 3600
results = []

HANDLER = '''import json, urllib.request
def handler(event, context):
    return {"ok": True}
def custom(event, context):
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    name = event["ResourceProperties"]["Name"]
    answer.update(Status="SUCCESS", PhysicalResourceId="thing-" + name, Data={"Name": name, "Flag": event["ResourceProperties"]["Flag"]})
    if event["RequestType"] != "Delete":
        print(event["RequestType"])
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT", headers={"content-type": ""}))
'''
CDK = '''const cdk = require("aws-cdk-lib");
const { aws_lambda: lambda, aws_sqs: sqs, aws_sns: sns, aws_sns_subscriptions: subs, aws_s3: s3, aws_dynamodb: ddb, aws_events: ev, aws_events_targets: to, aws_kms: kms } = cdk;
const app = new cdk.App();
const stack = new cdk.Stack(app, "data", { env: { account: "000000000000", region: "us-east-1" } });
const make = (id, handler) => new lambda.Function(stack, id, { runtime: lambda.Runtime.PYTHON_3_11, handler, code: lambda.Code.fromAsset("fn") });
const fn = make("Fn", "app.handler"), queue = new sqs.Queue(stack, "Q", { enforceSSL: true }), topic = new sns.Topic(stack, "T");
topic.addSubscription(new subs.SqsSubscription(queue));
new s3.Bucket(stack, "B", { cors: [{ allowedMethods: [s3.HttpMethods.GET], allowedOrigins: ["*"] }], removalPolicy: cdk.RemovalPolicy.DESTROY });
new ddb.Table(stack, "Tab", { partitionKey: { name: "id", type: ddb.AttributeType.STRING }, removalPolicy: cdk.RemovalPolicy.DESTROY }).grantReadData(fn);
new ev.Rule(stack, "R", { eventPattern: { source: ["my.app"] }, targets: [new to.LambdaFunction(fn), new to.SqsQueue(queue)] });
new kms.Key(stack, "K", { removalPolicy: cdk.RemovalPolicy.DESTROY });
const thing = new cdk.CustomResource(stack, "C", { serviceToken: make("On", "app.custom").functionArn, properties: { Name: stack.node.tryGetContext("name"), Flag: true } });
new cdk.CfnOutput(stack, "Thing", { value: thing.ref + " " + thing.getAttString("Name") + " " + thing.getAttString("Flag") });
new cdk.CfnOutput(stack, "Topic", { value: topic.topicArn });
new cdk.CfnOutput(stack, "Queue", { value: queue.queueUrl });
'''
SAM = '''AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Tab: {Type: AWS::Serverless::SimpleTable}
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: fn/
      Handler: app.handler
      Runtime: python3.11
      Policies: [{DynamoDBCrudPolicy: {TableName: !Ref Tab}}]
      Events: {S: {Type: Schedule, Properties: {Schedule: rate(1 hour)}}}
Outputs: {Fn: {Value: !Ref Fn}}
'''
SERVERLESS = '''service: slsapp
frameworkVersion: '3'
plugins: [./endpoint.js]
provider: {name: aws, runtime: python3.11, region: us-east-1}
functions:
  hello:
    handler: fn/app.handler
    events: [{schedule: rate(1 hour)}, {sns: slstopic}]
'''


def check(name, ok, saw=""):
    results.append(ok)
    print(f"{'ok  ' if ok else 'FAIL'} {name}{'' if ok else f': {saw}'}", flush=True)


def ran(name, *command):
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    check(name, run.returncode == 0, run.stdout[-3000:])
    return run.stdout


def outputs(stack):
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}


def works(name, function):
    answer = json.loads(boto3.client("lambda").invoke(FunctionName=function)["Payload"].read())
    check(name, answer == {"ok": True}, answer)


def gone(stack):
    left = [one["StackName"] for one in boto3.client("cloudformation").describe_stacks()["Stacks"]]
    check(f"nothing is left of {stack}", stack not in left, left)


def cdk():
    pathlib.Path("app.js").write_text(CDK)
    pathlib.Path("cdk.json").write_text(json.dumps({"app": "node app.js"}))
    ran("cdk bootstrap", "cdk", "bootstrap", "aws://000000000000/us-east-1")
    ran("cdk deploy", "cdk", "deploy", "-c", "name=a", "--require-approval", "never")
    made = outputs("data")
    check("the custom resource's answer", made["Thing"] == "thing-a a true", made)
    boto3.client("sns").publish(TopicArn=made["Topic"], Message="hello")
    sqs = boto3.client("sqs")
    while not (messages := sqs.receive_message(QueueUrl=made["Queue"], WaitTimeSeconds=20).get("Messages")):
        pass
    check("the topic's message is in the queue", json.loads(messages[0]["Body"])["Message"] == "hello", messages)
    stacks = boto3.client("cloudformation")
    stacks.detect_stack_drift(StackName="data")
    drifted = [one["LogicalResourceId"] for one in stacks.describe_stack_resource_drifts(StackName="data")["StackResourceDrifts"]
               if one["StackResourceDriftStatus"] != "IN_SYNC"]
    check("nothing has drifted", drifted == [], drifted)
    ran("cdk deploy again", "cdk", "deploy", "-c", "name=b", "--require-approval", "never")
    check("the custom resource's other answer", outputs("data")["Thing"] == "thing-b b true", outputs("data"))
    told = ran("cdk diff", "cdk", "diff", "-c", "name=b")
    check("no difference", "Number of stacks with differences: 0" in told, told)
    ran("cdk destroy", "cdk", "destroy", "-f", "-c", "name=b")
    gone("data")


def sam():
    pathlib.Path("template.yaml").write_text(SAM)
    ran("sam build", "sam", "build")
    ran("sam deploy", "sam", "deploy", "--stack-name", "samapp", "--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset")
    works("its function", outputs("samapp")["Fn"])
    ran("sam delete", "sam", "delete", "--stack-name", "samapp", "--no-prompts")
    gone("samapp")


def serverless():
    pathlib.Path("serverless.yml").write_text(SERVERLESS)
    shutil.copy(HERE.parent.parent / "examples/serverless/endpoint.js", "endpoint.js")
    ran("serverless deploy", "serverless", "deploy")
    works("its function", "slsapp-dev-hello")
    ran("serverless remove", "serverless", "remove")
    gone("slsapp-dev")


def main():
    tools = [tool for tool in (cdk, sam, serverless) if shutil.which(tool.__name__)]
    for tool in (cdk, sam, serverless):
        if tool not in tools:
            print(f"skipped: {tool.__name__} is not installed")
    if not tools:
        print("0 passed, 0 failed")
        return
    server = Server(os.path.abspath(sys.argv[sys.argv.index("--binary") + 1]))
    os.environ.update(AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1", CDK_DISABLE_CLI_TELEMETRY="true", SAM_CLI_TELEMETRY="0",
                      SLS_TELEMETRY_DISABLED="1", SLS_NOTIFICATIONS_MODE="off")
    try:
        for tool in tools:
            print(f"-- {tool.__name__}")
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                os.mkdir("fn")
                pathlib.Path("fn/app.py").write_text(HANDLER)
                pathlib.Path("fn/requirements.txt").write_text("")
                tool()
                os.chdir("/")
    finally:
        server.stop()
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
