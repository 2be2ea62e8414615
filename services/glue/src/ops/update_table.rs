//! UpdateTable: replaces a table's definition; the old one becomes a version.

use super::prelude::*;

#[async_trait]
impl Handle<UpdateTable> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateTableRequest) -> Result<UpdateTableResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let db = catalog::fold(&req.database_name);
        let input = req.table_input.ok_or_else(|| invalid_input_exception("TableInput is required."))?;
        let name = catalog::fold(&input.name);
        let archive = !req.skip_archive.unwrap_or(false);
        let new = catalog::with_input(&scope, &db, input, cx.now());
        let expected = req.version_id;
        cx.write(&self.store, move |tx| {
            let old = catalog::table(tx, &scope, &db, &name)?;
            if expected.as_ref().is_some_and(|version| Some(version) != old.version_id.as_ref()) {
                return Err(concurrent_modification_exception("Update table failed due to concurrent modifications."));
            }
            catalog::replace_table(tx, &scope, &old, new.clone(), archive)
        })
        .await?;
        Ok(UpdateTableResponse::default())
    }
}
