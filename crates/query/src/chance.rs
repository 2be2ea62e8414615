//! What goes by chance is drawn once for each row that a condition is asked of, or a lambda is called for: DataFusion moves a
//! condition without columns below joins, aggregations, windows and UNNEST, where there are other rows, and puts what a projection
//! draws into the lambdas above, which draw anew for each of their calls.

use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::error::Error;
use crate::sql::INTERNAL;

#[derive(Debug)]
pub(crate) struct Chance;

impl AnalyzerRule for Chance {
    fn name(&self) -> &'static str {
        "chance"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        if !draws(&plan)? {
            return Ok(plan);
        }
        Ok(plan.transform_up_with_subqueries(node)?.data)
    }
}

/// Whether anything in a plan goes by chance.
fn draws(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= node.expressions().iter().any(Expr::is_volatile);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(filter) if filter.predicate.is_volatile() => Ok(Transformed::yes(drawn_first(filter)?)),
        LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(Expr::is_volatile) => above(join),
        LogicalPlan::Projection(_) if draws(plan.inputs()[0])? => kept(plan),
        other => Ok(Transformed::no(other)),
    }
}

/// A condition over columns that a projection draws: nothing takes it below that.
fn drawn_first(filter: Filter) -> Result<LogicalPlan> {
    let shown: Vec<Expr> = filter.input.schema().columns().into_iter().map(Expr::Column).collect();
    let (chance, plain): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate).into_iter().partition(Expr::is_volatile);
    let mut below = LogicalPlanBuilder::from(Arc::unwrap_or_clone(filter.input));
    if let Some(plain) = conjunction(plain) {
        below = below.filter(plain)?;
    }
    let mut drawn = Vec::new();
    let mut conditions = Vec::new();
    for condition in chance {
        let with_columns = condition.transform_down(|expr| {
            if !expr.is_volatile() || asks_query(&expr)? {
                return Ok(Transformed::no(expr));
            }
            let name = format!("{INTERNAL}drawn_{}", drawn.len());
            drawn.push(expr.alias(&name));
            let column = Expr::Column(Column::new_unqualified(name));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        conditions.push(with_columns.data);
    }
    let Some(condition) = conjunction(conditions) else { return below.build() };
    below.project(shown.clone().into_iter().chain(drawn))?.filter(condition)?.project(shown)?.build()
}

fn asks_query(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_))))
}

/// The condition of a join is asked of each pair of rows.
fn above(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    if join.join_type != JoinType::Inner {
        let text = format_args!("{} JOIN by a condition that goes by chance, as rand() and uuid() do", join.join_type);
        return Err(Error::not_supported(text).into());
    }
    let Some(filter) = join.filter.take() else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
    let filter = Filter::try_new(filter, Arc::new(LogicalPlan::Join(join)))?;
    Ok(Transformed::yes(drawn_first(filter)?))
}

/// Lambdas that name columns name them once more, beside themselves, so that the projection below stays one of its own.
fn kept(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let saved = names.save(&expr);
        let new = expr.transform_down(|expr| {
            let Expr::HigherOrderFunction(_) = &expr else { return Ok(Transformed::no(expr)) };
            let columns: Vec<Expr> = expr.column_refs().into_iter().cloned().map(Expr::Column).collect();
            if columns.is_empty() {
                return Ok(Transformed::no(expr));
            }
            let keep = ScalarUDF::from(Kept(Signature::variadic_any(Volatility::Immutable)));
            let all = std::iter::once(expr).chain(columns).collect();
            Ok(Transformed::new(keep.call(all), true, TreeNodeRecursion::Jump))
        })?;
        Ok(if new.transformed { Transformed::yes(saved.restore(new.data)) } else { new })
    })
}

/// Its first argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kept(Signature);

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &'static str {
        "$kept"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.into_iter().next().expect("what is kept is given"))
    }
}
