//! GetMetricStatistics.

use api_cloudwatch::{Datapoint, GetMetricStatistics, GetMetricStatisticsInput, GetMetricStatisticsOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::metrics::Metrics;
use crate::metrics::read::Wanted;
use crate::metrics::series::Home;
use crate::metrics::stat;

/// Source: API Reference, GetMetricStatistics.
const MAX_DATAPOINTS: i64 = 1440;

#[async_trait]
impl Handle<GetMetricStatistics> for Metrics {
    async fn handle(&self, cx: &Cx, req: GetMetricStatisticsInput) -> Result<GetMetricStatisticsOutput, Error> {
        let (plain, percentiles) = (req.statistics.unwrap_or_default(), req.extended_statistics.unwrap_or_default());
        if plain.is_empty() && percentiles.is_empty() {
            return Err(error::invalid_parameter_combination_exception(
                "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
            ));
        }
        if let Some(unknown) = percentiles.iter().find(|name| !stat::is_known(name)) {
            return Err(error::invalid_parameter_value_exception(format!(
                "The value {unknown} for parameter ExtendedStatistics is not supported."
            )));
        }
        let dimensions = req.dimensions.unwrap_or_default();
        let wanted = Wanted {
            namespace: &req.namespace,
            metric: &req.metric_name,
            dimensions: &dimensions,
            unit: req.unit.as_deref(),
            from: req.start_time.0.as_second(),
            to: req.end_time.0.as_second(),
            period: i64::from(req.period),
        };
        wanted.check()?;
        let points = (wanted.to - wanted.from).checked_div(wanted.period).unwrap_or_default();
        if points > MAX_DATAPOINTS {
            return Err(error::invalid_parameter_combination_exception(format!(
                "You have requested up to {points} datapoints, which exceeds the limit of {MAX_DATAPOINTS}. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
            )));
        }
        let periods = self.periods(&Home::of(cx), &wanted).await?;
        let datapoints = periods.into_iter().map(|(at, (stat, unit))| {
            let value = |name: &str| plain.iter().any(|asked| asked == name).then(|| stat.value(name)).flatten();
            let extended = percentiles.iter().filter_map(|name| Some((name.clone(), stat.value(name)?)));
            Datapoint {
                timestamp: Some(Timestamp::from_millis(at * 1000)),
                sample_count: value("SampleCount"),
                average: value("Average"),
                sum: value("Sum"),
                minimum: value("Minimum"),
                maximum: value("Maximum"),
                unit: Some(unit),
                extended_statistics: (!percentiles.is_empty()).then(|| extended.collect()),
            }
        });
        Ok(GetMetricStatisticsOutput { label: Some(req.metric_name.clone()), datapoints: Some(datapoints.collect()) })
    }
}
