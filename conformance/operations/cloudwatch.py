"""CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Operations.html"""
import datetime
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, until

NOW = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
BEFORE, AFTER = NOW - datetime.timedelta(minutes=10), NOW + datetime.timedelta(minutes=10)


def cw():
    return client("cloudwatch")


def alarm(name, **more):
    return {"AlarmName": name, "Namespace": "ops", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold", **more}


@operations("cloudwatch", "PutMetricData", "ListMetrics", "GetMetricStatistics", "GetMetricData")
def metrics():
    space, at = named("space"), NOW - datetime.timedelta(minutes=5)
    side = [{"Name": "side", "Value": "left"}]
    cw().put_metric_data(Namespace=space, MetricData=[
        {"MetricName": "m", "Dimensions": side, "Timestamp": at, "Value": value, "Unit": "Count"} for value in (1.0, 3.0)]
        + [{"MetricName": "m", "Dimensions": side, "Timestamp": at, "Values": [5.0, 7.0], "Counts": [2.0, 1.0], "Unit": "Count"}])
    equal(cw().list_metrics(Namespace=space)["Metrics"], [{"Namespace": space, "MetricName": "m", "Dimensions": side}])
    equal(cw().list_metrics(Namespace=space, Dimensions=[{"Name": "side", "Value": "right"}])["Metrics"], [])
    at_all = {"Namespace": space, "MetricName": "m", "Dimensions": side, "StartTime": BEFORE, "EndTime": AFTER, "Period": 60}
    found = cw().get_metric_statistics(**at_all, Statistics=["Sum", "Average", "Minimum", "Maximum", "SampleCount"])
    equal([(p["Timestamp"], p["Sum"], p["Average"], p["Minimum"], p["Maximum"], p["SampleCount"], p["Unit"]) for p in found["Datapoints"]],
          [(at, 21.0, 4.2, 1.0, 7.0, 5.0, "Count")])
    metric = {"Metric": {"Namespace": space, "MetricName": "m", "Dimensions": side}, "Period": 60, "Stat": "Maximum"}
    got = cw().get_metric_data(MetricDataQueries=[{"Id": "a", "MetricStat": metric, "Label": "top"}], StartTime=BEFORE, EndTime=AFTER)["MetricDataResults"]
    equal([(r["Id"], r["Label"], r["Timestamps"], r["Values"], r["StatusCode"]) for r in got], [("a", "top", [at], [7.0], "Complete")])
    refused("InvalidParameterValue", "Namespace", cw().put_metric_data, Namespace="AWS/EC2", MetricData=[{"MetricName": "m", "Value": 1.0}])
    refused("InvalidParameterCombination", "", cw().put_metric_data, Namespace=space,
            MetricData=[{"MetricName": "m", "Value": 1.0, "Values": [1.0]}])
    refused("InvalidParameterValue", "StartTime", cw().get_metric_statistics, **{**at_all, "StartTime": AFTER, "EndTime": BEFORE}, Statistics=["Sum"])
    refused("InvalidParameterValue", "Period", cw().get_metric_statistics, **{**at_all, "Period": 61}, Statistics=["Sum"])
    refused("ValidationException", "MetricDataQueries.member.1.Id", cw().get_metric_data, MetricDataQueries=[{"Id": "A", "MetricStat": metric}], StartTime=BEFORE, EndTime=AFTER)
    denied("AccessDeniedException", "cloudwatch:ListMetrics", "list_metrics")


def stat(space, metric, name="Sum", **dimensions):
    dimensions = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Metric": {"Namespace": space, "MetricName": metric, "Dimensions": dimensions}, "Period": 60, "Stat": name}


def put_series(space, series):
    """Values of the minutes from BEFORE on, by metric and the value of the dimension `side`; `None` where there is none."""
    data = [{"MetricName": metric, "Dimensions": [{"Name": "side", "Value": side}], "Timestamp": BEFORE + datetime.timedelta(minutes=n), "Value": value}
            for (metric, side), values in series.items() for n, value in enumerate(values) if value is not None]
    cw().put_metric_data(Namespace=space, MetricData=data)


@operations("cloudwatch", "GetMetricData")
def expressions():
    space = named("space")
    put_series(space, {("errors", "left"): [1.0, None, 3.0], ("calls", "left"): [2.0, 4.0, 4.0], ("errors", "right"): [5.0, 5.0, None]})
    queries = [{"Id": "errors", "MetricStat": stat(space, "errors", side="left"), "ReturnData": False},
               {"Id": "calls", "MetricStat": stat(space, "calls", side="left"), "ReturnData": False}]
    end = BEFORE + datetime.timedelta(minutes=3)

    def ask(*expressions, **more):
        asked = [{"Id": f"e{n}", "Expression": text} for n, text in enumerate(expressions)]
        return cw().get_metric_data(MetricDataQueries=queries + asked, StartTime=BEFORE, EndTime=end, ScanBy="TimestampAscending", **more)["MetricDataResults"]

    def values(*expressions):
        return [result["Values"] for result in ask(*expressions)]

    found = ask("100 * errors / calls")
    equal([(r["Id"], r["Label"], r["Timestamps"], r["Values"]) for r in found],
          [("e0", "e0", [BEFORE + datetime.timedelta(minutes=n) for n in range(3)], [50.0, 0.0, 75.0])])
    equal(values("e1 + 1", "SUM(METRICS())"), [[4.0, 5.0, 8.0], [3.0, 4.0, 7.0]])
    equal(values("FILL(errors, 7)", "FILL(errors, LINEAR)", "IF(calls > 3, 1, 0)", "RATE(calls) * PERIOD(calls)"),
          [[1.0, 7.0, 3.0], [1.0, 2.0, 3.0], [0.0, 1.0, 1.0], [2.0, 0.0]])
    equal(values("SORT(METRICS(), MAX, DESC)"), [[2.0, 4.0, 4.0], [1.0, 3.0]])
    search = f"SEARCH('{{{space},side}} MetricName=\"errors\"', 'Sum', 60)"
    equal([(r["Id"], r["Label"], r["Values"]) for r in ask(search)], [("e0", "left", [1.0, 3.0]), ("e0", "right", [5.0, 5.0])])
    equal(values(f"SUM({search})"), [[6.0, 5.0, 3.0]])
    equal(len(ask(f"SEARCH('{{{space},side}} errors OR calls', 'Sum', 60)")), 3)
    equal(len(ask(f"SEARCH('{{{space},side}} errors NOT left', 'Sum', 60)")), 1)
    for text, said in (("FOO(errors)", "FOO"), ("errors +", "Syntax"), ("nothing", "nothing"), ("AVG(errors)", "scalar"), ("e0", "itself"),
                       ("METRICS() > [errors]", ">"), ("SEARCH('', 'Sum', 60)", "search"), ("SEARCH('errors', 'Sum')", "period")):
        refused("ValidationException", said, lambda: ask(text))
    for text, said in (("ANOMALY_DETECTION_BAND(errors)", "ANOMALY_DETECTION_BAND"), ("SELECT AVG(errors) FROM x", "SELECT"), ("STDDEV(errors) * errors", "STDDEV")):
        refused("NotImplemented", said, lambda: ask(text))


@operations("cloudwatch", "PutMetricAlarm", "DescribeAlarms")
def alarms_on_expressions():
    space, name = named("space"), named("alarm")
    minute = NOW - datetime.timedelta(minutes=2)
    for metric, value in (("errors", 3.0), ("calls", 4.0)):
        for n in range(3):
            cw().put_metric_data(Namespace=space, MetricData=[{"MetricName": metric, "Timestamp": minute + datetime.timedelta(minutes=n), "Value": value}])
    metrics = [{"Id": "rate", "Expression": "100 * errors / calls", "Label": "error rate", "ReturnData": True},
               {"Id": "errors", "MetricStat": stat(space, "errors"), "ReturnData": False}, {"Id": "calls", "MetricStat": stat(space, "calls"), "ReturnData": False}]
    given = {"AlarmName": name, "EvaluationPeriods": 1, "Threshold": 50.0, "ComparisonOperator": "GreaterThanThreshold", "Metrics": metrics}
    cw().put_metric_alarm(**given)
    found = until(lambda: cw().describe_alarms(AlarmNames=[name])["MetricAlarms"][0], lambda alarm: alarm["StateValue"] == "ALARM")
    equal([(m["Id"], m.get("Expression"), m["ReturnData"]) for m in found["Metrics"]],
          [("rate", "100 * errors / calls", True), ("errors", None, False), ("calls", None, False)])
    equal([name for name in ("MetricName", "Namespace", "Period", "Statistic") if name in found], [])
    assert "75.0" in found["StateReason"], found["StateReason"]
    event = json.loads(found["StateReasonData"])
    equal((event["period"], event["recentDatapoints"]), (60, [75.0]))

    def put(change=None, **more):
        changed = [{**metric, **(change or {}).get(metric["Id"], {})} for metric in metrics]
        return cw().put_metric_alarm(**{**given, "Metrics": changed, **more})

    refused("ValidationException", "Exactly one element of the metrics list should return data.", put, change={"errors": {"ReturnData": True}})
    refused("ValidationException", "nothing", put, change={"rate": {"Expression": "nothing + errors"}})
    refused("ValidationException", "single", put, change={"rate": {"Expression": "METRICS()"}})
    refused("ValidationException", "SEARCH", put, change={"rate": {"Expression": "SUM(SEARCH('errors', 'Sum', 60))"}})
    refused("InvalidParameterCombination", "MetricName", put, MetricName="m")
    refused("NotImplemented", "ANOMALY_DETECTION_BAND", put, change={"rate": {"Expression": "ANOMALY_DETECTION_BAND(errors)"}})
    refused("ValidationException", "stateValue", cw().describe_alarms, StateValue="ASLEEP")
    cw().delete_alarms(AlarmNames=[name])


@operations("cloudwatch", "PutMetricAlarm", "DescribeAlarms", "DescribeAlarmsForMetric", "SetAlarmState", "DescribeAlarmHistory",
            "EnableAlarmActions", "DisableAlarmActions", "DeleteAlarms", "PutCompositeAlarm")
def alarms():
    name, topic = named("alarm"), client("sns").create_topic(Name=named("topic"))["TopicArn"]
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
    cw().put_metric_alarm(**alarm(name, AlarmDescription="d", AlarmActions=[topic], MetricName=name))
    found = cw().describe_alarms(AlarmNames=[name])["MetricAlarms"]
    equal(len(found), 1)
    holds(found[0], AlarmName=name, AlarmArn=arn, AlarmDescription="d", ActionsEnabled=True, AlarmActions=[topic], OKActions=[], StateValue="INSUFFICIENT_DATA",
          Namespace="ops", MetricName=name, Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold")
    equal(names(cw().describe_alarms_for_metric(Namespace="ops", MetricName=name)["MetricAlarms"], "AlarmName"), [name])
    equal(cw().describe_alarms_for_metric(Namespace="ops", MetricName=name, Statistic="Average")["MetricAlarms"], [])
    cw().disable_alarm_actions(AlarmNames=[name])
    equal(cw().describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["ActionsEnabled"], False)
    cw().enable_alarm_actions(AlarmNames=[name])
    equal(cw().describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["ActionsEnabled"], True)
    cw().set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")
    holds(cw().describe_alarms(AlarmNames=[name], StateValue="ALARM")["MetricAlarms"][0], StateValue="ALARM", StateReason="by hand")
    history = cw().describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    state = json.loads(history[0]["HistoryData"])
    equal((history[0]["AlarmName"], state["oldState"]["stateValue"], state["newState"]["stateValue"]), (name, "INSUFFICIENT_DATA", "ALARM"))
    both = name + "-both"
    cw().put_composite_alarm(AlarmName=both, AlarmRule=f'ALARM("{name}")')
    equal([(a["AlarmName"], a["AlarmRule"]) for a in cw().describe_alarms(AlarmNames=[both], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]],
          [(both, f'ALARM("{name}")')])
    found, count = pages(cw().describe_alarms, "MetricAlarms", "NextToken", "NextToken", AlarmNamePrefix=name, MaxRecords=1)
    equal((names(found, "AlarmName"), count >= 1), ([name], True))
    refused("ResourceNotFound", "nothing-here", cw().set_alarm_state, AlarmName="nothing-here", StateValue="OK", StateReason="x")
    refused("InvalidFormat", "", cw().set_alarm_state, AlarmName=name, StateValue="OK", StateReason="x", StateReasonData="not json")
    refused("ValidationException", "", cw().put_metric_alarm, **alarm(name, Period=61))
    refused("InvalidParameterValue", "AlarmRule", cw().put_composite_alarm, AlarmName=both, AlarmRule="SHOUT(x)")
    refused("ValidationException", "stateValue", cw().describe_alarms, StateValue="ASLEEP")
    refused("ValidationException", "metricName", cw().describe_alarms_for_metric, Namespace="ops")
    refused("ValidationException", "maxRecords", cw().describe_alarm_history, MaxRecords=0)
    for call in (cw().enable_alarm_actions, cw().disable_alarm_actions):
        refused("ValidationException", "alarmNames", call, AlarmNames=["x" * 256])
    refused("ValidationException", f"Cannot delete {name} as there are composite alarm(s) depending on it", cw().delete_alarms, AlarmNames=[name])
    cw().delete_alarms(AlarmNames=[both])
    # Names of no alarm are passed over.
    cw().delete_alarms(AlarmNames=[name, both])
    equal(cw().describe_alarms(AlarmNamePrefix=name)["MetricAlarms"], [])


@operations("cloudwatch", "PutDashboard", "GetDashboard", "ListDashboards", "DeleteDashboards")
def dashboards():
    name, body = named("board"), json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "hello"}}]})
    equal(cw().put_dashboard(DashboardName=name, DashboardBody=body)["DashboardValidationMessages"], [])
    arn = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}"
    holds(cw().get_dashboard(DashboardName=name), DashboardName=name, DashboardArn=arn, DashboardBody=body)
    equal([(d["DashboardName"], d["DashboardArn"]) for d in cw().list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]], [(name, arn)])
    refused("InvalidParameterInput", "", cw().put_dashboard, DashboardName=name, DashboardBody="not json")
    denied("AccessDeniedException", "cloudwatch:ListDashboards", "list_dashboards")
    cw().delete_dashboards(DashboardNames=[name])
    equal(cw().list_dashboards(DashboardNamePrefix=name)["DashboardEntries"], [])
    for call, given in ((cw().get_dashboard, {"DashboardName": name}), (cw().delete_dashboards, {"DashboardNames": [name]})):
        refused("ResourceNotFound", name, call, **given)


