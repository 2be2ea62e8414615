//! The catalog over Glue's JSON calls. How a call travels is the caller's: a callback takes the operation and its
//! input and gives the output or Glue's error code.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Catalog, Database, Partition, Table};
use crate::error::{Error, Result};

/// Sends one operation of Glue's, or, as `AmazonAthena.ListWorkGroups`, of another service that speaks JSON. The error is
/// (code, message) as the service gave them.
pub type JsonCall =
    Arc<dyn Fn(&'static str, Value) -> BoxFuture<'static, std::result::Result<Value, (String, String)>> + Send + Sync>;

const DEFAULT: &str = "default";

/// Glue through a [`JsonCall`].
#[derive(Clone)]
pub struct GlueCatalog {
    call: JsonCall,
}

impl std::fmt::Debug for GlueCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GlueCatalog").finish_non_exhaustive()
    }
}

impl GlueCatalog {
    pub fn new(call: JsonCall) -> Self {
        Self { call }
    }

    async fn call(&self, operation: &'static str, input: Value) -> Result<Option<Value>> {
        match (self.call)(operation, input).await {
            Ok(output) => Ok(Some(output)),
            Err((code, _)) if code == "EntityNotFoundException" => Ok(None),
            Err((code, message)) => Err(refused(&code, &message)),
        }
    }

    /// All pages of a list operation; `None` when what is listed does not exist.
    async fn pages<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        mut input: Value,
        member: &str,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        loop {
            let Some(mut page) = self.call(operation, input.clone()).await? else { return Ok(all) };
            if let Some(items) = page.get_mut(member) {
                let items: Vec<T> = serde_json::from_value(items.take()).map_err(Error::metastore)?;
                all.extend(items);
            }
            match page.get("NextToken").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => input["NextToken"] = token.into(),
                _ => return Ok(all),
            }
        }
    }

    async fn one<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        input: Value,
        member: &str,
    ) -> Result<Option<T>> {
        match self.call(operation, input).await? {
            Some(mut output) => Ok(Some(serde_json::from_value(output[member].take()).map_err(Error::metastore)?)),
            None => Ok(None),
        }
    }

    /// A change of what is known: `false` where others have changed it.
    async fn if_known(&self, operation: &'static str, input: Value) -> Result<bool> {
        match (self.call)(operation, input).await {
            Ok(_) => Ok(true),
            Err((code, _)) if code == "ConcurrentModificationException" => Ok(false),
            Err((code, message)) => Err(refused(&code, &message)),
        }
    }

    /// A change whose target must exist.
    async fn change(&self, operation: &'static str, input: Value) -> Result<Value> {
        (self.call)(operation, input).await.map_err(|(code, message)| refused(&code, &message))
    }
}

#[async_trait::async_trait]
impl Catalog for GlueCatalog {
    fn state(&self, table: &str) -> Option<Arc<dyn datafusion::catalog::TableProvider>> {
        super::state::provider(&self.call, table)
    }

    async fn database(&self, name: &str) -> Result<Option<Database>> {
        let found = self.one("GetDatabase", json!({ "Name": name }), "Database").await?;
        if found.is_some() || name != DEFAULT {
            return Ok(found);
        }
        // `default` is there for everybody, in the catalog as soon as somebody asks for it.
        let database = Database { name: DEFAULT.to_owned(), ..Database::default() };
        match (self.call)("CreateDatabase", json!({ "DatabaseInput": database })).await {
            Ok(_) => Ok(Some(database)),
            Err((code, _)) if code == "AlreadyExistsException" => Ok(Some(database)),
            Err((code, message)) => Err(refused(&code, &message)),
        }
    }

    async fn databases(&self) -> Result<Vec<Database>> {
        self.pages("GetDatabases", json!({}), "DatabaseList").await
    }

    async fn create_database(&self, database: Database) -> Result<()> {
        self.change("CreateDatabase", json!({ "DatabaseInput": database })).await.map(drop)
    }

    async fn update_database(&self, database: Database) -> Result<()> {
        self.change("UpdateDatabase", json!({ "Name": database.name, "DatabaseInput": database })).await.map(drop)
    }

