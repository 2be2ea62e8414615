//! The expression language: conditions, filters, key conditions, projections and updates.
//! A hand-written recursive-descent parser of bounded depth; everything here is pure.

mod condition;
mod key_condition;
mod lexer;
mod parser;
mod path;
mod placeholders;
mod projection;
mod reserved;
mod update;

pub(crate) use condition::{Comparator, Condition, Test};
pub(crate) use key_condition::{KeyCondition, SortCondition};
pub(crate) use parser::Operand;
pub(crate) use path::{Element, Path};
pub(crate) use placeholders::Placeholders;
pub(crate) use projection::Projection;
pub(crate) use update::{Term, Update};
