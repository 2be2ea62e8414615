//! What [`crate::sql`] lowered to calls, back in DataFusion's own expressions where they mean the same: so filters reach
//! the files, joins find their keys, and conditions stay lazy. Runs before DataFusion's own analysis, which then finds
//! nothing to coerce.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Fields, i256};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::functions_aggregate::bit_and_or_xor::{bit_and_udaf, bit_or_udaf, bit_xor_udaf};
use datafusion::functions_aggregate::bool_and_or::{bool_and_udaf, bool_or_udaf};
use datafusion::functions_aggregate::stddev::{stddev_pop_udaf, stddev_udaf};
use datafusion::functions_aggregate::variance::{var_pop_udaf, var_samp_udaf};
use datafusion::functions_aggregate::{average::avg_udaf, count::count_udaf, min_max, sum::sum_udaf};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, Between, BinaryExpr, Case, Cast, InList, InSubquery, Like,
    ScalarFunction, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{grouping_set_to_exprlist, merge_schema, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Distinct, Expr, ExprFunctionExt, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, RecursiveQuery, ScalarUDF, SortExpr, Union, Values, Window, WindowFrameBound,
    WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;
use trino_functions::scalar::operator::is_native;
use trino_functions::types::common;
use trino_functions::{Error, Type};

use crate::functions::{Running, TrinoAggregate, TrinoScalar, argument, failed, scalar_of};

#[derive(Debug)]
pub(crate) struct TrinoAnalyzer;

impl AnalyzerRule for TrinoAnalyzer {
    fn name(&self) -> &'static str {
        "trino_analyzer"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(node)?.data)
    }
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let plan = match plan {
        LogicalPlan::Union(union) => set_operation(&union)?,
        LogicalPlan::Distinct(Distinct::All(input)) if has_moments(input.schema()) => {
            let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
            LogicalPlan::Aggregate(Aggregate::try_new(input, columns, Vec::new())?)
        }
        LogicalPlan::Join(join) => equal_rows(join)?,
        other => other,
    };
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema = scan.projected_schema.as_ref().clone();
    }
    check_keys(&plan)?;
    let names = NamePreserver::new(&plan);
    let plan = plan
        .map_expressions(|expr| {
            let saved = names.save(&expr);
            let new = expr.transform_up(|expr| expression(expr, &schema))?;
            Ok(Transformed::new(saved.restore(new.data), new.transformed, new.tnr))
        })?
        .data
        .recompute_schema()?;
    let plan = match plan {
        LogicalPlan::Sort(mut sort) => {
            sort.expr = ordered(sort.expr, sort.input.schema())?;
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Aggregate(aggregate) => by_instants(aggregate)?,
        LogicalPlan::Join(mut join) => {
            join.filter = join.filter.map(|filter| hashable(filter, &schema)).transpose()?;
            LogicalPlan::Join(join)
        }
        LogicalPlan::Filter(mut filter)
            if matches!(filter.input.as_ref(), LogicalPlan::Join(_)) && !is_true(&filter.predicate) =>
        {
            filter.predicate = hashable(filter.predicate, &schema)?;
            LogicalPlan::Filter(filter)
        }
        LogicalPlan::Window(window) => native_windows(window)?,
        LogicalPlan::Values(values) => typed_values(values)?,
        LogicalPlan::Filter(filter) if is_true(&filter.predicate) => filter.input.as_ref().clone(),
        other => other,
    };
    Ok(Transformed::yes(plan))
}

/// Keys in Trino's order where Arrow has another: a moment is its instant, whatever its zone; and where nulls come first,
/// `NaN` is less than every number.
fn ordered(keys: Vec<SortExpr>, schema: &DFSchema) -> Result<Vec<SortExpr>> {
    let mut all = Vec::with_capacity(keys.len());
    for mut key in keys {
        match type_of(&key.expr, schema)? {
            Type::TimestampTz(_) => {
                if let DataType::Struct(fields) = key.expr.get_type(schema)? {
                    key.expr = first_field(key.expr, &fields);
                }
            }
            Type::Real | Type::Double if key.nulls_first => {
                let flag = trino("is_nan", vec![key.expr.clone()]);
                all.push(SortExpr { expr: flag, asc: !key.asc, nulls_first: true });
            }
            _ => {}
        }
        all.push(key);
    }
    Ok(all)
}

/// The distance of a frame by values, a text here still, is of the key's kind; of whole numbers it is the whole number that finds the
/// same rows.
fn measured(bound: &mut WindowFrameBound, key: &Type, start: bool) -> Result<()> {
    let (value, before) = match bound {
        WindowFrameBound::Preceding(value) => (value, true),
        WindowFrameBound::Following(value) => (value, false),
        WindowFrameBound::CurrentRow => return Ok(()),
    };
    let ScalarValue::Utf8(Some(text)) = &*value else { return Ok(()) };
    let number = text.parse::<f64>().ok();
    let datetime =
        matches!(key, Type::Date | Type::Timestamp(_) | Type::TimestampTz(_) | Type::Time(_) | Type::TimeTz(_));
    let interval = matches!(key, Type::IntervalDay | Type::IntervalYear);
    if !key.is_numeric() && !datetime && !interval {
        return Err(failed(Error::type_mismatch(format!(
            "Window frame of type RANGE PRECEDING or FOLLOWING requires that sort item type be numeric, datetime or interval (actual: {key})"
        ))));
    }
    if number.is_some() != key.is_numeric() {
        let ty = if number.is_some() { "a number" } else { "interval" };
        return Err(failed(Error::type_mismatch(format!(
            "Window frame RANGE value type ({ty}) not compatible with sort item type ({key})"
        ))));
    }
    if key.is_integer()
        && let Some(number) = number.filter(|_| text.contains(['.', 'e', 'E']))
    {
        let whole = if start == before { number.floor() } else { number.ceil() };
        *value = ScalarValue::Utf8(Some(format!("{whole:.0}")));
    }
    Ok(())
}

