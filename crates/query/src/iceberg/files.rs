//! Data files of a table: rows go to one file a partition, and each file's figures into its manifest entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;

use super::Loaded;
use super::manifest::{DATA, DataFile, to_bytes};
use super::metadata::{PartitionSpec, broken};
use super::transform::Transform;
use super::types::{Primitive, Schema, Type, store};
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};

/// Open files at once; Athena's own limit.
const MOST_PARTITIONS: usize = 100;
/// Bounds of text are cut to this many characters, as Iceberg's writers do.
const LONGEST_BOUND: usize = 16;
/// What the row groups of all open files may hold in memory together, before the largest is written out.
const MOST_BYTES: usize = 256 << 20;
/// How long files get where the table does not say it; Athena's own default.
const FULL_FILE_BYTES: usize = 512 << 20;

pub(crate) struct DataWriter {
    store: Arc<dyn ObjectStore>,
    root: Location,
    id: String,
    schema: SchemaRef,
    table: Schema,
    spec: PartitionSpec,
    /// For each partition field the column, its type and what is made of it.
    partitioning: Vec<(usize, Primitive, Transform)>,
    compression: Compression,
    /// Where a file has got this long its rows go on in another.
    full_file_bytes: usize,
    open: BTreeMap<Vec<u8>, Open>,
    /// Whether the file that has waited longest for rows is closed where another partition needs its place.
    is_rewriting: bool,
    started: usize,
    batches: usize,
    written: Vec<DataFile>,
    pub(crate) rows: u64,
}

/// How long a table's files get. Source: Athena User Guide, "Create Iceberg tables", `write_target_data_file_size_bytes`; Iceberg's
/// own name for it says the same.
pub(crate) fn full_file_bytes(properties: &BTreeMap<String, String>) -> usize {
    ["write.target-file-size-bytes", "write_target_data_file_size_bytes"]
        .iter()
        .find_map(|key| properties.get(*key)?.parse().ok())
        .filter(|bytes| *bytes > 0)
        .unwrap_or(FULL_FILE_BYTES)
}

/// Rows of one partition, with a key that tells partitions apart.
type Part = (Vec<u8>, Vec<ScalarValue>, RecordBatch);

struct Open {
    url: String,
    partition: Vec<ScalarValue>,
    writer: AsyncArrowWriter<BufWriter>,
    /// The last batch that had rows for it.
    used: usize,
}

impl DataWriter {
    /// `id` makes the names of one statement's files its own.
    pub(crate) fn new(storage: &Storage, loaded: &Loaded, id: &str) -> Result<Self> {
        let metadata = &loaded.metadata;
        let property = |key: &str| metadata.properties.get(key).map(|value| value.to_ascii_lowercase());
        match property("write.format.default").or_else(|| property("format")).as_deref() {
            None | Some("parquet") => {}
            Some(other) => {
                return Err(Error::not_supported(format_args!(
                    "writing Iceberg tables in format {}",
                    other.to_uppercase()
                )));
            }
        }
        let codec = property("write.parquet.compression-codec").or_else(|| property("write_compression"));
        let compression = match codec.as_deref() {
            None | Some("zstd") => Compression::ZSTD(ZstdLevel::default()),
            Some("snappy") => Compression::SNAPPY,
            Some("gzip") => Compression::GZIP(GzipLevel::default()),
            Some("lz4" | "lz4_raw") => Compression::LZ4_RAW,
            Some("none" | "uncompressed") => Compression::UNCOMPRESSED,
            Some(other) => {
                return Err(Error::not_supported(format_args!("compression {other} of Iceberg's data files")));
            }
        };
        let base = ["write.data.path", "write.object-storage.path", "write.folder-storage.path"]
            .iter()
            .find_map(|key| metadata.properties.get(*key))
            .map_or_else(
                || format!("{}/data", metadata.location.trim_end_matches('/')),
                |path| path.trim_end_matches('/').to_owned(),
            );
        let root = Location::parse(&base)?;
        let table = metadata.schema().clone();
        let spec = metadata.spec().clone();
        let partitioning = spec.fields.iter().map(|field| {
            let at = table.fields.iter().position(|column| column.id == field.source_id);
            let at = at.ok_or_else(|| Error::not_supported("partitioning by a field inside of a struct"))?;
            match &table.fields[at].ty {
                Type::Primitive(ty) => Ok((at, ty.clone(), field.transform)),
                Type::Nested(_) => Err(broken("a partition of a nested column")),
            }
        });
        Ok(Self {
            store: storage.bucket(&root.bucket)?,
            root,
            id: id.to_owned(),
            schema: table.stored()?,
            partitioning: partitioning.collect::<Result<_>>()?,
            table,
            spec,
            compression,
            full_file_bytes: full_file_bytes(&metadata.properties),
            open: BTreeMap::new(),
            is_rewriting: false,
            started: 0,
            batches: 0,
            written: Vec::new(),
            rows: 0,
        })
    }

