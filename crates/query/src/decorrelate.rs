//! Correlated subqueries that DataFusion's rules refuse or get wrong, as joins: the distinct values of what a subquery
//! names of the outer query (its domain) are joined into it where they are named, and its rows to the outer query's by
//! them. After T. Neumann and A. Kemper, "Unnesting Arbitrary Queries" (BTW 2015). What DataFusion does well, a plain
//! aggregate whose rows are chosen by equality, is left to it: it needs no domain. What Trino refuses is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, NullEquality, Result, ScalarValue, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::{AggregateFunction, BinaryExpr, InSubquery, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Distinct, Expr, FetchType, Filter, Join, JoinType, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, ScalarUDF, SkipType, SortExpr, Subquery, SubqueryAlias, Union, WindowFunctionDefinition, lit,
    when,
};
use datafusion::optimizer::AnalyzerRule;

use crate::error::Error;
use crate::functions::{TrinoAggregate, TrinoScalar};
use crate::sql::INTERNAL;

#[derive(Debug)]
pub(crate) struct Decorrelate;

impl AnalyzerRule for Decorrelate {
    fn name(&self) -> &'static str {
        "decorrelate"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(node)?.data)
    }
}

fn refused(what: impl std::fmt::Display) -> datafusion::common::DataFusionError {
    Error::not_supported(format_args!("line 1:1: Given correlated subquery is not supported: {what}")).into()
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => in_expressions(plan),
        LogicalPlan::Window(_) => {
            let columns = plan.schema().columns();
            let done = in_expressions(plan)?;
            if !done.transformed {
                return Ok(done);
            }
            let shown = columns.into_iter().map(Expr::Column);
            Ok(Transformed::yes(LogicalPlanBuilder::from(done.data).project(shown)?.build()?))
        }
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) => {
            let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
            let done = in_expressions(plan)?;
            if !done.transformed {
                return Ok(done);
            }
            Ok(Transformed::yes(LogicalPlanBuilder::from(done.data).project(columns)?.build()?))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// What conditions ask of queries where only truth counts, which DataFusion joins: below nothing but AND.
fn certain<'a>(condition: &'a Expr, found: &mut Vec<&'a Expr>) {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            certain(left, found);
            certain(right, found);
        }
        // That nothing is among a query's values it joins by one key alone.
        Expr::InSubquery(query) if query.negated && !references(&query.subquery.subquery).is_empty() => {}
        Expr::InSubquery(_) => found.push(condition),
        Expr::Not(inner) => {
            if let Expr::InSubquery(query) = inner.as_ref()
                && references(&query.subquery.subquery).is_empty()
            {
                found.push(inner);
            }
        }
        _ => {}
    }
}

/// The subqueries among the expressions of a plan with one input.
fn in_expressions(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut input = plan.inputs()[0].clone();
    let in_order = matches!(plan, LogicalPlan::Sort(_));
    // DataFusion has no values of queries there.
    let all = matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
    let names = NamePreserver::new(&plan);
    let mut changed = false;
    let mut expressions = Vec::new();
    let mut joined = Vec::new();
    if let LogicalPlan::Filter(filter) = &plan {
        certain(&filter.predicate, &mut joined);
    }
    for expr in plan.expressions() {
        let saved = names.save(&expr);
        let new = expr.transform_up(|expr| match expr {
            Expr::ScalarSubquery(query)
                if is_ours(&query, input.schema(), in_order) || (all && is_within(&query, input.schema())) =>
            {
                let (with, column) = attach(&input, &query)?;
                input = with;
                changed = true;
                Ok(Transformed::yes(Expr::Column(column)))
            }
            Expr::Exists(query) if is_deep(&query.subquery.subquery)? && is_within(&query.subquery, input.schema()) => {
                let (with, column) = attach(&input, &counted(query.subquery)?)?;
                input = with;
                changed = true;
                let count = Expr::Column(column);
                Ok(Transformed::yes(if query.negated { count.eq(lit(0i64)) } else { count.gt(lit(0i64)) }))
            }
            Expr::InSubquery(query)
                if !joined.iter().any(|own| matches!(own, Expr::InSubquery(own) if *own == query)) =>
            {
                let (with, value) = membership(&input, query)?;
                input = with;
                changed = true;
                Ok(Transformed::yes(value))
            }
            other => Ok(Transformed::no(other)),
        })?;
        expressions.push(if new.transformed { saved.restore(new.data) } else { new.data });
    }
    if !changed {
        return Ok(Transformed::no(plan));
    }
    Ok(Transformed::yes(plan.with_new_exprs(expressions, vec![input])?.recompute_schema()?))
}

