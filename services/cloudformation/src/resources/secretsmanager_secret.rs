//! AWS::SecretsManager::Secret: Ref and Id are its ARN.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, only, pick, text};
use crate::Result;

pub(super) struct Secret;

const MEMBERS: [&str; 7] =
    ["Description", "GenerateSecretString", "KmsKeyId", "Name", "ReplicaRegions", "SecretString", "Tags"];

#[async_trait]
impl Kind for Secret {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let mut input = pick(properties, &["Description", "KmsKeyId", "SecretString"]);
        if let Some(how) = properties.get("GenerateSecretString") {
            input.insert("SecretString".to_owned(), generate(at, how).await?.into());
        }
        if let Some(replicas) = properties.get("ReplicaRegions").filter(|some| **some != json!([])) {
            input.insert("AddReplicaRegions".to_owned(), replicas.clone());
        }
        input.insert("Name".to_owned(), at.name(properties, "Name", 512).into());
        input.insert("Tags".to_owned(), at.tag_list(properties));
        let output = at.call("secretsmanager", "CreateSecret", input.into()).await?;
        let arn = text(&output["ARN"]);
        Ok(Made::new(arn.clone(), json!({ "Id": arn })))
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["Name"]) {
            return Ok(Updated::Replace);
        }
        let replicas = |properties: &Value| properties["ReplicaRegions"].as_array().cloned().unwrap_or_default();
        if replicas(old) != replicas(new) {
            let input = json!({ "SecretId": made.physical_id, "AddReplicaRegions": replicas(new) });
            at.call("secretsmanager", "ReplicateSecretToRegions", input).await?;
        }
        let mut input = pick(new, &["Description", "KmsKeyId"]);
        defaults::reset(&mut input, "AWS::SecretsManager::Secret", old, new);
        // What has been rotated since stays, unless the template has another value.
        if differ(old, new, &["SecretString"]) {
            input.extend(pick(new, &["SecretString"]));
        }
        if differ(old, new, &["GenerateSecretString"])
            && let Some(how) = new.get("GenerateSecretString")
        {
            input.insert("SecretString".to_owned(), generate(at, how).await?.into());
        }
        input.insert("SecretId".to_owned(), made.physical_id.clone().into());
        at.call("secretsmanager", "UpdateSecret", input.into()).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        let input = json!({ "SecretId": made.physical_id, "ForceDeleteWithoutRecovery": true });
        at.call_if_there("secretsmanager", "DeleteSecret", input).await
    }
}

/// A random password, perhaps inside a JSON template.
async fn generate(at: &Context, how: &Value) -> Result<String> {
    let input = pick(
        how,
        &[
            "ExcludeCharacters",
            "ExcludeLowercase",
            "ExcludeNumbers",
            "ExcludePunctuation",
            "ExcludeUppercase",
            "IncludeSpace",
            "PasswordLength",
            "RequireEachIncludedType",
        ],
    );
    let output = at.call("secretsmanager", "GetRandomPassword", input.into()).await?;
    let password = text(&output["RandomPassword"]);
    match (how.get("SecretStringTemplate"), how.get("GenerateStringKey")) {
        (Some(template), Some(key)) => {
            let mut value: Value = serde_json::from_str(&text(template))
                .map_err(|_| crate::template::validation("SecretStringTemplate is not a JSON object"))?;
            value[text(key)] = password.into();
            Ok(value.to_string())
        }
        _ => Ok(password),
    }
}
