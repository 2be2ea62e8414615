//! DeleteTable: removes a table with its partitions and versions.

use super::prelude::*;

#[async_trait]
impl Handle<DeleteTable> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteTableRequest) -> Result<DeleteTableResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.name));
        cx.write(&self.store, move |tx| {
            catalog::table(tx, &scope, &db, &name)?;
            catalog::delete_table(tx, &scope, &db, &name)
        })
        .await?;
        Ok(DeleteTableResponse::default())
    }
}
