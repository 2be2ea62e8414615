//! Functions over objects, and over values of any kind.

use super::Arguments;
use super::arrays::{append, callback};
use crate::eval::Machine;
use crate::failure::{Failure, Result};
use crate::value::{Members, Val, truth};

pub(super) fn boolean<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(truth(arguments.get(0))?.map_or(Val::Undefined, Val::Bool))
}

pub(super) fn not<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(truth(arguments.get(0))?.map_or(Val::Undefined, |truth| Val::Bool(!truth)))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn exists<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(Val::Bool(!arguments.get(0).is_undefined()))
}

pub(super) fn kind<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let kind = match arguments.get(0) {
        Val::Undefined => return Ok(Val::Undefined),
        Val::Null => "null",
        Val::Number(_) | Val::Long(..) => "number",
        Val::Text(_) => "string",
        Val::Bool(_) => "boolean",
        Val::Function(_) => "function",
        value if value.is_array() => "array",
        _ => "object",
    };
    machine.text(kind)
}

pub(super) fn keys<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let mut found = Members::new();
    collect_keys(machine, arguments.get(0), &mut found)?;
    machine.sequence(found.into_keys().map(Val::Text).collect())
}

fn collect_keys<'a>(machine: &mut Machine<'a>, value: &Val<'a>, found: &mut Members<'a>) -> Result<()> {
    machine.charge(1)?;
    if let Some(items) = value.items() {
        return items.iter().try_for_each(|item| collect_keys(machine, &item, found));
    }
    for (key, _) in value.members() {
        machine.charge(1)?;
        found.insert(key, Val::Null);
    }
    Ok(())
}

pub(super) fn lookup<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    match arguments.text(1) {
        Some(key) => machine.member(arguments.get(0), key),
        None => Ok(Val::Undefined),
    }
}

pub(super) fn spread<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    spread_value(machine, arguments.get(0))
}

fn spread_value<'a>(machine: &mut Machine<'a>, value: &Val<'a>) -> Result<Val<'a>> {
    machine.charge(1)?;
    if let Some(items) = value.items() {
        let mut result = Val::Undefined;
        for item in items.iter() {
            let part = spread_value(machine, &item)?;
            result = append(result, part)?;
        }
        return if result.is_undefined() { machine.sequence(Vec::new()) } else { Ok(result) };
    }
    if !value.is_object() {
        return Ok(value.clone());
    }
    let mut parts = Vec::new();
    for (key, member) in value.members() {
        machine.allocate(64)?;
        parts.push(Val::object(Members::from_iter([(key, member)]))?);
    }
    machine.sequence(parts)
}

pub(super) fn merge<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(items) = arguments.get(0).items() else { return Ok(Val::Undefined) };
    let mut merged = Members::new();
    for item in items.iter() {
        machine.charge(1 + item.member_count() / 4)?;
        merged.extend(item.members());
    }
    machine.allocate(merged.len() * 32)?;
    Val::object(merged)
}

pub(super) fn each<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (object, function) = (arguments.get(0), arguments.get(1));
    let mut results = Vec::new();
    for (key, member) in object.members() {
        let result = callback(machine, function, [member, Val::Text(key), object.clone()])?;
        if !result.is_undefined() {
            results.push(result);
        }
    }
    machine.sequence(results)
}

pub(super) fn sift<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (object, function) = (arguments.get(0), arguments.get(1));
    let mut kept = Members::new();
    for (key, member) in object.members() {
        let verdict = callback(machine, function, [member.clone(), Val::Text(key.clone()), object.clone()])?;
        if truth(&verdict)? == Some(true) {
            kept.insert(key, member);
        }
    }
    if kept.is_empty() { Ok(Val::Undefined) } else { Val::object(kept) }
}

pub(super) fn error<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let message = arguments.text(0).filter(|message| !message.is_empty());
    Err(Failure::saying("D3137", message.unwrap_or("$error() function evaluated")))
}

pub(super) fn assert<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    if matches!(arguments.get(0), Val::Bool(true)) {
        return Ok(Val::Undefined);
    }
    let message = arguments.text(1).filter(|message| !message.is_empty());
    Err(Failure::saying("D3141", message.unwrap_or("$assert() statement failed")))
}

pub(super) fn clone<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    clone_value(machine, arguments.get(0))
}

/// A copy that shares nothing with the original.
pub(crate) fn clone_value<'a>(machine: &mut Machine<'a>, value: &Val<'a>) -> Result<Val<'a>> {
    machine.charge(1)?;
    if let Some(items) = value.items() {
        let items = items.iter().map(|item| clone_value(machine, &item)).collect::<Result<Vec<_>>>()?;
        return machine.plain(items);
    }
    if value.is_object() {
        let mut members = Members::new();
        for (key, member) in value.members() {
            machine.allocate(32)?;
            let member = clone_value(machine, &member)?;
            members.insert(key, member);
        }
        return Val::object(members);
    }
    match value {
        Val::Function(_) => machine.text(""),
        other => Ok(other.clone()),
    }
}
