//! Manifests, which list files, and the lists of manifests: Avro files of the specification's columns.
//! <https://iceberg.apache.org/spec/#manifests>

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use serde_json::{Value, json};

use super::avro;
use super::metadata::{PartitionSpec, TableMetadata, broken};
use super::types::{Primitive, Schema as IcebergSchema};
use crate::error::{Error, Result};

pub(crate) const ADDED: i32 = 1;
pub(crate) const DELETED: i32 = 2;
pub(crate) const EXISTING: i32 = 0;

/// What a file holds.
pub(crate) const DATA: i32 = 0;
pub(crate) const POSITION_DELETES: i32 = 1;
pub(crate) const EQUALITY_DELETES: i32 = 2;

type Numbers = BTreeMap<i32, i64>;
type Bounds = BTreeMap<i32, Vec<u8>>;

#[derive(Debug, Clone, Default)]
pub(crate) struct DataFile {
    pub(crate) content: i32,
    pub(crate) path: String,
    pub(crate) format: String,
    /// One value for each field of the spec, in the types that files hold.
    pub(crate) partition: Vec<ScalarValue>,
    pub(crate) records: i64,
    pub(crate) size: i64,
    pub(crate) column_sizes: Numbers,
    pub(crate) value_counts: Numbers,
    pub(crate) null_counts: Numbers,
    pub(crate) nan_counts: Numbers,
    pub(crate) lower: Bounds,
    pub(crate) upper: Bounds,
    pub(crate) key_metadata: Option<Vec<u8>>,
    pub(crate) split_offsets: Vec<i64>,
    pub(crate) equality_ids: Vec<i32>,
    pub(crate) sort_order_id: Option<i32>,
    pub(crate) referenced: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) status: i32,
    pub(crate) snapshot_id: Option<i64>,
    pub(crate) sequence: Option<i64>,
    pub(crate) file_sequence: Option<i64>,
    pub(crate) file: DataFile,
}

impl Entry {
    pub(crate) fn is_alive(&self) -> bool {
        self.status != DELETED
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ManifestFile {
    pub(crate) path: String,
    pub(crate) length: i64,
    pub(crate) spec_id: i32,
    /// 0 lists data files, 1 delete files.
    pub(crate) content: i32,
    pub(crate) sequence: i64,
    pub(crate) min_sequence: i64,
    pub(crate) snapshot_id: i64,
    /// Files added, existing and deleted, then their rows.
    pub(crate) files: [i32; 3],
    pub(crate) rows: [i64; 3],
    pub(crate) partitions: Vec<Summary>,
    pub(crate) key_metadata: Option<Vec<u8>>,
}

/// What a manifest's files have in one partition field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    pub(crate) contains_null: bool,
    pub(crate) contains_nan: Option<bool>,
    pub(crate) lower: Option<Vec<u8>>,
    pub(crate) upper: Option<Vec<u8>>,
}

/// The bytes of one value. <https://iceberg.apache.org/spec/#appendix-d-single-value-serialization>
pub(crate) fn to_bytes(value: &ScalarValue) -> Option<Vec<u8>> {
    use ScalarValue as S;
    Some(match value {
        S::Boolean(Some(value)) => vec![u8::from(*value)],
        S::Int32(Some(value)) | S::Date32(Some(value)) => value.to_le_bytes().to_vec(),
        S::Int64(Some(value)) | S::Time64Microsecond(Some(value)) | S::TimestampMicrosecond(Some(value), _) => {
            value.to_le_bytes().to_vec()
        }
        S::Float32(Some(value)) => value.to_le_bytes().to_vec(),
        S::Float64(Some(value)) => value.to_le_bytes().to_vec(),
        S::Decimal128(Some(value), _, _) => super::transform::shortest(*value),
        S::Utf8(Some(value)) => value.as_bytes().to_vec(),
        S::Binary(Some(value)) | S::FixedSizeBinary(_, Some(value)) => value.clone(),
        _ => return None,
    })
}

/// A bound in its column's type; the file may be older than the type.
pub(crate) fn from_bytes(bytes: &[u8], ty: &Primitive) -> Option<ScalarValue> {
    use ScalarValue as S;
    let int = || Some(i32::from_le_bytes(bytes.try_into().ok()?));
    let long = || match bytes.len() {
        4 => int().map(i64::from),
        _ => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
    };
    Some(match ty {
        Primitive::Boolean => S::Boolean(Some(*bytes.first()? != 0)),
        Primitive::Int => S::Int32(Some(int()?)),
        Primitive::Date => S::Date32(Some(int()?)),
        Primitive::Long => S::Int64(Some(long()?)),
        Primitive::Time => S::Time64Microsecond(Some(long()?)),
        Primitive::Timestamp => S::TimestampMicrosecond(Some(long()?), None),
        Primitive::Timestamptz => S::TimestampMicrosecond(Some(long()?), Some("UTC".into())),
        Primitive::Float => S::Float32(Some(f32::from_le_bytes(bytes.try_into().ok()?))),
        Primitive::Double if bytes.len() == 4 => {
            S::Float64(Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))))
        }
        Primitive::Double => S::Float64(Some(f64::from_le_bytes(bytes.try_into().ok()?))),
        Primitive::Decimal(p, s) => {
            let sign = if *bytes.first()? >= 0x80 { 0xff } else { 0 };
            let mut all = [sign; 16];
            let start = 16usize.checked_sub(bytes.len())?;
            all[start..].copy_from_slice(bytes);
            S::Decimal128(Some(i128::from_be_bytes(all)), *p, i8::try_from(*s).ok()?)
        }
        Primitive::String => S::Utf8(Some(std::str::from_utf8(bytes).ok()?.to_owned())),
        Primitive::Uuid => S::FixedSizeBinary(16, Some(bytes.to_vec())),
        Primitive::Fixed(n) => S::FixedSizeBinary(*n, Some(bytes.to_vec())),
        Primitive::Binary => S::Binary(Some(bytes.to_vec())),
        Primitive::Other(_) => return None,
    })
}

