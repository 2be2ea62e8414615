//! AWS::DynamoDB::GlobalTable with one replica, in the stack's region: Ref is its name; Arn, StreamArn, TableId. It is a table whose settings
//! stand in its replica. Replicas in other regions, what needs several, and capacity that is scaled are refused by name: there is one region,
//! and no Application Auto Scaling. Source: Template Reference, "AWS::DynamoDB::GlobalTable".

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::dynamodb_table::Table;
use super::{Context, Kind, Made, Updated, only, pick, text};
use crate::Result;
use crate::template::validation;

pub(super) struct GlobalTable;

/// What a table has under the same name.
const SAME: [&str; 8] = [
    "AttributeDefinitions",
    "BillingMode",
    "KeySchema",
    "LocalSecondaryIndexes",
    "StreamSpecification",
    "TableName",
    "TimeToLiveSpecification",
    "WarmThroughput",
];

/// The same, of its replica.
const OF_REPLICA: [&str; 6] = [
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "PointInTimeRecoverySpecification",
    "ResourcePolicy",
    "TableClass",
    "Tags",
];

#[async_trait]
impl Kind for GlobalTable {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        let made = Table.create(at, &as_table(at, properties)?).await?;
        identified(at, made).await
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        match Table.update(at, made, &as_table(at, old)?, &as_table(at, new)?).await? {
            Updated::InPlace(made) => Ok(Updated::InPlace(identified(at, made).await?)),
            Updated::Replace => Ok(Updated::Replace),
        }
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        Table.delete(at, made, &Value::Null).await
    }
}

async fn identified(at: &Context, mut made: Made) -> Result<Made> {
    let found = at.look("dynamodb", "describeTable", json!({ "TableName": made.physical_id })).await?;
    made.attributes["TableId"] = found["Table"]["TableId"].clone();
    Ok(made)
}

fn refused(what: &str) -> wire::Error {
    validation(format!("{what} is not supported: there is one region here, and no Application Auto Scaling"))
}

/// The properties of the table that it is.
fn as_table(at: &Context, properties: &Value) -> Result<Value> {
    let own = ["GlobalSecondaryIndexes", "MultiRegionConsistency", "ReadOnDemandThroughputSettings", "Replicas"];
    let more = ["SSESpecification", "WriteOnDemandThroughputSettings"];
    if let Some(elsewhere) = ["GlobalTableSourceArn", "GlobalTableWitnesses", "WriteProvisionedThroughputSettings"]
        .iter()
        .find(|name| properties.get(**name).is_some())
    {
        return Err(refused(elsewhere));
    }
    only(properties, &[&SAME[..], &own, &more].concat())?;
    if properties.get("MultiRegionConsistency").is_some_and(|consistency| consistency != "EVENTUAL") {
        return Err(refused("MultiRegionConsistency STRONG"));
    }
    // Source: `BillingMode`, "The default value of this property is PROVISIONED".
    if properties["BillingMode"] != "PAY_PER_REQUEST" {
        return Err(refused("BillingMode PROVISIONED"));
    }
    let replica = replica(at, properties)?;
    let mut table = pick(properties, &SAME);
    table.extend(pick(replica, &OF_REPLICA));
    table.extend(on_demand(properties, replica)?.map(|limits| ("OnDemandThroughput".to_owned(), limits)));
    if let Some(encryption) = properties.get("SSESpecification") {
        only(encryption, &["SSEEnabled", "SSEType"])?;
        let mut encryption = encryption.clone();
        if let Some(key) = replica["SSESpecification"].get("KMSMasterKeyId") {
            encryption["KMSMasterKeyId"] = key.clone();
        }
        table.insert("SSESpecification".to_owned(), encryption);
    }
    if let Some(Value::Array(indexes)) = properties.get("GlobalSecondaryIndexes") {
        let indexes = indexes.iter().map(|given| index(given, replica)).collect::<Result<Vec<Value>>>()?;
        table.insert("GlobalSecondaryIndexes".to_owned(), indexes.into());
    }
    Ok(table.into())
}

/// The only one, which is here.
fn replica<'a>(at: &Context, properties: &'a Value) -> Result<&'a Value> {
    let replicas = properties["Replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let elsewhere = replicas.iter().map(|one| text(&one["Region"])).find(|region| region != at.cx.region());
    if let Some(region) = elsewhere {
        return Err(refused(&format!("a replica in {region}")));
    }
    let [replica] = replicas else {
        return Err(validation("Replicas must have one entry, of the region in which the stack is"));
    };
    let mut known = OF_REPLICA.to_vec();
    known.extend(["GlobalSecondaryIndexes", "ReadOnDemandThroughputSettings", "Region", "SSESpecification"]);
    only(replica, &known)?;
    Ok(replica)
}

/// The most that may be read and written; what a replica says of its reads goes before what the table says.
fn on_demand(of: &Value, replica: &Value) -> Result<Option<Value>> {
    let mut limits = Map::new();
    for settings in [&of["WriteOnDemandThroughputSettings"], &of["ReadOnDemandThroughputSettings"]] {
        only(settings, &["MaxReadRequestUnits", "MaxWriteRequestUnits"])?;
        limits.extend(settings.as_object().cloned().unwrap_or_default());
    }
    limits.extend(pick(&replica["ReadOnDemandThroughputSettings"], &["MaxReadRequestUnits"]));
    Ok((!limits.is_empty()).then(|| limits.into()))
}

fn index(given: &Value, replica: &Value) -> Result<Value> {
    let same = ["IndexName", "KeySchema", "Projection", "WarmThroughput"];
    let settings = ["ReadOnDemandThroughputSettings", "WriteOnDemandThroughputSettings"];
    only(given, &[&same[..], &settings].concat())?;
    let nothing = json!({});
    let there = replica["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
    let own = there.into_iter().find(|one| one["IndexName"] == given["IndexName"]).unwrap_or(&nothing);
    only(own, &["ContributorInsightsSpecification", "IndexName", "ReadOnDemandThroughputSettings"])?;
    let mut index = pick(given, &same);
    index.extend(pick(own, &["ContributorInsightsSpecification"]));
    index.extend(on_demand(given, own)?.map(|limits| ("OnDemandThroughput".to_owned(), limits)));
    Ok(index.into())
}
