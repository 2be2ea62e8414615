//! Functions whose types no signature says: casts, literals, constructors, conditions, and those that take any number
//! of arguments of a common type.

use crate::call::{Argument, Arrays, Call, Kernel, Rows, cast_rows};
use crate::error::{Error, Result};
use crate::parse;
use crate::text::to_text;
use crate::types::{Type, VARCHAR, can_coerce, common};
use crate::value::{Value, compare, equal, same};

/// Fields of `EXTRACT`, and the functions that answer for them.
pub const EXTRACTED: &[(&str, &str)] = &[
    ("YEAR", "year"),
    ("QUARTER", "quarter"),
    ("MONTH", "month"),
    ("WEEK", "week"),
    ("DAY", "day"),
    ("DAY_OF_MONTH", "day"),
    ("DAY_OF_WEEK", "day_of_week"),
    ("DOW", "day_of_week"),
    ("DAY_OF_YEAR", "day_of_year"),
    ("DOY", "day_of_year"),
    ("YEAR_OF_WEEK", "year_of_week"),
    ("YOW", "year_of_week"),
    ("HOUR", "hour"),
    ("MINUTE", "minute"),
    ("SECOND", "second"),
    ("TIMEZONE_MINUTE", "timezone_minute"),
    ("TIMEZONE_HOUR", "timezone_hour"),
];

pub(super) fn resolve(name: &str, arguments: &[Argument]) -> Option<Result<Call>> {
    let types: Vec<Type> = arguments.iter().map(|argument| argument.ty.clone()).collect();
    let text = |index: usize| match arguments.get(index).and_then(|argument| argument.literal.as_ref()) {
        Some(Value::Str(text)) => Some(text.as_str()),
        _ => None,
    };
    Some(match name {
        "$cast" => cast("$cast", &types, text(1)?),
        "$try_cast" => cast("$try_cast", &types, text(1)?),
        "$assign" => assign(&types, text(1)?),
        "$argument" => argument(&types[0], text(1)?, text(2)?),
        "$returned" => returned(&types[0], text(1)?),
        "$literal" => literal(text(0)?, text(1)?),
        "$array" => array(types),
        "$row" | "row" => {
            Ok(call("row", types.clone(), Type::row(types), Kernel::Nullable(|_, args| Ok(Value::Row(args.to_vec())))))
        }
        // Names, `''` where there is none, and values in turn.
        "$named_row" => Ok(named_row(arguments)),
        "$typed" => Ok(call("$typed", types, Type::parse(text(1)?)?, Kernel::Nullable(|_, a| Ok(a[0].clone())))),
        // The text of an index that is written as a number comes third.
        "$subscript" => {
            let index = text(2).and_then(|text| text.parse().ok()).map(Value::Int);
            subscript(&types[..2], index.as_ref().or(arguments[1].literal.as_ref()))
        }
        "$field" => field(&types, text(1)?),
        "$case" => case(types),
        "$case_of" => case_of(&types),
        "$among" => among_rows(&types),
        "$in" => among(types),
        "$between" => between(types),
        "$like" => like(types),
        "$extract" => extract(text(0)?, &arguments[1..]),
        "$boolean" => boolean(&types, text(1)?),
        "$at_timezone" => at_time_zone(arguments),
        "typeof" => match types.len() {
            1 => Ok(call("typeof", types, VARCHAR, Kernel::Nullable(|call, _| Ok(call.params[0].to_string().into())))),
            _ => wrong("typeof", "t", &types),
        },
        "coalesce" => coalesce(types),
        "if" => condition(types),
        "nullif" => nullif(types),
        "greatest" => extreme("greatest", types),
        "least" => extreme("least", types),
        "concat" => concat(types),
        "format" => super::format::resolve(types),
        "mod" if types.len() == 2 => return modulus(arguments),
        "replace" => super::string::replace(&types)
            .map_or_else(|| wrong("replace", "varchar(x), varchar(y), varchar(z)", &types), Ok),
        "url_encode" => super::url::encode(&types).map_or_else(|| wrong("url_encode", "varchar(x)", &types), Ok),
        "regexp_replace" => return super::regexp::replace(&types).map(Ok),
        "ceil" | "ceiling" | "floor" | "round" | "truncate" => {
            let plain = if name == "ceiling" { "ceil" } else { name };
            if let Some(found) = super::math::decimal(plain, &types) {
                return Some(Ok(found));
            }
            return (name == "ceiling").then(|| crate::call::resolve("ceil", arguments));
        }
        _ => return None,
    })
}

fn call(name: &'static str, params: Vec<Type>, returns: Type, kernel: Kernel) -> Call {
    Call { name, params, returns, kernel }
}

fn wrong(name: &str, expected: &str, types: &[Type]) -> Result<Call> {
    let given: Vec<String> = types.iter().map(ToString::to_string).collect();
    Err(Error::new(
        "FUNCTION_NOT_FOUND",
        format!("Unexpected parameters ({}) for function {name}. Expected: {name}({expected})", given.join(", ")),
    ))
}

