//! Event patterns: the JSON language in which EventBridge rules and SNS filter policies say what
//! they want. Parsed once, then matched; pure.

mod matcher;
mod wildcard;

use serde_json::{Map, Value};

use matcher::Matcher;

/// Why a pattern was refused; the sentence that AWS puts after `Reason:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Deepest nesting of a pattern.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug)]
pub struct Pattern {
    fields: Vec<(String, Node)>,
    /// Each group holds alternatives of one `$or`; one of each group must match.
    alternatives: Vec<Vec<Pattern>>,
}

#[derive(Clone, Debug)]
enum Node {
    Inner(Pattern),
    Leaf(Vec<Matcher>),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text).map_err(|error| Error(error.to_string()))?;
        Self::from_value(&value)
    }

    pub fn from_value(value: &Value) -> Result<Self, Error> {
        match value {
            Value::Object(map) => Self::from_map(map, 0),
            _ => Err(Error("Filter is not an object".to_owned())),
        }
    }

    fn from_map(map: &Map<String, Value>, depth: usize) -> Result<Self, Error> {
        if depth > MAX_DEPTH {
            return Err(Error("Pattern is nested too deeply".to_owned()));
        }
        if map.is_empty() {
            return Err(Error("Empty objects are not allowed".to_owned()));
        }
        let mut pattern = Self { fields: Vec::new(), alternatives: Vec::new() };
        for (name, value) in map {
            match value {
                Value::Array(list) if name == "$or" && is_or(list) => {
                    let group = list
                        .iter()
                        .filter_map(Value::as_object)
                        .map(|one| Self::from_map(one, depth + 1))
                        .collect::<Result<_, _>>()?;
                    pattern.alternatives.push(group);
                }
                Value::Object(inner) => {
                    pattern.fields.push((name.clone(), Node::Inner(Self::from_map(inner, depth + 1)?)));
                }
                Value::Array(list) if list.is_empty() => {
                    return Err(Error("Empty arrays are not allowed".to_owned()));
                }
                Value::Array(list) => {
                    let matchers = list.iter().map(Matcher::parse).collect::<Result<_, _>>()?;
                    pattern.fields.push((name.clone(), Node::Leaf(matchers)));
                }
                _ => return Err(Error(format!("\"{name}\" must be an object or an array"))),
            }
        }
        Ok(pattern)
    }

    /// Whether the event, an object, has what the pattern asks for.
    pub fn matches(&self, event: &Value) -> bool {
        match event {
            // Objects in an array: one of them must have it all.
            Value::Array(list) => list.iter().any(|one| self.matches(one)),
            Value::Object(map) => self.matches_map(map),
            _ => self.matches_map(&Map::new()),
        }
    }

    fn matches_map(&self, map: &Map<String, Value>) -> bool {
        self.fields.iter().all(|(name, node)| match node {
            Node::Inner(pattern) => pattern.matches(map.get(name).unwrap_or(&Value::Null)),
            Node::Leaf(matchers) => matchers.iter().any(|matcher| matcher.matches(map.get(name))),
        }) && self.alternatives.iter().all(|group| group.iter().any(|pattern| pattern.matches_map(map)))
    }
}

