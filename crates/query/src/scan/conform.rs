//! A file's columns in the types of their table: what Trino's readers convert is converted, what they refuse is
//! HIVE_BAD_DATA in Athena's words. Nested members are matched by name without regard to case; what a file lacks is null.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, StringBuilder, StructArray, TimestampMillisecondArray,
    new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};

use super::writers::Length;
use crate::error::{Error, Result};

/// Digits of a second that tables have in moments with a zone: Iceberg's and Delta's.
const ZONED: [u8; 2] = [6, 3];

/// How to make a table's column of a file's: decided from the types, once for a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Conform {
    Same,
    /// A cast that keeps every value.
    Cast(DataType),
    /// A cast that fails where a value does not fit.
    Checked(DataType),
    /// To milliseconds, rounded half up.
    Millis,
    /// A moment with its zone, as queries carry it, rounded half up to so many digits of a second.
    Zoned(u8),
    /// Bytes to text, what is no UTF-8 replaced.
    Text,
    /// The values of a dictionary, then on.
    Unpack(Box<Conform>),
    Cut(Box<Conform>, Cut),
    List(FieldRef, Box<Conform>),
    Map(FieldRef, Box<Conform>, Box<Conform>),
    /// For each member its place in the file, if it is there.
    Struct(Fields, Vec<Option<(usize, Conform)>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    Varchar(usize),
    Char(usize),
}

impl Conform {
    /// `None` when no reader makes the one of the other.
    pub(crate) fn of(from: &DataType, to: &Field) -> Option<Self> {
        let plain = Self::of_type(from, to.data_type())?;
        Some(match Length::of(to) {
            Length::Any => plain,
            Length::Varchar(n) => Self::Cut(Box::new(plain), Cut::Varchar(n)),
            Length::Char(n) => Self::Cut(Box::new(plain), Cut::Char(n)),
        })
    }

    fn of_type(from: &DataType, to: &DataType) -> Option<Self> {
        use DataType as T;
        let integer = |ty: &T| ty.is_integer();
        Some(match (from, to) {
            (T::Dictionary(_, value), to) => Self::Unpack(Box::new(Self::of_type(value, to)?)),
            (T::Struct(from), T::Struct(to)) => {
                let members: Vec<Option<(usize, Self)>> = to
                    .iter()
                    .map(|field| {
                        let name = field.name().to_lowercase();
                        let at = from.iter().position(|other| other.name().to_lowercase() == name);
                        match at {
                            None => Some(None),
                            Some(at) => Some(Some((at, Self::of(from[at].data_type(), field)?))),
                        }
                    })
                    .collect::<Option<_>>()?;
                Self::Struct(to.clone(), members)
            }
            (T::List(from) | T::LargeList(from) | T::FixedSizeList(from, _), T::List(to)) => {
                Self::List(Arc::clone(to), Box::new(Self::of(from.data_type(), to)?))
            }
            (T::Map(from, _), T::Map(entries, _)) => {
                let (T::Struct(from), T::Struct(to)) = (from.data_type(), entries.data_type()) else { return None };
                let key = Self::of(from[0].data_type(), &to[0])?;
                Self::Map(Arc::clone(entries), Box::new(key), Box::new(Self::of(from[1].data_type(), &to[1])?))
            }
            (from, to) if from == to => Self::Same,
            (from, to) if integer(from) && integer(to) => {
                let wider = to.primitive_width() > from.primitive_width()
                    || (to.primitive_width() == from.primitive_width() && from.is_signed_integer());
                if wider { Self::Cast(to.clone()) } else { Self::Checked(to.clone()) }
            }
            (from, T::Decimal128(..)) if integer(from) => Self::Checked(to.clone()),
            (T::Decimal32(_, 0) | T::Decimal64(_, 0) | T::Decimal128(_, 0), to) if integer(to) => {
                Self::Checked(to.clone())
            }
            (T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..), T::Decimal128(..)) => {
                Self::Checked(to.clone())
            }
            (T::Float16 | T::Float32, T::Float64)
            | (T::Float16, T::Float32)
            | (T::LargeUtf8 | T::Utf8View, T::Utf8)
            | (
                T::Utf8 | T::LargeUtf8 | T::Utf8View | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_),
                T::Binary,
            )
            | (T::Date64, T::Date32)
            | (T::Time32(_) | T::Time64(_), T::Time64(TimeUnit::Microsecond))
            // Iceberg's tables have microseconds, with a zone or without.
            | (T::Timestamp(..), T::Timestamp(TimeUnit::Microsecond, None))
            | (T::Null, _) => Self::Cast(to.clone()),
            (T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_), T::Utf8) => Self::Text,
            (T::Timestamp(..), T::Timestamp(TimeUnit::Millisecond, None)) => Self::Millis,
            (T::Timestamp(_, Some(_)), T::Struct(_)) => {
                let digits = ZONED.into_iter().find(|p| *to == trino_functions::Type::TimestampTz(*p).data_type());
                Self::Zoned(digits?)
            }
            _ => return None,
        })
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    pub(crate) fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Self::Same => Arc::clone(array),
            Self::Cast(ty) => cast(array, ty).map_err(Error::internal)?,
            Self::Checked(ty) => cast_with_options(array, ty, &CastOptions { safe: false, ..CastOptions::default() })
                .map_err(|error| Error::bad_data(format_args!("{error}")))?,
            Self::Millis => millis(array)?,
            Self::Zoned(digits) => zoned(array, *digits)?,
            Self::Text => {
                let bytes = cast(array, &DataType::Binary).map_err(Error::internal)?;
                let bytes = bytes.as_binary::<i32>();
                let mut out = StringBuilder::with_capacity(bytes.len(), bytes.values().len());
                for value in bytes {
                    out.append_option(value.map(String::from_utf8_lossy));
                }
                Arc::new(out.finish())
            }
            Self::Unpack(inner) => match array.data_type() {
                DataType::Dictionary(_, value) => inner.apply(&cast(array, value).map_err(Error::internal)?)?,
                _ => inner.apply(array)?,
            },
            Self::Cut(inner, cut) => {
                let array = inner.apply(array)?;
                let Some(texts) = array.as_string_opt::<i32>() else { return Ok(array) };
                let length = match *cut {
                    Cut::Varchar(n) => Length::Varchar(n),
                    Cut::Char(n) => Length::Char(n),
                };
                let mut out = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
                for text in texts {
                    out.append_option(text.map(|text| length.cut(text)));
                }
                Arc::new(out.finish())
            }
            Self::List(field, inner) => {
                let plain = match array.data_type() {
                    DataType::List(_) => Arc::clone(array),
                    DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                        cast(array, &DataType::List(Arc::clone(item))).map_err(Error::internal)?
                    }
                    other => return Err(Error::internal(format_args!("a list of type {other}"))),
                };
                let list = plain.as_list::<i32>();
                let items = inner.apply(list.values())?;
                let list = ListArray::try_new(Arc::clone(field), list.offsets().clone(), items, list.nulls().cloned());
                Arc::new(list.map_err(Error::internal)?)
            }
            Self::Map(entries, key, value) => {
                let map = array.as_map();
                let DataType::Struct(pair) = entries.data_type() else {
                    return Err(Error::internal("a map without entries"));
                };
                let columns = vec![key.apply(map.keys())?, value.apply(map.values())?];
                let pairs = StructArray::try_new(pair.clone(), columns, None).map_err(Error::internal)?;
                let map =
                    MapArray::try_new(Arc::clone(entries), map.offsets().clone(), pairs, map.nulls().cloned(), false);
                Arc::new(map.map_err(Error::internal)?)
            }
            Self::Struct(fields, members) => {
                let row = array.as_struct();
                let columns = fields
                    .iter()
                    .zip(members)
                    .map(|(field, member)| match member {
                        Some((at, inner)) => inner.apply(row.column(*at)),
                        None => Ok(new_null_array(field.data_type(), row.len())),
                    })
                    .collect::<Result<Vec<_>>>()?;
                let row = StructArray::try_new_with_length(fields.clone(), columns, row.nulls().cloned(), row.len());
                Arc::new(row.map_err(Error::internal)?)
            }
        })
    }
}

