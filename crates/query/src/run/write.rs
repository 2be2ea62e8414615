//! CREATE TABLE AS and INSERT INTO: rows to Parquet files, one folder a partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{cast, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::ddl::{PARQUET, partition, partition_name};
use super::session::{Session, named};
use super::{Answer, FilesKind, Run, select};
use crate::catalog::{Column, SerdeInfo, StorageDescriptor, Table};
use crate::error::{Error, Result};
use crate::scan::Format;
use crate::sql::{Ctas, Name, Select};
use crate::storage::Location;
use crate::types::hive_type;
use crate::value::write_value;

/// Athena's own limit.
const MOST_PARTITIONS: usize = 100;

impl Run<'_> {
    pub(super) async fn ctas(&mut self, ctas: Ctas) -> Result<Answer> {
        let database = self.database_of(&ctas.name);
        if self.catalog.database(&database).await?.is_none() {
            return Err(Error::user(
                1107,
                "SCHEMA_NOT_FOUND",
                format_args!("line 1:1: Schema '{database}' does not exist"),
            ));
        }
        if self.catalog.table(&database, &ctas.name.name).await?.is_some() {
            if ctas.if_not_exists {
                return Ok(Answer::Files { kind: FilesKind::Ctas, files: Vec::new(), rows: 0 });
            }
            return Err(Error::user(
                1006,
                "TABLE_ALREADY_EXISTS",
                format_args!(
                    "line 1:1: Destination table 'awsdatacatalog.{database}.{}' already exists",
                    ctas.name.name
                ),
            ));
        }
        let mut location = None;
        let mut compression = Compression::SNAPPY;
        for (key, value) in &ctas.properties {
            match key.as_str() {
                "format" if value.eq_ignore_ascii_case("parquet") => {}
                "format" => {
                    return Err(Error::not_supported(format_args!("CTAS to {value}; format = 'PARQUET' is supported")));
                }
                "external_location" | "location" => location = Some(value.clone()),
                "write_compression" | "parquet_compression" => compression = codec(value)?,
                "table_type" if value.eq_ignore_ascii_case("hive") => {}
                other => return Err(Error::not_supported(format_args!("CTAS table property '{other}' = '{value}'"))),
            }
        }
        let location =
            location.unwrap_or_else(|| format!("{}/tables/{}/", self.job.output.trim_end_matches('/'), self.job.id));
        let root = Location::parse(&location)?;
        let store = self.storage.bucket(&root.bucket)?;
        if store.list(Some(&root.path()?)).try_next().await?.is_some() {
            return Err(Error::user(
                1006,
                "HIVE_PATH_ALREADY_EXISTS",
                format_args!(
                    "Target directory for table '{database}.{}' already exists: {location}. You may need to manually clean the data at this location before retrying.",
                    ctas.name.name
                ),
            ));
        }

        let (session, plan) = self.plan(&ctas.select).await?;
        let plan = named(plan, &ctas.select)?;
        let fields = plan.schema().fields().clone();
        for (position, field) in fields.iter().enumerate() {
            if field.data_type() == &DataType::Null {
                return Err(Error::user(
                    1006,
                    "COLUMN_TYPE_UNKNOWN",
                    format_args!("line 1:1: Column type is unknown at position {}: {}", position + 1, field.name()),
                ));
            }
        }
        let split = fields.len().saturating_sub(ctas.partitioned_by.len());
        let last: Vec<_> = fields.iter().skip(split).map(|field| field.name().clone()).collect();
        if last != ctas.partitioned_by {
            return Err(Error::user(
                1006,
                "INVALID_TABLE_PROPERTY",
                format_args!(
                    "Partition keys must be the last columns in the table and in the same order as the table properties: {:?}",
                    ctas.partitioned_by
                ),
            ));
        }
        let column = |field: &Arc<Field>| Column::new(field.name(), hive_type(field));
        let table = Table {
            name: ctas.name.name.clone(),
            table_type: Some("EXTERNAL_TABLE".to_owned()),
            partition_keys: fields.iter().skip(split).map(column).collect(),
            parameters: [("EXTERNAL", "TRUE"), ("has_encrypted_data", "false")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            storage_descriptor: Some(StorageDescriptor {
                columns: fields.iter().take(split).map(column).collect(),
                location: Some(location.clone()),
                input_format: Some(PARQUET[1].to_owned()),
                output_format: Some(PARQUET[2].to_owned()),
                compressed: Some(false),
                number_of_buckets: Some(0),
                serde_info: Some(SerdeInfo {
                    name: Some(ctas.name.name.clone()),
                    serialization_library: Some(PARQUET[0].to_owned()),
                    parameters: [("serialization.format".to_owned(), "1".to_owned())].into(),
                }),
                parameters: BTreeMap::new(),
                stored_as_sub_directories: Some(false),
            }),
            ..Table::default()
        };
        let written = if ctas.with_data {
            self.write(&session, plan, &table, &root, compression).await?
        } else {
            Written::default()
        };
        self.catalog.create_table(&database, table.clone()).await?;
        self.add_written(&database, &table, &written).await?;
        Ok(Answer::Files { kind: FilesKind::Ctas, files: written.files, rows: written.rows })
    }

    pub(super) async fn insert(&mut self, name: Name, columns: Vec<String>, select: Select) -> Result<Answer> {
        let database = self.database_of(&name);
        let table = self.catalog.table(&database, &name.name).await?;
        let table = table
            .ok_or_else(|| Error::table_not_found(name.at, format_args!("awsdatacatalog.{database}.{}", name.name)))?;
        if table.is_view() {
            return Err(Error::not_supported("line 1:1: Inserting into views is not supported"));
        }
        if !matches!(Format::of(&table)?, Format::Parquet { .. }) {
            return Err(Error::not_supported("INSERT INTO a table that is not Parquet"));
        }
        let root = Location::parse(table.location().ok_or_else(|| Error::metastore("the table has no location"))?)?;
        let all: Vec<Column> = table.columns().iter().chain(&table.partition_keys).cloned().collect();
        let (session, plan) = self.plan(&select).await?;
        let given = plan.schema().fields().len();
        let names: Vec<String> =
            if columns.is_empty() { all.iter().map(|column| column.name.clone()).collect() } else { columns };
        if names.len() != given {
            return Err(Error::user(
                1006,
                "TYPE_MISMATCH",
                format_args!(
                    "line 1:1: Insert query has mismatched column count: table has {} columns, query has {given}",
                    names.len()
                ),
            ));
        }
        let plan = arrange(plan, &all, &names)?;
        let written = self.write(&session, plan, &table, &root, Compression::SNAPPY).await?;
        self.add_written(&database, &table, &written).await?;
        Ok(Answer::Files { kind: FilesKind::Insert, files: written.files, rows: written.rows })
    }

    async fn add_written(&self, database: &str, table: &Table, written: &Written) -> Result<()> {
        let partitions = written
            .partitions
            .iter()
            .map(|values| partition(table, values.clone(), None))
            .collect::<Result<Vec<_>>>()?;
        if !partitions.is_empty() {
            self.catalog.create_partitions(database, &table.name, partitions).await?;
        }
        Ok(())
    }

    /// Writes the plan's rows below `root`. Files of one statement carry its id, so a repeated attempt overwrites them.
    async fn write(
        &self,
        session: &Session,
        plan: LogicalPlan,
        table: &Table,
        root: &Location,
        compression: Compression,
    ) -> Result<Written> {
        let store = self.storage.bucket(&root.bucket)?;
        let physical = select::physical(session, plan).await?;
        let keys = table.partition_keys.len();
        let schema = stored(&physical.schema(), keys)?;
        let mut stream = execute_stream(physical, session.context().task_ctx())?;
        let mut open: BTreeMap<Vec<String>, Output> = BTreeMap::new();
        let mut written = Written::default();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            written.rows += batch.num_rows() as u64;
            for (values, part) in split(&batch, &schema, keys)? {
                if !open.contains_key(&values) {
                    if open.len() == MOST_PARTITIONS {
                        return Err(Error::user(
                            1006,
                            "HIVE_TOO_MANY_OPEN_PARTITIONS",
                            format_args!("Exceeded limit of {MOST_PARTITIONS} open writers for partitions/buckets"),
                        ));
                    }
                    let output = Output::new(&store, root, table, &values, &self.job.id, &schema, compression)?;
                    open.insert(values.clone(), output);
                }
                if let Some(output) = open.get_mut(&values) {
                    output.writer.write(&part).await.map_err(Error::internal)?;
                }
            }
        }
        for (values, output) in open {
            output.writer.close().await.map_err(Error::internal)?;
            written.files.push(output.url);
            if keys > 0 {
                written.partitions.push(values);
            }
        }
        Ok(written)
    }
}

