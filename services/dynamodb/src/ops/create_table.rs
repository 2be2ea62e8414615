//! CreateTable: a table with its indexes, ready when the answer comes.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{
    CreateTable, CreateTableInput, CreateTableOutput, GlobalSecondaryIndex, LocalSecondaryIndex, OnDemandThroughput,
    StreamSpecification, Tag, WarmThroughput, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::describe::{WARM_BY_ITSELF, attribute_types, billing, index_key_schema, key_schema, projected};
use crate::table::{Billing, Contents, Index, KeySchema, Projected, Table};
use crate::write::{Home, new_table_name};
use crate::{DynamoDb, Invalid, streams};

#[async_trait]
impl Handle<CreateTable> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: CreateTableInput) -> Result<CreateTableOutput, Error> {
        let stream = view_of(req.stream_specification.as_ref())?;
        let (sse, policy) = (req.sse_specification.clone(), req.resource_policy.clone());
        let mut table = table(cx, req)?;
        if let Some(policy) = &policy {
            crate::policies::check(policy, &table.arn, cx.account())?;
        }
        table.sse_key = crate::encryption::key(cx, sse.as_ref()).await?;
        let home = Home::of(cx);
        let (stream_id, now) = (cx.uuid(), cx.now().as_millisecond());
        let description = cx
            .write(&self.store, move |tx| {
                if home.find(tx, &table.name)?.is_some() {
                    return Err(error::resource_in_use_exception(format!("Table already exists: {}", table.name)));
                }
                let mut table = table.clone();
                if let Some(view) = &stream {
                    streams::enable(tx, &mut table, view, stream_id.clone(), now)?;
                }
                if let Some(policy) = &policy {
                    crate::policies::put(tx, &table.arn, policy, None, now)?;
                }
                table.save(tx)?;
                Ok(table.describe(&Contents::default(), "ACTIVE"))
            })
            .await?;
        Ok(CreateTableOutput { table_description: Some(description) })
    }
}

/// The view that a stream is asked to have; none where no stream is.
pub(super) fn view_of(specification: Option<&StreamSpecification>) -> Result<Option<String>, Invalid> {
    match specification {
        Some(StreamSpecification { stream_enabled: true, stream_view_type: Some(view) }) => Ok(Some(view.clone())),
        Some(StreamSpecification { stream_enabled: true, stream_view_type: None }) => Err(Invalid::new(
            "One or more parameter values were invalid: StreamViewType must be specified when StreamEnabled is true",
        )),
        Some(StreamSpecification { stream_enabled: false, stream_view_type: Some(_) }) => Err(Invalid::new(
            "One or more parameter values were invalid: StreamViewType can only be specified when StreamEnabled is true",
        )),
        _ => Ok(None),
    }
}

pub(super) fn table(cx: &Cx, req: CreateTableInput) -> Result<Table, Error> {
    let name = new_table_name(&Home::of(cx), &req.table_name)?.to_owned();
    refuse_unknown(&req)?;
    let billing = billing(req.billing_mode.as_deref(), req.provisioned_throughput)?;
    let key = key_schema(req.key_schema.as_deref().unwrap_or_default())?;
    let table = Table {
        version: 1,
        id: cx.uuid(),
        arn: cx.arn("dynamodb", format!("table/{name}")),
        name,
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        created_ms: cx.now().as_millisecond(),
        attributes: attribute_types(req.attribute_definitions.unwrap_or_default())?,
        indexes: indexes(&key, req.local_secondary_indexes, req.global_secondary_indexes)?,
        key,
        billing,
        tags: tags_of(cx, req.tags.unwrap_or_default())?,
        ttl: None,
        ttl_made: String::new(),
        ttl_filling: false,
        deletion_protection: req.deletion_protection_enabled.unwrap_or(false),
        class: req.table_class,
        stream: None,
        latest_stream: None,
        on_demand_since_ms: None,
        insights: BTreeMap::new(),
        on_demand_limits: limits(req.on_demand_throughput.as_ref()),
        warm: warm(None, req.warm_throughput.as_ref()),
        snapshots: Vec::new(),
        recovery: None,
        origin: None,
        importing: false,
        sse_key: None,
        limits: None,
    };
    table.check_definitions()?;
    check_indexes(&table.indexes, billing)?;
    Ok(table)
}

/// What a table or an index is to be ready for, after this was asked: what is not named stays.
pub(super) fn warm(now: Option<(i64, i64)>, asked: Option<&WarmThroughput>) -> Option<(i64, i64)> {
    let Some(asked) = asked else { return now };
    let (read, write) = now.unwrap_or(WARM_BY_ITSELF);
    Some((asked.read_units_per_second.unwrap_or(read), asked.write_units_per_second.unwrap_or(write)))
}

pub(super) fn limits(throughput: Option<&OnDemandThroughput>) -> Option<(i64, i64)> {
    let limit = |units: Option<i64>| units.unwrap_or(-1);
    throughput.map(|limits| (limit(limits.max_read_request_units), limit(limits.max_write_request_units)))
}

