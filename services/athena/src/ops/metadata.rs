//! Databases and tables of a data catalog, asked of Glue with the caller's rights.

use std::collections::BTreeMap;

use api_athena::error::metadata_exception;
use api_athena::{
    Column, Database, GetDatabase, GetDatabaseInput, GetDatabaseOutput, GetTableMetadata, GetTableMetadataInput,
    GetTableMetadataOutput, ListDatabases, ListDatabasesInput, ListDatabasesOutput, ListTableMetadata,
    ListTableMetadataInput, ListTableMetadataOutput, TableMetadata,
};
use api_glue::{GetDatabaseRequest, GetDatabasesRequest, GetTableRequest, GetTablesRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::catalogs;
use crate::Athena;
use crate::records::Scope;

impl Athena {
    async fn check_catalog(&self, cx: &Cx, name: &str) -> Result<(), Error> {
        self.store.read(|tx| catalogs::find(tx, &Scope::of(cx), name)).await.map(drop)
    }
}

impl Athena {
    /// The database `default` is there as soon as somebody asks Athena for it.
    async fn ensure_default(&self, cx: &Cx, name: &str) {
        if !name.eq_ignore_ascii_case("default") {
            return;
        }
        let request = GetDatabaseRequest { name: "default".to_owned(), ..GetDatabaseRequest::default() };
        let missing = cx.call::<api_glue::GetDatabase>(request).await.is_err_and(|e| e.is("EntityNotFoundException"));
        if missing {
            let input = api_glue::DatabaseInput { name: "default".to_owned(), ..api_glue::DatabaseInput::default() };
            let request =
                api_glue::CreateDatabaseRequest { database_input: input, ..api_glue::CreateDatabaseRequest::default() };
            // Who may not create it sees what there is.
            if let Err(error) = cx.call::<api_glue::CreateDatabase>(request).await {
                tracing::debug!(%error, "the default database could not be created");
            }
        }
    }
}

/// Glue's refusal in Athena's words: clients read the code inside the parentheses, PyAthena's dialect to tell that a table
/// is missing (seen in noctua's issue 205).
fn refused(cx: &Cx, error: &Error) -> Error {
    match error.code() {
        code @ ("EntityNotFoundException" | "AccessDeniedException" | "InvalidInputException") => {
            let (text, id) = (error.message(), cx.request_id());
            metadata_exception(format!(
                "{text} (Service: AmazonDataCatalog; Status Code: 400; Error Code: {code}; Request ID: {id}; Proxy: null)"
            ))
        }
        _ => error.clone(),
    }
}

fn most(asked: Option<i32>) -> i32 {
    asked.filter(|n| *n > 0).unwrap_or(50).min(50)
}

fn database(database: api_glue::Database) -> Database {
    Database { name: database.name, description: database.description, parameters: database.parameters }
}

#[async_trait]
impl Handle<GetDatabase> for Athena {
    async fn handle(&self, cx: &Cx, req: GetDatabaseInput) -> Result<GetDatabaseOutput, Error> {
        self.check_catalog(cx, &req.catalog_name).await?;
        self.ensure_default(cx, &req.database_name).await;
        let request = GetDatabaseRequest { name: req.database_name, ..GetDatabaseRequest::default() };
        let found = cx.call::<api_glue::GetDatabase>(request).await.map_err(|error| refused(cx, &error))?;
        Ok(GetDatabaseOutput { database: found.database.map(database) })
    }
}

#[async_trait]
impl Handle<ListDatabases> for Athena {
    async fn handle(&self, cx: &Cx, req: ListDatabasesInput) -> Result<ListDatabasesOutput, Error> {
        self.check_catalog(cx, &req.catalog_name).await?;
        if req.next_token.is_none() {
            self.ensure_default(cx, "default").await;
        }
        let request = GetDatabasesRequest {
            next_token: req.next_token,
            max_results: Some(most(req.max_results)),
            ..GetDatabasesRequest::default()
        };
        let found = cx.call::<api_glue::GetDatabases>(request).await.map_err(|error| refused(cx, &error))?;
        let list = found.database_list.into_iter().map(database).collect();
        Ok(ListDatabasesOutput { database_list: Some(list), next_token: found.next_token })
    }
}

#[async_trait]
impl Handle<GetTableMetadata> for Athena {
    async fn handle(&self, cx: &Cx, req: GetTableMetadataInput) -> Result<GetTableMetadataOutput, Error> {
        self.check_catalog(cx, &req.catalog_name).await?;
        self.ensure_default(cx, &req.database_name).await;
        let request =
            GetTableRequest { database_name: req.database_name, name: req.table_name, ..GetTableRequest::default() };
        let found = cx.call::<api_glue::GetTable>(request).await.map_err(|error| refused(cx, &error))?;
        Ok(GetTableMetadataOutput { table_metadata: found.table.map(|table| metadata(&table)) })
    }
}

#[async_trait]
impl Handle<ListTableMetadata> for Athena {
    async fn handle(&self, cx: &Cx, req: ListTableMetadataInput) -> Result<ListTableMetadataOutput, Error> {
        self.check_catalog(cx, &req.catalog_name).await?;
        self.ensure_default(cx, &req.database_name).await;
        let request = GetTablesRequest {
            database_name: req.database_name,
            expression: req.expression,
            next_token: req.next_token,
            max_results: Some(most(req.max_results)),
            ..GetTablesRequest::default()
        };
        let found = cx.call::<api_glue::GetTables>(request).await.map_err(|error| refused(cx, &error))?;
        let list = found.table_list.unwrap_or_default().iter().map(metadata).collect();
        Ok(ListTableMetadataOutput { table_metadata_list: Some(list), next_token: found.next_token })
    }
}

/// Glue's table as Athena shows it: what lies in the storage descriptor becomes parameters.
fn metadata(table: &api_glue::Table) -> TableMetadata {
    let storage = table.storage_descriptor.clone().unwrap_or_default();
    let mut parameters: BTreeMap<String, String> = table.parameters.clone().unwrap_or_default();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            parameters.insert(key.to_owned(), value);
        }
    };
    set("comment", table.description.clone());
    set("location", storage.location.map(|location| location.trim_end_matches('/').to_owned()));
    set("inputformat", storage.input_format);
    set("outputformat", storage.output_format);
    if let Some(serde) = storage.serde_info {
        set("serde.serialization.lib", serde.serialization_library);
        for (key, value) in serde.parameters.unwrap_or_default() {
            set(&format!("serde.param.{key}"), Some(value));
        }
    }
    let columns = |columns: Option<Vec<api_glue::Column>>| {
        let columns = columns.unwrap_or_default().into_iter();
        columns.map(|column| Column { name: column.name, r#type: column.r#type, comment: column.comment }).collect()
    };
    TableMetadata {
        name: table.name.clone(),
        create_time: table.create_time,
        last_access_time: table.last_access_time,
        table_type: table.table_type.clone(),
        columns: Some(columns(storage.columns)),
        partition_keys: Some(columns(table.partition_keys.clone())),
        parameters: Some(parameters),
    }
}