/// The common type of all, or the two that have none.
fn common_of(types: &[Type]) -> Result<Type, (Type, Type)> {
    let mut found = Type::Unknown;
    for ty in types {
        found = common(&found, ty).ok_or_else(|| (found.clone(), ty.clone()))?;
    }
    Ok(found)
}

/// What Trino says of a type that it does not know, or of a decimal's digits.
fn unknown(target: &str) -> Error {
    let digits = ["decimal(", "numeric(", "dec("].iter().find_map(|word| target.strip_prefix(word));
    let numbers = digits.and_then(|rest| rest.strip_suffix(')')).map(|rest| rest.split(','));
    let numbers: Option<Vec<u32>> = numbers.and_then(|all| all.map(|n| n.trim().parse().ok()).collect());
    match numbers.as_deref() {
        Some([p, ..]) if !(1..=38).contains(p) => {
            Error::argument(format!("DECIMAL precision must be in range [1, 38]: {p}"))
        }
        Some([p, s]) if s > p => Error::argument(format!("DECIMAL scale must be in range [0, precision ({p})]: {s}")),
        _ => Error::type_mismatch(format!("Unknown type: {target}")),
    }
}

fn cast(name: &'static str, types: &[Type], target: &str) -> Result<Call> {
    let to = Type::parse(target).ok_or_else(|| unknown(target))?;
    let from = &types[0];
    if !crate::cast::is_possible(from, &to) {
        return Err(Error::type_mismatch(format!("Cannot cast {from} to {to}")));
    }
    let kernel: Arrays = if name == "$cast" {
        |call, columns, rows| cast_rows(&columns[0].expanded(rows)?, &call.params[0], &call.returns, false)
    } else {
        |call, columns, rows| cast_rows(&columns[0].expanded(rows)?, &call.params[0], &call.returns, true)
    };
    Ok(call(name, types.to_vec(), to, Kernel::Arrays(kernel)))
}

/// The cast of a value to the type of the column that it is put into: text that is too long for it is refused, where a
/// plain cast cuts it.
fn assign(types: &[Type], target: &str) -> Result<Call> {
    let to = Type::parse(target).ok_or_else(|| Error::type_mismatch(format!("Unknown type: {target}")))?;
    let kernel: Rows = |call, args| {
        let (from, to) = (&call.params[0], &call.returns);
        let longest = match to {
            Type::Char(n) | Type::Varchar(Some(n)) => *n as usize,
            _ => usize::MAX,
        };
        if let Value::Str(text) = &args[0]
            && text.trim_end_matches(' ').chars().count() > longest
        {
            let text = format!("Cannot truncate non-space characters when casting from {from} to {to} on INSERT");
            return Err(Error::cast(text));
        }
        crate::cast::cast(&args[0], from, to)
    };
    Ok(call("$assign", types.to_vec(), to, Kernel::Strict(kernel)))
}

/// A value where a routine's parameter is: what cannot be coerced is no call of that routine.
fn argument(from: &Type, target: &str, expected: &str) -> Result<Call> {
    let to = Type::parse(target).ok_or_else(|| Error::new("TYPE_NOT_FOUND", format!("Unknown type: {target}")))?;
    if !can_coerce(from, &to) {
        let name = expected.split('(').next().unwrap_or_default();
        let text = format!("Unexpected parameters ({from}) for function {name}. Expected: {expected}");
        return Err(Error::new("FUNCTION_NOT_FOUND", text));
    }
    Ok(coerced("$argument", from, to))
}

/// The value that a routine returns.
fn returned(from: &Type, target: &str) -> Result<Call> {
    let to = Type::parse(target).ok_or_else(|| Error::new("TYPE_NOT_FOUND", format!("Unknown type: {target}")))?;
    if !can_coerce(from, &to) {
        return Err(Error::type_mismatch(format!("Value of RETURN must evaluate to {to} (actual: {from})")));
    }
    Ok(coerced("$returned", from, to))
}

fn coerced(name: &'static str, from: &Type, to: Type) -> Call {
    let kernel: Arrays =
        |call, columns, rows| cast_rows(&columns[0].expanded(rows)?, &call.params[0], &call.returns, false);
    let params = if name == "$argument" { vec![from.clone(), VARCHAR, VARCHAR] } else { vec![from.clone(), VARCHAR] };
    call(name, params, to, Kernel::Arrays(kernel))
}

fn named_row(arguments: &[Argument]) -> Call {
    let name = |argument: &Argument| match &argument.literal {
        Some(Value::Str(name)) => Some(name.clone()).filter(|name| !name.is_empty()),
        _ => None,
    };
    let fields = arguments.chunks_exact(2).map(|pair| (name(&pair[0]), pair[1].ty.clone())).collect();
    let kernel: Rows = |_, args| Ok(Value::Row(args.iter().skip(1).step_by(2).cloned().collect()));
    let types = arguments.iter().map(|argument| argument.ty.clone()).collect();
    call("$named_row", types, Type::Row(fields), Kernel::Nullable(kernel))
}

