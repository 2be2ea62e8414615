//! A table's metadata file: schemas, partition specs, snapshots, references.
//! <https://iceberg.apache.org/spec/#table-metadata-and-snapshots>. Members that are not known here are kept as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::transform::Transform;
use super::types::{Field, Nested, Schema, Type};
use crate::error::{Error, Result};

pub(crate) const MAIN: &str = "main";
/// Numbers of partition fields begin behind it.
const LAST_UNASSIGNED_PARTITION_ID: i32 = 999;

#[derive(Debug, Clone, Serialize, Deserialize)]
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
    pub(crate) sort_orders: Vec<Value>,
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
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

fn unassigned() -> i32 {
    LAST_UNASSIGNED_PARTITION_ID
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PartitionSpec {
    pub(crate) spec_id: i32,
    pub(crate) fields: Vec<PartitionField>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PartitionField {
    pub(crate) source_id: i32,
    #[serde(default)]
    pub(crate) field_id: i32,
    pub(crate) transform: Transform,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Snapshot {
    #[serde(default)]
    pub(crate) sequence_number: i64,
    #[serde(rename = "snapshot-id")]
    pub(crate) id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent_snapshot_id: Option<i64>,
    pub(crate) timestamp_ms: i64,
    #[serde(default)]
    pub(crate) summary: BTreeMap<String, String>,
    /// Empty where a table of version 1 lists its manifests in the metadata itself.
    #[serde(default)]
    pub(crate) manifest_list: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema_id: Option<i32>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Reference {
    pub(crate) snapshot_id: i64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min_snapshots_to_keep: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_snapshot_age_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_ref_age_ms: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SnapshotLog {
    pub(crate) timestamp_ms: i64,
    pub(crate) snapshot_id: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MetadataLog {
    pub(crate) timestamp_ms: i64,
    #[serde(rename = "metadata-file")]
    pub(crate) file: String,
}

/// What is wrong with a table's own files.
pub(crate) fn broken(error: impl std::fmt::Display) -> Error {
    Error::user(233, "ICEBERG_INVALID_METADATA", error)
}

impl TableMetadata {
    pub(crate) fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        let mut found: Self =
            serde_json::from_slice(bytes).map_err(|error| broken(format_args!("{place}: {error}")))?;
        if !(1..=3).contains(&found.format_version) {
            return Err(Error::not_supported(format_args!("Iceberg's format version {}", found.format_version)));
        }
        found.upgrade(place)?;
        if found.schemas.iter().all(|schema| schema.id != found.current_schema_id) {
            return Err(broken(format_args!("{place}: schema {} does not exist", found.current_schema_id)));
        }
        if found.partition_specs.iter().all(|spec| spec.spec_id != found.default_spec_id) {
            return Err(broken(format_args!("{place}: partition spec {} does not exist", found.default_spec_id)));
        }
        Ok(found)
    }

    /// Version 1 may say in one member what later ones say in lists.
    fn upgrade(&mut self, place: &str) -> Result<()> {
        let wrong = |error| broken(format_args!("{place}: {error}"));
        if self.schemas.is_empty()
            && let Some(schema) = self.other.get("schema").cloned()
        {
            let schema: Schema = serde_json::from_value(schema).map_err(wrong)?;
            self.current_schema_id = schema.id;
            self.schemas.push(schema);
        }
        if self.partition_specs.is_empty() {
            let fields = match self.other.get("partition-spec").cloned() {
                Some(fields) => serde_json::from_value(fields).map_err(wrong)?,
                None => Vec::new(),
            };
            self.partition_specs.push(PartitionSpec { spec_id: self.default_spec_id, fields });
        }
        for spec in &mut self.partition_specs {
            for (at, field) in spec.fields.iter_mut().enumerate() {
                if field.field_id == 0 {
                    field.field_id = LAST_UNASSIGNED_PARTITION_ID + 1 + i32::try_from(at).map_err(Error::internal)?;
                }
            }
        }
        if self.current_snapshot_id == Some(-1) {
            self.current_snapshot_id = None;
        }
        if let Some(id) = self.current_snapshot_id {
            self.refs.entry(MAIN.to_owned()).or_insert_with(|| Reference::branch(id));
        }
        Ok(())
    }

    /// A table that is new. Fields get their final numbers: those of the columns first, then those inside of them.
    pub(crate) fn new(
        uuid: String,
        location: &str,
        fields: Vec<Field>,
        partitioning: &[String],
        properties: BTreeMap<String, String>,
        now_ms: i64,
    ) -> Result<Self> {
        let schema = Schema::new(0, fields);
        let last_column_id = schema.fields.iter().map(highest).max().unwrap_or(0);
        let mut metadata = Self {
            format_version: 2,
            table_uuid: uuid,
            location: location.to_owned(),
            last_sequence_number: 0,
            last_updated_ms: now_ms,
            last_column_id,
            current_schema_id: 0,
            schemas: vec![schema],
            default_spec_id: 0,
            partition_specs: Vec::new(),
            last_partition_id: LAST_UNASSIGNED_PARTITION_ID,
            default_sort_order_id: 0,
            sort_orders: vec![json!({ "order-id": 0, "fields": [] })],
            properties,
            current_snapshot_id: None,
            refs: BTreeMap::new(),
            snapshots: Vec::new(),
            snapshot_log: Vec::new(),
            metadata_log: Vec::new(),
            other: Map::new(),
        };
        let mut spec = PartitionSpec { spec_id: 0, fields: Vec::new() };
        for text in partitioning {
            let (source, transform, name) = super::transform::declared(text, metadata.schema())?;
            if spec.fields.iter().any(|field| field.name == name) {
                return Err(Error::user(
                    1006,
                    "INVALID_TABLE_PROPERTY",
                    format_args!("Cannot use partition name more than once: {name}"),
                ));
            }
            metadata.last_partition_id += 1;
            spec.fields.push(PartitionField {
                source_id: source,
                field_id: metadata.last_partition_id,
                transform,
                name,
            });
        }
        metadata.partition_specs.push(spec);
        Ok(metadata)
    }

    pub(crate) fn schema(&self) -> &Schema {
        self.schema_by_id(self.current_schema_id).unwrap_or(&self.schemas[0])
    }

    pub(crate) fn schema_by_id(&self, id: i32) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.id == id)
    }

    pub(crate) fn spec(&self) -> &PartitionSpec {
        self.spec_by_id(self.default_spec_id).unwrap_or(&self.partition_specs[0])
    }

    pub(crate) fn spec_by_id(&self, id: i32) -> Option<&PartitionSpec> {
        self.partition_specs.iter().find(|spec| spec.spec_id == id)
    }

    pub(crate) fn snapshot(&self, id: i64) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.id == id)
    }

    pub(crate) fn current_snapshot(&self) -> Option<&Snapshot> {
        self.snapshot(self.current_snapshot_id?)
    }

    /// A snapshot and those before it, the newest first.
    pub(crate) fn line(&self, from: Option<i64>) -> Vec<i64> {
        let mut line = Vec::new();
        let mut at = from;
        while let Some(id) = at
            && !line.contains(&id)
        {
            line.push(id);
            at = self.snapshot(id).and_then(|snapshot| snapshot.parent_snapshot_id);
        }
        line
    }

    /// The schema that a snapshot was written with.
    pub(crate) fn schema_of(&self, snapshot: &Snapshot) -> &Schema {
        snapshot.schema_id.and_then(|id| self.schema_by_id(id)).unwrap_or_else(|| self.schema())
    }

    /// Makes a snapshot the current one of `main`.
    pub(crate) fn put_snapshot(&mut self, snapshot: Snapshot) {
        let id = snapshot.id;
        self.last_sequence_number = self.last_sequence_number.max(snapshot.sequence_number);
        self.last_updated_ms = snapshot.timestamp_ms;
        self.current_snapshot_id = Some(id);
        self.snapshot_log.push(SnapshotLog { timestamp_ms: snapshot.timestamp_ms, snapshot_id: id });
        self.refs
            .entry(MAIN.to_owned())
            .and_modify(|main| main.snapshot_id = id)
            .or_insert_with(|| Reference::branch(id));
        self.snapshots.push(snapshot);
    }

    /// Makes these columns the current ones; a schema that has been there before is taken again.
    pub(crate) fn put_schema(&mut self, fields: Vec<Field>) {
        self.last_column_id = fields.iter().map(highest).max().unwrap_or(0).max(self.last_column_id);
        let mut schema = Schema::new(0, fields);
        schema.identifier_field_ids.clone_from(&self.schema().identifier_field_ids);
        let is_same = |known: &&Schema| {
            known.fields == schema.fields && known.identifier_field_ids == schema.identifier_field_ids
        };
        if let Some(same) = self.schemas.iter().find(is_same) {
            self.current_schema_id = same.id;
            return;
        }
        schema.id = self.schemas.iter().map(|schema| schema.id).max().unwrap_or(-1) + 1;
        self.current_schema_id = schema.id;
        self.schemas.push(schema);
    }

    /// Where files of metadata go. Source: Iceberg's `TableProperties`, `write.metadata.path`.
    pub(crate) fn metadata_folder(&self) -> String {
        match self.properties.get("write.metadata.path") {
            Some(path) => path.trim_end_matches('/').to_owned(),
            None => format!("{}/metadata", self.location.trim_end_matches('/')),
        }
    }

    /// Whether files of metadata are packed. Source: Iceberg's `TableProperties`, `write.metadata.compression-codec`.
    pub(crate) fn is_packed(&self) -> Result<bool> {
        let codec = self.properties.get("write.metadata.compression-codec").map(|codec| codec.to_lowercase());
        match codec.as_deref() {
            None | Some("none") => Ok(false),
            Some("gzip") => Ok(true),
            Some(other) => Err(Error::not_supported(format_args!("Invalid write.metadata.compression-codec: {other}"))),
        }
    }

    /// Forgets snapshots. What is left of the log begins behind the last that is forgotten.
    pub(crate) fn remove_snapshots(&mut self, ids: &[i64]) {
        self.snapshots.retain(|snapshot| !ids.contains(&snapshot.id));
        let keep = self.snapshot_log.iter().rposition(|entry| ids.contains(&entry.snapshot_id)).map_or(0, |at| at + 1);
        self.snapshot_log.drain(..keep);
        self.refs.retain(|_, reference| !ids.contains(&reference.snapshot_id));
        // Statistics are of a snapshot.
        for name in ["statistics", "partition-statistics"] {
            if let Some(Value::Array(all)) = self.other.get_mut(name) {
                all.retain(|one| one["snapshot-id"].as_i64().is_none_or(|id| !ids.contains(&id)));
            }
        }
    }
}

impl Reference {
    fn branch(snapshot_id: i64) -> Self {
        Self {
            snapshot_id,
            kind: "branch".to_owned(),
            min_snapshots_to_keep: None,
            max_snapshot_age_ms: None,
            max_ref_age_ms: None,
        }
    }
}

/// The highest number in a column.
fn highest(field: &Field) -> i32 {
    fn of(ty: &Type) -> i32 {
        match ty {
            Type::Primitive(_) => 0,
            Type::Nested(Nested::Struct { fields }) => fields.iter().map(highest).max().unwrap_or(0),
            Type::Nested(Nested::List { element_id, element, .. }) => (*element_id).max(of(element)),
            Type::Nested(Nested::Map { key_id, key, value_id, value, .. }) => {
                (*key_id).max(*value_id).max(of(key)).max(of(value))
            }
        }
    }
    field.id.max(of(&field.ty))
}