/// The types of a spec's partition values.
pub(crate) fn partition_types(metadata: &TableMetadata, spec: &PartitionSpec) -> Result<Vec<Primitive>> {
    spec.fields
        .iter()
        .map(|field| {
            // A column that is no more had its type in an earlier schema.
            let mut schemas = std::iter::once(metadata.schema()).chain(metadata.schemas.iter().rev());
            let source = schemas.find_map(|schema| schema.primitive(field.source_id));
            let source = source.ok_or_else(|| {
                broken(format_args!(
                    "partition field {} is of column {}, which does not exist",
                    field.name, field.source_id
                ))
            })?;
            Ok(field.transform.result(source))
        })
        .collect()
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Reads a list of manifests.
pub(crate) fn read_list(bytes: Bytes, path: &str) -> Result<Vec<ManifestFile>> {
    let schema = avro::schema(&bytes, path)?;
    let mut all = Vec::new();
    for batch in avro::read(bytes, &schema, path)? {
        let columns = Columns::of_batch(&batch);
        for row in 0..batch.num_rows() {
            let missing = |name: &str| broken(format_args!("{path}: a manifest without {name}"));
            let int = |name: &str, older: &str| {
                let value = columns.int(name, row).or_else(|| columns.int(older, row)).unwrap_or(0);
                i32::try_from(value).map_err(Error::internal)
            };
            all.push(ManifestFile {
                path: columns.text("manifest_path", row).ok_or_else(|| missing("manifest_path"))?,
                length: columns.int("manifest_length", row).unwrap_or(0),
                spec_id: int("partition_spec_id", "")?,
                content: int("content", "")?,
                sequence: columns.int("sequence_number", row).unwrap_or(0),
                min_sequence: columns.int("min_sequence_number", row).unwrap_or(0),
                snapshot_id: columns.int("added_snapshot_id", row).unwrap_or(0),
                files: [
                    int("added_files_count", "added_data_files_count")?,
                    int("existing_files_count", "existing_data_files_count")?,
                    int("deleted_files_count", "deleted_data_files_count")?,
                ],
                rows: ["added_rows_count", "existing_rows_count", "deleted_rows_count"]
                    .map(|name| columns.int(name, row).unwrap_or(0)),
                partitions: columns.summaries("partitions", row),
                key_metadata: columns.bytes("key_metadata", row),
            });
        }
    }
    Ok(all)
}

/// Reads a manifest. What its entries do not say for themselves (their sequence numbers) they have from the list.
pub(crate) fn read_manifest(bytes: Bytes, of: &ManifestFile, metadata: &TableMetadata) -> Result<Vec<Entry>> {
    let path = &of.path;
    let mut schema = avro::schema(&bytes, path)?;
    let spec = metadata
        .spec_by_id(of.spec_id)
        .ok_or_else(|| broken(format_args!("{path}: partition spec {} does not exist", of.spec_id)))?;
    let types = partition_types(metadata, spec)?;
    // The partition's fields by their numbers: names may differ from the spec's.
    let written = take_partition(&mut schema);
    let mut all = Vec::new();
    for batch in avro::read(bytes, &schema, path)? {
        let columns = Columns::of_batch(&batch);
        let file = columns.row("data_file").ok_or_else(|| broken(format_args!("{path}: no column data_file")))?;
        let partition = file.row("partition");
        let mut values: Vec<Option<ArrayRef>> = Vec::new();
        for (field, ty) in spec.fields.iter().zip(&types) {
            let name = written.iter().find(|(id, _)| *id == Some(field.field_id)).map(|(_, name)| name.as_str());
            let array = partition.as_ref().and_then(|row| row.get(name.unwrap_or(&field.name)));
            let array = array.map(|array| cast(array, &ty.arrow()?).map_err(Error::internal)).transpose()?;
            values.push(array);
        }
        for row in 0..batch.num_rows() {
            let missing = |name: &str| broken(format_args!("{path}: a file without {name}"));
            let status =
                i32::try_from(columns.int("status", row).ok_or_else(|| missing("status"))?).map_err(Error::internal)?;
            // A file that is added has the number of its snapshot.
            let inherited = (status == ADDED).then_some(of.sequence);
            all.push(Entry {
                status,
                snapshot_id: columns.int("snapshot_id", row).or(Some(of.snapshot_id)),
                sequence: columns.int("sequence_number", row).or(inherited),
                file_sequence: columns.int("file_sequence_number", row).or(inherited),
                file: DataFile {
                    content: i32::try_from(file.int("content", row).unwrap_or(0)).map_err(Error::internal)?,
                    path: file.text("file_path", row).ok_or_else(|| missing("file_path"))?,
                    format: file.text("file_format", row).unwrap_or_default().to_uppercase(),
                    partition: values
                        .iter()
                        .zip(&types)
                        .map(|(array, ty)| match array {
                            Some(array) => Ok(ScalarValue::try_from_array(array, row)?),
                            None => Ok(ScalarValue::try_from(&ty.arrow()?)?),
                        })
                        .collect::<Result<_>>()?,
                    records: file.int("record_count", row).unwrap_or(0),
                    size: file.int("file_size_in_bytes", row).unwrap_or(0),
                    column_sizes: file.numbers("column_sizes", row),
                    value_counts: file.numbers("value_counts", row),
                    null_counts: file.numbers("null_value_counts", row),
                    nan_counts: file.numbers("nan_value_counts", row),
                    lower: file.bounds("lower_bounds", row),
                    upper: file.bounds("upper_bounds", row),
                    key_metadata: file.bytes("key_metadata", row),
                    split_offsets: file.longs("split_offsets", row),
                    equality_ids: file
                        .longs("equality_ids", row)
                        .into_iter()
                        .filter_map(|id| i32::try_from(id).ok())
                        .collect(),
                    sort_order_id: file.int("sort_order_id", row).and_then(|id| i32::try_from(id).ok()),
                    referenced: file.text("referenced_data_file", row),
                },
            });
            if file.int("content_offset", row).is_some() {
                return Err(Error::not_supported("Iceberg's deletion vectors (format version 3)"));
            }
        }
    }
    Ok(all)
}

/// The fields of the partition in a manifest's schema. One without fields goes: arrow-avro cannot read a record of none.
fn take_partition(schema: &mut Value) -> Vec<(Option<i32>, String)> {
    let fields = schema["fields"].as_array_mut();
    let Some(file) = fields.and_then(|all| all.iter_mut().find(|field| field["name"] == "data_file")) else {
        return Vec::new();
    };
    let Some(members) = file["type"]["fields"].as_array_mut() else { return Vec::new() };
    let Some(at) = members.iter().position(|member| member["name"] == "partition") else { return Vec::new() };
    let found: Vec<_> = members[at]["type"]["fields"]
        .as_array()
        .map(|fields| {
            let pair = |field: &Value| {
                let id = field["field-id"].as_i64().and_then(|id| i32::try_from(id).ok());
                (id, field["name"].as_str().unwrap_or_default().to_owned())
            };
            fields.iter().map(pair).collect()
        })
        .unwrap_or_default();
    if found.is_empty() {
        members.remove(at);
    }
    found
}

/// The columns of a batch or of a record in it.
struct Columns<'a> {
    fields: &'a Fields,
    arrays: &'a [ArrayRef],
}

