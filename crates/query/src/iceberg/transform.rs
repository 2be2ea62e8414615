//! Hidden partitioning: what a partition's value is of a row's. <https://iceberg.apache.org/spec/#partition-transforms>

use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int32Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use serde::{Deserialize, Serialize};

use super::types::{Primitive, Schema, Type};
use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Transform {
    Identity,
    Bucket(u32),
    Truncate(u32),
    Year,
    Month,
    Day,
    Hour,
    Void,
    /// One of a later version: its values are not known here.
    Unknown,
}

impl TryFrom<String> for Transform {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        let width =
            |name: &str| -> Option<u32> { text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?.parse().ok() };
        Ok(match text.as_str() {
            "identity" => Self::Identity,
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "void" => Self::Void,
            _ => match (width("bucket"), width("truncate")) {
                (Some(n), _) if n > 0 => Self::Bucket(n),
                (_, Some(n)) if n > 0 => Self::Truncate(n),
                _ => Self::Unknown,
            },
        })
    }
}

impl From<Transform> for String {
    fn from(transform: Transform) -> Self {
        transform.to_string()
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Bucket(n) => write!(f, "bucket[{n}]"),
            Self::Truncate(n) => write!(f, "truncate[{n}]"),
            Self::Year => f.write_str("year"),
            Self::Month => f.write_str("month"),
            Self::Day => f.write_str("day"),
            Self::Hour => f.write_str("hour"),
            Self::Void => f.write_str("void"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// `day(ts)`, `bucket(16, id)` or `bucket(id, 16)`, `truncate(3, name)`, `name`: the column's number, what is made of it,
/// and the partition field's name.
pub(crate) fn declared(text: &str, schema: &Schema) -> Result<(i32, Transform, String)> {
    let wrong =
        || Error::user(1006, "INVALID_TABLE_PROPERTY", format_args!("Invalid partition field declaration: {text}"));
    let (column, transform, suffix) = match text.split_once('(') {
        None => (text.trim(), Transform::Identity, ""),
        Some((function, rest)) => {
            let inner = rest.trim_end().strip_suffix(')').ok_or_else(wrong)?;
            let (mut column, mut number) = (None, None);
            for argument in inner.split(',').map(str::trim) {
                match argument.parse::<u32>() {
                    Ok(n) if number.is_none() => number = Some(n),
                    Err(_) if column.is_none() => column = Some(argument),
                    _ => return Err(wrong()),
                }
            }
            let column = column.ok_or_else(wrong)?;
            match (function.trim(), number) {
                ("year" | "years", None) => (column, Transform::Year, "_year"),
                ("month" | "months", None) => (column, Transform::Month, "_month"),
                ("day" | "days", None) => (column, Transform::Day, "_day"),
                ("hour" | "hours", None) => (column, Transform::Hour, "_hour"),
                ("bucket", Some(n)) if n > 0 => (column, Transform::Bucket(n), "_bucket"),
                ("truncate", Some(n)) if n > 0 => (column, Transform::Truncate(n), "_trunc"),
                _ => return Err(wrong()),
            }
        }
    };
    let column = column.trim_matches(['"', '`']);
    let at = schema.position(column).ok_or_else(|| {
        Error::user(1006, "COLUMN_NOT_FOUND", format_args!("Column not found for partitioning: {column}"))
    })?;
    let field = &schema.fields[at];
    let Type::Primitive(ty) = &field.ty else { return Err(unfit(transform, text)) };
    if !transform.takes(ty) {
        return Err(unfit(transform, ty));
    }
    Ok((field.id, transform, format!("{}{suffix}", field.name)))
}

fn unfit(transform: Transform, ty: impl fmt::Display) -> Error {
    Error::not_supported(format_args!("Unsupported type for transform {transform}: {ty}"))
}

impl Transform {
    fn takes(self, ty: &Primitive) -> bool {
        use Primitive as P;
        match self {
            Self::Identity | Self::Void => !matches!(ty, P::Other(_)),
            Self::Year | Self::Month | Self::Day => matches!(ty, P::Date | P::Timestamp | P::Timestamptz),
            Self::Hour => matches!(ty, P::Timestamp | P::Timestamptz),
            Self::Truncate(_) => matches!(ty, P::Int | P::Long | P::Decimal(..) | P::String | P::Binary),
            Self::Bucket(_) => !matches!(ty, P::Boolean | P::Float | P::Double | P::Other(_)),
            Self::Unknown => false,
        }
    }

    /// The type of a partition's value.
    pub(crate) fn result(self, source: &Primitive) -> Primitive {
        match self {
            Self::Identity | Self::Truncate(_) | Self::Void | Self::Unknown => source.clone(),
            Self::Bucket(_) | Self::Year | Self::Month | Self::Hour => Primitive::Int,
            // The specification says int; all writers put a date.
            Self::Day => Primitive::Date,
        }
    }

    /// The values of partitions for the values of rows, which stand in the type that data files hold.
    pub(crate) fn apply(self, array: &ArrayRef, ty: &Primitive) -> Result<ArrayRef> {
        if !self.takes(ty) {
            return Err(unfit(self, ty));
        }
        match self {
            Self::Identity => Ok(Arc::clone(array)),
            Self::Void => Ok(datafusion::arrow::array::new_null_array(array.data_type(), array.len())),
            Self::Year => units(array, |day| i64::from(year_month(day).0) - 1970),
            Self::Month => units(array, |day| {
                let (year, month) = year_month(day);
                (i64::from(year) - 1970) * 12 + i64::from(month) - 1
            }),
            Self::Day => {
                let days = units(array, |day| day)?;
                Ok(Arc::new(days.as_primitive::<Int32Type>().reinterpret_cast::<Date32Type>()) as ArrayRef)
            }
            Self::Hour => {
                let micros = micros(array)?;
                let hours = micros.as_primitive::<TimestampMicrosecondType>();
                narrow(hours.iter().map(|value| value.map(|value| value.div_euclid(3_600_000_000))))
            }
            Self::Bucket(n) => bucket(array, ty, n),
            Self::Truncate(width) => truncate(array, ty, width),
            Self::Unknown => Err(unfit(self, ty)),
        }
    }

    /// A partition's value as the names of folders and `$partition` have it.
    pub(crate) fn human(self, value: &ScalarValue) -> String {
        if value.is_null() {
            return "null".to_owned();
        }
        let number = || match value {
            ScalarValue::Int32(Some(n)) | ScalarValue::Date32(Some(n)) => i64::from(*n),
            ScalarValue::Int64(Some(n)) => *n,
            _ => 0,
        };
        match self {
            Self::Year => format!("{:04}", number() + 1970),
            Self::Month => format!("{:04}-{:02}", number().div_euclid(12) + 1970, number().rem_euclid(12) + 1),
            Self::Hour => {
                let hours = number();
                format!("{}-{:02}", date(hours.div_euclid(24)), hours.rem_euclid(24))
            }
            Self::Day => date(number()),
            _ => plain(value),
        }
    }
}

fn date(days: i64) -> String {
    let mut text = String::new();
    if let Ok(array) = ScalarValue::Date32(i32::try_from(days).ok()).to_array() {
        crate::value::write_value(array.as_ref(), 0, &mut text);
    }
    text
}

fn plain(value: &ScalarValue) -> String {
    use base64::Engine;
    match value {
        ScalarValue::Binary(Some(bytes)) => base64::engine::general_purpose::STANDARD.encode(bytes),
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            let moment = chrono::DateTime::from_timestamp_micros(*micros).unwrap_or_default();
            let text = moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string();
            if zone.is_some() { format!("{text}+00:00") } else { text }
        }
        value => {
            let mut text = String::new();
            if let Ok(array) = value.to_array() {
                crate::value::write_value(array.as_ref(), 0, &mut text);
            }
            text
        }
    }
}

fn narrow(values: impl Iterator<Item = Option<i64>>) -> Result<ArrayRef> {
    let values = values.map(|value| value.map(i32::try_from).transpose().map_err(Error::internal));
    Ok(Arc::new(values.collect::<Result<Int32Array>>()?))
}

fn micros(array: &ArrayRef) -> Result<ArrayRef> {
    cast(array, &DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None))
        .map_err(Error::internal)
}

/// Something of each value's day since 1970.
fn units(array: &ArrayRef, of_day: impl Fn(i64) -> i64) -> Result<ArrayRef> {
    if array.data_type() == &DataType::Date32 {
        let days = array.as_primitive::<Date32Type>();
        return narrow(days.iter().map(|day| day.map(|day| of_day(i64::from(day)))));
    }
    let micros = micros(array)?;
    let values = micros.as_primitive::<TimestampMicrosecondType>();
    narrow(values.iter().map(|value| value.map(|value| of_day(value.div_euclid(86_400_000_000)))))
}

fn year_month(day: i64) -> (i32, u32) {
    use chrono::Datelike;
    let date = i32::try_from(day).ok().and_then(from_days).unwrap_or_default();
    (date.year(), date.month())
}

/// A day since 1970 as a date.
fn from_days(day: i32) -> Option<chrono::NaiveDate> {
    chrono::NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_signed(chrono::Duration::days(i64::from(day)))
}

/// The hash of a value, as appendix B of the specification has it.
fn hash(bytes: &[u8]) -> i32 {
    // Reading from memory does not fail.
    murmur3::murmur3_32(&mut Cursor::new(bytes), 0).unwrap_or(0).cast_signed()
}

fn bucket(array: &ArrayRef, ty: &Primitive, n: u32) -> Result<ArrayRef> {
    let of = |bytes: &[u8]| i64::from(hash(bytes) & i32::MAX) % i64::from(n);
    let hashed = |row: usize| -> Option<i64> {
        if array.is_null(row) {
            return None;
        }
        Some(match array.data_type() {
            DataType::Utf8 => of(array.as_string::<i32>().value(row).as_bytes()),
            DataType::Binary => of(array.as_binary::<i32>().value(row)),
            DataType::FixedSizeBinary(_) => of(array.as_fixed_size_binary().value(row)),
            DataType::Decimal128(..) => of(&shortest(array.as_primitive::<Decimal128Type>().value(row))),
            _ => return None,
        })
    };
    match ty {
        Primitive::String | Primitive::Binary | Primitive::Fixed(_) | Primitive::Uuid | Primitive::Decimal(..) => {
            narrow((0..array.len()).map(hashed))
        }
        _ => {
            let longs = match array.data_type() {
                DataType::Int32 | DataType::Date32 => {
                    cast(&cast(array, &DataType::Int32).map_err(Error::internal)?, &DataType::Int64)
                }
                _ => cast(array, &DataType::Int64),
            };
            let longs = longs.map_err(Error::internal)?;
            let longs = longs.as_primitive::<Int64Type>();
            narrow(longs.iter().map(|value| value.map(|value| of(&value.to_le_bytes()))))
        }
    }
}

/// The fewest bytes of a number in two's complement, the highest first.
pub(crate) fn shortest(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut start = 0;
    while start < 15 {
        let (first, next) = (bytes[start], bytes[start + 1]);
        if (first == 0 && next < 0x80) || (first == 0xff && next >= 0x80) {
            start += 1;
        } else {
            break;
        }
    }
    bytes[start..].to_vec()
}

fn truncate(array: &ArrayRef, ty: &Primitive, width: u32) -> Result<ArrayRef> {
    Ok(match ty {
        Primitive::Int => {
            let width = i64::from(width);
            let values = array.as_primitive::<Int32Type>();
            narrow(values.iter().map(|value| {
                let value = i64::from(value?);
                Some((value - value.rem_euclid(width)).max(i64::from(i32::MIN)))
            }))?
        }
        Primitive::Long => {
            let width = i64::from(width);
            Arc::new(
                array
                    .as_primitive::<Int64Type>()
                    .unary::<_, Int64Type>(|value| value.wrapping_sub(value.rem_euclid(width))),
            )
        }
        Primitive::Decimal(..) => {
            let values = array.as_primitive::<Decimal128Type>();
            let width = i128::from(width);
            let cut = values.unary::<_, Decimal128Type>(|value| value - value.rem_euclid(width));
            Arc::new(cut.with_data_type(array.data_type().clone()))
        }
        Primitive::String => {
            let width = width as usize;
            let texts = array.as_string::<i32>().iter();
            Arc::new(
                texts
                    .map(|text| text.map(|text| text.chars().take(width).collect::<String>()))
                    .collect::<StringArray>(),
            )
        }
        Primitive::Binary => {
            let width = width as usize;
            let bytes = array.as_binary::<i32>().iter();
            Arc::new(
                bytes.map(|bytes| bytes.map(|bytes| bytes[..bytes.len().min(width)].to_vec())).collect::<BinaryArray>(),
            )
        }
        other => return Err(unfit(Transform::Truncate(width), other)),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Decimal128Array, FixedSizeBinaryArray, Int64Array, TimestampMicrosecondArray};

    use super::*;

    /// The values of the specification's appendix B.
    #[test]
    fn hashes_of_the_specification() {
        assert_eq!(hash(&34i64.to_le_bytes()), 2_017_239_379);
        assert_eq!(hash(&shortest(1420)), -500_754_589);
        assert_eq!(hash(&17_486i64.to_le_bytes()), -653_330_422);
        assert_eq!(hash(&1_510_871_468_000_000i64.to_le_bytes()), -2_047_944_441);
        assert_eq!(hash("iceberg".as_bytes()), 1_210_000_089);
        assert_eq!(hash(&[0, 1, 2, 3]), -188_683_207);
        let uuid = 0xf79c_3e09_677c_4bbd_a479_3f34_9cb7_85e7_u128.to_be_bytes();
        assert_eq!(hash(&uuid), 1_488_055_340);
        let uuids = FixedSizeBinaryArray::try_from_iter([uuid].into_iter()).unwrap();
        let found = Transform::Bucket(16).apply(&(Arc::new(uuids) as ArrayRef), &Primitive::Uuid).unwrap();
        assert_eq!(found.as_primitive::<Int32Type>().value(0), 1_488_055_340 % 16);
    }

    #[test]
    fn times_fall_into_their_units() {
        let check = |transform: Transform, micros: i64, number: i32, text: &str| {
            let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![micros]));
            let found = transform.apply(&array, &Primitive::Timestamp).unwrap();
            let value = ScalarValue::try_from_array(&found, 0).unwrap();
            let same = matches!(value, ScalarValue::Int32(Some(n)) | ScalarValue::Date32(Some(n)) if n == number);
            assert!(same, "{transform}: {value}");
            assert_eq!(transform.human(&value), text);
        };
        // 2017-11-16T22:31:08
        let then = 1_510_871_468_000_000;
        check(Transform::Year, then, 47, "2017");
        check(Transform::Month, then, 574, "2017-11");
        check(Transform::Day, then, 17_486, "2017-11-16");
        check(Transform::Hour, then, 419_686, "2017-11-16-22");
        // The microsecond before 1970.
        check(Transform::Year, -1, -1, "1969");
        check(Transform::Month, -1, -1, "1969-12");
        check(Transform::Day, -1, -1, "1969-12-31");
        check(Transform::Hour, -1, -1, "1969-12-31-23");
    }

