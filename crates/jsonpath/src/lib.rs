//! JSONPath in Jayway's dialect: `$.a.b`, `$['a b']`, `[0]`, `[-1]`, `[1,2]`, `[1:3]`, `*`, `..`, and
//! filters `[?(@.x > 1 && @.y == 'z')]`.
//!
//! A path is *definite* when it can name one value at most; an indefinite one always yields an array. Where Jayway differs from
//! RFC 9535, Jayway is followed: several names at the end make one object, slices ignore steps and wrap, `..[?(…)]` tests each value
//! itself.

pub mod compare;
mod filter;
mod parser;
mod pattern;

use std::borrow::Cow;
use std::collections::BTreeMap;

use meter::{Exceeded, Meter};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use filter::Filter;

/// A parsed path, without what stands before it (`$`, `$$`, `$name`).
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    source: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Members(Vec<String>),
    Index(i64),
    Indices(Vec<i64>),
    Slice {
        from: Option<i64>,
        to: Option<i64>,
    },
    Wildcard,
    Descend,
    Filter(Filter),
    /// `.length()` and the like: applied to the value so far.
    Function(Function),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Length,
    Min,
    Max,
    Sum,
    Avg,
    Keys,
}

/// Why a path yields nothing; the texts are Jayway's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PathError {
    #[error("{0}")]
    Syntax(String),
    #[error("{0}")]
    NotFound(String),
    #[error("The path looks at too many values.")]
    TooMuch,
}

impl From<Exceeded> for PathError {
    fn from(_: Exceeded) -> Self {
        Self::TooMuch
    }
}

