//! JSON tables: one object a line as the openx SerDe or Hive's own reads it, or a CloudTrail file's records. What each
//! makes of a value that is not of its column's type was asked of Trino's Hive connector; duplicate keys fail as Athena
//! says they do.

mod reader;

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::Field;
use serde::de::IgnoredAny;

use super::pattern::Pattern;
use super::writers::{self, Writer};
use crate::error::{Error, Result};
use reader::{Node, read};

/// How the members of an object become columns.
#[derive(Debug, Clone)]
pub(crate) struct Json {
    pub(crate) dialect: Dialect,
    pub(crate) ignore_malformed: bool,
    pub(crate) case_insensitive: bool,
    /// `dots.in.keys`: a key's dots stand for underscores of a column's name.
    pub(crate) dots_in_keys: bool,
    /// Column to key.
    pub(crate) mapping: Vec<(String, String)>,
    pub(crate) timestamps: Vec<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Openx,
    Hive,
}

/// The wanted columns of one batch.
pub(crate) struct Rows<'a> {
    json: &'a Json,
    names: Vec<Name>,
    /// Position among the table's columns, for rows that are lists.
    ordinals: Vec<usize>,
    writers: Vec<Writer>,
    path: &'a str,
}

/// The name of a column or struct member, and the key that it is read from.
struct Name {
    original: String,
    key: String,
}

impl Name {
    fn of(json: &Json, name: &str) -> Self {
        let key = json.mapping.iter().find(|(column, _)| column == name).map_or(name, |(_, key)| key);
        Self { original: name.to_owned(), key: key.to_owned() }
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        json: &'a Json,
        fields: &[&Field],
        ordinals: Vec<usize>,
        rows: usize,
        path: &'a str,
    ) -> Result<Self> {
        Ok(Self {
            json,
            names: fields.iter().map(|field| Name::of(json, field.name())).collect(),
            ordinals,
            writers: fields.iter().map(|field| Writer::new(field, rows)).collect::<Result<_>>()?,
            path,
        })
    }

    /// One line, one row.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        let line = line.trim();
        let node = match self.json.dialect {
            Dialect::Openx if !line.starts_with(['{', '[']) => Ok(Node::Null),
            Dialect::Openx => read(line),
            Dialect::Hive => strict(line),
        };
        let node = node.and_then(|node| match duplicate(&node, self.json.case_insensitive) {
            Some(key) => Err(format!("Duplicate key \"{key}\"")),
            None => Ok(node),
        });
        match node {
            Ok(node) => self.row(&node),
            Err(_) if self.json.ignore_malformed => {
                self.writers.iter_mut().for_each(Writer::null);
                Ok(())
            }
            Err(why) => Err(malformed(&why, self.path)),
        }
    }

    /// Each record of a CloudTrail file; gives their number.
    pub(crate) fn cloudtrail(&mut self, text: &str) -> Result<usize> {
        let Node::Object(members) = read(text).map_err(|why| malformed(&why, self.path))? else {
            return Err(malformed("a CloudTrail file is an object with Records", self.path));
        };
        let records = members.into_iter().find(|(key, _)| key == "Records").map(|(_, records)| records);
        let Some(Node::List(records)) = records else { return Ok(0) };
        for record in &records {
            self.row(record)?;
        }
        Ok(records.len())
    }

    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.writers.iter_mut().map(Writer::finish).collect()
    }

    fn row(&mut self, node: &Node<'_>) -> Result<()> {
        match node {
            Node::Null => self.writers.iter_mut().for_each(Writer::null),
            Node::Object(members) => {
                for (name, writer) in self.names.iter().zip(&mut self.writers) {
                    let value = member(self.json, members, name).unwrap_or(&Node::Null);
                    self.json.value(writer, value, self.path)?;
                }
            }
            Node::List(items) if self.json.dialect == Dialect::Openx => {
                for (ordinal, writer) in self.ordinals.iter().zip(&mut self.writers) {
                    self.json.value(writer, items.get(*ordinal).unwrap_or(&Node::Null), self.path)?;
                }
            }
            _ => return Err(malformed("start of object expected", self.path)),
        }
        Ok(())
    }
}

/// The last member of the name that is there.
fn member<'n, 't>(json: &Json, members: &'n [(Cow<'t, str>, Node<'t>)], name: &Name) -> Option<&'n Node<'t>> {
    let same = |a: &str, b: &str| {
        if json.case_insensitive { a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase() } else { a == b }
    };
    let exact = members.iter().rfind(|(key, _)| key == &name.key || same(key, &name.key));
    let found = exact.or_else(|| {
        let dotted = json.dots_in_keys && name.original.contains('_');
        dotted.then(|| {
            members.iter().find(|(key, _)| key.contains('.') && same(&key.replace('.', "_"), &name.original))
        })?
    });
    found.map(|(_, node)| node)
}

