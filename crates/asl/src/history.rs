//! The history of an execution, event by event as `GetExecutionHistory` shows it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::definition::StateType;
use crate::payload::Payload;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEvent {
    pub id: u64,
    #[serde(rename = "prev")]
    pub previous_event_id: u64,
    pub at: Timestamp,
    pub details: Details,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Details {
    ExecutionStarted {
        input: Payload,
        role_arn: String,
    },
    ExecutionSucceeded {
        output: Payload,
    },
    ExecutionFailed {
        error: Option<String>,
        cause: Option<String>,
    },
    ExecutionAborted {
        error: Option<String>,
        cause: Option<String>,
    },
    ExecutionTimedOut,
    ExecutionRedriven {
        count: u32,
    },
    EvaluationFailed {
        state: String,
        error: Option<String>,
        cause: Option<String>,
        location: Option<String>,
    },
    StateEntered {
        kind: StateType,
        name: String,
        input: Payload,
    },
    StateExited {
        kind: StateType,
        name: String,
        output: Payload,
        assigned: IndexMap<String, String>,
    },
    StateAborted {
        kind: StateType,
    },
    MapStateStarted {
        length: u64,
    },
    MapStateSucceeded,
    MapStateFailed,
    MapIterationStarted {
        name: String,
        index: u64,
    },
    MapIterationSucceeded {
        name: String,
        index: u64,
    },
    MapIterationFailed {
        name: String,
        index: u64,
    },
    MapIterationAborted {
        name: String,
        index: u64,
    },
    MapRunStarted {
        arn: String,
    },
    MapRunSucceeded,
    MapRunFailed {
        error: Option<String>,
        cause: Option<String>,
    },
    MapRunAborted,
    MapRunRedriven {
        arn: String,
        count: u32,
    },
    ParallelStateStarted,
    ParallelStateSucceeded,
    ParallelStateFailed,
    LambdaFunctionScheduled {
        resource: String,
        input: Payload,
        timeout: Option<u64>,
    },
    LambdaFunctionStarted,
    LambdaFunctionSucceeded {
        output: Payload,
    },
    LambdaFunctionFailed {
        error: Option<String>,
        cause: Option<String>,
    },
    LambdaFunctionTimedOut {
        error: Option<String>,
        cause: Option<String>,
    },
    ActivityScheduled {
        resource: String,
        input: Payload,
        timeout: Option<u64>,
        heartbeat: Option<u64>,
    },
    ActivityStarted {
        worker_name: Option<String>,
    },
    ActivitySucceeded {
        output: Payload,
    },
    ActivityFailed {
        error: Option<String>,
        cause: Option<String>,
    },
    ActivityTimedOut {
        error: Option<String>,
        cause: Option<String>,
        /// For want of a heartbeat, which has no other name.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        heartbeat: bool,
    },
    TaskScheduled {
        of: TaskOf,
        region: String,
        parameters: Payload,
        timeout: Option<u64>,
        heartbeat: Option<u64>,
        role_arn: Option<String>,
    },
    TaskStarted {
        of: TaskOf,
    },
    TaskSubmitted {
        of: TaskOf,
        output: Payload,
    },
    TaskSucceeded {
        of: TaskOf,
        output: Payload,
    },
    TaskFailed {
        of: TaskOf,
        error: Option<String>,
        cause: Option<String>,
    },
    TaskTimedOut {
        of: TaskOf,
        error: Option<String>,
        cause: Option<String>,
    },
}

/// Which integration a task event is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskOf {
    pub resource_type: String,
    pub resource: String,
}

