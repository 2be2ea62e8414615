//! A state of a Delta table as DataFusion reads it: the files that the log names, their rows but for the deleted ones, in the table's names.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use delta_kernel::FileMeta;
use delta_kernel::engine::arrow_data::EngineDataArrowExt as _;
use delta_kernel::scan::Scan;
use delta_kernel::scan::state::{ScanFile, transform_to_logical};
use tokio::sync::mpsc::Sender;

use super::{DeltaTable, failed, filter};
use crate::error::{Error, Result};
use crate::scan::{Conform, hidden_field, modified};

/// The newest state of a table, as a query finds it: its columns, then the hidden ones that the query names.
#[derive(Debug)]
pub(crate) struct DeltaScan {
    table: Arc<DeltaTable>,
    schema: SchemaRef,
}

/// The hidden columns that Trino's connector for Delta Lake has: its partitions have no name.
const HIDDEN: [&str; 3] = ["$path", "$file_size", "$file_modified_time"];

impl DeltaScan {
    /// Errors: a column of a type that queries do not have.
    pub(crate) fn new(table: DeltaTable, hidden: &[&'static str]) -> Result<Self> {
        let schema = table.exposed();
        let keys = table.partition_columns();
        for (stored, field) in table.arrow.fields().iter().zip(schema.fields()) {
            // The log has bytes as escaped text by the protocol, as plain text by Apache Spark; delta_kernel 0.30 takes them as they stand.
            if stored.data_type() == &DataType::Binary && keys.contains(stored.name()) {
                return Err(Error::not_supported(format_args!(
                    "a Delta Lake table that is partitioned by bytes (column {})",
                    stored.name()
                )));
            }
            if Conform::of(stored.data_type(), field).is_none() {
                return Err(Error::not_supported(format_args!(
                    "Delta Lake's type {} (column {})",
                    stored.data_type(),
                    stored.name()
                )));
            }
        }
        let hidden = hidden.iter().filter(|name| HIDDEN.contains(name)).map(|name| Arc::new(hidden_field(name)));
        let all: Vec<FieldRef> = schema.fields().iter().cloned().chain(hidden).collect();
        Ok(Self { table: Arc::new(table), schema: Arc::new(Schema::new(all)) })
    }

    async fn plan(
        &self,
        width: usize,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&wanted).map_err(Error::internal)?);
        let fields = self.table.arrow.fields();
        let stored: Vec<usize> = wanted.iter().copied().filter(|at| *at < fields.len()).collect();
        // Rows that are only counted are counted by some column.
        let read = if stored.is_empty() { vec![0] } else { stored };
        let names: Vec<&str> = read.iter().map(|at| fields[*at].name().as_str()).collect();
        let columns = self.table.snapshot.schema().project(&names).map_err(|error| failed(error, "projection"))?;
        let predicate = filter::predicate(filters, &self.schema, &self.table.arrow);
        let scan = self.table.scan(|builder| builder.with_schema(columns).with_predicate(predicate))?;
        let files = self.table.files(&scan).await?;
        let mut groups = vec![Vec::new(); width.clamp(1, files.len().max(1))];
        let count = groups.len();
        for (at, file) in files.into_iter().enumerate() {
            groups[at % count].push(file);
        }
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let keys = self.table.partition_columns();
        let columns = wanted.iter().map(|at| match fields.get(*at) {
            Some(field) => Made::Stored {
                conform: Conform::of(field.data_type(), &self.schema.fields()[*at]).unwrap_or(Conform::Same),
                key: Some(field.name().clone()).filter(|name| keys.contains(name)),
            },
            None => Made::Hidden(self.schema.field(*at).name().clone()),
        });
        let columns = columns.collect();
        let read = Arc::new(Reads { table: Arc::clone(&self.table), scan, columns, schema });
        Ok(Arc::new(DeltaExec { read, groups, limit, properties }))
    }
}

#[async_trait::async_trait]
impl TableProvider for DeltaScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters choose files; which rows pass is asked again behind the scan.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self.plan(state.config().target_partitions(), projection, filters, limit).await?)
    }
}