@operations("cloudwatch", "TagResource", "UntagResource", "ListTagsForResource")
def tags():
    name = named("alarm")
    cw().put_metric_alarm(**alarm(name, Tags=[{"Key": "a", "Value": "1"}]))
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
    cw().tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    equal(sorted(cw().list_tags_for_resource(ResourceARN=arn)["Tags"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    cw().untag_resource(ResourceARN=arn, TagKeys=["a", "never"])
    equal(cw().list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "b", "Value": ""}])
    no = arn.replace(name, "nothing-here")
    for call, given in ((cw().tag_resource, {"Tags": [{"Key": "a", "Value": "1"}]}), (cw().untag_resource, {"TagKeys": ["a"]}), (cw().list_tags_for_resource, {})):
        refused("ResourceNotFoundException", "nothing-here", call, ResourceARN=no, **given)


@operations("cloudwatch", "PutCompositeAlarm")
def suppressed_actions():
    name, topic = named("alarm"), client("sns").create_topic(Name=named("topic"))["TopicArn"]
    url = client("sqs").create_queue(QueueName=named("queue"))["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": allow})})
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    cause, holder, both = name + "-cause", name + "-holder", name + "-both"
    for one in (cause, holder):
        cw().put_metric_alarm(**alarm(one, MetricName=one, TreatMissingData="ignore"))
    given = {"AlarmName": both, "AlarmRule": f"ALARM({cause})", "AlarmActions": [topic], "ActionsSuppressor": holder}
    cw().put_composite_alarm(**given, ActionsSuppressorWaitPeriod=0, ActionsSuppressorExtensionPeriod=1)

    def seen():
        return cw().describe_alarms(AlarmNames=[both], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]

    holds(seen(), ActionsSuppressor=holder, ActionsSuppressorWaitPeriod=0, ActionsSuppressorExtensionPeriod=1, ActionsSuppressedBy=None)
    cw().set_alarm_state(AlarmName=holder, StateValue="ALARM", StateReason="by hand")
    until(seen, lambda found: found.get("ActionsSuppressedBy") == "Alarm")
    cw().set_alarm_state(AlarmName=cause, StateValue="ALARM", StateReason="by hand")
    until(seen, lambda found: found["StateValue"] == "ALARM")
    equal(client("sqs").receive_message(QueueUrl=url).get("Messages"), None)
    cw().set_alarm_state(AlarmName=holder, StateValue="OK", StateReason="by hand")
    told = client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages") or client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    equal(json.loads(json.loads(told[0]["Body"])["Message"])["AlarmName"], both)
    holds(seen(), ActionsSuppressedBy=None, StateValue="ALARM")
    refused("ValidationException", "required", cw().put_composite_alarm, **given)
    refused("ValidationException", "does not exist", cw().put_composite_alarm, **{**given, "ActionsSuppressor": "nobody"}, ActionsSuppressorWaitPeriod=1, ActionsSuppressorExtensionPeriod=1)


