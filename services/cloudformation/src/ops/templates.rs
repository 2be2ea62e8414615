//! ValidateTemplate, GetTemplate, GetTemplateSummary.

use api_cloudformation as api;
use async_trait::async_trait;
use serde_json::Value;
use service::{Cx, Handle};

use crate::parameters::{no_echo, text};
use crate::start::Wanted;
use crate::template::{Template, attributes, to_json, validation};
use crate::{CloudFormation, Result, process};

#[async_trait]
impl Handle<api::ValidateTemplate> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ValidateTemplateInput) -> Result<api::ValidateTemplateOutput> {
        let body = self.template_text(cx, input.template_body, input.template_url).await?;
        let (template, transforms) = process::outline(&body)?;
        if transforms.is_empty() {
            attributes::check(&to_json(&body)?)?;
        }
        let parameters = template.parameters.iter().map(|(name, declaration)| api::TemplateParameter {
            parameter_key: Some(name.clone()),
            default_value: declaration.get("Default").map(text),
            no_echo: Some(no_echo(declaration)),
            description: declaration.get("Description").map(text),
        });
        let (capabilities, capabilities_reason) = capabilities(&template, &transforms);
        Ok(api::ValidateTemplateOutput {
            parameters: Some(parameters.collect()),
            capabilities,
            capabilities_reason,
            description: template.description,
            declared_transforms: Some(transforms).filter(|names| !names.is_empty()),
        })
    }
}

#[async_trait]
impl Handle<api::GetTemplate> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::GetTemplateInput) -> Result<api::GetTemplateOutput> {
        let name = input.stack_name.ok_or_else(|| validation("Stack name must be specified"))?;
        let (processed, original) = if let Some(change_set) = input.change_set_name {
            let record = self.change_set(cx, &change_set, Some(&name)).await?;
            (record.template, record.original)
        } else {
            let record = self.stack(cx, &name).await?;
            (record.template, record.original)
        };
        let body = match input.template_stage.as_deref() {
            Some("Processed") => processed,
            _ => original.unwrap_or(processed),
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
            Some(name) => {
                let stack = self.stack(cx, &name).await?;
                stack.original.unwrap_or(stack.template)
            }
            None => self.template_text(cx, input.template_body, input.template_url).await?,
        };
        let (template, transforms) = process::outline(&body)?;
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
        let (capabilities, capabilities_reason) = capabilities(&template, &transforms);
        let mut kinds = kinds(&body)?;
        kinds.sort();
        kinds.dedup();
        Ok(api::GetTemplateSummaryOutput {
            parameters: Some(parameters.collect()),
            capabilities,
            capabilities_reason,
            declared_transforms: Some(transforms).filter(|names| !names.is_empty()),
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

/// The types of a template's resources, whatever its transforms would make of them.
fn kinds(body: &str) -> Result<Vec<String>> {
    let value = to_json(body)?;
    let resources = value.get("Resources").and_then(Value::as_object).into_iter().flatten();
    Ok(resources.filter_map(|(_, resource)| resource.get("Type").map(text)).collect())
}

fn capabilities(template: &Template, transforms: &[String]) -> (Option<Vec<String>>, Option<String>) {
    if !transforms.is_empty() {
        let reason = format!("The following resource(s) require capabilities: [{}]", transforms.join(", "));
        return (Some(vec!["CAPABILITY_AUTO_EXPAND".to_owned()]), Some(reason));
    }
    let capability = template.needed_capability();
    (capability.map(|name| vec![name.to_owned()]), capability.map(|_| reason(template)))
}

fn reason(template: &Template) -> String {
    let mut kinds: Vec<&str> =
        template.resources.values().map(|r| r.kind.as_str()).filter(|k| k.starts_with("AWS::IAM::")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    format!("The following resource(s) require capabilities: [{}]", kinds.join(", "))
}
