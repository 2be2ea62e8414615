"""EventBridge: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, client, equal, holds, named, names, operations, pages, refused, until

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
    events().create_event_bus(Name=second)
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
