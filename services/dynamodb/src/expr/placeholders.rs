//! `ExpressionAttributeNames` and `ExpressionAttributeValues` of one request: looked up by the
//! parser, and checked at the end for those that no expression used.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::Invalid;
use crate::value::Value;

/// Deepest nesting of a value that stands by itself: an item, which is a level, has one less below it.
const MAX_LEVELS: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: BTreeMap<String, String>,
    values: BTreeMap<String, Value>,
    used: RefCell<BTreeSet<String>>,
}

impl Placeholders {
    /// `expressions` are the request's expression parameters, by name, with whether each is set.
    pub(crate) fn new(
        names: Option<BTreeMap<String, String>>,
        values: Option<BTreeMap<String, Value>>,
        expressions: &[(&str, bool)],
    ) -> Result<Self, Invalid> {
        if expressions.iter().all(|(_, set)| !set) {
            let parameter = if names.is_some() {
                Some("ExpressionAttributeNames")
            } else {
                values.as_ref().map(|_| "ExpressionAttributeValues")
            };
            if let Some(parameter) = parameter {
                let nulls: Vec<&str> = expressions.iter().map(|(name, _)| *name).collect();
                let nulls = match nulls.as_slice() {
                    [] => String::new(),
                    [one] => format!(": {one} is null"),
                    many => format!(": {} are null", many.join(" and ")),
                };
                return Err(Invalid::new(format!("{parameter} can only be specified when using expressions{nulls}")));
            }
        }
        if names.as_ref().is_some_and(BTreeMap::is_empty) {
            return Err(Invalid::new("ExpressionAttributeNames must not be empty"));
        }
        if values.as_ref().is_some_and(BTreeMap::is_empty) {
            return Err(Invalid::new("ExpressionAttributeValues must not be empty"));
        }
        let (names, values) = (names.unwrap_or_default(), values.unwrap_or_default());
        check_keys("ExpressionAttributeNames", '#', names.keys())?;
        check_keys("ExpressionAttributeValues", ':', values.keys())?;
        if let Some((key, _)) = names.iter().find(|(_, name)| name.is_empty()) {
            return Err(Invalid::new(format!(
                "ExpressionAttributeNames contains invalid value: Empty attribute name for key {key}"
            )));
        }
        if let Some((key, _)) = values.iter().find(|(_, value)| value.deeper_than(MAX_LEVELS)) {
            return Err(Invalid::new(format!(
                "ExpressionAttributeValues contains invalid value: Nesting Levels have exceeded supported limits: \
                 Attributes in the item have nested levels beyond supported limit for key {key}"
            )));
        }
        Ok(Self { names, values, used: RefCell::default() })
    }

    pub(super) fn name(&self, placeholder: &str) -> Result<String, Invalid> {
        self.used.borrow_mut().insert(placeholder.to_owned());
        self.names.get(placeholder).cloned().ok_or_else(|| {
            Invalid::new(format!(
                "An expression attribute name used in the document path is not defined; attribute name: {placeholder}"
            ))
        })
    }

    pub(super) fn value(&self, placeholder: &str) -> Result<Value, Invalid> {
        self.used.borrow_mut().insert(placeholder.to_owned());
        self.values.get(placeholder).cloned().ok_or_else(|| {
            Invalid::new(format!(
                "An expression attribute value used in expression is not defined; attribute value: {placeholder}"
            ))
        })
    }

    /// Fails if a placeholder was given and not used; called once all expressions are parsed.
    pub(crate) fn all_used(&self) -> Result<(), Invalid> {
        let used = self.used.borrow();
        let unused = |keys: Vec<&String>| {
            let keys: Vec<&str> = keys.into_iter().filter(|key| !used.contains(*key)).map(String::as_str).collect();
            (!keys.is_empty()).then(|| keys.join(", "))
        };
        if let Some(keys) = unused(self.names.keys().collect()) {
            return Err(Invalid::new(format!(
                "Value provided in ExpressionAttributeNames unused in expressions: keys: {{{keys}}}"
            )));
        }
        if let Some(keys) = unused(self.values.keys().collect()) {
            return Err(Invalid::new(format!(
                "Value provided in ExpressionAttributeValues unused in expressions: keys: {{{keys}}}"
            )));
        }
        Ok(())
    }
}

fn check_keys<'a>(parameter: &str, sign: char, keys: impl Iterator<Item = &'a String>) -> Result<(), Invalid> {
    for key in keys {
        let rest = key.strip_prefix(sign).unwrap_or("");
        if rest.is_empty() || !rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Invalid::new(format!("{parameter} contains invalid key: Syntax error; key: \"{key}\"")));
        }
    }
    Ok(())
}
