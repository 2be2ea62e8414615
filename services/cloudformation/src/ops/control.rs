//! What is done to stacks besides making them: protection, policies, going back, what they share.

use std::collections::BTreeMap;

use api_cloudformation as api;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::records::{self, Goal, Phase, StackRecord};
use crate::stacks::{self, StackScope};
use crate::start::Wanted;
use crate::template::validation;
use crate::{CloudFormation, Result, policy, start};

#[async_trait]
impl Handle<api::UpdateTerminationProtection> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::UpdateTerminationProtectionInput,
    ) -> Result<api::UpdateTerminationProtectionOutput> {
        let place = StackScope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut stack = stacks::require(tx, &place, &input.stack_name)?;
            stack.protected = input.enable_termination_protection;
            stacks::save(tx, &stack)?;
            Ok::<_, Error>(api::UpdateTerminationProtectionOutput { stack_id: Some(stack.id) })
        })
        .await
    }
}

#[async_trait]
impl Handle<api::SetStackPolicy> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::SetStackPolicyInput) -> Result<Empty> {
        let text = self.policy_text(cx, input.stack_policy_body, input.stack_policy_url).await?;
        let text = text.ok_or_else(|| validation("Either StackPolicyBody or StackPolicyURL must be specified."))?;
        policy::check(&text)?;
        let place = StackScope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut stack = stacks::require(tx, &place, &input.stack_name)?;
            stack.policy = Some(text.clone());
            stacks::save(tx, &stack)?;
            Ok::<_, Error>(Empty {})
        })
        .await
    }
}

#[async_trait]
impl Handle<api::GetStackPolicy> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::GetStackPolicyInput) -> Result<api::GetStackPolicyOutput> {
        Ok(api::GetStackPolicyOutput { stack_policy_body: self.stack(cx, &input.stack_name).await?.policy })
    }
}

/// The update stops before its next resource, and goes back.
#[async_trait]
impl Handle<api::CancelUpdateStack> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::CancelUpdateStackInput) -> Result<Empty> {
        let place = StackScope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut stack = stacks::require(tx, &place, &input.stack_name)?;
            let (status, id) = (stack.status.clone(), stack.id.clone());
            match stack.operation.as_mut() {
                Some(operation) if operation.goal == Goal::Update && operation.phase == Phase::Forward => {
                    operation.cancelled = true;
                }
                _ => {
                    return Err(validation(format!(
                        "CancelUpdateStack cannot be called from current stack status: {status} of {id}"
                    )));
                }
            }
            stacks::save(tx, &stack)?;
            Ok(Empty {})
        })
        .await
    }
}

/// Goes on with a way back that has failed, without the resources that are to be skipped.
#[async_trait]
impl Handle<api::ContinueUpdateRollback> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::ContinueUpdateRollbackInput,
    ) -> Result<api::ContinueUpdateRollbackOutput> {
        let (place, skipped) = (StackScope::of(cx), input.resources_to_skip.unwrap_or_default());
        cx.write(&self.store, move |tx| {
            let mut stack = stacks::require(tx, &place, &input.stack_name)?;
            let halted = stack.stuck.take().filter(|_| stack.status == "UPDATE_ROLLBACK_FAILED");
            let Some(mut operation) = halted else {
                return Err(validation(format!(
                    "Stack:{} is in {} state and can not continue rolling back.",
                    stack.id, stack.status
                )));
            };
            if let Some(unknown) = skipped.iter().find(|name| !operation.journal.contains_key(*name)) {
                return Err(validation(format!("Resource {unknown} is no resource whose rollback has failed")));
            }
            for name in &skipped {
                let before = operation.journal.shift_remove(name).flatten();
                operation.superseded.retain(|(own, _)| own != name);
                // It counts as what it was.
                if let Some(before) = before {
                    stack.resources.insert(name.clone(), before);
                }
            }
            stack.role_arn = input.role_arn.clone().or(stack.role_arn);
            start::resume(tx, &mut stack, place.now_ms, operation, "UPDATE_ROLLBACK_IN_PROGRESS")?;
            Ok(api::ContinueUpdateRollbackOutput {})
        })
        .await
    }
}

#[async_trait]
impl Handle<api::ListExports> for CloudFormation {
    async fn handle(&self, cx: &Cx, _: api::ListExportsInput) -> Result<api::ListExportsOutput> {
        let mut all = self.exports(cx).await?;
        all.sort();
        let exports = all.into_iter().map(|(name, value, stack)| api::Export {
            exporting_stack_id: Some(stack),
            name: Some(name),
            value: Some(value),
        });
        Ok(api::ListExportsOutput { exports: Some(exports.collect()), next_token: None })
    }
}

#[async_trait]
impl Handle<api::ListImports> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ListImportsInput) -> Result<api::ListImportsOutput> {
        let prefix = records::stacks(cx.account(), cx.region());
        let all: Vec<StackRecord> = self.store.read(|tx| Ok::<_, Error>(tx.list_json(&prefix, usize::MAX)?)).await?;
        let users: BTreeMap<String, ()> = all
            .into_iter()
            .filter(|stack| stack.imports.contains(&input.export_name))
            .map(|stack| (stack.name, ()))
            .collect();
        if users.is_empty() {
            return Err(validation(format!("Export '{}' is not imported by any stack.", input.export_name)));
        }
        Ok(api::ListImportsOutput { imports: Some(users.into_keys().collect()), next_token: None })
    }
}

impl CloudFormation {
    /// The exports of all stacks: name, value, whose.
    pub(super) async fn exports(&self, cx: &Cx) -> Result<Vec<(String, String, String)>> {
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        self.store.read(move |tx| stacks::exports(tx, &account, &region)).await
    }

    /// A policy as text, wherever it comes from.
    pub(super) async fn policy_text(
        &self,
        cx: &Cx,
        body: Option<String>,
        url: Option<String>,
    ) -> Result<Option<String>> {
        if body.is_none() && url.is_none() {
            return Ok(None);
        }
        let wanted = Wanted { template_body: body, template_url: url, ..Wanted::default() };
        self.text_of(cx, &wanted, None).await.map(Some)
    }
}
