//! Items out of the bytes of a file: DynamoDB JSON, an item a line, or delimited text.

use std::collections::BTreeMap;

use api_dynamodb::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use framing::{Delimited, Lines, ReaderBuilder};
use serde::Deserialize;

use crate::convert;
use crate::value::{Item, Value};

/// A line or row may be this long: an item of 400 KB, with what its text adds.
const MAX_ROW_BYTES: usize = 8 << 20;

/// Reads rows however the bytes are cut. A row that is no item is told as such.
pub(super) enum Rows {
    Json(Lines),
    Csv(Box<Csv>),
}

/// A file of delimited text that is being read.
pub(super) struct Csv {
    rows: Delimited,
    header: Option<Vec<String>>,
    /// The types that attributes have beside strings.
    types: BTreeMap<String, String>,
}

/// An item, or why there is none.
pub(super) type Row = Result<Item, String>;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Item")]
    item: BTreeMap<String, AttributeValue>,
}

impl Rows {
    pub(super) fn json() -> Self {
        Self::Json(Lines::new(MAX_ROW_BYTES))
    }

    /// The header of the file unless one is given.
    pub(super) fn csv(delimiter: u8, header: Option<Vec<String>>, types: BTreeMap<String, String>) -> Self {
        let rows = Delimited::new(ReaderBuilder::new().delimiter(delimiter).build(), MAX_ROW_BYTES);
        Self::Csv(Box::new(Csv { rows, header, types }))
    }

    /// More bytes; no bytes are the end.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Row>) -> Result<(), String> {
        match self {
            Self::Json(lines) => lines.feed(bytes, too_long, |text| {
                out.extend(line(text));
                Ok(())
            }),
            Self::Csv(csv) => csv.feed(bytes, out),
        }
    }
}

fn too_long() -> String {
    format!("A row is longer than {MAX_ROW_BYTES} bytes")
}

fn line(text: &[u8]) -> Option<Row> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    let parsed = serde_json::from_slice::<Line>(text).map_err(|error| error.to_string());
    Some(parsed.and_then(|line| convert::item(line.item).map_err(|invalid| invalid.0)))
}

impl Csv {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Row>) -> Result<(), String> {
        let (header, types) = (&mut self.header, &self.types);
        self.rows.feed(bytes, too_long, |row| {
            match (texts(row), &*header) {
                (Err(wrong), _) => out.push(Err(wrong)),
                (Ok(names), None) => *header = Some(names),
                (Ok(values), Some(header)) => out.push(item(types, header, values)),
            }
            Ok(())
        })
    }
}

fn texts(row: &[&[u8]]) -> Result<Vec<String>, String> {
    let text = |field: &&[u8]| String::from_utf8(field.to_vec()).map_err(|_| "A field is not UTF-8".to_owned());
    row.iter().map(text).collect()
}

fn item(types: &BTreeMap<String, String>, header: &[String], values: Vec<String>) -> Row {
    if values.len() != header.len() {
        return Err(format!("A row has {} fields, the header {}", values.len(), header.len()));
    }
    let attribute = |(name, text): (&String, String)| {
        let value = match types.get(name).map(String::as_str) {
            Some("N") => Value::N(text.parse().map_err(|invalid: crate::Invalid| invalid.0)?),
            Some("B") => Value::B(STANDARD.decode(&text).map_err(|error| format!("{name}: {error}"))?),
            _ => Value::S(text),
        };
        Ok((name.clone(), value))
    };
    header.iter().zip(values).map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows, whatever the pieces in which the text comes.
    fn read(mut make: impl FnMut() -> Rows, text: &str) -> Vec<Row> {
        let mut all = Vec::new();
        for piece in [1, 3, text.len()] {
            let (mut rows, mut out) = (make(), Vec::new());
            for bytes in text.as_bytes().chunks(piece) {
                rows.feed(bytes, &mut out).unwrap();
            }
            rows.feed(&[], &mut out).unwrap();
            all.push(out);
        }
        assert!(all.windows(2).all(|two| two[0] == two[1]), "{all:?}");
        all.remove(0)
    }

    #[test]
    fn lines_of_json() {
        let text = "{\"Item\":{\"p\":{\"S\":\"a\"},\"n\":{\"N\":\"1.0\"}}}\r\n\n{\"Item\":{\"p\":{\"NS\":[\"1\",\"1\"]}}}\n{\"p\":{}}\n{\"Item\":{\"p\":{\"S\":\"last\"}}}";
        let rows = read(Rows::json, text);
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0].as_ref().unwrap()["n"], Value::N("1".parse().unwrap()));
        assert!(rows[1].as_ref().unwrap_err().contains("duplicates"), "{rows:?}");
        assert!(rows[2].as_ref().unwrap_err().contains("Item"), "{rows:?}");
        assert_eq!(rows[3].as_ref().unwrap()["p"], Value::S("last".to_owned()));
    }

    #[test]
    fn delimited_text() {
        let types = || BTreeMap::from([("n".to_owned(), "N".to_owned()), ("b".to_owned(), "B".to_owned())]);
        let rows = read(|| Rows::csv(b';', None, types()), "p;n;b\n\"a;\"\"b\nc\";007;YQ==\nx;y;\nshort;1\nq;1;");
        assert_eq!(rows.len(), 4);
        let first = rows[0].as_ref().unwrap();
        assert_eq!(first["p"], Value::S("a;\"b\nc".to_owned()));
        assert_eq!(first["n"], Value::N("7".parse().unwrap()));
        assert_eq!(first["b"], Value::B(b"a".to_vec()));
        assert!(rows[1].is_err());
        assert_eq!(rows[2].as_ref().unwrap_err(), "A row has 2 fields, the header 3");
        assert!(rows[3].is_ok());
        let given = read(|| Rows::csv(b',', Some(vec!["p".to_owned()]), types()), "a\nb\n");
        assert_eq!(given.len(), 2);
    }
}
