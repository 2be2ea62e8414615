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
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, Operator,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Function as SqlFunction, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join,
    JoinConstraint, JoinOperator, TableAlias, TableFactor, TableSampleKind, Value,
};

use trino_functions::Type;
use trino_functions::types::common;

use super::unnest::{Zip, columns_of};
use crate::analyze::{coerced, trino, typed};
use crate::error::Error;
use crate::scan::HIDDEN;
use crate::sql::{COLUMNS_OF, FIELDS_OF, INTERNAL, NAMES, SHARED};
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
            TableFactor::MatchRecognize { .. } => {
                Ok(RelationPlanning::Planned(Box::new(crate::row_pattern::planned(relation, context)?)))
            }
            TableFactor::UNNEST { .. } => {
                let left = LogicalPlanBuilder::empty(true).build()?;
                Ok(planned(unnest(left, relation, false, context)?))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None }
                if table_with_joins.joins.last().is_some_and(is_ours) =>
            {
                let Some(join) = table_with_joins.joins.pop() else {
                    return Ok(RelationPlanning::Original(Box::new(relation)));
                };
                let by_names = by_names(&join)?;
                let outer = by_names.is_none() && is_outer(&join)?;
                let left = if table_with_joins.joins.is_empty() {
                    context.plan(table_with_joins.relation.clone())?
                } else {
                    context.plan(relation)?
                };
                let Some((kind, names)) = by_names else {
                    return Ok(planned(unnest(left, join.relation, outer, context)?));
                };
                let names: Vec<_> = names.into_iter().map(|name| context.normalize_ident(name)).collect();
                let right = context.plan(join.relation)?;
                Ok(planned(joined(left, right, kind, &names)?))
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

fn is_ours(join: &Join) -> bool {
    matches!(join.relation, TableFactor::UNNEST { .. }) || !matches!(by_names(join), Ok(None))
}

/// The columns of JOIN … USING.
fn by_names(join: &Join) -> Result<Option<(JoinType, Vec<Ident>)>> {
    let (kind, constraint) = match &join.join_operator {
        JoinOperator::Inner(constraint) | JoinOperator::Join(constraint) => (JoinType::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinType::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (JoinType::Right, constraint),
        JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint),
        _ => return Ok(None),
    };
    match constraint {
        JoinConstraint::Using(names) => {
            let idents = names.iter().filter_map(|name| name.0.last()?.as_ident().cloned()).collect();
            Ok(Some((kind, idents)))
        }
        JoinConstraint::Natural => Err(refused("Natural join not supported")),
        _ => Ok(None),
    }
}

/// `left JOIN right USING (names)`: the named columns come first and once, of whichever side has a row; the sides' own ones
/// cannot be named any more (Trino's documentation of SELECT, "USING").
fn joined(left: LogicalPlan, right: LogicalPlan, kind: JoinType, names: &[String]) -> Result<LogicalPlan> {
    let column = |plan: &LogicalPlan, name: &String, side: &str| {
        let found: Vec<_> = plan.schema().columns().into_iter().filter(|column| column.name == *name).collect();
        match <[Column; 1]>::try_from(found) {
            Ok([column]) => Ok(column),
            Err(several) => {
                let text = if several.is_empty() {
                    format!("line 1:1: Column '{name}' is missing from {side} side of join")
                } else {
                    format!("line 1:1: Column '{name}' is ambiguous")
                };
                let code = if several.is_empty() { "COLUMN_NOT_FOUND" } else { "AMBIGUOUS_NAME" };
                Err(DataFusionError::from(Error::user(1006, code, text)))
            }
        }
    };
    let (mut conditions, mut shown, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let (l, r) = (column(&left, name, "left")?, column(&right, name, "right")?);
        let of = |plan: &LogicalPlan, column: &Column| -> Result<Type> {
            let column = Expr::Column(column.clone());
            Ok(Type::of(column.to_field(plan.schema().as_ref())?.1.as_ref()))
        };
        let (own, others) = (of(&left, &l)?, of(&right, &r)?);
        let Some(ty) = common(&own, &others).filter(Type::is_comparable) else {
            let text = format!("line 1:1: Cannot apply operator: {own} = {others}");
            return Err(Error::user(1006, "TYPE_MISMATCH", text).into());
        };
        let one = of_type(Expr::Column(l.clone()), &own, &ty);
        let other = of_type(Expr::Column(r.clone()), &others, &ty);
        conditions.push(trino("$eq", vec![Expr::Column(l.clone()), Expr::Column(r.clone())]));
        let value = match kind {
            JoinType::Right => other,
            JoinType::Full => trino("coalesce", vec![one, other]),
            _ => one,
        };
        shown.push(value.alias(name.as_str()));
        keys.extend([l, r]);
    }
    let all = left.schema().columns().into_iter().chain(right.schema().columns());
    shown.extend(all.filter(|column| !keys.contains(column)).map(Expr::Column));
    LogicalPlanBuilder::from(left).join_on(right, kind, conditions)?.project(shown)?.build()
}

/// A value of one type as one of a type that it may be coerced to, which it then says to be.
fn of_type(value: Expr, from: &Type, to: &Type) -> Expr {
    if from == to { value } else { typed(coerced(value, from, to), to) }
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
    if let [SqlExpr::Function(call)] = &array_exprs[..]
        && let Some(name) = call.name.0.first().and_then(|part| part.as_ident()).map(|name| name.value.as_str())
        && [COLUMNS_OF, FIELDS_OF].contains(&name)
    {
        return star(left, name == FIELDS_OF, call, alias.as_ref(), context);
    }
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
    // Athena's guide names a row whole, `UNNEST(users) AS t (user)`, where Trino wants a name for each of its fields.
    let given = alias.as_ref().map_or(0, |alias| alias.columns.len());
    let whole =
        arguments.len() == 1 && names.len() > 1 && given == 1 && !with_ordinality && is_list(&arguments[0], &schema)?;
    if whole {
        names = vec![None];
    }
    if with_ordinality {
        names.push(None);
    }
    let (qualifier, names) = named(names, alias.as_ref(), context)?;
    let all = format!("{INTERNAL}unnest_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let zip = match arguments.pop() {
        Some(rows) if whole => rows,
        last => ScalarUDF::from(Zip::new(with_ordinality)).call(arguments.into_iter().chain(last).collect()),
    };
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
        let value = Expr::Column(column.clone());
        let value = if whole { value } else { value.field(format!("c{i}")) };
        last.push(value.alias_qualified(qualifier.clone(), name));
    }
    LogicalPlanBuilder::from(left)
        .project(with_list)?
        .unnest_column_with_options(column, options)?
        .project(last)?
        .build()
}