/// As [`ordered`]; a frame by values has one key, and those that name a distance need its type.
fn ordered_window(mut window: WindowFunction, schema: &DFSchema) -> Result<Expr> {
    let keys = ordered(window.params.order_by.clone(), schema)?;
    for key in &mut window.params.partition_by {
        *key = told_apart(key.clone(), schema)?;
    }
    let distance = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => !value.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    let frame = &window.params.window_frame;
    let by_distance =
        frame.units == WindowFrameUnits::Range && (distance(&frame.start_bound) || distance(&frame.end_bound));
    if by_distance && let [key] = window.params.order_by.as_slice() {
        let ty = type_of(&key.expr, schema)?;
        let frame = &mut window.params.window_frame;
        measured(&mut frame.start_bound, &ty, true)?;
        measured(&mut frame.end_bound, &ty, false)?;
    }
    if !by_distance || keys.len() == window.params.order_by.len() {
        window.params.order_by = keys;
    }
    // Without distances a frame of ranges is one of groups, which DataFusion has for keys of every type.
    let ranged = |ty: &Type| ty.is_numeric() || matches!(ty, Type::Varchar(_) | Type::Date | Type::Timestamp(..=9));
    if window.params.window_frame.units == WindowFrameUnits::Range && !by_distance {
        let keys = window.params.order_by.iter().map(|key| type_of(&key.expr, schema));
        if keys.collect::<Result<Vec<_>>>()?.iter().any(|ty| !ranged(ty)) {
            window.params.window_frame.units = WindowFrameUnits::Groups;
        }
    }
    Ok(Expr::WindowFunction(Box::new(window)))
}

fn is_moment(ty: &Type) -> bool {
    matches!(ty, Type::TimestampTz(_) | Type::TimeTz(_))
}

fn has_moments(schema: &DFSchema) -> bool {
    schema.fields().iter().any(|field| is_moment(&Type::of(field)))
}

/// Groups by moments are groups by their instants, of which any is shown: Trino shows the first that it meets.
fn by_instants(mut aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = Arc::clone(aggregate.input.schema());
    let keys: Vec<Expr> = grouping_set_to_exprlist(&aggregate.group_expr)?.into_iter().cloned().collect();
    let names: Vec<_> =
        aggregate.schema.iter().map(|(relation, field)| (relation.cloned(), field.name().clone())).collect();
    let any_value = Arc::new(AggregateUDF::from(TrinoAggregate::new("any_value")));
    let mut moments = Vec::new();
    for (at, key) in keys.into_iter().enumerate() {
        if !is_moment(&type_of(&key, &schema)?) {
            continue;
        }
        let instant = told_apart(key.clone(), &schema)?;
        for group in &mut aggregate.group_expr {
            let put =
                |expr: Expr| Ok(if expr == key { Transformed::yes(instant.clone()) } else { Transformed::no(expr) });
            *group = group.clone().transform_up(put)?.data;
        }
        moments.push(at);
        let any = AggregateFunction::new_udf(Arc::clone(&any_value), vec![key], false, None, Vec::new(), None);
        aggregate.aggr_expr.push(Expr::AggregateFunction(any).alias(format!("$moment{at}")));
    }
    if moments.is_empty() {
        return native_aggregates(aggregate);
    }
    let inner = Aggregate::try_new(aggregate.input, aggregate.group_expr, aggregate.aggr_expr)?;
    let inner = native_aggregates(inner)?;
    let columns = inner.schema().columns();
    let first = columns.len() - moments.len();
    let projected = names.into_iter().enumerate().map(|(at, (relation, name))| {
        let column = Expr::Column(columns[at].clone());
        let Some(moment) = moments.iter().position(|moment| *moment == at) else { return column };
        // In sets of groups that leave the key out there is none.
        let shown = Expr::Column(columns[first + moment].clone());
        let case = Case::new(None, vec![(Box::new(column.is_not_null()), Box::new(shown))], None);
        Expr::Case(case).alias_qualified(relation, name)
    });
    Ok(LogicalPlan::Projection(Projection::try_new(projected.collect(), Arc::new(inner))?))
}

/// Keys of joins, INTERSECT and EXCEPT that are moments are their instants.
fn equal_rows(mut join: Join) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let is_set = matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.iter().map(|(left, _)| left).eq(columns.iter());
    if is_set && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_) | LogicalPlan::Aggregate(_)) {
        join = numbered(join, &columns)?;
    }
    for (left, right) in &mut join.on {
        if is_moment(&type_of(left, join.left.schema())?) && is_moment(&type_of(right, join.right.schema())?) {
            *left = told_apart(left.clone(), join.left.schema())?;
            *right = told_apart(right.clone(), join.right.schema())?;
        }
    }
    let bag = join.left.schema().fields().len() > columns.len();
    let plan = LogicalPlan::Join(join);
    if bag { LogicalPlanBuilder::from(plan).project(columns)?.build() } else { Ok(plan) }
}

/// Equalities of doubles and moments, which Arrow's are not, imply some that are: by these rows are joined, and the others are asked of
/// what meets.
fn hashable(condition: Expr, schema: &DFSchema) -> Result<Expr> {
    let mut implied = Vec::new();
    for part in split_conjunction(&condition) {
        let Expr::ScalarFunction(call) = part else { continue };
        let is_eq = call.func.inner().downcast_ref::<TrinoScalar>().is_some_and(|own| own.trino() == "$eq");
        let [left, right] = call.args.as_slice() else { continue };
        if !is_eq || part.is_volatile() || left.column_refs().is_empty() || right.column_refs().is_empty() {
            continue;
        }
        let (a, b) = (type_of(left, schema)?, type_of(right, schema)?);
        if a == b && (is_moment(&a) || matches!(a, Type::Double | Type::Real)) {
            implied.push(told_apart(left.clone(), schema)?.eq(told_apart(right.clone(), schema)?));
        }
    }
    Ok(implied.into_iter().fold(condition, Expr::and))
}

/// INTERSECT ALL and EXCEPT ALL count equal rows: those of each side get numbers among their equals, by which they are joined, too.
fn numbered(join: Join, columns: &[Expr]) -> Result<Join> {
    const NUMBER: &str = "$number";
    let side = |plan: &LogicalPlan, keys: Vec<Expr>| {
        let keys = keys.into_iter().map(|key| told_apart(key, plan.schema())).collect::<Result<Vec<_>>>()?;
        let number = row_number().partition_by(keys).build()?.alias(NUMBER);
        LogicalPlanBuilder::from(plan.clone()).window(vec![number])?.build()
    };
    let left = side(&join.left, columns.to_vec())?;
    let right = side(&join.right, join.on.iter().map(|(_, right)| right.clone()).collect())?;
    let number = || Expr::Column(Column::from_name(NUMBER));
    let on = join.on.into_iter().chain([(number(), number())]).collect();
    Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )
}

/// DataFusion takes of its rows' types only what Arrow says.
fn typed_values(values: Values) -> Result<LogicalPlan> {
    let empty = DFSchema::empty();
    let mut fields = Vec::with_capacity(values.schema.fields().len());
    for (i, field) in values.schema.fields().iter().enumerate() {
        let mut all = Type::Unknown;
        for row in &values.values {
            let own = type_of(&row[i], &empty)?;
            all = common(&all, &own).unwrap_or(own);
        }
        let said = all.field(field.name());
        fields.push(if said.data_type() == field.data_type() { said } else { field.as_ref().clone() });
    }
    let schema = DFSchema::from_unqualified_fields(fields.into(), std::iter::empty().collect())?;
    Ok(LogicalPlan::Values(Values { schema: Arc::new(schema), values: values.values }))
}

