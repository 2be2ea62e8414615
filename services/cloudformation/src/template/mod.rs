//! A template, parsed and checked: parameters, mappings, conditions, resources in the order of their making, outputs.

pub(crate) mod attributes;
pub(crate) mod extensions;
mod graph;
pub(crate) mod rules;
mod yaml;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use wire::Error;

use crate::Result;

/// Pseudo parameters.
pub(crate) const PSEUDO: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    pub(crate) description: Option<String>,
    pub(crate) parameters: IndexMap<String, Value>,
    pub(crate) mappings: Value,
    pub(crate) conditions: IndexMap<String, Value>,
    pub(crate) resources: IndexMap<String, Resource>,
    pub(crate) outputs: IndexMap<String, Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) properties: Value,
    pub(crate) condition: Option<String>,
    /// What it waits for before it counts as made.
    pub(crate) creation_policy: Option<Value>,
    pub(crate) deletion_policy: Option<String>,
    pub(crate) update_replace_policy: Option<String>,
    /// Explicit and implicit, of this template's resources.
    pub(crate) depends_on: Vec<String>,
}

pub(crate) fn validation(message: impl Into<String>) -> Error {
    Error::new("ValidationError", 400, message)
}

fn format_error(message: &str) -> Error {
    validation(format!("Template format error: {message}"))
}

/// JSON or YAML to JSON.
pub(crate) fn to_json(text: &str) -> Result<Value> {
    if text.trim_start().starts_with('{') {
        // A YAML template may begin with a brace too; JSON's own error is the better one.
        serde_json::from_str(text).or_else(|_| yaml::parse(text)).map_err(|_| format_error("JSON not well-formed."))
    } else {
        yaml::parse(text)
    }
}

impl Template {
    /// Parses JSON or YAML and checks what can be checked without parameters.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value = to_json(text)?;
        let Value::Object(mut top) = value else {
            return Err(format_error("unsupported structure."));
        };
        let known = [
            "AWSTemplateFormatVersion",
            "Conditions",
            "Description",
            "Mappings",
            "Metadata",
            "Outputs",
            "Parameters",
            "Resources",
            "Rules",
            "Transform",
        ];
        if let Some(unknown) = top.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(validation(format!("Invalid template property or properties [{unknown}]")));
        }
        if top.contains_key("Transform") {
            return Err(validation("Template format error: transforms have to be carried out first"));
        }
        if let Some(version) = top.get("AWSTemplateFormatVersion")
            && version != "2010-09-09"
        {
            let shown = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
            return Err(format_error(&format!("\"{shown}\" is not a supported value for AWSTemplateFormatVersion.")));
        }
        let mut template = Self {
            description: top.get("Description").and_then(Value::as_str).map(str::to_owned),
            parameters: section(&mut top, "Parameters")?,
            mappings: top.remove("Mappings").unwrap_or(Value::Null),
            conditions: section(&mut top, "Conditions")?,
            resources: IndexMap::new(),
            outputs: section(&mut top, "Outputs")?,
        };
        let resources = section(&mut top, "Resources")?;
        if resources.is_empty() {
            return Err(format_error("At least one Resources member must be defined."));
        }
        let names: Vec<String> = resources.keys().cloned().collect();
        for (name, body) in resources {
            template.resources.insert(name.clone(), resource(&name, body, &names)?);
        }
        template.check_references()?;
        template.check_conditions()?;
        template.check_exports()?;
        template.order()?;
        Ok(template)
    }

    /// The resources in the order of their making.
    ///
    /// # Errors
    /// ValidationError when they depend on each other in a circle.
    pub(crate) fn order(&self) -> Result<Vec<String>> {
        let edges: Vec<(&str, &[String])> =
            self.resources.iter().map(|(name, r)| (name.as_str(), r.depends_on.as_slice())).collect();
        graph::order(&edges)
    }

    /// Every condition that is named is declared; conditions are about parameters.
    fn check_conditions(&self) -> Result<()> {
        let known = |name: &String| self.conditions.contains_key(name);
        for (block, missing) in [
            ("Resources", self.resources.values().flat_map(|r| conditions(&r.properties)).find(|name| !known(name))),
            ("Outputs", self.outputs.values().flat_map(conditions).find(|name| !known(name))),
            ("Conditions", self.conditions.values().flat_map(conditions).find(|name| !known(name))),
        ] {
            if let Some(name) = missing {
                let text = format!("Unresolved condition dependency {name} in the {block} block of the template");
                return Err(format_error(&text));
            }
        }
        let mut named =
            self.conditions.iter().flat_map(|(name, body)| references(body).into_iter().map(move |r| (name, r)));
        match named.find(|(_, r)| !self.parameters.contains_key(r) && !PSEUDO.contains(&r.as_str())) {
            None => Ok(()),
            Some((_, target)) => Err(format_error(&format!(
                "Unresolved dependencies [{target}]. Cannot reference resources in the Conditions block of the template"
            ))),
        }
    }

    /// The name of an export is known before there are resources.
    fn check_exports(&self) -> Result<()> {
        for (name, output) in &self.outputs {
            let export = output.get("Export").map(references).unwrap_or_default();
            if let Some(resource) = export.iter().find(|r| self.resources.contains_key(*r)) {
                return Err(format_error(&format!(
                    "Output {name} is malformed: the name of its Export cannot depend on the resource {resource}"
                )));
            }
        }
        Ok(())
    }

    /// Every Ref, GetAtt and Sub names something that there is.
    fn check_references(&self) -> Result<()> {
        let missing = |values: &mut dyn Iterator<Item = &Value>| {
            let mut missing: Vec<String> = Vec::new();
            for name in values.flat_map(references) {
                let known = self.resources.contains_key(&name)
                    || self.parameters.contains_key(&name)
                    || PSEUDO.contains(&name.as_str());
                if !known && !missing.contains(&name) {
                    missing.push(name);
                }
            }
            missing
        };
        for (block, missing) in [
            ("Resources", missing(&mut self.resources.values().map(|r| &r.properties))),
            ("Outputs", missing(&mut self.outputs.values())),
        ] {
            if !missing.is_empty() {
                let list = missing.join(", ");
                let text = format!("Unresolved resource dependencies [{list}] in the {block} block of the template");
                return Err(format_error(&text));
            }
        }
        for (name, resource) in &self.resources {
            if let Some(condition) = &resource.condition
                && !self.conditions.contains_key(condition)
            {
                let text =
                    format!("Unresolved condition dependency {condition} in the Resources block of the template");
                return Err(format_error(&format!("{text} ({name})")));
            }
        }
        Ok(())
    }

    /// Does it make roles or policies, so that CAPABILITY_IAM must be given? With names of their own: CAPABILITY_NAMED_IAM.
    pub(crate) fn needed_capability(&self) -> Option<&'static str> {
        let mut needed = None;
        for resource in self.resources.values().filter(|r| r.kind.starts_with("AWS::IAM::")) {
            // Its own name: others name roles that there are.
            let kind = resource.kind.trim_start_matches("AWS::IAM::");
            let may_be_named = ["Group", "InstanceProfile", "ManagedPolicy", "Role", "User"].contains(&kind);
            if may_be_named && resource.properties.get(format!("{kind}Name")).is_some() {
                return Some("CAPABILITY_NAMED_IAM");
            }
            needed = Some("CAPABILITY_IAM");
        }
        needed
    }
}

