//! The typed model of a definition. `parse.rs` makes it, `check.rs` judges its graph.

mod distributed;

use std::fmt::Debug;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::choice::Rule;
use crate::expr::Expr;
use crate::template::Template;
use crate::time::Timestamp;

pub(crate) use distributed::{Distributed, ItemBatcher, ItemReader, ResultWriter};

/// A definition that can be run.
#[derive(Debug)]
pub struct Definition {
    pub(crate) body: Arc<Body>,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) calls: Option<Arc<dyn Calls>>,
}

/// Who knows what the calls of Tasks take.
pub trait Calls: Debug + Send + Sync {
    /// What keeps a call from being made at all, each in a sentence.
    fn faults(&self, resource: &str, parameters: &Value) -> Vec<String>;
}

impl Definition {
    /// Its Tasks are held against what their calls take before they are started.
    #[must_use]
    pub fn checked_by(mut self, calls: Arc<dyn Calls>) -> Self {
        self.calls = Some(calls);
        self
    }
}

/// What a state machine was created as; Express ones refuse some resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    Standard,
    Express,
}

/// States and where they begin: the machine itself, a Parallel's branch or a Map's processor.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) start_at: String,
    pub(crate) states: IndexMap<String, Arc<State>>,
}

/// What the expressions of a state are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    JsonPath,
    Jsonata,
}

impl Language {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::JsonPath => "JSONPath",
            Self::Jsonata => "JSONata",
        }
    }
}

/// A JSONata state has neither InputPath nor OutputPath nor ResultPath (they are as if absent), a JSONPath state no Output.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) language: Language,
    pub(crate) input_path: Selection,
    pub(crate) output_path: Selection,
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
    /// `None` ends the branch.
    pub(crate) next: Option<String>,
    pub(crate) kind: StateKind,
}

/// `InputPath` and `OutputPath`: everything, nothing (`null`), or what a path yields.
#[derive(Debug)]
pub(crate) enum Selection {
    Whole,
    Nothing,
    Path(Expr),
}

/// `ResultPath`: the result becomes the output, is dropped (`null`), or is put into the raw input.
#[derive(Debug)]
pub(crate) enum ResultPath {
    Replace,
    Discard,
    Into(jsonpath::Path),
}

#[derive(Debug)]
pub(crate) enum StateKind {
    Pass { result: Option<Value>, parameters: Option<Template>, result_path: ResultPath },
    Task(Box<Task>),
    Choice { rules: Vec<Rule>, default: Option<String> },
    Wait(Wait),
    Succeed,
    Fail { error: Option<Text>, cause: Option<Text> },
    Parallel { branches: Vec<Arc<Body>>, work: Box<Work> },
    Map(Box<Map>),
}

/// What Task, Parallel and Map have in common.
#[derive(Debug)]
pub(crate) struct Work {
    /// Parameters, Arguments or, for a Map, ItemSelector.
    pub(crate) parameters: Option<Template>,
    pub(crate) result_selector: Option<Template>,
    pub(crate) result_path: ResultPath,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) resource: Resource,
    pub(crate) timeout: Option<Amount>,
    pub(crate) heartbeat: Option<Amount>,
    pub(crate) credentials: Option<Template>,
    pub(crate) work: Work,
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) processor: Arc<Body>,
    pub(crate) items: Items,
    pub(crate) max_concurrency: Option<Amount>,
    pub(crate) tolerated_failure_count: Option<Amount<f64>>,
    pub(crate) tolerated_failure_percentage: Option<Amount<f64>>,
    /// Items run as executions of their own.
    pub(crate) distributed: Option<Box<Distributed>>,
    pub(crate) work: Work,
}

/// What a Map goes over.
#[derive(Debug)]
pub(crate) enum Items {
    /// Neither ItemsPath nor Items: what the state is given.
    Input,
    Path(Expr),
    Template(Template),
}

/// A number in the definition, or what yields one.
#[derive(Debug)]
pub(crate) enum Amount<T = u64> {
    Fixed(T),
    Expr(Expr),
}

/// A text in the definition, or what yields one.
#[derive(Debug)]
pub(crate) enum Text {
    Fixed(String),
    Expr(Expr),
}

#[derive(Debug)]
pub(crate) enum Wait {
    Seconds(Amount),
    Timestamp(Timestamp),
    TimestampExpr(Expr),
}

#[derive(Debug)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<String>,
    pub(crate) interval_seconds: f64,
    pub(crate) max_attempts: u32,
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<f64>,
    pub(crate) full_jitter: bool,
}

#[derive(Debug)]
pub(crate) struct Catcher {
    pub(crate) errors: Vec<String>,
    pub(crate) next: String,
    pub(crate) result_path: ResultPath,
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
}

#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) arn: String,
    pub(crate) family: Family,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Family {
    /// A function's ARN, written directly.
    Lambda,
    Activity,
    /// `arn:aws:states:::<resource_type>:<action>`; the action keeps its suffix, as history shows it.
    Service {
        resource_type: String,
        action: String,
    },
}

/// The kinds of state, as history names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum StateType {
    Pass,
    Task,
    Choice,
    Wait,
    Succeed,
    Fail,
    Parallel,
    Map,
}

impl Definition {
    /// `TimeoutSeconds` of the whole execution.
    pub fn timeout_seconds(&self) -> Option<u64> {
        self.timeout_seconds
    }
}

impl State {
    pub(crate) fn kind(&self) -> StateType {
        match &self.kind {
            StateKind::Pass { .. } => StateType::Pass,
            StateKind::Task(_) => StateType::Task,
            StateKind::Choice { .. } => StateType::Choice,
            StateKind::Wait(_) => StateType::Wait,
            StateKind::Succeed => StateType::Succeed,
            StateKind::Fail { .. } => StateType::Fail,
            StateKind::Parallel { .. } => StateType::Parallel,
            StateKind::Map(_) => StateType::Map,
        }
    }

    pub(crate) fn work(&self) -> Option<&Work> {
        match &self.kind {
            StateKind::Task(task) => Some(&task.work),
            StateKind::Parallel { work, .. } => Some(work),
            StateKind::Map(map) => Some(&map.work),
            _ => None,
        }
    }
}

impl StateType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Task => "Task",
            Self::Choice => "Choice",
            Self::Wait => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail => "Fail",
            Self::Parallel => "Parallel",
            Self::Map => "Map",
        }
    }
}

impl Resource {
    /// `None` when it is no ARN of something that a Task can call.
    pub(crate) fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [prefix, _, service, _, _, rest] = parts[..] else { return None };
        if prefix != "arn" || rest.is_empty() {
            return None;
        }
        let family = match service {
            "lambda" if rest.starts_with("function:") => Family::Lambda,
            "states" if rest.starts_with("activity:") => Family::Activity,
            "states" => {
                let (head, tail) = rest.split_once(':')?;
                let (resource_type, action) = match head {
                    "aws-sdk" => {
                        let (service, action) = tail.split_once(':')?;
                        (format!("aws-sdk:{service}"), action)
                    }
                    _ => (head.to_owned(), tail),
                };
                if action.is_empty() {
                    return None;
                }
                Family::Service { resource_type, action: action.to_owned() }
            }
            _ => return None,
        };
        Some(Self { arn: arn.to_owned(), family })
    }
}
