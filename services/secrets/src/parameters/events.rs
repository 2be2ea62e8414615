//! What EventBridge's bus `default` is told of parameters: written with what has changed, and sent after it.
//! Source: Systems Manager User Guide, "Setting up notifications or triggering actions based on Parameter Store events".

use std::sync::Arc;

use api_events::{PutEvents, PutEventsRequest, PutEventsRequestEntry};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Cx, Router};
use store::{Done, NewTask, Task, Tx};
use wire::{Error, Timestamp};

use crate::ops::parameters::Record;

pub(crate) const TELL: &str = "ssm:event";
const ATTEMPTS: u32 = 30;

/// Where a parameter is: account and region.
pub(crate) type Place = (String, String);

/// An event.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// Version of the record's form.
    version: u32,
    place: Place,
    arn: String,
    detail_type: String,
    detail: Value,
    at: Timestamp,
}

/// What has become of a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Create,
    Update,
    Delete,
    LabelParameterVersion,
}

/// `fresh` is nothing that another event has.
pub(crate) fn changed(
    tx: &mut Tx<'_>,
    place: &Place,
    record: &Record,
    change: Change,
    fresh: &str,
) -> Result<(), Error> {
    let mut detail = json!({ "operation": format!("{change:?}"), "name": record.name, "type": record.kind });
    if let Some(description) = &record.description {
        detail["description"] = json!(description);
    }
    tell(tx, place, (&record.arn, "Parameter Store Change"), detail, fresh)
}

pub(super) fn tell(
    tx: &mut Tx<'_>,
    place: &Place,
    (arn, detail_type): (&str, &str),
    detail: Value,
    fresh: &str,
) -> Result<(), Error> {
    let told = Told {
        version: 1,
        place: place.clone(),
        arn: arn.to_owned(),
        detail_type: detail_type.to_owned(),
        detail,
        at: tx.now().into(),
    };
    Ok(tx.enqueue(NewTask::new(TELL, format!("{TELL}/{fresh}")).payload(&told)?)?)
}

/// Sends it.
pub(crate) async fn send(router: &Arc<Router>, task: &Task) -> Done {
    let Ok(told) = task.payload::<Told>() else { return Done::Finished };
    let cx = Cx::platform(router, &told.place.0, &told.place.1).with_task(&task.id);
    let entry = PutEventsRequestEntry {
        time: Some(told.at),
        source: Some("aws.ssm".to_owned()),
        resources: Some(vec![told.arn.clone()]),
        detail_type: Some(told.detail_type.clone()),
        detail: Some(told.detail.to_string()),
        ..PutEventsRequestEntry::default()
    };
    match cx.call::<PutEvents>(PutEventsRequest { entries: vec![entry], ..PutEventsRequest::default() }).await {
        Err(error) if error.status() >= 500 && task.attempt < ATTEMPTS => {
            Done::RetryAfter(SignedDuration::from_secs(1))
        }
        Err(error) => {
            tracing::warn!(task = task.id, %error, "an event of a parameter could not be sent");
            Done::Finished
        }
        Ok(_) => Done::Finished,
    }
}
