//! From a template as it is given to one without transforms: what stacks are made of.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use service::Cx;
use wire::Error;

use crate::macros::{self, Caller};
use crate::start::Wanted;
use crate::template::{Template, extensions, rules, to_json};
use crate::{CloudFormation, Result, parameters, serverless};

/// The parameters that a template declares, whatever else is in it.
pub(crate) fn outline(text: &str) -> Result<(Template, Vec<String>)> {
    let value = to_json(text)?;
    let transforms = macros::declared(&value);
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
        wanted: &Wanted,
        role: Option<&str>,
        text: &str,
        parameters: &IndexMap<String, String>,
    ) -> Result<Option<String>> {
        let mut value = to_json(text)?;
        if let Some(checked) = value.get("Rules") {
            rules::check(checked, parameters)?;
        }
        let transforms = macros::of_template(&value);
        if !transforms.iter().any(|one| one.name == extensions::NAME) {
            for part in ["Resources", "Outputs", "Conditions"] {
                value.get(part).map_or(Ok(()), extensions::check_unused)?;
            }
        }
        if macros::declared(&value).is_empty() {
            return Ok(None);
        }
        let values: Map<String, Value> =
            parameters.iter().map(|(name, given)| (name.clone(), as_value(&value, name, given))).collect();
        let caller = Caller { cx, stack_name: &wanted.stack_name, role, parameters, values: &values };
        value = self.transform_parts(&caller, value).await?;
        for transform in &transforms {
            value = match transform.name.as_str() {
                extensions::NAME => {
                    let parameter = |name: &str| values.get(name).cloned();
                    policies(&caller, extensions::expand(value, &parameter)?)?
                }
                serverless::NAME => {
                    let Some(envs) = &self.envs else {
                        let name = &transform.name;
                        return Err(Error::not_implemented(format!("the transform {name} without Python")));
                    };
                    // The translator takes lists of parameters as they are written.
                    let plain = parameters.iter().map(|(k, v)| (k.clone(), Value::String(v.clone()))).collect();
                    serverless::transform(envs, cx, value, Value::Object(plain)).await?
                }
                // Of the whole template but for its transforms.
                _ => {
                    let mut rest = value;
                    let own = rest.as_object_mut().and_then(|map| map.shift_remove("Transform"));
                    let mut made = self.transform(&caller, transform, (&rest.clone(), rest)).await?;
                    if let (Some(map), Some(own)) = (made.as_object_mut(), own) {
                        map.insert("Transform".to_owned(), own);
                    }
                    made
                }
            };
        }
        if let Some(map) = value.as_object_mut() {
            map.remove("Transform");
            map.remove("Globals");
        }
        Ok(Some(value.to_string()))
    }
}

/// What becomes of resources may be said by a function, with the language extensions. Source: Template Reference, "DeletionPolicy attribute".
fn policies(caller: &Caller<'_>, mut template: Value) -> Result<Value> {
    let mut said = Vec::new();
    for (name, resource) in template.get("Resources").and_then(Value::as_object).into_iter().flatten() {
        for attribute in ["DeletionPolicy", "UpdateReplacePolicy"] {
            if let Some(function) = resource.get(attribute).filter(|given| given.is_object()) {
                said.push((name.clone(), attribute, macros::resolved(caller, &template, function)?));
            }
        }
    }
    for (name, attribute, policy) in said {
        template["Resources"][name][attribute] = policy;
    }
    Ok(template)
}

/// A list where the parameter is one.
fn as_value(template: &Value, name: &str, given: &str) -> Value {
    match parameters::items(&template["Parameters"][name], given) {
        Some(items) => items.into_iter().map(Value::String).collect(),
        None => Value::String(given.to_owned()),
    }
}
