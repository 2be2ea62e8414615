"""What Lakerun tells besides AWS: models/lakerun.json."""
import datetime

from harness import client, equal, named, operations, refused, role, until


def lakerun():
    return client("lakerun")


def gaps(times):
    return {(after - before).total_seconds() for before, after in zip(times, times[1:])}


@operations("lakerun", "ListScheduleTimes", "ListRuleTimes")
def times():
    name = named("times")
    client("scheduler").create_schedule(Name=name, ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"},
                                        Target={"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": role("scheduler")})
    client("events").put_rule(Name=name, ScheduleExpression="cron(30 5 * * ? *)")
    now = datetime.datetime.now(datetime.timezone.utc)
    found = lakerun().list_schedule_times(Name=name, MaxResults=3)["Times"]
    equal((len(found), gaps(found), found[0] > now), (3, {3600.0}, True))
    found = lakerun().list_rule_times(Name=name)["Times"]
    equal((len(found), {(t.astimezone(datetime.timezone.utc).hour, t.minute) for t in found}, gaps(found)), (10, {(5, 30)}, {86400.0}))
    # A rule of events has no times.
    client("events").put_rule(Name=name + "-e", EventPattern='{"source": ["a"]}')
    equal(lakerun().list_rule_times(Name=name + "-e")["Times"], [])
    refused("ResourceNotFoundException", "nothing-here", lakerun().list_schedule_times, Name="nothing-here")
    refused("ResourceNotFoundException", "nothing-here", lakerun().list_rule_times, Name="nothing-here")
    refused("ValidationException", "maxResults", lakerun().list_schedule_times, Name=name, MaxResults=101)


@operations("lakerun", "NotifyWorkflow")
def notify_workflow():
    """What a rule's target that is a workflow of Glue calls; without a trigger of type EVENT there is none to tell."""
    glue, name = client("glue"), named("events")
    glue.create_workflow(Name=name)
    refused("EntityNotFoundException", name, lakerun().notify_workflow, Name=name, EventId="e1")
    of = {"Name": named("start"), "Type": "EVENT", "Actions": [{"JobName": "none"}], "EventBatchingCondition": {"BatchSize": 2}}
    refused("InvalidInputException", "WorkflowName", glue.create_trigger, **of)
    refused("InvalidInputException", "EventBatchingCondition", glue.create_trigger, **{**of, "Type": "ON_DEMAND"})
    glue.create_trigger(WorkflowName=name, **of)
    lakerun().notify_workflow(Name=name, EventId="e1")
    equal(glue.get_workflow_runs(Name=name)["Runs"], [])
    lakerun().notify_workflow(Name=name, EventId="e2")
    run = glue.get_workflow_runs(Name=name)["Runs"][0]
    equal((run["WorkflowRunProperties"], run["StartingEventBatchCondition"]), ({"aws:eventIds": "[e1, e2]"}, {"BatchSize": 2, "BatchWindow": 0}))
    # The job is not there: an errored action, which the graph explains.
    node = next(n for n in glue.get_workflow_run(Name=name, RunId=run["WorkflowRunId"], IncludeGraph=True)["Run"]["Graph"]["Nodes"] if n["Type"] == "JOB")
    equal((node["JobDetails"]["JobRuns"][0]["JobRunState"], "EntityNotFoundException" in node["JobDetails"]["JobRuns"][0]["ErrorMessage"]), ("ERROR", True))
    glue.stop_trigger(Name=of["Name"])
    refused("InvalidInputException", "DEACTIVATED", lakerun().notify_workflow, Name=name, EventId="e3")
    refused("EntityNotFoundException", "nothing-here", lakerun().notify_workflow, Name="nothing-here", EventId="e1")


@operations("lakerun", "RenameTable", "DeleteTable")
def tables():
    """What ALTER TABLE RENAME TO and DROP TABLE of queries call: one step each, on the state of the table that the caller knows."""
    glue, db = client("glue"), named("renamed").replace("-", "_")
    glue.create_database(DatabaseInput={"Name": db})
    key = [{"Name": "day", "Type": "string"}]
    glue.create_table(DatabaseName=db, TableInput={"Name": "t", "PartitionKeys": key})
    glue.create_partition(DatabaseName=db, TableName="t", PartitionInput={"Values": ["1"]})
    version = glue.get_table(DatabaseName=db, Name="t")["Table"]["VersionId"]
    refused("ConcurrentModificationException", "changed", lakerun().rename_table, DatabaseName=db, Name="t", NewName="u", VersionId="99")
    refused("ConcurrentModificationException", "changed", lakerun().delete_table, DatabaseName=db, Name="t", VersionId="99")
    refused("EntityNotFoundException", "", lakerun().rename_table, DatabaseName=db, Name="none", NewName="u", VersionId=version)
    refused("EntityNotFoundException", "", lakerun().delete_table, DatabaseName=db, Name="none", VersionId=version)
    refused("AlreadyExistsException", "", lakerun().rename_table, DatabaseName=db, Name="t", NewName="t", VersionId=version)
    lakerun().rename_table(DatabaseName=db, Name="t", NewName="u", VersionId=version)
    equal([p["TableName"] for p in glue.get_partitions(DatabaseName=db, TableName="u")["Partitions"]], ["u"])
    version = glue.get_table(DatabaseName=db, Name="u")["Table"]["VersionId"]
    lakerun().delete_table(DatabaseName=db, Name="u", VersionId=version)
    refused("EntityNotFoundException", "", glue.get_table, DatabaseName=db, Name="u")


@operations("lakerun", "ListDeliveries")
def deliveries():
    """How each message's way to each subscription went of late: what came, what failed for good, what is tried again."""
    sns, name = client("sns"), named("told")
    topic = sns.create_topic(Name=name)["TopicArn"]
    refused("ResourceNotFoundException", "nothing-here", lakerun().list_deliveries, TopicArn=topic.replace(name, "nothing-here"))
    equal(lakerun().list_deliveries(TopicArn=topic)["Deliveries"], [])
    client("sqs").create_queue(QueueName=name)
    queue = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    gone = queue + "-gone"
    subscribed = {end: sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=end, ReturnSubscriptionArn=True)["SubscriptionArn"] for end in (queue, gone)}
    message = sns.publish(TopicArn=topic, Message="hello")["MessageId"]
    found = until(lambda: {d["Endpoint"]: d for d in lakerun().list_deliveries(TopicArn=topic)["Deliveries"]}, lambda all: len(all) == 2)
    here = found[queue]
    equal((here["Status"], here["MessageId"], here["SubscriptionArn"], here["Protocol"], here["Attempts"], here["StatusCode"]),
          ("DELIVERED", message, subscribed[queue], "sqs", 1, 200))
    equal((found[gone]["Status"], "does not exist" in found[gone]["ProviderResponse"]), ("FAILED", True))
    equal((found[gone]["PublishedTime"] <= found[gone]["LastAttemptTime"], "NextAttemptTime" in found[gone]), (True, False))
    equal(len(lakerun().list_deliveries(TopicArn=topic, MaxResults=1)["Deliveries"]), 1)
    refused("ValidationException", "maxResults", lakerun().list_deliveries, TopicArn=topic, MaxResults=201)
