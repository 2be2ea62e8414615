//! AWS::DynamoDB::Table: Ref is its name; Arn, StreamArn.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, only, pick, text};
use crate::Result;

pub(super) struct Table;

const CREATE: [&str; 9] = [
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
    "SSESpecification",
    "TableClass",
];

#[async_trait]
impl Kind for Table {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let mut known = CREATE.to_vec();
        known.extend([
            "TableName",
            "Tags",
            "TimeToLiveSpecification",
            "PointInTimeRecoverySpecification",
            "StreamSpecification",
        ]);
        only(properties, &known)?;
        let name = at.name(properties, "TableName", 255);
        let mut input = pick(properties, &CREATE);
        encryption(&mut input);
        if let Some(stream) = properties.get("StreamSpecification") {
            let mut stream = stream.clone();
            stream["StreamEnabled"] = true.into();
            input.insert("StreamSpecification".to_owned(), stream);
        }
        if !input.contains_key("BillingMode") && !input.contains_key("ProvisionedThroughput") {
            input.insert("BillingMode".to_owned(), "PAY_PER_REQUEST".into());
        }
        input.insert("TableName".to_owned(), name.clone().into());
        input.insert("Tags".to_owned(), at.tag_list(properties));
        let output = at.call("dynamodb", "CreateTable", input.into()).await?;
        let table = &output["TableDescription"];
        let mut attributes = json!({ "Arn": table["TableArn"] });
        if let Some(arn) = table.get("LatestStreamArn") {
            attributes["StreamArn"] = arn.clone();
        }
        let made = Made::new(name, attributes);
        at.begun(&made);
        apply(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        if differ(old, new, &["TableName", "KeySchema", "LocalSecondaryIndexes"]) {
            return Ok(Updated::Replace);
        }
        let name = &made.physical_id;
        let mut input = pick(new, &["DeletionProtectionEnabled", "SSESpecification", "TableClass"]);
        input.retain(|member, _| differ(old, new, &[member.as_str()]));
        encryption(&mut input);
        defaults::reset(&mut input, "AWS::DynamoDB::Table", old, new);
        if billing(old) != billing(new) {
            input.extend(billing(new));
        }
        if !input.is_empty() {
            input.insert("TableName".to_owned(), name.clone().into());
            at.call("dynamodb", "UpdateTable", input.into()).await?;
        }
        indexes(at, name, old, new).await?;
        let mut made = made.clone();
        if differ(old, new, &["StreamSpecification"]) {
            made.attributes = stream(at, name, new).await?;
        }
        apply(at, name, old, new).await?;
        let (gone, set) = at.changed_tags(old, new);
        let arn = made.attribute("Arn");
        if !gone.is_empty() {
            at.call("dynamodb", "UntagResource", json!({ "ResourceArn": arn, "TagKeys": gone })).await?;
        }
        if !set.is_empty() {
            at.call("dynamodb", "TagResource", json!({ "ResourceArn": arn, "Tags": set })).await?;
        }
        Ok(Updated::InPlace(made))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("dynamodb", "DeleteTable", json!({ "TableName": made.physical_id })).await
    }
}

/// The template's name of the switch, as the operations have it.
fn encryption(input: &mut Map<String, Value>) {
    if let Some(Value::Object(specification)) = input.get_mut("SSESpecification")
        && let Some(on) = specification.shift_remove("SSEEnabled")
    {
        specification.insert("Enabled".to_owned(), on);
    }
}

/// How a table is paid for. Source: Template Reference, "AWS::DynamoDB::Table", `BillingMode`.
fn billing(properties: &Value) -> Map<String, Value> {
    let mut billing = pick(properties, &["BillingMode", "ProvisionedThroughput"]);
    let provisioned = billing.contains_key("ProvisionedThroughput");
    billing.entry("BillingMode").or_insert_with(|| if provisioned { "PROVISIONED" } else { "PAY_PER_REQUEST" }.into());
    billing
}

