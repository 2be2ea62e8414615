//! Looking at all alarms now and then: one durable task, which is there as long as there are alarms.

use std::collections::BTreeMap;
use std::sync::Arc;

use api_cloudwatch::MetricAlarm;
use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::json;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::{Error, Timestamp};

use super::math::Watched;
use super::rule::Rule;
use super::state::{evaluate, range};
use super::{AlarmRecord, State, all};
use crate::metrics::Metrics;
use crate::metrics::math::Grid;
use crate::metrics::read::Wanted;

pub(in crate::metrics) const WATCH: &str = "cloudwatch:watch";
/// How often.
const EVERY: SignedDuration = SignedDuration::from_secs(10);

/// Begins to look, where nobody does.
pub(in crate::metrics) fn begin(tx: &mut Tx<'_>) -> Result<(), store::Error> {
    if tx.has_task(WATCH)? { Ok(()) } else { tx.enqueue(NewTask::new(WATCH, WATCH)) }
}

pub(in crate::metrics) struct Watch(pub(in crate::metrics) Arc<Metrics>);

#[async_trait]
impl Runner for Watch {
    async fn run(&self, _: Task) -> Done {
        match self.look().await {
            // The last alarm may have gone, and another one come since.
            Ok(false) => {
                let ended = self
                    .0
                    .store
                    .write(|tx| {
                        let none = all(tx)?.is_empty();
                        if none {
                            tx.finish_task(WATCH)?;
                        }
                        Ok::<_, store::Error>(none)
                    })
                    .await;
                if matches!(ended, Ok(true)) { Done::Committed } else { Done::RetryAfter(EVERY) }
            }
            Ok(true) => Done::RetryAfter(EVERY),
            Err(error) => {
                tracing::warn!(%error, "alarms could not be evaluated; it is tried again");
                Done::RetryAfter(EVERY)
            }
        }
    }
}

impl Watch {
    /// Evaluates every alarm; whether there are any.
    async fn look(&self) -> Result<bool, Error> {
        let alarms = self.0.store.read(all).await?;
        for alarm in &alarms {
            let Some(metric) = &alarm.metric else { continue };
            // What is wrong with one alarm is not to keep the others from being looked at.
            if let Err(error) = self.look_at(alarm, metric).await {
                tracing::warn!(alarm = alarm.name(), %error, "an alarm cannot be evaluated");
            }
        }
        // Composite alarms of composite alarms follow at the next look.
        let now = self.0.store.read(all).await?;
        for alarm in &now {
            if let Some(state) = of_composite(alarm, &now)
                && let Err(error) = self.change(alarm, state).await
            {
                tracing::warn!(alarm = alarm.name(), %error, "an alarm cannot be changed");
            }
            if alarm.composite.as_ref().is_some_and(|composite| composite.actions_suppressor.is_some()) {
                self.look_at_suppressor(alarm).await?;
            }
        }
        Ok(!alarms.is_empty())
    }

    async fn look_at(&self, alarm: &AlarmRecord, metric: &MetricAlarm) -> Result<(), Error> {
        match self.of_metric(alarm, metric).await? {
            Some(state) => self.change(alarm, state).await,
            None => Ok(()),
        }
    }

    async fn of_metric(&self, alarm: &AlarmRecord, metric: &MetricAlarm) -> Result<Option<State>, Error> {
        let watched = metric.metrics.as_deref().map(Watched::read).transpose()?;
        let period = watched.as_ref().map_or_else(|| i64::from(metric.period.unwrap_or(60)), |watched| watched.period);
        let wanted_periods = range(metric);
        // Whole minutes only: what is still being counted says nothing yet. Short periods are looked at every ten seconds. Source:
        // CloudWatch User Guide, "High-resolution alarms".
        let step = if period < 60 { EVERY.as_secs() } else { 60 };
        let end = self.0.router.now().as_second().div_euclid(step) * step;
        let begin = end - period * i64::try_from(wanted_periods).unwrap_or(1);
        let times = || (0..).take(wanted_periods).map(|n| begin + n * period);
        if let Some(watched) = watched {
            let results = self.0.query(&alarm.home(), &watched.queries, (begin, end), Grid::At(begin)).await?;
            let points = watched.points(results.values)?;
            let values: Vec<_> = times().map(|at| (at, points.get(&at).copied())).collect();
            return Ok(evaluate(metric, &values, self.0.router.now()).filter(|state| state.value != alarm.state()));
        }
        let wanted = Wanted {
            namespace: metric.namespace.as_deref().unwrap_or_default(),
            metric: metric.metric_name.as_deref().unwrap_or_default(),
            dimensions: metric.dimensions.as_deref().unwrap_or_default(),
            unit: metric.unit.as_deref(),
            from: begin,
            to: end,
            period,
        };
        let found = self.0.periods(&alarm.home(), &wanted).await?;
        let statistic = metric.statistic.as_deref().or(metric.extended_statistic.as_deref()).unwrap_or("Average");
        let values: Vec<(i64, Option<f64>)> =
            times().map(|at| (at, found.get(&at).and_then(|(stat, _)| stat.value(statistic)))).collect();
        Ok(evaluate(metric, &values, self.0.router.now()).filter(|state| state.value != alarm.state()))
    }

    async fn look_at_suppressor(&self, alarm: &AlarmRecord) -> Result<(), Error> {
        let (home, name, now) = (alarm.home(), alarm.name().to_owned(), Timestamp(self.0.router.now()));
        self.0
            .store
            .write(move |tx| match AlarmRecord::load(tx, &home, &name)? {
                Some(mut alarm) => alarm.look_at_suppressor(tx, now),
                None => Ok(()),
            })
            .await
    }

