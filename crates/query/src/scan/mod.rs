//! Tables of the catalog as DataFusion sees them: which files a scan reads, and which reader reads them.
//!
//! Partitions are asked for once, pruned by the filters on them, and listed with as few calls as their places allow.
//! Parquet goes through DataFusion's reader, text through [`text`].

mod format;
mod json;
mod lines;
mod listing;
mod names;
mod text;
mod writers;

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use tokio::sync::OnceCell;

pub(crate) use format::Format;
pub(crate) use listing::{DataFile, PartitionPlace, decode_partition_value, list_under};

pub(crate) use writers::timestamp as read_timestamp;

use crate::catalog::{Catalog, Table};
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};
use crate::types::{TIMESTAMP, parse_hive_field};

/// The columns that every table has but `*` does not show.
pub(crate) const HIDDEN: [&str; 4] = ["$path", "$file_size", "$file_modified_time", "$partition"];

/// One table of the catalog.
#[derive(Debug)]
pub(crate) struct HiveTable {
    storage: Arc<Storage>,
    catalog: Arc<dyn Catalog>,
    database: String,
    table: Table,
    format: Format,
    /// Columns in the files.
    file_schema: SchemaRef,
    /// Partition columns, then the hidden ones that the statement names.
    constant_fields: Vec<FieldRef>,
    schema: SchemaRef,
    partitions: OnceCell<Vec<PartitionPlace>>,
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
        let format = Format::of(&table)?;
        let file_fields = table
            .columns()
            .iter()
            .map(|column| parse_hive_field(&column.name.to_lowercase(), &column.ty))
            .collect::<Result<Vec<Field>>>()?;
        let mut constant_fields = Vec::new();
        for key in &table.partition_keys {
            constant_fields.push(Arc::new(parse_hive_field(&key.name.to_lowercase(), &key.ty)?));
        }
        for name in hidden {
            let ty = match *name {
                "$file_size" => DataType::Int64,
                "$file_modified_time" => TIMESTAMP,
                _ => DataType::Utf8,
            };
            constant_fields.push(Arc::new(Field::new(*name, ty, true)));
        }
        let file_schema = Arc::new(Schema::new(file_fields));
        let all: Vec<FieldRef> = file_schema.fields().iter().chain(&constant_fields).cloned().collect();
        let schema = Arc::new(Schema::new(all));
        Ok(Self {
            storage,
            catalog,
            database: database.to_owned(),
            table,
            format,
            file_schema,
            constant_fields,
            schema,
            partitions: OnceCell::new(),
        })
    }

    /// The partitions that exist, or the one place of a table without any.
    async fn partitions(&self) -> Result<&Vec<PartitionPlace>> {
        self.partitions
            .get_or_try_init(|| async {
                let root = self.table.location().ok_or_else(|| {
                    Error::metastore(format_args!("Table {}.{} has no location", self.database, self.table.name))
                })?;
                let root = Location::parse(root)?;
                if self.table.partition_keys.is_empty() {
                    return Ok(vec![PartitionPlace { location: root, values: Vec::new(), name: String::new() }]);
                }
                let partitions = self.catalog.partitions(&self.database, &self.table.name).await?;
                partitions.into_iter().map(|partition| PartitionPlace::of(&self.table, &root, partition)).collect()
            })
            .await
    }

    fn is_constant(&self, name: &str) -> bool {
        self.constant_fields.iter().any(|field| field.name() == name)
    }

    fn only_constants(&self, filter: &Expr) -> bool {
        !filter.is_volatile()
            && filter.column_refs().iter().all(|column| self.is_constant(&column.name))
            && !filter.column_refs().is_empty()
    }

    /// Which rows of constants pass the filters. Filters on columns that `known` lacks are left out.
    fn passing(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        rows: &[Vec<ScalarValue>],
        known: usize,
    ) -> Result<Vec<bool>> {
        let fields = &self.constant_fields[..known];
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
        let columns = (0..known)
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
        let keys = self.table.partition_keys.len();
        let mut places = Vec::new();
        let mut values = Vec::new();
        for place in self.partitions().await? {
            values.push(self.partition_values(place)?);
            places.push(place);
        }
        let keep = self.passing(state, filters, &values, keys)?;
        let chosen: Vec<_> =
            places.into_iter().zip(values).zip(keep).filter(|(_, keep)| *keep).map(|(pair, _)| pair).collect();

        let mut files = Vec::new();
        for (index, bucket, meta) in list_under(&self.storage, chosen.iter().map(|(place, _)| *place)).await? {
            let (place, values) = &chosen[index];
            let mut constants = values.clone();
            for field in &self.constant_fields[keys..] {
                constants.push(match field.name().as_str() {
                    "$file_size" => ScalarValue::Int64(i64::try_from(meta.size).ok()),
                    "$file_modified_time" => {
                        ScalarValue::TimestampMillisecond(Some(meta.last_modified.timestamp_millis()), None)
                    }
                    "$partition" => ScalarValue::Utf8(Some(place.name.clone())),
                    _ => ScalarValue::Utf8(Some(format!("s3://{bucket}/{}", meta.location))),
                });
            }
            files.push(DataFile { bucket, meta, constants });
        }
        if self.constant_fields.len() > keys {
            let rows: Vec<_> = files.iter().map(|file| file.constants.clone()).collect();
            let keep = self.passing(state, filters, &rows, self.constant_fields.len())?;
            let mut keep = keep.into_iter();
            files.retain(|_| keep.next().unwrap_or(true));
        }
        Ok(files)
    }

    fn partition_values(&self, place: &PartitionPlace) -> Result<Vec<ScalarValue>> {
        self.constant_fields[..self.table.partition_keys.len()]
            .iter()
            .zip(&place.values)
            .map(|(field, text)| decode_partition_value(field, text))
            .collect()
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
        match &self.format {
            Format::Parquet => self.parquet(state, files, projection, limit, width).await,
            Format::Text(serde) => {
                let all: Vec<usize> = (0..self.schema.fields().len()).collect();
                let scan = text::TextScan {
                    storage: Arc::clone(&self.storage),
                    serde: Arc::clone(serde),
                    file_schema: Arc::clone(&self.file_schema),
                    projection: projection.cloned().unwrap_or(all),
                    schema: projected,
                    limit,
                };
                Ok(Arc::new(text::TextExec::new(scan, files, width)))
            }
        }
    }

    /// One Parquet scan per bucket.
    async fn parquet(
        &self,
        state: &dyn Session,
        files: Vec<DataFile>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
        width: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut buckets: Vec<(String, Vec<PartitionedFile>)> = Vec::new();
        for file in files {
            let part = PartitionedFile::new_from_meta(file.meta).with_partition_values(file.constants);
            match buckets.iter_mut().find(|(bucket, _)| *bucket == file.bucket) {
                Some((_, parts)) => parts.push(part),
                None => buckets.push((file.bucket, vec![part])),
            }
        }
        let schema = TableSchema::builder(Arc::clone(&self.file_schema))
            .with_table_partition_cols(self.constant_fields.clone())
            .build();
        let mut scans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        for (bucket, parts) in buckets {
            let url = ObjectStoreUrl::parse(format!("s3://{bucket}"))?;
            let groups = FileGroup::new(parts).split_files(width);
            let config = FileScanConfigBuilder::new(url, Arc::new(ParquetSource::new(schema.clone())))
                .with_file_groups(groups)
                .with_statistics(Statistics::new_unknown(schema.table_schema()))
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .with_expr_adapter(Some(Arc::new(names::AnyCase)))
                .build();
            scans.push(ParquetFormat::default().create_physical_plan(state, config).await?);
        }
        match scans.len() {
            1 => Ok(scans.remove(0)),
            _ => Ok(UnionExec::try_new(scans)?),
        }
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
