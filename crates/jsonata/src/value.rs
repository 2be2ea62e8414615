//! Values while an expression runs. What came in as JSON is looked at where it lies; only what is made is owned.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use indexmap::IndexMap;
use serde_json::Value;

use super::failure::{Failure, Result};
use super::functions::Builtin;
use super::pattern::Pattern;
use super::{ast, eval};
use meter::Meter;

#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    /// A whole number of the input that a double does not hold: reckoned with as a double, given back as it is.
    Long(f64, &'a serde_json::Number),
    Text(Arc<str>),
    /// An array or object of the input.
    Json(&'a Value),
    Array(Rc<Array<'a>>),
    Object(Rc<Object<'a>>),
    Function(Rc<Function<'a>>),
    /// Items with the variables bound on the way to them, between the steps of a path.
    Tuples(Rc<Vec<Tuple<'a>>>),
}

#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "jsonata.js marks its arrays so")]
pub(super) struct Array<'a> {
    pub(super) items: Vec<Val<'a>>,
    /// Made by a path or a function, so that one item stands for itself.
    pub(super) sequence: bool,
    pub(super) keep_singleton: bool,
    /// Written as `[…]` in a path, so that it is not flattened.
    pub(super) cons: bool,
    /// Holds the whole input, which is an array, as its only item.
    outer: bool,
    depth: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Object<'a> {
    pub(super) members: Members<'a>,
    depth: u32,
}

pub(super) type Members<'a> = IndexMap<Arc<str>, Val<'a>>;

#[derive(Clone, Debug)]
pub(super) struct Tuple<'a> {
    pub(super) here: Val<'a>,
    pub(super) bound: Vec<(Arc<str>, Val<'a>)>,
}

#[derive(Debug)]
pub(super) enum Function<'a> {
    Builtin(&'static Builtin),
    Lambda {
        lambda: &'a ast::Lambda,
        frame: eval::FrameId,
        input: Val<'a>,
    },
    /// The parameters that are still open, in order, and the arguments there are.
    Partial {
        of: Val<'a>,
        arguments: Vec<Option<Val<'a>>>,
    },
    /// First one, then the other.
    Chain(Val<'a>, Val<'a>),
    Transform {
        node: &'a ast::Node,
        frame: eval::FrameId,
    },
    Regex(Arc<Pattern>),
    /// A match's `next`.
    NextMatch {
        pattern: Arc<Pattern>,
        text: Arc<str>,
        from: usize,
    },
}

/// Values nested deeper are refused, as deep ones cost stack wherever they are walked.
const MAX_DEPTH: u32 = 400;

/// No array or text is larger, in bytes: measured on AWS as 873,782 numbers.
pub(super) const MAX_BYTES: usize = 873_782 * 8;

impl<'a> Val<'a> {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Result<Self> {
        let text = text.into();
        if text.len() > MAX_BYTES { Err(Failure::too_large()) } else { Ok(Self::Text(text)) }
    }

    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
    pub(super) fn count(count: usize) -> Self {
        Self::Number(count as f64)
    }

    pub(super) fn json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => {
                let double = number.as_f64().unwrap_or(f64::NAN);
                if !number.is_f64() && double.abs() > MAX_SAFE {
                    Self::Long(double, number)
                } else {
                    Self::Number(double)
                }
            }
            Value::String(text) => Self::Text(shared(text)),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }

    /// A copy that borrows nothing.
    pub(super) fn owned(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Self::text(text.as_str())?,
            Value::Array(items) => Self::plain(items.iter().map(Val::owned).collect::<Result<_>>()?)?,
            Value::Object(members) => Self::object(
                members
                    .iter()
                    .map(|(key, value)| Ok((key.as_str().into(), Val::owned(value)?)))
                    .collect::<Result<_>>()?,
            )?,
        })
    }

    fn array(items: Vec<Self>, sequence: bool) -> Result<Self> {
        if items.len() * 8 > MAX_BYTES {
            return Err(Failure::too_large());
        }
        let depth = depth_over(items.iter())?;
        Ok(Self::Array(Rc::new(Array { items, sequence, depth, ..Array::default() })))
    }

    pub(super) fn plain(items: Vec<Self>) -> Result<Self> {
        Self::array(items, false)
    }

    pub(super) fn sequence(items: Vec<Self>) -> Result<Self> {
        Self::array(items, true)
    }

    /// The input when it is an array: paths treat it as one item.
    pub(super) fn outer(input: Self) -> Result<Self> {
        let depth = depth_over([&input].into_iter())?;
        Ok(Self::Array(Rc::new(Array { items: vec![input], sequence: true, outer: true, depth, ..Array::default() })))
    }

    /// What an outer wrapper holds; other values as they are.
    pub(super) fn inner(&self) -> Self {
        match self {
            Self::Array(array) if array.outer => array.items[0].clone(),
            other => other.clone(),
        }
    }

    /// A sequence of one stands for its item and an empty one for nothing.
    pub(super) fn unwrapped(self, keep_array: bool) -> Self {
        let Self::Array(array) = &self else { return self };
        if !array.sequence {
            return self;
        }
        match array.items.len() {
            0 => Self::Undefined,
            1 if !array.keep_singleton && !keep_array => array.items[0].clone(),
            _ if keep_array && !array.keep_singleton => {
                let mut array = (**array).clone();
                array.keep_singleton = true;
                Self::Array(Rc::new(array))
            }
            _ => self,
        }
    }

    pub(super) fn into_cons(self) -> Self {
        match self {
            Self::Array(mut array) => {
                Rc::make_mut(&mut array).cons = true;
                Self::Array(array)
            }
            other => other,
        }
    }

    /// Kept as an array even when it has one item.
    pub(super) fn keeping(self) -> Result<Self> {
        let kept = if self.is_cons() && !self.is_sequence() { Self::sequence(vec![self])? } else { self };
        Ok(match kept {
            Self::Array(mut array) => {
                Rc::make_mut(&mut array).keep_singleton = true;
                Self::Array(array)
            }
            other => other,
        })
    }

    pub(super) fn object(members: Members<'a>) -> Result<Self> {
        if members.len() * 16 > MAX_BYTES {
            return Err(Failure::too_large());
        }
        let depth = depth_over(members.values())?;
        Ok(Self::Object(Rc::new(Object { members, depth })))
    }

    pub(super) fn function(function: Function<'a>) -> Result<Self> {
        let value = Self::Function(Rc::new(function));
        if value.depth() > MAX_DEPTH { Err(Failure::too_large()) } else { Ok(value) }
    }

    fn depth(&self) -> u32 {
        match self {
            Self::Array(array) => array.depth,
            Self::Object(object) => object.depth,
            Self::Function(function) => match &**function {
                Function::Lambda { input, .. } => 1 + input.depth(),
                Function::Partial { of, arguments } => {
                    1 + arguments.iter().flatten().map(Self::depth).max().unwrap_or(0).max(of.depth())
                }
                Function::Chain(first, then) => 1 + first.depth().max(then.depth()),
                _ => 1,
            },
            // Input is no deeper than what serde reads.
            Self::Json(_) => 128,
            _ => 0,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined)
    }

    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Json(Value::Array(_)) | Self::Tuples(_))
    }

    pub(super) fn is_sequence(&self) -> bool {
        matches!(self, Self::Array(array) if array.sequence)
    }

    pub(super) fn is_cons(&self) -> bool {
        matches!(self, Self::Array(array) if array.cons)
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) | Self::Long(number, _) = self { Some(*number) } else { None }
    }

    pub(super) fn items(&self) -> Option<Items<'_, 'a>> {
        match self {
            Self::Array(array) => Some(Items::Owned(&array.items)),
            Self::Json(Value::Array(items)) => Some(Items::Json(items)),
            _ => None,
        }
    }

    /// The items of an array, or the value as the only one; nothing for undefined.
    pub(super) fn into_items(self) -> Vec<Self> {
        match self {
            Self::Undefined => Vec::new(),
            Self::Array(array) => match Rc::try_unwrap(array) {
                Ok(array) => array.items,
                Err(shared) => shared.items.clone(),
            },
            Self::Json(Value::Array(items)) => items.iter().map(Val::json).collect(),
            other => vec![other],
        }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Json(Value::Object(_)))
    }

    pub(super) fn member(&self, key: &str) -> Val<'a> {
        match self {
            Self::Object(object) => object.members.get(key).cloned(),
            Self::Json(Value::Object(members)) => members.get(key).map(Val::json),
            _ => None,
        }
        .unwrap_or(Val::Undefined)
    }

    /// The members of an object.
    pub(super) fn members(&self) -> Vec<(Arc<str>, Val<'a>)> {
        match self {
            Self::Object(object) => {
                object.members.iter().map(|(key, value)| (Arc::clone(key), value.clone())).collect()
            }
            Self::Json(Value::Object(members)) => {
                members.iter().map(|(key, value)| (shared(key), Val::json(value))).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn member_count(&self) -> usize {
        match self {
            Self::Object(object) => object.members.len(),
            Self::Json(Value::Object(members)) => members.len(),
            _ => 0,
        }
    }

    /// As JSON; functions become empty texts and infinities their names, as on AWS.
    /// What is shared in here is copied: its size is held against the meter first.
    pub(super) fn to_json(&self, meter: &Meter) -> Result<Value> {
        let held = match self {
            Self::Json(value) => meter.hold(value),
            Self::Text(text) => meter.hold_text(text.len()),
            Self::Object(object) => meter.hold_text(object.members.keys().map(|key| key.len()).sum()),
            _ => meter.hold_text(0),
        };
        held.map_err(|_| Failure::too_large())?;
        Ok(match self {
            Self::Undefined | Self::Null | Self::Tuples(_) => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(number) => number_json(*number),
            Self::Long(_, number) => Value::Number((*number).clone()),
            Self::Text(text) => Value::String(text.to_string()),
            Self::Json(value) => (*value).clone(),
            Self::Array(array) => {
                Value::Array(array.items.iter().map(|item| item.to_json(meter)).collect::<Result<_>>()?)
            }
            Self::Object(object) => Value::Object(
                object
                    .members
                    .iter()
                    .map(|(key, value)| Ok((key.to_string(), value.to_json(meter)?)))
                    .collect::<Result<_>>()?,
            ),
            Self::Function(_) => Value::String(String::new()),
        })
    }

    /// What messages show of a value.
    pub(super) fn shown(&self) -> String {
        let mut text = String::new();
        match self {
            Self::Undefined | Self::Function(_) => "undefined".clone_into(&mut text),
            other => {
                if super::text::write(other, None, 0, &mut text).is_err() {
                    "…".clone_into(&mut text);
                }
            }
        }
        text
    }
}

/// Texts shorter than this are copied each time.
const SHARED_BYTES: usize = 64;
/// So many of the input's texts are known at most; the input and all variables do not hold more.
const MAX_SHARED: usize = 200_000;

thread_local! {
    /// The copies that an evaluation has made of its input's texts, by where those lie.
    static SHARED: RefCell<BTreeMap<(usize, usize), Weak<str>>> = const { RefCell::new(BTreeMap::new()) };
}

/// A copy of a text of the input; the same one each time while it is in use.
fn shared(text: &str) -> Arc<str> {
    if text.len() < SHARED_BYTES {
        return text.into();
    }
    SHARED.with_borrow_mut(|known| {
        let place = (text.as_ptr().addr(), text.len());
        // Something else may lie there by now.
        if let Some(copy) = known.get(&place).and_then(Weak::upgrade).filter(|copy| **copy == *text) {
            return copy;
        }
        if known.len() >= MAX_SHARED {
            known.clear();
        }
        let copy: Arc<str> = text.into();
        known.insert(place, Arc::downgrade(&copy));
        copy
    })
}

/// An evaluation begins: what the one before has shared is of no use.
pub(super) fn forget_shared() {
    SHARED.with_borrow_mut(BTreeMap::clear);
}

fn depth_over<'a: 'b, 'b>(values: impl Iterator<Item = &'b Val<'a>>) -> Result<u32> {
    let depth = 1 + values.map(Val::depth).max().unwrap_or(0);
    if depth > MAX_DEPTH { Err(Failure::too_large()) } else { Ok(depth) }
}

/// An array's items, wherever they lie.
#[derive(Clone, Copy)]
pub(super) enum Items<'v, 'a> {
    Owned(&'v [Val<'a>]),
    Json(&'a [Value]),
}

impl<'v, 'a> Items<'v, 'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Owned(items) => items.len(),
            Self::Json(items) => items.len(),
        }
    }

    pub(super) fn get(self, index: usize) -> Option<Val<'a>> {
        match self {
            Self::Owned(items) => items.get(index).cloned(),
            Self::Json(items) => items.get(index).map(Val::json),
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Val<'a>> + use<'v, 'a> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

/// Whole numbers up to here are all different doubles.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;

/// A number without a fraction is written without one, and larger ones than doubles can tell apart as JavaScript writes them: with zeros.
pub(super) fn number_json(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    if number.fract() == 0.0 && number.abs() < MAX_SAFE {
        return Value::from(number as i64);
    }
    if number.fract() == 0.0 {
        let written = number_text(number);
        let whole = written.parse::<i64>().map(Value::from).or_else(|_| written.parse::<u64>().map(Value::from));
        if let Ok(whole) = whole {
            return whole;
        }
    }
    serde_json::Number::from_f64(number).map_or_else(|| Value::String(number_text(number)), Value::Number)
}

/// A number as JavaScript prints it.
pub(super) fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = exponent.parse::<i64>().unwrap_or(0) + 1;
    let sign = if number < 0.0 { "-" } else { "" };
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let body = if !(-5..=21).contains(&point) {
        let (first, rest) = digits.split_at(1);
        let fraction = if rest.is_empty() { String::new() } else { format!(".{rest}") };
        format!("{first}{fraction}e{}{}", if point > 0 { "+" } else { "-" }, (point - 1).abs())
    } else if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else if length <= point {
        format!("{digits}{}", zeros(point - length))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    };
    format!("{sign}{body}")
}