impl<'a> Columns<'a> {
    fn of_batch(batch: &'a RecordBatch) -> Self {
        Self { fields: batch.schema_ref().fields(), arrays: batch.columns() }
    }

    fn get(&self, name: &str) -> Option<&'a ArrayRef> {
        let at = self.fields.iter().position(|field| field.name() == name)?;
        Some(&self.arrays[at])
    }

    fn row(&self, name: &str) -> Option<Self> {
        let row = self.get(name)?.as_struct_opt()?;
        Some(Self { fields: row.fields(), arrays: row.columns() })
    }

    fn valid(&self, name: &str, row: usize) -> Option<&'a ArrayRef> {
        self.get(name).filter(|array| row < array.len() && array.is_valid(row))
    }

    fn int(&self, name: &str, row: usize) -> Option<i64> {
        let array = self.valid(name, row)?;
        match array.data_type() {
            DataType::Int32 => Some(i64::from(array.as_primitive::<Int32Type>().value(row))),
            DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row)),
            _ => None,
        }
    }

    fn text(&self, name: &str, row: usize) -> Option<String> {
        Some(self.valid(name, row)?.as_string_opt::<i32>()?.value(row).to_owned())
    }

    fn bytes(&self, name: &str, row: usize) -> Option<Vec<u8>> {
        Some(self.valid(name, row)?.as_binary_opt::<i32>()?.value(row).to_vec())
    }

    fn list(&self, name: &str, row: usize) -> Option<ArrayRef> {
        Some(self.valid(name, row)?.as_list_opt::<i32>()?.value(row))
    }

    fn longs(&self, name: &str, row: usize) -> Vec<i64> {
        let Some(items) = self.list(name, row) else { return Vec::new() };
        let Ok(items) = cast(&items, &DataType::Int64) else { return Vec::new() };
        items.as_primitive::<Int64Type>().iter().flatten().collect()
    }

    /// A map with numbers for keys, which Avro has as a list of pairs.
    fn pairs(&self, name: &str, row: usize) -> Option<(ArrayRef, ArrayRef)> {
        let items = self.list(name, row)?;
        let items = items.as_struct_opt()?;
        Some((Arc::clone(items.column_by_name("key")?), Arc::clone(items.column_by_name("value")?)))
    }

    fn numbers(&self, name: &str, row: usize) -> Numbers {
        let Some((keys, values)) = self.pairs(name, row) else { return Numbers::new() };
        let (keys, values) = (keys.as_primitive_opt::<Int32Type>(), values.as_primitive_opt::<Int64Type>());
        match (keys, values) {
            (Some(keys), Some(values)) => {
                keys.iter().zip(values).filter_map(|(key, value)| Some((key?, value?))).collect()
            }
            _ => Numbers::new(),
        }
    }

    fn bounds(&self, name: &str, row: usize) -> Bounds {
        let Some((keys, values)) = self.pairs(name, row) else { return Bounds::new() };
        match (keys.as_primitive_opt::<Int32Type>(), values.as_binary_opt::<i32>()) {
            (Some(keys), Some(values)) => {
                keys.iter().zip(values).filter_map(|(key, value)| Some((key?, value?.to_vec()))).collect()
            }
            _ => Bounds::new(),
        }
    }

    fn summaries(&self, name: &str, row: usize) -> Vec<Summary> {
        let Some(items) = self.list(name, row) else { return Vec::new() };
        let Some(items) = items.as_struct_opt() else { return Vec::new() };
        let columns = Columns { fields: items.fields(), arrays: items.columns() };
        let flag = |name: &str, row: usize| Some(columns.valid(name, row)?.as_boolean_opt()?.value(row));
        (0..items.len())
            .map(|row| Summary {
                contains_null: flag("contains_null", row).unwrap_or(true),
                contains_nan: flag("contains_nan", row),
                lower: columns.bytes("lower_bound", row),
                upper: columns.bytes("upper_bound", row),
            })
            .collect()
    }
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn required(name: &str, id: i32, ty: &Value) -> Value {
    json!({ "name": name, "type": ty, "field-id": id })
}

