//! The texts that tell of an alarm's change: event, message of a topic, payload of a function. Sources: CloudWatch User Guide,
//! "Alarm events and EventBridge", "Notifying users on alarm changes", "Lambda alarm actions"; messages seen on AWS.

use api_cloudwatch::MetricDataQuery;
use serde_json::{Value, json};
use wire::Timestamp;

use super::state::stamp;
use super::{AlarmRecord, State};

pub(super) fn history(state: &State) -> Value {
    json!({ "stateValue": state.value, "stateReason": state.reason, "stateReasonData": data(state) })
}

fn data(state: &State) -> Value {
    state.data.as_deref().and_then(|data| serde_json::from_str(data).ok()).unwrap_or(Value::Null)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()
        }
        other => other,
    }
}

fn seen(state: &State, at: Option<Timestamp>) -> Value {
    without_nulls(json!({
        "value": state.value,
        "reason": state.reason,
        "reasonData": state.data,
        "timestamp": at.map(|at| stamp(at.0)),
    }))
}

fn description(alarm: &AlarmRecord) -> Option<&str> {
    let metric = alarm.metric.as_ref().and_then(|m| m.alarm_description.as_deref());
    metric.or_else(|| alarm.composite.as_ref().and_then(|c| c.alarm_description.as_deref()))
}

fn configuration(alarm: &AlarmRecord) -> Value {
    let of_metric = alarm.metric.as_ref().map(|m| {
        if let Some(queries) = &m.metrics {
            return queries.iter().map(configured).collect();
        }
        let dimensions: serde_json::Map<_, _> =
            m.dimensions.iter().flatten().map(|d| (d.name.clone(), Value::String(d.value.clone()))).collect();
        let metric = json!({ "namespace": m.namespace, "name": m.metric_name, "dimensions": dimensions });
        let statistic = m.statistic.as_ref().or(m.extended_statistic.as_ref());
        let stat = json!({ "metric": metric, "period": m.period, "stat": statistic, "unit": m.unit });
        json!([{ "id": "m1", "metricStat": without_nulls(stat), "returnData": true }])
    });
    let rule = alarm.composite.as_ref().and_then(|c| c.alarm_rule.clone());
    without_nulls(json!({ "description": description(alarm), "metrics": of_metric, "alarmRule": rule }))
}

/// A query, as events tell of it.
fn configured(query: &MetricDataQuery) -> Value {
    let stat = query.metric_stat.as_ref().map(|stat| {
        let dimensions = stat.metric.dimensions.iter().flatten();
        let dimensions: serde_json::Map<_, _> =
            dimensions.map(|d| (d.name.clone(), Value::String(d.value.clone()))).collect();
        let metric =
            json!({ "namespace": stat.metric.namespace, "name": stat.metric.metric_name, "dimensions": dimensions });
        without_nulls(json!({ "metric": metric, "period": stat.period, "stat": stat.stat, "unit": stat.unit }))
    });
    without_nulls(json!({
        "id": query.id,
        "expression": query.expression,
        "label": query.label,
        "metricStat": stat,
        "period": query.period,
        "returnData": query.return_data != Some(false),
    }))
}

/// A query, as messages tell of it.
fn triggering(query: &MetricDataQuery) -> Value {
    let stat = query.metric_stat.as_ref().map(|stat| {
        let dimensions = stat.metric.dimensions.iter().flatten();
        let dimensions: Vec<Value> = dimensions.map(|d| json!({ "value": d.value, "name": d.name })).collect();
        without_nulls(json!({
            "Metric": {
                "Dimensions": dimensions, "MetricName": stat.metric.metric_name, "Namespace": stat.metric.namespace,
            },
            "Period": stat.period,
            "Stat": stat.stat,
            "Unit": stat.unit,
        }))
    });
    without_nulls(json!({
        "Expression": query.expression,
        "Id": query.id,
        "Label": query.label,
        "MetricStat": stat,
        "Period": query.period,
        "ReturnData": query.return_data != Some(false),
    }))
}

/// `CloudWatch Alarm State Change`.
pub(super) fn event(alarm: &AlarmRecord, before: &State, state: &State, now: Timestamp) -> jobs::event::Event {
    jobs::event::Event {
        account: alarm.home.0.clone(),
        region: alarm.home.1.clone(),
        time: now,
        source: "aws.cloudwatch".to_owned(),
        detail_type: "CloudWatch Alarm State Change".to_owned(),
        resources: vec![alarm.arn().to_owned()],
        detail: json!({
            "alarmName": alarm.name(),
            "state": seen(state, Some(now)),
            "previousState": seen(before, None),
            "configuration": configuration(alarm),
        }),
    }
}

