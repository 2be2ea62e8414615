//! Carries out one statement: reads it, does it against catalog and objects, writes the result's files.

mod ddl;
mod encode;
mod fit;
mod iceberg;
mod select;
mod session;
mod show;
mod trino;
mod view;
mod write;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Table};
use crate::error::{Error, Result};
use crate::result;
use crate::sql::{self, Name, Statement};
use crate::storage::{Location, Storage};
use crate::trino::Trino;
use crate::types::ColumnInfo;

/// What to run and where its result goes.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The query execution's id; it names the result's files.
    pub id: String,
    pub sql: String,
    /// The catalog of names without one; an empty text is `awsdatacatalog`.
    pub catalog: String,
    /// Other names of the account's catalog, lower case.
    pub catalogs: Vec<String>,
    pub database: String,
    /// Texts of SQL literals for `?`.
    pub parameters: Vec<String>,
    /// Folder of the result, `s3://bucket/prefix/`.
    pub output: String,
    /// Cores to use; 0 takes what the machine has.
    pub threads: usize,
    /// Memory for the operators that can spill; 0 is unlimited.
    pub memory_bytes: usize,
    /// A query's rows are the outcome's own, and no file is written.
    pub inline: bool,
    /// The workgroup says where results go, and a CTAS may not.
    pub place_enforced: bool,
    /// Where the statement is sent, of a query that is not for this engine.
    pub trino: Option<Trino>,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub statement_type: String,
    pub substatement_type: String,
    pub output_location: String,
    pub manifest_location: Option<String>,
    pub columns: Vec<ColumnInfo>,
    pub update_count: i64,
    /// Rows of the result, the header not counted.
    pub rows: u64,
    pub scanned_bytes: u64,
    pub planning_ms: u64,
    pub execution_ms: u64,
    /// The rows of a query that was asked for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Vec<Option<String>>>,
}

/// Runs statements for one caller.
#[derive(Debug, Clone)]
pub struct Engine {
    storage: Arc<Storage>,
    catalog: Arc<dyn Catalog>,
}

/// A statement under way.
struct Run<'a> {
    storage: Arc<Storage>,
    catalog: Arc<dyn Catalog>,
    job: &'a Job,
    clock: Clock,
}

/// Where the time went.
#[derive(Default)]
struct Clock {
    planning: std::time::Duration,
    /// Bytes that another engine has read, of those that are counted.
    scanned_elsewhere: u64,
}

/// What a statement leaves behind besides its effect.
enum Answer {
    /// Rows are in `<id>.csv` already, and its metadata beside it.
    Csv { columns: Vec<ColumnInfo>, rows: u64 },
    /// Rows that are asked for as they are.
    Values(Vec<Vec<Option<String>>>),
    /// Lines of a utility's text.
    Lines { columns: Vec<ColumnInfo>, lines: Vec<String> },
    /// New data files.
    Files { kind: FilesKind, files: Vec<String>, rows: u64 },
}

enum FilesKind {
    Ctas,
    Insert,
}

impl Engine {
    pub fn new(storage: Arc<Storage>, catalog: Arc<dyn Catalog>) -> Self {
        Self { storage, catalog }
    }

    /// Bytes read so far, also by a statement that failed.
    pub fn scanned_bytes(&self) -> u64 {
        self.storage.scanned_bytes()
    }

    /// Whether more has been read than may be: then the statement has been broken off.
    pub fn is_past_limit(&self) -> bool {
        self.storage.is_past_limit()
    }

    /// Runs one statement to its end, or until it has read more than it may.
    pub async fn run(&self, job: &Job) -> Result<Outcome> {
        let outcome = tokio::select! {
            biased;
            () = self.storage.past_limit() => Err(past_limit()),
            outcome = self.carry_out(job) => outcome,
        };
        // What has read all that it wanted in one breath is past the limit all the same.
        if self.is_past_limit() { Err(past_limit()) } else { outcome }
    }

