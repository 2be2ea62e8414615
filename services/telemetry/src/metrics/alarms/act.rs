//! Carrying out an action of an alarm: a durable task that tells a topic or a function.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Cx;
use store::{Done, Runner, Task};
use wire::arn::Arn;
use wire::{Error, Timestamp};

use super::{AlarmRecord, note};
use crate::metrics::Metrics;
use crate::metrics::series::Home;

pub(in crate::metrics) const ACT: &str = "cloudwatch:act";
/// How often an action that the platform failed is tried.
const TRIES: u32 = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::metrics) struct Act {
    pub(in crate::metrics) home: (String, String),
    pub(in crate::metrics) alarm: String,
    pub(in crate::metrics) action: String,
    pub(in crate::metrics) message: String,
    pub(in crate::metrics) subject: String,
}

/// Can it be an action here?
pub(in crate::metrics) fn check(action: &str) -> Result<(), Error> {
    let arn = Arn::parse(action).ok_or_else(|| Error::validation(format!("Invalid arn syntax: {action}")))?;
    match arn.service.as_str() {
        "sns" | "lambda" => Ok(()),
        other => Err(Error::not_implemented(format!("PutMetricAlarm: an action of {other} ({action})"))),
    }
}

pub(in crate::metrics) struct Actor(pub(in crate::metrics) Arc<Metrics>);

#[async_trait]
impl Runner for Actor {
    async fn run(&self, task: Task) -> Done {
        let act: Act = match task.payload() {
            Ok(act) => act,
            Err(error) => {
                tracing::error!(task = task.id, %error, "an alarm's action cannot be read");
                return Done::Finished;
            }
        };
        let outcome = self.carry_out(&task.id, &act).await;
        let now = self.0.router.now();
        if let Err(error) = &outcome
            && error.status() >= 500
            && task.attempt < TRIES
        {
            return Done::RetryAfter(SignedDuration::from_secs(1 << task.attempt.min(8)));
        }
        let summary = match &outcome {
            Ok(()) => format!("Successfully executed action {}", act.action),
            Err(error) => format!("Failed to execute action {}. Received error: \"{}\"", act.action, error.message()),
        };
        let state = if outcome.is_ok() { "Succeeded" } else { "Failed" };
        let data = json!({ "actionState": state, "notificationResource": act.action, "publishedMessage": act.message });
        let noted = self
            .0
            .store
            .write(move |tx| {
                let home = Home { account: act.home.0.clone(), region: act.home.1.clone() };
                match AlarmRecord::load(tx, &home, &act.alarm)? {
                    Some(alarm) => note(tx, &alarm, "Action", &summary, Some(data.to_string()), Timestamp(now)),
                    None => Ok(()),
                }
            })
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "an alarm's action stands in no history");
        }
        Done::Finished
    }
}

impl Actor {
    async fn carry_out(&self, task: &str, act: &Act) -> Result<(), Error> {
        let arn = Arn::parse(&act.action).ok_or_else(|| Error::validation("not an ARN"))?;
        let region = if arn.region.is_empty() { &act.home.1 } else { &arn.region };
        let alarm = format!("arn:aws:cloudwatch:{}:{}:alarm:{}", act.home.1, act.home.0, act.alarm);
        let name =
            if arn.service == "sns" { "cloudwatch.amazonaws.com" } else { "lambda.alarms.cloudwatch.amazonaws.com" };
        let cx = Cx::platform(&self.0.router, &act.home.0, region).as_service(name, &alarm).with_task(task);
        let (service, operation, input) = if arn.service == "sns" {
            ("sns", "publish", json!({ "TopicArn": act.action, "Subject": act.subject, "Message": act.message }))
        } else {
            let input = json!({ "FunctionName": act.action, "InvocationType": "Event", "Payload": act.message });
            ("lambda", "invoke", input)
        };
        cx.call_json(service, operation, input).await.map(drop)
    }
}