impl Path {
    /// Parses the steps after the root, e.g. `.a[0]`. `source` is the whole path, for messages.
    pub fn parse(source: &str, steps: &str) -> Result<Self, PathError> {
        Ok(Self { source: source.to_owned(), steps: parser::parse(steps)? })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn is_definite(&self) -> bool {
        definite(&self.steps)
    }

    /// True for a reference path: only member names and indices, so that it can be written to.
    pub fn is_reference(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Member(_) | Step::Index(_)))
    }

    /// The value that the path names: one for a definite path, an array of all for the others.
    pub fn read(&self, root: &Value, meter: &Meter) -> Result<Value, PathError> {
        if let Some(index) = self.early_names() {
            let shown = canonical(&self.steps[..=index]);
            return Err(PathError::NotFound(format!("Multi properties can only be used as path leafs: {shown}")));
        }
        if self.is_definite() {
            return self.read_definite(root, meter);
        }
        let mut found = Vec::new();
        Search { root, meter }.select(root, &self.steps, &mut found)?;
        owned(found, meter)
    }

    /// Where several names stand before the end, which is allowed to be written and not to be read.
    fn early_names(&self) -> Option<usize> {
        let names = self.steps.iter().position(|step| matches!(step, Step::Members(_)))?;
        (names + 1 < self.steps.len()).then_some(names)
    }

    fn read_definite(&self, root: &Value, meter: &Meter) -> Result<Value, PathError> {
        let mut at = Cow::Borrowed(root);
        for (index, step) in self.steps.iter().enumerate() {
            let next = match (step, &at) {
                (Step::Function(function), at) => Some(Cow::Owned(apply(*function, at)?)),
                (Step::Members(names), at) => at.as_object().map(|members| Cow::Owned(merged(members, names))),
                (step, Cow::Borrowed(at)) => child(step, at).map(Cow::Borrowed),
                (step, Cow::Owned(at)) => child(step, at).cloned().map(Cow::Owned),
            };
            at = next.ok_or_else(|| self.not_found(index, &at))?;
        }
        meter.hold(&at)?;
        Ok(at.into_owned())
    }

    fn not_found(&self, failed: usize, at: &Value) -> PathError {
        let shown = canonical(&self.steps[..=failed]);
        let leaf = failed + 1 == self.steps.len();
        PathError::NotFound(match (&self.steps[failed], at) {
            (Step::Index(_), Value::Array(_)) => format!("Index out of bounds when evaluating path {shown}"),
            (Step::Index(_), _) => {
                format!(
                    "Filter: {} can only be applied to arrays. Current context is: {at}",
                    canonical(&self.steps[failed..=failed]).trim_start_matches('$')
                )
            }
            (Step::Member(_), Value::Object(_)) if !leaf => format!("Missing property in path {shown}"),
            _ => format!("No results for path: {}", canonical(&self.steps)),
        })
    }

    /// What a reference path selects of a JSON text, as it is written there.
    pub fn written<'a>(&self, text: &'a str) -> Option<&'a str> {
        let mut at = text.trim_matches([' ', '\t', '\r', '\n']);
        for step in &self.steps {
            let next: &RawValue = match step {
                Step::Member(name) => serde_json::from_str::<BTreeMap<String, &RawValue>>(at).ok()?.remove(name)?,
                Step::Index(index) => {
                    let items: Vec<&RawValue> = serde_json::from_str(at).ok()?;
                    items.get(absolute(*index, items.len())?).copied()?
                }
                _ => return None,
            };
            at = next.get();
        }
        Some(at)
    }

    /// The step of a reference path that leads nowhere, by its name.
    pub fn missing_step(&self, root: &Value) -> Option<String> {
        let mut at = root;
        for step in &self.steps {
            match child(step, at) {
                Some(next) => at = next,
                None => {
                    return Some(match step {
                        Step::Member(name) => name.clone(),
                        other => canonical(std::slice::from_ref(other)).trim_start_matches('$').to_owned(),
                    });
                }
            }
        }
        None
    }

    /// Puts `value` where a reference path points, making objects on the way. `None`: the path crosses a value that is no object.
    pub fn write(&self, root: Value, value: Value) -> Option<Value> {
        let mut root = root;
        let mut at = &mut root;
        for step in &self.steps {
            at = match step {
                Step::Member(name) => {
                    if at.is_null() {
                        *at = Value::Object(Map::new());
                    }
                    at.as_object_mut()?.entry(name.clone()).or_insert(Value::Null)
                }
                Step::Index(index) => {
                    let items = at.as_array_mut()?;
                    let index = absolute(*index, items.len())?;
                    items.get_mut(index)?
                }
                _ => return None,
            };
        }
        *at = value;
        Some(root)
    }
}

/// Names one value at most: several names do so at the end, where they make an object of their own.
fn definite(steps: &[Step]) -> bool {
    steps.iter().enumerate().all(|(index, step)| match step {
        Step::Member(_) | Step::Index(_) | Step::Function(_) => true,
        Step::Members(_) => index + 1 == steps.len(),
        _ => false,
    })
}

fn child<'a>(step: &Step, at: &'a Value) -> Option<&'a Value> {
    match step {
        Step::Member(name) => at.get(name.as_str()),
        Step::Index(index) => at.as_array().and_then(|items| items.get(absolute(*index, items.len())?)),
        _ => None,
    }
}

/// Those of the members that have one of the names.
fn merged(members: &Map<String, Value>, names: &[String]) -> Value {
    let known = names.iter().filter_map(|name| Some((name.clone(), members.get(name)?.clone())));
    Value::Object(known.collect())
}

/// Jayway's bracketed form of a path, used in its messages.
fn canonical(steps: &[Step]) -> String {
    let mut text = String::from("$");
    for step in steps {
        match step {
            Step::Member(name) => {
                text.push_str("['");
                text.push_str(name);
                text.push_str("']");
            }
            Step::Index(index) => {
                text.push('[');
                text.push_str(&index.to_string());
                text.push(']');
            }
            Step::Members(names) => {
                text.push_str("['");
                text.push_str(&names.join("', '"));
                text.push_str("']");
            }
            Step::Wildcard => text.push_str("[*]"),
            Step::Descend => text.push_str(".."),
            _ => text.push_str("[?]"),
        }
    }
    text
}

