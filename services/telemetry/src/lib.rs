//! CloudWatch: logs (groups, streams, events, retention) and metrics.
//!
//! A `PutLogEvents` batch is one record, keyed by the time of its first event, so that a busy function costs few records.
//!
//! Map: [`logs`] what is stored and how it is read · [`ops`] the operations · [`pattern`] filter patterns · [`filters`] metric and
//! subscription filters · [`seal`] events under keys of KMS · [`emf`] metrics embedded in events · [`subscribe`] bringing events to functions · [`tail`] telling events as they come · [`insights`] queries
//! · [`metrics`] CloudWatch's metrics, alarms and dashboards.

mod emf;
mod filters;
mod insights;
mod logs;
mod metrics;
mod ops;
mod pattern;
mod seal;
mod subscribe;
mod tail;

pub use tail::Pieces;

use std::sync::Arc;

use async_trait::async_trait;
use metrics::Metrics;
use sealing::Sealer;
use service::{Platform, operations};
use store::{Done, NewTask, Runner, Store, Task};

/// The service's state: records in the control store.
#[derive(Debug)]
pub struct Telemetry {
    store: Store,
    metrics: Arc<Metrics>,
    sealer: Arc<Sealer>,
    tails: Arc<tail::Tails>,
}

/// Batches on their way to subscriptions' functions.
const DELIVERIES_AT_ONCE: usize = 8;

/// The daily task that forgets what is older than its group's retention.
const RETAIN: &str = "logs:retain";

/// Registers the operations and the retention task.
pub fn register(platform: &Platform) -> Arc<Telemetry> {
    let metrics = metrics::register(platform);
    let sealer = Arc::new(Sealer::new(seal::BY));
    let service =
        Arc::new(Telemetry { store: platform.control.store().clone(), metrics, sealer, tails: Arc::default() });
    operations!(platform.router, service, api_logs:
        CreateLogGroup, DeleteLogGroup, DescribeLogGroups, PutRetentionPolicy, DeleteRetentionPolicy, ListTagsForResource,
        ListTagsLogGroup, TagResource, UntagResource, TagLogGroup, CreateLogStream, DeleteLogStream, DescribeLogStreams,
        PutLogEvents, GetLogEvents, FilterLogEvents, PutMetricFilter, DescribeMetricFilters, DeleteMetricFilter,
        TestMetricFilter, PutSubscriptionFilter, DescribeSubscriptionFilters, DeleteSubscriptionFilter, PutResourcePolicy,
        StartQuery, GetQueryResults, StopQuery, DescribeQueries, GetLogRecord, GetLogGroupFields,
        DescribeResourcePolicies, DeleteResourcePolicy, AssociateKmsKey, DisassociateKmsKey, ListLogGroups, CreateExportTask,
        DescribeExportTasks, CancelExportTask, StartLiveTail,
        PutQueryDefinition, DescribeQueryDefinitions, DeleteQueryDefinition);
    platform.router.add_guard("logs", service.clone());
    let subscriptions = Arc::new(subscribe::Subscriptions(Arc::clone(&platform.router), service.clone()));
    platform.control.register(filters::PASS_ON, DELIVERIES_AT_ONCE, subscriptions);
    let queries = Arc::new(ops::queries::Queries(service.clone(), Arc::clone(&platform.router)));
    platform.control.register(ops::queries::RUN, ops::queries::AT_ONCE, queries);
    let exports = Arc::new(ops::exports::Exports(service.clone(), Arc::clone(&platform.router)));
    platform.control.register(ops::exports::RUN, 1, exports);
    platform.control.register(RETAIN, 1, service.clone());
    service
}

impl Telemetry {
    /// The answer of `StartLiveTail` to a request, once.
    pub fn fetch_tail(&self, request_id: &str) -> Option<Pieces> {
        self.tails.fetch(request_id)
    }

    /// Writes the measurements that are still in memory: for who stops the server.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn flush(&self) -> Result<(), store::Error> {
        self.metrics.flush().await
    }

    /// Puts the retention tasks on the queue, which then put themselves there for the next day; begins to write metrics.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn start(&self) -> Result<(), store::Error> {
        self.metrics.start().await?;
        self.store
            .write(|tx| {
                if tx.has_task(RETAIN)? {
                    return Ok(());
                }
                tx.enqueue(NewTask::new(RETAIN, RETAIN).at(tx.now() + DAY))
            })
            .await
    }
}

/// How often what is older than its retention is removed.
const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

#[async_trait]
impl Runner for Telemetry {
    async fn run(&self, _: Task) -> Done {
        let swept = self.forget_old().await;
        store::metrics::swept("logs", swept.is_ok().then(|| self.store.clock().now_ms()));
        if let Err(e) = swept {
            tracing::error!(error = %e, "log retention failed; it runs again tomorrow");
        }
        Done::RetryAfter(DAY)
    }
}
