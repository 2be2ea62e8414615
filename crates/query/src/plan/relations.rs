//! Relations of Trino's that DataFusion does not plan: UNNEST beside what it reads, and TABLESAMPLE.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{
    Column, DFSchema, DataFusionError, NullHandling, Result, ScalarValue, TableReference, UnnestOptions,
};
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Join, JoinConstraint, JoinOperator, TableAlias, TableFactor, TableSampleKind, Value,
};

use super::unnest::{Zip, columns_of};
use crate::error::Error;
use crate::sql::INTERNAL;
use crate::types::trino_data_type;

#[derive(Debug)]
pub(super) struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match &mut relation {
            TableFactor::UNNEST { .. } => {
                let left = LogicalPlanBuilder::empty(true).build()?;
                Ok(planned(unnest(left, relation, false, context)?))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } if matches!(table_with_joins.joins.last(), Some(join) if matches!(join.relation, TableFactor::UNNEST { .. })) =>
            {
                let Some(join) = table_with_joins.joins.pop() else {
                    return Ok(RelationPlanning::Original(Box::new(relation)));
                };
                let outer = is_outer(&join)?;
                let left = if table_with_joins.joins.is_empty() {
                    context.plan(table_with_joins.relation.clone())?
                } else {
                    context.plan(relation)?
                };
                Ok(planned(unnest(left, join.relation, outer, context)?))
            }
            TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } if sample.is_some() => {
                let taken = sample.take();
                let plan = context.plan(relation)?;
                Ok(planned(sampled(plan, taken, context)?))
            }
            _ => Ok(RelationPlanning::Original(Box::new(relation))),
        }
    }
}

fn planned(plan: LogicalPlan) -> RelationPlanning {
    RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None)))
}

fn refused(text: impl std::fmt::Display) -> DataFusionError {
    Error::not_supported(format_args!("line 1:1: {text}")).into()
}

/// Whether rows without elements are kept.
fn is_outer(join: &Join) -> Result<bool> {
    let on_true = |constraint: &JoinConstraint| match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(SqlExpr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    };
    match &join.join_operator {
        JoinOperator::CrossJoin(_) => Ok(false),
        JoinOperator::Inner(constraint) | JoinOperator::Join(constraint) if on_true(constraint) => Ok(false),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) if on_true(constraint) => Ok(true),
        JoinOperator::Inner(_) | JoinOperator::Join(_) | JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => {
            Err(refused("JOIN involving UNNEST is only supported with condition ON TRUE"))
        }
        _ => Err(refused("RIGHT and FULL JOIN involving UNNEST are not supported")),
    }
}

fn unnest(
    left: LogicalPlan,
    factor: TableFactor,
    outer: bool,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    // Columns of relations without a name need names of their own.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } = factor else {
        return Err(refused("this form of UNNEST"));
    };
    let schema = Arc::clone(left.schema());
    let (mut arguments, mut names) = (Vec::new(), Vec::new());
    for expr in array_exprs {
        let expr = context.sql_to_expr(expr, &schema)?;
        let ty = expr.get_type(schema.as_ref())?;
        let columns = columns_of(&ty).ok_or_else(|| {
            DataFusionError::from(Error::user(
                1006,
                "TYPE_MISMATCH",
                format_args!("line 1:1: Cannot unnest type: {}", trino_data_type(&ty)),
            ))
        })?;
        names.extend(columns.into_iter().map(|(name, _)| name));
        arguments.push(expr);
    }
    if with_ordinality {
        names.push(None);
    }
    let (qualifier, names) = named(names, alias.as_ref(), context)?;
    let all = format!("{INTERNAL}unnest_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let zip = ScalarUDF::from(Zip::new(with_ordinality)).call(arguments);
    let own: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    let mut with_list = own.clone();
    with_list.push(zip.alias(&all));
    let options = UnnestOptions {
        null_handling: if outer { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop },
        recursions: Vec::new(),
    };
    let column = Column::from_name(&all);
    let mut last = own;
    for (i, name) in names.into_iter().enumerate() {
        let name = name.unwrap_or_else(|| format!("{all}_{i}"));
        last.push(Expr::Column(column.clone()).field(format!("c{i}")).alias_qualified(qualifier.clone(), name));
    }
    LogicalPlanBuilder::from(left)
        .project(with_list)?
        .unnest_column_with_options(column, options)?
        .project(last)?
        .build()
}

