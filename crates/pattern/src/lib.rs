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
        self.matches_at(event, event, &mut Vec::new())
    }

    /// The same of a part of the event, to which a path leads.
    fn matches_at<'a>(&'a self, part: &Value, event: &Value, path: &mut Vec<&'a str>) -> bool {
        match part {
            // Objects in an array: one of them must have it all.
            Value::Array(list) if !list.is_empty() => list.iter().any(|one| self.matches_at(one, event, path)),
            Value::Object(map) => self.matches_map(map, event, path),
            _ => self.matches_map(&Map::new(), event, path),
        }
    }

    fn matches_map<'a>(&'a self, map: &Map<String, Value>, event: &Value, path: &mut Vec<&'a str>) -> bool {
        let mut has = |(name, node): &'a (String, Node)| {
            path.push(name);
            let found = match node {
                Node::Inner(pattern) => pattern.matches_at(map.get(name).unwrap_or(&Value::Null), event, path),
                Node::Leaf(matchers) => matchers.iter().any(|matcher| match matcher {
                    // Nowhere in the event, whichever of an array's objects has the rest.
                    Matcher::Exists(false) => !is_there(event, path),
                    matcher => map.get(name).is_some_and(|value| matcher.matches(value)),
                }),
            };
            path.pop();
            found
        };
        self.fields.iter().all(&mut has)
            && self.alternatives.iter().all(|group| group.iter().any(|pattern| pattern.matches_map(map, event, path)))
    }
}

/// Whether any leaf is at a path: what is in arrays is at the path of the array, and an empty one has none.
fn is_there(part: &Value, path: &[&str]) -> bool {
    match (part, path) {
        (Value::Array(list), _) => list.iter().any(|one| is_there(one, path)),
        (Value::Object(map), [name, rest @ ..]) => map.get(*name).is_some_and(|value| is_there(value, rest)),
        (Value::Object(_), []) => false,
        (_, path) => path.is_empty(),
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
        let event = r#"{"source":"aws.states","detail":{"status":"FAILED","n":5,"ip":"10.0.1.7","file":"in/a.csv","tags":["x","y"],"none":null,"flag":true,"nested":[["z"]],"empty":[],"list":[{"a":1,"b":2},{"a":3,"b":4,"c":5}]}}"#;
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
            (r#"{"detail":{"nested":["z"]}}"#, true),
            (r#"{"detail":{"empty":[{"exists":true}]}}"#, false),
            (r#"{"detail":{"empty":[{"exists":false}]}}"#, true),
            (r#"{"detail":{"empty":{"deep":[{"exists":false}]}}}"#, true),
            (r#"{"detail":{"list":[{"exists":true}]}}"#, false),
            (r#"{"detail":{"list":{"c":[{"exists":false}]}}}"#, false),
            (r#"{"detail":{"list":{"a":[1],"d":[{"exists":false}]}}}"#, true),
            (r#"{"detail":{"n":[{"anything-but":["x"]}]}}"#, true),
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
            (r#"{"a":[{"numeric":[">"]}]}"#, "Value of > must be numeric"),
            (r#"{"a":[{"numeric":">"}]}"#, "Value of numeric must be an array."),
            (r#"{"a":[{"numeric":[1,2]}]}"#, "Invalid member in numeric match: 1"),
            (r#"{"a":[{"numeric":["=",1,"=",2]}]}"#, "Too many elements in numeric expression"),
            (r#"{"a":[{"numeric":["<",5,">",1]}]}"#, "Too many elements in numeric expression"),
            (r#"{"a":[{"numeric":[">",1,">",2]}]}"#, "Bad numeric range operator: >"),
            (r#"{"a":[{"numeric":[">",1,"<"]}]}"#, "Value of < must be numeric"),
            (r#"{"a":[{"numeric":[">",2,"<",1]}]}"#, "Bottom must be less than top"),
            (r#"{"a":[{"numeric":[">",1,"<",2,"<",3]}]}"#, "Too many terms in numeric range expression"),
            (r#"{"a":[{"numeric":["!=",1]}]}"#, "Unrecognized numeric range operator: !="),
            (r#"{"a":[{"numeric":[">",5000000001]}]}"#, "Value must be between -5.0E9 and 5.0E9, inclusive"),
            (r#"{"a":[{"anything-but":["x",1]}]}"#, "either all values are number or string"),
            (r#"{"a":[{"anything-but":[]}]}"#, "either all values are number or string"),
            (r#"{"a":[{"anything-but":[null]}]}"#, "start|null|boolean is not supported"),
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
