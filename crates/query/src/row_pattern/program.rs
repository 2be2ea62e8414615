//! A pattern as instructions of a machine that prefers the first of two ways.

use super::{Label, Pattern};
use crate::error::{Error, Result};

/// Instructions that a pattern may become: `(A{100}){100}` is as long as it reads.
const LONGEST: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The next row is one of the variable.
    Label(Label),
    Start,
    End,
    /// The first way, then the other.
    Split(usize, usize),
    Jump(usize),
    Hide,
    Unhide,
    Done,
}

/// # Errors
/// When the pattern is too long.
pub(crate) fn compile(pattern: &Pattern) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    emit(pattern, &mut ops)?;
    push(&mut ops, Op::Done)?;
    Ok(ops)
}

fn push(ops: &mut Vec<Op>, op: Op) -> Result<usize> {
    if ops.len() >= LONGEST {
        return Err(Error::not_supported("a row pattern of so many parts and repetitions"));
    }
    ops.push(op);
    Ok(ops.len() - 1)
}

fn emit(pattern: &Pattern, ops: &mut Vec<Op>) -> Result<()> {
    match pattern {
        Pattern::Empty => {}
        Pattern::Label(label) => drop(push(ops, Op::Label(*label))?),
        Pattern::Start => drop(push(ops, Op::Start)?),
        Pattern::End => drop(push(ops, Op::End)?),
        Pattern::Concat(all) => all.iter().try_for_each(|one| emit(one, ops))?,
        Pattern::Or(all) => alternatives(&all.iter().map(|one| vec![one]).collect::<Vec<_>>(), ops)?,
        Pattern::Permute(all) => {
            let mut orders = Vec::new();
            permutations(&mut Vec::new(), &mut vec![false; all.len()], all, &mut orders)?;
            alternatives(&orders, ops)?;
        }
        Pattern::Exclude(inner) => {
            push(ops, Op::Hide)?;
            emit(inner, ops)?;
            push(ops, Op::Unhide)?;
        }
        Pattern::Repeat { inner, min, max, reluctant } => repeat(inner, (*min, *max), *reluctant, ops)?,
    }
    Ok(())
}

fn alternatives(all: &[Vec<&Pattern>], ops: &mut Vec<Op>) -> Result<()> {
    let mut jumps = Vec::new();
    for (i, parts) in all.iter().enumerate() {
        let is_last = i + 1 == all.len();
        let split = if is_last { None } else { Some(push(ops, Op::Split(0, 0))?) };
        parts.iter().try_for_each(|one| emit(one, ops))?;
        if let Some(split) = split {
            jumps.push(push(ops, Op::Jump(0))?);
            ops[split] = Op::Split(split + 1, ops.len());
        }
    }
    let end = ops.len();
    for jump in jumps {
        ops[jump] = Op::Jump(end);
    }
    Ok(())
}

/// Orders of the parts, those that begin as the text does first.
fn permutations<'a>(
    begun: &mut Vec<&'a Pattern>,
    used: &mut [bool],
    all: &'a [Pattern],
    orders: &mut Vec<Vec<&'a Pattern>>,
) -> Result<()> {
    if begun.len() == all.len() {
        if orders.len() * all.len() >= LONGEST {
            return Err(Error::not_supported("PERMUTE of so many parts"));
        }
        orders.push(begun.clone());
        return Ok(());
    }
    for (i, part) in all.iter().enumerate() {
        if !used[i] {
            used[i] = true;
            begun.push(part);
            permutations(begun, used, all, orders)?;
            begun.pop();
            used[i] = false;
        }
    }
    Ok(())
}

fn split(first: usize, other: usize, reluctant: bool) -> Op {
    if reluctant { Op::Split(other, first) } else { Op::Split(first, other) }
}

fn repeat(inner: &Pattern, (min, max): (u32, Option<u32>), reluctant: bool, ops: &mut Vec<Op>) -> Result<()> {
    for _ in 0..min {
        emit(inner, ops)?;
    }
    let Some(max) = max else {
        let at = push(ops, Op::Split(0, 0))?;
        emit(inner, ops)?;
        push(ops, Op::Jump(at))?;
        ops[at] = split(at + 1, ops.len(), reluctant);
        return Ok(());
    };
    let mut splits = Vec::new();
    for _ in min..max {
        splits.push(push(ops, Op::Split(0, 0))?);
        emit(inner, ops)?;
    }
    let end = ops.len();
    for at in splits {
        ops[at] = split(at + 1, end, reluctant);
    }
    Ok(())
}
