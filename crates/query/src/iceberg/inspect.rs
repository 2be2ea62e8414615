//! A table's metadata as tables: `"t$snapshots"` and its like, with Trino's columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int32Builder, Int64Array, Int64Builder, MapBuilder, MapFieldNames, RecordBatch,
    StringArray, StringBuilder, StructArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::ScalarValue;
use trino_functions::zone::Zone;
use trino_functions::{Type as Trino, Value, value};

use super::manifest::{DataFile, from_bytes, partition_types};
use super::transform::Transform;
use super::types::{Primitive, Type};
use super::{Loaded, SnapshotFiles};
use crate::error::{Error, Result};
use crate::storage::Storage;

/// The table behind `$name`; `None` if there is none of this name.
pub(crate) async fn table(storage: &Storage, loaded: &Loaded, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let columns = match name {
        "snapshots" => snapshots(loaded)?,
        "history" => history(loaded)?,
        "refs" => refs(loaded),
        "properties" => properties(loaded),
        "metadata_log_entries" => metadata_log(loaded)?,
        "files" => files(loaded, &loaded.files(storage, None).await?)?,
        "manifests" => manifests(storage, loaded).await?,
        "partitions" => partitions(loaded, &loaded.files(storage, None).await?)?,
        _ => return Ok(None),
    };
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(Error::internal)?;
    Ok(Some(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)))
}

