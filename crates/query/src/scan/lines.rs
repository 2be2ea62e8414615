//! Lines to columns: LazySimpleSerDe, OpenCSVSerde, RegexSerDe, GrokSerDe and the JSON SerDes.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;

use super::format::{SerdeKind, TextSerde};
use super::json;
use super::writers::Writer;
use crate::error::{Error, Result};

/// A batch ends after this much text, however few rows it makes.
const BATCH_BYTES: usize = 16 << 20;

/// Reads lines of one file into the columns that are wanted.
pub(crate) struct Decoder<'a> {
    serde: &'a TextSerde,
    schema: &'a SchemaRef,
    /// For each column of the file, where its values go.
    slots: Vec<Option<usize>>,
    /// The wanted columns, as indices into the file's.
    wanted: Vec<usize>,
    path: &'a str,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(serde: &'a TextSerde, schema: &'a SchemaRef, wanted: Vec<usize>, path: &'a str) -> Self {
        let mut slots = vec![None; schema.fields().len()];
        for (slot, column) in wanted.iter().enumerate() {
            slots[*column] = Some(slot);
        }
        Self { serde, schema, slots, wanted, path }
    }

    /// Takes up to `rows` lines off `rest`; gives the columns and how many rows they have.
    pub(crate) fn decode(&self, rest: &mut &str, rows: usize) -> Result<(Vec<ArrayRef>, usize)> {
        let begin = rest.len();
        let capacity = rows.min(8192);
        let more = |count: usize, rest: &str| count < rows && begin - rest.len() < BATCH_BYTES;
        if let SerdeKind::Json(json) = &self.serde.kind {
            let fields: Vec<_> = self.wanted.iter().map(|column| self.schema.field(*column)).collect();
            let mut decoder = json::Rows::new(json, &fields, self.wanted.clone(), capacity, self.path)?;
            let mut count = 0;
            if self.serde.cloudtrail {
                count = decoder.cloudtrail(rest)?;
                *rest = "";
            } else {
                while more(count, rest) {
                    let Some(line) = next_line(rest) else { break };
                    decoder.line(line)?;
                    count += 1;
                }
            }
            return Ok((decoder.finish()?, count));
        }
        let mut writers = self
            .wanted
            .iter()
            .map(|column| Writer::new(self.schema.field(*column), capacity))
            .collect::<Result<Vec<_>>>()?;
        let mut count = 0;
        let mut fields = Vec::new();
        while more(count, rest) {
            let Some(line) = next_line(rest) else { break };
            self.line(line, &mut writers, &mut fields)?;
            count += 1;
        }
        Ok((writers.iter_mut().map(Writer::finish).collect::<Result<_>>()?, count))
    }

    fn line(&self, line: &str, writers: &mut [Writer], fields: &mut Vec<String>) -> Result<()> {
        match &self.serde.kind {
            SerdeKind::Lazy(lazy) => {
                let mut fields = lazy.fields(line, self.slots.len());
                for slot in &self.slots {
                    let field = fields.next();
                    let Some(slot) = slot else { continue };
                    match field {
                        Some(text) => lazy.value(&mut writers[*slot], text, 0)?,
                        None => writers[*slot].null(),
                    }
                }
            }
            SerdeKind::OpenCsv { csv, null_for_invalid } => {
                csv.split(line, self.slots.len(), fields);
                for (column, slot) in self.slots.iter().enumerate() {
                    let Some(slot) = slot else { continue };
                    let Some(text) = fields.get(column) else {
                        writers[*slot].null();
                        continue;
                    };
                    if !writers[*slot].push_since_epoch(text) && !null_for_invalid {
                        return Err(Error::bad_data(format_args!(
                            "Error parsing field value '{text}' for field {column}: For input string: \"{text}\" [file {}]",
                            self.path
                        )));
                    }
                }
            }
            SerdeKind::Regex(pattern) => {
                let groups = pattern.captures(line).map_err(|error| Error::cursor(self.path, error))?;
                for (column, slot) in self.slots.iter().enumerate() {
                    let Some(slot) = slot else { continue };
                    match groups.as_ref().and_then(|groups| groups.get(column + 1)) {
                        Some(text) => java(&mut writers[*slot], text.as_str()),
                        None => writers[*slot].null(),
                    }
                }
            }
            SerdeKind::Grok { pattern, .. } => {
                let found = pattern.match_against(line);
                for (column, slot) in self.slots.iter().enumerate() {
                    let Some(slot) = slot else { continue };
                    let name = self.serde.grok_name(self.schema.field(column).name());
                    match name.and_then(|name| found.as_ref()?.get(name)) {
                        Some(text) => {
                            writers[*slot].push(text);
                        }
                        None => writers[*slot].null(),
                    }
                }
            }
            SerdeKind::Json(_) => {}
        }
        Ok(())
    }
}

/// A group's text as Java's own parsers read it: what is not `true` is false, whole numbers have no fraction.
fn java(writer: &mut Writer, text: &str) {
    match writer {
        Writer::Boolean(b) => b.append_value(text.eq_ignore_ascii_case("true")),
        Writer::Int8(b) => b.append_option(text.parse().ok()),
        Writer::Int16(b) => b.append_option(text.parse().ok()),
        Writer::Int32(b) => b.append_option(text.parse().ok()),
        Writer::Int64(b) => b.append_option(text.parse().ok()),
        other => {
            other.push(text);
        }
    }
}

/// The next line without its end (LF, CR or CRLF, as Hadoop has it). An end at the very end begins no line.
pub(crate) fn next_line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let bytes = rest.as_bytes();
    let Some(at) = bytes.iter().position(|b| *b == b'\n' || *b == b'\r') else {
        return Some(std::mem::take(rest));
    };
    let after = if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') { at + 2 } else { at + 1 };
    let line = &rest[..at];
    *rest = &rest[after..];
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_lf_cr_or_both() {
        let mut rest = "a\r\n\nb\rc";
        let lines: Vec<_> = std::iter::from_fn(|| next_line(&mut rest)).collect();
        assert_eq!(lines, ["a", "", "b", "c"]);
    }
}
