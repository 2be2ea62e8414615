//! UpdatePartition: replaces a partition, which may get new values.

use super::prelude::*;

#[async_trait]
impl Handle<UpdatePartition> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdatePartitionRequest) -> Result<UpdatePartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let (old, input, now) = (req.partition_value_list, req.partition_input, cx.now());
        cx.write(&self.store, move |tx| {
            let table = catalog::table(tx, &scope, &db, &name)?;
            catalog::update_partition(tx, &scope, &table, &old, input.clone(), now)
        })
        .await?;
        Ok(UpdatePartitionResponse::default())
    }
}
