"""CloudWatch Logs: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html"""
import datetime
import gzip
import json
import time

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, role, until, zipped

GONE = "The specified log group does not exist"
NO = "/ops/not-here"
NOW = int(time.time() * 1000)


def logs():
    return client("logs")


def group(**more):
    name = "/ops/" + named("g")
    logs().create_log_group(logGroupName=name, **more)
    return name


def written(texts, stream="s"):
    """A group with one stream that has these events, a millisecond apart."""
    name = group()
    logs().create_log_stream(logGroupName=name, logStreamName=stream)
    logs().put_log_events(logGroupName=name, logStreamName=stream, logEvents=[{"timestamp": NOW + n, "message": t} for n, t in enumerate(texts)])
    return name


@operations("logs", "CreateLogGroup", "DescribeLogGroups", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy")
def groups():
    name = group()
    found = logs().describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    equal(names(found, "logGroupName"), [name])
    holds(found[0], arn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*", logGroupArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}",
          storedBytes=0, metricFilterCount=0, retentionInDays=None, logGroupClass="STANDARD")
    logs().put_retention_policy(logGroupName=name, retentionInDays=7)
    equal(logs().describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"], 7)
    logs().delete_retention_policy(logGroupName=name)
    assert "retentionInDays" not in logs().describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    logs().create_log_group(logGroupName=name + "-2")
    found, count = pages(logs().describe_log_groups, "logGroups", "nextToken", "nextToken", logGroupNamePrefix=name, limit=1)
    equal((names(found, "logGroupName"), count), ([name, name + "-2"], 2))
    equal(names(logs().describe_log_groups(logGroupNamePattern=name[5:])["logGroups"], "logGroupName"), [name, name + "-2"])
    refused("ResourceAlreadyExistsException", "The specified log group already exists", logs().create_log_group, logGroupName=name)
    refused("InvalidParameterException", "logGroupName", logs().create_log_group, logGroupName="a b")
    refused("InvalidParameterException", "Invalid retention value: 8", logs().put_retention_policy, logGroupName=name, retentionInDays=8)
    refused("InvalidParameterException", "", logs().describe_log_groups, limit=51)
    for call, given in ((logs().put_retention_policy, {"retentionInDays": 7}), (logs().delete_retention_policy, {}), (logs().delete_log_group, {})):
        refused("ResourceNotFoundException", GONE, call, logGroupName="/ops/none", **given)
    for one in (name, name + "-2"):
        logs().delete_log_group(logGroupName=one)
    equal(logs().describe_log_groups(logGroupNamePrefix=name)["logGroups"], [])


@operations("logs", "CreateLogStream", "DescribeLogStreams", "DeleteLogStream", "PutLogEvents", "GetLogEvents")
def streams():
    name = written(["one", "two", "three"], "b")
    logs().create_log_stream(logGroupName=name, logStreamName="a")
    found = logs().describe_log_streams(logGroupName=name)["logStreams"]
    equal(names(found, "logStreamName"), ["a", "b"])
    holds(found[1], arn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:log-stream:b", firstEventTimestamp=NOW, lastEventTimestamp=NOW + 2)
    equal(names(logs().describe_log_streams(logGroupName=name, orderBy="LastEventTime", descending=True, limit=1)["logStreams"], "logStreamName"), ["b"])
    equal(pages(logs().describe_log_streams, "logStreams", "nextToken", "nextToken", logGroupName=name, limit=1)[1], 2)
    at = {"logGroupName": name, "logStreamName": "b"}
    equal([(e["timestamp"], e["message"]) for e in logs().get_log_events(**at, startFromHead=True)["events"]],
          [(NOW, "one"), (NOW + 1, "two"), (NOW + 2, "three")])
    equal(names(logs().get_log_events(**at, startTime=NOW + 1, endTime=NOW + 2, startFromHead=True)["events"], "message"), ["two"])
    last = logs().get_log_events(**at, limit=1)
    equal(names(last["events"], "message"), ["three"])
    equal(names(logs().get_log_events(**at, limit=1, nextToken=last["nextBackwardToken"])["events"], "message"), ["two"])
    end = logs().get_log_events(**at, nextToken=last["nextForwardToken"])
    equal((end["events"], end["nextForwardToken"]), ([], last["nextForwardToken"]))
    old = logs().put_log_events(**at, logEvents=[{"timestamp": NOW - 15 * 86_400_000, "message": "old"}])
    equal(old["rejectedLogEventsInfo"], {"tooOldLogEventEndIndex": 1})
    refused("InvalidParameterException", "24 hours", logs().put_log_events, **at,
            logEvents=[{"timestamp": NOW - 2 * 86_400_000, "message": "x"}, {"timestamp": NOW, "message": "y"}])
    refused("InvalidParameterException", "chronological", logs().put_log_events, **at,
            logEvents=[{"timestamp": NOW + 1, "message": "x"}, {"timestamp": NOW, "message": "y"}])
    refused("ResourceAlreadyExistsException", "The specified log stream already exists", logs().create_log_stream, **at)
    equal(pages(logs().describe_log_streams, "logStreams", "nextToken", "nextToken", logGroupName=name, descending=True, limit=1)[1], 2)
    refused("InvalidParameterException", "logStreamNamePrefix", logs().describe_log_streams, logGroupName=name, orderBy="LastEventTime", logStreamNamePrefix="b")
    refused("ResourceNotFoundException", GONE, logs().describe_log_streams, logGroupName="/ops/none")
    logs().delete_log_stream(**at)
    for call, given in ((logs().delete_log_stream, {}), (logs().get_log_events, {}), (logs().put_log_events, {"logEvents": [{"timestamp": NOW, "message": "x"}]})):
        refused("ResourceNotFoundException", "The specified log stream does not exist", call, **at, **given)
    equal(names(logs().describe_log_streams(logGroupName=name)["logStreams"], "logStreamName"), ["a"])


@operations("logs", "FilterLogEvents")
def filtering():
    name = written(["ERROR one", '{"level": "error", "n": 5}', "fine"])
    logs().create_log_stream(logGroupName=name, logStreamName="t")
    logs().put_log_events(logGroupName=name, logStreamName="t", logEvents=[{"timestamp": NOW + 1, "message": "ERROR two"}])

    def found(**more):
        return names(pages(logs().filter_log_events, "events", "nextToken", "nextToken", logGroupName=name, **more)[0], "message")

    equal(found(), ["ERROR one", '{"level": "error", "n": 5}', "ERROR two", "fine"])
    equal(found(filterPattern="ERROR"), ["ERROR one", "ERROR two"])
    equal(found(filterPattern='{ $.level = "error" && $.n > 4 }'), ['{"level": "error", "n": 5}'])
    equal(found(filterPattern="ERROR -two"), ["ERROR one"])
    equal(found(filterPattern="?fine ?two", limit=1), ["ERROR two", "fine"])
    equal(found(logStreamNames=["t"]), ["ERROR two"])
    equal(found(startTime=NOW + 2), ["fine"])
    event = logs().filter_log_events(logGroupName=name, logStreamNames=["t"])["events"][0]
    holds(event, logStreamName="t", timestamp=NOW + 1, message="ERROR two")
    refused("InvalidParameterException", "", logs().filter_log_events, logGroupName=name, filterPattern="{ $.level = ")
    refused("InvalidParameterException", "", logs().filter_log_events, logGroupName=name, logStreamNames=["t"], logStreamNamePrefix="t")
    refused("ResourceNotFoundException", GONE, logs().filter_log_events, logGroupName="/ops/none")


@operations("logs", "PutMetricFilter", "DescribeMetricFilters", "DeleteMetricFilter", "TestMetricFilter")
def metric_filters():
    name, space = group(), named("space")
    to = {"metricName": "Errors", "metricNamespace": space, "metricValue": "1"}
    logs().put_metric_filter(logGroupName=name, filterName="f", filterPattern="ERROR", metricTransformations=[to])
    found = logs().describe_metric_filters(logGroupName=name)["metricFilters"]
    equal([(f["filterName"], f["filterPattern"], f["metricTransformations"], f["logGroupName"]) for f in found], [("f", "ERROR", [to], name)])
    equal(names(logs().describe_metric_filters(metricName="Errors", metricNamespace=space)["metricFilters"], "logGroupName"), [name])
    tested = logs().test_metric_filter(filterPattern="[ip, status=5*, ...]", logEventMessages=["1.2.3.4 500 x", "1.2.3.4 200 x"])["matches"]
    equal([(m["eventNumber"], m["eventMessage"], m["extractedValues"]["$status"]) for m in tested], [(1, "1.2.3.4 500 x", "500")])
    refused("InvalidParameterException", "", logs().test_metric_filter, filterPattern="{ $.a = ", logEventMessages=["x"])
    refused("InvalidParameterException", "", logs().put_metric_filter, logGroupName=name, filterName="g", filterPattern="{ $.a = ", metricTransformations=[to])
    refused("ResourceNotFoundException", GONE, logs().put_metric_filter, logGroupName="/ops/none", filterName="f", filterPattern="", metricTransformations=[to])
    refused("InvalidParameterException", "", logs().describe_metric_filters, metricName="Errors")
    logs().delete_metric_filter(logGroupName=name, filterName="f")
    equal(logs().describe_metric_filters(logGroupName=name)["metricFilters"], [])
    refused("ResourceNotFoundException", "The specified metric filter does not exist", logs().delete_metric_filter, logGroupName=name, filterName="f")


@operations("logs", "PutSubscriptionFilter", "DescribeSubscriptionFilters", "DeleteSubscriptionFilter")
def subscription_filters():
    name, function = group(), named("function")
    to = client("lambda").create_function(FunctionName=function, Runtime="python3.11", Handler="m.h", Role=role("lambda"),
                                          Code={"ZipFile": zipped(m="def h(e, c): pass")})["FunctionArn"]
    client("lambda").add_permission(FunctionName=function, StatementId="logs", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com")
    logs().put_subscription_filter(logGroupName=name, filterName="f", filterPattern="ERROR", destinationArn=to)
    found = logs().describe_subscription_filters(logGroupName=name)["subscriptionFilters"]
    equal([(f["filterName"], f["filterPattern"], f["destinationArn"], f["logGroupName"], f["distribution"]) for f in found],
          [("f", "ERROR", to, name, "ByLogStream")])
    logs().put_subscription_filter(logGroupName=name, filterName="f", filterPattern="WARN", destinationArn=to)
    equal(names(logs().describe_subscription_filters(logGroupName=name, filterNamePrefix="f")["subscriptionFilters"], "filterPattern"), ["WARN"])
    logs().put_subscription_filter(logGroupName=name, filterName="g", filterPattern="", destinationArn=to)
    refused("LimitExceededException", "", logs().put_subscription_filter, logGroupName=name, filterName="h", filterPattern="", destinationArn=to)
    refused("InvalidParameterException", "", logs().put_subscription_filter, logGroupName=name, filterName="f", filterPattern="{ $.a = ", destinationArn=to)
    for call, given in ((logs().put_subscription_filter, {"filterName": "f", "filterPattern": "", "destinationArn": to}),
                        (logs().describe_subscription_filters, {}), (logs().delete_subscription_filter, {"filterName": "f"})):
        refused("ResourceNotFoundException", GONE, call, logGroupName="/ops/none", **given)
    logs().delete_subscription_filter(logGroupName=name, filterName="f")
    equal(names(logs().describe_subscription_filters(logGroupName=name)["subscriptionFilters"], "filterName"), ["g"])
    refused("ResourceNotFoundException", "The specified subscription filter does not exist", logs().delete_subscription_filter,
            logGroupName=name, filterName="f")


@operations("logs", "PutQueryDefinition", "DescribeQueryDefinitions", "DeleteQueryDefinition")
def query_definitions():
    name = named("query")
    id = logs().put_query_definition(name=name, queryString="fields @message", logGroupNames=["/a"])["queryDefinitionId"]
    found = logs().describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
    equal([(q["queryDefinitionId"], q["name"], q["queryString"], q["logGroupNames"]) for q in found], [(id, name, "fields @message", ["/a"])])
    equal(logs().put_query_definition(name=name, queryString="limit 1", queryDefinitionId=id)["queryDefinitionId"], id)
    holds(logs().describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"][0], queryString="limit 1")
    logs().put_query_definition(name=name + "-2", queryString="limit 2")
    equal(pages(logs().describe_query_definitions, "queryDefinitions", "nextToken", "nextToken", queryDefinitionNamePrefix=name, maxResults=1)[1], 2)
    equal(logs().delete_query_definition(queryDefinitionId=id)["success"], True)
    equal(names(logs().describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"], "name"), [name + "-2"])
    refused("ResourceNotFoundException", "", logs().delete_query_definition, queryDefinitionId=id)
    refused("ResourceNotFoundException", "", logs().put_query_definition, name=name, queryString="limit 1", queryDefinitionId=id)
    refused("InvalidParameterException", "maxResults", logs().describe_query_definitions, maxResults=0)


@operations("logs", "PutResourcePolicy", "DescribeResourcePolicies", "DeleteResourcePolicy")
def resource_policies():
    name = named("policy")
    document = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "logs:PutLogEvents", "Resource": "*"}]})
    holds(logs().put_resource_policy(policyName=name, policyDocument=document)["resourcePolicy"], policyName=name, policyDocument=document)
    found = {p["policyName"]: p["policyDocument"] for p in pages(logs().describe_resource_policies, "resourcePolicies", "nextToken", "nextToken")[0]}
    equal(found[name], document)
    logs().delete_resource_policy(policyName=name)
    assert name not in names(logs().describe_resource_policies()["resourcePolicies"], "policyName")
    refused("ResourceNotFoundException", name, logs().delete_resource_policy, policyName=name)
    refused("InvalidParameterException", "", logs().put_resource_policy, policyName=name, policyDocument="not json")
    denied("AccessDeniedException", "logs:DescribeResourcePolicies", "describe_resource_policies")


@operations("logs", "TagResource", "UntagResource", "ListTagsForResource", "TagLogGroup", "ListTagsLogGroup")
def tags():
    name = group(tags={"a": "1"})
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
    logs().tag_resource(resourceArn=arn, tags={"a": "2", "b": ""})
    equal(logs().list_tags_for_resource(resourceArn=arn)["tags"], {"a": "2", "b": ""})
    logs().tag_log_group(logGroupName=name, tags={"c": "3"})
    equal(logs().list_tags_log_group(logGroupName=name)["tags"], {"a": "2", "b": "", "c": "3"})
    logs().untag_resource(resourceArn=arn, tagKeys=["a", "b", "never"])
    equal(logs().list_tags_for_resource(resourceArn=arn)["tags"], {"c": "3"})
    no = arn.replace(name, "/ops/none")
    for call, given in ((logs().tag_resource, {"tags": {"a": "1"}}), (logs().untag_resource, {"tagKeys": ["a"]}), (logs().list_tags_for_resource, {})):
        refused("ResourceNotFoundException", "", call, resourceArn=no, **given)
    refused("ResourceNotFoundException", GONE, logs().tag_log_group, logGroupName="/ops/none", tags={"a": "1"})
    refused("ResourceNotFoundException", GONE, logs().list_tags_log_group, logGroupName="/ops/none")


@operations("logs", "StartQuery", "GetQueryResults", "StopQuery", "DescribeQueries", "GetLogRecord", "GetLogGroupFields")
def queries():
    logs, group, now = client("logs"), named("insights"), int(time.time() * 1000)
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    lines = [json.dumps({"level": level, "ms": ms, "user": {"id": user}}) for level, ms, user in (("INFO", 10, "a"), ("ERROR", 30, "b"), ("INFO", 20, "a"))]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[{"timestamp": now - 3000 + n * 1000, "message": line} for n, line in enumerate(lines + ["took 7 ms"])])

    def ask_only(text, **more):
        given = {"logGroupName": group, **more} if not more.keys() & {"logGroupNames", "logGroupIdentifiers"} else more
        return logs.start_query(queryString=text, startTime=now // 1000 - 600, endTime=now // 1000 + 600, **given)["queryId"]

    def ask(text, **more):
        started = ask_only(text, **more)
        found = until(lambda: logs.get_query_results(queryId=started), lambda q: q["status"] not in ("Scheduled", "Running"))
        equal(found["status"], "Complete")
        return started, found, [{cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"} for row in found["results"]]

    identifier, found, rows = ask("stats count(*) as n, avg(ms) as mean by level | filter ispresent(level) | sort n desc")
    equal(rows, [{"level": "INFO", "n": "2", "mean": "15"}, {"level": "ERROR", "n": "1", "mean": "30"}])
    equal((found["statistics"]["recordsScanned"], found["statistics"]["recordsMatched"]), (4.0, 4.0))
    equal(ask("filter level = 'INFO' | sort ms asc | display user.id, ms", logGroupNames=[group])[2], [{"user.id": "a", "ms": "10"}, {"user.id": "a", "ms": "20"}])
    equal(ask("parse @message 'took * ms' as ms | filter ispresent(ms) | display ms",
              logGroupIdentifiers=[f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"])[2][0], {"ms": "7"})
    equal(len(ask("fields @message", limit=2)[2]), 2)
    pointer = [cell["value"] for cell in ask("filter level = 'ERROR'")[1]["results"][0] if cell["field"] == "@ptr"][0]
    holds(logs.get_log_record(logRecordPointer=pointer)["logRecord"], level="ERROR", **{"@message": lines[1], "@logStream": "s", "@log": f"{ACCOUNT}:{group}"})
    known = {field["name"]: field["percent"] for field in logs.get_log_group_fields(logGroupName=group)["logGroupFields"]}
    holds(known, **{"@message": 100, "level": 75, "user.id": 75})
    queries = logs.describe_queries(logGroupName=group, status="Complete")["queries"]
    assert identifier in names(queries, "queryId"), queries
    holds(queries[0], logGroupName=group, status="Complete")
    for text, at in (("fields @message | filter = 3", (25, 26)), ("pattern @message", (0, 7)), ("filter level ~ 'x'", (13, 14))):
        error = refused("MalformedQueryException", "", logs.start_query, logGroupName=group, queryString=text, startTime=1, endTime=2)
        where = error["queryCompileError"]["location"]
        equal((where["startCharOffset"], where["endCharOffset"]), at)
    refused("ResourceNotFoundException", "does not exist for account", logs.start_query, logGroupName=NO, queryString="fields a", startTime=1, endTime=2)
    refused("InvalidParameterException", "Exactly one", logs.start_query, queryString="fields a", startTime=1, endTime=2)
    refused("InvalidParameterException", "SQL", logs.start_query, logGroupName=group, queryString="SELECT 1", queryLanguage="SQL", startTime=1, endTime=2)
    refused("InvalidParameterException", "its status is Complete", logs.stop_query, queryId=identifier)
    # A query that still runs can be stopped: more is written until one takes long enough.
    def stopped():
        page = [{"timestamp": now, "message": json.dumps({"level": "INFO", "text": "x" * 1000})}] * 500
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=page)
        started = ask_only("stats count(*) by level, text")
        try:
            equal(logs.stop_query(queryId=started)["success"], True)
        except logs.exceptions.InvalidParameterException as error:
            assert "its status is Complete" in str(error), error
            return None
        return logs.get_query_results(queryId=started)["status"]

    equal(until(stopped, lambda status: status), "Cancelled")
    for call in (logs.get_query_results, logs.stop_query):
        refused("ResourceNotFoundException", "does not exist", call, queryId=NO)
    refused("InvalidParameterException", "pointer", logs.get_log_record, logRecordPointer="x")
    refused("ResourceNotFoundException", "", logs.get_log_group_fields, logGroupName=NO)
    refused("InvalidParameterException", "", logs.describe_queries, status="Nothing")


def key_for(service=f"logs.{REGION}.amazonaws.com"):
    """A key whose policy lets the account and CloudWatch Logs use it."""
    allow = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
             {"Effect": "Allow", "Principal": {"Service": service}, "Resource": "*",
              "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
              "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ops/*"}}}]
    return client("kms").create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": allow}))["KeyMetadata"]["Arn"]


@operations("logs", "AssociateKmsKey", "DisassociateKmsKey")
def keys():
    key = key_for()
    name = group(kmsKeyId=key)
    equal(logs().describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["kmsKeyId"], key)
    at = {"logGroupName": name, "logStreamName": "s"}
    logs().create_log_stream(**at)
    logs().put_log_events(**at, logEvents=[{"timestamp": NOW, "message": "sealed one"}])
    equal(names(logs().get_log_events(**at, startFromHead=True)["events"], "message"), ["sealed one"])
    equal(names(logs().filter_log_events(logGroupName=name, filterPattern="sealed")["events"], "message"), ["sealed one"])
    logs().disassociate_kms_key(logGroupName=name)
    assert "kmsKeyId" not in logs().describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    logs().put_log_events(**at, logEvents=[{"timestamp": NOW + 1, "message": "open two"}])
    equal(names(logs().get_log_events(**at, startFromHead=True)["events"], "message"), ["sealed one", "open two"])
    logs().associate_kms_key(resourceIdentifier=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}", kmsKeyId=key)
    equal(logs().describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["kmsKeyId"], key)
    found = logs().start_query(logGroupName=name, startTime=NOW // 1000 - 60, endTime=NOW // 1000 + 60, queryString="fields @message | sort @message")
    rows = until(lambda: logs().get_query_results(queryId=found["queryId"]), lambda r: r["status"] == "Complete")["results"]
    equal([row[0]["value"] for row in rows], ["open two", "sealed one"])
    other = client("kms").create_key()["KeyMetadata"]["Arn"]
    refused("AccessDeniedException", f"not allowed to be used with Arn 'arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}'",
            logs().associate_kms_key, logGroupName=name, kmsKeyId=other)
    gone = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"
    refused("InvalidParameterException", "could not be found", logs().create_log_group, logGroupName=NO, kmsKeyId=gone)
    off = key_for()
    client("kms").disable_key(KeyId=off)
    refused("InvalidParameterException", "is disabled", logs().create_log_group, logGroupName=NO, kmsKeyId=off)
    refused("InvalidParameterException", "ARN", logs().create_log_group, logGroupName=NO, kmsKeyId="alias/none")
    refused("InvalidParameterException", "query results", logs().associate_kms_key, kmsKeyId=key, resourceIdentifier=f"arn:aws:logs:{REGION}:{ACCOUNT}:query-result:*")
    for call, given in ((logs().associate_kms_key, {"kmsKeyId": key}), (logs().disassociate_kms_key, {})):
        refused("ResourceNotFoundException", GONE, call, logGroupName=NO, **given)


@operations("logs", "ListLogGroups")
def listed():
    name = group()
    logs().create_log_group(logGroupName=name + "-2", logGroupClass="INFREQUENT_ACCESS")
    found, count = pages(logs().list_log_groups, "logGroups", "nextToken", "nextToken", logGroupNamePattern=name, limit=1)
    equal((names(found, "logGroupName"), names(found, "logGroupClass"), count), ([name, name + "-2"], ["STANDARD", "INFREQUENT_ACCESS"], 2))
    equal(found[0]["logGroupArn"], f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}")
    equal(names(logs().list_log_groups(logGroupNamePattern=f"^{name}")["logGroups"], "logGroupName"), [name, name + "-2"])
    equal(names(logs().list_log_groups(logGroupNamePattern=name, logGroupClass="INFREQUENT_ACCESS")["logGroups"], "logGroupName"), [name + "-2"])
    refused("InvalidParameterException", "", logs().list_log_groups, limit=1001)


@operations("logs", "CreateExportTask", "DescribeExportTasks", "CancelExportTask")
def exports():
    name, bucket, s3 = written(["one", "two"], "a/b"), named("exports"), client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    asked = {"logGroupName": name, "fromTime": NOW, "to": NOW, "destination": bucket}
    refused("InvalidParameterException", "GetBucketAcl call on the given bucket failed", logs().create_export_task, **asked)
    service = {"Effect": "Allow", "Principal": {"Service": f"logs.{REGION}.amazonaws.com"}}
    policy = [{**service, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{bucket}"},
              {**service, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*",
               "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceAccount": [ACCOUNT]},
                             "ArnLike": {"aws:SourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"}}}]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": policy[:1]}))
    refused("InvalidParameterException", "PutObject call on the given bucket failed", logs().create_export_task, **asked)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": policy}))
    id = logs().create_export_task(**asked, taskName="t", destinationPrefix="p")["taskId"]
    done = until(lambda: logs().describe_export_tasks(taskId=id)["exportTasks"][0], lambda t: t["status"]["code"] == "COMPLETED")
    holds(done, taskId=id, taskName="t", logGroupName=name, to=NOW, destination=bucket, destinationPrefix="p")
    holds(done["status"], message="Completed successfully")
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    equal(keys, [f"p/{id}/a-b/000000.gz", "p/aws-logs-write-test"])
    text = gzip.decompress(s3.get_object(Bucket=bucket, Key=keys[0])["Body"].read()).decode()
    at = datetime.datetime.fromtimestamp(NOW / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{NOW % 1000:03d}Z"
    equal(text, f"{at} one\n")
    assert id in names(logs().describe_export_tasks(statusCode="COMPLETED")["exportTasks"], "taskId")
    refused("InvalidParameterException", "statusCode", logs().describe_export_tasks, statusCode="LATER")
    refused("InvalidOperationException", "neither pending nor running", logs().cancel_export_task, taskId=id)

    def cancelled():
        """One that is cancelled before it is over, which a small one is at once."""
        id = logs().create_export_task(**asked)["taskId"]
        try:
            logs().cancel_export_task(taskId=id)
        except logs().exceptions.InvalidOperationException:
            return None
        return id

    id = until(cancelled, bool)
    until(lambda: logs().describe_export_tasks(taskId=id)["exportTasks"][0], lambda t: t["status"]["code"] == "CANCELLED")
    refused("ResourceNotFoundException", "does not exist", logs().cancel_export_task, taskId="none")
    refused("ResourceNotFoundException", GONE, logs().create_export_task, **{**asked, "logGroupName": NO})
    refused("InvalidParameterException", "time range", logs().create_export_task, **{**asked, "to": NOW - 1})


@operations("logs", "StartLiveTail")
def live_tail():
    name = group()
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
    for stream in ("a", "b"):
        logs().create_log_stream(logGroupName=name, logStreamName=stream)
    answer = logs().start_live_tail(logGroupIdentifiers=[arn], logEventFilterPattern="ERROR", logStreamNamePrefixes=["a"])
    events = iter(answer["responseStream"])
    holds(next(events)["sessionStart"], logGroupIdentifiers=[arn], logStreamNamePrefixes=["a"], logEventFilterPattern="ERROR")
    for stream in ("a", "b"):
        logs().put_log_events(logGroupName=name, logStreamName=stream, logEvents=[{"timestamp": NOW, "message": f"ERROR of {stream}"}, {"timestamp": NOW, "message": "fine"}])
    found = []
    while not found:
        update = next(events)["sessionUpdate"]
        equal(update["sessionMetadata"], {"sampled": False})
        found = update["sessionResults"]
    one, = found
    holds(one, logStreamName="a", logGroupIdentifier=arn, message="ERROR of a", timestamp=NOW)
    answer["responseStream"].close()
    refused("ResourceNotFoundException", GONE, logs().start_live_tail, logGroupIdentifiers=[arn + "-no"])
    refused("InvalidParameterException", "ARN", logs().start_live_tail, logGroupIdentifiers=[name])
    refused("InvalidParameterException", "one log group", logs().start_live_tail, logGroupIdentifiers=[arn, arn], logStreamNames=["a"])
