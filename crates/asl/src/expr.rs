//! The values a definition refers to: `$.input`, `$$.Context`, `$variable`, `States.Function(…)`, and JSONata's `{% … %}`.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::context::Context;
use crate::intrinsics::Call;
use crate::random::Random;
use crate::time::Timestamp;
use jsonata::{Environment, Query, QueryError};
use jsonpath::{Path, PathError};
use meter::Meter;

/// A parsed reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Input(Path),
    Context(Path),
    Variable { name: String, path: Path },
    Intrinsic(Call),
    Query { query: Query, reads: Reads },
}

/// Which members of `$states` an expression can read: only those are made for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads(u8);

/// Why a text of a JSONata state cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum QueryFault {
    /// It begins or ends like an expression, not both.
    Delimiters,
    /// The parser's sentence.
    Invalid(String),
}

/// What references can see.
pub(crate) struct Scope<'a> {
    /// `$` in JSONPath.
    pub(crate) input: &'a Value,
    /// `$states.input` in JSONata.
    pub(crate) raw: &'a Value,
    pub(crate) result: Option<&'a Value>,
    pub(crate) error_output: Option<&'a Value>,
    pub(crate) context: &'a Context<'a>,
    /// Innermost first.
    pub(crate) variables: &'a [&'a Map<String, Value>],
    pub(crate) random: &'a RefCell<Random>,
    pub(crate) now: Timestamp,
    pub(crate) states: States,
    pub(crate) meter: Meter,
}

/// `$states`, made when and as far as an expression reads it.
#[derive(Default)]
pub(crate) struct States(RefCell<(Reads, Map<String, Value>)>);

/// Why a reference has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EvalError {
    /// The path, and why.
    NotFound { source: String, reason: String },
    /// The call, and why.
    Intrinsic { source: String, reason: String },
    /// The JSONata expression, and what became of it: `returned nothing (undefined).`
    Query { source: String, outcome: String },
    /// It would take too much time or memory.
    TooMuch { source: String },
}

impl EvalError {
    /// A JSONata expression yields something else than its field takes.
    pub(crate) fn unexpected(source: &str, expected: &str, value: &Value) -> Self {
        let outcome = format!(
            "returned an unexpected result type. Expected '{expected}', but was '{}' for value: {value}",
            type_name(value)
        );
        Self::Query { source: source.to_owned(), outcome }
    }

    pub(crate) fn is_missing_path(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

impl Expr {
    /// A path or an intrinsic call.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('$') { Self::parse_path(text) } else { Call::parse(text).map(Self::Intrinsic) }
    }

    /// A path only.
    pub(crate) fn parse_path(text: &str) -> Result<Self, String> {
        let fail = |error: PathError| error.to_string();
        if let Some(steps) = text.strip_prefix("$$") {
            return Path::parse(text, steps).map(Self::Context).map_err(fail);
        }
        let steps = text.strip_prefix('$').ok_or_else(|| "Illegal path: it must begin with '$'".to_owned())?;
        let length = steps.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(steps.len());
        let (name, steps) = steps.split_at(length);
        let path = Path::parse(text, steps).map_err(fail)?;
        Ok(if name.is_empty() { Self::Input(path) } else { Self::Variable { name: name.to_owned(), path } })
    }

    /// What stands between `{%` and `%}`.
    pub(crate) fn parse_query(text: &str) -> Result<Self, QueryFault> {
        let query = Query::parse(text.trim()).map_err(|problem| QueryFault::Invalid(without_code(problem.message)))?;
        let mut reads = Reads::default();
        for path in query.references().iter().filter(|path| path.first().is_some_and(|name| name == "states")) {
            reads.add(path.get(1).map(String::as_str));
        }
        Ok(Self::Query { query, reads })
    }

    /// What a JSONata expression reads and what there never is, in AWS's words: members of `$states` (`errorOutput` unless an error
    /// is being handled), names of a context item.
    pub(crate) fn missing(&self, handles_error: bool) -> Vec<String> {
        let Self::Query { query, .. } = self else { return Vec::new() };
        let mut missing: Vec<String> = Vec::new();
        for name in query.top_level() {
            missing.push(format!("Reference to '{name}' at the top level is not supported."));
        }
        for path in query.references() {
            if let [name, member, ..] = &path[..]
                && name == "states"
                && !(matches!(member.as_str(), "input" | "result" | "context")
                    || member == "errorOutput" && handles_error)
            {
                missing.push(format!("Field '$states.{member}' does not exist."));
            }
        }
        missing.dedup();
        missing
    }

    /// The variables that it reads, `states` aside.
    pub(crate) fn variables(&self, found: &mut std::collections::BTreeSet<String>) {
        match self {
            Self::Variable { name, .. } => {
                found.insert(name.clone());
            }
            Self::Intrinsic(call) => call.each_path(&mut |path| path.variables(found)),
            Self::Query { query, .. } => {
                found.extend(query.references().into_iter().filter_map(|path| path.into_iter().next()));
                found.remove("states");
            }
            Self::Input(_) | Self::Context(_) => {}
        }
    }

    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Input(path) | Self::Context(path) | Self::Variable { path, .. } => path.source(),
            Self::Intrinsic(call) => call.source(),
            Self::Query { query, .. } => query.source(),
        }
    }

    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Value, EvalError> {
        let (root, path) = match self {
            Self::Input(path) => (scope.input, path),
            Self::Context(path) => (scope.context.value(), path),
            Self::Variable { name, path } => (scope.variable(name).ok_or_else(|| missing_variable(name, path))?, path),
            Self::Intrinsic(call) => return call.eval(scope),
            Self::Query { query, reads } => return scope.query(query, *reads),
        };
        path.read(root, &scope.meter).map_err(|reason| {
            let source = path.source().to_owned();
            match reason {
                PathError::TooMuch => EvalError::TooMuch { source },
                reason => EvalError::NotFound { source, reason: reason.to_string() },
            }
        })
    }
}