    async fn delete_database(&self, name: &str) -> Result<()> {
        self.change("DeleteDatabase", json!({ "Name": name })).await.map(drop)
    }

    async fn table(&self, database: &str, name: &str) -> Result<Option<Table>> {
        self.one("GetTable", json!({ "DatabaseName": database, "Name": name }), "Table").await
    }

    async fn tables(&self, database: &str) -> Result<Vec<Table>> {
        self.pages("GetTables", json!({ "DatabaseName": database }), "TableList").await
    }

    async fn create_table(&self, database: &str, table: Table) -> Result<()> {
        self.change("CreateTable", json!({ "DatabaseName": database, "TableInput": table })).await.map(drop)
    }

    async fn update_table(&self, database: &str, table: Table) -> Result<()> {
        let mut input = json!({ "DatabaseName": database, "TableInput": table });
        if let Some(version) = &table.version_id {
            input["VersionId"] = version.as_str().into();
        }
        self.change("UpdateTable", input).await.map(drop)
    }

    async fn replace_table(&self, database: &str, table: Table, expected: &str) -> Result<bool> {
        // The version that is read with the place of the metadata is the lock.
        let found = self.call("GetTable", json!({ "DatabaseName": database, "Name": table.name })).await?;
        let Some(found) = found else { return Ok(false) };
        let current = &found["Table"];
        if current["Parameters"]["metadata_location"].as_str() != Some(expected) {
            return Ok(false);
        }
        let version = current["VersionId"].clone();
        let current: Table = serde_json::from_value(current.clone()).map_err(Error::metastore)?;
        let input = json!({
            "DatabaseName": database,
            "TableInput": current.committed(table),
            "VersionId": version,
            "SkipArchive": true,
        });
        match (self.call)("UpdateTable", input).await {
            Ok(_) => Ok(true),
            Err((code, _)) if code == "ConcurrentModificationException" => Ok(false),
            Err((code, message)) => Err(refused(&code, &message)),
        }
    }

    async fn delete_table(&self, database: &str, name: &str) -> Result<()> {
        self.change("DeleteTable", json!({ "DatabaseName": database, "Name": name })).await.map(drop)
    }

    async fn delete_known(&self, database: &str, table: &Table) -> Result<bool> {
        let input = json!({ "DatabaseName": database, "Name": table.name, "VersionId": version(table) });
        self.if_known("Lakerun.DeleteTable", input).await
    }

    async fn rename_table(&self, database: &str, table: &Table, to: &str) -> Result<bool> {
        let (name, version) = (&table.name, version(table));
        let input = json!({ "DatabaseName": database, "Name": name, "NewName": to, "VersionId": version });
        self.if_known("Lakerun.RenameTable", input).await
    }

    async fn partitions(&self, database: &str, table: &str) -> Result<Vec<Partition>> {
        self.partitions_where(database, table, None).await
    }

    async fn partitions_where(&self, database: &str, table: &str, expression: Option<&str>) -> Result<Vec<Partition>> {
        let mut input = json!({ "DatabaseName": database, "TableName": table, "MaxResults": 1000 });
        if let Some(expression) = expression {
            input["Expression"] = expression.into();
        }
        self.pages("GetPartitions", input, "Partitions").await
    }

    async fn create_partitions(
        &self,
        database: &str,
        table: &str,
        partitions: Vec<Partition>,
    ) -> Result<Vec<Vec<String>>> {
        let mut existing = Vec::new();
        for chunk in partitions.chunks(100) {
            let input = json!({ "DatabaseName": database, "TableName": table, "PartitionInputList": chunk });
            let output = self.change("BatchCreatePartition", input).await?;
            for error in output["Errors"].as_array().into_iter().flatten() {
                let detail = &error["ErrorDetail"];
                let code = detail["ErrorCode"].as_str().unwrap_or_default();
                if code != "AlreadyExistsException" {
                    return Err(refused(code, detail["ErrorMessage"].as_str().unwrap_or_default()));
                }
                existing.push(serde_json::from_value(error["PartitionValues"].clone()).map_err(Error::metastore)?);
            }
        }
        Ok(existing)
    }