/// A key that stands twice in one object, at any depth.
fn duplicate(node: &Node<'_>, case_insensitive: bool) -> Option<String> {
    match node {
        Node::Object(members) => {
            let mut keys: Vec<Cow<'_, str>> = members
                .iter()
                .map(|(key, _)| match key {
                    key if case_insensitive && key.chars().any(char::is_uppercase) => Cow::Owned(key.to_lowercase()),
                    key => Cow::Borrowed(key.as_ref()),
                })
                .collect();
            keys.sort_unstable();
            let twice = keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone().into_owned());
            twice.or_else(|| members.iter().find_map(|(_, node)| duplicate(node, case_insensitive)))
        }
        Node::List(items) => items.iter().find_map(|node| duplicate(node, case_insensitive)),
        _ => None,
    }
}

/// JSON by the book; what follows the value is not looked at.
fn strict(line: &str) -> std::result::Result<Node<'_>, String> {
    match serde_json::Deserializer::from_str(line).into_iter::<IgnoredAny>().next() {
        Some(Ok(_)) => read(line),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("Unexpected end-of-input".to_owned()),
    }
}

fn malformed(why: &str, path: &str) -> Error {
    Error::user(
        1104,
        "HIVE_CURSOR_ERROR",
        format_args!("Row is not a valid JSON Object - JSONException: {why} [file {path}]"),
    )
}

impl Json {
    fn value(&self, writer: &mut Writer, node: &Node<'_>, path: &str) -> Result<()> {
        if *node == Node::Null {
            writer.null();
            return Ok(());
        }
        match writer {
            Writer::List(list) => {
                let items = match node {
                    Node::List(items) => items.as_slice(),
                    // One value is a list of one, except that nothing is no list.
                    Node::Text { text, .. } if self.dialect == Dialect::Openx && text.is_empty() => {
                        writer.null();
                        return Ok(());
                    }
                    other if self.dialect == Dialect::Openx => std::slice::from_ref(other),
                    other => return Err(mismatch(other, "ARRAY", path)),
                };
                for item in items {
                    self.value(&mut list.item, item, path)?;
                }
                list.end(items.len())
            }
            Writer::Map(map) => match node {
                Node::Object(members) => {
                    let mut count = 0;
                    for (i, (key, value)) in members.iter().enumerate() {
                        // Of equal keys the last counts.
                        if members[i + 1..].iter().any(|(later, _)| later == key) {
                            continue;
                        }
                        self.value(&mut map.key, &Node::Text { text: Cow::Borrowed(key), quoted: true }, path)?;
                        self.value(&mut map.value, value, path)?;
                        count += 1;
                    }
                    map.end(count)
                }
                node if self.blank(node) => {
                    writer.null();
                    Ok(())
                }
                other => Err(mismatch(other, "MAP", path)),
            },
            Writer::Struct(row) => {
                match node {
                    Node::Object(members) => {
                        for (field, writer) in row.fields.iter().zip(&mut row.members) {
                            let name = Name::of(self, &field.name().to_lowercase());
                            self.value(writer, member(self, members, &name).unwrap_or(&Node::Null), path)?;
                        }
                    }
                    Node::List(items) if self.dialect == Dialect::Openx => {
                        for (i, writer) in row.members.iter_mut().enumerate() {
                            self.value(writer, items.get(i).unwrap_or(&Node::Null), path)?;
                        }
                    }
                    node if self.blank(node) => row.members.iter_mut().for_each(Writer::null),
                    other => return Err(mismatch(other, "ROW", path)),
                }
                row.end();
                Ok(())
            }
            writer => match self.dialect {
                Dialect::Openx => openx(writer, node, &self.timestamps, path),
                Dialect::Hive => hive(writer, node, &self.timestamps, path),
            },
        }
    }

    fn blank(&self, node: &Node<'_>) -> bool {
        self.dialect == Dialect::Openx && matches!(node, Node::Text { text, .. } if text.trim().is_empty())
    }
}

fn mismatch(node: &Node<'_>, ty: &str, path: &str) -> Error {
    let kind = match node {
        Node::Null => "null",
        Node::Text { .. } => "Primitive",
        Node::List(_) => "JSON array",
        Node::Object(_) => "JSON object",
    };
    Error::bad_data(format_args!("Invalid JSON: {kind} can not be coerced to a {ty} [file {path}]"))
}

