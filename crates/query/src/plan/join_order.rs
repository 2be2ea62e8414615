//! The order of inner joins by how many rows each is expected to give; the written order where that is not known.
//!
//! Greedy operator ordering (Fegaras, "A New Heuristic for Optimizing Large Queries", DEXA 1998): of all pairs that a
//! condition connects the one with the fewest rows is joined, until one is left. Rows and ranges of what is joined are
//! DataFusion's own statistics of its physical plan; a key's distinct values are at most its range and its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality, Result, ScalarValue, Statistics};
use datafusion::execution::SessionState;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator, Projection};
use datafusion::optimizer::Optimizer;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use indexmap::IndexMap;

/// Below this many rows in every relation the order does not matter, and rows keep the order that it gives them.
const MANY_ROWS: f64 = 50_000.0;
/// Another order must be expected to give fewer rows than this part of what the written one gives.
const WORTH: f64 = 0.8;
/// What is known of a condition that connects nothing.
const UNKNOWN_SELECTIVITY: f64 = 0.2;
const MOST_RELATIONS: usize = 32;

/// What is expected of each relation, `None` where nothing is known.
type Estimates = IndexMap<LogicalPlan, Option<Estimate>>;

/// The optimised plan with its inner joins in a better order; `None` where all stay.
///
/// # Errors
/// Those of DataFusion's tree walks.
pub(crate) async fn order_joins(plan: &LogicalPlan, state: &SessionState) -> Result<Option<LogicalPlan>> {
    let mut relations = Vec::new();
    collect(plan, &mut relations);
    let mut known = Estimates::new();
    for relation in relations {
        if !known.contains_key(&relation) {
            let estimate = estimate(&relation, state).await;
            known.insert(relation, estimate);
        }
    }
    if known.is_empty() {
        return Ok(None);
    }
    let done = rewrite(plan.clone(), &known)?;
    if !done.transformed {
        return Ok(None);
    }
    // One rule puts all inner joins back into the order in which their inputs stand.
    let kept = state.optimizers().iter().filter(|rule| rule.name() != "eliminate_cross_join");
    let optimizer = Optimizer::with_rules(kept.cloned().collect());
    optimizer.optimize(done.data, state, |_, _| {}).map(Some)
}

/// The relations of every tree of three or more.
fn collect(plan: &LogicalPlan, out: &mut Vec<LogicalPlan>) {
    if !inner(plan) {
        for input in plan.inputs() {
            collect(input, out);
        }
        return;
    }
    let mut tree = Tree::default();
    tree.flatten(plan);
    for relation in &tree.relations {
        collect(relation, out);
    }
    if (3..=MOST_RELATIONS).contains(&tree.relations.len()) {
        out.extend(tree.relations);
    }
}

fn rewrite(plan: LogicalPlan, known: &Estimates) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down(|node| {
        let Some((tree, order)) = ordered(&node, known) else { return Ok(Transformed::no(node)) };
        let columns = node.schema().columns();
        let mut tree = tree;
        tree.relations = std::mem::take(&mut tree.relations)
            .into_iter()
            .map(|relation| rewrite(relation, known).map(|done| done.data))
            .collect::<Result<_>>()?;
        let joined = tree.build(&order)?;
        let columns = columns.into_iter().map(Expr::Column).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(joined))?);
        Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump))
    })
}

/// The tree under a join and the order that is better than its own.
fn ordered(node: &LogicalPlan, known: &Estimates) -> Option<(Tree, Vec<(usize, usize)>)> {
    if !inner(node) {
        return None;
    }
    let mut tree = Tree::default();
    let shape = tree.flatten(node);
    if !(3..=MOST_RELATIONS).contains(&tree.relations.len()) {
        return None;
    }
    let estimates: Vec<&Estimate> =
        tree.relations.iter().map(|relation| known.get(relation)?.as_ref()).collect::<Option<_>>()?;
    if estimates.iter().all(|estimate| estimate.rows < MANY_ROWS) {
        return None;
    }
    let conditions = tree.conditions()?;
    let cost = Cost { estimates: &estimates, conditions: &conditions };
    let written = cost.of(&shape).1;
    let (order, best) = cost.greedy()?;
    (best < written * WORTH).then_some((tree, order))
}

/// An inner join of which only the conditions matter.
fn inner(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if join.join_type == JoinType::Inner
        && join.null_equality == NullEquality::NullEqualsNothing
        && !join.on.iter().any(|(left, right)| left.is_volatile() || right.is_volatile())
        && !join.filter.as_ref().is_some_and(Expr::is_volatile))
}