/// LATERAL; and subqueries in the condition of an inner join, which are a filter's.
fn joined(join: Join) -> Result<Transformed<LogicalPlan>> {
    let (query, alias) = match join.right.as_ref() {
        LogicalPlan::Subquery(query) => (query, None),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => match input.as_ref() {
            LogicalPlan::Subquery(query) => (query, Some(alias)),
            _ => return filtered(join),
        },
        _ => return filtered(join),
    };
    let outer = references(&query.subquery);
    if outer.is_empty() || !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let domain = Domain::of(&join.left, outer)?;
    let mut right = domain.depend(&query.subquery)?;
    if let Some(alias) = alias {
        right = domain.under(right, alias)?;
    }
    let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
    let on = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let filter = conjunction(on.chain(join.filter.clone()));
    let keys = (domain.outer.clone(), domain.columns());
    let plan = LogicalPlanBuilder::from(join.left.as_ref().clone())
        .join_detailed(right, join.join_type, keys, filter, NullEquality::NullEqualsNull)?
        .project(columns)?
        .build()?;
    Ok(Transformed::yes(plan))
}

fn filtered(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    if matches!(join.join_type, JoinType::Left | JoinType::Right | JoinType::Full) {
        return beside(join);
    }
    let has_query = |expr: &Expr| {
        expr.exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_))))
            .unwrap_or(false)
    };
    let Some(filter) = join.filter.take_if(|filter| join.join_type == JoinType::Inner && has_query(filter)) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let (above, within): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(filter).into_iter().partition(has_query);
    join.filter = conjunction(within);
    let plan = LogicalPlanBuilder::from(LogicalPlan::Join(join))
        .filter(conjunction(above).unwrap_or_else(|| lit(true)))?
        .build()?;
    Ok(Transformed::yes(node(plan)?.data))
}

/// Subqueries in the condition of an outer join, each a column of the side whose columns it names.
fn beside(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some(filter) = join.filter.take() else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
    let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
    let (mut left, mut right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
    let new = filter.transform_up(|expr| {
        let (query, own) = match &expr {
            Expr::ScalarSubquery(query) => (query, None),
            Expr::InSubquery(query) => (&query.subquery, Some(&query.expr)),
            _ => return Ok(Transformed::no(expr)),
        };
        let mut named = references(&query.subquery);
        named.extend(own.iter().flat_map(|own| own.column_refs()).cloned());
        if named.is_empty() && own.is_none() {
            return Ok(Transformed::no(expr));
        }
        let within = |side: &LogicalPlan| named.iter().all(|column| side.schema().has_column(column));
        let side = if within(&left) {
            &mut left
        } else if within(&right) {
            &mut right
        } else {
            return Err(refused("it names both sides of an outer join"));
        };
        let (with, value) = match expr {
            Expr::InSubquery(query) => membership(side, query)?,
            Expr::ScalarSubquery(query) => {
                let (with, column) = attach(side, &query)?;
                (with, Expr::Column(column))
            }
            other => return Ok(Transformed::no(other)),
        };
        *side = with;
        Ok(Transformed::yes(value))
    })?;
    join.filter = Some(new.data);
    if !new.transformed {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    join.left = Arc::new(left);
    join.right = Arc::new(right);
    let join = LogicalPlan::Join(join).recompute_schema()?;
    Ok(Transformed::yes(LogicalPlanBuilder::from(join).project(columns)?.build()?))
}

/// Whether all that a subquery names of the queries around it is of this one.
fn is_within(query: &Subquery, outer: &DFSchema) -> bool {
    references(&query.subquery).iter().all(|column| outer.has_column(column))
}

/// Whether a derived table names columns of the outer query, from where DataFusion does not bring the condition up.
fn is_deep(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let LogicalPlan::SubqueryAlias(alias) = node else { return Ok(false) };
        Ok(!references(&alias.input).is_empty())
    })
}

