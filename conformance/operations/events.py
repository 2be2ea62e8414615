"""EventBridge: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Operations.html"""
import datetime
import json

from harness import ACCOUNT, REGION, client, equal, holds, named, names, operations, pages, refused, role, serving, until

GONE = "nothing-here"
API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "secret"}}


def events():
    return client("events")


def pattern(source):
    return json.dumps({"source": [source]})


def queue():
    """A queue that rules may send to: its URL and ARN."""
    name = named("queue")
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]})
    return client("sqs").create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"], arn


@operations("events", "CreateEventBus", "DescribeEventBus", "ListEventBuses", "DeleteEventBus")
def buses():
    name = named("bus")
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"
    equal(events().create_event_bus(Name=name, Description="one")["EventBusArn"], arn)
    holds(events().describe_event_bus(Name=name), Name=name, Arn=arn, Description="one")
    holds(events().describe_event_bus(), Name="default", Arn=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default")
    second = name + "-2"
    letters = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters"}
    log = {"IncludeDetail": "FULL", "Level": "ERROR"}
    holds(events().create_event_bus(Name=second, DeadLetterConfig=letters, LogConfig=log), DeadLetterConfig=letters, LogConfig=log)
    holds(events().describe_event_bus(Name=second), DeadLetterConfig=letters, LogConfig=log)
    refused("ValidationException", "SQS queue", events().create_event_bus, Name=second + "-3", DeadLetterConfig={"Arn": arn})
    found, count = pages(events().list_event_buses, "EventBuses", "NextToken", "NextToken", NamePrefix=name, Limit=1)
    equal((names(found, "Name"), count), ([name, second], 2))
    refused("ResourceAlreadyExistsException", f"Event bus {name} already exists", events().create_event_bus, Name=name)
    refused("ResourceNotFoundException", f"Event bus {GONE} does not exist", events().describe_event_bus, Name=GONE)
    refused("ValidationException", "limit", events().list_event_buses, Limit=101)
    events().put_rule(Name="r", EventBusName=name, EventPattern=pattern("a"))
    refused("ValidationException", "rules", events().delete_event_bus, Name=name)
    events().delete_rule(Name="r", EventBusName=name)
    for bus in (name, second, name):
        events().delete_event_bus(Name=bus)
    equal(events().list_event_buses(NamePrefix=name)["EventBuses"], [])
    refused("ValidationException", "default", events().delete_event_bus, Name="default")


@operations("events", "PutRule", "DescribeRule", "ListRules", "EnableRule", "DisableRule", "DeleteRule", "PutTargets", "ListTargetsByRule",
            "RemoveTargets", "ListRuleNamesByTarget")
def rules():
    name, (_, target) = named("rule"), queue()
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"
    equal(events().put_rule(Name=name, EventPattern=pattern(name), Description="one")["RuleArn"], arn)
    holds(events().describe_rule(Name=name), Name=name, Arn=arn, EventPattern=pattern(name), State="ENABLED", Description="one", EventBusName="default")
    events().disable_rule(Name=name)
    equal(events().describe_rule(Name=name)["State"], "DISABLED")
    events().enable_rule(Name=name)
    equal(events().describe_rule(Name=name)["State"], "ENABLED")
    second = name + "-2"
    events().put_rule(Name=second, ScheduleExpression="rate(1 day)", State="DISABLED")
    found, count = pages(events().list_rules, "Rules", "NextToken", "NextToken", NamePrefix=name, Limit=1)
    equal(([(r["Name"], r["State"], r.get("ScheduleExpression")) for r in found], count), ([(name, "ENABLED", None), (second, "DISABLED", "rate(1 day)")], 2))
    put = events().put_targets(Rule=name, Targets=[{"Id": "a", "Arn": target, "Input": '{"x": 1}'}, {"Id": "b", "Arn": target}])
    equal((put["FailedEntryCount"], put["FailedEntries"]), (0, []))
    equal(events().list_targets_by_rule(Rule=name)["Targets"], [{"Id": "a", "Arn": target, "Input": '{"x": 1}'}, {"Id": "b", "Arn": target}])
    equal(pages(events().list_targets_by_rule, "Targets", "NextToken", "NextToken", Rule=name, Limit=1)[1], 2)
    equal(events().list_rule_names_by_target(TargetArn=target)["RuleNames"], [name])
    equal(events().list_rule_names_by_target(TargetArn=target + "x")["RuleNames"], [])
    refused("ValidationException", "targets", events().delete_rule, Name=name)
    equal(events().remove_targets(Rule=name, Ids=["a", "never"])["FailedEntryCount"], 0)
    equal(names(events().list_targets_by_rule(Rule=name)["Targets"], "Id"), ["b"])
    refused("InvalidEventPatternException", "", events().put_rule, Name=name, EventPattern="not json")
    refused("ValidationException", "ScheduleExpression", events().put_rule, Name=name, ScheduleExpression="rate(0 days)")
    refused("ValidationException", "", events().put_rule, Name=named("rule"))
    for call in (events().describe_rule, events().enable_rule, events().disable_rule):
        refused("ResourceNotFoundException", f"Rule {GONE} does not exist", call, Name=GONE)
    refused("ResourceNotFoundException", GONE, events().put_targets, Rule=GONE, Targets=[{"Id": "a", "Arn": target}])
    refused("ResourceNotFoundException", GONE, events().list_targets_by_rule, Rule=GONE)
    refused("ResourceNotFoundException", GONE, events().remove_targets, Rule=GONE, Ids=["a"])
    refused("ResourceNotFoundException", GONE, events().list_rules, EventBusName=GONE)
    refused("ResourceNotFoundException", GONE, events().list_rule_names_by_target, TargetArn=target, EventBusName=GONE)
    events().remove_targets(Rule=name, Ids=["b"])
    for rule in (name, second, name):
        events().delete_rule(Name=rule)
    equal(events().list_rules(NamePrefix=name)["Rules"], [])


@operations("events", "PutEvents", "TestEventPattern")
def putting():
    source, (url, target) = named("source"), queue()
    events().put_rule(Name=source, EventPattern=pattern(source))
    events().put_targets(Rule=source, Targets=[{"Id": "a", "Arn": target}])
    put = events().put_events(Entries=[{"Source": source, "DetailType": "d", "Detail": '{"n": 1}', "Resources": ["r"]},
                                       {"Source": source, "DetailType": "d", "Detail": "not json"}])
    equal((put["FailedEntryCount"], "EventId" in put["Entries"][0], put["Entries"][1].get("ErrorCode")), (1, True, "MalformedDetail"))
    got = until(lambda: client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages", []), bool)
    holds(json.loads(got[0]["Body"]), **{"id": put["Entries"][0]["EventId"], "source": source, "detail-type": "d", "detail": {"n": 1}, "resources": ["r"],
                                         "account": ACCOUNT, "region": REGION, "version": "0"})
    event = {"id": "1", "account": ACCOUNT, "source": "a", "time": "2026-01-01T00:00:00Z", "region": REGION, "resources": [], "detail-type": "d", "detail": {"n": 5}}
    for wanted, matches in (({"detail": {"n": [{"numeric": [">", 4]}]}}, True), ({"source": ["b"]}, False), ({"source": [{"prefix": "a"}]}, True)):
        equal(events().test_event_pattern(EventPattern=json.dumps(wanted), Event=json.dumps(event))["Result"], matches)
    refused("InvalidEventPatternException", "", events().test_event_pattern, EventPattern='{"source": "a"}', Event=json.dumps(event))
    refused("ValidationException", "entries", events().put_events, Entries=[])


@operations("events", "UpdateEventBus", "PutPermission", "RemovePermission")
def permissions():
    name, account = named("bus"), "111111111111"
    arn = events().create_event_bus(Name=name, Description="one")["EventBusArn"]
    holds(events().update_event_bus(Name=name, Description="two"), Arn=arn, Name=name, Description="two")
    equal(events().describe_event_bus(Name=name)["Description"], "two")
    refused("ResourceNotFoundException", f"Event bus {GONE} does not exist", events().update_event_bus, Name=GONE, Description="x")
    refused("ValidationException", "description", events().update_event_bus, Name=name, Description="x" * 513)
    equal(events().describe_event_bus(Name=name)["Description"], "two")

    at = {"EventBusName": name, "Action": "events:PutEvents"}

    def statement(id, principal, **more):
        return {"Sid": id, "Effect": "Allow", "Principal": principal, "Action": "events:PutEvents", "Resource": arn, **more}

    def statements():
        return json.loads(events().describe_event_bus(Name=name)["Policy"])["Statement"]

    equal(events().describe_event_bus(Name=name).get("Policy"), None)
    events().put_permission(**at, Principal=account, StatementId="one")
    one = statement("one", {"AWS": f"arn:aws:iam::{account}:root"})
    equal(statements(), [one])
    events().put_permission(**at, Principal="*", StatementId="all", Condition={"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1234567890"})
    everyone = statement("all", "*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}})
    equal(statements(), [one, everyone])
    refused("ValidationException", "principal", events().put_permission, **at, Principal="you", StatementId="two")
    refused("ValidationException", "statementId", events().put_permission, **at, Principal=account, StatementId="a b")
    refused("ValidationException", "action", events().put_permission, EventBusName=name, Action="events:*", Principal=account, StatementId="two")
    refused("ValidationException", "", events().put_permission, EventBusName=name, Policy="{")
    refused("ResourceNotFoundException", GONE, events().put_permission, EventBusName=GONE, Action="events:PutEvents", Principal=account, StatementId="one")
    refused("ResourceNotFoundException", "does not exist", events().remove_permission, EventBusName=name, StatementId="never")
    refused("ResourceNotFoundException", GONE, events().remove_permission, EventBusName=GONE, StatementId="one")
    equal(statements(), [one, everyone])
    events().remove_permission(EventBusName=name, StatementId="one")
    equal(statements(), [everyone])
    given = {"Version": "2012-10-17", "Statement": [one, statement("two", {"AWS": f"arn:aws:iam::{ACCOUNT}:root"})]}
    events().put_permission(EventBusName=name, Policy=json.dumps(given))
    equal(statements(), given["Statement"])
    events().remove_permission(EventBusName=name, RemoveAllPermissions=True)
    equal(events().describe_event_bus(Name=name).get("Policy"), None)
    events().delete_event_bus(Name=name)


@operations("events", "CreateArchive", "DescribeArchive", "UpdateArchive", "ListArchives", "DeleteArchive")
def archives():
    name = named("archive")
    bus = events().create_event_bus(Name=named("bus"))["EventBusArn"]
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:archive/{name}"
    made = events().create_archive(ArchiveName=name, EventSourceArn=bus, Description="one", EventPattern=pattern("a"), RetentionDays=3)
    equal(made["ArchiveArn"], arn)

    def enabled(which):
        return until(lambda: events().describe_archive(ArchiveName=which), lambda told: told["State"] == "ENABLED")

    holds(enabled(name), ArchiveArn=arn, ArchiveName=name, EventSourceArn=bus, Description="one", EventPattern=pattern("a"), RetentionDays=3, SizeBytes=0,
          EventCount=0, CreationTime=made["CreationTime"])
    holds(events().update_archive(ArchiveName=name, Description="two", EventPattern=pattern("b"), RetentionDays=5), ArchiveArn=arn)
    holds(enabled(name), Description="two", EventPattern=pattern("b"), RetentionDays=5)
    second = name + "-2"
    events().create_archive(ArchiveName=second, EventSourceArn=bus)
    # Without a retention events are kept forever.
    holds(enabled(second), RetentionDays=0, EventPattern=None, Description=None)
    found, count = pages(events().list_archives, "Archives", "NextToken", "NextToken", NamePrefix=name, Limit=1)
    equal(([(a["ArchiveName"], a["EventSourceArn"], a["RetentionDays"], a["State"]) for a in found], count),
          ([(name, bus, 5, "ENABLED"), (second, bus, 0, "ENABLED")], 2))
    equal(names(events().list_archives(EventSourceArn=bus)["Archives"], "ArchiveName"), [name, second])
    equal(events().list_archives(EventSourceArn=bus + GONE)["Archives"], [])
    refused("ResourceAlreadyExistsException", f"Archive {name} already exists", events().create_archive, ArchiveName=name, EventSourceArn=bus)
    other = {"ArchiveName": named("archive"), "EventSourceArn": bus}
    refused("ResourceNotFoundException", "Event bus", events().create_archive, **{**other, "EventSourceArn": bus + GONE})
    refused("InvalidEventPatternException", "Event pattern is not valid", events().create_archive, **other, EventPattern="[1]")
    refused("ValidationException", "retentionDays", events().create_archive, **other, RetentionDays=-1)
    refused("ValidationException", "archiveName", events().create_archive, **{**other, "ArchiveName": "a" * 49})
    refused("InvalidEventPatternException", "Event pattern is not valid", events().update_archive, ArchiveName=name, EventPattern="[1]")
    refused("ValidationException", "state", events().list_archives, State="ASLEEP")
    refused("ValidationException", "limit", events().list_archives, Limit=101)
    holds(enabled(name), Description="two", EventPattern=pattern("b"), RetentionDays=5)
    for archive in (name, second):
        events().delete_archive(ArchiveName=archive)
    for call in (events().describe_archive, events().update_archive, events().delete_archive):
        refused("ResourceNotFoundException", f"Archive {name} does not exist", call, ArchiveName=name)
    equal(events().list_archives(NamePrefix=name)["Archives"], [])


@operations("events", "StartReplay", "DescribeReplay", "ListReplays", "CancelReplay")
def replays():
    source, (url, target) = named("source"), queue()
    bus = events().create_event_bus(Name=source)["EventBusArn"]
    archive = events().create_archive(ArchiveName=source, EventSourceArn=bus)["ArchiveArn"]
    until(lambda: events().describe_archive(ArchiveName=source), lambda told: told["State"] == "ENABLED")
    begin = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    put = events().put_events(Entries=[{"EventBusName": source, "Source": source, "DetailType": "d", "Detail": '{"n": 1}'}])["Entries"][0]["EventId"]
    until(lambda: events().describe_archive(ArchiveName=source), lambda told: told["EventCount"] == 1)
    # The rule is younger than the event: it sees it only again.
    rule = events().put_rule(Name=source, EventBusName=source, EventPattern=pattern(source))["RuleArn"]
    events().put_targets(Rule=source, EventBusName=source, Targets=[{"Id": "a", "Arn": target}])
    end = begin + datetime.timedelta(hours=1)
    span = {"EventSourceArn": archive, "EventStartTime": begin, "EventEndTime": end}
    destination = {"Arn": bus, "FilterArns": [rule]}
    name = named("replay")
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:replay/{name}"
    started = events().start_replay(ReplayName=name, Description="one", Destination=destination, **span)
    equal((started["ReplayArn"], started["State"]), (arn, "STARTING"))
    got = until(lambda: client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages", []), bool)
    holds(json.loads(got[0]["Body"]), **{"source": source, "detail-type": "d", "detail": {"n": 1}, "id": put, "replay-name": name})
    done = until(lambda: events().describe_replay(ReplayName=name), lambda told: told["State"] == "COMPLETED")
    holds(done, ReplayName=name, ReplayArn=arn, Description="one", EventSourceArn=archive, Destination=destination, EventStartTime=begin, EventEndTime=end,
          ReplayStartTime=started["ReplayStartTime"])
    assert begin <= done["EventLastReplayedTime"] <= end and done["ReplayStartTime"] <= done["ReplayEndTime"], done
    refused("ResourceAlreadyExistsException", f"Replay {name} already exists", events().start_replay, ReplayName=name, Destination=destination, **span)
    other = {"ReplayName": named("replay"), "Destination": destination, **span}
    refused("ValidationException", "EventEndTime", events().start_replay, **{**other, "EventEndTime": begin})
    refused("ValidationException", "Destination.Arn", events().start_replay, **{**other, "Destination": {"Arn": bus.replace(source, "default")}})
    refused("ValidationException", "EventSourceArn", events().start_replay, **{**other, "EventSourceArn": bus})
    refused("ResourceNotFoundException", GONE, events().start_replay, **{**other, "EventSourceArn": archive.replace(source, GONE)})
    refused("IllegalStatusException", name, events().cancel_replay, ReplayName=name)

    # So many that a replay of them is not at its end at once; nothing is sent, for the rule has no targets.
    idle = events().put_rule(Name=source + "-idle", EventBusName=source, EventPattern=pattern(source + "-idle"))["RuleArn"]
    for _ in range(200):
        events().put_events(Entries=[{"EventBusName": source, "Source": source + "-idle", "DetailType": "d", "Detail": "{}"}] * 10)
    until(lambda: events().describe_archive(ArchiveName=source), lambda told: told["EventCount"] == 2001)

    def cancelled(n):
        """The name of a replay that was cancelled, if it was not at its end before."""
        again = f"{name}-{n}"
        events().start_replay(ReplayName=again, Destination={"Arn": bus, "FilterArns": [idle]}, **span)
        try:
            answer = events().cancel_replay(ReplayName=again)
        except events().exceptions.IllegalStatusException:
            return None
        equal((answer["ReplayArn"], answer["State"]), (f"{arn}-{n}", "CANCELLING"))
        return again

    tried = []
    again = until(lambda: tried.append(cancelled(len(tried))) or tried[-1], bool)
    holds(until(lambda: events().describe_replay(ReplayName=again), lambda told: told["State"] == "CANCELLED"), ReplayName=again, EventSourceArn=archive)
    found, count = pages(events().list_replays, "Replays", "NextToken", "NextToken", NamePrefix=name, Limit=1)
    equal((len(found), count, {r["EventSourceArn"] for r in found}, found[0]["ReplayName"]), (1 + len(tried), 1 + len(tried), {archive}, name))
    assert again in names(pages(events().list_replays, "Replays", "NextToken", "NextToken", State="CANCELLED")[0], "ReplayName")
    assert name in names(pages(events().list_replays, "Replays", "NextToken", "NextToken", EventSourceArn=archive)[0], "ReplayName")
    equal(events().list_replays(NamePrefix=GONE)["Replays"], [])
    refused("ValidationException", "state", events().list_replays, State="ASLEEP")
    for call in (events().describe_replay, events().cancel_replay):
        refused("ResourceNotFoundException", f"Replay {GONE} does not exist", call, ReplayName=GONE)
    events().delete_archive(ArchiveName=source)


@operations("events", "CreateConnection", "DescribeConnection", "UpdateConnection", "ListConnections", "DeauthorizeConnection", "DeleteConnection")
def connections():
    name = named("connection")
    made = events().create_connection(Name=name, AuthorizationType="API_KEY", AuthParameters=API_KEY, Description="one")
    assert made["ConnectionArn"].startswith(f"arn:aws:events:{REGION}:{ACCOUNT}:connection/{name}/"), made
    found = events().describe_connection(Name=name)
    holds(found, Name=name, ConnectionArn=made["ConnectionArn"], ConnectionState="AUTHORIZED", AuthorizationType="API_KEY", Description="one",
          AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "x-key"}})
    assert ":secret:events!connection/" in found["SecretArn"], found
    basic = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}
    equal(events().update_connection(Name=name, AuthorizationType="BASIC", AuthParameters=basic)["ConnectionArn"], made["ConnectionArn"])
    holds(events().describe_connection(Name=name), AuthorizationType="BASIC", AuthParameters={"BasicAuthParameters": {"Username": "u"}})
    equal([(c["Name"], c["AuthorizationType"]) for c in events().list_connections(NamePrefix=name)["Connections"]], [(name, "BASIC")])
    events().deauthorize_connection(Name=name)
    equal(events().describe_connection(Name=name)["ConnectionState"], "DEAUTHORIZED")
    refused("ResourceAlreadyExistsException", name, events().create_connection, Name=name, AuthorizationType="API_KEY", AuthParameters=API_KEY)
    refused("ValidationException", "authorizationType", events().create_connection, Name=named("c"), AuthorizationType="NONE", AuthParameters=API_KEY)
    refused("ValidationException", "connectionState", events().list_connections, ConnectionState="ASLEEP")
    for call in (events().describe_connection, events().update_connection, events().deauthorize_connection, events().delete_connection):
        refused("ResourceNotFoundException", GONE, call, Name=GONE)
    events().delete_connection(Name=name)
    equal(events().list_connections(NamePrefix=name)["Connections"], [])


@operations("events", "TagResource", "UntagResource", "ListTagsForResource")
def tags():
    name = named("rule")
    arn = events().put_rule(Name=name, EventPattern=pattern(name), Tags=[{"Key": "a", "Value": "1"}])["RuleArn"]
    events().tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    equal(sorted(events().list_tags_for_resource(ResourceARN=arn)["Tags"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    events().untag_resource(ResourceARN=arn, TagKeys=["a", "never"])
    equal(events().list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "b", "Value": ""}])
    for call, given in ((events().tag_resource, {"Tags": [{"Key": "a", "Value": "1"}]}), (events().untag_resource, {"TagKeys": ["a"]}),
                        (events().list_tags_for_resource, {})):
        refused("ResourceNotFoundException", GONE, call, ResourceARN=arn.replace(name, GONE), **given)


@operations("events", "CreateApiDestination", "DescribeApiDestination", "UpdateApiDestination", "ListApiDestinations", "DeleteApiDestination")
def api_destinations():
    connection = events().create_connection(Name=named("connection"), AuthorizationType="API_KEY", AuthParameters=API_KEY)["ConnectionArn"]
    name = named("destination")
    given = {"Name": name, "ConnectionArn": connection, "InvocationEndpoint": "https://example.com/a/*", "HttpMethod": "PUT"}
    made = events().create_api_destination(**given, Description="one")
    equal(made["ApiDestinationState"], "ACTIVE")
    assert made["ApiDestinationArn"].startswith(f"arn:aws:events:{REGION}:{ACCOUNT}:api-destination/{name}/"), made
    holds(events().describe_api_destination(Name=name), **given, ApiDestinationArn=made["ApiDestinationArn"], Description="one",
          ApiDestinationState="ACTIVE", InvocationRateLimitPerSecond=300)
    equal(events().update_api_destination(Name=name, InvocationRateLimitPerSecond=5)["ApiDestinationArn"], made["ApiDestinationArn"])
    holds(events().describe_api_destination(Name=name), **given, InvocationRateLimitPerSecond=5, Description="one")
    second = name + "-2"
    events().create_api_destination(**{**given, "Name": second})
    found, count = pages(events().list_api_destinations, "ApiDestinations", "NextToken", "NextToken", ConnectionArn=connection, Limit=1)
    equal((names(found, "Name"), count), ([name, second], 2))
    refused("ResourceAlreadyExistsException", f"An api-destination '{name}' already exists", events().create_api_destination, **given)
    refused("ResourceNotFoundException", "does not exist", events().create_api_destination,
            **{**given, "Name": named("d"), "ConnectionArn": connection[:-1] + "x"})
    refused("ValidationException", "httpMethod", events().create_api_destination, **{**given, "Name": named("d"), "HttpMethod": "TRACE"})
    refused("ValidationException", "InvocationEndpoint", events().update_api_destination, Name=name, InvocationEndpoint="ftp://h/")
    refused("ValidationException", "limit", events().list_api_destinations, Limit=101)
    events().deauthorize_connection(Name=connection.split("/")[1])
    equal(events().describe_api_destination(Name=name)["ApiDestinationState"], "INACTIVE")
    for destination in (name, second):
        events().delete_api_destination(Name=destination)
    for call in (events().describe_api_destination, events().update_api_destination, events().delete_api_destination):
        refused("ResourceNotFoundException", f"An api-destination '{GONE}' does not exist", call, Name=GONE)
    equal(events().list_api_destinations(ConnectionArn=connection)["ApiDestinations"], [])


@operations("events", "PutEvents", "PutTargets")
def called_destinations():
    """A rule posts its events, with the connection's key and the event's values, and what is refused goes to the dead-letter queue."""
    with serving() as (address, seen):
        connection = events().create_connection(Name=named("connection"), AuthorizationType="API_KEY", AuthParameters=API_KEY)["ConnectionArn"]
        name = named("rule")
        events().put_rule(Name=name, EventPattern=pattern(name))
        dead, dead_arn = queue()
        targets = []
        for path in ("taken/*", "refused"):
            arn = events().create_api_destination(Name=named("d"), ConnectionArn=connection, InvocationEndpoint=f"{address}/{path}",
                                                  HttpMethod="POST")["ApiDestinationArn"]
            targets.append({"Id": path[:5], "Arn": arn, "RoleArn": role("events"), "DeadLetterConfig": {"Arn": dead_arn}})
        targets[0]["HttpParameters"] = {"PathParameterValues": ["$.detail.id"], "HeaderParameters": {"x-state": "$.detail.state"}}
        events().put_targets(Rule=name, Targets=targets)
        put = events().put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": json.dumps({"id": "7", "state": "done"})}])
        equal(put["FailedEntryCount"], 0)
        message = until(lambda: client("sqs").receive_message(QueueUrl=dead, WaitTimeSeconds=20, MessageAttributeNames=["All"]).get("Messages"), bool)[0]
        attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
        holds(attributes, TARGET_ARN=targets[1]["Arn"], ERROR_CODE="SDK_CLIENT_ERROR", RETRY_ATTEMPTS="0")
        assert "HTTP status code 400" in attributes["ERROR_MESSAGE"], attributes
        path, headers, body = until(lambda: [one for one in seen if one[0].startswith("/taken")], bool)[0]
        equal((path, headers["x-key"], headers["x-state"], headers["User-Agent"]), ("/taken/7", "secret", "done", "Amazon/EventBridge/ApiDestinations"))
        equal(json.loads(body)["detail"], {"id": "7", "state": "done"})
        refused("ValidationException", "RoleArn is required", events().put_targets, Rule=name, Targets=[{"Id": "n", "Arn": targets[0]["Arn"]}])
        refused("ValidationException", "HttpParameters", events().put_targets, Rule=name,
                Targets=[{"Id": "q", "Arn": dead_arn, "HttpParameters": {"HeaderParameters": {"a": "b"}}}])
        refused("ValidationException", "entries", events().put_events, Entries=[])


@operations("events", "TestEventPattern")
def patterns():
    """Source: EventBridge User Guide, "Comparison operators"; the messages are those of AWS's Event Ruler."""
    def matches(pattern, detail):
        event = {"id": "1", "detail-type": "t", "source": "s", "account": ACCOUNT, "time": "2020-01-01T00:00:00Z", "region": REGION, "resources": [], "detail": detail}
        return client("events").test_event_pattern(EventPattern=json.dumps({"detail": pattern}), Event=json.dumps(event))["Result"]

    for pattern, detail, wanted in (
            # What is in arrays within arrays is at the array's path; an empty array has nothing at its own.
            ({"a": ["x"]}, {"a": [["x"]]}, True), ({"a": [{"exists": True}]}, {"a": []}, False), ({"a": [{"exists": False}]}, {"a": []}, True),
            ({"a": [{"exists": True}]}, {"a": {"b": 1}}, False), ({"a": {"b": [{"exists": False}]}}, {"a": [{"b": 1}, {"c": 2}]}, False),
            ({"e": {"n": ["a"], "m": ["b"]}}, {"e": [{"n": "a", "m": "x"}, {"n": "z", "m": "b"}]}, False), ({"e": {"n": ["a"], "m": ["b"]}}, {"e": [{"n": "a", "m": "b"}]}, True),
            ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "z"}, True), ({"a": [{"anything-but": ["x", "y"]}]}, {}, False), ({"a": [{"anything-but": {"suffix": [".a", ".b"]}}]}, {"a": "x.b"}, False),
            ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5}, True), ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 0}, False), ({"a": [{"numeric": ["=", 3]}]}, {"a": "3"}, False),
            ({"a": [{"wildcard": "a\\*b"}]}, {"a": "a*b"}, True), ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.0.255"}, True),
            ({"a": ["k"], "$or": [{"x": [1]}, {"y": [{"numeric": [">", 5]}]}]}, {"a": "k", "y": 6}, True)):
        equal(matches(pattern, detail), wanted)
    for pattern, text in (({"anything-but": ["x", 1]}, "either all values are number or string"), ({"anything-but": [None]}, "start|null|boolean is not supported"),
                          ({"numeric": ["=", 1, "=", 2]}, "Too many elements in numeric expression"), ({"numeric": [">", 1, ">", 2]}, "Bad numeric range operator: >"),
                          ({"numeric": [">", 2, "<", 1]}, "Bottom must be less than top"), ({"numeric": [">", "5"]}, "Value of > must be numeric"),
                          ({"numeric": ["!=", 5]}, "Unrecognized numeric range operator: !="), ({"numeric": [">", 6e9]}, "between -5.0E9 and 5.0E9")):
        refused("InvalidEventPatternException", text, client("events").test_event_pattern, EventPattern=json.dumps({"detail": {"a": [pattern]}}), Event="{}")
