//! Delivery status logging: how a delivery to a protocol with feedback roles ended goes to CloudWatch Logs, by the role that the topic
//! names: to `sns/REGION/ACCOUNT/TOPIC` where it succeeded, to `sns/REGION/ACCOUNT/TOPIC/Failure` where it did not. What cannot be
//! logged is passed over; the delivery stays what it is. Source: SNS Developer Guide, "Amazon SNS message delivery status".

use api_logs::{
    CreateLogGroup, CreateLogGroupRequest, CreateLogStream, CreateLogStreamRequest, InputLogEvent, PutLogEvents,
    PutLogEventsRequest,
};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use service::Cx;
use wire::Error;
use wire::arn::Arn;

use super::deliver::Deliverer;
use super::publish::Notification;
use super::recent::{Heard, State};
use super::topic::{Subscription, Topic};

/// What the endpoint said at last.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) response: String,
}

impl Said {
    /// An endpoint of AWS refused: its code and message, before a colon and behind it.
    pub(super) fn refused(cause: &str) -> Self {
        let (code, message) = cause.split_once(": ").unwrap_or(("InternalError", cause));
        // AWS tells SQS's code as the query protocol has it (SNS Developer Guide, "Message delivery status").
        let code = if code == "QueueDoesNotExist" { "AWS.SimpleQueueService.NonExistentQueue" } else { code };
        let status = match code {
            "AccessDenied" | "AccessDeniedException" => 403,
            "InternalError" | "ServiceUnavailable" => 500,
            _ => 400,
        };
        Self { status, response: json!({ "ErrorCode": code, "ErrorMessage": message }).to_string() }
    }
}

/// How a delivery ended.
pub(super) struct Outcome<'a> {
    /// Names the delivery.
    pub(super) task: &'a str,
    pub(super) notification: &'a Notification,
    pub(super) subscription: &'a Subscription,
    pub(super) text: &'a str,
    pub(super) attempts: u32,
    pub(super) is_success: bool,
    pub(super) said: Said,
}

/// The protocol as the attributes' names begin.
fn logged_as(protocol: &str) -> Option<&'static str> {
    match protocol {
        "sqs" => Some("SQS"),
        "lambda" => Some("Lambda"),
        "http" | "https" => Some("HTTP"),
        _ => None,
    }
}

/// A number of a delivery, below 100, and always the same: which share of the successes is logged goes by it.
fn lot(task: &str) -> u8 {
    Md5::digest(task.as_bytes())
        .first_chunk::<4>()
        .map_or(0, |bytes| u8::try_from(u32::from_be_bytes(*bytes) % 100).unwrap_or(0))
}

impl Deliverer {
    /// Remembers how a delivery ended for a while, and logs it where its topic wants that.
    pub(super) async fn tell(&self, outcome: Outcome<'_>) {
        let state = if outcome.is_success { State::Delivered } else { State::Failed };
        let now = self.store.clock().now_ms();
        let heard = Heard {
            message_id: Some(outcome.notification.id.clone()),
            published_ms: Some(outcome.notification.published_ms),
            status_code: Some(outcome.said.status),
            said: outcome.said.response.clone(),
            ..Heard::of(outcome.subscription, outcome.task, (state, outcome.attempts, now))
        };
        self.recent.heard(&outcome.notification.topic_arn, heard);
        let Ok(key) = Topic::key(&outcome.notification.topic_arn) else { return };
        let Ok(Some(topic)) = self.store.read(|tx| tx.get_json::<Topic>(&key)).await else { return };
        let Some(role) = role_for(&topic, &outcome) else { return };
        if let Err(error) = self.log(&role, &outcome).await {
            tracing::warn!(topic = topic.arn, %error, "the status of a delivery could not be logged");
        }
    }

