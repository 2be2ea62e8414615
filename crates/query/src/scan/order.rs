//! Rows of one small file come in the file's order, as Trino gives them: a query that only picks and computes rows of one
//! piece must not spread them over threads.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};

/// Steps that keep the order of what they are given.
const IN_ORDER: [&str; 8] = [
    "ProjectionExec",
    "FilterExec",
    "RepartitionExec",
    "CoalescePartitionsExec",
    "CoalesceBatchesExec",
    "GlobalLimitExec",
    "LocalLimitExec",
    "CooperativeExec",
];

#[derive(Debug)]
pub(crate) struct FileOrder;

impl PhysicalOptimizerRule for FileOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !reads_one_piece(&plan) {
            return Ok(plan);
        }
        plan.transform_up(|node| {
            let Some(repartition) = node.downcast_ref::<RepartitionExec>() else { return Ok(Transformed::no(node)) };
            if matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_)) {
                return Ok(Transformed::yes(Arc::clone(repartition.input())));
            }
            Ok(Transformed::no(node))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "file_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A chain of steps in order over a source of one partition.
fn reads_one_piece(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let mut node = plan;
    loop {
        match node.children().as_slice() {
            [] => return node.output_partitioning().partition_count() == 1,
            [child] if IN_ORDER.contains(&node.name()) => node = child,
            _ => return false,
        }
    }
}
