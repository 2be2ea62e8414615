//! What CreateStateMachine refuses of Task states: resources that nothing here answers to, and fields that their operation does
//! not take.

use std::fmt::Write as _;

use asl::{Diagnostic, Severity};
use serde_json::{Map, Value};
use service::Router;
use wire::codec::asl::pascal;
use wire::schema::{Shape, Structure};

use super::failure::class_name;
use super::http;
use super::lacking::LACKING;
use super::resource::{OPTIMISED, Pattern, Resource, Target};

/// Everything that is wrong with the Task states of a definition that parses.
pub(crate) fn findings(router: &Router, definition: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Ok(Value::Object(definition)) = serde_json::from_str(definition) {
        check_body(router, &definition, "", &mut found);
    }
    found
}

fn check_body(router: &Router, body: &Map<String, Value>, at: &str, found: &mut Vec<Diagnostic>) {
    for (name, state) in body.get("States").and_then(Value::as_object).into_iter().flatten() {
        let Value::Object(state) = state else { continue };
        let place = format!("{at}/States/{name}");
        match state.get("Type").and_then(Value::as_str) {
            Some("Task") => check_task(router, state, &place, found),
            Some("Parallel") => {
                for (index, branch) in state.get("Branches").and_then(Value::as_array).into_iter().flatten().enumerate()
                {
                    if let Value::Object(branch) = branch {
                        check_body(router, branch, &format!("{place}/Branches[{index}]"), found);
                    }
                }
            }
            Some("Map") => {
                for field in ["ItemProcessor", "Iterator"] {
                    if let Some(Value::Object(processor)) = state.get(field) {
                        check_body(router, processor, &format!("{place}/{field}"), found);
                    }
                }
            }
            _ => {}
        }
    }
}

fn check_task(router: &Router, state: &Map<String, Value>, place: &str, found: &mut Vec<Diagnostic>) {
    let Some(arn) = state.get("Resource").and_then(Value::as_str) else { return };
    let mut complain = |message: String, location: String| {
        let code = "SCHEMA_VALIDATION_FAILED";
        found.push(Diagnostic { severity: Severity::Error, code, message, location: Some(location) });
    };
    let resource = Resource::parse(arn);
    if let Err(lacks) = known(router, resource.as_ref()) {
        let mut message = format!(
            "The resource provided {arn} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."
        );
        if let Some(lacks) = lacks {
            let _ = write!(message, " Lakerun does not have {lacks}.");
        }
        return complain(message, format!("{place}/Resource"));
    }
    let Some(Resource { target: Target::Service { service, action, sdk }, .. }) = &resource else { return };
    if service == "http" && !*sdk {
        for field in ["Parameters", "Arguments"] {
            let Some(Value::Object(given)) = state.get(field) else { continue };
            for message in http::findings(given) {
                complain(message, format!("{place}/{field}"));
            }
        }
        return;
    }
    let Some(Shape::Structure(input)) = router.find_asl(service, action).map(|spec| spec.input) else { return };
    for field in ["Parameters", "Arguments"] {
        if let Some(Value::Object(given)) = state.get(field) {
            let mut unknown = Vec::new();
            unknown_fields(input, given, &mut unknown);
            for name in unknown {
                complain(
                    format!("The field \"{name}\" is not supported by Step Functions"),
                    format!("{place}/{field}"),
                );
            }
            for member in input.members.iter().filter(|member| member.required && !*sdk) {
                let name = pascal(member.name);
                if !given.contains_key(&name) && !given.contains_key(&format!("{name}.$")) {
                    complain(format!("The field '{name}' is required but was missing"), format!("{place}/{field}"));
                }
            }
        }
    }
}

/// Whether something answers to the resource; `Err` says what is lacking, where AWS has it.
fn known(router: &Router, resource: Option<&Resource>) -> Result<(), Option<String>> {
    let Some(Resource { target, pattern }) = resource else { return Err(None) };
    let Target::Service { service, action, sdk } = target else { return Ok(()) };
    if !*sdk {
        let Some((.., patterns)) = OPTIMISED.iter().find(|(s, a, _)| (s, a) == (&service.as_str(), &action.as_str()))
        else {
            return Err(lacking_service(service));
        };
        let takes = *pattern == Pattern::RequestResponse || patterns.contains(pattern);
        let here = service == "http" || router.find_asl(service, action).is_some();
        return if takes && here { Ok(()) } else { Err(None) };
    }
    if matches!(pattern, Pattern::Sync { .. }) || action.starts_with(|c: char| c.is_ascii_uppercase()) {
        return Err(None);
    }
    match router.find_asl(service, action) {
        Some(spec) if sdk_name(spec.service.service_id) == *service => Ok(()),
        Some(_) => Err(None),
        None => {
            let has = router.operations().iter().any(|spec| sdk_name(spec.service.service_id) == *service);
            Err(if has { Some(format!("the operation '{action}' of '{service}'")) } else { lacking_service(service) })
        }
    }
}

fn lacking_service(service: &str) -> Option<String> {
    LACKING.contains(&service).then(|| format!("the service '{service}'"))
}

/// How ARNs write a service: `CloudWatch Logs` is `cloudwatchlogs`.
fn sdk_name(service_id: &str) -> String {
    service_id.replace(' ', "").to_ascii_lowercase()
}

fn unknown_fields(shape: &Structure, given: &Map<String, Value>, unknown: &mut Vec<String>) {
    for (key, value) in given {
        let (name, computed) = key.strip_suffix(".$").map_or((key.as_str(), false), |name| (name, true));
        let member = shape.members.iter().find(|member| {
            let written = pascal(member.name);
            written == name || class_name(&written) == name
        });
        match member {
            None => unknown.push(name.to_owned()),
            Some(member) if !computed => unknown_within(member.shape, value, unknown),
            Some(_) => {}
        }
    }
}

fn unknown_within(shape: &Shape, value: &Value, unknown: &mut Vec<String>) {
    match (shape, value) {
        (Shape::Structure(shape), Value::Object(given)) => unknown_fields(shape, given, unknown),
        (Shape::List(list), Value::Array(items)) => {
            for item in items {
                unknown_within(list.member, item, unknown);
            }
        }
        (Shape::Map(map), Value::Object(entries)) => {
            for (_, value) in entries.iter().filter(|(key, _)| !key.ends_with(".$")) {
                unknown_within(map.value, value, unknown);
            }
        }
        _ => {}
    }
}
