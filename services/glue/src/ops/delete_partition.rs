//! DeletePartition.

use super::prelude::*;

#[async_trait]
impl Handle<DeletePartition> for Glue {
    async fn handle(&self, cx: &Cx, req: DeletePartitionRequest) -> Result<DeletePartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let values = req.partition_values;
        cx.write(&self.store, move |tx| {
            let table = catalog::table(tx, &scope, &db, &name)?;
            if tx.get(scope.partition(&db, &name, &values))?.is_none() {
                return Err(entity_not_found_exception("Cannot find partition."));
            }
            catalog::delete_partition(tx, &scope, &table, &values)
        })
        .await?;
        Ok(DeletePartitionResponse::default())
    }
}
