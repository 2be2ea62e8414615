//! Objects as tables and back. CSV has no header and only text; Parquet has names and types.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Parquet,
}

impl Format {
    /// Of a request whose data and results are both tables that are read here.
    pub(crate) fn of(request: &super::Request) -> Option<Self> {
        let input = Self::parse(request.input.content_type.as_deref().unwrap_or("text/csv")).ok()?;
        let accept = request.output.accept.as_deref().filter(|accept| !accept.is_empty());
        accept.map_or(Some(input), |accept| Self::parse(accept).ok())
    }

    /// By content type; parameters after `;` do not matter.
    pub(crate) fn parse(content_type: &str) -> Result<Self, String> {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/csv" => Ok(Self::Csv),
            "application/x-parquet" | "application/vnd.apache.parquet" | "application/parquet" => Ok(Self::Parquet),
            other => Err(format!("content type {other:?} is not supported: text/csv and application/x-parquet are")),
        }
    }

    pub(crate) fn read(self, bytes: Bytes) -> Result<RecordBatch, String> {
        match self {
            Self::Csv => read_csv(&bytes),
            Self::Parquet => read_parquet(bytes),
        }
    }

    pub(crate) fn write(self, table: &RecordBatch) -> Result<Vec<u8>, String> {
        match self {
            Self::Csv => write_csv(table),
            Self::Parquet => write_parquet(table),
        }
    }
}

fn read_parquet(bytes: Bytes) -> Result<RecordBatch, String> {
    // The library gives up on some broken files by panicking.
    catch_unwind(AssertUnwindSafe(|| rows_of_parquet(bytes)))
        .unwrap_or_else(|_| Err("not a whole Parquet file: it is broken".to_owned()))
}

fn rows_of_parquet(bytes: Bytes) -> Result<RecordBatch, String> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| format!("not a whole Parquet file: {e}"))?;
    let schema = builder.schema().clone();
    let reader = builder.with_batch_size(65536).build().map_err(|e| e.to_string())?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| format!("not a whole Parquet file: {e}"))?;
    arrow::compute::concat_batches(&schema, &batches).map_err(|e| e.to_string())
}

fn write_parquet(table: &RecordBatch) -> Result<Vec<u8>, String> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, table.schema(), Some(properties)).map_err(|e| e.to_string())?;
    writer.write(table).and_then(|()| writer.close()).map_err(|e| e.to_string())?;
    Ok(out)
}

fn read_csv(bytes: &[u8]) -> Result<RecordBatch, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("the file is not text in UTF-8: {e}"))?;
    let rows = csv_rows(text);
    let width = rows.first().map_or(0, Vec::len);
    if let Some((at, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != width) {
        return Err(format!("record {} has {} values, the first one has {width}", at + 1, row.len()));
    }
    let column = |i: usize| Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row[i].as_str()))) as ArrayRef;
    let fields: Vec<_> = (0..width).map(|i| Field::new(format!("_c{i}"), DataType::Utf8, true)).collect();
    batch(fields, (0..width).map(column).collect(), rows.len())
}

pub(crate) fn batch(fields: Vec<Field>, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, String> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(|e| e.to_string())
}

/// RFC 4180, blank lines left out.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                if !(row.is_empty() && field.is_empty()) {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
            }
            c => field.push(c),
        }
    }
    if !(row.is_empty() && field.is_empty()) {
        row.push(field);
        rows.push(row);
    }
    rows
}

fn write_csv(table: &RecordBatch) -> Result<Vec<u8>, String> {
    let mut out = String::new();
    for at in 0..table.num_rows() {
        for (i, column) in table.columns().iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            if column.is_null(at) {
                continue;
            }
            let value = array_value_to_string(column, at).map_err(|e| e.to_string())?;
            if value.contains([',', '"', '\n', '\r']) {
                let _ = write!(out, "\"{}\"", value.replace('"', "\"\""));
            } else {
                out.push_str(&value);
            }
        }
        out.push('\n');
    }
    Ok(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_parquet_file_is_an_answer() {
        let whole = Format::Parquet.write(&Format::Csv.read(Bytes::from("1,a\n2,b\n")).unwrap()).unwrap();
        for at in 0..whole.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                // Some of it is read all the same.
                let _ = Format::Parquet.read(damaged.into());
            }
        }
    }

    #[test]
    fn csv_there_and_back() {
        let text = "1,\"a,\"\"b\"\"\",x\r\n\n2,,y";
        let table = Format::Csv.read(Bytes::from(text)).unwrap();
        assert_eq!((table.num_rows(), table.num_columns()), (2, 3));
        assert_eq!(Format::Csv.write(&table).unwrap(), b"1,\"a,\"\"b\"\"\",x\n2,,y\n");
        assert!(Format::Csv.read(Bytes::from("1,2\n3\n")).unwrap_err().contains("record 2"));
        assert_eq!(Format::Csv.read(Bytes::new()).unwrap().num_rows(), 0);
    }

    #[test]
    fn parquet_there_and_back() {
        let table = Format::Csv.read(Bytes::from("1,2\n3,4\n")).unwrap();
        let bytes = Format::Parquet.write(&table).unwrap();
        assert_eq!(Format::Parquet.read(Bytes::from(bytes.clone())).unwrap().columns(), table.columns());
        let cut = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
        assert!(Format::Parquet.read(cut).unwrap_err().contains("Parquet"));
        assert_eq!(Format::parse("text/csv; charset=utf-8"), Ok(Format::Csv));
    }
}
