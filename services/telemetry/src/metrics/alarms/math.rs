//! Alarms on expressions: one of the queries is watched, the others are what it is made of. Source: API Reference, PutMetricAlarm.

use std::collections::BTreeMap;

use api_cloudwatch::error::invalid_parameter_combination_exception;
use api_cloudwatch::{MetricDataQuery, PutMetricAlarmInput};
use wire::Error;

use crate::metrics::data::{Queries, What};
use crate::metrics::math::{Expr, Grid, Points, Series, Value};
use crate::metrics::read::is_period;

/// The queries of an alarm, and the place of the one that is watched.
pub(in crate::metrics) struct Watched {
    pub(in crate::metrics) queries: Queries,
    at: usize,
    /// The period of its values.
    pub(in crate::metrics) period: i64,
}

impl Watched {
    pub(in crate::metrics) fn read(queries: &[MetricDataQuery]) -> Result<Self, Error> {
        let queries = Queries::read(queries.to_vec())?;
        let shown: Vec<usize> = (0..queries.all.len()).filter(|at| queries.all[*at].shown).collect();
        let [at] = shown.as_slice() else {
            return Err(Error::validation("Exactly one element of the metrics list should return data."));
        };
        for query in &queries.all {
            let What::Expression(expr) = &query.what else { continue };
            let mut searches = false;
            expr.walk(&mut |part| searches |= matches!(part, Expr::Call(name, _) if name == "SEARCH"));
            if searches {
                return Err(Error::validation(format!(
                    "Error in expression '{}': SEARCH is not supported in an alarm",
                    query.id
                )));
            }
        }
        let periods = queries.all.iter().filter_map(|query| match &query.what {
            What::Metric(metric) => Some(i64::from(metric.period)),
            What::Expression(_) => None,
        });
        let own = queries.all[*at].period;
        let period = own.or_else(|| periods.max());
        let period =
            period.ok_or_else(|| Error::validation("Period must not be null: the metrics list has no metric."))?;
        Ok(Self { at: *at, queries, period })
    }

    /// The values of what is watched.
    pub(in crate::metrics) fn points(&self, mut values: BTreeMap<String, Value>) -> Result<Points, Error> {
        let id = &self.queries.all[self.at].id;
        match values.remove(id) {
            Some(Value::Series(series)) => Ok(series.points),
            _ => Err(Error::validation(format!(
                "Error in expression '{id}': an alarm watches a single time series, not several"
            ))),
        }
    }
}

/// The period of an alarm on these queries, which are tried on metrics that have no values.
pub(in crate::metrics) fn check(req: &PutMetricAlarmInput, queries: &[MetricDataQuery]) -> Result<i64, Error> {
    let given = [
        ("MetricName", req.metric_name.is_some()),
        ("Namespace", req.namespace.is_some()),
        ("Dimensions", req.dimensions.as_ref().is_some_and(|some| !some.is_empty())),
        ("Period", req.period.is_some()),
        ("Statistic", req.statistic.is_some()),
        ("ExtendedStatistic", req.extended_statistic.is_some()),
        ("Unit", req.unit.is_some()),
    ];
    if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(invalid_parameter_combination_exception(format!(
            "The parameters Metrics and {name} are mutually exclusive."
        )));
    }
    let watched = Watched::read(queries)?;
    let empty = watched.queries.all.iter().filter_map(|query| match &query.what {
        What::Metric(metric) => {
            let period = Some(i64::from(metric.period));
            Some((query.id.clone(), Series { period, is_metric: true, ..Series::default() }))
        }
        What::Expression(_) => None,
    });
    let empty: Vec<(String, Series)> = empty.collect();
    if let Some((_, series)) = empty.iter().find(|(_, series)| !series.period.is_some_and(is_period)) {
        return Ok(series.period.unwrap_or_default());
    }
    watched.points(watched.queries.evaluate(&empty, &BTreeMap::new(), (0, watched.period), Grid::Clock)?)?;
    Ok(watched.period)
}
