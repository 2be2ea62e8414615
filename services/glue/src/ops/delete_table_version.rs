//! DeleteTableVersion: forgets an earlier version.

use store::Tx;

use super::prelude::*;

#[async_trait]
impl Handle<DeleteTableVersion> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteTableVersionRequest) -> Result<DeleteTableVersionResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let (db, name) = (catalog::fold(&req.database_name), catalog::fold(&req.table_name));
        cx.write(&self.store, move |tx| {
            let present = catalog::table(tx, &scope, &db, &name)?;
            forget_version(tx, &scope, (&db, &name), &present, &req.version_id)
        })
        .await?;
        Ok(DeleteTableVersionResponse::default())
    }
}

/// Forgets a version of a table, by its folded names; the present one stays.
pub(super) fn forget_version(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (db, name): (&str, &str),
    present: &Table,
    wanted: &str,
) -> Result<(), Error> {
    if present.version_id.as_deref() == Some(wanted) {
        return Err(invalid_input_exception("The current version of a table can not be deleted."));
    }
    let number = wanted.parse().map_err(|_| invalid_input_exception(format!("{wanted} is not a valid version id")))?;
    let key = scope.versions(db, name).push_u64(number);
    if tx.get(&key)?.is_none() {
        return Err(entity_not_found_exception("version not found."));
    }
    Ok(tx.delete(&key)?)
}