    #[test]
    fn truncation_goes_down() {
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![1, -1, 13]));
        let cut = Transform::Truncate(10).apply(&longs, &Primitive::Long).unwrap();
        assert_eq!(cut.as_primitive::<Int64Type>().values(), &[0, -10, 10]);
        let decimals = Decimal128Array::from(vec![1065, -1]).with_precision_and_scale(9, 2).unwrap();
        let cut = Transform::Truncate(50).apply(&(Arc::new(decimals) as ArrayRef), &Primitive::Decimal(9, 2)).unwrap();
        assert_eq!(cut.as_primitive::<Decimal128Type>().values(), &[1050, -50]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["iceberg", "é"]));
        let cut = Transform::Truncate(3).apply(&texts, &Primitive::String).unwrap();
        assert_eq!(cut.as_string::<i32>().value(0), "ice");
    }

    #[test]
    fn transforms_as_statements_and_metadata_write_them() {
        let schema = Schema::new(
            0,
            vec![
                super::super::types::Field::optional(1, "id", Type::Primitive(Primitive::Long)),
                super::super::types::Field::optional(2, "ts", Type::Primitive(Primitive::Timestamp)),
            ],
        );
        assert_eq!(declared("bucket(16, id)", &schema).unwrap(), (1, Transform::Bucket(16), "id_bucket".to_owned()));
        assert_eq!(declared("bucket(id, 16)", &schema).unwrap().1, Transform::Bucket(16));
        assert_eq!(declared("month(ts)", &schema).unwrap(), (2, Transform::Month, "ts_month".to_owned()));
        for wrong in ["hour(id)", "nothing", "bucket(0, id)", "what(ts)", "day(ts", "bucket(1, 2, id)"] {
            assert!(declared(wrong, &schema).is_err(), "{wrong}");
        }
        for text in ["identity", "bucket[16]", "truncate[4]", "year", "month", "day", "hour", "void"] {
            assert_eq!(Transform::try_from(text.to_owned()).unwrap().to_string(), text);
        }
    }
}