/// What all partitions of a scan share.
struct Reads {
    table: Arc<DeltaTable>,
    scan: Arc<Scan>,
    /// How each wanted column is made; none when rows are only counted.
    columns: Vec<Made>,
    schema: SchemaRef,
}

enum Made {
    /// Of the next of the log's columns, which has this name if it is a partition's.
    Stored { conform: Conform, key: Option<String> },
    /// Of what the log says of the file.
    Hidden(String),
}

impl Reads {
    /// Sends the rows of a file; `false` when nobody wants more.
    fn file(&self, file: &ScanFile, left: &mut usize, out: &Sender<DfResult<RecordBatch>>) -> Result<bool> {
        let location = self.table.place(file)?;
        let name = location.to_string();
        let broken = |error| failed(error, &name);
        let engine = self.table.engine.as_ref();
        let mut kept = file.dv_info.get_selection_vector(engine, self.table.snapshot.table_root()).map_err(broken)?;
        let size = u64::try_from(file.size).map_err(Error::internal)?;
        let meta = FileMeta { location, last_modified: file.modification_time, size };
        let physical = self.scan.physical_schema();
        let batches =
            engine.parquet_handler().read_parquet_files(&[meta], Arc::clone(physical), None).map_err(broken)?;
        for batch in batches {
            let batch = batch.map_err(broken)?;
            let logical =
                transform_to_logical(engine, batch, physical, self.scan.logical_schema(), file.transform.clone());
            let mut batch = logical.map_err(broken)?.try_into_record_batch().map_err(broken)?;
            if let Some(all) = &mut kept {
                // What the vector does not reach is kept.
                let rest = all.split_off(batch.num_rows().min(all.len()));
                let mut mine = std::mem::replace(all, rest);
                mine.resize(batch.num_rows(), true);
                batch = filter_record_batch(&batch, &BooleanArray::from(mine)).map_err(Error::internal)?;
            }
            let batch = self.conformed(&batch.slice(0, batch.num_rows().min(*left)), file)?;
            *left -= batch.num_rows();
            if out.blocking_send(Ok(batch)).is_err() || *left == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn conformed(&self, batch: &RecordBatch, file: &ScanFile) -> Result<RecordBatch> {
        let mut stored = batch.columns().iter();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (made, field) in self.columns.iter().zip(self.schema.fields()) {
            columns.push(match made {
                Made::Hidden(name) => self.hidden(name, file)?.to_array_of_size(batch.num_rows())?,
                Made::Stored { conform, key } => {
                    let column = stored.next().ok_or_else(|| Error::internal("a column has not been read"))?;
                    match key {
                        Some(key) if self.table.partition_value(file, key).is_none() => {
                            new_null_array(field.data_type(), batch.num_rows())
                        }
                        _ => conform.apply(column)?,
                    }
                }
            });
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows).map_err(Error::internal)
    }
}

impl Reads {
    fn hidden(&self, name: &str, file: &ScanFile) -> Result<ScalarValue> {
        Ok(match name {
            "$path" => ScalarValue::Utf8(Some(self.table.path(file)?)),
            "$file_size" => ScalarValue::Int64(Some(file.size)),
            _ => modified(Some(file.modification_time))?,
        })
    }
}

/// The physical plan of a [`DeltaScan`].
struct DeltaExec {
    read: Arc<Reads>,
    groups: Vec<Vec<ScanFile>>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl std::fmt::Debug for DeltaExec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeltaExec({:?})", self.read.table)
    }
}

impl DisplayAs for DeltaExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files: usize = self.groups.iter().map(Vec::len).sum();
        let names: Vec<&str> = Schema::fields(&self.read.schema).iter().map(|field| field.name().as_str()).collect();
        write!(f, "DeltaExec: files={files}, partitions={}, columns=[{}]", self.groups.len(), names.join(", "))
    }
}

impl ExecutionPlan for DeltaExec {
    fn name(&self) -> &'static str {
        "DeltaExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let read = Arc::clone(&self.read);
        let files = self.groups.get(partition).cloned().unwrap_or_default();
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&read.schema), 4);
        let out = stream.tx();
        stream.spawn_blocking(move || {
            for file in &files {
                if !read.file(file, &mut left, &out)? {
                    break;
                }
            }
            Ok(())
        });
        Ok(stream.build())
    }
}
