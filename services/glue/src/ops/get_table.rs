//! GetTable.

use super::prelude::*;

#[async_trait]
impl Handle<GetTable> for Glue {
    async fn handle(&self, cx: &Cx, req: GetTableRequest) -> Result<GetTableResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.name));
        let table = self.store.read(|tx| catalog::table(tx, &scope, &db, &name)).await?;
        Ok(GetTableResponse { table: Some(table) })
    }
}
