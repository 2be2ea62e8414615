//! AWS::KMS::Key: Ref and KeyId are its id; Arn. Another spec, usage or `MultiRegion` is refused: a key in its place would take what
//! this one has encrypted with it. Source: Template Reference, "AWS::KMS::Key", "the update request fails, regardless of the value of the
//! `UpdateReplacePolicy` attribute".

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, differ, document, only, pick, text, unique};
use crate::Result;
use crate::template::validation;

pub(super) struct Key;

const MEMBERS: [&str; 11] = [
    "BypassPolicyLockoutSafetyCheck",
    "Description",
    "EnableKeyRotation",
    "Enabled",
    "KeyPolicy",
    "KeySpec",
    "KeyUsage",
    "MultiRegion",
    "PendingWindowInDays",
    "RotationPeriodInDays",
    "Tags",
];

/// Between two rotations where nothing is said.
const DEFAULT_DAYS: i32 = 365;

/// What a key keeps for good, with what it is where nothing is said.
const FIXED: [(&str, &str); 3] =
    [("KeySpec", "SYMMETRIC_DEFAULT"), ("KeyUsage", "ENCRYPT_DECRYPT"), ("MultiRegion", "false")];

fn fixed(properties: &Value, name: &str, default: &str) -> String {
    properties.get(name).map_or_else(|| default.to_owned(), text)
}

/// What a key has where no policy is given. Source: KMS Developer Guide, "Default key policy".
fn default_policy(at: &Context) -> String {
    let root = format!("arn:aws:iam::{}:root", at.cx.account());
    json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": root },
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}

#[async_trait]
impl Kind for Key {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        only(properties, &MEMBERS)?;
        let mut input =
            pick(properties, &["BypassPolicyLockoutSafetyCheck", "Description", "KeySpec", "KeyUsage", "MultiRegion"]);
        if let Some(policy) = properties.get("KeyPolicy") {
            input.insert("Policy".to_owned(), document(policy).into());
        }
        let tags = unique(at.all_tags(properties)).into_iter();
        let tags = tags.map(|(key, value)| json!({ "TagKey": key, "TagValue": value }));
        input.insert("Tags".to_owned(), tags.collect());
        let output = at.call("kms", "CreateKey", input.into()).await?;
        let key = &output["KeyMetadata"];
        let made = Made::new(text(&key["KeyId"]), json!({ "Arn": key["Arn"], "KeyId": key["KeyId"] }));
        at.begun(&made);
        settle(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        only(new, &MEMBERS)?;
        if let Some((name, _)) =
            FIXED.iter().find(|(name, default)| fixed(old, name, default) != fixed(new, name, default))
        {
            return Err(validation(format!("{name} of a KMS key cannot be changed; make another key")));
        }
        let id = &made.physical_id;
        if differ(old, new, &["Description"]) {
            let text = new.get("Description").map(text).unwrap_or_default();
            at.call("kms", "UpdateKeyDescription", json!({ "KeyId": id, "Description": text })).await?;
        }
        if differ(old, new, &["KeyPolicy"]) {
            let policy = new.get("KeyPolicy").map_or_else(|| default_policy(at), document);
            let mut input = pick(new, &["BypassPolicyLockoutSafetyCheck"]);
            input.extend([("KeyId".to_owned(), id.clone().into()), ("Policy".to_owned(), policy.into())]);
            at.call("kms", "PutKeyPolicy", input.into()).await?;
        }
        settle(at, id, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, properties: &Value) -> Result<()> {
        let days = properties.get("PendingWindowInDays").cloned().unwrap_or_else(|| 30.into());
        let input = json!({ "KeyId": made.physical_id, "PendingWindowInDays": days });
        at.call_if_there("kms", "ScheduleKeyDeletion", input).await
    }
}

/// Whether it may be used, and is rotated. Rotation is changed while the key may be used.
async fn settle(at: &Context, id: &str, old: &Value, new: &Value) -> Result<()> {
    let is = |properties: &Value, name: &str, without: bool| {
        properties.get(name).map_or(without, |value| text(value).eq_ignore_ascii_case("true"))
    };
    let (was, enabled) = (is(old, "Enabled", true), is(new, "Enabled", true));
    let named = json!({ "KeyId": id });
    if enabled && !was {
        at.call("kms", "EnableKey", named.clone()).await?;
    }
    match (is(old, "EnableKeyRotation", false), is(new, "EnableKeyRotation", false)) {
        (rotated, true) if !rotated || differ(old, new, &["RotationPeriodInDays"]) => {
            // A key that is rotated already keeps its days where none are said.
            let days = new.get("RotationPeriodInDays").cloned().or_else(|| rotated.then(|| DEFAULT_DAYS.into()));
            let input = json!({ "KeyId": id, "RotationPeriodInDays": days });
            drop(at.call("kms", "EnableKeyRotation", input).await?);
        }
        (true, false) => drop(at.call("kms", "DisableKeyRotation", named.clone()).await?),
        _ => {}
    }
    if was && !enabled {
        at.call("kms", "DisableKey", named).await?;
    }
    Ok(())
}