type Named = (Option<TableReference>, Vec<Option<String>>);

/// The columns under the alias's names, if it gives any.
fn named(
    own: Vec<Option<String>>,
    alias: Option<&TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<Named> {
    let Some(alias) = alias else { return Ok((None, own)) };
    let name = context.normalize_ident(alias.name.clone());
    let given: Vec<_> = alias.columns.iter().map(|column| Some(context.normalize_ident(column.name.clone()))).collect();
    if !given.is_empty() && given.len() != own.len() {
        return Err(Error::user(
            1006,
            "MISMATCHED_COLUMN_ALIASES",
            format_args!(
                "line 1:1: Column alias list has {} entries but '{name}' has {} columns available",
                given.len(),
                own.len()
            ),
        )
        .into());
    }
    Ok((Some(TableReference::bare(name)), if given.is_empty() { own } else { given }))
}

/// `TABLESAMPLE BERNOULLI (p)`: each row with the same chance. SYSTEM chooses rows too, splits are Athena's own.
fn sampled(
    plan: LogicalPlan,
    sample: Option<TableSampleKind>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let Some(TableSampleKind::AfterTableAlias(sample) | TableSampleKind::BeforeTableAlias(sample)) = sample else {
        return Ok(plan);
    };
    let quantity = sample.quantity.filter(|quantity| quantity.unit.is_none());
    let Some(quantity) = quantity.filter(|_| sample.seed.is_none() && sample.bucket.is_none()) else {
        return Err(refused("this form of TABLESAMPLE"));
    };
    let percent = context.sql_to_expr(quantity.value, &DFSchema::empty())?;
    let percent = datafusion::logical_expr::cast(percent, DataType::Float64);
    let state = datafusion::optimizer::simplify_expressions::ExprSimplifier::new(
        datafusion::logical_expr::simplify::SimplifyContext::default(),
    );
    let Expr::Literal(ScalarValue::Float64(Some(percent)), _) = state.simplify(percent)? else {
        return Err(refused("TABLESAMPLE with a percentage that is no constant"));
    };
    if !(0.0..=100.0).contains(&percent) {
        let which = if percent < 0.0 {
            "Sample percentage cannot be negative"
        } else {
            "Sample percentage must be less than or equal to 100"
        };
        return Err(Error::user(1006, "NUMERIC_VALUE_OUT_OF_RANGE", format_args!("line 1:1: {which}")).into());
    }
    if percent >= 100.0 {
        return Ok(plan);
    }
    let chance = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(datafusion::functions::math::expr_fn::random()),
        Operator::Lt,
        Box::new(lit(percent / 100.0)),
    ));
    LogicalPlanBuilder::from(plan).filter(if percent > 0.0 { chance } else { lit(false) })?.build()
}

/// `like_pattern(pattern [, escape])`: a pattern of Trino's as one of DataFusion's, where it is no literal.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LikePattern {
    signature: Signature,
}

impl Default for LikePattern {
    fn default() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for LikePattern {
    fn name(&self) -> &'static str {
        "like_pattern"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let escape = match args.args.get(1) {
            Some(ColumnarValue::Scalar(value)) => value.to_string().chars().next(),
            _ => None,
        };
        let first = args.args.first().ok_or_else(|| DataFusionError::Plan("a pattern is missing".to_owned()))?;
        let texts = cast(&first.to_array(args.number_rows)?, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let patterns = (0..texts.len())
            .map(|row| texts.is_valid(row).then(|| crate::sql::like_pattern(texts.value(row), escape)).transpose())
            .collect::<std::result::Result<StringArray, Error>>()?;
        Ok(ColumnarValue::Array(Arc::new(patterns)))
    }
}
