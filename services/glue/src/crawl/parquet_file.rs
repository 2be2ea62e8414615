//! Parquet by its footer: exact types and an exact record count from a few kilobytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::datatypes::{DataType, Field, Fields};
use bytes::Bytes;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;

use super::schema::{Compression, FileSchema, Format};
use super::types::HiveType;

pub(super) const MAGIC: &[u8] = b"PAR1";

pub(super) enum Footer {
    Schema(Box<FileSchema>),
    /// The footer begins before `tail`: that many bytes of the end are needed.
    NeedMore(u64),
    /// Not the end of a Parquet file: cut short, or something else.
    Broken(String),
}

/// Reads the footer from the last bytes of a file of `size` bytes.
pub(super) fn classify(tail: &Bytes, size: u64) -> Footer {
    // What the library makes of hostile bytes is not ours to trust.
    catch_unwind(AssertUnwindSafe(|| read(tail, size)))
        .unwrap_or_else(|_| Footer::Broken("its footer is broken".to_owned()))
}

fn read(tail: &Bytes, size: u64) -> Footer {
    if !tail.ends_with(MAGIC) {
        return Footer::Broken("no Parquet footer at its end".to_owned());
    }
    let mut reader = ParquetMetaDataReader::new();
    match reader.try_parse_sized(tail, size) {
        Ok(()) => {}
        Err(ParquetError::NeedMoreData(needed)) if (needed as u64) <= size && needed > tail.len() => {
            return Footer::NeedMore(needed as u64);
        }
        Err(error) => return Footer::Broken(error.to_string()),
    }
    let schema = reader.finish().and_then(|metadata| {
        let file = metadata.file_metadata();
        let arrow = parquet_to_arrow_schema(file.schema_descr(), None)?;
        Ok((u64::try_from(file.num_rows()).unwrap_or(0), columns(arrow.fields())))
    });
    match schema {
        Ok((records, columns)) => Footer::Schema(Box::new(FileSchema {
            format: Format::Parquet,
            compression: Compression::None,
            columns,
            records,
            bytes: size,
            first_row: None,
        })),
        Err(error) => Footer::Broken(error.to_string()),
    }
}

pub(super) fn columns(fields: &Fields) -> Vec<(String, HiveType)> {
    let mut out: Vec<(String, HiveType)> = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.name().to_lowercase();
        if !out.iter().any(|(n, _)| *n == name) {
            out.push((name, hive_type(field.data_type())));
        }
    }
    out
}

fn hive_type(ty: &DataType) -> HiveType {
    match ty {
        DataType::Boolean => HiveType::Boolean,
        DataType::Int8 => HiveType::TinyInt,
        DataType::Int16 | DataType::UInt8 => HiveType::SmallInt,
        DataType::Int32 | DataType::UInt16 | DataType::Time32(_) => HiveType::Int,
        DataType::Int64 | DataType::UInt32 | DataType::Time64(_) => HiveType::BigInt,
        DataType::UInt64 => HiveType::Decimal(20, 0),
        DataType::Float16 | DataType::Float32 => HiveType::Float,
        DataType::Float64 => HiveType::Double,
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => HiveType::Decimal((*p).min(38), *s),
        DataType::Date32 | DataType::Date64 => HiveType::Date,
        DataType::Timestamp(..) => HiveType::Timestamp,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            HiveType::Binary
        }
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            HiveType::Array(Box::new(hive_type(of.data_type())))
        }
        DataType::Struct(fields) => {
            HiveType::Struct(fields.iter().map(|f| (f.name().clone(), hive_type(f.data_type()))).collect())
        }
        DataType::Map(entries, _) => map_type(entries),
        DataType::Dictionary(_, value) => hive_type(value),
        _ => HiveType::String,
    }
}

fn map_type(entries: &Field) -> HiveType {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => {
            HiveType::Map(Box::new(hive_type(fields[0].data_type())), Box::new(hive_type(fields[1].data_type())))
        }
        _ => HiveType::String,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;

    use super::{Footer, classify};

    /// A Parquet file with an int, a string, a double and a timestamp in `rows` rows.
    pub(in super::super) fn file(rows: i32) -> Bytes {
        let batch = RecordBatch::try_from_iter([
            ("Id", Arc::new(Int32Array::from_iter_values(0..rows)) as ArrayRef),
            ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("n{i}")))) as ArrayRef),
            ("x", Arc::new(Float64Array::from_iter_values((0..rows).map(f64::from))) as ArrayRef),
            ("at", Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(i64::from))) as ArrayRef),
        ])
        .unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        Bytes::from(writer.into_inner().unwrap())
    }

    #[test]
    fn reads_the_footer_and_asks_for_more_of_it() {
        let all = file(1000);
        let size = all.len() as u64;
        let Footer::NeedMore(needed) = classify(&all.slice(all.len() - 16..), size) else {
            panic!("16 bytes hold no footer")
        };
        let tail = all.slice(all.len() - usize::try_from(needed).unwrap()..);
        let Footer::Schema(schema) = classify(&tail, size) else { panic!("the footer was there") };
        let columns: Vec<String> = schema.columns.iter().map(|(n, t)| format!("{n}:{t}")).collect();
        assert_eq!(columns.join(","), "id:int,name:string,x:double,at:timestamp");
        assert_eq!(schema.records, 1000);
    }

    #[test]
    fn a_file_cut_short_is_broken() {
        let all = file(10);
        for cut in [4, 8, all.len() / 2, all.len() - 1] {
            assert!(matches!(classify(&all.slice(..cut), cut as u64), Footer::Broken(_)), "{cut}");
        }
    }

    #[test]
    fn a_damaged_footer_is_an_answer() {
        let all = file(3);
        let size = all.len() as u64;
        for at in 0..all.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut damaged = all.to_vec();
                damaged[at] = value;
                classify(&damaged.into(), size);
            }
        }
    }
}
