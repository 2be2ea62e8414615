//! Lines to columns: LazySimpleSerDe, OpenCSVSerde, RegexSerDe. JSON has its own file.

use std::borrow::Cow;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;

use super::format::{SerdeKind, TextSerde};
use super::json;
use super::writers::Writer;
use crate::error::{Error, Result};

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
        if let SerdeKind::Json { ignore_malformed, mapping } = &self.serde.kind {
            let fields: Vec<_> = self.wanted.iter().map(|column| self.schema.field(*column)).collect();
            return json::decode(&fields, mapping, *ignore_malformed, rest, rows, self.path);
        }
        let mut writers = self
            .wanted
            .iter()
            .map(|column| Writer::new(self.schema.field(*column), rows))
            .collect::<Result<Vec<_>>>()?;
        let mut count = 0;
        while count < rows {
            let Some(line) = next_line(rest) else { break };
            self.line(line, &mut writers)?;
            count += 1;
        }
        Ok((writers.iter_mut().map(Writer::finish).collect(), count))
    }

    fn line(&self, line: &str, writers: &mut [Writer]) -> Result<()> {
        match &self.serde.kind {
            SerdeKind::LazySimple { delimiter, escape: None, null } => {
                let mut fields = line.split(*delimiter);
                for slot in &self.slots {
                    let field = fields.next();
                    if let Some(slot) = slot {
                        lazy(&mut writers[*slot], field, null);
                    }
                }
            }
            SerdeKind::LazySimple { delimiter, escape: Some(escape), null } => {
                let mut fields = escaped(line, *delimiter, *escape).into_iter();
                for slot in &self.slots {
                    let field = fields.next();
                    if let Some(slot) = slot {
                        lazy(&mut writers[*slot], field.as_deref(), null);
                    }
                }
            }
            SerdeKind::OpenCsv { separator, quote, escape } => {
                let mut fields = quoted(line, *separator, *quote, *escape).into_iter();
                for (column, slot) in self.slots.iter().enumerate() {
                    let field = fields.next();
                    let Some(slot) = slot else { continue };
                    let writer = &mut writers[*slot];
                    match field {
                        None => writer.null(),
                        Some(text) => {
                            if !writer.push_since_epoch(&text) {
                                return Err(Error::bad_data(format_args!(
                                    "Error parsing field value '{text}' for field {column}: For input string: \"{text}\" (file {})",
                                    self.path
                                )));
                            }
                        }
                    }
                }
            }
            SerdeKind::Regex(pattern) => {
                let groups = pattern.captures(line);
                for (column, slot) in self.slots.iter().enumerate() {
                    let Some(slot) = slot else { continue };
                    match groups.as_ref().and_then(|groups| groups.get(column + 1)) {
                        Some(text) => {
                            writers[*slot].push(text.as_str());
                        }
                        None => writers[*slot].null(),
                    }
                }
            }
            SerdeKind::Json { .. } => {}
        }
        Ok(())
    }
}

/// The next line without its end (LF or CRLF). A line feed at the very end begins no line.
pub(crate) fn next_line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    *rest = after;
    Some(line.strip_suffix('\r').unwrap_or(line))
}

fn lazy(writer: &mut Writer, field: Option<&str>, null: &str) {
    match field {
        Some(text) if text != null => {
            writer.push(text);
        }
        _ => writer.null(),
    }
}

fn escaped(line: &str, delimiter: char, escape: char) -> Vec<Cow<'_, str>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == escape {
            // `\N` stays as it is: it is the null.
            match chars.next() {
                Some('N') => field.push_str("\\N"),
                Some(next) => field.push(next),
                None => field.push(escape),
            }
        } else if c == delimiter {
            fields.push(Cow::Owned(std::mem::take(&mut field)));
        } else {
            field.push(c);
        }
    }
    fields.push(Cow::Owned(field));
    fields
}

/// Splits as opencsv does: quotes may open inside a field, a doubled quote is one, an unclosed one runs to the line's end.
fn quoted(line: &str, separator: char, quote: char, escape: char) -> Vec<Cow<'_, str>> {
    if !line.contains(quote) && !line.contains(escape) {
        return line.split(separator).map(Cow::Borrowed).collect();
    }
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut inside = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == escape && escape != quote && chars.peek().is_some_and(|next| *next == quote || *next == escape) {
            field.extend(chars.next());
        } else if c == quote {
            if inside && chars.peek() == Some(&quote) {
                field.extend(chars.next());
            } else {
                inside = !inside;
            }
        } else if c == separator && !inside {
            fields.push(Cow::Owned(std::mem::take(&mut field)));
        } else {
            field.push(c);
        }
    }
    fields.push(Cow::Owned(field));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opencsv_splits_quotes() {
        let split = |line| quoted(line, ',', '"', '\\').into_iter().map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(split(r#"a,"b,c","d""e",\"f"#), ["a", "b,c", "d\"e", "\"f"]);
        assert_eq!(split("a,,"), ["a", "", ""]);
        assert_eq!(split("\"open,x"), ["open,x"]);
    }

    #[test]
    fn lines_end_in_lf_or_crlf() {
        let mut rest = "a\r\n\nb";
        assert_eq!(next_line(&mut rest), Some("a"));
        assert_eq!(next_line(&mut rest), Some(""));
        assert_eq!(next_line(&mut rest), Some("b"));
        assert_eq!(next_line(&mut rest), None);
    }
}
