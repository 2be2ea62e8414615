//! GetDatabase.

use super::prelude::*;

#[async_trait]
impl Handle<GetDatabase> for Glue {
    async fn handle(&self, cx: &Cx, req: GetDatabaseRequest) -> Result<GetDatabaseResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let name = catalog::fold(&req.name);
        let database = self.store.read(|tx| catalog::database(tx, &scope, &name)).await?;
        Ok(GetDatabaseResponse { database: Some(database) })
    }
}