/// Beside what is left the columns of a relation under other names, or the fields of a row, which are null where the row is.
fn star(
    left: LogicalPlan,
    fields: bool,
    call: &SqlFunction,
    alias: Option<&TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let arguments: Vec<SqlExpr> = match &call.args {
        FunctionArguments::List(list) => list
            .args
            .iter()
            .filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let schema = Arc::clone(left.schema());
    let mut shown: Vec<(Option<String>, Expr)> = Vec::new();
    if fields {
        let row = arguments.into_iter().next().ok_or_else(|| refused("this form of .*"))?;
        let row = context.sql_to_expr(row, &schema)?;
        let field = row.to_field(schema.as_ref())?.1;
        let Type::Row(types) = Type::of(field.as_ref()) else {
            return Err(Error::user(1006, "TYPE_MISMATCH", "line 1:1: expected expression of type Row").into());
        };
        let DataType::Struct(stored) = row.get_type(schema.as_ref())? else { return Err(refused("this form of .*")) };
        for (own, stored) in types.iter().zip(&stored) {
            shown.push((own.0.clone(), row.clone().field(stored.name())));
        }
    } else {
        let parts: Vec<String> = arguments
            .into_iter()
            .filter_map(|part| match part {
                SqlExpr::Identifier(name) => Some(context.normalize_ident(name)),
                _ => None,
            })
            .collect();
        let is_meant = |relation: &TableReference| {
            parts.last().is_some_and(|name| relation.table() == name)
                && parts.iter().rev().nth(1).is_none_or(|schema| relation.schema() == Some(schema))
        };
        for column in schema.columns() {
            let own = column.relation.as_ref().is_some_and(is_meant) && !HIDDEN.contains(&column.name.as_str());
            if own {
                let name = Some(column.name.clone()).filter(|name| !name.starts_with(INTERNAL));
                shown.push((name, Expr::Column(column)));
            }
        }
        if shown.is_empty() {
            let text = format!("line 1:8: Unable to resolve reference {}", parts.join("."));
            return Err(Error::user(1006, "TABLE_NOT_FOUND", text).into());
        }
    }
    let (own, values): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    let (qualifier, names) = named(own, alias, context)?;
    let mut all: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let star = qualifier.as_ref().map_or("star", TableReference::table).trim_start_matches('$').to_owned();
    let shared = |name: &String| names.iter().flatten().filter(|other| *other == name).count() > 1;
    let names: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(i, name)| match name {
            Some(name) if shared(name) => format!("{SHARED}{name}_{star}{i}"),
            Some(name) => name.clone(),
            None => format!("{INTERNAL}{star}_{i}"),
        })
        .collect();
    for (name, value) in names.into_iter().zip(values) {
        all.push(value.alias_qualified(qualifier.clone(), name));
    }
    LogicalPlanBuilder::from(left).project(all)?.build()
}

fn is_list(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(matches!(expr.get_type(schema)?, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)))
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
                "line 1:1: Column alias list has {} entries but {} has {} columns{}",
                given.len(),
                if name.starts_with('$') { "relation".to_owned() } else { format!("'{name}'") },
                own.len(),
                if name.starts_with('$') { "" } else { " available" },
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

/// `$names(column, …)`: true, in place of which the analyzer puts that; planning has found the columns by then.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    signature: Signature,
}

impl Default for Names {
    fn default() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Names {
    fn name(&self) -> &'static str {
        NAMES
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
    }
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

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if let Some(other) = types.first().filter(|ty| !ty.is_string() && !ty.is_null()) {
            let ty = trino_data_type(other);
            let text = format!("line 1:1: Pattern for LIKE expression must evaluate to a varchar (actual: {ty})");
            return Err(Error::user(1006, "TYPE_MISMATCH", text).into());
        }
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
