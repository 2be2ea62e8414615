//! Task states, and what Task, Parallel and Map have in common: Parameters or Arguments, Retry, Catch.

use serde_json::{Map as Object, Value};

use super::Reader;
use super::allowed::RETRIER;
use crate::definition::{Amount, Catcher, Family, Language, MachineType, Resource, Retrier, Task, Work};
use crate::template::Template;

impl Reader {
    /// What the language calls the template of what a Task or Parallel is given.
    pub(super) fn parameters(&self) -> &'static str {
        if self.language == Language::Jsonata { "Arguments" } else { "Parameters" }
    }

    pub(super) fn work(&mut self, object: &Object<String, Value>, parameters: &str, at: &str) -> Work {
        Work {
            parameters: self.template(object, parameters, at),
            result_selector: self.jsonpath(|reader| reader.template(object, "ResultSelector", at)).flatten(),
            result_path: self.result_path(object, at),
            retry: self.handlers(object, "Retry", at, Self::retrier),
            catch: self.handlers(object, "Catch", at, Self::catcher),
        }
    }

    /// `States.ALL` must stand alone, in the last of them.
    fn handlers<T>(
        &mut self,
        object: &Object<String, Value>,
        field: &str,
        at: &str,
        read: fn(&mut Self, &Object<String, Value>, &str) -> Option<T>,
    ) -> Vec<T> {
        let handlers = object.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, handler) in handlers.iter().enumerate() {
            let names = handler.get("ErrorEquals").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let last = index + 1 == handlers.len() && names.len() == 1;
            for (position, _) in names.iter().enumerate().filter(|(_, name)| *name == "States.ALL" && !last) {
                let place = format!("{at}/{field}[{index}]/ErrorEquals[{position}]");
                self.complain("States.ALL must appear alone and at end of list", place);
            }
        }
        self.list(object, field, at, read)
    }

    pub(super) fn list<T>(
        &mut self,
        object: &Object<String, Value>,
        field: &str,
        at: &str,
        read: fn(&mut Self, &Object<String, Value>, &str) -> Option<T>,
    ) -> Vec<T> {
        let mut model = Vec::new();
        match object.get(field) {
            None => {}
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let place = format!("{at}/{field}[{index}]");
                    match item {
                        Value::Object(item) => model.extend(read(self, item, &place)),
                        _ => self.complain("Expected value of type Object", place),
                    }
                }
            }
            Some(_) => self.complain("Expected value of type Array", format!("{at}/{field}")),
        }
        model
    }

    fn errors(&mut self, object: &Object<String, Value>, at: &str) -> Option<Vec<String>> {
        if !self.require(object, &["ErrorEquals"], at) {
            return None;
        }
        let errors: Option<Vec<String>> = object["ErrorEquals"]
            .as_array()
            .filter(|names| !names.is_empty())
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        if errors.is_none() {
            self.complain("Expected a non-empty array of strings", format!("{at}/ErrorEquals"));
        }
        errors
    }

    fn retrier(&mut self, object: &Object<String, Value>, at: &str) -> Option<Retrier> {
        self.check_only(object, RETRIER, at);
        let errors = self.errors(object, at)?;
        let mut number = |field: &str, least: f64, most: f64, default: Option<f64>| match object.get(field) {
            None => default,
            Some(value) => {
                let problem = match value.as_f64() {
                    Some(number) if (least..=most).contains(&number) => return Some(number),
                    Some(number) if number < least => format!("Minimum value is {least}"),
                    Some(_) => format!("Maximum value is {most}"),
                    None => "Expected value of type Integer".to_owned(),
                };
                self.complain(problem, format!("{at}/{field}"));
                default
            }
        };
        let interval_seconds = number("IntervalSeconds", 1.0, 99_999_999.0, Some(1.0)).unwrap_or(1.0);
        let max_attempts = number("MaxAttempts", 0.0, 99_999_999.0, Some(3.0)).unwrap_or(3.0);
        let backoff_rate = number("BackoffRate", 1.0, 1.0e9, Some(2.0)).unwrap_or(2.0);
        let max_delay_seconds = number("MaxDelaySeconds", 1.0, 31_622_400.0, None);
        let full_jitter = match object.get("JitterStrategy").map(Value::as_str) {
            None | Some(Some("NONE")) => false,
            Some(Some("FULL")) => true,
            Some(_) => {
                self.not_one_of("JitterStrategy", &["FULL", "NONE"], at);
                false
            }
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its range was checked above")]
        let max_attempts = max_attempts as u32;
        Some(Retrier { errors, interval_seconds, max_attempts, backoff_rate, max_delay_seconds, full_jitter })
    }

    fn catcher(&mut self, object: &Object<String, Value>, at: &str) -> Option<Catcher> {
        self.check_catcher(object, at);
        let errors = self.errors(object, at)?;
        if !self.require(object, &["Next"], at) {
            return None;
        }
        Some(Catcher {
            errors,
            next: self.text(object, "Next", at)?,
            result_path: self.result_path(object, at),
            output: self.output(object, at),
            assign: self.template(object, "Assign", at),
        })
    }

    fn resource(&mut self, object: &Object<String, Value>, at: &str) -> Option<Resource> {
        if !self.require(object, &["Resource"], at) {
            return None;
        }
        let arn = self.text(object, "Resource", at)?;
        let location = format!("{at}/Resource");
        let Some(resource) = Resource::parse(&arn) else {
            self.complain("Value is not a valid resource ARN", location);
            return None;
        };
        if self.kind == MachineType::Express {
            match &resource.family {
                Family::Activity => self.complain("Express state machine does not support Activity ARN", location),
                Family::Service { action, .. } => {
                    if let Some((_, suffix)) = action.split_once('.') {
                        self.complain(pattern_of_standard(suffix), location);
                    }
                }
                Family::Lambda => {}
            }
        }
        Some(resource)
    }

    /// The role to act as, and nothing else.
    fn credentials(&mut self, object: &Object<String, Value>, at: &str) -> Option<Template> {
        let template = self.template(object, "Credentials", at)?;
        let place = format!("{at}/Credentials");
        let Some(Value::Object(members)) = object.get("Credentials") else { return Some(template) };
        match self.language {
            Language::JsonPath => self.check_only(members, &["RoleArn", "RoleArn.$"], &place),
            Language::Jsonata => self.check_only(members, &["RoleArn"], &place),
        }
        match members.get("RoleArn") {
            Some(Value::String(_)) => {}
            Some(_) => self.complain("Expected value of type String", format!("{place}/RoleArn")),
            None if template.member_names().contains(&"RoleArn") => {}
            None => {
                self.require(members, &["RoleArn"], &place);
            }
        }
        Some(template)
    }

    pub(super) fn task(&mut self, object: &Object<String, Value>, at: &str) -> Option<Task> {
        let resource = self.resource(object, at)?;
        let timeout = self.number(object, "TimeoutSeconds", at, Self::positive_number);
        let heartbeat = self.number(object, "HeartbeatSeconds", at, Self::positive_number);
        if let (Some(Amount::Fixed(timeout)), Some(Amount::Fixed(heartbeat))) = (&timeout, &heartbeat)
            && heartbeat >= timeout
        {
            self.complain("'HeartbeatSeconds' must be smaller than 'TimeoutSeconds'", at);
        }
        Some(Task {
            resource,
            timeout,
            heartbeat,
            credentials: self.credentials(object, at),
            work: self.work(object, self.parameters(), at),
        })
    }
}

/// How Express machines are denied a service integration pattern: with a space at the end for the one that waits for a token.
///
/// Source: recorded definitions.
fn pattern_of_standard(suffix: &str) -> String {
    let end = if suffix == "waitForTaskToken" { " " } else { "" };
    format!("Express state machine does not support '.{suffix}' service integration{end}")
}
