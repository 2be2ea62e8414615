//! Whole columns at once, for what queries do most: casts between numbers and parts of dates. Each gives what the way row by row gives,
//! or `None`, and then that way is taken.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::{DatePart, date_part};
use arrow::datatypes::{ArrowPrimitiveType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};

use crate::types::Type;

/// Integers up to this are exact as doubles.
const EXACT: u128 = 1 << 53;
/// The largest power of ten that is exact as a double.
const EXACT_POWER: u8 = 22;

/// A cast that cannot fail.
pub(crate) fn cast(array: &ArrayRef, from: &Type, to: &Type) -> Option<ArrayRef> {
    match (from, to) {
        (Type::Decimal(p1, s1), Type::Decimal(p2, s2)) if s2 >= s1 && p2 - s2 >= p1 - s1 => {
            let factor = 10i128.pow(u32::from(s2 - s1));
            decimals(array.as_primitive_opt::<Decimal128Type>()?.unary(|x| x.wrapping_mul(factor)), *p2, *s2)
        }
        (from, Type::Decimal(p, s)) if from.is_integer() => integers(array, from, *p, *s),
        (Type::Decimal(_, s), Type::Double) if *s <= EXACT_POWER => {
            let array = array.as_primitive_opt::<Decimal128Type>()?;
            // Of more digits the nearest double takes more than a division.
            if array.iter().flatten().any(|x| x.unsigned_abs() > EXACT) {
                return None;
            }
            let power = 10f64.powi(i32::from(*s));
            #[expect(clippy::cast_precision_loss, reason = "was looked at above")]
            let done: Float64Array = array.unary(|x| x as f64 / power);
            Some(Arc::new(done))
        }
        _ => None,
    }
}

fn decimals(array: Decimal128Array, p: u8, s: u8) -> Option<ArrayRef> {
    Some(Arc::new(array.with_precision_and_scale(p, s.cast_signed()).ok()?))
}

fn integers(array: &ArrayRef, from: &Type, p: u8, s: u8) -> Option<ArrayRef> {
    fn run<T: ArrowPrimitiveType>(array: &ArrayRef, factor: i128) -> Option<Decimal128Array>
    where
        T::Native: Into<i128>,
    {
        let array = array.as_primitive_opt::<T>()?;
        // A product of 128 bits for each row costs more than the rest of the cast.
        Some(if factor == 1 { array.unary(Into::into) } else { array.unary(|x| x.into().wrapping_mul(factor)) })
    }
    let factor = 10i128.pow(u32::from(s));
    let (digits, done) = match from {
        Type::Tinyint => (3, run::<Int8Type>(array, factor)?),
        Type::Smallint => (5, run::<Int16Type>(array, factor)?),
        Type::Integer => (10, run::<Int32Type>(array, factor)?),
        _ => (19, run::<Int64Type>(array, factor)?),
    };
    if p - s < digits { None } else { decimals(done, p, s) }
}

