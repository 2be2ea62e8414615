//! The transform `AWS::LanguageExtensions`: loops are written out before anything else looks at the template. Source:
//! CloudFormation Template Reference, "AWS::LanguageExtensions transform" and "Fn::ForEach".

use serde_json::{Map, Value};

use super::validation;
use crate::Result;

pub(crate) const NAME: &str = "AWS::LanguageExtensions";
/// Source: the reference: the functions that need the transform.
const FUNCTIONS: [&str; 2] = ["Fn::Length", "Fn::ToJsonString"];
const LOOP: &str = "Fn::ForEach::";
/// Nodes that loops may write.
const MAX_NODES: usize = 200_000;

/// Writes out all loops. `parameter`: the value of a parameter, a list where it is one.
pub(crate) fn expand(template: Value, parameter: &dyn Fn(&str) -> Option<Value>) -> Result<Value> {
    let mut writer = Writer { parameter, mappings: template.get("Mappings").cloned().unwrap_or(Value::Null), nodes: 0 };
    writer.value(template)
}

/// Fails where a template without the transform uses what needs it.
pub(crate) fn check_unused(value: &Value) -> Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_unused),
        Value::Object(map) => map.iter().try_for_each(|(key, inner)| {
            if FUNCTIONS.contains(&key.as_str()) || key.starts_with(LOOP) {
                return Err(validation(format!("Template format error: {key} needs the transform {NAME}")));
            }
            check_unused(inner)
        }),
        _ => Ok(()),
    }
}

