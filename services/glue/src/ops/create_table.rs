//! CreateTable: a new table, view or Iceberg pointer in a database.

use super::prelude::*;

#[async_trait]
impl Handle<CreateTable> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateTableRequest) -> Result<CreateTableResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let db = catalog::fold(&req.database_name);
        let input = req.table_input.ok_or_else(|| invalid_input_exception("TableInput is required."))?;
        let name = catalog::check_name(&input.name)?;
        let creator = cx.principal().arn(cx.account());
        let table = catalog::new_table(&scope, &db, input, &creator, cx.now());
        let indexes = req.partition_indexes.unwrap_or_default();
        cx.write(&self.store, move |tx| {
            catalog::database(tx, &scope, &db)?;
            if tx.get(scope.table(&db, &name))?.is_some() {
                return Err(already_exists_exception("Table already exists."));
            }
            tx.put_json(scope.table(&db, &name), &table)?;
            if !indexes.is_empty() {
                tx.put_json(scope.indexes(&db, &name), &indexes)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateTableResponse::default())
    }
}
