//! BatchDeletePartition: up to 25 partitions; those that are missing are listed.

use super::prelude::*;

#[async_trait]
impl Handle<BatchDeletePartition> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchDeletePartitionRequest) -> Result<BatchDeletePartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let lists = req.partitions_to_delete;
        let errors: Vec<PartitionError> = cx
            .write(&self.store, move |tx| {
                let table = catalog::table(tx, &scope, &db, &name)?;
                let mut errors = Vec::new();
                for list in &lists {
                    if tx.get(scope.partition(&db, &name, &list.values))?.is_some() {
                        catalog::delete_partition(tx, &scope, &table, &list.values)?;
                    } else {
                        let values = list.values.clone();
                        errors.push(partition_error(values, "EntityNotFoundException", "Cannot find partition."));
                    }
                }
                Ok::<_, Error>(errors)
            })
            .await?;
        Ok(BatchDeletePartitionResponse { errors: Some(errors) })
    }
}
