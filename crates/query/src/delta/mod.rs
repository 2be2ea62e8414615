//! Delta Lake tables, read as their logs say (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md>): which files are the table's,
//! which of their rows, under which names and with which partition values. The log is replayed by `delta_kernel`, the Delta project's own
//! crate, which knows checkpoints, deletion vectors, column mapping and what a reader must understand before it may read; it stands on this
//! crate's arrow. Athena reads such tables and writes none (Athena's guide, "Query Linux Foundation Delta Lake tables").
//!
//! | module | what it owns |
//! |---|---|
//! | this | a table's state, its columns and partitions |
//! | `scan` | the state as DataFusion reads it |
//! | `filter` | filters in the kernel's words, by which it leaves files out |

mod filter;
pub(crate) mod scan;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit};
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::scan::state::ScanFile;
use delta_kernel::scan::{Scan, ScanBuilder};
use delta_kernel::{Engine, KernelError, KernelResult, Snapshot, SnapshotRef};
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use tokio::runtime::{Handle, RuntimeFlavor};
use trino_functions::Type as Trino;
use url::Url;

use crate::catalog::{Column, Table};
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};
use crate::types::hive_type;

/// The newest state of a table.
pub(crate) struct DeltaTable {
    engine: Arc<dyn Engine>,
    snapshot: SnapshotRef,
    bucket: String,
    /// The table's columns as the log has them: in this order, with these names.
    arrow: ArrowSchema,
}

impl std::fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeltaTable({} version {})", self.snapshot.table_root(), self.snapshot.version())
    }
}

impl DeltaTable {
    /// Replays the log. Errors: there is none at the location, it is broken, or it asks for what this reader does not know.
    pub(crate) async fn load(storage: &Storage, database: &str, table: &Table) -> Result<Self> {
        let location = table.location().ok_or_else(|| Error::metastore("the table has no location"))?;
        Self::at(storage, location, &format!("{database}.{}", table.name)).await
    }

    pub(crate) async fn at(storage: &Storage, location: &str, name: &str) -> Result<Self> {
        let place = Location::parse(location)?;
        let root = root(&place)?;
        let store = DefaultEngineBuilder::new(storage.bucket(&place.bucket)?);
        // Files are decoded on the threads of this runtime where it has several.
        let handle = Handle::current();
        let engine: Arc<dyn Engine> = if handle.runtime_flavor() == RuntimeFlavor::MultiThread {
            Arc::new(store.with_task_executor(Arc::new(TokioMultiThreadExecutor::new(handle))).build())
        } else {
            Arc::new(store.build())
        };
        let reader = Arc::clone(&engine);
        let snapshot = blocking(move || Snapshot::builder_for(root.as_str()).build(reader.as_ref())).await?;
        let snapshot = snapshot.map_err(|error| failed(error, name))?;
        let arrow: ArrowSchema = snapshot
            .schema()
            .as_ref()
            .try_into_arrow()
            .map_err(|error| Error::not_supported(format_args!("Delta Lake table {name}: {error}")))?;
        Ok(Self { engine, snapshot, bucket: place.bucket, arrow })
    }

    /// How queries see the columns.
    pub(crate) fn exposed(&self) -> SchemaRef {
        Arc::new(ArrowSchema::new(self.arrow.fields().iter().map(exposed_field).collect::<Vec<_>>()))
    }

    /// The columns as the catalog keeps them, those of the partitions apart.
    pub(crate) fn catalog_columns(&self) -> (Vec<Column>, Vec<Column>) {
        let keys = self.partition_columns();
        let column =
            |field: &FieldRef| Column { name: field.name().to_lowercase(), ty: hive_type(field), ..Column::default() };
        let (keys, columns): (Vec<_>, Vec<_>) =
            self.arrow.fields().iter().partition(|field| keys.contains(field.name()));
        (columns.into_iter().map(column).collect(), keys.into_iter().map(column).collect())
    }

    fn partition_columns(&self) -> Vec<String> {
        self.snapshot.table_configuration().logical_partition_columns().to_vec()
    }

