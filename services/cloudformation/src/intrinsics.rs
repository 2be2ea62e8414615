//! Values of a template's functions, given the parameters and what resources are known so far.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::Result;
use crate::parameters::{items, text};
use crate::template::{Template, validation};

/// What a made resource answers to Ref and GetAtt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) physical_id: String,
    pub(crate) attributes: Value,
}

/// Everything that functions can refer to.
pub(crate) struct Scope<'a> {
    pub(crate) template: &'a Template,
    pub(crate) parameters: &'a IndexMap<String, String>,
    pub(crate) resources: &'a BTreeMap<String, Known>,
    pub(crate) pseudo: Pseudo,
    /// The exports of all stacks.
    pub(crate) exports: &'a BTreeMap<String, String>,
    /// Conditions that have been looked at: each holds or does not, however often it is named.
    pub(crate) conditions: Mutex<BTreeMap<String, bool>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pseudo {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) stack_name: String,
    pub(crate) stack_id: String,
    pub(crate) notified: Vec<String>,
}

impl Scope<'_> {
    /// The value with all functions resolved; `AWS::NoValue` takes its member away.
    pub(crate) fn resolve(&self, value: &Value) -> Result<Value> {
        Ok(self.value(value)?.unwrap_or(Value::Null))
    }

    /// None: `AWS::NoValue`.
    fn value(&self, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    out.extend(self.value(item)?);
                }
                Ok(Some(Value::Array(out)))
            }
            Value::Object(map) => {
                if let (1, Some((name, argument))) = (map.len(), map.iter().next())
                    && (name == "Ref" || name == "Condition" && argument.is_string() || name.starts_with("Fn::"))
                {
                    return self.function(name, argument);
                }
                let mut out = Map::new();
                for (key, inner) in map {
                    if let Some(inner) = self.value(inner)? {
                        out.insert(key.clone(), inner);
                    }
                }
                Ok(Some(Value::Object(out)))
            }
            scalar => Ok(Some(scalar.clone())),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each function")]
    fn function(&self, name: &str, argument: &Value) -> Result<Option<Value>> {
        Ok(Some(match name {
            "Ref" => {
                let target = argument.as_str().ok_or_else(|| wrong("Ref", "must be a string"))?;
                return self.reference(target);
            }
            "Fn::GetAtt" => {
                let (resource, attribute) = match argument {
                    Value::String(text) => {
                        let (a, b) = text.split_once('.').ok_or_else(|| wrong(name, "needs resource and attribute"))?;
                        (a.to_owned(), b.to_owned())
                    }
                    Value::Array(parts) => match parts.as_slice() {
                        [Value::String(a), b] => (a.clone(), text(&self.resolve(b)?)),
                        _ => {
                            return Err(wrong(
                                name,
                                "object requires two non-empty parameters, the resource name and the resource attribute",
                            ));
                        }
                    },
                    _ => {
                        return Err(wrong(
                            name,
                            "object requires two non-empty parameters, the resource name and the resource attribute",
                        ));
                    }
                };
                self.attribute(&resource, &attribute)?
            }
            "Fn::Sub" => Value::String(self.sub(argument)?),
            "Fn::Join" => {
                let (delimiter, items) = self.pair(name, argument)?;
                let Value::Array(items) = items else { return Err(wrong(name, "needs a list of values")) };
                let texts: Vec<String> = items.iter().map(text).collect();
                Value::String(texts.join(&text(&delimiter)))
            }
            "Fn::Split" => {
                let (delimiter, source) = self.pair(name, argument)?;
                let delimiter = text(&delimiter);
                if delimiter.is_empty() {
                    return Err(wrong(name, "needs a delimiter"));
                }
                text(&source).split(&delimiter).map(|part| Value::String(part.to_owned())).collect()
            }
            "Fn::Select" => {
                let (index, items) = self.pair(name, argument)?;
                let items = match items {
                    Value::Array(items) => items,
                    // A parameter that is a comma-delimited list.
                    Value::String(text) => text.split(',').map(|t| Value::String(t.trim().to_owned())).collect(),
                    _ => return Err(wrong(name, "needs a list of values")),
                };
                let index: usize = text(&index).parse().map_err(|_| wrong(name, "needs an index"))?;
                let count = items.len();
                items.into_iter().nth(index).ok_or_else(|| {
                    validation(format!(
                        "Template error: Fn::Select cannot select nonexistent value at index {index} of {count}"
                    ))
                })?
            }
            "Fn::If" => {
                let [condition, yes, no] = array(argument) else {
                    return Err(wrong(name, "requires a list argument with 3 elements"));
                };
                let condition = condition.as_str().ok_or_else(|| wrong(name, "needs a condition's name"))?;
                return self.value(if self.condition(condition)? { yes } else { no });
            }
            "Fn::FindInMap" => self.find_in_map(argument)?,
            "Fn::Base64" => Value::String(STANDARD.encode(text(&self.resolve(argument)?))),
            "Fn::GetAZs" => {
                let region = text(&self.resolve(argument)?);
                let region = if region.is_empty() { self.pseudo.region.clone() } else { region };
                ["a", "b", "c"].iter().map(|zone| Value::String(format!("{region}{zone}"))).collect()
            }
            "Fn::ImportValue" => {
                let export = text(&self.resolve(argument)?);
                let value = self.exports.get(&export);
                value
                    .map(|value| value.as_str().into())
                    .ok_or_else(|| validation(format!("No export named {export} found.")))?
            }
            "Fn::Cidr" => cidr(array(&self.resolve(argument)?))?,
            "Fn::Transform" => {
                let transform = text(&argument["Name"]);
                return Err(validation(format!("No transform named {transform} found.")));
            }
            "Fn::ToJsonString" => Value::String(self.resolve(argument)?.to_string()),
            "Fn::Length" => match self.resolve(argument)? {
                Value::Array(items) => items.len().into(),
                _ => return Err(wrong(name, "needs a list")),
            },
            "Condition" | "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                let whole = Map::from_iter([(name.to_owned(), argument.clone())]);
                Value::Bool(self.holds(&Value::Object(whole), 0)?)
            }
            other => return Err(validation(format!("Template error: {other} is not implemented"))),
        }))
    }

    fn reference(&self, target: &str) -> Result<Option<Value>> {
        let Pseudo { account, region, stack_name, stack_id, notified } = &self.pseudo;
        Ok(Some(match target {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => account.as_str().into(),
            "AWS::Region" => region.as_str().into(),
            "AWS::StackName" => stack_name.as_str().into(),
            "AWS::StackId" => stack_id.as_str().into(),
            "AWS::Partition" => "aws".into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::NotificationARNs" => notified.iter().map(|arn| Value::String(arn.clone())).collect(),
            _ => match (self.parameters.get(target), self.resources.get(target)) {
                (Some(value), _) => {
                    match self.template.parameters.get(target).and_then(|declared| items(declared, value)) {
                        Some(items) => items.into_iter().map(Value::String).collect(),
                        None => value.as_str().into(),
                    }
                }
                (None, Some(known)) => known.physical_id.as_str().into(),
                (None, None) => {
                    let text = format!(
                        "Template format error: Unresolved resource dependencies [{target}] in the Resources block of the template"
                    );
                    return Err(validation(text));
                }
            },
        }))
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<Value> {
        let known = self.resources.get(resource).ok_or_else(|| {
            validation(format!("Template error: instance of Fn::GetAtt references undefined resource {resource}"))
        })?;
        let mut value = known.attributes.get(attribute);
        if value.is_none() {
            value = attribute.split('.').try_fold(&known.attributes, |value, part| value.get(part));
        }
        value.cloned().ok_or_else(|| {
            validation(format!(
                "Template error: resource {resource} does not support attribute type {attribute} in Fn::GetAtt"
            ))
        })
    }

    fn sub(&self, argument: &Value) -> Result<String> {
        let (template, variables) = match argument {
            Value::String(template) => (template.as_str(), Map::new()),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(template), Value::Object(variables)] => (template.as_str(), variables.clone()),
                _ => return Err(wrong("Fn::Sub", "needs a string, or a string and a map of variables")),
            },
            _ => return Err(wrong("Fn::Sub", "needs a string, or a string and a map of variables")),
        };
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                out.push_str("${");
                rest = after;
                continue;
            };
            rest = after;
            let name = name.trim();
            if let Some(literal) = name.strip_prefix('!') {
                out.extend(["${", literal, "}"]);
            } else if let Some(value) = variables.get(name) {
                out.push_str(&text(&self.resolve(value)?));
            } else if let Some((resource, attribute)) = name.split_once('.') {
                out.push_str(&text(&self.attribute(resource, attribute)?));
            } else {
                out.push_str(&text(&self.reference(name)?.unwrap_or(Value::Null)));
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn find_in_map(&self, argument: &Value) -> Result<Value> {
        let (map, first, second, default) = match array(argument) {
            [map, first, second] => (map, first, second, None),
            [map, first, second, Value::Object(more)] if more.len() == 1 && more.contains_key("DefaultValue") => {
                (map, first, second, more.get("DefaultValue"))
            }
            _ => {
                return Err(wrong(
                    "Fn::FindInMap",
                    "requires a list argument with 3 elements, and perhaps a DefaultValue",
                ));
            }
        };
        let keys = [text(&self.resolve(map)?), text(&self.resolve(first)?), text(&self.resolve(second)?)];
        let found = keys.iter().try_fold(&self.template.mappings, |value, key| value.get(key));
        match (found, default) {
            (Some(found), _) => Ok(found.clone()),
            (None, Some(default)) => self.resolve(default),
            (None, None) => {
                let [map, first, second] = &keys;
                Err(validation(format!("Template error: Unable to get mapping for {map}::{first}::{second}")))
            }
        }
    }

    fn pair(&self, name: &str, argument: &Value) -> Result<(Value, Value)> {
        match array(argument) {
            [a, b] => Ok((self.resolve(a)?, self.resolve(b)?)),
            _ => Err(wrong(name, "requires a list argument with 2 elements")),
        }
    }

    /// Does the named condition hold?
    pub(crate) fn condition(&self, name: &str) -> Result<bool> {
        self.named_condition(name, 0)
    }

    fn named_condition(&self, name: &str, depth: usize) -> Result<bool> {
        if let Some(holds) = self.conditions.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(*holds);
        }
        let body = self
            .template
            .conditions
            .get(name)
            .ok_or_else(|| validation(format!("Template format error: Unresolved condition dependency {name}")))?;
        let holds = self.holds(body, depth + 1)?;
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), holds);
        Ok(holds)
    }

    fn holds(&self, value: &Value, depth: usize) -> Result<bool> {
        if depth > 50 {
            return Err(validation("Template format error: Circular dependency between conditions"));
        }
        let invalid = || {
            validation(
                "Template format error: Conditions can only be boolean operations on parameters and other conditions",
            )
        };
        let Value::Object(map) = value else { return Err(invalid()) };
        let Some((name, argument)) = map.iter().next() else { return Err(invalid()) };
        let many = || array(argument).iter().map(|v| self.holds(v, depth + 1)).collect::<Result<Vec<bool>>>();
        match name.as_str() {
            "Condition" => self.named_condition(argument.as_str().unwrap_or_default(), depth),
            "Fn::Equals" => {
                let (a, b) = self.pair(name, argument)?;
                Ok(text(&a) == text(&b))
            }
            "Fn::Not" => Ok(!many()?.first().copied().ok_or_else(invalid)?),
            "Fn::And" => Ok(many()?.into_iter().all(|b| b)),
            "Fn::Or" => Ok(many()?.into_iter().any(|b| b)),
            _ => Err(invalid()),
        }
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Blocks of a block: `[block, how many, bits of each]`.
fn cidr(arguments: &[Value]) -> Result<Value> {
    let invalid =
        || wrong("Fn::Cidr", "needs a CIDR block, a count of 1 to 256 and the bits of each block's addresses");
    let (block, count, bits) = match arguments {
        [block, count] => (block, count, None),
        [block, count, bits] => (block, count, Some(bits)),
        _ => return Err(invalid()),
    };
    let (block, prefix) = text(block).split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or_else(invalid)?;
    let prefix: u32 = prefix.parse().map_err(|_| invalid())?;
    let count: u128 = text(count).parse().ok().filter(|n| (1..=256).contains(n)).ok_or_else(invalid)?;
    let address: IpAddr = block.parse().map_err(|_| invalid())?;
    let (base, width) = match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let bits: u32 = match bits {
        Some(bits) => text(bits).parse().map_err(|_| invalid())?,
        // As many as are left when each has an equal part.
        None => (width - prefix.min(width)).saturating_sub(count.next_power_of_two().trailing_zeros()),
    };
    let room = width.checked_sub(prefix).filter(|room| bits >= 1 && bits <= *room).ok_or_else(invalid)?;
    if room < 128 && count << bits.min(100) > 1 << room {
        return Err(wrong("Fn::Cidr", "asks for more blocks than there are"));
    }
    let mask = if room == 128 { 0 } else { u128::MAX << room };
    let blocks = (0..count).map(|n| {
        let at = (base & mask) + (n << bits);
        let at = match address {
            IpAddr::V4(_) => u32::try_from(at).map(|at| std::net::Ipv4Addr::from(at).to_string()).unwrap_or_default(),
            IpAddr::V6(_) => std::net::Ipv6Addr::from(at).to_string(),
        };
        Value::String(format!("{at}/{}", width - bits))
    });
    Ok(blocks.collect())
}

fn wrong(function: &str, why: &str) -> wire::Error {
    validation(format!("Template error: {function} {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a case for each function")]
    fn functions() {
        let template = Template::parse(
            "Parameters: {P: {Type: String}, L: {Type: CommaDelimitedList}, S: {Type: 'AWS::SSM::Parameter::Value<List<String>>'}}\n\
             Mappings: {M: {a: {b: c}}}\n\
             Conditions: {Yes: !Equals [!Ref P, p], No: !Not [!Condition Yes], Both: !And [!Condition Yes, !Condition No]}\n\
             Resources: {R: {Type: T}}",
        )
        .unwrap();
        let parameters = IndexMap::from([
            ("P".to_owned(), "p".to_owned()),
            ("L".to_owned(), "x, y".to_owned()),
            ("S".to_owned(), "a,b".to_owned()),
        ]);
        let resources = BTreeMap::from([(
            "R".to_owned(),
            Known { physical_id: "r-1".into(), attributes: json!({"Arn": "arn:r", "Endpoint.Port": 1}) },
        )]);
        let pseudo = Pseudo {
            account: "0".into(),
            region: "eu".into(),
            stack_name: "s".into(),
            stack_id: "id".into(),
            notified: vec!["arn:topic".to_owned()],
        };
        let exports = BTreeMap::from([("shared".to_owned(), "from elsewhere".to_owned())]);
        let scope = Scope {
            template: &template,
            parameters: &parameters,
            resources: &resources,
            pseudo,
            exports: &exports,
            conditions: Mutex::default(),
        };
        let cases = [
            (json!({"Ref": "R"}), json!("r-1")),
            (json!({"Ref": "L"}), json!(["x", "y"])),
            (json!({"Ref": "S"}), json!(["a", "b"])),
            (json!({"Fn::Join": ["+", {"Ref": "S"}]}), json!("a+b")),
            (json!({"Ref": "AWS::NotificationARNs"}), json!(["arn:topic"])),
            (json!({"Fn::GetAtt": ["R", "Arn"]}), json!("arn:r")),
            (json!({"Fn::GetAtt": "R.Endpoint.Port"}), json!(1)),
            (json!({"Fn::Sub": "${R}/${R.Arn}/${!x}/${AWS::Region}/${P}"}), json!("r-1/arn:r/${x}/eu/p")),
            (json!({"Fn::Sub": ["${v}", {"v": {"Ref": "P"}}]}), json!("p")),
            (json!({"Fn::Join": ["-", ["a", {"Ref": "P"}, 1]]}), json!("a-p-1")),
            (json!({"Fn::Select": [1, {"Fn::Split": ["/", "a/b"]}]}), json!("b")),
            (json!({"Fn::FindInMap": ["M", "a", "b"]}), json!("c")),
            (json!({"Fn::If": ["Yes", 1, 2]}), json!(1)),
            (json!({"Fn::If": ["Both", 1, 2]}), json!(2)),
            (
                json!({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": [{"Ref": "AWS::NoValue"}]}),
                json!({"b": []}),
            ),
            (json!({"Fn::Base64": "a"}), json!("YQ==")),
            (json!({"Fn::ImportValue": {"Fn::Sub": "shared"}}), json!("from elsewhere")),
            (json!({"Fn::FindInMap": ["M", "x", "b", {"DefaultValue": {"Ref": "P"}}]}), json!("p")),
            (json!({"Fn::Length": {"Ref": "L"}}), json!(2)),
            (json!({"Fn::ToJsonString": {"a": {"Ref": "P"}}}), json!("{\"a\":\"p\"}")),
            // The reference's example, and one of IPv6.
            (json!({"Fn::Select": [5, {"Fn::Cidr": ["192.168.0.0/24", 6, 5]}]}), json!("192.168.0.160/27")),
            (json!({"Fn::Cidr": ["2001:db8::/56", 2, 64]}), json!(["2001:db8::/64", "2001:db8:0:1::/64"])),
        ];
        for (input, expected) in cases {
            assert_eq!(scope.resolve(&input).unwrap(), expected, "{input}");
        }
        for bad in [
            json!({"Fn::GetAtt": ["R", "Nope"]}),
            json!({"Fn::FindInMap": ["M", "x", "b"]}),
            json!({"Fn::Nope": 1}),
            json!({"Fn::ImportValue": "nope"}),
            json!({"Fn::Cidr": ["10.0.0.0/24", 9, 5]}),
            json!({"Fn::Cidr": ["10.0.0.0", 1, 5]}),
            json!({"Fn::Transform": {"Name": "Mine"}}),
        ] {
            assert!(scope.resolve(&bad).unwrap_err().is("ValidationError"), "{bad}");
        }
    }

    /// Each condition names the one before ten times: looked at anew each time, there is no end to it.
    #[test]
    fn conditions_are_looked_at_once() {
        use std::fmt::Write as _;
        let mut template = String::from("Resources: {R: {Type: T}}\nConditions:\n  C0: !Equals [a, a]\n");
        for n in 1..=20 {
            let before = vec![format!("!Condition C{}", n - 1); 10].join(", ");
            writeln!(template, "  C{n}: !And [{before}]").unwrap();
        }
        let template = Template::parse(&template).unwrap();
        let (parameters, resources, exports) = Default::default();
        let pseudo = Pseudo {
            account: String::new(),
            region: String::new(),
            stack_name: String::new(),
            stack_id: String::new(),
            notified: Vec::new(),
        };
        let scope = Scope {
            template: &template,
            parameters: &parameters,
            resources: &resources,
            pseudo,
            exports: &exports,
            conditions: Mutex::default(),
        };
        assert!(scope.condition("C20").unwrap());
        assert_eq!(scope.conditions.lock().unwrap().len(), 21);
    }
}
