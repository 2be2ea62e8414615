//! One value of any type, how it is read from and put into Arrow arrays, and how values compare.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Date32Array, Decimal128Array, DurationMillisecondArray,
    FixedSizeBinaryBuilder, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    IntervalYearMonthArray, LargeStringBuilder, ListArray, MapArray, NullArray, StringBuilder, StructArray,
    Time32MillisecondArray, Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes as dt;
use arrow::datatypes::{DataType, TimeUnit};

use crate::error::{Error, Result};
use crate::types::Type;
use crate::zone::Zone;

/// A value; which type it has is known beside it. All integers are `Int`, text and JSON are `Str`, UUIDs and addresses
/// are `Bytes`. Times count picoseconds.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Real(f32),
    Double(f64),
    Decimal(i128),
    Str(String),
    Bytes(Vec<u8>),
    Date(i32),
    Time(i64),
    TimeTz(i64, i16),
    Timestamp(i128),
    TimestampTz(i128, Zone),
    /// Milliseconds.
    IntervalDay(i64),
    /// Months.
    IntervalYear(i32),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Row(Vec<Value>),
}

pub const PICOS: i128 = 1_000_000_000_000;
pub const PICOS_PER_DAY: i64 = 86_400_000_000_000_000;

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    pub fn as_int(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            _ => 0,
        }
    }

    pub fn as_double(&self) -> f64 {
        match self {
            Self::Double(value) => *value,
            Self::Real(value) => f64::from(*value),
            Self::Int(value) => *value as f64,
            _ => 0.0,
        }
    }

    pub fn as_bool(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Str(text) => text,
            _ => "",
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Str(text) => text.as_bytes(),
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Value] {
        match self {
            Self::Array(items) | Self::Row(items) => items,
            _ => &[],
        }
    }

    pub fn entries(&self) -> &[(Value, Value)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The value of one row.
#[expect(clippy::too_many_lines, reason = "one arm for each type")]
pub fn read(array: &dyn Array, ty: &Type, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    macro_rules! primitive {
        ($ty:ident) => {
            array.as_primitive::<dt::$ty>().value(row)
        };
    }
    let millis = |value: i64| i128::from(value) * 1_000_000_000;
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::Int(primitive!(Int8Type).into()),
        DataType::Int16 => Value::Int(primitive!(Int16Type).into()),
        DataType::Int32 => Value::Int(primitive!(Int32Type).into()),
        DataType::Int64 => Value::Int(primitive!(Int64Type)),
        DataType::UInt8 => Value::Int(primitive!(UInt8Type).into()),
        DataType::UInt16 => Value::Int(primitive!(UInt16Type).into()),
        DataType::UInt32 => Value::Int(primitive!(UInt32Type).into()),
        DataType::UInt64 => Value::Int(i64::try_from(primitive!(UInt64Type)).unwrap_or(i64::MAX)),
        DataType::Float16 => Value::Real(primitive!(Float16Type).into()),
        DataType::Float32 => Value::Real(primitive!(Float32Type)),
        DataType::Float64 => Value::Double(primitive!(Float64Type)),
        DataType::Decimal32(..) => Value::Decimal(primitive!(Decimal32Type).into()),
        DataType::Decimal64(..) => Value::Decimal(primitive!(Decimal64Type).into()),
        DataType::Decimal128(..) => match ty {
            Type::Timestamp(_) => Value::Timestamp(primitive!(Decimal128Type)),
            _ => Value::Decimal(primitive!(Decimal128Type)),
        },
        DataType::Decimal256(..) => Value::Decimal(primitive!(Decimal256Type).to_i128().unwrap_or(i128::MAX)),
        DataType::Utf8 => text(array.as_string::<i32>().value(row), ty),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(row), ty),
        DataType::Utf8View => text(array.as_string_view().value(row), ty),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Value::Bytes(array.as_binary::<i64>().value(row).to_vec()),
        DataType::BinaryView => Value::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => Value::Bytes(array.as_fixed_size_binary().value(row).to_vec()),
        DataType::Date32 => Value::Date(primitive!(Date32Type)),
        DataType::Date64 => {
            Value::Date(i32::try_from(primitive!(Date64Type).div_euclid(86_400_000)).unwrap_or(i32::MAX))
        }
        DataType::Timestamp(unit, zone) => {
            let picos = match unit {
                TimeUnit::Second => i128::from(primitive!(TimestampSecondType)) * PICOS,
                TimeUnit::Millisecond => millis(primitive!(TimestampMillisecondType)),
                TimeUnit::Microsecond => i128::from(primitive!(TimestampMicrosecondType)) * 1_000_000,
                TimeUnit::Nanosecond => i128::from(primitive!(TimestampNanosecondType)) * 1000,
            };
            match zone {
                None => Value::Timestamp(picos),
                Some(zone) => Value::TimestampTz(picos, Zone::parse(zone).unwrap_or(Zone::UTC)),
            }
        }
        DataType::Time32(TimeUnit::Second) => Value::Time(i64::from(primitive!(Time32SecondType)) * 1_000_000_000_000),
        DataType::Time32(_) => Value::Time(i64::from(primitive!(Time32MillisecondType)) * 1_000_000_000),
        DataType::Time64(TimeUnit::Microsecond) => Value::Time(primitive!(Time64MicrosecondType) * 1_000_000),
        DataType::Time64(_) => Value::Time(primitive!(Time64NanosecondType) * 1000),
        DataType::Duration(unit) => Value::IntervalDay(match unit {
            TimeUnit::Second => primitive!(DurationSecondType) * 1000,
            TimeUnit::Millisecond => primitive!(DurationMillisecondType),
            TimeUnit::Microsecond => primitive!(DurationMicrosecondType) / 1000,
            TimeUnit::Nanosecond => primitive!(DurationNanosecondType) / 1_000_000,
        }),
        DataType::Interval(dt::IntervalUnit::YearMonth) => Value::IntervalYear(primitive!(IntervalYearMonthType)),
        DataType::Interval(dt::IntervalUnit::DayTime) => {
            let value = primitive!(IntervalDayTimeType);
            Value::IntervalDay(i64::from(value.days) * 86_400_000 + i64::from(value.milliseconds))
        }
        DataType::Interval(_) => {
            let value = primitive!(IntervalMonthDayNanoType);
            Value::IntervalDay(i64::from(value.days) * 86_400_000 + value.nanoseconds / 1_000_000)
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row), ty),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row), ty),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row), ty),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (key, value) = match ty {
                Type::Map(key, value) => (key.as_ref(), value.as_ref()),
                _ => (&Type::Unknown, &Type::Unknown),
            };
            let entry = |i| (read(entries.column(0), key, i), read(entries.column(1), value, i));
            Value::Map((0..entries.len()).map(entry).collect())
        }
        DataType::Struct(_) => read_struct(array.as_struct(), ty, row),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = dictionary.values();
            read(values.as_ref(), ty, dictionary.normalized_keys()[row])
        }
        _ => Value::Null,
    }
}