/// Keys of a join must be comparable as they are in Trino, where text and numbers are not.
fn check_keys(plan: &LogicalPlan) -> Result<()> {
    if let LogicalPlan::Join(join) = plan {
        for (left, right) in &join.on {
            let (a, b) = (type_of(left, join.left.schema())?, type_of(right, join.right.schema())?);
            if common(&a, &b).is_none() {
                return Err(failed(Error::type_mismatch(format!("Cannot apply operator: {a} = {b}"))));
            }
        }
    }
    if let LogicalPlan::Sort(sort) = plan {
        for key in &sort.expr {
            let ty = type_of(&key.expr, sort.input.schema())?;
            if !ty.is_orderable() {
                return Err(failed(Error::type_mismatch(format!(
                    "Type {ty} is not orderable, and therefore cannot be used in ORDER BY: {}",
                    key.expr.schema_name()
                ))));
            }
        }
    }
    Ok(())
}

/// A plan whose sets have the types common to all of their queries, as a result's and a table's columns are to be told before it is
/// analyzed.
///
/// # Errors
/// Types that have nothing in common.
pub(crate) fn set_operations(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_set = |plan: &LogicalPlan| {
        Ok(matches!(plan, LogicalPlan::Union(_) | LogicalPlan::RecursiveQuery(_))
            || matches!(plan, LogicalPlan::Join(join) if is_set_join(join)))
    };
    if !plan.exists(is_set)? {
        return Ok(plan);
    }
    let common = |plan: LogicalPlan| {
        Ok(Transformed::yes(match plan {
            LogicalPlan::Union(union) => set_operation(&union)?,
            LogicalPlan::Join(join) if is_set_join(&join) => common_join(join)?,
            LogicalPlan::RecursiveQuery(query) => recursion(query)?,
            other => other.recompute_schema()?,
        }))
    };
    Ok(plan.transform_up(common)?.data)
}

/// INTERSECT and EXCEPT are joins of whole rows in which nulls are equal.
fn is_set_join(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
}

/// The rows of INTERSECT and EXCEPT have the types common to both queries, not those of the left one.
fn common_join(join: Join) -> Result<LogicalPlan> {
    let types = |plan: &LogicalPlan| -> Vec<Type> { plan.schema().fields().iter().map(|f| Type::of(f)).collect() };
    let (left, right) = (types(&join.left), types(&join.right));
    let both = left.iter().zip(&right).map(|(left, right)| common(left, right)).collect::<Option<Vec<_>>>();
    let Some(both) = both.filter(|both| *both != left && left.len() == right.len()) else {
        return Ok(LogicalPlan::Join(join));
    };
    let of_left = match join.left.as_ref() {
        LogicalPlan::Distinct(Distinct::All(input)) => {
            LogicalPlan::Distinct(Distinct::All(of_types(input, &both)?.into()))
        }
        other => of_types(&Arc::new(other.clone()), &both)?,
    };
    let of_right = of_types(&join.right, &both)?;
    LogicalPlan::Join(Join { left: of_left.into(), right: of_right.into(), ..join }).recompute_schema()
}

/// A query whose columns keep their names and have other types.
fn of_types(input: &Arc<LogicalPlan>, types: &[Type]) -> Result<LogicalPlan> {
    let schema = input.schema();
    let columns = schema.columns().into_iter().zip(schema.fields()).zip(types).map(|((column, field), ty)| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        coerced(Expr::Column(column), &Type::of(field), ty).alias_qualified(relation, name)
    });
    Ok(LogicalPlan::Projection(Projection::try_new(columns.collect(), Arc::clone(input))?))
}

/// A recursion's columns have the types of its first query: its step's values must be of these.
fn recursion(query: RecursiveQuery) -> Result<LogicalPlan> {
    if let LogicalPlan::Projection(step) = query.recursive_term.as_ref() {
        for (at, (expr, base)) in step.expr.iter().zip(query.static_term.schema().fields()).enumerate() {
            // DataFusion casts the step's columns as it plans; no other cast is there yet.
            let inner = match expr {
                Expr::Alias(alias) => alias.expr.as_ref(),
                other => other,
            };
            let Expr::Cast(cast) = inner else { continue };
            let (from, to) = (type_of(&cast.expr, step.input.schema())?, Type::of(base));
            if !trino_functions::types::can_coerce(&from, &to) {
                return Err(failed(Error::type_mismatch(format!(
                    "recursion step relation output type ({from}) is not coercible to recursion base relation output type ({to}) at column {}",
                    at + 1
                ))));
            }
        }
    }
    if !query.is_distinct {
        return LogicalPlan::RecursiveQuery(query).recompute_schema();
    }
    // UNION takes equal rows out of the result, not out of the steps, which find no end by that.
    let all = RecursiveQuery::try_new(query.name, query.static_term, query.recursive_term, false)?;
    Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(LogicalPlan::RecursiveQuery(all)))))
}

/// UNION's columns get the types common to all of its queries.
fn set_operation(union: &Union) -> Result<LogicalPlan> {
    let width = union.schema.fields().len();
    let mut types: Vec<Type> = vec![Type::Unknown; width];
    for input in &union.inputs {
        let fields = input.schema().fields();
        if fields.len() != width {
            return Err(failed(Error::type_mismatch(format!(
                "UNION query has different number of fields: {width}, {}",
                fields.len()
            ))));
        }
        for (i, field) in fields.iter().enumerate() {
            let own = Type::of(field);
            types[i] = common(&types[i], &own).ok_or_else(|| {
                failed(Error::type_mismatch(format!(
                    "column {} in UNION query has incompatible types: {}, {own}",
                    i + 1,
                    types[i]
                )))
            })?;
        }
    }
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let schema = input.schema();
        let named = union.schema.columns();
        let alike = schema.fields().iter().zip(&types).all(|(field, ty)| Type::of(field) == *ty);
        // Where the other queries have no rows, DataFusion looks in this one for the names of the first.
        if alike && schema.columns() == named {
            inputs.push(Arc::clone(input));
            continue;
        }
        let columns = schema.columns().into_iter().zip(&types).zip(schema.fields()).zip(named);
        let columns = columns.map(|(((column, ty), field), name)| {
            coerced(Expr::Column(column), &Type::of(field), ty).alias_qualified(name.relation, name.name)
        });
        let projection = Projection::try_new(columns.collect(), Arc::clone(input))?;
        inputs.push(Arc::new(LogicalPlan::Projection(projection)));
    }
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

