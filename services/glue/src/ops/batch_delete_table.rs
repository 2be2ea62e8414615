//! BatchDeleteTable: removes several tables; those that are missing are listed.

use super::prelude::*;

#[async_trait]
impl Handle<BatchDeleteTable> for Glue {
    async fn handle(&self, cx: &Cx, req: BatchDeleteTableRequest) -> Result<BatchDeleteTableResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let db = catalog::fold(&req.database_name);
        let names = req.tables_to_delete;
        let missing: Vec<String> = cx
            .write(&self.store, move |tx| {
                catalog::database(tx, &scope, &db)?;
                let mut missing = Vec::new();
                for name in &names {
                    let folded = catalog::fold(name);
                    if catalog::find_table(tx, &scope, &db, &folded)?.is_some() {
                        catalog::delete_table(tx, &scope, &db, &folded)?;
                    } else {
                        missing.push(name.clone());
                    }
                }
                Ok::<_, Error>(missing)
            })
            .await?;
        let errors = missing.into_iter().map(|name| TableError {
            table_name: Some(name),
            error_detail: Some(detail("EntityNotFoundException", "Entity Not Found")),
        });
        Ok(BatchDeleteTableResponse { errors: Some(errors.collect()) })
    }
}