    /// The same for rows of files that are written anew: those come file by file, and there is no limit to the partitions that they are
    /// of. Source: Athena User Guide, "Considerations and limitations for SQL queries": the limit is of CTAS and INSERT INTO.
    pub(crate) fn rewriting(mut self) -> Self {
        self.is_rewriting = true;
        self
    }

    /// Writes rows whose columns stand in the table's order, as queries see them.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let columns = self.schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let column = store(column, field)?;
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::user(
                    1203,
                    "CONSTRAINT_VIOLATION",
                    format_args!("NULL value not allowed for NOT NULL column: {}", field.name()),
                ));
            }
            Ok(column)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::user(1203, "CONSTRAINT_VIOLATION", error))?;
        self.batches += 1;
        for (key, partition, part) in self.split(&batch)? {
            if !self.open.contains_key(&key) {
                if self.open.len() == MOST_PARTITIONS && self.is_rewriting {
                    self.close_idle().await?;
                } else if self.open.len() == MOST_PARTITIONS {
                    return Err(Error::user(
                        1006,
                        "ICEBERG_TOO_MANY_OPEN_PARTITIONS",
                        format_args!("Exceeded limit of {MOST_PARTITIONS} open writers for partitions"),
                    ));
                }
                let open = self.start(partition)?;
                self.open.insert(key.clone(), open);
            }
            let mut full = false;
            if let Some(open) = self.open.get_mut(&key) {
                open.used = self.batches;
                open.writer.write(&part).await.map_err(Error::internal)?;
                full = open.writer.bytes_written() + open.writer.in_progress_size() > self.full_file_bytes;
            }
            if full && let Some(open) = self.open.remove(&key) {
                let file = close(open, &self.table).await?;
                self.written.push(file);
            }
        }
        self.spare_memory().await
    }

    /// Closes the file that has waited longest for rows.
    async fn close_idle(&mut self) -> Result<()> {
        let idle = self.open.iter().min_by_key(|(_, open)| open.used).map(|(key, _)| key.clone());
        if let Some(open) = idle.and_then(|key| self.open.remove(&key)) {
            let file = close(open, &self.table).await?;
            self.written.push(file);
        }
        Ok(())
    }

    /// Writes out row groups, the largest first, while all together are too large.
    async fn spare_memory(&mut self) -> Result<()> {
        let size = |open: &Open| open.writer.in_progress_size();
        let mut all: usize = self.open.values().map(size).sum();
        while all > MOST_BYTES {
            let Some(largest) = self.open.values_mut().max_by_key(|open| size(open)) else { break };
            all -= size(largest);
            largest.writer.flush().await.map_err(Error::internal)?;
        }
        Ok(())
    }

    /// The batch's rows by their partition; the key tells partitions apart.
    fn split(&self, batch: &RecordBatch) -> Result<Vec<Part>> {
        if self.partitioning.is_empty() {
            return Ok(vec![(Vec::new(), Vec::new(), batch.clone())]);
        }
        let columns = self
            .partitioning
            .iter()
            .map(|(at, ty, transform)| transform.apply(batch.column(*at), ty))
            .collect::<Result<Vec<_>>>()?;
        let sorts = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let rows = RowConverter::new(sorts)
            .and_then(|converter| converter.convert_columns(&columns))
            .map_err(Error::internal)?;
        let mut groups: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let at = u32::try_from(at).map_err(Error::internal)?;
            match groups.get_mut(row.as_ref()) {
                Some(group) => group.push(at),
                None => {
                    groups.insert(row.as_ref().to_vec(), vec![at]);
                }
            }
        }
        groups
            .into_iter()
            .map(|(key, rows)| {
                let first = rows[0] as usize;
                let partition = columns
                    .iter()
                    .map(|column| ScalarValue::try_from_array(column, first))
                    .collect::<Result<_, _>>()?;
                let part = take_record_batch(batch, &UInt32Array::from(rows)).map_err(Error::internal)?;
                Ok((key, partition, part))
            })
            .collect()
    }

    fn start(&mut self, partition: Vec<ScalarValue>) -> Result<Open> {
        let folder = partition_path(&self.spec, &partition);
        let slash = if folder.is_empty() { "" } else { "/" };
        let name = format!("{folder}{slash}{:05}-{}.parquet", self.started, self.id);
        self.started += 1;
        let location = self.root.with_suffix(&format!("/{name}"));
        let properties = WriterProperties::builder().set_compression(self.compression).build();
        let sink = BufWriter::new(Arc::clone(&self.store), location.path()?);
        let writer =
            AsyncArrowWriter::try_new(sink, Arc::clone(&self.schema), Some(properties)).map_err(Error::internal)?;
        Ok(Open { url: location.to_string(), partition, writer, used: self.batches })
    }

    pub(crate) async fn finish(mut self) -> Result<Vec<DataFile>> {
        for (_, open) in std::mem::take(&mut self.open) {
            let file = close(open, &self.table).await?;
            self.written.push(file);
        }
        Ok(self.written)
    }
}

