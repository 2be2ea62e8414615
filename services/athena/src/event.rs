//! The event `Athena Query State Change`, asked for in the transaction that changes the state.

use serde_json::json;
use store::Tx;
use wire::Error;

use crate::records::{Record, Scope};

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
    let event = jobs::event::Event {
        account: scope.account.clone(),
        region: scope.region.clone(),
        time: now.into(),
        source: "aws.athena".to_owned(),
        detail_type: "Athena Query State Change".to_owned(),
        resources: vec![format!("arn:aws:athena:{}:{}:workgroup/{}", scope.region, scope.account, record.workgroup())],
        detail,
    };
    jobs::event::enqueue(tx, &format!("athena:{id}:{}", record.sequence), &event)
}
