//! Document paths: `a.b[2]`.

use std::fmt;

use crate::Invalid;
use crate::value::{Item, Value};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    Attribute(String),
    Index(usize),
}

/// A top-level attribute and the way down from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    pub(crate) attribute: String,
    pub(crate) rest: Vec<Element>,
}

impl Path {
    pub(crate) fn top(attribute: &str) -> Self {
        Self { attribute: attribute.to_owned(), rest: Vec::new() }
    }

    /// Whether it is the top-level attribute of this name.
    pub(crate) fn is(&self, attribute: &str) -> bool {
        self.rest.is_empty() && self.attribute == attribute
    }

    pub(crate) fn get<'a>(&self, item: &'a Item) -> Option<&'a Value> {
        let mut value = item.get(&self.attribute)?;
        for element in &self.rest {
            value = match (element, value) {
                (Element::Attribute(name), Value::M(map)) => map.get(name)?,
                (Element::Index(index), Value::L(list)) => list.get(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Elements with the top-level attribute as the first of them.
    pub(super) fn elements(&self) -> impl Iterator<Item = Element> + '_ {
        std::iter::once(Element::Attribute(self.attribute.clone())).chain(self.rest.iter().cloned())
    }

    fn is_prefix_of(&self, other: &Self) -> bool {
        self.attribute == other.attribute && other.rest.starts_with(&self.rest)
    }

    /// Whether the two ask one place to be a map and a list at once.
    fn conflicts_with(&self, other: &Self) -> bool {
        if self.attribute != other.attribute {
            return false;
        }
        let fork = self.rest.iter().zip(&other.rest).find(|(a, b)| a != b);
        matches!(fork, Some((Element::Attribute(_), Element::Index(_)) | (Element::Index(_), Element::Attribute(_))))
    }
}

/// Fails when two of the paths cannot be used beside each other.
pub(super) fn check_apart(paths: &[&Path]) -> Result<(), Invalid> {
    for (at, one) in paths.iter().enumerate() {
        for two in &paths[at + 1..] {
            let what = if one.is_prefix_of(two) || two.is_prefix_of(one) {
                "overlap"
            } else if one.conflicts_with(two) {
                "conflict"
            } else {
                continue;
            };
            return Err(Invalid::new(format!(
                "Two document paths {what} with each other; must remove or rewrite one of these paths; \
                 path one: {one}, path two: {two}"
            )));
        }
    }
    Ok(())
}

/// As AWS prints paths: `[a, b, [2]]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.attribute)?;
        for element in &self.rest {
            match element {
                Element::Attribute(name) => write!(f, ", {name}")?,
                Element::Index(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}
