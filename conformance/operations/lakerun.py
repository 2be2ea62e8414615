"""What Lakerun tells besides AWS: models/lakerun.json."""
import datetime

from harness import client, equal, named, operations, refused, role


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
