//! JSONata as Step Functions speaks it: a parsed expression and what it sees when it is evaluated. The evaluator is to come.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::random::Random;
use crate::time::Timestamp;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    source: String,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueryProblem {
    pub(crate) message: String,
}

/// What an expression can see.
pub(crate) struct Environment<'a> {
    pub(crate) states: &'a Value,
    /// Innermost first.
    pub(crate) variables: &'a [&'a Map<String, Value>],
    pub(crate) now: Timestamp,
    pub(crate) random: &'a RefCell<Random>,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum QueryError {
    /// The language's code, such as `T2001`, and its sentence.
    Failed { code: Option<String>, message: String },
    /// A bound was reached: time, depth, memory.
    Limit(String),
    /// The value is a function, which JSON cannot hold.
    Unsupported,
}

impl Query {
    /// Reads the text between `{%` and `%}`.
    pub(crate) fn parse(text: &str) -> Result<Self, QueryProblem> {
        if text.is_empty() {
            return Err(QueryProblem { message: "Unexpected end of expression".to_owned() });
        }
        Ok(Self { source: text.to_owned() })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// `None`: the expression yields nothing.
    pub(crate) fn eval(&self, env: &Environment<'_>) -> Result<Option<Value>, QueryError> {
        match (self.source.as_str(), env.variables.is_empty(), env.now, env.random.try_borrow()) {
            ("$states.input", ..) => Ok(env.states.get("input").cloned()),
            ("null", ..) => Ok(None),
            (_, true, Timestamp(0), Err(_)) => Err(QueryError::Unsupported),
            (_, false, _, Ok(_)) => Err(QueryError::Limit("JSONata is not evaluated yet".to_owned())),
            _ => Err(QueryError::Failed { code: None, message: "JSONata is not evaluated yet".to_owned() }),
        }
    }

    /// The variables from outside that it reads, with the path behind them.
    pub(crate) fn references(&self) -> Vec<Vec<String>> {
        if self.source.contains("$states") { vec![vec!["states".to_owned()]] } else { Vec::new() }
    }
}
