//! Parquet: rows as objects. The format is read from its end, so the object lies in a file while a thread of its own reads it.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parquet::data_type::Decimal;
use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

/// Rows that wait to be taken.
const ROWS_AHEAD: usize = 1000;

/// The rows of a file, one by one. The reader ends when nobody takes them any more.
pub(in super::super) struct Rows(mpsc::Receiver<Read>);

/// `Ok(None)` is the file's end. Without it the reader has been cut short, and what came is not all.
type Read = Result<Option<Value>, String>;

impl Rows {
    pub(in super::super) fn of(file: File) -> Self {
        let (give, take) = mpsc::channel(ROWS_AHEAD);
        tokio::task::spawn_blocking(move || {
            // The library gives up on much that is broken, and on some that is whole, by panicking.
            let end = catch_unwind(AssertUnwindSafe(|| read(file, &give)))
                .unwrap_or_else(|panic| Err(format!("The object cannot be read as Parquet: {}", said(panic.as_ref()))));
            let _ = give.blocking_send(end.map(|()| None));
        });
        Self(take)
    }

    /// The next row; `None` at the file's end.
    pub(in super::super) async fn next(&mut self) -> Read {
        self.0.recv().await.unwrap_or_else(|| Err("The reader of the Parquet object ended unexpectedly".to_owned()))
    }
}

fn read(file: File, give: &mpsc::Sender<Read>) -> Result<(), String> {
    let reader = SerializedFileReader::new(file).map_err(|error| format!("The object is not Parquet: {error}"))?;
    for row in RowIter::from_file_into(Box::new(reader)) {
        let row = object(&row.map_err(|error| error.to_string())?)?;
        if give.blocking_send(Ok(Some(Value::Object(row)))).is_err() {
            break;
        }
    }
    Ok(())
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it is broken")
}

fn object(row: &Row) -> Result<Map<String, Value>, String> {
    row.get_column_iter().map(|(name, field)| Ok((name.clone(), value(field)?))).collect()
}

fn value(field: &Field) -> Result<Value, String> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float(value) => Value::from(*value),
        Field::Double(value) => Value::from(*value),
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => Value::from(STANDARD.encode(bytes.data())),
        Field::Date(days) => date(*days),
        Field::TimestampMillis(ms) => time(jiff::Timestamp::from_millisecond(*ms)),
        Field::TimestampMicros(us) => time(jiff::Timestamp::from_microsecond(*us)),
        Field::Decimal(number) => Value::from(decimal(number)?),
        Field::Group(row) => Value::Object(object(row)?),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect::<Result<_, _>>()?),
        Field::MapInternal(map) => {
            let name = |key: &Field| if let Field::Str(text) = key { text.clone() } else { key.to_string() };
            let members = map.entries().iter().map(|(key, field)| Ok((name(key), value(field)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
        other => Value::from(other.to_string()),
    })
}

/// All digits that the type has behind the point. (The library's own text asserts that there is one before it.)
fn decimal(number: &Decimal) -> Result<String, String> {
    let bytes = number.data();
    let fill = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let (surplus, digits) = bytes.split_at(bytes.len().saturating_sub(16));
    let Some(scale) = usize::try_from(number.scale()).ok().filter(|_| surplus.iter().all(|byte| *byte == fill)) else {
        return Err("The object has a DECIMAL of more than 38 digits".to_owned());
    };
    let mut wide = [fill; 16];
    wide[16 - digits.len()..].copy_from_slice(digits);
    let unscaled = i128::from_be_bytes(wide);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if unscaled < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
    Ok(format!("{sign}{whole}{point}{part}"))
}

fn date(days: i32) -> Value {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.checked_add(jiff::Span::new().days(days)).map_or(Value::Null, |date| Value::from(date.to_string()))
}

fn time(at: Result<jiff::Timestamp, jiff::Error>) -> Value {
    at.map_or(Value::Null, |at| Value::from(at.to_string()))
}
