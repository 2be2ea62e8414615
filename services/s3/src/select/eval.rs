//! What an expression is of a record. What is missing or null makes what is computed of it null, and a condition that is null holds not.

use std::cmp::Ordering;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive as _, Zero as _};
use jiff::{Span, Unit, Zoned};

use super::Invalid;
use super::sql::{Aggregate, Expr, Operator, Query, Step, Type};
use super::value::{Value, boolean, moment, rounded};

/// A function that is no aggregate, of so many arguments.
pub(super) fn is_function(name: &str, arguments: usize) -> bool {
    match name {
        "LOWER" | "UPPER" | "CHAR_LENGTH" | "CHARACTER_LENGTH" | "TO_TIMESTAMP" => arguments == 1,
        "TRIM" | "LTRIM" | "RTRIM" => (1..=2).contains(&arguments),
        "SUBSTRING" => (2..=3).contains(&arguments),
        "NULLIF" | "EXTRACT" | "TO_STRING" => arguments == 2,
        "DATE_ADD" | "DATE_DIFF" => arguments == 3,
        "COALESCE" => arguments > 0,
        "UTCNOW" => arguments == 0,
        _ => false,
    }
}

/// The world that an expression sees.
pub(super) struct Scope<'a> {
    pub(super) record: &'a Value,
    /// By which names the record may be called.
    pub(super) names: &'a [String],
    pub(super) now: &'a Zoned,
    pub(super) totals: &'a [Value],
}

fn wrong(what: impl Into<String>) -> Invalid {
    Invalid::new("EvaluatorInvalidArguments", what)
}

impl Expr {
    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Invalid> {
        Ok(self.value(scope)? == Value::Bool(true))
    }

    pub(super) fn value(&self, scope: &Scope<'_>) -> Result<Value, Invalid> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Path(steps) => walk(scope, steps),
            Self::Aggregate(at) => scope.totals.get(*at).cloned().unwrap_or(Value::Null),
            Self::Not(inner) => match inner.value(scope)? {
                Value::Bool(value) => Value::Bool(!value),
                _ => Value::Null,
            },
            Self::Negate(inner) => {
                let value = inner.value(scope)?;
                if value.is_absent() {
                    return Ok(Value::Null);
                }
                match value.number() {
                    Some(Value::Int(number)) => Value::Int(number.checked_neg().ok_or_else(overflow)?),
                    Some(Value::Float(number)) => Value::Float(-number),
                    Some(Value::Decimal(number)) => Value::Decimal(-number),
                    _ => return Err(wrong("- wants a number")),
                }
            }
            Self::Binary(operator, left, right) => binary(*operator, left, right, scope)?,
            Self::In(expr, list) => {
                let value = expr.value(scope)?;
                let mut unknown = value.is_absent();
                for one in list {
                    let other = one.value(scope)?;
                    if !unknown && value.order(&other) == Some(Ordering::Equal) {
                        return Ok(Value::Bool(true));
                    }
                    unknown |= other.is_absent();
                }
                if unknown { Value::Null } else { Value::Bool(false) }
            }
            Self::Like { text, pattern, escape } => {
                let (text, pattern) = (text.value(scope)?, pattern.value(scope)?);
                match (text, pattern) {
                    (text, pattern) if text.is_absent() || pattern.is_absent() => Value::Null,
                    (Value::Text(text), Value::Text(pattern)) => Value::Bool(like(&text, &pattern, *escape)?),
                    _ => return Err(Invalid::new("LikeInvalidInputs", "LIKE wants text on both sides")),
                }
            }
            Self::IsNull(inner) => Value::Bool(inner.value(scope)?.is_absent()),
            Self::Case { operand, whens, otherwise } => {
                let operand = operand.as_ref().map(|operand| operand.value(scope)).transpose()?;
                for (when, then) in whens {
                    let holds = match &operand {
                        Some(operand) => operand.order(&when.value(scope)?) == Some(Ordering::Equal),
                        None => when.holds(scope)?,
                    };
                    if holds {
                        return then.value(scope);
                    }
                }
                otherwise.as_ref().map_or(Ok(Value::Null), |otherwise| otherwise.value(scope))?
            }
            Self::Cast(inner, kind) => cast(&inner.value(scope)?, *kind)?,
            Self::Function(name, arguments) => {
                let values = arguments.iter().map(|one| one.value(scope)).collect::<Result<Vec<_>, _>>()?;
                function(name, values, scope)?
            }
        })
    }
}

