//! Minutes as periods.

use std::collections::BTreeMap;

use api_cloudwatch::{Dimension, error};
use wire::Error;

use super::Metrics;
use super::series::Home;
use super::stat::Stat;

/// What is asked for.
pub(in crate::metrics) struct Wanted<'a> {
    pub(in crate::metrics) namespace: &'a str,
    pub(in crate::metrics) metric: &'a str,
    pub(in crate::metrics) dimensions: &'a [Dimension],
    pub(in crate::metrics) unit: Option<&'a str>,
    /// In seconds since 1970.
    pub(in crate::metrics) from: i64,
    pub(in crate::metrics) to: i64,
    pub(in crate::metrics) period: i64,
}

/// Periods that have values, by their beginning, and the unit that the values are in.
pub(in crate::metrics) type Periods = BTreeMap<i64, (Stat, String)>;

impl Wanted<'_> {
    /// Whole minutes, as all statistics here are.
    pub(in crate::metrics) fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str| Err(error::invalid_parameter_value_exception(what));
        if self.from >= self.to {
            return wrong("The parameter StartTime must be less than the parameter EndTime.");
        }
        if self.period <= 0 || self.period % 60 != 0 {
            return wrong("The parameter Period must be a multiple of 60.");
        }
        Ok(())
    }
}

impl Metrics {
    /// Reads what has been measured until now.
    pub(in crate::metrics) async fn periods(&self, home: &Home, wanted: &Wanted<'_>) -> Result<Periods, Error> {
        wanted.check()?;
        self.flush().await?;
        let dimensions: BTreeMap<_, _> =
            wanted.dimensions.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
        // The start is the minute that it is in. Source: API Reference, GetMetricStatistics.
        let (first, end) = (wanted.from.div_euclid(60), -(-wanted.to).div_euclid(60));
        let begin = first * 60;
        self.store
            .read(|tx| {
                let mut periods = Periods::new();
                for series in home.series(tx, Some(wanted.namespace), Some(wanted.metric))? {
                    let same = series.dimensions == dimensions && wanted.unit.is_none_or(|unit| unit == series.unit);
                    if !same {
                        continue;
                    }
                    for (minute, stat) in home.minutes(tx, &series, first, end)? {
                        let at = begin + (minute * 60 - begin).div_euclid(wanted.period) * wanted.period;
                        let period = periods.entry(at).or_insert_with(|| (Stat::default(), series.unit.clone()));
                        period.0.merge(&stat);
                    }
                }
                Ok(periods)
            })
            .await
    }
}
