//! What is stored of stacks, their resources, events and change sets.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Principal;
use store::Key;

pub(crate) const VERSION: u8 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StackRecord {
    pub(crate) v: u8,
    pub(crate) name: String,
    /// The ARN.
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: Option<i64>,
    pub(crate) deleted_ms: Option<i64>,
    /// What the resources were made of, as it was given.
    pub(crate) template: String,
    pub(crate) parameters: IndexMap<String, String>,
    /// The names of SSM's parameters whose values parameters have.
    #[serde(default)]
    pub(crate) fetched: IndexMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) outputs: Vec<OutputRecord>,
    pub(crate) resources: BTreeMap<String, ResourceRecord>,
    pub(crate) protected: bool,
    /// The template as it was given, where transforms have made another of it.
    #[serde(default)]
    pub(crate) original: Option<String>,
    /// The names of the other stacks' exports that this one uses.
    #[serde(default)]
    pub(crate) imports: Vec<String>,
    /// Which resources updates may touch.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    /// An update whose way back has failed, to go on with.
    #[serde(default)]
    pub(crate) stuck: Option<Operation>,
    pub(crate) change_set: Option<String>,
    /// Under way.
    pub(crate) operation: Option<Operation>,
    /// Values of NoEcho parameters, now and before: they are not shown.
    #[serde(default)]
    pub(crate) hidden: Vec<String>,
    /// Counts operations; names of resources that are made anew have it in them.
    pub(crate) operations: u32,
    /// Resources of the stack that others have taken the place of, and that an operation which failed has left: the next one that succeeds
    /// deletes them.
    #[serde(default)]
    pub(crate) superseded: Vec<(String, ResourceRecord)>,
    /// Who has begun its last operation.
    #[serde(default)]
    pub(crate) principal: Option<Principal>,
    /// The topics that hear of its events.
    #[serde(default)]
    pub(crate) notified: Vec<String>,
    /// How long its making may take.
    #[serde(default)]
    pub(crate) timeout_minutes: Option<i32>,
    /// What it was made of before the last update, as it was given: what a stack around it goes back to.
    #[serde(default)]
    pub(crate) previous: Option<String>,
    /// The alarms by which its operations go back.
    #[serde(default)]
    pub(crate) triggers: Option<Triggers>,
    /// An operation that has failed and left everything as far as it came, to be rolled back.
    #[serde(default)]
    pub(crate) failed: Option<Operation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputRecord {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResourceRecord {
    pub(crate) kind: String,
    pub(crate) physical_id: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) updated_ms: i64,
    /// Resolved, but for dynamic references. Of an update under way or failed: those that it is to have.
    pub(crate) properties: Value,
    /// Of one whose update has failed: the properties that it had before.
    #[serde(default)]
    pub(crate) settled: Option<Value>,
    /// The tags of the stack that it has; None where that was not noted yet.
    #[serde(default)]
    pub(crate) stack_tags: Option<Vec<(String, String)>>,
    /// What GetAtt answers.
    pub(crate) attributes: Value,
    pub(crate) depends_on: Vec<String>,
    pub(crate) retain: bool,
    /// Stays also where the operation that has made it is rolled back.
    #[serde(default)]
    pub(crate) retain_created: bool,
    /// Stays where another takes its place.
    #[serde(default)]
    pub(crate) retain_replaced: bool,
    /// The operation that has made it.
    pub(crate) generation: u32,
}