fn absolute(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    (0..length).contains(&index).then(|| usize::try_from(index).ok())?
}

/// All that was found, as an array of its own.
fn owned(found: Vec<Cow<'_, Value>>, meter: &Meter) -> Result<Value, PathError> {
    let copied = found.into_iter().map(|value| meter.hold(&value).map(|()| value.into_owned()));
    Ok(Value::Array(copied.collect::<Result<_, _>>()?))
}

/// Goes through a document.
#[derive(Clone, Copy)]
struct Search<'a, 'm> {
    root: &'a Value,
    meter: &'m Meter,
}

impl<'a> Search<'a, '_> {
    fn select(self, at: &'a Value, steps: &[Step], found: &mut Vec<Cow<'a, Value>>) -> Result<(), Exceeded> {
        self.meter.step(1)?;
        let Some((step, rest)) = steps.split_first() else {
            found.push(Cow::Borrowed(at));
            return Ok(());
        };
        match step {
            Step::Member(_) | Step::Index(_) => {
                if let Some(next) = child(step, at) {
                    self.select(next, rest, found)?;
                }
            }
            Step::Members(names) => {
                let Value::Object(members) = at else { return Ok(()) };
                if rest.is_empty() {
                    let merged = merged(members, names);
                    self.meter.hold(&merged)?;
                    found.push(Cow::Owned(merged));
                    return Ok(());
                }
                for next in names.iter().filter_map(|name| members.get(name)) {
                    self.select(next, rest, found)?;
                }
            }
            Step::Indices(indices) => self.select_indices(at, indices.iter().copied(), rest, found)?,
            Step::Slice { from, to } => {
                if let Value::Array(items) = at {
                    self.select_indices(at, slice(items.len(), *from, *to), rest, found)?;
                }
            }
            Step::Wildcard => {
                for child in children(at) {
                    self.select(child, rest, found)?;
                }
            }
            Step::Descend => self.descend(at, rest, found)?,
            Step::Filter(filter) => match at {
                Value::Array(items) => {
                    for item in items {
                        if filter.matches(self, item)? {
                            self.select(item, rest, found)?;
                        }
                    }
                }
                Value::Object(_) if filter.matches(self, at)? => self.select(at, rest, found)?,
                _ => {}
            },
            Step::Function(function) => {
                if let Ok(value) = apply(*function, at) {
                    self.meter.hold(&value)?;
                    found.push(Cow::Owned(value));
                }
            }
        }
        Ok(())
    }

    /// `..`: what follows is applied to this value and all objects and arrays below. A filter must hold for the value itself.
    fn descend(self, at: &'a Value, rest: &[Step], found: &mut Vec<Cow<'a, Value>>) -> Result<(), Exceeded> {
        self.meter.step(1)?;
        if !(at.is_object() || at.is_array()) {
            return Ok(());
        }
        match rest.first() {
            Some(Step::Filter(filter)) if !filter.matches(self, at)? => {}
            _ => self.select(at, rest, found)?,
        }
        for child in children(at) {
            self.descend(child, rest, found)?;
        }
        Ok(())
    }

    fn select_indices(
        self,
        at: &'a Value,
        indices: impl Iterator<Item = i64>,
        rest: &[Step],
        found: &mut Vec<Cow<'a, Value>>,
    ) -> Result<(), Exceeded> {
        if let Value::Array(items) = at {
            for index in indices {
                if let Some(item) = absolute(index, items.len()).and_then(|index| items.get(index)) {
                    self.select(item, rest, found)?;
                }
            }
        }
        Ok(())
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

/// The indices of a slice. With both ends given they are taken as they are, so that `[1:-1]` is empty and `[-1:2]` wraps.
fn slice(length: usize, from: Option<i64>, to: Option<i64>) -> std::ops::Range<i64> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let counted = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    match (from, to) {
        (Some(from), None) => counted(from).max(0)..length,
        (None, Some(to)) => 0..counted(to).min(length),
        (Some(from), Some(to)) => from.max(-length)..to.min(length),
        (None, None) => 0..length,
    }
}

