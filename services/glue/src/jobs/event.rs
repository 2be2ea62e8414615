//! The event `Glue Job State Change`, asked for in the transaction that ends the run.

use serde_json::json;
use store::Tx;
use wire::Error;

use super::records::{RunKey, RunRecord};

/// Asks for the event of a run that has just ended.
pub(super) fn enqueue(tx: &mut Tx<'_>, place: &RunKey, record: &RunRecord) -> Result<(), Error> {
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
    let event = ::jobs::event::Event {
        account: place.account.clone(),
        region: place.region.clone(),
        time: record.run.completed_on.unwrap_or_default(),
        source: "aws.glue".to_owned(),
        detail_type: "Glue Job State Change".to_owned(),
        resources: Vec::new(),
        detail,
    };
    ::jobs::event::enqueue(tx, &format!("glue:{}", place.run), &event)
}
