//! Changes of metadata (`TableUpdate` of the REST specification), applied one after the other to what is there or to nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use wire::Error;

use super::bad;
use super::metadata::{
    LAST_UNASSIGNED_PARTITION_ID, MAIN, MetadataLog, NEWEST_VERSION, PartitionSpec, Reference, ReferenceKind, Snapshot,
    SnapshotLog, SortOrder, TableMetadata,
};
use super::schema::{Primitive, Schema};

/// The format version of a table for which none is asked, as Iceberg's own catalogs have it.
pub(crate) const USUAL_VERSION: u8 = 2;
/// The number that stands for what the same request has added last.
const LAST_ADDED: i32 = -1;
/// How far a writer's clock may be behind what the table has seen. Source: Iceberg's `TableMetadata`.
const CLOCKS_APART_MS: i64 = 60_000;
/// Metadata files that the log names.
const PREVIOUS_VERSIONS: usize = 100;

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(crate) enum Update {
    AssignUuid {
        uuid: String,
    },
    UpgradeFormatVersion {
        format_version: u8,
    },
    AddSchema {
        schema: Schema,
    },
    SetCurrentSchema {
        schema_id: i32,
    },
    AddSpec {
        spec: PartitionSpec,
    },
    SetDefaultSpec {
        spec_id: i32,
    },
    RemovePartitionSpecs {
        spec_ids: Vec<i32>,
    },
    RemoveSchemas {
        schema_ids: Vec<i32>,
    },
    AddSortOrder {
        sort_order: SortOrder,
    },
    SetDefaultSortOrder {
        sort_order_id: i32,
    },
    AddSnapshot {
        snapshot: Snapshot,
    },
    SetSnapshotRef {
        ref_name: String,
        #[serde(flatten)]
        reference: Reference,
    },
    RemoveSnapshots {
        snapshot_ids: BTreeSet<i64>,
    },
    RemoveSnapshotRef {
        ref_name: String,
    },
    SetLocation {
        location: String,
    },
    SetProperties {
        #[serde(alias = "updated")]
        updates: BTreeMap<String, String>,
    },
    RemoveProperties {
        #[serde(alias = "removed")]
        removals: Vec<String>,
    },
    SetStatistics {
        statistics: Value,
    },
    RemoveStatistics {
        snapshot_id: i64,
    },
    SetPartitionStatistics {
        partition_statistics: Value,
    },
    RemovePartitionStatistics {
        snapshot_id: i64,
    },
}

/// Metadata that is being changed.
#[derive(Debug)]
pub(crate) struct Builder {
    now: TableMetadata,
    is_new: bool,
    added_schema: Option<i32>,
    added_spec: Option<i32>,
    added_order: Option<i32>,
    /// Snapshots that this change adds.
    added_snapshots: BTreeSet<i64>,
    /// The time of what has been changed last, where a snapshot says it.
    updated_ms: Option<i64>,
    main_was: Option<i64>,
}

impl Builder {
    pub(crate) fn on(base: &TableMetadata) -> Self {
        Self::with(base.clone(), false)
    }

    /// On no table at all.
    pub(crate) fn new() -> Self {
        let empty = TableMetadata {
            format_version: USUAL_VERSION,
            table_uuid: String::new(),
            location: String::new(),
            last_sequence_number: 0,
            last_updated_ms: 0,
            last_column_id: 0,
            current_schema_id: -1,
            schemas: Vec::new(),
            default_spec_id: -1,
            partition_specs: Vec::new(),
            last_partition_id: LAST_UNASSIGNED_PARTITION_ID,
            default_sort_order_id: -1,
            sort_orders: Vec::new(),
            properties: BTreeMap::new(),
            current_snapshot_id: None,
            refs: BTreeMap::new(),
            snapshots: Vec::new(),
            snapshot_log: Vec::new(),
            metadata_log: Vec::new(),
            statistics: Vec::new(),
            partition_statistics: Vec::new(),
            next_row_id: None,
            other: Map::new(),
        };
        Self::with(empty, true)
    }

