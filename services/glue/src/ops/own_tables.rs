//! RenameTable and DeleteTable of Lakerun's own service (`models/lakerun.json`): what AWS's catalog cannot do in one step. Each says which
//! state of the table it is about, so that nothing that others commit meanwhile is lost with it.

use api_lakerun::{
    DeleteTableRequest as DeleteRequest, DeleteTableResponse as Deleted, RenameTable, RenameTableRequest,
    RenameTableResponse,
};
use serde_json::json;
use store::Tx;
use wire::Operation;

use super::prelude::*;
use crate::iceberg::table::is_in;

#[async_trait]
impl Handle<RenameTable> for Glue {
    /// Needs what making the one and deleting the other needs.
    async fn handle(&self, cx: &Cx, req: RenameTableRequest) -> Result<RenameTableResponse, Error> {
        let scope = Scope::of(cx);
        let (db, old) = (catalog::fold(&req.database_name), catalog::fold(&req.name));
        let (new, now, expected) = (catalog::check_name(&req.new_name)?, cx.now(), req.version_id);
        let source = json!({ "DatabaseName": db, "Name": old });
        cx.router().admit(cx, GetTable::SPEC, &source).await?;
        cx.router().admit(cx, DeleteTable::SPEC, &source).await?;
        let made = json!({ "DatabaseName": db, "TableInput": { "Name": new } });
        cx.router().admit(cx, CreateTable::SPEC, &made).await?;
        cx.write(&self.store, move |tx| {
            let table = in_state(tx, &scope, (&db, &old), &expected)?;
            if tx.get(scope.table(&db, &new))?.is_some() {
                return Err(already_exists_exception("Table already exists."));
            }
            let renamed = Table { name: new.clone(), update_time: Some(now.into()), ..table };
            catalog::rename_table(tx, &scope, (&db, &old), (&db, &new))?;
            for (key, partition) in tx.scan_prefix(scope.partitions(&db, &new), usize::MAX >> 1)? {
                let partition: Partition = store::kv::decode(&key, &partition)?;
                tx.put_json(key, &Partition { table_name: Some(new.clone()), ..partition })?;
            }
            tx.put_json(scope.table(&db, &new), &renamed)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(RenameTableResponse::default())
    }
}

#[async_trait]
impl Handle<api_lakerun::DeleteTable> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteRequest) -> Result<Deleted, Error> {
        let scope = Scope::of(cx);
        let (db, name, expected) = (catalog::fold(&req.database_name), catalog::fold(&req.name), req.version_id);
        cx.router().admit(cx, DeleteTable::SPEC, &json!({ "DatabaseName": db, "Name": name })).await?;
        cx.write(&self.store, move |tx| {
            in_state(tx, &scope, (&db, &name), &expected)?;
            catalog::delete_table(tx, &scope, &db, &name)
        })
        .await?;
        Ok(Deleted::default())
    }
}

/// The table, where it is still in the state that the caller knows.
fn in_state(tx: &mut Tx<'_>, scope: &Scope, (db, name): (&str, &str), expected: &str) -> Result<Table, Error> {
    let table = catalog::table(tx, scope, db, name)?;
    if is_in(&table, expected) {
        return Ok(table);
    }
    Err(concurrent_modification_exception(format!("Table {db}.{name} has been changed meanwhile.")))
}
