//! What becomes of log events on their way in: metric filters count them, embedded metrics are taken out of them, subscription
//! filters pass them on. All in the transaction that stores them, so that each event counts once.

use std::collections::BTreeMap;

use api_logs::{MetricFilter, MetricTransformation, SubscriptionFilter};
use serde::{Deserialize, Serialize};
use store::{NewTask, Tx};
use wire::Error;

use crate::emf;
use crate::logs::{Batch, Scope};
use crate::metrics::series::{At, Home, Series};
use crate::metrics::stat::Stat;
use crate::pattern::Pattern;
use crate::seal::Seal;

/// The task that brings a batch to a subscription's destination.
pub(crate) const PASS_ON: &str = "logs:pass-on";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MetricFilterRecord {
    pub(crate) version: u32,
    pub(crate) filter: MetricFilter,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SubscriptionRecord {
    pub(crate) version: u32,
    pub(crate) filter: SubscriptionFilter,
}

/// Events for a subscription's destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PassOn {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) group: String,
    pub(crate) stream: String,
    pub(crate) filter: String,
    pub(crate) destination: String,
    /// Id, time, message; none where they are sealed, as the group's are.
    pub(crate) events: Vec<(String, i64, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<String>,
}

/// A measurement: of what, and when.
pub(crate) type Measured = (Series, At, Stat);

/// Does what the group's filters ask for with a batch that is being stored under this number.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    scope: &Scope,
    home: &Home,
    group: &str,
    batch: &Batch,
    (number, seal): (u64, Option<&Seal>),
) -> Result<(), Error> {
    let counted: Vec<MetricFilterRecord> = tx.list_json(scope.metric_filters(group), usize::MAX)?;
    for record in &counted {
        count(tx, home, &record.filter, batch)?;
    }
    let now = tx.now().as_second();
    for (series, at, stat) in batch.events.iter().flat_map(|(at, message)| emf::metrics(*at, message, now)) {
        home.add_at(tx, &series, at, &stat)?;
    }
    let subscribed: Vec<SubscriptionRecord> = tx.list_json(scope.subscriptions(group), usize::MAX)?;
    for record in &subscribed {
        pass_on(tx, home, &record.filter, group, batch, (number, seal))?;
    }
    Ok(())
}

fn count(tx: &mut Tx<'_>, home: &Home, filter: &MetricFilter, batch: &Batch) -> Result<(), Error> {
    let pattern = Pattern::parse(filter.filter_pattern.as_deref().unwrap_or_default())?;
    for transformation in filter.metric_transformations.iter().flatten() {
        // The minutes that logs came of, and whether something matched in them.
        let mut minutes: BTreeMap<i64, bool> = BTreeMap::new();
        for (at, message) in &batch.events {
            let (minute, matches) = (at.div_euclid(60_000), pattern.matches(message));
            *minutes.entry(minute).or_default() |= matches;
            if matches && let Some((series, value)) = measure(&pattern, transformation, message) {
                let mut stat = Stat::default();
                stat.add(value, 1.0);
                home.add(tx, &series, minute, &stat)?;
            }
        }
        // Where logs come and nothing matches, the default is the minute's value, until something does.
        let Some(default) = transformation.default_value else { continue };
        let series = series(transformation, BTreeMap::new());
        for minute in minutes.into_iter().filter(|(_, matched)| !matched).map(|(minute, _)| minute) {
            home.add(tx, &series, minute, &Stat::default_of(default))?;
        }
    }
    Ok(())
}

/// The value that a matching message has, and its series; none where the value is no number or a dimension is not there.
fn measure(pattern: &Pattern, transformation: &MetricTransformation, message: &str) -> Option<(Series, f64)> {
    let value = transformation.metric_value.trim();
    let value = if value.starts_with('$') { pattern.extract(message, value)? } else { value.to_owned() };
    let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    let wanted = transformation.dimensions.iter().flatten();
    let dimensions: Option<BTreeMap<_, _>> =
        wanted.map(|(name, selector)| Some((name.clone(), pattern.extract(message, selector)?))).collect();
    Some((series(transformation, dimensions?), value))
}

fn series(transformation: &MetricTransformation, dimensions: BTreeMap<String, String>) -> Series {
    Series {
        version: 1,
        namespace: transformation.metric_namespace.clone(),
        metric: transformation.metric_name.clone(),
        dimensions,
        unit: transformation.unit.clone().unwrap_or_else(|| "None".to_owned()),
        newest: 0,
    }
}

fn pass_on(
    tx: &mut Tx<'_>,
    home: &Home,
    filter: &SubscriptionFilter,
    group: &str,
    batch: &Batch,
    (number, seal): (u64, Option<&Seal>),
) -> Result<(), Error> {
    let pattern = Pattern::parse(filter.filter_pattern.as_deref().unwrap_or_default())?;
    let matching = batch.events.iter().enumerate().filter(|(_, (_, message))| pattern.matches(message));
    let events: Vec<_> =
        matching.map(|(i, (at, message))| (format!("{at:020}{number:012}{i:06}"), *at, message.clone())).collect();
    if events.is_empty() {
        return Ok(());
    }
    let (name, destination) =
        (filter.filter_name.clone().unwrap_or_default(), filter.destination_arn.clone().unwrap_or_default());
    let task = format!("{PASS_ON}/{}/{}/{group}/{name}/{number}", home.account, home.region);
    let sealed = match seal {
        Some(seal) => Some(seal.text(&serde_json::to_string(&events).map_err(Error::internal)?)?),
        None => None,
    };
    let events = if sealed.is_some() { Vec::new() } else { events };
    let payload = PassOn {
        account: home.account.clone(),
        region: home.region.clone(),
        group: group.to_owned(),
        stream: batch.stream.clone(),
        filter: name,
        destination,
        events,
        sealed,
    };
    Ok(tx.enqueue(NewTask::new(PASS_ON, task).payload(&payload)?)?)
}
