//! Strings and bytes: concatenation, splitting, regular expressions, hexadecimal.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListBuilder, StringArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use regex::Regex;

use super::{Function, argument, error, get, integers, strings};

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("concat", concat_type, concat),
        Function::new("split", |_| Ok(string_list()), split),
        Function::new("regexp_extract", |_| Ok(DataType::Utf8), regexp_extract),
        Function::new("regexp_extract_all", |_| Ok(string_list()), regexp_extract_all),
        Function::new("regexp_split", |_| Ok(string_list()), regexp_split),
        Function::new("regexp_replace", |_| Ok(DataType::Utf8), regexp_replace),
        Function::new(
            "to_hex",
            |_| Ok(DataType::Utf8),
            |args, _| {
                let bytes = cast(argument(args, 0)?, &DataType::Binary)?;
                let hex = |bytes: &[u8]| {
                    bytes.iter().fold(String::new(), |mut text, byte| {
                        let _ = write!(text, "{byte:02X}");
                        text
                    })
                };
                Ok(Arc::new(bytes.as_binary::<i32>().iter().map(|b| b.map(hex)).collect::<StringArray>()))
            },
        ),
        Function::new("from_hex", |_| Ok(DataType::Binary), from_hex),
        Function::new("to_utf8", |_| Ok(DataType::Binary), |args, _| Ok(cast(argument(args, 0)?, &DataType::Binary)?)),
        Function::new(
            "from_utf8",
            |_| Ok(DataType::Utf8),
            |args, _| {
                let bytes = cast(argument(args, 0)?, &DataType::Binary)?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Ok(Arc::new(bytes.as_binary::<i32>().iter().map(|b| b.map(text)).collect::<StringArray>()))
            },
        ),
    ]
}

fn string_list() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of all functions of return types")]
fn concat_type(types: &[DataType]) -> Result<DataType> {
    match types.first() {
        Some(DataType::List(item)) => Ok(DataType::List(Arc::clone(item))),
        _ => Ok(DataType::Utf8),
    }
}

/// Null when any part is null, unlike DataFusion's own.
fn concat(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    if matches!(argument(args, 0)?.data_type(), DataType::List(_)) {
        return concat_lists(args, rows);
    }
    let parts = (0..args.len()).map(|i| strings(args, i)).collect::<Result<Vec<_>>>()?;
    let joined = |row| parts.iter().map(|part| get(part, row)).collect::<Option<Vec<_>>>().map(|parts| parts.concat());
    Ok(Arc::new((0..rows).map(joined).collect::<StringArray>()))
}

