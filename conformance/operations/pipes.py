"""EventBridge Pipes: https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, role, serving, until, zipped

NO = "pipe-not-here"


def pipes():
    return client("pipes")


def queue(**attributes):
    url = client("sqs").create_queue(QueueName=named("queue"), Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"


def send(url, *bodies):
    for body in bodies:
        client("sqs").send_message(QueueUrl=url, MessageBody=body if isinstance(body, str) else json.dumps(body))


def received(url, count):
    found = []
    while len(found) < count:
        for message in client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages", []):
            client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message["Body"])
    return found


def left(url):
    """How many messages a queue has, whether they can be seen or not."""
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
    return sum(int(found[name]) for name in counts)


def function(code):
    name = named("function")
    made = client("lambda").create_function(FunctionName=name, Runtime="python3.11", Handler="m.h", Role=role("lambda"), Code={"ZipFile": zipped(m=code)})
    client("lambda").get_waiter("function_active_v2").wait(FunctionName=name)
    return made["FunctionArn"]


def made(source, target, **more):
    name = named("pipe")
    pipes().create_pipe(Name=name, Source=source, Target=target, RoleArn=role("pipes"), **more)
    return name


@operations("pipes", "CreatePipe", "DescribePipe", "UpdatePipe", "ListPipes", "StartPipe", "StopPipe", "DeletePipe", "TagResource", "UntagResource",
            "ListTagsForResource")
def lifecycle():
    (_, source), (_, target), taker = queue(), queue(), role("pipes")
    name = named("pipe")
    arn = f"arn:aws:pipes:{REGION}:{ACCOUNT}:pipe/{name}"
    given = {"Name": name, "Source": source, "Target": target, "RoleArn": taker}
    holds(pipes().create_pipe(**given, Description="d", Tags={"a": "1"}), Arn=arn, Name=name, DesiredState="RUNNING", CurrentState="CREATING")
    holds(pipes().describe_pipe(Name=name), **given, Arn=arn, Description="d", Tags={"a": "1"}, DesiredState="RUNNING", CurrentState="RUNNING",
          SourceParameters={"SqsQueueParameters": {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0}})
    refused("ConflictException", f"Pipe {name} already exists", pipes().create_pipe, **given)
    pipes().update_pipe(Name=name, RoleArn=taker, DesiredState="STOPPED", SourceParameters={"SqsQueueParameters": {"BatchSize": 1}, "FilterCriteria": {}},
                        TargetParameters={"InputTemplate": "<$.body>"})
    holds(pipes().describe_pipe(Name=name), CurrentState="STOPPED", Description="d", TargetParameters={"InputTemplate": "<$.body>"},
          SourceParameters={"SqsQueueParameters": {"BatchSize": 1, "MaximumBatchingWindowInSeconds": 0}})
    refused("ConflictException", "STOPPED", pipes().stop_pipe, Name=name)
    equal(pipes().start_pipe(Name=name)["CurrentState"], "STARTING")
    refused("ConflictException", "RUNNING", pipes().start_pipe, Name=name)
    equal(pipes().stop_pipe(Name=name)["CurrentState"], "STOPPING")
    second = made(source, target, DesiredState="STOPPED")
    found, count = pages(pipes().list_pipes, "Pipes", "NextToken", "NextToken", SourcePrefix=source, Limit=1)
    equal((sorted(names(found, "Name")), count), (sorted([name, second]), 2))
    equal(pipes().list_pipes(SourcePrefix=source, CurrentState="RUNNING")["Pipes"], [])
    refused("ValidationException", "limit", pipes().list_pipes, Limit=0)
    pipes().tag_resource(resourceArn=arn, tags={"b": "2"})
    pipes().untag_resource(resourceArn=arn, tagKeys=["a"])
    equal(pipes().list_tags_for_resource(resourceArn=arn)["tags"], {"b": "2"})
    equal(pipes().delete_pipe(Name=name)["CurrentState"], "DELETING")
    for call, more in ((pipes().describe_pipe, {}), (pipes().delete_pipe, {}), (pipes().start_pipe, {}), (pipes().stop_pipe, {}),
                       (pipes().update_pipe, {"RoleArn": taker})):
        refused("NotFoundException", f"Pipe {NO} does not exist", call, Name=NO, **more)
    for call, more in ((pipes().tag_resource, {"tags": {"a": "1"}}), (pipes().untag_resource, {"tagKeys": ["a"]}), (pipes().list_tags_for_resource, {})):
        refused("NotFoundException", "", call, resourceArn=arn, **more)
    denied("AccessDeniedException", "pipes:ListPipes", "list_pipes")
    for wrong, text in (({"SourceParameters": {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}}, "Event pattern is not valid"),
                        ({"SourceParameters": {"SqsQueueParameters": {"BatchSize": 11}}}, "Maximum batch window"),
                        ({"TargetParameters": {"LambdaFunctionParameters": {"InvocationType": "FIRE_AND_FORGET"}}}, "LambdaFunctionParameters"),
                        ({"TargetParameters": {"InputTemplate": "<aws.pipes.nothing>"}}, "aws.pipes.nothing")):
        refused("ValidationException", text, pipes().create_pipe, **{**given, **wrong})


@operations("pipes", "CreatePipe")
def queues():
    """Filters, templates, and an enrichment that leaves one out; a message that no filter wants is gone, too."""
    (url, source), (out, target) = queue(), queue()
    enrich = function("def h(events, context):\n    return [{'n': e['n'] * 10} for e in events if e['n'] != 3]\n")
    name = made(source, target, Enrichment=enrich, EnrichmentParameters={"InputTemplate": '{"n": <$.body.n>}'}, SourceParameters={
        "FilterCriteria": {"Filters": [{"Pattern": json.dumps({"body": {"n": [{"numeric": [">", 1]}]}})}]}, "SqsQueueParameters": {"BatchSize": 1}},
        TargetParameters={"InputTemplate": '{"got": <$.n>, "by": "<aws.pipes.pipe-name>"}'})
    send(url, {"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}, "no JSON")
    equal(sorted(map(json.loads, received(out, 2)), key=str), [{"got": 20, "by": name}, {"got": 40, "by": name}])
    until(lambda: left(url), lambda count: count == 0)
    pipes().stop_pipe(Name=name)
    refused("NotFoundException", NO, pipes().stop_pipe, Name=NO)
    refused("NotImplemented", "source", pipes().create_pipe, Name=NO, Source=source.replace(":sqs:", ":kinesis:"), Target=target, RoleArn=role("pipes"))


@operations("pipes", "CreatePipe")
def failures():
    """What a function names as failed comes again, and goes to the queue's own dead-letter queue in the end."""
    dead, dead_arn = queue()
    url, source = queue(VisibilityTimeout="1", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2}))
    code = ("def h(events, context):\n"
            "    return {'batchItemFailures': [{'itemIdentifier': e['messageId']} for e in events if e['body'] == 'bad']}\n")
    name = made(source, function(code), SourceParameters={"SqsQueueParameters": {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 1}})
    send(url, "good", "bad", "good")
    equal(received(dead, 1), ["bad"])
    until(lambda: left(url), lambda count: count == 0)
    pipes().delete_pipe(Name=name)
    refused("NotImplemented", "target", pipes().create_pipe, Name=NO, Source=source, Target=source.replace(":sqs:", ":kinesis:"), RoleArn=role("pipes"))