    fn with(now: TableMetadata, is_new: bool) -> Self {
        let main_was = now.current_snapshot_id;
        Self {
            now,
            is_new,
            added_schema: None,
            added_spec: None,
            added_order: None,
            added_snapshots: BTreeSet::new(),
            updated_ms: None,
            main_was,
        }
    }

    pub(crate) fn apply(mut self, updates: Vec<Update>) -> Result<Self, Error> {
        for update in updates {
            self.update(update)?;
        }
        Ok(self)
    }

    fn update(&mut self, update: Update) -> Result<(), Error> {
        match update {
            Update::AssignUuid { uuid } => self.assign_uuid(uuid),
            Update::UpgradeFormatVersion { format_version } => self.upgrade(format_version),
            Update::AddSchema { schema } => self.add_schema(schema),
            Update::SetCurrentSchema { schema_id } => self.set_current_schema(schema_id),
            Update::AddSpec { spec } => self.add_spec(spec),
            Update::SetDefaultSpec { spec_id } => self.set_default_spec(spec_id),
            Update::RemovePartitionSpecs { spec_ids } => self.remove_specs(&spec_ids),
            Update::RemoveSchemas { schema_ids } => self.remove_schemas(&schema_ids),
            Update::AddSortOrder { sort_order } => self.add_sort_order(sort_order),
            Update::SetDefaultSortOrder { sort_order_id } => self.set_default_sort_order(sort_order_id),
            Update::AddSnapshot { snapshot } => self.add_snapshot(snapshot),
            Update::SetSnapshotRef { ref_name, reference } => self.set_reference(ref_name, reference),
            Update::RemoveSnapshots { snapshot_ids } => {
                self.remove_snapshots(&snapshot_ids);
                Ok(())
            }
            Update::RemoveSnapshotRef { ref_name } => {
                self.remove_reference(&ref_name);
                Ok(())
            }
            Update::SetLocation { location } => {
                self.now.location = super::files::checked(&location)?;
                Ok(())
            }
            Update::SetProperties { updates } => {
                self.now.properties.extend(updates);
                Ok(())
            }
            Update::RemoveProperties { removals } => {
                self.now.properties.retain(|key, _| !removals.contains(key));
                Ok(())
            }
            Update::SetStatistics { statistics } => put(&mut self.now.statistics, statistics),
            Update::RemoveStatistics { snapshot_id } => {
                self.now.statistics.retain(|one| one["snapshot-id"] != snapshot_id);
                Ok(())
            }
            Update::SetPartitionStatistics { partition_statistics } => {
                put(&mut self.now.partition_statistics, partition_statistics)
            }
            Update::RemovePartitionStatistics { snapshot_id } => {
                self.now.partition_statistics.retain(|one| one["snapshot-id"] != snapshot_id);
                Ok(())
            }
        }
    }

    fn assign_uuid(&mut self, uuid: String) -> Result<(), Error> {
        if uuid::Uuid::parse_str(&uuid).is_err() {
            return Err(bad(format_args!("Invalid UUID: {uuid}")));
        }
        if !self.is_new && !uuid.eq_ignore_ascii_case(&self.now.table_uuid) {
            return Err(bad(format_args!("Cannot reassign uuid: {}", self.now.table_uuid)));
        }
        self.now.table_uuid = uuid;
        Ok(())
    }

    fn upgrade(&mut self, version: u8) -> Result<(), Error> {
        if !(1..=NEWEST_VERSION).contains(&version) {
            return Err(bad(format_args!(
                "Cannot upgrade table to unsupported format version: v{version} (supported: v{NEWEST_VERSION})"
            )));
        }
        // What is new has the version that is asked for.
        if !self.is_new && version < self.now.format_version {
            return Err(bad(format_args!("Cannot downgrade v{} table to v{version}", self.now.format_version)));
        }
        self.now.format_version = version;
        if version >= 3 {
            self.now.next_row_id.get_or_insert(0);
        }
        Ok(())
    }