async fn close(open: Open, table: &Schema) -> Result<DataFile> {
    let Open { url, partition, mut writer, .. } = open;
    let footer = writer.finish().await.map_err(Error::internal)?;
    let mut file = DataFile {
        content: DATA,
        path: url,
        format: "PARQUET".to_owned(),
        partition,
        records: footer.file_metadata().num_rows(),
        size: i64::try_from(writer.bytes_written()).map_err(Error::internal)?,
        split_offsets: footer.row_groups().iter().filter_map(RowGroupMetaData::file_offset).collect(),
        sort_order_id: Some(0),
        ..DataFile::default()
    };
    figures(&footer, table, &mut file);
    Ok(file)
}

/// `day=2024-01-01/kind=a%2Fb`
pub(crate) fn partition_path(spec: &PartitionSpec, partition: &[ScalarValue]) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pairs: Vec<_> = spec
        .fields
        .iter()
        .zip(partition)
        .map(|(field, value)| format!("{}={}", encoded(&field.name), encoded(&field.transform.human(value))))
        .collect();
    pairs.join("/")
}

/// Sizes, counts and bounds of the columns that are not nested.
fn figures(footer: &ParquetMetaData, schema: &Schema, file: &mut DataFile) {
    let mut bounds: BTreeMap<i32, Option<(ScalarValue, ScalarValue)>> = BTreeMap::new();
    for group in footer.row_groups() {
        for column in group.columns() {
            let [name] = column.column_path().parts() else { continue };
            let Some(field) = schema.fields.iter().find(|field| field.name == *name) else { continue };
            let Type::Primitive(ty) = &field.ty else { continue };
            *file.column_sizes.entry(field.id).or_default() += column.compressed_size();
            *file.value_counts.entry(field.id).or_default() += column.num_values();
            let nulls = column.statistics().and_then(Statistics::null_count_opt);
            if let Some(nulls) = nulls {
                *file.null_counts.entry(field.id).or_default() += i64::try_from(nulls).unwrap_or(i64::MAX);
            }
            if nulls == u64::try_from(column.num_values()).ok() {
                continue;
            }
            let new = column.statistics().and_then(|statistics| bound(statistics, ty));
            let merged = match (bounds.remove(&field.id), new) {
                (None, new) => new,
                (Some(Some((low, high))), Some((low2, high2))) => {
                    Some((if low2 < low { low2 } else { low }, if high2 > high { high2 } else { high }))
                }
                // Without a bound of one group there is none of the file.
                _ => None,
            };
            bounds.insert(field.id, merged);
        }
    }
    for (id, bound) in bounds {
        let Some((low, high)) = bound else { continue };
        if let Some(bytes) = to_bytes(&cut_down(low)) {
            file.lower.insert(id, bytes);
        }
        if let Some(bytes) = cut_up(high).as_ref().and_then(to_bytes) {
            file.upper.insert(id, bytes);
        }
    }
}

