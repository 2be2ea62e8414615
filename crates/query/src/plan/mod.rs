//! What Trino's queries need of DataFusion's planner beyond functions: relations that it does not plan.

mod conjunction;
mod dynamic;
mod empty_text;
mod grouping;
mod join_order;
mod lambdas;
mod recursion;
mod relations;
mod shared;
mod unnest;

use std::sync::Arc;

use join_order::order_joins;
pub(crate) use shared::{Planned, physical};

use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionContext;

/// DataFusion's rules for physical plans, kept from lambdas where they would break them.
pub(crate) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<_> = PhysicalOptimizer::new().rules.into_iter().map(lambdas::kept_from).collect();
    rules.push(Arc::new(grouping::Grouping));
    rules.push(Arc::new(dynamic::DynamicFilters));
    rules.push(Arc::new(conjunction::Conjunctions));
    rules.push(Arc::new(recursion::Depth));
    rules
}

/// Makes a session plan Trino's relations.
pub(crate) fn register(context: &SessionContext) -> datafusion::common::Result<()> {
    context.state_ref().write().register_relation_planner(Arc::new(relations::Relations))?;
    crate::row_pattern::markers().for_each(|marker| context.register_udf(marker));
    context.register_udf(ScalarUDF::from(unnest::Zip::default()));
    context.register_udf(ScalarUDF::from(relations::LikePattern::default()));
    context.register_udf(ScalarUDF::from(relations::Names::default()));
    Ok(())
}
