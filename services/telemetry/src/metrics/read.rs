//! Minutes as periods, and seconds of what is measured so.

use std::collections::BTreeMap;

use api_cloudwatch::{Dimension, error};
use wire::Error;

use super::Metrics;
use super::series::{Home, SECONDS_KEPT};
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
    pub(in crate::metrics) fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str| Err(error::invalid_parameter_value_exception(what));
        if self.from >= self.to {
            return wrong("The parameter StartTime must be less than the parameter EndTime.");
        }
        if !is_period(self.period) {
            return wrong("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.");
        }
        Ok(())
    }
}

/// Source: API Reference, GetMetricStatistics and GetMetricData, `Period`.
pub(in crate::metrics) fn is_period(seconds: i64) -> bool {
    matches!(seconds, 1 | 5 | 10 | 20 | 30) || seconds > 0 && seconds % 60 == 0
}

impl Metrics {
    /// Reads what has been measured until now.
    pub(in crate::metrics) async fn periods(&self, home: &Home, wanted: &Wanted<'_>) -> Result<Periods, Error> {
        wanted.check()?;
        self.flush().await?;
        let dimensions: BTreeMap<_, _> =
            wanted.dimensions.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
        let is_fine = wanted.period < 60;
        // The start is the minute that it is in, of short periods the period. Source: API Reference, GetMetricStatistics.
        let unit = if is_fine { wanted.period } else { 60 };
        let begin = wanted.from.div_euclid(unit) * unit;
        let end = -(-wanted.to).div_euclid(unit) * unit;
        let kept = self.router.now().as_second() - SECONDS_KEPT;
        self.store
            .read(|tx| {
                let mut periods = Periods::new();
                for series in home.series(tx, Some(wanted.namespace), Some(wanted.metric))? {
                    let same = series.dimensions == dimensions && wanted.unit.is_none_or(|unit| unit == series.unit);
                    if !same {
                        continue;
                    }
                    let points = if is_fine {
                        home.seconds(tx, &series, begin.max(kept), end)?
                    } else {
                        let minutes = home.minutes(tx, &series, begin / 60, end / 60)?;
                        minutes.into_iter().map(|(minute, stat)| (minute * 60, stat)).collect()
                    };
                    for (time, stat) in points {
                        let at = begin + (time - begin).div_euclid(wanted.period) * wanted.period;
                        let period = periods.entry(at).or_insert_with(|| (Stat::default(), series.unit.clone()));
                        period.0.merge(&stat);
                    }
                }
                Ok(periods)
            })
            .await
    }
}