struct Writer<'a> {
    parameter: &'a dyn Fn(&str) -> Option<Value>,
    mappings: Value,
    nodes: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: Value) -> Result<Value> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(validation("Template error: Fn::ForEach writes too much"));
        }
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => {
                let mut out = Map::new();
                for (key, inner) in map {
                    if key.starts_with(LOOP) {
                        for (key, inner) in self.written(&key, inner)? {
                            if out.insert(key.clone(), inner).is_some() {
                                return Err(validation(format!(
                                    "Template error: Fn::ForEach writes the key {key} twice"
                                )));
                            }
                        }
                    } else {
                        let inner = self.value(inner)?;
                        if out.insert(key.clone(), inner).is_some() {
                            return Err(validation(format!("Template error: Fn::ForEach writes the key {key} twice")));
                        }
                    }
                }
                Ok(Value::Object(out))
            }
            scalar => Ok(scalar),
        }
    }

    fn written(&mut self, name: &str, body: Value) -> Result<Map<String, Value>> {
        let wrong = |why: &str| validation(format!("Template error: {name} {why}"));
        let Value::Array(parts) = body else {
            return Err(wrong("needs a list of identifier, collection and template"));
        };
        let [Value::String(identifier), collection, Value::Object(fragment)] = parts.as_slice() else {
            return Err(wrong("needs a list of identifier, collection and template"));
        };
        let mut out = Map::new();
        for item in self.items(name, collection)? {
            let Value::Object(fragment) = substitute(&Value::Object(fragment.clone()), identifier, &item) else {
                continue;
            };
            let Value::Object(fragment) = self.value(Value::Object(fragment))? else { continue };
            for (key, inner) in fragment {
                if out.insert(key.clone(), inner).is_some() {
                    return Err(wrong(&format!("writes the key {key} twice")));
                }
            }
        }
        Ok(out)
    }

    fn items(&self, name: &str, collection: &Value) -> Result<Vec<String>> {
        let wrong = || {
            validation(format!(
                "Template error: the collection of {name} must be a list, a list parameter or a mapping's list"
            ))
        };
        let list = match collection {
            Value::Array(items) => items.clone(),
            Value::Object(map) => match map.iter().next() {
                Some((function, Value::String(target))) if function == "Ref" => match (self.parameter)(target) {
                    Some(Value::Array(items)) => items,
                    _ => return Err(wrong()),
                },
                Some((function, Value::Array(keys))) if function == "Fn::FindInMap" => {
                    let keys: Option<Vec<String>> = keys.iter().take(3).map(|key| self.text(key)).collect();
                    let found = keys.ok_or_else(wrong)?.iter().try_fold(&self.mappings, |at, key| at.get(key)).cloned();
                    match found {
                        Some(Value::Array(items)) => items,
                        _ => return Err(wrong()),
                    }
                }
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        let mut items = Vec::new();
        for item in &list {
            match self.many(item) {
                Some(many) => items.extend(many),
                None => return Err(wrong()),
            }
        }
        for (at, item) in items.iter().enumerate() {
            if items[..at].contains(item) {
                return Err(validation(format!("Template error: the collection of {name} has {item} twice")));
            }
        }
        Ok(items)
    }

    fn many(&self, item: &Value) -> Option<Vec<String>> {
        if let Some(Value::Array(many)) =
            item.get("Ref").and_then(Value::as_str).and_then(|name| (self.parameter)(name))
        {
            return many.iter().map(|one| self.text(one)).collect();
        }
        self.text(item).map(|text| vec![text])
    }

    fn text(&self, item: &Value) -> Option<String> {
        match item {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(item.to_string()),
            Value::Object(map) => {
                match map.get("Ref").and_then(Value::as_str).and_then(|name| (self.parameter)(name)) {
                    Some(Value::String(text)) => Some(text),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// `${Name}` and `{"Ref": "Name"}` are the item; `&{Name}` is the item without what no logical id has.
fn substitute(value: &Value, identifier: &str, item: &str) -> Value {
    let plain: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
    let text =
        |text: &str| text.replace(&format!("${{{identifier}}}"), item).replace(&format!("&{{{identifier}}}"), &plain);
    match value {
        Value::String(inner) => Value::String(text(inner)),
        Value::Array(items) => items.iter().map(|inner| substitute(inner, identifier, item)).collect(),
        Value::Object(map) => {
            if let (1, Some(Value::String(target))) = (map.len(), map.get("Ref"))
                && target == identifier
            {
                return Value::String(item.to_owned());
            }
            map.iter().map(|(key, inner)| (text(key), substitute(inner, identifier, item))).collect()
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn loops_are_written_out() {
        let template = json!({
            "Mappings": {"M": {"a": {"b": ["p", "q"]}}},
            "Resources": {
                "Fn::ForEach::Topics": ["Name", ["a.b", {"Ref": "Names"}], {
                    "Topic&{Name}": {"Type": "T", "Properties": {"N": {"Ref": "Name"}, "S": {"Fn::Sub": "${Name}-${AWS::Region}"}}},
                }],
                "R": {"Properties": {"Fn::ForEach::P": ["Key", {"Fn::FindInMap": ["M", "a", "b"]}, {"${Key}": "${Key}!"}]}},
            },
        });
        let parameter = |name: &str| (name == "Names").then(|| json!(["x", "y"]));
        let resources = expand(template, &parameter).unwrap()["Resources"].clone();
        assert_eq!(resources["Topicab"]["Properties"], json!({"N": "a.b", "S": {"Fn::Sub": "a.b-${AWS::Region}"}}));
        let names: Vec<&String> = resources.as_object().unwrap().keys().collect();
        assert_eq!(names, ["Topicab", "Topicx", "Topicy", "R"]);
        assert_eq!(resources["R"]["Properties"], json!({"p": "p!", "q": "q!"}));
        for bad in [
            json!(["N", ["a"]]),
            json!(["N", ["a", "a"], {"${N}": 1}]),
            json!(["N", ["a", "b"], {"same": 1}]),
            json!(["N", {"Ref": "Nope"}, {}]),
        ] {
            let template = json!({"Resources": {"Fn::ForEach::L": bad}});
            assert!(expand(template, &|_| None).unwrap_err().is("ValidationError"));
        }
        assert!(check_unused(&json!({"a": [{"Fn::Length": []}]})).is_err());
    }
}
