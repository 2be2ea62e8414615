//! The columns of a query as those of the table that they are put into.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Case, Cast};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use trino_functions::Type as Trino;
use trino_functions::types::common;

use crate::analyze::assigned_to;
use crate::error::{Error, Result};

/// Puts a query's columns into the table's order and types; columns that are not given are null. A value goes in where its
/// type and the column's have one in common, and is cast, as Trino does it: a bigint that fits goes into an integer.
pub(super) fn fit(plan: LogicalPlan, table: &Schema, given_names: &[String]) -> Result<LogicalPlan> {
    let given = plan.schema().columns();
    let own: Vec<String> = table.fields().iter().map(|field| field.name().clone()).collect();
    let names = if given_names.is_empty() { &own } else { given_names };
    if let Some(name) = names.iter().find(|name| !own.contains(name)) {
        return Err(Error::user(
            1006,
            "COLUMN_NOT_FOUND",
            format_args!("line 1:1: Insert column name does not exist in target table: {name}"),
        ));
    }
    if let Some(name) = names.iter().enumerate().find_map(|(at, name)| names[..at].contains(name).then_some(name)) {
        return Err(Error::user(
            1006,
            "DUPLICATE_COLUMN_NAME",
            format_args!("line 1:1: Insert column name is specified more than once: {name}"),
        ));
    }
    let column_of = |name: &String| table.fields().iter().find(|field| field.name() == name);
    let targets: Vec<Trino> = names.iter().filter_map(column_of).map(|field| Trino::of(field.as_ref())).collect();
    let sources: Vec<Trino> = (0..given.len()).map(|at| Trino::of(plan.schema().field(at))).collect();
    if targets.len() != sources.len() || !sources.iter().zip(&targets).all(|(from, to)| fits(from, to)) {
        let list = |types: &[Trino]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(Error::user(
            1006,
            "TYPE_MISMATCH",
            format_args!(
                "line 1:1: Insert query has mismatched column types: Table: [{}], Query: [{}]",
                list(&targets),
                list(&sources)
            ),
        ));
    }
    let expressions = table.fields().iter().map(|field| -> Expr {
        let to = Trino::of(field);
        let value = match names.iter().position(|given| given == field.name()) {
            Some(at) => {
                let column = Expr::Column(given[at].clone());
                if sources[at] == to { column } else { assigned_to(column, &to) }
            }
            None => lit(ScalarValue::try_from(field.data_type()).unwrap_or(ScalarValue::Null)),
        };
        value.alias(field.name())
    });
    let expressions: Vec<Expr> = expressions.collect();
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}

/// Rows of a table, some of them with values of an UPDATE or of MERGE's actions. The plan's first column is the number of the action
/// that a row is taken by, or null; then come the actions' values, one for each of `values`, which says of which action it is and into
/// which column it goes; then the table's own columns. The values alone are converted to their columns' types: a row that no action
/// takes stays as it is, whatever type it has in common with the values. The action's number comes last.
pub(super) fn replaced(plan: LogicalPlan, table: &Schema, values: &[(usize, String)]) -> Result<LogicalPlan> {
    let given = plan.schema().columns();
    let own = given.get(values.len() + 1..).unwrap_or_default();
    let mut expressions = Vec::new();
    for (field, current) in table.fields().iter().zip(own) {
        let to = Trino::of(field);
        let mut branches = Vec::new();
        for (at, (action, _)) in values.iter().enumerate().filter(|(_, (_, column))| column == field.name()) {
            let value = Expr::Column(given[at + 1].clone());
            let value = if Trino::of(plan.schema().field(at + 1)) == to { value } else { assigned_to(value, &to) };
            let number = i64::try_from(*action).map_err(Error::internal)?;
            let taken =
                Expr::Cast(Cast::new(Box::new(Expr::Column(given[0].clone())), DataType::Int64)).eq(lit(number));
            branches.push((Box::new(taken), Box::new(value)));
        }
        let current = Expr::Column(current.clone());
        let value =
            if branches.is_empty() { current } else { Expr::Case(Case::new(None, branches, Some(Box::new(current)))) };
        expressions.push(value.alias(field.name()));
    }
    expressions.push(Expr::Column(given[0].clone()).alias("lakerun action"));
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}

/// Whether a column takes a value of a type. Of types that hold text of a bounded length only the very same goes in.
pub(super) fn fits(from: &Trino, to: &Trino) -> bool {
    if holds_bounded_text(to) { from == to } else { common(from, to).is_some() }
}

fn holds_bounded_text(ty: &Trino) -> bool {
    fn bounded(ty: &Trino) -> bool {
        matches!(ty, Trino::Char(_) | Trino::Varchar(Some(_))) || holds_bounded_text(ty)
    }
    match ty {
        Trino::Array(item) => bounded(item),
        Trino::Map(key, value) => bounded(key) || bounded(value),
        Trino::Row(fields) => fields.iter().any(|(_, ty)| bounded(ty)),
        _ => false,
    }
}