fn text(text: &str, ty: &Type) -> Value {
    Value::Str(if let Type::Char(_) = ty { text.trim_end_matches(' ') } else { text }.to_owned())
}

fn list(items: &ArrayRef, ty: &Type) -> Value {
    let item = match ty {
        Type::Array(item) | Type::Sketch(_, item) => item.as_ref(),
        _ => &Type::Unknown,
    };
    Value::Array((0..items.len()).map(|i| read(items.as_ref(), item, i)).collect())
}

fn read_struct(array: &StructArray, ty: &Type, row: usize) -> Value {
    let child = |i: usize, ty: &Type| read(array.column(i).as_ref(), ty, row);
    match ty {
        Type::TimestampTz(_) => {
            let Value::Timestamp(picos) = child(0, &Type::Timestamp(12)) else { return Value::Null };
            Value::TimestampTz(picos, Zone::from_key(child(1, &Type::Smallint).as_int()))
        }
        Type::TimeTz(_) => {
            let offset = child(1, &Type::Smallint).as_int();
            Value::TimeTz(child(0, &Type::Bigint).as_int(), i16::try_from(offset).unwrap_or(0))
        }
        Type::Timestamp(_) => child(0, &Type::Timestamp(12)),
        Type::Time(_) => Value::Time(child(0, &Type::Bigint).as_int()),
        Type::Ipaddress => child(0, &Type::Varbinary),
        Type::Sketch(_, item) => child(0, &Type::array(item.as_ref().clone())),
        Type::Row(fields) => Value::Row(fields.iter().enumerate().map(|(i, (_, ty))| child(i, ty)).collect()),
        _ => Value::Null,
    }
}

/// All rows of an array.
pub fn read_all(array: &dyn Array, ty: &Type) -> Vec<Value> {
    (0..array.len()).map(|row| read(array, ty, row)).collect()
}

