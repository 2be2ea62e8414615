//! A snapshot as DataFusion reads it: its Parquet files with columns by the numbers of their fields, rows that position
//! deletes name left out.

use object_store::ObjectStoreExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type, Schema as ArrowSchema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};

use super::mapping::{self, Names};
use super::metadata::broken;
use super::prune::prune;
use super::transform::Transform;
use super::types::{Field, Schema, renamed};
use super::{FileEntry, Loaded, SnapshotFiles, read};
use crate::error::{Error, Result};
use crate::scan::{self, Conform, hidden_field, read_as};
use crate::storage::{Location, Storage};

/// One snapshot of a table.
#[derive(Debug)]
pub(crate) struct IcebergScan {
    storage: Arc<Storage>,
    loaded: Loaded,
    snapshot: Option<i64>,
    /// Only these data files, if given.
    only: Option<BTreeSet<String>>,
    columns: Arc<Schema>,
    file_schema: SchemaRef,
    hidden: Vec<FieldRef>,
    schema: SchemaRef,
}

/// The values that all rows of a file have in columns which the file itself lacks, by their numbers.
type Constants = BTreeMap<i32, ScalarValue>;

impl IcebergScan {
    pub(crate) fn new(
        storage: Arc<Storage>,
        loaded: Loaded,
        snapshot: Option<i64>,
        hidden: &[&'static str],
    ) -> Result<Self> {
        let columns = match loaded.snapshot(snapshot)? {
            // A snapshot of before is read with the columns of its time.
            Some(found) if snapshot.is_some() => loaded.metadata.schema_of(found),
            _ => loaded.metadata.schema(),
        };
        if let Some(field) = columns.fields.iter().find(|field| field.initial_default.is_some()) {
            return Err(Error::not_supported(format_args!("Iceberg's default values (column {})", field.name)));
        }
        let columns = Arc::new(columns.clone());
        let file_schema = columns.exposed()?;
        let hidden: Vec<FieldRef> = hidden.iter().map(|name| Arc::new(hidden_field(name))).collect();
        let schema =
            Arc::new(ArrowSchema::new(file_schema.fields().iter().chain(&hidden).cloned().collect::<Vec<_>>()));
        Ok(Self { storage, loaded, snapshot, only: None, columns, file_schema, hidden, schema })
    }

    /// The same, of some of the files.
    pub(crate) fn only(mut self, files: BTreeSet<String>) -> Self {
        self.only = Some(files);
        self
    }

    async fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut files = self.loaded.files(&self.storage, self.snapshot).await?;
        if let Some(only) = &self.only {
            files.data.retain(|entry| only.contains(&entry.file.path));
        }
        prune(state, &self.loaded, &self.columns, &self.schema, filters, &mut files.data);
        let projected = match projection {
            Some(indices) => Arc::new(self.schema.project(indices).map_err(Error::internal)?),
            None => Arc::clone(&self.schema),
        };
        if files.data.is_empty() {
            return Ok(Arc::new(EmptyExec::new(projected)));
        }
        if let Some(entry) =
            files.equalities.iter().find(|delete| files.data.iter().any(|data| data.sequence < delete.sequence))
        {
            return Err(Error::not_supported(format_args!(
                "reading equality deletes of Iceberg ({}): position deletes can be read",
                entry.file.path
            )));
        }
        let deleted = self.deleted(&files).await?;
        let mut groups: BTreeMap<(String, String), (Constants, Vec<PartitionedFile>, i64)> = BTreeMap::new();
        for entry in &files.data {
            let constants = self.constants(entry);
            let (bucket, file) = self.file(entry, deleted.get(&entry.file.path)).await?;
            let group = groups.entry((bucket, format!("{constants:?}"))).or_insert_with(|| (constants, Vec::new(), 0));
            group.1.push(file);
            group.2 += entry.file.records;
        }
        let table_schema =
            TableSchema::builder(Arc::clone(&self.file_schema)).with_table_partition_cols(self.hidden.clone()).build();
        let names = mapping::names(&self.loaded.metadata)?.map(Arc::new);
        let width = state.config().target_partitions();
        let mut scans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        for ((bucket, _), (constants, parts, rows)) in groups {
            let mut statistics = Statistics::new_unknown(table_schema.table_schema());
            statistics.num_rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Inexact);
            let source = ParquetSource::new(table_schema.clone())
                .with_table_parquet_options(state.default_table_options().parquet);
            let url = ObjectStoreUrl::parse(format!("s3://{bucket}"))?;
            let config = FileScanConfigBuilder::new(url, Arc::new(source))
                .with_file_groups(FileGroup::new(parts).split_files(width))
                .with_statistics(statistics)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .with_expr_adapter(Some(Arc::new(ById {
                    columns: Arc::clone(&self.columns),
                    constants,
                    names: names.clone(),
                })))
                .build();
            scans.push(DataSourceExec::from_data_source(config));
        }
        match scans.len() {
            1 => Ok(scans.remove(0)),
            _ => Ok(UnionExec::try_new(scans)?),
        }
    }

    /// Files that another system wrote into folders of `key=value` have the keys in their partitions alone.
    fn constants(&self, entry: &FileEntry) -> Constants {
        let metadata = &self.loaded.metadata;
        if !metadata.properties.contains_key(mapping::NAME_MAPPING) {
            return Constants::new();
        }
        let Some(spec) = metadata.spec_by_id(entry.spec) else { return Constants::new() };
        spec.fields
            .iter()
            .zip(&entry.file.partition)
            .filter(|(field, _)| field.transform == Transform::Identity)
            .map(|(field, value)| (field.source_id, value.clone()))
            .collect()
    }

    async fn file(&self, entry: &FileEntry, deleted: Option<&BTreeSet<i64>>) -> Result<(String, PartitionedFile)> {
        let path = &entry.file.path;
        if entry.file.format != "PARQUET" {
            return Err(Error::not_supported(format_args!("Iceberg data files in format {}", entry.file.format)));
        }
        let location = Location::parse(path)?;
        let size = entry.file.size;
        let modified = self.modified(&location).await?;
        let constant = |field: &FieldRef| -> Result<ScalarValue> {
            Ok(match field.name().as_str() {
                "$file_size" => ScalarValue::Int64(Some(size)),
                "$file_modified_time" => scan::modified(modified)?,
                "$path" => ScalarValue::Utf8(Some(path.clone())),
                _ => ScalarValue::Utf8(Some(self.loaded.partition_path(entry.spec, &entry.file))),
            })
        };
        let constants = self.hidden.iter().map(constant).collect::<Result<_>>()?;
        let size = u64::try_from(size).map_err(broken)?;
        let mut file = PartitionedFile::new(String::new(), size);
        file.object_meta.location = location.path()?;
        let mut file = file.with_partition_values(constants);
        if let Some(deleted) = deleted {
            let store = self.storage.bucket(&location.bucket)?;
            let footer = DFParquetMetadata::new(store.as_ref(), &file.object_meta).fetch_metadata().await?;
            let rows = usize::try_from(footer.file_metadata().num_rows()).map_err(broken)?;
            let plan =
                ParquetAccessPlan::try_new_from_overall_row_selection(without(deleted, rows), footer.row_groups())?;
            file = file.with_extension(plan);
        }
        Ok((location.bucket, file))
    }

    /// When a file was written, where the statement asks for that: no metadata tell it.
    async fn modified(&self, location: &Location) -> Result<Option<i64>> {
        if !self.hidden.iter().any(|field| field.name() == "$file_modified_time") {
            return Ok(None);
        }
        let found = self.storage.bucket(&location.bucket)?.head(&location.path()?).await?;
        Ok(Some(found.last_modified.timestamp_millis()))
    }

    /// The deleted rows of each data file.
    async fn deleted(&self, files: &SnapshotFiles) -> Result<BTreeMap<String, BTreeSet<i64>>> {
        let sequences: BTreeMap<&str, i64> =
            files.data.iter().map(|entry| (entry.file.path.as_str(), entry.sequence)).collect();
        let mut all: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for delete in &files.positions {
            if delete.file.format != "PARQUET" {
                return Err(Error::not_supported(format_args!(
                    "Iceberg delete files in format {}",
                    delete.file.format
                )));
            }
            // A delete counts for files that are not newer than itself.
            let counts = |target: &str| sequences.get(target).is_some_and(|sequence| *sequence <= delete.sequence);
            if delete.file.referenced.as_ref().is_some_and(|target| !counts(target)) {
                continue;
            }
            let path = &delete.file.path;
            let bytes = read(&self.storage, path).await?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
                .and_then(ParquetRecordBatchReaderBuilder::build)
                .map_err(|error| Error::cursor(path, error))?;
            for batch in reader {
                let batch = batch.map_err(|error| Error::cursor(path, error))?;
                let column = |name: &str, ty: &DataType| {
                    let column = batch.column_by_name(name);
                    let column = column.ok_or_else(|| broken(format_args!("{path} has no column {name}")))?;
                    datafusion::arrow::compute::cast(column, ty).map_err(broken)
                };
                let paths = column("file_path", &DataType::Utf8)?;
                let paths = paths.as_string::<i32>();
                let positions = column("pos", &DataType::Int64)?;
                let positions = positions.as_primitive::<Int64Type>();
                for row in (0..batch.num_rows()).filter(|row| paths.is_valid(*row) && counts(paths.value(*row))) {
                    let target = paths.value(row);
                    if !all.contains_key(target) {
                        all.insert(target.to_owned(), BTreeSet::new());
                    }
                    if let Some(rows) = all.get_mut(target) {
                        rows.insert(positions.value(row));
                    }
                }
            }
        }
        Ok(all)
    }
}

