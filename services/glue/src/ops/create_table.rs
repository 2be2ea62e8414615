//! CreateTable: a new table, view or Iceberg pointer in a database; with `OpenTableFormatInput` an Iceberg table with metadata of its own.

use super::prelude::*;
use crate::iceberg::creation::Creation;
use crate::iceberg::open_format;
use crate::iceberg::table::{self, Name};

#[async_trait]
impl Handle<CreateTable> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateTableRequest) -> Result<CreateTableResponse, Error> {
        let scope = Scope::catalog(cx, req.catalog_id.as_deref())?;
        let db = catalog::fold(&req.database_name);
        if let Some(format) = req.open_table_format_input {
            if req.partition_indexes.is_some_and(|indexes| !indexes.is_empty()) {
                return Err(invalid_input_exception("Cannot create partitions in an iceberg table"));
            }
            return Box::pin(create_iceberg(cx, db, (req.name, req.table_input), &format)).await;
        }
        let input = req.table_input.ok_or_else(|| invalid_input_exception("TableInput is required."))?;
        let name = catalog::check_name(&input.name)?;
        let creator = cx.principal().arn(cx.account());
        let table = catalog::new_table(&scope, &db, input, &creator, cx.now());
        let indexes = req.partition_indexes.unwrap_or_default();
        cx.write(&self.store, move |tx| {
            catalog::database(tx, &scope, &db)?;
            if tx.get(scope.table(&db, &name))?.is_some() {
                return Err(already_exists_exception("Table already exists."));
            }
            // What a crawl that was cut short may have left of a table that never came.
            scope::clear(tx, &scope.partitions(&db, &name))?;
            tx.put_json(scope.table(&db, &name), &table)?;
            if !indexes.is_empty() {
                tx.put_json(scope.indexes(&db, &name), &indexes)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
        Ok(CreateTableResponse::default())
    }
}

/// The metadata is written first, by the caller's rights; then the table is made by this operation, without the format.
async fn create_iceberg(
    cx: &Cx,
    database: String,
    (name, input): (Option<String>, Option<TableInput>),
    format: &OpenTableFormatInput,
) -> Result<CreateTableResponse, Error> {
    let name = name.or_else(|| input.as_ref().map(|input| input.name.clone()));
    let name = catalog::check_name(&name.ok_or_else(|| invalid_input_exception("Name or TableInput is required."))?)?;
    let name = Name { database, table: name };
    let builder = open_format::creation(format, input.as_ref(), cx.uuid()).and_then(Creation::builder);
    let draft = input.map(|input| Table {
        description: input.description,
        owner: input.owner,
        retention: input.retention,
        table_type: input.table_type,
        parameters: input.parameters,
        storage_descriptor: input.storage_descriptor,
        ..Table::default()
    });
    let request = GetDatabaseRequest { name: name.database.clone(), ..GetDatabaseRequest::default() };
    cx.as_platform().call::<GetDatabase>(request).await?;
    let builder = builder.map_err(open_format::as_glue)?;
    let made = Box::pin(table::create_as(cx, &name, draft.unwrap_or_default(), builder)).await;
    made.map(|_| CreateTableResponse::default()).map_err(open_format::as_glue)
}