/// An array of the values, which are of this type or null.
#[expect(clippy::too_many_lines, reason = "one arm for each type")]
pub fn build(ty: &Type, values: &[Value]) -> Result<ArrayRef> {
    macro_rules! ints {
        ($array:ty, $int:ty) => {
            Arc::new(
                values
                    .iter()
                    .map(|v| match v {
                        Value::Int(i) => <$int>::try_from(*i)
                            .map(Some)
                            .map_err(|_| Error::out_of_range(format!("Out of range for {ty}: {i}"))),
                        _ => Ok(None),
                    })
                    .collect::<Result<$array>>()?,
            )
        };
    }
    macro_rules! plain {
        ($array:ty, $pattern:pat => $value:expr) => {
            Arc::new(
                values
                    .iter()
                    .map(|v| match v {
                        $pattern => Some($value),
                        _ => None,
                    })
                    .collect::<$array>(),
            )
        };
    }
    Ok(match ty {
        Type::Unknown => Arc::new(NullArray::new(values.len())),
        Type::Boolean => plain!(BooleanArray, Value::Bool(b) => *b),
        Type::Tinyint => ints!(Int8Array, i8),
        Type::Smallint => ints!(Int16Array, i16),
        Type::Integer => ints!(Int32Array, i32),
        Type::Bigint => plain!(Int64Array, Value::Int(i) => *i),
        Type::Real => plain!(Float32Array, Value::Real(x) => *x),
        Type::Double => plain!(Float64Array, Value::Double(x) => *x),
        Type::Decimal(p, s) => {
            let array: Decimal128Array =
                values.iter().map(|v| if let Value::Decimal(x) = v { Some(*x) } else { None }).collect();
            Arc::new(array.with_precision_and_scale(*p, s.cast_signed())?)
        }
        Type::Varchar(_) | Type::Char(_) => {
            let mut builder = StringBuilder::with_capacity(values.len(), values.len() * 8);
            for value in values {
                builder.append_option(if let Value::Str(text) = value { Some(text) } else { None });
            }
            Arc::new(builder.finish())
        }
        Type::Json => {
            let mut builder = LargeStringBuilder::new();
            for value in values {
                builder.append_option(if let Value::Str(text) = value { Some(text) } else { None });
            }
            Arc::new(builder.finish())
        }
        Type::Varbinary => binary(values),
        Type::Uuid => {
            let mut builder = FixedSizeBinaryBuilder::new(16);
            for value in values {
                match value {
                    Value::Bytes(bytes) => builder.append_value(bytes)?,
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        Type::Date => plain!(Date32Array, Value::Date(d) => *d),
        Type::Time(0..=3) => {
            plain!(Time32MillisecondArray, Value::Time(t) => i32::try_from(t / 1_000_000_000).unwrap_or(0))
        }
        Type::Time(4..=6) => plain!(Time64MicrosecondArray, Value::Time(t) => t / 1_000_000),
        Type::Time(7..=9) => plain!(Time64NanosecondArray, Value::Time(t) => t / 1000),
        Type::Time(_) => wrapped(ty, values, vec![plain!(Int64Array, Value::Time(t) => *t)])?,
        Type::TimeTz(_) => wrapped(
            ty,
            values,
            vec![plain!(Int64Array, Value::TimeTz(t, _) => *t), plain!(Int16Array, Value::TimeTz(_, o) => *o)],
        )?,
        Type::Timestamp(p) => {
            let picos: Vec<Option<i128>> =
                values.iter().map(|v| if let Value::Timestamp(t) = v { Some(*t) } else { None }).collect();
            let array = instants(*p, &picos)?;
            if *p > 9 { wrapped(ty, values, vec![array])? } else { array }
        }
        Type::TimestampTz(p) => {
            let picos: Vec<Option<i128>> =
                values.iter().map(|v| if let Value::TimestampTz(t, _) = v { Some(*t) } else { None }).collect();
            for picos in picos.iter().flatten() {
                packed_millis(*picos)?;
            }
            let zones = plain!(Int16Array, Value::TimestampTz(_, zone) => zone.key());
            wrapped(ty, values, vec![instants(*p, &picos)?, zones])?
        }
        Type::IntervalDay => plain!(DurationMillisecondArray, Value::IntervalDay(ms) => *ms),
        Type::IntervalYear => plain!(IntervalYearMonthArray, Value::IntervalYear(months) => *months),
        Type::Ipaddress => wrapped(ty, values, vec![binary(values)])?,
        Type::Sketch(_, item) => wrapped(ty, values, vec![build(&Type::array(item.as_ref().clone()), values)?])?,
        Type::Array(item) => {
            let flat: Vec<Value> = values.iter().flat_map(|v| v.items().iter().cloned()).collect();
            let offsets = OffsetBuffer::from_lengths(values.iter().map(|v| v.items().len()));
            let field = Arc::new(item.field("item"));
            Arc::new(ListArray::try_new(field, offsets, build(item, &flat)?, nulls(values))?)
        }
        Type::Map(key, value) => {
            let (keys, items): (Vec<Value>, Vec<Value>) =
                values.iter().flat_map(|v| v.entries().iter().cloned()).unzip();
            let offsets = OffsetBuffer::from_lengths(values.iter().map(|v| v.entries().len()));
            let DataType::Map(entries, _) = ty.data_type() else { return Err(Error::internal("no map")) };
            let DataType::Struct(fields) = entries.data_type().clone() else { return Err(Error::internal("no map")) };
            let keys = build(key, &keys)?;
            let entries_array = StructArray::try_new(fields.clone(), vec![keys, build(value, &items)?], None)?;
            let entries = Arc::new(entries.as_ref().clone().with_data_type(DataType::Struct(fields)));
            Arc::new(MapArray::try_new(entries, offsets, entries_array, nulls(values), false)?)
        }
        Type::Row(fields) => {
            let mut columns = Vec::with_capacity(fields.len());
            for (i, (_, ty)) in fields.iter().enumerate() {
                let column: Vec<Value> =
                    values.iter().map(|v| v.items().get(i).cloned().unwrap_or(Value::Null)).collect();
                columns.push(build(ty, &column)?);
            }
            wrapped(ty, values, columns)?
        }
    })
}

fn binary(values: &[Value]) -> ArrayRef {
    let mut builder = BinaryBuilder::new();
    for value in values {
        builder.append_option(if let Value::Bytes(bytes) = value { Some(bytes) } else { None });
    }
    Arc::new(builder.finish())
}

fn nulls(values: &[Value]) -> Option<NullBuffer> {
    values.iter().any(Value::is_null).then(|| values.iter().map(|v| !v.is_null()).collect())
}

fn wrapped(ty: &Type, values: &[Value], columns: Vec<ArrayRef>) -> Result<ArrayRef> {
    let DataType::Struct(fields) = ty.data_type() else { return Err(Error::internal(format!("{ty} is no struct"))) };
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(values.len(), nulls(values))));
    }
    Ok(Arc::new(StructArray::try_new(fields, columns, nulls(values))?))
}

