//! CreatePartitionIndex, DeletePartitionIndex: what is told of a table. Partitions are found by their keys without one.

use super::prelude::*;

/// Source: Glue Developer Guide, "Partition indexes".
const MOST: usize = 3;

#[async_trait]
impl Handle<CreatePartitionIndex> for Glue {
    async fn handle(&self, cx: &Cx, req: CreatePartitionIndexRequest) -> Result<CreatePartitionIndexResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let index = req.partition_index;
        cx.write(&self.store, move |tx| {
            let table = catalog::table(tx, &scope, &db, &name)?;
            let keys = table.partition_keys.unwrap_or_default();
            let unknown = |key: &&String| !keys.iter().any(|known| known.name.eq_ignore_ascii_case(key));
            if let Some(key) = index.keys.iter().find(unknown) {
                return Err(invalid_input_exception(format!(
                    "Partition index key {key} is no partition key of the table."
                )));
            }
            let mut all: Vec<PartitionIndex> = tx.get_json(scope.indexes(&db, &name))?.unwrap_or_default();
            if all.iter().any(|known| known.index_name == index.index_name || known.keys == index.keys) {
                return Err(already_exists_exception(format!("Partition index {} already exists.", index.index_name)));
            }
            if all.len() >= MOST {
                return Err(resource_number_limit_exceeded_exception(format!(
                    "A table has at most {MOST} partition indexes."
                )));
            }
            all.push(index.clone());
            tx.put_json(scope.indexes(&db, &name), &all)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreatePartitionIndexResponse::default())
    }
}

#[async_trait]
impl Handle<DeletePartitionIndex> for Glue {
    async fn handle(&self, cx: &Cx, req: DeletePartitionIndexRequest) -> Result<DeletePartitionIndexResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let index = req.index_name;
        cx.write(&self.store, move |tx| {
            catalog::table(tx, &scope, &db, &name)?;
            let mut all: Vec<PartitionIndex> = tx.get_json(scope.indexes(&db, &name))?.unwrap_or_default();
            let before = all.len();
            all.retain(|known| known.index_name != index);
            if all.len() == before {
                return Err(entity_not_found_exception(format!("Partition index {index} not found.")));
            }
            tx.put_json(scope.indexes(&db, &name), &all)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeletePartitionIndexResponse::default())
    }
}
