//! Macros, which are functions that make other templates of templates, and AWS::Include, which puts in what lies in a bucket: of a whole template
//! (`Transform`), or of a part of it (`Fn::Transform`), from the most deeply nested part outwards.
//! Sources: CloudFormation User Guide, "Create a CloudFormation macro definition" and "Perform custom processing with template macros";
//! Template Reference, "AWS::Include transform".

use std::collections::BTreeMap;
use std::sync::Mutex;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use service::Cx;
use wire::Error;

use crate::intrinsics::{Pseudo, Scope};
use crate::parameters::text;
use crate::template::{Template, to_json, validation};
use crate::{CloudFormation, Result, records, start};

pub(crate) const INCLUDE: &str = "AWS::Include";
const NESTED: &str = "Fn::Transform";
/// Parts of one template: what a macro answers may name macros again.
const MOST: usize = 200;

/// A macro, by its name in an account and region.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MacroRecord {
    pub(crate) v: u8,
    pub(crate) name: String,
    /// The function's name or ARN.
    pub(crate) function: String,
    /// The stack that has made it, and the resource's name in it.
    pub(crate) owner: (String, String),
}

/// A transform that a template names.
#[derive(Clone, Debug)]
pub(crate) struct Transform {
    pub(crate) name: String,
    parameters: Value,
}

impl Transform {
    fn of(given: &Value) -> Self {
        match given {
            Value::String(name) => Self { name: name.clone(), parameters: json!({}) },
            other => Self {
                name: other.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned(),
                parameters: other.get("Parameters").cloned().unwrap_or_else(|| json!({})),
            },
        }
    }

    /// One, or several in their order.
    fn all(given: &Value) -> Vec<Self> {
        match given {
            Value::Array(many) => many.iter().map(Self::of).collect(),
            one => vec![Self::of(one)],
        }
    }

    fn failed(&self, why: impl std::fmt::Display) -> Error {
        validation(format!("Transform {} failed with: {why}", self.name))
    }
}

/// Those of the whole template, in their order.
pub(crate) fn of_template(template: &Value) -> Vec<Transform> {
    template.get("Transform").map(Transform::all).unwrap_or_default()
}

/// The names of all transforms of a template, those of its parts after its own.
pub(crate) fn declared(template: &Value) -> Vec<String> {
    let mut names: Vec<String> = of_template(template).into_iter().map(|one| one.name).collect();
    let mut parts = Vec::new();
    collect(template, &mut parts);
    for name in parts {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            if key == NESTED {
                names.extend(Transform::all(inner).into_iter().map(|one| one.name));
            }
            collect(inner, names);
        }),
        _ => {}
    }
}

/// Where the most deeply nested part is that names a transform, as a JSON pointer: the first of the template's order.
fn innermost(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().enumerate().find_map(|(n, item)| innermost(item, &format!("{place}/{n}"))),
        Value::Object(map) => {
            let member = |(key, inner): (&String, &Value)| {
                let key = key.replace('~', "~0").replace('/', "~1");
                innermost(inner, &format!("{place}/{key}"))
            };
            map.iter().find_map(member).or_else(|| map.contains_key(NESTED).then(|| place.to_owned()))
        }
        _ => None,
    }
}

/// Whom a template is transformed for.
pub(crate) struct Caller<'a> {
    pub(crate) cx: &'a Cx,
    pub(crate) stack_name: &'a str,
    pub(crate) role: Option<&'a str>,
    pub(crate) parameters: &'a IndexMap<String, String>,
    /// The parameters' values, lists as lists.
    pub(crate) values: &'a Map<String, Value>,
}

impl CloudFormation {
    /// Carries out the transforms of a template's parts.
    pub(crate) async fn transform_parts(&self, caller: &Caller<'_>, mut template: Value) -> Result<Value> {
        for _ in 0..MOST {
            let Some(place) = innermost(&template, "") else { return Ok(template) };
            let part = template.pointer_mut(&place).expect("it has just been found there");
            let Value::Object(mut siblings) = part.take() else { return Ok(template) };
            let transforms = siblings.shift_remove(NESTED).map(|given| Transform::all(&given)).unwrap_or_default();
            let mut fragment = Value::Object(siblings);
            for transform in &transforms {
                fragment = self.transform(caller, transform, (&template, fragment)).await?;
            }
            *template.pointer_mut(&place).expect("nothing else has changed") = fragment;
        }
        Err(validation(format!("A template must not have more than {MOST} parts that are transformed")))
    }

    /// Carries out one, of a fragment of the template.
    pub(crate) async fn transform(
        &self,
        caller: &Caller<'_>,
        transform: &Transform,
        (template, fragment): (&Value, Value),
    ) -> Result<Value> {
        if transform.name == INCLUDE {
            return include(caller, transform, template, fragment).await;
        }
        let (account, region) = (caller.cx.account().to_owned(), caller.cx.region().to_owned());
        let name = transform.name.strip_prefix(&format!("{account}::")).unwrap_or(&transform.name);
        let place = records::macros(&account, &region).push(name);
        let found = self.store.read(|tx| Ok::<_, Error>(tx.get_json::<MacroRecord>(&place)?)).await?;
        let found = found.ok_or_else(|| validation(format!("No transform named {} found.", transform.name)))?;
        let transform = Transform { name: format!("{account}::{name}"), parameters: transform.parameters.clone() };
        call(caller, &transform, &found.function, fragment).await
    }
}

