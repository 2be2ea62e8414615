//! Records out of an object's bytes: delimited text and JSON, plain or compressed.

use framing::{Delimited, Lines, Packing, ReaderBuilder, Terminator, Unpack};
use s3s::dto::{CSVInput, InputSerialization};

use super::Invalid;
use super::marks::Marks;
use super::value::Value;

/// Longest record. Source: S3 User Guide, "Requirements and limits".
const MAX_RECORD: usize = 1 << 20;
/// A document of JSON is whole in memory.
const MAX_DOCUMENT: usize = 64 << 20;

pub(super) fn unpack(name: Option<&str>) -> Result<Unpack, Invalid> {
    let packing = match name {
        None | Some("NONE") => Packing::Plain,
        Some("GZIP") => Packing::Gzip,
        Some("BZIP2") => Packing::Bzip2,
        Some(other) => {
            return Err(Invalid::new("InvalidCompressionFormat", format!("{other} is no compression type")));
        }
    };
    Unpack::new(packing).map_err(|error| Invalid::new("InternalError", error.to_string()))
}

pub(super) enum Rows {
    Csv(Box<Csv>),
    Lines(Lines),
    Document(Vec<u8>),
    /// Comes as records.
    Parquet,
}

/// Which row the header is, if any.
#[derive(Clone, Copy, PartialEq)]
enum Header {
    None,
    Use,
    Ignore,
}

pub(super) struct Csv {
    rows: Delimited,
    marks: Marks,
    /// What ends a record, as it is written.
    delimiter: Vec<u8>,
    /// Fields may hold it between quotes.
    quoted_delimiters: bool,
    header: Header,
    names: Vec<String>,
}

impl Rows {
    pub(super) fn of(input: &InputSerialization) -> Result<Self, Invalid> {
        match (&input.csv, &input.json, &input.parquet) {
            (Some(csv), None, None) => Csv::of(csv).map(|csv| Self::Csv(Box::new(csv))),
            (None, Some(json), None) => {
                match json.type_.as_ref().map(|kind| kind.as_str().to_ascii_uppercase()).as_deref() {
                    Some("LINES") => Ok(Self::Lines(Lines::new(MAX_RECORD))),
                    Some("DOCUMENT") => Ok(Self::Document(Vec::new())),
                    _ => Err(Invalid::new(
                        "InvalidJsonType",
                        "The JsonType is not valid. Only DOCUMENT and LINES are supported.",
                    )),
                }
            }
            (None, None, Some(_)) => Ok(Self::Parquet),
            (None, None, None) => Err(Invalid::new("MissingRequiredParameter", "InputSerialization says no format")),
            _ => Err(Invalid::new(
                "ObjectSerializationConflict",
                "InputSerialization specifies more than one format (CSV, JSON, or Parquet)",
            )),
        }
    }

    /// What parts its records, and whether the first of them is a header; none where a range of bytes has no records of its own.
    pub(super) fn parted(&self) -> Option<(&[u8], bool)> {
        match self {
            Self::Csv(csv) if !csv.quoted_delimiters => Some((&csv.delimiter, csv.header != Header::None)),
            Self::Lines(_) => Some((b"\n", false)),
            _ => None,
        }
    }

    /// More bytes; no bytes are the end.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Value>) -> Result<(), Invalid> {
        match self {
            Self::Csv(csv) => csv.feed(bytes, out),
            Self::Lines(lines) => lines.feed(bytes, too_long, |text| values(text, out)),
            Self::Parquet => Ok(()),
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
        let (mut builder, mut marks) = (ReaderBuilder::new(), Marks::default());
        builder.delimiter(marks.field(input.field_delimiter.as_deref(), b',')?).quote(quote);
        if escape != quote {
            builder.double_quote(false).escape(Some(escape));
        }
        // `\r\n` and `\n` both end a row unless something else is said.
        match input.record_delimiter.as_deref() {
            None | Some("" | "\n" | "\r\n") => {}
            given => {
                builder.terminator(Terminator::Any(marks.record(given, b'\n')?));
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
        let delimiter = match input.record_delimiter.as_deref() {
            None | Some("" | "\r\n") => b"\n".to_vec(),
            Some(own) => own.as_bytes().to_vec(),
        };
        Ok(Self {
            rows: Delimited::new(builder.build(), MAX_RECORD),
            marks,
            delimiter,
            quoted_delimiters: input.allow_quoted_record_delimiter.unwrap_or(false),
            header,
            names: Vec::new(),
        })
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Value>) -> Result<(), Invalid> {
        if !self.marks.is_empty() {
            let marked = self.marks.put(bytes)?;
            if !marked.is_empty() {
                self.read(&marked, out)?;
            }
            return if bytes.is_empty() { self.read(&[], out) } else { Ok(()) };
        }
        self.read(bytes, out)
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<Value>) -> Result<(), Invalid> {
        let (header, names, marks) = (&mut self.header, &mut self.names, &self.marks);
        self.rows.feed(bytes, too_long, |row| {
            let row = texts(row, marks)?;
            match header {
                Header::Use if names.is_empty() => *names = row,
                Header::Ignore => *header = Header::None,
                _ => out.push(record(names, row)),
            }
            Ok(())
        })
    }
}

fn texts(row: &[&[u8]], marks: &Marks) -> Result<Vec<String>, Invalid> {
    let text = |field: &&[u8]| String::from_utf8(marks.take_off(field.to_vec())).map_err(|_| not_text());
    row.iter().map(text).collect()
}

pub(super) fn not_text() -> Invalid {
    Invalid::new("InvalidTextEncoding", "Invalid encoding type. Only UTF-8 encoding is supported.")
}

/// Each field by the name of its column, or as `_1`, `_2`, ….
fn record(names: &[String], row: Vec<String>) -> Value {
    let column = |(at, field)| {
        let name = names.get(at).cloned().unwrap_or_else(|| format!("_{}", at + 1));
        (name, Value::Text(field))
    };
    Value::Struct(row.into_iter().enumerate().map(column).collect())
}