    async fn log(&self, role: &str, outcome: &Outcome<'_>) -> Result<(), Error> {
        let topic = &outcome.notification.topic_arn;
        let arn = Arn::parse(topic).ok_or_else(|| Error::internal("a topic's ARN that is none"))?;
        let cx = Cx::platform(&self.router, &arn.account, &arn.region);
        let principal = cx.router().identity().role_session(role, "sns-delivery-status", None).await?;
        let (cx, now) = (cx.as_principal(principal), cx.now());
        let failure = if outcome.is_success { "" } else { "/Failure" };
        let group = format!("sns/{}/{}/{}{failure}", arn.region, arn.account, arn.resource);
        let stream = now.strftime("%Y-%m-%d").to_string();
        let request = PutLogEventsRequest {
            log_group_name: group.clone(),
            log_stream_name: stream.clone(),
            log_events: vec![InputLogEvent {
                timestamp: now.as_millisecond(),
                message: record(outcome, now).to_string(),
            }],
            ..PutLogEventsRequest::default()
        };
        match cx.call::<PutLogEvents>(request.clone()).await {
            Err(error) if error.is("ResourceNotFoundException") => {}
            put => return put.map(drop),
        }
        let there = |made: Result<_, Error>| match made {
            Err(error) if error.is("ResourceAlreadyExistsException") => Ok(()),
            made => made.map(drop),
        };
        let made = CreateLogGroupRequest { log_group_name: group.clone(), ..CreateLogGroupRequest::default() };
        there(cx.call::<CreateLogGroup>(made).await)?;
        there(
            cx.call::<CreateLogStream>(CreateLogStreamRequest { log_group_name: group, log_stream_name: stream }).await,
        )?;
        cx.call::<PutLogEvents>(request).await.map(drop)
    }
}

/// The role that logs this, if it is to be logged.
fn role_for(topic: &Topic, outcome: &Outcome<'_>) -> Option<String> {
    let protocol = logged_as(&outcome.subscription.protocol)?;
    let said = |what: &str| topic.attributes.get(&format!("{protocol}{what}"));
    if !outcome.is_success {
        return said("FailureFeedbackRoleArn").cloned();
    }
    let rate: u8 = said("SuccessFeedbackSampleRate").and_then(|rate| rate.parse().ok()).unwrap_or_default();
    said("SuccessFeedbackRoleArn").filter(|_| lot(outcome.task) < rate).cloned()
}

/// The event as AWS writes it.
fn record(outcome: &Outcome<'_>, now: Timestamp) -> Value {
    let Outcome { task, notification, subscription, text, attempts, is_success, said } = outcome;
    let published = Timestamp::from_millisecond(notification.published_ms).unwrap_or_default();
    let id = Md5::digest(task.as_bytes()).first_chunk::<16>().copied().unwrap_or_default();
    json!({
        "notification": {
            "messageMD5Sum": hex::encode(Md5::digest(text.as_bytes())),
            "messageId": notification.id,
            "topicArn": notification.topic_arn,
            "timestamp": published.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
        },
        "delivery": {
            "deliveryId": uuid::Builder::from_md5_bytes(id).into_uuid().to_string(),
            "destination": subscription.endpoint,
            "providerResponse": said.response,
            "dwellTimeMs": (now.as_millisecond() - notification.published_ms).max(0),
            "attempts": attempts,
            "statusCode": said.status,
        },
        "status": if *is_success { "SUCCESS" } else { "FAILURE" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_successes_is_logged() {
        let drawn = (0..1000).filter(|n| lot(&format!("sns:deliver/{n}")) < 25).count();
        assert!((200..300).contains(&drawn), "{drawn}");
        assert_eq!(logged_as("email"), None);
        let said = Said::refused("AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist.");
        let wanted = r#"{"ErrorCode":"AWS.SimpleQueueService.NonExistentQueue","ErrorMessage":"The specified queue does not exist."}"#;
        assert_eq!((said.status, said.response.as_str()), (400, wanted));
        assert_eq!(Said::refused("QueueDoesNotExist: The specified queue does not exist.").response, wanted);
    }
}
