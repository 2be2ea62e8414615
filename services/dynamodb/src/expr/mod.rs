//! The expression language: conditions, filters, key conditions, projections and updates.
//! A hand-written recursive-descent parser of bounded depth; everything here is pure.

mod condition;
mod key_condition;
mod lexer;
mod parser;
mod path;
mod placeholders;
mod projection;
mod reserved;
mod update;

pub(crate) use condition::{Comparator, Condition, Test, between};
pub(crate) use key_condition::{KeyCondition, SortCondition};
pub(crate) use parser::Operand;
pub(crate) use path::{Element, Path};
pub(crate) use placeholders::Placeholders;
pub(crate) use projection::Projection;
pub(crate) use update::{Term, Update};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Number;
    use crate::table::KeySchema;

    const PIECES: [&str; 48] = [
        "a",
        "b",
        "#n",
        ":v",
        ":m",
        ":x",
        "SET",
        "REMOVE",
        "ADD",
        "DELETE",
        "AND",
        "OR",
        "NOT",
        "BETWEEN",
        "IN",
        "=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "(",
        ")",
        "[",
        "]",
        "0",
        "99999",
        ".",
        ",",
        "+",
        "-",
        "size",
        "contains",
        "begins_with",
        "attribute_exists",
        "attribute_type",
        "if_not_exists",
        "list_append",
        " ",
        "  ",
        "name",
        "_",
        "é",
        "'",
        "\"",
        "\u{0}",
        "e5",
        "1",
    ];

    /// Whatever the text: an answer or an error, in bounded time, and what was parsed can be asked of any item.
    #[test]
    fn any_text_is_parsed_or_refused() {
        let mut state = 7_u64;
        let mut draw = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let values: crate::value::Item =
            serde_json::from_str(r#"{":v":{"N":"1"},":m":{"M":{"a":{"L":[]}}},":x":{"SS":["a"]}}"#).unwrap();
        let item: crate::value::Item =
            serde_json::from_str(r#"{"a":{"M":{"b":{"L":[{"N":"1"}]}}},"b":{"SS":["a"]}}"#).unwrap();
        let names = std::collections::BTreeMap::from([("#n".to_owned(), "b".to_owned())]);
        let schema = KeySchema { partition: vec!["a".to_owned()], sort: vec!["b".to_owned()] };
        for _ in 0..20_000 {
            let count = draw(14);
            let pieces: Vec<&str> = (0..count).map(|_| PIECES[draw(PIECES.len())]).collect();
            let text = pieces.join(if draw(2) == 0 { "" } else { " " });
            let given = Placeholders::new(Some(names.clone()), Some(values.clone()), &[("X", true)]).unwrap();
            if let Ok(condition) = Condition::parse("X", &text, &given) {
                condition.holds(&item);
            }
            if let Ok(update) = Update::parse(&text, &given) {
                drop(update.apply(&item));
            }
            if let Ok(projection) = Projection::parse(&text, &given) {
                projection.apply(&item);
            }
            drop(KeyCondition::parse(&text, &given, &schema));
            if let Ok(number) = text.parse::<Number>() {
                assert_eq!(number.to_string().parse::<Number>().unwrap(), number, "{text}");
            }
        }
    }
}
