//! GetPartitionIndexes: what CreateTable was told; every index is ready, since none is needed.

use super::prelude::*;

#[async_trait]
impl Handle<GetPartitionIndexes> for Glue {
    async fn handle(&self, cx: &Cx, req: GetPartitionIndexesRequest) -> Result<GetPartitionIndexesResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let (table, indexes) = self
            .store
            .read(|tx| {
                let table = catalog::table(tx, &scope, &db, &name)?;
                let indexes: Vec<PartitionIndex> = tx.get_json(scope.indexes(&db, &name))?.unwrap_or_default();
                Ok::<_, Error>((table, indexes))
            })
            .await?;
        let keys = table.partition_keys.unwrap_or_default();
        let type_of =
            |name: &str| keys.iter().find(|k| k.name.eq_ignore_ascii_case(name)).and_then(|k| k.r#type.clone());
        let list = indexes.into_iter().map(|index| PartitionIndexDescriptor {
            index_name: index.index_name,
            keys: index
                .keys
                .into_iter()
                .map(|name| KeySchemaElement { r#type: type_of(&name).unwrap_or_else(|| "string".to_owned()), name })
                .collect(),
            index_status: "ACTIVE".to_owned(),
            backfill_errors: None,
        });
        Ok(GetPartitionIndexesResponse { partition_index_descriptor_list: Some(list.collect()), next_token: None })
    }
}
