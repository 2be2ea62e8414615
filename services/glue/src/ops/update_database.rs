//! UpdateDatabase: replaces what is said about a database.

use super::prelude::*;

#[async_trait]
impl Handle<UpdateDatabase> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateDatabaseRequest) -> Result<UpdateDatabaseResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let name = catalog::fold(&req.name);
        if catalog::fold(&req.database_input.name) != name {
            return Err(invalid_input_exception("Database name can not be changed."));
        }
        let record = catalog::new_database(&scope, req.database_input, cx.now());
        cx.write(&self.store, move |tx| {
            let old = catalog::database(tx, &scope, &name)?;
            let new = Database { create_time: old.create_time, ..record.clone() };
            tx.put_json(scope.database(&name), &new)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(UpdateDatabaseResponse::default())
    }
}
