//! GetTableVersion: one version; the present one when none is named.

use super::prelude::*;

#[async_trait]
impl Handle<GetTableVersion> for Glue {
    async fn handle(&self, cx: &Cx, req: GetTableVersionRequest) -> Result<GetTableVersionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let table = self
            .store
            .read(|tx| {
                let present = catalog::table(tx, &scope, &db, &name)?;
                let Some(wanted) = req.version_id.as_deref() else { return Ok(present) };
                if present.version_id.as_deref() == Some(wanted) {
                    return Ok(present);
                }
                let number: u64 = wanted
                    .parse()
                    .map_err(|_| invalid_input_exception(format!("{wanted} is not a valid version id")))?;
                tx.get_json(scope.versions(&db, &name).push_u64(number))?
                    .ok_or_else(|| entity_not_found_exception("version not found."))
            })
            .await?;
        let version_id = table.version_id.clone();
        Ok(GetTableVersionResponse { table_version: Some(TableVersion { table: Some(table), version_id }) })
    }
}