/// How relations are joined in the text.
enum Shape {
    Relation(usize),
    Join(Box<Shape>, Box<Shape>),
}

/// Relations that are joined, and all conditions between them.
#[derive(Default)]
struct Tree {
    relations: Vec<LogicalPlan>,
    on: Vec<(Expr, Expr)>,
    filters: Vec<Expr>,
}

impl Tree {
    fn flatten(&mut self, plan: &LogicalPlan) -> Shape {
        match plan {
            LogicalPlan::Join(join) if inner(plan) => {
                self.on.extend(join.on.iter().cloned());
                self.filters.extend(join.filter.clone().into_iter().flat_map(split_conjunction_owned));
                let left = self.flatten(&join.left);
                Shape::Join(Box::new(left), Box::new(self.flatten(&join.right)))
            }
            // What only leaves columns out between two joins.
            LogicalPlan::Projection(projection)
                if inner(&projection.input) && projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) =>
            {
                self.flatten(&projection.input)
            }
            LogicalPlan::Filter(filter) if inner(&filter.input) && !filter.predicate.is_volatile() => {
                self.filters.extend(split_conjunction_owned(filter.predicate.clone()));
                self.flatten(&filter.input)
            }
            other => {
                self.relations.push(other.clone());
                Shape::Relation(self.relations.len() - 1)
            }
        }
    }

    /// The conditions with the relations that each is about; `None` where a name does not tell its relation.
    fn conditions(&self) -> Option<Vec<Condition>> {
        let mut places: BTreeMap<Column, usize> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (at, relation) in self.relations.iter().enumerate() {
            for column in relation.schema().columns() {
                // An unqualified name beside a qualified one of the same name is ambiguous in a join's schema.
                if column.relation.is_none() && !names.insert(column.name.clone()) {
                    return None;
                }
                if places.insert(column, at).is_some() {
                    return None;
                }
            }
        }
        let mask = |expr: &Expr| -> Option<u64> {
            if expr.contains_outer() {
                return None;
            }
            expr.column_refs().into_iter().try_fold(0, |mask, column| Some(mask | 1 << places.get(column)?))
        };
        let mut all = Vec::new();
        for (left, right) in &self.on {
            let (of_left, of_right) = (mask(left)?, mask(right)?);
            let keys = (of_left & of_right == 0 && of_left != 0 && of_right != 0).then_some((of_left, of_right));
            let columns = match (left, right) {
                (Expr::Column(left), Expr::Column(right)) => Some((left.clone(), right.clone())),
                _ => None,
            };
            all.push(Condition { mask: of_left | of_right, keys, columns });
        }
        for filter in &self.filters {
            all.push(Condition { mask: mask(filter)?, keys: None, columns: None });
        }
        Some(all)
    }

    /// The joins in this order; each pair is of places among the relations and what was joined so far.
    fn build(self, order: &[(usize, usize)]) -> Result<LogicalPlan> {
        let conditions = self.conditions().unwrap_or_default();
        let mut expressions: Vec<Option<Written>> =
            self.on.into_iter().map(|(left, right)| Some(Written::Equal(left, right))).collect();
        expressions.extend(self.filters.into_iter().map(|filter| Some(Written::Filter(filter))));
        let mut parts: Vec<Option<(u64, LogicalPlan)>> =
            self.relations.into_iter().enumerate().map(|(at, plan)| Some((1 << at, plan))).collect();
        for (left, right) in order {
            let (Some((of_left, left)), Some((of_right, right))) = (parts[*left].take(), parts[*right].take()) else {
                return datafusion::common::internal_err!("a relation is joined twice");
            };
            let (mut on, mut filters) = (Vec::new(), Vec::new());
            for (condition, expression) in conditions.iter().zip(&mut expressions) {
                if condition.mask & !(of_left | of_right) != 0 {
                    continue;
                }
                match (expression.take(), condition.sides(of_left, of_right)) {
                    (Some(Written::Equal(a, b)), Some(Side::Same)) => on.push((a, b)),
                    (Some(Written::Equal(a, b)), Some(Side::Swapped)) => on.push((b, a)),
                    (Some(Written::Equal(a, b)), None) => filters.push(a.eq(b)),
                    (Some(Written::Filter(filter)), _) => filters.push(filter),
                    (None, _) => {}
                }
            }
            let join = Join::try_new(
                Arc::new(left),
                Arc::new(right),
                on,
                conjunction(filters),
                JoinType::Inner,
                JoinConstraint::On,
                NullEquality::NullEqualsNothing,
                false,
            )?;
            parts.push(Some((of_left | of_right, LogicalPlan::Join(join))));
        }
        let Some((_, plan)) = parts.pop().flatten() else {
            return datafusion::common::internal_err!("nothing was joined");
        };
        Ok(plan)
    }
}