pub(crate) fn type_of(expr: &Expr, schema: &DFSchema) -> Result<Type> {
    Ok(Type::of(expr.to_field(schema)?.1.as_ref()))
}

pub(crate) fn trino(name: &'static str, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(TrinoScalar::new(name))), args))
}

/// An expression cast as Trino casts.
pub(crate) fn cast_to(expr: Expr, to: &Type) -> Expr {
    trino("$cast", vec![expr, Expr::Literal(ScalarValue::from(to.to_string()), None)])
}

/// An expression cast as Trino casts what INSERT puts into a column.
pub(crate) fn assigned_to(expr: Expr, to: &Type) -> Expr {
    let name = if matches!(to, Type::Varchar(Some(_)) | Type::Char(_)) { "$assign" } else { "$cast" };
    trino(name, vec![expr, Expr::Literal(ScalarValue::from(to.to_string()), None)])
}

/// An expression as one of another type that it may be coerced to.
pub(crate) fn coerced(expr: Expr, from: &Type, to: &Type) -> Expr {
    if from == to || (from.data_type() == to.data_type() && matches!((from, to), (Type::Varchar(_), Type::Varchar(_))))
    {
        return expr;
    }
    let widens = matches!(
        (from, to),
        (Type::Tinyint | Type::Smallint | Type::Integer, Type::Smallint | Type::Integer | Type::Bigint | Type::Double)
            | (Type::Bigint | Type::Real, Type::Double)
            | (Type::Tinyint | Type::Smallint | Type::Integer | Type::Bigint, Type::Decimal(..))
            | (Type::Date, Type::Timestamp(3 | 6 | 9))
    );
    let finer = matches!((from, to), (Type::Decimal(_, s), Type::Decimal(_, t)) if s <= t);
    if widens || finer {
        return Expr::Cast(Cast::new(Box::new(expr), to.data_type()));
    }
    cast_to(expr, to)
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let expr = match expr {
        Expr::InSubquery(query) => return membership(query, schema).map(Transformed::yes),
        Expr::WindowFunction(window)
            if !window.params.order_by.is_empty() || !window.params.partition_by.is_empty() =>
        {
            return ordered_window(*window, schema).map(Transformed::yes);
        }
        other => other,
    };
    if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) = &expr
        && is_true(right)
    {
        return Ok(Transformed::yes(left.as_ref().clone()));
    }
    let Expr::ScalarFunction(function) = &expr else { return Ok(Transformed::no(expr)) };
    if function.func.name() == crate::sql::NAMES {
        return Ok(Transformed::yes(Expr::Literal(ScalarValue::Boolean(Some(true)), None)));
    }
    let Some(own) = function.func.inner().downcast_ref::<TrinoScalar>() else { return Ok(Transformed::no(expr)) };
    let args = &function.args;
    let new = match own.trino() {
        "$literal" => constant(&expr, schema)?,
        "$boolean" => boolean(args, schema)?,
        "$pos" => {
            type_of(&expr, schema)?;
            args.first().cloned()
        }
        "$eq" => compared(args, Operator::Eq, schema)?,
        "$neq" => compared(args, Operator::NotEq, schema)?,
        "$lt" => compared(args, Operator::Lt, schema)?,
        "$lte" => compared(args, Operator::LtEq, schema)?,
        "$gt" => compared(args, Operator::Gt, schema)?,
        "$gte" => compared(args, Operator::GtEq, schema)?,
        "$distinct" => compared(args, Operator::IsDistinctFrom, schema)?,
        "$same" => compared(args, Operator::IsNotDistinctFrom, schema)?,
        "$between" => between(args, schema)?,
        "$in" => listed(args, schema)?,
        "$like" => like(args, schema)?,
        "$case" | "if" => case(&expr, args, schema)?,
        "$case_of" => case_of(args, schema)?,
        "coalesce" => first_of(args, schema)?,
        _ => None,
    };
    Ok(match new {
        Some(new) => Transformed::yes(new),
        None => Transformed::no(expr),
    })
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// The literal that a call of `$literal` is.
fn constant(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let field = expr.to_field(schema)?.1;
    let Expr::ScalarFunction(function) = expr else { return Ok(None) };
    let scalars: Vec<_> = function
        .args
        .iter()
        .filter_map(|arg| if let Expr::Literal(scalar, _) = arg { Some(scalar) } else { None })
        .collect();
    let text = datafusion::arrow::datatypes::Field::new("", DataType::Utf8, true);
    let arguments: Vec<_> = scalars.iter().map(|scalar| argument(&text, Some(scalar))).collect();
    let call = trino_functions::call::resolve("$literal", &arguments).map_err(failed)?;
    let columns = scalars
        .iter()
        .map(|scalar| Ok(trino_functions::call::Column { array: scalar.to_array()?, constant: true }))
        .collect::<Result<Vec<_>>>()?;
    let array = call.run(&columns, &call.params, 1).map_err(failed)?;
    let scalar = scalar_of(&array)?;
    let metadata = if field.metadata().is_empty() { None } else { Some(field.as_ref().into()) };
    Ok(Some(Expr::Literal(scalar, metadata)))
}

fn boolean(args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    let inner = args[0].clone();
    Ok(Some(match type_of(&inner, schema)? {
        Type::Unknown => Expr::Literal(ScalarValue::Boolean(None), None),
        _ => inner,
    }))
}

/// Both sides brought to their common type, if Arrow compares it as Trino does.
fn sides(args: &[Expr], schema: &DFSchema) -> Result<Option<Vec<Expr>>> {
    let types = args.iter().map(|arg| type_of(arg, schema)).collect::<Result<Vec<_>>>()?;
    let mut all = Type::Unknown;
    for ty in &types {
        match common(&all, ty) {
            Some(next) => all = next,
            None => return Ok(None),
        }
    }
    if !is_native(&all) {
        return Ok(None);
    }
    Ok(Some(args.iter().zip(&types).map(|(arg, ty)| coerced(arg.clone(), ty, &all)).collect()))
}

fn compared(args: &[Expr], op: Operator, schema: &DFSchema) -> Result<Option<Expr>> {
    if let Some(new) = compared_with_decimal(args, op, schema)? {
        return Ok(Some(new));
    }
    Ok(sides(args, schema)?.and_then(|sides| {
        let [left, right] = <[Expr; 2]>::try_from(sides).ok()?;
        Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
    }))
}