    async fn change(&self, alarm: &AlarmRecord, state: State) -> Result<(), Error> {
        let (home, name, seen, now) =
            (alarm.home(), alarm.name().to_owned(), alarm.state().to_owned(), Timestamp(self.0.router.now()));
        self.0
            .store
            .write(move |tx| {
                match AlarmRecord::load(tx, &home, &name)? {
                    // Somebody may have set it meanwhile.
                    Some(mut alarm) if alarm.state() == seen => alarm.become_state(tx, &state, now),
                    _ => Ok(()),
                }
            })
            .await
    }
}

fn of_composite(alarm: &AlarmRecord, all: &[AlarmRecord]) -> Option<State> {
    let composite = alarm.composite.as_ref()?;
    let rule = Rule::parse(composite.alarm_rule.as_deref()?).ok()?;
    let home = alarm.home();
    let states: BTreeMap<&str, &str> =
        all.iter().filter(|one| one.home() == home).map(|one| (one.name(), one.state())).collect();
    let state = |name: &str| states.get(name).map_or_else(|| "INSUFFICIENT_DATA".to_owned(), |s| (*s).to_owned());
    let value = if rule.holds(&state) { "ALARM" } else { "OK" };
    if value == alarm.state() {
        return None;
    }
    let children: Vec<_> =
        rule.alarms().into_iter().map(|name| json!({ "name": name, "state": { "value": state(&name) } })).collect();
    let reason = format!("{} transitioned to {value} because of the states of the alarms in its rule", alarm.arn());
    Some(State { value: value.to_owned(), reason, data: Some(json!({ "triggeringAlarms": children }).to_string()) })
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::Duration;

    use api_cloudwatch::{Metric, MetricDataQuery, MetricStat};
    use service::Router;
    use store::{Clock, Store};

    use super::*;
    use crate::metrics::pending::Pending;
    use crate::metrics::series::{Home, Series};
    use crate::metrics::stat::Stat;

    #[derive(Debug)]
    struct At(i64);

    impl Clock for At {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::from_second(self.0).unwrap()
        }
        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::pending())
        }
        fn random(&self) -> u128 {
            7
        }
    }

    fn metric(id: &str, period: i32) -> MetricDataQuery {
        let metric = Metric { namespace: Some("N".to_owned()), metric_name: Some(id.to_owned()), ..Metric::default() };
        let stat = MetricStat { metric, period, stat: "Sum".to_owned(), unit: None };
        MetricDataQuery {
            id: id.to_owned(),
            metric_stat: Some(stat),
            return_data: Some(false),
            ..MetricDataQuery::default()
        }
    }

    /// An alarm on an expression over `errors` and `calls`, at a time; `errors` are those of each minute of the hour before, of ten calls.
    async fn state_at(expression: &str, period: i32, now: i64, errors: Option<f64>) -> Option<String> {
        let store = Store::memory();
        let home = Home { account: "000000000000".to_owned(), region: "eu-west-1".to_owned() };
        let (place, last) = (home.clone(), now.div_euclid(60));
        store
            .write(move |tx| {
                for minute in last - 180..last {
                    for (name, value) in [("errors", errors), ("calls", errors.map(|_| 10.0))] {
                        let Some(value) = value else { continue };
                        let mut stat = Stat::default();
                        stat.add(value, 1.0);
                        let series = Series {
                            version: 1,
                            namespace: "N".to_owned(),
                            metric: name.to_owned(),
                            dimensions: BTreeMap::new(),
                            unit: "None".to_owned(),
                            newest: 0,
                        };
                        place.add(tx, &series, minute, &stat)?;
                    }
                }
                Ok::<_, store::Error>(())
            })
            .await
            .unwrap();
        let rate = MetricDataQuery {
            id: "rate".to_owned(),
            expression: Some(expression.to_owned()),
            ..MetricDataQuery::default()
        };
        let shown = MetricAlarm {
            alarm_name: Some("a".to_owned()),
            metrics: Some(vec![rate, metric("errors", period), metric("calls", period)]),
            evaluation_periods: Some(2),
            threshold: Some(50.0),
            comparison_operator: Some("GreaterThanThreshold".to_owned()),
            treat_missing_data: Some("missing".to_owned()),
            state_value: Some("none".to_owned()),
            ..MetricAlarm::default()
        };
        let alarm = AlarmRecord {
            version: 1,
            home: (home.account.clone(), home.region.clone()),
            metric: Some(shown.clone()),
            composite: None,
            tags: BTreeMap::new(),
            suppressed: None,
        };
        let router = Router::with_clock(Arc::new(At(now)));
        let watch = Watch(Arc::new(Metrics { store, router, pending: Pending::default() }));
        watch.of_metric(&alarm, &shown).await.unwrap().map(|state| state.value)
    }

    /// Whatever the minute is: periods are those that end now, not those of the clock.
    #[tokio::test]
    async fn expressions_are_evaluated_every_minute() {
        let noon = 1_700_000_000_i64.div_euclid(3600) * 3600;
        for (period, expression) in
            [(60, "100 * errors / calls"), (300, "100 * errors / calls"), (3600, "FILL(100 * errors / calls, 0)")]
        {
            for minute in 0..7 {
                let now = noon + minute * 60 + 7;
                let at = |errors| state_at(expression, period, now, errors);
                assert_eq!(at(Some(9.0)).await.as_deref(), Some("ALARM"), "{period} {minute}");
                assert_eq!(at(Some(1.0)).await.as_deref(), Some("OK"), "{period} {minute}");
            }
        }
        let now = noon + 127;
        assert_eq!(state_at("errors + 0", 300, now, None).await.as_deref(), Some("INSUFFICIENT_DATA"));
        assert_eq!(state_at("TIME_SERIES(60)", 300, now, None).await.as_deref(), Some("ALARM"));
    }
}
