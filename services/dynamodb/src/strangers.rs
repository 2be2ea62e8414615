//! What reads strangers' texts, as functions of them: for `fuzz/`. Whatever comes, none panics, and what is taken stays what it is.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::expr::{Condition, KeyCondition, Placeholders, Projection, Update};
use crate::number::Number;
use crate::partiql::Statement;
use crate::table::KeySchema;
use crate::value::{Item, Value};

/// The values of `:v`, `:m`, `:x`, and the item that is looked at.
fn given() -> &'static (Item, Item) {
    static GIVEN: OnceLock<(Item, Item)> = OnceLock::new();
    const VALUES: &str = r#"{":v":{"N":"1"},":m":{"M":{"a":{"L":[]}}},":x":{"SS":["a"]},":s":{"S":"b"}}"#;
    const ITEM: &str =
        r#"{"a":{"M":{"b":{"L":[{"N":"1"},{"S":"x"}]}}},"b":{"SS":["a"]},"n":{"N":"-2.5"},"s":{"S":"abc"}}"#;
    GIVEN.get_or_init(|| {
        let read = |text| serde_json::from_str(text).unwrap_or_default();
        (read(VALUES), read(ITEM))
    })
}

/// Expressions of all four kinds.
pub fn expression(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (values, item) = given();
    let names = BTreeMap::from([("#n".to_owned(), "b".to_owned())]);
    let Ok(given) = Placeholders::new(Some(names), Some(values.clone()), &[("X", true)]) else { return };
    if let Ok(condition) = Condition::parse("X", text, &given) {
        condition.holds(item);
    }
    if let Ok(update) = Update::parse(text, &given) {
        drop(update.apply(item));
    }
    if let Ok(projection) = Projection::parse(text, &given) {
        let seen = projection.apply(item);
        assert!(seen.keys().all(|name| item.contains_key(name)), "a projection shows what is there");
    }
    let schema = KeySchema { partition: vec!["a".to_owned()], sort: vec!["b".to_owned()] };
    drop(KeyCondition::parse(text, &given, &schema));
}

/// A number. What is taken is told so that it is taken again, as the same, and its key's bytes order as it does.
pub fn number(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let numbers: Vec<Number> = text.split_whitespace().take(8).filter_map(|one| one.parse().ok()).collect();
    for one in &numbers {
        assert_eq!(one.to_string().parse::<Number>().ok(), Some(*one), "{text}");
        assert_eq!(one.add(Number::ZERO).ok(), Some(*one), "{text}");
        assert_eq!(one.negate().negate(), *one, "{text}");
        for other in &numbers {
            assert_eq!(one.cmp(other), one.key_bytes().cmp(&other.key_bytes()), "{one} and {other}");
            if let Ok(sum) = one.add(*other) {
                assert_eq!(other.add(*one).ok(), Some(sum), "{one} and {other}");
            }
        }
    }
}

/// A statement of PartiQL.
pub fn statement(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let parameters = vec![Value::S("p".to_owned()); text.matches('?').count().min(100)];
    if let Ok(statement) = Statement::parse(text, parameters) {
        assert!(!statement.table().is_empty() && !statement.action().is_empty());
    }
}