/// A decimal and one that is written, of which no decimal of 38 digits holds both: Trino casts what is written the other way
/// (`UnwrapCastInComparison`), so that it never fails.
fn compared_with_decimal(args: &[Expr], op: Operator, schema: &DFSchema) -> Result<Option<Expr>> {
    let [left, right] = args else { return Ok(None) };
    let (Some((p, s)), Some((q, t))) = (type_of(left, schema)?.as_decimal(), type_of(right, schema)?.as_decimal())
    else {
        return Ok(None);
    };
    let is_written = |expr: &Expr| matches!(expr, Expr::Literal(..));
    let scale = s.max(t);
    if (p - s).max(q - t) + scale <= 38 || !(is_written(left) || is_written(right)) {
        return Ok(None);
    }
    let wide = |expr: &Expr| {
        Box::new(Expr::Cast(Cast::new(Box::new(expr.clone()), DataType::Decimal256(WIDEST, scale.cast_signed()))))
    };
    Ok(Some(Expr::BinaryExpr(BinaryExpr::new(wide(left), op, wide(right)))))
}

/// What would be written twice of an expression that goes by chance is computed as a whole.
fn between(args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    if args[0].is_volatile() {
        return Ok(None);
    }
    Ok(sides(args, schema)?.and_then(|sides| {
        let [value, low, high] = <[Expr; 3]>::try_from(sides).ok()?;
        Some(Expr::Between(Between::new(Box::new(value), false, Box::new(low), Box::new(high))))
    }))
}

fn listed(args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    if args[0].is_volatile() {
        return Ok(None);
    }
    Ok(sides(args, schema)?.map(|mut sides| {
        let value = sides.remove(0);
        Expr::InList(InList::new(Box::new(value), sides, false))
    }))
}

/// DataFusion's patterns have a backslash for escape character, and so have those that come here.
fn like(args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    let [value, pattern, Expr::Literal(ScalarValue::Utf8(Some(escape)), _)] = args else { return Ok(None) };
    if escape != "\\"
        || !matches!(type_of(value, schema)?, Type::Varchar(_))
        || !matches!(pattern, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
    {
        return Ok(None);
    }
    Ok(Some(Expr::Like(Like::new(false, Box::new(value.clone()), Box::new(pattern.clone()), None, false))))
}

fn case(expr: &Expr, args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    let result = type_of(expr, schema)?;
    let mut branches = Vec::new();
    let mut otherwise = None;
    for pair in args.chunks(2) {
        match pair {
            [when, then] => branches.push((
                Box::new(condition(when, schema)?),
                Box::new(coerced(then.clone(), &type_of(then, schema)?, &result)),
            )),
            [last] => otherwise = Some(Box::new(coerced(last.clone(), &type_of(last, schema)?, &result))),
            _ => {}
        }
    }
    let case = Expr::Case(Case::new(None, branches, otherwise));
    Ok(Some(typed(case, &result)))
}

/// `CASE operand WHEN value THEN …`, as comparisons of the operand, if it may be evaluated for each.
fn case_of(args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    let Some((operand, pairs)) = args.split_first().filter(|(operand, _)| !operand.is_volatile()) else {
        return Ok(None);
    };
    let mut whens = Vec::with_capacity(pairs.len());
    for pair in pairs.chunks(2) {
        if let [value, result] = pair {
            let sides = vec![operand.clone(), value.clone()];
            let equal = compared(&sides, Operator::Eq, schema)?;
            whens.extend([equal.unwrap_or_else(|| trino("$eq", sides)), result.clone()]);
        } else {
            whens.extend_from_slice(pair);
        }
    }
    case(&trino("$case", whens.clone()), &whens, schema)
}

fn condition(when: &Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match type_of(when, schema)? {
        Type::Unknown => Expr::Literal(ScalarValue::Boolean(None), None),
        _ => when.clone(),
    })
}

/// Says again of what type an expression is, where its Arrow type does not.
pub(crate) fn typed(expr: Expr, ty: &Type) -> Expr {
    if ty.field("").metadata().is_empty() {
        return expr;
    }
    trino("$typed", vec![expr, Expr::Literal(ScalarValue::from(ty.to_string()), None)])
}

fn first_of(args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    if args.iter().rev().skip(1).any(Expr::is_volatile) {
        return Ok(None);
    }
    let types = args.iter().map(|arg| type_of(arg, schema)).collect::<Result<Vec<_>>>()?;
    let Some(result) = types.iter().try_fold(Type::Unknown, |all, ty| common(&all, ty)) else { return Ok(None) };
    let mut parts: Vec<Expr> = args.iter().zip(&types).map(|(arg, ty)| coerced(arg.clone(), ty, &result)).collect();
    let Some(last) = parts.pop() else { return Ok(None) };
    let branches = parts.into_iter().map(|part| (Box::new(part.clone().is_not_null()), Box::new(part))).collect();
    Ok(Some(typed(Expr::Case(Case::new(None, branches, Some(Box::new(last)))), &result)))
}

/// `x IN (query)`: both of the common type.
fn membership(query: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let (left, plan) = (type_of(&query.expr, schema)?, Arc::clone(&query.subquery.subquery));
    let Some(field) = plan.schema().fields().first().cloned() else { return Ok(Expr::InSubquery(query)) };
    let right = Type::of(&field);
    let Some(ty) = common(&left, &right) else {
        return Err(failed(Error::type_mismatch(format!(
            "Value expression and result of subquery must be of the same type: row({left}) vs row({right})"
        ))));
    };
    let mut query = query;
    if is_moment(&ty) && left == ty && right == ty {
        let column = Expr::Column(plan.schema().columns()[0].clone());
        let instant = told_apart(column, plan.schema())?.alias(field.name());
        query.expr = Box::new(told_apart(*query.expr, schema)?);
        let plan = LogicalPlanBuilder::from(plan.as_ref().clone()).project(vec![instant])?.build()?;
        query.subquery = query.subquery.with_plan(Arc::new(plan));
        return Ok(Expr::InSubquery(query));
    }
    query.expr = Box::new(coerced(*query.expr, &left, &ty));
    // DataFusion wants one expression at the head of the query, which VALUES has not.
    if right != ty || !matches!(plan.as_ref(), LogicalPlan::Projection(_)) {
        let column = Expr::Column(plan.schema().columns()[0].clone());
        let value = coerced(column, &right, &ty).alias(field.name());
        let plan = LogicalPlanBuilder::from(plan.as_ref().clone()).project(vec![value])?.build()?;
        query.subquery = query.subquery.with_plan(Arc::new(plan));
    }
    Ok(Expr::InSubquery(query))
}

