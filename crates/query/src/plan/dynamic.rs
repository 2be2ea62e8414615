//! What a join finds out while it runs, put to use for rows: DataFusion hands such filters down to the scans, and Parquet's reader
//! leaves out the row groups that they exclude. Keys are seldom sorted, so that few are; here each row is looked at right above
//! the scan, before an aggregation below the join that knows.
//!
//! A filter that most rows pass costs more than it saves: each is tried on some rows now and then, and used while it is worth it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{FileSource as _, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::conjunction;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr, replace_children_if_necessary};

/// A filter is used while at most one row in so many passes.
const SELECTIVE: usize = 3;
/// Rows that are not looked at for each one that was, where too many pass.
const REST: usize = 12;

/// The rule; before [`super::conjunction::Conjunctions`], which brings the conditions of a filter into an order.
#[derive(Debug)]
pub(super) struct DynamicFilters;

impl PhysicalOptimizerRule for DynamicFilters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        place(plan, Above::Nothing)
    }

    fn name(&self) -> &'static str {
        "dynamic_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What was met on the way down to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    Nothing,
    Join,
    /// A join, and an aggregation below it: rows of groups that the join does not want need not be aggregated.
    Aggregation,
}

/// The filters above their scans. A join that looks up rows itself is as quick as a filter before it would be, so that only those
/// between which and the join stands an aggregation get one.
fn place(plan: Arc<dyn ExecutionPlan>, above: Above) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        let filters = if above == Above::Aggregation { filters_of(scan) } else { Vec::new() };
        return if filters.is_empty() {
            Ok(plan)
        } else {
            Ok(Arc::new(FilterExec::try_new(conjunction(filters), plan)?))
        };
    }
    let above = if plan.downcast_ref::<HashJoinExec>().is_some() && above == Above::Nothing {
        Above::Join
    } else if plan.downcast_ref::<AggregateExec>().is_some() && above == Above::Join {
        Above::Aggregation
    } else {
        above
    };
    let before = plan.children().into_iter();
    let children = before.map(|child| place(Arc::clone(child), above)).collect::<Result<Vec<_>>>()?;
    // One filter above the other: the lower is what was put there.
    if let (Some(filter), [below]) = (plan.downcast_ref::<FilterExec>(), children.as_slice())
        && let Some(below) = below.downcast_ref::<FilterExec>().filter(|below| is_tried(below.predicate()))
    {
        let both = BinaryExpr::new(Arc::clone(filter.predicate()), Operator::And, Arc::clone(below.predicate()));
        let builder = FilterExecBuilder::from(filter).with_predicate(Arc::new(both));
        return Ok(Arc::new(builder.with_input(Arc::clone(below.input())).build()?));
    }
    replace_children_if_necessary(plan, children)
}

fn is_tried(predicate: &Arc<dyn PhysicalExpr>) -> bool {
    split_conjunction(predicate).iter().all(|part| part.downcast_ref::<Tried>().is_some())
}

/// The dynamic filters of a Parquet scan over what it gives.
fn filters_of(scan: &DataSourceExec) -> Vec<Arc<dyn PhysicalExpr>> {
    let Some((_, source)) = scan.downcast_to_file_source::<ParquetSource>() else { return Vec::new() };
    let Some(predicate) = source.filter() else { return Vec::new() };
    let dynamic = split_conjunction(&predicate)
        .into_iter()
        .filter(|part| part.downcast_ref::<DynamicFilterPhysicalExpr>().is_some());
    dynamic
        .filter_map(|filter| over_output(filter, scan))
        .map(|filter| Arc::new(Tried { filter, seen: Arc::default() }) as Arc<dyn PhysicalExpr>)
        .collect()
}

/// A filter on a table's columns as one on those that its scan gives; `None` where it does not give them all.
fn over_output(filter: &Arc<dyn PhysicalExpr>, scan: &DataSourceExec) -> Option<Arc<dyn PhysicalExpr>> {
    let (_, source) = scan.downcast_to_file_source::<ParquetSource>()?;
    let projection = source.projection()?;
    let place = |name: &str| {
        projection.iter().position(|given| given.expr.downcast_ref::<Column>().is_some_and(|of| of.name() == name))
    };
    let schema = scan.schema();
    let mut complete = true;
    let moved = Arc::clone(filter).transform_down(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
        let Some(at) = place(column.name()) else {
            complete = false;
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Stop));
        };
        Ok(Transformed::yes(Arc::new(Column::new(schema.field(at).name(), at)) as Arc<dyn PhysicalExpr>))
    });
    moved.ok().filter(|_| complete).map(|moved| moved.data)
}

/// A filter that is used while few rows pass it.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    filter: Arc<dyn PhysicalExpr>,
    /// Shared by all threads.
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Rows that pass without a look before it is tried again.
    rest: AtomicUsize,
}

impl PartialEq for Tried {
    fn eq(&self, other: &Self) -> bool {
        self.filter.eq(&other.filter)
    }
}

impl Eq for Tried {}

impl Hash for Tried {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.filter.hash(state);
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.filter)
    }
}