fn concat_lists(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    use datafusion::arrow::array::ListArray;
    use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
    let DataType::List(item) = args[0].data_type() else { return Err(error("concat of what is no array")) };
    let lists = args.iter().map(|arg| Ok(cast(arg, args[0].data_type())?)).collect::<Result<Vec<ArrayRef>>>()?;
    let (mut parts, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let whole = lists.iter().all(|list| list.is_valid(row));
        let items: Vec<ArrayRef> =
            if whole { lists.iter().map(|list| list.as_list::<i32>().value(row)).collect() } else { Vec::new() };
        lengths.push(items.iter().map(Array::len).sum());
        parts.extend(items);
        valid.push(whole);
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let values = if parts.is_empty() {
        datafusion::arrow::array::new_empty_array(item.data_type())
    } else {
        datafusion::arrow::compute::concat(&parts)?
    };
    let list = ListArray::try_new(
        Arc::clone(item),
        OffsetBuffer::from_lengths(lengths),
        values,
        Some(NullBuffer::from(valid)),
    )?;
    Ok(Arc::new(list))
}

/// `split(text, delimiter[, limit])`
fn split(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (texts, delimiters) = (strings(args, 0)?, strings(args, 1)?);
    let limits = if args.len() > 2 { Some(integers(args, 2)?) } else { None };
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        let (Some(text), Some(delimiter)) = (get(&texts, row), get(&delimiters, row)) else {
            lists.append_null();
            continue;
        };
        if delimiter.is_empty() {
            return Err(error("The delimiter may not be the empty string"));
        }
        let limit = limits.as_ref().map_or(usize::MAX, |limits| usize::try_from(limits.value(row)).unwrap_or(1));
        for part in text.splitn(limit, delimiter) {
            lists.values().append_value(part);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// Keeps the last pattern compiled: it is nearly always the same in all rows.
#[derive(Default)]
struct Patterns(Option<(String, Regex)>);

impl Patterns {
    fn get(&mut self, pattern: &str) -> Result<&Regex> {
        if self.0.as_ref().is_none_or(|(known, _)| known != pattern) {
            let regex = Regex::new(pattern).map_err(|e| error(format_args!("Invalid pattern '{pattern}': {e}")))?;
            self.0 = Some((pattern.to_owned(), regex));
        }
        match &self.0 {
            Some((_, regex)) => Ok(regex),
            None => Err(error("no pattern")),
        }
    }
}

fn regexp_extract(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (texts, patterns) = (strings(args, 0)?, strings(args, 1)?);
    let groups = if args.len() > 2 { Some(integers(args, 2)?) } else { None };
    let mut compiled = Patterns::default();
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let (Some(text), Some(pattern)) = (get(&texts, row), get(&patterns, row)) else {
            values.push(None);
            continue;
        };
        let group = groups.as_ref().map_or(0, |groups| usize::try_from(groups.value(row)).unwrap_or(0));
        let found = compiled.get(pattern)?.captures(text).and_then(|captures| captures.get(group));
        values.push(found.map(|found| found.as_str().to_owned()));
    }
    Ok(Arc::new(StringArray::from(values)))
}

fn regexp_extract_all(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (texts, patterns) = (strings(args, 0)?, strings(args, 1)?);
    let groups = if args.len() > 2 { Some(integers(args, 2)?) } else { None };
    let mut compiled = Patterns::default();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        let (Some(text), Some(pattern)) = (get(&texts, row), get(&patterns, row)) else {
            lists.append_null();
            continue;
        };
        let group = groups.as_ref().map_or(0, |groups| usize::try_from(groups.value(row)).unwrap_or(0));
        for captures in compiled.get(pattern)?.captures_iter(text) {
            lists.values().append_option(captures.get(group).map(|found| found.as_str()));
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

fn regexp_split(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (texts, patterns) = (strings(args, 0)?, strings(args, 1)?);
    let mut compiled = Patterns::default();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        let (Some(text), Some(pattern)) = (get(&texts, row), get(&patterns, row)) else {
            lists.append_null();
            continue;
        };
        for part in compiled.get(pattern)?.split(text) {
            lists.values().append_value(part);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// Replaces all matches; `$1` and `${name}` stand for groups.
fn regexp_replace(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (texts, patterns, replacements) = (strings(args, 0)?, strings(args, 1)?, strings(args, 2)?);
    let mut compiled = Patterns::default();
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match (get(&texts, row), get(&patterns, row), get(&replacements, row)) {
            (Some(text), Some(pattern), Some(replacement)) => {
                Some(compiled.get(pattern)?.replace_all(text, replacement).into_owned())
            }
            _ => None,
        });
    }
    Ok(Arc::new(StringArray::from(values)))
}

fn from_hex(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let texts = strings(args, 0)?;
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        values.push(match get(&texts, row) {
            None => None,
            Some(text) => {
                let byte =
                    |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
                let bytes = if text.len() % 2 == 0 {
                    text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()
                } else {
                    None
                };
                Some(bytes.ok_or_else(|| error(format_args!("Illegal characters in hex: {text}")))?)
            }
        });
    }
    Ok(Arc::new(values.iter().map(|value| value.as_deref()).collect::<BinaryArray>()))
}