impl ResourceRecord {
    /// As it was before an update that failed.
    pub(crate) fn into_settled(mut self) -> Self {
        if let Some(settled) = self.settled.take() {
            self.properties = settled;
        }
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Goal {
    Create,
    Update,
    Delete,
    /// Resources that are there become the stack's.
    Import,
}

/// An operation on a stack, with what is needed to go on after a crash and to go back after a failure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) goal: Goal,
    /// The caller, with whose powers resources are made.
    pub(crate) principal: Principal,
    /// New ones, of a create or update.
    pub(crate) template: String,
    pub(crate) parameters: IndexMap<String, String>,
    /// The names of SSM's parameters whose values parameters have.
    #[serde(default)]
    pub(crate) fetched: IndexMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) phase: Phase,
    /// `ROLLBACK`, `DELETE`, `DO_NOTHING`.
    pub(crate) on_failure: String,
    /// What each touched resource was before; None: it was not there.
    pub(crate) journal: IndexMap<String, Option<ResourceRecord>>,
    /// Old resources whose replacements are in place, to be deleted at the end.
    pub(crate) superseded: Vec<(String, ResourceRecord)>,
    pub(crate) retained: Vec<String>,
    /// As in the stack.
    #[serde(default)]
    pub(crate) original: Option<String>,
    /// In the place of the stack's policy.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    /// It is to go back.
    #[serde(default)]
    pub(crate) cancelled: bool,
    /// Resources that are there and become the stack's, by their identifiers.
    #[serde(default)]
    pub(crate) adopted: BTreeMap<String, String>,
    /// When a making that is not done by then has failed.
    #[serde(default)]
    pub(crate) until_ms: Option<i64>,
    /// What it has made goes when it is rolled back, whatever its deletion policy.
    #[serde(default)]
    pub(crate) forgets_created: bool,
    /// Until when alarms are looked at, once all resources are there.
    #[serde(default)]
    pub(crate) watched_until_ms: Option<i64>,
}

/// Alarms that are looked at during an operation, and for so long after its resources are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Triggers {
    /// ARNs and types.
    pub(crate) alarms: Vec<(String, String)>,
    pub(crate) minutes: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Forward,
    Cleanup,
    Rollback,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    pub(crate) v: u8,
    pub(crate) id: String,
    pub(crate) at_ms: i64,
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) properties: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChangeSetRecord {
    pub(crate) v: u8,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) stack_id: String,
    pub(crate) stack_name: String,
    pub(crate) description: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) execution_status: String,
    pub(crate) template: String,
    #[serde(default)]
    pub(crate) original: Option<String>,
    pub(crate) parameters: IndexMap<String, String>,
    /// The names of SSM's parameters whose values parameters have.
    #[serde(default)]
    pub(crate) fetched: IndexMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) on_failure: Option<String>,
    pub(crate) changes: Vec<ChangeRecord>,
    /// `IMPORT` where it only takes in what is there.
    #[serde(default)]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) adopted: BTreeMap<String, String>,
    /// The stack's count of operations when it was made: of a stack that has changed since it tells nothing.
    #[serde(default)]
    pub(crate) operations: Option<u32>,
    #[serde(default)]
    pub(crate) notified: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) triggers: Option<Triggers>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeRecord {
    /// `Add`, `Modify`, `Remove`, `Import`.
    pub(crate) action: String,
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) kind: String,
    /// `True`, `False`, `Conditional`; of a Modify.
    pub(crate) replacement: Option<String>,
    /// The properties that differ.
    pub(crate) properties: Vec<String>,
}

/// Where things are: per account and region.
pub(crate) fn base(account: &str, region: &str, kind: &str) -> Key {
    Key::new("cloudformation").push(account).push(region).push(kind)
}
/// Live stacks by name.
pub(crate) fn stacks(account: &str, region: &str) -> Key {
    base(account, region, "stack")
}
pub(crate) fn stack(account: &str, region: &str, name: &str) -> Key {
    stacks(account, region).push(name)
}
/// Signals to a resource that one operation makes, by their ids.
pub(crate) fn signals(account: &str, region: &str, (stack_id, operation, name): (&str, u32, &str)) -> Key {
    signals_of(account, region, stack_id).push_u64(u64::from(operation)).push(name)
}
pub(crate) fn signals_of(account: &str, region: &str, stack_id: &str) -> Key {
    base(account, region, "signal").push(stack_id)
}
/// Macros by name.
pub(crate) fn macros(account: &str, region: &str) -> Key {
    base(account, region, "macro")
}
/// Deleted stacks by id.
pub(crate) fn deleted(account: &str, region: &str) -> Key {
    base(account, region, "deleted")
}
/// Events by the stack's id.
pub(crate) fn events(account: &str, region: &str, stack_id: &str) -> Key {
    base(account, region, "event").push(stack_id)
}
/// What detections of drift have found of a stack.
pub(crate) fn drifts(stack: &StackRecord) -> Key {
    base(&stack.account, &stack.region, "drifts").push(&stack.id)
}
pub(crate) fn event_counter(account: &str, region: &str, stack_id: &str) -> Key {
    base(account, region, "event-counter").push(stack_id)
}
pub(crate) fn change_sets(account: &str, region: &str, stack_id: &str) -> Key {
    base(account, region, "change-set").push(stack_id)
}
