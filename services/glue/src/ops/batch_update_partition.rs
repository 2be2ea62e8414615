//! BatchUpdatePartition: replaces several partitions; those that cannot be are listed.

use super::prelude::*;

#[async_trait]
impl Handle<BatchUpdatePartition> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchUpdatePartitionRequest) -> Result<BatchUpdatePartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let (entries, now) = (req.entries, cx.now());
        let errors: Vec<BatchUpdatePartitionFailureEntry> = cx
            .write(&self.store, move |tx| {
                let table = catalog::table(tx, &scope, &db, &name)?;
                let mut errors = Vec::new();
                for entry in &entries {
                    let old = &entry.partition_value_list;
                    match catalog::update_partition(tx, &scope, &table, old, entry.partition_input.clone(), now) {
                        Err(error) if error.status() < 500 => errors.push(BatchUpdatePartitionFailureEntry {
                            partition_value_list: Some(old.clone()),
                            error_detail: Some(detail(error.code(), error.message())),
                        }),
                        other => other?,
                    }
                }
                Ok::<_, Error>(errors)
            })
            .await?;
        Ok(BatchUpdatePartitionResponse { errors: Some(errors) })
    }
}
