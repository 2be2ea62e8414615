//! From the text of a definition to its model, collecting every complaint on the way.

mod allowed;
mod distributed;
mod fields;
mod flow;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map as Object, Value};

use crate::check::{check_body, check_names, check_nested, check_variables};
use crate::definition::{Body, Definition, Language, MachineType, State, StateKind};
use crate::diagnostic::{Diagnostic, Severity};

/// AWS's limit on the text of a definition.
const MAX_BYTES: usize = 1_048_576;
/// Bodies nested deeper than this are refused rather than followed.
const MAX_DEPTH: usize = 24;
const KINDS: [&str; 8] = ["Task", "Wait", "Pass", "Succeed", "Fail", "Choice", "Parallel", "Map"];

impl Definition {
    /// Reads a definition. `Err` has everything that AWS would refuse it for, and what Lakerun cannot run yet.
    pub fn parse(text: &str, kind: MachineType) -> Result<Self, Vec<Diagnostic>> {
        parse(text, Reader::new(kind))
    }

    /// Reads one that was accepted when it was made, perhaps when less was looked at: what its EXPRESS children cannot wait for is
    /// not said again.
    pub fn parse_accepted(text: &str) -> Result<Self, Vec<Diagnostic>> {
        parse(text, Reader { is_accepted: true, ..Reader::new(MachineType::Standard) })
    }
}

fn parse(text: &str, mut reader: Reader) -> Result<Definition, Vec<Diagnostic>> {
    let root = object_of(text)?;
    reader.check_only(&root, allowed::MACHINE, "/");
    reader.whole = reader.query_language(&root, "/").unwrap_or(Language::JsonPath);
    let body = reader.body(&root, "", 0);
    reader.language = reader.whole;
    let timeout_seconds = reader.positive_number(&root, "TimeoutSeconds", "/");
    if reader.found.is_empty()
        && let Some(body) = &body
    {
        check_names(body, "", &mut BTreeSet::new(), &mut reader.found);
        check_variables(body, "", &BTreeSet::new(), &mut reader.found);
        check_body(body, "", &mut reader.found);
    }
    match body {
        Some(body) if reader.found.is_empty() => Ok(Definition { body: Arc::new(body), timeout_seconds, calls: None }),
        _ => Err(reader.found),
    }
}

/// One state, without the machine that it is of.
pub(crate) fn parse_state(text: &str, kind: MachineType) -> Result<State, Vec<Diagnostic>> {
    let root = object_of(text)?;
    let mut reader = Reader::new(kind);
    let state = reader.state(&root, "", 0);
    if let Some(state) = state.as_ref().filter(|_| reader.found.is_empty()) {
        check_nested(state, "", &mut reader.found);
    }
    match state {
        Some(state) if reader.found.is_empty() => Ok(state),
        _ => Err(reader.found),
    }
}

fn object_of(text: &str) -> Result<Object<String, Value>, Vec<Diagnostic>> {
    if text.len() > MAX_BYTES {
        return Err(vec![Diagnostic::schema(format!("The definition must not exceed {MAX_BYTES} bytes"), "/")]);
    }
    if text.trim().is_empty() {
        return Err(vec![Diagnostic {
            severity: Severity::Error,
            code: "MISSING_DESCRIPTION",
            message: "Received a null or empty workflow input".to_owned(),
            location: None,
        }]);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(root)) => Ok(root),
        Ok(_) => Err(vec![Diagnostic::schema("Expected value of type Object", "/")]),
        Err(error) => Err(vec![invalid_json(text, &error)]),
    }
}

struct Reader {
    /// Of the executions that the states are of: a machine's, or the children of a Distributed Map.
    kind: MachineType,
    is_accepted: bool,
    found: Vec<Diagnostic>,
    /// The language of states that do not name theirs.
    whole: Language,
    /// The language of the state that is being read, and where it stands.
    language: Language,
    place: String,
}

impl Reader {
    fn new(kind: MachineType) -> Self {
        let (whole, language) = (Language::JsonPath, Language::JsonPath);
        Self { kind, is_accepted: false, found: Vec::new(), whole, language, place: String::new() }
    }