/// Asks a function.
async fn call(caller: &Caller<'_>, transform: &Transform, function: &str, fragment: Value) -> Result<Value> {
    let cx = match caller.role {
        Some(role) => caller.cx.assume(role, "AWSCloudFormation").await?,
        None => caller.cx.clone(),
    };
    let request_id = cx.uuid();
    let request = json!({
        "region": cx.region(),
        "accountId": cx.account(),
        "fragment": fragment,
        "transformId": transform.name,
        "params": transform.parameters,
        "requestId": request_id,
        "templateParameterValues": caller.values,
    });
    let input = json!({ "FunctionName": function, "InvocationType": "RequestResponse", "Payload": request });
    let output = cx.call_json("lambda", "invoke", input).await.map_err(|error| match error.status() {
        500.. => error,
        _ => transform.failed(error.message()),
    })?;
    let payload = match &output["Payload"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    if output.get("FunctionError").is_some_and(|error| !error.is_null()) {
        return Err(transform.failed(text(&payload["errorMessage"])));
    }
    answered(transform, &request_id, payload)
}

fn answered(transform: &Transform, request_id: &str, mut answer: Value) -> Result<Value> {
    let status = answer["status"].as_str().map(str::to_lowercase);
    let (Some(status), true) = (status, answer["requestId"] == request_id) else {
        return Err(validation(format!("Received malformed response from transform {}", transform.name)));
    };
    if status != "success" {
        return Err(match answer["errorMessage"].as_str() {
            Some(why) => transform.failed(why),
            None => validation(format!("Transform {} failed without an error message.", transform.name)),
        });
    }
    match answer.get_mut("fragment").map(Value::take) {
        Some(fragment) => Ok(fragment),
        None => Err(validation(format!("Received malformed response from transform {}", transform.name))),
    }
}

/// What lies at the location, in the place of the transform: beside other members of the part its own, alone whatever it is.
async fn include(caller: &Caller<'_>, transform: &Transform, template: &Value, fragment: Value) -> Result<Value> {
    let location = text(&resolved(caller, template, &transform.parameters["Location"])?);
    if !location.starts_with("s3://") {
        return Err(transform.failed("The location parameter must be a valid S3 URI"));
    }
    let content = start::fetch(caller.cx, &location).await.map_err(|error| transform.failed(error.message()))?;
    let unreadable = |_| transform.failed("The specified S3 object's content should be valid Yaml/JSON");
    let content = to_json(&content).map_err(unreadable)?;
    let Value::Object(mut all) = fragment else { return Ok(content) };
    if all.is_empty() {
        return Ok(content);
    }
    let Value::Object(more) = content else {
        return Err(transform.failed("The specified S3 object's content must be an object beside other members"));
    };
    if let Some(twice) = more.keys().find(|key| *key != "Transform" && all.contains_key(*key)) {
        return Err(transform.failed(format!("{twice} is there already")));
    }
    all.extend(more);
    Ok(all.into())
}

/// A value of the template that is a function of parameters, mappings and conditions alone.
pub(crate) fn resolved(caller: &Caller<'_>, template: &Value, value: &Value) -> Result<Value> {
    let conditions = template.get("Conditions").and_then(Value::as_object).cloned().unwrap_or_default();
    let template = Template {
        mappings: template.get("Mappings").cloned().unwrap_or_default(),
        conditions: conditions.into_iter().collect(),
        ..Template::default()
    };
    let (resources, exports) = (BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        template: &template,
        parameters: caller.parameters,
        resources: &resources,
        pseudo: Pseudo {
            account: caller.cx.account().to_owned(),
            region: caller.cx.region().to_owned(),
            stack_name: caller.stack_name.to_owned(),
            stack_id: String::new(),
            notified: Vec::new(),
        },
        exports: &exports,
        conditions: Mutex::default(),
    };
    scope.resolve(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_part_is_first() {
        let template = json!({
            "Transform": ["Outer", { "Name": "AWS::Include", "Parameters": { "Location": "s3://b/k" } }],
            "Resources": { "A": { "Properties": [{ "Fn::Transform": { "Name": "Deep" } }], "Fn::Transform": { "Name": "Of/A" } } },
        });
        assert_eq!(declared(&template), ["Outer", "AWS::Include", "Deep", "Of/A"]);
        assert_eq!(innermost(&template, "").as_deref(), Some("/Resources/A/Properties/0"));
        assert_eq!(innermost(&json!({ "a/b": { "Fn::Transform": {} } }), "").as_deref(), Some("/a~1b"));
        assert_eq!(of_template(&json!({})).len(), 0);
    }

    #[test]
    fn what_a_function_answers() {
        let transform = Transform { name: "1::M".to_owned(), parameters: json!({}) };
        let told = |answer: Value| answered(&transform, "r", answer).map_err(|error| error.message().to_owned());
        let good = json!({ "requestId": "r", "status": "SUCCESS", "fragment": { "a": 1 } });
        assert_eq!(told(good), Ok(json!({ "a": 1 })));
        let failed = json!({ "requestId": "r", "status": "failed", "errorMessage": "no" });
        assert_eq!(told(failed), Err("Transform 1::M failed with: no".to_owned()));
        let silent = json!({ "requestId": "r", "status": "failed" });
        assert_eq!(told(silent), Err("Transform 1::M failed without an error message.".to_owned()));
        for malformed in [json!({}), json!({ "requestId": "x", "status": "success", "fragment": {} }), json!("text")] {
            assert_eq!(told(malformed), Err("Received malformed response from transform 1::M".to_owned()));
        }
    }
}
