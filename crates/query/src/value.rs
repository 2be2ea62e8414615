//! Values as text, the way Trino prints them into results and casts them to varchar.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, Field, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalYearMonthType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use trino_functions::Type;

/// Appends one value's text as results show it; `false` (and nothing appended) when it is null.
pub(crate) fn write_field(field: &Field, array: &dyn Array, row: usize, out: &mut String) -> bool {
    let plain = field.metadata().is_empty()
        && matches!(
            array.data_type(),
            DataType::Boolean
                | DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::Float32
                | DataType::Float64
                | DataType::Decimal128(..)
                | DataType::Utf8
                | DataType::Date32
                | DataType::Binary
        );
    if plain || array.is_null(row) {
        return write_value(array, row, out);
    }
    let ty = Type::of(field);
    let value = trino_functions::value::read(array, &ty, row);
    trino_functions::text::write_result(&value, &ty, out);
    !value.is_null()
}

/// Appends one value's text; `false` (and nothing appended) when it is null.
#[expect(clippy::too_many_lines, reason = "one arm for each type")]
pub(crate) fn write_value(array: &dyn Array, row: usize, out: &mut String) -> bool {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return false;
    }
    macro_rules! plain {
        ($ty:ty) => {{
            let _ = write!(out, "{}", array.as_primitive::<$ty>().value(row));
        }};
    }
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => plain!(Int8Type),
        DataType::Int16 => plain!(Int16Type),
        DataType::Int32 => plain!(Int32Type),
        DataType::Int64 => plain!(Int64Type),
        DataType::UInt8 => plain!(UInt8Type),
        DataType::UInt16 => plain!(UInt16Type),
        DataType::UInt32 => plain!(UInt32Type),
        DataType::UInt64 => plain!(UInt64Type),
        DataType::Float16 => write_float(f32::from(array.as_primitive::<Float16Type>().value(row)), out),
        DataType::Float32 => write_float(array.as_primitive::<Float32Type>().value(row), out),
        DataType::Float64 => write_double(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Decimal128(_, scale) => write_decimal(array.as_primitive::<Decimal128Type>().value(row), *scale, out),
        DataType::Decimal256(_, _) => out.push_str(&array.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Binary => write_hex(array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => write_hex(array.as_binary::<i64>().value(row), out),
        DataType::BinaryView => write_hex(array.as_binary_view().value(row), out),
        DataType::FixedSizeBinary(_) => write_hex(array.as_fixed_size_binary().value(row), out),
        DataType::Date32 => write_date(i64::from(array.as_primitive::<Date32Type>().value(row)), out),
        DataType::Date64 => write_date(array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000), out),
        DataType::Timestamp(unit, zone) => {
            let millis = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1000),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1000),
                TimeUnit::Nanosecond => {
                    array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000)
                }
            };
            write_timestamp(millis, zone.as_deref(), out);
        }
        DataType::Time32(unit) => write_time(
            match unit {
                TimeUnit::Second => i64::from(array.as_primitive::<Time32SecondType>().value(row)) * 1000,
                _ => i64::from(array.as_primitive::<Time32MillisecondType>().value(row)),
            },
            out,
        ),
        DataType::Time64(unit) => write_time(
            match unit {
                TimeUnit::Microsecond => array.as_primitive::<Time64MicrosecondType>().value(row) / 1000,
                _ => array.as_primitive::<Time64NanosecondType>().value(row) / 1_000_000,
            },
            out,
        ),
        DataType::Interval(_) => write_interval(array, row, out),
        DataType::List(_) => write_list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(&array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => write_list(&array.as_fixed_size_list().value(row), out),
        DataType::Struct(fields) => {
            let array = array.as_struct();
            out.push('{');
            for (i, field) in fields.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                let _ = write!(out, "{}=", field.name());
                write_nested(array.column(i), row, out);
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_nested(entries.column(0), i, out);
                out.push('=');
                write_nested(entries.column(1), i, out);
            }
            out.push('}');
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            return write_value(dictionary.values(), key, out);
        }
        _ => match datafusion::arrow::util::display::array_value_to_string(array, row) {
            Ok(text) => out.push_str(&text),
            Err(_) => return false,
        },
    }
    true
}

fn write_nested(array: &dyn Array, row: usize, out: &mut String) {
    if !write_value(array, row, out) {
        out.push_str("null");
    }
}

fn write_list(items: &dyn Array, out: &mut String) {
    out.push('[');
    for i in 0..items.len() {
        if i > 0 {
            out.push_str(", ");
        }
        write_nested(items, i, out);
    }
    out.push(']');
}

fn write_hex(bytes: &[u8], out: &mut String) {
    for (i, byte) in bytes.iter().enumerate() {
        let _ = write!(out, "{}{byte:02x}", if i > 0 { " " } else { "" });
    }
}