/// All rows but the deleted ones.
fn without(deleted: &BTreeSet<i64>, rows: usize) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for position in deleted.iter().filter_map(|position| usize::try_from(*position).ok()).filter(|at| *at < rows) {
        if position > at {
            selectors.push(RowSelector::select(position - at));
        }
        selectors.push(RowSelector::skip(1));
        at = position + 1;
    }
    if rows > at {
        selectors.push(RowSelector::select(rows - at));
    }
    RowSelection::from(selectors)
}

#[async_trait::async_trait]
impl TableProvider for IcebergScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters choose files; which rows pass is asked again behind the scan.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::common::Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| {
            if filter.is_volatile() {
                TableProviderFilterPushDown::Unsupported
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        Ok(self.plan(state, projection, filters, limit).await?)
    }
}

/// Finds a file's columns by the numbers of their fields, whatever they are called in it; in a file that has no numbers by the names that
/// the table's mapping has for them.
#[derive(Debug)]
struct ById {
    columns: Arc<Schema>,
    constants: Constants,
    names: Option<Arc<Names>>,
}

#[derive(Debug)]
struct Adapter {
    columns: Arc<Schema>,
    constants: Constants,
    names: Option<Arc<Names>>,
    table: SchemaRef,
    file: SchemaRef,
    numbered: bool,
}