/// Where a path leads. A name alone may also call the record itself.
fn walk(scope: &Scope<'_>, steps: &[Step]) -> Value {
    let found = follow(scope.record, steps);
    match steps {
        [Step::Name { name, .. }]
            if found == Value::Missing && scope.names.iter().any(|own| own.eq_ignore_ascii_case(name)) =>
        {
            scope.record.clone()
        }
        _ => found,
    }
}

fn follow(value: &Value, steps: &[Step]) -> Value {
    let mut value = value;
    for step in steps {
        let next = match (step, value) {
            (Step::Index(at), Value::List(list)) => list.get(*at),
            (Step::Name { name, exact }, Value::Struct(members)) => {
                let named = members.iter().find(|(own, _)| own == name || (!exact && own.eq_ignore_ascii_case(name)));
                // `_1` is the first column whatever it is called.
                let placed =
                    || name.strip_prefix('_')?.parse::<usize>().ok()?.checked_sub(1).and_then(|at| members.get(at));
                named.or_else(placed).map(|(_, value)| value)
            }
            _ => None,
        };
        let Some(next) = next else { return Value::Missing };
        value = next;
    }
    value.clone()
}

/// The values that a FROM's path leads to.
pub(super) fn sources(value: Value, path: &[Step]) -> Vec<Value> {
    // `S3Object[*]` are the records themselves.
    let path = match path {
        [Step::Each, rest @ ..] => rest,
        path => path,
    };
    let mut all = vec![value];
    for step in path {
        all = match step {
            Step::Each => all
                .into_iter()
                .flat_map(|value| match value {
                    Value::List(list) => list,
                    other => vec![other],
                })
                .collect(),
            step => all.iter().map(|value| follow(value, std::slice::from_ref(step))).collect(),
        };
    }
    all
}

fn overflow() -> Invalid {
    Invalid::new("IntegerOverflow", "An integer is out of range")
}

fn binary(operator: Operator, left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<Value, Invalid> {
    use Operator::{
        Add, And, Concat, Divide, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Modulo, Multiply, NotEqual, Or,
        Subtract,
    };
    let (a, b) = (left.value(scope)?, right.value(scope)?);
    let truth = |value: &Value| match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    };
    Ok(match operator {
        And | Or => {
            let (a, b, ends) = (truth(&a), truth(&b), operator == Or);
            match (a, b) {
                (Some(value), _) | (_, Some(value)) if value == ends => Value::Bool(ends),
                (Some(_), Some(_)) => Value::Bool(!ends),
                _ => Value::Null,
            }
        }
        _ if a.is_absent() || b.is_absent() => Value::Null,
        Equal | NotEqual => Value::Bool((a.order(&b) == Some(Ordering::Equal)) == (operator == Equal)),
        Less | LessOrEqual | Greater | GreaterOrEqual => match a.order(&b) {
            None => Value::Bool(false),
            Some(order) => Value::Bool(match operator {
                Less => order.is_lt(),
                LessOrEqual => order.is_le(),
                Greater => order.is_gt(),
                _ => order.is_ge(),
            }),
        },
        Concat => Value::Text(a.text() + &b.text()),
        Add | Subtract | Multiply | Divide | Modulo => arithmetic(operator, &a, &b)?,
    })
}

fn arithmetic(operator: Operator, a: &Value, b: &Value) -> Result<Value, Invalid> {
    let numbers =
        a.number().zip(b.number()).ok_or_else(|| wrong(format!("{} and {} are no numbers", a.text(), b.text())))?;
    if let (Value::Int(a), Value::Int(b)) = numbers {
        if b == 0 && matches!(operator, Operator::Divide | Operator::Modulo) {
            return Err(wrong("A division by zero"));
        }
        let result = match operator {
            Operator::Add => a.checked_add(b),
            Operator::Subtract => a.checked_sub(b),
            Operator::Multiply => a.checked_mul(b),
            Operator::Divide => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        return result.map(Value::Int).ok_or_else(overflow);
    }
    if let (Value::Decimal(_), Value::Int(_) | Value::Decimal(_)) | (Value::Int(_), Value::Decimal(_)) = &numbers
        && let (Some(a), Some(b)) = (numbers.0.decimal(), numbers.1.decimal())
    {
        return decimals(operator, &a, &b);
    }
    let (Some(a), Some(b)) = (numbers.0.float(), numbers.1.float()) else { return Err(wrong("no numbers")) };
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        _ => a % b,
    };
    if result.is_finite() {
        Ok(Value::Float(result))
    } else {
        Err(wrong("A number is out of range, or a division by zero"))
    }
}

