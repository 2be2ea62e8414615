//! AWS::StepFunctions::StateMachine: Ref and Arn are its ARN; Name.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, only, pick, text};
use crate::Result;

pub(super) struct StateMachine;

use crate::template::validation;

const MEMBERS: [&str; 11] = [
    "Definition",
    "DefinitionS3Location",
    "DefinitionString",
    "DefinitionSubstitutions",
    "EncryptionConfiguration",
    "LoggingConfiguration",
    "RoleArn",
    "StateMachineName",
    "StateMachineType",
    "Tags",
    "TracingConfiguration",
];

#[async_trait]
impl Kind for StateMachine {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = at.name(properties, "StateMachineName", 80);
        let mut input = json!({
            "name": name,
            "definition": definition(at, properties).await?,
            "roleArn": super::required(properties, "RoleArn")?,
            "tags": tags(at, properties),
        });
        if let Some(kind) = properties.get("StateMachineType") {
            input["type"] = kind.clone();
        }
        common(&mut input, properties);
        let output = at.call("states", "CreateStateMachine", input).await?;
        let arn = text(&output["StateMachineArn"]);
        Ok(Made::new(arn.clone(), json!({ "Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL" })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["StateMachineName", "StateMachineType"]) {
            return Ok(Updated::Replace);
        }
        let mut input = json!({
            "stateMachineArn": made.physical_id,
            "definition": definition(at, new).await?,
            "roleArn": super::required(new, "RoleArn")?,
        });
        common(&mut input, new);
        // What is no longer said goes back to what it is without.
        for (property, member, without) in [
            ("EncryptionConfiguration", "encryptionConfiguration", json!({ "type": "AWS_OWNED_KEY" })),
            ("LoggingConfiguration", "loggingConfiguration", json!({ "level": "OFF" })),
            ("TracingConfiguration", "tracingConfiguration", json!({ "enabled": false })),
        ] {
            if old.get(property).is_some() && new.get(property).is_none() {
                input[member] = without;
            }
        }
        let output = at.call("states", "UpdateStateMachine", input).await?;
        retag(at, &made.physical_id, old, new).await?;
        let mut made = made.clone();
        if let Some(revision) = output.get("RevisionId").or_else(|| output.get("revisionId")) {
            made.attributes["StateMachineRevisionId"] = revision.clone();
        }
        Ok(Updated::InPlace(made))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("states", "DeleteStateMachine", json!({ "stateMachineArn": made.physical_id })).await
    }
}

/// The definition's text, wherever it comes from, with the substitutions made.
async fn definition(at: &Context, properties: &Value) -> Result<String> {
    let mut definition = if let Some(text) = properties.get("DefinitionString").and_then(Value::as_str) {
        text.to_owned()
    } else if let Some(definition) = properties.get("Definition") {
        definition.to_string()
    } else if let Some(location) = properties.get("DefinitionS3Location") {
        let input = pick(location, &["Bucket", "Key"]);
        let version = location.get("Version").map(|v| json!({ "VersionId": v }));
        let mut input = Value::Object(input);
        if let Some(Value::Object(version)) = version {
            input.as_object_mut().into_iter().for_each(|map| map.extend(version.clone()));
        }
        let object = at.call("s3", "GetObject", input).await?;
        text(&object["Body"])
    } else {
        return Err(validation("A definition is needed: Definition, DefinitionString or DefinitionS3Location"));
    };
    for (name, value) in properties["DefinitionSubstitutions"].as_object().into_iter().flatten() {
        definition = definition.replace(&format!("${{{name}}}"), &text(value));
    }
    Ok(definition)
}

/// Members that create and update share, with the API's names.
fn common(input: &mut Value, properties: &Value) {
    if let Some(logging) = properties.get("LoggingConfiguration") {
        input["loggingConfiguration"] = lower(logging);
    }
    if let Some(tracing) = properties.get("TracingConfiguration") {
        input["tracingConfiguration"] = lower(tracing);
    }
    if let Some(encryption) = properties.get("EncryptionConfiguration") {
        input["encryptionConfiguration"] = lower(encryption);
    }
}

/// All tags of a resource, as Step Functions writes them.
pub(super) fn tags(at: &Context, properties: &Value) -> Value {
    super::unique(at.all_tags(properties))
        .into_iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

/// Changes the tags that the properties and the stack give.
pub(super) async fn retag(at: &Context, arn: &str, old: &Value, new: &Value) -> Result<()> {
    let (gone, set) = at.changed_tags(old, new);
    if !gone.is_empty() {
        at.call("states", "UntagResource", json!({ "resourceArn": arn, "tagKeys": gone })).await?;
    }
    if !set.is_empty() {
        at.call("states", "TagResource", json!({ "resourceArn": arn, "tags": lower(&set.into()) })).await?;
    }
    Ok(())
}

/// The same with small first letters, as Step Functions' API writes its members.
pub(super) fn lower(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let mut chars = key.chars();
                let key = chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect::<String>();
                (key, lower(value))
            })
            .collect(),
        Value::Array(items) => items.iter().map(lower).collect(),
        plain => plain.clone(),
    }
}
