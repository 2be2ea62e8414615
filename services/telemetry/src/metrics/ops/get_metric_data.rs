//! GetMetricData: several metrics at once. Expressions are refused.

use api_cloudwatch::{
    GetMetricData, GetMetricDataInput, GetMetricDataOutput, MetricDataQuery, MetricDataResult, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::metrics::Metrics;
use crate::metrics::read::Wanted;
use crate::metrics::series::Home;
use crate::metrics::stat;

/// Source: API Reference, GetMetricData.
const MAX_QUERIES: usize = 500;

#[async_trait]
impl Handle<GetMetricData> for Metrics {
    async fn handle(&self, cx: &Cx, req: GetMetricDataInput) -> Result<GetMetricDataOutput, Error> {
        if req.metric_data_queries.len() > MAX_QUERIES {
            return Err(error::invalid_parameter_value_exception(format!(
                "The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}."
            )));
        }
        check_ids(&req.metric_data_queries)?;
        let home = Home::of(cx);
        let span = (req.start_time.0.as_second(), req.end_time.0.as_second());
        let descending = req.scan_by.as_deref() != Some("TimestampAscending");
        let mut results = Vec::new();
        for query in req.metric_data_queries {
            let shown = query.return_data != Some(false);
            let result = self.result(&home, query, span, descending).await?;
            results.extend(shown.then_some(result));
        }
        Ok(GetMetricDataOutput { metric_data_results: Some(results), ..GetMetricDataOutput::default() })
    }
}

/// Ids begin with a small letter, and name one query each. Source: API Reference, MetricDataQuery.
fn check_ids(queries: &[MetricDataQuery]) -> Result<(), Error> {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (at, id) in queries.iter().map(|query| query.id.as_str()).enumerate() {
        if !id.starts_with(|c: char| c.is_ascii_lowercase()) || !id.chars().all(rest) {
            let at = at + 1;
            let text = "is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.";
            return Err(Error::validation(format!(
                "The value {id} for parameter MetricDataQueries.member.{at}.Id {text}"
            )));
        }
        if queries[..at].iter().any(|other| other.id == id) {
            return Err(Error::validation("The values for parameter id in MetricDataQueries are not unique."));
        }
    }
    Ok(())
}

impl Metrics {
    async fn result(
        &self,
        home: &Home,
        query: MetricDataQuery,
        (from, to): (i64, i64),
        descending: bool,
    ) -> Result<MetricDataResult, Error> {
        let Some(asked) = query.metric_stat else {
            return Err(Error::not_implemented("metric math: MetricDataQueries with an Expression"));
        };
        if !stat::is_known(&asked.stat) {
            return Err(error::invalid_parameter_value_exception(format!(
                "The value {} for parameter MetricDataQueries.member.1.MetricStat.Stat is not supported.",
                asked.stat
            )));
        }
        let (namespace, metric) =
            (asked.metric.namespace.unwrap_or_default(), asked.metric.metric_name.unwrap_or_default());
        let dimensions = asked.metric.dimensions.unwrap_or_default();
        let period = i64::from(asked.period);
        let wanted = Wanted {
            namespace: &namespace,
            metric: &metric,
            dimensions: &dimensions,
            unit: asked.unit.as_deref(),
            // Periods are whole ones of the clock.
            from: if period > 0 { from.div_euclid(period) * period } else { from },
            to,
            period,
        };
        let periods = self.periods(home, &wanted).await?;
        let mut found: Vec<_> =
            periods.into_iter().filter_map(|(at, (stat, _))| Some((at, stat.value(&asked.stat)?))).collect();
        if descending {
            found.reverse();
        }
        let (timestamps, values) =
            found.into_iter().map(|(at, value)| (Timestamp::from_millis(at * 1000), value)).unzip();
        Ok(MetricDataResult {
            id: Some(query.id),
            label: Some(query.label.unwrap_or(metric)),
            timestamps: Some(timestamps),
            values: Some(values),
            status_code: Some("Complete".to_owned()),
            messages: None,
        })
    }
}
