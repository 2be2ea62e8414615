//! Values as the protocol's JSON has them: what JSON cannot say is text there, of binary values in base64, of maps' keys always.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value as Json;
use trino_functions::text::{instant, write_result};
use trino_functions::types::VARCHAR;
use trino_functions::{Type, Value, parse};

use crate::error::{Error, Result};
use crate::result::quote;
use crate::types::ColumnInfo;

/// A type as the protocol tells it. (The text that comes with it does not quote the names of a row's fields.)
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Signature {
    raw_type: String,
    #[serde(default)]
    arguments: Vec<Argument>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "SCREAMING_SNAKE_CASE")]
enum Argument {
    Type(Signature),
    NamedType(NamedType),
    Long(i64),
    /// Of types that have no other place here.
    Variable(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamedType {
    field_name: Option<FieldName>,
    type_signature: Signature,
}

#[derive(Debug, Deserialize)]
struct FieldName {
    name: String,
}

impl Signature {
    /// None: of a type whose content is Trino's own, such as a sketch.
    fn ty(&self) -> Option<Type> {
        let number = |at: usize| match self.arguments.get(at) {
            Some(Argument::Long(value)) => Some(*value),
            _ => None,
        };
        let small = |at: usize| number(at).map_or(Some(3), |n| u8::try_from(n).ok());
        let inner = |at: usize| match self.arguments.get(at)? {
            Argument::Type(signature) => signature.ty(),
            _ => None,
        };
        Some(match self.raw_type.as_str() {
            "unknown" => Type::Unknown,
            "boolean" => Type::Boolean,
            "tinyint" => Type::Tinyint,
            "smallint" => Type::Smallint,
            "integer" => Type::Integer,
            "bigint" => Type::Bigint,
            "real" => Type::Real,
            "double" => Type::Double,
            "decimal" => Type::Decimal(u8::try_from(number(0)?).ok()?, u8::try_from(number(1)?).ok()?),
            "varchar" => {
                Type::Varchar(number(0).filter(|n| *n < i64::from(i32::MAX)).and_then(|n| u32::try_from(n).ok()))
            }
            "char" => Type::Char(u32::try_from(number(0)?).ok()?),
            "varbinary" => Type::Varbinary,
            "json" => Type::Json,
            "date" => Type::Date,
            "time" => Type::Time(small(0)?),
            "time with time zone" => Type::TimeTz(small(0)?),
            "timestamp" => Type::Timestamp(small(0)?),
            "timestamp with time zone" => Type::TimestampTz(small(0)?),
            "interval day to second" => Type::IntervalDay,
            "interval year to month" => Type::IntervalYear,
            "uuid" => Type::Uuid,
            "ipaddress" => Type::Ipaddress,
            "array" => Type::array(inner(0)?),
            "map" => Type::map(inner(0)?, inner(1)?),
            "row" => Type::Row(self.arguments.iter().map(Argument::field).collect::<Option<_>>()?),
            _ => return None,
        })
    }
}

impl Argument {
    fn field(&self) -> Option<(Option<String>, Type)> {
        match self {
            Self::NamedType(NamedType { field_name, type_signature }) => {
                Some((field_name.as_ref().map(|field| field.name.clone()), type_signature.ty()?))
            }
            _ => None,
        }
    }
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    name: String,
    ty: Type,
}

impl Column {
    pub(super) fn of(name: &str, signature: &Signature) -> Result<Self> {
        let ty = signature.ty().ok_or_else(|| {
            let raw = &signature.raw_type;
            Error::not_supported(format_args!(
                "a result of type {raw}, in column {name}: cast it to varbinary or varchar"
            ))
        })?;
        Ok(Self { name: name.to_owned(), ty })
    }

    pub(crate) fn info(&self) -> ColumnInfo {
        ColumnInfo::of(&self.name, &self.ty.field(&self.name))
    }
}

pub(super) fn row(row: &[Json], columns: &[Column]) -> Result<Vec<Value>> {
    if row.len() != columns.len() {
        return Err(Error::internal(format_args!("{} values of Trino's for {} columns", row.len(), columns.len())));
    }
    row.iter().zip(columns).map(|(json, column)| value(json, &column.ty)).collect()
}

/// A line of the result's CSV.
pub(crate) fn write_row(row: &[Value], columns: &[Column], out: &mut String) {
    let mut cell = String::new();
    for (i, (value, column)) in row.iter().zip(columns).enumerate() {
        if i > 0 {
            out.push(',');
        }
        if !value.is_null() {
            cell.clear();
            write_result(value, shown(value, &column.ty), &mut cell);
            quote(&cell, out);
        }
    }
    out.push('\n');
}

/// What stays text is written as text.
fn shown<'a>(value: &Value, ty: &'a Type) -> &'a Type {
    if matches!(value, Value::Str(_)) && !matches!(ty, Type::Char(_)) { &VARCHAR } else { ty }
}

