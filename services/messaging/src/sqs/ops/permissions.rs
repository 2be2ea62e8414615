//! AddPermission and RemovePermission: statements of a queue's policy by their labels.

use api_sqs::{AddPermission, AddPermissionRequest, RemovePermission, RemovePermissionRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::permissions::{self, Granted};
use crate::sqs::Sqs;
use crate::sqs::queue::{QueueKey, invalid_parameter, missing_parameter};

/// Actions that AddPermission takes. Source: SQS API Reference, AddPermission.
const ACTIONS: [&str; 8] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ReceiveMessage",
    "SendMessage",
];

const MOST_ACTIONS: usize = 7;
const LONGEST_LABEL: usize = 80;

/// What a statement must name. Source: SQS API Reference, AddPermission.
fn check(req: &AddPermissionRequest) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if req.label.is_empty() || req.label.len() > LONGEST_LABEL || !req.label.chars().all(allowed) {
        return Err(invalid_parameter(format!(
            "Value {} for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, or \
             underscores. 1 to {LONGEST_LABEL} in length.",
            req.label
        )));
    }
    if req.actions.is_empty() {
        return Err(missing_parameter("Actions"));
    }
    if req.actions.len() > MOST_ACTIONS {
        return Err(api_sqs::error::over_limit(format!(
            "{} Actions were found, maximum allowed is {MOST_ACTIONS}.",
            req.actions.len()
        )));
    }
    if let Some(accounts) = permissions::not_accounts(&req.aws_account_ids) {
        return Err(invalid_parameter(format!(
            "Value [{accounts}] for parameter PrincipalId is invalid. Reason: Unable to verify."
        )));
    }
    Ok(())
}

#[async_trait]
impl Handle<AddPermission> for Sqs {
    async fn handle(&self, cx: &Cx, req: AddPermissionRequest) -> Result<Empty, Error> {
        check(&req)?;
        if let Some(action) = req.actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
            return Err(invalid_parameter(format!(
                "Value SQS:{action} for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action."
            )));
        }
        let place = QueueKey::of_url(cx, &req.queue_url);
        let now = cx.now().as_millisecond();
        cx.write(&self.store, move |tx| {
            let mut queue = place.queue(tx)?;
            let granted = Granted {
                label: &req.label,
                accounts: &req.aws_account_ids,
                actions: req.actions.iter().map(|action| format!("SQS:{action}")).collect(),
                resource: queue.arn(),
            };
            let policy =
                permissions::add(queue.attributes.get("Policy").map(String::as_str), &granted).ok_or_else(|| {
                    invalid_parameter(format!(
                        "Value {} for parameter Label is invalid. Reason: Already exists.",
                        req.label
                    ))
                })?;
            queue.attributes.insert("Policy".to_owned(), policy);
            queue.modified_ms = now;
            queue.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<RemovePermission> for Sqs {
    async fn handle(&self, cx: &Cx, req: RemovePermissionRequest) -> Result<Empty, Error> {
        let place = QueueKey::of_url(cx, &req.queue_url);
        let now = cx.now().as_millisecond();
        cx.write(&self.store, move |tx| {
            let mut queue = place.queue(tx)?;
            let policy = queue.attributes.get("Policy").and_then(|text| permissions::remove(text, &req.label));
            match policy.ok_or_else(|| {
                invalid_parameter(format!(
                    "Value {} for parameter Label is invalid. Reason: can't find label on existing policy.",
                    req.label
                ))
            })? {
                Some(left) => queue.attributes.insert("Policy".to_owned(), left),
                None => queue.attributes.remove("Policy"),
            };
            queue.modified_ms = now;
            queue.save(tx)
        })
        .await?;
        Ok(Empty {})
    }
}
