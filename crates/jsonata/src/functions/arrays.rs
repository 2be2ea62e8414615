//! Functions over arrays.

use super::Arguments;
use crate::apply::arity;
use crate::eval::Machine;
use crate::failure::{Failure, Result};
use crate::value::{Items, Val, same, truth};

/// Calls a callback with as many of the arguments as it wants; the first always.
pub(super) fn callback<'a>(machine: &mut Machine<'a>, function: &Val<'a>, values: [Val<'a>; 3]) -> Result<Val<'a>> {
    let wanted = arity(function).clamp(1, 3);
    machine.apply(function, values.into_iter().take(wanted).collect(), &Val::Null)
}

/// Both as one array.
pub(crate) fn append<'a>(first: Val<'a>, second: Val<'a>) -> Result<Val<'a>> {
    if first.is_undefined() {
        return Ok(second);
    }
    if second.is_undefined() {
        return Ok(first);
    }
    let mut items = first.into_items();
    items.extend(second.into_items());
    Val::plain(items)
}

pub(super) fn append_values<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let joined = append(arguments.get(0).clone(), arguments.get(1).clone())?;
    let length = joined.items().map_or(0, Items::len);
    machine.allocate(length * 8)?;
    machine.charge(length / 8)?;
    Ok(joined)
}

pub(super) fn map<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (array, function) = (arguments.get(0), arguments.get(1));
    let Some(items) = array.items() else { return Ok(Val::Undefined) };
    let mut results = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let result = callback(machine, function, [item, Val::count(index), array.clone()])?;
        if !result.is_undefined() {
            results.push(result);
        }
    }
    machine.sequence(results)
}

pub(super) fn filter<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (array, function) = (arguments.get(0), arguments.get(1));
    let Some(items) = array.items() else { return Ok(Val::Undefined) };
    let mut results = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let verdict = callback(machine, function, [item.clone(), Val::count(index), array.clone()])?;
        if truth(&verdict)? == Some(true) {
            results.push(item);
        }
    }
    machine.sequence(results)
}

pub(super) fn single<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (array, function) = (arguments.get(0), arguments.get(1));
    let Some(items) = array.items() else { return Ok(Val::Undefined) };
    let mut found = None;
    for (index, item) in items.iter().enumerate() {
        let fits = function.is_undefined() || {
            let verdict = callback(machine, function, [item.clone(), Val::count(index), array.clone()])?;
            truth(&verdict)? == Some(true)
        };
        if fits {
            if found.is_some() {
                return Err(Failure::new("D3138"));
            }
            found = Some(item);
        }
    }
    found.ok_or_else(|| Failure::new("D3139"))
}

pub(super) fn reduce<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (array, function) = (arguments.get(0), arguments.get(1));
    let Some(items) = array.items() else { return Ok(Val::Undefined) };
    let wanted = arity(function);
    if wanted < 2 {
        return Err(Failure::new("D3050").with_index(1));
    }
    let mut result = arguments.get(2).clone();
    let mut from = 0;
    if result.is_undefined() && items.len() > 0 {
        result = items.get(0).unwrap_or(Val::Undefined);
        from = 1;
    }
    for index in from..items.len() {
        let item = items.get(index).unwrap_or(Val::Undefined);
        let values = [result, item, Val::count(index), array.clone()];
        result = machine.apply(function, values.into_iter().take(wanted.min(4)).collect(), &Val::Null)?;
    }
    Ok(result)
}

pub(super) fn zip<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let arrays = arguments.all();
    let length = arrays.iter().map(|array| array.items().map_or(0, Items::len)).min().unwrap_or(0);
    let mut tuples = Vec::with_capacity(length);
    for index in 0..length {
        let tuple = arrays.iter().filter_map(|array| array.items().and_then(|items| items.get(index))).collect();
        machine.charge(1)?;
        tuples.push(machine.plain(tuple)?);
    }
    machine.plain(tuples)
}

pub(super) fn reverse<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let array = arguments.get(0);
    match array.items() {
        Some(items) if items.len() > 1 => {
            machine.charge(items.len() / 8)?;
            let mut reversed: Vec<_> = items.iter().collect();
            reversed.reverse();
            machine.plain(reversed)
        }
        _ => Ok(array.clone()),
    }
}

pub(super) fn sort<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (array, comparator) = (arguments.get(0), arguments.get(1));
    let Some(items) = array.items() else { return Ok(Val::Undefined) };
    if items.len() <= 1 {
        return Ok(array.clone());
    }
    let items: Vec<Val<'a>> = items.iter().collect();
    let sorted = if comparator.is_undefined() {
        let numbers = items.iter().all(|item| item.as_number().is_some());
        let texts = items.iter().all(|item| item.as_str().is_some());
        if !numbers && !texts {
            return Err(Failure::new("D3070").with_index(1));
        }
        machine.merge_sort(items, &mut |machine, left, right| {
            machine.charge(1)?;
            Ok(match (left, right) {
                (Val::Number(left) | Val::Long(left, _), Val::Number(right) | Val::Long(right, _)) => left > right,
                (Val::Text(left), Val::Text(right)) => left > right,
                _ => false,
            })
        })?
    } else {
        machine.merge_sort(items, &mut |machine, left, right| {
            let verdict = machine.apply(comparator, vec![left.clone(), right.clone()], &Val::Null)?;
            Ok(truth(&verdict)? == Some(true))
        })?
    };
    machine.plain(sorted)
}

pub(super) fn shuffle<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let array = arguments.get(0);
    let Some(items) = array.items() else { return Ok(Val::Undefined) };
    if items.len() <= 1 {
        return Ok(array.clone());
    }
    machine.charge(items.len() / 8)?;
    let mut shuffled: Vec<Val<'a>> = items.iter().collect();
    for last in (1..shuffled.len()).rev() {
        let other = machine.environment.random.borrow_mut().next() % (last as u64 + 1);
        shuffled.swap(last, usize::try_from(other).unwrap_or(last));
    }
    machine.plain(shuffled)
}

pub(super) fn distinct<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let array = arguments.get(0);
    let items = match array.items() {
        Some(items) if items.len() > 1 => items,
        _ => return Ok(array.clone()),
    };
    let mut found: Vec<Val<'a>> = Vec::new();
    for item in items.iter() {
        let mut known = false;
        for other in &found {
            if same(&item, other, &mut machine.fuel)? {
                known = true;
                break;
            }
        }
        if !known {
            found.push(item);
        }
    }
    if array.is_sequence() { machine.sequence(found) } else { machine.plain(found) }
}
