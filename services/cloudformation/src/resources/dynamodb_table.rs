//! AWS::DynamoDB::Table: Ref is its name; Arn, StreamArn.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, document, only, pick, text};
use crate::Result;
use crate::template::validation;

pub(super) struct Table;

const CREATE: [&str; 11] = [
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "OnDemandThroughput",
    "ProvisionedThroughput",
    "SSESpecification",
    "TableClass",
    "WarmThroughput",
];

/// What an import makes a table with; the rest is added when it is there.
const IMPORT: [&str; 8] = [
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "OnDemandThroughput",
    "ProvisionedThroughput",
    "SSESpecification",
    "TableName",
];

/// Between two looks at whether an import has ended.
const EVERY: Duration = Duration::from_millis(500);

fn check(properties: &Value) -> Result<()> {
    let mut known = CREATE.to_vec();
    known.extend([
        "ContributorInsightsSpecification",
        "ImportSourceSpecification",
        "PointInTimeRecoverySpecification",
        "ResourcePolicy",
        "StreamSpecification",
        "TableName",
        "Tags",
        "TimeToLiveSpecification",
    ]);
    only(properties, &known)?;
    let imported = properties.get("ImportSourceSpecification").is_some();
    if imported && properties.get("LocalSecondaryIndexes").is_some() {
        return Err(validation("LocalSecondaryIndexes cannot be specified together with ImportSourceSpecification"));
    }
    Ok(())
}

#[async_trait]
impl Kind for Table {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(properties)?;
        let name = at.name(properties, "TableName", 255);
        let mut input = pick(properties, &CREATE);
        encryption(&mut input);
        if let Some(indexes) = properties.get("GlobalSecondaryIndexes") {
            input.insert("GlobalSecondaryIndexes".to_owned(), plain(indexes));
        }
        if let Some(stream) = properties.get("StreamSpecification") {
            let mut stream = stream.clone();
            stream["StreamEnabled"] = true.into();
            input.insert("StreamSpecification".to_owned(), stream);
        }
        if !input.contains_key("BillingMode") && !input.contains_key("ProvisionedThroughput") {
            input.insert("BillingMode".to_owned(), "PAY_PER_REQUEST".into());
        }
        input.insert("TableName".to_owned(), name.clone().into());
        let made = if let Some(source) = properties.get("ImportSourceSpecification") {
            import(at, properties, input, source).await?
        } else {
            input.extend(policy(properties).map(|text| ("ResourcePolicy".to_owned(), text.into())));
            input.insert("Tags".to_owned(), at.tag_list(properties));
            let output = at.call("dynamodb", "CreateTable", input.into()).await?;
            let made = made(&name, &output["TableDescription"]);
            at.begun(&made);
            made
        };
        apply(at, &made.physical_id, &json!({}), properties).await?;
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        check(new)?;
        if differ(old, new, &["TableName", "KeySchema", "LocalSecondaryIndexes", "ImportSourceSpecification"]) {
            return Ok(Updated::Replace);
        }
        let name = &made.physical_id;
        let mut input = pick(
            new,
            &["DeletionProtectionEnabled", "OnDemandThroughput", "SSESpecification", "TableClass", "WarmThroughput"],
        );
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
        if policy(old) != policy(new) {
            put_policy(at, &made, new).await?;
        }
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

/// A table as Ref and GetAtt answer it.
fn made(name: &str, table: &Value) -> Made {
    let mut attributes = json!({ "Arn": table["TableArn"] });
    if let Some(arn) = table.get("LatestStreamArn").filter(|arn| !arn.is_null()) {
        attributes["StreamArn"] = arn.clone();
    }
    Made::new(name, attributes)
}

/// Makes a table of what lies in a bucket, and waits until it is there. Source: Template Reference, "AWS::DynamoDB::Table",
/// `ImportSourceSpecification`.
async fn import(at: &Context, properties: &Value, all: Map<String, Value>, source: &Value) -> Result<Made> {
    only(source, &["InputCompressionType", "InputFormat", "InputFormatOptions", "S3BucketSource"])?;
    let name = text(&all["TableName"]);
    let (parameters, mut rest): (Map<_, _>, Map<_, _>) =
        all.into_iter().partition(|(member, _)| IMPORT.contains(&member.as_str()));
    let mut input = source.clone();
    input["TableCreationParameters"] = parameters.into();
    let output = at.call("dynamodb", "ImportTable", input).await?;
    let started = &output["ImportTableDescription"];
    let unfinished = Made::new(name.clone(), json!({ "Arn": started["TableArn"] }));
    at.begun(&unfinished);
    loop {
        let found = at.look("dynamodb", "describeImport", json!({ "ImportArn": started["ImportArn"] })).await?;
        let found = &found["ImportTableDescription"];
        match found["ImportStatus"].as_str() {
            Some("COMPLETED") => break,
            Some("IN_PROGRESS") => {}
            _ => return Err(validation(format!("The import of the table failed: {}", text(&found["FailureMessage"])))),
        }
        at.in_time()?;
        at.cx.router().clock().sleep(EVERY).await;
    }
    if !rest.is_empty() {
        rest.insert("TableName".to_owned(), name.clone().into());
        at.call("dynamodb", "UpdateTable", rest.into()).await?;
    }
    let tags = at.tag_list(properties);
    at.call("dynamodb", "TagResource", json!({ "ResourceArn": started["TableArn"], "Tags": tags })).await?;
    let found = at.look("dynamodb", "describeTable", json!({ "TableName": name })).await?;
    let made = made(&name, &found["Table"]);
    at.begun(&made);
    if policy(properties).is_some() {
        put_policy(at, &made, properties).await?;
    }
    Ok(made)
}

/// The table's policy as a text.
fn policy(properties: &Value) -> Option<String> {
    properties["ResourcePolicy"].get("PolicyDocument").map(document)
}

async fn put_policy(at: &Context, made: &Made, properties: &Value) -> Result<()> {
    let arn = made.attribute("Arn");
    match policy(properties) {
        Some(text) => {
            let input = json!({ "ResourceArn": arn, "Policy": text });
            at.call("dynamodb", "PutResourcePolicy", input).await.map(drop)
        }
        None => at.call_if_there("dynamodb", "DeleteResourcePolicy", json!({ "ResourceArn": arn })).await,
    }
}

/// Indexes as the operations have them: what contributor insights are to be had of them is asked for apart.
fn plain(indexes: &Value) -> Value {
    let mut indexes = indexes.clone();
    for index in indexes.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        index.shift_remove("ContributorInsightsSpecification");
    }
    indexes
}