    async fn carry_out(&self, job: &Job) -> Result<Outcome> {
        let started = tokio::time::Instant::now();
        let text = sql::with_parameters(&job.sql, &job.parameters)?;
        let mut run = Run {
            storage: Arc::clone(&self.storage),
            catalog: Arc::clone(&self.catalog),
            job,
            clock: Clock::default(),
        };
        let (kind, answer) = if let Some(trino) = &job.trino {
            (trino::kind(trino), Box::pin(run.sent(trino, &text)).await?)
        } else {
            let statement = sql::parse(&text)?;
            if !run.is_own(&job.catalog) {
                return Err(no_catalog(&job.catalog, (1, 1)));
            }
            (kind(&statement), Box::pin(run.statement(statement)).await?)
        };
        let (statement_type, substatement_type) = kind;
        let mut outcome = Outcome {
            statement_type: statement_type.to_owned(),
            substatement_type: substatement_type.to_owned(),
            ..Outcome::default()
        };
        run.finish(answer, &mut outcome).await?;
        outcome.scanned_bytes = self.scanned_bytes();
        outcome.planning_ms = millis(run.clock.planning);
        outcome.execution_ms = millis(started.elapsed());
        Ok(outcome)
    }
}

/// Athena's words for a query that its workgroup's data usage control has ended.
fn past_limit() -> Error {
    Error { category: 2, error_type: 1008, retryable: false, message: "Bytes scanned limit was exceeded".to_owned() }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Run<'_> {
    async fn statement(&mut self, statement: Statement) -> Result<Answer> {
        match statement {
            Statement::Select(select) => self.select(*select).await,
            Statement::Explain { statement, analyze, form } => self.explain(*statement, analyze, form).await,
            Statement::Unload { select, to, properties } => self.unload(*select, &to, &properties).await,
            Statement::Prepared => Ok(Answer::Lines { columns: Vec::new(), lines: Vec::new() }),
            Statement::Delete(delete) => Box::pin(self.delete(*delete)).await,
            Statement::Update(update) => Box::pin(self.update(*update)).await,
            Statement::Merge(merge) => Box::pin(self.merge(*merge)).await,
            Statement::Optimize { table, condition } => Box::pin(self.optimize(table, condition)).await,
            Statement::Vacuum { table } => Box::pin(self.vacuum(table)).await,
            Statement::CreateView { name, or_replace, sql, select } => {
                self.create_view(name, or_replace, sql, *select).await
            }
            Statement::DropView { name, if_exists } => self.drop_view(name, if_exists).await,
            Statement::Ctas(ctas) => self.ctas(*ctas).await,
            Statement::Insert { table, columns, select } => self.insert(table, columns, *select).await,
            Statement::CreateTable(table) => self.create_table(*table).await,
            Statement::DropTable { name, if_exists } => self.drop_table(name, if_exists).await,
            Statement::CreateDatabase { name, if_not_exists, comment, location, properties } => {
                let database = crate::catalog::Database {
                    name: self.own_database(name)?,
                    description: comment,
                    location_uri: location,
                    parameters: properties.into_iter().collect(),
                };
                self.create_database(database, if_not_exists).await
            }
            Statement::DropDatabase { name, if_exists, cascade } => {
                self.drop_database(&self.own_database(name)?, if_exists, cascade).await
            }
            Statement::ShowTables { database, pattern } => {
                let database = database.map(|name| self.own_database(name)).transpose()?;
                self.show_tables(database, pattern, false).await
            }
            Statement::ShowViews { database, pattern } => {
                let database = database.map(|name| self.own_database(name)).transpose()?;
                self.show_tables(database, pattern, true).await
            }
            Statement::ShowDatabases { pattern } => self.show_databases(pattern).await,
            Statement::ShowColumns { table } => self.show_columns(&table).await,
            Statement::ShowPartitions { table } => self.show_partitions(&table).await,
            Statement::ShowCreateTable { table } => self.show_create_table(&table).await,
            Statement::ShowCreateView { table } => self.show_create_view(&table).await,
            Statement::ShowProperties { table, key } => self.show_properties(&table, key).await,
            Statement::Describe { table, extended } => self.describe(&table, extended).await,
            Statement::Repair { table } => self.repair(&table).await,
            Statement::AddPartitions { table, if_not_exists, partitions } => {
                self.add_partitions(&table, if_not_exists, partitions).await
            }
            Statement::DropPartitions { table, if_exists, partitions } => {
                self.drop_partitions(&table, if_exists, partitions).await
            }
            Statement::SetLocation { table, partition, location } => {
                self.set_location(&table, partition, location).await
            }
            Statement::SetProperties { table, properties } => self.set_properties(&table, properties).await,
            Statement::UnsetProperties { table, keys } => self.unset_properties(&table, &keys).await,
            Statement::SetDatabaseProperties { name, properties } => {
                self.set_database_properties(&self.own_database(name)?, properties).await
            }
            Statement::RenameTable { table, to } => self.rename_table(&table, &to).await,
            Statement::RenamePartition { table, from, to } => self.rename_partition(&table, &from, &to).await,
            Statement::ChangeColumn { table, old, new, place } => self.change_column(&table, &old, new, place).await,
            Statement::DropColumn { table, column } => self.drop_column(&table, &column).await,
            Statement::AddColumns { table, columns } => self.set_columns(&table, columns, false).await,
            Statement::ReplaceColumns { table, columns } => self.set_columns(&table, columns, true).await,
        }
    }

    /// Where the result's files go, without an extension.
    fn output(&self) -> Result<Location> {
        let folder = Location::parse(&self.job.output)?;
        let slash = if folder.key.is_empty() || folder.key.ends_with('/') { "" } else { "/" };
        Ok(folder.with_suffix(&format!("{slash}{}", self.job.id)))
    }

    async fn finish(&self, answer: Answer, outcome: &mut Outcome) -> Result<()> {
        let (location, columns) = match answer {
            Answer::Csv { columns, rows } => {
                outcome.rows = rows;
                outcome.output_location = self.output()?.with_suffix(".csv").to_string();
                outcome.columns = columns;
                return Ok(());
            }
            Answer::Values(values) => {
                outcome.rows = values.len() as u64;
                outcome.values = values;
                return Ok(());
            }
            Answer::Lines { columns, lines } => {
                outcome.rows = lines.len() as u64;
                let file = self.output()?.with_suffix(".txt");
                // The last line has no end, as in Athena's files.
                self.storage.put(&file, lines.join("\n").into_bytes()).await?;
                (file, columns)
            }
            Answer::Files { kind, files, rows } => {
                outcome.update_count = i64::try_from(rows).unwrap_or(i64::MAX);
                let (base, columns) = match kind {
                    FilesKind::Ctas => {
                        let folder = Location::parse(&self.job.output)?;
                        let slash = if folder.key.is_empty() || folder.key.ends_with('/') { "" } else { "/" };
                        let count = ColumnInfo {
                            name: "rows".to_owned(),
                            ty: "bigint".to_owned(),
                            precision: 19,
                            scale: 0,
                            case_sensitive: false,
                        };
                        (folder.with_suffix(&format!("{slash}tables/{}", self.job.id)), vec![count])
                    }
                    FilesKind::Insert => (self.output()?, Vec::new()),
                };
                let manifest = base.with_suffix("-manifest.csv");
                let list: String = files.into_iter().flat_map(|file| [file, "\n".to_owned()]).collect();
                self.storage.put(&manifest, list.into_bytes()).await?;
                outcome.manifest_location = Some(manifest.to_string());
                (base, columns)
            }
        };
        self.write_metadata(&location, &columns).await?;
        outcome.output_location = location.to_string();
        outcome.columns = columns;
        Ok(())
    }

    /// The columns of a result beside it.
    async fn write_metadata(&self, result: &Location, columns: &[ColumnInfo]) -> Result<()> {
        self.storage.put(&result.with_suffix(".metadata"), result::metadata(&self.job.id, columns)).await
    }

    fn database_of(&self, name: &Name) -> Result<String> {
        self.owned(name)?;
        Ok(name.database.clone().unwrap_or_else(|| self.job.database.to_lowercase()))
    }

    /// A database that a statement names.
    fn own_database(&self, name: Name) -> Result<String> {
        self.owned(&name)?;
        Ok(name.name)
    }

    /// A name of the account's catalog: what is in another one is not here, whatever else has its name.
    fn owned(&self, name: &Name) -> Result<()> {
        match &name.catalog {
            Some(catalog) if !self.is_own(catalog) => Err(no_catalog(catalog, name.at)),
            _ => Ok(()),
        }
    }

    /// Whether a catalog is the account's in Glue: `AwsDataCatalog`, or a data catalog that stands for it.
    fn is_own(&self, catalog: &str) -> bool {
        catalog.is_empty()
            || catalog.eq_ignore_ascii_case(session::CATALOG)
            || self.job.catalogs.iter().any(|own| own.eq_ignore_ascii_case(catalog))
    }

    /// A table that a Hive statement names.
    async fn table(&self, name: &Name) -> Result<(String, Table)> {
        let database = self.database_of(name)?;
        match self.catalog.table(&database, &name.name).await? {
            Some(table) => Ok((database, table)),
            None => Err(Error::ddl_table_not_found(&name.name)),
        }
    }
}

