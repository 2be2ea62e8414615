//! What an expression is of a row.

use super::parse::Expression;
use super::run::Row;
use super::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Floor,
    Greatest,
    Least,
    Log,
    Sqrt,
    Bin,
    DateFloor,
    DateCeil,
    FromMillis,
    ToMillis,
    Now,
    IsPresent,
    Coalesce,
    IsEmpty,
    IsBlank,
    Concat,
    Ltrim,
    Rtrim,
    Trim,
    StrLen,
    ToUpper,
    ToLower,
    Substr,
    Replace,
    StrContains,
}

impl Function {
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "abs" => Self::Abs,
            "ceil" => Self::Ceil,
            "floor" => Self::Floor,
            "greatest" => Self::Greatest,
            "least" => Self::Least,
            "log" => Self::Log,
            "sqrt" => Self::Sqrt,
            "bin" => Self::Bin,
            "datefloor" => Self::DateFloor,
            "dateceil" => Self::DateCeil,
            "frommillis" => Self::FromMillis,
            "tomillis" => Self::ToMillis,
            "now" => Self::Now,
            "ispresent" => Self::IsPresent,
            "coalesce" => Self::Coalesce,
            "isempty" => Self::IsEmpty,
            "isblank" => Self::IsBlank,
            "concat" => Self::Concat,
            "ltrim" => Self::Ltrim,
            "rtrim" => Self::Rtrim,
            "trim" => Self::Trim,
            "strlen" => Self::StrLen,
            "toupper" => Self::ToUpper,
            "tolower" => Self::ToLower,
            "substr" => Self::Substr,
            "replace" => Self::Replace,
            "strcontains" => Self::StrContains,
            _ => return None,
        })
    }

    /// The fewest and the most.
    pub(super) const fn arguments(self) -> (usize, usize) {
        match self {
            Self::Now => (0, 0),
            Self::Greatest | Self::Least | Self::Coalesce | Self::Concat => (1, usize::MAX),
            Self::DateFloor | Self::DateCeil | Self::StrContains => (2, 2),
            Self::Ltrim | Self::Rtrim | Self::Trim => (1, 2),
            Self::Substr => (2, 3),
            Self::Replace => (3, 3),
            _ => (1, 1),
        }
    }
}

/// `now_ms` is the time of the query.
pub(super) fn value(expression: &Expression, row: &Row, now_ms: i64) -> Value {
    let of = |inner: &Expression| value(inner, row, now_ms);
    match expression {
        Expression::Null | Expression::Pattern(_) => Value::Null,
        Expression::Number(n) => Value::Number(*n),
        #[expect(clippy::cast_precision_loss, reason = "spans are short")]
        Expression::Span(ms) => Value::Number(*ms as f64),
        Expression::Text(text) | Expression::Digits(text) => Value::Text(text.clone()),
        Expression::Truth(truth) => Value::Truth(*truth),
        Expression::Field(name) => row.get(name),
        Expression::Not(inner) => Value::Truth(!of(inner).is_true()),
        Expression::Minus(inner) => of(inner).number().map_or(Value::Null, |n| Value::Number(-n)),
        Expression::In(one, all, not) => {
            let one = of(one);
            let found = all.iter().any(|other| equal(&one, &of(other), is_quoted(other)));
            Value::Truth(found != *not && (one != Value::Null || *not))
        }
        Expression::Two(operator, left, right) => two(operator, left, right, &of),
        Expression::Call(function, arguments, written) => match row.made(written) {
            Some(made) => made,
            None => call(*function, arguments, row, (&of, now_ms)),
        },
    }
}

fn is_quoted(expression: &Expression) -> bool {
    matches!(expression, Expression::Text(_))
}

/// A text within quotes is equal to no other text, whatever number both may be.
fn equal(a: &Value, b: &Value, is_quoted: bool) -> bool {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Text(a), Value::Text(b)) if is_quoted => a == b,
        _ => match a.compare(b) {
            Some(order) => order.is_eq(),
            _ => match (a, b) {
                (Value::Truth(truth), other) | (other, Value::Truth(truth)) => {
                    other.told().is_some_and(|text| text == truth.to_string() || text == u8::from(*truth).to_string())
                }
                _ => a.told() == b.told(),
            },
        },
    }
}