/// A literal of the text and kind that stand in the statement: its type hangs on the text.
fn literal(text: &str, kind: &str) -> Result<Call> {
    let (value, ty) = literal_value(text, kind)?;
    let _ = value;
    let kernel: Rows = |_, args| Ok(literal_value(args[0].as_str(), args[1].as_str())?.0);
    Ok(call("$literal", vec![VARCHAR, VARCHAR], ty, Kernel::Strict(kernel)))
}

fn literal_value(text: &str, kind: &str) -> Result<(Value, Type)> {
    let invalid = |name: &str| Error::new("INVALID_LITERAL", format!("'{text}' is not a valid {name} literal"));
    Ok(match kind {
        "number" => return number(text),
        "text" => (text.into(), Type::Varchar(Some(text.chars().count() as u32))),
        "binary" => {
            let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(Error::new("SYNTAX_ERROR", "Binary literal can only contain hexadecimal digits"));
            }
            if !digits.len().is_multiple_of(2) {
                return Err(Error::new("SYNTAX_ERROR", "Binary literal must contain an even number of digits"));
            }
            let bytes = (0..digits.len() / 2).filter_map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok());
            (Value::Bytes(bytes.collect()), Type::Varbinary)
        }
        "decimal" => {
            let (value, scale) = parse::decimal(text)
                .filter(|(_, scale)| (0..=38).contains(scale) && !text.contains(['e', 'E']))
                .ok_or_else(|| invalid("DECIMAL"))?;
            let digits = value.unsigned_abs().to_string().len().max(scale as usize).max(1);
            if digits > 38 {
                return Err(invalid("DECIMAL"));
            }
            (Value::Decimal(value), Type::Decimal(digits as u8, scale as u8))
        }
        "timestamp" => {
            let (value, p, zone) = parse::timestamp_literal(text).ok_or_else(|| invalid("TIMESTAMP"))?;
            (value, if zone { Type::TimestampTz(p) } else { Type::Timestamp(p) })
        }
        "time" => match parse::time(text).filter(|(_, p, _)| *p <= 12).ok_or_else(|| invalid("TIME"))? {
            (picos, p, None) => (Value::Time(picos), Type::Time(p)),
            (picos, p, Some(offset)) => (Value::TimeTz(picos, offset), Type::TimeTz(p)),
        },
        _ => {
            // `interval:day:second:-`
            if let Some(parts) = kind.strip_prefix("interval:") {
                let parts: Vec<&str> = parts.split(':').collect();
                let [from, to, sign] = parts[..] else { return Err(Error::internal(kind)) };
                let value = parse::interval(text, from, Some(to).filter(|to| !to.is_empty()), sign == "-").ok_or_else(
                    || {
                        let name = if to.is_empty() { from.to_owned() } else { format!("{from} TO {to}") };
                        Error::new("INVALID_LITERAL", format!("Invalid INTERVAL {} value: {text}", name.to_uppercase()))
                    },
                )?;
                let ty = if matches!(value, Value::IntervalDay(_)) { Type::IntervalDay } else { Type::IntervalYear };
                return Ok((value, ty));
            }
            let ty = Type::parse(kind)
                .ok_or_else(|| Error::new("TYPE_NOT_FOUND", format!("Unknown resolvedType: {kind}")))?;
            let name = ty.base().to_uppercase();
            if ty == Type::Json {
                let json = crate::json::parse(text).ok_or_else(|| invalid("JSON"))?;
                return Ok((json.to_string().into(), ty));
            }
            let value = crate::cast::cast(&text.into(), &VARCHAR, &ty).map_err(|_| invalid(&name))?;
            (value, ty)
        }
    })
}

/// `5` is an integer or bigint, `1.5` a decimal, `1e0` a double.
fn number(text: &str) -> Result<(Value, Type)> {
    let text = &text.replace('_', "");
    if text.contains(['e', 'E']) {
        let value: f64 = text.parse().map_err(|_| Error::new("SYNTAX_ERROR", format!("Invalid number {text}")))?;
        return Ok((Value::Double(value), Type::Double));
    }
    if text.contains('.') {
        return literal_value(text, "decimal");
    }
    let digits = text.trim_start_matches('-');
    let radix = |prefix: &str, radix| digits.strip_prefix(prefix).map(|d| i64::from_str_radix(d, radix));
    let parsed = radix("0x", 16)
        .or_else(|| radix("0X", 16))
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .map_or_else(|| text.parse(), |value| value.map(|v| if text.starts_with('-') { -v } else { v }));
    match parsed {
        Ok(value) if i32::try_from(value).is_ok() => Ok((Value::Int(value), Type::Integer)),
        Ok(value) => Ok((Value::Int(value), Type::Bigint)),
        Err(_) => Err(Error::new("SYNTAX_ERROR", format!("Invalid numeric literal: {text}"))),
    }
}

fn array(types: Vec<Type>) -> Result<Call> {
    let item = common_of(&types).map_err(|(a, b)| {
        Error::type_mismatch(format!(
            "All ARRAY elements must be the same type or coercible to a common type. Cannot find common type between {a} and {b}"
        ))
    })?;
    let params = vec![item.clone(); types.len()];
    Ok(call("$array", params, Type::array(item), Kernel::Nullable(|_, args| Ok(Value::Array(args.to_vec())))))
}

