//! The event `Athena Query State Change`, a task of its own asked for in the transaction that changes the state.

use std::sync::Arc;

use api_events::{PutEvents, PutEventsRequest, PutEventsRequestEntry};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Cx;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::{Error, Timestamp};

use crate::Athena;
use crate::records::{Record, Scope};

pub(crate) const KIND: &str = "athena:event";
const ATTEMPTS: u32 = 5;

#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    scope: Scope,
    time: Timestamp,
    resource: String,
    detail: String,
}

/// Asks for the event of a change of state that the record shows.
pub(crate) fn enqueue(
    tx: &mut Tx<'_>,
    scope: &Scope,
    record: &Record,
    previous: &str,
    now: jiff::Timestamp,
) -> Result<(), Error> {
    let execution = &record.execution;
    let id = execution.query_execution_id.clone().unwrap_or_default();
    let mut detail = json!({
        "versionId": "0",
        "currentState": record.state(),
        "previousState": previous,
        "statementType": execution.statement_type,
        "queryExecutionId": id,
        "workgroupName": record.workgroup(),
        "sequenceNumber": record.sequence.to_string(),
    });
    if let Some(error) = execution.status.as_ref().and_then(|status| status.athena_error.as_ref()) {
        detail["athenaError"] = json!({
            "errorCategory": error.error_category,
            "errorType": error.error_type,
            "errorMessage": error.error_message,
            "retryable": error.retryable,
        });
    }
    let sent = Sent {
        scope: scope.clone(),
        time: now.into(),
        resource: format!("arn:aws:athena:{}:{}:workgroup/{}", scope.region, scope.account, record.workgroup()),
        detail: detail.to_string(),
    };
    tx.enqueue(NewTask::new(KIND, format!("{KIND}:{id}:{}", record.sequence)).payload(&sent)?)?;
    Ok(())
}

pub(crate) struct Events(pub(crate) Arc<Athena>);

#[async_trait]
impl Runner for Events {
    async fn run(&self, task: Task) -> Done {
        let Ok(sent) = task.payload::<Sent>() else { return Done::Finished };
        let cx = Cx::platform(&self.0.router, &sent.scope.account, &sent.scope.region).with_task(&task.id);
        let entry = PutEventsRequestEntry {
            time: Some(sent.time),
            source: Some("aws.athena".to_owned()),
            resources: Some(vec![sent.resource]),
            detail_type: Some("Athena Query State Change".to_owned()),
            detail: Some(sent.detail),
            ..Default::default()
        };
        match cx.call::<PutEvents>(PutEventsRequest { entries: vec![entry], ..Default::default() }).await {
            Err(error) if task.attempt < ATTEMPTS && !error.is("NotImplemented") => {
                tracing::warn!(%error, "the event of a query could not be sent; trying again");
                Done::Retry(cx.now() + jiff::SignedDuration::from_secs(1 << task.attempt))
            }
            _ => Done::Finished,
        }
    }
}
