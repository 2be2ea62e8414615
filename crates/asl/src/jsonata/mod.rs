//! JSONata as Step Functions evaluates it: parsed once, run over `$states` and the variables, with clock and chance from outside.
//!
//! An evaluator of our own, after jsonata.js, because AWS's bounds are counted in its steps: a hundred levels, so many bytes. Every
//! evaluation ends, the same way on every machine: each node costs fuel, each value bytes, each level depth.

mod apply;
mod ast;
mod eval;
mod failure;
mod functions;
mod lexer;
mod parser;
mod pattern;
mod pictures;
mod references;
mod resolve;
mod signature;
mod text;
mod top_level;
mod value;

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::meter::Meter;
use crate::random::Random;
use crate::time::Timestamp;

/// A parsed expression.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    source: String,
    /// Nothing when it nests deeper than any evaluation goes.
    tree: Option<Arc<ast::Tree>>,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueryProblem {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) position: Option<usize>,
}

/// What an expression can see.
pub(crate) struct Environment<'a> {
    pub(crate) states: &'a Value,
    /// Innermost first.
    pub(crate) variables: &'a [&'a Map<String, Value>],
    pub(crate) now: Timestamp,
    pub(crate) random: &'a RefCell<Random>,
    pub(crate) meter: &'a Meter,
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
        let source = text.trim().to_owned();
        match parser::parse(text).and_then(|raw| resolve::resolve(&raw)) {
            Ok(tree) => Ok(Self { source, tree: Some(Arc::new(tree)) }),
            Err(failure) if failure.limit => Ok(Self { source, tree: None }),
            Err(failure) => Err(QueryProblem {
                code: failure.code.to_owned(),
                message: failure.message(),
                position: failure.position,
            }),
        }
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The free `$name` variables that it reads, each with the names behind it: `["states", "input", "x"]`.
    pub(crate) fn references(&self) -> Vec<Vec<String>> {
        self.tree.as_ref().map_or_else(Vec::new, |tree| references::of(&tree.root))
    }

    /// The names that it reads of a context item, which there is none of.
    pub(crate) fn top_level(&self) -> Vec<String> {
        self.tree.as_ref().map_or_else(Vec::new, |tree| top_level::of(&tree.root))
    }

    /// The value, or nothing (undefined).
    pub(crate) fn eval(&self, environment: &Environment<'_>) -> Result<Option<Value>, QueryError> {
        let Some(tree) = &self.tree else { return Err(failure::Failure::too_deep().into()) };
        let fuel = eval::LIMITS.fuel.min(environment.meter.steps_left());
        evaluate(tree, environment, value::Val::Undefined, eval::Limits { fuel, ..eval::LIMITS })
    }
}

/// Runs one level of a recursion, on more stack when little is left.
fn on_stack<T>(level: impl FnOnce() -> T) -> T {
    const RED_ZONE: usize = 256 << 10;
    const SEGMENT: usize = 2 << 20;
    stacker::maybe_grow(RED_ZONE, SEGMENT, level)
}

/// Deeper values could not be read again.
const MAX_RESULT_DEPTH: usize = 127;

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|member| is_deeper(member, levels - 1)),
        _ => false,
    }
}

fn evaluate<'a>(
    tree: &'a ast::Tree,
    environment: &'a Environment<'a>,
    input: value::Val<'a>,
    limits: eval::Limits,
) -> Result<Option<Value>, QueryError> {
    let (result, _machine) = eval::Machine::run(tree, environment, input, limits)?;
    match result {
        value::Val::Undefined => Ok(None),
        value::Val::Function(_) => Err(QueryError::Unsupported),
        result => {
            let value = result.to_json(environment.meter)?;
            if is_deeper(&value, MAX_RESULT_DEPTH) {
                return Err(failure::Failure::too_large().into());
            }
            Ok(Some(value))
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod suite;