/// `year` and the like of dates.
pub(crate) fn part(name: &str, ty: &Type, array: &ArrayRef) -> Option<ArrayRef> {
    if *ty != Type::Date {
        return None;
    }
    let part = match name {
        "year" => DatePart::Year,
        "quarter" => DatePart::Quarter,
        "month" => DatePart::Month,
        "day" | "day_of_month" => DatePart::Day,
        "day_of_year" | "doy" => DatePart::DayOfYear,
        _ => return None,
    };
    let done = date_part(array.as_ref(), part).ok()?;
    // A date that the kernel has no calendar for is null there.
    if done.null_count() != array.null_count() {
        return None;
    }
    let done: Int64Array = done.as_primitive_opt::<Int32Type>()?.unary(i64::from);
    Some(Arc::new(done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Argument, Column, Kernel, resolve};
    use crate::value::{Value, build, read_all};

    fn shown(values: &[Value]) -> String {
        format!("{values:?}")
    }

    /// What goes row by row gives the same.
    #[test]
    fn casts() {
        let decimals = [0, 1, -1, 5, -149, 99_999, -99_999, 123];
        let values: Vec<Value> = decimals.iter().map(|x| Value::Decimal(*x)).chain([Value::Null]).collect();
        let from = Type::Decimal(5, 2);
        let array = build(&from, &values).unwrap();
        for to in [Type::Decimal(5, 2), Type::Decimal(9, 4), Type::Decimal(38, 35), Type::Double] {
            let want: Vec<Value> = values.iter().map(|value| crate::cast::cast(value, &from, &to).unwrap()).collect();
            assert_eq!(shown(&read_all(cast(&array, &from, &to).unwrap().as_ref(), &to)), shown(&want), "{to}");
        }
        assert!(cast(&array, &from, &Type::Decimal(5, 1)).is_none(), "this one rounds");
        assert!(cast(&array, &from, &Type::Decimal(5, 3)).is_none(), "this one may be too large");
        let large = build(&Type::Decimal(38, 2), &[Value::Decimal(12_345_678_901_234_567_890_123)]).unwrap();
        assert!(cast(&large, &Type::Decimal(38, 2), &Type::Double).is_none());

        for (from, most) in
            [(Type::Tinyint, 127), (Type::Smallint, 32_767), (Type::Integer, 1 << 30), (Type::Bigint, i64::MAX)]
        {
            let values = [Value::Int(most), Value::Int(-7), Value::Null, Value::Int(0)];
            let array = build(&from, &values).unwrap();
            for to in [Type::Decimal(30, 4), Type::Decimal(20, 0)] {
                let want: Vec<Value> =
                    values.iter().map(|value| crate::cast::cast(value, &from, &to).unwrap()).collect();
                assert_eq!(shown(&read_all(cast(&array, &from, &to).unwrap().as_ref(), &to)), shown(&want), "{from}");
            }
            assert!(cast(&array, &from, &Type::Decimal(2, 0)).is_none());
        }
    }

    #[test]
    fn parts_of_dates() {
        let days = [0, -1, 19_000, 11_016, -719_162, 59, 2_932_896];
        let values: Vec<Value> = days.iter().map(|day| Value::Date(*day)).chain([Value::Null]).collect();
        let array = build(&Type::Date, &values).unwrap();
        for name in ["year", "quarter", "month", "day", "day_of_month", "day_of_year", "doy"] {
            let call = resolve(name, &[Argument { ty: Type::Date, literal: None }]).unwrap();
            let Kernel::Strict(run) = call.kernel else { panic!("{name}") };
            let want: Vec<Value> = values
                .iter()
                .map(|v| if v.is_null() { Value::Null } else { run(&call, std::slice::from_ref(v)).unwrap() })
                .collect();
            let whole = part(name, &Type::Date, &array).unwrap();
            assert_eq!(shown(&read_all(whole.as_ref(), &Type::Bigint)), shown(&want), "{name}");
            let column = Column { array: array.clone(), constant: false };
            let ran = call.run(&[column], &[Type::Date], values.len()).unwrap();
            assert_eq!(shown(&read_all(ran.as_ref(), &Type::Bigint)), shown(&want), "{name}");
        }
    }

    /// Columns and constants on either side; the last types have no room to spare, and look at each row.
    #[test]
    fn arithmetic_of_decimals() {
        let a = [Value::Decimal(150), Value::Decimal(-1), Value::Null, Value::Decimal(99_999)];
        let b = [Value::Decimal(2250), Value::Decimal(3), Value::Decimal(7), Value::Decimal(-5)];
        for wide in [false, true] {
            let (p, q) = if wide { (38, 38) } else { (5, 9) };
            let (x, y) = (Type::Decimal(p, 2), Type::Decimal(q, 3));
            let (left, right) = (build(&x, &a).unwrap(), build(&y, &b).unwrap());
            let one = |values: &[Value], ty: &Type| Column { array: build(ty, &values[..1]).unwrap(), constant: true };
            let all = |array: &ArrayRef| Column { array: array.clone(), constant: false };
            let run = |name: &str, columns: [Column; 2]| {
                let arguments = [x.clone(), y.clone()].map(|ty| Argument { ty, literal: None });
                let call = resolve(name, &arguments).unwrap();
                let done = call.run(&columns, &[x.clone(), y.clone()], 4).unwrap();
                let texts = read_all(done.as_ref(), &call.returns);
                texts
                    .iter()
                    .map(|v| if let Value::Decimal(v) = v { v.to_string() } else { "-".to_owned() })
                    .collect::<Vec<_>>()
            };
            assert_eq!(run("$mul", [all(&left), all(&right)]), ["337500", "-3", "-", "-499995"]);
            assert_eq!(run("$add", [all(&left), all(&right)]), ["3750", "-7", "-", "999985"]);
            assert_eq!(run("$sub", [all(&left), all(&right)]), ["-750", "-13", "-", "999995"]);
            assert_eq!(run("$sub", [one(&a, &x), all(&right)]), ["-750", "1497", "1493", "1505"]);
            assert_eq!(run("$sub", [all(&left), one(&b, &y)]), ["-750", "-2260", "-", "997740"]);
            assert_eq!(run("$mul", [one(&a[2..], &x), all(&right)]), ["-"; 4]);
        }
    }

    /// Products of 64 bits take a shorter way; the largest of them fit, and one more bit is looked at row by row.
    #[test]
    fn products_of_decimals() {
        let ty = Type::Decimal(38, 0);
        let run = |a: i128, b: i128| {
            let column = |value| Column {
                array: build(&ty, &[Value::Decimal(value), Value::Decimal(value)]).unwrap(),
                constant: false,
            };
            let arguments = [ty.clone(), ty.clone()].map(|ty| Argument { ty, literal: None });
            let call = resolve("$mul", &arguments).unwrap();
            let done = call.run(&[column(a), column(b)], &[ty.clone(), ty.clone()], 2).ok()?;
            match read_all(done.as_ref(), &call.returns).pop() {
                Some(Value::Decimal(value)) => Some(value),
                _ => None,
            }
        };
        let (low, high) = (i128::from(i64::MIN), i128::from(i64::MAX));
        for (a, b) in [(low, low), (low, high), (high, high), (high + 1, 2), (low - 1, -2), (high + 1, high), (3, -7)] {
            assert_eq!(run(a, b), Some(a * b), "{a} {b}");
        }
        assert_eq!(run(high * 2, high), None, "more than 38 digits");
        assert_eq!(run(10i128.pow(19), 10i128.pow(19)), None, "one too many");
    }
}
