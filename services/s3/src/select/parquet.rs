//! Rows of a Parquet object. The format is read from its end and by columns, so that a thread of its own asks for the ranges that it
//! needs; no more than a page of each column and some rows are in memory.

use std::any::Any;
use std::collections::BTreeSet;
use std::io::{Read, Result as Done};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;
use futures::future::BoxFuture;
use parquet::basic::Compression;
use parquet::data_type::Decimal;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Invalid;
use super::value::Value;

/// Rows of one message, and messages that wait to be taken.
const ROWS: usize = 256;
const AHEAD: usize = 4;
/// Bytes that are read at once where it is not known how many are wanted.
const PIECE: u64 = 8 << 10;
/// Largest row group. Source: S3 User Guide, "Requirements and limits": the maximum uncompressed row group size is 512 MB.
const MAX_ROW_GROUP: i64 = 512 << 20;

/// Ranges of the object's bytes.
pub(crate) type Ranges = Arc<dyn Fn(Range<u64>) -> BoxFuture<'static, Done<Bytes>> + Send + Sync>;

/// The rows, so many at a time. The reader ends when nobody takes them any more.
pub(crate) struct Rows(mpsc::Receiver<Batch>);

/// None is the object's end. Without it the reader has been cut short, and what came is not all.
type Batch = Result<Option<Vec<Value>>, Invalid>;

/// What is wanted of an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Row groups that begin in it.
    pub(super) range: Option<Range<u64>>,
    /// The columns, in lower case; all where none.
    pub(super) columns: Option<BTreeSet<String>>,
}

impl Rows {
    pub(super) fn of(ranges: Ranges, size: u64, wanted: Wanted) -> Self {
        let (give, take) = mpsc::channel(AHEAD);
        let object = Object { ranges, size, runtime: Handle::current() };
        tokio::task::spawn_blocking(move || {
            // The library gives up on much that is broken by panicking.
            let end = catch_unwind(AssertUnwindSafe(|| read(object, &wanted, &give)))
                .unwrap_or_else(|panic| Err(broken(said(panic.as_ref()))));
            let _ = give.blocking_send(end.map(|()| None));
        });
        Self(take)
    }

    /// More rows; none at the end.
    pub(crate) async fn next(&mut self) -> Batch {
        self.0.recv().await.unwrap_or_else(|| Err(broken("the reader ended unexpectedly")))
    }
}

fn broken(why: impl std::fmt::Display) -> Invalid {
    let told = format!("An error occurred while parsing the Parquet file. Check the file and try again. ({why})");
    Invalid::new("ParquetParsingError", told)
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it is broken")
}

