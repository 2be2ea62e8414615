//! ValidateTemplate, GetTemplate, GetTemplateSummary.

use api_cloudformation as api;
use async_trait::async_trait;
use serde_json::Value;
use service::{Cx, Handle};

use crate::parameters::{no_echo, text};
use crate::start::Wanted;
use crate::template::{Template, validation};
use crate::{CloudFormation, Result};

#[async_trait]
impl Handle<api::ValidateTemplate> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ValidateTemplateInput) -> Result<api::ValidateTemplateOutput> {
        let template = Template::parse(&self.template_text(cx, input.template_body, input.template_url).await?)?;
        let parameters = template.parameters.iter().map(|(name, declaration)| api::TemplateParameter {
            parameter_key: Some(name.clone()),
            default_value: declaration.get("Default").map(text),
            no_echo: Some(no_echo(declaration)),
            description: declaration.get("Description").map(text),
        });
        let capability = template.needed_capability();
        Ok(api::ValidateTemplateOutput {
            parameters: Some(parameters.collect()),
            capabilities: capability.map(|c| vec![c.to_owned()]),
            capabilities_reason: capability.map(|_| reason(&template)),
            description: template.description,
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::GetTemplate> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::GetTemplateInput) -> Result<api::GetTemplateOutput> {
        let name = input.stack_name.ok_or_else(|| validation("Stack name must be specified"))?;
        let body = match input.change_set_name {
            Some(change_set) => self.change_set(cx, &change_set, Some(&name)).await?.template,
            None => self.stack(cx, &name).await?.template,
        };
        Ok(api::GetTemplateOutput {
            template_body: Some(body),
            stages_available: Some(vec!["Original".to_owned(), "Processed".to_owned()]),
        })
    }
}

#[async_trait]
impl Handle<api::GetTemplateSummary> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::GetTemplateSummaryInput) -> Result<api::GetTemplateSummaryOutput> {
        let body = match input.stack_name {
            Some(name) => self.stack(cx, &name).await?.template,
            None => self.template_text(cx, input.template_body, input.template_url).await?,
        };
        let template = Template::parse(&body)?;
        let parameters = template.parameters.iter().map(|(name, declaration)| api::ParameterDeclaration {
            parameter_key: Some(name.clone()),
            default_value: declaration.get("Default").map(text),
            parameter_type: declaration.get("Type").map(text),
            no_echo: Some(no_echo(declaration)),
            description: declaration.get("Description").map(text),
            parameter_constraints: declaration
                .get("AllowedValues")
                .and_then(Value::as_array)
                .map(|values| api::ParameterConstraints { allowed_values: Some(values.iter().map(text).collect()) }),
        });
        let capability = template.needed_capability();
        let mut kinds: Vec<String> = template.resources.values().map(|r| r.kind.clone()).collect();
        kinds.sort();
        kinds.dedup();
        Ok(api::GetTemplateSummaryOutput {
            parameters: Some(parameters.collect()),
            capabilities: capability.map(|c| vec![c.to_owned()]),
            capabilities_reason: capability.map(|_| reason(&template)),
            resource_types: Some(kinds),
            version: Some("2010-09-09".to_owned()),
            description: template.description,
            ..Default::default()
        })
    }
}

impl CloudFormation {
    async fn template_text(&self, cx: &Cx, body: Option<String>, url: Option<String>) -> Result<String> {
        let wanted = Wanted { template_body: body, template_url: url, ..Wanted::default() };
        self.text_of(cx, &wanted, None).await
    }
}

fn reason(template: &Template) -> String {
    let mut kinds: Vec<&str> =
        template.resources.values().map(|r| r.kind.as_str()).filter(|k| k.starts_with("AWS::IAM::")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    format!("The following resource(s) require capabilities: [{}]", kinds.join(", "))
}
