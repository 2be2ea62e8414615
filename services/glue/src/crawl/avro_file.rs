//! Avro by its header, which holds the schema; the records of the sample are counted by reading them.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_avro::reader::ReaderBuilder;
use bytes::Bytes;

use super::parquet_file::columns;
use super::schema::{Compression, FileSchema, Format};

pub(super) const MAGIC: &[u8] = b"Obj\x01";

/// Reads the beginning of a file; an error says why it is no Avro file, or that more of it is needed.
pub(super) fn classify(sample: &Bytes) -> Result<Box<FileSchema>, String> {
    // What the library makes of hostile bytes is not ours to trust.
    catch_unwind(AssertUnwindSafe(|| read(sample))).unwrap_or_else(|_| Err("its header is broken".to_owned()))
}

fn read(sample: &Bytes) -> Result<Box<FileSchema>, String> {
    let reader = ReaderBuilder::new().build(Cursor::new(sample.clone())).map_err(|error| error.to_string())?;
    let literal = reader.avro_header().get("avro.schema").unwrap_or_default();
    let literal = String::from_utf8(literal.to_vec()).map_err(|error| error.to_string())?;
    let schema = reader.schema();
    let mut records = 0;
    for batch in reader {
        // The sample ends within a block.
        let Ok(batch) = batch else { break };
        records += batch.num_rows() as u64;
    }
    Ok(Box::new(FileSchema {
        format: Format::Avro { literal },
        compression: Compression::None,
        columns: columns(schema.fields()),
        records,
        bytes: sample.len() as u64,
        first_row: None,
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, RecordBatch, StringArray};
    use arrow_avro::writer::AvroWriter;
    use bytes::Bytes;

    use super::classify;

    pub(in super::super) fn file(rows: i32) -> Bytes {
        let names: Vec<String> = (0..rows).map(|i| format!("n{i}")).collect();
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int32Array::from_iter_values(0..rows)) as arrow::array::ArrayRef),
            ("name", Arc::new(StringArray::from(names)) as arrow::array::ArrayRef),
        ])
        .unwrap();
        let mut out = Vec::new();
        let mut writer = AvroWriter::new(&mut out, batch.schema().as_ref().clone()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        out.into()
    }

    #[test]
    fn the_header_tells_the_schema() {
        let all = file(100);
        let schema = classify(&all).unwrap();
        let columns: Vec<String> = schema.columns.iter().map(|(n, t)| format!("{n}:{t}")).collect();
        assert_eq!((columns.join(","), schema.records), ("id:int,name:string".to_owned(), 100));
        assert!(classify(&all.slice(..10)).is_err());
        assert_eq!(classify(&all.slice(..all.len() - 20)).unwrap().records, 0);
    }
}
