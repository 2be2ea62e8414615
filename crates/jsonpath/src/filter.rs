//! Filter expressions: `[?(…)]`.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::pattern::Pattern;
use super::{Search, Step, definite, owned};
use crate::compare::{compare_numbers, same};
use meter::{Exceeded, nodes};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Operand),
    Compare { left: Operand, comparator: Comparator, right: Operand },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Matches,
    SameTypeEqual,
    SameTypeNotEqual,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
    Contains,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// From the item that is looked at: `@…`.
    Here(Vec<Step>),
    /// From the document: `$…`.
    Root(Vec<Step>),
    Literal(Value),
    Pattern(Pattern),
}

impl PartialEq for Operand {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(a), Self::Here(b)) | (Self::Root(a), Self::Root(b)) => a == b,
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::Pattern(a), Self::Pattern(b)) => a == b,
            _ => false,
        }
    }
}

impl Filter {
    pub(super) fn matches(&self, search: Search<'_, '_>, item: &Value) -> Result<bool, Exceeded> {
        Ok(match self {
            Self::Any(filters) => {
                for filter in filters {
                    if filter.matches(search, item)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::All(filters) => {
                for filter in filters {
                    if !filter.matches(search, item)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Not(filter) => !filter.matches(search, item)?,
            Self::Exists(operand) => operand.value(search, item)?.is_some(),
            Self::Compare { left, comparator, right } => compare(left, *comparator, right, search, item)?,
        })
    }
}

impl Operand {
    fn value<'v>(&'v self, search: Search<'v, '_>, item: &'v Value) -> Result<Option<Cow<'v, Value>>, Exceeded> {
        let (from, steps) = match self {
            Self::Here(steps) => (item, steps),
            Self::Root(steps) => (search.root, steps),
            Self::Literal(value) => return Ok(Some(Cow::Borrowed(value))),
            Self::Pattern(_) => return Ok(None),
        };
        let mut found = Vec::new();
        search.select(from, steps, &mut found)?;
        if definite(steps) {
            return Ok(found.into_iter().next());
        }
        Ok(Some(Cow::Owned(owned(found, search.meter).map_err(|_| Exceeded)?)))
    }
}

fn compare(
    left: &Operand,
    comparator: Comparator,
    right: &Operand,
    search: Search<'_, '_>,
    item: &Value,
) -> Result<bool, Exceeded> {
    let left = left.value(search, item)?;
    if let Operand::Pattern(pattern) = right {
        return Ok(match left.as_deref() {
            Some(Value::String(text)) => {
                search.meter.step(text.len())?;
                pattern.matches(text)
            }
            _ => false,
        });
    }
    let (Some(left), Some(right)) = (left, right.value(search, item)?) else {
        return Ok(matches!(comparator, Comparator::NotEqual | Comparator::SameTypeNotEqual));
    };
    search.meter.step(cost(comparator, &left, &right))?;
    Ok(match comparator {
        Comparator::Equal | Comparator::SameTypeEqual => same(&left, &right),
        Comparator::NotEqual | Comparator::SameTypeNotEqual => !same(&left, &right),
        Comparator::Less => order(&left, &right) == Some(Ordering::Less),
        Comparator::AtMost => order(&left, &right).is_some_and(Ordering::is_le),
        Comparator::Greater => order(&left, &right) == Some(Ordering::Greater),
        Comparator::AtLeast => order(&left, &right).is_some_and(Ordering::is_ge),
        Comparator::In => right.as_array().is_some_and(|items| holds(items, &left)),
        Comparator::NotIn => right.as_array().is_some_and(|items| !holds(items, &left)),
        Comparator::SubsetOf => both(&left, &right, |items, others| items.iter().all(|item| holds(others, item))),
        Comparator::AnyOf => both(&left, &right, |items, others| items.iter().any(|item| holds(others, item))),
        Comparator::NoneOf => both(&left, &right, |items, others| !items.iter().any(|item| holds(others, item))),
        Comparator::Size => {
            right.as_u64().is_some_and(|size| length(&left).and_then(|l| u64::try_from(l).ok()) == Some(size))
        }
        Comparator::Empty => {
            right.as_bool().is_some_and(|empty| length(&left).map(|length| length == 0) == Some(empty))
        }
        Comparator::Contains => match (left.as_ref(), right.as_ref()) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(items), part) => holds(items, part),
            _ => false,
        },
        Comparator::Matches => false,
    })
}

/// How many values a comparison looks at, at most.
fn cost(comparator: Comparator, left: &Value, right: &Value) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, str::len) / 16;
    match (comparator, left, right) {
        (Comparator::SubsetOf | Comparator::AnyOf | Comparator::NoneOf, Value::Array(items), Value::Array(others)) => {
            items.len().saturating_mul(others.len())
        }
        (_, Value::Array(_) | Value::Object(_), _) | (_, _, Value::Array(_) | Value::Object(_)) => {
            nodes(left) + nodes(right)
        }
        _ => text(left).min(text(right)),
    }
}

fn holds(items: &[Value], wanted: &Value) -> bool {
    items.iter().any(|item| same(item, wanted))
}

fn both(left: &Value, right: &Value, test: impl Fn(&[Value], &[Value]) -> bool) -> bool {
    matches!((left, right), (Value::Array(left), Value::Array(right)) if test(left, right))
}

/// Of arrays and strings only.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Array(items) => Some(items.len()),
        Value::String(text) => Some(text.chars().count()),
        _ => None,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
