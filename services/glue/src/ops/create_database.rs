//! CreateDatabase: a new, empty database.

use super::prelude::*;

#[async_trait]
impl Handle<CreateDatabase> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateDatabaseRequest) -> Result<CreateDatabaseResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let name = catalog::check_name(&req.database_input.name)?;
        let arn = scope.arn(&format!("database/{name}"));
        let record = catalog::new_database(&scope, req.database_input, cx.now());
        let tags = req.tags.unwrap_or_default();
        cx.write(&self.store, move |tx| {
            if tx.get(scope.database(&name))?.is_some() {
                return Err(already_exists_exception("Database already exists."));
            }
            tags::add(tx, &scope, &arn, &tags)?;
            tx.put_json(scope.database(&name), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateDatabaseResponse::default())
    }
}
