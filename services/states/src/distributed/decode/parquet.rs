//! Parquet: rows as objects. The format is read from its end, so the object lies in a file while a thread of its own reads it.

use std::fs::File;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

/// Rows that wait to be taken.
const ROWS_AHEAD: usize = 1000;

/// The rows of a file, one by one; ends when nobody takes them any more.
pub(in super::super) fn rows(file: File) -> mpsc::Receiver<Result<Value, String>> {
    let (give, take) = mpsc::channel(ROWS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let rows = SerializedFileReader::new(file).map(|reader| {
            let rows = RowIter::from_file_into(Box::new(reader));
            for row in rows {
                let row = row.map(|row| Value::Object(object(&row)));
                let failed = row.is_err();
                if give.blocking_send(row.map_err(|error| error.to_string())).is_err() || failed {
                    break;
                }
            }
        });
        if let Err(error) = rows {
            let _ = give.blocking_send(Err(format!("The object is not Parquet: {error}")));
        }
    });
    take
}

fn object(row: &Row) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

fn value(field: &Field) -> Value {
    match field {
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
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let name = |key: &Field| if let Field::Str(text) = key { text.clone() } else { key.to_string() };
            Value::Object(map.entries().iter().map(|(key, field)| (name(key), value(field))).collect())
        }
        other => Value::from(other.to_string()),
    }
}

fn date(days: i32) -> Value {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.checked_add(jiff::Span::new().days(days)).map_or(Value::Null, |date| Value::from(date.to_string()))
}

fn time(at: Result<jiff::Timestamp, jiff::Error>) -> Value {
    at.map_or(Value::Null, |at| Value::from(at.to_string()))
}