    fn complain(&mut self, message: impl Into<String>, location: impl Into<String>) {
        let location = Some(location.into()).filter(|location| !location.is_empty());
        self.found.push(Diagnostic::schema(message, location.unwrap_or_else(|| "/".to_owned())));
    }

    /// A field whose text is none of those that it may have.
    fn not_one_of(&mut self, field: &str, values: &[&str], at: &str) {
        let message = format!("The field '{field}' should have one of these values: [{}]", values.join(", "));
        self.complain(message, format!("{at}/{field}"));
    }

    fn require(&mut self, object: &Object<String, Value>, fields: &[&str], location: &str) -> bool {
        let missing: Vec<_> = fields.iter().copied().filter(|field| !object.contains_key(*field)).collect();
        if !missing.is_empty() {
            self.complain(format!("These fields are required: [{}]", missing.join(", ")), location);
        }
        missing.is_empty()
    }

    fn query_language(&mut self, object: &Object<String, Value>, location: &str) -> Option<Language> {
        match object.get("QueryLanguage") {
            None => None,
            Some(Value::String(name)) if name == "JSONPath" => Some(Language::JsonPath),
            Some(Value::String(name)) if name == "JSONata" => Some(Language::Jsonata),
            // Anything else is refused, and read as JSONata.
            Some(value) => {
                let at = location.trim_end_matches('/');
                if value.is_string() {
                    self.not_one_of("QueryLanguage", &["JSONPath", "JSONata"], at);
                } else {
                    self.complain("Expected value of type String", format!("{at}/QueryLanguage"));
                }
                Some(Language::Jsonata)
            }
        }
    }

    /// A state may be JSONata in a JSONPath machine, not the other way round.
    fn language_of_state(&mut self, object: &Object<String, Value>, at: &str) -> Language {
        let language = self.query_language(object, at).unwrap_or(self.whole);
        if self.whole == Language::Jsonata && language == Language::JsonPath {
            self.complain("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine", at);
        }
        language
    }

    fn body(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<Body> {
        let location = if at.is_empty() { "/" } else { at };
        if depth > MAX_DEPTH {
            let found = Diagnostic::schema("The states are too deeply nested", location);
            self.found.push(Diagnostic { code: "TOO_DEEPLY_NESTED", ..found });
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
        let outer = (self.language, self.place.clone());
        for (name, state) in states {
            let place = format!("{at}/States/{name}");
            if name.chars().count() > 80 {
                let message =
                    format!("Invalid State name: State '{name}' exceeds the 80-character limit allowed by the service");
                let found = Diagnostic::schema(message, place.clone());
                self.found.push(Diagnostic { code: "INVALID_STATE_NAME", ..found });
            }
            let Value::Object(state) = state else {
                self.complain("Expected value of type Object", place);
                continue;
            };
            if let Some(state) = self.state(state, &place, depth) {
                model.insert(name.clone(), Arc::new(state));
            }
        }
        (self.language, self.place) = outer;
        Some(Body { start_at, states: model })
    }

    fn state(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<State> {
        if !self.require(object, &["Type"], at) {
            return None;
        }
        let kind = self.text(object, "Type", at)?;
        self.language = self.language_of_state(object, at);
        at.clone_into(&mut self.place);
        if KINDS.contains(&kind.as_str()) {
            self.check_fields(object, &kind, at);
        }
        let kind = match kind.as_str() {
            "Pass" => StateKind::Pass {
                result: self.jsonpath(|_| object.get("Result").cloned()).flatten(),
                parameters: self.jsonpath(|reader| reader.template(object, "Parameters", at)).flatten(),
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
                self.not_one_of("Type", &KINDS, at);
                return None;
            }
        };
        Some(State {
            language: self.language,
            input_path: self.selection(object, "InputPath", at),
            output_path: self.selection(object, "OutputPath", at),
            output: self.output(object, at),
            assign: self.template(object, "Assign", at),
            next: self.next(object, &kind, at),
            kind,
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

    /// Reads what only JSONPath states have.
    fn jsonpath<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.language == Language::JsonPath).then(|| read(self))
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

#[cfg(test)]
mod tests;