type Columns = Vec<(&'static str, ArrayRef)>;

/// `timestamp(3) with time zone`, in UTC.
fn moments(values: impl Iterator<Item = i64>) -> Result<ArrayRef> {
    let values: Vec<Value> =
        values.map(|millis| Value::TimestampTz(i128::from(millis) * 1_000_000_000, Zone::UTC)).collect();
    Ok(value::build(&Trino::TimestampTz(3), &values)?)
}

fn longs(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn ints(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<Int32Array>())
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn names() -> MapFieldNames {
    MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() }
}

fn snapshots(loaded: &Loaded) -> Result<Columns> {
    let all = &loaded.metadata.snapshots;
    let mut summary = MapBuilder::new(Some(names()), StringBuilder::new(), StringBuilder::new());
    for snapshot in all {
        for (key, value) in snapshot.summary.iter().filter(|(key, _)| *key != "operation") {
            summary.keys().append_value(key);
            summary.values().append_value(value);
        }
        summary.append(true).map_err(Error::internal)?;
    }
    Ok(vec![
        ("committed_at", moments(all.iter().map(|snapshot| snapshot.timestamp_ms))?),
        ("snapshot_id", longs(all.iter().map(|snapshot| Some(snapshot.id)))),
        ("parent_id", longs(all.iter().map(|snapshot| snapshot.parent_snapshot_id))),
        ("operation", texts(all.iter().map(|snapshot| snapshot.summary.get("operation").cloned()))),
        ("manifest_list", texts(all.iter().map(|snapshot| Some(snapshot.manifest_list.clone())))),
        ("summary", Arc::new(summary.finish())),
    ])
}

fn history(loaded: &Loaded) -> Result<Columns> {
    let metadata = &loaded.metadata;
    let ancestors = metadata.line(metadata.current_snapshot_id);
    let log = &metadata.snapshot_log;
    let parent = |id: i64| metadata.snapshot(id).and_then(|snapshot| snapshot.parent_snapshot_id);
    let current: Vec<bool> = log.iter().map(|entry| ancestors.contains(&entry.snapshot_id)).collect();
    Ok(vec![
        ("made_current_at", moments(log.iter().map(|entry| entry.timestamp_ms))?),
        ("snapshot_id", longs(log.iter().map(|entry| Some(entry.snapshot_id)))),
        ("parent_id", longs(log.iter().map(|entry| parent(entry.snapshot_id)))),
        ("is_current_ancestor", Arc::new(BooleanArray::from(current))),
    ])
}

fn refs(loaded: &Loaded) -> Columns {
    let all = &loaded.metadata.refs;
    vec![
        ("name", texts(all.keys().map(|name| Some(name.clone())))),
        ("type", texts(all.values().map(|reference| Some(reference.kind.to_uppercase())))),
        ("snapshot_id", longs(all.values().map(|reference| Some(reference.snapshot_id)))),
        ("max_reference_age_in_ms", longs(all.values().map(|reference| reference.max_ref_age_ms))),
        (
            "min_snapshots_to_keep",
            Arc::new(all.values().map(|reference| reference.min_snapshots_to_keep).collect::<Int32Array>()),
        ),
        ("max_snapshot_age_in_ms", longs(all.values().map(|reference| reference.max_snapshot_age_ms))),
    ]
}

fn properties(loaded: &Loaded) -> Columns {
    let all = &loaded.metadata.properties;
    vec![
        ("key", texts(all.keys().map(|key| Some(key.clone())))),
        ("value", texts(all.values().map(|value| Some(value.clone())))),
    ]
}

fn metadata_log(loaded: &Loaded) -> Result<Columns> {
    let metadata = &loaded.metadata;
    let mut all: Vec<(i64, String)> =
        metadata.metadata_log.iter().map(|entry| (entry.timestamp_ms, entry.file.clone())).collect();
    all.push((metadata.last_updated_ms, loaded.place.clone()));
    // The snapshot that was current when a file was written.
    let snapshot = |at: i64| {
        let entry = metadata.snapshot_log.iter().rev().find(|entry| entry.timestamp_ms <= at)?;
        metadata.snapshot(entry.snapshot_id)
    };
    let found: Vec<_> = all.iter().map(|(at, _)| snapshot(*at)).collect();
    let schemas = found.iter().map(|snapshot| snapshot.and_then(|snapshot| snapshot.schema_id));
    Ok(vec![
        ("timestamp", moments(all.iter().map(|(at, _)| *at))?),
        ("file", texts(all.iter().map(|(_, file)| Some(file.clone())))),
        ("latest_snapshot_id", longs(found.iter().map(|snapshot| snapshot.map(|snapshot| snapshot.id)))),
        ("latest_schema_id", Arc::new(schemas.collect::<Int32Array>())),
        (
            "latest_sequence_number",
            longs(found.iter().map(|snapshot| snapshot.map(|snapshot| snapshot.sequence_number))),
        ),
    ])
}

fn files(loaded: &Loaded, files: &SnapshotFiles) -> Result<Columns> {
    let entries: Vec<_> = files.data.iter().chain(&files.positions).chain(&files.equalities).collect();
    let all: Vec<&DataFile> = entries.iter().map(|entry| &entry.file).collect();
    let figures = |pick: fn(&DataFile) -> &BTreeMap<i32, i64>| -> Result<ArrayRef> {
        let mut map = MapBuilder::new(Some(names()), Int32Builder::new(), Int64Builder::new());
        for file in &all {
            for (id, value) in pick(file) {
                map.keys().append_value(*id);
                map.values().append_value(*value);
            }
            map.append(!pick(file).is_empty()).map_err(Error::internal)?;
        }
        Ok(Arc::new(map.finish()))
    };
    let bounds = |pick: fn(&DataFile) -> &BTreeMap<i32, Vec<u8>>| -> Result<ArrayRef> {
        let mut map = MapBuilder::new(Some(names()), Int32Builder::new(), StringBuilder::new());
        for file in &all {
            for (id, bytes) in pick(file) {
                let value = loaded.metadata.schema().primitive(*id).and_then(|ty| from_bytes(bytes, ty));
                let Some(value) = value else { continue };
                map.keys().append_value(*id);
                map.values().append_value(Transform::Identity.human(&value));
            }
            map.append(!pick(file).is_empty()).map_err(Error::internal)?;
        }
        Ok(Arc::new(map.finish()))
    };
    Ok(vec![
        ("content", ints(all.iter().map(|file| file.content))),
        ("file_path", texts(all.iter().map(|file| Some(file.path.clone())))),
        ("file_format", texts(all.iter().map(|file| Some(file.format.clone())))),
        ("spec_id", ints(entries.iter().map(|entry| entry.spec))),
        ("record_count", longs(all.iter().map(|file| Some(file.records)))),
        ("file_size_in_bytes", longs(all.iter().map(|file| Some(file.size)))),
        ("column_sizes", figures(|file| &file.column_sizes)?),
        ("value_counts", figures(|file| &file.value_counts)?),
        ("null_value_counts", figures(|file| &file.null_counts)?),
        ("nan_value_counts", figures(|file| &file.nan_counts)?),
        ("lower_bounds", bounds(|file| &file.lower)?),
        ("upper_bounds", bounds(|file| &file.upper)?),
        ("sort_order_id", Arc::new(all.iter().map(|file| file.sort_order_id).collect::<Int32Array>())),
    ])
}

async fn manifests(storage: &Storage, loaded: &Loaded) -> Result<Columns> {
    let all = match loaded.snapshot(None)? {
        Some(snapshot) => loaded.manifests(storage, snapshot).await?,
        None => Vec::new(),
    };
    let count = |at: usize| ints(all.iter().map(|manifest| manifest.files[at]));
    let rows = |at: usize| longs(all.iter().map(|manifest| Some(manifest.rows[at])));
    Ok(vec![
        ("path", texts(all.iter().map(|manifest| Some(manifest.path.clone())))),
        ("length", longs(all.iter().map(|manifest| Some(manifest.length)))),
        ("partition_spec_id", ints(all.iter().map(|manifest| manifest.spec_id))),
        ("added_snapshot_id", longs(all.iter().map(|manifest| Some(manifest.snapshot_id)))),
        ("added_data_files_count", count(0)),
        ("added_rows_count", rows(0)),
        ("existing_data_files_count", count(1)),
        ("existing_rows_count", rows(1)),
        ("deleted_data_files_count", count(2)),
        ("deleted_rows_count", rows(2)),
    ])
}

/// What the files of one partition have together.
#[derive(Default)]
struct Group {
    values: Vec<ScalarValue>,
    records: i64,
    files: i64,
    size: i64,
    /// Of each column the bounds and nulls, as far as all files say.
    columns: BTreeMap<i32, Option<(ScalarValue, ScalarValue)>>,
    nulls: BTreeMap<i32, i64>,
}

fn partitions(loaded: &Loaded, files: &SnapshotFiles) -> Result<Columns> {
    let metadata = &loaded.metadata;
    let spec = metadata.spec();
    let types = partition_types(metadata, spec)?;
    let columns: Vec<(i32, &str, &Primitive)> = metadata
        .schema()
        .fields
        .iter()
        .filter_map(|field| match &field.ty {
            Type::Primitive(ty) if !spec.fields.iter().any(|part| part.source_id == field.id) => {
                Some((field.id, field.name.as_str(), ty))
            }
            _ => None,
        })
        .collect();
    let groups = groups(loaded, files, &columns)?;
    let mut out: Columns = Vec::new();
    if !types.is_empty() {
        let members = types
            .iter()
            .enumerate()
            .map(|(at, ty)| typed(groups.iter().map(|group| group.values[at].clone()).collect(), ty));
        let members = members.collect::<Result<Vec<_>>>()?;
        let names = spec.fields.iter().map(|field| field.name.to_lowercase());
        let fields: Fields =
            names.zip(&members).map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        out.push(("partition", Arc::new(StructArray::try_new(fields, members, None).map_err(Error::internal)?)));
    }
    out.push(("record_count", longs(groups.iter().map(|group| Some(group.records)))));
    out.push(("file_count", longs(groups.iter().map(|group| Some(group.files)))));
    out.push(("total_size", longs(groups.iter().map(|group| Some(group.size)))));
    if !columns.is_empty() {
        out.push(("data", bounds(&groups, &columns)?));
    }
    Ok(out)
}

/// A current snapshot's files by the partition that they are of, in the order of its path.
fn groups(loaded: &Loaded, files: &SnapshotFiles, columns: &[(i32, &str, &Primitive)]) -> Result<Vec<Group>> {
    let spec = loaded.metadata.spec();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for entry in &files.data {
        if entry.spec != spec.spec_id {
            return Err(Error::not_supported("$partitions of an Iceberg table whose partitioning has changed"));
        }
        let file = &entry.file;
        let group = groups.entry(loaded.partition_path(entry.spec, file)).or_default();
        group.values.clone_from(&file.partition);
        group.records += file.records;
        group.files += 1;
        group.size += file.size;
        for (id, _, ty) in columns {
            *group.nulls.entry(*id).or_default() += file.null_counts.get(id).unwrap_or(&0);
            let bound = |bounds: &BTreeMap<i32, Vec<u8>>| bounds.get(id).and_then(|bytes| from_bytes(bytes, ty));
            let new = bound(&file.lower).zip(bound(&file.upper));
            let merged = match (group.columns.remove(id), new) {
                (None, new) => new,
                (Some(Some((low, high))), Some((low2, high2))) => {
                    Some((if low2 < low { low2 } else { low }, if high2 > high { high2 } else { high }))
                }
                _ => None,
            };
            group.columns.insert(*id, merged);
        }
    }
    Ok(groups.into_values().collect())
}

fn typed(values: Vec<ScalarValue>, ty: &Primitive) -> Result<ArrayRef> {
    let array = if values.is_empty() {
        datafusion::arrow::array::new_empty_array(&ty.arrow()?)
    } else {
        ScalarValue::iter_to_array(values)?
    };
    shown(&array, ty)
}

/// The column `data`: a row of each column's bounds and counts.
fn bounds(groups: &[Group], columns: &[(i32, &str, &Primitive)]) -> Result<ArrayRef> {
    let mut members: Vec<(String, ArrayRef)> = Vec::new();
    for (id, name, ty) in columns {
        let null = ScalarValue::try_from(&ty.arrow()?)?;
        let bound = |high: bool| {
            let values = groups.iter().map(|group| match group.columns.get(id) {
                Some(Some((low, _))) if !high => low.clone(),
                Some(Some((_, top))) => top.clone(),
                _ => null.clone(),
            });
            typed(values.collect(), ty)
        };
        let (low, high) = (bound(false)?, bound(true)?);
        let nulls = longs(groups.iter().map(|group| group.nulls.get(id).copied()));
        let nan: ArrayRef = Arc::new(Int64Array::new_null(groups.len()));
        let parts = [("min", low), ("max", high), ("null_count", nulls), ("nan_count", nan)];
        let fields: Fields =
            parts.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
        let arrays = parts.into_iter().map(|(_, array)| array).collect();
        let row = StructArray::try_new(fields, arrays, None).map_err(Error::internal)?;
        members.push((name.to_lowercase(), Arc::new(row)));
    }
    let fields: Fields =
        members.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let arrays = members.into_iter().map(|(_, array)| array).collect();
    Ok(Arc::new(StructArray::try_new(fields, arrays, None).map_err(Error::internal)?))
}

/// Values as queries carry them.
fn shown(array: &ArrayRef, ty: &Primitive) -> Result<ArrayRef> {
    match ty {
        Primitive::Timestamptz => {
            let ty = Trino::TimestampTz(6);
            Ok(value::build(&ty, &value::read_all(array.as_ref(), &ty))?)
        }
        Primitive::Fixed(_) => cast(array, &DataType::Binary).map_err(Error::internal),
        _ => Ok(Arc::clone(array)),
    }
}

/// The snapshot that was current at a time.
pub(crate) fn snapshot_at(loaded: &Loaded, millis: i64) -> Result<i64> {
    let log = &loaded.metadata.snapshot_log;
    let found = log.iter().filter(|entry| entry.timestamp_ms <= millis).max_by_key(|entry| entry.timestamp_ms);
    found.map(|entry| entry.snapshot_id).ok_or_else(|| {
        let when = chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default();
        Error::user(
            1006,
            "INVALID_ARGUMENTS",
            format_args!(
                "No version history table {} at or before {}",
                loaded.table.name,
                when.format("%Y-%m-%dT%H:%M:%S%.fZ")
            ),
        )
    })
}