fn zoned(array: &ArrayRef, digits: u8) -> Result<ArrayRef> {
    use trino_functions::value::{Value, build, read_all};
    let ty = trino_functions::Type::TimestampTz(digits);
    // Values count picoseconds.
    let unit = 10_i128.pow(12 - u32::from(digits));
    let mut values = read_all(array.as_ref(), &ty);
    for value in &mut values {
        if let Value::TimestampTz(picos, _) = value {
            *picos = (*picos + unit / 2).div_euclid(unit) * unit;
        }
    }
    Ok(build(&ty, &values)?)
}

/// Milliseconds without a zone: the moment in UTC. Athena cuts off what is finer.
fn millis(array: &ArrayRef) -> Result<ArrayRef> {
    let cut = |value: i64, per_milli: i64| value.div_euclid(per_milli);
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            Arc::new(values.unary(|value| cut(value, 1000)) as TimestampMillisecondArray)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = array.as_primitive::<TimestampNanosecondType>();
            Arc::new(values.unary(|value| cut(value, 1_000_000)) as TimestampMillisecondArray)
        }
        DataType::Timestamp(unit, _) => {
            let plain = cast(array, &DataType::Int64).map_err(Error::internal)?;
            let values = plain.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
            let factor = if *unit == TimeUnit::Second { 1000 } else { 1 };
            Arc::new(values.unary(|value| value.saturating_mul(factor)) as TimestampMillisecondArray)
        }
        other => return Err(Error::internal(format_args!("a timestamp of type {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{DictionaryArray, Int64Array, TimestampMicrosecondArray};
    use datafusion::arrow::datatypes::Int32Type;

    use super::*;
    use crate::types::parse_hive_field;

    fn conform(array: &ArrayRef, ty: &str) -> Option<Result<ArrayRef>> {
        let field = parse_hive_field("a", ty).unwrap();
        Some(Conform::of(array.data_type(), &field)?.apply(array))
    }

    fn text(array: &ArrayRef, ty: &str) -> String {
        let array = conform(array, ty).unwrap().unwrap();
        let mut out = String::new();
        if crate::value::write_value(&array, 0, &mut out) { out } else { "NULL".to_owned() }
    }

    #[test]
    fn what_trino_converts_is_converted() {
        let long: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        assert_eq!(text(&long, "int"), "7");
        assert_eq!(text(&long, "decimal(5,2)"), "7.00");
        for ty in ["double", "string", "boolean", "date", "timestamp"] {
            assert!(conform(&long, ty).is_none(), "{ty}");
        }
        let large: ArrayRef = Arc::new(Int64Array::from(vec![1 << 40]));
        assert!(conform(&large, "int").unwrap().is_err());
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500]).with_timezone("UTC"));
        assert_eq!(text(&micros, "timestamp"), "1970-01-01 00:00:00.001");
        let words: DictionaryArray<Int32Type> = vec!["héllo"].into_iter().collect();
        let words: ArrayRef = Arc::new(words);
        assert_eq!(text(&words, "string"), "héllo");
        assert_eq!(text(&words, "varchar(2)"), "hé");
    }
}
