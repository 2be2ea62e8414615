//! A table that is new: what it is made of, as changes of nothing.

use std::collections::BTreeMap;

use wire::Error;

use super::bad;
use super::metadata::{PartitionSpec, SortOrder};
use super::schema::Schema;
use super::update::{Builder, Update};

/// Properties that are no properties of the table, but say how it is made. Source: Iceberg's `TableProperties.RESERVED_PROPERTIES`.
const FORMAT_VERSION: &str = "format-version";
const RESERVED: [&str; 7] = [
    "uuid",
    "snapshot-count",
    "current-snapshot-summary",
    "current-snapshot-id",
    "current-snapshot-timestamp-ms",
    "current-schema",
    "default-partition-spec",
];

#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) uuid: String,
    pub(crate) location: String,
    /// Its columns get numbers from 1 on; what names them by their numbers follows.
    pub(crate) schema: Schema,
    pub(crate) spec: Option<PartitionSpec>,
    pub(crate) order: Option<SortOrder>,
    /// The format version, where the properties name none.
    pub(crate) version: u8,
    pub(crate) properties: BTreeMap<String, String>,
}

impl Creation {
    pub(crate) fn builder(mut self) -> Result<Builder, Error> {
        if let Some(reserved) = RESERVED.iter().find(|name| self.properties.contains_key(**name)) {
            return Err(bad(format_args!(
                "Table properties should not contain reserved properties, but got {reserved}"
            )));
        }
        let version = match self.properties.remove(FORMAT_VERSION) {
            Some(text) => text.parse().map_err(|_| bad(format_args!("Invalid format-version: {text}")))?,
            None => self.version,
        };
        self.schema.check(version)?;
        let (schema, became) = self.schema.renumbered();
        let fresh =
            |id: i32| became.get(&id).copied().ok_or_else(|| bad(format_args!("Cannot find source column: {id}")));
        let mut spec = self.spec.unwrap_or(PartitionSpec { spec_id: 0, fields: Vec::new() });
        for field in &mut spec.fields {
            field.source_id = fresh(field.source_id)?;
            field.field_id = 0;
        }
        let mut order = self.order.unwrap_or(SortOrder { order_id: 0, fields: Vec::new() });
        for field in &mut order.fields {
            field.source_id = fresh(field.source_id)?;
        }
        Builder::new().apply(vec![
            Update::AssignUuid { uuid: self.uuid },
            Update::UpgradeFormatVersion { format_version: version },
            Update::SetLocation { location: self.location },
            Update::AddSchema { schema },
            Update::SetCurrentSchema { schema_id: -1 },
            Update::AddSpec { spec },
            Update::SetDefaultSpec { spec_id: -1 },
            Update::AddSortOrder { sort_order: order },
            Update::SetDefaultSortOrder { sort_order_id: -1 },
            Update::SetProperties { updates: self.properties },
        ])
    }
}