@operations("cloudwatch", "PutMetricData", "GetMetricStatistics", "GetMetricData", "PutMetricAlarm", "DescribeAlarms")
def high_resolution():
    """Source: CloudWatch User Guide, "High-resolution metrics": what is kept by the second can be asked for in periods of 1, 5, 10 and 30 seconds, and
    alarmed on every 10 seconds."""
    space, at = named("space"), NOW - datetime.timedelta(minutes=5)

    def put(second, value, resolution=1, metric="fine"):
        cw().put_metric_data(Namespace=space, MetricData=[
            {"MetricName": metric, "Timestamp": at + datetime.timedelta(seconds=second), "Value": value, "StorageResolution": resolution}])

    for second, value in ((0, 1.0), (3, 2.0), (12, 4.0), (61, 8.0)):
        put(second, value)
        put(second, value, 60, "coarse")
    span = {"StartTime": at, "EndTime": at + datetime.timedelta(seconds=90)}

    def sums(metric, period):
        points = cw().get_metric_statistics(Namespace=space, MetricName=metric, Period=period, Statistics=["Sum"], **span)["Datapoints"]
        return [(int((p["Timestamp"] - at).total_seconds()), p["Sum"]) for p in sorted(points, key=lambda p: p["Timestamp"])]

    equal(sums("fine", 1), [(0, 1.0), (3, 2.0), (12, 4.0), (61, 8.0)])
    equal(sums("fine", 5), [(0, 3.0), (10, 4.0), (60, 8.0)])
    equal(sums("fine", 10), [(0, 3.0), (10, 4.0), (60, 8.0)])
    equal(sums("fine", 30), [(0, 7.0), (60, 8.0)])
    equal(sums("fine", 60), [(0, 7.0), (60, 8.0)])
    equal(sums("coarse", 10), [])
    equal(sums("coarse", 60), [(0, 7.0), (60, 8.0)])
    metric = {"Metric": {"Namespace": space, "MetricName": "fine"}, "Period": 30, "Stat": "Sum"}
    got = cw().get_metric_data(MetricDataQueries=[{"Id": "m", "MetricStat": metric, "ReturnData": False}, {"Id": "e", "Expression": "m / PERIOD(m)"}],
                               ScanBy="TimestampAscending", **span)["MetricDataResults"]
    equal(got[0]["Values"], [7.0 / 30, 8.0 / 30])
    refused("InvalidParameterValue", "StorageResolution", cw().put_metric_data, Namespace=space, MetricData=[{"MetricName": "m", "Value": 1.0, "StorageResolution": 30}])
    refused("InvalidParameterValue", "Period", cw().get_metric_statistics, Namespace=space, MetricName="fine", Period=15, Statistics=["Sum"], **span)
    wanted = {**alarm(named("fast")), "Namespace": space, "MetricName": "now", "Period": 10, "EvaluationPeriods": 2, "DatapointsToAlarm": 1}
    cw().put_metric_alarm(**wanted)
    cw().put_metric_data(Namespace=space, MetricData=[{"MetricName": "now", "Value": 5.0, "StorageResolution": 1}])
    seen = until(lambda: cw().describe_alarms(AlarmNames=[wanted["AlarmName"]])["MetricAlarms"][0], lambda a: a["StateValue"] == "ALARM")
    holds(seen, Period=10)
    refused("ValidationException", "Metric alarm period must be 10, 20, 30 or a multiple of 60", cw().put_metric_alarm, **{**wanted, "Period": 5})
    refused("ValidationException", "a day", cw().put_metric_alarm, **{**wanted, "EvaluationPeriods": 8641})
    refused("ValidationException", "", cw().describe_alarms, MaxRecords=0)
    refused("InvalidParameterValue", "Period must be 1, 5, 10, 20, 30", cw().get_metric_data, StartTime=at, EndTime=NOW,
            MetricDataQueries=[{"Id": "m", "MetricStat": {**metric, "Period": 15}}])
    cw().delete_alarms(AlarmNames=[wanted["AlarmName"]])
