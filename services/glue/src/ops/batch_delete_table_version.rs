//! BatchDeleteTableVersion: forgets earlier versions of a table; those that cannot be forgotten are listed.

use super::delete_table_version::forget_version;
use super::prelude::*;

#[async_trait]
impl Handle<BatchDeleteTableVersion> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: BatchDeleteTableVersionRequest,
    ) -> Result<BatchDeleteTableVersionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        let (table, wanted) = (req.table_name, req.version_ids);
        let refused = cx
            .write(&self.store, move |tx| {
                let present = catalog::table(tx, &scope, &db, &name)?;
                let mut refused = Vec::new();
                for id in &wanted {
                    if let Err(error) = forget_version(tx, &scope, (&db, &name), &present, id) {
                        if !error.is("EntityNotFoundException") && !error.is("InvalidInputException") {
                            return Err(error);
                        }
                        refused.push((id.clone(), detail(error.code(), error.message())));
                    }
                }
                Ok::<_, Error>(refused)
            })
            .await?;
        let errors = refused.into_iter().map(|(id, detail)| TableVersionError {
            table_name: Some(table.clone()),
            version_id: Some(id),
            error_detail: Some(detail),
        });
        Ok(BatchDeleteTableVersionResponse { errors: Some(errors.collect()) })
    }
}
