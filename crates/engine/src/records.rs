//! Where an execution's records are. All keys begin `states`, account, region.
//!
//! `x/<execution>/` has `info`, `summary`, `root`, `frame/<id>`, `blob/<id>`, `logged` and `history/<first event>`;
//! `list/<machine>/` orders executions, newest first; `definition/` has definitions by their hash; `run/<run>/` and
//! `runs/<execution>/` are Distributed Maps'.

use std::sync::Arc;

use asl::{Frame, Outcome, Payload, Redrive, Root, Status, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::Key;

use crate::{ExecutionArn, Logging, MapRunArn};

/// What is known of an execution from outside: written when it starts and when it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub version: u8,
    pub name: String,
    pub state_machine_arn: String,
    pub state_machine_version_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_machine_alias_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Which machine of its name, by when that was made, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_created: Option<i64>,
    /// What the machine was when the execution started, beside its definition and role, as the service that has it says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Arc<RawValue>>,
    /// The definition's name among the definitions kept.
    pub definition: String,
    pub status: Status,
    pub started: Timestamp,
    pub stopped: Option<Timestamp>,
    pub output: Option<Payload>,
    pub error: Option<String>,
    pub cause: Option<String>,
    /// How many events its history had when it ended.
    #[serde(default)]
    pub events: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub redrive: Redrive,
    /// The client tokens that it was last redriven with, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redrive_tokens: Vec<(String, Timestamp)>,
}

const NAME_LASTS_MS: i64 = 90 * 24 * 60 * 60 * 1000;

fn is_default(redrive: &Redrive) -> bool {
    *redrive == Redrive::default()
}

impl Summary {
    /// Whether it is an execution of the machine of its name that was made then. Of records that do not say it, their time tells.
    pub fn is_of(&self, machine_created_ms: i64) -> bool {
        match self.machine_created {
            Some(created_ms) => created_ms == machine_created_ms,
            None => self.started.0 >= machine_created_ms,
        }
    }

    /// Its name may be another's by then. Source: API Reference, StartExecution: unique "for your AWS account, Region, and state machine for
    /// 90 days".
    pub(crate) fn gives_up_name(&self, now: Timestamp) -> bool {
        self.status != Status::Running && self.stopped.is_some_and(|at| now.0 - at.0 > NAME_LASTS_MS)
    }

    pub(crate) fn end(&mut self, at: Timestamp, outcome: &Outcome, events: u64) {
        self.status = outcome.status;
        self.stopped = Some(at);
        self.output.clone_from(&outcome.output);
        self.error.clone_from(&outcome.error);
        self.cause.clone_from(&outcome.cause);
        self.events = events;
    }
}

/// What changes while an execution runs: its root and the frame of the machine's own states, in one record since most turns change
/// both. (Version 1 of it was the root alone, with that frame among the others.)
#[derive(Debug, Deserialize)]
pub(crate) struct Running {
    pub(crate) root: Root,
    pub(crate) main: Option<Frame>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RunningRef<'a> {
    pub(crate) root: &'a Root,
    pub(crate) main: Option<&'a Frame>,
}

impl Running {
    pub(crate) fn decode(key: &Key, bytes: &[u8]) -> Result<Self, store::Error> {
        match serde_json::from_slice(bytes) {
            Ok(running) => Ok(running),
            Err(_) => Ok(Self { root: store::kv::decode(key.as_bytes(), bytes)?, main: None }),
        }
    }
}

fn base(account: &str, region: &str) -> Key {
    Key::new("states").push(account).push(region)
}

/// All that is kept of an execution, but for its place in a list.
pub(crate) fn execution(arn: &ExecutionArn) -> Key {
    base(arn.account(), arn.region()).push("x").push(arn.resource())
}

pub(crate) fn info(arn: &ExecutionArn) -> Key {
    execution(arn).push("info")
}

pub(crate) fn summary(arn: &ExecutionArn) -> Key {
    execution(arn).push("summary")
}

pub(crate) fn root(arn: &ExecutionArn) -> Key {
    execution(arn).push("root")
}

pub(crate) fn frames(arn: &ExecutionArn) -> Key {
    execution(arn).push("frame")
}

pub(crate) fn frame(arn: &ExecutionArn, id: u64) -> Key {
    frames(arn).push_u64(id)
}

pub(crate) fn blob(arn: &ExecutionArn, id: u64) -> Key {
    execution(arn).push("blob").push_u64(id)
}

pub(crate) fn histories(arn: &ExecutionArn) -> Key {
    execution(arn).push("history")
}

pub(crate) fn history(arn: &ExecutionArn, first: u64) -> Key {
    histories(arn).push_u64(first)
}

/// The last event that was written to the log.
pub(crate) fn logged(arn: &ExecutionArn) -> Key {
    execution(arn).push("logged")
}

/// The executions of a machine, newest first.
pub fn listing(account: &str, region: &str, machine: &str) -> Key {
    base(account, region).push("list").push(machine)
}

pub(crate) fn listed(arn: &ExecutionArn, started: Timestamp) -> Key {
    listing(arn.account(), arn.region(), arn.machine()).push_i64(-started.0).push(arn.resource())
}

/// The children of a Distributed Map's run are listed under the run, not under a machine.
pub(crate) fn listed_child(arn: &ExecutionArn, of: &MapRunArn, started: Timestamp) -> Key {
    listing(of.account(), of.region(), of.run()).push_i64(-started.0).push(arn.resource())
}

/// The record of a Distributed Map's run.
pub(crate) fn map_run(arn: &MapRunArn) -> Key {
    map_run_part(arn, "record")
}

/// What others leave beside it: `limits`, `stop`, `redrive`, `ended/<child>`, `running/<child>`, `output`.
pub(crate) fn map_run_part(arn: &MapRunArn, part: &str) -> Key {
    base(arn.account(), arn.region()).push("run").push(arn.run()).push(part)
}

pub(crate) fn map_run_child(arn: &MapRunArn, part: &str, index: u64) -> Key {
    map_run_part(arn, part).push_u64(index)
}

/// The runs of an execution, newest first.
pub fn map_runs_of(execution: &ExecutionArn) -> Key {
    base(execution.account(), execution.region()).push("runs").push(execution.resource())
}

pub(crate) fn definition_key(account: &str, region: &str, name: &str) -> Key {
    base(account, region).push("definition").push(name)
}

/// Definitions are kept under the hash of their text.
pub(crate) fn definition_name(text: &str) -> String {
    asl::fingerprint(text)
}
