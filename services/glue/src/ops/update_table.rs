//! UpdateTable: replaces a table's definition; the old one becomes a version. With `UpdateOpenTableFormatInput` the metadata of an Iceberg
//! table is changed, and the table follows it.

use super::prelude::*;
use crate::iceberg::open_format;
use crate::iceberg::table::{self, Name};
use crate::iceberg::update::Builder;

#[async_trait]
impl Handle<UpdateTable> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateTableRequest) -> Result<UpdateTableResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let db = catalog::fold(&req.database_name);
        if let Some(format) = req.update_open_table_format_input {
            if req.table_input.is_some() {
                return Err(invalid_input_exception("TableInput and UpdateOpenTableFormatInput exclude each other."));
            }
            let name = req.name.ok_or_else(|| invalid_input_exception("Name is required."))?;
            let name = Name { database: db, table: catalog::fold(&name) };
            let skip_archive = req.skip_archive.unwrap_or(false);
            return Box::pin(update_iceberg(cx, &name, &format, (req.version_id, skip_archive))).await;
        }
        let input = req.table_input.ok_or_else(|| invalid_input_exception("TableInput is required."))?;
        let name = catalog::fold(&input.name);
        let archive = !req.skip_archive.unwrap_or(false);
        let new = catalog::with_input(&scope, &db, input, cx.now());
        let expected = req.version_id;
        cx.write(&self.store, move |tx| {
            let old = catalog::table(tx, &scope, &db, &name)?;
            if expected.as_ref().is_some_and(|expected| !table::is_in(&old, expected)) {
                return Err(concurrent_modification_exception("Update table failed due to concurrent modifications."));
            }
            catalog::replace_table(tx, &scope, &old, new.clone(), archive)
        })
        .await?;
        Ok(UpdateTableResponse::default())
    }
}

async fn update_iceberg(
    cx: &Cx,
    name: &Name,
    format: &UpdateOpenTableFormatInput,
    (version, skip_archive): (Option<String>, bool),
) -> Result<UpdateTableResponse, Error> {
    // Who may update a table may change it by what it is: the look at it is the service's own.
    let loaded = table::load_as(&cx.as_platform(), cx, name).await.map_err(open_format::as_glue)?;
    let loaded = loaded.ok_or_else(|| {
        entity_not_found_exception(format!("Iceberg table {}.{} not found.", name.database, name.table))
    })?;
    if version.as_ref().is_some_and(|version| Some(version) != loaded.table.version_id.as_ref()) {
        return Err(concurrent_modification_exception("Update table failed due to concurrent modifications."));
    }
    let builder = open_format::update(Builder::on(&loaded.metadata), format).map_err(open_format::as_glue)?;
    table::replace(cx, name, loaded, builder, skip_archive).await.map_err(open_format::as_glue)?;
    Ok(UpdateTableResponse::default())
}