@operations("pipes", "CreatePipe")
def streams():
    table = named("table")
    key = {"AttributeName": "k", "AttributeType": "S"}
    stream = client("dynamodb").create_table(
        TableName=table, AttributeDefinitions=[key], KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})["TableDescription"]["LatestStreamArn"]
    client("dynamodb").get_waiter("table_exists").wait(TableName=table)
    (dead, dead_arn), (out, target) = queue(), queue()
    first = made(stream, target, SourceParameters={
        "DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}, "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}},
        TargetParameters={"InputTemplate": "<$.dynamodb.NewImage.k.S>"})
    bad = function("def h(events, context):\n    raise ValueError('no')\n")
    second = made(stream, bad, SourceParameters={"DynamoDBStreamParameters": {
        "StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": 1, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT", "DeadLetterConfig": {"Arn": dead_arn}}})
    for n in "ab":
        client("dynamodb").put_item(TableName=table, Item={"k": {"S": n}})
    equal(received(out, 2), ["a", "b"])
    told = json.loads(received(dead, 1)[0])
    equal((told["context"]["condition"], told["DDBStreamBatchInfo"]["streamArn"]), ("RetryAttemptsExhausted", stream))
    assert told["context"]["partnerResourceArn"].endswith(f":pipe/{second}"), told
    for name in (first, second):
        pipes().delete_pipe(Name=name)
    refused("ValidationException", "DynamoDBStreamParameters must be given", pipes().create_pipe, Name=NO, Source=stream, Target=target, RoleArn=role("pipes"))


@operations("pipes", "CreatePipe")
def targets():
    """One event each to a bus, a log group, a topic and an express machine."""
    bus, group, topic = named("bus"), named("group"), client("sns").create_topic(Name=named("topic"))["TopicArn"]
    bus_arn = client("events").create_event_bus(Name=bus)["EventBusArn"]
    client("logs").create_log_group(logGroupName=group)
    seen, seen_arn = queue()
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": seen_arn}]}
    client("sqs").set_queue_attributes(QueueUrl=seen, Attributes={"Policy": json.dumps(allowed)})
    client("events").put_rule(Name="all", EventBusName=bus, EventPattern='{"source": ["made"]}')
    client("events").put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "q", "Arn": seen_arn}])
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=seen_arn, Attributes={"RawMessageDelivery": "true"})
    machine = client("states").create_state_machine(name=named("machine"), type="EXPRESS", roleArn=role("states"), definition=json.dumps(
        {"StartAt": "Send", "States": {"Send": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True,
                                                "Parameters": {"QueueUrl": seen, "MessageBody.$": "$[0].body"}}}}))["stateMachineArn"]
    for target, parameters, body, wanted in (
            (bus_arn, {"EventBridgeEventBusParameters": {"DetailType": "$.body.kind", "Source": "made"}, "InputTemplate": "<$.body>"}, {"kind": "K"},
             lambda text: (json.loads(text)["detail-type"], json.loads(text)["detail"]) == ("K", {"kind": "K"})),
            (topic, {"InputTemplate": "<$.body>"}, "to a topic", lambda text: text == "to a topic"),
            (machine, {"StepFunctionStateMachineParameters": {"InvocationType": "REQUEST_RESPONSE"}}, "to a machine", lambda text: text == "to a machine")):
        url, source = queue()
        name = made(source, target, TargetParameters=parameters)
        send(url, body)
        found = received(seen, 1)[0]
        assert wanted(found), found
        pipes().delete_pipe(Name=name)
    url, source = queue()
    name = made(source, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}", TargetParameters={
        "CloudWatchLogsParameters": {"LogStreamName": "s"}, "InputTemplate": "<$.body>"})
    send(url, "to a log")
    until(lambda: names(client("logs").filter_log_events(logGroupName=group)["events"], "message"), lambda found: found == ["to a log"])
    pipes().delete_pipe(Name=name)
    refused("ValidationException", "SqsQueueParameters", pipes().create_pipe, Name=NO, Source=source, Target=topic, RoleArn=role("pipes"),
            TargetParameters={"SqsQueueParameters": {"MessageGroupId": "g"}})