fn decimals(operator: Operator, a: &BigDecimal, b: &BigDecimal) -> Result<Value, Invalid> {
    if b.is_zero() && matches!(operator, Operator::Divide | Operator::Modulo) {
        return Err(wrong("A division by zero"));
    }
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        _ => a % b,
    };
    rounded(result).map(Value::Decimal).ok_or_else(|| wrong("A number is out of range"))
}

/// A number of so many digits, of which `scale` are behind the point.
fn fitted(number: &BigDecimal, digits: Option<(u64, i64)>) -> Option<Value> {
    let Some((precision, scale)) = digits else { return Some(Value::Decimal(number.clone())) };
    let number = number.with_scale_round(scale, RoundingMode::HalfUp);
    (number.is_zero() || number.digits() <= precision).then_some(Value::Decimal(number))
}

fn cast(value: &Value, kind: Type) -> Result<Value, Invalid> {
    if value.is_absent() {
        return Ok(Value::Null);
    }
    let failed =
        |value: &Value| Invalid::new("CastFailed", format!("Attempt to convert {} failed in CAST", value.text()));
    let cast = match (kind, value) {
        (Type::Text, value) => Some(Value::Text(value.text())),
        (Type::Bool, Value::Bool(value)) => Some(Value::Bool(*value)),
        (Type::Bool, Value::Text(text)) => boolean(text).map(Value::Bool),
        (Type::Bool, Value::Int(number)) => Some(Value::Bool(*number != 0)),
        (Type::Int, Value::Bool(value)) => Some(Value::Int(i64::from(*value))),
        (Type::Int, value) => match value.number() {
            Some(Value::Float(number)) => whole(number).map(Value::Int),
            Some(Value::Decimal(number)) => number.with_scale_round(0, RoundingMode::Down).to_i64().map(Value::Int),
            number => number,
        },
        (Type::Float, value) => value.float().map(Value::Float),
        (Type::Decimal(digits), value) => value.decimal().and_then(|number| fitted(&number, digits)),
        (Type::Time, Value::Time(at)) => Some(Value::Time(at.clone())),
        (Type::Time, Value::Text(text)) => moment(text).map(Value::Time),
        _ => None,
    };
    cast.ok_or_else(|| failed(value))
}

/// What is before the point.
fn whole(number: f64) -> Option<i64> {
    let number = number.trunc();
    // From 2^63 on it is none.
    let fits = number.is_finite() && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    fits.then(|| format!("{number:.0}").parse().ok()).flatten()
}