/// The milliseconds of a moment with a zone: 52 bits, for Trino keeps the zone in the other 12.
pub(crate) fn packed_millis(picos: i128) -> Result<i64> {
    let millis = picos.div_euclid(1_000_000_000);
    i64::try_from(millis)
        .ok()
        .filter(|millis| (-(1 << 51)..1 << 51).contains(millis))
        .ok_or_else(|| Error::argument(format!("Millis overflow: {millis}")))
}

fn instants(precision: u8, picos: &[Option<i128>]) -> Result<ArrayRef> {
    let count = |unit: i128| {
        picos
            .iter()
            .map(|p| {
                p.map(|p| i64::try_from(p.div_euclid(unit)))
                    .transpose()
                    .map_err(|_| Error::out_of_range(format!("Timestamp of precision {precision} out of range")))
            })
            .collect::<Result<Vec<Option<i64>>>>()
    };
    Ok(match precision {
        0..=3 => Arc::new(TimestampMillisecondArray::from(count(1_000_000_000)?)),
        4..=6 => Arc::new(TimestampMicrosecondArray::from(count(1_000_000)?)),
        7..=9 => Arc::new(TimestampNanosecondArray::from(count(1000)?)),
        _ => Arc::new(picos.iter().copied().collect::<Decimal128Array>().with_precision_and_scale(38, 0)?),
    })
}

