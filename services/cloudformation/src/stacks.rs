//! Stacks in the store: found, changed, with their events.

use std::collections::BTreeMap;

use serde_json::Value;
use service::Cx;
use store::{Key, Tx};

use crate::records::{self, EventRecord, OutputRecord, ResourceRecord, StackRecord, VERSION};
use crate::template::{Template, validation};
use crate::{Result, notify, parameters};

/// A stack by name or id; deleted ones by id only.
pub(crate) fn find(tx: &mut Tx<'_>, (account, region): (&str, &str), name: &str) -> Result<Option<StackRecord>> {
    if !name.starts_with("arn:") {
        return Ok(tx.get_json(records::stack(account, region, name))?);
    }
    let short = name.split('/').nth(1).unwrap_or_default();
    if let Some(record) = tx.get_json::<StackRecord>(records::stack(account, region, short))?
        && record.id == name
    {
        return Ok(Some(record));
    }
    Ok(tx.get_json(records::deleted(account, region).push(name))?)
}

/// A stack that is there, or CloudFormation's error.
pub(crate) fn require(tx: &mut Tx<'_>, cx: &StackScope, name: &str) -> Result<StackRecord> {
    find(tx, (&cx.account, &cx.region), name)?.ok_or_else(|| validation(format!("Stack with id {name} does not exist")))
}

/// Account and region of a call, to be moved into a transaction.
#[derive(Clone, Debug)]
pub(crate) struct StackScope {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) now_ms: i64,
}

impl StackScope {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned(), now_ms: cx.now().as_millisecond() }
    }
}

/// The exports of all stacks that are there: name, value, whose.
pub(crate) fn exports(tx: &mut Tx<'_>, account: &str, region: &str) -> Result<Vec<(String, String, String)>> {
    let all: Vec<StackRecord> = tx.list_json(records::stacks(account, region), usize::MAX)?;
    Ok(exported(all))
}

/// Those that can be imported: of stacks that are not being deleted.
pub(crate) fn importable(tx: &mut Tx<'_>, account: &str, region: &str) -> Result<BTreeMap<String, String>> {
    let mut all: Vec<StackRecord> = tx.list_json(records::stacks(account, region), usize::MAX)?;
    all.retain(|stack| !stack.status.starts_with("DELETE_IN"));
    Ok(exported(all).into_iter().map(|(name, value, _)| (name, value)).collect())
}

fn exported(all: Vec<StackRecord>) -> Vec<(String, String, String)> {
    let of = |stack: StackRecord| {
        let id = stack.id;
        stack.outputs.into_iter().filter_map(move |output| Some((output.export?, output.value, id.clone())))
    };
    all.into_iter().flat_map(of).collect()
}

/// Why the stack cannot export what its outputs are to be.
pub(crate) fn exports_refused(
    tx: &mut Tx<'_>,
    stack: &StackRecord,
    outputs: &[OutputRecord],
) -> Result<Option<String>> {
    let new: Vec<(String, String)> =
        outputs.iter().filter_map(|o| Some((o.export.clone()?, o.value.clone()))).collect();
    for (name, _, whose) in exports(tx, &stack.account, &stack.region)? {
        if whose != stack.id && new.iter().any(|(own, _)| *own == name) {
            let short = whose.split('/').nth(1).unwrap_or_default();
            return Ok(Some(format!("Export with name {name} is already exported by stack {short}. ")));
        }
    }
    Ok(in_use(tx, stack, &new)?.map(|reason| format!("Cannot update {reason}")))
}

/// Why the stack's exports cannot go or change, `kept` apart: `export x as it is in use by a and b`.
pub(crate) fn in_use(tx: &mut Tx<'_>, stack: &StackRecord, kept: &[(String, String)]) -> Result<Option<String>> {
    let gone: Vec<&String> = stack
        .outputs
        .iter()
        .filter_map(|output| Some((output.export.as_ref()?, &output.value)))
        .filter(|(name, value)| !kept.iter().any(|(kept, same)| kept == *name && same == *value))
        .map(|(name, _)| name)
        .collect();
    if gone.is_empty() {
        return Ok(None);
    }
    let all: Vec<StackRecord> = tx.list_json(records::stacks(&stack.account, &stack.region), usize::MAX)?;
    for name in gone {
        let users: Vec<&str> = all
            .iter()
            .filter(|other| other.id != stack.id && other.imports.contains(name))
            .map(|other| other.name.as_str())
            .collect();
        if !users.is_empty() {
            return Ok(Some(format!("export {name} as it is in use by {}", users.join(" and "))));
        }
    }
    Ok(None)
}

