//! The catalog port: Glue's shapes and the few calls that statements need. One implementation speaks Glue's JSON
//! protocol, one lives in memory.

mod glue;
mod memory;
pub(crate) mod state;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use glue::{GlueCatalog, JsonCall};
pub use memory::MemoryCatalog;
pub use view::{ViewColumn, ViewText};

use crate::error::Result;

/// What statements ask of the catalog. Names are lower case; `None` says that there is no such thing.
#[async_trait::async_trait]
pub trait Catalog: Send + Sync + std::fmt::Debug {
    /// A table of the platform's own state, see [`state`].
    fn state(&self, _table: &str) -> Option<Arc<dyn TableProvider>> {
        None
    }
    async fn database(&self, name: &str) -> Result<Option<Database>>;
    async fn databases(&self) -> Result<Vec<Database>>;
    async fn create_database(&self, database: Database) -> Result<()>;
    async fn update_database(&self, database: Database) -> Result<()>;
    async fn delete_database(&self, name: &str) -> Result<()>;
    async fn table(&self, database: &str, name: &str) -> Result<Option<Table>>;
    async fn tables(&self, database: &str) -> Result<Vec<Table>>;
    async fn create_table(&self, database: &str, table: Table) -> Result<()>;
    async fn update_table(&self, database: &str, table: Table) -> Result<()>;
    /// Puts the next state of an Iceberg table whose metadata is still at `expected`; `false` if another writer was first. What else
    /// the catalog says of the table stays as it is now.
    async fn replace_table(&self, database: &str, table: Table, expected: &str) -> Result<bool>;
    async fn delete_table(&self, database: &str, name: &str) -> Result<()>;
    /// Deletes a table that still is as it is known; `false` where it has been changed meanwhile.
    async fn delete_known(&self, database: &str, table: &Table) -> Result<bool>;
    /// Gives a table that still is as it is known another name, with all that it has; `false` where it has been changed meanwhile.
    async fn rename_table(&self, database: &str, table: &Table, to: &str) -> Result<bool>;
    async fn partitions(&self, database: &str, table: &str) -> Result<Vec<Partition>>;
    /// At least the partitions that an expression of `GetPartitions` keeps.
    async fn partitions_where(&self, database: &str, table: &str, expression: Option<&str>) -> Result<Vec<Partition>> {
        let _ = expression;
        self.partitions(database, table).await
    }
    /// Adds partitions; gives back the values of those that existed already.
    async fn create_partitions(
        &self,
        database: &str,
        table: &str,
        partitions: Vec<Partition>,
    ) -> Result<Vec<Vec<String>>>;
    /// Says that rows have been written by the table's record: whoever has made it and fails does not take it back any more.
    async fn written(&self, _database: &str, _table: &str) -> Result<()> {
        Ok(())
    }
    async fn partition(&self, database: &str, table: &str, values: &[String]) -> Result<Option<Partition>>;
    /// Replaces the partition of those values, which may get others.
    async fn update_partition(&self, database: &str, table: &str, values: &[String], new: Partition) -> Result<()>;
    async fn delete_partition(&self, database: &str, table: &str, values: &[String]) -> Result<bool>;
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Database {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_uri: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Glue's `Table`, reduced to what `TableInput` also has, so that a table read can be written back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Table {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_type: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub partition_keys: Vec<Column>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_descriptor: Option<StorageDescriptor>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_original_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_expanded_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_access_time: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_analyzed_time: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_table: Option<Value>,
    /// The version that was read: a change is refused where another has come in between. No part of what is written.
    #[serde(skip_serializing)]
    pub version_id: Option<String>,
}

impl Table {
    /// This table with the state that a commit of Iceberg's gives it. Nothing else is taken from `by`, which is as old as its statement.
    /// Iceberg's own catalog for Glue does so with the parameters that it reads when it commits.
    #[must_use]
    pub(crate) fn committed(mut self, by: Self) -> Self {
        self.table_type = self.table_type.or(by.table_type);
        let state = ["table_type", "metadata_location", "previous_metadata_location"];
        self.parameters.extend(by.parameters.into_iter().filter(|(key, _)| state.contains(&key.as_str())));
        if let Some(by) = by.storage_descriptor {
            let storage = self.storage_descriptor.get_or_insert_default();
            (storage.columns, storage.location) = (by.columns, by.location);
        }
        self
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StorageDescriptor {
    #[serde(deserialize_with = "null_as_default")]
    pub columns: Vec<Column>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_buckets: Option<i64>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub bucket_columns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serde_info: Option<SerdeInfo>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_as_sub_directories: Option<bool>,
    // What no statement reads, and none may lose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_columns: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skewed_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_reference: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_locations: Option<Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SerdeInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serialization_library: Option<String>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Column {
    pub name: String,
    #[serde(rename = "Type", deserialize_with = "null_as_default")]
    pub ty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

impl Column {
    pub fn new(name: impl Into<String>, ty: impl Into<String>) -> Self {
        Self { name: name.into(), ty: ty.into(), ..Self::default() }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Partition {
    pub values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_descriptor: Option<StorageDescriptor>,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_access_time: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_analyzed_time: Option<Value>,
}

impl Table {
    pub fn columns(&self) -> &[Column] {
        self.storage_descriptor.as_ref().map_or(&[], |storage| &storage.columns)
    }

    pub fn location(&self) -> Option<&str> {
        self.storage_descriptor.as_ref()?.location.as_deref().filter(|location| !location.is_empty())
    }

    pub fn is_iceberg(&self) -> bool {
        self.parameters.get("table_type").is_some_and(|ty| ty.eq_ignore_ascii_case("iceberg"))
    }

    /// Whether a Delta log lies at the location: as Athena's DDL and as Spark (and Glue's crawlers after it) say so.
    pub fn is_delta(&self) -> bool {
        let is = |key| self.parameters.get(key).is_some_and(|value: &String| value.eq_ignore_ascii_case("delta"));
        !self.is_view() && (is("table_type") || is("spark.sql.sources.provider"))
    }

    pub fn is_view(&self) -> bool {
        self.table_type.as_deref() == Some("VIRTUAL_VIEW")
    }
}

/// Terraform and others store `null` where Glue has an empty list.
fn null_as_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