enum Written {
    Equal(Expr, Expr),
    Filter(Expr),
}

/// A condition by the relations that it names, as bits.
struct Condition {
    mask: u64,
    /// Both sides of an equality that can be keys of a join.
    keys: Option<(u64, u64)>,
    columns: Option<(Column, Column)>,
}

/// Which side of a join an equality's first expression is of.
enum Side {
    Same,
    Swapped,
}

impl Condition {
    /// How it is a key of the join of two sets of relations, if it is one.
    fn sides(&self, left: u64, right: u64) -> Option<Side> {
        let (a, b) = self.keys?;
        if a & !left == 0 && b & !right == 0 {
            return Some(Side::Same);
        }
        (a & !right == 0 && b & !left == 0).then_some(Side::Swapped)
    }
}

/// What is expected of one relation.
#[derive(Debug, Clone)]
struct Estimate {
    rows: f64,
    /// Distinct values, where a range or a count tells them.
    distinct: BTreeMap<Column, f64>,
}

/// DataFusion's statistics of the relation's physical plan, `None` where it has none.
async fn estimate(relation: &LogicalPlan, state: &SessionState) -> Option<Estimate> {
    let mut known = of_plan(relation, state).await?;
    // DataFusion takes a filter with alternatives or equal texts for one condition of which nothing is known.
    if let Some(filter) = filter_of(relation).filter(|filter| is_known_better(&filter.predicate))
        && let Some(all) = of_plan(&filter.input, state).await
    {
        known.rows = known.rows.min(all.rows * selectivity(&filter.predicate, &all)).max(1.0);
    }
    Some(known)
}

async fn of_plan(relation: &LogicalPlan, state: &SessionState) -> Option<Estimate> {
    let plan = state.query_planner().create_physical_plan(relation, state).await.ok()?;
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
    of_statistics(relation, &statistics)
}

/// The filter that a relation's rows have passed last.
fn filter_of(relation: &LogicalPlan) -> Option<&Filter> {
    match relation {
        LogicalPlan::Filter(filter) => Some(filter),
        LogicalPlan::Projection(projection) => filter_of(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => filter_of(&alias.input),
        _ => None,
    }
}

/// Whether a condition has alternatives or several equalities.
fn is_known_better(predicate: &Expr) -> bool {
    let mut equal = 0;
    let alternatives = split_conjunction(predicate).into_iter().any(|part| match part {
        Expr::BinaryExpr(binary) => {
            equal += usize::from(binary.op == Operator::Eq);
            binary.op == Operator::Or
        }
        Expr::InList(list) => !list.negated,
        _ => false,
    });
    alternatives || equal > 1
}

/// The part of the rows for which a condition is expected to hold: as many of a column's values as are named.
#[expect(clippy::cast_precision_loss, reason = "estimates")]
fn selectivity(predicate: &Expr, of: &Estimate) -> f64 {
    let values = |column: &Expr, count: usize| match column {
        Expr::Column(column) => of.distinct.get(column).map(|all| (count as f64 / all).min(1.0)),
        _ => None,
    };
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            selectivity(left, of) * selectivity(right, of)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            (selectivity(left, of) + selectivity(right, of)).min(1.0)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (column, Expr::Literal(..)) | (Expr::Literal(..), column) => {
                values(column, 1).unwrap_or(UNKNOWN_SELECTIVITY)
            }
            _ => UNKNOWN_SELECTIVITY,
        },
        Expr::InList(list) if !list.negated => values(&list.expr, list.list.len()).unwrap_or(UNKNOWN_SELECTIVITY),
        Expr::IsNotNull(_) | Expr::BinaryExpr(BinaryExpr { op: Operator::NotEq, .. }) => 1.0,
        _ => UNKNOWN_SELECTIVITY,
    }
}