/// Stores a stack where its state says: under its name, or among the deleted.
pub(crate) fn save(tx: &mut Tx<'_>, stack: &StackRecord) -> Result<()> {
    let live: Key = records::stack(&stack.account, &stack.region, &stack.name);
    if stack.status == "DELETE_COMPLETE" {
        tx.delete(&live)?;
        tx.delete(records::drifts(stack))?;
        tx.put_json(records::deleted(&stack.account, &stack.region).push(&stack.id), &remembered(stack))?;
    } else {
        tx.put_json(&live, stack)?;
    }
    Ok(())
}

/// What stays known of a deleted stack: nothing of what its resources were made with, and no hidden values.
fn remembered(stack: &StackRecord) -> StackRecord {
    let mut stack = stack.clone();
    let template = Template::parse(&stack.template).unwrap_or_default();
    for (name, value) in &mut stack.parameters {
        if template.parameters.get(name).is_some_and(parameters::no_echo) {
            "****".clone_into(value);
        }
    }
    for record in stack.resources.values_mut() {
        (record.properties, record.settled, record.attributes) = (Value::Null, None, Value::Null);
    }
    (stack.hidden, stack.previous, stack.stuck) = (Vec::new(), None, None);
    stack
}

/// A text without the stack's hidden values.
pub(crate) fn shown(stack: &StackRecord, text: String) -> String {
    // As it stands in the text, which may be JSON.
    stack.hidden.iter().fold(text, |text, secret| {
        let quoted = Value::from(secret.as_str()).to_string();
        text.replace(quoted.trim_matches('"'), "****").replace(secret.as_str(), "****")
    })
}

/// Sets the stack's status, with its event.
pub(crate) fn set_status(
    tx: &mut Tx<'_>,
    stack: &mut StackRecord,
    now_ms: i64,
    status: &str,
    reason: Option<&str>,
) -> Result<()> {
    status.clone_into(&mut stack.status);
    stack.reason = reason.map(|reason| shown(stack, reason.to_owned()));
    let event = Event {
        logical_id: &stack.name.clone(),
        physical_id: &stack.id.clone(),
        kind: "AWS::CloudFormation::Stack",
        status,
        reason,
        properties: None,
    };
    record(tx, stack, now_ms, event)
}

pub(crate) struct Event<'a> {
    pub(crate) logical_id: &'a str,
    pub(crate) physical_id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) properties: Option<String>,
}

/// Sets a resource's status, with its event.
pub(crate) fn set_resource(
    tx: &mut Tx<'_>,
    stack: &mut StackRecord,
    now_ms: i64,
    logical_id: &str,
    record_of: ResourceRecord,
) -> Result<()> {
    let record_of = ResourceRecord { reason: record_of.reason.map(|reason| shown(stack, reason)), ..record_of };
    let properties = Some(shown(stack, record_of.properties.to_string()));
    let event = Event {
        logical_id,
        physical_id: &record_of.physical_id,
        kind: &record_of.kind,
        status: &record_of.status,
        reason: record_of.reason.as_deref(),
        properties,
    };
    record(tx, stack, now_ms, event)?;
    stack.resources.insert(logical_id.to_owned(), record_of);
    Ok(())
}

pub(crate) fn record(tx: &mut Tx<'_>, stack: &StackRecord, now_ms: i64, event: Event<'_>) -> Result<()> {
    let n = tx.next_number(records::event_counter(&stack.account, &stack.region, &stack.id))?;
    let tail = stack.id.rsplit('/').next().unwrap_or_default();
    let record = EventRecord {
        v: VERSION,
        id: format!("{}-{}-{n:08}-{tail}", event.logical_id, event.status),
        at_ms: now_ms,
        logical_id: event.logical_id.to_owned(),
        physical_id: event.physical_id.to_owned(),
        kind: event.kind.to_owned(),
        status: event.status.to_owned(),
        reason: event.reason.map(|reason| shown(stack, reason.to_owned())),
        properties: event.properties,
    };
    tx.put_json(records::events(&stack.account, &stack.region, &stack.id).push_u64(n), &record)?;
    notify::tell(tx, stack, n, &record)
}
