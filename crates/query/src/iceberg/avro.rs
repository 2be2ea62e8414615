//! Avro files with the metadata that Iceberg puts into their headers, over `arrow-avro`, whose own format has no place for
//! it.

use std::io::{BufReader, Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_avro::compression::{CODEC_METADATA_KEY, CompressionCodec};
use arrow_avro::errors::AvroError;
use arrow_avro::reader::{ReaderBuilder, read_header_info};
use arrow_avro::schema::{AvroSchema, SCHEMA_METADATA_KEY};
use arrow_avro::writer::format::AvroFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use serde_json::Value;

use super::metadata::broken;
use crate::error::{Error, Result};

/// Whatever the Arrow schema says beside its Avro schema goes into the header.
#[derive(Debug, Default)]
struct WithMetadata {
    sync: [u8; 16],
}

impl AvroFormat for WithMetadata {
    const NEEDS_PREFIX: bool = false;

    fn start_stream<W: Write>(
        &mut self,
        writer: &mut W,
        schema: &Schema,
        compression: Option<CompressionCodec>,
    ) -> std::result::Result<(), AvroError> {
        // A file's blocks end with its marker, which needs to be unlikely, not secret: the same file has the same one.
        let text = format!("{:?}", schema.metadata().get("snapshot-id"));
        let mark = murmur3::murmur3_x64_128(&mut Cursor::new(text.as_bytes()), 17).unwrap_or(17);
        self.sync = mark.to_le_bytes();
        let codec = match compression {
            Some(CompressionCodec::Deflate) => "deflate",
            None => "null",
            Some(other) => return Err(AvroError::InvalidArgument(format!("codec {other:?}"))),
        };
        let mut pairs: Vec<(&str, &str)> =
            schema.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        pairs.sort_unstable();
        pairs.push((CODEC_METADATA_KEY, codec));
        writer.write_all(b"Obj\x01")?;
        write_long(writer, pairs.len())?;
        for (key, value) in pairs {
            for text in [key, value] {
                write_long(writer, text.len())?;
                writer.write_all(text.as_bytes())?;
            }
        }
        write_long(writer, 0)?;
        writer.write_all(&self.sync)?;
        Ok(())
    }

    fn sync_marker(&self) -> Option<&[u8; 16]> {
        Some(&self.sync)
    }
}

/// Avro's variable-length number; none here is negative.
fn write_long(writer: &mut impl Write, value: usize) -> std::io::Result<()> {
    let mut rest = value << 1;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return writer.write_all(&[low & 0x7f]);
        }
        writer.write_all(&[low | 0x80])?;
    }
}

/// Writes one batch in an Avro schema.
pub(super) fn write(avro: &Value, header: &[(&str, String)], batch: &RecordBatch) -> Result<Vec<u8>> {
    let own = std::iter::once((SCHEMA_METADATA_KEY.to_owned(), avro.to_string()));
    let header = header.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let schema = Schema::new_with_metadata(batch.schema().fields().clone(), header.chain(own).collect());
    let batch = RecordBatch::try_new(schema.clone().into(), batch.columns().to_vec()).map_err(Error::internal)?;
    let mut writer: Writer<Vec<u8>, WithMetadata> = WriterBuilder::new(schema)
        .with_compression(Some(CompressionCodec::Deflate))
        .build(Vec::new())
        .map_err(Error::internal)?;
    writer.write(&batch).map_err(Error::internal)?;
    writer.finish().map_err(Error::internal)?;
    Ok(writer.into_inner())
}

/// A file's own schema.
pub(super) fn schema(bytes: &Bytes, path: &str) -> Result<Value> {
    let header = read_header_info(BufReader::new(Cursor::new(bytes)));
    let schema = header.and_then(|header| header.writer_schema());
    let schema = schema.map_err(|error| broken(format_args!("{path}: {error}")))?;
    serde_json::from_str(&schema.json_string).map_err(|error| broken(format_args!("{path}: {error}")))
}

/// A file's rows; `wanted` is its schema or a part of it.
pub(super) fn read(bytes: Bytes, wanted: &Value, path: &str) -> Result<Vec<RecordBatch>> {
    let wrong = |error: &dyn std::fmt::Display| broken(format_args!("{path}: {error}"));
    let read = || {
        let reader = ReaderBuilder::new()
            .with_reader_schema(AvroSchema::new(wanted.to_string()))
            .build(BufReader::new(Cursor::new(bytes)))
            .map_err(|error| wrong(&error))?;
        reader.map(|batch| batch.map_err(|error| wrong(&error))).collect()
    };
    // The library gives up on some broken files by panicking.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(wrong(&"the file is broken")))
}
