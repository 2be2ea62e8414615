//! Trino's functions made known to DataFusion: [`trino_functions`] chooses and computes, this only carries arrays.

mod aggregate;
mod lambda;
mod routine;
mod running;
mod scalar;

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, TableReference};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, col};
use trino_functions::Type;
use trino_functions::call::Argument;

pub(crate) use aggregate::TrinoAggregate;
pub(crate) use running::Running;
pub(crate) use scalar::TrinoScalar;

/// All scalar functions and operators.
pub(crate) fn scalars() -> Vec<Arc<ScalarUDF>> {
    const OPERATORS: &[&str] = &[
        "$add",
        "$sub",
        "$mul",
        "$div",
        "$mod",
        "$neg",
        "$pos",
        "$eq",
        "$neq",
        "$lt",
        "$lte",
        "$gt",
        "$gte",
        "$distinct",
        "$same",
        "$cast",
        "$try_cast",
        "$assign",
        "$argument",
        "$returned",
        "$literal",
        "$array",
        "$map",
        "$typed",
        "$subscript",
        "$field",
        "$instant",
        "$named_row",
        "$case",
        "$case_of",
        "$among",
        "$in",
        "$between",
        "$like",
        "$extract",
        "$boolean",
        "$at_timezone",
        "$current_timestamp",
        "$current_date",
        "$current_time",
        "$localtime",
        "$localtimestamp",
        "$single",
        "$sum_of_bigints",
        "$sum_of_decimals",
    ];
    trino_functions::call::names()
        .chain(OPERATORS.iter().copied())
        .chain(trino_functions::scalar::JSON_STANDARD.iter().copied())
        .map(|name| Arc::new(ScalarUDF::from(TrinoScalar::new(name))))
        .collect()
}

pub(crate) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    trino_functions::aggregate::names().map(|name| Arc::new(AggregateUDF::from(TrinoAggregate::new(name)))).collect()
}

pub(crate) fn lambdas() -> Vec<Arc<HigherOrderUDF>> {
    lambda::all().into_iter().map(|function| Arc::new(HigherOrderUDF::new_from_impl(function))).collect()
}

/// An error of a function, carried through DataFusion.
pub(crate) fn failed(error: trino_functions::Error) -> DataFusionError {
    DataFusionError::External(Box::new(crate::Error::from(error)))
}

pub(crate) fn argument(field: &Field, scalar: Option<&ScalarValue>) -> Argument {
    let ty = Type::of(field);
    let literal = scalar.and_then(|scalar| {
        let array = scalar.to_array().ok()?;
        Some(trino_functions::value::read(array.as_ref(), &ty, 0))
    });
    Argument { ty, literal }
}

/// The first value of an array, of exactly its type: DataFusion's own way drops what fields inside of lists say.
pub(crate) fn scalar_of(array: &ArrayRef) -> Result<ScalarValue> {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::DataType;
    Ok(match array.data_type() {
        DataType::List(_) => ScalarValue::List(Arc::new(array.slice(0, 1).as_list::<i32>().clone())),
        DataType::Map(..) => ScalarValue::Map(Arc::new(array.slice(0, 1).as_map().clone())),
        DataType::Struct(_) => ScalarValue::Struct(Arc::new(array.slice(0, 1).as_struct().clone())),
        _ => ScalarValue::try_from_array(array, 0)?,
    })
}

pub(crate) fn field_of(ty: &Type, name: &str) -> FieldRef {
    Arc::new(ty.field(name))
}

/// `row.field` for columns.
#[derive(Debug)]
pub(crate) struct RowFields;

impl ExprPlanner for RowFields {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let function = Arc::new(ScalarUDF::from(TrinoScalar::new("$field")));
        let column = match qualifier {
            Some(table) => Expr::Column(datafusion::common::Column::new(Some(table.clone()), field.name())),
            None => col(datafusion::common::Column::new_unqualified(field.name())),
        };
        let nested = nested_names.iter().fold(column, |value, name| {
            function.call(vec![value, Expr::Literal(ScalarValue::from(name.as_str()), None)])
        });
        Ok(PlannerResult::Planned(nested))
    }
}
