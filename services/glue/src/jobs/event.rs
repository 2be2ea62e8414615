//! The event `Glue Job State Change`. It is a task of its own, asked for in the transaction that ends the run, so that it is
//! sent exactly once.

use std::sync::Arc;

use api_events::{PutEvents, PutEventsRequest, PutEventsRequestEntry};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Cx;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::{Error, Timestamp};

use super::Jobs;
use super::records::{Place, RunRecord};

#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    account: String,
    region: String,
    time: Timestamp,
    detail: String,
}

/// Asks for the event of a run that has just ended.
pub(super) fn enqueue(tx: &mut Tx<'_>, place: &Place, record: &RunRecord) -> Result<(), Error> {
    let state = record.state();
    let (severity, message) = match state {
        "SUCCEEDED" => ("INFO", "Job run succeeded".to_owned()),
        "STOPPED" => ("INFO", "Job run stopped".to_owned()),
        "TIMEOUT" => ("WARN", "Job run timed out".to_owned()),
        _ => ("ERROR", record.run.error_message.clone().unwrap_or_else(|| "Job run failed".to_owned())),
    };
    let detail = json!({
        "jobName": place.job, "severity": severity, "state": state, "jobRunId": place.run, "message": message,
    });
    let sent = Sent {
        account: place.account.clone(),
        region: place.region.clone(),
        time: record.run.completed_on.unwrap_or_default(),
        detail: detail.to_string(),
    };
    tx.enqueue(NewTask::new("glue:event", format!("glue:event:{}", place.run)).payload(&sent)?)?;
    Ok(())
}

pub(super) struct Events(pub(super) Arc<Jobs>);

#[async_trait]
impl Runner for Events {
    async fn run(&self, task: Task) -> Done {
        let Ok(sent) = task.payload::<Sent>() else { return Done::Finished };
        let cx = Cx::platform(&self.0.router, &sent.account, &sent.region).with_task(&task.id);
        let entry = PutEventsRequestEntry {
            time: Some(sent.time),
            source: Some("aws.glue".to_owned()),
            resources: Some(Vec::new()),
            detail_type: Some("Glue Job State Change".to_owned()),
            detail: Some(sent.detail),
            ..Default::default()
        };
        match cx.call::<PutEvents>(PutEventsRequest { entries: vec![entry], ..Default::default() }).await {
            Err(e) if task.attempt < 5 && !e.is("NotImplemented") => {
                tracing::warn!(error = %e, "the event of a job run could not be sent; trying again");
                Done::Retry(cx.now() + jiff::SignedDuration::from_secs(1 << task.attempt))
            }
            _ => Done::Finished,
        }
    }
}
