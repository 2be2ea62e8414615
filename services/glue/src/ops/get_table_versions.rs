//! GetTableVersions: the present version and those before it, newest first.

use super::prelude::*;

#[async_trait]
impl Handle<GetTableVersions> for Glue {
    async fn handle(&self, cx: &Cx, req: GetTableVersionsRequest) -> Result<GetTableVersionsResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let limit = scope::limit(req.max_results, 100);
        let mut versions = self
            .store
            .read(|tx| {
                let present = catalog::table(tx, &scope, &db, &name)?;
                let mut all: Vec<Table> = tx.list_json(scope.versions(&db, &name), usize::MAX)?;
                all.push(present);
                all.reverse();
                Ok::<_, Error>(all)
            })
            .await?;
        // The token is the last version that was shown.
        if let Some(token) = &req.next_token {
            let last: u64 = token.parse().map_err(|_| invalid_input_exception("Invalid NextToken"))?;
            versions.retain(|table| catalog::version_number(table) < last);
        }
        let more = versions.len() > limit;
        versions.truncate(limit);
        let next_token = versions.last().filter(|_| more).map(|table| catalog::version_number(table).to_string());
        let versions = versions.into_iter().map(|table| {
            let version_id = table.version_id.clone();
            TableVersion { table: Some(table), version_id }
        });
        Ok(GetTableVersionsResponse { table_versions: Some(versions.collect()), next_token })
    }
}
