//! Alarms: put, describe, set, delete; their history.

use std::collections::BTreeMap;

use api_cloudwatch::error::{
    invalid_parameter_combination_exception, invalid_parameter_value_exception, missing_required_parameter_exception,
    resource_not_found, resource_not_found_exception,
};
use api_cloudwatch::{
    AlarmHistoryItem, CompositeAlarm, DeleteAlarms, DeleteAlarmsInput, DescribeAlarmHistory, DescribeAlarmHistoryInput,
    DescribeAlarmHistoryOutput, DescribeAlarms, DescribeAlarmsForMetric, DescribeAlarmsForMetricInput,
    DescribeAlarmsForMetricOutput, DescribeAlarmsInput, DescribeAlarmsOutput, DisableAlarmActions,
    DisableAlarmActionsInput, EnableAlarmActions, EnableAlarmActionsInput, MetricAlarm, PutCompositeAlarm,
    PutCompositeAlarmInput, PutMetricAlarm, PutMetricAlarmInput, SetAlarmState, SetAlarmStateInput, Tag,
};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use store::Tx;
use wire::types::Empty;
use wire::{Error, Timestamp};

use crate::metrics::Metrics;
use crate::metrics::alarms::rule::Rule;
use crate::metrics::alarms::{AlarmRecord, State, act, alarms, history, math, note, watch};
use crate::metrics::read::is_period;
use crate::metrics::series::Home;
use crate::metrics::stat;

/// Source: API Reference, PutMetricAlarm: a day, and a week where the period is an hour or more.
const LONGEST_RANGE: i64 = 86_400;
const LONGEST_RANGE_OF_HOURS: i64 = 7 * 86_400;
const MAX_ACTIONS: usize = 5;
const PAGE: usize = 50;

fn tag_map(tags: Option<Vec<Tag>>) -> BTreeMap<String, String> {
    tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect()
}

fn begun() -> State {
    State { value: "INSUFFICIENT_DATA".to_owned(), reason: "Unchecked: Initial alarm creation".to_owned(), data: None }
}

fn check_actions(lists: [&Option<Vec<String>>; 3]) -> Result<(), Error> {
    for list in lists.into_iter().flatten() {
        if list.len() > MAX_ACTIONS {
            return Err(invalid_parameter_value_exception(format!(
                "An alarm has at most {MAX_ACTIONS} actions a state."
            )));
        }
        list.iter().try_for_each(|action| act::check(action))?;
    }
    Ok(())
}

#[async_trait]
impl Handle<PutMetricAlarm> for Metrics {
    async fn handle(&self, cx: &Cx, req: PutMetricAlarmInput) -> Result<Empty, Error> {
        check(&req)?;
        let tags = tag_map(req.tags);
        let alarm = MetricAlarm {
            alarm_arn: Some(cx.arn("cloudwatch", format!("alarm:{}", req.alarm_name))),
            alarm_name: Some(req.alarm_name),
            alarm_description: req.alarm_description,
            alarm_configuration_updated_timestamp: Some(Timestamp(cx.now())),
            actions_enabled: Some(req.actions_enabled.unwrap_or(true)),
            ok_actions: Some(req.ok_actions.unwrap_or_default()),
            alarm_actions: Some(req.alarm_actions.unwrap_or_default()),
            insufficient_data_actions: Some(req.insufficient_data_actions.unwrap_or_default()),
            metric_name: req.metric_name,
            namespace: req.namespace,
            statistic: req.statistic,
            extended_statistic: req.extended_statistic,
            dimensions: Some(req.dimensions.unwrap_or_default()),
            period: req.period,
            unit: req.unit,
            evaluation_periods: req.evaluation_periods,
            datapoints_to_alarm: req.datapoints_to_alarm,
            threshold: req.threshold,
            comparison_operator: req.comparison_operator,
            treat_missing_data: req.treat_missing_data,
            evaluate_low_sample_count_percentile: req.evaluate_low_sample_count_percentile,
            metrics: req.metrics.filter(|queries| !queries.is_empty()),
            ..MetricAlarm::default()
        };
        let record = AlarmRecord {
            version: 1,
            home: (cx.account().to_owned(), cx.region().to_owned()),
            metric: Some(alarm),
            composite: None,
            suppressed: None,
            tags,
        };
        self.put(cx, record).await
    }
}