/// Trino's words for a catalog that is not there.
fn no_catalog(name: &str, (line, column): (u64, u64)) -> Error {
    let text = format!("line {line}:{column}: Catalog '{}' does not exist", name.to_lowercase());
    Error::user(1006, "CATALOG_NOT_FOUND", text)
}

/// `StatementType` and `SubstatementType`.
fn kind(statement: &Statement) -> (&'static str, &'static str) {
    match statement {
        Statement::Select(_) => ("DML", "SELECT"),
        Statement::Explain { .. } => ("DML", "EXPLAIN"),
        Statement::Insert { .. } => ("DML", "INSERT"),
        Statement::Unload { .. } => ("DML", "UNLOAD"),
        Statement::Prepared => ("DDL", "PREPARE"),
        Statement::Delete(_) => ("DML", "DELETE"),
        Statement::Update(_) => ("DML", "UPDATE"),
        Statement::Merge(_) => ("DML", "MERGE"),
        Statement::Optimize { .. } => ("UTILITY", "OPTIMIZE"),
        Statement::Vacuum { .. } => ("UTILITY", "VACUUM_TABLE"),
        Statement::UnsetProperties { .. } => ("DDL", "ALTER_TABLE_UNSET_TBLPROPERTIES"),
        Statement::SetDatabaseProperties { .. } => ("DDL", "ALTER_DATABASE_SET_DBPROPERTIES"),
        Statement::RenameTable { .. } => ("DDL", "ALTER_TABLE_RENAME"),
        Statement::RenamePartition { .. } => ("DDL", "ALTER_TABLE_RENAME_PARTITION"),
        Statement::ChangeColumn { .. } => ("DDL", "ALTER_TABLE_CHANGE_COLUMN"),
        Statement::DropColumn { .. } => ("DDL", "ALTER_TABLE_DROP_COLUMN"),
        Statement::Ctas(_) => ("DDL", "CREATE_TABLE_AS_SELECT"),
        Statement::CreateView { .. } => ("DDL", "CREATE_VIEW"),
        Statement::DropView { .. } => ("DDL", "DROP_VIEW"),
        Statement::CreateTable(_) => ("DDL", "CREATE_TABLE"),
        Statement::DropTable { .. } => ("DDL", "DROP_TABLE"),
        Statement::CreateDatabase { .. } => ("DDL", "CREATE_DATABASE"),
        Statement::DropDatabase { .. } => ("DDL", "DROP_DATABASE"),
        Statement::Repair { .. } => ("DDL", "MSCK_REPAIR_TABLE"),
        Statement::AddPartitions { .. } => ("DDL", "ALTER_TABLE_ADD_PARTITION"),
        Statement::DropPartitions { .. } => ("DDL", "ALTER_TABLE_DROP_PARTITION"),
        Statement::SetLocation { .. } => ("DDL", "ALTER_TABLE_SET_LOCATION"),
        Statement::SetProperties { .. } => ("DDL", "ALTER_TABLE_SET_TBLPROPERTIES"),
        Statement::AddColumns { .. } => ("DDL", "ALTER_TABLE_ADD_COLUMNS"),
        Statement::ReplaceColumns { .. } => ("DDL", "ALTER_TABLE_REPLACE_COLUMNS"),
        Statement::ShowTables { .. } => ("UTILITY", "SHOW_TABLES"),
        Statement::ShowViews { .. } => ("UTILITY", "SHOW_VIEWS"),
        Statement::ShowDatabases { .. } => ("UTILITY", "SHOW_DATABASES"),
        Statement::ShowColumns { .. } => ("UTILITY", "SHOW_COLUMNS"),
        Statement::ShowPartitions { .. } => ("UTILITY", "SHOW_PARTITIONS"),
        Statement::ShowCreateTable { .. } => ("UTILITY", "SHOW_CREATE_TABLE"),
        Statement::ShowCreateView { .. } => ("UTILITY", "SHOW_CREATE_VIEW"),
        Statement::ShowProperties { .. } => ("UTILITY", "SHOW_TBLPROPERTIES"),
        Statement::Describe { .. } => ("UTILITY", "DESCRIBE_TABLE"),
    }
}
