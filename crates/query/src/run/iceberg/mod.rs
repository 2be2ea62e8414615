//! Statements on Iceberg tables.
//!
//! | module | what it owns |
//! |---|---|
//! | this | CREATE TABLE, CTAS, INSERT; the table behind a name |
//! | `rows` | DELETE, UPDATE, MERGE |
//! | `upkeep` | OPTIMIZE, VACUUM, DROP |
//! | `alter` | ALTER TABLE, DESCRIBE, SHOW CREATE TABLE |

mod alter;
mod rows;
mod source;
mod upkeep;

pub(super) use upkeep::refuse;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{collect, execute_stream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use trino_functions::Type as Trino;

use super::fit::fit;
use super::session::{Session, named};
use super::write::known_types;
use super::{Answer, FilesKind, Run, select};
use crate::catalog::{Column, StorageDescriptor, Table};
use crate::error::{Error, Result};
use crate::iceberg::commit::{Change, Committer};
use crate::iceberg::files::DataWriter;
use crate::iceberg::manifest::DataFile;
use crate::iceberg::metadata::TableMetadata;
use crate::iceberg::scan::IcebergScan;
use crate::iceberg::types::{Field, of_arrow, of_column};
use crate::iceberg::{Loaded, inspect};
use crate::sql::{self, Ctas, Name, Property, Select};
use crate::storage::Location;

/// Properties of CREATE TABLE and CTAS that say something of the table itself.
const OWN_PROPERTIES: &[&str] = &["table_type", "location", "is_external", "partitioning", "format_version"];
/// Athena's other properties for Iceberg; which of them are obeyed stands in `docs/athena.md`.
const KNOWN_PROPERTIES: &[&str] = &[
    "format",
    "write_compression",
    "compression_level",
    "write_target_data_file_size_bytes",
    "optimize_rewrite_data_file_threshold",
    "optimize_rewrite_delete_file_threshold",
    "optimize_rewrite_min_data_file_size_bytes",
    "optimize_rewrite_max_data_file_size_bytes",
    "vacuum_min_snapshots_to_keep",
    "vacuum_max_snapshot_age_seconds",
    "vacuum_max_metadata_files_to_keep",
    "write_data_path_enabled",
    "write_object_storage_path",
    "object_storage_enabled",
];
/// Athena's names beside those that Iceberg's own writers obey.
const STANDARD: &[(&str, &str)] = &[
    ("format", "write.format.default"),
    ("write_compression", "write.parquet.compression-codec"),
    ("write_target_data_file_size_bytes", "write.target-file-size-bytes"),
];

fn done() -> Answer {
    Answer::Lines { columns: Vec::new(), lines: Vec::new() }
}

fn changed(rows: u64) -> Answer {
    Answer::Files { kind: FilesKind::Insert, files: Vec::new(), rows }
}

impl Run<'_> {
    fn committer<'a>(&'a self, database: &'a str) -> Committer<'a> {
        Committer { storage: &self.storage, catalog: &self.catalog, database, id: &self.job.id }
    }

    /// The Iceberg table that a statement changes.
    async fn iceberg(&self, name: &Name, what: &str) -> Result<(String, Loaded)> {
        let database = self.database_of(name)?;
        let Some(table) = self.catalog.table(&database, &name.name).await? else {
            return Err(Error::table_not_found(name.at, format_args!("awsdatacatalog.{database}.{}", name.name)));
        };
        if !table.is_iceberg() {
            return Err(Error::not_supported(format_args!("{what} is only supported for Iceberg tables")));
        }
        Ok((database, Loaded::load(&self.storage, table).await?))
    }

    /// What a query reads under a table's name: the table, one of its states, or something about it (`$snapshots`).
    pub(super) async fn iceberg_provider(
        &self,
        session: &Session,
        table: Table,
        suffix: Option<&str>,
        select: &Select,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let loaded = Loaded::load(&self.storage, table).await?;
        let snapshot = match suffix {
            None => None,
            Some(suffix) => match suffix.strip_prefix(sql::AS_OF) {
                None => return inspect::table(&self.storage, &loaded, suffix).await,
                Some(when) => Some(self.state_of(session, &loaded, when).await?),
            },
        };
        Ok(Some(Arc::new(IcebergScan::new(Arc::clone(&self.storage), loaded, snapshot, &select.hidden)?)))
    }

    /// The snapshot that `version …` or `timestamp …` means.
    async fn state_of(&self, session: &Session, loaded: &Loaded, when: &str) -> Result<i64> {
        let (kind, text) = when.split_once(' ').unwrap_or((when, ""));
        let select = sql::parse_query(&format!("SELECT {text} AS v"))?;
        let plan = self.plan_with(session, &select).await?;
        let ty = Trino::of(plan.schema().field(0));
        let physical = select::physical(session, plan).await?;
        let batches = collect(physical, session.context().task_ctx()).await?;
        let array = batches.iter().find(|batch| batch.num_rows() == 1).map(|batch| batch.column(0));
        let array = array.ok_or_else(|| invalid("Pointer value cannot be NULL"))?;
        let value = trino_functions::value::read(array.as_ref(), &ty, 0);
        match (kind, &ty, &value) {
            (_, _, value) if value.is_null() => Err(invalid("Pointer value cannot be NULL")),
            ("version", ty, value) if ty.is_integer() => {
                let id = value.as_int();
                loaded.snapshot(Some(id))?;
                Ok(id)
            }
            ("version", ty, value) if ty.is_text() => {
                let found = loaded.metadata.refs.get(value.as_str());
                found.map(|reference| reference.snapshot_id).ok_or_else(|| {
                    invalid(format_args!("Cannot find snapshot with reference name: {}", value.as_str()))
                })
            }
            ("version", ty, _) => Err(Error::not_supported(format_args!("Unsupported type for table version: {ty}"))),
            (_, Trino::Date | Trino::Timestamp(_) | Trino::TimestampTz(_), value) => {
                let millis = match value {
                    trino_functions::Value::TimestampTz(picos, _) => picos.div_euclid(1_000_000_000),
                    // Without a zone it is in the session's, which is UTC.
                    _ => match trino_functions::cast::cast(value, &ty, &Trino::TimestampTz(3))? {
                        trino_functions::Value::TimestampTz(picos, _) => picos.div_euclid(1_000_000_000),
                        _ => return Err(invalid("Pointer value cannot be NULL")),
                    },
                };
                inspect::snapshot_at(loaded, i64::try_from(millis).map_err(Error::internal)?)
            }
            (_, ty, _) => Err(Error::not_supported(format_args!("Unsupported type for temporal table version: {ty}"))),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are the clauses of one statement")]
    pub(super) async fn iceberg_create(
        &self,
        database: &str,
        name: &Name,
        columns: Vec<Column>,
        partitioning: &[String],
        location: Option<String>,
        comment: Option<String>,
        properties: BTreeMap<String, String>,
    ) -> Result<Answer> {
        let Some(location) = location else {
            return Err(Error::ddl("Location must be specified for Iceberg tables"));
        };
        if columns.is_empty() {
            return Err(Error::ddl("Table must have at least one column"));
        }
        let mut next = i32::try_from(columns.len()).map_err(Error::internal)?;
        let fields = columns.iter().zip(1..).map(|(column, id)| of_column(column, id, &mut next));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let texts = properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let metadata = self.new_metadata(fields, partitioning, &location, &texts)?;
        self.committer(database).create(new_table(&name.name, comment), metadata).await?;
        Ok(done())
    }

    pub(super) async fn iceberg_ctas(&self, database: &str, ctas: &Ctas) -> Result<Answer> {
        let (mut texts, mut partitioning) = (BTreeMap::new(), Vec::new());
        for (key, value) in &ctas.properties {
            match (key.as_str(), value) {
                ("partitioning", Property::List(items)) => {
                    partitioning = items.iter().map(|item| item.to_lowercase()).collect();
                }
                (key, Property::Text(text)) if key != "partitioning" => {
                    texts.insert(key, text.as_str());
                }
                (other, _) => return Err(unknown_property(other)),
            }
        }
        if texts.get("is_external").is_some_and(|value| !value.eq_ignore_ascii_case("false")) {
            return Err(Error::user(
                1006,
                "INVALID_TABLE_PROPERTY",
                "line 1:1: is_external = true is not supported for table type ICEBERG",
            ));
        }
        let location = texts.get("location").map_or_else(
            || format!("{}/tables/{}/", self.job.output.trim_end_matches('/'), self.job.id),
            |location| (*location).to_owned(),
        );
        let (session, plan) = self.plan(&ctas.select).await?;
        let plan = named(plan, &ctas.select)?;
        let arrow = plan.schema().fields().clone();
        super::write::named_all(ctas, &arrow)?;
        known_types(&arrow)?;
        let mut next = i32::try_from(arrow.len()).map_err(Error::internal)?;
        let fields = arrow
            .iter()
            .zip(1..)
            .map(|(field, id)| Ok(Field::optional(id, field.name(), of_arrow(field.data_type(), &mut next)?)));
        let metadata = self.new_metadata(fields.collect::<Result<_>>()?, &partitioning, &location, &texts)?;
        let root = Location::parse(&metadata.location)?;
        let store = self.storage.bucket(&root.bucket)?;
        if store.list(Some(&root.path()?)).try_next().await?.is_some() {
            return Err(Error::user(
                1006,
                "ICEBERG_FILESYSTEM_ERROR",
                format_args!("Cannot create a table on a non-empty location: {location}"),
            ));
        }
        // The rows come first: a failed query leaves no table.
        let draft =
            Loaded { table: new_table(&ctas.name.name, None), metadata: Arc::new(metadata), place: String::new() };
        let (added, rows) = if ctas.with_data {
            let columns = draft.metadata.schema().exposed()?;
            let arranged = fit(plan, &columns, &[])?;
            self.write_rows(&session, arranged, &draft).await?
        } else {
            (Vec::new(), 0)
        };
        let urls: Vec<String> = added.iter().map(|file| file.path.clone()).collect();
        let change = Change { operation: "append", added, removed: BTreeSet::new() };
        self.committer(database).create_with(&draft, change).await?;
        Ok(Answer::Files { kind: FilesKind::Ctas, files: urls, rows })
    }

    pub(super) async fn iceberg_insert(
        &self,
        database: &str,
        table: Table,
        columns: &[String],
        select: &Select,
    ) -> Result<Answer> {
        let loaded = Loaded::load(&self.storage, table).await?;
        let (session, plan) = self.plan(select).await?;
        let own = loaded.metadata.schema().exposed()?;
        let plan = fit(plan, &own, columns)?;
        let (added, rows) = self.write_rows(&session, plan, &loaded).await?;
        let urls = added.iter().map(|file| file.path.clone()).collect();
        let change = Change { operation: "append", added, removed: BTreeSet::new() };
        self.committer(database).snapshot(&loaded, change).await?;
        Ok(Answer::Files { kind: FilesKind::Insert, files: urls, rows })
    }

    async fn write_rows(&self, session: &Session, plan: LogicalPlan, loaded: &Loaded) -> Result<(Vec<DataFile>, u64)> {
        let mut writer = DataWriter::new(&self.storage, loaded, &self.job.id)?;
        self.write_into(session, plan, &mut writer).await?;
        let rows = writer.rows;
        Ok((writer.finish().await?, rows))
    }

    /// The same for rows of files that are written anew.
    async fn rewrite_rows(
        &self,
        session: &Session,
        plan: LogicalPlan,
        loaded: &Loaded,
    ) -> Result<(Vec<DataFile>, u64)> {
        let mut writer = DataWriter::new(&self.storage, loaded, &self.job.id)?.rewriting();
        self.write_into(session, plan, &mut writer).await?;
        let rows = writer.rows;
        Ok((writer.finish().await?, rows))
    }

    async fn write_into(&self, session: &Session, plan: LogicalPlan, writer: &mut DataWriter) -> Result<()> {
        let physical = select::physical(session, plan).await?;
        let mut stream = execute_stream(physical, session.context().task_ctx())?;
        while let Some(batch) = stream.next().await {
            writer.write(&batch?).await?;
        }
        Ok(())
    }

    fn new_metadata(
        &self,
        fields: Vec<Field>,
        partitioning: &[String],
        location: &str,
        properties: &BTreeMap<&str, &str>,
    ) -> Result<TableMetadata> {
        let kept = kept_properties(properties.iter().map(|(key, value)| (*key, *value)))?;
        match properties.get("format_version") {
            None | Some(&"2") => {}
            Some(other) => return Err(Error::not_supported(format_args!("format_version {other} of Iceberg"))),
        }
        let location = location.trim_end_matches('/');
        Location::parse(location)?;
        // A statement's id is a UUID of its own.
        let now = chrono::Utc::now().timestamp_millis();
        let metadata = TableMetadata::new(self.job.id.clone(), location, fields, partitioning, kept, now)?;
        for field in &metadata.schema().fields {
            if metadata.schema().fields.iter().any(|other| other.id != field.id && other.name == field.name) {
                return Err(Error::ddl(format_args!("Duplicate column name: {}", field.name)));
            }
        }
        Ok(metadata)
    }
}

/// The properties that a table keeps of those that a statement gives: each by Athena's name and by that which Iceberg's
/// own writers know.
fn kept_properties<'a>(given: impl Iterator<Item = (&'a str, &'a str)>) -> Result<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    for (key, value) in given {
        if OWN_PROPERTIES.contains(&key) {
            continue;
        }
        if !KNOWN_PROPERTIES.contains(&key) {
            return Err(unknown_property(key));
        }
        let wrong = || {
            Error::user(
                1006,
                "INVALID_TABLE_PROPERTY",
                format_args!("line 1:1: Unable to set catalog 'awsdatacatalog' table property '{key}' to ['{value}']"),
            )
        };
        match key {
            "format" if !value.eq_ignore_ascii_case("parquet") => {
                let known = ["ORC", "AVRO"].iter().any(|name| name.eq_ignore_ascii_case(value));
                if !known {
                    return Err(wrong());
                }
                return Err(Error::not_supported(format_args!(
                    "writing Iceberg tables in format {}",
                    value.to_uppercase()
                )));
            }
            "write_compression" => {
                let known = ["zstd", "snappy", "gzip", "lz4", "none", "uncompressed"];
                if !known.iter().any(|name| name.eq_ignore_ascii_case(value)) {
                    return Err(wrong());
                }
            }
            "format" => {}
            "write_data_path_enabled" | "object_storage_enabled" => {
                if !value.eq_ignore_ascii_case("false") {
                    return Err(Error::not_supported(format_args!("Iceberg's property {key}")));
                }
            }
            "write_object_storage_path" => {
                return Err(Error::not_supported(format_args!("Iceberg's property {key}")));
            }
            _ => {
                let number = value.parse::<u64>().map_err(|_| wrong())?;
                if number == 0 && key == "write_target_data_file_size_bytes" {
                    return Err(wrong());
                }
            }
        }
        if let Some((_, standard)) = STANDARD.iter().find(|(own, _)| *own == key) {
            let value = if key == "format" { value.to_uppercase() } else { value.to_lowercase() };
            kept.insert((*standard).to_owned(), value);
        }
        kept.insert(key.to_owned(), value.to_owned());
    }
    Ok(kept)
}