fn subscript(types: &[Type], literal: Option<&Value>) -> Result<Call> {
    match &types[0] {
        Type::Array(item) if common(&types[1], &Type::Bigint) == Some(Type::Bigint) => {
            let kernel: Rows = |_, args| {
                let (items, index) = (args[0].items(), args[1].as_int());
                match index {
                    0 => Err(Error::argument("SQL array indices start at 1")),
                    ..=-1 => Err(Error::argument(format!("Array subscript is negative: {index}"))),
                    _ => items.get(index as usize - 1).cloned().ok_or_else(|| {
                        Error::argument(format!(
                            "Array subscript must be less than or equal to array length: {index} > {}",
                            items.len()
                        ))
                    }),
                }
            };
            let params = vec![types[0].clone(), Type::Bigint];
            Ok(call("$subscript", params, item.as_ref().clone(), Kernel::Strict(kernel)))
        }
        Type::Map(key, value) if common(key, &types[1]).is_some() => {
            // Keys and subscript become one type: `map(varchar(1), …)['long']` finds nothing.
            let key = common(key, &types[1]).unwrap_or_else(|| key.as_ref().clone());
            let kernel: Rows = |call, args| {
                let found = args[0].entries().iter().find(|(key, _)| *key == args[1]);
                found.map(|(_, value)| value.clone()).ok_or_else(|| {
                    Error::argument(match &args[1] {
                        Value::Null | Value::Array(_) | Value::Row(_) | Value::Map(_) => {
                            "Key not present in map".to_owned()
                        }
                        key => format!("Key not present in map: {}", to_text(key, &call.params[1])),
                    })
                })
            };
            let params = vec![Type::map(key.clone(), value.as_ref().clone()), key];
            Ok(call("$subscript", params, value.as_ref().clone(), Kernel::Strict(kernel)))
        }
        Type::Row(fields) => {
            let Some(Value::Int(index)) = literal else {
                return Err(Error::new(
                    "EXPRESSION_NOT_CONSTANT",
                    "Subscript expression on ROW requires a constant index",
                ));
            };
            let Some((_, ty)) = usize::try_from(*index - 1).ok().and_then(|at| fields.get(at)) else {
                return Err(Error::argument(format!("Invalid subscript index: {index}. ROW indices start at 1")));
            };
            let kernel: Rows = |_, args| {
                let at = usize::try_from(args[1].as_int() - 1).unwrap_or(0);
                Ok(args[0].items().get(at).cloned().unwrap_or(Value::Null))
            };
            Ok(call("$subscript", vec![types[0].clone(), Type::Bigint], ty.clone(), Kernel::Strict(kernel)))
        }
        Type::Unknown => {
            Ok(call("$subscript", types.to_vec(), Type::Unknown, Kernel::Nullable(|_, _| Ok(Value::Null))))
        }
        _ => Err(Error::type_mismatch(format!("Cannot use {} for subscript of {}", types[1], types[0]))),
    }
}

/// `row.name`, or `row[n]` where the name is a number.
fn field(types: &[Type], name: &str) -> Result<Call> {
    let Type::Row(fields) = &types[0] else {
        if types[0] == Type::Unknown {
            return Ok(call("$field", types.to_vec(), Type::Unknown, Kernel::Nullable(|_, _| Ok(Value::Null))));
        }
        return Err(Error::type_mismatch(format!("Expression is not of type ROW: {}", types[0])));
    };
    let position = fields
        .iter()
        .position(|(own, _)| own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name)))
        .or_else(|| name.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < fields.len()));
    let Some(position) = position else {
        if name.parse::<i64>().is_ok() {
            return Err(Error::argument(format!("ROW index out of bounds: {name}")));
        }
        return Err(Error::new("INVALID_COLUMN_REFERENCE", format!("Column reference '{name}' is invalid")));
    };
    let kernel: Arrays = |call, columns, rows| {
        let row = columns[0].expanded(rows)?;
        let name = columns[1].value(&VARCHAR, 0);
        let Type::Row(fields) = &call.params[0] else { return Err(Error::internal("no row")) };
        let position = fields
            .iter()
            .position(|(own, _)| own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name.as_str())))
            .or_else(|| name.as_str().parse::<usize>().ok().and_then(|n| n.checked_sub(1)))
            .unwrap_or(0);
        let values: Vec<Value> = (0..rows)
            .map(|i| {
                let row = crate::value::read(row.as_ref(), &call.params[0], i);
                row.items().get(position).cloned().unwrap_or(Value::Null)
            })
            .collect();
        crate::value::build(&call.returns, &values)
    };
    Ok(call("$field", vec![types[0].clone(), VARCHAR], fields[position].1.clone(), Kernel::Arrays(kernel)))
}

