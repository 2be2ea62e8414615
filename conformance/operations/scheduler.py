"""EventBridge Scheduler: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html"""
from harness import ACCOUNT, REGION, client, equal, holds, named, names, operations, pages, refused, role, until


def scheduler():
    return client("scheduler")


def target(**more):
    return {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{named('q')}", "RoleArn": role("scheduler"), **more}


OFF = {"FlexibleTimeWindow": {"Mode": "OFF"}}


@operations("scheduler", "CreateSchedule", "GetSchedule", "UpdateSchedule", "ListSchedules", "DeleteSchedule")
def schedules():
    name, to = named("schedule"), target(Input="one")
    arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"
    equal(scheduler().create_schedule(Name=name, ScheduleExpression="rate(1 day)", Target=to, Description="d", State="DISABLED", **OFF)["ScheduleArn"], arn)
    found = scheduler().get_schedule(Name=name)
    holds(found, Arn=arn, Name=name, GroupName="default", ScheduleExpression="rate(1 day)", ScheduleExpressionTimezone="UTC", State="DISABLED",
          Description="d", ActionAfterCompletion="NONE", **OFF)
    holds(found["Target"], Arn=to["Arn"], RoleArn=to["RoleArn"], Input="one", RetryPolicy={"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185})
    scheduler().update_schedule(Name=name, ScheduleExpression="cron(0 5 * * ? *)", ScheduleExpressionTimezone="Europe/Berlin", Target=to,
                                FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15})
    found = scheduler().get_schedule(Name=name)
    # An update says all: what it does not name goes back to its default.
    holds(found, ScheduleExpression="cron(0 5 * * ? *)", ScheduleExpressionTimezone="Europe/Berlin", State="ENABLED", Description=None,
          FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15})
    second = name + "-2"
    scheduler().create_schedule(Name=second, ScheduleExpression="rate(1 hour)", Target=to, State="DISABLED", **OFF)
    found, count = pages(scheduler().list_schedules, "Schedules", "NextToken", "NextToken", NamePrefix=name, MaxResults=1)
    equal(([(s["Name"], s["State"], s["Target"]) for s in found], count),
          ([(name, "ENABLED", {"Arn": to["Arn"]}), (second, "DISABLED", {"Arn": to["Arn"]})], 2))
    equal(names(scheduler().list_schedules(NamePrefix=name, State="DISABLED")["Schedules"], "Name"), [second])
    more = {"Target": to, **OFF}
    refused("ConflictException", name, scheduler().create_schedule, Name=name, ScheduleExpression="rate(1 day)", **more)
    refused("ValidationException", "Invalid Schedule Expression", scheduler().create_schedule, Name=named("s"), ScheduleExpression="rate(0 days)", **more)
    refused("ValidationException", "Mars/Base", scheduler().create_schedule, Name=named("s"), ScheduleExpression="rate(1 day)",
            ScheduleExpressionTimezone="Mars/Base", **more)
    refused("ResourceNotFoundException", "nogroup", scheduler().create_schedule, Name=named("s"), GroupName="nogroup", ScheduleExpression="rate(1 day)", **more)
    refused("ResourceNotFoundException", "nogroup", scheduler().list_schedules, GroupName="nogroup")
    refused("ValidationException", "maxResults", scheduler().list_schedules, MaxResults=101)
    for schedule in (name, second):
        scheduler().delete_schedule(Name=schedule)
    equal(scheduler().list_schedules(NamePrefix=name)["Schedules"], [])
    for call, given in ((scheduler().get_schedule, {}), (scheduler().delete_schedule, {}), (scheduler().update_schedule, {"ScheduleExpression": "rate(1 day)", **more})):
        refused("ResourceNotFoundException", f"Schedule {name} does not exist", call, Name=name, **given)


@operations("scheduler", "CreateScheduleGroup", "GetScheduleGroup", "ListScheduleGroups", "DeleteScheduleGroup", "TagResource", "UntagResource",
            "ListTagsForResource")
def groups():
    name = named("group")
    arn = scheduler().create_schedule_group(Name=name, Tags=[{"Key": "a", "Value": "1"}])["ScheduleGroupArn"]
    equal(arn, f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{name}")
    holds(scheduler().get_schedule_group(Name=name), Arn=arn, Name=name, State="ACTIVE")
    scheduler().create_schedule(Name="s", GroupName=name, ScheduleExpression="rate(1 day)", Target=target(), State="DISABLED", **OFF)
    second = name + "-2"
    scheduler().create_schedule_group(Name=second)
    found, count = pages(scheduler().list_schedule_groups, "ScheduleGroups", "NextToken", "NextToken", NamePrefix=name, MaxResults=1)
    equal((names(found, "Name"), count), ([name, second], 2))
    assert "default" in names(scheduler().list_schedule_groups()["ScheduleGroups"], "Name")
    scheduler().tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    equal(sorted(scheduler().list_tags_for_resource(ResourceArn=arn)["Tags"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    scheduler().untag_resource(ResourceArn=arn, TagKeys=["a", "never"])
    equal(scheduler().list_tags_for_resource(ResourceArn=arn)["Tags"], [{"Key": "b", "Value": "3"}])
    refused("ConflictException", name, scheduler().create_schedule_group, Name=name)
    refused("ValidationException", "default", scheduler().delete_schedule_group, Name="default")
    refused("ValidationException", "maxResults", scheduler().list_schedule_groups, MaxResults=101)
    no = arn.replace(name, "nogroup")
    for call, given in ((scheduler().tag_resource, {"Tags": [{"Key": "a", "Value": "1"}]}), (scheduler().untag_resource, {"TagKeys": ["a"]}),
                        (scheduler().list_tags_for_resource, {})):
        refused("ResourceNotFoundException", "nogroup", call, ResourceArn=no, **given)
    for call in (scheduler().get_schedule_group, scheduler().delete_schedule_group):
        refused("ResourceNotFoundException", "nogroup", call, Name="nogroup")
    # A group goes with its schedules.
    scheduler().delete_schedule_group(Name=name)
    until(lambda: names(scheduler().list_schedule_groups(NamePrefix=name)["ScheduleGroups"], "Name"), lambda found: found == [second])
    refused("ResourceNotFoundException", "", scheduler().get_schedule, Name="s", GroupName=name)