/// A scalar column as openx reads it: texts of numbers are numbers, what is none is null, text columns take anything.
fn openx(writer: &mut Writer, node: &Node<'_>, formats: &[Pattern], path: &str) -> Result<()> {
    let Node::Text { text, quoted } = node else {
        return match writer {
            Writer::Utf8(b, length) => {
                let mut out = String::new();
                print(node, &mut out);
                b.append_value(length.cut(&out));
                Ok(())
            }
            // Java's Boolean.parseBoolean of any other text.
            Writer::Boolean(b) => {
                b.append_value(false);
                Ok(())
            }
            _ => Err(mismatch(node, type_name(writer), path)),
        };
    };
    match writer {
        Writer::Utf8(b, length) if *quoted => b.append_value(length.cut(text)),
        Writer::Utf8(b, length) => b.append_value(length.cut(&canonical(text))),
        Writer::Boolean(b) => b.append_value(text.eq_ignore_ascii_case("true")),
        Writer::Int8(b) => b.append_option(long(text).and_then(|n| n.try_into().ok())),
        Writer::Int16(b) => b.append_option(long(text).and_then(|n| n.try_into().ok())),
        Writer::Int32(b) => b.append_option(long(text).and_then(|n| n.try_into().ok())),
        Writer::Int64(b) => b.append_option(long(text)),
        Writer::Date(b) => b.append_option(openx_date(text)),
        Writer::Timestamp(b) => b.append_option(openx_timestamp(text, formats)),
        Writer::Binary(b) if *quoted => match base64::engine::general_purpose::STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => b.append_value(bytes),
            Err(error) => {
                return Err(Error::bad_data(format_args!("Invalid JSON: binary is not base64: {error} [file {path}]")));
            }
        },
        Writer::Binary(_) => return Err(mismatch(node, "VARBINARY", path)),
        writer => {
            writer.push(text);
        }
    }
    Ok(())
}

/// A scalar column as Hive's SerDe reads it: a number must be one.
fn hive(writer: &mut Writer, node: &Node<'_>, formats: &[Pattern], path: &str) -> Result<()> {
    let Node::Text { text, quoted } = node else {
        return Err(mismatch(node, type_name(writer), path));
    };
    let ty = type_name(writer);
    let wrong = || Error::bad_data(format_args!("Invalid JSON: '{text}' is no {ty} [file {path}]"));
    let number = || if *quoted { None } else { integral(text) };
    match writer {
        Writer::Utf8(b, length) => b.append_value(length.cut(text)),
        Writer::Binary(b) => b.append_value(text.as_bytes()),
        Writer::Boolean(b) => b.append_value(text.eq_ignore_ascii_case("true")),
        Writer::Int8(b) => b.append_value(number().and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Writer::Int16(b) => b.append_value(number().and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Writer::Int32(b) => b.append_value(number().and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Writer::Int64(b) => b.append_value(number().ok_or_else(wrong)?),
        Writer::Float32(_) | Writer::Float64(_) => {
            if *quoted || !writer.push(text) {
                return Err(wrong());
            }
        }
        Writer::Timestamp(b) => {
            let read = formats.iter().find_map(|format| format.read(text.trim()));
            let millis = read.map(|at| at.and_utc().timestamp_millis()).or_else(|| writers::hive_timestamp(text));
            b.append_value(millis.ok_or_else(wrong)?);
        }
        Writer::Date(b) => b.append_value(writers::date(text).ok_or_else(wrong)?),
        writer => {
            writer.push(text);
        }
    }
    Ok(())
}

/// The whole part of a JSON number.
fn integral(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| writers::decimal_floor(text))
}

fn type_name(writer: &Writer) -> &'static str {
    match writer {
        Writer::Boolean(_) => "BOOLEAN",
        Writer::Int8(_) => "TINYINT",
        Writer::Int16(_) => "SMALLINT",
        Writer::Int32(_) => "INTEGER",
        Writer::Int64(_) => "BIGINT",
        Writer::Float32(_) => "REAL",
        Writer::Float64(_) => "DOUBLE",
        Writer::Decimal(..) => "DECIMAL",
        Writer::Date(_) => "DATE",
        Writer::Timestamp(_) => "TIMESTAMP",
        Writer::Utf8(..) => "VARCHAR",
        Writer::Binary(_) => "VARBINARY",
        Writer::List(_) => "ARRAY",
        Writer::Map(_) => "MAP",
        Writer::Struct(_) => "ROW",
    }
}

/// Decimal, `0x1F`, `017`, or the whole part of another number.
fn long(text: &str) -> Option<i64> {
    plain_long(text).or_else(|| writers::decimal_floor(text))
}

fn plain_long(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    match bytes {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => i64::from_str_radix(&text[2..], 16).ok(),
        [b'0', b'0'..=b'8', ..] => i64::from_str_radix(&text[1..], 8).ok(),
        _ => text.parse().ok(),
    }
}

/// What stands without quotes, in the one spelling of its value; other words stay as they are.
fn canonical(text: &str) -> Cow<'_, str> {
    if text.eq_ignore_ascii_case("true") {
        return Cow::Borrowed("true");
    }
    if text.eq_ignore_ascii_case("false") {
        return Cow::Borrowed("false");
    }
    match plain_long(text) {
        Some(number) => Cow::Owned(number.to_string()),
        None => Cow::Borrowed(text),
    }
}