fn bound(statistics: &Statistics, ty: &Primitive) -> Option<(ScalarValue, ScalarValue)> {
    use ScalarValue as S;
    Some(match (statistics, ty) {
        (Statistics::Boolean(s), Primitive::Boolean) => {
            (S::Boolean(Some(*s.min_opt()?)), S::Boolean(Some(*s.max_opt()?)))
        }
        (Statistics::Int32(s), Primitive::Int) => (S::Int32(Some(*s.min_opt()?)), S::Int32(Some(*s.max_opt()?))),
        (Statistics::Int32(s), Primitive::Date) => (S::Date32(Some(*s.min_opt()?)), S::Date32(Some(*s.max_opt()?))),
        (Statistics::Int32(s), Primitive::Decimal(p, scale)) => {
            let decimal = |value: i32| S::Decimal128(Some(i128::from(value)), *p, i8::try_from(*scale).unwrap_or(0));
            (decimal(*s.min_opt()?), decimal(*s.max_opt()?))
        }
        (Statistics::Int64(s), Primitive::Decimal(p, scale)) => {
            let decimal = |value: i64| S::Decimal128(Some(i128::from(value)), *p, i8::try_from(*scale).unwrap_or(0));
            (decimal(*s.min_opt()?), decimal(*s.max_opt()?))
        }
        (Statistics::Int64(s), Primitive::Long | Primitive::Time | Primitive::Timestamp | Primitive::Timestamptz) => {
            (S::Int64(Some(*s.min_opt()?)), S::Int64(Some(*s.max_opt()?)))
        }
        (Statistics::Float(s), Primitive::Float) => (S::Float32(Some(*s.min_opt()?)), S::Float32(Some(*s.max_opt()?))),
        (Statistics::Double(s), Primitive::Double) => {
            (S::Float64(Some(*s.min_opt()?)), S::Float64(Some(*s.max_opt()?)))
        }
        (Statistics::ByteArray(s), Primitive::String) => {
            let text = |bytes: &parquet::data_type::ByteArray| Some(S::Utf8(Some(bytes.as_utf8().ok()?.to_owned())));
            (text(s.min_opt()?)?, text(s.max_opt()?)?)
        }
        _ => return None,
    })
}

fn cut_down(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Utf8(Some(text)) => ScalarValue::Utf8(Some(text.chars().take(LONGEST_BOUND).collect())),
        other => other,
    }
}

/// A bound that is cut must still be above all values: the last character that has a successor takes it.
fn cut_up(value: ScalarValue) -> Option<ScalarValue> {
    let ScalarValue::Utf8(Some(text)) = &value else { return Some(value) };
    if text.chars().count() <= LONGEST_BOUND {
        return Some(value);
    }
    let mut kept: Vec<char> = text.chars().take(LONGEST_BOUND).collect();
    while let Some(last) = kept.pop() {
        if let Some(next) = char::from_u32(last as u32 + 1) {
            kept.push(next);
            return Some(ScalarValue::Utf8(Some(kept.into_iter().collect())));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_have_bounds_around_them() {
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        assert_eq!(cut_down(text("abcdefghijklmnopqrst")), text("abcdefghijklmnop"));
        assert_eq!(cut_up(text("abcdefghijklmnopqrst")), Some(text("abcdefghijklmnoq")));
        assert_eq!(cut_up(text("short")), Some(text("short")));
        assert_eq!(cut_up(text(&"\u{10ffff}".repeat(20))), None);
    }
}