    async fn written(&self, database: &str, table: &str) -> Result<()> {
        let none: [Partition; 0] = [];
        let input = json!({ "DatabaseName": database, "TableName": table, "PartitionInputList": none });
        match (self.call)("BatchCreatePartition", input).await {
            // INSERT without partitions needs no right to make them.
            Err((code, _)) if code.starts_with("AccessDenied") => Ok(()),
            Err((code, message)) => Err(refused(&code, &message)),
            Ok(_) => Ok(()),
        }
    }

    async fn partition(&self, database: &str, table: &str, values: &[String]) -> Result<Option<Partition>> {
        let input = json!({ "DatabaseName": database, "TableName": table, "PartitionValues": values });
        self.one("GetPartition", input, "Partition").await
    }

    async fn update_partition(&self, database: &str, table: &str, values: &[String], new: Partition) -> Result<()> {
        let input = json!({
            "DatabaseName": database,
            "TableName": table,
            "PartitionValueList": values,
            "PartitionInput": new,
        });
        self.change("UpdatePartition", input).await.map(drop)
    }

    async fn delete_partition(&self, database: &str, table: &str, values: &[String]) -> Result<bool> {
        let input = json!({ "DatabaseName": database, "TableName": table, "PartitionValues": values });
        Ok(self.call("DeletePartition", input).await?.is_some())
    }
}

fn version(table: &Table) -> &str {
    table.version_id.as_deref().unwrap_or("0")
}

pub(in crate::catalog) fn refused(code: &str, message: &str) -> Error {
    match code {
        "AccessDeniedException" | "AccessDenied" => {
            Error { category: 2, error_type: 1401, retryable: false, message: format!("PERMISSION_DENIED: {message}") }
        }
        "AlreadyExistsException" => Error::ddl(format_args!("AlreadyExistsException(message:{message})")),
        _ => Error::metastore(format_args!("{message} (Service: AWSGlue; Error Code: {code})")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;

    use super::*;

    /// Others may say something of a table while a statement runs, which says of it only what its metadata does.
    #[tokio::test]
    async fn a_commit_leaves_what_others_have_changed() {
        let now = json!({"Table": {
            "Name": "t", "VersionId": "7", "Description": "new", "Owner": "them", "Retention": 3, "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {"Columns": [], "Location": "s3://b/t", "Parameters": {"k": "v"}},
            "Parameters": {"table_type": "ICEBERG", "metadata_location": "s3://b/1", "team": "data"},
        }});
        let sent = Arc::new(Mutex::new(Value::Null));
        let keep = Arc::clone(&sent);
        let call: JsonCall = Arc::new(move |operation, input| {
            if operation == "UpdateTable" {
                *keep.lock().unwrap() = input;
            }
            let now = now.clone();
            async move { Ok(now) }.boxed()
        });
        let written: Table = serde_json::from_value(json!({
            "Name": "t", "Description": "old", "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}], "Location": "s3://b/t"},
            "Parameters": {"table_type": "ICEBERG", "metadata_location": "s3://b/2", "previous_metadata_location": "s3://b/1",
                "dropped": "by others"},
        }))
        .unwrap();
        assert!(GlueCatalog::new(call).replace_table("db", written, "s3://b/1").await.unwrap());
        let sent = sent.lock().unwrap().clone();
        assert_eq!(sent["VersionId"], "7");
        let table = &sent["TableInput"];
        assert_eq!(
            (&table["Description"], &table["Owner"], &table["Retention"]),
            (&json!("new"), &json!("them"), &json!(3))
        );
        assert_eq!(
            table["Parameters"],
            json!({"table_type": "ICEBERG", "metadata_location": "s3://b/2", "previous_metadata_location": "s3://b/1", "team": "data"})
        );
        assert_eq!(table["StorageDescriptor"]["Columns"][0]["Name"], "a");
        assert_eq!(table["StorageDescriptor"]["Parameters"]["k"], "v");
    }
}