    /// The value that all rows of a file have in a partition's column. An empty text is null, as the protocol has it (Partition Value
    /// Serialization), which the kernel leaves to its caller for texts.
    fn partition_value<'a>(&self, file: &'a ScanFile, column: &str) -> Option<&'a str> {
        let mode = self.snapshot.table_configuration().column_mapping_mode();
        let schema = self.snapshot.schema();
        let physical = schema.field(column).map_or(column, |field| field.physical_name(mode));
        file.partition_values.get(physical).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `key=value/…` of all partitions that have files, in order.
    pub(crate) async fn partitions(&self) -> Result<Vec<String>> {
        let keys = self.partition_columns();
        let scan = self.scan(|builder| builder)?;
        let mut found = BTreeSet::new();
        for file in self.files(&scan).await? {
            let parts = keys.iter().map(|key| {
                let value = self.partition_value(&file, key).unwrap_or("__HIVE_DEFAULT_PARTITION__");
                format!("{}={value}", key.to_lowercase())
            });
            found.insert(parts.collect::<Vec<_>>().join("/"));
        }
        Ok(found.into_iter().collect())
    }

    fn scan(&self, with: impl FnOnce(ScanBuilder) -> ScanBuilder) -> Result<Arc<Scan>> {
        let built = with(Arc::clone(&self.snapshot).scan_builder()).build();
        built.map(Arc::new).map_err(|error| failed(error, self.snapshot.table_root().as_str()))
    }

    /// The files that a scan has to read.
    async fn files(&self, scan: &Arc<Scan>) -> Result<Vec<ScanFile>> {
        let (scan, engine) = (Arc::clone(scan), Arc::clone(&self.engine));
        let files = blocking(move || -> KernelResult<Vec<ScanFile>> {
            let mut files = Vec::new();
            for metadata in scan.scan_metadata(engine.as_ref())? {
                files = metadata?.visit_scan_files(files, |files: &mut Vec<ScanFile>, file| files.push(file))?;
            }
            Ok(files)
        });
        files.await?.map_err(|error| failed(error, self.snapshot.table_root().as_str()))
    }

    /// Where a file of the log is. Errors: in another bucket, as a shallow clone's files are.
    fn place(&self, file: &ScanFile) -> Result<Url> {
        let url = self.snapshot.table_root().join(&file.path).map_err(Error::internal)?;
        if url.host_str() != Some(&self.bucket) {
            return Err(Error::not_supported(format_args!("files of a Delta Lake table in another bucket ({url})")));
        }
        Ok(url)
    }
}

impl DeltaTable {
    /// The location of a file as S3 has it, where the log's has escapes.
    fn path(&self, file: &ScanFile) -> Result<String> {
        let key = object_store::path::Path::from_url_path(self.place(file)?.path()).map_err(Error::internal)?;
        Ok(format!("s3://{}/{key}", self.bucket))
    }
}

/// The kernel waits for what it reads: on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

/// The URL of a table's folder, which ends with a slash.
fn root(place: &Location) -> Result<Url> {
    let mut url = Url::parse(&format!("s3://{}/", place.bucket)).map_err(Error::internal)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(place.key.split('/').filter(|part| !part.is_empty())).push("");
    }
    Ok(url)
}

/// An error of the kernel in Athena's words.
fn failed(error: KernelError, table: &str) -> Error {
    match error {
        KernelError::Backtraced { source, .. } => failed(*source, table),
        KernelError::ObjectStore(error) => Error::from(error),
        KernelError::Unsupported(text) => Error::not_supported(format_args!("Delta Lake table {table}: {text}")),
        KernelError::EmptyLog
        | KernelError::FileNotFound(_)
        | KernelError::MissingMetadata
        | KernelError::MissingProtocol
        | KernelError::MissingMetadataAndProtocol => Error::user(
            1200,
            "DELTA_LAKE_INVALID_SCHEMA",
            format_args!("Metadata not found in transaction log for {table}"),
        ),
        other => {
            let text = other.to_string();
            let first = text.lines().next().unwrap_or_default();
            if first.contains("No files in log segment") || first.contains("No table version found") {
                return failed(KernelError::MissingMetadata, table);
            }
            Error::user(1201, "DELTA_LAKE_BAD_DATA", format_args!("Delta Lake table {table}: {first}"))
        }
    }
}

fn exposed_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name().to_lowercase(), exposed_type(field.data_type()), true))
}

/// A type of the log as queries have it: moments with their zone in milliseconds, other timestamps in microseconds, as Trino's Delta
/// connector has them.
fn exposed_type(ty: &DataType) -> DataType {
    match ty {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Trino::TimestampTz(3).data_type(),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(exposed_field).collect::<Fields>()),
        DataType::List(item) => DataType::List(Arc::new(Field::new("item", exposed_type(item.data_type()), true))),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                let key = Field::new("key", exposed_type(pair[0].data_type()), false);
                let value = Field::new("value", exposed_type(pair[1].data_type()), true);
                let pair = DataType::Struct(Fields::from(vec![key, value]));
                DataType::Map(Arc::new(Field::new("entries", pair, false)), false)
            }
            _ => ty.clone(),
        },
        other => other.clone(),
    }
}
