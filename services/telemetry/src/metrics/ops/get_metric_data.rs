//! GetMetricData: several metrics at once, and expressions over them.

use api_cloudwatch::{GetMetricData, GetMetricDataInput, GetMetricDataOutput, MessageData, MetricDataResult};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::metrics::Metrics;
use crate::metrics::data::{Queries, Query, What};
use crate::metrics::math::{Grid, Series, Value};
use crate::metrics::series::Home;

#[async_trait]
impl Handle<GetMetricData> for Metrics {
    async fn handle(&self, cx: &Cx, req: GetMetricDataInput) -> Result<GetMetricDataOutput, Error> {
        let queries = Queries::read(req.metric_data_queries)?;
        let span = (req.start_time.0.as_second(), req.end_time.0.as_second());
        let descending = req.scan_by.as_deref() != Some("TimestampAscending");
        let mut found = self.query(&Home::of(cx), &queries, span, Grid::Clock).await?;
        let mut results = Vec::new();
        for query in queries.all.iter().filter(|query| query.shown) {
            match found.values.remove(&query.id) {
                Some(Value::Series(series)) => {
                    let label = match &query.what {
                        What::Metric(_) => series.label.clone(),
                        What::Expression(_) => query.id.clone(),
                    };
                    let label = query.label.clone().unwrap_or(label);
                    results.push(result(query, label, series, descending));
                }
                Some(Value::Array(all)) => results.extend(all.into_iter().map(|series| {
                    let own = query.label.iter().map(String::as_str).chain([series.label.as_str()]);
                    let label = own.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
                    result(query, label, series, descending)
                })),
                Some(Value::Scalar(_)) | None => {}
            }
        }
        let message = MessageData {
            code: Some("MaxMetricsExceeded".to_owned()),
            value: Some("Maximum number of allowed metrics exceeded".to_owned()),
        };
        Ok(GetMetricDataOutput {
            metric_data_results: Some(results),
            messages: Some(if found.truncated { vec![message] } else { Vec::new() }),
            next_token: None,
        })
    }
}

fn result(query: &Query, label: String, series: Series, descending: bool) -> MetricDataResult {
    let mut points: Vec<(i64, f64)> = series.points.into_iter().collect();
    if descending {
        points.reverse();
    }
    let (timestamps, values) = points.into_iter().map(|(at, value)| (Timestamp::from_millis(at * 1000), value)).unzip();
    MetricDataResult {
        id: Some(query.id.clone()),
        label: Some(label),
        timestamps: Some(timestamps),
        values: Some(values),
        status_code: Some("Complete".to_owned()),
        messages: None,
    }
}
