//! Table records as `TableDescription`s, and the shapes that make tables.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{
    AttributeDefinition, BillingModeSummary, GlobalSecondaryIndexDescription,
    GlobalSecondaryIndexWarmThroughputDescription, KeySchemaElement, LocalSecondaryIndexDescription,
    OnDemandThroughput, Projection, ProvisionedThroughput, ProvisionedThroughputDescription, RestoreSummary,
    StreamSpecification, TableClassSummary, TableDescription, TableWarmThroughputDescription,
};
use wire::Timestamp;

use crate::Invalid;
use crate::table::{Billing, Contents, Index, KeySchema, Projected, Table};

/// What AWS's tables on demand are ready for by themselves, in units a second. Source: DynamoDB Developer Guide, "Understanding DynamoDB
/// warm throughput".
pub(crate) const WARM_BY_ITSELF: (i64, i64) = (12_000, 4_000);

impl Table {
    pub(crate) fn describe(&self, contents: &Contents, status: &str) -> TableDescription {
        let provisioned = match self.billing {
            Billing::PayPerRequest => None,
            Billing::Provisioned { read, write } => Some((read, write)),
        };
        let ((read, write), warm) = (provisioned.unwrap_or((0, 0)), warm_units(self.warm, provisioned));
        let own = |index: &Index| contents.indexes.get(&index.name).copied().unwrap_or_default();
        let local = self.indexes.iter().filter(|index| !index.global);
        let local = local.map(|index| self.describe_local(index, own(index)));
        let global = self.indexes.iter().filter(|index| index.global);
        let global = global.map(|index| self.describe_global(index, own(index), status));
        let (local, global): (Vec<_>, Vec<_>) = (local.collect(), global.collect());
        TableDescription {
            attribute_definitions: Some(self.definitions()),
            table_name: Some(self.name.clone()),
            key_schema: Some(elements(&self.key)),
            table_status: Some(status.to_owned()),
            creation_date_time: Some(Timestamp::from_millis(self.created_ms)),
            provisioned_throughput: Some(throughput(read, write)),
            table_size_bytes: Some(contents.bytes),
            item_count: Some(contents.items),
            table_arn: Some(self.arn.clone()),
            table_id: Some(self.id.clone()),
            billing_mode_summary: (self.billing == Billing::PayPerRequest).then(|| BillingModeSummary {
                billing_mode: Some("PAY_PER_REQUEST".to_owned()),
                last_update_to_pay_per_request_date_time: Some(Timestamp::from_millis(
                    self.on_demand_since_ms.unwrap_or(self.created_ms),
                )),
            }),
            on_demand_throughput: self.on_demand_limits.map(|(read, write)| OnDemandThroughput {
                max_read_request_units: Some(read),
                max_write_request_units: Some(write),
            }),
            stream_specification: self.stream.as_ref().map(|stream| StreamSpecification {
                stream_enabled: true,
                stream_view_type: Some(stream.view.clone()),
            }),
            latest_stream_arn: self.latest_stream.as_ref().map(|label| format!("{}/stream/{label}", self.arn)),
            latest_stream_label: self.latest_stream.clone(),
            local_secondary_indexes: (!local.is_empty()).then_some(local),
            global_secondary_indexes: (!global.is_empty()).then_some(global),
            table_class_summary: self
                .class
                .clone()
                .map(|class| TableClassSummary { table_class: Some(class), ..TableClassSummary::default() }),
            restore_summary: self.origin.as_ref().map(|origin| RestoreSummary {
                source_backup_arn: origin.backup_arn.clone(),
                source_table_arn: origin.source_arn.clone(),
                restore_date_time: Timestamp::from_millis(origin.at_ms),
                restore_in_progress: origin.in_progress,
            }),
            sse_description: self.sse_key.as_deref().map(crate::encryption::description),
            warm_throughput: Some(TableWarmThroughputDescription {
                read_units_per_second: Some(warm.0),
                write_units_per_second: Some(warm.1),
                status: Some("ACTIVE".to_owned()),
            }),
            deletion_protection_enabled: Some(self.deletion_protection),
            ..TableDescription::default()
        }
    }

    fn definitions(&self) -> Vec<AttributeDefinition> {
        let definition = |(name, kind): (&String, &String)| AttributeDefinition {
            attribute_name: name.clone(),
            attribute_type: kind.clone(),
        };
        self.attributes.iter().map(definition).collect()
    }

