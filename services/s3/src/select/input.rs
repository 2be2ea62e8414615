//! Records out of an object's bytes: delimited text and JSON, plain or compressed.

use std::io::Write as _;

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};
use flate2::write::MultiGzDecoder;
use s3s::dto::{CSVInput, InputSerialization};

use super::Invalid;
use super::value::Value;

/// Longest record. Source: S3 User Guide, "Requirements and limits".
const MAX_RECORD: usize = 1 << 20;
/// A document of JSON is whole in memory.
const MAX_DOCUMENT: usize = 64 << 20;

pub(super) enum Unpack {
    No,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Bzip2(Box<bzip2::write::BzDecoder<Vec<u8>>>),
}

impl Unpack {
    pub(super) fn of(name: Option<&str>) -> Result<Self, Invalid> {
        Ok(match name {
            None | Some("NONE") => Self::No,
            Some("GZIP") => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Some("BZIP2") => Self::Bzip2(Box::new(bzip2::write::BzDecoder::new(Vec::new()))),
            Some(other) => {
                return Err(Invalid::new("InvalidCompressionFormat", format!("{other} is no compression type")));
            }
        })
    }

    /// How much is unpacked at once: a little of it can become a thousand times as much, or, of bzip2, tens of thousands.
    pub(super) fn slice(&self) -> usize {
        match self {
            Self::No => usize::MAX,
            Self::Gzip(_) | Self::Bzip2(_) => 1 << 10,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
        let failed = |error: std::io::Error| Invalid::new("InvalidCompressionFormat", error.to_string());
        match self {
            Self::No => Ok(bytes.to_vec()),
            Self::Gzip(decoder) => {
                decoder.write_all(bytes).map_err(failed)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Bzip2(decoder) => {
                decoder.write_all(bytes).map_err(failed)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }

    /// What is left at the end of the object; an object that is cut off is told.
    pub(super) fn end(&mut self) -> Result<Vec<u8>, Invalid> {
        let failed = |error: std::io::Error| Invalid::new("TruncatedInput", error.to_string());
        match self {
            Self::No => Ok(Vec::new()),
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(failed)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Bzip2(decoder) => {
                decoder.try_finish().map_err(failed)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

pub(super) enum Rows {
    Csv(Box<Csv>),
    Lines(Vec<u8>),
    Document(Vec<u8>),
}

/// Which row the header is, if any.
#[derive(Clone, Copy, PartialEq)]
enum Header {
    None,
    Use,
    Ignore,
}

pub(super) struct Csv {
    reader: csv_core::Reader,
    header: Header,
    names: Vec<String>,
    fields: Vec<u8>,
    field_bytes: usize,
    ends: Vec<usize>,
    end_count: usize,
}

impl Rows {
    pub(super) fn of(input: &InputSerialization) -> Result<Self, Invalid> {
        match (&input.csv, &input.json, &input.parquet) {
            (Some(csv), None, None) => Csv::of(csv).map(|csv| Self::Csv(Box::new(csv))),
            (None, Some(json), None) => {
                match json.type_.as_ref().map(|kind| kind.as_str().to_ascii_uppercase()).as_deref() {
                    Some("LINES") => Ok(Self::Lines(Vec::new())),
                    Some("DOCUMENT") => Ok(Self::Document(Vec::new())),
                    _ => Err(Invalid::new(
                        "InvalidJsonType",
                        "The JsonType is not valid. Only DOCUMENT and LINES are supported.",
                    )),
                }
            }
            (None, None, Some(_)) => {
                Err(Invalid::new("NotImplemented", "SelectObjectContent of Parquet is not implemented"))
            }
            (None, None, None) => Err(Invalid::new("MissingRequiredParameter", "InputSerialization says no format")),
            _ => Err(Invalid::new(
                "ObjectSerializationConflict",
                "InputSerialization specifies more than one format (CSV, JSON, or Parquet)",
            )),
        }
    }

    /// More bytes; no bytes are the end.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Value>) -> Result<(), Invalid> {
        match self {
            Self::Csv(csv) => csv.feed(bytes, out),
            Self::Lines(pending) => {
                let mut rest = bytes;
                while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                    pending.extend_from_slice(&rest[..at]);
                    rest = &rest[at + 1..];
                    values(pending, out)?;
                    pending.clear();
                }
                pending.extend_from_slice(rest);
                if bytes.is_empty() {
                    values(pending, out)?;
                    pending.clear();
                }
                if pending.len() > MAX_RECORD { Err(too_long()) } else { Ok(()) }
            }
            Self::Document(all) => {
                all.extend_from_slice(bytes);
                if all.len() > MAX_DOCUMENT {
                    return Err(Invalid::new(
                        "OverMaxRecordSize",
                        format!("A document of JSON may have {MAX_DOCUMENT} bytes here"),
                    ));
                }
                if bytes.is_empty() {
                    values(all, out)?;
                    all.clear();
                }
                Ok(())
            }
        }
    }
}

/// All values that stand one after the other.
fn values(text: &[u8], out: &mut Vec<Value>) -> Result<(), Invalid> {
    for value in serde_json::Deserializer::from_slice(text).into_iter::<serde_json::Value>() {
        let value =
            value.map_err(|error| Invalid::new("JSONParsingError", format!("Error parsing JSON file: {error}")))?;
        out.push(Value::of_json(value));
    }
    Ok(())
}

fn too_long() -> Invalid {
    Invalid::new(
        "OverMaxRecordSize",
        "The length of a record in the input or result is greater than the maxCharsPerRecord limit of 1 MB",
    )
}

/// The one byte that a parameter names.
fn byte(given: Option<&str>, usual: u8, what: &str) -> Result<u8, Invalid> {
    match given.map(str::as_bytes) {
        None | Some([]) => Ok(usual),
        Some([byte]) => Ok(*byte),
        Some(_) => {
            Err(Invalid::new("InvalidRequestParameter", format!("{what} of more than one byte is not supported")))
        }
    }
}

impl Csv {
    fn of(input: &CSVInput) -> Result<Self, Invalid> {
        let header = match input.file_header_info.as_ref().map(|info| info.as_str().to_ascii_uppercase()).as_deref() {
            None | Some("NONE") => Header::None,
            Some("USE") => Header::Use,
            Some("IGNORE") => Header::Ignore,
            Some(_) => {
                return Err(Invalid::new(
                    "InvalidFileHeaderInfo",
                    "The FileHeaderInfo is not valid. Only NONE, USE, and IGNORE are supported.",
                ));
            }
        };
        let quote = byte(input.quote_character.as_deref(), b'"', "QuoteCharacter")?;
        let escape = byte(input.quote_escape_character.as_deref(), quote, "QuoteEscapeCharacter")?;
        let mut builder = ReaderBuilder::new();
        builder.delimiter(byte(input.field_delimiter.as_deref(), b',', "FieldDelimiter")?).quote(quote);
        if escape != quote {
            builder.double_quote(false).escape(Some(escape));
        }
        // `\r\n` and `\n` both end a row unless something else is said.
        match input.record_delimiter.as_deref() {
            None | Some("" | "\n" | "\r\n") => {}
            given => {
                builder.terminator(Terminator::Any(byte(given, b'\n', "RecordDelimiter")?));
            }
        }
        builder.comment(match input.comments.as_deref() {
            None | Some("") => None,
            // The reader ends a comment with its line.
            Some(_) if !matches!(input.record_delimiter.as_deref(), None | Some("" | "\n" | "\r\n")) => {
                return Err(Invalid::new(
                    "NotImplemented",
                    "Comments beside a RecordDelimiter that is no line feed are not implemented",
                ));
            }
            given => Some(byte(given, b'#', "Comments")?),
        });
        let (fields, ends) = (vec![0; 4096], vec![0; 64]);
        Ok(Self { reader: builder.build(), header, names: Vec::new(), fields, field_bytes: 0, ends, end_count: 0 })
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Value>) -> Result<(), Invalid> {
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
                ReadRecordResult::OutputFull if self.fields.len() > MAX_RECORD => return Err(too_long()),
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    let row = self.row()?;
                    (self.field_bytes, self.end_count) = (0, 0);
                    match self.header {
                        Header::Use if self.names.is_empty() => self.names = row,
                        Header::Ignore => self.header = Header::None,
                        _ => out.push(self.record(row)),
                    }
                }
            }
        }
    }

    /// The fields of the row that has been read.
    fn row(&self) -> Result<Vec<String>, Invalid> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let fields = starts.zip(&self.ends[..self.end_count]).map(|(start, end)| &self.fields[start..*end]);
        let text = |field: &[u8]| {
            let text = String::from_utf8(field.to_vec());
            text.map_err(|_| {
                Invalid::new("InvalidTextEncoding", "Invalid encoding type. Only UTF-8 encoding is supported.")
            })
        };
        fields.map(text).collect()
    }

    /// Each field by the name of its column, or as `_1`, `_2`, ….
    fn record(&self, row: Vec<String>) -> Value {
        let named = |(at, field)| {
            let name = self.names.get(at).cloned().unwrap_or_else(|| format!("_{}", at + 1));
            (name, Value::Text(field))
        };
        Value::Struct(row.into_iter().enumerate().map(named).collect())
    }
}