fn apply(function: Function, value: &Value) -> Result<Value, PathError> {
    let numbers = || -> Result<Vec<f64>, PathError> {
        let numbers: Vec<f64> = value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        if numbers.is_empty() {
            return Err(PathError::NotFound(
                "Aggregation function attempted to calculate value using empty array".to_owned(),
            ));
        }
        Ok(numbers)
    };
    Ok(match function {
        Function::Length => match value {
            Value::Array(items) => Value::from(items.len()),
            Value::Object(members) => Value::from(members.len()),
            Value::String(text) => Value::from(text.chars().count()),
            _ => Value::Null,
        },
        Function::Keys => match value {
            Value::Object(members) => Value::Array(members.keys().cloned().map(Value::String).collect()),
            _ => Value::Null,
        },
        Function::Min => Value::from(numbers()?.into_iter().fold(f64::INFINITY, f64::min)),
        Function::Max => Value::from(numbers()?.into_iter().fold(f64::NEG_INFINITY, f64::max)),
        Function::Sum => Value::from(numbers()?.into_iter().sum::<f64>()),
        Function::Avg => {
            let numbers = numbers()?;
            #[expect(clippy::cast_precision_loss, reason = "an array within 256 KiB has far fewer than 2^53 items")]
            let count = numbers.len() as f64;
            Value::from(numbers.iter().sum::<f64>() / count)
        }
    })
}