/// `$or` is the operator only over two or more objects; else it is a field of that name.
fn is_or(list: &[Value]) -> bool {
    list.len() >= 2 && list.iter().all(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, event: &str, expected: bool) {
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(Pattern::parse(pattern).unwrap().matches(&event), expected, "{pattern} on {event}");
    }

    #[test]
    fn matches_as_documented() {
        let event = r#"{"source":"aws.states","detail":{"status":"FAILED","n":5,"ip":"10.0.1.7","file":"in/a.csv","tags":["x","y"],"none":null,"flag":true,"list":[{"a":1,"b":2},{"a":3,"b":4}]}}"#;
        for (pattern, expected) in [
            (r#"{"source":["aws.states"]}"#, true),
            (r#"{"source":["aws.s3","aws.states"],"detail":{"status":["FAILED"]}}"#, true),
            (r#"{"source":["aws.s3"]}"#, false),
            (r#"{"detail":{"status":[{"prefix":"FAI"}]}}"#, true),
            (r#"{"detail":{"status":[{"prefix":{"equals-ignore-case":"fai"}}]}}"#, true),
            (r#"{"detail":{"file":[{"suffix":".csv"}]}}"#, true),
            (r#"{"detail":{"file":[{"suffix":".json"}]}}"#, false),
            (r#"{"detail":{"status":[{"equals-ignore-case":"failed"}]}}"#, true),
            (r#"{"detail":{"status":[{"anything-but":"FAILED"}]}}"#, false),
            (r#"{"detail":{"status":[{"anything-but":["RUNNING","SUCCEEDED"]}]}}"#, true),
            (r#"{"detail":{"status":[{"anything-but":{"prefix":"FA"}}]}}"#, false),
            (r#"{"detail":{"file":[{"anything-but":{"suffix":[".json",".csv"]}}]}}"#, false),
            (r#"{"detail":{"file":[{"anything-but":{"wildcard":"out/*"}}]}}"#, true),
            (r#"{"detail":{"absent":[{"anything-but":"x"}]}}"#, false),
            (r#"{"detail":{"n":[5]}}"#, true),
            (r#"{"detail":{"n":[5.0]}}"#, true),
            (r#"{"detail":{"n":["5"]}}"#, false),
            (r#"{"detail":{"n":[{"numeric":[">",0,"<=",5]}]}}"#, true),
            (r#"{"detail":{"n":[{"numeric":["=",4]}]}}"#, false),
            (r#"{"detail":{"n":[{"anything-but":5}]}}"#, false),
            (r#"{"detail":{"ip":[{"cidr":"10.0.0.0/23"}]}}"#, true),
            (r#"{"detail":{"ip":[{"cidr":"10.0.0.0/24"}]}}"#, false),
            (r#"{"detail":{"absent":[{"exists":false}]}}"#, true),
            (r#"{"detail":{"n":[{"exists":false}]}}"#, false),
            (r#"{"detail":{"n":[{"exists":true}]}}"#, true),
            (r#"{"nothing":{"deep":[{"exists":false}]}}"#, true),
            (r#"{"detail":{"none":[null],"flag":[true]}}"#, true),
            (r#"{"detail":{"tags":["y"]}}"#, true),
            (r#"{"detail":{"file":[{"wildcard":"in/*.csv"}]}}"#, true),
            (r#"{"detail":{"file":[{"wildcard":"*.cs"}]}}"#, false),
            (r#"{"detail":{"list":{"a":[1],"b":[2]}}}"#, true),
            (r#"{"detail":{"list":{"a":[1],"b":[4]}}}"#, false),
            (r#"{"$or":[{"source":["nope"]},{"detail":{"n":[5]}}]}"#, true),
            (r#"{"source":["aws.states"],"$or":[{"source":["nope"]},{"detail":{"n":[6]}}]}"#, false),
        ] {
            check(pattern, event, expected);
        }
    }

    #[test]
    fn refuses() {
        for (pattern, part) in [
            ("[]", "not an object"),
            ("{", "EOF"),
            ("{}", "Empty objects"),
            (r#"{"a":[]}"#, "Empty arrays"),
            (r#"{"a":"x"}"#, "\"a\" must be an object or an array"),
            (r#"{"a":[{"nope":1}]}"#, "Unrecognized match type nope"),
            (r#"{"a":[{"numeric":[">"]}]}"#, "numeric"),
            (r#"{"a":[{"cidr":"300.0.0.0/8"}]}"#, "CIDR"),
            (r#"{"a":[{"wildcard":"a**b"}]}"#, "wildcard"),
            (r#"{"a":[{"exists":"yes"}]}"#, "exists"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err().0;
            assert!(error.contains(part), "{pattern}: {error}");
        }
        let deep = format!("{}[1]{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        assert!(Pattern::parse(&deep).is_err());
    }
}