@operations("pipes", "CreatePipe", "DescribePipe", "DeletePipe")
def api_destinations():
    """Events are enriched by one endpoint, all at once, and posted to another, one by one."""
    with serving(lambda path: (200, b'[{"n": 1}, {"n": 2}]' if path.startswith("/enrich") else b"")) as (address, seen):
        key = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "secret"}}
        connection = client("events").create_connection(Name=named("c"), AuthorizationType="API_KEY", AuthParameters=key)["ConnectionArn"]

        def destination(path):
            return client("events").create_api_destination(Name=named("d"), ConnectionArn=connection, InvocationEndpoint=f"{address}/{path}",
                                                           HttpMethod="POST")["ApiDestinationArn"]

        url, source = queue()
        name = made(source, destination("take/*"), Enrichment=destination("enrich"),
                    EnrichmentParameters={"InputTemplate": '{"id": <$.body.id>}', "HttpParameters": {"HeaderParameters": {"x-id": "$.body.id"}}},
                    TargetParameters={"InputTemplate": '{"told": <$.n>}', "HttpParameters": {"PathParameterValues": ["$.n"]}})
        send(url, {"id": "7"})
        until(lambda: [path for path, _, _ in seen], lambda paths: len(paths) == 3)
        equal([(path, json.loads(body)) for path, _, body in seen],
              [("/enrich", [{"id": "7"}]), ("/take/1", {"told": 1}), ("/take/2", {"told": 2})])
        equal([(headers["x-key"], headers["x-id"]) for _, headers, _ in seen], [("secret", "7"), ("secret", None), ("secret", None)])
        until(lambda: left(url), lambda count: count == 0)
        equal(pipes().describe_pipe(Name=name)["TargetParameters"]["HttpParameters"], {"PathParameterValues": ["$.n"]})
        pipes().delete_pipe(Name=name)
        refused("ValidationException", "HttpParameters", pipes().create_pipe, Name=named("p"), Source=source, Target=source, RoleArn=role("pipes"),
                TargetParameters={"HttpParameters": {"PathParameterValues": ["a"]}})
    refused("NotFoundException", NO, pipes().describe_pipe, Name=NO)
    refused("NotFoundException", NO, pipes().delete_pipe, Name=NO)