/// `WHEN`s and their results in turn, a last one for `ELSE`.
fn case(types: Vec<Type>) -> Result<Call> {
    let (conditions, results): (Vec<_>, Vec<_>) =
        types.iter().enumerate().partition(|(i, _)| i % 2 == 0 && i + 1 < types.len());
    if let Some((_, ty)) = conditions.iter().find(|(_, ty)| !matches!(ty, Type::Boolean | Type::Unknown)) {
        return Err(Error::type_mismatch(format!("CASE WHEN clause must evaluate to a boolean (actual: {ty})")));
    }
    let results: Vec<Type> = results.into_iter().map(|(_, ty)| ty.clone()).collect();
    let result = common_of(&results).map_err(|(a, b)| {
        Error::type_mismatch(format!(
            "All CASE results must be the same type or coercible to a common type. Cannot find common type between {a} and {b}"
        ))
    })?;
    let count = types.len();
    let params = (0..count).map(|i| if i % 2 == 0 && i + 1 < count { Type::Boolean } else { result.clone() }).collect();
    let kernel: Rows = |_, args| {
        let mut pairs = args.chunks_exact(2);
        let found = pairs.find(|pair| pair[0].as_bool()).map(|pair| pair[1].clone());
        Ok(found.or_else(|| args.last().filter(|_| args.len() % 2 == 1).cloned()).unwrap_or(Value::Null))
    };
    Ok(call("$case", params, result, Kernel::Nullable(kernel)))
}

/// An operand, values that it may equal and their results in turn, a last one for `ELSE`.
fn case_of(types: &[Type]) -> Result<Call> {
    let Some((operand, pairs)) = types.split_first() else { return Err(Error::internal("CASE without an operand")) };
    let values = pairs.iter().step_by(2).take(pairs.len() / 2);
    let mut compared = operand.clone();
    for value in values {
        if common(operand, value).is_none_or(|ty| !ty.is_comparable()) {
            return Err(Error::type_mismatch(format!(
                "CASE operand type does not match WHEN clause operand type: {operand} vs {value}"
            )));
        }
        compared = common(&compared, value).unwrap_or(compared);
    }
    let is_value = |i: usize| i.is_multiple_of(2) && i + 1 < pairs.len();
    let own = pairs.iter().enumerate().map(|(i, ty)| if is_value(i) { Type::Boolean } else { ty.clone() });
    let result = case(own.collect())?.returns;
    let params = std::iter::once(compared.clone())
        .chain((0..pairs.len()).map(|i| if is_value(i) { compared.clone() } else { result.clone() }));
    let kernel: Rows = |_, args| {
        let mut pairs = args[1..].chunks_exact(2);
        let found = pairs.find(|pair| equal(&args[0], &pair[0]) == Some(true)).map(|pair| pair[1].clone());
        Ok(found.or_else(|| args.last().filter(|_| args.len() % 2 == 0).cloned()).unwrap_or(Value::Null))
    };
    Ok(call("$case_of", params.collect(), result, Kernel::Nullable(kernel)))
}

/// Whether a row is among an array's, which is null where there are none: rows are the same or not, nulls and all.
fn among_rows(types: &[Type]) -> Result<Call> {
    let [row, Type::Array(item)] = types else { return Err(Error::internal("a row among others")) };
    let Some(ty) = common(row, item) else {
        return Err(Error::type_mismatch(format!(
            "Value expression and result of subquery must be of the same type: {row} vs {item}"
        )));
    };
    let kernel: Rows = |_, args| Ok(args[1].items().iter().any(|item| same(&args[0], item)).into());
    Ok(call("$among", vec![ty.clone(), Type::array(ty)], Type::Boolean, Kernel::Nullable(kernel)))
}

fn among(types: Vec<Type>) -> Result<Call> {
    let ty = common_of(&types).map_err(|(a, b)| {
        Error::type_mismatch(format!(
            "IN value and list items must be the same type or coercible to a common type. Cannot find common type between {a} and {b}, \
             all types (without duplicates): [{}]",
            distinct(&types)
        ))
    })?;
    let params = vec![ty; types.len()];
    let kernel: Rows = |_, args| {
        let mut open = args[0].is_null();
        for item in &args[1..] {
            match equal(&args[0], item) {
                Some(true) => return Ok(true.into()),
                None => open = true,
                Some(false) => {}
            }
        }
        Ok(if open { Value::Null } else { false.into() })
    };
    Ok(call("$in", params, Type::Boolean, Kernel::Nullable(kernel)))
}

/// The types that there are, each once.
fn distinct(types: &[Type]) -> String {
    let mut all: Vec<String> = Vec::new();
    for ty in types.iter().map(ToString::to_string) {
        if !all.contains(&ty) {
            all.push(ty);
        }
    }
    all.join(", ")
}