fn optional(name: &str, id: i32, ty: &Value) -> Value {
    json!({ "name": name, "type": ["null", ty], "default": null, "field-id": id })
}

fn pairs_schema(key: i32, value: i32, ty: &str) -> Value {
    json!({
        "type": "array",
        "logicalType": "map",
        "items": {
            "type": "record",
            "name": format!("k{key}_v{value}"),
            "fields": [required("key", key, &json!("int")), required("value", value, &json!(ty))],
        },
    })
}

/// The Avro type of a partition's value.
fn avro_type(ty: &Primitive, id: i32) -> Result<Value> {
    Ok(match ty {
        Primitive::Boolean => json!("boolean"),
        Primitive::Int => json!("int"),
        Primitive::Long => json!("long"),
        Primitive::Float => json!("float"),
        Primitive::Double => json!("double"),
        Primitive::String => json!("string"),
        Primitive::Binary => json!("bytes"),
        Primitive::Date => json!({ "type": "int", "logicalType": "date" }),
        Primitive::Time => json!({ "type": "long", "logicalType": "time-micros" }),
        Primitive::Timestamp => json!({ "type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": false }),
        Primitive::Timestamptz => json!({ "type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": true }),
        Primitive::Uuid => json!({ "type": "fixed", "size": 16, "logicalType": "uuid", "name": format!("uuid_{id}") }),
        Primitive::Fixed(n) => json!({ "type": "fixed", "size": n, "name": format!("fixed_{id}") }),
        Primitive::Decimal(p, s) => json!({
            "type": "fixed", "size": decimal_size(*p), "logicalType": "decimal", "precision": p, "scale": s,
            "name": format!("decimal_{p}_{s}_{id}"),
        }),
        Primitive::Other(name) => return Err(Error::not_supported(format_args!("Iceberg's type {name}"))),
    })
}