    fn add_schema(&mut self, mut schema: Schema) -> Result<(), Error> {
        schema.check(self.now.format_version)?;
        self.now.last_column_id = self.now.last_column_id.max(schema.highest());
        let known = self.now.schemas.iter().find(|known| known.is_like(&schema)).map(|known| known.id);
        let id = known.unwrap_or_else(|| self.now.schemas.iter().map(|known| known.id + 1).max().unwrap_or(0));
        if known.is_none() {
            schema.id = id;
            self.now.schemas.push(schema);
        }
        self.added_schema = Some(id);
        Ok(())
    }

    fn set_current_schema(&mut self, id: i32) -> Result<(), Error> {
        let id = last(id, self.added_schema, "schema")?;
        if !self.now.schemas.iter().any(|schema| schema.id == id) {
            return Err(bad(format_args!("Cannot set current schema to unknown schema: {id}")));
        }
        self.now.current_schema_id = id;
        Ok(())
    }

    fn schema(&self) -> Result<&Schema, Error> {
        self.now.schema().ok_or_else(|| bad("The table has no current schema yet"))
    }

    fn add_spec(&mut self, mut spec: PartitionSpec) -> Result<(), Error> {
        check_spec(&spec, self.schema()?)?;
        self.number(&mut spec);
        let same = |known: &&PartitionSpec| {
            known.fields.len() == spec.fields.len()
                && known
                    .fields
                    .iter()
                    .zip(&spec.fields)
                    .all(|(a, b)| (a.source_id, &a.transform, &a.name) == (b.source_id, &b.transform, &b.name))
        };
        let known = self.now.partition_specs.iter().find(same).map(|known| known.spec_id);
        let id =
            known.unwrap_or_else(|| self.now.partition_specs.iter().map(|known| known.spec_id + 1).max().unwrap_or(0));
        if known.is_none() {
            spec.spec_id = id;
            let numbers = spec.fields.iter().map(|field| field.field_id);
            self.now.last_partition_id = numbers.max().unwrap_or(0).max(self.now.last_partition_id);
            if self.now.format_version == 1
                && spec.fields.iter().zip(LAST_UNASSIGNED_PARTITION_ID + 1..).any(|(field, id)| field.field_id != id)
            {
                return Err(bad("Spec does not use sequential IDs that are required in v1"));
            }
            self.now.partition_specs.push(spec);
        }
        self.added_spec = Some(id);
        Ok(())
    }

    /// A field that had a number in an earlier spec has it again; others get the next.
    fn number(&self, spec: &mut PartitionSpec) {
        let mut last = self.now.last_partition_id;
        for field in spec.fields.iter_mut().filter(|field| field.field_id == 0) {
            let earlier = self.now.partition_specs.iter().flat_map(|spec| &spec.fields);
            let known = earlier
                .into_iter()
                .find(|known| (known.source_id, &known.transform) == (field.source_id, &field.transform));
            field.field_id = known.map_or_else(
                || {
                    last += 1;
                    last
                },
                |known| known.field_id,
            );
        }
    }

    fn set_default_spec(&mut self, id: i32) -> Result<(), Error> {
        let id = last(id, self.added_spec, "partition spec")?;
        let spec = self.now.partition_specs.iter().find(|spec| spec.spec_id == id);
        let spec = spec.ok_or_else(|| bad(format_args!("Cannot set default spec to unknown spec: {id}")))?;
        check_spec(spec, self.schema()?)?;
        self.now.default_spec_id = id;
        Ok(())
    }

    fn remove_specs(&mut self, ids: &[i32]) -> Result<(), Error> {
        if ids.contains(&self.now.default_spec_id) {
            return Err(bad("Cannot remove the default partition spec"));
        }
        self.now.partition_specs.retain(|spec| !ids.contains(&spec.spec_id));
        Ok(())
    }

    fn remove_schemas(&mut self, ids: &[i32]) -> Result<(), Error> {
        if ids.contains(&self.now.current_schema_id) {
            return Err(bad("Cannot remove the current schema"));
        }
        self.now.schemas.retain(|schema| !ids.contains(&schema.id));
        Ok(())
    }

