//! `WITH RECURSIVE` goes ten steps deep, as in Athena, whose `max_recursion_depth` is Trino's own: a step beyond that gives rows is an error.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, SendableRecordBatchStream,
    replace_children_if_necessary,
};
use futures::TryStreamExt;

use crate::error::Error;

const DEPTH: usize = 10;

/// The rule; after those that would put something between a recursion and its steps.
#[derive(Debug)]
pub(super) struct Depth;

impl PhysicalOptimizerRule for Depth {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(query) = node.downcast_ref::<RecursiveQueryExec>() else { return Ok(Transformed::no(node)) };
            let steps = Arc::new(AtomicUsize::new(0));
            let first = StepExec::over(query.static_term(), true, &steps);
            let step = StepExec::over(query.recursive_term(), false, &steps);
            Ok(Transformed::yes(replace_children_if_necessary(Arc::clone(&node), vec![first, step])?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "recursion_depth"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Gives what it is given, and counts how often it is asked.
#[derive(Debug)]
struct StepExec {
    input: Arc<dyn ExecutionPlan>,
    /// Of the recursion's first query, with which counting begins.
    first: bool,
    steps: Arc<AtomicUsize>,
}

impl StepExec {
    fn over(input: &Arc<dyn ExecutionPlan>, first: bool, steps: &Arc<AtomicUsize>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input: Arc::clone(input), first, steps: Arc::clone(steps) })
    }
}

impl DisplayAs for StepExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepExec")
    }
}

impl ExecutionPlan for StepExec {
    fn name(&self) -> &'static str {
        "StepExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
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
        Ok(Self::over(input, self.first, &self.steps))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        if self.first {
            self.steps.store(0, Ordering::Relaxed);
            return Ok(rows);
        }
        if self.steps.fetch_add(1, Ordering::Relaxed) < DEPTH {
            return Ok(rows);
        }
        let none = rows.try_filter_map(|batch: RecordBatch| async move {
            if batch.num_rows() == 0 {
                return Ok(None);
            }
            let text = format!(
                "Recursion depth limit exceeded ({DEPTH}). Use 'max_recursion_depth' session property to modify the limit."
            );
            Err(DataFusionError::from(Error::not_supported(text)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), none)))
    }
}
