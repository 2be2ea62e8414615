//! What queries took, as metrics of `AWS/Athena`, of workgroups with `PublishCloudWatchMetricsEnabled`. Source: Athena User Guide, "Monitor
//! Athena query metrics with CloudWatch". Each is told for the workgroup, and for it with the query's state and type.

use std::sync::Arc;

use serde_json::{Value, json};
use service::{Cx, Router};

use crate::records::{Record, Scope};

/// Tells CloudWatch of a query that has ended; it has not failed for its metrics.
pub(crate) async fn tell(router: &Arc<Router>, scope: &Scope, record: &Record) {
    if !record.rules.metrics {
        return;
    }
    let platform = Cx::platform(router, &scope.account, &scope.region);
    let request = json!({ "Namespace": "AWS/Athena", "MetricData": data(record) });
    if let Err(error) = platform.call_json("cloudwatch", "putMetricData", request).await {
        tracing::warn!(%error, query = record.execution.query_execution_id, "the metrics of a query could not be told");
    }
}

fn data(record: &Record) -> Vec<Value> {
    let known = record.execution.statistics.clone().unwrap_or_default();
    let kind = record.execution.statement_type.as_deref().unwrap_or_default();
    let group = json!({ "Name": "WorkGroup", "Value": record.workgroup() });
    let all = json!([
        { "Name": "QueryState", "Value": record.state() },
        { "Name": "QueryType", "Value": kind },
        group,
    ]);
    let figures = [
        ("EngineExecutionTime", known.engine_execution_time_in_millis, "Milliseconds"),
        ("QueryPlanningTime", known.query_planning_time_in_millis, "Milliseconds"),
        ("QueryQueueTime", known.query_queue_time_in_millis, "Milliseconds"),
        ("ServicePreProcessingTime", known.service_pre_processing_time_in_millis, "Milliseconds"),
        ("ServiceProcessingTime", known.service_processing_time_in_millis, "Milliseconds"),
        ("TotalExecutionTime", known.total_execution_time_in_millis, "Milliseconds"),
        ("ProcessedBytes", known.data_scanned_in_bytes.filter(|_| kind == "DML"), "Bytes"),
    ];
    let told = figures.into_iter().filter_map(|(name, value, unit)| Some((name, value?, unit)));
    let of = |dimensions: &Value, (name, value, unit): &(&str, i64, &str)| json!({ "MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": unit });
    told.flat_map(|figure| [of(&all, &figure), of(&json!([group]), &figure)]).collect()
}

#[cfg(test)]
mod tests {
    use api_athena::QueryExecutionStatistics;

    use super::*;

    #[test]
    fn each_figure_is_told_twice() {
        let mut record = Record::default();
        record.status().state = Some("SUCCEEDED".to_owned());
        record.execution.work_group = Some("g".to_owned());
        record.execution.statement_type = Some("DML".to_owned());
        record.execution.statistics = Some(QueryExecutionStatistics {
            data_scanned_in_bytes: Some(7),
            total_execution_time_in_millis: Some(9),
            ..QueryExecutionStatistics::default()
        });
        let group = json!({ "Name": "WorkGroup", "Value": "g" });
        let full =
            json!([{ "Name": "QueryState", "Value": "SUCCEEDED" }, { "Name": "QueryType", "Value": "DML" }, group]);
        let of = |name: &str, dimensions: &Value, value: i64, unit: &str| json!({ "MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": unit });
        let total = |dimensions| of("TotalExecutionTime", dimensions, 9, "Milliseconds");
        let bytes = |dimensions| of("ProcessedBytes", dimensions, 7, "Bytes");
        assert_eq!(data(&record), [total(&full), total(&json!([group])), bytes(&full), bytes(&json!([group]))]);
        record.execution.statement_type = Some("DDL".to_owned());
        assert!(data(&record).iter().all(|one| one["MetricName"] == "TotalExecutionTime"));
    }
}
