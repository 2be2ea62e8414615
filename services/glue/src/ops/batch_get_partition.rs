//! BatchGetPartition: the partitions with given values; missing ones are left out.

use store::Tx;

use super::prelude::*;

#[async_trait]
impl Handle<BatchGetPartition> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchGetPartitionRequest) -> Result<BatchGetPartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let read = |tx: &mut Tx<'_>| {
            catalog::table(tx, &scope, &db, &name)?;
            let (mut found, mut keys): (Vec<Partition>, _) = (Vec::new(), Vec::new());
            for wanted in &req.partitions_to_get {
                let key = scope.partition(&db, &name, &wanted.values);
                found.extend(tx.get_json::<Partition>(&key)?);
                keys.push(key);
            }
            Ok::<_, Error>((found, keys))
        };
        let partitions = self.look(cx, read).await?;
        Ok(BatchGetPartitionResponse { partitions: Some(partitions), unprocessed_keys: Some(Vec::new()) })
    }
}