/// The bytes that every decimal of a precision fits into.
fn decimal_size(precision: u8) -> usize {
    let most = 10i128.pow(u32::from(precision)) - 1;
    super::transform::shortest(most).len()
}

/// Avro's names have letters, digits and underscores alone; the others are written as Iceberg's writers do.
fn sanitized(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        let fits = c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
        if fits {
            out.push(c);
        } else if c.is_ascii_digit() {
            out.push('_');
            out.push(c);
        } else {
            let _ = write!(out, "_x{:X}", c as u32);
        }
    }
    out
}

fn partition_schema(spec: &PartitionSpec, types: &[Primitive]) -> Result<Value> {
    let fields = spec
        .fields
        .iter()
        .zip(types)
        .map(|(field, ty)| Ok(optional(&sanitized(&field.name), field.field_id, &avro_type(ty, field.field_id)?)));
    Ok(json!({ "type": "record", "name": "r102", "fields": fields.collect::<Result<Vec<_>>>()? }))
}

fn entry_schema(partition: &Value) -> Value {
    let (int, long, string, bytes) = (json!("int"), json!("long"), json!("string"), json!("bytes"));
    json!({
        "type": "record",
        "name": "manifest_entry",
        "fields": [
            required("status", 0, &int),
            optional("snapshot_id", 1, &long),
            optional("sequence_number", 3, &long),
            optional("file_sequence_number", 4, &long),
            required("data_file", 2, &json!({
                "type": "record",
                "name": "r2",
                "fields": [
                    required("content", 134, &int),
                    required("file_path", 100, &string),
                    required("file_format", 101, &string),
                    required("partition", 102, partition),
                    required("record_count", 103, &long),
                    required("file_size_in_bytes", 104, &long),
                    optional("column_sizes", 108, &pairs_schema(117, 118, "long")),
                    optional("value_counts", 109, &pairs_schema(119, 120, "long")),
                    optional("null_value_counts", 110, &pairs_schema(121, 122, "long")),
                    optional("nan_value_counts", 137, &pairs_schema(138, 139, "long")),
                    optional("lower_bounds", 125, &pairs_schema(126, 127, "bytes")),
                    optional("upper_bounds", 128, &pairs_schema(129, 130, "bytes")),
                    optional("key_metadata", 131, &bytes),
                    optional("split_offsets", 132, &json!({ "type": "array", "items": "long", "element-id": 133 })),
                    optional("equality_ids", 135, &json!({ "type": "array", "items": "int", "element-id": 136 })),
                    optional("sort_order_id", 140, &int),
                    optional("referenced_data_file", 143, &string),
                ],
            })),
        ],
    })
}

fn list_schema() -> Value {
    let (int, long, string, bytes, boolean) =
        (json!("int"), json!("long"), json!("string"), json!("bytes"), json!("boolean"));
    let summary = json!({
        "type": "record",
        "name": "r508",
        "fields": [
            required("contains_null", 509, &boolean),
            optional("contains_nan", 518, &boolean),
            optional("lower_bound", 510, &bytes),
            optional("upper_bound", 511, &bytes),
        ],
    });
    json!({
        "type": "record",
        "name": "manifest_file",
        "fields": [
            required("manifest_path", 500, &string),
            required("manifest_length", 501, &long),
            required("partition_spec_id", 502, &int),
            required("content", 517, &int),
            required("sequence_number", 515, &long),
            required("min_sequence_number", 516, &long),
            required("added_snapshot_id", 503, &long),
            required("added_files_count", 504, &int),
            required("existing_files_count", 505, &int),
            required("deleted_files_count", 506, &int),
            required("added_rows_count", 512, &long),
            required("existing_rows_count", 513, &long),
            required("deleted_rows_count", 514, &long),
            optional("partitions", 507, &json!({ "type": "array", "items": summary, "element-id": 508 })),
            optional("key_metadata", 519, &bytes),
        ],
    })
}

