//! From the text of a definition to its model, collecting every complaint on the way.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map as Object, Value};

use crate::check::{Diagnostic, Severity, check_body};
use crate::choice::{Condition, Rule};
use crate::definition::{
    Amount, Body, Catcher, Definition, Family, MachineType, Map, Resource, ResultPath, Retrier, Selection, State,
    StateKind, Task, Text, Wait, Work,
};
use crate::expr::Expr;
use crate::path::Path;
use crate::template::Template;
use crate::time::Timestamp;

/// AWS's limit on the text of a definition.
const MAX_BYTES: usize = 1_048_576;
/// Bodies nested deeper than this are refused rather than followed.
const MAX_DEPTH: usize = 24;

pub(crate) fn parse(text: &str, kind: MachineType) -> Result<Definition, Vec<Diagnostic>> {
    if text.len() > MAX_BYTES {
        return Err(vec![Diagnostic::schema(format!("The definition must not exceed {MAX_BYTES} bytes"), "/")]);
    }
    let root = match serde_json::from_str(text) {
        Ok(Value::Object(root)) => root,
        Ok(_) => return Err(vec![Diagnostic::schema("Expected value of type Object", "/")]),
        Err(error) => return Err(vec![invalid_json(text, &error)]),
    };
    let mut reader = Reader { kind, found: Vec::new(), refused: Vec::new(), whole: None };
    reader.whole = reader.language(&root, "/");
    if reader.whole == Some(Language::Jsonata) {
        reader.check_languages(&root, "");
    }
    let body = reader.body(&root, "", 0);
    let timeout_seconds = reader.whole_number(&root, "TimeoutSeconds", "/");
    if reader.found.is_empty()
        && let Some(body) = &body
        && reader.refused.is_empty()
    {
        check_body(body, "", &mut reader.found);
    }
    if reader.found.is_empty() {
        reader.found.append(&mut reader.refused);
    }
    match body {
        Some(body) if reader.found.is_empty() => Ok(Definition { body: Arc::new(body), timeout_seconds }),
        _ => Err(reader.found),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Language {
    JsonPath,
    Jsonata,
}

struct Reader {
    kind: MachineType,
    found: Vec<Diagnostic>,
    /// What is valid on AWS and cannot be run here yet; told only when nothing else is wrong.
    refused: Vec<Diagnostic>,
    whole: Option<Language>,
}

impl Reader {
    fn complain(&mut self, message: impl Into<String>, location: impl Into<String>) {
        self.found.push(Diagnostic::schema(message, location));
    }

    fn refuse(&mut self, message: &str, location: &str) {
        self.refused.push(Diagnostic::schema(message, location));
    }

    fn require(&mut self, object: &Object<String, Value>, fields: &[&str], location: &str) -> bool {
        let missing: Vec<_> = fields.iter().copied().filter(|field| !object.contains_key(*field)).collect();
        if !missing.is_empty() {
            self.complain(format!("These fields are required: [{}]", missing.join(", ")), location);
        }
        missing.is_empty()
    }

    fn language(&mut self, object: &Object<String, Value>, location: &str) -> Option<Language> {
        match object.get("QueryLanguage") {
            None => None,
            Some(Value::String(name)) if name == "JSONPath" => Some(Language::JsonPath),
            Some(Value::String(name)) if name == "JSONata" => {
                self.refuse("QueryLanguage 'JSONata' is not supported by Lakerun yet: use JSONPath", location);
                Some(Language::Jsonata)
            }
            Some(_) => {
                self.complain(
                    "Value is not one of the allowed values: [JSONPath, JSONata]",
                    format!("{}/QueryLanguage", location.trim_end_matches('/')),
                );
                None
            }
        }
    }

    /// In a machine that is JSONata as a whole no state may fall back to JSONPath.
    fn check_languages(&mut self, body: &Object<String, Value>, at: &str) {
        for (name, state) in body.get("States").and_then(Value::as_object).into_iter().flatten() {
            if state.get("QueryLanguage").and_then(Value::as_str) == Some("JSONPath") {
                self.complain(
                    "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine",
                    format!("{at}/States/{name}"),
                );
            }
        }
    }

    fn body(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<Body> {
        let location = if at.is_empty() { "/" } else { at };
        if depth > MAX_DEPTH {
            self.complain("The states are nested too deeply", location);
            return None;
        }
        if !self.require(object, &["States", "StartAt"], location) {
            return None;
        }
        let start_at = self.text(object, "StartAt", at)?;
        let Some(Value::Object(states)) = object.get("States") else {
            self.complain("Expected value of type Object", format!("{at}/States"));
            return None;
        };
        if states.is_empty() {
            self.complain("States must not be empty", format!("{at}/States"));
            return None;
        }
        let mut model = IndexMap::new();
        for (name, state) in states {
            let place = format!("{at}/States/{name}");
            if name.chars().count() > 80 {
                self.complain("State name must not exceed 80 characters", place.clone());
            }
            let Value::Object(state) = state else {
                self.complain("Expected value of type Object", place);
                continue;
            };
            if let Some(state) = self.state(state, &place, depth) {
                model.insert(name.clone(), Arc::new(state));
            }
        }
        Some(Body { start_at, states: model })
    }

    fn state(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<State> {
        if !self.require(object, &["Type"], at) {
            return None;
        }
        let kind = self.text(object, "Type", at)?;
        if self.language(object, at) == Some(Language::Jsonata) || self.whole == Some(Language::Jsonata) {
            return self.foreign(object, &kind, at, depth);
        }
        let kind = match kind.as_str() {
            "Pass" => StateKind::Pass {
                result: object.get("Result").cloned(),
                parameters: self.template(object, "Parameters", at),
                result_path: self.result_path(object, at),
            },
            "Task" => StateKind::Task(Box::new(self.task(object, at)?)),
            "Choice" => self.choice(object, at)?,
            "Wait" => StateKind::Wait(self.wait(object, at)?),
            "Succeed" => StateKind::Succeed,
            "Fail" => StateKind::Fail {
                error: self.text_or_path(object, "Error", at),
                cause: self.text_or_path(object, "Cause", at),
            },
            "Parallel" => self.parallel(object, at, depth)?,
            "Map" => self.map(object, at, depth)?,
            _ => {
                self.complain(
                    "Value is not one of the allowed values: [Choice, Fail, Map, Parallel, Pass, Succeed, Task, Wait]",
                    format!("{at}/Type"),
                );
                return None;
            }
        };
        Some(State {
            input_path: self.selection(object, "InputPath", at),
            output_path: self.selection(object, "OutputPath", at),
            assign: self.template(object, "Assign", at),
            next: self.next(object, &kind, at),
            kind,
        })
    }

    /// A JSONata state: its shape is looked at only as far as the rest of the machine needs; it is refused afterwards.
    fn foreign(&mut self, object: &Object<String, Value>, kind: &str, at: &str, depth: usize) -> Option<State> {
        for field in ["ItemProcessor", "Iterator"] {
            if let Some(Value::Object(body)) = object.get(field) {
                self.body(body, &format!("{at}/{field}"), depth + 1)?;
            }
        }
        if kind == "Task" {
            self.resource(object, at)?;
        }
        Some(State {
            input_path: Selection::Whole,
            output_path: Selection::Whole,
            assign: None,
            next: object.get("Next").and_then(Value::as_str).map(str::to_owned),
            kind: StateKind::Succeed,
        })
    }

    fn next(&mut self, object: &Object<String, Value>, kind: &StateKind, at: &str) -> Option<String> {
        if matches!(kind, StateKind::Choice { .. } | StateKind::Succeed | StateKind::Fail { .. }) {
            return None;
        }
        let ends = object.get("End") == Some(&Value::Bool(true));
        match (object.get("Next"), ends) {
            (Some(Value::String(next)), false) => Some(next.clone()),
            (None, true) => None,
            (Some(Value::String(_)), true) => {
                self.complain("Only one of these fields is allowed: [Next, End]", at);
                None
            }
            (Some(_), _) => {
                self.complain("Expected value of type String", format!("{at}/Next"));
                None
            }
            (None, false) => {
                self.complain("One of these fields is required: [Next, End]", at);
                None
            }
        }
    }

    fn work(&mut self, object: &Object<String, Value>, parameters: &str, at: &str) -> Work {
        Work {
            parameters: self.template(object, parameters, at),
            result_selector: self.template(object, "ResultSelector", at),
            result_path: self.result_path(object, at),
            retry: self.list(object, "Retry", at, Self::retrier),
            catch: self.list(object, "Catch", at, Self::catcher),
        }
    }

    fn list<T>(
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
        if errors.as_ref().is_some_and(|names| names.len() > 1 && names.iter().any(|name| name == "States.ALL")) {
            self.complain("States.ALL must appear alone", format!("{at}/ErrorEquals"));
        }
        errors
    }

    fn retrier(&mut self, object: &Object<String, Value>, at: &str) -> Option<Retrier> {
        let errors = self.errors(object, at)?;
        let mut number = |field: &str, least: f64, most: f64, default: Option<f64>| match object.get(field) {
            None => default,
            Some(value) => {
                let number = value.as_f64().filter(|number| (least..=most).contains(number));
                if number.is_none() {
                    self.complain("Value is out of range", format!("{at}/{field}"));
                }
                number.or(default)
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
                self.complain("Value is not one of the allowed values: [FULL, NONE]", format!("{at}/JitterStrategy"));
                false
            }
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its range was checked above")]
        let max_attempts = max_attempts as u32;
        Some(Retrier { errors, interval_seconds, max_attempts, backoff_rate, max_delay_seconds, full_jitter })
    }

    fn catcher(&mut self, object: &Object<String, Value>, at: &str) -> Option<Catcher> {
        let errors = self.errors(object, at)?;
        if !self.require(object, &["Next"], at) {
            return None;
        }
        Some(Catcher {
            errors,
            next: self.text(object, "Next", at)?,
            result_path: self.result_path(object, at),
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
                    let suffix = action.split_once('.').map(|(_, suffix)| suffix);
                    if let Some(suffix) = suffix.filter(|suffix| *suffix != "sync:1") {
                        self.complain(
                            format!("Express state machine does not support '.{suffix}' service integration "),
                            location,
                        );
                    }
                }
                Family::Lambda => {}
            }
        }
        Some(resource)
    }

    fn task(&mut self, object: &Object<String, Value>, at: &str) -> Option<Task> {
        Some(Task {
            resource: self.resource(object, at)?,
            timeout: self.amount(object, "TimeoutSeconds", at),
            heartbeat: self.amount(object, "HeartbeatSeconds", at),
            credentials: self.template(object, "Credentials", at),
            work: self.work(object, "Parameters", at),
        })
    }

    fn choice(&mut self, object: &Object<String, Value>, at: &str) -> Option<StateKind> {
        if !self.require(object, &["Choices"], at) {
            return None;
        }
        let rules = self.list(object, "Choices", at, Self::rule);
        if object["Choices"].as_array().is_some_and(Vec::is_empty) {
            self.complain("Choices must not be empty", format!("{at}/Choices"));
        }
        let default = if object.contains_key("Default") { self.text(object, "Default", at) } else { None };
        Some(StateKind::Choice { rules, default })
    }

    fn rule(&mut self, object: &Object<String, Value>, at: &str) -> Option<Rule> {
        let condition = match Condition::parse(object, 0) {
            Ok(condition) => Some(condition),
            Err(problem) => {
                self.complain(problem, at);
                None
            }
        };
        if !self.require(object, &["Next"], at) {
            return None;
        }
        Some(Rule {
            condition: condition?,
            next: self.text(object, "Next", at)?,
            assign: self.template(object, "Assign", at),
        })
    }

    fn wait(&mut self, object: &Object<String, Value>, at: &str) -> Option<Wait> {
        let fields: Vec<_> = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"]
            .into_iter()
            .filter(|field| object.contains_key(*field))
            .collect();
        let [field] = fields[..] else {
            self.complain(
                "Exactly one of these fields is required: [Seconds, SecondsPath, Timestamp, TimestampPath]",
                at,
            );
            return None;
        };
        match field {
            "Timestamp" => {
                let text = self.text(object, field, at)?;
                let parsed = Timestamp::parse(&text);
                if parsed.is_none() {
                    self.complain(
                        "Value is not a valid ISO-8601 extended offset date-time format string",
                        format!("{at}/{field}"),
                    );
                }
                parsed.map(Wait::Timestamp)
            }
            "TimestampPath" => self.expr(object, field, at).map(Wait::TimestampPath),
            _ => self.amount(object, "Seconds", at).map(Wait::Seconds),
        }
    }

    fn parallel(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<StateKind> {
        if !self.require(object, &["Branches"], at) {
            return None;
        }
        let mut branches = Vec::new();
        match &object["Branches"] {
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    let place = format!("{at}/Branches[{index}]");
                    match item {
                        Value::Object(item) => branches.extend(self.body(item, &place, depth + 1).map(Arc::new)),
                        _ => self.complain("Expected value of type Object", place),
                    }
                }
            }
            _ => self.complain("Expected a non-empty array", format!("{at}/Branches")),
        }
        Some(StateKind::Parallel { branches, work: Box::new(self.work(object, "Parameters", at)) })
    }

    fn map(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<StateKind> {
        let field = if object.contains_key("Iterator") { "Iterator" } else { "ItemProcessor" };
        if !self.require(object, &[field], at) {
            return None;
        }
        let place = format!("{at}/{field}");
        let Value::Object(processor) = &object[field] else {
            self.complain("Expected value of type Object", place);
            return None;
        };
        match processor.get("ProcessorConfig").and_then(|config| config.get("Mode")).and_then(Value::as_str) {
            None | Some("INLINE") => {}
            Some("DISTRIBUTED") => {
                self.refuse("Map states of Mode 'DISTRIBUTED' are not supported by Lakerun yet: use INLINE", &place);
            }
            Some(_) => {
                self.complain(
                    "Value is not one of the allowed values: [INLINE, DISTRIBUTED]",
                    format!("{place}/ProcessorConfig/Mode"),
                );
            }
        }
        let processor = Arc::new(self.body(processor, &place, depth + 1)?);
        let parameters = if object.contains_key("ItemSelector") { "ItemSelector" } else { "Parameters" };
        Some(StateKind::Map(Box::new(Map {
            processor,
            items_path: if object.contains_key("ItemsPath") { self.expr(object, "ItemsPath", at) } else { None },
            max_concurrency: self.amount(object, "MaxConcurrency", at),
            work: self.work(object, parameters, at),
        })))
    }

    fn template(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Template> {
        let value = object.get(field)?;
        let place = format!("{at}/{field}");
        if field != "Parameters" && !value.is_object() {
            self.complain("Expected value of type Object", place);
            return None;
        }
        let mut problems = Vec::new();
        let template = Template::compile(value, &mut problems);
        for (name, _) in problems {
            self.complain(
                format!("The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"),
                place.clone(),
            );
        }
        Some(template)
    }

    fn result_path(&mut self, object: &Object<String, Value>, at: &str) -> ResultPath {
        match object.get("ResultPath") {
            None => ResultPath::Replace,
            Some(Value::Null) => ResultPath::Discard,
            Some(Value::String(path)) if path == "$" => ResultPath::Replace,
            Some(Value::String(text)) => {
                let path =
                    text.strip_prefix('$').and_then(|steps| Path::parse(text, steps).ok()).filter(Path::is_reference);
                if path.is_none() {
                    self.complain("Value is not a Reference Path", format!("{at}/ResultPath"));
                }
                path.map_or(ResultPath::Replace, ResultPath::Into)
            }
            Some(_) => {
                self.complain("Expected value of type String", format!("{at}/ResultPath"));
                ResultPath::Replace
            }
        }
    }

    fn selection(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Selection {
        match object.get(field) {
            None => Selection::Whole,
            Some(Value::Null) => Selection::Nothing,
            Some(Value::String(path)) if path == "$" => Selection::Whole,
            Some(_) => self.expr(object, field, at).map_or(Selection::Whole, Selection::Path),
        }
    }

    fn expr(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Expr> {
        let text = self.text(object, field, at)?;
        let parsed = Expr::parse(&text);
        if let Err(problem) = &parsed {
            self.complain(format!("Invalid path '{text}': {problem}"), format!("{at}/{field}"));
        }
        parsed.ok()
    }

    /// `Field` with a number, or `FieldPath` with a path.
    fn amount(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Amount> {
        let path = format!("{field}Path");
        if object.contains_key(&path) {
            if object.contains_key(field) {
                self.complain(format!("Only one of these fields is allowed: [{field}, {path}]"), at);
            }
            return self.expr(object, &path, at).map(Amount::Path);
        }
        self.whole_number(object, field, at).map(Amount::Fixed)
    }

    fn whole_number(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<u64> {
        let value = object.get(field)?;
        let number = value.as_u64().filter(|number| *number <= 99_999_999);
        if number.is_none() {
            self.complain(
                "Expected value of type Integer, not negative",
                format!("{}/{field}", at.trim_end_matches('/')),
            );
        }
        number
    }

    fn text(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<String> {
        let text = object.get(field).and_then(Value::as_str).map(str::to_owned);
        if text.is_none() {
            self.complain("Expected value of type String", format!("{at}/{field}"));
        }
        text
    }

    fn text_or_path(&mut self, object: &Object<String, Value>, field: &str, at: &str) -> Option<Text> {
        let path = format!("{field}Path");
        if object.contains_key(&path) {
            return self.expr(object, &path, at).map(Text::Expr);
        }
        if !object.contains_key(field) {
            return None;
        }
        self.text(object, field, at).map(Text::Fixed)
    }
}

/// What Jackson says of a text that is no JSON.
fn invalid_json(text: &str, error: &serde_json::Error) -> Diagnostic {
    let (line, column, problem) = crate::json_problem(text, error);
    let place = format!("[Source: (String)\"{text}\"; line: {line}, column: {column}]");
    Diagnostic {
        severity: Severity::Error,
        code: "INVALID_JSON_DESCRIPTION",
        message: format!("{problem}\n at {place}"),
        location: Some(place),
    }
}