/// The tags of a list; no key twice, none of AWS's own but from the platform's services, such as CloudFormation.
pub(super) fn tags_of(cx: &Cx, list: Vec<Tag>) -> Result<BTreeMap<String, String>, Invalid> {
    let mut tags = BTreeMap::new();
    for Tag { key, value } in list {
        if cx.called_via().is_none() && key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: Tag keys that begin with aws: are reserved: {key}"
            )));
        }
        if let Some(name) = [&key, &value].into_iter().find(|text| !text.chars().all(is_of_tags)) {
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: Invalid characters in tag: {name}"
            )));
        }
        if tags.insert(key.clone(), value).is_some() {
            return Err(Invalid::new(format!("One or more parameter values were invalid: Duplicate tag key: {key}")));
        }
    }
    if tags.len() > MAX_TAGS {
        return Err(Invalid::new("One or more parameter values were invalid: Too many Tags"));
    }
    Ok(tags)
}

/// Tags of one table.
const MAX_TAGS: usize = 50;

/// Source: DynamoDB Developer Guide, "Tagging restrictions in DynamoDB".
fn is_of_tags(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "+-=._:/@".contains(c)
}

/// The indexes of a table that is made, each checked by itself.
pub(super) fn indexes(
    key: &KeySchema,
    local: Option<Vec<LocalSecondaryIndex>>,
    global: Option<Vec<GlobalSecondaryIndex>>,
) -> Result<Vec<Index>, Invalid> {
    let invalid = |what: String| Invalid::new(format!("One or more parameter values were invalid: {what}"));
    for (list, empty) in [
        ("LocalSecondaryIndexes", local.as_ref().map(Vec::is_empty)),
        ("GlobalSecondaryIndexes", global.as_ref().map(Vec::is_empty)),
    ] {
        if empty == Some(true) {
            return Err(invalid(format!("List of {list} is empty")));
        }
    }
    let mut indexes = Vec::new();
    for local in local.into_iter().flatten() {
        if key.sort.is_empty() {
            return Err(invalid(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
                    .to_owned(),
            ));
        }
        let own = key_schema(&local.key_schema)?;
        if own.sort.is_empty() {
            return Err(invalid(format!("Index KeySchema does not have a range key for index: {}", local.index_name)));
        }
        if own.partition != key.partition {
            return Err(invalid(format!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {}. index hash \
                 key: {}, table hash key: {}",
                local.index_name,
                own.partition.join(", "),
                key.partition.join(", ")
            )));
        }
        indexes.push(Index {
            name: local.index_name,
            global: false,
            key: own,
            projection: projected(local.projection)?,
            throughput: None,
            warm: None,
            backfilling: false,
            made: String::new(),
        });
    }
    for global in global.into_iter().flatten() {
        let throughput = global.provisioned_throughput.map(|t| (t.read_capacity_units, t.write_capacity_units));
        indexes.push(Index {
            name: global.index_name,
            global: true,
            key: index_key_schema(&global.key_schema)?,
            projection: projected(global.projection)?,
            throughput,
            warm: warm(None, global.warm_throughput.as_ref()),
            backfilling: false,
            made: String::new(),
        });
    }
    Ok(indexes)
}

/// What would be promised and not kept is refused.
fn refuse_unknown(req: &CreateTableInput) -> Result<(), Error> {
    if req.global_table_source_arn.is_some() {
        return Err(Error::not_implemented("CreateTable: GlobalTableSourceArn"));
    }
    Ok(())
}

/// What holds of all indexes of a table together.
pub(super) fn check_indexes(indexes: &[Index], billing: Billing) -> Result<(), Invalid> {
    let invalid = |what: String| Err(Invalid::new(format!("One or more parameter values were invalid: {what}")));
    let mut names = BTreeSet::new();
    for index in indexes {
        if !names.insert(&index.name) {
            return invalid(format!("Duplicate index name: {}", index.name));
        }
        match (index.global, billing, index.throughput) {
            (true, Billing::Provisioned { .. }, None) => {
                return invalid(format!("ProvisionedThroughput is not specified for index: {}", index.name));
            }
            (true, Billing::PayPerRequest, Some(_)) => {
                return invalid(format!(
                    "ProvisionedThroughput should not be specified for index: {} when BillingMode is PAY_PER_REQUEST",
                    index.name
                ));
            }
            _ => {}
        }
    }
    let local = indexes.iter().filter(|index| !index.global).count();
    if local > 5 {
        return invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5".to_owned());
    }
    if indexes.len() - local > 20 {
        return invalid("GlobalSecondaryIndex count exceeds the per-table limit of 20".to_owned());
    }
    let kept = indexes.iter().map(|index| match &index.projection {
        Projected::Include(names) => names.len(),
        _ => 0,
    });
    if kept.sum::<usize>() > 100 {
        return invalid("Number of attributes projected into all indexes exceeds the limit of 100".to_owned());
    }
    Ok(())
}
