//! What stands beside the type and the properties of a resource, and in a parameter: what is not known there is refused, and so is what is
//! known and not obeyed. Templates that stacks were made of before are not asked.

use serde_json::Value;

use super::validation;
use crate::Result;

/// Source: Template Reference, "Resource attributes"; `Version` is of custom resources, the last two of the Serverless transform.
const RESOURCE: [&str; 12] = [
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
    "Version",
    "Connectors",
    "IgnoreGlobals",
];

/// Source: User Guide, "CloudFormation template Parameters syntax".
const PARAMETER: [&str; 11] = [
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// Checks a template that has no transforms any more.
pub(crate) fn check(template: &Value) -> Result<()> {
    for (_, parameter) in members(template, "Parameters") {
        if let Some(unknown) = names(parameter).find(|name| !PARAMETER.contains(name)) {
            return Err(validation(format!("Invalid template parameter property '{unknown}'")));
        }
    }
    for (name, resource) in members(template, "Resources") {
        if let Some(unknown) = names(resource).find(|name| !RESOURCE.contains(name)) {
            return Err(validation(format!("Invalid template resource property '{unknown}'")));
        }
        let kind = resource["Type"].as_str().unwrap_or_default();
        let waits = kind == "AWS::CloudFormation::WaitCondition";
        let creation = &resource["CreationPolicy"];
        let refused =
            [("CreationPolicy", is_set(creation) && !waits), ("UpdatePolicy", is_set(&resource["UpdatePolicy"]))];
        if let Some((policy, _)) = refused.into_iter().find(|(_, refused)| *refused) {
            return Err(validation(format!("{policy} of {name} is not supported for the resource type {kind}")));
        }
        if let Some(unknown) = names(creation).find(|name| *name != "ResourceSignal") {
            return Err(validation(format!(
                "Encountered unsupported property {unknown} in the CreationPolicy of {name}"
            )));
        }
    }
    Ok(())
}

fn is_set(value: &Value) -> bool {
    !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty())
}

fn members<'a>(template: &'a Value, section: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    template.get(section).and_then(Value::as_object).into_iter().flatten()
}

fn names(value: &Value) -> impl Iterator<Item = &str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "as it is made")]
    fn refusal(resource: Value) -> String {
        match check(&json!({ "Resources": { "R": resource } })) {
            Ok(()) => String::new(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let misspelt = refusal(json!({ "Type": "T", "DeletePolicy": "Retain" }));
        assert_eq!(misspelt, "Invalid template resource property 'DeletePolicy'");
        assert_eq!(refusal(json!({ "Type": "T", "Metadata": {}, "UpdatePolicy": {}, "DependsOn": [] })), "");
        let policy = json!({ "Type": "AWS::SQS::Queue", "UpdatePolicy": { "AutoScalingRollingUpdate": {} } });
        assert!(refusal(policy).starts_with("UpdatePolicy of R is not supported"));
        let waits = json!({ "ResourceSignal": { "Count": 2 } });
        assert_eq!(refusal(json!({ "Type": "AWS::CloudFormation::WaitCondition", "CreationPolicy": waits })), "");
        assert!(
            refusal(json!({ "Type": "AWS::SQS::Queue", "CreationPolicy": waits })).starts_with("CreationPolicy of R")
        );
        let parameter = json!({ "Parameters": { "P": { "Type": "String", "Defualt": "x" } } });
        assert_eq!(check(&parameter).unwrap_err().message(), "Invalid template parameter property 'Defualt'");
    }
}
