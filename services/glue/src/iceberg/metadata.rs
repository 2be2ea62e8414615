//! A table's metadata file (<https://iceberg.apache.org/spec/#table-metadata-fields>). Members that are not known here stay as they are.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wire::Error;

use super::bad;
use super::schema::Schema;

pub(crate) const MAIN: &str = "main";
/// Numbers of partition fields begin behind it.
pub(crate) const LAST_UNASSIGNED_PARTITION_ID: i32 = 999;
/// The newest format version that is written.
pub(crate) const NEWEST_VERSION: u8 = 3;
/// Metadata files larger than this are not unpacked.
const MAX_UNPACKED: u64 = 1 << 30;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TableMetadata {
    pub(crate) format_version: u8,
    #[serde(default)]
    pub(crate) table_uuid: String,
    pub(crate) location: String,
    #[serde(default)]
    pub(crate) last_sequence_number: i64,
    pub(crate) last_updated_ms: i64,
    pub(crate) last_column_id: i32,
    #[serde(default)]
    pub(crate) current_schema_id: i32,
    #[serde(default)]
    pub(crate) schemas: Vec<Schema>,
    #[serde(default)]
    pub(crate) default_spec_id: i32,
    #[serde(default)]
    pub(crate) partition_specs: Vec<PartitionSpec>,
    #[serde(default = "unassigned")]
    pub(crate) last_partition_id: i32,
    #[serde(default)]
    pub(crate) default_sort_order_id: i32,
    #[serde(default)]
    pub(crate) sort_orders: Vec<SortOrder>,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current_snapshot_id: Option<i64>,
    #[serde(default)]
    pub(crate) refs: BTreeMap<String, Reference>,
    #[serde(default)]
    pub(crate) snapshots: Vec<Snapshot>,
    #[serde(default)]
    pub(crate) snapshot_log: Vec<SnapshotLog>,
    #[serde(default)]
    pub(crate) metadata_log: Vec<MetadataLog>,
    #[serde(default)]
    pub(crate) statistics: Vec<Value>,
    #[serde(default)]
    pub(crate) partition_statistics: Vec<Value>,
    /// Of format version 3: the first number that no row has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_row_id: Option<i64>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

fn unassigned() -> i32 {
    LAST_UNASSIGNED_PARTITION_ID
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PartitionSpec {
    #[serde(default)]
    pub(crate) spec_id: i32,
    pub(crate) fields: Vec<PartitionField>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PartitionField {
    pub(crate) source_id: i32,
    /// 0: it gets a number.
    #[serde(default)]
    pub(crate) field_id: i32,
    pub(crate) transform: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SortOrder {
    #[serde(default)]
    pub(crate) order_id: i32,
    pub(crate) fields: Vec<SortField>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SortField {
    pub(crate) transform: String,
    pub(crate) source_id: i32,
    pub(crate) direction: Direction,
    pub(crate) null_order: NullOrder,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Asc,
    Desc,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NullOrder {
    NullsFirst,
    NullsLast,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Snapshot {
    #[serde(rename = "snapshot-id")]
    pub(crate) id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent_snapshot_id: Option<i64>,
    #[serde(default)]
    pub(crate) sequence_number: i64,
    pub(crate) timestamp_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest_list: Option<String>,
    #[serde(default)]
    pub(crate) summary: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema_id: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_row_id: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) added_rows: Option<i64>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Reference {
    pub(crate) snapshot_id: i64,
    #[serde(rename = "type")]
    pub(crate) kind: ReferenceKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min_snapshots_to_keep: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_snapshot_age_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_ref_age_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReferenceKind {
    Branch,
    Tag,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SnapshotLog {
    pub(crate) timestamp_ms: i64,
    pub(crate) snapshot_id: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MetadataLog {
    pub(crate) timestamp_ms: i64,
    pub(crate) metadata_file: String,
}

impl TableMetadata {
    /// Out of a metadata file, which may be packed.
    pub(crate) fn parse(bytes: &[u8], place: &str) -> Result<Self, Error> {
        let wrong = |error: &dyn std::fmt::Display| bad(format_args!("{place} is no table metadata: {error}"));
        let mut plain = Vec::new();
        let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
            let unpacked = flate2::read::GzDecoder::new(bytes).take(MAX_UNPACKED).read_to_end(&mut plain);
            unpacked.map_err(|error| wrong(&error))?;
            plain.as_slice()
        } else {
            bytes
        };
        let mut found: Self = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        if !(1..=NEWEST_VERSION).contains(&found.format_version) {
            return Err(wrong(&format_args!("format version {} is not supported", found.format_version)));
        }
        found.upgrade().map_err(|error| wrong(&error))?;
        if found.schema().is_none() {
            return Err(wrong(&format_args!("schema {} does not exist", found.current_schema_id)));
        }
        if found.spec().is_none() {
            return Err(wrong(&format_args!("partition spec {} does not exist", found.default_spec_id)));
        }
        Ok(found)
    }

    /// Version 1 may say in one member what later ones say in lists.
    fn upgrade(&mut self) -> Result<(), serde_json::Error> {
        if self.schemas.is_empty()
            && let Some(schema) = self.other.get("schema").cloned()
        {
            let schema: Schema = serde_json::from_value(schema)?;
            self.current_schema_id = schema.id;
            self.schemas.push(schema);
        }
        if self.partition_specs.is_empty() {
            let fields = self.other.get("partition-spec").cloned().unwrap_or_else(|| json!([]));
            self.partition_specs
                .push(PartitionSpec { spec_id: self.default_spec_id, fields: serde_json::from_value(fields)? });
        }
        for spec in &mut self.partition_specs {
            for (number, field) in (LAST_UNASSIGNED_PARTITION_ID + 1..).zip(&mut spec.fields) {
                if field.field_id == 0 {
                    field.field_id = number;
                }
            }
        }
        if self.sort_orders.is_empty() {
            self.sort_orders.push(SortOrder { order_id: 0, fields: Vec::new() });
        }
        self.current_snapshot_id = self.current_snapshot_id.filter(|id| *id != -1);
        if let Some(id) = self.current_snapshot_id {
            self.refs.entry(MAIN.to_owned()).or_insert_with(|| Reference::branch(id));
        }
        Ok(())
    }

    /// As files and answers hold it. Version 1 has members of its own, and lacks others.
    pub(crate) fn to_json(&self) -> Result<Value, Error> {
        let mut value = serde_json::to_value(self).map_err(Error::internal)?;
        let Some(members) = value.as_object_mut() else { return Err(Error::internal("metadata is an object")) };
        if self.format_version == 1 {
            members.remove("last-sequence-number");
            members.insert("schema".to_owned(), serde_json::to_value(self.schema()).map_err(Error::internal)?);
            let fields = self.spec().map(|spec| &spec.fields);
            members.insert("partition-spec".to_owned(), serde_json::to_value(fields).map_err(Error::internal)?);
        } else {
            members.remove("schema");
            members.remove("partition-spec");
        }
        Ok(value)
    }

    pub(crate) fn schema(&self) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.id == self.current_schema_id)
    }

    pub(crate) fn spec(&self) -> Option<&PartitionSpec> {
        self.partition_specs.iter().find(|spec| spec.spec_id == self.default_spec_id)
    }

    pub(crate) fn snapshot(&self, id: i64) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.id == id)
    }
}

impl Reference {
    fn branch(snapshot_id: i64) -> Self {
        Self {
            snapshot_id,
            kind: ReferenceKind::Branch,
            min_snapshots_to_keep: None,
            max_snapshot_age_ms: None,
            max_ref_age_ms: None,
        }
    }
}
