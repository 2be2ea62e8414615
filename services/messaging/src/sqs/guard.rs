//! The policies of queues as the Router asks for them. Source: SQS Developer Guide, "Using custom policies with the Amazon SQS Access
//! Policy Language".

use async_trait::async_trait;
use service::Cx;
use service::authorization::{Guard, ResourcePolicy};
use wire::Error;

use super::Sqs;
use super::queue::QueueKey;

/// "Cross-account permissions don't apply to this action": what a queue's policy cannot give to another account. Source: SQS Developer
/// Guide, "Limitations of Amazon SQS custom policies".
const OWN_ACCOUNT_ONLY: [&str; 12] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "ListQueues",
    "ListQueueTags",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

#[async_trait]
impl Guard for Sqs {
    async fn policy(&self, cx: &Cx, action: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error> {
        let Some(place) = QueueKey::of_arn(resource) else { return Ok(None) };
        let action = action.trim_start_matches("sqs:");
        if place.account != cx.account() && OWN_ACCOUNT_ONLY.contains(&action) {
            return Ok(None);
        }
        let queue = self.store.read(|tx| place.find(tx)).await?;
        let policy = queue.as_ref().and_then(|queue| queue.attributes.get("Policy"));
        Ok(policy
            .and_then(|text| serde_json::from_str(text).ok())
            .map(|policy| ResourcePolicy { policy, must_allow: false }))
    }
}