#[derive(Default)]
struct Written {
    files: Vec<String>,
    partitions: Vec<Vec<String>>,
    rows: u64,
}

struct Output {
    writer: AsyncArrowWriter<BufWriter>,
    url: String,
}

impl Output {
    fn new(
        store: &Arc<dyn ObjectStore>,
        root: &Location,
        table: &Table,
        values: &[String],
        id: &str,
        schema: &SchemaRef,
        compression: Compression,
    ) -> Result<Self> {
        let mut key = root.key.trim_end_matches('/').to_owned();
        if !values.is_empty() {
            key = format!("{key}/{}", partition_name(table, values));
        }
        let location =
            Location { bucket: root.bucket.clone(), key: format!("{key}/{}_{id}.parquet", id.replace('-', "_")) };
        let properties = WriterProperties::builder().set_compression(compression).build();
        let sink = BufWriter::new(Arc::clone(store), location.path()?);
        let writer = AsyncArrowWriter::try_new(sink, Arc::clone(schema), Some(properties)).map_err(Error::internal)?;
        Ok(Self { writer, url: location.to_string() })
    }
}

fn codec(name: &str) -> Result<Compression> {
    match name.to_lowercase().as_str() {
        "snappy" => Ok(Compression::SNAPPY),
        "none" | "uncompressed" => Ok(Compression::UNCOMPRESSED),
        "gzip" => Ok(Compression::GZIP(parquet::basic::GzipLevel::default())),
        "zstd" => Ok(Compression::ZSTD(ZstdLevel::default())),
        other => Err(Error::not_supported(format_args!("compression '{other}' for PARQUET"))),
    }
}