#[expect(clippy::cast_precision_loss, reason = "estimates")]
fn of_statistics(relation: &LogicalPlan, statistics: &Statistics) -> Option<Estimate> {
    let rows = (*statistics.num_rows.get_value()?).max(1) as f64;
    let columns = relation.schema().columns().into_iter().zip(&statistics.column_statistics);
    let distinct = columns.filter_map(|(column, known)| {
        let counted = known.distinct_count.get_value().map(|count| *count as f64);
        let ranged = || Some(whole(&known.max_value)? - whole(&known.min_value)? + 1.0);
        Some((column, counted.or_else(ranged)?.max(1.0)))
    });
    Some(Estimate { rows, distinct: distinct.collect() })
}

/// A value of a type whose values can be counted from one to another.
#[expect(clippy::cast_precision_loss, reason = "estimates")]
fn whole(value: &Precision<ScalarValue>) -> Option<f64> {
    match value.get_value()? {
        ScalarValue::Int8(Some(n)) => Some(f64::from(*n)),
        ScalarValue::Int16(Some(n)) => Some(f64::from(*n)),
        ScalarValue::Int32(Some(n)) | ScalarValue::Date32(Some(n)) => Some(f64::from(*n)),
        ScalarValue::Int64(Some(n)) => Some(*n as f64),
        _ => None,
    }
}

struct Cost<'a> {
    estimates: &'a [&'a Estimate],
    conditions: &'a [Condition],
}

/// Relations that are joined, and the rows that they give.
#[derive(Clone, Copy)]
struct Joined {
    mask: u64,
    rows: f64,
}