fn row(columns: Vec<(&str, ArrayRef, bool)>) -> Result<StructArray> {
    let fields: Fields =
        columns.iter().map(|(name, array, null)| Field::new(*name, array.data_type().clone(), *null)).collect();
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    StructArray::try_new(fields, arrays, None).map_err(Error::internal)
}

/// Lists of each row's items, null where there are none.
fn lists(lengths: &[usize], items: ArrayRef, nullable_items: bool) -> Result<ArrayRef> {
    let field = Arc::new(Field::new("item", items.data_type().clone(), nullable_items));
    let nulls = NullBuffer::from(lengths.iter().map(|length| *length > 0).collect::<Vec<_>>());
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Ok(Arc::new(ListArray::try_new(field, offsets, items, Some(nulls)).map_err(Error::internal)?))
}

fn number_maps(maps: &[&Numbers]) -> Result<ArrayRef> {
    let lengths: Vec<_> = maps.iter().map(|map| map.len()).collect();
    let keys: Int32Array = maps.iter().flat_map(|map| map.keys().map(|key| Some(*key))).collect();
    let values: Int64Array = maps.iter().flat_map(|map| map.values().map(|value| Some(*value))).collect();
    let pairs = row(vec![("key", Arc::new(keys), false), ("value", Arc::new(values), false)])?;
    lists(&lengths, Arc::new(pairs), false)
}

fn bound_maps(maps: &[&Bounds]) -> Result<ArrayRef> {
    let lengths: Vec<_> = maps.iter().map(|map| map.len()).collect();
    let keys: Int32Array = maps.iter().flat_map(|map| map.keys().map(|key| Some(*key))).collect();
    let values: BinaryArray = maps.iter().flat_map(|map| map.values().map(|value| Some(value.as_slice()))).collect();
    let pairs = row(vec![("key", Arc::new(keys), false), ("value", Arc::new(values), false)])?;
    lists(&lengths, Arc::new(pairs), false)
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn ints(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.collect::<Int32Array>())
}

fn longs(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn blobs<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    Arc::new(values.collect::<BinaryArray>())
}

fn entries_batch(entries: &[Entry], spec: &PartitionSpec, types: &[Primitive]) -> Result<RecordBatch> {
    let files: Vec<&DataFile> = entries.iter().map(|entry| &entry.file).collect();
    let maps = |pick: fn(&DataFile) -> &Numbers| number_maps(&files.iter().map(|file| pick(file)).collect::<Vec<_>>());
    let bounds = |pick: fn(&DataFile) -> &Bounds| bound_maps(&files.iter().map(|file| pick(file)).collect::<Vec<_>>());
    let partition: ArrayRef = if types.is_empty() {
        Arc::new(StructArray::new_empty_fields(entries.len(), None))
    } else {
        let names: Vec<String> = spec.fields.iter().map(|field| sanitized(&field.name)).collect();
        let columns = types.iter().enumerate().map(|(at, ty)| {
            let values = files.iter().map(|file| file.partition.get(at).cloned());
            let values = values.collect::<Option<Vec<_>>>().ok_or_else(|| broken("a file without its partition"))?;
            let array = ScalarValue::iter_to_array(values)?;
            Ok((names[at].as_str(), cast(&array, &ty.arrow()?).map_err(Error::internal)?, true))
        });
        Arc::new(row(columns.collect::<Result<_>>()?)?)
    };
    let offsets: Vec<_> = files.iter().map(|file| file.split_offsets.len()).collect();
    let equality: Vec<_> = files.iter().map(|file| file.equality_ids.len()).collect();
    let file = row(vec![
        ("content", ints(files.iter().map(|file| Some(file.content))), false),
        ("file_path", texts(files.iter().map(|file| Some(file.path.as_str()))), false),
        ("file_format", texts(files.iter().map(|file| Some(file.format.as_str()))), false),
        ("partition", partition, false),
        ("record_count", longs(files.iter().map(|file| Some(file.records))), false),
        ("file_size_in_bytes", longs(files.iter().map(|file| Some(file.size))), false),
        ("column_sizes", maps(|file| &file.column_sizes)?, true),
        ("value_counts", maps(|file| &file.value_counts)?, true),
        ("null_value_counts", maps(|file| &file.null_counts)?, true),
        ("nan_value_counts", maps(|file| &file.nan_counts)?, true),
        ("lower_bounds", bounds(|file| &file.lower)?, true),
        ("upper_bounds", bounds(|file| &file.upper)?, true),
        ("key_metadata", blobs(files.iter().map(|file| file.key_metadata.as_deref())), true),
        (
            "split_offsets",
            lists(&offsets, longs(files.iter().flat_map(|file| file.split_offsets.iter().map(|n| Some(*n)))), false)?,
            true,
        ),
        (
            "equality_ids",
            lists(&equality, ints(files.iter().flat_map(|file| file.equality_ids.iter().map(|n| Some(*n)))), false)?,
            true,
        ),
        ("sort_order_id", ints(files.iter().map(|file| file.sort_order_id)), true),
        ("referenced_data_file", texts(files.iter().map(|file| file.referenced.as_deref())), true),
    ])?;
    let all = row(vec![
        ("status", ints(entries.iter().map(|entry| Some(entry.status))), false),
        ("snapshot_id", longs(entries.iter().map(|entry| entry.snapshot_id)), true),
        ("sequence_number", longs(entries.iter().map(|entry| entry.sequence)), true),
        ("file_sequence_number", longs(entries.iter().map(|entry| entry.file_sequence)), true),
        ("data_file", Arc::new(file), false),
    ])?;
    Ok(RecordBatch::from(all))
}