fn section(top: &mut Map<String, Value>, name: &str) -> Result<IndexMap<String, Value>> {
    match top.remove(name) {
        None | Some(Value::Null) => Ok(IndexMap::new()),
        Some(Value::Object(map)) => Ok(map.into_iter().collect()),
        Some(_) => Err(format_error(&format!("{name} must be an object."))),
    }
}

fn resource(name: &str, body: Value, names: &[String]) -> Result<Resource> {
    let Value::Object(mut body) = body else {
        return Err(format_error(&format!("Every Resources object must be an object: {name}")));
    };
    if !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(format_error(&format!("Resource name {name} is non alphanumeric.")));
    }
    let Some(Value::String(kind)) = body.remove("Type") else {
        return Err(format_error("Every Resources object must contain a Type member."));
    };
    let properties = match body.remove("Properties") {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(object @ Value::Object(_)) => object,
        Some(_) => return Err(format_error(&format!("Properties of {name} must be an object."))),
    };
    let mut depends_on = match body.remove("DependsOn") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) => return Err(format_error("DependsOn must be a string or list of strings.")),
    };
    if let Some(missing) = depends_on.iter().find(|d| !names.contains(d)) {
        let text = format!("Unresolved resource dependencies [{missing}] in the Resources block of the template");
        return Err(format_error(&text));
    }
    for implicit in references(&properties) {
        if names.contains(&implicit) && !depends_on.contains(&implicit) {
            depends_on.push(implicit);
        }
    }
    let text = |value: Option<Value>| value.and_then(|v| v.as_str().map(str::to_owned));
    Ok(Resource {
        kind,
        properties,
        condition: text(body.remove("Condition")),
        creation_policy: body.remove("CreationPolicy").filter(|policy| !policy.is_null()),
        deletion_policy: policy(name, "DeletionPolicy", body.remove("DeletionPolicy"))?,
        update_replace_policy: policy(name, "UpdateReplacePolicy", body.remove("UpdateReplacePolicy"))?,
        depends_on,
    })
}

