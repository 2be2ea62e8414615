//! CloudWatch's metrics: minutes of statistics.
//!
//! The platform's own measurements are added up in memory and written every few seconds, so that what is measured never waits for a
//! disk; a crash loses those of the last seconds. What PutMetricData brings is written before it is answered.
//!
//! Map: [`stat`] a minute's statistics · [`series`] what is measured, and where its minutes are · [`pending`] what is not yet written ·
//! [`read`] minutes as periods · [`data`] queries · [`math`] expressions over series ·
//! [`alarms`] · [`ops`] the operations. Not here: anomaly detection, resolutions below a minute.

mod alarms;
mod data;
mod math;
mod ops;
mod pending;
mod read;
pub(crate) mod series;
pub(crate) mod stat;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use service::{Platform, Router, operations};
use store::{Done, NewTask, Runner, Store, Task};

use pending::Pending;

/// Minutes are kept for that long, as on AWS; it keeps coarser ones for longer.
const KEPT_DAYS: i64 = 15;
/// How often measurements are written.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// Actions of alarms that are carried out side by side.
const ACTIONS_AT_ONCE: usize = 8;
/// The daily task that forgets.
/// How often old points are removed.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const FORGET: &str = "metrics:forget";

/// The service.
pub(crate) struct Metrics {
    store: Store,
    router: Arc<Router>,
    pending: Pending,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Registers the operations, and becomes the platform's meter.
pub(crate) fn register(platform: &Platform) -> Arc<Metrics> {
    let store = platform.control.store().clone();
    let service = Arc::new(Metrics { store, router: Arc::clone(&platform.router), pending: Pending::default() });
    operations!(platform.router, service, api_cloudwatch:
        GetMetricData, GetMetricStatistics, ListMetrics, PutMetricData, PutMetricAlarm, PutCompositeAlarm, DescribeAlarms,
        DescribeAlarmsForMetric, DescribeAlarmHistory, DeleteAlarms, EnableAlarmActions, DisableAlarmActions, SetAlarmState,
        PutDashboard, GetDashboard, ListDashboards, DeleteDashboards, ListTagsForResource, TagResource, UntagResource);
    platform.router.set_meter(service.clone());
    platform.control.register(FORGET, 1, service.clone());
    platform.control.register(alarms::watch::WATCH, 1, Arc::new(alarms::watch::Watch(Arc::clone(&service))));
    platform.control.register(alarms::act::ACT, ACTIONS_AT_ONCE, Arc::new(alarms::act::Actor(Arc::clone(&service))));
    service
}

impl Metrics {
    /// Begins to write what is measured, and to forget what is old.
    ///
    /// # Errors
    /// When the store refuses.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<(), store::Error> {
        let service = Arc::clone(self);
        self.store
            .write(move |tx| {
                if tx.has_task(FORGET)? {
                    return Ok(());
                }
                tx.enqueue(NewTask::new(FORGET, FORGET).at(tx.now() + DAY))
            })
            .await?;
        tokio::spawn(async move {
            loop {
                service.router.clock().sleep(WRITTEN_EVERY).await;
                if let Err(error) = service.flush().await {
                    tracing::warn!(%error, "measurements could not be written; they are kept in memory");
                }
            }
        });
        Ok(())
    }
}

#[async_trait]
impl Runner for Metrics {
    async fn run(&self, _: Task) -> Done {
        let now = self.router.now().as_second();
        let oldest = (self.router.now() - SignedDuration::from_hours(24 * KEPT_DAYS)).as_second() / 60;
        let now_ms = self.router.now().as_millisecond();
        let forgotten = async {
            alarms::forget(&self.store, now_ms).await?;
            series::forget(&self.store, oldest, now).await
        };
        if let Err(error) = forgotten.await {
            tracing::error!(%error, "old metrics could not be forgotten; it is tried again tomorrow");
        }
        Done::RetryAfter(DAY)
    }
}