impl Reads {
    const MEMBERS: [(&'static str, u8); 4] = [("input", 1), ("result", 2), ("errorOutput", 4), ("context", 8)];

    /// `None`: the whole of `$states`.
    fn add(&mut self, member: Option<&str>) {
        for (name, bit) in Self::MEMBERS {
            if member.is_none_or(|member| member == name) {
                self.0 |= bit;
            }
        }
    }
}

impl<'a> Scope<'a> {
    /// A state that works on `input`.
    pub(crate) fn new(
        input: &'a Value,
        context: &'a Context<'a>,
        variables: &'a [&'a Map<String, Value>],
        random: &'a RefCell<Random>,
        now: Timestamp,
    ) -> Self {
        let (states, meter) = Default::default();
        Self { input, raw: input, result: None, error_output: None, context, variables, random, now, states, meter }
    }
}

impl Scope<'_> {
    fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.iter().find_map(|scope| scope.get(name))
    }

    fn query(&self, query: &Query, reads: Reads) -> Result<Value, EvalError> {
        let states = self.states_with(reads);
        let environment = Environment {
            named: ("states", &states),
            variables: self.variables,
            now: jsonata::Timestamp(self.now.0),
            random: self.random,
            meter: &self.meter,
        };
        let evaluated = query.eval(&environment);
        self.put_states_back(states);
        let outcome = match evaluated {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => "returned nothing (undefined).".to_owned(),
            Err(QueryError::Failed { code: Some(code), message }) => {
                format!("threw an error during evaluation. {code}: {message}")
            }
            Err(QueryError::Failed { code: None, message } | QueryError::Limit(message)) => {
                format!("threw an error during evaluation: {message}")
            }
            Err(QueryError::Unsupported) => "returned an unsupported result type.".to_owned(),
        };
        Err(EvalError::Query { source: query.source().to_owned(), outcome })
    }

    fn states_with(&self, reads: Reads) -> Value {
        let mut held = self.states.0.borrow_mut();
        let (made, members) = &mut *held;
        for (name, bit) in Reads::MEMBERS {
            if reads.0 & bit == 0 || made.0 & bit != 0 {
                continue;
            }
            made.0 |= bit;
            let value = match name {
                "input" => Some(self.raw),
                "result" => self.result,
                "errorOutput" => self.error_output,
                _ => Some(self.context.value()),
            };
            if let Some(value) = value {
                members.insert(name.to_owned(), value.clone());
            }
        }
        Value::Object(std::mem::take(members))
    }

    fn put_states_back(&self, states: Value) {
        if let Value::Object(members) = states {
            self.states.0.borrow_mut().1 = members;
        }
    }
}

/// A parser's sentence without the code before it.
fn without_code(message: String) -> String {
    match message.split_once(": ") {
        Some((code, sentence)) if code.len() == 5 && code[1..].bytes().all(|byte| byte.is_ascii_digit()) => {
            sentence.to_owned()
        }
        _ => message,
    }
}

/// As messages about JSONata results name it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn missing_variable(name: &str, path: &Path) -> EvalError {
    EvalError::NotFound { source: path.source().to_owned(), reason: format!("The variable '${name}' is not defined") }
}