/// What becomes of a resource that leaves. What is not understood is refused: taken for none it would delete.
fn policy(name: &str, attribute: &str, given: Option<Value>) -> Result<Option<String>> {
    let known = ["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"];
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(policy)) if known.contains(&policy.as_str()) => Ok(Some(policy)),
        Some(Value::String(policy)) => {
            Err(format_error(&format!("Unrecognized {attribute} {policy} for resource {name}")))
        }
        Some(_) => Err(format_error(&format!("{attribute} of {name} must be a string."))),
    }
}

/// All names that Ref, Fn::GetAtt and Fn::Sub mention.
pub(crate) fn references(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

/// All conditions that `Fn::If` and `Condition` name.
fn conditions(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(conditions).collect(),
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| {
                let mut found = conditions(inner);
                match (key.as_str(), inner) {
                    ("Fn::If", Value::Array(parts)) => {
                        found.extend(parts.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    ("Condition", Value::String(name)) if map.len() == 1 => found.push(name.clone()),
                    _ => {}
                }
                found
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The arguments of all `Fn::ImportValue`.
pub(crate) fn imports(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(imports).collect(),
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| if key == "Fn::ImportValue" { vec![inner] } else { imports(inner) })
            .collect(),
        _ => Vec::new(),
    }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(map) => {
            for (key, inner) in map {
                match (key.as_str(), inner) {
                    ("Ref", Value::String(name)) if map.len() == 1 => found.push(name.clone()),
                    ("Fn::GetAtt", Value::String(text)) => {
                        found.extend(text.split('.').next().map(str::to_owned));
                    }
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        found.extend(parts.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::Sub", Value::String(text)) => found.extend(sub_names(text)),
                    ("Fn::Sub", Value::Array(parts)) => {
                        let variables = parts.get(1).and_then(Value::as_object);
                        let text = parts.first().and_then(Value::as_str).unwrap_or_default();
                        found.extend(
                            sub_names(text).into_iter().filter(|n| variables.is_none_or(|v| !v.contains_key(n))),
                        );
                        parts.iter().skip(1).for_each(|part| collect(part, found));
                    }
                    _ => collect(inner, found),
                }
            }
        }
        _ => {}
    }
}

/// The resources and parameters that the text of a Sub names.
fn sub_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        if !name.starts_with('!') {
            names.extend(name.trim().split('.').next().map(str::to_owned));
        }
        rest = after;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Template::parse(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn order_and_dependencies() {
        let template = Template::parse(
            "Parameters: {P: {Type: String}}\n\
             Resources:\n\
             \x20 A: {Type: T, Properties: {X: !Sub '${B.Arn}-${P}-${!literal}-${AWS::Region}'}}\n\
             \x20 B: {Type: T, DependsOn: C}\n\
             \x20 C: {Type: T}\n",
        )
        .unwrap();
        assert_eq!(template.order().unwrap(), ["C", "B", "A"]);
        assert_eq!(template.resources["A"].depends_on, ["B"]);
    }

    #[test]
    fn what_is_refused() {
        let cycle = "Resources:\n  A: {Type: T, Properties: {X: !Ref B}}\n  B: {Type: T, Properties: {X: !Ref A}}\n  C: {Type: T}";
        assert_eq!(error(cycle), "Circular dependency between resources: [A, B]");
        assert!(error("Resources: {A: {Type: T, Properties: {X: !Ref Nope}}}").contains("[Nope]"));
        assert!(error("Resources: {}").contains("At least one Resources member"));
        assert!(error("Resources: {A: {}}").contains("Type member"));
        assert!(error("{\"Resources\": ").contains("JSON not well-formed"));
        assert!(error("Foo: 1\nResources: {A: {Type: T}}").contains("[Foo]"));
        assert!(error("x").contains("unsupported structure"));
        let unknown = "Resources: {A: {Type: T, Properties: {X: !If [Nope, 1, 2]}}}";
        assert!(error(unknown).contains("condition dependency Nope in the Resources block"));
        let outputs = "Resources: {A: {Type: T}}\nOutputs: {O: {Value: x, Export: {Name: !GetAtt A.Arn}}}";
        assert!(error(outputs).contains("Export"));
        assert!(error("Conditions: {C: !Equals [!Ref A, 1]}\nResources: {A: {Type: T}}").contains("[A]"));
    }
}