/// The number of a subquery's rows.
fn counted(query: Subquery) -> Result<Subquery> {
    let count = count_udaf().call(vec![lit(1i64)]);
    let plan = LogicalPlanBuilder::from(query.subquery.as_ref().clone()).aggregate(Vec::<Expr>::new(), vec![count])?;
    Ok(Subquery { subquery: Arc::new(plan.build()?), ..query })
}

/// What a subquery names of the queries around it.
fn references(plan: &LogicalPlan) -> Vec<Column> {
    let mut found = Vec::new();
    for expr in plan.all_out_ref_exprs() {
        if let Expr::OuterReferenceColumn(_, column) = expr
            && !found.contains(&column)
        {
            found.push(column);
        }
    }
    found
}

/// `in_order`: it is a key of ORDER BY, where DataFusion expects none.
fn is_ours(query: &Subquery, outer: &DFSchema, in_order: bool) -> bool {
    let named = references(&query.subquery);
    if named.is_empty() {
        // A query without rows is a null, which DataFusion does not expect of such a column.
        let field = query.subquery.schema().fields().first();
        return field.is_some_and(|field| !field.is_nullable()) && !is_single(&query.subquery);
    }
    named.iter().all(|column| outer.has_column(column)) && (in_order || !is_plain(&query.subquery))
}