fn check(req: &PutMetricAlarmInput) -> Result<(), Error> {
    if req.evaluate_low_sample_count_percentile.as_deref().is_some_and(|how| how != "evaluate") {
        return Err(Error::not_implemented("PutMetricAlarm: EvaluateLowSampleCountPercentile of ignore"));
    }
    let missing = |name: &str| missing_required_parameter_exception(format!("The parameter {name} is required."));
    req.comparison_operator.as_ref().ok_or_else(|| missing("ComparisonOperator"))?;
    req.threshold.ok_or_else(|| missing("Threshold"))?;
    let periods = i64::from(req.evaluation_periods.ok_or_else(|| missing("EvaluationPeriods"))?);
    let period = match &req.metrics {
        Some(queries) if !queries.is_empty() => math::check(req, queries)?,
        _ => check_metric(req)?,
    };
    if let Some(operator) = &req.comparison_operator
        && !["GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"]
            .contains(&operator.as_str())
    {
        return Err(Error::not_implemented(format!(
            "PutMetricAlarm: {operator}, which compares with an anomaly detection band"
        )));
    }
    if !is_period(period) || matches!(period, 1 | 5) {
        return Err(Error::validation("Metric alarm period must be 10, 20, 30 or a multiple of 60."));
    }
    let longest = if period >= 3600 { LONGEST_RANGE_OF_HOURS } else { LONGEST_RANGE };
    if period * periods > longest {
        return Err(Error::validation(format!(
            "Metrics cannot be checked across more than {}",
            if period >= 3600 {
                "a week (EvaluationPeriods * Period must be <= 604800)."
            } else {
                "a day (EvaluationPeriods * Period must be <= 86400)."
            }
        )));
    }
    if req.datapoints_to_alarm.is_some_and(|n| i64::from(n) > periods) {
        return Err(Error::validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods."));
    }
    if let Some(treat) = &req.treat_missing_data
        && !["breaching", "notBreaching", "ignore", "missing"].contains(&treat.as_str())
    {
        return Err(Error::validation(format!(
            "Option {treat} is not supported. Supported options are [breaching, notBreaching, ignore, missing]."
        )));
    }
    check_actions([&req.ok_actions, &req.alarm_actions, &req.insufficient_data_actions])
}

/// An alarm on one metric, by name; its period.
fn check_metric(req: &PutMetricAlarmInput) -> Result<i64, Error> {
    let missing = |name: &str| missing_required_parameter_exception(format!("The parameter {name} is required."));
    req.metric_name.as_ref().ok_or_else(|| missing("MetricName"))?;
    req.namespace.as_ref().ok_or_else(|| missing("Namespace"))?;
    let period = i64::from(req.period.ok_or_else(|| missing("Period"))?);
    match (&req.statistic, &req.extended_statistic) {
        (None, None) => {
            return Err(missing_required_parameter_exception(
                "At least one of the parameters Statistic and ExtendedStatistic must be specified.",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(invalid_parameter_combination_exception(
                "The parameters Statistic and ExtendedStatistic are mutually exclusive and you have specified both.",
            ));
        }
        (None, Some(name)) if !stat::is_known(name) => {
            return Err(invalid_parameter_value_exception(format!(
                "The value {name} for parameter ExtendedStatistic is not supported."
            )));
        }
        _ => {}
    }
    Ok(period)
}

#[async_trait]
impl Handle<PutCompositeAlarm> for Metrics {
    async fn handle(&self, cx: &Cx, req: PutCompositeAlarmInput) -> Result<Empty, Error> {
        let rule = Rule::parse(&req.alarm_rule)?;
        check_actions([&req.ok_actions, &req.alarm_actions, &req.insufficient_data_actions])?;
        let home = Home::of(cx);
        let mut missing = Vec::new();
        for name in rule.alarms() {
            if name == req.alarm_name {
                return Err(Error::validation("An alarm must not depend on itself."));
            }
            if self.store.read(|tx| AlarmRecord::load(tx, &home, &name)).await?.is_none() {
                missing.push(name);
            }
        }
        if !missing.is_empty() {
            return Err(Error::validation(format!(
                "Could not save the composite alarm as alarms [{}] in the alarm rule do not exist",
                missing.join(", ")
            )));
        }
        self.check_suppressor(&home, &req).await?;
        let alarm = CompositeAlarm {
            alarm_arn: Some(cx.arn("cloudwatch", format!("alarm:{}", req.alarm_name))),
            alarm_name: Some(req.alarm_name),
            alarm_description: req.alarm_description,
            alarm_rule: Some(req.alarm_rule),
            alarm_configuration_updated_timestamp: Some(Timestamp(cx.now())),
            actions_enabled: Some(req.actions_enabled.unwrap_or(true)),
            ok_actions: Some(req.ok_actions.unwrap_or_default()),
            alarm_actions: Some(req.alarm_actions.unwrap_or_default()),
            insufficient_data_actions: Some(req.insufficient_data_actions.unwrap_or_default()),
            actions_suppressor: req.actions_suppressor,
            actions_suppressor_wait_period: req.actions_suppressor_wait_period,
            actions_suppressor_extension_period: req.actions_suppressor_extension_period,
            ..CompositeAlarm::default()
        };
        let record = AlarmRecord {
            version: 1,
            home: (cx.account().to_owned(), cx.region().to_owned()),
            metric: None,
            composite: Some(alarm),
            tags: tag_map(req.tags),
            suppressed: None,
        };
        self.put(cx, record).await
    }
}

impl Metrics {
    /// A suppressor is an alarm of here, and goes with both periods. Source: API Reference, PutCompositeAlarm.
    async fn check_suppressor(&self, home: &Home, req: &PutCompositeAlarmInput) -> Result<(), Error> {
        let periods = [req.actions_suppressor_wait_period, req.actions_suppressor_extension_period];
        let Some(suppressor) = &req.actions_suppressor else {
            if periods.iter().any(Option::is_some) {
                return Err(Error::validation(
                    "WaitPeriod and ExtensionPeriod are given with an ActionsSuppressor only.",
                ));
            }
            return Ok(());
        };
        if periods.iter().any(|period| period.is_none_or(|seconds| seconds < 0)) {
            return Err(Error::validation(
                "ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod are required with an ActionsSuppressor.",
            ));
        }
        let name = suppressor.split_once(":alarm:").map_or(suppressor.as_str(), |(_, name)| name);
        if name == req.alarm_name {
            return Err(Error::validation("An alarm must not suppress itself."));
        }
        match self.store.read(|tx| AlarmRecord::load(tx, home, name)).await? {
            Some(_) => Ok(()),
            None => Err(Error::validation(format!(
                "Could not save the composite alarm as the suppressor alarm {suppressor} does not exist"
            ))),
        }
    }

    /// Stores an alarm. One that is there keeps its state and its tags, as on AWS.
    async fn put(&self, cx: &Cx, record: AlarmRecord) -> Result<Empty, Error> {
        let now = Timestamp(cx.now());
        cx.write(&self.store, move |tx| {
            let mut record = record.clone();
            let old = AlarmRecord::load(tx, &record.home(), record.name())?;
            let (state, what) = match &old {
                Some(old) if old.kind() != record.kind() => {
                    return Err(Error::validation(format!("An alarm of another type has the name {}", record.name())));
                }
                Some(old) => {
                    record.tags.clone_from(&old.tags);
                    (old.current(), "updated")
                }
                None => (begun(), "created"),
            };
            record.set_state(&state, now);
            record.save(tx)?;
            let data = json!({ "version": "1.0", "type": if old.is_some() { "Update" } else { "Create" } });
            let summary = format!("Alarm \"{}\" {what}", record.name());
            note(tx, &record, "ConfigurationUpdate", &summary, Some(data.to_string()), now)?;
            watch::begin(tx)?;
            Ok(Empty {})
        })
        .await
    }

    async fn alarms(&self, cx: &Cx) -> Result<Vec<AlarmRecord>, Error> {
        let home = Home::of(cx);
        Ok(self.store.read(|tx| tx.list_json(alarms(&home), usize::MAX)).await?)
    }

    async fn change_alarms(
        &self,
        cx: &Cx,
        names: Vec<String>,
        change: impl Fn(&mut Tx<'_>, AlarmRecord) -> Result<(), Error> + Send + 'static,
    ) -> Result<Empty, Error> {
        let home = Home::of(cx);
        cx.write(&self.store, move |tx| {
            for name in &names {
                if let Some(alarm) = AlarmRecord::load(tx, &home, name)? {
                    change(tx, alarm)?;
                }
            }
            Ok(Empty {})
        })
        .await
    }
}

#[async_trait]
impl Handle<DescribeAlarms> for Metrics {
    async fn handle(&self, cx: &Cx, req: DescribeAlarmsInput) -> Result<DescribeAlarmsOutput, Error> {
        if req.alarm_name_prefix.is_some() && req.alarm_names.is_some() {
            return Err(invalid_parameter_combination_exception(
                "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive.",
            ));
        }
        let all = self.alarms(cx).await?;
        let rule = |alarm: &AlarmRecord| {
            let rule = alarm.composite.as_ref().and_then(|c| c.alarm_rule.as_deref());
            rule.and_then(|rule| Rule::parse(rule).ok()).map(|rule| rule.alarms()).unwrap_or_default()
        };
        let children = req
            .children_of_alarm_name
            .as_ref()
            .map(|parent| all.iter().find(|alarm| alarm.name() == parent).map(rule).unwrap_or_default());
        // Unless asked for, or named by what only they are, composite alarms are not shown.
        let kinds = req.alarm_types.clone().filter(|kinds| !kinds.is_empty());
        let any_kind = children.is_some() || req.parents_of_alarm_name.is_some();
        let wanted = |alarm: &&AlarmRecord| {
            let name = alarm.name();
            let kind = match &kinds {
                Some(kinds) => kinds.iter().any(|kind| kind == alarm.kind()),
                None => any_kind || alarm.kind() == "MetricAlarm",
            };
            kind && req.alarm_names.as_ref().is_none_or(|names| names.iter().any(|one| one == name))
                && req.alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
                && req.state_value.as_ref().is_none_or(|state| alarm.state() == state)
                && req.action_prefix.as_ref().is_none_or(|p| alarm.actions(None).iter().any(|a| a.starts_with(p)))
                && children.as_ref().is_none_or(|children| children.iter().any(|child| child == name))
                && req.parents_of_alarm_name.as_ref().is_none_or(|child| rule(alarm).contains(child))
                && req.next_token.as_ref().is_none_or(|token| name > token.as_str())
        };
        let most = req.max_records.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE);
        let mut found: Vec<&AlarmRecord> = all.iter().filter(wanted).collect();
        let more = found.len() > most;
        found.truncate(most);
        let next_token = found.last().filter(|_| more).map(|alarm| alarm.name().to_owned());
        Ok(DescribeAlarmsOutput {
            metric_alarms: Some(found.iter().filter_map(|alarm| alarm.metric.clone()).collect()),
            composite_alarms: Some(found.iter().filter_map(|alarm| alarm.composite.clone()).collect()),
            next_token,
            ..DescribeAlarmsOutput::default()
        })
    }
}

#[async_trait]
impl Handle<DescribeAlarmsForMetric> for Metrics {
    async fn handle(&self, cx: &Cx, req: DescribeAlarmsForMetricInput) -> Result<DescribeAlarmsForMetricOutput, Error> {
        let same = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
        let mut dimensions = req.dimensions.clone().unwrap_or_default();
        dimensions.sort_by(|a, b| a.name.cmp(&b.name));
        let wanted = |alarm: &MetricAlarm| {
            let mut own = alarm.dimensions.clone().unwrap_or_default();
            own.sort_by(|a, b| a.name.cmp(&b.name));
            alarm.metric_name.as_ref() == Some(&req.metric_name)
                && alarm.namespace.as_ref() == Some(&req.namespace)
                && own == dimensions
                && same(&req.statistic, &alarm.statistic)
                && same(&req.extended_statistic, &alarm.extended_statistic)
                && same(&req.unit, &alarm.unit)
                && (req.period.is_none() || req.period == alarm.period)
        };
        let found = self.alarms(cx).await?.into_iter().filter_map(|alarm| alarm.metric).filter(wanted);
        Ok(DescribeAlarmsForMetricOutput { metric_alarms: Some(found.collect()) })
    }
}

/// Of composite alarms one at a time is deleted, and nothing that the rule of one that stays names.
fn deletable(all: &[AlarmRecord], names: &[String]) -> Result<(), Error> {
    let (going, staying): (Vec<&AlarmRecord>, Vec<&AlarmRecord>) =
        all.iter().partition(|alarm| names.iter().any(|name| name == alarm.name()));
    if going.iter().filter(|alarm| alarm.composite.is_some()).count() > 1 {
        return Err(Error::validation("You can delete no more than one composite alarm in one operation."));
    }
    let rules = staying.iter().filter_map(|alarm| alarm.composite.as_ref()?.alarm_rule.as_deref());
    let needed: Vec<String> = rules.filter_map(|rule| Rule::parse(rule).ok()).flat_map(|rule| rule.alarms()).collect();
    match going.iter().find(|alarm| needed.iter().any(|name| name == alarm.name())) {
        Some(alarm) => Err(Error::validation(format!(
            "Cannot delete {} as there are composite alarm(s) depending on it.",
            alarm.name()
        ))),
        None => Ok(()),
    }
}

#[async_trait]
impl Handle<DeleteAlarms> for Metrics {
    /// Names of no alarm are passed over. Source: API Reference, DeleteAlarms, as of what else is refused.
    async fn handle(&self, cx: &Cx, req: DeleteAlarmsInput) -> Result<Empty, Error> {
        let now = Timestamp(cx.now());
        deletable(&self.alarms(cx).await?, &req.alarm_names)?;
        self.change_alarms(cx, req.alarm_names, move |tx, alarm| {
            let summary = format!("Alarm \"{}\" deleted", alarm.name());
            note(tx, &alarm, "ConfigurationUpdate", &summary, None, now)?;
            Ok(tx.delete(alarms(&alarm.home()).push(alarm.name()))?)
        })
        .await
    }
}

#[async_trait]
impl Handle<EnableAlarmActions> for Metrics {
    async fn handle(&self, cx: &Cx, req: EnableAlarmActionsInput) -> Result<Empty, Error> {
        self.change_alarms(cx, req.alarm_names, |tx, mut alarm| {
            alarm.set_acts(true);
            Ok(alarm.save(tx)?)
        })
        .await
    }
}

#[async_trait]
impl Handle<DisableAlarmActions> for Metrics {
    async fn handle(&self, cx: &Cx, req: DisableAlarmActionsInput) -> Result<Empty, Error> {
        self.change_alarms(cx, req.alarm_names, |tx, mut alarm| {
            alarm.set_acts(false);
            Ok(alarm.save(tx)?)
        })
        .await
    }
}

#[async_trait]
impl Handle<SetAlarmState> for Metrics {
    async fn handle(&self, cx: &Cx, req: SetAlarmStateInput) -> Result<Empty, Error> {
        if req.state_reason_data.as_deref().is_some_and(|data| serde_json::from_str::<serde_json::Value>(data).is_err())
        {
            return Err(api_cloudwatch::error::invalid_format_fault("StateReasonData was not valid JSON"));
        }
        let (home, now) = (Home::of(cx), Timestamp(cx.now()));
        let state = State { value: req.state_value, reason: req.state_reason, data: req.state_reason_data };
        let name = req.alarm_name;
        cx.write(&self.store, move |tx| {
            let mut alarm = AlarmRecord::load(tx, &home, &name)?
                .ok_or_else(|| resource_not_found(format!("Alarm {name} does not exist")))?;
            alarm.become_state(tx, &state, now)?;
            Ok(Empty {})
        })
        .await
    }
}

#[async_trait]
impl Handle<DescribeAlarmHistory> for Metrics {
    async fn handle(&self, cx: &Cx, req: DescribeAlarmHistoryInput) -> Result<DescribeAlarmHistoryOutput, Error> {
        let home = Home::of(cx);
        let mut items: Vec<AlarmHistoryItem> = self.store.read(|tx| tx.list_json(history(&home), usize::MAX)).await?;
        if req.scan_by.as_deref() != Some("TimestampAscending") {
            items.reverse();
        }
        items.retain(|item| {
            let at = item.timestamp.unwrap_or_default();
            req.alarm_name.as_ref().is_none_or(|name| item.alarm_name.as_ref() == Some(name))
                && req
                    .alarm_types
                    .as_ref()
                    .is_none_or(|kinds| item.alarm_type.as_ref().is_some_and(|k| kinds.contains(k)))
                && req.history_item_type.as_ref().is_none_or(|kind| item.history_item_type.as_ref() == Some(kind))
                && req.start_date.is_none_or(|from| at >= from)
                && req.end_date.is_none_or(|to| at <= to)
        });
        let skip = match req.next_token.as_deref() {
            None => 0,
            Some(token) => {
                token.parse::<usize>().map_err(|_| invalid_parameter_value_exception("The NextToken is invalid."))?
            }
        };
        let most = req.max_records.and_then(|n| usize::try_from(n).ok()).unwrap_or(100);
        let more = items.len() > skip + most;
        let page: Vec<_> = items.into_iter().skip(skip).take(most).collect();
        Ok(DescribeAlarmHistoryOutput {
            alarm_history_items: Some(page),
            next_token: more.then(|| (skip + most).to_string()),
        })
    }
}

/// The tags of an alarm, changed or told.
impl Metrics {
    pub(super) async fn tags_of(&self, cx: &Cx, arn: &str) -> Result<BTreeMap<String, String>, Error> {
        let (home, name) = (Home::of(cx), alarm_name(cx, arn)?);
        let alarm = self.store.read(|tx| AlarmRecord::load(tx, &home, &name)).await?;
        alarm.map(|alarm| alarm.tags).ok_or_else(|| unknown(arn))
    }

    pub(super) async fn change_tags(
        &self,
        cx: &Cx,
        arn: &str,
        change: impl Fn(&mut BTreeMap<String, String>) + Send + 'static,
    ) -> Result<(), Error> {
        let (home, name, missing) = (Home::of(cx), alarm_name(cx, arn)?, unknown(arn));
        cx.write(&self.store, move |tx| {
            let mut alarm = AlarmRecord::load(tx, &home, &name)?.ok_or_else(|| missing.clone())?;
            change(&mut alarm.tags);
            Ok::<_, Error>(alarm.save(tx)?)
        })
        .await
    }
}

/// The alarm's name in its ARN, which is one of here.
fn alarm_name(cx: &Cx, arn: &str) -> Result<String, Error> {
    arn.strip_prefix(&cx.arn("cloudwatch", "alarm:")).map(str::to_owned).ok_or_else(|| unknown(arn))
}

fn unknown(arn: &str) -> Error {
    resource_not_found_exception(format!("Unknown resource {arn}"))
}