impl Cost<'_> {
    /// What a shape gives, and the rows of all its joins.
    fn of(&self, shape: &Shape) -> (Joined, f64) {
        match shape {
            Shape::Relation(at) => (Joined { mask: 1 << at, rows: self.estimates[*at].rows }, 0.0),
            Shape::Join(left, right) => {
                let ((left, below_left), (right, below_right)) = (self.of(left), self.of(right));
                let joined = self.join(left, right);
                (joined, below_left + below_right + joined.rows)
            }
        }
    }

    /// The order, each pair by places among the relations and what was joined before, and the rows of all joins.
    fn greedy(&self) -> Option<(Vec<(usize, usize)>, f64)> {
        let mut parts: Vec<Option<Joined>> =
            (0..self.estimates.len()).map(|at| Some(Joined { mask: 1 << at, rows: self.estimates[at].rows })).collect();
        let (mut order, mut cost) = (Vec::new(), 0.0);
        for _ in 1..self.estimates.len() {
            let mut best: Option<(usize, usize, Joined, f64)> = None;
            for i in 0..parts.len() {
                for j in i + 1..parts.len() {
                    let (Some(left), Some(right)) = (parts[i], parts[j]) else { continue };
                    if !self.conditions.iter().any(|condition| condition.sides(left.mask, right.mask).is_some()) {
                        continue;
                    }
                    let (joined, read) = (self.join(left, right), left.rows + right.rows);
                    if best.is_none_or(|(_, _, known, by)| (joined.rows, read) < (known.rows, by)) {
                        // The smaller is what a hash table is built of.
                        let (first, second) = if left.rows <= right.rows { (i, j) } else { (j, i) };
                        best = Some((first, second, joined, read));
                    }
                }
            }
            let (left, right, joined, _) = best?;
            (parts[left], parts[right]) = (None, None);
            parts.push(Some(joined));
            order.push((left, right));
            cost += joined.rows;
        }
        Some((order, cost))
    }

    fn join(&self, left: Joined, right: Joined) -> Joined {
        let mask = left.mask | right.mask;
        let (mut keys, mut of_left, mut of_right, mut others) = (0, 1.0, 1.0, 1.0);
        for condition in self.conditions {
            if condition.mask & !mask != 0 || condition.mask & !left.mask == 0 || condition.mask & !right.mask == 0 {
                continue;
            }
            let columns = condition.columns.as_ref();
            match condition.sides(left.mask, right.mask) {
                None => others *= UNKNOWN_SELECTIVITY,
                Some(side) => {
                    let (a, b) = columns.map_or((None, None), |(a, b)| (self.distinct(a), self.distinct(b)));
                    let (a, b) = if matches!(side, Side::Same) { (a, b) } else { (b, a) };
                    keys += 1;
                    of_left *= a.unwrap_or(left.rows).min(left.rows);
                    of_right *= b.unwrap_or(right.rows).min(right.rows);
                }
            }
        }
        let (of_left, of_right) = (of_left.min(left.rows), of_right.min(right.rows));
        // The columns of one key depend on each other: the side that has fewer of them is taken to have all.
        let among = if keys > 1 { of_left.min(of_right) } else { of_left.max(of_right) };
        Joined { mask, rows: (left.rows * right.rows / among.max(1.0) * others).max(1.0) }
    }

    fn distinct(&self, column: &Column) -> Option<f64> {
        self.estimates.iter().find_map(|estimate| estimate.distinct.get(column).copied())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::logical_expr::{col, lit};
    use datafusion::prelude::SessionContext;

    use super::*;

    /// A table `name` with columns `name_a`, … of so many rows, the values of each 0 to below its bound.
    fn table(context: &SessionContext, name: &str, rows: i64, bounds: &[(&str, i64)]) {
        let fields: Vec<_> =
            bounds.iter().map(|(column, _)| Field::new(format!("{name}_{column}"), DataType::Int64, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = bounds
            .iter()
            .map(|(_, bound)| Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n * 7 % bound))) as _);
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("a batch");
        let table = MemTable::try_new(schema, vec![vec![batch]]).expect("a table");
        context.register_table(name, Arc::new(table)).expect("it is known");
    }

    async fn plans(sql: &str) -> (SessionContext, LogicalPlan, Option<LogicalPlan>) {
        let context = SessionContext::new();
        table(&context, "fact", 60_000, &[("mid", 2_000), ("other", 500), ("n", 10)]);
        table(&context, "mid", 2_000, &[("id", 2_000), ("small", 20)]);
        table(&context, "other", 500, &[("id", 500)]);
        table(&context, "small", 4, &[("id", 20)]);
        let plan = context.sql(sql).await.expect("planned").into_optimized_plan().expect("optimised");
        let better = order_joins(&plan, &context.state()).await.expect("ordered");
        (context, plan, better)
    }

    async fn rows(context: &SessionContext, plan: LogicalPlan) -> String {
        let batches = context.execute_logical_plan(plan).await.expect("planned").collect().await.expect("run");
        pretty_format_batches(&batches).expect("text").to_string()
    }

    #[tokio::test]
    async fn what_leaves_few_rows_is_joined_first() {
        let sql = "SELECT count(*), sum(fact_n), min(mid_small), max(other_id) FROM fact, other, mid, small \
                   WHERE fact_other = other_id AND fact_mid = mid_id AND mid_small = small_id AND fact_n + small_id > 3";
        let (context, plan, better) = plans(sql).await;
        let better = better.expect("another order");
        let text = better.display_indent().to_string();
        let places: Vec<_> = ["small", "mid", "fact", "other"]
            .iter()
            .map(|name| text.find(&format!("TableScan: {name}")).expect("it is read"))
            .collect();
        assert!(places[0].abs_diff(places[1]) < places[1].abs_diff(places[3]), "small and mid first: {text}");
        assert_eq!(rows(&context, plan).await, rows(&context, better).await);
    }

    #[test]
    fn alternatives_are_as_many_values_as_they_name() {
        let distinct = [("a", 200.0), ("b", 10.0)].map(|(name, count)| (Column::from_name(name), count));
        let of = Estimate { rows: 60_000.0, distinct: distinct.into() };
        let (a, b, text) = (|| col("a"), || col("b"), || col("text"));
        for (condition, expected) in [
            (a().eq(lit(3)).or(a().eq(lit(4))), 0.01),
            (a().in_list(vec![lit(1), lit(2), lit(3), lit(5)], false), 0.02),
            (a().eq(lit(3)).and(b().eq(lit(4))), 0.0005),
            (a().eq(lit(3)).or(b().eq(lit(4))).and(b().in_list(vec![lit(1), lit(4)], false)), 0.021),
            (text().eq(lit("x")).and(text().eq(lit("y"))), 0.04),
            (b().not_eq(lit(1)), 1.0),
        ] {
            let found = selectivity(&condition, &of);
            assert!((found - expected).abs() < 1e-9, "{condition}: {found}");
        }
    }

    #[tokio::test]
    async fn few_rows_and_outer_joins_stay_as_written() {
        let (_, _, better) =
            plans("SELECT 1 FROM mid, other, small WHERE mid_id = other_id AND mid_small = small_id").await;
        assert!(better.is_none());
        let sql = "SELECT 1 FROM fact LEFT JOIN mid ON fact_mid = mid_id LEFT JOIN small ON mid_small = small_id";
        assert!(plans(sql).await.2.is_none());
    }
}