/// The file's columns in the types that other readers of Parquet expect.
fn stored(schema: &Schema, keys: usize) -> Result<SchemaRef> {
    let width =
        schema.fields().len().checked_sub(keys).ok_or_else(|| Error::internal("fewer columns than partition keys"))?;
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .take(width)
        .map(|field| {
            let ty = match field.data_type() {
                DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                    DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
                }
                DataType::UInt64 | DataType::UInt32 => DataType::Int64,
                other => other.clone(),
            };
            Field::new(field.name(), ty, true)
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The batch's rows by the values of its last `keys` columns, which are left out.
fn split(batch: &RecordBatch, schema: &SchemaRef, keys: usize) -> Result<Vec<(Vec<String>, RecordBatch)>> {
    let width = schema.fields().len();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| cast(column, field.data_type()).map_err(Error::internal))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let whole = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(Error::internal)?;
    if keys == 0 {
        return Ok(vec![(Vec::new(), whole)]);
    }
    let mut groups: BTreeMap<Vec<String>, Vec<u32>> = BTreeMap::new();
    for row in 0..batch.num_rows() {
        let values = batch.columns()[width..]
            .iter()
            .map(|column| {
                let mut text = String::new();
                if write_value(column.as_ref(), row, &mut text) {
                    text
                } else {
                    "__HIVE_DEFAULT_PARTITION__".to_owned()
                }
            })
            .collect();
        groups.entry(values).or_default().push(u32::try_from(row).map_err(Error::internal)?);
    }
    groups
        .into_iter()
        .map(|(values, rows)| {
            Ok((values, take_record_batch(&whole, &UInt32Array::from(rows)).map_err(Error::internal)?))
        })
        .collect()
}

/// Puts the query's columns into the table's order and types; columns that are not given are null.
fn arrange(plan: LogicalPlan, table: &[Column], names: &[String]) -> Result<LogicalPlan> {
    use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
    let given = plan.schema().columns();
    if let Some(name) = names.iter().find(|name| !table.iter().any(|column| column.name.to_lowercase() == **name)) {
        return Err(Error::user(
            1006,
            "COLUMN_NOT_FOUND",
            format_args!("line 1:1: Insert column name does not exist in target table: {name}"),
        ));
    }
    let expressions = table
        .iter()
        .map(|column| {
            let name = column.name.to_lowercase();
            let field = crate::types::parse_hive_field(&name, &column.ty)?;
            let source = match names.iter().position(|given| *given == name) {
                Some(at) => Expr::Column(given[at].clone()),
                None => lit(datafusion::common::ScalarValue::Null),
            };
            Ok(datafusion::logical_expr::cast(source, field.data_type().clone()).alias(name))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}
