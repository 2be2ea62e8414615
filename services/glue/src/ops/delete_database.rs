//! DeleteDatabase: removes a database with all its tables.

use super::prelude::*;

#[async_trait]
impl Handle<DeleteDatabase> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteDatabaseRequest) -> Result<DeleteDatabaseResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let name = catalog::fold(&req.name);
        cx.write(&self.store, move |tx| {
            catalog::database(tx, &scope, &name)?;
            catalog::delete_database(tx, &scope, &name)
        })
        .await?;
        Ok(DeleteDatabaseResponse::default())
    }
}
