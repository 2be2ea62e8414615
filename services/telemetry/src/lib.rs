//! CloudWatch Logs: groups, streams, events, retention.
//!
//! A `PutLogEvents` batch is one record, keyed by the time of its first event, so that a busy function costs few records.
//!
//! Map: [`logs`] what is stored and how it is read · [`ops`] the operations · [`pattern`] filter patterns.
//! Not here yet: metric filters, CloudWatch's metrics and alarms, Logs Insights.

mod logs;
mod ops;
mod pattern;

use std::sync::Arc;

use async_trait::async_trait;
use service::{Platform, operations};
use store::{Done, NewTask, Runner, Store, Task};

/// The service's state: records in the control store.
#[derive(Debug)]
pub struct Telemetry {
    store: Store,
}

/// The daily task that forgets what is older than its group's retention.
const RETAIN: &str = "logs:retain";

/// Registers the operations and the retention task.
pub fn register(platform: &Platform) -> Arc<Telemetry> {
    let service = Arc::new(Telemetry { store: platform.control.store().clone() });
    operations!(platform.router, service, api_logs:
        CreateLogGroup, DeleteLogGroup, DescribeLogGroups, PutRetentionPolicy, DeleteRetentionPolicy, ListTagsForResource,
        ListTagsLogGroup, TagResource, UntagResource, TagLogGroup, CreateLogStream, DeleteLogStream, DescribeLogStreams,
        PutLogEvents, GetLogEvents, FilterLogEvents);
    platform.control.register(RETAIN, 1, service.clone());
    service
}

impl Telemetry {
    /// Puts the retention task on the queue; it then puts itself there for the next day.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn start(&self) -> Result<(), store::Error> {
        self.store
            .write(|tx| {
                if tx.has_task(RETAIN)? {
                    return Ok(());
                }
                tx.enqueue(NewTask::new(RETAIN, RETAIN).at(tomorrow()))
            })
            .await
    }
}

fn tomorrow() -> jiff::Timestamp {
    jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)
}

#[async_trait]
impl Runner for Telemetry {
    async fn run(&self, _: Task) -> Done {
        if let Err(e) = self.forget_old().await {
            tracing::error!(error = %e, "log retention failed; it runs again tomorrow");
        }
        Done::Retry(tomorrow())
    }
}
