//! Delimited text: each row an object, by the names of the header; a short row is filled up, a long one cut.

use std::collections::{BTreeSet, VecDeque};

use asl::{CsvHeaderLocation, ReaderConfig};
use serde_json::{Map, Value};

use super::MAX_ITEM_BYTES;
use super::hash_order;
use super::records::Records;

pub(in super::super) struct CsvRows {
    records: Records,
    /// `None` until the first row has been read.
    header: Option<Header>,
}

struct Header {
    names: Vec<String>,
    /// Which column each member of an item is from.
    columns: Vec<usize>,
}

impl CsvRows {
    pub(super) fn configured(config: &ReaderConfig) -> Result<Self, String> {
        let names = match (config.csv_header_location, &config.csv_headers) {
            (Some(CsvHeaderLocation::Given), Some(names)) => Some(names.clone()),
            (Some(CsvHeaderLocation::Given), None) => {
                return Err("CSVHeaders is required when CSVHeaderLocation is GIVEN".to_owned());
            }
            _ => None,
        };
        let delimiter = match config.csv_delimiter.as_deref() {
            None | Some("COMMA") => b',',
            Some("PIPE") => b'|',
            Some("SEMICOLON") => b';',
            Some("SPACE") => b' ',
            Some("TAB") => b'\t',
            Some(other) => {
                return Err(format!("CSVDelimiter {other} is not one of COMMA, PIPE, SEMICOLON, SPACE, TAB"));
            }
        };
        names.as_deref().map_or(Ok(()), distinct)?;
        Ok(Self::new(delimiter, names))
    }

    /// Rows under names that are given, or under those in the first row.
    pub(in super::super) fn new(delimiter: u8, names: Option<Vec<String>>) -> Self {
        Self { records: Records::new(delimiter), header: names.map(Header::new) }
    }

    pub(in super::super) fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<Value>) -> Result<(), String> {
        for byte in bytes {
            if let Some(record) = self.records.push(*byte) {
                self.row(record, out)?;
            }
        }
        if self.records.pending_bytes() > MAX_ITEM_BYTES {
            return Err(format!("A row is longer than {MAX_ITEM_BYTES} bytes"));
        }
        Ok(())
    }

    pub(in super::super) fn finish(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        self.records.finish().map_or(Ok(()), |record| self.row(record, out))
    }

    fn row(&mut self, mut record: Vec<String>, out: &mut VecDeque<Value>) -> Result<(), String> {
        let Some(header) = &self.header else {
            distinct(&record)?;
            self.header = Some(Header::new(record));
            return Ok(());
        };
        let mut cell = |column: usize| record.get_mut(column).map(std::mem::take).unwrap_or_default();
        let members = header.columns.iter().map(|column| (header.names[*column].clone(), cell(*column).into()));
        out.push_back(Value::Object(members.collect::<Map<_, _>>()));
        Ok(())
    }
}

impl Header {
    fn new(names: Vec<String>) -> Self {
        Self { columns: hash_order::order(&names), names }
    }
}

fn distinct(names: &[String]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    if names.iter().all(|name| seen.insert(name)) {
        return Ok(());
    }
    Err("CSV headers cannot contain duplicates.".to_owned())
}
