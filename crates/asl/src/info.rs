//! What an execution is told of itself when it is started, and of its redrives: all that its context object and its machine have in common.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::time::Timestamp;

/// What never changes while an execution runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Info {
    pub execution_arn: String,
    pub name: String,
    pub role_arn: String,
    pub state_machine_arn: String,
    pub state_machine_name: String,
    pub region: String,
    pub started: Timestamp,
    pub input: Payload,
    /// The Distributed Map that started it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_run: Option<ChildOf>,
    /// Its history is also written to a log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logged: bool,
    /// The trace that it is part of and who began it there, as `traceparent` has both; of what nobody else began the latter is zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What a child execution knows of the run that it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildOf {
    pub map_run_arn: String,
    pub index: u64,
    pub items: u64,
}

/// How often an execution was redriven, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    pub count: u32,
    pub at: Option<Timestamp>,
}

impl Redrive {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
