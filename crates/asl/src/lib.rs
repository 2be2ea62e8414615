//! The Amazon States Language, pure: definitions in, checked machines out; events in, commands out.
//!
//! There is no clock, no chance and no I/O here: time is an argument, ids are counters, randomness comes from a seed kept in the
//! machine. The same events give the same commands, so an execution can be stored after any of them and taken up by another process.
//!
//! * [`Definition`] is the typed model; [`Definition::parse`] reports what AWS reports ([`Diagnostic`]).
//! * [`Execution`] runs one: [`Execution::handle`] is the only way in.
//! * `intrinsics` are the `States.*` functions, `template` the payload templates, `expr` what stands in them: paths (crate `jsonpath`) and
//!   JSONata (crate `jsonata`).
//! * [`MapRun`] is the run of a Distributed Map: a machine of its own, beside the execution whose Map it is.
//!
//! Not here: the integrations, the reading of items and the writing of results, the store.

mod check;
mod choice;
mod context;
mod definition;
mod diagnostic;
mod expr;
#[cfg(test)]
mod fuzz;
mod history;
#[cfg(test)]
mod hostile;
mod info;
mod intrinsics;
mod json;
mod machine;
mod parse;
mod payload;
mod random;
mod settings;
mod shard;
mod template;
mod time;
mod value;
mod warnings;

pub use definition::{Calls, Definition, MachineType, StateType};
pub use diagnostic::{Diagnostic, Severity};
pub use history::{Details, HistoryEvent, TaskOf};
pub use info::{ChildOf, Info, Redrive};
pub use json::{fingerprint, json_problem};
pub use machine::distributed::{
    Child, Counts, Item, ItemEvaluator, Limits, MAX_CHILDREN_AT_ONCE, MapRun, NotRedrivable, ObjectPlace, Place,
    Progress, RedriveOrder, RunEnded, RunFailure, Waiting,
};
pub use machine::{Command, Dirty, Event, Execution, Frame, Outcome, Root, StartTask, Status, TaskId, TimerId};
pub use machine::{Inspection, Pending, StateTest, TestSetup, TestStatus, Tested, TestedState};
pub use payload::Payload;
pub use settings::{
    Batcher, CsvHeaderLocation, Export, InputType, ManifestType, Reader, ReaderConfig, ReaderSource,
    ReaderTransformation, Writer, WriterTransformation,
};
pub use shard::shard_key;
pub use time::Timestamp;
pub use warnings::warnings;

/// The largest payload that passes between states, in bytes of UTF-8.
pub const MAX_PAYLOAD_BYTES: usize = 262_144;
/// What the variables that a state can see may take together.
const MAX_VARIABLES_BYTES: usize = 10_485_760;
/// The events that a history can have; the last can only be an end.
const MAX_EVENTS: u64 = 25_000;