/// The order of `ORDER BY`: NaN is the greatest number, a null comes last.
pub fn order(a: &Value, b: &Value) -> Ordering {
    use Value as V;
    match (a, b) {
        (V::Null, V::Null) => Ordering::Equal,
        (V::Null, _) => Ordering::Greater,
        (_, V::Null) => Ordering::Less,
        (V::Bool(a), V::Bool(b)) => a.cmp(b),
        (V::Int(a), V::Int(b)) => a.cmp(b),
        (V::Real(a), V::Real(b)) => order_double(f64::from(*a), f64::from(*b)),
        (V::Double(a), V::Double(b)) => order_double(*a, *b),
        (V::Decimal(a), V::Decimal(b)) => a.cmp(b),
        (V::Str(a), V::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
        (V::Bytes(a), V::Bytes(b)) => a.cmp(b),
        (V::Date(a), V::Date(b)) => a.cmp(b),
        (V::Time(a), V::Time(b)) => a.cmp(b),
        (V::TimeTz(a, x), V::TimeTz(b, y)) => utc_time(*a, *x).cmp(&utc_time(*b, *y)),
        (V::Timestamp(a), V::Timestamp(b)) | (V::TimestampTz(a, _), V::TimestampTz(b, _)) => a.cmp(b),
        (V::IntervalDay(a), V::IntervalDay(b)) => a.cmp(b),
        (V::IntervalYear(a), V::IntervalYear(b)) => a.cmp(b),
        (V::Array(a), V::Array(b)) | (V::Row(a), V::Row(b)) => a
            .iter()
            .zip(b)
            .map(|(a, b)| order(a, b))
            .find(|o| *o != Ordering::Equal)
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        (V::Map(a), V::Map(b)) => a
            .iter()
            .zip(b)
            .map(|((k, v), (l, w))| order(k, l).then_with(|| order(v, w)))
            .find(|o| *o != Ordering::Equal)
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        _ => Ordering::Equal,
    }
}

fn utc_time(picos: i64, offset: i16) -> i64 {
    (picos - i64::from(offset) * 60_000_000_000_000).rem_euclid(PICOS_PER_DAY)
}

fn order_double(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// `a = b`; `None` where a null inside leaves it open.
pub fn equal(a: &Value, b: &Value) -> Option<bool> {
    use Value as V;
    match (a, b) {
        (V::Null, _) | (_, V::Null) => None,
        (V::Real(a), V::Real(b)) => Some(a == b),
        (V::Double(a), V::Double(b)) => Some(a == b),
        (V::Array(a), V::Array(b)) | (V::Row(a), V::Row(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            all(a.iter().zip(b).map(|(a, b)| equal(a, b)))
        }
        (V::Map(a), V::Map(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            all(a.iter().map(|(k, v)| match b.iter().find(|(l, _)| same(k, l)) {
                Some((_, w)) => equal(v, w),
                None => Some(false),
            }))
        }
        _ => Some(order(a, b) == Ordering::Equal),
    }
}

fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut open = false;
    for part in parts {
        match part {
            Some(false) => return Some(false),
            None => open = true,
            Some(true) => {}
        }
    }
    if open { None } else { Some(true) }
}

/// `a < b` and its like, where NaN is never in any order.
pub fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>> {
    use Value as V;
    Ok(match (a, b) {
        (V::Null, _) | (_, V::Null) => None,
        (V::Real(x), V::Real(y)) => x.partial_cmp(y),
        (V::Double(x), V::Double(y)) => x.partial_cmp(y),
        (V::Array(x), V::Array(y)) | (V::Row(x), V::Row(y)) => {
            let row = matches!(a, V::Row(_));
            for (x, y) in x.iter().zip(y) {
                if x.is_null() || y.is_null() {
                    return Err(Error::not_supported(if row {
                        "ROW comparison not supported for fields with null elements"
                    } else {
                        "ARRAY comparison not supported for arrays with null elements"
                    }));
                }
                match compare(x, y)? {
                    Some(Ordering::Equal) => {}
                    other => return Ok(other),
                }
            }
            Some(x.len().cmp(&y.len()))
        }
        _ => Some(order(a, b)),
    })
}

/// `a IS NOT DISTINCT FROM b`, which is also what grouping goes by.
pub fn same(a: &Value, b: &Value) -> bool {
    use Value as V;
    match (a, b) {
        (V::Map(x), V::Map(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.iter().any(|(l, w)| same(k, l) && same(v, w)))
        }
        (V::Array(x), V::Array(y)) | (V::Row(x), V::Row(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        _ => a.is_null() == b.is_null() && order(a, b) == Ordering::Equal,
    }
}

/// Values are equal here as [`same`] says, so that they can be keys.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        same(self, other)
    }
}

impl Eq for Value {}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self, other)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let double = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() };
        match self {
            Self::Null => {}
            Self::Bool(b) => b.hash(state),
            Self::Int(i) => i.hash(state),
            Self::Real(x) => double(f64::from(*x)).hash(state),
            Self::Double(x) => double(*x).hash(state),
            Self::Decimal(x) => x.hash(state),
            Self::Str(text) => text.hash(state),
            Self::Bytes(bytes) => bytes.hash(state),
            Self::Date(d) => d.hash(state),
            Self::Time(t) => t.hash(state),
            Self::TimeTz(t, o) => utc_time(*t, *o).hash(state),
            Self::Timestamp(t) | Self::TimestampTz(t, _) => t.hash(state),
            Self::IntervalDay(ms) => ms.hash(state),
            Self::IntervalYear(m) => m.hash(state),
            Self::Array(items) | Self::Row(items) => items.hash(state),
            Self::Map(entries) => entries.len().hash(state),
        }
    }
}