fn like(text: &str, pattern: &str, escape: Option<char>) -> Result<bool, Invalid> {
    // `None` stands for any text, `Some(None)` for any character.
    let mut parts: Vec<Option<Option<char>>> = Vec::new();
    let mut characters = pattern.chars();
    while let Some(one) = characters.next() {
        parts.push(match one {
            one if Some(one) == escape => {
                let next = characters.next().filter(|next| matches!(next, '%' | '_') || Some(*next) == escape);
                Some(Some(
                    next.ok_or_else(|| Invalid::new("LikeInvalidInputs", "ESCAPE is followed by nothing to escape"))?,
                ))
            }
            '%' => None,
            '_' => Some(None),
            one => Some(Some(one)),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // The place after the last `%`, and how much of the text it has taken.
    let (mut at, mut part, mut back) = (0, 0, None);
    while at < text.len() {
        match parts.get(part) {
            Some(None) => {
                back = Some((part + 1, at));
                part += 1;
            }
            Some(Some(wanted)) if wanted.is_none_or(|wanted| wanted == text[at]) => {
                at += 1;
                part += 1;
            }
            _ => match &mut back {
                Some((after, from)) => {
                    *from += 1;
                    (part, at) = (*after, *from);
                }
                None => return Ok(false),
            },
        }
    }
    Ok(parts[part..].iter().all(Option::is_none))
}

#[expect(clippy::too_many_lines, reason = "one arm for each function")]
fn function(name: &str, mut values: Vec<Value>, scope: &Scope<'_>) -> Result<Value, Invalid> {
    match name {
        "UTCNOW" => return Ok(Value::Time(scope.now.clone())),
        "COALESCE" => return Ok(values.into_iter().find(|value| !value.is_absent()).unwrap_or(Value::Null)),
        "NULLIF" => {
            let same = values[0].order(&values[1]) == Some(Ordering::Equal);
            return Ok(if same { Value::Null } else { values.swap_remove(0) });
        }
        _ => {}
    }
    if values.iter().any(Value::is_absent) {
        return Ok(Value::Null);
    }
    let text = |at: usize| match &values[at] {
        Value::Text(text) => Ok(text.clone()),
        other => Err(wrong(format!("{name} wants text, not {}", other.text()))),
    };
    let int = |at: usize| match values[at].number() {
        Some(Value::Int(number)) => Ok(number),
        _ => Err(wrong(format!("{name} wants an integer, not {}", values[at].text()))),
    };
    let time = |at: usize| match &values[at] {
        Value::Time(at) => Ok(at.clone()),
        other => moment(&other.text()).ok_or_else(|| wrong(format!("{name} wants a timestamp, not {}", other.text()))),
    };
    Ok(match name {
        "LOWER" => Value::Text(text(0)?.to_lowercase()),
        "UPPER" => Value::Text(text(0)?.to_uppercase()),
        "CHAR_LENGTH" | "CHARACTER_LENGTH" => Value::Int(i64::try_from(text(0)?.chars().count()).unwrap_or(i64::MAX)),
        "TO_TIMESTAMP" => Value::Time(time(0)?),
        "TO_STRING" => Value::Text(super::time::text(&time(0)?, &text(1)?)?),
        "SUBSTRING" => {
            // Places before the first count towards the length.
            let from = int(1)?;
            let end = if values.len() > 2 { Some(from.saturating_add(int(2)?)) } else { None };
            let taken = text(0)?
                .chars()
                .zip(1_i64..)
                .filter(|(_, at)| *at >= from && end.is_none_or(|end| *at < end))
                .map(|(c, _)| c)
                .collect();
            Value::Text(taken)
        }
        "TRIM" | "LTRIM" | "RTRIM" => {
            let what = if values.len() > 1 { text(1)? } else { " ".to_owned() };
            let (value, dropped) = (text(0)?, |c: char| what.contains(c));
            Value::Text(match name {
                "LTRIM" => value.trim_start_matches(dropped).to_owned(),
                "RTRIM" => value.trim_end_matches(dropped).to_owned(),
                _ => value.trim_matches(dropped).to_owned(),
            })
        }
        "EXTRACT" => {
            let at = time(1)?;
            let seconds = i64::from(at.offset().seconds());
            Value::Int(match text(0)?.as_str() {
                "year" => at.year().into(),
                "month" => at.month().into(),
                "day" => at.day().into(),
                "hour" => at.hour().into(),
                "minute" => at.minute().into(),
                "second" => at.second().into(),
                "timezone_hour" => seconds / 3600,
                "timezone_minute" => seconds % 3600 / 60,
                other => return Err(wrong(format!("EXTRACT knows no {other}"))),
            })
        }
        "DATE_ADD" => {
            let (number, at) = (int(1)?, time(2)?);
            let added = match text(0)?.as_str() {
                "year" => at.checked_add(Span::new().try_years(number).map_err(|_| overflow())?),
                "month" => at.checked_add(Span::new().try_months(number).map_err(|_| overflow())?),
                "day" => at.checked_add(Span::new().try_days(number).map_err(|_| overflow())?),
                "hour" => at.checked_add(Span::new().try_hours(number).map_err(|_| overflow())?),
                "minute" => at.checked_add(Span::new().try_minutes(number).map_err(|_| overflow())?),
                "second" => at.checked_add(Span::new().try_seconds(number).map_err(|_| overflow())?),
                other => return Err(wrong(format!("DATE_ADD knows no {other}"))),
            };
            Value::Time(added.map_err(|_| overflow())?)
        }
        "DATE_DIFF" => {
            let (from, to) = (time(1)?, time(2)?);
            let unit = match text(0)?.as_str() {
                "year" => Unit::Year,
                "month" => Unit::Month,
                "day" => Unit::Day,
                "hour" => Unit::Hour,
                "minute" => Unit::Minute,
                "second" => Unit::Second,
                other => return Err(wrong(format!("DATE_DIFF knows no {other}"))),
            };
            let span = from.until((unit, &to)).map_err(|_| overflow())?;
            Value::Int(match unit {
                Unit::Year => span.get_years().into(),
                Unit::Month => span.get_months().into(),
                Unit::Day => span.get_days().into(),
                Unit::Hour => span.get_hours().into(),
                Unit::Minute => span.get_minutes(),
                _ => span.get_seconds(),
            })
        }
        other => return Err(Invalid::new("UnsupportedFunction", format!("{other} is no function here"))),
    })
}

/// What an aggregate has taken so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Total {
    count: i64,
    value: Option<Value>,
}

/// Takes a record into all aggregates.
pub(super) fn take(query: &Query, totals: &mut [Total], scope: &Scope<'_>) -> Result<(), Invalid> {
    for ((kind, argument), total) in query.aggregates.iter().zip(totals) {
        let value = match argument {
            None => Value::Null,
            Some(argument) => match argument.value(scope)? {
                value if value.is_absent() => continue,
                value => value,
            },
        };
        total.count += 1;
        let Some(old) = total.value.take() else {
            total.value = Some(match kind {
                Aggregate::Sum | Aggregate::Avg => {
                    value.number().ok_or_else(|| wrong(format!("{} is no number", value.text())))?
                }
                _ => value,
            });
            continue;
        };
        total.value = Some(match kind {
            Aggregate::Count => old,
            Aggregate::Sum | Aggregate::Avg => arithmetic(Operator::Add, &old, &value)?,
            Aggregate::Min | Aggregate::Max => {
                let order = value.order(&old).ok_or_else(|| wrong("MIN and MAX of values that have no order"))?;
                if order.is_lt() == (*kind == Aggregate::Min) && order.is_ne() { value } else { old }
            }
        });
    }
    Ok(())
}

/// What the aggregates are in the end.
pub(super) fn totals(query: &Query, totals: Vec<Total>) -> Result<Vec<Value>, Invalid> {
    let one = |((kind, _), total): (&(Aggregate, Option<Expr>), Total)| match kind {
        Aggregate::Count => Ok(Value::Int(total.count)),
        Aggregate::Avg => match total.value {
            Some(sum @ Value::Decimal(_)) => arithmetic(Operator::Divide, &sum, &Value::Int(total.count)),
            Some(sum) => match sum.float() {
                Some(sum) => arithmetic(Operator::Divide, &Value::Float(sum), &Value::Int(total.count)),
                None => Ok(Value::Null),
            },
            None => Ok(Value::Null),
        },
        _ => Ok(total.value.unwrap_or(Value::Null)),
    };
    query.aggregates.iter().zip(totals).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(expression: &str, record: serde_json::Value) -> Result<Value, Invalid> {
        let query = Query::parse(&format!("SELECT {expression} AS x FROM S3Object s"))?;
        let now = moment("2024-05-06T07:08:09Z").unwrap();
        let record = Value::of_json(record);
        let scope = Scope { record: &record, names: &query.names, now: &now, totals: &[] };
        query.columns.unwrap()[0].expr.value(&scope)
    }

    #[test]
    fn expressions() {
        let record = serde_json::json!({"name": "Ann", "age": "42", "n": 7, "f": 2.5, "none": null, "list": [1, {"x": "y"}], "Case": "c"});
        for (expression, wanted) in [
            ("s.name", "Ann"),
            ("s._2", "42"),
            ("s.\"Case\" || s.case", "cc"),
            ("s.list[1].x", "y"),
            ("s.list[0] + 1", "2"),
            ("s.age + 1", "43"),
            ("n / 2", "3"),
            ("f * 2", "5.0"),
            ("-n", "-7"),
            ("CAST(age AS INT) > 41 AND name LIKE 'A_n%'", "true"),
            ("age > 5", "true"),
            ("none IS NULL AND gone IS NULL AND NOT n IS NULL", "true"),
            ("gone = 1", ""),
            ("name IN ('Bob', 'Ann')", "true"),
            ("n BETWEEN 7 AND 8", "true"),
            ("CASE WHEN n > 5 THEN 'big' ELSE 'small' END", "big"),
            ("CASE n WHEN 1 THEN 'one' ELSE 'other' END", "other"),
            ("COALESCE(none, gone, name)", "Ann"),
            ("NULLIF(n, 7)", ""),
            ("UPPER(name) || LOWER(name)", "ANNann"),
            ("CHAR_LENGTH('é𝄞')", "2"),
            ("SUBSTRING('hello' FROM 2 FOR 3)", "ell"),
            ("SUBSTRING('hello', 0, 2)", "h"),
            ("TRIM(LEADING 'x' FROM 'xxax')", "ax"),
            ("TRIM('  a ')", "a"),
            ("'50%' LIKE '50!%' ESCAPE '!'", "true"),
            ("CAST('2.9' AS INT)", "2"),
            ("CAST('x' AS STRING)", "x"),
            ("int(age) + float('0.5')", "42.5"),
            ("CAST('TRUE' AS BOOL)", "true"),
            ("CAST('12.345' AS DECIMAL(5, 2))", "12.35"),
            ("CAST(age AS NUMERIC(10, 3))", "42.000"),
            ("CAST('-0.5' AS DECIMAL(4))", "-1"),
            ("CAST('12345678901234567890123456789012345678' AS DECIMAL) + 1", "12345678901234567890123456789012345679"),
            ("CAST('0.1' AS DECIMAL) + CAST('0.2' AS DECIMAL) = 0.3", "true"),
            ("0.1 + 0.2", "0.3"),
            ("10 / 4.0", "2.5"),
            ("1.50 = 1.5 AND 1.5 < n AND 1.5 < f", "true"),
            ("CAST(CAST('2.99' AS DECIMAL) AS INT)", "2"),
            ("-1.5", "-1.5"),
            ("TO_STRING(TO_TIMESTAMP('2010-01-31T'), 'd MMMM y')", "31 January 2010"),
            ("TO_STRING(`2010-01-31T04:05Z`, 'HH:mm')", "04:05"),
            ("`1.5` + `2`", "3.5"),
            ("EXTRACT(YEAR FROM CAST('2010-01-02T03:04:05Z' AS TIMESTAMP))", "2010"),
            ("DATE_ADD(day, 1, TO_TIMESTAMP('2010-01-31T'))", "2010-02-01T00:00:00Z"),
            ("DATE_DIFF(month, TO_TIMESTAMP('2010-01-01T'), TO_TIMESTAMP('2011-03-01T'))", "14"),
            ("UTCNOW()", "2024-05-06T07:08:09Z"),
            (&format!("n = 0{}", " OR n = 7".repeat(99)), "true"),
        ] {
            assert_eq!(value(expression, record.clone()).unwrap().text(), wanted, "{expression}");
        }
    }

    #[test]
    fn refusals() {
        for (expression, code) in [
            ("CAST('x' AS INT)", "CastFailed"),
            ("1 / 0", "EvaluatorInvalidArguments"),
            ("9223372036854775807 + 1", "IntegerOverflow"),
            ("FOO(1)", "UnsupportedFunction"),
            ("UPPER(1)", "EvaluatorInvalidArguments"),
            ("SUM(COUNT(*))", "UnsupportedSyntax"),
            ("CAST(1000 AS DECIMAL(3, 1))", "CastFailed"),
            ("CAST('1e999999999' AS DECIMAL)", "CastFailed"),
            ("CAST(1 AS DECIMAL(39, 1))", "InvalidDataType"),
            ("1.5 / 0", "EvaluatorInvalidArguments"),
            ("TO_STRING(`2010T`, 'q')", "EvaluatorInvalidTimestampFormatPatternSymbol"),
            ("`{a: 1}`", "UnsupportedSyntax"),
            ("a ESCAPE", "ParseSelectFailure"),
            ("(SELECT 1)", "UnsupportedSyntax"),
        ] {
            assert_eq!(value(expression, serde_json::json!({})).unwrap_err().code, code, "{expression}");
        }
        for (query, code) in [
            ("SELECT * FROM other", "InvalidDataSource"),
            ("SELECT * FROM S3Object ORDER BY 1", "UnsupportedSyntax"),
            ("SELECT _1, COUNT(*) FROM S3Object", "UnsupportedSyntax"),
            ("SELECT _1 FROM S3Object GROUP BY _1", "UnsupportedSyntax"),
            ("DELETE FROM S3Object", "UnsupportedSyntax"),
            ("SELECT", "InvalidDataSource"),
            (&format!("SELECT 1{} FROM S3Object", "+1".repeat(100_000)), "UnsupportedSyntax"),
            (&format!("SELECT {}1{} FROM S3Object", "(".repeat(60_000), ")".repeat(60_000)), "ParseSelectFailure"),
            (&format!("SELECT {}1 FROM S3Object", "NOT ".repeat(50_000)), "UnsupportedSyntax"),
        ] {
            assert_eq!(Query::parse(query).unwrap_err().code, code, "{query}");
        }
    }
}