/// Compact JSON text.
fn print(node: &Node<'_>, out: &mut String) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Text { text, quoted: false } => out.push_str(&canonical(text)),
        Node::Text { text, .. } => out.push_str(&serde_json::Value::from(text.as_ref()).to_string()),
        Node::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                print(item, out);
            }
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            for (i, (key, value)) in members.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                let _ = write!(out, "{comma}{}:", serde_json::Value::from(key.as_ref()));
                print(value, out);
            }
            out.push('}');
        }
    }
}

/// `2020-01-02` with anything but a digit behind, or days since 1970.
fn openx_date(text: &str) -> Option<i32> {
    let trimmed = text.trim();
    let mut dashes = 0;
    let end = trimmed
        .char_indices()
        .find(|(at, c)| {
            if *c == '-' && *at > 0 {
                dashes += 1;
            }
            !(c.is_ascii_digit() || (*c == '-' && dashes <= 2))
        })
        .map_or(trimmed.len(), |(at, _)| at);
    let day = (dashes == 2).then(|| writers::date(&trimmed[..end])).flatten();
    day.or_else(|| i32::try_from(plain_long(text)?).ok())
}

/// A given format, ISO 8601 with a zone, Hive's own form, seconds with a fraction, milliseconds (13 digits or more) or
/// seconds since 1970.
fn openx_timestamp(text: &str, formats: &[Pattern]) -> Option<i64> {
    if let Some(at) = formats.iter().find_map(|format| format.read(text)) {
        return Some(at.and_utc().timestamp_millis());
    }
    if text.find(':').is_some_and(|at| at > 0) {
        let zoned = chrono::DateTime::parse_from_rfc3339(text)
            .or_else(|_| chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
        return match zoned {
            Ok(at) if text.contains(['T', 't']) => Some(at.timestamp_millis()),
            _ => writers::hive_timestamp(text),
        };
    }
    if !text.bytes().all(|b| b"-+.0123456789".contains(&b)) {
        return None;
    }
    if text.contains('.') {
        return i64::try_from(writers::decimal_down(text, 3)?).ok();
    }
    let number: i64 = text.parse().ok()?;
    if text.len() >= 13 { Some(number) } else { number.checked_mul(1000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::parse_hive_field;
    use crate::value::write_value;

    fn openx() -> Json {
        Json {
            dialect: Dialect::Openx,
            ignore_malformed: false,
            case_insensitive: true,
            dots_in_keys: false,
            mapping: Vec::new(),
            timestamps: Vec::new(),
        }
    }

    fn read_as(json: &Json, name: &str, ty: &str, lines: &[&str]) -> Result<Vec<String>> {
        let field = parse_hive_field(name, ty).unwrap();
        let mut rows = Rows::new(json, &[&field], vec![0], lines.len(), "s3://b/k")?;
        for line in lines {
            rows.line(line)?;
        }
        let arrays = rows.finish()?;
        Ok((0..lines.len())
            .map(|row| {
                let mut out = String::new();
                if write_value(&arrays[0], row, &mut out) { out } else { "NULL".to_owned() }
            })
            .collect())
    }

    #[test]
    fn members_become_columns() {
        let read = |ty: &str, value: &str| {
            read_as(&openx(), "a", ty, &[&format!("{{\"A\":{value}}}")]).map_or_else(|e| e.message, |mut v| v.remove(0))
        };
        for (ty, value, expected) in [
            ("int", "1", "1"),
            ("int", "\"12\"", "12"),
            ("int", "1.9", "1"),
            ("int", "\"x\"", "NULL"),
            ("bigint", "0x1f", "31"),
            ("tinyint", "300", "NULL"),
            ("string", "1.50", "1.50"),
            ("string", "{\"b\": [1, \"x\"]}", "{\"b\":[1,\"x\"]}"),
            ("boolean", "\"TRUE\"", "true"),
            ("boolean", "1", "false"),
            ("array<string>", "\"one\"", "[one]"),
            ("array<int>", "[1, null]", "[1, null]"),
            ("struct<x:int,y:array<string>>", "{\"X\":1,\"y\":[\"p\",null]}", "{x=1, y=[p, null]}"),
            ("struct<x:int,y:int>", "[1]", "{x=1, y=null}"),
            ("map<string,double>", "{\"k\":1}", "{k=1.0}"),
            ("map<int,int>", "{\"k\":1,\"2\":3}", "{2=3}"),
            ("decimal(5,2)", "\"3.145\"", "3.15"),
            ("date", "\"2020-01-02T03:04\"", "2020-01-02"),
            ("date", "20455", "2026-01-02"),
            ("timestamp", "\"2020-01-02T03:04:05+0100\"", "2020-01-02 02:04:05.000"),
            ("timestamp", "1577934245", "2020-01-02 03:04:05.000"),
            ("timestamp", "1577934245123", "2020-01-02 03:04:05.123"),
            ("timestamp", "1577934245.5", "2020-01-02 03:04:05.500"),
        ] {
            assert_eq!(read(ty, value), expected, "{ty} {value}");
        }
        assert!(read("struct<x:int>", "\"no\"").starts_with("HIVE_BAD_DATA"));
        assert!(read("int", "{}").starts_with("HIVE_BAD_DATA"));
    }

    #[test]
    fn a_broken_line_fails_unless_ignored() {
        let lines = ["{\"a\":1}", "{\"a\":", "", "{\"a\":3}"];
        let error = read_as(&openx(), "a", "int", &lines).unwrap_err();
        assert!(error.message.starts_with("HIVE_CURSOR_ERROR: Row is not a valid JSON Object"), "{error}");
        let ignore = Json { ignore_malformed: true, ..openx() };
        assert_eq!(read_as(&ignore, "a", "int", &lines).unwrap(), ["1", "NULL", "NULL", "3"]);
        for line in ["{\"a\":1,\"A\":2}", "{\"b\":{\"x\":1,\"x\":2}}"] {
            let error = read_as(&openx(), "a", "int", &[line]).unwrap_err();
            assert!(error.message.contains("Duplicate key"), "{error}");
        }
    }

    #[test]
    fn keys_are_mapped() {
        let mapped = Json { mapping: vec![("ts".to_owned(), "time-stamp".to_owned())], ..openx() };
        assert_eq!(read_as(&mapped, "ts", "int", &["{\"Time-Stamp\":1}"]).unwrap(), ["1"]);
        let exact = Json { case_insensitive: false, mapping: vec![("u".to_owned(), "Url".to_owned())], ..openx() };
        assert_eq!(read_as(&exact, "u", "string", &["{\"URL\":1,\"Url\":2}"]).unwrap(), ["2"]);
        let dots = Json { dots_in_keys: true, ..openx() };
        assert_eq!(read_as(&dots, "a_b", "int", &["{\"a.b\":7}"]).unwrap(), ["7"]);
    }

    #[test]
    fn hive_wants_numbers_to_be_numbers() {
        let hive = Json { dialect: Dialect::Hive, ..openx() };
        assert_eq!(read_as(&hive, "a", "int", &["{\"a\":1.7}", "{}"]).unwrap(), ["1", "NULL"]);
        for (ty, line) in [
            ("int", "{\"a\":\"1\"}"),
            ("int", ""),
            ("string", "{\"a\":{}}"),
            ("int", "{a:1}"),
            ("tinyint", "{\"a\":300}"),
            ("int", "[1]"),
            ("int", "{\"a\":1,\"a\":2}"),
        ] {
            assert!(read_as(&hive, "a", ty, &[line]).is_err(), "{line}");
        }
    }

    #[test]
    fn cloudtrail_files_hold_records() {
        let json = openx();
        let field = parse_hive_field("eventname", "string").unwrap();
        let mut rows = Rows::new(&json, &[&field], vec![0], 1, "s3://b/k").unwrap();
        assert_eq!(rows.cloudtrail("{\"Records\":[{\"eventName\":\"A\"},\n{\"eventName\":\"B\"}]}").unwrap(), 2);
        assert_eq!(rows.finish().unwrap()[0].len(), 2);
    }
}
