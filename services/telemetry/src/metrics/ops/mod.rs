//! The operations.

mod alarms;
mod dashboards;
mod get_metric_data;
mod get_metric_statistics;
mod list_metrics;
mod put_metric_data;
mod tags;