impl HistoryEvent {
    /// The payloads that the event refers to.
    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match &mut self.details {
            Details::ExecutionStarted { input, .. }
            | Details::StateEntered { input, .. }
            | Details::LambdaFunctionScheduled { input, .. }
            | Details::ActivityScheduled { input, .. } => Some(input),
            Details::ExecutionSucceeded { output }
            | Details::StateExited { output, .. }
            | Details::LambdaFunctionSucceeded { output }
            | Details::ActivitySucceeded { output }
            | Details::TaskSubmitted { output, .. }
            | Details::TaskSucceeded { output, .. } => Some(output),
            Details::TaskScheduled { parameters, .. } => Some(parameters),
            _ => None,
        }
    }

    /// `PassStateEntered`, `TaskScheduled`, …
    pub fn type_name(&self) -> String {
        self.details.type_name()
    }

    /// The model's HistoryEvent, with texts left out when `with_data` is false.
    pub fn to_json(&self, with_data: bool) -> Value {
        let mut event = Map::new();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit a double")]
        event.insert("timestamp".to_owned(), json!(self.at.0 as f64 / 1000.0));
        event.insert("type".to_owned(), Value::String(self.type_name()));
        event.insert("id".to_owned(), json!(self.id));
        event.insert("previousEventId".to_owned(), json!(self.previous_event_id));
        if let Some((member, details)) = self.details.to_json(with_data) {
            event.insert(member.to_owned(), Value::Object(details));
        }
        Value::Object(event)
    }
}

impl Details {
    /// True of the events that end an execution.
    pub(crate) fn is_end(&self) -> bool {
        matches!(
            self,
            Self::ExecutionSucceeded { .. }
                | Self::ExecutionFailed { .. }
                | Self::ExecutionAborted { .. }
                | Self::ExecutionTimedOut
        )
    }

