//! AddPermission and RemovePermission: statements of a topic's policy by their labels.

use api_sns::{AddPermission, AddPermissionInput, RemovePermission, RemovePermissionInput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::permissions::{self, Granted};
use crate::sns::Sns;
use crate::sns::topic::{Topic, invalid};

/// Actions that AddPermission takes. Source: SNS Developer Guide, "Valid Amazon SNS policy actions".
const ACTIONS: [&str; 10] = [
    "AddPermission",
    "DeleteTopic",
    "GetDataProtectionPolicy",
    "GetTopicAttributes",
    "ListSubscriptionsByTopic",
    "ListTagsForResource",
    "Publish",
    "RemovePermission",
    "SetTopicAttributes",
    "Subscribe",
];

#[async_trait]
impl Handle<AddPermission> for Sns {
    async fn handle(&self, cx: &Cx, req: AddPermissionInput) -> Result<Empty, Error> {
        if req.label.is_empty() {
            return Err(invalid("Label"));
        }
        if let Some(accounts) = permissions::not_accounts(&req.aws_account_id) {
            return Err(invalid(format!("AWSAccountId [{accounts}]")));
        }
        if req.action_name.is_empty() {
            return Err(invalid("ActionName"));
        }
        if req.action_name.iter().any(|action| !ACTIONS.contains(&action.as_str())) {
            return Err(invalid("Policy statement action out of service scope!"));
        }
        cx.write(&self.store, move |tx| {
            let mut topic = Topic::load(tx, &req.topic_arn)?;
            let granted = Granted {
                label: &req.label,
                accounts: &req.aws_account_id,
                actions: req.action_name.iter().map(|action| format!("SNS:{action}")).collect(),
                resource: topic.arn.clone(),
            };
            let policy = permissions::add(topic.attributes.get("Policy").map(String::as_str), &granted)
                .ok_or_else(|| invalid("Statement already exists"))?;
            topic.attributes.insert("Policy".to_owned(), policy);
            topic.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<RemovePermission> for Sns {
    /// A label that is not there is no error.
    async fn handle(&self, cx: &Cx, req: RemovePermissionInput) -> Result<Empty, Error> {
        cx.write(&self.store, move |tx| {
            let mut topic = Topic::load(tx, &req.topic_arn)?;
            match topic.attributes.get("Policy").and_then(|text| permissions::remove(text, &req.label)) {
                Some(Some(left)) => topic.attributes.insert("Policy".to_owned(), left),
                Some(None) => topic.attributes.remove("Policy"),
                None => return Ok(()),
            };
            topic.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}
