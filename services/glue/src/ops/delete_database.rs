//! DeleteDatabase: removes a database with all its tables.

use super::prelude::*;

#[async_trait]
impl Handle<DeleteDatabase> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteDatabaseRequest) -> Result<DeleteDatabaseResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let name = catalog::fold(&req.name);
        cx.write(&self.store, move |tx| {
            catalog::database(tx, &scope, &name)?;
            for kind in ["table", "version", "partition", "index"] {
                scope::clear(tx, &scope.key(kind).push(&name))?;
            }
            tags::clear(tx, &scope, &scope.arn(&format!("database/{name}")))?;
            tx.delete(scope.database(&name))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(DeleteDatabaseResponse::default())
    }
}
