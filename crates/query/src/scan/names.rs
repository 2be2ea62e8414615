//! Hive matches a table's columns to a Parquet file's without regard to case; the catalog's names are lower case.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_plan::PhysicalExpr;

/// Adapts expressions to a file whose names differ in case.
#[derive(Debug)]
pub(crate) struct AnyCase;

#[derive(Debug)]
struct Adapter {
    /// The file's own spelling of each of the table's columns.
    names: Vec<String>,
    inner: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapterFactory for AnyCase {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let spelling = |field: &Arc<Field>| {
            let name = field.name();
            let same = || physical.fields().iter().find(|other| other.name() == name);
            let other_case = || physical.fields().iter().find(|other| other.name().to_lowercase() == *name);
            same().or_else(other_case).unwrap_or(field).name().clone()
        };
        let names: Vec<String> = logical.fields().iter().map(spelling).collect();
        let fields: Vec<Field> =
            logical.fields().iter().zip(&names).map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
        let inner = DefaultPhysicalExprAdapterFactory.create(Arc::new(Schema::new(fields)), physical)?;
        Ok(Arc::new(Adapter { names, inner }))
    }
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let renamed = expr
            .transform(|expr| {
                let renamed = expr.downcast_ref::<Column>().and_then(|column| {
                    let name = self.names.get(column.index())?;
                    let same = name.to_lowercase() == column.name();
                    (same && name != column.name())
                        .then(|| Arc::new(Column::new(name, column.index())) as Arc<dyn PhysicalExpr>)
                });
                Ok(renamed.map_or_else(|| Transformed::no(expr), Transformed::yes))
            })
            .data()?;
        self.inner.rewrite(renamed)
    }
}