    fn add_sort_order(&mut self, mut order: SortOrder) -> Result<(), Error> {
        check_order(&order, self.schema()?)?;
        let known = self.now.sort_orders.iter().find(|known| known.fields == order.fields).map(|known| known.order_id);
        let next = || self.now.sort_orders.iter().map(|known| known.order_id + 1).max().unwrap_or(1).max(1);
        // Number 0 is of the order that is none.
        let id = known.unwrap_or_else(|| if order.fields.is_empty() { 0 } else { next() });
        if known.is_none() {
            order.order_id = id;
            self.now.sort_orders.push(order);
        }
        self.added_order = Some(id);
        Ok(())
    }

    fn set_default_sort_order(&mut self, id: i32) -> Result<(), Error> {
        let id = last(id, self.added_order, "sort order")?;
        let order = self.now.sort_orders.iter().find(|order| order.order_id == id);
        let order = order.ok_or_else(|| bad(format_args!("Cannot set default sort order to unknown order: {id}")))?;
        check_order(order, self.schema()?)?;
        self.now.default_sort_order_id = id;
        Ok(())
    }

    fn add_snapshot(&mut self, snapshot: Snapshot) -> Result<(), Error> {
        let now = &mut self.now;
        if now.snapshot(snapshot.id).is_some() {
            return Err(bad(format_args!("Snapshot already exists for id: {}", snapshot.id)));
        }
        let manifests = snapshot.manifest_list.as_deref().unwrap_or_default();
        if now.format_version > 1 && manifests.is_empty() {
            return Err(bad(format_args!("Snapshot {} has no manifest-list", snapshot.id)));
        }
        if now.format_version > 1
            && snapshot.parent_snapshot_id.is_some()
            && snapshot.sequence_number <= now.last_sequence_number
        {
            return Err(bad(format_args!(
                "Cannot add snapshot with sequence number {} older than last sequence number {}",
                snapshot.sequence_number, now.last_sequence_number
            )));
        }
        let seen = now.snapshot_log.last().map_or(0, |log| log.timestamp_ms).max(now.last_updated_ms);
        if snapshot.timestamp_ms < seen - CLOCKS_APART_MS {
            return Err(bad(format_args!(
                "Invalid snapshot timestamp {}: before last updated timestamp {seen}",
                snapshot.timestamp_ms
            )));
        }
        if let Some(id) = snapshot.schema_id
            && now.schemas.iter().all(|schema| schema.id != id)
        {
            return Err(bad(format_args!("Snapshot {} has the unknown schema {id}", snapshot.id)));
        }
        if now.format_version >= 3 {
            now.next_row_id = Some(next_row(&snapshot, now.next_row_id.unwrap_or(0))?);
        }
        now.last_sequence_number = now.last_sequence_number.max(snapshot.sequence_number);
        self.updated_ms = Some(snapshot.timestamp_ms);
        self.added_snapshots.insert(snapshot.id);
        now.snapshots.push(snapshot);
        Ok(())
    }

    fn set_reference(&mut self, name: String, reference: Reference) -> Result<(), Error> {
        let id = reference.snapshot_id;
        let Some(snapshot) = self.now.snapshot(id) else {
            return Err(bad(format_args!("Cannot set {name} to unknown snapshot: {id}")));
        };
        let ages =
            [reference.max_ref_age_ms, reference.max_snapshot_age_ms, reference.min_snapshots_to_keep.map(i64::from)];
        if ages.iter().flatten().any(|age| *age <= 0) {
            return Err(bad(format_args!("What {name} keeps must be more than 0")));
        }
        if reference.kind == ReferenceKind::Tag
            && (reference.min_snapshots_to_keep.is_some() || reference.max_snapshot_age_ms.is_some())
        {
            return Err(bad(format_args!("Tags do not support setting what is kept of snapshots: {name}")));
        }
        if name == MAIN {
            if reference.kind != ReferenceKind::Branch {
                return Err(bad("Cannot set main to a tag"));
            }
            // A snapshot of before becomes the current one now; one that is added did so when it was made.
            self.updated_ms = self.added_snapshots.contains(&id).then_some(snapshot.timestamp_ms);
            self.now.last_sequence_number = self.now.last_sequence_number.max(snapshot.sequence_number);
            self.now.current_snapshot_id = Some(id);
        }
        self.now.refs.insert(name, reference);
        Ok(())
    }