/// Counts, sums, averages and extremes by DataFusion's accumulators, which know groups.
fn native_aggregates(aggregate: Aggregate) -> Result<LogicalPlan> {
    let input = aggregate.input.schema();
    let mut changed = false;
    let mut names = Vec::with_capacity(aggregate.aggr_expr.len());
    let mut fixes = Vec::with_capacity(aggregate.aggr_expr.len());
    let mut expressions = Vec::with_capacity(aggregate.aggr_expr.len());
    let shifted = shifted_sums(&aggregate.aggr_expr, input)?;
    for (expr, shifted) in aggregate.aggr_expr.iter().zip(shifted) {
        let name = expr.schema_name().to_string();
        names.push(name.clone());
        if let Some(Shifted { of, by }) = shifted {
            changed = true;
            let sum = place(&mut expressions, sum_of_integers(of.clone()).alias(format!("$sum({of})")));
            let count = place(&mut expressions, counted(of.clone()).alias(format!("$count({of})")));
            fixes.push(Fix::Shifted { sum, count, by });
            continue;
        }
        let at = expressions.len();
        if let Some((new, fix)) = native(unaliased(expr), input)? {
            changed = true;
            expressions.push(new.alias(name));
            fixes.push(match (wide_sum(unaliased(expr), input)?, fix) {
                (Some((rough, scale)), _) => {
                    let alias = format!("$rough({rough})");
                    Fix::Wide { sum: at, rough: place(&mut expressions, rough.alias(alias)), scale }
                }
                (None, Some((from, to))) => Fix::Typed(at, from, to),
                (None, None) => Fix::None(at),
            });
        } else {
            expressions.push(expr.clone());
            fixes.push(Fix::None(at));
        }
    }
    if !changed {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let groups = aggregate.group_expr.clone();
    let width = expressions.len();
    let inner = Aggregate::try_new(Arc::clone(&aggregate.input), groups, expressions)?;
    if fixes.iter().all(|fix| matches!(fix, Fix::None(_))) {
        return Ok(LogicalPlan::Aggregate(inner));
    }
    let columns = inner.schema.columns();
    let first = columns.len() - width;
    let column = |at: usize| Expr::Column(columns[first + at].clone());
    let results = fixes.into_iter().zip(names).map(|(fix, name)| match fix {
        Fix::None(at) => column(at),
        Fix::Typed(at, from, to) => narrowed(column(at), &from, &to).alias(name),
        Fix::Wide { sum, rough, scale } => {
            trino("$sum_of_decimals", vec![unwrapped(column(sum), column(rough), scale)]).alias(name)
        }
        Fix::Shifted { sum, count, by } => {
            let times = Expr::Literal(ScalarValue::Decimal128(Some(by.into()), 10, 0), None);
            let count = Expr::Cast(Cast::new(Box::new(column(count)), DataType::Decimal128(19, 0)));
            let total = column(sum) + count * times;
            let total = Expr::Cast(Cast::new(Box::new(total), DataType::Decimal128(38, 0)));
            trino("$sum_of_bigints", vec![total]).alias(name)
        }
    });
    let groups = columns[..first].iter().cloned().map(Expr::Column);
    let projected = groups.chain(results).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(projected, Arc::new(LogicalPlan::Aggregate(inner)))?))
}

/// How a column of the result comes from those that are aggregated, by their places.
enum Fix {
    None(usize),
    /// The type that it has, and the one that it is to have.
    Typed(usize, Type, Type),
    /// A sum of decimals of so many digits that it may have wrapped, and what it is about.
    Wide {
        sum: usize,
        rough: usize,
        scale: u8,
    },
    Shifted {
        sum: usize,
        count: usize,
        by: i32,
    },
}

/// The most digits of decimals whose sum is within 128 bits, whatever the rows.
const SUMMED_DIGITS: u8 = 28;

/// What a sum of wide decimals is about, as a double, and their scale.
fn wide_sum(expr: &Expr, schema: &DFSchema) -> Result<Option<(Expr, u8)>> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return Ok(None) };
    let is_sum = func.inner().downcast_ref::<TrinoAggregate>().is_some_and(|own| own.base() == "sum");
    let ([argument], true) = (params.args.as_slice(), is_sum) else { return Ok(None) };
    let Type::Decimal(digits, scale) = type_of(argument, schema)? else { return Ok(None) };
    if digits <= SUMMED_DIGITS {
        return Ok(None);
    }
    let value = Expr::Cast(Cast::new(Box::new(argument.clone()), DataType::Float64));
    let params = AggregateFunctionParams { args: vec![value], ..params.clone() };
    Ok(Some((Expr::AggregateFunction(AggregateFunction { func: sum_udaf(), params }), scale)))
}

/// A sum of decimals, or one of more than 38 digits where DataFusion's has gone beyond 128 bits (1.7e38) and begun anew.
fn unwrapped(sum: Expr, rough: Expr, scale: u8) -> Expr {
    let most = 1.5e38 / 10f64.powi(scale.into());
    let bound = |most: f64| Expr::Literal(ScalarValue::from(most), None);
    let beyond = rough.clone().gt(bound(most)).or(rough.lt(bound(-most)));
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    let overflow = Expr::Literal(ScalarValue::Decimal128(Some(10i128.pow(38)), 38, scale), None);
    Expr::Case(Case::new(None, vec![(Box::new(beyond), Box::new(overflow))], Some(Box::new(sum))))
}

/// `sum(of + by)`, which is `sum(of) + by * count(of)`.
struct Shifted {
    of: Expr,
    by: i32,
}

/// The sums of one expression and several numbers, of types so wide that no single addition can overflow: of those the
/// expression is summed once.
fn shifted_sums(expressions: &[Expr], schema: &DFSchema) -> Result<Vec<Option<Shifted>>> {
    let mut all = expressions.iter().map(|expr| shifted(unaliased(expr), schema)).collect::<Result<Vec<_>>>()?;
    let of: Vec<Option<Expr>> = all.iter().map(|one| one.as_ref().map(|one| one.of.clone())).collect();
    for one in &mut all {
        if one.as_ref().is_some_and(|one| of.iter().flatten().filter(|other| **other == one.of).count() < 2) {
            *one = None;
        }
    }
    Ok(all)
}

