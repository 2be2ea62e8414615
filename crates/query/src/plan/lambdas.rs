//! Rules that move an expression to another input give its columns their new places there, but not the parameters of its
//! lambdas (DataFusion 55): a parameter would be taken for a column, which is an error at best. And a condition that is moved below a
//! projection has in it what the projection draws by chance, so that other rows pass than those that are shown.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::{ExecutionPlan, displayable};

/// Rules by which expressions come to other inputs.
const MOVING: &[&str] = &["ProjectionPushdown", "FilterPushdown", "FilterPushdown(Post)"];

/// The rule, without effect on plans with lambdas if it is one of those.
pub(super) fn kept_from(
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    if MOVING.contains(&rule.name()) { Arc::new(WithoutLambdas(rule)) } else { rule }
}

#[derive(Debug)]
struct WithoutLambdas(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for WithoutLambdas {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // A lambda is shown as `(x) -> …`; a text that looks so costs a plan no more than the rule.
        if displayable(plan.as_ref()).indent(false).to_string().contains(") -> ") {
            return Ok(plan);
        }
        if self.name().starts_with("FilterPushdown") && draws(&plan)? {
            return Ok(plan);
        }
        self.0.optimize(plan, config)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether anything in a plan goes by chance.
fn draws(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| {
        let mut found = false;
        node.apply_expressions(&mut |expr| {
            found |= is_volatile(expr);
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        Ok(found)
    })
}