/// `mod(a, b)`, as `a % b`; of integers it fails otherwise where that divides by zero.
fn modulus(arguments: &[Argument]) -> Option<Result<Call>> {
    let mut operator = match super::operator::resolve("$mod", arguments)? {
        Ok(operator) => operator,
        Err(error) => return Some(Err(error)),
    };
    if operator.returns.is_integer() {
        let kernel: Arrays = |call, columns, rows| {
            let arguments: Vec<_> = call.params.iter().map(|ty| Argument { ty: ty.clone(), literal: None }).collect();
            let operator = super::operator::resolve("$mod", &arguments).ok_or_else(|| Error::internal("mod"))??;
            operator.run(columns, &call.params, rows).map_err(|error| {
                if error.code == "DIVISION_BY_ZERO" { Error::new("GENERIC_INTERNAL_ERROR", "/ by zero") } else { error }
            })
        };
        operator.kernel = Kernel::Arrays(kernel);
    }
    Some(Ok(operator))
}

fn between(types: Vec<Type>) -> Result<Call> {
    let ordered = common_of(&types).ok().filter(|ty| ty.is_orderable() || *ty == Type::Unknown);
    let Some(ty) = ordered else {
        return Err(Error::type_mismatch(format!(
            "Cannot check if {} is BETWEEN {} and {}",
            types[0], types[1], types[2]
        )));
    };
    let kernel: Rows = |_, args| {
        let holds = |a: &Value, b: &Value| -> Result<Option<bool>> {
            Ok(match compare(a, b)? {
                None if a.is_null() || b.is_null() => None,
                None => Some(false),
                Some(order) => Some(order != std::cmp::Ordering::Greater),
            })
        };
        Ok(match (holds(&args[1], &args[0])?, holds(&args[0], &args[2])?) {
            (Some(false), _) | (_, Some(false)) => Value::Bool(false),
            (Some(true), Some(true)) => Value::Bool(true),
            _ => Value::Null,
        })
    };
    Ok(call("$between", vec![ty; 3], Type::Boolean, Kernel::Nullable(kernel)))
}

fn like(types: Vec<Type>) -> Result<Call> {
    let text = |ty: &Type| ty.is_text() || *ty == Type::Unknown;
    if !text(&types[0]) {
        return Err(Error::type_mismatch(format!(
            "Left side of LIKE expression must evaluate to a varchar (actual: {})",
            types[0]
        )));
    }
    if !text(&types[1]) {
        return Err(Error::type_mismatch(format!(
            "Pattern for LIKE expression must evaluate to a varchar (actual: {})",
            types[1]
        )));
    }
    if let Some(ty) = types.get(2).filter(|ty| !text(ty)) {
        return Err(Error::type_mismatch(format!(
            "Escape for LIKE expression must evaluate to a varchar (actual: {ty})"
        )));
    }
    // A char is matched with its padding.
    let params = vec![VARCHAR; types.len()];
    let kernel: Rows = |_, args| {
        let escape = match args.get(2).map(Value::as_str) {
            None => None,
            Some(text) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Some(c),
                    _ => return Err(Error::argument("Escape string must be a single character")),
                }
            }
        };
        Ok(like_matches(args[0].as_str(), args[1].as_str(), escape)?.into())
    };
    Ok(call("$like", params, Type::Boolean, Kernel::Strict(kernel)))
}

enum LikeStep {
    Any,
    One,
    Char(char),
}

fn like_matches(text: &str, pattern: &str, escape: Option<char>) -> Result<bool> {
    let mut steps = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some(next) if next == '%' || next == '_' || Some(next) == escape => steps.push(LikeStep::Char(next)),
                _ => {
                    return Err(Error::argument(
                        "Escape character must be followed by '%', '_' or the escape character itself",
                    ));
                }
            }
        } else {
            steps.push(match c {
                '%' => LikeStep::Any,
                '_' => LikeStep::One,
                c => LikeStep::Char(c),
            });
        }
    }
    let text: Vec<char> = text.chars().collect();
    // Greedy with one place to return to, which is enough for `%`.
    let (mut at, mut step, mut back) = (0, 0, None);
    while at < text.len() {
        match steps.get(step) {
            Some(LikeStep::Any) => {
                step += 1;
                back = Some((at, step));
            }
            Some(LikeStep::One) => {
                at += 1;
                step += 1;
            }
            Some(LikeStep::Char(c)) if *c == text[at] => {
                at += 1;
                step += 1;
            }
            _ => match back {
                Some((from, next)) => {
                    at = from + 1;
                    step = next;
                    back = Some((at, next));
                }
                None => return Ok(false),
            },
        }
    }
    Ok(steps[step..].iter().all(|step| matches!(step, LikeStep::Any)))
}

