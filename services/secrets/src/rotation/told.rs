//! What becomes of a rotation, as EventBridge has it from CloudTrail: the events of the service itself, on the bus `default`. They are
//! written with what they tell of, and sent after it. Sources: Secrets Manager User Guide, "Log AWS Secrets Manager events with AWS
//! CloudTrail" (entries for rotation), "Match Secrets Manager events with Amazon EventBridge"; CloudTrail User Guide, "AWS service events".

use std::sync::Arc;

use api_events::{PutEvents, PutEventsRequest, PutEventsRequestEntry};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Cx, Router};
use store::{Done, NewTask, Task, Tx};
use wire::{Error, Timestamp};

use super::{Asked, SERVICE};

pub(crate) const TELL: &str = "secrets:rotation-event";
const ATTEMPTS: u32 = 30;

/// An event.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// Version of the record's form.
    version: u32,
    account: String,
    region: String,
    arn: String,
    name: String,
    at: Timestamp,
}

/// What has become of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Started,
    Succeeded,
    Failed,
}

/// Notes that it is to be told. `fresh` is the event's id.
pub(crate) fn tell(
    tx: &mut Tx<'_>,
    asked: &Asked,
    arn: &str,
    (what, test): (What, bool),
    fresh: &str,
) -> Result<(), Error> {
    let name = format!("{}Rotation{what:?}", if test { "Test" } else { "" });
    let (account, region) = (asked.account.clone(), asked.region.clone());
    let told = Told { version: 1, account, region, arn: arn.to_owned(), name, at: tx.now().into() };
    Ok(tx.enqueue(NewTask::new(TELL, format!("{TELL}/{fresh}")).payload(&told)?)?)
}

/// Sends it.
pub(crate) async fn send(router: &Arc<Router>, task: &Task) -> Done {
    let Ok(told) = task.payload::<Told>() else { return Done::Finished };
    let cx = Cx::platform(router, &told.account, &told.region).with_task(&task.id);
    let entry = PutEventsRequestEntry {
        time: Some(told.at),
        source: Some("aws.secretsmanager".to_owned()),
        resources: Some(vec![told.arn.clone()]),
        detail_type: Some("AWS Service Event via CloudTrail".to_owned()),
        detail: Some(detail(&told, task.id.rsplit('/').next().unwrap_or_default()).to_string()),
        ..PutEventsRequestEntry::default()
    };
    match cx.call::<PutEvents>(PutEventsRequest { entries: vec![entry], ..PutEventsRequest::default() }).await {
        Err(error) if error.status() >= 500 && task.attempt < ATTEMPTS => {
            Done::RetryAfter(SignedDuration::from_secs(1))
        }
        Err(error) => {
            tracing::warn!(task = task.id, %error, "an event of a rotation could not be sent");
            Done::Finished
        }
        Ok(_) => Done::Finished,
    }
}

fn detail(told: &Told, id: &str) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": { "accountId": told.account, "invokedBy": SERVICE },
        "eventTime": told.at.to_iso(),
        "eventSource": SERVICE,
        "eventName": told.name,
        "awsRegion": told.region,
        "sourceIPAddress": SERVICE,
        "userAgent": SERVICE,
        "requestParameters": null,
        "responseElements": null,
        "additionalEventData": { "SecretId": told.arn },
        "eventID": id,
        "readOnly": false,
        "eventType": "AwsServiceEvent",
        "managementEvent": true,
        "recipientAccountId": told.account,
        "eventCategory": "Management",
    })
}