#[cfg(test)]
mod suite;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Path;

    fn read(path: &str, root: &Value) -> Result<Value, String> {
        let path = Path::parse(path, path.strip_prefix('$').unwrap()).map_err(|e| e.to_string())?;
        path.read(root, &meter::Meter::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_what_jayway_reads() {
        let root = json!({
            "a": {"b c": 1, "l": [1, 2, 3, 4]},
            "books": [{"t": "x", "p": 5}, {"t": "y", "p": 15, "isbn": "1"}, {"t": "z", "p": 25}],
            "odd-name": true,
            "q\\\"": "kept"
        });
        for (path, want) in [
            ("$", root.clone()),
            ("$.a.l", json!([1, 2, 3, 4])),
            ("$['a']['b c']", json!(1)),
            ("$.a['b c']", json!(1)),
            ("$.odd-name", json!(true)),
            ("$['q\\\"']", json!("kept")),
            ("$.a.l[0]", json!(1)),
            ("$.a.l[-1]", json!(4)),
            ("$.a.l[1:3]", json!([2, 3])),
            ("$.a.l[-2:]", json!([3, 4])),
            ("$.a.l[:2]", json!([1, 2])),
            ("$.a.l[0,2]", json!([1, 3])),
            ("$.a.l[*]", json!([1, 2, 3, 4])),
            ("$.books[*].t", json!(["x", "y", "z"])),
            ("$..p", json!([5, 15, 25])),
            ("$.books[?(@.p > 10)].t", json!(["y", "z"])),
            ("$.books[?(@.isbn)].t", json!(["y"])),
            ("$.books[?(@.t == 'x' || @.p >= 25)].p", json!([5, 25])),
            ("$.books[?(@.p < 20 && @.isbn)].t", json!(["y"])),
            ("$.books[?(!@.isbn)].t", json!(["x", "z"])),
            ("$.books[?(@.t in ['x','y'])].p", json!([5, 15])),
            ("$.books[?(@.t =~ /[xz]/)].p", json!([5, 25])),
            ("$.books[*]['t','p']", json!([{"t": "x", "p": 5}, {"t": "y", "p": 15}, {"t": "z", "p": 25}])),
            ("$.a['l','nope']", json!({"l": [1, 2, 3, 4]})),
            ("$.a.l[1:-1]", json!([])),
            ("$.a.l[-3:-1]", json!([2, 3])),
            ("$.a.l[-1:2]", json!([4, 1, 2])),
            ("$.a.l[::2]", json!([1, 2, 3, 4])),
            ("$..[?(@.isbn)].t", json!(["y"])),
            ("$.books[?(@['t'].length() == 1 && @.p contains 5)].t", json!([])),
            ("$.books[?(@.t.length() == 1)].p", json!([5, 15, 25])),
            ("$.books[?(@.t nin ['x'])].p", json!([15, 25])),
            ("$.books[?(@.t contains 'x')].p", json!([5])),
            ("$.books[?(@.t size 1 && @.p > $.books[0].p)].t", json!(["y", "z"])),
            ("$[?(@.l empty false)].l.length()", json!([])),
            ("$.a[?(@.l size 4)]['b c']", json!([1])),
            ("$.books[?(@.t === 'x')].p", json!([5])),
            ("$.books[?(@.t !== 'x')].p", json!([15, 25])),
            ("$[?(@.odd-name == true)].q", json!([])),
            ("$.books[*].t.length()", json!([1, 1, 1])),
            ("$.nothing.items[*]", json!([])),
            ("$.a.l.length()", json!(4)),
            ("$.['a'].l", json!([1, 2, 3, 4])),
            ("$.['a'].['b c']", json!(1)),
            ("$.a.l.[0]", json!(1)),
            ("$.a.l.[1:3]", json!([2, 3])),
            ("$.books.[*].t", json!(["x", "y", "z"])),
            ("$.books.[?(@.p > 10)].t", json!(["y", "z"])),
            ("$.books[?(@.['t'] == 'x')].p", json!([5])),
        ] {
            assert_eq!(read(path, &root), Ok(want), "{path}");
        }
    }

    #[test]
    fn says_what_is_missing_in_jayways_words() {
        let root = json!({"a": {"l": [1]}});
        for (path, want) in [
            ("$.x", "No results for path: $['x']"),
            ("$.x.y", "Missing property in path $['x']"),
            ("$['a', 'b'].v", "Multi properties can only be used as path leafs: $['a', 'b']"),
            ("$.a.l[3]", "Index out of bounds when evaluating path $['a']['l'][3]"),
        ] {
            assert_eq!(read(path, &root), Err(want.to_owned()), "{path}");
        }
        for bad in ["$.", "$[", "$.a[", "$x y", "$.a[?(", "$.a]", "$.[", "$.[]", "$.a."] {
            assert!(read(bad, &root).is_err(), "{bad}");
        }
    }

    #[test]
    fn shows_what_it_selects_as_it_is_written() {
        let text = r#" {"a": [ 1,  {"b c": [1, "x"] } ], "b": 2} "#;
        let written = |path: &str| Path::parse(path, &path[1..]).unwrap().written(text).map(str::to_owned);
        assert_eq!(written("$.a[1]['b c']").as_deref(), Some(r#"[1, "x"]"#));
        assert_eq!(written("$.a[-1]").as_deref(), Some(r#"{"b c": [1, "x"] }"#));
        assert_eq!(written("$").as_deref(), Some(text.trim()));
        assert_eq!([written("$.a[2]"), written("$.x"), written("$.a[*]")], [None, None, None]);
    }

    #[test]
    fn writes_through_reference_paths() {
        let write = |path: &str, root: Value| Path::parse(path, &path[1..]).unwrap().write(root, json!(9));
        assert_eq!(write("$", json!({"a": 1})), Some(json!(9)));
        assert_eq!(write("$.a.b", json!({"x": 1})), Some(json!({"x": 1, "a": {"b": 9}})));
        assert_eq!(write("$.a[1]", json!({"a": [1, 2]})), Some(json!({"a": [1, 9]})));
        assert_eq!(write("$.a.b", json!({"a": 1})), None);
        assert_eq!(write("$.['a'].[1]", json!({"a": [1, 2]})), Some(json!({"a": [1, 9]})));
    }
}