    fn describe_local(&self, index: &Index, (items, bytes): (i64, i64)) -> LocalSecondaryIndexDescription {
        LocalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(elements(&index.key)),
            projection: Some(projection(index)),
            index_arn: Some(format!("{}/index/{}", self.arn, index.name)),
            index_size_bytes: Some(bytes),
            item_count: Some(items),
        }
    }

    fn describe_global(
        &self,
        index: &Index,
        (items, bytes): (i64, i64),
        table_status: &str,
    ) -> GlobalSecondaryIndexDescription {
        let (read, write) = index.throughput.unwrap_or((0, 0));
        let warm = warm_units(index.warm, index.throughput);
        GlobalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(elements(&index.key)),
            projection: Some(projection(index)),
            index_status: Some(if index.backfilling { "CREATING" } else { table_status }.to_owned()),
            backfilling: index.backfilling.then_some(true),
            provisioned_throughput: Some(throughput(read, write)),
            index_arn: Some(format!("{}/index/{}", self.arn, index.name)),
            index_size_bytes: Some(bytes),
            item_count: Some(items),
            warm_throughput: Some(GlobalSecondaryIndexWarmThroughputDescription {
                read_units_per_second: Some(warm.0),
                write_units_per_second: Some(warm.1),
                status: Some("ACTIVE".to_owned()),
            }),
            ..GlobalSecondaryIndexDescription::default()
        }
    }

    /// Fails unless exactly the key attributes of table and indexes are defined.
    pub(crate) fn check_definitions(&self) -> Result<(), Invalid> {
        let used: BTreeSet<&str> =
            self.key.names().chain(self.indexes.iter().flat_map(|index| index.key.names())).collect();
        let defined: BTreeSet<&str> = self.attributes.keys().map(String::as_str).collect();
        let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
        if !used.is_subset(&defined) {
            let missing = used.difference(&defined).copied().collect();
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: Some index key attributes are not defined in \
                 AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
                list(&missing),
                list(&defined)
            )));
        }
        if used != defined {
            return Err(Invalid::new(if self.indexes.is_empty() {
                "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match \
                 number of attributes defined in AttributeDefinitions"
                    .to_owned()
            } else {
                format!(
                    "One or more parameter values were invalid: Some AttributeDefinitions are not used. \
                     AttributeDefinitions: [{}], keys used: [{}]",
                    list(&defined),
                    list(&used)
                )
            }));
        }
        Ok(())
    }
}

/// What was asked for, or what a provisioned table or index has anyway.
fn warm_units(asked: Option<(i64, i64)>, provisioned: Option<(i64, i64)>) -> (i64, i64) {
    asked.or(provisioned).unwrap_or(WARM_BY_ITSELF)
}

pub(crate) fn elements(key: &KeySchema) -> Vec<KeySchemaElement> {
    let of = |names: &[String], kind: &str| -> Vec<KeySchemaElement> {
        let element = |name: &String| KeySchemaElement { attribute_name: name.clone(), key_type: kind.to_owned() };
        names.iter().map(element).collect()
    };
    [of(&key.partition, "HASH"), of(&key.sort, "RANGE")].concat()
}

pub(crate) fn projection(index: &Index) -> Projection {
    let (kind, names) = match &index.projection {
        Projected::All => ("ALL", None),
        Projected::KeysOnly => ("KEYS_ONLY", None),
        Projected::Include(names) => ("INCLUDE", Some(names.clone())),
    };
    Projection { projection_type: Some(kind.to_owned()), non_key_attributes: names }
}

fn throughput(read: i64, write: i64) -> ProvisionedThroughputDescription {
    ProvisionedThroughputDescription {
        number_of_decreases_today: Some(0),
        read_capacity_units: Some(read),
        write_capacity_units: Some(write),
        ..ProvisionedThroughputDescription::default()
    }
}

pub(crate) fn attribute_types(definitions: Vec<AttributeDefinition>) -> Result<BTreeMap<String, String>, Invalid> {
    let mut types = BTreeMap::new();
    for definition in definitions {
        let AttributeDefinition { attribute_name, attribute_type } = definition;
        if !matches!(attribute_type.as_str(), "S" | "N" | "B") {
            return Err(Invalid::new(format!(
                "1 validation error detected: Value '{attribute_type}' at \
                 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum \
                 value set: [B, N, S]"
            )));
        }
        if types.insert(attribute_name.clone(), attribute_type).is_some() {
            return Err(Invalid::new(format!(
                "One or more parameter values were invalid: Duplicate AttributeName in AttributeDefinitions: \
                 {attribute_name}"
            )));
        }
    }
    Ok(types)
}