/// Deletes, changes and makes indexes, one in each call. Which there are the table says: of an update that failed not all were made.
/// Source: DynamoDB API Reference, UpdateTable.
async fn indexes(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    let all = |p: &Value| p["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    let same = |a: &Value, b: &Value| a["IndexName"] == b["IndexName"];
    let (old, new_indexes) = (all(old), all(new));
    if old == new_indexes {
        return Ok(());
    }
    let found = at.look("dynamodb", "describeTable", json!({ "TableName": name })).await?;
    let there: Vec<Value> = all(&found["Table"]);
    let old: Vec<Value> = old.into_iter().filter(|index| there.iter().any(|other| same(index, other))).collect();
    // What is there and was not to be is what a failed update has made of what is to be now.
    let made =
        |index: &Value| there.iter().any(|other| same(index, other)) && !old.iter().any(|other| same(index, other));
    let call = async |change: Value| {
        let mut input = pick(new, &["AttributeDefinitions"]);
        input.insert("TableName".to_owned(), name.into());
        input.insert("GlobalSecondaryIndexUpdates".to_owned(), json!([change]));
        at.call("dynamodb", "UpdateTable", input.into()).await.map(drop)
    };
    for index in &old {
        let kept = new_indexes.iter().find(|other| same(index, other));
        if kept.is_none_or(|kept| differ(index, kept, &["KeySchema", "Projection"])) {
            call(json!({ "Delete": { "IndexName": index["IndexName"] } })).await?;
        }
    }
    for index in &new_indexes {
        match old.iter().find(|other| same(index, other)) {
            Some(before) if !differ(before, index, &["KeySchema", "Projection"]) => {
                if differ(before, index, &["ProvisionedThroughput"]) && index.get("ProvisionedThroughput").is_some() {
                    let change = pick(index, &["IndexName", "ProvisionedThroughput"]);
                    call(json!({ "Update": change })).await?;
                }
            }
            _ if made(index) => {}
            _ => call(json!({ "Create": index })).await?,
        }
    }
    Ok(())
}

/// A stream of another kind is another stream. Answers the table's attributes.
async fn stream(at: &Context, name: &str, new: &Value) -> Result<Value> {
    let cx = at.cx.as_platform().without_task();
    let described = async || {
        let found = cx.call_json("dynamodb", "describeTable", json!({ "TableName": name })).await?;
        Ok::<Value, wire::Error>(found["Table"].clone())
    };
    let (is, wanted) = (described().await?["StreamSpecification"].clone(), new.get("StreamSpecification"));
    let enabled = is["StreamEnabled"] == true;
    let same = enabled && wanted.is_some_and(|wanted| wanted["StreamViewType"] == is["StreamViewType"]);
    if enabled && !same {
        let input = json!({ "TableName": name, "StreamSpecification": { "StreamEnabled": false } });
        at.call("dynamodb", "UpdateTable", input).await?;
    }
    if let Some(wanted) = wanted.filter(|_| !same) {
        let mut wanted = wanted.clone();
        wanted["StreamEnabled"] = true.into();
        at.call("dynamodb", "UpdateTable", json!({ "TableName": name, "StreamSpecification": wanted })).await?;
    }
    let table = described().await?;
    let mut attributes = json!({ "Arn": table["TableArn"] });
    if new.get("StreamSpecification").is_some() {
        attributes["StreamArn"] = table["LatestStreamArn"].clone();
    }
    Ok(attributes)
}

/// What has operations of its own, which refuse what is so already.
async fn apply(at: &Context, name: &str, old: &Value, new: &Value) -> Result<()> {
    if differ(old, new, &["TimeToLiveSpecification"]) {
        let found = at.look("dynamodb", "describeTimeToLive", json!({ "TableName": name })).await?;
        let found = &found["TimeToLiveDescription"];
        let enabled = matches!(found["TimeToLiveStatus"].as_str(), Some("ENABLED" | "ENABLING"));
        let is = enabled.then(|| text(&found["AttributeName"]));
        let wanted = &new["TimeToLiveSpecification"];
        let wanted = Some(text(&wanted["AttributeName"])).filter(|_| text(&wanted["Enabled"]) == "true");
        let set = async |attribute: &str, enabled: bool| {
            let setting = json!({ "AttributeName": attribute, "Enabled": enabled });
            let input = json!({ "TableName": name, "TimeToLiveSpecification": setting });
            at.call("dynamodb", "UpdateTimeToLive", input).await.map(drop)
        };
        if let Some(is) = is.as_ref().filter(|is| wanted.as_ref() != Some(is)) {
            set(is, false).await?;
        }
        if let Some(wanted) = wanted.as_ref().filter(|wanted| is.as_ref() != Some(wanted)) {
            set(wanted, true).await?;
        }
    }
    if differ(old, new, &["PointInTimeRecoverySpecification"]) {
        let off = || json!({ "PointInTimeRecoveryEnabled": false });
        let recovery = new.get("PointInTimeRecoverySpecification").cloned().unwrap_or_else(off);
        let input = json!({ "TableName": name, "PointInTimeRecoverySpecification": recovery });
        at.call("dynamodb", "UpdateContinuousBackups", input).await?;
    }
    Ok(())
}
