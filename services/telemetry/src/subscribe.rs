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

use crate::Telemetry;
use crate::filters::PassOn;

/// A delivery is tried for that long. Source: the guide: "retried for up to 24 hours".
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// What an asynchronous invocation takes. Source: Lambda Developer Guide, "Lambda quotas".
const MAX_EVENT_BYTES: usize = 1 << 20;

pub(crate) struct Subscriptions(pub(crate) Arc<Router>, pub(crate) Arc<Telemetry>);

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
        let Err(error) = self.bring(&task.id, batch).await else { return Done::Finished };
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
    async fn bring(&self, task: &str, mut batch: PassOn) -> Result<(), Error> {
        if let Some(sealed) = batch.sealed.take() {
            let cx = Cx::platform(&self.0, &batch.account, &batch.region);
            let opened = self.1.open(&cx, &batch.group, &sealed).await;
            // The key may be usable again before the delivery is given up.
            let opened = opened.map_err(|error| Error::new(error.code(), 503, error.message().to_owned()))?;
            batch.events = serde_json::from_str(&opened).map_err(Error::internal)?;
        }
        self.invoke(task, &batch).await
    }

    async fn invoke(&self, task: &str, batch: &PassOn) -> Result<(), Error> {
        // Named in their order, so that each is brought once however often the task runs.
        for (count, payload) in payloads(batch).map_err(Error::internal)?.into_iter().enumerate() {
            let name = if count == 0 { task.to_owned() } else { format!("{task}/{count}") };
            self.invoke_with(&name, batch, payload).await?;
        }
        Ok(())
    }

    async fn invoke_with(&self, task: &str, batch: &PassOn, payload: String) -> Result<(), Error> {
        let group = format!("arn:aws:logs:{}:{}:log-group:{}:*", batch.region, batch.account, batch.group);
        let cx = Cx::platform(&self.0, &batch.account, &batch.region)
            .as_service("logs.amazonaws.com", &group)
            .with_task(task);
        let input = json!({ "FunctionName": batch.destination, "InvocationType": "Event", "Payload": payload });
        cx.call_json("lambda", "invoke", input).await.map(drop)
    }
}

/// As many events as it takes: what packs badly is brought in halves. A message that is too large by itself is left out.
fn payloads(batch: &PassOn) -> std::io::Result<Vec<String>> {
    let (mut parts, mut payloads) = (vec![batch.clone()], Vec::new());
    while let Some(part) = parts.pop() {
        let payload = json!({ "awslogs": { "data": data(&part)? } }).to_string();
        if payload.len() <= MAX_EVENT_BYTES {
            payloads.push(payload);
        } else if part.events.len() > 1 {
            let (first, second) = halves(part);
            parts.extend([second, first]);
        } else {
            tracing::warn!(
                group = part.group,
                filter = part.filter,
                "a line is too large for a subscription's function"
            );
        }
    }
    Ok(payloads)
}

fn halves(mut batch: PassOn) -> (PassOn, PassOn) {
    let second = batch.events.split_off(batch.events.len() / 2);
    let second = PassOn { events: second, ..batch.clone() };
    (batch, second)
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Text that cannot be packed: base64's letters by a linear congruential generator.
    fn dense(mut seed: u64, length: usize) -> String {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(letters[usize::try_from(seed >> 58).unwrap()])
        };
        (0..length).map(|_| next()).collect()
    }

    fn ids(payload: &str) -> Vec<String> {
        let payload: Value = serde_json::from_str(payload).unwrap();
        let packed = STANDARD.decode(payload["awslogs"]["data"].as_str().unwrap()).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        let message: Value = serde_json::from_str(&text).unwrap();
        message["logEvents"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_packs_badly_is_brought_in_parts() {
        let sizes = [300_000, 300_000, 300_000, 2_000_000, 300_000];
        let event = |(n, size): (usize, &usize)| (n.to_string(), 0, dense(n as u64, *size));
        let batch = PassOn {
            account: "000000000000".to_owned(),
            region: "eu-west-1".to_owned(),
            group: "g".to_owned(),
            stream: "s".to_owned(),
            filter: "f".to_owned(),
            destination: "arn:aws:lambda:eu-west-1:000000000000:function:f".to_owned(),
            events: sizes.iter().enumerate().map(event).collect(),
            sealed: None,
        };
        let payloads = payloads(&batch).unwrap();
        assert!(payloads.iter().all(|payload| payload.len() <= MAX_EVENT_BYTES));
        let brought: Vec<String> = payloads.iter().flat_map(|payload| ids(payload)).collect();
        assert_eq!(brought, ["0", "1", "2", "4"], "all but the one that is too large by itself, in their order");
    }
}