@operations("pipes", "CreatePipe")
def logs():
    (url, source), (there, target) = queue(), queue()
    group = "/ops/" + named("pipes")
    client("logs").create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    set_to = {"CloudwatchLogsLogDestination": {"LogGroupArn": arn}, "Level": "TRACE", "IncludeExecutionData": ["ALL"]}
    name = made(source, target, LogConfiguration=set_to)
    equal(pipes().describe_pipe(Name=name)["LogConfiguration"], set_to)
    send(url, "one")
    received(there, 1)
    lines = until(lambda: [json.loads(e["message"]) for e in client("logs").filter_log_events(logGroupName=group)["events"]], bool)
    kinds = [line["messageType"] for line in lines]
    equal(kinds, ["EXECUTION_STARTED", "TARGET_STAGE_ENTERED", "TARGET_INVOCATION_STARTED", "TARGET_INVOCATION_SUCCEEDED", "TARGET_STAGE_EXITED", "EXECUTION_SUCCEEDED"])
    equal(({line["executionId"] for line in lines} == {lines[0]["executionId"]}, json.loads(lines[0]["payload"])[0]["body"]), (True, "one"))
    holds(lines[0], resourceArn=f"arn:aws:pipes:{REGION}:{ACCOUNT}:pipe/{name}", logLevel="INFO")
    found = until(lambda: client("cloudwatch").list_metrics(Namespace="AWS/EventBridge/Pipes", Dimensions=[{"Name": "PipeName", "Value": name}])["Metrics"], bool)
    assert {"Invocations", "EventCount", "Duration", "TargetStageDuration"} <= set(names(found, "MetricName")), found
    pipes().update_pipe(Name=name, RoleArn=role("pipes"), LogConfiguration={"Level": "OFF"})
    equal(pipes().describe_pipe(Name=name)["LogConfiguration"], {"Level": "OFF"})
    given = {"Name": NO, "Source": source, "Target": target, "RoleArn": role("pipes")}
    refused("ValidationException", "destination", pipes().create_pipe, **given, LogConfiguration={"Level": "INFO"})
    refused("NotImplemented", "S3", pipes().create_pipe, **given, LogConfiguration={"Level": "INFO", "S3LogDestination": {"BucketName": "bucket", "BucketOwner": ACCOUNT}})
