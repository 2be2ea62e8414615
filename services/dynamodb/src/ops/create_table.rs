//! CreateTable: a table with its indexes, ready when the answer comes.

use std::collections::BTreeSet;

use api_dynamodb::{CreateTable, CreateTableInput, CreateTableOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::describe::{attribute_types, billing, key_schema, projected};
use crate::table::{Billing, Contents, Index, Table};
use crate::write::{Home, table_name};
use crate::{DynamoDb, Invalid};

#[async_trait]
impl Handle<CreateTable> for DynamoDb {
    async fn handle(&self, cx: &Cx, req: CreateTableInput) -> Result<CreateTableOutput, Error> {
        let table = table(cx, req)?;
        let home = Home::of(cx);
        let description = cx
            .write(&self.store, move |tx| {
                if home.find(tx, &table.name)?.is_some() {
                    return Err(error::resource_in_use_exception(format!("Table already exists: {}", table.name)));
                }
                table.save(tx)?;
                Ok(table.describe(Contents::default(), "ACTIVE"))
            })
            .await?;
        Ok(CreateTableOutput { table_description: Some(description) })
    }
}

fn table(cx: &Cx, req: CreateTableInput) -> Result<Table, Error> {
    let name = table_name(&req.table_name).to_owned();
    let well_formed = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !(3..=255).contains(&name.len()) || !well_formed {
        return Err(Error::validation(
            "TableName must be at least 3 characters long and at most 255 characters long, and contain only a-z, A-Z, \
             0-9, '_', '-' and '.'",
        ));
    }
    refuse_unknown(&req)?;
    let key = key_schema(req.key_schema.as_deref().unwrap_or_default())?;
    let mut indexes = Vec::new();
    for local in req.local_secondary_indexes.unwrap_or_default() {
        let index = Index {
            name: local.index_name,
            global: false,
            key: key_schema(&local.key_schema)?,
            projection: projected(local.projection)?,
            throughput: None,
        };
        if key.sort.is_none() {
            return Err(Error::validation(
                "One or more parameter values were invalid: Table KeySchema does not have a range key, which is \
                 required when specifying a LocalSecondaryIndex",
            ));
        }
        if index.key.partition != key.partition || index.key.sort.is_none() {
            return Err(Error::validation(format!(
                "One or more parameter values were invalid: Index KeySchema must have the table's hash key and a range \
                 key of its own for index: {}",
                index.name
            )));
        }
        indexes.push(index);
    }
    for global in req.global_secondary_indexes.unwrap_or_default() {
        let throughput = global.provisioned_throughput.map(|t| (t.read_capacity_units, t.write_capacity_units));
        indexes.push(Index {
            name: global.index_name,
            global: true,
            key: key_schema(&global.key_schema)?,
            projection: projected(global.projection)?,
            throughput,
        });
    }
    let billing = billing(req.billing_mode.as_deref(), req.provisioned_throughput)?;
    check_indexes(&indexes, billing)?;
    let table = Table {
        version: 1,
        id: cx.uuid(),
        arn: cx.arn("dynamodb", format!("table/{name}")),
        name,
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        created_ms: cx.now().as_millisecond(),
        attributes: attribute_types(req.attribute_definitions.unwrap_or_default())?,
        key,
        billing,
        indexes,
        tags: req.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
        ttl: None,
        deletion_protection: req.deletion_protection_enabled.unwrap_or(false),
        class: req.table_class,
    };
    table.check_definitions()?;
    Ok(table)
}

/// What would be promised and not kept is refused.
fn refuse_unknown(req: &CreateTableInput) -> Result<(), Error> {
    let streams = req.stream_specification.as_ref().is_some_and(|streams| streams.stream_enabled);
    let keys = req.sse_specification.as_ref().is_some_and(|sse| sse.enabled == Some(true));
    let refused = [
        ("StreamSpecification", streams),
        ("SSESpecification with KMS keys", keys),
        ("ResourcePolicy", req.resource_policy.is_some()),
        ("GlobalTableSourceArn", req.global_table_source_arn.is_some()),
    ];
    match refused.iter().find(|(_, set)| *set) {
        Some((what, _)) => Err(Error::not_implemented(format!("CreateTable: {what}"))),
        None => Ok(()),
    }
}

pub(super) fn check_indexes(indexes: &[Index], billing: Billing) -> Result<(), Invalid> {
    let mut names = BTreeSet::new();
    for index in indexes {
        if !names.insert(&index.name) {
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: Duplicate index name: {}",
                index.name
            )));
        }
        if index.global && billing != Billing::PayPerRequest && index.throughput.is_none() {
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: ProvisionedThroughput is not specified for index: {}",
                index.name
            )));
        }
    }
    Ok(())
}
