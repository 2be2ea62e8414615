//! GetPartition.

use store::Tx;

use super::prelude::*;

#[async_trait]
impl Handle<GetPartition> for Glue {
    async fn handle(&self, cx: &Cx, req: GetPartitionRequest) -> Result<GetPartitionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let read = |tx: &mut Tx<'_>| {
            let table = catalog::table(tx, &scope, &db, &name)?;
            catalog::check_values(&table, &req.partition_values)?;
            let key = scope.partition(&db, &name, &req.partition_values);
            let found = tx.get_json(&key)?.ok_or_else(|| entity_not_found_exception("Cannot find partition."))?;
            Ok::<(Partition, _), Error>((found, vec![key]))
        };
        let partition = self.look(cx, read).await?;
        Ok(GetPartitionResponse { partition: Some(partition) })
    }
}
