//! From a template as it is given to one without transforms: what stacks are made of.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use service::Cx;
use wire::Error;

use crate::template::{Template, extensions, rules, to_json, validation};
use crate::{CloudFormation, Result, parameters, serverless};

/// The transforms that a template declares, in their order.
pub(crate) fn declared(template: &Value) -> Vec<String> {
    match template.get("Transform") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many
            .iter()
            .map(|one| match one {
                Value::String(name) => name.clone(),
                other => other.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            })
            .collect(),
        Some(other) => vec![other.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned()],
        None => Vec::new(),
    }
}

/// The parameters that a template declares, whatever else is in it.
pub(crate) fn outline(text: &str) -> Result<(Template, Vec<String>)> {
    let value = to_json(text)?;
    let transforms = declared(&value);
    if transforms.is_empty() {
        return Ok((Template::parse(text)?, transforms));
    }
    let parameters = match value.get("Parameters") {
        Some(Value::Object(map)) => map.clone().into_iter().collect(),
        _ => IndexMap::new(),
    };
    let description = value.get("Description").and_then(Value::as_str).map(str::to_owned);
    Ok((Template { description, parameters, ..Template::default() }, transforms))
}

impl CloudFormation {
    /// Carries out the template's transforms with the parameters' values, and checks its rules. None: there is nothing to change.
    pub(crate) async fn process(
        &self,
        cx: &Cx,
        text: &str,
        parameters: &IndexMap<String, String>,
    ) -> Result<Option<String>> {
        let mut value = to_json(text)?;
        if let Some(checked) = value.get("Rules") {
            rules::check(checked, parameters)?;
        }
        let transforms = declared(&value);
        if !transforms.iter().any(|name| name == extensions::NAME) {
            for part in ["Resources", "Outputs", "Conditions"] {
                value.get(part).map_or(Ok(()), extensions::check_unused)?;
            }
        }
        if transforms.is_empty() {
            return Ok(None);
        }
        let values: Map<String, Value> =
            parameters.iter().map(|(name, given)| (name.clone(), as_value(&value, name, given))).collect();
        for name in &transforms {
            value = match name.as_str() {
                extensions::NAME => {
                    let parameter = |name: &str| values.get(name).cloned();
                    extensions::expand(value, &parameter)?
                }
                serverless::NAME => {
                    let Some(envs) = &self.envs else {
                        return Err(Error::not_implemented(format!("the transform {name} without Python")));
                    };
                    // The translator takes lists of parameters as they are written.
                    let plain = parameters.iter().map(|(k, v)| (k.clone(), Value::String(v.clone()))).collect();
                    serverless::transform(envs, cx, value, Value::Object(plain)).await?
                }
                other => return Err(validation(format!("No transform named {other} found."))),
            };
        }
        if let Some(map) = value.as_object_mut() {
            map.remove("Transform");
            map.remove("Globals");
        }
        Ok(Some(value.to_string()))
    }
}

/// A list where the parameter is one.
fn as_value(template: &Value, name: &str, given: &str) -> Value {
    match parameters::items(&template["Parameters"][name], given) {
        Some(items) => items.into_iter().map(Value::String).collect(),
        None => Value::String(given.to_owned()),
    }
}
