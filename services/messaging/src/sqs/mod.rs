//! SQS: queues, their messages, and who waits for them.
//!
//! Map: [`queue`] queues as records and their attributes · [`message`] messages in the store: send, take, delete ·
//! [`sweep`] what expired in idle queues · [`metrics`] what CloudWatch is told ·
//! [`moves`] messages back from a dead-letter queue · [`digest`] MD5 as clients check it · [`guard`] queues' policies · `ops` the operations.

mod digest;
mod guard;
mod message;
mod metrics;
mod moves;
mod ops;
mod queue;
mod sweep;

pub(crate) use message::is_number;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use api_sqs::error;
use async_trait::async_trait;
use jiff::SignedDuration;
use service::{Platform, operations};
use store::{Done, Runner, Store, Task};
use tokio::sync::Notify;
use wire::Error;

use queue::Queue;
use sealing::{By, Sealer};

/// The service.
#[derive(Debug)]
pub(crate) struct Sqs {
    store: Store,
    endpoint: String,
    waiting: Arc<Waiting>,
    sealer: Sealer,
    metrics: metrics::Metrics,
}

/// How KMS's refusals are told. Source: SQS API Reference, SendMessage, "Errors".
fn kms_error(error: &Error) -> Option<Error> {
    let message = error.message();
    let (named, code) = match error.code() {
        "AccessDeniedException" => (error::kms_access_denied(message), "KMS.AccessDeniedException"),
        "NotFoundException" => (error::kms_not_found(message), "KMS.NotFoundException"),
        "DisabledException" => (error::kms_disabled(message), "KMS.DisabledException"),
        "KMSInvalidStateException" => (error::kms_invalid_state(message), "KMS.InvalidStateException"),
        "InvalidKeyUsageException" => (error::kms_invalid_key_usage(message), "KMS.InvalidKeyUsageException"),
        _ => return None,
    };
    Some(named.with_query_code(code))
}

const KMS: By = By { via: Some("sqs.amazonaws.com"), context: "aws:sqs:arn", named: kms_error };

/// Receivers that wait, by queue.
#[derive(Debug, Default)]
struct Waiting(Mutex<BTreeMap<String, Arc<Notify>>>);

impl Waiting {
    fn of(&self, queue_id: &str) -> Arc<Notify> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody holds any more is dropped on the way.
        waiting.retain(|id, notify| id == queue_id || Arc::strong_count(notify) > 1);
        waiting.entry(queue_id.to_owned()).or_default().clone()
    }

    /// Wakes who waits for this queue.
    fn wake(&self, queue_id: &str) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(queue_id) {
            notify.notify_waiters();
        }
    }
}

const CLEAR: &str = "sqs:clear";

pub(crate) fn register(platform: &Platform) {
    let store = platform.control.store().clone();
    let service = Arc::new(Sqs {
        store: store.clone(),
        endpoint: platform.shown_endpoint(),
        waiting: Arc::default(),
        sealer: Sealer::new(KMS),
        metrics: metrics::Metrics::new(Arc::clone(&platform.router)),
    });
    operations!(platform.router, service, api_sqs:
        AddPermission, CancelMessageMoveTask, ChangeMessageVisibility, ChangeMessageVisibilityBatch, CreateQueue, DeleteMessage, DeleteMessageBatch,
        DeleteQueue, GetQueueAttributes, GetQueueUrl, ListDeadLetterSourceQueues, ListMessageMoveTasks, ListQueueTags, ListQueues, PurgeQueue,
        ReceiveMessage, RemovePermission, SendMessage, SendMessageBatch, SetQueueAttributes, StartMessageMoveTask, TagQueue, UntagQueue,
    );
    platform.router.add_guard("sqs", service.clone());
    platform.control.register(CLEAR, 1, Arc::new(Clear(store.clone())));
    platform.control.register(sweep::SWEEP, 1, Arc::new(sweep::Sweeper(service.clone())));
    tokio::spawn(Arc::clone(&service).watch());
    let waiting = Arc::clone(&service.waiting);
    platform.control.register(moves::MOVE, 4, Arc::new(moves::Mover::new(store, waiting, platform.router.clone())));
}

/// Clears what a deleted or purged queue held.
struct Clear(Store);

#[async_trait]
impl Runner for Clear {
    async fn run(&self, task: Task) -> Done {
        match self.clear(&task).await {
            Ok(()) => Done::Finished,
            Err(error) => {
                tracing::error!(%error, task = task.id, "a queue could not be cleared; trying again");
                Done::RetryAfter(SignedDuration::from_secs(10))
            }
        }
    }
}

impl Clear {
    async fn clear(&self, task: &Task) -> Result<(), Error> {
        let id: String = task.payload()?;
        for prefix in Queue::contents(&id) {
            loop {
                let prefix = prefix.clone();
                let left = self
                    .0
                    .write(move |tx| {
                        let found = tx.scan_prefix(&prefix, 500)?;
                        for (key, _) in &found {
                            tx.delete(key)?;
                        }
                        Ok::<_, Error>(found.len())
                    })
                    .await?;
                if left < 500 {
                    break;
                }
            }
        }
        Ok(())
    }
}
