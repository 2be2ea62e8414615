//! Bringing events to a subscription's function, as a gzipped message in base64. Source: CloudWatch Logs User Guide, "Real-time
//! processing of log data with subscriptions".

use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use serde_json::{Value, json};
use service::{Cx, Router};
use store::{Done, Runner, Task};
use wire::Error;

use crate::filters::PassOn;

/// A delivery is tried for that long. Source: the guide: "retried for up to 24 hours".
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

pub(crate) struct Subscriptions(pub(crate) Arc<Router>);

#[async_trait]
impl Runner for Subscriptions {
    async fn run(&self, task: Task) -> Done {
        let batch: PassOn = match task.payload() {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(task = task.id, %error, "events of a subscription cannot be read");
                return Done::Finished;
            }
        };
        let Err(error) = self.invoke(&task.id, &batch).await else { return Done::Finished };
        let now = self.0.now();
        let age = now.as_millisecond() - task.created_ms;
        let again = error.status() >= 500 || error.is("TooManyRequestsException");
        if again && i128::from(age) < LONGEST.as_millis() {
            return Done::RetryAfter(SignedDuration::from_secs((1 << task.attempt.min(9)).min(300)));
        }
        tracing::warn!(task = task.id, %error, "a subscription's function did not take its events");
        Done::Finished
    }
}

impl Subscriptions {
    async fn invoke(&self, task: &str, batch: &PassOn) -> Result<(), Error> {
        let group = format!("arn:aws:logs:{}:{}:log-group:{}:*", batch.region, batch.account, batch.group);
        let cx = Cx::platform(&self.0, &batch.account, &batch.region)
            .as_service("logs.amazonaws.com", &group)
            .with_task(task);
        let payload = json!({ "awslogs": { "data": data(batch).map_err(Error::internal)? } });
        let input =
            json!({ "FunctionName": batch.destination, "InvocationType": "Event", "Payload": payload.to_string() });
        cx.call_json("lambda", "invoke", input).await.map(drop)
    }
}

fn data(batch: &PassOn) -> std::io::Result<String> {
    let events: Vec<Value> =
        batch.events.iter().map(|(id, at, message)| json!({ "id": id, "timestamp": at, "message": message })).collect();
    let message = json!({
        "messageType": "DATA_MESSAGE",
        "owner": batch.account,
        "logGroup": batch.group,
        "logStream": batch.stream,
        "subscriptionFilters": [batch.filter],
        "logEvents": events,
    });
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(message.to_string().as_bytes())?;
    Ok(STANDARD.encode(gzip.finish()?))
}