fn shifted(expr: &Expr, schema: &DFSchema) -> Result<Option<Shifted>> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return Ok(None) };
    let own = func.inner().downcast_ref::<TrinoAggregate>();
    let plain = own.is_some_and(|own| own.base() == "sum" && !own.is_ordered())
        && !params.distinct
        && params.filter.is_none()
        && params.order_by.is_empty()
        && params.null_treatment.is_none();
    let [Expr::ScalarFunction(call)] = params.args.as_slice() else { return Ok(None) };
    let name = call.func.inner().downcast_ref::<TrinoScalar>().map_or("", TrinoScalar::trino);
    let (of, by, sign) = match (name, call.args.as_slice()) {
        ("$add", [of, Expr::Literal(by, _)] | [Expr::Literal(by, _), of]) => (of, by, 1),
        ("$sub", [of, Expr::Literal(by, _)]) => (of, by, -1),
        _ => return Ok(None),
    };
    let by = match by {
        ScalarValue::Int32(Some(by)) => Some(*by),
        ScalarValue::Int64(Some(by)) => i32::try_from(*by).ok(),
        _ => None,
    };
    // Half of what the sum's type holds is left for the expression.
    let Some(by) = by.filter(|by| plain && by.abs_diff(0) < 1 << 30 && !of.is_volatile()) else { return Ok(None) };
    let fits = matches!(
        (type_of(of, schema)?, type_of(&params.args[0], schema)?),
        (Type::Tinyint | Type::Smallint, Type::Integer)
            | (Type::Tinyint | Type::Smallint | Type::Integer, Type::Bigint)
    );
    Ok(fits.then(|| Shifted { of: of.clone(), by: sign * by }))
}

fn unaliased(expr: &Expr) -> &Expr {
    if let Expr::Alias(alias) = expr { alias.expr.as_ref() } else { expr }
}

/// The place of an expression among others, where it is put if it is not there.
fn place(all: &mut Vec<Expr>, expr: Expr) -> usize {
    all.iter().position(|known| *known == expr).unwrap_or_else(|| {
        all.push(expr);
        all.len() - 1
    })
}

fn counted(arg: Expr) -> Expr {
    Expr::AggregateFunction(AggregateFunction::new_udf(count_udaf(), vec![arg], false, None, Vec::new(), None))
}

/// The sum of integers as a decimal, which has place for that of any number of rows.
fn sum_of_integers(arg: Expr) -> Expr {
    // Not by the kernel's cast, which looks at each value's digits.
    let arg = cast_to(arg, &Type::Decimal(20, 0));
    Expr::AggregateFunction(AggregateFunction::new_udf(sum_udaf(), vec![arg], false, None, Vec::new(), None))
}

/// The type that a result has, and the one that it is to have.
type Retyped = Option<(Type, Type)>;

/// What DataFusion computes in place of an aggregate of Trino's.
struct Native {
    function: Arc<AggregateUDF>,
    argument: Expr,
    types: Retyped,
}

fn native(expr: &Expr, schema: &DFSchema) -> Result<Option<(Expr, Retyped)>> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return Ok(None) };
    let Some(own) = func.inner().downcast_ref::<TrinoAggregate>().filter(|own| !own.is_ordered()) else {
        return Ok(None);
    };
    let Some(Native { function, mut argument, types }) = native_call(own, &params.args, schema)? else {
        return Ok(None);
    };
    // Doubles do not tell apart what wide decimals do.
    if params.distinct && (of_spread(own.base()).is_some() || wide_sum(expr, schema)?.is_some()) {
        return Ok(None);
    }
    if params.distinct && own.base() == "count" {
        argument = told_apart(argument, schema)?;
    }
    let params = AggregateFunctionParams { args: vec![argument], ..params.clone() };
    Ok(Some((Expr::AggregateFunction(AggregateFunction { func: function, params }), types)))
}

/// The first field of a struct, null where the struct is: its fields may still have values there.
fn first_field(value: Expr, fields: &Fields) -> Expr {
    let Some(first) = fields.first() else { return value };
    let known = value.clone().is_not_null();
    let field = value.field(first.name().as_str());
    Expr::Case(Case::new(None, vec![(Box::new(known), Box::new(field))], None))
}

/// A value as one that Arrow tells apart from others where Trino does: there is one zero, and a moment is its instant, whatever
/// its zone.
fn told_apart(value: Expr, schema: &DFSchema) -> Result<Expr> {
    match (type_of(&value, schema)?, value.get_type(schema)?) {
        (Type::Double | Type::Real, ty) => {
            let zero = Box::new(Expr::Literal(ScalarValue::new_zero(&ty)?, None));
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(value), Operator::Plus, zero)))
        }
        (Type::TimestampTz(_), DataType::Struct(fields)) => Ok(first_field(value, &fields)),
        (Type::TimeTz(_), _) => Ok(trino("$instant", vec![value])),
        _ => Ok(value),
    }
}

/// Sums, averages, counts and extremes of a frame that begins with its partition: DataFusion's accumulators go on from row to
/// row, where an aggregate that keeps its rows would look at all of them for each.
fn native_windows(window: Window) -> Result<LogicalPlan> {
    let input = Arc::clone(&window.input);
    let mut fixes = Vec::with_capacity(window.window_expr.len());
    let mut expressions = Vec::with_capacity(window.window_expr.len());
    let mut changed = false;
    for expr in &window.window_expr {
        let name = expr.schema_name().to_string();
        if let Some((new, types)) = native_window(unaliased(expr), input.schema())? {
            changed = true;
            expressions.push(new.alias(name.clone()));
            fixes.push((name, types));
        } else {
            expressions.push(expr.clone());
            fixes.push((name, None));
        }
    }
    if !changed {
        return Ok(LogicalPlan::Window(window));
    }
    let inner = Window::try_new(expressions, input)?;
    let columns = inner.schema.columns();
    let first = columns.len() - fixes.len();
    let given = columns[..first].iter().cloned().map(Expr::Column);
    let computed = columns[first..].iter().cloned().map(Expr::Column).zip(fixes);
    let computed = computed.map(|(column, (name, types))| match types {
        None => column,
        Some((from, to)) => narrowed(column, &from, &to).alias(name),
    });
    let projected = given.chain(computed).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(projected, Arc::new(LogicalPlan::Window(inner)))?))
}

fn native_window(expr: &Expr, schema: &DFSchema) -> Result<Option<(Expr, Retyped)>> {
    let Expr::WindowFunction(window) = expr else { return Ok(None) };
    let WindowFunctionDefinition::AggregateUDF(function) = &window.fun else { return Ok(None) };
    let whole = matches!(&window.params.window_frame.start_bound, WindowFrameBound::Preceding(from) if from.is_null());
    let Some(own) = function.inner().downcast_ref::<TrinoAggregate>().filter(|own| !own.is_ordered()) else {
        return Ok(None);
    };
    if !whole || window.params.distinct || window.params.null_treatment.is_some() || of_spread(own.base()).is_some() {
        return Ok(None);
    }
    let Some(Native { function, mut argument, mut types }) = native_call(own, &window.params.args, schema)? else {
        return Ok(None);
    };
    // DataFusion's sums of decimals of 128 bits wrap: of up to 28 digits none can, whatever the rows.
    if own.base() == "sum"
        && let [wide] = window.params.args.as_slice()
        && let Type::Decimal(digits, scale) = type_of(wide, schema)?
        && digits > SUMMED_DIGITS
    {
        argument = in_256_bits(wide.clone(), scale);
        types = Some((Type::Decimal(WIDEST, scale), Type::Decimal(38, scale)));
    }
    let mut window = window.as_ref().clone();
    let running = AggregateUDF::new_from_impl(Running(function.as_ref().clone()));
    window.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(running));
    window.params.args = vec![argument];
    Ok(Some((Expr::WindowFunction(Box::new(window)), types)))
}