/// The key of a table or local index.
pub(crate) fn key_schema(elements: &[KeySchemaElement]) -> Result<KeySchema, Invalid> {
    if elements.len() > 2 {
        return Err(Invalid::new(
            "1 validation error detected: Value '[...]' at 'keySchema' failed to satisfy constraint: Member must have \
             length less than or equal to 2",
        ));
    }
    match elements {
        [_, second] if second.key_type != "RANGE" && elements[0].key_type == "HASH" => {
            Err(Invalid::new("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"))
        }
        _ => index_key_schema(elements),
    }
}

/// The key of a global index: up to four attributes of each kind.
/// Source: DynamoDB Developer Guide, "Multi-attribute keys in global secondary indexes".
pub(crate) fn index_key_schema(elements: &[KeySchemaElement]) -> Result<KeySchema, Invalid> {
    const MOST: usize = 4;
    let invalid = |what: &str| Invalid::new(format!("Invalid KeySchema: {what}"));
    let split = elements.iter().position(|element| element.key_type == "RANGE").unwrap_or(elements.len());
    let (hash, range) = elements.split_at(split);
    match elements {
        [] => return Err(invalid("The KeySchema must not be empty")),
        [first, ..] if first.key_type != "HASH" => {
            return Err(invalid("The first KeySchemaElement is not a HASH key type"));
        }
        _ => {}
    }
    if range.iter().any(|element| element.key_type != "RANGE") {
        return Err(invalid("All HASH key elements must come before the RANGE key elements"));
    }
    if hash.len() > MOST || range.len() > MOST {
        return Err(invalid("A key of a global secondary index has at most 4 HASH and 4 RANGE attributes"));
    }
    for (at, element) in elements.iter().enumerate() {
        if elements[..at].iter().any(|other| other.attribute_name == element.attribute_name) {
            return Err(Invalid::new(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name",
            ));
        }
    }
    let names = |elements: &[KeySchemaElement]| elements.iter().map(|element| element.attribute_name.clone()).collect();
    Ok(KeySchema { partition: names(hash), sort: names(range) })
}

pub(crate) fn projected(projection: Projection) -> Result<Projected, Invalid> {
    let invalid = |what: String| Invalid::new(format!("One or more parameter values were invalid: {what}"));
    match (projection.projection_type.as_deref(), projection.non_key_attributes) {
        (Some("INCLUDE"), Some(names)) if !names.is_empty() => {
            for (at, name) in names.iter().enumerate() {
                if names[..at].contains(name) {
                    return Err(invalid(format!("Duplicate value in NonKeyAttributes: {name}")));
                }
            }
            Ok(Projected::Include(names))
        }
        (Some("INCLUDE"), _) => {
            Err(invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified".to_owned()))
        }
        (Some(kind @ ("ALL" | "KEYS_ONLY")), Some(_)) => {
            Err(invalid(format!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
        }
        (Some("ALL"), None) => Ok(Projected::All),
        (Some("KEYS_ONLY"), None) => Ok(Projected::KeysOnly),
        (None, _) => Err(invalid("Unknown ProjectionType: null".to_owned())),
        (Some(other), _) => Err(invalid(format!("Unknown ProjectionType: {other}"))),
    }
}

const MOST_UNITS: i64 = 1_000_000_000_000;

pub(crate) fn billing(mode: Option<&str>, throughput: Option<ProvisionedThroughput>) -> Result<Billing, Invalid> {
    match (mode, throughput) {
        (Some("PAY_PER_REQUEST"), None) => Ok(Billing::PayPerRequest),
        (Some("PAY_PER_REQUEST"), Some(_)) => Err(Invalid::new(
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be \
             specified when BillingMode is PAY_PER_REQUEST",
        )),
        (_, Some(units)) if units.read_capacity_units > MOST_UNITS || units.write_capacity_units > MOST_UNITS => {
            let (name, given) = if units.read_capacity_units > MOST_UNITS {
                ("ReadCapacityUnits", units.read_capacity_units)
            } else {
                ("WriteCapacityUnits", units.write_capacity_units)
            };
            Err(Invalid::new(format!("Given value {given} for {name} is out of bounds")))
        }
        (_, Some(units)) if units.read_capacity_units > 0 && units.write_capacity_units > 0 => {
            Ok(Billing::Provisioned { read: units.read_capacity_units, write: units.write_capacity_units })
        }
        _ => Err(Invalid::new(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified \
             when BillingMode is PROVISIONED",
        )),
    }
}
