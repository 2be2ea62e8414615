//! YAML with CloudFormation's short tags (`!Sub`, `!GetAtt`, …) to JSON. Plain scalars are numbers only where nothing is lost
//! by it: `000000000000` and `3.10` stay text.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use serde_json::{Map, Value, json};

use super::format_error;
use crate::Result;

/// Nodes that aliases may add up to; a template has no more.
const MAX_NODES: usize = 500_000;
/// How deep nodes may be nested.
const MAX_DEPTH: usize = 100;

pub(super) fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0 };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
            event => return reader.node(event, 0).map(|(value, _)| value),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, (Value, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>> {
        match self.parser.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => {
                let at = error.marker();
                let text = format!("YAML not well-formed. (line {}, column {})", at.line(), at.col() + 1);
                Err(format_error(&text))
            }
            None => Err(format_error("YAML not well-formed.")),
        }
    }

    /// The node that begins with `event`, and how many nodes it holds.
    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<(Value, usize)> {
        if depth > MAX_DEPTH {
            return Err(format_error("YAML is nested too deeply."));
        }
        let before = self.nodes;
        self.count(1)?;
        let (value, tag, anchor) = match event {
            Event::Alias(id) => {
                let (value, size) = self
                    .anchors
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| format_error("YAML not well-formed. (unknown alias)"))?;
                self.count(size)?;
                return Ok((value, size));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tagged = tag.as_ref().is_some_and(|t| !t.is_yaml_core_schema());
                let text_only = tagged || tag.as_ref().is_some_and(|t| t.suffix == "str");
                let value = match style {
                    ScalarStyle::Plain if !text_only => scalar(&text),
                    _ => Value::String(text.into_owned()),
                };
                (value, tag, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.node(event, depth + 1)?.0),
                    }
                }
                (Value::Array(items), tag, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                let mut map = Map::new();
                loop {
                    let event = match self.next()? {
                        Event::MappingEnd => break,
                        event => event,
                    };
                    let key = match self.node(event, depth + 1)?.0 {
                        Value::String(key) => key,
                        Value::Null | Value::Array(_) | Value::Object(_) => {
                            return Err(format_error("YAML not well-formed. (a key is no text)"));
                        }
                        plain => plain.to_string(),
                    };
                    let event = self.next()?;
                    let value = self.node(event, depth + 1)?.0;
                    if key == "<<" {
                        merge(&mut map, value);
                    } else if map.insert(key.clone(), value).is_some() {
                        return Err(format_error(&format!("duplicate key: {key}")));
                    }
                }
                (Value::Object(map), tag, anchor)
            }
            _ => return Err(format_error("YAML not well-formed.")),
        };
        let value = match tag.as_deref() {
            Some(tag) if !tag.is_yaml_core_schema() => long_form(tag, value)?,
            _ => value,
        };
        let size = self.nodes - before;
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok((value, size))
    }

    fn count(&mut self, n: usize) -> Result<()> {
        self.nodes += n;
        if self.nodes > MAX_NODES { Err(format_error("the template has too many nodes")) } else { Ok(()) }
    }
}

fn merge(map: &mut Map<String, Value>, value: Value) {
    match value {
        Value::Object(other) => {
            for (key, value) in other {
                map.entry(key).or_insert(value);
            }
        }
        Value::Array(items) => items.into_iter().for_each(|item| merge(map, item)),
        _ => {}
    }
}

fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(n) = text.parse::<i64>()
        && n.to_string() == text
    {
        return n.into();
    }
    // serde_json reads the number as JSON would write it; where that is another text (3.10, .5, 1e3) it stays text.
    match serde_json::from_str::<serde_json::Number>(text) {
        Ok(number) if number.to_string() == text => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

/// `!Sub x` is `{"Fn::Sub": x}`; `!GetAtt a.b` is split.
fn long_form(tag: &Tag, value: Value) -> Result<Value> {
    let name = tag.suffix.as_str();
    Ok(match name {
        "Ref" | "Condition" => json!({ name: value }),
        "GetAtt" => {
            let value = match value {
                Value::String(text) => match text.split_once('.') {
                    Some((resource, attribute)) => json!([resource, attribute]),
                    None => Value::String(text),
                },
                other => other,
            };
            json!({ "Fn::GetAtt": value })
        }
        "And" | "Base64" | "Cidr" | "Equals" | "FindInMap" | "GetAZs" | "If" | "ImportValue" | "Join" | "Length"
        | "Not" | "Or" | "Select" | "Split" | "Sub" | "ToJsonString" | "Transform" => {
            json!({ format!("Fn::{name}"): value })
        }
        other => return Err(format_error(&format!("could not determine a constructor for the tag !{other}"))),
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn short_tags_and_scalars() {
        let text = r#"
A: !Sub "${X}-y"
B: !GetAtt X.Outputs.Y
C: {D: !Join [",", [!Ref X, 1, 1.5, true, 000000000000, 3.10, "5"]]}
E: &anchor {F: ~}
G: *anchor
H: {<<: *anchor, I: 2012-10-17}
"#;
        let expected = json!({
            "A": {"Fn::Sub": "${X}-y"},
            "B": {"Fn::GetAtt": ["X", "Outputs.Y"]},
            "C": {"D": {"Fn::Join": [",", [{"Ref": "X"}, 1, 1.5, true, "000000000000", "3.10", "5"]]}},
            "E": {"F": null},
            "G": {"F": null},
            "H": {"F": null, "I": "2012-10-17"},
        });
        assert_eq!(parse(text).unwrap(), expected);
        for bad in ["a: [", "a: !Nope x", "a: 1\na: 2", "*x"] {
            assert!(parse(bad).unwrap_err().is("ValidationError"), "{bad}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..9 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            writeln!(text, "a{i}: &a{i} [{refs}]").unwrap();
        }
        assert!(parse(&text).is_err());
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