/// The digits of a decimal of 256 bits, which no type of Trino's has: it stands for one between.
const WIDEST: u8 = 76;

/// A decimal as one that arithmetic and comparison never leave.
fn in_256_bits(value: Expr, scale: u8) -> Expr {
    let digits = if scale > 38 { WIDEST } else { 38 };
    Expr::Cast(Cast::new(Box::new(value), DataType::Decimal256(digits, scale.cast_signed())))
}

/// A sum of 256 bits as one of 38 digits; if it has more, as one that is refused.
fn of_38_digits(sum: Expr, scale: u8) -> Expr {
    let least = |value: i256| Expr::Literal(ScalarValue::Decimal256(Some(value), WIDEST, scale.cast_signed()), None);
    let bound = i256::from_i128(10i128.pow(38));
    let beyond = sum.clone().gt_eq(least(bound)).or(sum.clone().lt_eq(least(bound.wrapping_neg())));
    let overflow = Expr::Literal(ScalarValue::Decimal128(Some(10i128.pow(38)), 38, scale.cast_signed()), None);
    let kept = Expr::Cast(Cast::new(Box::new(sum), DataType::Decimal128(38, scale.cast_signed())));
    Expr::Case(Case::new(None, vec![(Box::new(beyond), Box::new(overflow))], Some(Box::new(kept))))
}

/// The result in its own type.
fn narrowed(value: Expr, from: &Type, to: &Type) -> Expr {
    if let (Type::Decimal(WIDEST, given), Type::Decimal(_, wanted)) = (from, to) {
        return if given == wanted {
            trino("$sum_of_decimals", vec![of_38_digits(value, *given)])
        } else {
            Expr::Cast(Cast::new(Box::new(value), to.data_type()))
        };
    }
    if *to == Type::Bigint {
        trino("$sum_of_bigints", vec![value])
    } else if !to.field("").metadata().is_empty() {
        typed(value, to)
    } else if from == to {
        trino("$sum_of_decimals", vec![value])
    } else {
        coerced(value, from, to)
    }
}

/// Variances and deviations, which Trino and DataFusion compute in the same way (B. P. Welford, Technometrics 4, 1962).
fn of_spread(base: &str) -> Option<Arc<AggregateUDF>> {
    Some(match base {
        "stddev" | "stddev_samp" => stddev_udaf(),
        "stddev_pop" => stddev_pop_udaf(),
        "variance" | "var_samp" => var_samp_udaf(),
        "var_pop" => var_pop_udaf(),
        _ => return None,
    })
}

fn native_call(own: &TrinoAggregate, args: &[Expr], schema: &DFSchema) -> Result<Option<Native>> {
    if own.base() == "count" && args.len() <= 1 {
        let argument = args.first().cloned().unwrap_or(Expr::Literal(ScalarValue::Int64(Some(1)), None));
        return Ok(Some(Native { function: count_udaf(), argument, types: None }));
    }
    let [argument] = args else { return Ok(None) };
    let (argument, ty) = (argument.clone(), type_of(argument, schema)?);
    let plain = |function, argument| Some(Native { function, argument, types: None });
    Ok(match (own.base(), &ty) {
        ("min" | "max", ty) if is_native(ty) => {
            let function = if own.base() == "min" { min_max::min_udaf() } else { min_max::max_udaf() };
            let says_more = !ty.field("").metadata().is_empty();
            let types = says_more.then(|| (Type::Varchar(None), ty.clone()));
            Some(Native { function, argument, types })
        }
        ("count_if", _) => {
            let one = Box::new(Expr::Literal(ScalarValue::Int64(Some(1)), None));
            let counted = Expr::Case(Case::new(None, vec![(Box::new(condition(&argument, schema)?), one)], None));
            plain(count_udaf(), counted)
        }
        ("bool_and" | "every", Type::Boolean) => plain(bool_and_udaf(), argument),
        ("bool_or", Type::Boolean) => plain(bool_or_udaf(), argument),
        ("bitwise_and_agg", ty) if ty.is_integer() => plain(bit_and_udaf(), coerced(argument, ty, &Type::Bigint)),
        ("bitwise_or_agg", ty) if ty.is_integer() => plain(bit_or_udaf(), coerced(argument, ty, &Type::Bigint)),
        ("bitwise_xor_agg", ty) if ty.is_integer() => plain(bit_xor_udaf(), coerced(argument, ty, &Type::Bigint)),
        ("sum" | "avg", Type::Real) => {
            let function = if own.base() == "sum" { sum_udaf() } else { avg_udaf() };
            let argument = coerced(argument, &ty, &Type::Double);
            Some(Native { function, argument, types: Some((Type::Double, Type::Real)) })
        }
        ("sum", Type::Double) => plain(sum_udaf(), argument),
        ("sum", ty) if ty.is_integer() => {
            let wide = Type::Decimal(20, 0);
            let sum = Type::Decimal(30, 0);
            // Not by the kernel's cast, which looks at each value's digits.
            let argument = cast_to(argument, &wide);
            Some(Native { function: sum_udaf(), argument, types: Some((sum, Type::Bigint)) })
        }
        ("sum", ty @ Type::Decimal(_, s)) => {
            let wide = Type::Decimal(38, *s);
            let argument = coerced(argument, ty, &wide);
            Some(Native { function: sum_udaf(), argument, types: Some((wide.clone(), wide)) })
        }
        ("avg", ty) if ty.is_integer() || *ty == Type::Double => {
            plain(avg_udaf(), coerced(argument, ty, &Type::Double))
        }
        ("avg", Type::Decimal(p, s)) => {
            // DataFusion's has four digits more than its argument, which above 34 no 128 bits hold.
            let wide = *p > 34;
            let argument = if wide { in_256_bits(argument, *s) } else { argument };
            let from = if wide { Type::Decimal(WIDEST, s + 4) } else { Type::Decimal(p + 4, s + 4) };
            Some(Native { function: avg_udaf(), argument, types: Some((from, ty.clone())) })
        }
        // Of one `NaN` or infinity DataFusion's are zero.
        (base, ty) if ty.is_integer() => {
            of_spread(base).and_then(|function| plain(function, coerced(argument, ty, &Type::Double)))
        }
        _ => None,
    })
}
