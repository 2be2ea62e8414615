//! How groups are formed, where DataFusion's way costs more than it must.
//!
//! GROUPING SETS, ROLLUP and CUBE: DataFusion puts every row into the groups of every set. Here rows are aggregated by all keys
//! first, and what that gives is put into the groups of the others, which are far fewer.
//!
//! Keys of which some come in order: DataFusion then forms groups row by row, to give them away as soon as the key changes. A
//! column that a filter makes constant counts as ordered, so that `WHERE y = 2001 … GROUP BY x, y` took three times as long.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy, evaluate_group_by};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputOrderMode, PhysicalExpr, PlanProperties,
    SendableRecordBatchStream, replace_children_if_necessary,
};
use futures::{StreamExt, TryStreamExt};

/// The rule; after DataFusion's own, which would look for orders again.
#[derive(Debug)]
pub(super) struct Grouping;

impl PhysicalOptimizerRule for Grouping {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(node)) };
            if let Some(expanded) = expanded(aggregate)? {
                return Ok(Transformed::yes(expanded));
            }
            if matches!(aggregate.input_order_mode(), InputOrderMode::PartiallySorted(_)) {
                let input: Arc<dyn ExecutionPlan> = Arc::new(AnyOrderExec::new(Arc::clone(aggregate.input())));
                return Ok(Transformed::yes(replace_children_if_necessary(Arc::clone(&node), vec![input])?));
            }
            Ok(Transformed::no(node))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "grouping"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The first step of an aggregation by several sets of keys, of which one has them all, as one by that set.
fn expanded(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let keys = aggregate.group_expr();
    let all = |group: &Vec<bool>| group.iter().all(|left_out| !left_out);
    let plain = aggregate.aggr_expr().iter().all(|call| !call.is_distinct() && call.order_bys().is_empty());
    if *aggregate.mode() != AggregateMode::Partial
        || !keys.has_grouping_set()
        || keys.groups().len() < 2
        || !keys.groups().iter().any(all)
        || !plain
        || aggregate.limit_options().is_some()
    {
        return Ok(None);
    }
    let input = match aggregate.input_order_mode() {
        InputOrderMode::Linear => Arc::clone(aggregate.input()),
        _ => Arc::new(AnyOrderExec::new(Arc::clone(aggregate.input()))) as _,
    };
    let finest = AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(keys.expr().to_vec()),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        input,
        aggregate.input_schema(),
    )?;
    let given = keys.expr().iter().enumerate();
    let given = given.map(|(at, (_, name))| (Arc::new(Column::new(name, at)) as Arc<dyn PhysicalExpr>, name.clone()));
    let sets = PhysicalGroupBy::new(given.collect(), keys.null_expr().to_vec(), keys.groups().to_vec(), true);
    // A total is one row even of no rows: DataFusion's own step gives it.
    let none: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(aggregate.input().schema()));
    let total = AggregateExec::try_new(
        AggregateMode::Partial,
        keys.clone(),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        none,
        aggregate.input_schema(),
    )?;
    let step = ExpandExec::new(Arc::new(finest), sets, Arc::new(total), aggregate.schema());
    Ok(Some(Arc::new(step)))
}

/// Rows of partial aggregates by all keys, each as one for every set of keys.
#[derive(Debug)]
struct ExpandExec {
    input: Arc<dyn ExecutionPlan>,
    sets: Arc<PhysicalGroupBy>,
    /// What is given where there are no rows.
    total: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ExpandExec {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        sets: PhysicalGroupBy,
        total: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
    ) -> Self {
        let properties = Arc::new(without_order(&input, schema, EmissionType::Incremental));
        Self { input, sets: Arc::new(sets), total, properties }
    }
}

impl DisplayAs for ExpandExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExpandExec: sets={}", self.sets.groups().len())
    }
}

impl ExecutionPlan for ExpandExec {
    fn name(&self) -> &'static str {
        "ExpandExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else { return datafusion::common::internal_err!("one input is expanded") };
        let (total, schema) = (Arc::clone(&self.total), self.schema());
        Ok(Arc::new(Self::new(Arc::clone(input), self.sets.as_ref().clone(), total, schema)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (sets, schema) = (Arc::clone(&self.sets), self.schema());
        let width = sets.expr().len();
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let mut total = Some(self.total.execute(0, context)?);
        let each = input.map(move |batch| {
            let batch = batch?;
            let states = &batch.columns()[width..];
            let batches = evaluate_group_by(&sets, &batch)?
                .into_iter()
                .map(|keys| {
                    let columns = keys.into_iter().chain(states.iter().cloned()).collect();
                    RecordBatch::try_new(Arc::clone(&schema), columns).map_err(Into::into)
                })
                .collect::<Vec<Result<_>>>();
            Ok::<_, datafusion::common::DataFusionError>(futures::stream::iter(batches))
        });
        let mut rows = Box::pin(each.try_flatten());
        let first = async move {
            match rows.next().await {
                Some(first) => futures::stream::once(async { first }).chain(rows).boxed(),
                None => total.take().map_or_else(|| futures::stream::empty().boxed(), StreamExt::boxed),
            }
        };
        let stream = futures::stream::once(first).flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}

/// Gives what it is given, of which no order is known.
#[derive(Debug)]
struct AnyOrderExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl AnyOrderExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = Arc::new(without_order(&input, input.schema(), input.pipeline_behavior()));
        Self { input, properties }
    }
}

