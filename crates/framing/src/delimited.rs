//! Rows of delimited text.

use csv_core::{ReadRecordResult, Reader};

/// Reads rows, wherever their bytes are cut.
#[derive(Debug)]
pub struct Delimited {
    reader: Reader,
    longest: usize,
    fields: Vec<u8>,
    field_bytes: usize,
    ends: Vec<usize>,
    end_count: usize,
}

impl Delimited {
    /// `longest`: bytes that a row may have, about: its buffer doubles until it is longer than that.
    pub fn new(reader: Reader, longest: usize) -> Self {
        Self { reader, longest, fields: vec![0; 4096], field_bytes: 0, ends: vec![0; 64], end_count: 0 }
    }

    /// More bytes; no bytes are the end. `each` is given the fields of every row that has ended, without their quotes.
    ///
    /// # Errors
    /// `each`'s, and `too_long()` for a row that is longer than it may be.
    pub fn feed<E>(
        &mut self,
        bytes: &[u8],
        too_long: fn() -> E,
        mut each: impl FnMut(&[&[u8]]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        loop {
            let (result, read, written, ended) =
                self.reader.read_record(rest, &mut self.fields[self.field_bytes..], &mut self.ends[self.end_count..]);
            rest = &rest[read..];
            self.field_bytes += written;
            self.end_count += ended;
            match result {
                ReadRecordResult::InputEmpty if bytes.is_empty() => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(()),
                ReadRecordResult::OutputFull if self.fields.len() > self.longest => return Err(too_long()),
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    let starts = std::iter::once(0).chain(self.ends.iter().copied());
                    let ends = &self.ends[..self.end_count];
                    let row: Vec<&[u8]> = starts.zip(ends).map(|(start, end)| &self.fields[start..*end]).collect();
                    (self.field_bytes, self.end_count) = (0, 0);
                    each(&row)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_however_they_are_cut() {
        let long = "x".repeat(5000);
        let text = format!("a,\"b\nc\"\n{long},\nd");
        for cut in [1, 3, 4096, 9999] {
            let reader = csv_core::ReaderBuilder::new().build();
            let (mut rows, mut found) = (Delimited::new(reader, 1 << 20), Vec::new());
            for bytes in text.as_bytes().chunks(cut).chain([&b""[..]]) {
                let mut each = |row: &[&[u8]]| {
                    found.push(row.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect::<Vec<_>>());
                    Ok(())
                };
                rows.feed(bytes, || "too long", &mut each).unwrap();
            }
            assert_eq!(found, [vec!["a", "b\nc"], vec![long.as_str(), ""], vec!["d"]], "cut every {cut} bytes");
        }
        let mut rows = Delimited::new(Reader::new(), 4096);
        assert_eq!(rows.feed("y".repeat(10_000).as_bytes(), || "too long", |_| Ok(())), Err("too long"));
    }
}
