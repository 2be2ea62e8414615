//! The API, by family.

mod change_sets;
mod control;
mod describe;
mod drift;
mod rollback_stack;
mod signal_resource;
mod stacks;
mod templates;
mod types;

pub(crate) use drift::detection_is_old;

use crate::parameters::Given;

fn given(parameters: Option<Vec<api_cloudformation::Parameter>>) -> Vec<Given> {
    let parameters = parameters.unwrap_or_default().into_iter();
    parameters
        .map(|p| Given {
            key: p.parameter_key.unwrap_or_default(),
            value: if p.use_previous_value == Some(true) { None } else { Some(p.parameter_value.unwrap_or_default()) },
        })
        .collect()
}

fn tags(tags: Option<Vec<api_cloudformation::Tag>>) -> Option<Vec<(String, String)>> {
    tags.map(|tags| tags.into_iter().map(|t| (t.key, t.value)).collect())
}

fn tag_list(tags: &[(String, String)]) -> Vec<api_cloudformation::Tag> {
    tags.iter().map(|(key, value)| api_cloudformation::Tag { key: key.clone(), value: value.clone() }).collect()
}
