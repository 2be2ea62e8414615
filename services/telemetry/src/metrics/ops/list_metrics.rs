//! ListMetrics.

use std::collections::BTreeSet;

use api_cloudwatch::{Dimension, ListMetrics, ListMetricsInput, ListMetricsOutput, Metric, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::metrics::Metrics;
use crate::metrics::series::Home;

/// Source: API Reference, ListMetrics.
const PAGE: usize = 500;
const RECENT_MINUTES: i64 = 3 * 60;

#[async_trait]
impl Handle<ListMetrics> for Metrics {
    async fn handle(&self, cx: &Cx, req: ListMetricsInput) -> Result<ListMetricsOutput, Error> {
        let start = req.next_token.as_deref().map_or(Ok(0), str::parse);
        let start: usize = start.map_err(|_| error::invalid_parameter_value_exception("Invalid nextToken"))?;
        self.flush().await?;
        let home = Home::of(cx);
        let oldest = req.recently_active.as_ref().map(|_| cx.now().as_second() / 60 - RECENT_MINUTES);
        let filters = req.dimensions.unwrap_or_default();
        let series =
            self.store.read(|tx| home.series(tx, req.namespace.as_deref(), req.metric_name.as_deref())).await?;
        // One metric may be measured in several units.
        let fitting: BTreeSet<_> = series
            .into_iter()
            .filter(|one| {
                req.metric_name.as_ref().is_none_or(|name| *name == one.metric)
                    && oldest.is_none_or(|oldest| one.newest >= oldest)
                    && filters.iter().all(|filter| {
                        let value = one.dimensions.get(&filter.name);
                        value.is_some_and(|value| filter.value.as_ref().is_none_or(|wanted| wanted == value))
                    })
            })
            .map(|one| (one.namespace, one.metric, one.dimensions))
            .collect();
        let more = fitting.len() > start + PAGE;
        let metrics = fitting.into_iter().skip(start).take(PAGE).map(|(namespace, metric, dimensions)| Metric {
            namespace: Some(namespace),
            metric_name: Some(metric),
            dimensions: Some(dimensions.into_iter().map(|(name, value)| Dimension { name, value }).collect()),
        });
        Ok(ListMetricsOutput {
            metrics: Some(metrics.collect()),
            next_token: more.then(|| (start + PAGE).to_string()),
            ..ListMetricsOutput::default()
        })
    }
}