fn two(operator: &str, left: &Expression, right: &Expression, of: &dyn Fn(&Expression) -> Value) -> Value {
    match operator {
        "or" => return Value::Truth(of(left).is_true() || of(right).is_true()),
        "and" => return Value::Truth(of(left).is_true() && of(right).is_true()),
        "like" => {
            let Some(text) = of(left).told() else { return Value::Truth(false) };
            return Value::Truth(match right {
                Expression::Pattern(pattern) => pattern.is_match(&text),
                other => of(other).told().is_some_and(|part| text.contains(&part)),
            });
        }
        "=" | "!=" => {
            // A pattern may stand after these, too.
            if let Expression::Pattern(pattern) = right {
                let matches = of(left).told().is_some_and(|text| pattern.is_match(&text));
                return Value::Truth(matches == (operator == "="));
            }
            let (a, b) = (of(left), of(right));
            let quoted = is_quoted(left) || is_quoted(right);
            return Value::Truth(equal(&a, &b, quoted) == (operator == "="));
        }
        _ => {}
    }
    let (a, b) = (of(left), of(right));
    if matches!(operator, "<" | "<=" | ">" | ">=") {
        if a == Value::Null || b == Value::Null {
            return Value::Truth(false);
        }
        let order = a.order(&b);
        return Value::Truth(match operator {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        });
    }
    let (Some(a), Some(b)) = (a.number(), b.number()) else { return Value::Null };
    let n = match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => a % b,
        _ => a.powf(b),
    };
    if n.is_finite() { Value::Number(n) } else { Value::Null }
}

fn call(
    function: Function,
    arguments: &[Expression],
    row: &Row,
    (of, now_ms): (&dyn Fn(&Expression) -> Value, i64),
) -> Value {
    let first = || arguments.first().map_or(Value::Null, of);
    let text = |n: usize| arguments.get(n).map_or(Value::Null, of).told();
    let number = |n: Option<f64>| n.filter(|n| n.is_finite()).map_or(Value::Null, Value::Number);
    let worded = |change: &dyn Fn(String) -> String| text(0).map_or(Value::Null, |text| Value::Text(change(text)));
    #[expect(clippy::cast_possible_truncation, reason = "times and places are whole")]
    let whole = |value: Value| value.number().map(|n| n as i64);
    match function {
        Function::Abs => number(first().number().map(f64::abs)),
        Function::Ceil => number(first().number().map(f64::ceil)),
        Function::Floor => number(first().number().map(f64::floor)),
        Function::Log => number(first().number().map(f64::ln)),
        Function::Sqrt => number(first().number().map(f64::sqrt)),
        Function::Greatest | Function::Least => {
            let all = arguments.iter().filter_map(|one| of(one).number());
            number(if function == Function::Greatest { all.reduce(f64::max) } else { all.reduce(f64::min) })
        }
        Function::Now => number(Some(seconds(now_ms))),
        Function::Bin => match (whole(row.get("@timestamp")), whole(first())) {
            (Some(time), Some(span)) if span > 0 => Value::Time(time.div_euclid(span) * span),
            _ => Value::Null,
        },
        Function::DateFloor | Function::DateCeil => match (whole(first()), arguments.get(1).map(of).and_then(whole)) {
            (Some(time), Some(span)) if span > 0 => {
                let floor = time.div_euclid(span) * span;
                let up = function == Function::DateCeil && floor != time;
                Value::Time(if up { floor + span } else { floor })
            }
            _ => Value::Null,
        },
        Function::FromMillis => whole(first()).map_or(Value::Null, Value::Time),
        Function::ToMillis => number(first().number()),
        Function::IsPresent => Value::Truth(first() != Value::Null),
        Function::Coalesce => arguments.iter().map(of).find(|value| *value != Value::Null).unwrap_or(Value::Null),
        Function::IsEmpty => Value::Truth(text(0).is_none_or(|text| text.is_empty())),
        Function::IsBlank => Value::Truth(text(0).is_none_or(|text| text.trim().is_empty())),
        Function::Concat => Value::Text(arguments.iter().filter_map(|one| of(one).told()).collect()),
        Function::Ltrim | Function::Rtrim | Function::Trim => {
            let taken = text(1);
            let is = |c: char| taken.as_ref().map_or_else(|| c.is_whitespace(), |letters| letters.contains(c));
            worded(&|text| {
                let text = if function == Function::Rtrim { text.as_str() } else { text.trim_start_matches(is) };
                if function == Function::Ltrim { text.to_owned() } else { text.trim_end_matches(is).to_owned() }
            })
        }
        #[expect(clippy::cast_precision_loss, reason = "texts are short")]
        Function::StrLen => number(text(0).map(|text| text.chars().count() as f64)),
        Function::ToUpper => worded(&|text| text.to_uppercase()),
        Function::ToLower => worded(&|text| text.to_lowercase()),
        Function::Substr => {
            let place = |n: usize| {
                let found = arguments.get(n).map(of).and_then(whole);
                found.and_then(|n| usize::try_from(n).ok())
            };
            let (skip, take) = (place(1).unwrap_or(0), place(2).unwrap_or(usize::MAX));
            worded(&|text| text.chars().skip(skip).take(take).collect())
        }
        Function::Replace => match (text(1), text(2)) {
            (Some(from), Some(to)) => worded(&|text| text.replace(&from, &to)),
            _ => Value::Null,
        },
        Function::StrContains => {
            let found = text(0).zip(text(1)).is_some_and(|(text, part)| text.contains(&part));
            Value::Number(f64::from(u8::from(found)))
        }
    }
}

fn seconds(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
    let seconds = ms.div_euclid(1000) as f64;
    seconds
}
