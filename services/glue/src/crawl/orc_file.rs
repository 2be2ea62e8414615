//! ORC by its tail, as Parquet: exact types and an exact record count.

use std::cell::Cell;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, Bytes};
use orc_rust::ArrowReaderBuilder;
use orc_rust::reader::ChunkReader;

use super::parquet_file::{Footer, columns};
use super::schema::{Compression, FileSchema, Format};

pub(super) const MAGIC: &[u8] = b"ORC";

/// The last bytes of a file of `size` bytes.
struct Tail<'a> {
    bytes: Bytes,
    size: u64,
    /// How many bytes of the end would have been needed.
    needed: &'a Cell<u64>,
}

impl ChunkReader for Tail<'_> {
    type T = bytes::buf::Reader<Bytes>;

    fn len(&self) -> u64 {
        self.size
    }

    fn get_read(&self, offset: u64) -> std::io::Result<Self::T> {
        let begin = self.size - self.bytes.len() as u64;
        match offset.checked_sub(begin).and_then(|at| usize::try_from(at).ok()) {
            Some(at) if at <= self.bytes.len() => Ok(self.bytes.slice(at..).reader()),
            _ => {
                self.needed.set(self.size.saturating_sub(offset));
                Err(std::io::Error::other("the footer begins before the tail"))
            }
        }
    }

    fn get_bytes(&self, offset: u64, length: u64) -> std::io::Result<Bytes> {
        let mut out = Vec::new();
        self.get_read(offset)?.take(length).read_to_end(&mut out)?;
        if out.len() as u64 == length { Ok(out.into()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }
}

pub(super) fn classify(tail: &Bytes, size: u64) -> Footer {
    let needed = Cell::new(0);
    let reader = Tail { bytes: tail.clone(), size, needed: &needed };
    let read = catch_unwind(AssertUnwindSafe(|| {
        let file = ArrowReaderBuilder::try_new(reader).map_err(|error| error.to_string())?;
        Ok::<_, String>((file.file_metadata().number_of_rows(), columns(file.schema().fields())))
    }));
    match read {
        Ok(Ok((records, columns))) => Footer::Schema(Box::new(FileSchema {
            format: Format::Orc,
            compression: Compression::None,
            columns,
            records,
            bytes: size,
            first_row: None,
        })),
        _ if needed.get() > tail.len() as u64 && needed.get() <= size => Footer::NeedMore(needed.get()),
        Ok(Err(why)) => Footer::Broken(why),
        Err(_) => Footer::Broken("its footer is broken".to_owned()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
    use bytes::Bytes;

    use super::{Footer, classify};

    pub(in super::super) fn file(rows: i32) -> Bytes {
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int32Array::from_iter_values(0..rows)) as ArrayRef),
            ("x", Arc::new(Float64Array::from_iter_values((0..rows).map(f64::from))) as ArrayRef),
        ])
        .unwrap();
        let mut out = Vec::new();
        let mut writer = orc_rust::ArrowWriterBuilder::new(&mut out, batch.schema()).try_build().unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        out.into()
    }

    #[test]
    fn the_tail_tells_the_schema() {
        let all = file(5000);
        let Footer::Schema(schema) = classify(&all, all.len() as u64) else { panic!("a schema") };
        let columns: Vec<String> = schema.columns.iter().map(|(n, t)| format!("{n}:{t}")).collect();
        assert_eq!((columns.join(","), schema.records), ("id:int,x:double".to_owned(), 5000));
        for cut in [4, 10, all.len() / 2] {
            assert!(!matches!(classify(&all.slice(..cut), cut as u64), Footer::Schema(_)), "{cut}");
        }
    }
}