    fn type_name(&self) -> String {
        match self {
            Self::StateEntered { kind, .. } => format!("{}StateEntered", kind.name()),
            Self::StateExited { kind, .. } => format!("{}StateExited", kind.name()),
            Self::StateAborted { kind } => format!("{}StateAborted", kind.name()),
            Self::ExecutionStarted { .. } => "ExecutionStarted".to_owned(),
            Self::ExecutionSucceeded { .. } => "ExecutionSucceeded".to_owned(),
            Self::ExecutionFailed { .. } => "ExecutionFailed".to_owned(),
            Self::ExecutionAborted { .. } => "ExecutionAborted".to_owned(),
            Self::ExecutionTimedOut => "ExecutionTimedOut".to_owned(),
            Self::ExecutionRedriven { .. } => "ExecutionRedriven".to_owned(),
            Self::EvaluationFailed { .. } => "EvaluationFailed".to_owned(),
            Self::MapStateStarted { .. } => "MapStateStarted".to_owned(),
            Self::MapStateSucceeded => "MapStateSucceeded".to_owned(),
            Self::MapStateFailed => "MapStateFailed".to_owned(),
            Self::MapIterationStarted { .. } => "MapIterationStarted".to_owned(),
            Self::MapIterationSucceeded { .. } => "MapIterationSucceeded".to_owned(),
            Self::MapIterationFailed { .. } => "MapIterationFailed".to_owned(),
            Self::MapIterationAborted { .. } => "MapIterationAborted".to_owned(),
            Self::MapRunStarted { .. } => "MapRunStarted".to_owned(),
            Self::MapRunSucceeded => "MapRunSucceeded".to_owned(),
            Self::MapRunFailed { .. } => "MapRunFailed".to_owned(),
            Self::MapRunAborted => "MapRunAborted".to_owned(),
            Self::MapRunRedriven { .. } => "MapRunRedriven".to_owned(),
            Self::ParallelStateStarted => "ParallelStateStarted".to_owned(),
            Self::ParallelStateSucceeded => "ParallelStateSucceeded".to_owned(),
            Self::ParallelStateFailed => "ParallelStateFailed".to_owned(),
            Self::LambdaFunctionScheduled { .. } => "LambdaFunctionScheduled".to_owned(),
            Self::LambdaFunctionStarted => "LambdaFunctionStarted".to_owned(),
            Self::LambdaFunctionSucceeded { .. } => "LambdaFunctionSucceeded".to_owned(),
            Self::LambdaFunctionFailed { .. } => "LambdaFunctionFailed".to_owned(),
            Self::LambdaFunctionTimedOut { .. } => "LambdaFunctionTimedOut".to_owned(),
            Self::ActivityScheduled { .. } => "ActivityScheduled".to_owned(),
            Self::ActivityStarted { .. } => "ActivityStarted".to_owned(),
            Self::ActivitySucceeded { .. } => "ActivitySucceeded".to_owned(),
            Self::ActivityFailed { .. } => "ActivityFailed".to_owned(),
            Self::ActivityTimedOut { .. } => "ActivityTimedOut".to_owned(),
            Self::TaskScheduled { .. } => "TaskScheduled".to_owned(),
            Self::TaskStarted { .. } => "TaskStarted".to_owned(),
            Self::TaskSubmitted { .. } => "TaskSubmitted".to_owned(),
            Self::TaskSucceeded { .. } => "TaskSucceeded".to_owned(),
            Self::TaskFailed { .. } => "TaskFailed".to_owned(),
            Self::TaskTimedOut { .. } => "TaskTimedOut".to_owned(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    fn to_json(&self, with_data: bool) -> Option<(&'static str, Map<String, Value>)> {
        let mut fields = Fields { with_data, map: Map::new() };
        let member = match self {
            Self::ExecutionStarted { input, role_arn } => {
                fields.data("input", input);
                fields.text("roleArn", role_arn);
                "executionStartedEventDetails"
            }
            Self::ExecutionSucceeded { output } => {
                fields.data("output", output);
                "executionSucceededEventDetails"
            }
            Self::ExecutionFailed { error, cause } => {
                fields.failure(error.as_ref(), cause.as_ref());
                "executionFailedEventDetails"
            }
            Self::ExecutionAborted { error, cause } => {
                fields.failure(error.as_ref(), cause.as_ref());
                "executionAbortedEventDetails"
            }
            Self::ExecutionTimedOut => "executionTimedOutEventDetails",
            Self::ExecutionRedriven { count } => {
                fields.map.insert("redriveCount".to_owned(), json!(count));
                "executionRedrivenEventDetails"
            }
            Self::EvaluationFailed { state, error, cause, location } => {
                fields.failure(error.as_ref(), cause.as_ref());
                if let Some(location) = location {
                    fields.text("location", location);
                }
                fields.text("state", state);
                "evaluationFailedEventDetails"
            }
            Self::StateEntered { name, input, .. } => {
                fields.text("name", name);
                fields.data("input", input);
                "stateEnteredEventDetails"
            }
            Self::StateExited { name, output, assigned, .. } => {
                fields.text("name", name);
                fields.data("output", output);
                if !assigned.is_empty() {
                    fields.map.insert("assignedVariables".to_owned(), json!(assigned));
                    fields.map.insert("assignedVariablesDetails".to_owned(), json!({"truncated": false}));
                }
                "stateExitedEventDetails"
            }
            Self::MapStateStarted { length } => {
                fields.map.insert("length".to_owned(), json!(length));
                "mapStateStartedEventDetails"
            }
            Self::MapIterationStarted { name, index } => {
                fields.iteration(name, *index, "mapIterationStartedEventDetails")
            }
            Self::MapIterationSucceeded { name, index } => {
                fields.iteration(name, *index, "mapIterationSucceededEventDetails")
            }
            Self::MapIterationFailed { name, index } => {
                fields.iteration(name, *index, "mapIterationFailedEventDetails")
            }
            Self::MapIterationAborted { name, index } => {
                fields.iteration(name, *index, "mapIterationAbortedEventDetails")
            }
            Self::MapRunStarted { arn } => {
                fields.text("mapRunArn", arn);
                "mapRunStartedEventDetails"
            }
            Self::MapRunFailed { error, cause } => {
                fields.failure(error.as_ref(), cause.as_ref());
                "mapRunFailedEventDetails"
            }
            Self::MapRunRedriven { arn, count } => {
                fields.text("mapRunArn", arn);
                fields.map.insert("redriveCount".to_owned(), json!(count));
                "mapRunRedrivenEventDetails"
            }
            Self::LambdaFunctionScheduled { resource, input, timeout } => {
                fields.text("resource", resource);
                fields.data("input", input);
                fields.amount("timeoutInSeconds", *timeout);
                "lambdaFunctionScheduledEventDetails"
            }
            Self::LambdaFunctionSucceeded { output } => {
                fields.data("output", output);
                "lambdaFunctionSucceededEventDetails"
            }
            Self::LambdaFunctionFailed { error, cause } => {
                fields.failure(error.as_ref(), cause.as_ref());
                "lambdaFunctionFailedEventDetails"
            }
            Self::LambdaFunctionTimedOut { error, cause } => {
                fields.failure(error.as_ref(), cause.as_ref());
                "lambdaFunctionTimedOutEventDetails"
            }
            Self::ActivityScheduled { resource, input, timeout, heartbeat } => {
                fields.text("resource", resource);
                fields.data("input", input);
                fields.amount("timeoutInSeconds", *timeout);
                fields.amount("heartbeatInSeconds", *heartbeat);
                "activityScheduledEventDetails"
            }
            Self::ActivityStarted { worker_name } => {
                if let Some(name) = worker_name {
                    fields.text("workerName", name);
                }
                "activityStartedEventDetails"
            }
            Self::ActivitySucceeded { output } => {
                fields.data("output", output);
                "activitySucceededEventDetails"
            }
            Self::ActivityFailed { error, cause } => {
                fields.failure(error.as_ref(), cause.as_ref());
                "activityFailedEventDetails"
            }
            Self::ActivityTimedOut { error, cause, .. } => {
                fields.failure(error.as_ref(), cause.as_ref());
                "activityTimedOutEventDetails"
            }
            Self::TaskScheduled { of, region, parameters, timeout, heartbeat, role_arn } => {
                fields.of(of);
                fields.text("region", region);
                if with_data {
                    fields.text("parameters", parameters.text());
                }
                fields.amount("timeoutInSeconds", *timeout);
                fields.amount("heartbeatInSeconds", *heartbeat);
                if let Some(role_arn) = role_arn {
                    fields.map.insert("taskCredentials".to_owned(), json!({"roleArn": role_arn}));
                }
                "taskScheduledEventDetails"
            }
            Self::TaskStarted { of } => {
                fields.of(of);
                "taskStartedEventDetails"
            }
            Self::TaskSubmitted { of, output } => {
                fields.of(of);
                fields.data("output", output);
                "taskSubmittedEventDetails"
            }
            Self::TaskSucceeded { of, output } => {
                fields.of(of);
                fields.data("output", output);
                "taskSucceededEventDetails"
            }
            Self::TaskFailed { of, error, cause } => {
                fields.of(of);
                fields.failure(error.as_ref(), cause.as_ref());
                "taskFailedEventDetails"
            }
            Self::TaskTimedOut { of, error, cause } => {
                fields.of(of);
                fields.failure(error.as_ref(), cause.as_ref());
                "taskTimedOutEventDetails"
            }
            Self::StateAborted { .. }
            | Self::MapStateSucceeded
            | Self::MapStateFailed
            | Self::MapRunSucceeded
            | Self::MapRunAborted
            | Self::ParallelStateStarted
            | Self::ParallelStateSucceeded
            | Self::ParallelStateFailed
            | Self::LambdaFunctionStarted => return None,
        };
        Some((member, fields.map))
    }
}

struct Fields {
    with_data: bool,
    map: Map<String, Value>,
}

impl Fields {
    fn text(&mut self, name: &str, text: &str) {
        self.map.insert(name.to_owned(), Value::String(text.to_owned()));
    }

    fn data(&mut self, name: &str, payload: &Payload) {
        if self.with_data {
            self.text(name, payload.text());
            self.map.insert(format!("{name}Details"), json!({"truncated": false}));
        }
    }

    fn amount(&mut self, name: &str, amount: Option<u64>) {
        if let Some(amount) = amount {
            self.map.insert(name.to_owned(), json!(amount));
        }
    }

    fn failure(&mut self, error: Option<&String>, cause: Option<&String>) {
        if let Some(error) = error {
            self.text("error", error);
        }
        if let Some(cause) = cause.filter(|_| self.with_data) {
            self.text("cause", cause);
        }
    }

    fn of(&mut self, of: &TaskOf) {
        self.text("resourceType", &of.resource_type);
        self.text("resource", &of.resource);
    }

    fn iteration(&mut self, name: &str, index: u64, member: &'static str) -> &'static str {
        self.text("name", name);
        self.map.insert("index".to_owned(), json!(index));
        member
    }
}
