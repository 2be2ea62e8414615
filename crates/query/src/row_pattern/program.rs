//! A pattern as instructions of a machine that prefers the first of two ways.

use super::{Label, Pattern};
use crate::error::{Error, Result};

/// Instructions that a pattern may become: `(A{100}){100}` is as long as it reads.
const LONGEST: usize = 10_000;
/// Parts that may be looked at for them: some become no instruction.
const MOST_PARTS: usize = 10 * LONGEST;

/// The instructions so far.
#[derive(Default)]
struct Program {
    ops: Vec<Op>,
    /// How many parts were looked at.
    parts: usize,
}

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
    let mut program = Program::default();
    emit(pattern, &mut program)?;
    push(&mut program, Op::Done)?;
    Ok(program.ops)
}

fn too_long() -> Error {
    Error::not_supported("a row pattern of so many parts and repetitions")
}

fn push(program: &mut Program, op: Op) -> Result<usize> {
    if program.ops.len() >= LONGEST {
        return Err(too_long());
    }
    program.ops.push(op);
    Ok(program.ops.len() - 1)
}

fn emit(pattern: &Pattern, program: &mut Program) -> Result<()> {
    program.parts += 1;
    if program.parts > MOST_PARTS {
        return Err(too_long());
    }
    match pattern {
        Pattern::Empty => {}
        Pattern::Label(label) => drop(push(program, Op::Label(*label))?),
        Pattern::Start => drop(push(program, Op::Start)?),
        Pattern::End => drop(push(program, Op::End)?),
        Pattern::Concat(all) => all.iter().try_for_each(|one| emit(one, program))?,
        Pattern::Or(all) => alternatives(&all.iter().map(|one| vec![one]).collect::<Vec<_>>(), program)?,
        Pattern::Permute(all) => {
            let mut orders = Vec::new();
            permutations(&mut Vec::new(), &mut vec![false; all.len()], all, &mut orders)?;
            alternatives(&orders, program)?;
        }
        Pattern::Exclude(inner) => {
            push(program, Op::Hide)?;
            emit(inner, program)?;
            push(program, Op::Unhide)?;
        }
        Pattern::Repeat { inner, min, max, reluctant } => repeat(inner, (*min, *max), *reluctant, program)?,
    }
    Ok(())
}

fn alternatives(all: &[Vec<&Pattern>], program: &mut Program) -> Result<()> {
    let mut jumps = Vec::new();
    for (i, parts) in all.iter().enumerate() {
        let is_last = i + 1 == all.len();
        let split = if is_last { None } else { Some(push(program, Op::Split(0, 0))?) };
        parts.iter().try_for_each(|one| emit(one, program))?;
        if let Some(split) = split {
            jumps.push(push(program, Op::Jump(0))?);
            program.ops[split] = Op::Split(split + 1, program.ops.len());
        }
    }
    let end = program.ops.len();
    for jump in jumps {
        program.ops[jump] = Op::Jump(end);
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

fn repeat(inner: &Pattern, (min, max): (u32, Option<u32>), reluctant: bool, program: &mut Program) -> Result<()> {
    for _ in 0..min {
        let before = program.ops.len();
        emit(inner, program)?;
        if program.ops.len() == before {
            // Nothing, however often.
            break;
        }
    }
    let Some(max) = max else {
        let at = push(program, Op::Split(0, 0))?;
        emit(inner, program)?;
        push(program, Op::Jump(at))?;
        program.ops[at] = split(at + 1, program.ops.len(), reluctant);
        return Ok(());
    };
    let mut splits = Vec::new();
    for _ in min..max {
        splits.push(push(program, Op::Split(0, 0))?);
        emit(inner, program)?;
    }
    let end = program.ops.len();
    for at in splits {
        program.ops[at] = split(at + 1, end, reluctant);
    }
    Ok(())
}