/// Equality by structure.
pub(super) fn same<'a>(left: &Val<'a>, right: &Val<'a>, fuel: &mut u64) -> Result<bool> {
    *fuel = fuel.checked_sub(1).ok_or_else(Failure::too_long)?;
    Ok(match (left, right) {
        (Val::Undefined, Val::Undefined) | (Val::Null, Val::Null) => true,
        (Val::Bool(left), Val::Bool(right)) => left == right,
        #[expect(clippy::float_cmp, reason = "the language compares numbers exactly")]
        (Val::Number(left) | Val::Long(left, _), Val::Number(right) | Val::Long(right, _)) => left == right,
        (Val::Text(left), Val::Text(right)) => left == right,
        (Val::Function(left), Val::Function(right)) => Rc::ptr_eq(left, right),
        _ => {
            if let (Some(left), Some(right)) = (left.items(), right.items()) {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (left, right) in left.iter().zip(right.iter()) {
                    if !same(&left, &right, fuel)? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            if !(left.is_object() && right.is_object()) || left.member_count() != right.member_count() {
                return Ok(false);
            }
            for (key, value) in left.members() {
                let other = right.member(&key);
                if other.is_undefined() || !same(&value, &other, fuel)? {
                    return Ok(false);
                }
            }
            true
        }
    })
}

/// The language's idea of truth; nothing for undefined.
pub(super) fn truth(value: &Val<'_>) -> Result<Option<bool>> {
    Ok(Some(match value {
        Val::Undefined => return Ok(None),
        Val::Bool(truth) => *truth,
        Val::Text(text) => !text.is_empty(),
        Val::Number(_) | Val::Long(..) => numeric(value)? && value.as_number() != Some(0.0),
        other => match other.items() {
            Some(items) if items.len() == 1 => match items.get(0) {
                Some(item) => return truth(&item),
                None => false,
            },
            Some(items) => {
                for item in items.iter() {
                    if truth(&item)? == Some(true) {
                        return Ok(Some(true));
                    }
                }
                false
            }
            None => other.member_count() > 0,
        },
    }))
}

/// A number, and one that JSON can hold.
pub(super) fn numeric(value: &Val<'_>) -> Result<bool> {
    match value {
        Val::Number(number) if number.is_infinite() => Err(Failure::of("D1001", "null".to_owned())),
        Val::Number(number) => Ok(!number.is_nan()),
        Val::Long(..) => Ok(true),
        _ => Ok(false),
    }
}