/// What an action is told: a function the alarm's data, a topic the message.
pub(super) fn message(alarm: &AlarmRecord, action: &str, before: &State, state: &State, now: Timestamp) -> String {
    if action.contains(":lambda:") {
        return json!({
            "source": "aws.cloudwatch",
            "alarmArn": alarm.arn(),
            "accountId": alarm.home.0,
            "time": stamp(now.0),
            "region": alarm.home.1,
            "alarmData": {
                "alarmName": alarm.name(),
                "state": seen(state, Some(now)),
                "previousState": seen(before, None),
                "configuration": configuration(alarm),
            },
        })
        .to_string();
    }
    let updated = match (&alarm.metric, &alarm.composite) {
        (Some(m), _) => m.alarm_configuration_updated_timestamp,
        (None, c) => c.as_ref().and_then(|c| c.alarm_configuration_updated_timestamp),
    };
    let mut message = json!({
        "AlarmName": alarm.name(),
        "AlarmDescription": description(alarm),
        "AWSAccountId": alarm.home.0,
        "AlarmConfigurationUpdatedTimestamp": updated.map(|at| stamp(at.0)),
        "NewStateValue": state.value,
        "NewStateReason": state.reason,
        "StateChangeTime": stamp(now.0),
        "Region": region(&alarm.home.1),
        "AlarmArn": alarm.arn(),
        "OldStateValue": before.value,
        "OKActions": alarm.actions(Some("OK")),
        "AlarmActions": alarm.actions(Some("ALARM")),
        "InsufficientDataActions": alarm.actions(Some("INSUFFICIENT_DATA")),
    });
    if let Some(m) = &alarm.metric {
        let dimensions: Vec<Value> =
            m.dimensions.iter().flatten().map(|d| json!({ "value": d.value, "name": d.name })).collect();
        message["Trigger"] = json!({
            "MetricName": m.metric_name,
            "Namespace": m.namespace,
            "StatisticType": if m.statistic.is_some() { "Statistic" } else { "ExtendedStatistic" },
            "Statistic": m.statistic.as_ref().map(|s| if s == "SampleCount" { "SAMPLE_COUNT".to_owned() } else { s.to_uppercase() }).or_else(|| m.extended_statistic.clone()),
            "Unit": m.unit,
            "Dimensions": dimensions,
            "Period": m.period,
            "EvaluationPeriods": m.evaluation_periods,
            "DatapointsToAlarm": m.datapoints_to_alarm.or(m.evaluation_periods),
            "ComparisonOperator": m.comparison_operator,
            "Threshold": m.threshold,
            "TreatMissingData": m.treat_missing_data.as_deref().unwrap_or("missing"),
            "EvaluateLowSampleCountPercentile": m.evaluate_low_sample_count_percentile.clone().unwrap_or_default(),
        });
    }
    if let Some(m) = alarm.metric.as_ref()
        && let Some(queries) = &m.metrics
        && let Some(trigger) = message["Trigger"].as_object_mut()
    {
        let of_one_metric = ["MetricName", "Namespace", "StatisticType", "Statistic", "Unit", "Dimensions"];
        trigger.retain(|name, _| !of_one_metric.contains(&name.as_str()));
        trigger.insert("Period".to_owned(), json!(period(queries)));
        trigger.insert("Metrics".to_owned(), queries.iter().map(triggering).collect());
    }
    if let Some(c) = &alarm.composite {
        message["AlarmRule"] = json!(c.alarm_rule);
    }
    message.to_string()
}

fn period(queries: &[MetricDataQuery]) -> Option<i64> {
    super::math::Watched::read(queries).ok().map(|watched| watched.period)
}

/// A mail's subject; a topic's has at most 100 characters.
pub(super) fn subject(alarm: &AlarmRecord, state: &State) -> String {
    let text = format!("{}: \"{}\" in {}", state.value, alarm.name(), region(&alarm.home.1));
    text.chars().take(100).collect()
}

/// The names that messages have of regions.
fn region(code: &str) -> &str {
    match code {
        "us-east-1" => "US East (N. Virginia)",
        "us-east-2" => "US East (Ohio)",
        "us-west-1" => "US West (N. California)",
        "us-west-2" => "US West (Oregon)",
        "eu-west-1" => "EU (Ireland)",
        "eu-west-2" => "EU (London)",
        "eu-west-3" => "EU (Paris)",
        "eu-central-1" => "EU (Frankfurt)",
        "eu-north-1" => "EU (Stockholm)",
        "ap-northeast-1" => "Asia Pacific (Tokyo)",
        "ap-south-1" => "Asia Pacific (Mumbai)",
        "ap-southeast-1" => "Asia Pacific (Singapore)",
        "ap-southeast-2" => "Asia Pacific (Sydney)",
        "ca-central-1" => "Canada (Central)",
        "sa-east-1" => "South America (Sao Paulo)",
        other => other,
    }
}
