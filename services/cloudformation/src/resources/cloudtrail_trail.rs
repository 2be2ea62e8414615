//! AWS::CloudTrail::Trail: Ref is its name; Arn, SnsTopicArn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, only, pick, required, text};
use crate::Result;

pub(super) struct Trail;

/// What CreateTrail and UpdateTrail take under the same names.
const SETTINGS: [&str; 9] = [
    "CloudWatchLogsLogGroupArn",
    "CloudWatchLogsRoleArn",
    "EnableLogFileValidation",
    "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail",
    "IsOrganizationTrail",
    "S3BucketName",
    "S3KeyPrefix",
    "SnsTopicName",
];
const SELECTORS: [&str; 2] = ["AdvancedEventSelectors", "EventSelectors"];

#[async_trait]
impl Kind for Trail {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(properties)?;
        let name = at.name(properties, "TrailName", 128);
        let mut input = settings(properties);
        input.insert("Name".to_owned(), name.clone().into());
        input.insert("TagsList".to_owned(), at.tag_list(properties));
        let output = at.call("cloudtrail", "CreateTrail", input.into()).await?;
        let mut attributes = json!({ "Arn": output["TrailARN"] });
        if let Some(topic) = output.get("SnsTopicARN").filter(|arn| !arn.is_null()) {
            attributes["SnsTopicArn"] = topic.clone();
        }
        let made = Made::new(name, attributes);
        at.begun(&made);
        settle(at, &made, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        check(new)?;
        if differ(old, new, &["TrailName"]) {
            return Ok(Updated::Replace);
        }
        if settings(old) != settings(new) {
            let mut input = settings(new);
            defaults::reset(&mut input, "AWS::CloudTrail::Trail", old, new);
            input.insert("Name".to_owned(), made.physical_id.clone().into());
            at.call("cloudtrail", "UpdateTrail", input.into()).await?;
        }
        settle(at, made, old, new).await?;
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("cloudtrail", "DeleteTrail", json!({ "Name": made.physical_id })).await
    }
}

fn check(properties: &Value) -> Result<()> {
    let own = ["InsightSelectors", "IsLogging", "KMSKeyId", "Tags", "TrailName"];
    only(properties, &[&SETTINGS[..], &SELECTORS, &own].concat())?;
    required(properties, "S3BucketName")?;
    required(properties, "IsLogging").map(drop)
}

fn settings(properties: &Value) -> serde_json::Map<String, Value> {
    let mut settings = pick(properties, &SETTINGS);
    if let Some(key) = properties.get("KMSKeyId") {
        settings.insert("KmsKeyId".to_owned(), key.clone());
    }
    settings
}

/// What is logged, and whether anything is.
async fn settle(at: &Context, made: &Made, old: &Value, new: &Value) -> Result<()> {
    let name = &made.physical_id;
    if differ(old, new, &SELECTORS) {
        let mut input = pick(new, &SELECTORS);
        if input.is_empty() {
            let usual = json!([{ "ReadWriteType": "All", "IncludeManagementEvents": true }]);
            input.insert("EventSelectors".to_owned(), usual);
        }
        input.insert("TrailName".to_owned(), name.clone().into());
        at.call("cloudtrail", "PutEventSelectors", input.into()).await?;
    }
    if differ(old, new, &["InsightSelectors"]) {
        let insights = new.get("InsightSelectors").cloned().unwrap_or_else(|| json!([]));
        let input = json!({ "TrailName": name, "InsightSelectors": insights });
        at.call("cloudtrail", "PutInsightSelectors", input).await?;
    }
    let logs = |properties: &Value| properties.get("IsLogging").is_some_and(|on| text(on) == "true");
    match (logs(old), logs(new)) {
        (false, true) => at.call("cloudtrail", "StartLogging", json!({ "Name": name })).await.map(drop),
        (true, false) => at.call("cloudtrail", "StopLogging", json!({ "Name": name })).await.map(drop),
        _ => Ok(()),
    }
}
