//! CreateStack, UpdateStack, DeleteStack: they answer when the operation has begun.

use api_cloudformation as api;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::types::Empty;

use super::{given, tags};
use crate::start::Wanted;
use crate::{CloudFormation, Result, notify, triggers};

#[async_trait]
impl Handle<api::CreateStack> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::CreateStackInput) -> Result<api::CreateStackOutput> {
        let on_failure = match input.disable_rollback {
            Some(true) => Some("DO_NOTHING".to_owned()),
            _ => input.on_failure,
        };
        let wanted = Wanted {
            stack_name: input.stack_name,
            template_body: input.template_body,
            template_url: input.template_url,
            use_previous_template: false,
            parameters: given(input.parameters),
            tags: tags(input.tags),
            capabilities: input.capabilities.unwrap_or_default(),
            role_arn: input.role_arn,
            on_failure,
            protected: input.enable_termination_protection.unwrap_or(false),
            policy: self.policy_text(cx, input.stack_policy_body, input.stack_policy_url).await?,
            notified: notify::topics(input.notification_ar_ns)?,
            timeout_minutes: input.timeout_in_minutes,
            triggers: triggers::given(input.rollback_configuration)?,
            forgets_created: input.retain_except_on_create.unwrap_or(false),
            ..Wanted::default()
        };
        let stack_id = self.create(cx, wanted).await?;
        Ok(api::CreateStackOutput { stack_id: Some(stack_id), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::UpdateStack> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::UpdateStackInput) -> Result<api::UpdateStackOutput> {
        let wanted = Wanted {
            stack_name: input.stack_name,
            template_body: input.template_body,
            template_url: input.template_url,
            use_previous_template: input.use_previous_template.unwrap_or(false),
            parameters: given(input.parameters),
            tags: tags(input.tags),
            capabilities: input.capabilities.unwrap_or_default(),
            role_arn: input.role_arn,
            on_failure: (input.disable_rollback == Some(true)).then(|| "DO_NOTHING".to_owned()),
            policy: self.policy_text(cx, input.stack_policy_body, input.stack_policy_url).await?,
            policy_of_update: self
                .policy_text(cx, input.stack_policy_during_update_body, input.stack_policy_during_update_url)
                .await?,
            notified: notify::topics(input.notification_ar_ns)?,
            triggers: triggers::given(input.rollback_configuration)?,
            forgets_created: input.retain_except_on_create.unwrap_or(false),
            ..Wanted::default()
        };
        let stack_id = self.update(cx, wanted).await?;
        Ok(api::UpdateStackOutput { stack_id: Some(stack_id), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::DeleteStack> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DeleteStackInput) -> Result<Empty> {
        let retained = input.retain_resources.unwrap_or_default();
        self.delete(cx, &input.stack_name, retained, input.role_arn).await?;
        Ok(Empty {})
    }
}