impl PhysicalExpr for Tried {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let all = || Ok(ColumnarValue::Scalar(true.into()));
        let rest = self.seen.rest.load(Ordering::Relaxed);
        if rest > 0 {
            // Threads that meet here forget some rows at worst.
            self.seen.rest.store(rest.saturating_sub(rows), Ordering::Relaxed);
            return all();
        }
        let passed = self.filter.evaluate(batch)?;
        // Nothing is known yet.
        let ColumnarValue::Array(array) = &passed else { return Ok(passed) };
        if array.as_boolean_opt().is_some_and(|array| array.true_count() * SELECTIVE > rows) {
            self.seen.rest.store(rows * REST, Ordering::Relaxed);
        }
        Ok(passed)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.filter]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [filter] = children.as_slice() else {
            return datafusion::common::internal_err!("a filter that is tried is one");
        };
        Ok(Arc::new(Self { filter: Arc::clone(filter), seen: Arc::clone(&self.seen) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::dataframe::DataFrameWriteOptions;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{ParquetReadOptions, SessionContext};

    use super::*;
    use crate::plan::conjunction::Conjunctions;

    /// `fact` of 60,000 rows in a Parquet file, with 3,000 keys and some without; `dim` of 30 of them.
    async fn context(folder: &std::path::Path, with_rule: bool) -> SessionContext {
        let mut state = SessionStateBuilder::new().with_default_features();
        if with_rule {
            state = state.with_physical_optimizer_rule(Arc::new(DynamicFilters));
            state = state.with_physical_optimizer_rule(Arc::new(Conjunctions));
        }
        let context = SessionContext::new_with_state(state.build());
        let fact = folder.join("fact.parquet").display().to_string();
        if !std::path::Path::new(&fact).exists() {
            let key: Int64Array = (0..60_000).map(|n: i64| (n % 17 != 3).then_some(n * 7 % 3_000)).collect();
            let name: StringArray = (0..60_000).map(|n| Some(format!("name {}", n % 11))).collect();
            let n: Int64Array = (0..60_000).map(Some).collect();
            let batch = RecordBatch::try_from_iter_with_nullable([
                ("key", Arc::new(key) as _, true),
                ("name", Arc::new(name) as _, true),
                ("n", Arc::new(n) as _, true),
            ]);
            let frame = context.read_batch(batch.expect("a batch")).expect("a frame");
            frame.write_parquet(&fact, DataFrameWriteOptions::new(), None).await.expect("written");
        }
        context.register_parquet("fact", &fact, ParquetReadOptions::default()).await.expect("it is known");
        let values: Vec<String> = (0..30).map(|n| format!("({})", n * 100)).collect();
        let sql = format!("CREATE TABLE dim AS SELECT column1 AS id FROM (VALUES {})", values.join(", "));
        context.sql(&sql).await.expect("planned").collect().await.expect("made");
        context
    }

    #[tokio::test]
    async fn the_same_rows_are_joined_and_sorted() {
        let folder = tempfile::tempdir().unwrap();
        for sql in [
            "SELECT count(*), sum(n) FROM dim, fact WHERE id = key AND id < 900",
            "SELECT count(*), sum(n) FROM dim, fact WHERE id = key AND name <> 'name 3' AND n > 100 AND id >= 1500",
            "SELECT id, most FROM dim, (SELECT key, max(n) AS most FROM fact GROUP BY key) WHERE id = key ORDER BY id",
            "SELECT id, n FROM dim LEFT JOIN fact ON id = key AND n < 500 ORDER BY id, n",
            "SELECT count(*) FROM fact WHERE key NOT IN (SELECT id FROM dim)",
            "SELECT count(*) FROM fact WHERE NOT EXISTS (SELECT 1 FROM dim WHERE id = key)",
            "SELECT key AS k, name, n FROM fact ORDER BY n DESC, name LIMIT 7",
            "SELECT name, n FROM fact WHERE name LIKE '%1%' ORDER BY key, n LIMIT 9",
            "SELECT max(n), min(n) FROM fact WHERE name = 'name 4'",
        ] {
            let mut answers = Vec::new();
            for with_rule in [true, false] {
                let context = context(folder.path(), with_rule).await;
                let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
                answers.push(pretty_format_batches(&batches).unwrap().to_string());
            }
            assert_eq!(answers[0], answers[1], "{sql}");
        }
    }

    #[tokio::test]
    async fn a_join_filters_below_an_aggregation() {
        let folder = tempfile::tempdir().unwrap();
        let context = context(folder.path(), true).await;
        let sql = "EXPLAIN ANALYZE SELECT id, most FROM dim, (SELECT key, max(n) AS most FROM fact GROUP BY key) \
                   WHERE id = key AND id < 300";
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let plan = pretty_format_batches(&batches).unwrap().to_string();
        let filter = plan.lines().find(|line| line.contains("FilterExec: DynamicFilter")).expect(&plan);
        // 57 rows or so have one of the three keys; of those before the join knew them none was looked at.
        let rows = filter.split_once("output_rows=").and_then(|(_, rest)| rest.split_once(',')).expect("rows").0;
        assert!(rows.parse::<usize>().is_ok_and(|rows| rows < 1_000), "{filter}");
    }
}