/// What contributor insights are wanted of the table (an empty name) and of its indexes.
fn insights(properties: &Value) -> Vec<(String, Value)> {
    let of = |name: String, of: &Value| of.get("ContributorInsightsSpecification").map(|wanted| (name, wanted.clone()));
    let indexes = properties["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
    let indexes = indexes.filter_map(|index| of(text(&index["IndexName"]), index));
    of(String::new(), properties).into_iter().chain(indexes).collect()
}

async fn watch(at: &Context, table: &str, old: &Value, new: &Value) -> Result<()> {
    let (old, wanted) = (insights(old), insights(new));
    let indexes = new["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
    let there: Vec<String> = indexes.map(|index| text(&index["IndexName"])).collect();
    let off = json!({ "Enabled": false });
    let kept = |(name, _): &&(String, Value)| name.is_empty() || there.contains(name);
    let gone = old.iter().filter(kept).filter(|(name, _)| !wanted.iter().any(|(other, _)| other == name));
    let changed = wanted.iter().filter(|one| !old.contains(one)).map(|(name, wanted)| (name, wanted));
    for (name, wanted) in gone.map(|(name, _)| (name, &off)).chain(changed) {
        only(wanted, &["Enabled", "Mode"])?;
        let enabled = text(&wanted["Enabled"]).eq_ignore_ascii_case("true");
        let mut input = json!({
            "TableName": table, "ContributorInsightsAction": if enabled { "ENABLE" } else { "DISABLE" },
        });
        if !name.is_empty() {
            input["IndexName"] = name.clone().into();
        }
        if let Some(mode) = wanted.get("Mode") {
            input["ContributorInsightsMode"] = mode.clone();
        }
        at.call("dynamodb", "UpdateContributorInsights", input).await?;
    }
    Ok(())
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
    let all = |p: &Value| plain(&p["GlobalSecondaryIndexes"]).as_array().cloned().unwrap_or_default();
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
                let mut change = pick(index, &THROUGHPUT);
                change.retain(|member, _| differ(before, index, &[member.as_str()]));
                if before.get("OnDemandThroughput").is_some() && index.get("OnDemandThroughput").is_none() {
                    let unlimited = json!({ "MaxReadRequestUnits": -1, "MaxWriteRequestUnits": -1 });
                    change.insert("OnDemandThroughput".to_owned(), unlimited);
                }
                if !change.is_empty() {
                    change.insert("IndexName".to_owned(), index["IndexName"].clone());
                    call(json!({ "Update": change })).await?;
                }
            }
            _ if made(index) => {}
            _ => call(json!({ "Create": index })).await?,
        }
    }
    Ok(())
}

/// What changes of an index in place.
const THROUGHPUT: [&str; 3] = ["OnDemandThroughput", "ProvisionedThroughput", "WarmThroughput"];

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
    watch(at, name, old, new).await
}