fn read(object: Object, wanted: &Wanted, give: &mpsc::Sender<Batch>) -> Result<(), Invalid> {
    let reader = SerializedFileReader::new(object).map_err(broken)?;
    let projection = projection(reader.metadata().file_metadata().schema(), wanted.columns.as_ref());
    for at in 0..reader.num_row_groups() {
        let about = reader.metadata().row_group(at);
        if wanted.range.as_ref().is_some_and(|range| !range.contains(&begin(about))) {
            continue;
        }
        check(about)?;
        let group = reader.get_row_group(at).map_err(broken)?;
        let mut batch = Vec::with_capacity(ROWS);
        for row in RowIter::from_row_group(projection.clone(), group.as_ref()).map_err(broken)? {
            batch.push(record(&row.map_err(broken)?)?);
            if batch.len() == ROWS && give.blocking_send(Ok(Some(std::mem::take(&mut batch)))).is_err() {
                return Ok(());
            }
        }
        if !batch.is_empty() && give.blocking_send(Ok(Some(batch))).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Where a row group's first column begins.
fn begin(group: &RowGroupMetaData) -> u64 {
    let starts = group.columns().iter().map(|column| column.byte_range().0);
    starts.min().unwrap_or_default()
}

fn check(group: &RowGroupMetaData) -> Result<(), Invalid> {
    if group.total_byte_size() > MAX_ROW_GROUP {
        return Err(Invalid::new("OverMaxParquetBlockSize", "The Parquet file is above the max row group size."));
    }
    let known = |codec| {
        use Compression::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
        matches!(codec, UNCOMPRESSED | SNAPPY | GZIP(_) | ZSTD(_) | LZ4 | LZ4_RAW)
    };
    if group.columns().iter().all(|column| known(column.compression())) {
        return Ok(());
    }
    let told = "The specified Parquet compression codec is not supported.";
    Err(Invalid::new("ParquetUnsupportedCompressionCodec", told))
}

/// The schema of the columns that are wanted; none for all.
fn projection(schema: &Type, wanted: Option<&BTreeSet<String>>) -> Option<Type> {
    let wanted = wanted?;
    let mut kept: Vec<_> =
        schema.get_fields().iter().filter(|field| wanted.contains(&field.name().to_lowercase())).cloned().collect();
    // Rows are counted by a column.
    if kept.is_empty() {
        kept.extend(schema.get_fields().first().cloned());
    }
    Type::group_type_builder(schema.name()).with_fields(kept).build().ok()
}

fn record(row: &Row) -> Result<Value, Invalid> {
    let member = |(name, field): (&String, &Field)| Ok((name.clone(), value(field)?));
    Ok(Value::Struct(row.get_column_iter().map(member).collect::<Result<_, Invalid>>()?))
}

fn value(field: &Field) -> Result<Value, Invalid> {
    let all = |fields: &[Field]| fields.iter().map(value).collect::<Result<_, _>>().map(Value::List);
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Byte(value) => Value::Int((*value).into()),
        Field::Short(value) => Value::Int((*value).into()),
        Field::Int(value) => Value::Int((*value).into()),
        Field::Long(value) => Value::Int(*value),
        Field::UByte(value) => Value::Int((*value).into()),
        Field::UShort(value) => Value::Int((*value).into()),
        Field::UInt(value) => Value::Int((*value).into()),
        Field::ULong(value) => match i64::try_from(*value) {
            Ok(value) => Value::Int(value),
            Err(_) => Value::Decimal(BigDecimal::from(*value)),
        },
        Field::Float16(value) => Value::Float(value.to_f64()),
        // As it is written, not as its bits are: 0.1 and not 0.10000000149011612.
        Field::Float(value) => Value::Float(value.to_string().parse().unwrap_or_else(|_| f64::from(*value))),
        Field::Double(value) => Value::Float(*value),
        Field::Decimal(value) => Value::Decimal(decimal(value)),
        Field::Str(text) => Value::Text(text.clone()),
        // Ion's blobs as JSON and text have them.
        Field::Bytes(bytes) => Value::Text(STANDARD.encode(bytes.data())),
        Field::Date(days) => moment(i128::from(*days) * 86_400_000_000_000)?,
        Field::TimestampMillis(millis) => moment(i128::from(*millis) * 1_000_000)?,
        Field::TimestampMicros(micros) => moment(i128::from(*micros) * 1000)?,
        Field::Group(row) => record(row)?,
        Field::ListInternal(list) => all(list.elements())?,
        Field::MapInternal(map) => {
            let entry = |(key, own): &(Field, Field)| Ok((value(key)?.text(), value(own)?));
            Value::Struct(map.entries().iter().map(entry).collect::<Result<_, Invalid>>()?)
        }
        other @ (Field::TimeMillis(_) | Field::TimeMicros(_)) => {
            let told = format!("The specified Parquet type is not supported: {other:?}");
            return Err(Invalid::new("UnsupportedParquetType", told));
        }
    })
}

fn decimal(value: &Decimal) -> BigDecimal {
    BigDecimal::new(BigInt::from_signed_bytes_be(value.data()), value.scale().into())
}

fn moment(nanos: i128) -> Result<Value, Invalid> {
    let at = jiff::Timestamp::from_nanosecond(nanos).map_err(broken)?;
    Ok(Value::Time(at.to_zoned(jiff::tz::TimeZone::UTC)))
}

/// The object, as the library asks for it.
struct Object {
    ranges: Ranges,
    size: u64,
    runtime: Handle,
}

impl Object {
    fn bytes(&self, range: Range<u64>) -> Done<Bytes> {
        if range.end > self.size || range.start > range.end {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.runtime.block_on((self.ranges)(range))
    }
}

impl Length for Object {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Object {
    type T = Piece;

    fn get_read(&self, start: u64) -> Result<Piece, ParquetError> {
        let object = Self { ranges: Arc::clone(&self.ranges), size: self.size, runtime: self.runtime.clone() };
        Ok(Piece { object, at: start, bytes: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end =
            start.checked_add(length as u64).ok_or_else(|| ParquetError::EOF("a range of no object".to_owned()))?;
        Ok(self.bytes(start..end)?)
    }
}

/// The bytes from some place on.
struct Piece {
    object: Object,
    at: u64,
    bytes: Bytes,
}

impl Read for Piece {
    fn read(&mut self, out: &mut [u8]) -> Done<usize> {
        if self.bytes.is_empty() {
            let end = self.object.size.min(self.at.saturating_add(PIECE));
            if self.at >= end {
                return Ok(0);
            }
            self.bytes = self.object.bytes(self.at..end)?;
            self.at = end;
        }
        let count = out.len().min(self.bytes.len());
        out[..count].copy_from_slice(&self.bytes.split_to(count));
        Ok(count)
    }
}
