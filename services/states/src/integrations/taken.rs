//! What the calls of Tasks take, looked at once their parameters are known: what is amiss keeps the Task from being started, which
//! `States.ALL` does not catch.

use std::fmt;
use std::sync::Arc;

use asl::Calls;
use serde_json::{Map, Value};
use service::Router;
use wire::codec::asl::pascal;
use wire::schema::{Shape, Structure};

use super::failure::class_name;
use super::resource::{Resource, Target};

pub(crate) struct Taken(pub(crate) Arc<Router>);

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken")
    }
}

impl Calls for Taken {
    fn faults(&self, resource: &str, parameters: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let Some(Resource { target: Target::Service { service, action, sdk }, .. }) = Resource::parse(resource) else {
            return faults;
        };
        let (Some(spec), Value::Object(given)) = (self.0.find_asl(&service, &action), parameters) else {
            return faults;
        };
        let Shape::Structure(input) = spec.input else { return faults };
        members(input, given, &mut faults);
        for member in input.members.iter().filter(|member| member.required && !sdk) {
            let name = pascal(member.name);
            if !given.keys().any(|key| key.eq_ignore_ascii_case(&name)) {
                faults.push(format!("The field '{name}' is required but was missing"));
            }
        }
        faults
    }
}

fn members(shape: &Structure, given: &Map<String, Value>, faults: &mut Vec<String>) {
    for (key, value) in given {
        let member = shape.members.iter().find(|member| {
            let written = pascal(member.name);
            written.eq_ignore_ascii_case(key) || class_name(&written).eq_ignore_ascii_case(key)
        });
        match member {
            None => faults.push(format!("The field \"{key}\" is not supported by Step Functions")),
            Some(member) => within(member.shape, key, value, faults),
        }
    }
}

/// A value for the field of that name. What is null is left to the service.
fn within(shape: &Shape, field: &str, value: &Value, faults: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    match (shape, value) {
        (Shape::String { .. }, Value::Number(_) | Value::Bool(_)) => {
            faults.push(format!("The value for the field '{field}' must be a STRING"));
        }
        (Shape::Structure(shape), Value::Object(given)) => members(shape, given, faults),
        (Shape::List(list), Value::Array(items)) => {
            for item in items {
                within(list.member, field, item, faults);
            }
        }
        (Shape::Map(map), Value::Object(entries)) => {
            for (key, value) in entries {
                within(map.value, key, value, faults);
            }
        }
        (Shape::Structure(_) | Shape::List(_) | Shape::Map(_), _) => {
            faults.push(format!("The value of the field '{field}' has an invalid format"));
        }
        _ => {}
    }
}
