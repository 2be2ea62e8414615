//! AWS::ECR::Repository: Ref is its name; Arn, RepositoryUri.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only};
use crate::Result;

pub(super) struct Repository;

const MEMBERS: [&str; 9] = [
    "EmptyOnDelete",
    "EncryptionConfiguration",
    "ImageScanningConfiguration",
    "ImageTagMutability",
    "ImageTagMutabilityExclusionFilters",
    "LifecyclePolicy",
    "RepositoryName",
    "RepositoryPolicyText",
    "Tags",
];

#[async_trait]
impl Kind for Repository {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let name = match properties.get("RepositoryName") {
            Some(_) => at.name(properties, "RepositoryName", 256),
            None => at.name(&Value::Null, "", 256).to_lowercase(),
        };
        let mut input = json!({ "RepositoryName": name, "Tags": at.tag_list(properties) });
        for (member, value) in [
            ("ImageTagMutability", properties.get("ImageTagMutability").cloned()),
            ("ImageTagMutabilityExclusionFilters", properties.get("ImageTagMutabilityExclusionFilters").map(filters)),
            ("ImageScanningConfiguration", properties.get("ImageScanningConfiguration").cloned()),
            ("EncryptionConfiguration", properties.get("EncryptionConfiguration").cloned()),
        ] {
            if let Some(value) = value {
                input[member] = value;
            }
        }
        let output = at.call("ecr", "CreateRepository", input).await?;
        let repository = &output["Repository"];
        let made = Made::new(
            name,
            json!({ "Arn": repository["RepositoryArn"], "RepositoryUri": repository["RepositoryUri"] }),
        );
        at.begun(&made);
        policies(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if differ(old, new, &["RepositoryName", "EncryptionConfiguration"]) {
            return Ok(Updated::Replace);
        }
        let name = &made.physical_id;
        if differ(old, new, &["ImageTagMutability", "ImageTagMutabilityExclusionFilters"]) {
            let mut input = json!({ "RepositoryName": name });
            input["ImageTagMutability"] = new.get("ImageTagMutability").cloned().unwrap_or_else(|| "MUTABLE".into());
            if let Some(given) = new.get("ImageTagMutabilityExclusionFilters") {
                input["ImageTagMutabilityExclusionFilters"] = filters(given);
            }
            at.call("ecr", "PutImageTagMutability", input).await?;
        }
        if differ(old, new, &["ImageScanningConfiguration"]) {
            let scanning =
                new.get("ImageScanningConfiguration").cloned().unwrap_or_else(|| json!({ "ScanOnPush": false }));
            let input = json!({ "RepositoryName": name, "ImageScanningConfiguration": scanning });
            at.call("ecr", "PutImageScanningConfiguration", input).await?;
        }
        policies(at, name, old, new).await?;
        at.retag(("ecr", made.attribute("Arn")), old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("ecr", "DeleteRepository", json!({ "RepositoryName": made.physical_id })).await
    }
}

/// The template's names of the members, as the operation has them.
fn filters(given: &Value) -> Value {
    let of = |filter: &Value| json!({ "FilterType": filter["ImageTagMutabilityExclusionFilterType"], "Filter": filter["ImageTagMutabilityExclusionFilterValue"] });
    given.as_array().into_iter().flatten().map(of).collect()
}

/// Both policies as they are to be.
async fn policies(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    if differ(old, new, &["RepositoryPolicyText"]) {
        match new.get("RepositoryPolicyText") {
            Some(policy) => {
                let input = json!({ "RepositoryName": name, "PolicyText": document(policy) });
                at.call("ecr", "SetRepositoryPolicy", input).await?;
            }
            None => at.call_if_there("ecr", "DeleteRepositoryPolicy", json!({ "RepositoryName": name })).await?,
        }
    }
    if differ(old, new, &["LifecyclePolicy"]) {
        match new.get("LifecyclePolicy").and_then(|policy| policy.get("LifecyclePolicyText")) {
            Some(policy) => {
                let input = json!({ "RepositoryName": name, "LifecyclePolicyText": document(policy) });
                at.call("ecr", "PutLifecyclePolicy", input).await?;
            }
            None => at.call_if_there("ecr", "DeleteLifecyclePolicy", json!({ "RepositoryName": name })).await?,
        }
    }
    Ok(())
}
