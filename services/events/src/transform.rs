//! What a target receives: the event, a part of it (`InputPath`), a constant (`Input`) or a text
//! made from parts (`InputTransformer`).

use serde_json::Value;

use crate::Invalid;

/// A JSONPath of the few forms that EventBridge takes: `$`, `.name`, `['name']`, `[0]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new(format!("Invalid JSONPath: {text}"));
        let mut rest = text.strip_prefix('$').ok_or_else(malformed)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if end == 0 {
                    return Err(malformed());
                }
                steps.push(Step::Name(after[..end].to_owned()));
                rest = &after[end..];
            } else {
                let inside = rest.strip_prefix('[').ok_or_else(malformed)?;
                if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '\'' | '"')) {
                    let end = inside[1..].find(quote).ok_or_else(malformed)? + 1;
                    steps.push(Step::Name(inside[1..end].to_owned()));
                    rest = inside[end + 1..].strip_prefix(']').ok_or_else(malformed)?;
                } else {
                    let end = inside.find(']').ok_or_else(malformed)?;
                    steps.push(Step::Index(inside[..end].parse().map_err(|_| malformed())?));
                    rest = &inside[end + 1..];
                }
            }
        }
        Ok(Self(steps))
    }

    pub(crate) fn get<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(event, |value, step| match step {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }
}

/// The names that a template may use beside those of its own map.
pub(crate) struct Reserved<'a> {
    pub(crate) rule_arn: &'a str,
    pub(crate) rule_name: &'a str,
    pub(crate) ingestion_time: &'a str,
}

/// Fills `<name>` in the template. In a JSON template a value outside quotes is put as JSON and
/// inside quotes as text; in a plain text always as text. What the event has not becomes empty.
pub(crate) fn fill(template: &str, paths: &[(String, Path)], event: &Value, reserved: &Reserved<'_>) -> String {
    fill_with(template, &|name| lookup(name, paths, event, reserved))
}

/// The same with whatever names there are.
pub(crate) fn fill_with(template: &str, lookup: &dyn Fn(&str) -> Meaning) -> String {
    let json = template.trim_start().starts_with(['{', '[', '"']);
    let mut filled = String::with_capacity(template.len());
    let mut quoted = false;
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        if next == '<'
            && let Some(end) = rest.find('>')
        {
            let put = match (lookup(&rest[1..end]), json, quoted) {
                (Meaning::Unknown, ..) => None,
                (Meaning::Nothing, true, false) => Some("\"\"".to_owned()),
                (Meaning::Nothing, ..) => Some(String::new()),
                (Meaning::Value(value), true, false) => Some(value.to_string()),
                (Meaning::Value(value), true, true) => Some(escaped(&as_text(&value))),
                (Meaning::Value(value), false, _) => Some(as_text(&value)),
            };
            if let Some(put) = put {
                filled.push_str(&put);
                rest = &rest[end + 1..];
                continue;
            }
        }
        if next == '\\' && quoted {
            let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            filled.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        if next == '"' {
            quoted = !quoted;
        }
        filled.push(next);
        rest = &rest[next.len_utf8()..];
    }
    filled
}

/// What a name in a template stands for.
pub(crate) enum Meaning {
    Value(Value),
    /// A path that leads to nothing in this event.
    Nothing,
    /// Nobody defined the name: it stays as it stands.
    Unknown,
}

fn lookup(name: &str, paths: &[(String, Path)], event: &Value, reserved: &Reserved<'_>) -> Meaning {
    let text = |text: &str| Meaning::Value(Value::String(text.to_owned()));
    match name {
        "aws.events.rule-arn" => text(reserved.rule_arn),
        "aws.events.rule-name" => text(reserved.rule_name),
        "aws.events.event.ingestion-time" => text(reserved.ingestion_time),
        "aws.events.event" => {
            let mut event = event.clone();
            if let Value::Object(map) = &mut event {
                map.shift_remove("detail");
            }
            Meaning::Value(event)
        }
        "aws.events.event.json" => Meaning::Value(event.clone()),
        _ => match paths.iter().find(|(known, _)| known == name) {
            Some((_, path)) => path.get(event).cloned().map_or(Meaning::Nothing, Meaning::Value),
            None => Meaning::Unknown,
        },
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fills_templates() {
        let event = json!({"id":"7","detail":{"state":"FAI\"LED","n":3,"list":[{"a b":1}]},"resources":["arn:x"]});
        let paths: Vec<(String, Path)> = [
            ("s", "$.detail.state"),
            ("n", "$.detail.n"),
            ("r", "$.resources[0]"),
            ("o", "$.detail.list[0]['a b']"),
            ("none", "$.nope"),
            ("l", "$.detail.list"),
        ]
        .map(|(name, path)| (name.to_owned(), Path::parse(path).unwrap()))
        .into();
        let reserved = Reserved { rule_arn: "arn:rule", rule_name: "rule", ingestion_time: "2024-01-01T00:00:00Z" };
        for (template, expected) in [
            (r#"{"s":<s>,"n":<n>,"o":<o>}"#, r#"{"s":"FAI\"LED","n":3,"o":1}"#),
            (r#""state <s> of <r>, <n>""#, r#""state FAI\"LED of arn:x, 3""#),
            (r#"{"x":<none>,"y":"<none>","rule":<aws.events.rule-name>}"#, r#"{"x":"","y":"","rule":"rule"}"#),
            (r#""<l>""#, r#""[{\"a b\":1}]""#),
            ("plain <s> at <r> <unknown>", "plain FAI\"LED at arn:x <unknown>"),
            (r#"{"a":"1 < 2"}"#, r#"{"a":"1 < 2"}"#),
        ] {
            assert_eq!(fill(template, &paths, &event, &reserved), expected, "{template}");
        }
    }

    #[test]
    fn refuses_paths() {
        for path in ["", "detail", "$.", "$[", "$['a", "$[x]", "$x"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
