//! Telling topics of a stack's events. Each event is a durable task of its own for each topic, enqueued with the event, and published as
//! whoever has begun the stack's operation.
//! Source: CloudFormation User Guide, "Set CloudFormation stack options", "Notification options"; API Reference, CreateStack,
//! `NotificationARNs`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{Cx, Principal, Router};
use store::{Done, NewTask, Runner, Task, Tx};
use wire::Timestamp;

use crate::Result;
use crate::records::{EventRecord, StackRecord};
use crate::template::validation;

pub(crate) const TELL: &str = "cloudformation:tell";
pub(crate) const AT_ONCE: usize = 8;
/// Source: API Reference, CreateStack, `NotificationARNs`.
const MOST: usize = 5;
/// How often what the platform failed is tried.
const TRIES: u32 = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    account: String,
    region: String,
    principal: Principal,
    topic: String,
    message: String,
}

/// Topics as a caller names them.
///
/// # Errors
/// ValidationError for too many, and for what is no topic's ARN.
pub(crate) fn topics(given: Option<Vec<String>>) -> Result<Option<Vec<String>>> {
    let Some(mut topics) = given else { return Ok(None) };
    if topics.len() > MOST {
        return Err(validation(format!("Too many NotificationARNs: there can be at most {MOST}")));
    }
    let is_topic = |arn: &String| {
        let parts: Vec<&str> = arn.split(':').collect();
        matches!(parts.as_slice(), ["arn", _, "sns", region, account, name] if ![region, account, name].iter().any(|part| part.is_empty()))
    };
    if let Some(other) = topics.iter().find(|arn| !is_topic(arn)) {
        return Err(validation(format!("{other} is not the ARN of an Amazon SNS topic")));
    }
    topics.sort();
    topics.dedup();
    Ok(Some(topics))
}

/// Enqueues the telling of an event, which is the stack's n-th.
pub(crate) fn tell(tx: &mut Tx<'_>, stack: &StackRecord, n: u64, event: &EventRecord) -> Result<()> {
    let Some(principal) = stack.principal.as_ref().filter(|_| !stack.notified.is_empty()) else { return Ok(()) };
    let message = message(stack, principal, event);
    for (at, topic) in stack.notified.iter().enumerate() {
        let told = Told {
            account: stack.account.clone(),
            region: stack.region.clone(),
            principal: principal.clone(),
            topic: topic.clone(),
            message: message.clone(),
        };
        let id = format!("cloudformation-event/{}/{n}/{at}", stack.id);
        tx.enqueue(NewTask::new(TELL, id).unseen().payload(&told)?)?;
    }
    Ok(())
}

/// A line for each member, as AWS writes them.
fn message(stack: &StackRecord, principal: &Principal, event: &EventRecord) -> String {
    let lines = [
        ("StackId", stack.id.clone()),
        ("Timestamp", Timestamp::from_millis(event.at_ms).0.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        ("EventId", event.id.clone()),
        ("LogicalResourceId", event.logical_id.clone()),
        ("Namespace", stack.account.clone()),
        ("PhysicalResourceId", event.physical_id.clone()),
        ("PrincipalId", who(principal)),
        ("ResourceProperties", event.properties.clone().unwrap_or_else(|| "null".to_owned())),
        ("ResourceStatus", event.status.clone()),
        ("ResourceStatusReason", event.reason.clone().unwrap_or_default()),
        ("ResourceType", event.kind.clone()),
        ("StackName", stack.name.clone()),
        ("ClientRequestToken", "null".to_owned()),
    ];
    lines.map(|(name, value)| format!("{name}='{value}'\n")).concat()
}

/// A principal's unique id, as far as it is known.
fn who(principal: &Principal) -> String {
    match principal {
        Principal::Root { account } => account.clone(),
        Principal::Role { role_arn, session, context, .. } => {
            format!("{}:{session}", context.holder_id.as_deref().unwrap_or(role_arn))
        }
        Principal::User { user_arn, context, .. } => {
            context.as_ref().and_then(|context| context.holder_id.clone()).unwrap_or_else(|| user_arn.clone())
        }
        Principal::Platform | Principal::Anonymous => String::new(),
    }
}

pub(crate) struct Teller(pub(crate) Arc<Router>);

#[async_trait]
impl Runner for Teller {
    async fn run(&self, task: Task) -> Done {
        let told: Told = match task.payload() {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a stack's event cannot be read");
                return Done::Finished;
            }
        };
        // A topic may be in another region than the stack.
        let region = told.topic.split(':').nth(3).unwrap_or(&told.region);
        let cx = Cx::platform(&self.0, &told.account, region)
            .as_principal(told.principal.clone())
            .with_called_via("cloudformation.amazonaws.com")
            .with_task(&task.id);
        let input =
            json!({ "TopicArn": told.topic, "Subject": "AWS CloudFormation Notification", "Message": told.message });
        match cx.call_json("sns", "publish", input).await {
            Err(error) if error.status() >= 500 && task.attempt < TRIES => {
                Done::RetryAfter(SignedDuration::from_secs(1 << task.attempt.min(8)))
            }
            Err(error) => {
                tracing::warn!(topic = told.topic, %error, "a stack's event could not be told");
                Done::Finished
            }
            Ok(_) => Done::Finished,
        }
    }
}
