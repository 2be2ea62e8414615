//! BatchGetPartition: the partitions with given values; missing ones are left out.

use super::prelude::*;

#[async_trait]
impl Handle<BatchGetPartition> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchGetPartitionRequest) -> Result<BatchGetPartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let partitions = self
            .store
            .read(|tx| {
                catalog::table(tx, &scope, &db, &name)?;
                let mut found: Vec<Partition> = Vec::new();
                for wanted in &req.partitions_to_get {
                    found.extend(tx.get_json::<Partition>(scope.partition(&db, &name, &wanted.values))?);
                }
                Ok::<_, Error>(found)
            })
            .await?;
        Ok(BatchGetPartitionResponse { partitions: Some(partitions), unprocessed_keys: Some(Vec::new()) })
    }
}