fn invalid(text: impl std::fmt::Display) -> Error {
    Error::user(1006, "INVALID_ARGUMENTS", text)
}

fn unknown_property(name: &str) -> Error {
    Error::user(
        1006,
        "INVALID_TABLE_PROPERTY",
        format_args!(
            "line 1:1: Catalog 'awsdatacatalog' table property '{name}' is not supported for table type ICEBERG"
        ),
    )
}

fn new_table(name: &str, comment: Option<String>) -> Table {
    Table {
        name: name.to_owned(),
        description: comment,
        table_type: Some("EXTERNAL_TABLE".to_owned()),
        storage_descriptor: Some(StorageDescriptor::default()),
        ..Table::default()
    }
}

/// A name in double quotes.
fn relation(name: &str) -> String {
    format!("\"{}\"", name.to_lowercase().replace('"', "\"\""))
}

/// The table's columns as queries see them.
fn exposed(loaded: &Loaded) -> Result<SchemaRef> {
    loaded.metadata.schema().exposed()
}

fn column_list(loaded: &Loaded, table: &str) -> String {
    let fields = &loaded.metadata.schema().fields;
    let names: Vec<_> = fields.iter().map(|field| format!("{table}.{0} AS {0}", relation(&field.name))).collect();
    names.join(", ")
}
