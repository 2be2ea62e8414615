//! JSON as `application/x-www-form-urlencoded`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lists {
    /// `a[0]=1&a[1]=2`
    Indices,
    /// `a=1&a=2`
    Repeat,
    /// `a=1,2`
    Commas,
    /// `a[]=1&a[]=2`
    Brackets,
}

impl Lists {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "INDICES" => Self::Indices,
            "REPEAT" => Self::Repeat,
            "COMMAS" => Self::Commas,
            "BRACKETS" => Self::Brackets,
            _ => return None,
        })
    }
}

pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A scalar's text.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Pairs, escaped and joined.
pub fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value))).collect();
    pairs.join("&")
}

/// The pairs of an object; objects within are `a[b]`.
pub fn pairs(value: &Value, lists: Lists) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Value::Object(members) = value {
        for (key, value) in members {
            gather(key.clone(), value, lists, &mut found);
        }
    }
    found
}

fn gather(key: String, value: &Value, lists: Lists, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                gather(format!("{key}[{name}]"), value, lists, found);
            }
        }
        Value::Array(items)
            if lists == Lists::Commas && !items.iter().any(|item| item.is_object() || item.is_array()) =>
        {
            let items: Vec<_> = items.iter().map(text).collect();
            found.push((key, items.join(",")));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let key = match lists {
                    Lists::Indices | Lists::Commas => format!("{key}[{index}]"),
                    Lists::Repeat => key.clone(),
                    Lists::Brackets => format!("{key}[]"),
                };
                gather(key, item, lists, found);
            }
        }
        scalar => found.push((key, text(scalar))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Lists, joined, pairs};

    #[test]
    fn lists_are_written_in_four_ways() {
        let check = |lists: &str, want: &str| {
            let body = json!({"array": ["a", "b"], "m": {"o d": "x y", "n": 1}, "t": true, "z": null});
            let form = joined(&pairs(&body, Lists::of(lists).unwrap()));
            assert_eq!(form, format!("{want}&m%5Bo%20d%5D=x%20y&m%5Bn%5D=1&t=true&z="), "{lists}");
        };
        check("INDICES", "array%5B0%5D=a&array%5B1%5D=b");
        check("REPEAT", "array=a&array=b");
        check("COMMAS", "array=a%2Cb");
        check("BRACKETS", "array%5B%5D=a&array%5B%5D=b");
        assert_eq!(Lists::of("OTHER"), None);
    }

    #[test]
    fn lists_of_objects() {
        let body = json!({"l": [{"a": 1}, {"a": [2, 3]}]});
        assert_eq!(joined(&pairs(&body, Lists::Commas)), "l%5B0%5D%5Ba%5D=1&l%5B1%5D%5Ba%5D=2%2C3");
        assert_eq!(joined(&pairs(&body, Lists::Repeat)), "l%5Ba%5D=1&l%5Ba%5D=2&l%5Ba%5D=3");
    }
}