/// Who writes a manifest, and where.
pub(crate) struct NewManifest<'a> {
    pub(crate) metadata: &'a TableMetadata,
    pub(crate) schema: &'a IcebergSchema,
    pub(crate) spec: &'a PartitionSpec,
    pub(crate) path: String,
    pub(crate) snapshot_id: i64,
    pub(crate) sequence: i64,
    /// 0 for data files, 1 for delete files.
    pub(crate) content: i32,
}

/// A manifest's bytes, and what the list says of it. Files of the new snapshot have no sequence number: it is the list's.
pub(crate) fn write_manifest(new: NewManifest<'_>, mut entries: Vec<Entry>) -> Result<(Vec<u8>, ManifestFile)> {
    for entry in entries.iter_mut().filter(|entry| entry.status == ADDED) {
        (entry.sequence, entry.file_sequence) = (None, None);
        entry.snapshot_id = Some(new.snapshot_id);
    }
    let types = partition_types(new.metadata, new.spec)?;
    let header = [
        ("schema", serde_json::to_string(new.schema).map_err(Error::internal)?),
        ("schema-id", new.schema.id.to_string()),
        ("partition-spec", serde_json::to_string(&new.spec.fields).map_err(Error::internal)?),
        ("partition-spec-id", new.spec.spec_id.to_string()),
        ("format-version", "2".to_owned()),
        ("content", if new.content == 0 { "data" } else { "deletes" }.to_owned()),
        ("snapshot-id", new.snapshot_id.to_string()),
    ];
    let schema = entry_schema(&partition_schema(new.spec, &types)?);
    let bytes = avro::write(&schema, &header, &entries_batch(&entries, new.spec, &types)?)?;
    let (mut files, mut rows) = ([0i32; 3], [0i64; 3]);
    for entry in &entries {
        let at = match entry.status {
            ADDED => 0,
            EXISTING => 1,
            _ => 2,
        };
        files[at] += 1;
        rows[at] += entry.file.records;
    }
    let alive = entries.iter().filter(|entry| entry.is_alive());
    let min_sequence = alive.clone().map(|entry| entry.sequence.unwrap_or(new.sequence)).min().unwrap_or(new.sequence);
    let manifest = ManifestFile {
        length: i64::try_from(bytes.len()).map_err(Error::internal)?,
        path: new.path,
        spec_id: new.spec.spec_id,
        content: new.content,
        sequence: new.sequence,
        min_sequence,
        snapshot_id: new.snapshot_id,
        files,
        rows,
        partitions: (0..types.len()).map(|at| summary(entries.iter().map(|entry| &entry.file.partition[at]))).collect(),
        key_metadata: None,
    };
    Ok((bytes, manifest))
}

fn summary<'a>(values: impl Iterator<Item = &'a ScalarValue>) -> Summary {
    let nan = |value: &ScalarValue| match value {
        ScalarValue::Float32(Some(value)) => value.is_nan(),
        ScalarValue::Float64(Some(value)) => value.is_nan(),
        _ => false,
    };
    let mut found = Summary { contains_nan: Some(false), ..Summary::default() };
    let (mut low, mut high): (Option<&ScalarValue>, Option<&ScalarValue>) = (None, None);
    for value in values {
        if value.is_null() {
            found.contains_null = true;
        } else if nan(value) {
            found.contains_nan = Some(true);
        } else {
            if low.is_none_or(|low| value < low) {
                low = Some(value);
            }
            if high.is_none_or(|high| value > high) {
                high = Some(value);
            }
        }
    }
    found.lower = low.and_then(to_bytes);
    found.upper = high.and_then(to_bytes);
    found
}

