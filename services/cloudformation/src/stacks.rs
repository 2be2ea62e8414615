//! Stacks in the store: found, changed, with their events.

use service::Cx;
use store::{Key, Tx};

use crate::Result;
use crate::records::{self, EventRecord, ResourceRecord, StackRecord, VERSION};
use crate::template::validation;

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
    let of = |stack: StackRecord| {
        let id = stack.id;
        stack.outputs.into_iter().filter_map(move |output| Some((output.export?, output.value, id.clone())))
    };
    Ok(all.into_iter().flat_map(of).collect())
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
        tx.put_json(records::deleted(&stack.account, &stack.region).push(&stack.id), stack)?;
    } else {
        tx.put_json(&live, stack)?;
    }
    Ok(())
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
    stack.reason = reason.map(str::to_owned);
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
    let properties = Some(masked(stack, record_of.properties.to_string()));
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

/// A text in JSON without the values of NoEcho parameters.
pub(crate) fn masked(stack: &StackRecord, text: String) -> String {
    stack.hidden.iter().fold(text, |text, secret| {
        // As it stands in the text.
        let quoted = serde_json::Value::from(secret.as_str()).to_string();
        text.replace(quoted.trim_matches('"'), "****")
    })
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
        reason: event.reason.map(str::to_owned),
        properties: event.properties,
    };
    tx.put_json(records::events(&stack.account, &stack.region, &stack.id).push_u64(n), &record)?;
    Ok(())
}