impl PhysicalExprAdapterFactory for ById {
    fn create(
        &self,
        logical: SchemaRef,
        physical: SchemaRef,
    ) -> datafusion::common::Result<Arc<dyn PhysicalExprAdapter>> {
        let numbered = physical.fields().iter().any(|field| field.metadata().contains_key(PARQUET_FIELD_ID_META_KEY));
        Ok(Arc::new(Adapter {
            columns: Arc::clone(&self.columns),
            constants: self.constants.clone(),
            names: self.names.clone(),
            table: logical,
            file: physical,
            numbered,
        }))
    }
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> datafusion::common::Result<Arc<dyn PhysicalExpr>> {
        expr.transform(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
            let Ok(at) = self.table.index_of(column.name()) else { return Ok(Transformed::no(expr)) };
            Ok(Transformed::yes(self.column(at)?))
        })
        .data()
    }
}

impl Adapter {
    fn column(&self, at: usize) -> datafusion::common::Result<Arc<dyn PhysicalExpr>> {
        let field = self.table.field(at);
        let Some(own) = self.columns.fields.iter().find(|own| own.name.to_lowercase() == *field.name()) else {
            return Err(Error::internal(format_args!("no column {}", field.name())).into());
        };
        let Some(place) = self.place(own) else {
            let value = match self.constants.get(&own.id) {
                Some(value) => value.cast_to(field.data_type())?,
                None => ScalarValue::try_from(field.data_type())?,
            };
            return Ok(Arc::new(Literal::new(value)));
        };
        let found = self.file.field(place);
        let how = Conform::of(&renamed(found.data_type(), &own.ty), field).ok_or_else(|| {
            Error::user(
                1102,
                "ICEBERG_BAD_DATA",
                format_args!(
                    "Column {} of type {} cannot be read as {}",
                    own.name,
                    found.data_type(),
                    crate::types::trino_type(field)
                ),
            )
        })?;
        Ok(read_as(found, place, how, field))
    }

    fn place(&self, own: &Field) -> Option<usize> {
        let id = own.id.to_string();
        self.file.fields().iter().position(|other| {
            if self.numbered {
                other.metadata().get(PARQUET_FIELD_ID_META_KEY) == Some(&id)
            } else if let Some(names) = &self.names {
                names.get(&own.id).is_some_and(|names| names.contains(other.name()))
            } else {
                other.name().eq_ignore_ascii_case(&own.name)
            }
        })
    }
}
