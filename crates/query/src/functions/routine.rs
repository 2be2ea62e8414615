//! A routine over a batch: each step is done for all rows that have come to it, which part at conditions and meet behind them.

use datafusion::common::Result;
use trino_functions::{Error, Value};

use super::failed;
use super::lambda::Run;
use crate::routine::{Expression, Label, Step};

/// What a batch's rows have in their variables, and what was returned.
struct State {
    variables: Vec<Vec<Value>>,
    results: Vec<Value>,
}

/// Where rows go behind a list of steps; those that have returned go nowhere.
#[derive(Default)]
struct Ways {
    on: Vec<usize>,
    left: Vec<(Label, usize)>,
    again: Vec<(Label, usize)>,
}

impl Ways {
    /// Takes over where rows go that neither go on nor belong to this loop.
    fn beyond(&mut self, label: Label, inner: &Ways) {
        self.left.extend(inner.left.iter().filter(|(other, _)| *other != label));
        self.again.extend(inner.again.iter().filter(|(other, _)| *other != label));
    }
}

fn of(label: Label, rows: &[(Label, usize)]) -> impl Iterator<Item = usize> + '_ {
    rows.iter().filter(move |(other, _)| *other == label).map(|(_, row)| *row)
}

/// The results of a routine. The arguments are its text, a null of the type that it returns, and its variables as they begin.
pub(super) fn run(call: &Run<'_>) -> Result<Vec<Value>> {
    let Some(text) = call.read(0).into_iter().next() else { return Ok(Vec::new()) };
    let steps: Vec<Step> =
        serde_json::from_str(text.as_str()).map_err(|error| failed(Error::internal(error.to_string())))?;
    let variables = (2..call.width()).map(|at| call.read(at)).collect();
    let mut state = State { variables, results: vec![Value::Null; call.rows()] };
    list(call, &steps, (0..call.rows()).collect(), &mut state)?;
    Ok(state.results)
}

fn list(call: &Run<'_>, steps: &[Step], rows: Vec<usize>, state: &mut State) -> Result<Ways> {
    let mut ways = Ways { on: rows, ..Ways::default() };
    for next in steps {
        if ways.on.is_empty() {
            break;
        }
        let rows = std::mem::take(&mut ways.on);
        let after = step(call, next, rows, state)?;
        ways.on = after.on;
        ways.left.extend(after.left);
        ways.again.extend(after.again);
    }
    ways.on.sort_unstable();
    Ok(ways)
}

fn step(call: &Run<'_>, step: &Step, rows: Vec<usize>, state: &mut State) -> Result<Ways> {
    let mut ways = Ways::default();
    match step {
        Step::Set(variable, value) => {
            let values = evaluate(call, *value, &rows, state)?;
            for (row, value) in rows.iter().zip(values) {
                state.variables[*variable][*row] = value;
            }
            ways.on = rows;
        }
        Step::Clear(variable) => {
            for row in &rows {
                state.variables[*variable][*row] = Value::Null;
            }
            ways.on = rows;
        }
        Step::If(branches, otherwise) => {
            let mut rest = rows;
            for (condition, steps) in branches {
                let (holds, fails) = parted(call, *condition, rest, state)?;
                rest = fails;
                merge(&mut ways, list(call, steps, holds, state)?);
            }
            merge(&mut ways, list(call, otherwise, rest, state)?);
        }
        Step::Choose(which, lists) => {
            let chosen = evaluate(call, *which, &rows, state)?;
            let mut parts = vec![Vec::new(); lists.len()];
            for (row, which) in rows.into_iter().zip(chosen) {
                let last = lists.len().saturating_sub(1);
                let place = usize::try_from(which.as_int()).ok().filter(|_| !which.is_null()).unwrap_or(last);
                parts[place.min(last)].push(row);
            }
            for (steps, rows) in lists.iter().zip(parts) {
                merge(&mut ways, list(call, steps, rows, state)?);
            }
        }
        Step::While(label, condition, steps) => {
            ways = repeated(call, *label, Some(condition), steps, None, rows, state)?;
        }
        Step::Loop(label, steps) => ways = repeated(call, *label, None, steps, None, rows, state)?,
        Step::Repeat(label, steps, until) => ways = repeated(call, *label, None, steps, Some(until), rows, state)?,
        Step::Leave(label) => ways.left = rows.into_iter().map(|row| (*label, row)).collect(),
        Step::Iterate(label) => ways.again = rows.into_iter().map(|row| (*label, row)).collect(),
        Step::Return(value) => {
            let values = evaluate(call, *value, &rows, state)?;
            for (row, value) in rows.into_iter().zip(values) {
                state.results[row] = value;
            }
        }
    }
    Ok(ways)
}

fn repeated(
    call: &Run<'_>,
    label: Label,
    condition: Option<&Expression>,
    steps: &[Step],
    until: Option<&Expression>,
    rows: Vec<usize>,
    state: &mut State,
) -> Result<Ways> {
    let mut ways = Ways::default();
    let mut open = rows;
    while !open.is_empty() {
        if let Some(condition) = condition {
            let (holds, fails) = parted(call, *condition, open, state)?;
            ways.on.extend(fails);
            open = holds;
        }
        let inner = list(call, steps, open, state)?;
        ways.on.extend(of(label, &inner.left));
        ways.beyond(label, &inner);
        open = inner.on.iter().copied().chain(of(label, &inner.again)).collect();
        open.sort_unstable();
        if let Some(until) = until {
            let (holds, fails) = parted(call, *until, open, state)?;
            ways.on.extend(holds);
            open = fails;
        }
    }
    ways.on.sort_unstable();
    Ok(ways)
}

fn merge(ways: &mut Ways, more: Ways) {
    ways.on.extend(more.on);
    ways.left.extend(more.left);
    ways.again.extend(more.again);
}

/// The rows where a condition holds, and the others.
fn parted(call: &Run<'_>, condition: Expression, rows: Vec<usize>, state: &State) -> Result<(Vec<usize>, Vec<usize>)> {
    let values = evaluate(call, condition, &rows, state)?;
    let (mut holds, mut fails) = (Vec::new(), Vec::new());
    for (row, value) in rows.into_iter().zip(values) {
        if value.as_bool() { holds.push(row) } else { fails.push(row) }
    }
    Ok((holds, fails))
}

fn evaluate(call: &Run<'_>, expression: Expression, rows: &[usize], state: &State) -> Result<Vec<Value>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let columns: Vec<Vec<Value>> =
        state.variables.iter().map(|variable| rows.iter().map(|row| variable[*row].clone()).collect()).collect();
    let of_batch: Vec<u32> = rows.iter().map(|row| u32::try_from(*row).unwrap_or(0)).collect();
    call.evaluate(expression, &columns, &of_batch)
}
