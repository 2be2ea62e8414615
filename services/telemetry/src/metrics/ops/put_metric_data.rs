//! PutMetricData.

use std::collections::BTreeMap;

use api_cloudwatch::{MetricDatum, PutMetricData, PutMetricDataInput, error};
use async_trait::async_trait;
use service::{Cx, Handle, Principal};
use wire::Error;
use wire::types::Empty;

use crate::metrics::Metrics;
use crate::metrics::series::{At, Home, Series, is_taken};
use crate::metrics::stat::Stat;

/// Source: CloudWatch service quotas.
const MAX_DIMENSIONS: usize = 30;
/// Source: API Reference, MetricDatum.
const MAX_VALUES: usize = 150;

#[async_trait]
impl Handle<PutMetricData> for Metrics {
    async fn handle(&self, cx: &Cx, req: PutMetricDataInput) -> Result<Empty, Error> {
        // The platform's services tell of themselves in these.
        if req.namespace.starts_with("AWS/") && !matches!(cx.principal(), Principal::Platform) {
            return Err(error::invalid_parameter_value_exception("The value AWS/ for parameter Namespace is invalid."));
        }
        let of_entities =
            req.entity_metric_data.unwrap_or_default().into_iter().flat_map(|one| one.metric_data.unwrap_or_default());
        let data = req.metric_data.unwrap_or_default().into_iter().chain(of_entities);
        let now = cx.now().as_second();
        let data = data.map(|datum| read(&req.namespace, datum, now)).collect::<Result<Vec<_>, _>>()?;
        let home = Home::of(cx);
        cx.write(&self.store, move |tx| {
            data.iter().try_for_each(|(series, at, stat)| home.add_at(tx, series, *at, stat)).map_err(Error::from)
        })
        .await?;
        Ok(Empty {})
    }
}

fn read(namespace: &str, datum: MetricDatum, now: i64) -> Result<(Series, At, Stat), Error> {
    let wrong = |what: String| error::invalid_parameter_value_exception(what);
    let at = datum.timestamp.map_or(now, |at| at.0.as_second());
    if !is_taken(at, now) {
        return Err(wrong("The parameter MetricData.member.1.Timestamp must be a value within two weeks in the past and two hours in the future.".to_owned()));
    }
    let at = At::of(at, datum.storage_resolution.map(i64::from)).ok_or_else(|| {
        let given = datum.storage_resolution.unwrap_or_default();
        wrong(format!("The value {given} for parameter MetricData.member.1.StorageResolution is invalid."))
    })?;
    let dimensions: BTreeMap<_, _> =
        datum.dimensions.unwrap_or_default().into_iter().map(|one| (one.name, one.value)).collect();
    if dimensions.len() > MAX_DIMENSIONS {
        return Err(wrong(format!("A metric has at most {MAX_DIMENSIONS} dimensions.")));
    }
    let mut stat = Stat::default();
    match (datum.value, datum.statistic_values, datum.values) {
        (Some(value), None, None) => stat.add(finite(value)?, 1.0),
        (None, Some(set), None) => {
            stat.add_set(
                count_of(set.sample_count, "StatisticValues.SampleCount")?,
                finite(set.sum)?,
                finite(set.minimum)?,
                finite(set.maximum)?,
            );
        }
        (None, None, Some(values)) if values.len() <= MAX_VALUES => {
            let counts = datum.counts.unwrap_or_else(|| vec![1.0; values.len()]);
            if counts.len() != values.len() {
                return Err(wrong("The parameters Values and Counts must be of the same size.".to_owned()));
            }
            for (value, count) in values.into_iter().zip(counts) {
                stat.add(finite(value)?, count_of(count, "Counts")?);
            }
        }
        (None, None, Some(_)) => return Err(wrong(format!("The parameter Values has at most {MAX_VALUES} values."))),
        (None, None, None) => {
            return Err(error::missing_required_parameter_exception(
                "At least one of the parameters Value, Values and StatisticValues must be specified.",
            ));
        }
        _ => {
            return Err(error::invalid_parameter_combination_exception(
                "The parameters Value, Values and StatisticValues are mutually exclusive and you have specified more than one.",
            ));
        }
    }
    let series = Series {
        version: 1,
        namespace: namespace.to_owned(),
        metric: datum.metric_name,
        dimensions,
        unit: datum.unit.unwrap_or_else(|| "None".to_owned()),
        newest: 0,
    };
    Ok((series, at, stat))
}

fn finite(value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(error::invalid_parameter_value_exception("A value must be a finite number."))
    }
}

/// Of nothing there are no statistics.
fn count_of(value: f64, name: &str) -> Result<f64, Error> {
    let count = finite(value)?;
    if count > 0.0 {
        return Ok(count);
    }
    let message = format!("The value {count} for parameter MetricData.member.1.{name} is invalid.");
    Err(error::invalid_parameter_value_exception(message))
}
