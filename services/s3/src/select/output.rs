//! Records of an answer as delimited text or JSON.

use bytes::Bytes;
use csv_core::{QuoteStyle, Terminator, WriteResult, WriterBuilder};
use s3s::dto::{CSVOutput, OutputSerialization};

use super::Invalid;
use super::marks::Marks;
use super::value::Value;

pub(super) struct Output {
    form: Form,
    bytes: Vec<u8>,
}

enum Form {
    Csv { builder: Box<WriterBuilder>, marks: Marks, quotes_all: bool, end: Vec<u8> },
    Json { end: Vec<u8> },
}

impl Output {
    pub(super) fn of(output: &OutputSerialization) -> Result<Self, Invalid> {
        let end = |given: &Option<String>| {
            given.clone().filter(|end| !end.is_empty()).unwrap_or_else(|| "\n".to_owned()).into_bytes()
        };
        let form = match (&output.csv, &output.json) {
            (Some(csv), None) => {
                let mut marks = Marks::default();
                let quotes_all =
                    csv.quote_fields.as_ref().is_some_and(|fields| fields.as_str().eq_ignore_ascii_case("ALWAYS"));
                let builder = Box::new(writer(csv, &mut marks)?);
                Form::Csv { builder, marks, quotes_all, end: end(&csv.record_delimiter) }
            }
            (None, Some(json)) => Form::Json { end: end(&json.record_delimiter) },
            (None, None) => return Err(Invalid::new("MissingRequiredParameter", "OutputSerialization says no format")),
            _ => {
                let told = "OutputSerialization specifies more than one format (CSV or JSON)";
                return Err(Invalid::new("ObjectSerializationConflict", told));
            }
        };
        Ok(Self { form, bytes: Vec::new() })
    }

    /// One more record.
    pub(super) fn row(&mut self, columns: Vec<(String, Value)>) -> Result<(), Invalid> {
        match &self.form {
            // The writer would quote a lone field that is empty, so that the row is seen.
            Form::Csv { quotes_all: false, end, .. } if columns.len() == 1 && columns[0].1.text().is_empty() => {
                self.bytes.extend_from_slice(end);
            }
            Form::Csv { builder, marks, end, .. } => {
                let mut row = Vec::new();
                // Each row has its own writer: the end of a row may be more than the writer's one byte.
                let mut writer = builder.build();
                for (at, (_, value)) in columns.iter().enumerate() {
                    if at > 0 {
                        push(&mut row, |out| {
                            let (result, written) = writer.delimiter(out);
                            (result, 0, written)
                        });
                    }
                    let text = marked(marks, value.text())?;
                    let mut rest = text.as_slice();
                    push(&mut row, |out| {
                        let (result, read, written) = writer.field(rest, out);
                        rest = &rest[read..];
                        (result, read, written)
                    });
                }
                push(&mut row, |out| {
                    let (result, written) = writer.finish(out);
                    (result, 0, written)
                });
                self.bytes.append(&mut marks.take_off(row));
                self.bytes.extend_from_slice(end);
            }
            Form::Json { end } => {
                let written = serde_json::to_writer(&mut self.bytes, &Value::Struct(columns));
                written.map_err(|error| Invalid::new("InternalError", error.to_string()))?;
                self.bytes.extend_from_slice(end);
            }
        }
        Ok(())
    }

    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

/// A field in which a delimiter of more than one byte is a byte, which the writer knows to quote.
fn marked(marks: &Marks, text: String) -> Result<Vec<u8>, Invalid> {
    if marks.is_empty() {
        return Ok(text.into_bytes());
    }
    let mut marks = marks.clone();
    let mut out = marks.put(text.as_bytes())?;
    out.append(&mut marks.put(&[])?);
    Ok(out)
}

/// Calls until all is written.
fn push(bytes: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> (WriteResult, usize, usize)) {
    let mut room = 64;
    loop {
        let from = bytes.len();
        bytes.resize(from + room, 0);
        let (result, _, written) = write(&mut bytes[from..]);
        bytes.truncate(from + written);
        if result == WriteResult::InputEmpty {
            return;
        }
        room *= 2;
    }
}

fn writer(csv: &CSVOutput, marks: &mut Marks) -> Result<WriterBuilder, Invalid> {
    let byte = |given: Option<&String>, usual: u8, what: &str| match given.map(String::as_bytes) {
        None | Some([]) => Ok(usual),
        Some([byte]) => Ok(*byte),
        Some(_) => {
            Err(Invalid::new("InvalidRequestParameter", format!("{what} of more than one byte is not supported")))
        }
    };
    let style = match csv.quote_fields.as_ref().map(|fields| fields.as_str().to_ascii_uppercase()).as_deref() {
        None | Some("ASNEEDED") => QuoteStyle::Necessary,
        Some("ALWAYS") => QuoteStyle::Always,
        Some(_) => {
            return Err(Invalid::new(
                "InvalidQuoteFields",
                "The QuoteFields is not valid. Only ALWAYS and ASNEEDED are supported.",
            ));
        }
    };
    let quote = byte(csv.quote_character.as_ref(), b'"', "QuoteCharacter")?;
    let escape = byte(csv.quote_escape_character.as_ref(), quote, "QuoteEscapeCharacter")?;
    let mut builder = WriterBuilder::new();
    builder.delimiter(marks.field(csv.field_delimiter.as_deref(), b',')?).quote(quote).quote_style(style);
    if escape != quote {
        builder.double_quote(false).escape(escape);
    }
    // A field with an end of a row in it is quoted; the writer knows one byte of it.
    if let Some(last) = csv.record_delimiter.as_ref().and_then(|end| end.bytes().last()) {
        builder.terminator(Terminator::Any(last));
    }
    Ok(builder)
}
