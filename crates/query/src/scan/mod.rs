//! Tables of the catalog as DataFusion sees them: which files a scan reads, and which reader reads them.
//!
//! Partitions are asked for (or computed, where the table projects them), pruned by the filters on them, and listed with
//! as few calls as their places allow. Parquet goes through DataFusion's reader, all else through [`files`].

mod columns;
mod compression;
mod conform;
mod csv;
mod files;
mod format;
mod json;
mod layout;
mod lazy;
mod lines;
mod listing;
mod orc;
mod order;
mod parquet;
mod pattern;
mod projection;
mod pushdown;
mod writers;

use std::collections::BTreeMap;

use std::sync::{Arc, PoisonError};

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use indexmap::IndexMap;
use tokio::sync::Mutex;
use trino_functions::Type as Trino;
use trino_functions::value::Value;
use trino_functions::zone::Zone;

pub(crate) use columns::read_as;
pub(crate) use conform::Conform;
pub(crate) use format::{Format, Properties, character, first};
use layout::Layout;
pub(crate) use listing::decode_partition_value;
pub(crate) use listing::differs;
use listing::{DataFile, PartitionPlace, follow, list_under};
pub(crate) use order::FileOrder;
pub(crate) use projection::Projection;

use crate::catalog::{Catalog, StorageDescriptor, Table};
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};
use crate::types::parse_hive_field;

/// The columns that every table has but `*` does not show.
pub(crate) const HIDDEN: [&str; 4] = ["$path", "$file_size", "$file_modified_time", "$partition"];

/// A hidden column; a file's time is a moment with its zone, as in Trino's connectors (`FILE_MODIFIED_TIME_TYPE_SIGNATURE`).
pub(crate) fn hidden_field(name: &str) -> Field {
    match name {
        "$file_size" => Field::new(name, DataType::Int64, true),
        "$file_modified_time" => Trino::TimestampTz(3).field(name),
        _ => Field::new(name, DataType::Utf8, true),
    }
}

/// The value of `"$file_modified_time"`.
pub(crate) fn modified(ms: Option<i64>) -> Result<ScalarValue> {
    let value = match ms {
        Some(ms) => Value::TimestampTz(i128::from(ms) * 1_000_000_000, Zone::UTC),
        None => Value::Null,
    };
    let array = trino_functions::value::build(&Trino::TimestampTz(3), &[value])?;
    Ok(crate::functions::scalar_of(&array)?)
}

const FOOTER_CACHE_BYTES: usize = 128 << 20;

/// One table of the catalog.
#[derive(Debug)]
pub(crate) struct HiveTable {
    storage: Arc<Storage>,
    catalog: Arc<dyn Catalog>,
    database: String,
    table: Table,
    layout: Arc<Layout>,
    projection: Option<Projection>,
    /// Columns in the files.
    file_schema: SchemaRef,
    /// Partition columns, then the hidden ones that the statement names.
    constant_fields: Vec<FieldRef>,
    schema: SchemaRef,
    /// What the catalog answered, by what it was asked.
    partitions: Mutex<BTreeMap<Option<String>, Arc<Vec<PartitionPlace>>>>,
    /// The files by the filters on constants: whoever reads the table in one statement reads the same.
    listed: Mutex<IndexMap<Vec<Expr>, Arc<Vec<DataFile>>>>,
    /// DataFusion's own cache knows files by their path alone, so that those of two buckets would be mistaken for each
    /// other: one for each bucket.
    footers: std::sync::Mutex<BTreeMap<String, Arc<FileMetadataCache>>>,
}

