//! Filter expressions: `[?(…)]`.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value;

use super::{Step, definite, select};
use crate::value::{compare_numbers, same};

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
    Pattern(Regex),
}

impl PartialEq for Operand {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(a), Self::Here(b)) | (Self::Root(a), Self::Root(b)) => a == b,
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::Pattern(a), Self::Pattern(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Filter {
    pub(super) fn matches(&self, root: &Value, item: &Value) -> bool {
        match self {
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(root, item)),
            Self::All(filters) => filters.iter().all(|filter| filter.matches(root, item)),
            Self::Not(filter) => !filter.matches(root, item),
            Self::Exists(operand) => operand.value(root, item).is_some(),
            Self::Compare { left, comparator, right } => compare(left, *comparator, right, root, item),
        }
    }
}

impl Operand {
    fn value(&self, root: &Value, item: &Value) -> Option<Value> {
        let (from, steps) = match self {
            Self::Here(steps) => (item, steps),
            Self::Root(steps) => (root, steps),
            Self::Literal(value) => return Some(value.clone()),
            Self::Pattern(_) => return None,
        };
        let mut found = Vec::new();
        select(root, from, steps, &mut found);
        if definite(steps) {
            found.into_iter().next().map(std::borrow::Cow::into_owned)
        } else {
            Some(Value::Array(found.into_iter().map(std::borrow::Cow::into_owned).collect()))
        }
    }
}

fn compare(left: &Operand, comparator: Comparator, right: &Operand, root: &Value, item: &Value) -> bool {
    if let Operand::Pattern(pattern) = right {
        return matches!(left.value(root, item), Some(Value::String(text)) if pattern.is_match(&text));
    }
    let (Some(left), Some(right)) = (left.value(root, item), right.value(root, item)) else {
        return matches!(comparator, Comparator::NotEqual | Comparator::SameTypeNotEqual);
    };
    match comparator {
        Comparator::Equal | Comparator::SameTypeEqual => same(&left, &right),
        Comparator::NotEqual | Comparator::SameTypeNotEqual => !same(&left, &right),
        Comparator::Less => order(&left, &right) == Some(Ordering::Less),
        Comparator::AtMost => order(&left, &right).is_some_and(Ordering::is_le),
        Comparator::Greater => order(&left, &right) == Some(Ordering::Greater),
        Comparator::AtLeast => order(&left, &right).is_some_and(Ordering::is_ge),
        Comparator::In => right.as_array().is_some_and(|items| items.iter().any(|item| same(item, &left))),
        Comparator::NotIn => right.as_array().is_some_and(|items| !items.iter().any(|item| same(item, &left))),
        Comparator::SubsetOf => both(&left, &right, |items, others| items.iter().all(|item| holds(others, item))),
        Comparator::AnyOf => both(&left, &right, |items, others| items.iter().any(|item| holds(others, item))),
        Comparator::NoneOf => both(&left, &right, |items, others| !items.iter().any(|item| holds(others, item))),
        Comparator::Size => {
            right.as_u64().is_some_and(|size| length(&left).and_then(|l| u64::try_from(l).ok()) == Some(size))
        }
        Comparator::Empty => {
            right.as_bool().is_some_and(|empty| length(&left).map(|length| length == 0) == Some(empty))
        }
        Comparator::Contains => match (&left, &right) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(items), part) => holds(items, part),
            _ => false,
        },
        Comparator::Matches => false,
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