impl DisplayAs for AnyOrderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyOrderExec")
    }
}

impl ExecutionPlan for AnyOrderExec {
    fn name(&self) -> &'static str {
        "AnyOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else { return datafusion::common::internal_err!("one input is passed on") };
        Ok(Arc::new(Self::new(Arc::clone(input))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

/// An input's properties without order and constants, and with the partitions' number alone where the columns are others.
fn without_order(input: &Arc<dyn ExecutionPlan>, schema: SchemaRef, emission: EmissionType) -> PlanProperties {
    let partitioning = if schema == input.schema() {
        input.output_partitioning().clone()
    } else {
        datafusion::physical_plan::Partitioning::UnknownPartitioning(input.output_partitioning().partition_count())
    };
    PlanProperties::new(EquivalenceProperties::new(schema), partitioning, emission, input.boundedness())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    use super::*;

    fn context(with_rule: bool) -> SessionContext {
        let mut state = SessionStateBuilder::new().with_default_features();
        if with_rule {
            state = state.with_physical_optimizer_rule(Arc::new(Grouping));
        }
        let context = SessionContext::new_with_state(state.build());
        let rows = 30_000;
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "a",
                Arc::new((0..rows).map(|n| (n % 7 != 2).then(|| format!("a{}", n % 7))).collect::<StringArray>()) as _,
                true,
            ),
            ("b", Arc::new((0..rows).map(|n: i64| (n % 11 != 5).then_some(n % 11)).collect::<Int64Array>()) as _, true),
            ("n", Arc::new((0..rows).map(|n: i64| (n % 13 != 1).then_some(n)).collect::<Int64Array>()) as _, true),
        ]);
        context.register_batch("t", batch.unwrap()).unwrap();
        context
    }

    async fn answer(context: &SessionContext, sql: &str) -> String {
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    #[tokio::test]
    async fn groups_are_the_same() {
        let of = "sum(n), count(*), count(n), avg(n), min(n), max(b), sum(n) FILTER (WHERE n > 500), grouping(a), grouping(b)";
        for sql in [
            format!("SELECT a, b, {of} FROM t GROUP BY ROLLUP (a, b) ORDER BY 1, 2, grouping(a), grouping(b)"),
            format!("SELECT a, b, {of} FROM t GROUP BY CUBE (a, b) ORDER BY 1, 2, grouping(a), grouping(b)"),
            format!("SELECT a, b, {of} FROM t GROUP BY GROUPING SETS ((a, b), (a), (a)) ORDER BY 1, 2, grouping(b)"),
            format!("SELECT a, b, {of} FROM t GROUP BY GROUPING SETS ((a), (b)) ORDER BY 1, 2, grouping(b)"),
            format!("SELECT a, b, {of} FROM t WHERE n < 0 GROUP BY ROLLUP (a, b)"),
            format!("SELECT a, b, {of} FROM t WHERE n < 0 GROUP BY GROUPING SETS ((a, b), (), ())"),
            "SELECT a, count(DISTINCT n % 5), sum(DISTINCT b) FROM t GROUP BY ROLLUP (a) ORDER BY 1".to_owned(),
            "SELECT a, b, sum(n) FROM t WHERE b = 3 GROUP BY a, b ORDER BY 1, 2".to_owned(),
            "SELECT a, b, c, sum(n) FROM (SELECT a, b, n % 3 AS c, n FROM t ORDER BY b) WHERE b > 3 GROUP BY a, b, c ORDER BY 1, 2, 3"
                .to_owned(),
        ] {
            assert_eq!(answer(&context(true), &sql).await, answer(&context(false), &sql).await, "{sql}");
        }
    }

    #[tokio::test]
    async fn rows_meet_one_set_and_no_order() {
        let plan = answer(&context(true), "EXPLAIN SELECT a, b, sum(n) FROM t GROUP BY ROLLUP (a, b)").await;
        assert!(plan.contains("ExpandExec: sets=3"), "{plan}");
        let sql = "EXPLAIN SELECT a, b, sum(n) FROM t WHERE b = 3 GROUP BY a, b";
        assert!(answer(&context(false), sql).await.contains("ordering_mode=PartiallySorted"));
        let plan = answer(&context(true), sql).await;
        assert!(plan.contains("AnyOrderExec") && !plan.contains("ordering_mode"), "{plan}");
    }
}
