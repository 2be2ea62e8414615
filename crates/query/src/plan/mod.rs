//! What Trino's queries need of DataFusion's planner beyond functions: relations that it does not plan.

mod relations;
mod unnest;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;

/// Makes a session plan Trino's relations.
pub(crate) fn register(context: &SessionContext) -> datafusion::common::Result<()> {
    context.state_ref().write().register_relation_planner(Arc::new(relations::Relations))?;
    context.register_udf(ScalarUDF::from(unnest::Zip::default()));
    context.register_udf(ScalarUDF::from(relations::LikePattern::default()));
    Ok(())
}