    fn remove_reference(&mut self, name: &str) {
        self.now.refs.remove(name);
        if name == MAIN {
            self.now.current_snapshot_id = None;
            self.now.snapshot_log.clear();
        }
    }

    /// Snapshots go, and with them what names them.
    fn remove_snapshots(&mut self, ids: &BTreeSet<i64>) {
        let now = &mut self.now;
        now.snapshots.retain(|snapshot| !ids.contains(&snapshot.id));
        // What is left of the log begins behind the last that is gone: between the two something would be missing.
        let gone = now.snapshot_log.iter().rposition(|entry| ids.contains(&entry.snapshot_id));
        now.snapshot_log.drain(..gone.map_or(0, |at| at + 1));
        now.refs.retain(|_, reference| !ids.contains(&reference.snapshot_id));
        now.current_snapshot_id = now.current_snapshot_id.filter(|id| !ids.contains(id));
        for all in [&mut now.statistics, &mut now.partition_statistics] {
            all.retain(|one| one["snapshot-id"].as_i64().is_none_or(|id| !ids.contains(&id)));
        }
    }

    /// The metadata as it is now. `previous` is the file that it comes after; the files that its log has no place for any more are
    /// answered, too.
    pub(crate) fn finish(mut self, previous: Option<&str>, now_ms: i64) -> Result<(TableMetadata, Vec<String>), Error> {
        let before_ms = self.now.last_updated_ms;
        let now = &mut self.now;
        if self.is_new {
            let lacks = [
                ("uuid", now.table_uuid.is_empty()),
                ("location", now.location.is_empty()),
                ("current schema", now.schema().is_none()),
            ];
            if let Some((what, _)) = lacks.into_iter().find(|(_, lacks)| *lacks) {
                return Err(bad(format_args!("A new table needs a {what}")));
            }
            if now.partition_specs.is_empty() {
                now.partition_specs.push(PartitionSpec { spec_id: 0, fields: Vec::new() });
                now.default_spec_id = 0;
            }
            if now.sort_orders.is_empty() {
                now.sort_orders.push(SortOrder { order_id: 0, fields: Vec::new() });
                now.default_sort_order_id = 0;
            }
            if now.spec().is_none() {
                return Err(bad("A new table needs a default partition spec"));
            }
            now.default_sort_order_id = now.default_sort_order_id.max(0);
        }
        // Only at the end: a table that takes another's place gets its columns first, and then what it is partitioned and sorted by.
        if let Some(schema) = now.schema() {
            now.spec().map_or(Ok(()), |spec| check_spec(spec, schema))?;
            let order = now.sort_orders.iter().find(|order| order.order_id == now.default_sort_order_id);
            order.map_or(Ok(()), |order| check_order(order, schema))?;
        }
        now.last_updated_ms = self.updated_ms.unwrap_or(now_ms).max(before_ms);
        if let Some(id) = now.current_snapshot_id
            && (now.current_snapshot_id != self.main_was || self.added_snapshots.contains(&id))
        {
            now.snapshot_log.push(SnapshotLog { timestamp_ms: now.last_updated_ms, snapshot_id: id });
        }
        let mut forgotten = Vec::new();
        if let Some(previous) = previous {
            now.metadata_log.push(MetadataLog { timestamp_ms: before_ms, metadata_file: previous.to_owned() });
            let most = now.properties.get("write.metadata.previous-versions-max");
            let most = most.and_then(|text| text.parse().ok()).unwrap_or(PREVIOUS_VERSIONS).max(1);
            let excess = now.metadata_log.len().saturating_sub(most);
            forgotten.extend(now.metadata_log.drain(..excess).map(|entry| entry.metadata_file));
        }
        Ok((self.now, forgotten))
    }
}

