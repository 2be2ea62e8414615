//! Metric filters: put, describe, delete, test. What they do is in [`crate::filters`].

use api_logs::error::{invalid_parameter_exception, limit_exceeded_exception, resource_not_found_exception};
use api_logs::{
    DeleteMetricFilter, DeleteMetricFilterRequest, DescribeMetricFilters, DescribeMetricFiltersRequest,
    DescribeMetricFiltersResponse, MetricFilter, MetricFilterMatchRecord, MetricTransformation, PutMetricFilter,
    PutMetricFilterRequest, TestMetricFilter, TestMetricFilterRequest, TestMetricFilterResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::{limit, page};
use crate::Telemetry;
use crate::filters::MetricFilterRecord;
use crate::logs::Scope;
use crate::pattern::Pattern;

/// Source: CloudWatch Logs quotas.
const MAX_FILTERS: usize = 100;
/// Source: API Reference, MetricTransformation.
const MAX_DIMENSIONS: usize = 3;

#[async_trait]
impl Handle<PutMetricFilter> for Telemetry {
    async fn handle(&self, cx: &Cx, req: PutMetricFilterRequest) -> Result<Empty, Error> {
        let pattern = Pattern::parse(&req.filter_pattern)?;
        req.metric_transformations.iter().try_for_each(|one| check(&pattern, one))?;
        let (scope, group, name) = (Scope::of(cx), req.log_group_name.clone(), req.filter_name.clone());
        let record = MetricFilterRecord {
            version: 1,
            filter: MetricFilter {
                filter_name: Some(req.filter_name),
                filter_pattern: Some(req.filter_pattern),
                metric_transformations: Some(req.metric_transformations),
                creation_time: Some(cx.now().as_millisecond()),
                log_group_name: Some(req.log_group_name),
                ..MetricFilter::default()
            },
        };
        cx.write(&self.store, move |tx| {
            scope.load_group(tx, &group)?;
            let (all, key) = (scope.metric_filters(&group), scope.metric_filters(&group).push(&name));
            if tx.get(&key)?.is_none() && tx.scan_prefix(all, MAX_FILTERS)?.len() >= MAX_FILTERS {
                return Err(limit_exceeded_exception("Resource limit exceeded."));
            }
            tx.put_json(&key, &record)?;
            Ok(Empty {})
        })
        .await
    }
}

fn check(pattern: &Pattern, one: &MetricTransformation) -> Result<(), Error> {
    let value = one.metric_value.trim();
    if value.starts_with('$') {
        if !pattern.has_values() {
            return Err(invalid_parameter_exception(format!(
                "Invalid metric transformation: the filter pattern has no {value}"
            )));
        }
    } else if value.parse::<f64>().is_err() {
        return Err(invalid_parameter_exception(format!("Invalid metric transformation: {value} is no number")));
    }
    let dimensions = one.dimensions.iter().flatten();
    if one.default_value.is_some() && dimensions.clone().next().is_some() {
        return Err(invalid_parameter_exception(
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties.",
        ));
    }
    if dimensions.clone().count() > MAX_DIMENSIONS {
        return Err(invalid_parameter_exception("Invalid metric transformation: at most 3 dimensions are allowed"));
    }
    if dimensions.clone().next().is_some() && !pattern.has_values() {
        return Err(invalid_parameter_exception(
            "Invalid metric transformation: dimensions need a JSON or space-delimited filter pattern",
        ));
    }
    Ok(())
}

#[async_trait]
impl Handle<DescribeMetricFilters> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DescribeMetricFiltersRequest) -> Result<DescribeMetricFiltersResponse, Error> {
        if req.metric_name.is_some() != req.metric_namespace.is_some() {
            return Err(invalid_parameter_exception("metricName and metricNamespace must be specified together."));
        }
        let scope = Scope::of(cx);
        let records: Vec<MetricFilterRecord> = self
            .store
            .read(|tx| {
                let Some(group) = &req.log_group_name else {
                    return Ok(tx.list_json(scope.all_metric_filters(), usize::MAX)?);
                };
                scope.load_group(tx, group)?;
                Ok::<_, Error>(tx.list_json(scope.metric_filters(group), usize::MAX)?)
            })
            .await?;
        let into = |one: &MetricTransformation| {
            req.metric_name.as_ref().is_none_or(|name| *name == one.metric_name)
                && req.metric_namespace.as_ref().is_none_or(|name| *name == one.metric_namespace)
        };
        let keep = |filter: &MetricFilter| {
            let name = filter.filter_name.as_deref().unwrap_or_default();
            req.filter_name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && filter.metric_transformations.iter().flatten().any(into)
        };
        let key = |filter: &MetricFilter| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{}/{}", text(&filter.log_group_name), text(&filter.filter_name))
        };
        let mut filters: Vec<_> = records.into_iter().map(|record| record.filter).collect();
        filters.sort_by_key(key);
        let (found, next_token) = page(filters, limit(req.limit, 50), key, req.next_token.as_deref(), keep);
        Ok(DescribeMetricFiltersResponse { metric_filters: Some(found), next_token })
    }
}

#[async_trait]
impl Handle<DeleteMetricFilter> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DeleteMetricFilterRequest) -> Result<Empty, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            scope.load_group(tx, &req.log_group_name)?;
            let key = scope.metric_filters(&req.log_group_name).push(&req.filter_name);
            if tx.get(&key)?.is_none() {
                return Err(resource_not_found_exception("The specified metric filter does not exist."));
            }
            tx.delete(key)?;
            Ok(Empty {})
        })
        .await
    }
}

#[async_trait]
impl Handle<TestMetricFilter> for Telemetry {
    async fn handle(&self, _: &Cx, req: TestMetricFilterRequest) -> Result<TestMetricFilterResponse, Error> {
        let pattern = Pattern::parse(&req.filter_pattern)?;
        let matching = (1..).zip(&req.log_event_messages).filter(|(_, message)| pattern.matches(message));
        let matches = matching.map(|(number, message)| MetricFilterMatchRecord {
            event_number: Some(number),
            event_message: Some(message.clone()),
            extracted_values: Some(pattern.extracted(message)),
        });
        Ok(TestMetricFilterResponse { matches: Some(matches.collect()) })
    }
}
