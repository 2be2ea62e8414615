//! The values a definition refers to: `$.input`, `$$.Context`, `$variable`, `States.Function(…)`.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::context::Context;
use crate::intrinsics::Call;
use crate::path::Path;
use crate::random::Random;

/// A parsed reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Input(Path),
    Context(Path),
    Variable { name: String, path: Path },
    Intrinsic(Call),
}

/// What references can see.
pub(crate) struct Scope<'a> {
    pub(crate) input: &'a Value,
    pub(crate) context: &'a Context<'a>,
    /// Innermost first.
    pub(crate) variables: &'a [&'a Map<String, Value>],
    pub(crate) random: &'a RefCell<Random>,
}

/// Why a reference has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EvalError {
    /// The path, and why.
    NotFound { source: String, reason: String },
    /// The call, and why.
    Intrinsic { source: String, reason: String },
}

impl EvalError {
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
        let fail = |error: crate::path::PathError| error.to_string();
        if let Some(steps) = text.strip_prefix("$$") {
            return Path::parse(text, steps).map(Self::Context).map_err(fail);
        }
        let steps = text.strip_prefix('$').ok_or_else(|| "Illegal path: it must begin with '$'".to_owned())?;
        let length = steps.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(steps.len());
        let (name, steps) = steps.split_at(length);
        let path = Path::parse(text, steps).map_err(fail)?;
        Ok(if name.is_empty() { Self::Input(path) } else { Self::Variable { name: name.to_owned(), path } })
    }

    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Input(path) | Self::Context(path) | Self::Variable { path, .. } => path.source(),
            Self::Intrinsic(call) => call.source(),
        }
    }

    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Value, EvalError> {
        let (root, path) = match self {
            Self::Input(path) => (scope.input, path),
            Self::Context(path) => (scope.context.value(), path),
            Self::Variable { name, path } => (scope.variable(name).ok_or_else(|| missing_variable(name, path))?, path),
            Self::Intrinsic(call) => return call.eval(scope),
        };
        path.read(root)
            .map_err(|reason| EvalError::NotFound { source: path.source().to_owned(), reason: reason.to_string() })
    }
}

impl Scope<'_> {
    fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.iter().find_map(|scope| scope.get(name))
    }
}

fn missing_variable(name: &str, path: &Path) -> EvalError {
    EvalError::NotFound { source: path.source().to_owned(), reason: format!("The variable '${name}' is not defined") }
}
