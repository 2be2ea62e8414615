//! JSONata as AWS evaluates it: parsed once, run over named values, with clock and chance from outside.
//!
//! An evaluator of our own, after jsonata.js, because AWS's bounds are counted in its steps: a hundred levels, so many bytes. Every
//! evaluation ends, the same way on every machine: each node costs fuel, each value bytes, each level depth.

mod apply;
mod ast;
mod chance;
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

use meter::Meter;
use serde_json::{Map, Value};

pub use chance::Chance;

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Query {
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
pub struct QueryProblem {
    pub code: String,
    pub message: String,
    pub position: Option<usize>,
}

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub i64);

/// What an expression can see.
pub struct Environment<'a> {
    /// A value beside the variables, with its name: no variable hides it.
    pub named: (&'a str, &'a Value),
    /// Innermost first.
    pub variables: &'a [&'a Map<String, Value>],
    pub now: Timestamp,
    pub random: &'a RefCell<dyn Chance>,
    pub meter: &'a Meter,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryError {
    /// The language's code, such as `T2001`, and its sentence.
    Failed { code: Option<String>, message: String },
    /// A bound was reached: time, depth, memory.
    Limit(String),
    /// The value is a function, which JSON cannot hold.
    Unsupported,
}

impl Query {
    /// Reads the text of an expression, without whatever marks it as one in its surroundings.
    pub fn parse(text: &str) -> Result<Self, QueryProblem> {
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

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The free `$name` variables that it reads, each with the names behind it: `["order", "customer", "name"]`.
    pub fn references(&self) -> Vec<Vec<String>> {
        self.tree.as_ref().map_or_else(Vec::new, |tree| references::of(&tree.root))
    }

    /// The names that it reads of a context item, which there is none of.
    pub fn top_level(&self) -> Vec<String> {
        self.tree.as_ref().map_or_else(Vec::new, |tree| top_level::of(&tree.root))
    }

    /// The value, or nothing (undefined).
    pub fn eval(&self, environment: &Environment<'_>) -> Result<Option<Value>, QueryError> {
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