/// The number that is meant.
fn last(id: i32, added: Option<i32>, what: &str) -> Result<i32, Error> {
    if id != LAST_ADDED {
        return Ok(id);
    }
    added.ok_or_else(|| bad(format_args!("Cannot set last added {what}: no {what} has been added")))
}

/// Rows get numbers one after the other. Source: the specification's "Row Lineage".
fn next_row(snapshot: &Snapshot, next: i64) -> Result<i64, Error> {
    let (Some(first), Some(added)) = (snapshot.first_row_id, snapshot.added_rows) else {
        return Err(bad("Cannot add a snapshot: first-row-id and added-rows are required in v3"));
    };
    if first < next || added < 0 {
        return Err(bad(format_args!(
            "Cannot add a snapshot, first-row-id is behind table next-row-id: {first} < {next}"
        )));
    }
    Ok(first.saturating_add(added))
}

/// One statistics file of a snapshot: the newest counts.
fn put(all: &mut Vec<Value>, one: Value) -> Result<(), Error> {
    let (Some(_), Some(_)) = (one["snapshot-id"].as_i64(), one["statistics-path"].as_str()) else {
        return Err(bad("Statistics need snapshot-id and statistics-path"));
    };
    all.retain(|known| known["snapshot-id"] != one["snapshot-id"]);
    all.push(one);
    Ok(())
}

/// Each field is of a column that exists, by a transform that takes its type, under a name of its own.
fn check_spec(spec: &PartitionSpec, schema: &Schema) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for field in &spec.fields {
        if field.name.is_empty() || !names.insert(&field.name) {
            return Err(bad(format_args!("Cannot use partition name more than once: {}", field.name)));
        }
        // What has been dropped is there in specs of before as `void`.
        if field.transform == "void" {
            continue;
        }
        let source = check_source(&field.transform, field.source_id, schema)?;
        let clash =
            schema.column(&field.name).filter(|column| field.transform != "identity" || column.id != field.source_id);
        if clash.is_some() {
            return Err(bad(format_args!(
                "Cannot create partition from name that exists in schema: {} ({})",
                field.name,
                source.name()
            )));
        }
    }
    Ok(())
}

fn check_order(order: &SortOrder, schema: &Schema) -> Result<(), Error> {
    order.fields.iter().try_for_each(|field| check_source(&field.transform, field.source_id, schema).map(drop))
}

fn check_source<'a>(transform: &str, source: i32, schema: &'a Schema) -> Result<&'a Primitive, Error> {
    let ty = schema.primitive(source);
    let ty = ty.ok_or_else(|| bad(format_args!("Cannot find source column for {transform}: {source}")))?;
    if takes(transform, ty.kind()) {
        return Ok(ty);
    }
    Err(bad(format_args!("Invalid source type {} for transform: {transform}", ty.name())))
}

/// Source: the specification's "Partition Transforms".
fn takes(transform: &str, ty: &str) -> bool {
    let stamps = ["timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns"];
    match (transform, width(transform)) {
        ("identity", _) => !["variant", "unknown"].contains(&ty),
        ("void", _) => true,
        ("year" | "month" | "day", _) => ty == "date" || stamps.contains(&ty),
        ("hour", _) => stamps.contains(&ty),
        (_, Some(("bucket", n))) if n > 0 => !["boolean", "float", "double", "variant", "unknown"].contains(&ty),
        (_, Some(("truncate", n))) if n > 0 => ["int", "long", "decimal", "string", "binary"].contains(&ty),
        _ => false,
    }
}

