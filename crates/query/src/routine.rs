//! What a routine of WITH FUNCTION does, step by step: `sql` reads it, `functions` carries it out. Its expressions are lambdas over all of
//! its variables, and stand beside it.

use serde::{Deserialize, Serialize};

/// The place of a variable: parameters come first.
pub(crate) type Variable = usize;
/// The place of an expression.
pub(crate) type Expression = usize;
/// Which block or loop is left or begun anew.
pub(crate) type Label = usize;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    Set(Variable, Expression),
    /// A variable that is declared without a value.
    Clear(Variable),
    /// The first of the conditions that holds has its steps done, else the last ones are.
    If(Vec<(Expression, Vec<Step>)>, Vec<Step>),
    /// A number says which of the lists is done, the last one any other.
    Choose(Expression, Vec<Vec<Step>>),
    While(Label, Expression, Vec<Step>),
    Loop(Label, Vec<Step>),
    Repeat(Label, Vec<Step>, Expression),
    Leave(Label),
    Iterate(Label),
    Return(Expression),
}
