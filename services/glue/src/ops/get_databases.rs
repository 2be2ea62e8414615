//! GetDatabases: all databases, in order of name.

use super::prelude::*;

#[async_trait]
impl Handle<GetDatabases> for Glue {
    async fn handle(&self, cx: &Cx, req: GetDatabasesRequest) -> Result<GetDatabasesResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let limit = scope::limit(req.max_results, 100);
        let (database_list, next_token) = self
            .store
            .read(|tx| scope::page(tx, &scope.databases(), req.next_token.as_deref(), limit, |d: Database| Ok(Some(d))))
            .await?;
        Ok(GetDatabasesResponse { database_list, next_token })
    }
}