fn extract(field: &str, rest: &[Argument]) -> Result<Call> {
    let name = EXTRACTED
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(field))
        .map(|(_, name)| *name)
        .ok_or_else(|| Error::new("SYNTAX_ERROR", format!("Invalid EXTRACT field: {field}")))?;
    let ty = &rest[0].ty;
    let zoned = name.starts_with("timezone") && !matches!(ty, Type::TimestampTz(_) | Type::TimeTz(_));
    let inner = crate::call::resolve(name, rest).ok().filter(|_| !zoned || *ty == Type::Unknown).filter(|call| {
        // A text is not extracted from, nor is a date's hour.
        !matches!(ty, Type::Varchar(_))
            && (*ty != Type::Date || !matches!(name, "hour" | "minute" | "second"))
            && call.params.len() == 1
    });
    let Some(mut inner) = inner else {
        return Err(Error::type_mismatch(format!("Cannot extract {} from {ty}", field.to_uppercase())));
    };
    inner.params.insert(0, VARCHAR);
    let kernel: Arrays = |call, columns, rows| {
        let [field, column] = columns else { return Err(Error::internal("extract")) };
        let field = field.value(&VARCHAR, 0);
        let name = EXTRACTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(field.as_str()));
        let ty = call.params[1].clone();
        let argument = Argument { ty: ty.clone(), literal: None };
        let inner = crate::call::resolve(name.map_or("year", |(_, name)| name), &[argument])?;
        inner.run(std::slice::from_ref(column), &[ty], rows)
    };
    Ok(call("$extract", inner.params, inner.returns, Kernel::Arrays(kernel)))
}

/// Says that an expression must be a boolean; `where` names the place.
fn boolean(types: &[Type], place: &str) -> Result<Call> {
    if matches!(types[0], Type::Boolean | Type::Unknown) {
        let params = vec![Type::Boolean, VARCHAR];
        return Ok(call("$boolean", params, Type::Boolean, Kernel::Nullable(|_, args| Ok(args[0].clone()))));
    }
    let ty = &types[0];
    Err(Error::type_mismatch(match place {
        "not" => format!("Value of logical NOT expression must evaluate to a boolean (actual: {ty})"),
        "term" => format!("Logical expression term must evaluate to a boolean (actual: {ty})"),
        place => format!("{place} clause must evaluate to a boolean: actual type {ty}"),
    }))
}

fn at_time_zone(arguments: &[Argument]) -> Result<Call> {
    let ty = &arguments[0].ty;
    if !matches!(ty, Type::Time(_) | Type::TimeTz(_) | Type::Timestamp(_) | Type::TimestampTz(_) | Type::Unknown) {
        return Err(Error::type_mismatch(format!(
            "Type of value must be a time or timestamp with or without time zone (actual {ty})"
        )));
    }
    let name = if matches!(ty, Type::Time(_) | Type::TimeTz(_)) { "$time_at_timezone" } else { "at_timezone" };
    crate::call::resolve(name, arguments)
}

fn coalesce(types: Vec<Type>) -> Result<Call> {
    if types.len() < 2 {
        return Err(Error::new(
            "INVALID_FUNCTION_ARGUMENT",
            "The 'coalesce' function must have at least two arguments",
        ));
    }
    let ty = common_of(&types).map_err(|(a, b)| {
        Error::type_mismatch(format!(
            "All COALESCE operands must be the same type or coercible to a common type. Cannot find common type between {a} and {b}"
        ))
    })?;
    let kernel: Rows = |_, args| Ok(args.iter().find(|value| !value.is_null()).cloned().unwrap_or(Value::Null));
    Ok(call("coalesce", vec![ty.clone(); types.len()], ty, Kernel::Nullable(kernel)))
}

fn condition(mut types: Vec<Type>) -> Result<Call> {
    if types.len() < 2 || types.len() > 3 {
        return Err(Error::new("INVALID_FUNCTION_ARGUMENT", "Invalid number of arguments for 'if' function"));
    }
    if !matches!(types[0], Type::Boolean | Type::Unknown) {
        return Err(Error::type_mismatch(format!("IF condition must evaluate to a boolean (actual: {})", types[0])));
    }
    let results = &types[1..];
    let ty = common_of(results).map_err(|(a, b)| {
        Error::type_mismatch(format!(
            "Result types for IF must be the same or coercible to a common type. Cannot find common type between {a} and {b}"
        ))
    })?;
    let count = types.len();
    types = std::iter::once(Type::Boolean).chain(std::iter::repeat_n(ty.clone(), count - 1)).collect();
    let kernel: Rows =
        |_, args| Ok(if args[0].as_bool() { args[1].clone() } else { args.get(2).cloned().unwrap_or(Value::Null) });
    Ok(call("if", types, ty, Kernel::Nullable(kernel)))
}

fn nullif(types: Vec<Type>) -> Result<Call> {
    if types.len() != 2 {
        return Err(Error::new("INVALID_FUNCTION_ARGUMENT", "Invalid number of arguments for 'nullif' function"));
    }
    if common(&types[0], &types[1]).is_none_or(|ty| !ty.is_comparable()) {
        return Err(Error::type_mismatch(format!(
            "Types are not comparable with NULLIF: {} vs {}",
            types[0], types[1]
        )));
    }
    let returns = types[0].clone();
    let kernel: Rows = |call, args| {
        let ty = common(&call.params[0], &call.params[1]).unwrap_or(Type::Unknown);
        let (a, b) =
            (crate::cast::cast(&args[0], &call.params[0], &ty)?, crate::cast::cast(&args[1], &call.params[1], &ty)?);
        Ok(if equal(&a, &b) == Some(true) { Value::Null } else { args[0].clone() })
    };
    Ok(call("nullif", types, returns, Kernel::Nullable(kernel)))
}

