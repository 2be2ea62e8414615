//! RollbackStack: what an operation that failed has left as far as it came is taken back.

use api_cloudformation as api;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::records::{Goal, Operation, Phase, StackRecord};
use crate::stacks::{self, StackScope};
use crate::template::validation;
use crate::{CloudFormation, Result, start};

#[async_trait]
impl Handle<api::RollbackStack> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::RollbackStackInput) -> Result<api::RollbackStackOutput> {
        let (place, principal) = (StackScope::of(cx), cx.principal().clone());
        cx.write(&self.store, move |tx| {
            let mut stack = stacks::require(tx, &place, &input.stack_name)?;
            let failed = ["CREATE_FAILED", "UPDATE_FAILED"].contains(&stack.status.as_str());
            let Some(operation) = stack.failed.take().filter(|_| failed && stack.operation.is_none()) else {
                let text = format!("Stack:{} is in {} state and can not be rolled back.", stack.id, stack.status);
                return Err(validation(text));
            };
            let mut operation = taken_up(&mut stack, operation);
            operation.principal = principal.clone();
            operation.forgets_created = input.retain_except_on_create.unwrap_or(false);
            stack.role_arn = input.role_arn.clone().or(stack.role_arn);
            let status = match operation.goal {
                Goal::Create => "ROLLBACK_IN_PROGRESS",
                Goal::Import => "IMPORT_ROLLBACK_IN_PROGRESS",
                _ => "UPDATE_ROLLBACK_IN_PROGRESS",
            };
            start::resume(tx, &mut stack, place.now_ms, operation, status)?;
            Ok::<_, Error>(api::RollbackStackOutput { stack_id: Some(stack.id), ..Default::default() })
        })
        .await
    }
}

/// The operation as it would have gone back at once: what it has replaced is to be put back, and what was to take a place and was only half
/// made is what is in that place.
fn taken_up(stack: &mut StackRecord, mut operation: Operation) -> Operation {
    operation.phase = Phase::Rollback;
    "ROLLBACK".clone_into(&mut operation.on_failure);
    operation.cancelled = false;
    let replaced = std::mem::take(&mut operation.superseded);
    stack
        .superseded
        .retain(|(name, record)| !replaced.iter().any(|(own, old)| own == name && old.generation == record.generation));
    operation.superseded = replaced;
    // Those are of the operation that has failed, the stack's last.
    let failed = stack.operations;
    let (half_made, left): (Vec<_>, Vec<_>) =
        std::mem::take(&mut stack.superseded).into_iter().partition(|(name, record)| {
            record.generation == failed && operation.journal.get(name).is_some_and(Option::is_some)
        });
    stack.superseded = left;
    stack.resources.extend(half_made);
    operation
}