pub(crate) fn write_date(days: i64, out: &mut String) {
    let date = i32::try_from(days + 719_163).ok().and_then(NaiveDate::from_num_days_from_ce_opt);
    let _ = match date {
        Some(date) => write!(out, "{}", date.format("%Y-%m-%d")),
        None => write!(out, "{days}"),
    };
}

const FORMAT: &str = "%Y-%m-%d %H:%M:%S%.3f";

pub(crate) fn write_timestamp(millis: i64, zone: Option<&str>, out: &mut String) {
    let Some(utc) = DateTime::from_timestamp_millis(millis) else {
        let _ = write!(out, "{millis}");
        return;
    };
    let _ = match zone {
        None => write!(out, "{}", utc.format(FORMAT)),
        Some("UTC" | "Z" | "+00:00") => write!(out, "{} UTC", utc.format(FORMAT)),
        Some(name) => {
            if let Ok(tz) = name.parse::<chrono_tz::Tz>() {
                write!(out, "{} {name}", utc.with_timezone(&tz).format(FORMAT))
            } else if let Ok(offset) = name.parse::<chrono::FixedOffset>() {
                write!(out, "{} {name}", utc.with_timezone(&offset).format(FORMAT))
            } else {
                write!(out, "{} {name}", utc.format(FORMAT))
            }
        }
    };
}

fn write_time(millis: i64, out: &mut String) {
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let _ = write!(out, "{:02}:{:02}:{:02}.{fraction:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

fn write_decimal(value: i128, scale: i8, out: &mut String) {
    let Ok(scale @ 1..) = usize::try_from(scale) else {
        let _ = write!(out, "{value}");
        return;
    };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let _ = write!(out, "{}{whole}.{fraction}", if value < 0 { "-" } else { "" });
}

fn write_interval(array: &dyn Array, row: usize, out: &mut String) {
    let (months, millis) = match array.data_type() {
        DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::YearMonth) => {
            (array.as_primitive::<IntervalYearMonthType>().value(row), 0)
        }
        DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::DayTime) => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            (0, i64::from(value.days) * 86_400_000 + i64::from(value.milliseconds))
        }
        _ => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            (value.months, i64::from(value.days) * 86_400_000 + value.nanoseconds / 1_000_000)
        }
    };
    let _ = if months != 0 {
        write!(out, "{}-{}", months / 12, (months % 12).abs())
    } else {
        let rest = millis.rem_euclid(86_400_000);
        let _ = write!(out, "{} ", millis.div_euclid(86_400_000));
        write_time(rest, out);
        Ok(())
    };
}

/// Java's `Double.toString`.
pub(crate) fn write_double(value: f64, out: &mut String) {
    if value.is_nan() || value.is_infinite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        write_plain(format_args!("{value:?}"), value.is_infinite(), value < 0.0, out);
    } else {
        write_scientific(&trino_functions::text::shortest(value), out);
    }
}

/// Java's `Float.toString`.
pub(crate) fn write_float(value: f32, out: &mut String) {
    if value.is_nan() || value.is_infinite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        write_plain(format_args!("{value:?}"), value.is_infinite(), value < 0.0, out);
    } else {
        write_scientific(&trino_functions::text::shortest_real(value), out);
    }
}

fn write_plain(text: std::fmt::Arguments<'_>, infinite: bool, negative: bool, out: &mut String) {
    if infinite {
        out.push_str(if negative { "-Infinity" } else { "Infinity" });
    } else {
        let _ = out.write_fmt(text);
    }
}

/// Rust writes `1e7` where Java writes `1.0E7`.
fn write_scientific(text: &str, out: &mut String) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let _ = write!(out, "{mantissa}{point}E{exponent}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_as_java_prints_them() {
        let text = |value: f64| {
            let mut out = String::new();
            write_double(value, &mut out);
            out
        };
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (1e-4, "1.0E-4"),
            (0.001, "0.001"),
            (9_999_999.0, "9999999.0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (-1.5e300, "-1.5E300"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        let text = |value, scale| {
            let mut out = String::new();
            write_decimal(value, scale, &mut out);
            out
        };
        assert_eq!(text(1, 1), "0.1");
        assert_eq!(text(-5, 3), "-0.005");
        assert_eq!(text(12_345, 2), "123.45");
        assert_eq!(text(7, 0), "7");
    }

    #[test]
    fn timestamps_have_milliseconds_and_zone() {
        let text = |zone| {
            let mut out = String::new();
            write_timestamp(1_483_228_800_000, zone, &mut out);
            out
        };
        assert_eq!(text(None), "2017-01-01 00:00:00.000");
        assert_eq!(text(Some("+00:00")), "2017-01-01 00:00:00.000 UTC");
        assert_eq!(text(Some("America/New_York")), "2016-12-31 19:00:00.000 America/New_York");
        assert_eq!(text(Some("-00:30")), "2016-12-31 23:30:00.000 -00:30");
    }
}
