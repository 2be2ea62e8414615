//! ProjectionExpression: the parts of an item that are answered.

use std::collections::BTreeMap;

use crate::Invalid;
use crate::value::{Item, Value};

use super::parser::Parser;
use super::path::{Element, Path, check_apart};
use super::placeholders::Placeholders;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Projection {
    paths: Vec<Path>,
}

impl Projection {
    pub(crate) fn parse(source: &str, placeholders: &Placeholders) -> Result<Self, Invalid> {
        Self::read(source, placeholders).map_err(|error| error.within("ProjectionExpression"))
    }

    fn read(source: &str, placeholders: &Placeholders) -> Result<Self, Invalid> {
        let mut parser = Parser::new(source, placeholders)?;
        let mut paths = vec![parser.path()?];
        while parser.tokens.take(",") {
            paths.push(parser.path()?);
        }
        parser.end()?;
        check_apart(&paths.iter().collect::<Vec<_>>())?;
        Ok(Self { paths })
    }

    pub(crate) fn of_attributes<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { paths: names.into_iter().map(Path::top).collect() }
    }

    pub(crate) fn of_paths(paths: Vec<Path>) -> Self {
        Self { paths }
    }

    /// Top-level attributes that the projection needs.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| path.attribute.as_str())
    }

    pub(crate) fn apply(&self, item: &Item) -> Item {
        let mut tree = Node::default();
        for path in &self.paths {
            tree.insert(path.elements());
        }
        tree.pick_map(item)
    }
}

/// What is wanted below a place; a node without children wants all of it.
#[derive(Default)]
struct Node(BTreeMap<Element, Node>);

impl Node {
    fn insert(&mut self, mut elements: impl Iterator<Item = Element>) {
        if let Some(element) = elements.next() {
            let child = self.0.entry(element).or_default();
            // Boxed so that the recursion has one type.
            let rest: Vec<Element> = elements.collect();
            child.insert(rest.into_iter());
        }
    }

    fn pick(&self, value: &Value) -> Option<Value> {
        if self.0.is_empty() {
            return Some(value.clone());
        }
        match value {
            Value::M(map) => Some(self.pick_map(map)).filter(|map| !map.is_empty()).map(Value::M),
            Value::L(list) => {
                let picked: Vec<Value> = self
                    .0
                    .iter()
                    .filter_map(|(element, child)| match element {
                        Element::Index(index) => child.pick(list.get(*index)?),
                        Element::Attribute(_) => None,
                    })
                    .collect();
                (!picked.is_empty()).then_some(Value::L(picked))
            }
            _ => None,
        }
    }

    fn pick_map(&self, map: &Item) -> Item {
        self.0
            .iter()
            .filter_map(|(element, child)| match element {
                Element::Attribute(name) => Some((name.clone(), child.pick(map.get(name)?)?)),
                Element::Index(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let item: Item = serde_json::from_str(
            r#"{"a":{"M":{"b":{"N":"1"},"c":{"L":[{"N":"0"},{"N":"1"},{"M":{"z":{"S":"q"}}}]}}},"d":{"S":"x"}}"#,
        )
        .unwrap();
        let given = Placeholders::default();
        let picked = Projection::parse(source, &given).unwrap().apply(&item);
        assert_eq!(serde_json::to_string(&picked).unwrap(), expected, "{source}");
    }

    #[test]
    fn picks() {
        check("d, nope", r#"{"d":{"S":"x"}}"#);
        check("a.b", r#"{"a":{"M":{"b":{"N":"1"}}}}"#);
        check("a.c[2].z, a.c[0]", r#"{"a":{"M":{"c":{"L":[{"N":"0"},{"M":{"z":{"S":"q"}}}]}}}}"#);
        check("d.x", "{}");
    }

    #[test]
    fn refuses_overlap() {
        let Invalid(message) = Projection::parse("a, a.b", &Placeholders::default()).unwrap_err();
        assert_eq!(
            message,
            "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of \
             these paths; path one: [a], path two: [a, b]"
        );
    }
}