impl HiveTable {
    /// `hidden` are those of [`HIDDEN`] that the statement names.
    pub(crate) fn new(
        storage: Arc<Storage>,
        catalog: Arc<dyn Catalog>,
        database: &str,
        table: Table,
        hidden: &[&'static str],
    ) -> Result<Self> {
        let layout = Arc::new(Layout::of_table(&table)?);
        let mut constant_fields: Vec<FieldRef> = Vec::new();
        for key in &table.partition_keys {
            constant_fields.push(Arc::new(parse_hive_field(&key.name.to_lowercase(), &key.ty)?));
        }
        let projection = Projection::of(database, &table, &constant_fields)?;
        for name in hidden {
            constant_fields.push(Arc::new(hidden_field(name)));
        }
        let file_schema = Arc::clone(&layout.schema);
        let all: Vec<FieldRef> = file_schema.fields().iter().chain(&constant_fields).cloned().collect();
        let schema = Arc::new(Schema::new(all));
        Ok(Self {
            storage,
            catalog,
            database: database.to_owned(),
            table,
            layout,
            projection,
            file_schema,
            constant_fields,
            schema,
            partitions: Mutex::default(),
            listed: Mutex::default(),
            footers: std::sync::Mutex::default(),
        })
    }

    fn keys(&self) -> &[FieldRef] {
        &self.constant_fields[..self.table.partition_keys.len()]
    }

    /// The partitions that the filters may leave, or the one place of a table without any.
    async fn places(&self, state: &dyn Session, filters: &[Expr]) -> Result<Arc<Vec<PartitionPlace>>> {
        let root = self.table.location().ok_or_else(|| {
            Error::metastore(format_args!("Table {}.{} has no location", self.database, self.table.name))
        });
        if let Some(projection) = &self.projection {
            return self.projected(projection, state, filters).map(Arc::new);
        }
        let root = Location::parse(root?)?;
        if self.table.partition_keys.is_empty() {
            let place = PartitionPlace {
                location: root,
                values: Vec::new(),
                decoded: Some(Vec::new()),
                name: String::new(),
                storage: None,
            };
            return Ok(Arc::new(vec![place]));
        }
        let expression = pushdown::expression(filters, self.keys());
        let mut known = self.partitions.lock().await;
        if let Some(places) = known.get(&expression) {
            return Ok(Arc::clone(places));
        }
        let partitions = self.catalog.partitions_where(&self.database, &self.table.name, expression.as_deref()).await?;
        let places = partitions.into_iter().map(|partition| PartitionPlace::of(&self.table, &root, partition));
        let places = Arc::new(places.collect::<Result<Vec<_>>>()?);
        known.insert(expression, Arc::clone(&places));
        Ok(places)
    }

    /// The partitions that the table's properties make, those that the filters exclude left out.
    fn projected(&self, projection: &Projection, state: &dyn Session, filters: &[Expr]) -> Result<Vec<PartitionPlace>> {
        let keys = self.keys();
        // The query's own clock: `now()` of the statement and NOW of a range are the same moment.
        let now = state.execution_props().query_execution_start_time.unwrap_or_default().naive_utc();
        let mut columns = projection.values(filters, now)?;
        for (key, values) in keys.iter().zip(&mut columns) {
            let rows: Vec<_> = values.iter().map(|value| vec![value.value.clone()]).collect();
            let mut keep = self.passing(state, filters, std::slice::from_ref(key), &rows)?.into_iter();
            values.retain(|_| keep.next().unwrap_or(true));
        }
        let root = Location::parse(self.table.location().unwrap_or("s3://-/"))?;
        Projection::combine(&columns)?
            .into_iter()
            .map(|values| {
                let pairs: Vec<_> =
                    keys.iter().zip(&values).map(|(key, value)| format!("{}={}", key.name(), value.text)).collect();
                Ok(PartitionPlace {
                    location: projection.location(&root, &values)?,
                    name: pairs.join("/"),
                    decoded: Some(values.iter().map(|value| value.value.clone()).collect()),
                    values: values.into_iter().map(|value| value.text).collect(),
                    storage: None,
                })
            })
            .collect()
    }

    fn is_constant(&self, name: &str) -> bool {
        self.constant_fields.iter().any(|field| field.name() == name)
    }

    fn only_constants(&self, filter: &Expr) -> bool {
        !filter.is_volatile()
            && filter.column_refs().iter().all(|column| self.is_constant(&column.name))
            && !filter.column_refs().is_empty()
    }

    /// Which rows of constants pass the filters. Filters on columns that `fields` lacks are left out.
    fn passing(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        fields: &[FieldRef],
        rows: &[Vec<ScalarValue>],
    ) -> Result<Vec<bool>> {
        let usable = filters
            .iter()
            .filter(|filter| {
                self.only_constants(filter)
                    && filter.column_refs().iter().all(|c| fields.iter().any(|field| field.name() == &c.name))
            })
            .cloned();
        let Some(filter) = conjunction(usable) else { return Ok(vec![true; rows.len()]) };
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let columns = (0..fields.len())
            .map(|i| Ok(ScalarValue::iter_to_array(rows.iter().map(|row| row[i].clone()))?))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch =
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options).map_err(Error::internal)?;
        let unqualified = filter.transform_columns().map_err(Error::from)?;
        let expr = state.create_physical_expr(unqualified, &DFSchema::try_from(schema)?)?;
        let mask = expr.evaluate(&batch)?.into_array(rows.len())?;
        let mask = mask.as_boolean();
        Ok((0..rows.len()).map(|i| datafusion::arrow::array::Array::is_valid(mask, i) && mask.value(i)).collect())
    }

