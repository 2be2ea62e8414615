//! DescribeType, ListTypes: the types of resources that templates may have. All are AWS's own; none can be registered or activated, so that
//! the private and third parties' ones, modules and hooks are none.

use api_cloudformation as api;
use api_cloudformation::error;
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use service::{Cx, Handle};

use crate::cloud_control::types::{SCHEMAS, Schema, managed};
use crate::template::validation;
use crate::{CloudFormation, Result, types};

/// Types on a page, where nothing is said. Source: API Reference, ListTypes, `MaxResults`.
const PAGE: usize = 100;

#[async_trait]
impl Handle<api::DescribeType> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DescribeTypeInput) -> Result<api::DescribeTypeOutput> {
        let name = match (&input.arn, &input.type_name, &input.r#type) {
            (Some(arn), None, None) => named_by(arn),
            (None, Some(name), Some(_)) => name.clone(),
            _ => return Err(validation("You must specify either TypeName and Type, or Arn")),
        };
        let unknown = || error::type_not_found_exception(format!("The type '{name}' cannot be found."));
        let is_resource = input.r#type.as_deref().is_none_or(|kind| kind == "RESOURCE");
        // Versions are of types that somebody registers, publishers those of third parties.
        let is_registered =
            input.version_id.is_some() || input.publisher_id.is_some() || input.public_version_number.is_some();
        if !is_resource || is_registered || !types().contains(&name.as_str()) {
            return Err(unknown());
        }
        let schema = SCHEMAS.get(&name).ok_or_else(unknown)?;
        Ok(api::DescribeTypeOutput {
            arn: Some(arn(cx, &name)),
            r#type: Some("RESOURCE".to_owned()),
            is_default_version: Some(true),
            schema: Some(text_of(&name, schema).to_string()),
            provisioning_type: Some(provisioning(&name, schema).to_owned()),
            deprecated_status: Some("LIVE".to_owned()),
            visibility: Some("PUBLIC".to_owned()),
            type_name: Some(name),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::ListTypes> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ListTypesInput) -> Result<api::ListTypesOutput> {
        let filters = input.filters.unwrap_or_default();
        // Source: API Reference, ListTypes, `Visibility`: "The default is PRIVATE".
        let asks_for_aws = match filters.category.as_deref() {
            Some(category) => category == "AWS_TYPES",
            None => input.visibility.as_deref() == Some("PUBLIC"),
        };
        let is_ours = asks_for_aws
            && input.r#type.as_deref().is_none_or(|kind| kind == "RESOURCE")
            && input.deprecated_status.as_deref() != Some("DEPRECATED")
            && filters.publisher_id.is_none();
        let prefix = filters.type_name_prefix.unwrap_or_default();
        let wanted = |name: &&str| {
            let provisioning = SCHEMAS.get(*name).map(|schema| provisioning(name, schema));
            name.starts_with(&prefix)
                && input.provisioning_type.as_deref().is_none_or(|wanted| provisioning == Some(wanted))
                && input.next_token.as_deref().is_none_or(|after| **name > *after)
        };
        let mut names: Vec<&str> = types().into_iter().filter(wanted).collect();
        if !is_ours {
            names.clear();
        }
        let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
        let more = names.len() > most;
        names.truncate(most);
        let next_token = names.last().filter(|_| more).map(|name| (*name).to_owned());
        let summary = |name: &str| api::TypeSummary {
            r#type: Some("RESOURCE".to_owned()),
            type_name: Some(name.to_owned()),
            type_arn: Some(arn(cx, name)),
            ..Default::default()
        };
        Ok(api::ListTypesOutput { type_summaries: Some(names.into_iter().map(summary).collect()), next_token })
    }
}

/// An ARN of a type of AWS's is nobody's: it has no account.
fn arn(cx: &Cx, name: &str) -> String {
    format!("arn:aws:cloudformation:{}::type/resource/{}", cx.region(), name.replace("::", "-"))
}

fn named_by(arn: &str) -> String {
    arn.split_once(":type/resource/").map(|(_, name)| name.replace('-', "::")).unwrap_or_default()
}

/// Which of a type's resources can be changed; what cannot be managed one by one is not provisionable.
fn provisioning(name: &str, schema: &Schema) -> &'static str {
    if managed(name).is_none() {
        return "NON_PROVISIONABLE";
    }
    if is_immutable(schema) { "IMMUTABLE" } else { "FULLY_MUTABLE" }
}

/// All that can be given is given once.
fn is_immutable(schema: &Schema) -> bool {
    schema.properties.keys().all(|name| schema.create_only.contains(name) || schema.read_only.contains(name))
}

/// The schema's text: AWS's names of properties, and what can be done with a resource here.
fn text_of(name: &str, schema: &Schema) -> Value {
    let pointers = |names: &[String]| names.iter().map(|name| format!("/properties/{name}")).collect::<Value>();
    let properties: Map<String, Value> =
        schema.properties.iter().map(|(name, kind)| (name.clone(), json!({ "type": kind }))).collect();
    let mut text = json!({
        "typeName": name, "properties": properties, "additionalProperties": false, "required": schema.required,
        "primaryIdentifier": pointers(&schema.identifier), "readOnlyProperties": pointers(&schema.read_only),
        "writeOnlyProperties": pointers(&schema.write_only), "createOnlyProperties": pointers(&schema.create_only),
    });
    if let Some(of) = managed(name) {
        let mut handlers = json!({ "create": { "permissions": [] }, "read": { "permissions": [] } });
        handlers["delete"] = json!({ "permissions": [] });
        if !is_immutable(schema) {
            handlers["update"] = json!({ "permissions": [] });
        }
        if of.is_listed() {
            let list = json!({ "permissions": [] });
            handlers["list"] = of.parent().map_or(list, |parent| {
                let wanted = json!({ "properties": { parent: { "type": "string" } }, "required": [parent] });
                json!({ "permissions": [], "handlerSchema": wanted })
            });
        }
        text["handlers"] = handlers;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: the types' schemas in AWS's registry.
    #[test]
    fn what_can_be_done_with_types() {
        let of = |name: &str| provisioning(name, &SCHEMAS[name]);
        assert_eq!(of("AWS::S3::Bucket"), "FULLY_MUTABLE");
        assert_eq!(of("AWS::Lambda::LayerVersion"), "IMMUTABLE");
        assert_eq!(of("AWS::IAM::Policy"), "NON_PROVISIONABLE");
        let text = text_of("AWS::IAM::RolePolicy", &SCHEMAS["AWS::IAM::RolePolicy"]);
        assert_eq!(text["primaryIdentifier"], json!(["/properties/PolicyName", "/properties/RoleName"]));
        let handlers: Vec<&String> = text["handlers"].as_object().unwrap().keys().collect();
        assert_eq!(handlers, ["create", "read", "delete", "update"]);
        assert_eq!(named_by("arn:aws:cloudformation:us-east-1::type/resource/AWS-S3-Bucket"), "AWS::S3::Bucket");
    }
}