fn value(json: &Json, ty: &Type) -> Result<Value> {
    let wrong = || Error::internal(format_args!("Trino's {json} is no {ty}"));
    Ok(match (json, ty) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(value), Type::Boolean) => Value::Bool(*value),
        (Json::Number(number), Type::Tinyint | Type::Smallint | Type::Integer | Type::Bigint) => {
            Value::Int(number.as_i64().ok_or_else(wrong)?)
        }
        (Json::Number(number), Type::Double) => Value::Double(number.as_f64().ok_or_else(wrong)?),
        (Json::Number(number), Type::Real) => Value::Real(number.to_string().parse().map_err(|_| wrong())?),
        (Json::String(text), _) => of_text(text, ty).ok_or_else(wrong)?,
        (Json::Array(items), Type::Array(item)) => {
            Value::Array(items.iter().map(|json| value(json, item)).collect::<Result<_>>()?)
        }
        (Json::Array(items), Type::Row(fields)) if items.len() == fields.len() => {
            Value::Row(items.iter().zip(fields).map(|(json, (_, ty))| value(json, ty)).collect::<Result<_>>()?)
        }
        (Json::Object(entries), Type::Map(key, item)) => {
            let entry =
                |(name, json): (&String, &Json)| Ok((of_text(name, key).ok_or_else(wrong)?, value(json, item)?));
            Value::Map(entries.iter().map(entry).collect::<Result<_>>()?)
        }
        _ => return Err(wrong()),
    })
}

/// A value that JSON has as text: by its type, or as a map's key.
fn of_text(text: &str, ty: &Type) -> Option<Value> {
    Some(match ty {
        Type::Boolean => Value::Bool(text.parse().ok()?),
        Type::Tinyint | Type::Smallint | Type::Integer | Type::Bigint => Value::Int(text.parse().ok()?),
        Type::Double => Value::Double(float(text)?.parse().ok()?),
        Type::Real => Value::Real(float(text)?.parse().ok()?),
        Type::Decimal(_, scale) => {
            let (value, found) = parse::decimal(text)?;
            Value::Decimal(parse::rescale(value, found, i32::from(*scale))?)
        }
        Type::Varbinary => Value::Bytes(STANDARD.decode(text).ok()?),
        Type::Date => Value::Date(parse::date(text)?),
        Type::Time(_) | Type::TimeTz(_) => match parse::time(text)? {
            (picos, _, None) => Value::Time(picos),
            (picos, _, Some(zone)) => Value::TimeTz(picos, zone),
        },
        Type::Timestamp(_) | Type::TimestampTz(_) => match parse::timestamp(text)? {
            (picos, _, None) => Value::Timestamp(picos),
            (picos, _, Some(zone)) => Value::TimestampTz(instant(picos, zone), zone),
        },
        // The text of the last four is what results show: `2 00:00:00.000`, `1-2`, `10.0.0.1`.
        Type::Varchar(_)
        | Type::Char(_)
        | Type::Json
        | Type::IntervalDay
        | Type::IntervalYear
        | Type::Uuid
        | Type::Ipaddress => Value::str(text),
        Type::Unknown | Type::Array(_) | Type::Map(..) | Type::Row(_) | Type::Sketch(..) => return None,
    })
}

/// Java's names of what no number is.
fn float(text: &str) -> Option<&str> {
    match text {
        "NaN" => Some("NaN"),
        "Infinity" => Some("inf"),
        "-Infinity" => Some("-inf"),
        number if number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'E' | b'e')) => Some(number),
        _ => None,
    }
}
