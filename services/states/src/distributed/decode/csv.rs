//! Delimited text: each row an object, by the names of the header; a short row is filled up, a long one cut.

use std::collections::{BTreeSet, VecDeque};

use asl::{CsvHeaderLocation, ReaderConfig};
use csv_core::ReadRecordResult;
use serde_json::{Map, Value};

use super::MAX_ITEM_BYTES;

pub(in super::super) struct CsvRows {
    core: csv_core::Reader,
    /// `None` until the first row has been read.
    names: Option<Vec<String>>,
    fields: Vec<u8>,
    field_bytes: usize,
    ends: Vec<usize>,
    ended: usize,
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
        let core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { core, names, fields: vec![0; 4096], field_bytes: 0, ends: vec![0; 64], ended: 0 }
    }

    pub(in super::super) fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<Value>) -> Result<(), String> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let read = self.step(&mut rest, out)?;
            if read == ReadRecordResult::InputEmpty {
                break;
            }
        }
        Ok(())
    }

    pub(in super::super) fn finish(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        // To the parser no input means that there is none left.
        loop {
            let read = self.step(&mut &[][..], out)?;
            if matches!(read, ReadRecordResult::End | ReadRecordResult::InputEmpty) {
                return Ok(());
            }
        }
    }

    fn step(&mut self, input: &mut &[u8], out: &mut VecDeque<Value>) -> Result<ReadRecordResult, String> {
        let (fields, ends) = (&mut self.fields[self.field_bytes..], &mut self.ends[self.ended..]);
        let (result, taken, written, ended) = self.core.read_record(input, fields, ends);
        *input = &input[taken..];
        self.field_bytes += written;
        self.ended += ended;
        match result {
            ReadRecordResult::OutputFull if self.fields.len() >= MAX_ITEM_BYTES => {
                return Err(format!("A row is longer than {MAX_ITEM_BYTES} bytes"));
            }
            ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            ReadRecordResult::Record => self.row(out)?,
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
        }
        Ok(result)
    }

    fn row(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        let mut from = 0;
        let mut values = Vec::with_capacity(self.ended);
        for end in &self.ends[..self.ended] {
            values.push(String::from_utf8_lossy(&self.fields[from..*end]).into_owned());
            from = *end;
        }
        (self.field_bytes, self.ended) = (0, 0);
        let Some(names) = &self.names else {
            distinct(&values)?;
            self.names = Some(values);
            return Ok(());
        };
        let mut values = values.into_iter();
        let members = names.iter().map(|name| (name.clone(), Value::String(values.next().unwrap_or_default())));
        out.push_back(Value::Object(members.collect::<Map<_, _>>()));
        Ok(())
    }
}

fn distinct(names: &[String]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    if names.iter().all(|name| seen.insert(name)) {
        return Ok(());
    }
    Err("CSV headers cannot contain duplicates.".to_owned())
}
