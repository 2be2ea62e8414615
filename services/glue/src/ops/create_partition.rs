//! CreatePartition.

use super::prelude::*;

#[async_trait]
impl Handle<CreatePartition> for Glue {
    async fn handle(&self, cx: &Cx, req: CreatePartitionRequest) -> Result<CreatePartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let (input, now, job) = (req.partition_input, cx.now(), undo::job(cx));
        let write = cx.write(&self.store, move |tx| {
            let table = catalog::table(tx, &scope, &db, &name)?;
            let partition = catalog::new_partition(&scope, &table, input.clone(), now)?;
            let key = scope.partition(&db, &name, partition.values.as_deref().unwrap_or_default());
            let is_new = tx.get(&key)?.is_none();
            if is_new {
                tx.put_json(&key, &partition)?;
            }
            undo::rely(tx, job.as_deref(), &[scope.table(&db, &name), key])?;
            Ok::<_, Error>(is_new)
        });
        if !write.await? {
            return Err(already_exists_exception("Partition already exists."));
        }
        Ok(CreatePartitionResponse::default())
    }
}
