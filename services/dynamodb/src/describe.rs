//! Table records as `TableDescription`s, and the shapes that make tables.

use std::collections::{BTreeMap, BTreeSet};

use api_dynamodb::{
    AttributeDefinition, BillingModeSummary, GlobalSecondaryIndexDescription, KeySchemaElement,
    LocalSecondaryIndexDescription, Projection, ProvisionedThroughput, ProvisionedThroughputDescription,
    TableClassSummary, TableDescription,
};
use wire::Timestamp;

use crate::Invalid;
use crate::table::{Billing, Contents, Index, KeySchema, Projected, Table};

impl Table {
    pub(crate) fn describe(&self, contents: Contents, status: &str) -> TableDescription {
        let (read, write) = match self.billing {
            Billing::PayPerRequest => (0, 0),
            Billing::Provisioned { read, write } => (read, write),
        };
        let local = self.indexes.iter().filter(|index| !index.global).map(|index| self.describe_local(index));
        let global = self.indexes.iter().filter(|index| index.global).map(|index| self.describe_global(index));
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
                last_update_to_pay_per_request_date_time: Some(Timestamp::from_millis(self.created_ms)),
            }),
            local_secondary_indexes: (!local.is_empty()).then_some(local),
            global_secondary_indexes: (!global.is_empty()).then_some(global),
            table_class_summary: self
                .class
                .clone()
                .map(|class| TableClassSummary { table_class: Some(class), ..TableClassSummary::default() }),
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

    fn describe_local(&self, index: &Index) -> LocalSecondaryIndexDescription {
        LocalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(elements(&index.key)),
            projection: Some(projection(index)),
            index_arn: Some(format!("{}/index/{}", self.arn, index.name)),
            ..LocalSecondaryIndexDescription::default()
        }
    }

    fn describe_global(&self, index: &Index) -> GlobalSecondaryIndexDescription {
        let (read, write) = index.throughput.unwrap_or((0, 0));
        GlobalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(elements(&index.key)),
            projection: Some(projection(index)),
            index_status: Some("ACTIVE".to_owned()),
            provisioned_throughput: Some(throughput(read, write)),
            index_arn: Some(format!("{}/index/{}", self.arn, index.name)),
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

fn elements(key: &KeySchema) -> Vec<KeySchemaElement> {
    let element =
        |(name, kind): (&str, &str)| KeySchemaElement { attribute_name: name.to_owned(), key_type: kind.to_owned() };
    key.names().zip(["HASH", "RANGE"]).map(element).collect()
}

fn projection(index: &Index) -> Projection {
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

pub(crate) fn key_schema(elements: &[KeySchemaElement]) -> Result<KeySchema, Invalid> {
    let invalid = |what: &str| Invalid::new(format!("Invalid KeySchema: {what}"));
    match elements {
        [] => Err(invalid("The KeySchema must not be empty")),
        [first, ..] if first.key_type != "HASH" => Err(invalid("The first KeySchemaElement is not a HASH key type")),
        [first] => Ok(KeySchema { partition: first.attribute_name.clone(), sort: None }),
        [_, second] if second.key_type != "RANGE" => {
            Err(invalid("The second KeySchemaElement is not a RANGE key type"))
        }
        [first, second] if first.attribute_name == second.attribute_name => {
            Err(Invalid::new("Both the Hash Key and the Range Key element in the KeySchema have the same name"))
        }
        [first, second] => {
            Ok(KeySchema { partition: first.attribute_name.clone(), sort: Some(second.attribute_name.clone()) })
        }
        _ => Err(invalid("Too many KeySchemaElements; expected one or two")),
    }
}

pub(crate) fn projected(projection: Projection) -> Result<Projected, Invalid> {
    let invalid = |what: String| Invalid::new(format!("One or more parameter values were invalid: {what}"));
    match (projection.projection_type.as_deref(), projection.non_key_attributes) {
        (Some("INCLUDE"), Some(names)) if !names.is_empty() => Ok(Projected::Include(names)),
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

pub(crate) fn billing(mode: Option<&str>, throughput: Option<ProvisionedThroughput>) -> Result<Billing, Invalid> {
    match (mode, throughput) {
        (Some("PAY_PER_REQUEST"), None) => Ok(Billing::PayPerRequest),
        (Some("PAY_PER_REQUEST"), Some(_)) => Err(Invalid::new(
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be \
             specified when BillingMode is PAY_PER_REQUEST",
        )),
        (_, Some(units)) if units.read_capacity_units > 0 && units.write_capacity_units > 0 => {
            Ok(Billing::Provisioned { read: units.read_capacity_units, write: units.write_capacity_units })
        }
        _ => Err(Invalid::new(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified \
             when BillingMode is PROVISIONED",
        )),
    }
}