/// `bucket[16]`.
fn width(transform: &str) -> Option<(&str, u32)> {
    let (name, rest) = transform.split_once('[')?;
    Some((name, rest.strip_suffix(']')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Builder, Update};
    use crate::iceberg::metadata::TableMetadata;

    fn updates(all: Value) -> Vec<Update> {
        serde_json::from_value(all).unwrap()
    }

    fn creation() -> Value {
        json!([
            { "action": "assign-uuid", "uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1" },
            { "action": "upgrade-format-version", "format-version": 2 },
            { "action": "add-schema", "schema": { "type": "struct", "schema-id": 0, "fields": [
                { "id": 1, "name": "id", "required": true, "type": "long" },
                { "id": 2, "name": "at", "required": false, "type": "timestamp" }] }, "last-column-id": 2 },
            { "action": "set-current-schema", "schema-id": -1 },
            { "action": "add-spec", "spec": { "spec-id": 0, "fields": [
                { "source-id": 2, "field-id": 1000, "transform": "day", "name": "at_day" }] } },
            { "action": "set-default-spec", "spec-id": -1 },
            { "action": "add-sort-order", "sort-order": { "order-id": 0, "fields": [] } },
            { "action": "set-default-sort-order", "sort-order-id": -1 },
            { "action": "set-location", "location": "s3://b/t" },
            { "action": "set-properties", "updates": { "a": "b" } },
        ])
    }

    fn table() -> TableMetadata {
        Builder::new().apply(updates(creation())).unwrap().finish(None, 1_000).unwrap().0
    }

    fn snapshot(id: i64, sequence: i64, at: i64) -> Value {
        json!({ "action": "add-snapshot", "snapshot": { "snapshot-id": id, "sequence-number": sequence, "timestamp-ms": at,
            "manifest-list": "s3://b/t/metadata/snap.avro", "summary": { "operation": "append" }, "schema-id": 0 } })
    }

    fn main(id: i64) -> Value {
        json!({ "action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id })
    }

    #[test]
    fn a_table_is_made_of_updates_alone() {
        let table = table();
        assert_eq!((table.format_version, table.last_column_id, table.last_partition_id), (2, 2, 1000));
        assert_eq!((table.current_schema_id, table.default_spec_id, table.default_sort_order_id), (0, 0, 0));
        assert_eq!(table.last_updated_ms, 1_000);
        let text = serde_json::to_vec(&table.to_json().unwrap()).unwrap();
        let again = TableMetadata::parse(&text, "s3://b/t/metadata/0.json").unwrap();
        assert_eq!(again.to_json().unwrap(), table.to_json().unwrap());
    }

    #[test]
    fn snapshots_come_and_go_with_their_log() {
        let first = Builder::on(&table()).apply(updates(json!([snapshot(7, 1, 2_000), main(7)]))).unwrap();
        let (first, _) = first.finish(Some("s3://b/t/metadata/0.json"), 9_000).unwrap();
        assert_eq!((first.current_snapshot_id, first.last_sequence_number, first.last_updated_ms), (Some(7), 1, 2_000));
        let (second, _) = Builder::on(&first)
            .apply(updates(json!([snapshot(8, 2, 3_000), main(8)])))
            .unwrap()
            .finish(Some("s3://b/t/metadata/1.json"), 9_000)
            .unwrap();
        let log: Vec<_> = second.snapshot_log.iter().map(|entry| (entry.snapshot_id, entry.timestamp_ms)).collect();
        assert_eq!(log, [(7, 2_000), (8, 3_000)]);
        // Back to the first: that is a change of now.
        let (back, _) = Builder::on(&second).apply(updates(json!([main(7)]))).unwrap().finish(None, 9_000).unwrap();
        assert_eq!(back.snapshot_log.last().map(|entry| (entry.snapshot_id, entry.timestamp_ms)), Some((7, 9_000)));
        let removal = updates(json!([{ "action": "remove-snapshots", "snapshot-ids": [7] }]));
        let (rest, _) = Builder::on(&second).apply(removal).unwrap().finish(None, 9_000).unwrap();
        assert_eq!(rest.snapshot_log.iter().map(|entry| entry.snapshot_id).collect::<Vec<_>>(), [8]);
        assert_eq!(rest.snapshots.len(), 1);
    }

    #[test]
    fn the_log_of_metadata_has_a_length() {
        let set = updates(
            json!([{ "action": "set-properties", "updates": { "write.metadata.previous-versions-max": "1" } }]),
        );
        let (one, none) = Builder::on(&table()).apply(set).unwrap().finish(Some("a"), 2_000).unwrap();
        let (two, gone) = Builder::on(&one).finish(Some("b"), 3_000).unwrap();
        assert_eq!((none.len(), gone, two.metadata_log.len()), (0, vec!["a".to_owned()], 1));
        assert_eq!((two.metadata_log[0].metadata_file.as_str(), two.metadata_log[0].timestamp_ms), ("b", 2_000));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (update, says) in [
            (json!({ "action": "assign-uuid", "uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c2" }), "reassign"),
            (json!({ "action": "upgrade-format-version", "format-version": 1 }), "downgrade"),
            (json!({ "action": "upgrade-format-version", "format-version": 4 }), "unsupported"),
            (json!({ "action": "set-current-schema", "schema-id": 5 }), "unknown schema"),
            (json!({ "action": "set-current-schema", "schema-id": -1 }), "no schema has been added"),
            (
                json!({ "action": "add-spec", "spec": { "fields": [
                { "source-id": 9, "transform": "identity", "name": "x" }] } }),
                "source column",
            ),
            (
                json!({ "action": "add-spec", "spec": { "fields": [
                { "source-id": 1, "transform": "day", "name": "x" }] } }),
                "Invalid source type",
            ),
            (
                json!({ "action": "add-spec", "spec": { "fields": [
                { "source-id": 1, "transform": "bucket[0]", "name": "x" }] } }),
                "Invalid source type",
            ),
            (
                json!({ "action": "add-spec", "spec": { "fields": [
                { "source-id": 1, "transform": "bucket[4]", "name": "id" }] } }),
                "exists in schema",
            ),
            (json!({ "action": "set-default-spec", "spec-id": 3 }), "unknown spec"),
            (json!({ "action": "remove-schemas", "schema-ids": [0] }), "current schema"),
            (json!({ "action": "remove-partition-specs", "spec-ids": [0] }), "default partition spec"),
            (main(5), "unknown snapshot"),
            (snapshot(1, 1, -70_000), "before last updated"),
            (json!({ "action": "set-location", "location": "file:///x" }), "S3"),
            (json!({ "action": "set-statistics", "statistics": {} }), "snapshot-id"),
        ] {
            let error = Builder::on(&table()).apply(updates(json!([update]))).unwrap_err();
            assert!(error.message().contains(says), "{update}: {error}");
        }
        assert!(serde_json::from_value::<Update>(json!({ "action": "enable-row-lineage" })).is_err());
    }

    #[test]
    fn columns_and_partitions_change_together_or_not_at_all() {
        let columns = json!({ "action": "add-schema", "schema": { "type": "struct", "fields": [
            { "id": 3, "name": "n", "required": false, "type": "int" }] } });
        let current = json!({ "action": "set-current-schema", "schema-id": -1 });
        let builder = Builder::on(&table()).apply(updates(json!([columns, current]))).unwrap();
        assert!(builder.finish(None, 2_000).unwrap_err().message().contains("source column for day"));
        let all = json!([columns, current, { "action": "add-spec", "spec": { "fields": [] } }, { "action": "set-default-spec", "spec-id": -1 }]);
        let (table, _) = Builder::on(&table()).apply(updates(all)).unwrap().finish(None, 2_000).unwrap();
        assert_eq!((table.current_schema_id, table.default_spec_id, table.last_column_id), (1, 1, 3));
    }

    #[test]
    fn rows_of_version_3_have_numbers() {
        let up = json!({ "action": "upgrade-format-version", "format-version": 3 });
        let add = |first: i64| {
            let mut add = snapshot(1, 1, 2_000);
            add["snapshot"]["first-row-id"] = first.into();
            add["snapshot"]["added-rows"] = 10.into();
            updates(json!([up, add]))
        };
        let (table, _) = Builder::on(&table()).apply(add(0)).unwrap().finish(None, 3_000).unwrap();
        assert_eq!(table.next_row_id, Some(10));
        let error = Builder::on(&self::table()).apply(updates(json!([up, snapshot(1, 1, 2_000)]))).unwrap_err();
        assert!(error.message().contains("first-row-id"), "{error}");
    }
}
