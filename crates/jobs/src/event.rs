//! Events about jobs, on the default event bus: each a task of its own, asked for in the transaction that changes the job, so
//! that it is sent once.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Cx, Router};
use store::{Done, NewTask, Queue, Runner, Task, Tx};
use wire::{Error, Timestamp};

const KIND: &str = "jobs:event";
const AT_ONCE: usize = 16;
const ATTEMPTS: u32 = 5;

/// An event to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub account: String,
    pub region: String,
    pub time: Timestamp,
    /// `aws.athena`
    pub source: String,
    /// `Athena Query State Change`
    pub detail_type: String,
    pub resources: Vec<String>,
    pub detail: Value,
}

/// Asks for the event; `id` is unique to it.
pub fn enqueue(tx: &mut Tx<'_>, id: &str, event: &Event) -> Result<(), Error> {
    Ok(tx.enqueue(NewTask::new(KIND, format!("{KIND}:{id}")).payload(event)?)?)
}

/// Names the runner that sends events.
pub fn register(queue: &Queue, router: &Arc<Router>) {
    queue.register(KIND, AT_ONCE, Arc::new(Sender(router.clone())));
}

struct Sender(Arc<Router>);

#[async_trait]
impl Runner for Sender {
    async fn run(&self, task: Task) -> Done {
        let Ok(event) = task.payload::<Event>() else { return Done::Finished };
        let cx = Cx::platform(&self.0, &event.account, &event.region).with_task(&task.id);
        let entry = json!({
            "Time": event.time.to_iso(),
            "Source": event.source,
            "Resources": event.resources,
            "DetailType": event.detail_type,
            "Detail": event.detail.to_string(),
        });
        match cx.call_json("events", "putEvents", json!({ "Entries": [entry] })).await {
            Err(error) if task.attempt < ATTEMPTS && !error.is("NotImplemented") => {
                tracing::warn!(%error, task = task.id, "the event of a job could not be sent; trying again");
                Done::RetryAfter(jiff::SignedDuration::from_secs(1 << task.attempt))
            }
            Err(error) if !error.is("NotImplemented") => {
                tracing::error!(%error, task = task.id, "the event of a job could not be sent and is dropped");
                Done::Finished
            }
            _ => Done::Finished,
        }
    }
}