    /// The files that a scan with these filters must read.
    async fn files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<DataFile>> {
        let constants: Vec<Expr> = filters.iter().filter(|filter| self.only_constants(filter)).cloned().collect();
        let mut listed = self.listed.lock().await;
        if let Some(files) = listed.get(&constants) {
            return Ok(files.as_ref().clone());
        }
        let files = self.list(state, filters).await?;
        listed.insert(constants, Arc::new(files.clone()));
        Ok(files)
    }

    async fn list(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<DataFile>> {
        let keys = self.keys().len();
        let places = self.places(state, filters).await?;
        let values = places.iter().map(|place| self.partition_values(place)).collect::<Result<Vec<_>>>()?;
        let keep = self.passing(state, filters, self.keys(), &values)?;
        let chosen: Vec<_> =
            places.iter().zip(values).zip(keep).filter(|(_, keep)| *keep).map(|(pair, _)| pair).collect();
        let mut layouts: Vec<(&StorageDescriptor, Arc<Layout>)> = Vec::new();
        let mut chosen_layouts = Vec::with_capacity(chosen.len());
        for (place, _) in &chosen {
            chosen_layouts.push(self.layout_of(place, &mut layouts)?);
        }

        let mut found = Vec::new();
        for (index, bucket, meta) in list_under(&self.storage, chosen.iter().map(|(place, _)| *place)).await? {
            if chosen_layouts[index].symlink {
                let named = follow(&self.storage, &bucket, &meta).await?;
                found.extend(named.into_iter().map(|(bucket, meta)| (index, bucket, meta)));
            } else {
                found.push((index, bucket, meta));
            }
        }
        let mut files = Vec::with_capacity(found.len());
        for (index, bucket, meta) in found {
            let (place, values) = &chosen[index];
            let mut constants = values.clone();
            for field in &self.constant_fields[keys..] {
                constants.push(match field.name().as_str() {
                    "$file_size" => ScalarValue::Int64(i64::try_from(meta.size).ok()),
                    "$file_modified_time" => modified(Some(meta.last_modified.timestamp_millis()))?,
                    "$partition" => ScalarValue::Utf8(Some(place.name.clone())),
                    _ => ScalarValue::Utf8(Some(format!("s3://{bucket}/{}", meta.location))),
                });
            }
            files.push(DataFile { bucket, meta, constants, layout: Arc::clone(&chosen_layouts[index]) });
        }
        if self.constant_fields.len() > keys {
            let rows: Vec<_> = files.iter().map(|file| file.constants.clone()).collect();
            let keep = self.passing(state, filters, &self.constant_fields, &rows)?;
            let mut keep = keep.into_iter();
            files.retain(|_| keep.next().unwrap_or(true));
        }
        Ok(files)
    }

    /// How a partition's files are read; partitions that say the same share it.
    fn layout_of<'p>(
        &self,
        place: &'p PartitionPlace,
        known: &mut Vec<(&'p StorageDescriptor, Arc<Layout>)>,
    ) -> Result<Arc<Layout>> {
        let Some(storage) = place.storage.as_deref() else { return Ok(Arc::clone(&self.layout)) };
        let same = |other: &StorageDescriptor| {
            other.columns == storage.columns
                && other.serde_info == storage.serde_info
                && other.input_format == storage.input_format
                // Crawlers count each partition's records there: only what a reader asks for tells them apart.
                && listing::LINE_COUNTS.iter().all(|key| other.parameters.get(*key) == storage.parameters.get(*key))
        };
        if let Some((_, layout)) = known.iter().find(|(other, _)| same(other)) {
            return Ok(Arc::clone(layout));
        }
        let own = StorageDescriptor {
            input_format: storage
                .input_format
                .clone()
                .or_else(|| self.table.storage_descriptor.as_ref()?.input_format.clone()),
            serde_info: match &storage.serde_info {
                Some(serde) if serde.serialization_library.is_some() => storage.serde_info.clone(),
                _ => self.table.storage_descriptor.as_ref().and_then(|storage| storage.serde_info.clone()),
            },
            ..storage.clone()
        };
        let layout = Arc::new(Layout::of_partition(&self.table, &self.layout, &self.database, &own, &place.name)?);
        known.push((storage, Arc::clone(&layout)));
        Ok(layout)
    }

    fn partition_values(&self, place: &PartitionPlace) -> Result<Vec<ScalarValue>> {
        if let Some(values) = &place.decoded {
            return Ok(values.clone());
        }
        self.keys().iter().zip(&place.values).map(|(field, text)| decode_partition_value(field, text)).collect()
    }

    async fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files(state, filters).await?;
        let projected = match projection {
            Some(indices) => Arc::new(self.schema.project(indices).map_err(Error::internal)?),
            None => Arc::clone(&self.schema),
        };
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(projected)));
        }
        let width = state.config().target_partitions();
        let (parquet, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| matches!(file.layout.format, Format::Parquet { .. }));
        let mut scans = Vec::new();
        if !parquet.is_empty() {
            scans.extend(self.parquet(state, parquet, projection, limit).await?);
        }
        if !others.is_empty() {
            let all: Vec<usize> = (0..self.schema.fields().len()).collect();
            let scan = files::Scan {
                storage: Arc::clone(&self.storage),
                file_schema: Arc::clone(&self.file_schema),
                projection: projection.cloned().unwrap_or(all),
                schema: projected,
                limit,
            };
            scans.push(Arc::new(files::FileExec::new(scan, others, width)));
        }
        match scans.len() {
            1 => Ok(scans.remove(0)),
            _ => Ok(UnionExec::try_new(scans)?),
        }
    }

    /// One Parquet scan for each bucket and each way to find columns.
    async fn parquet(
        &self,
        state: &dyn Session,
        files: Vec<DataFile>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let mut groups: BTreeMap<(String, bool), Vec<DataFile>> = BTreeMap::new();
        for file in files {
            let by_index = matches!(file.layout.format, Format::Parquet { by_index: true });
            groups.entry((file.bucket.clone(), by_index)).or_default().push(file);
        }
        let schema = TableSchema::builder(Arc::clone(&self.file_schema))
            .with_table_partition_cols(self.constant_fields.clone())
            .build();
        let scan = parquet::ParquetScan { storage: &self.storage, schema, projection, limit };
        let mut scans = Vec::with_capacity(groups.len());
        for ((bucket, by_index), files) in groups {
            scans.push(scan.plan(state, &bucket, self.footers(&bucket), by_index, files).await?);
        }
        Ok(scans)
    }

    /// The footers read so far of a bucket's files.
    fn footers(&self, bucket: &str) -> Arc<FileMetadataCache> {
        let mut known = self.footers.lock().unwrap_or_else(PoisonError::into_inner);
        let cache = known.entry(bucket.to_owned()).or_insert_with(|| Arc::new(DefaultCache::new(FOOTER_CACHE_BYTES)));
        Arc::clone(cache)
    }
}

/// Drops the qualifiers of a filter's columns.
trait Unqualify {
    fn transform_columns(self) -> datafusion::common::Result<Expr>;
}

impl Unqualify for Expr {
    fn transform_columns(self) -> datafusion::common::Result<Expr> {
        use datafusion::common::tree_node::{Transformed, TreeNode};
        self.transform(|expr| match expr {
            Expr::Column(column) => Ok(Transformed::yes(Expr::Column(column.name.into()))),
            other => Ok(Transformed::no(other)),
        })
        .map(|done| done.data)
    }
}

#[async_trait::async_trait]
impl TableProvider for HiveTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::common::Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| {
            if self.only_constants(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
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