fn extreme(name: &'static str, types: Vec<Type>) -> Result<Call> {
    let ty = match common_of(&types) {
        Ok(ty) if ty.is_orderable() && !types.is_empty() => ty,
        _ => return wrong(name, "e) E:orderable", &types),
    };
    let kernel: Rows = |call, args| {
        let wanted = if call.name == "greatest" { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
        Ok(crate::aggregate::extreme(args.iter(), wanted))
    };
    Ok(call(name, vec![ty.clone(); types.len()], ty, Kernel::Strict(kernel)))
}

/// Of `||` with an untyped null Trino takes the one that appends an item to an array, if it can choose at all.
fn concat_with_null(types: Vec<Type>) -> Result<Call> {
    if let [Type::Unknown, text @ Type::Varchar(_)] | [text @ Type::Varchar(_), Type::Unknown] = &types[..] {
        let returns = Type::array(text.clone());
        return Ok(call("concat", types, returns, Kernel::Strict(|_, _| Ok(Value::Null))));
    }
    let text = "Could not choose a best candidate operator. Explicit type casts must be added.";
    Err(Error::new("AMBIGUOUS_FUNCTION_CALL", text))
}

/// An array and an item of it, in either order.
fn concat_of_item(types: &[Type]) -> Option<Call> {
    let [a, b] = types else { return None };
    let of = |array: &Type, other: &Type| match array {
        Type::Array(item) => common(item, other),
        _ => None,
    };
    let joined = of(a, b)
        .map(|item| (Type::array(item.clone()), item))
        .or_else(|| of(b, a).map(|item| (item.clone(), Type::array(item))));
    if let Some((left, right)) = joined {
        let returns = if of(a, b).is_some() { left.clone() } else { right.clone() };
        let kernel: Rows = |call, args| {
            let array = usize::from(call.params[0] != call.returns);
            if args[array].is_null() {
                return Ok(Value::Null);
            }
            let mut items = args[array].items().to_vec();
            if array == 0 {
                items.push(args[1].clone());
            } else {
                items.insert(0, args[0].clone());
            }
            Ok(Value::Array(items))
        };
        return Some(call("concat", vec![left, right], returns, Kernel::Nullable(kernel)));
    }
    None
}

fn concat(types: Vec<Type>) -> Result<Call> {
    const EXPECTED: &str = "E, array(E)) E, concat(array(E)) E, concat(array(E), E) E, concat(char(x), char(y)), \
        concat(varbinary), concat(varchar";
    let count = types.len();
    if types.iter().all(|ty| matches!(ty, Type::Char(_))) && count == 2 {
        let (Type::Char(x), Type::Char(y)) = (&types[0], &types[1]) else { return wrong("concat", EXPECTED, &types) };
        let returns = Type::Char((x + y).min(65_536));
        let kernel: Rows = |call, args| Ok((to_text(&args[0], &call.params[0]) + args[1].as_str()).into());
        return Ok(call("concat", types, returns, Kernel::Strict(kernel)));
    }
    if let [Type::Char(x), Type::Varchar(Some(y))] | [Type::Varchar(Some(y)), Type::Char(x)] = types[..] {
        return concat(
            types
                .iter()
                .map(|ty| if ty.is_text() { ty.clone() } else { VARCHAR })
                .map(|ty| match ty {
                    Type::Varchar(_) => Type::Char(y.max(1)),
                    _ => Type::Char(x),
                })
                .collect(),
        );
    }
    if let [Type::Unknown, _] | [_, Type::Unknown] = &types[..] {
        return concat_with_null(types);
    }
    let fewer = || Err(Error::argument("There must be two or more concatenation arguments"));
    if types.iter().all(|ty| ty.is_text() || *ty == Type::Unknown) {
        if count < 2 {
            return fewer();
        }
        let kernel: Rows = |_, args| Ok(args.iter().map(Value::as_str).collect::<String>().into());
        return Ok(call("concat", vec![VARCHAR; count], VARCHAR, Kernel::Strict(kernel)));
    }
    if types.iter().all(|ty| matches!(ty, Type::Varbinary | Type::Unknown)) {
        if count < 2 {
            return fewer();
        }
        let kernel: Rows = |_, args| Ok(args.iter().flat_map(|v| v.as_bytes().to_vec()).collect::<Vec<u8>>().into());
        return Ok(call("concat", vec![Type::Varbinary; count], Type::Varbinary, Kernel::Strict(kernel)));
    }
    // An array may be the item of the other.
    let nested =
        matches!(&types[..], [Type::Array(a), b] | [b, Type::Array(a)] if **a == *b && matches!(b, Type::Array(_)));
    if !nested && let Ok(ty @ Type::Array(_)) = common_of(&types) {
        let kernel: Rows =
            |_, args| Ok(Value::Array(args.iter().flat_map(|value| value.items().iter().cloned()).collect()));
        return Ok(call("concat", vec![ty.clone(); count], ty, Kernel::Strict(kernel)));
    }
    if let Some(appended) = concat_of_item(&types) {
        return Ok(appended);
    }
    wrong("concat", EXPECTED, &types)
}