/// The bytes of a list of manifests.
pub(crate) fn write_list(
    manifests: &[ManifestFile],
    snapshot_id: i64,
    parent: Option<i64>,
    sequence: i64,
) -> Result<Vec<u8>> {
    let counts = |at: usize| ints(manifests.iter().map(move |manifest| Some(manifest.files[at])));
    let rows = |at: usize| longs(manifests.iter().map(move |manifest| Some(manifest.rows[at])));
    let lengths: Vec<_> = manifests.iter().map(|manifest| manifest.partitions.len()).collect();
    let summaries: Vec<&Summary> = manifests.iter().flat_map(|manifest| &manifest.partitions).collect();
    let flags = |values: Vec<Option<bool>>| -> ArrayRef { Arc::new(BooleanArray::from(values)) };
    let partitions = row(vec![
        ("contains_null", flags(summaries.iter().map(|one| Some(one.contains_null)).collect()), false),
        ("contains_nan", flags(summaries.iter().map(|one| one.contains_nan).collect()), true),
        ("lower_bound", blobs(summaries.iter().map(|one| one.lower.as_deref())), true),
        ("upper_bound", blobs(summaries.iter().map(|one| one.upper.as_deref())), true),
    ])?;
    let all = row(vec![
        ("manifest_path", texts(manifests.iter().map(|manifest| Some(manifest.path.as_str()))), false),
        ("manifest_length", longs(manifests.iter().map(|manifest| Some(manifest.length))), false),
        ("partition_spec_id", ints(manifests.iter().map(|manifest| Some(manifest.spec_id))), false),
        ("content", ints(manifests.iter().map(|manifest| Some(manifest.content))), false),
        ("sequence_number", longs(manifests.iter().map(|manifest| Some(manifest.sequence))), false),
        ("min_sequence_number", longs(manifests.iter().map(|manifest| Some(manifest.min_sequence))), false),
        ("added_snapshot_id", longs(manifests.iter().map(|manifest| Some(manifest.snapshot_id))), false),
        ("added_files_count", counts(0), false),
        ("existing_files_count", counts(1), false),
        ("deleted_files_count", counts(2), false),
        ("added_rows_count", rows(0), false),
        ("existing_rows_count", rows(1), false),
        ("deleted_rows_count", rows(2), false),
        ("partitions", lists(&lengths, Arc::new(partitions), false)?, true),
        ("key_metadata", blobs(manifests.iter().map(|manifest| manifest.key_metadata.as_deref())), true),
    ])?;
    let header = [
        ("snapshot-id", snapshot_id.to_string()),
        ("parent-snapshot-id", parent.map_or_else(|| "null".to_owned(), |id| id.to_string())),
        ("sequence-number", sequence.to_string()),
        ("format-version", "2".to_owned()),
    ];
    let batch = RecordBatch::from(all);
    avro::write(&list_schema(), &header, &batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_their_bytes() {
        for (precision, bytes) in [(1, 1), (2, 1), (3, 2), (9, 4), (18, 8), (38, 16)] {
            assert_eq!(decimal_size(precision), bytes, "{precision}");
        }
    }

    #[test]
    fn names_are_avros() {
        assert_eq!(sanitized("a-b"), "a_x2Db");
        assert_eq!(sanitized("9lives"), "_9lives");
        assert_eq!(sanitized("fine_1"), "fine_1");
    }

    #[test]
    fn values_go_round() {
        for (value, ty) in [
            (ScalarValue::Int32(Some(-5)), Primitive::Int),
            (ScalarValue::Utf8(Some("ß".to_owned())), Primitive::String),
            (ScalarValue::Decimal128(Some(-129), 9, 2), Primitive::Decimal(9, 2)),
            (ScalarValue::Boolean(Some(true)), Primitive::Boolean),
            (ScalarValue::TimestampMicrosecond(Some(7), None), Primitive::Timestamp),
        ] {
            assert_eq!(from_bytes(&to_bytes(&value).unwrap(), &ty), Some(value));
        }
        // A column that was int when the file was written.
        assert_eq!(from_bytes(&7i32.to_le_bytes(), &Primitive::Long), Some(ScalarValue::Int64(Some(7))));
    }
}