/// Whether it has one row whatever it reads.
fn is_single(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_single(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_single(&alias.input),
        LogicalPlan::Sort(sort) => is_single(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

/// `SELECT aggregate FROM … WHERE inner = outer AND …`, which DataFusion decorrelates by grouping.
fn is_plain(plan: &LogicalPlan) -> bool {
    let free = |plan: &LogicalPlan| plan.expressions().iter().all(|expr| !expr.contains_outer());
    match plan {
        LogicalPlan::Projection(projection) => free(plan) && is_plain(&projection.input),
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() && free(plan) => {
            let LogicalPlan::Filter(Filter { predicate, input, .. }) = aggregate.input.as_ref() else { return false };
            references(input).is_empty() && split_conjunction(predicate).into_iter().all(is_equality)
        }
        _ => false,
    }
}

fn is_equality(condition: &Expr) -> bool {
    if !condition.contains_outer() {
        return true;
    }
    let Expr::BinaryExpr(binary) = condition else { return false };
    binary.op == Operator::Eq
        && matches!(
            (binary.left.as_ref(), binary.right.as_ref()),
            (Expr::Column(_), Expr::OuterReferenceColumn(..)) | (Expr::OuterReferenceColumn(..), Expr::Column(_))
        )
}

/// The outer query's plan with a column that has the subquery's value for each of its rows.
fn attach(outer: &LogicalPlan, query: &Subquery) -> Result<(LogicalPlan, Column)> {
    let plan = query.subquery.as_ref();
    let domain = Domain::of(outer, references(plan))?;
    let dependent = domain.depend(plan)?;
    let value = Expr::Column(plan.schema().columns()[0].clone());
    let name = format!("{INTERNAL}scalar_{}", domain.id);
    let builder = LogicalPlanBuilder::from(dependent);
    let builder = if is_single(plan) {
        let shown = std::iter::once(value.alias(&name)).chain(domain.expressions());
        builder.project(shown)?
    } else {
        let (count, any) = (format!("{name}_count"), format!("{name}_any"));
        let counted = count_udaf().call(vec![lit(1i64)]).alias(&count);
        let taken = AggregateUDF::from(TrinoAggregate::new("any_value")).call(vec![value]).alias(&any);
        let single = ScalarUDF::from(TrinoScalar::new("$single"));
        let own = |name: &String| Expr::Column(Column::new_unqualified(name));
        let shown = std::iter::once(single.call(vec![own(&count), own(&any)]).alias(&name)).chain(domain.expressions());
        builder.aggregate(domain.expressions(), vec![counted, taken])?.project(shown)?
    };
    let right = builder.build()?;
    let left = LogicalPlanBuilder::from(outer.clone());
    let all = if domain.outer.is_empty() {
        left.cross_join(right)?
    } else {
        let keys = (domain.outer.clone(), domain.columns());
        left.join_detailed(right, JoinType::Left, keys, None, NullEquality::NullEqualsNull)?
    };
    // The domain's columns have done their work.
    let mut shown: Vec<Expr> = outer.schema().columns().into_iter().map(Expr::Column).collect();
    let column = Column::new_unqualified(&name);
    shown.push(Expr::Column(column.clone()));
    Ok((all.project(shown)?.build()?, column))
}

/// `value IN (query)` as a value: the outer query's plan with the value, evaluated once, and with what the query says of it, and
/// the answer, which is null where the value or one of the query's is.
fn membership(outer: &LogicalPlan, query: InSubquery) -> Result<(LogicalPlan, Expr)> {
    let plan = query.subquery.subquery.as_ref();
    let domain = Domain::of(outer, references(plan))?;
    let dependent = domain.depend(plan)?;
    let name = |what: &str| format!("{INTERNAL}{what}_{}", domain.id);
    let column = |what: &str| Expr::Column(Column::new_unqualified(name(what)));
    let item = Expr::Column(plan.schema().columns()[0].clone());
    let shown = [item.clone().alias(name("item")), lit(true).alias(name("found"))];
    let items = LogicalPlanBuilder::from(dependent.clone())
        .filter(item.clone().is_not_null())?
        .project(shown.into_iter().chain(domain.expressions()))?
        .distinct()?
        .build()?;
    let rows = count_udaf().call(vec![lit(1i64)]).alias(name("rows"));
    let known = count_udaf().call(vec![item]).alias(name("known"));
    let counts = LogicalPlanBuilder::from(dependent).aggregate(domain.expressions(), vec![rows, known])?.build()?;

    let mut shown: Vec<Expr> = outer.schema().columns().into_iter().map(Expr::Column).collect();
    let with_value = shown.iter().cloned().chain([query.expr.alias(name("value"))]);
    let left = LogicalPlanBuilder::from(outer.clone()).project(with_value)?;
    let keys = (domain.outer.clone(), domain.columns());
    let own = (Column::new_unqualified(name("value")), Column::new_unqualified(name("item")));
    let with_item = (
        keys.0.iter().cloned().chain([own.0]).collect::<Vec<_>>(),
        keys.1.iter().cloned().chain([own.1]).collect::<Vec<_>>(),
    );
    // No item is null, so that no null is found.
    let found = left.join_detailed(items, JoinType::Left, with_item, None, NullEquality::NullEqualsNull)?;
    shown.extend([column("value"), column("found")]);
    let found = found.project(shown.clone())?;
    let all = if domain.outer.is_empty() {
        found.cross_join(counts)?
    } else {
        found.join_detailed(counts, JoinType::Left, keys, None, NullEquality::NullEqualsNull)?
    };
    shown.extend([column("rows"), column("known")]);
    let none = column("rows").is_null().or(column("rows").eq(lit(0i64)));
    let open = column("value").is_null().or(column("rows").not_eq(column("known")));
    let answer = when(none, lit(query.negated))
        .when(column("found").is_not_null(), lit(!query.negated))
        .when(open, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(query.negated))?;
    Ok((all.project(shown)?.build()?, answer))
}

/// The distinct values of the columns that a subquery names of its outer query, under names of their own.
struct Domain {
    id: usize,
    plan: LogicalPlan,
    outer: Vec<Column>,
    names: Vec<String>,
}

impl Domain {
    fn of(input: &LogicalPlan, outer: Vec<Column>) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        if !outer.is_empty() && by_chance(input)? {
            return Err(Error::not_supported(
                "line 1:1: Given correlated subquery is not supported: the rows of its outer query are random",
            )
            .into());
        }
        let names: Vec<String> = (0..outer.len()).map(|i| format!("{INTERNAL}outer_{id}_{i}")).collect();
        let shown = outer.iter().zip(&names).map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let shown: Vec<Expr> = shown.collect();
        let plan = if outer.is_empty() {
            LogicalPlanBuilder::empty(true).build()?
        } else {
            LogicalPlanBuilder::from(input.clone()).project(shown)?.distinct()?.build()?
        };
        Ok(Self { id, plan, outer, names })
    }

    fn columns(&self) -> Vec<Column> {
        self.names.iter().map(Column::new_unqualified).collect()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.columns().into_iter().map(Expr::Column).collect()
    }

    /// An expression with the domain's columns for those of the outer query.
    fn replaced(&self, expr: Expr) -> Result<Expr> {
        let new = expr.transform_up(|expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => match self.outer.iter().position(|own| own == column) {
                Some(at) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(&self.names[at])))),
                None => Err(refused(column)),
            },
            Expr::ScalarSubquery(query) if !references(&query.subquery).is_empty() => Err(refused("a query in it")),
            _ => Ok(Transformed::no(expr)),
        })?;
        Ok(new.data)
    }

    /// The plan with its columns and the domain's: its rows for each of the domain's rows.
    fn depend(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        if references(plan).is_empty() {
            let builder = LogicalPlanBuilder::from(plan.clone());
            return if self.outer.is_empty() {
                builder.build()
            } else {
                builder.cross_join(self.plan.clone())?.build()
            };
        }
        match plan {
            LogicalPlan::Projection(projection) => {
                let input = self.depend(&projection.input)?;
                self.projected(projection, input)
            }
            LogicalPlan::Filter(filter) => {
                let input = self.depend(&filter.input)?;
                let condition = self.replaced(filter.predicate.clone())?;
                LogicalPlanBuilder::from(input).filter(condition)?.build()
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.depend(&alias.input)?;
                self.under(input, &alias.alias)
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregated(aggregate),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.depend(&sort.input),
            LogicalPlan::Limit(limit) => self.limited(limit),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                LogicalPlanBuilder::from(self.depend(input)?).distinct()?.build()
            }
            LogicalPlan::Union(union) => self.united(union),
            LogicalPlan::Join(join) => self.joined(join),
            // As a relation of its own, such as UNNEST of what the outer query has.
            LogicalPlan::Subquery(query) => self.depend(&query.subquery),
            LogicalPlan::Unnest(unnest) => {
                let input = self.depend(&unnest.input)?;
                LogicalPlanBuilder::from(input)
                    .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?
                    .build()
            }
            other => Err(refused(other.display())),
        }
    }

    fn projected(&self, projection: &Projection, input: LogicalPlan) -> Result<LogicalPlan> {
        let mut shown = Vec::with_capacity(projection.expr.len() + self.names.len());
        for (expr, (qualifier, field)) in projection.expr.iter().zip(projection.schema.iter()) {
            shown.push(match expr {
                Expr::Column(_) => expr.clone(),
                other => {
                    self.replaced(other.clone())?.unalias().alias_qualified(qualifier.cloned(), field.name().clone())
                }
            });
        }
        shown.extend(self.expressions());
        LogicalPlanBuilder::from(input).project(shown)?.build()
    }

    /// The relation under an alias, which the domain's columns do not get.
    fn under(&self, input: LogicalPlan, alias: &TableReference) -> Result<LogicalPlan> {
        let plan = LogicalPlanBuilder::from(input).alias(alias.clone())?.build()?;
        let shown: Vec<Expr> = plan
            .schema()
            .columns()
            .into_iter()
            .map(|column| {
                let name = column.name.clone();
                let own = self.names.contains(&name);
                let column = Expr::Column(column);
                if own { column.alias(name) } else { column }
            })
            .collect();
        LogicalPlanBuilder::from(plan).project(shown)?.build()
    }

    fn aggregated(&self, aggregate: &Aggregate) -> Result<LogicalPlan> {
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return Err(refused("GROUPING SETS"));
        }
        let input = self.depend(&aggregate.input)?;
        let replaced = |exprs: &[Expr], schema_offset: usize| -> Result<Vec<Expr>> {
            exprs
                .iter()
                .enumerate()
                .map(|(i, expr)| {
                    let new = self.replaced(expr.clone())?;
                    let (qualifier, field) = aggregate.schema.qualified_field(schema_offset + i);
                    Ok(if new == *expr { new } else { new.alias_qualified(qualifier.cloned(), field.name().clone()) })
                })
                .collect()
        };
        let aggregates = replaced(&aggregate.aggr_expr, aggregate.group_expr.len())?;
        if !aggregate.group_expr.is_empty() {
            let mut groups = replaced(&aggregate.group_expr, 0)?;
            groups.extend(self.expressions());
            return LogicalPlanBuilder::from(input).aggregate(groups, aggregates)?.build();
        }
        // A row for each of the domain's, also where nothing is to be aggregated: what is there is marked.
        let mark = format!("{INTERNAL}there_{}", self.id);
        let mut shown: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        shown.push(lit(true).alias(&mark));
        let marked = LogicalPlanBuilder::from(input).project(shown)?.build()?;
        let keys: Vec<String> = self.names.iter().map(|name| format!("{name}_key")).collect();
        let renamed = self.expressions().into_iter().zip(&keys).map(|(expr, key)| expr.alias(key));
        let renamed: Vec<Expr> = renamed.collect();
        let key_columns: Vec<Column> = keys.iter().map(Column::new_unqualified).collect();
        let all = LogicalPlanBuilder::from(self.plan.clone()).project(renamed)?.join_detailed(
            marked,
            JoinType::Left,
            (key_columns.clone(), self.columns()),
            None,
            NullEquality::NullEqualsNull,
        )?;
        let there = Expr::Column(Column::new_unqualified(&mark)).is_not_null();
        let mut own = Vec::with_capacity(aggregates.len());
        let mut shown = Vec::with_capacity(aggregates.len() + keys.len());
        for (i, expr) in aggregates.into_iter().enumerate() {
            let (qualifier, field) = aggregate.schema.qualified_field(i);
            let new = expr.transform_up(|expr| match expr {
                Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
                    params.filter = Some(Box::new(match params.filter.take() {
                        Some(filter) => there.clone().and(*filter),
                        None => there.clone(),
                    }));
                    Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
                }
                other => Ok(Transformed::no(other)),
            })?;
            let name = format!("{mark}_{i}");
            own.push(new.data.unalias().alias(&name));
            let column = Expr::Column(Column::new_unqualified(&name));
            shown.push(column.alias_qualified(qualifier.cloned(), field.name().clone()));
        }
        let groups: Vec<Expr> = key_columns.iter().cloned().map(Expr::Column).collect();
        shown.extend(groups.iter().zip(&self.names).map(|(key, name)| key.clone().alias(name)));
        all.aggregate(groups, own)?.project(shown)?.build()
    }

    /// The first rows for each of the domain's.
    fn limited(&self, limit: &Limit) -> Result<LogicalPlan> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Err(refused("a limit that is no number"));
        };
        // What is sorted by may be gone from what is shown.
        let (mut shown_above, mut inner) = (Vec::new(), limit.input.as_ref());
        while let LogicalPlan::Projection(projection) = inner {
            shown_above.push(projection);
            inner = projection.input.as_ref();
        }
        let (input, order): (&LogicalPlan, Vec<SortExpr>) = match inner {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => (sort.input.as_ref(), sort.expr.clone()),
            LogicalPlan::Sort(_) => return Err(refused("a limit within a limit")),
            _ => {
                shown_above.clear();
                inner = limit.input.as_ref();
                (inner, Vec::new())
            }
        };
        let columns: Vec<Expr> = inner.schema().columns().into_iter().map(Expr::Column).collect();
        let input = self.depend(input)?;
        let order = order
            .into_iter()
            .map(|key| Ok(SortExpr { expr: self.replaced(key.expr)?, ..key }))
            .collect::<Result<Vec<_>>>()?;
        let number = format!("{INTERNAL}number_{}", self.id);
        let mut window = WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), Vec::new());
        window.params.partition_by = self.expressions();
        window.params.order_by = order;
        let own = Expr::Column(Column::new_unqualified(&number));
        let mut condition = own.clone().gt(lit(skip as u64));
        if let Some(fetch) = fetch {
            condition = condition.and(own.lt_eq(lit(skip.saturating_add(fetch) as u64)));
        }
        let mut shown: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        let window = Expr::WindowFunction(Box::new(window));
        let windowed = LogicalPlanBuilder::from(input).window(vec![window.alias(&number)])?;
        shown.push(Expr::Column(Column::new_unqualified(&number)));
        let kept = columns.into_iter().chain(self.expressions());
        let mut plan = windowed.project(shown)?.filter(condition)?.project(kept)?.build()?;
        for projection in shown_above.into_iter().rev() {
            plan = self.projected(projection, plan)?;
        }
        Ok(plan)
    }

    fn united(&self, union: &Union) -> Result<LogicalPlan> {
        let mut inputs = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let columns = input.schema().columns().into_iter().zip(union.schema.fields());
            let shown = columns.map(|(column, field)| Expr::Column(column).alias(field.name().clone()));
            let shown: Vec<Expr> = shown.chain(self.expressions()).collect();
            inputs.push(Arc::new(LogicalPlanBuilder::from(self.depend(input)?).project(shown)?.build()?));
        }
        Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
    }

    fn joined(&self, join: &Join) -> Result<LogicalPlan> {
        let (left, right) = (!references(&join.left).is_empty(), !references(&join.right).is_empty());
        let on = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
        let condition = conjunction(on.chain(join.filter.clone())).map(|expr| self.replaced(expr)).transpose()?;
        if join.null_aware || join.null_equality == NullEquality::NullEqualsNull {
            return Err(refused("a join whose nulls are equal"));
        }
        let both = match join.join_type {
            JoinType::Inner => left && right,
            JoinType::Left => right,
            JoinType::LeftSemi | JoinType::LeftAnti if !right => false,
            other => return Err(refused(other)),
        };
        let keys: (Vec<Column>, Vec<Column>) = (Vec::new(), Vec::new());
        let plain = NullEquality::NullEqualsNothing;
        if both {
            let others: Vec<String> = self.names.iter().map(|name| format!("{name}_right")).collect();
            let inner = self.depend(&join.right)?;
            let renamed = inner.schema().columns().into_iter().map(|column| {
                let other = self.names.iter().position(|name| column.relation.is_none() && *name == column.name);
                let column = Expr::Column(column);
                match other {
                    Some(at) => column.alias(&others[at]),
                    None => column,
                }
            });
            let renamed: Vec<Expr> = renamed.collect();
            let inner = LogicalPlanBuilder::from(inner).project(renamed)?.build()?;
            let same = self.expressions().into_iter().zip(&others).map(|(own, other)| {
                Expr::BinaryExpr(BinaryExpr::new(
                    Box::new(own),
                    Operator::IsNotDistinctFrom,
                    Box::new(Expr::Column(Column::new_unqualified(other))),
                ))
            });
            let condition = conjunction(same.chain(condition));
            let shown = join.schema.columns().into_iter().map(Expr::Column).chain(self.expressions());
            let shown: Vec<Expr> = shown.collect();
            return LogicalPlanBuilder::from(self.depend(&join.left)?)
                .join_detailed(inner, join.join_type, keys, condition, plain)?
                .project(shown)?
                .build();
        }
        let (left, right) = match (join.join_type, right) {
            (JoinType::Inner, true) => (join.left.as_ref().clone(), self.depend(&join.right)?),
            _ => (self.depend(&join.left)?, join.right.as_ref().clone()),
        };
        LogicalPlanBuilder::from(left).join_detailed(right, join.join_type, keys, condition, plain)?.build()
    }
}

/// Whether a plan's rows may be others when it is run again.
fn by_chance(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|plan| {
        found |= plan.expressions().iter().any(Expr::is_volatile);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
