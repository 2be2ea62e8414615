//! CREATE TABLE AS, INSERT INTO and UNLOAD: rows to data files, one folder a partition, one file a bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{cast, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use trino_functions::Type;

use super::ddl::{encoded, partition};
use super::encode::{Encoding, FileWriter, HiveFormat, bucket, hive_format, texts};
use super::fit::fit;
use super::session::{Session, named};
use super::{Answer, FilesKind, Run, select};
use crate::catalog::{Column, SerdeInfo, StorageDescriptor, Table};
use crate::error::{Error, Result};
use crate::scan::{Projection, Properties, differs};
use crate::sql::{Ctas, Name, Property, Select};
use crate::storage::Location;
use crate::types::hive_type;
use crate::value::write_value;

/// Athena's own limit.
const MOST_PARTITIONS: usize = 100;
/// What the row groups of all open files may hold in memory together, before the largest is written out.
const MOST_BYTES: usize = 256 << 20;
/// Properties of CTAS that a Hive table knows.
const HIVE_PROPERTIES: &[&str] = &[
    "format",
    "external_location",
    "is_external",
    "table_type",
    "partitioned_by",
    "bucketed_by",
    "bucket_count",
    "write_compression",
    "parquet_compression",
    "orc_compression",
    "compression_level",
    "field_delimiter",
];

/// Athena's words (Athena User Guide, "Considerations and limitations for CTAS queries").
fn placed_elsewhere() -> Error {
    Error {
        category: 2,
        error_type: 1006,
        retryable: false,
        message: "The Create Table As Select query failed because it was submitted with an 'external_location' property to an \
                  Athena Workgroup that enforces a centralized output location for all queries. Please remove the \
                  'external_location' property and resubmit the query."
            .to_owned(),
    }
}

/// Where rows go and in which form.
struct Target<'a> {
    root: &'a Location,
    /// Names of the last columns, which become folders.
    keys: Vec<String>,
    /// Positions of the columns by which rows are put into buckets, and how many there are.
    buckets: Option<(Vec<usize>, i64)>,
    encoding: &'a Encoding,
    /// The table that has partitions already, or computes them.
    table: Option<Partitioned<'a>>,
    /// Whether each file begins with the names of its columns.
    header: bool,
}

struct Partitioned<'a> {
    database: &'a str,
    table: &'a Table,
    projection: Option<Projection>,
}

impl Run<'_> {
    pub(super) async fn ctas(&mut self, ctas: Ctas) -> Result<Answer> {
        let database = self.database_of(&ctas.name)?;
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
        let properties = texts(&ctas.properties);
        if properties.get("table_type").is_some_and(|ty| ty.eq_ignore_ascii_case("iceberg")) {
            return Box::pin(self.iceberg_ctas(&database, &ctas)).await;
        }
        let properties = hive_properties(&ctas)?;
        if self.job.place_enforced && properties.location.is_some() {
            return Err(placed_elsewhere());
        }
        let (session, plan) = self.plan(&ctas.select).await?;
        let plan = named(plan, &ctas.select)?;
        let table = ctas_table(&ctas, &properties, plan.schema().fields(), &self.ctas_location(&properties))?;
        let root = Location::parse(table.location().unwrap_or_default())?;
        self.must_be_empty(
            &root,
            &format!("Target directory for table '{database}.{}' already exists: {root}", ctas.name.name),
        )
        .await?;
        let written = if ctas.with_data {
            let target = Target {
                root: &root,
                keys: table.partition_keys.iter().map(|key| key.name.clone()).collect(),
                buckets: buckets(&table),
                encoding: &properties.encoding,
                table: None,
                header: false,
            };
            self.write(&session, plan, &target).await?
        } else {
            Written::default()
        };
        self.catalog.create_table(&database, table.clone()).await?;
        self.add_written(&database, &table, &written).await?;
        Ok(Answer::Files { kind: FilesKind::Ctas, files: written.files, rows: written.rows })
    }

    fn ctas_location(&self, properties: &HiveProperties) -> String {
        properties
            .location
            .clone()
            .unwrap_or_else(|| format!("{}/tables/{}/", self.job.output.trim_end_matches('/'), self.job.id))
    }

    async fn must_be_empty(&self, root: &Location, text: &str) -> Result<()> {
        let store = self.storage.bucket(&root.bucket)?;
        if store.list(Some(&root.path()?)).try_next().await?.is_some() {
            return Err(Error::user(
                1006,
                "HIVE_PATH_ALREADY_EXISTS",
                format_args!("{text}. You may need to manually clean the data at this location before retrying."),
            ));
        }
        Ok(())
    }

    /// `UNLOAD (query) TO 's3://…' WITH (format = …, compression = …, field_delimiter = …, partitioned_by = ARRAY[…])`
    pub(super) async fn unload(
        &mut self,
        select: Select,
        to: &str,
        properties: &[(String, Property)],
    ) -> Result<Answer> {
        let mut keys = Vec::new();
        for (key, value) in properties {
            match (key.as_str(), value) {
                ("partitioned_by", Property::List(names)) => {
                    keys = names.iter().map(|name| name.to_lowercase()).collect();
                }
                ("format" | "compression" | "field_delimiter" | "compression_level", Property::Text(_)) => {}
                (other, _) => {
                    return Err(Error::user(
                        1006,
                        "INVALID_TABLE_PROPERTY",
                        format_args!("line 1:1: Catalog 'awsdatacatalog' unload property '{other}' does not exist"),
                    ));
                }
            }
        }
        let texts = texts(properties);
        let Some(format) = texts.get("format") else {
            return Err(Error::user(1006, "INVALID_TABLE_PROPERTY", "line 1:1: UNLOAD needs the property 'format'"));
        };
        check_level(texts.get("compression_level").copied())?;
        let encoding =
            Encoding::named(format, texts.get("compression").copied(), texts.get("field_delimiter").copied())?;
        let root = Location::parse(to)?;
        self.must_be_empty(&root, &format!("Target directory for UNLOAD already exists: {to}")).await?;
        let (session, plan) = self.plan(&select).await?;
        let plan = named(plan, &select)?;
        let fields = plan.schema().fields().clone();
        let split = fields.len().saturating_sub(keys.len());
        let last: Vec<_> = fields.iter().skip(split).map(|field| field.name().clone()).collect();
        if last != keys {
            return Err(partitions_last(&keys));
        }
        known_types(&fields)?;
        hive_types(&fields)?;
        let target = Target { root: &root, keys, buckets: None, encoding: &encoding, table: None, header: false };
        let written = self.write(&session, plan, &target).await?;
        Ok(Answer::Files { kind: FilesKind::Insert, files: written.files, rows: written.rows })
    }

    pub(super) async fn insert(&mut self, name: Name, columns: Vec<String>, select: Select) -> Result<Answer> {
        let database = self.database_of(&name)?;
        let table = self.catalog.table(&database, &name.name).await?;
        let table = table
            .ok_or_else(|| Error::table_not_found(name.at, format_args!("awsdatacatalog.{database}.{}", name.name)))?;
        if table.is_view() {
            return Err(Error::not_supported("line 1:1: Inserting into views is not supported"));
        }
        if table.is_delta() {
            return Err(Error::not_supported("Athena reads Delta Lake tables and does not write them"));
        }
        if table.is_iceberg() {
            return Box::pin(self.iceberg_insert(&database, table, &columns, &select)).await;
        }
        if buckets(&table).is_some() {
            return Err(Error::not_supported(format_args!(
                "Cannot insert into bucketed Hive table '{database}.{}'",
                table.name
            )));
        }
        let encoding = Encoding::of(&table)?;
        let header = encoding.has_lines() && header(&table)?;
        let root = Location::parse(table.location().ok_or_else(|| Error::metastore("the table has no location"))?)?;
        let all: Vec<Column> = table.columns().iter().chain(&table.partition_keys).cloned().collect();
        let (session, plan) = self.plan(&select).await?;
        let fields = all.iter().map(|column| crate::types::parse_hive_field(&column.name.to_lowercase(), &column.ty));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let key_fields: Vec<_> = fields[table.columns().len()..].iter().map(|field| Arc::new(field.clone())).collect();
        let projection = Projection::of(&database, &table, &key_fields)?;
        let plan = fit(plan, &Schema::new(fields), &columns)?;
        let keys = table.partition_keys.iter().map(|key| key.name.clone()).collect();
        let partitioned = Partitioned { database: &database, table: &table, projection };
        let target = Target { root: &root, keys, buckets: None, encoding: &encoding, table: Some(partitioned), header };
        let written = self.write(&session, plan, &target).await?;
        self.add_written(&database, &table, &written).await?;
        if written.partitions.is_empty() {
            self.catalog.written(&database, &table.name).await?;
        }
        Ok(Answer::Files { kind: FilesKind::Insert, files: written.files, rows: written.rows })
    }

    /// Adds the partitions that rows were written into, where they were written. One that another has added meanwhile, or that was known
    /// before, must lie there too: its readers look nowhere else.
    async fn add_written(&self, database: &str, table: &Table, written: &Written) -> Result<()> {
        let partitions = written
            .partitions
            .iter()
            .map(|(values, folder)| partition(table, values.clone(), Some(format!("{}/", folder_text(folder)))))
            .collect::<Result<Vec<_>>>()?;
        if partitions.is_empty() {
            return Ok(());
        }
        for values in self.catalog.create_partitions(database, &table.name, partitions).await? {
            let known = self.catalog.partition(database, &table.name, &values).await?;
            let place = known.and_then(|known| known.storage_descriptor?.location).unwrap_or_default();
            let folder = written.partitions.iter().find(|(written, _)| *written == values).map(|(_, folder)| folder);
            let is_there = |folder: &Location| {
                Location::parse(&place).is_ok_and(|place| folder_text(&place) == folder_text(folder))
            };
            if let Some(folder) = folder.filter(|folder| !place.is_empty() && !is_there(folder)) {
                return Err(Error::user(
                    1006,
                    "HIVE_CONCURRENT_MODIFICATION_DETECTED",
                    format_args!(
                        "Partition {} of {database}.{} lies at '{place}' now; the statement has written its rows to '{}/'",
                        super::ddl::partition_name(table, &values),
                        table.name,
                        folder_text(folder)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Writes the plan's rows below the target's root. Files of one statement carry its id, so a repeated attempt
    /// overwrites them.
    async fn write(&self, session: &Session, plan: LogicalPlan, target: &Target<'_>) -> Result<Written> {
        let physical = select::physical(session, plan).await?;
        let schema = stored(&physical.schema(), target.keys.len())?;
        let mut stream = execute_stream(physical, session.context().task_ctx())?;
        let mut open: BTreeMap<PartitionBucket, OpenFile> = BTreeMap::new();
        let mut written = Written::default();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            written.rows += batch.num_rows() as u64;
            for (place, part) in split(&batch, &schema, target)? {
                if !open.contains_key(&place) {
                    if open.len() == MOST_PARTITIONS {
                        return Err(Error::user(
                            1006,
                            "HIVE_TOO_MANY_OPEN_PARTITIONS",
                            format_args!("Exceeded limit of {MOST_PARTITIONS} open writers for partitions/buckets"),
                        ));
                    }
                    let folder = self.folder_of(target, &place).await?;
                    // Partitions may lie at one place; each has a file of its own there.
                    let mut location = self.file_of(target, &place, &folder, 0);
                    let mut number = 0;
                    while open.values().any(|file| file.location == location) {
                        number += 1;
                        location = self.file_of(target, &place, &folder, number);
                    }
                    let store = self.storage.bucket(&location.bucket)?;
                    let mut writer = FileWriter::new(&store, location.path()?, target.encoding, &schema)?;
                    if target.header {
                        writer.header()?;
                    }
                    open.insert(place.clone(), OpenFile { folder, location, writer });
                }
                if let Some(file) = open.get_mut(&place) {
                    file.writer.write(&part).await?;
                }
            }
            spare_memory(&mut open).await?;
        }
        for (place, OpenFile { folder, location, writer }) in open {
            writer.close().await?;
            written.files.push(location.to_string());
            let computed = target.table.as_ref().is_some_and(|table| table.projection.is_some());
            let known = written.partitions.last().is_some_and(|(values, _)| *values == place.values);
            if !target.keys.is_empty() && !computed && !known {
                written.partitions.push((place.values, folder));
            }
        }
        Ok(written)
    }

    /// Where a partition's files are: where its readers look for them.
    async fn folder_of(&self, target: &Target<'_>, place: &PartitionBucket) -> Result<Location> {
        let mut key = target.root.key.trim_end_matches('/').to_owned();
        for (name, value) in target.keys.iter().zip(&place.values) {
            key = format!("{key}/{name}={}", encoded(value));
        }
        let usual = Location { bucket: target.root.bucket.clone(), key };
        let Some(Partitioned { database, table, projection }) = &target.table else { return Ok(usual) };
        if let Some(projection) = projection {
            let micros = i64::try_from(trino_functions::clock::now() / 1_000_000).unwrap_or_default();
            let now = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
            let found = projection.place(target.root, &place.values, now.naive_utc())?;
            return found.ok_or_else(|| {
                let name = super::ddl::partition_name(table, &place.values);
                Error::not_supported(format_args!("Partition {name} is none that the table's projection has"))
            });
        }
        if target.keys.is_empty() {
            return Ok(usual);
        }
        let Some(known) = self.catalog.partition(database, &table.name, &place.values).await? else {
            return Ok(usual);
        };
        let Some(storage) = known.storage_descriptor else { return Ok(usual) };
        if differs(&storage, table) {
            let name = super::ddl::partition_name(table, &place.values);
            let text = "has columns or a SerDe of its own, by which INSERT does not write";
            return Err(Error::not_supported(format_args!("Partition {name} of {database}.{} {text}", table.name)));
        }
        match storage.location.filter(|location| !location.is_empty()) {
            Some(location) => Location::parse(&location),
            None => Ok(usual),
        }
    }

    /// The file of a partition, or the next one in a folder that has one of this statement's already.
    fn file_of(&self, target: &Target<'_>, place: &PartitionBucket, folder: &Location, number: usize) -> Location {
        let key = folder.key.trim_end_matches('/').to_owned();
        let id = &self.job.id;
        let next = if number == 0 { String::new() } else { format!("_{number}") };
        let stem = match place.bucket {
            Some(bucket) => format!("{}_bucket-{bucket:05}{next}", id.replace('-', "_")),
            None => format!("{}_{id}{next}", id.replace('-', "_")),
        };
        let name = target.encoding.file_name(&stem);
        let key = if key.is_empty() { name } else { format!("{key}/{name}") };
        Location { bucket: folder.bucket.clone(), key }
    }
}

/// Writes out row groups, the largest first, while all together are too large.
async fn spare_memory(open: &mut BTreeMap<PartitionBucket, OpenFile>) -> Result<()> {
    let mut all: usize = open.values().map(|file| file.writer.waiting()).sum();
    while all > MOST_BYTES {
        let Some(largest) = open.values_mut().max_by_key(|file| file.writer.waiting()) else { break };
        all -= largest.writer.waiting();
        largest.writer.flush().await?;
    }
    Ok(())
}

/// A folder's URL without a slash at its end.
fn folder_text(folder: &Location) -> String {
    folder.to_string().trim_end_matches('/').to_owned()
}

/// Whether a table's readers skip the first line of each file, which a writer then has to write.
///
/// # Errors
/// `NOT_SUPPORTED` where they skip more, or lines at the end, as Trino refuses it; as its readers fail where the count is no number.
fn header(table: &Table) -> Result<bool> {
    let none = StorageDescriptor::default();
    let properties = Properties { storage: table.storage_descriptor.as_ref().unwrap_or(&none), table };
    if properties.count("skip.footer.line.count")? > 0 {
        let text = "Inserting into Hive table with skip.footer.line.count property not supported";
        return Err(Error::not_supported(text));
    }
    match properties.count("skip.header.line.count")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::not_supported(
            "Inserting into Hive table with value of skip.header.line.count property greater than 1 is not supported",
        )),
    }
}

/// The folder and the bucket of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PartitionBucket {
    values: Vec<String>,
    bucket: Option<i64>,
}

/// A file that rows go into.
struct OpenFile {
    folder: Location,
    location: Location,
    writer: FileWriter,
}

#[derive(Default)]
struct Written {
    files: Vec<String>,
    /// Values and folders.
    partitions: Vec<(Vec<String>, Location)>,
    rows: u64,
}

/// The properties of CTAS to a Hive table.
struct HiveProperties {
    location: Option<String>,
    format: HiveFormat,
    encoding: Encoding,
    compression: Option<String>,
    delimiter: Option<String>,
    partitioned_by: Vec<String>,
    bucketed_by: Vec<String>,
    buckets: i64,
}

fn hive_properties(ctas: &Ctas) -> Result<HiveProperties> {
    let list = |name: &str| {
        let found = ctas.properties.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        match found {
            None => Ok(Vec::new()),
            Some(Property::List(items)) => Ok(items.iter().map(|item| item.to_lowercase()).collect::<Vec<_>>()),
            Some(Property::Text(_)) => {
                Err(invalid(format_args!("Invalid value for catalog property '{name}': expected ARRAY")))
            }
        }
    };
    if let Some((unknown, _)) = ctas.properties.iter().find(|(key, _)| !HIVE_PROPERTIES.contains(&key.as_str())) {
        return Err(invalid(format_args!("Catalog 'awsdatacatalog' table property '{unknown}' does not exist")));
    }
    let texts = texts(&ctas.properties);
    let get = |key: &str| texts.get(key).copied();
    if let Some(ty) = get("table_type")
        && !ty.eq_ignore_ascii_case("hive")
    {
        return Err(invalid(format_args!("table_type '{ty}' is not supported: HIVE and ICEBERG are")));
    }
    if get("is_external").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        return Err(invalid("is_external = false is for Iceberg tables"));
    }
    check_level(get("compression_level"))?;
    let name = get("format").unwrap_or("PARQUET");
    let own = match name.to_ascii_uppercase().as_str() {
        "PARQUET" => get("parquet_compression"),
        "ORC" => get("orc_compression"),
        _ => None,
    };
    let compression = get("write_compression").or(own);
    let encoding = Encoding::named(name, compression, get("field_delimiter"))?;
    let format = hive_format(name).ok_or_else(|| Error::not_supported(format_args!("CTAS to {name}")))?;
    let bucketed_by = list("bucketed_by")?;
    let buckets =
        get("bucket_count").map(str::parse).transpose().map_err(|_| invalid("bucket_count must be a number"))?;
    let buckets = buckets.unwrap_or(0);
    if bucketed_by.is_empty() != (buckets == 0) {
        return Err(invalid("bucketed_by and bucket_count must be specified together"));
    }
    Ok(HiveProperties {
        location: get("external_location").map(str::to_owned),
        format,
        encoding,
        compression: compression.map(str::to_uppercase),
        delimiter: get("field_delimiter").map(str::to_owned),
        partitioned_by: list("partitioned_by")?,
        bucketed_by,
        buckets,
    })
}

fn invalid(text: impl std::fmt::Display) -> Error {
    Error::user(1006, "INVALID_TABLE_PROPERTY", format_args!("line 1:1: {text}"))
}

/// Levels are for ZSTD, 1 to 22. Files are written with its default level; what they hold does not hang on it.
fn check_level(level: Option<&str>) -> Result<()> {
    match level.map(str::parse::<u8>) {
        None | Some(Ok(1..=22)) => Ok(()),
        Some(_) => Err(invalid("compression_level must be from 1 to 22")),
    }
}

fn partitions_last(keys: &[String]) -> Error {
    Error::user(
        1006,
        "INVALID_TABLE_PROPERTY",
        format_args!(
            "Partition keys must be the last columns in the table and in the same order as the table properties: {keys:?}"
        ),
    )
}

/// A column of NULL alone has no type that a table could have.
pub(super) fn known_types(fields: &datafusion::arrow::datatypes::Fields) -> Result<()> {
    match fields.iter().enumerate().find(|(_, field)| field.data_type() == &DataType::Null) {
        None => Ok(()),
        Some((position, field)) => Err(Error::user(
            1006,
            "COLUMN_TYPE_UNKNOWN",
            format_args!("line 1:1: Column type is unknown at position {}: {}", position + 1, field.name()),
        )),
    }
}

/// Types that no table of Hive's has are refused before anything is written, as Athena's Hive connector does.
fn hive_types(fields: &datafusion::arrow::datatypes::Fields) -> Result<()> {
    fn unknown(ty: &Type) -> Option<&Type> {
        match ty {
            Type::Array(item) => unknown(item),
            Type::Map(key, value) => unknown(key).or_else(|| unknown(value)),
            Type::Row(fields) => fields.iter().find_map(|field| unknown(&field.1)),
            Type::Boolean
            | Type::Tinyint
            | Type::Smallint
            | Type::Integer
            | Type::Bigint
            | Type::Real
            | Type::Double
            | Type::Decimal(..)
            | Type::Varchar(_)
            | Type::Char(_)
            | Type::Varbinary
            | Type::Date
            | Type::Timestamp(_) => None,
            other => Some(other),
        }
    }
    match fields.iter().find_map(|field| unknown(&Type::of(field)).cloned()) {
        None => Ok(()),
        Some(ty) => Err(Error::not_supported(format_args!("Unsupported Hive type: {ty}"))),
    }
}

/// Each column that CTAS makes has a name.
pub(super) fn named_all(ctas: &Ctas, fields: &datafusion::arrow::datatypes::Fields) -> Result<()> {
    if let Some((position, _)) = ctas
        .select
        .labels
        .apply(&fields.iter().map(|field| field.name().clone()).collect::<Vec<_>>())
        .iter()
        .enumerate()
        .find(|(_, label)| label.is_none())
    {
        return Err(Error::user(
            1006,
            "MISSING_COLUMN_NAME",
            format_args!("line 1:1: Column name not specified at position {}", position + 1),
        ));
    }
    Ok(())
}

/// The table that CTAS makes of a query's columns.
fn ctas_table(
    ctas: &Ctas,
    properties: &HiveProperties,
    fields: &datafusion::arrow::datatypes::Fields,
    location: &str,
) -> Result<Table> {
    named_all(ctas, fields)?;
    known_types(fields)?;
    hive_types(fields)?;
    let split = fields.len().saturating_sub(properties.partitioned_by.len());
    let last: Vec<_> = fields.iter().skip(split).map(|field| field.name().clone()).collect();
    if last != properties.partitioned_by {
        return Err(partitions_last(&properties.partitioned_by));
    }
    if let Some(missing) =
        properties.bucketed_by.iter().find(|name| !fields.iter().take(split).any(|field| field.name() == *name))
    {
        return Err(invalid(format_args!("Bucketing columns [{missing}] not present in schema")));
    }
    let column = |field: &Arc<Field>| Column::new(field.name(), hive_type(field));
    let mut serde: BTreeMap<String, String> = [("serialization.format".to_owned(), "1".to_owned())].into();
    if let Some(delimiter) = &properties.delimiter {
        serde.insert("field.delim".to_owned(), delimiter.clone());
        serde.insert("serialization.format".to_owned(), delimiter.clone());
    }
    let mut parameters: BTreeMap<String, String> =
        [("EXTERNAL", "TRUE"), ("has_encrypted_data", "false")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    if let Some(compression) = &properties.compression {
        parameters.insert("write.compression".to_owned(), compression.clone());
    }
    Ok(Table {
        name: ctas.name.name.clone(),
        table_type: Some("EXTERNAL_TABLE".to_owned()),
        partition_keys: fields.iter().skip(split).map(column).collect(),
        parameters,
        storage_descriptor: Some(StorageDescriptor {
            columns: fields.iter().take(split).map(column).collect(),
            location: Some(location.to_owned()),
            input_format: Some(properties.format.input.to_owned()),
            output_format: Some(properties.format.output.to_owned()),
            compressed: Some(false),
            number_of_buckets: Some(properties.buckets),
            bucket_columns: properties.bucketed_by.clone(),
            serde_info: Some(SerdeInfo {
                name: Some(ctas.name.name.clone()),
                serialization_library: Some(properties.format.serde.to_owned()),
                parameters: serde,
            }),
            parameters: BTreeMap::new(),
            stored_as_sub_directories: Some(false),
            ..StorageDescriptor::default()
        }),
        ..Table::default()
    })
}

/// The positions of a table's bucketing columns and the number of buckets, if it has any.
fn buckets(table: &Table) -> Option<(Vec<usize>, i64)> {
    let storage = table.storage_descriptor.as_ref()?;
    let count = storage.number_of_buckets.filter(|count| *count > 0)?;
    let positions = storage
        .bucket_columns
        .iter()
        .map(|name| storage.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
        .collect::<Option<Vec<_>>>()?;
    (!positions.is_empty()).then_some((positions, count))
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

/// The batch's rows by the folder and the bucket that they belong to; columns that are folders are left out.
fn split(batch: &RecordBatch, schema: &SchemaRef, target: &Target<'_>) -> Result<Vec<(PartitionBucket, RecordBatch)>> {
    let width = schema.fields().len();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| cast(column, field.data_type()).map_err(Error::internal))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let whole = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(Error::internal)?;
    if target.keys.is_empty() && target.buckets.is_none() {
        return Ok(vec![(PartitionBucket { values: Vec::new(), bucket: None }, whole)]);
    }
    let mut groups: BTreeMap<PartitionBucket, Vec<u32>> = BTreeMap::new();
    for row in 0..batch.num_rows() {
        let values = batch.columns()[width..].iter().map(|column| partition_text(column.as_ref(), row)).collect();
        let bucket = match &target.buckets {
            None => None,
            Some((positions, count)) => {
                let columns: Vec<&dyn Array> = positions.iter().map(|at| whole.column(*at).as_ref()).collect();
                Some(bucket(&columns, row, *count)?)
            }
        };
        groups
            .entry(PartitionBucket { values, bucket })
            .or_default()
            .push(u32::try_from(row).map_err(Error::internal)?);
    }
    groups
        .into_iter()
        .map(|(place, rows)| Ok((place, take_record_batch(&whole, &UInt32Array::from(rows)).map_err(Error::internal)?)))
        .collect()
}

/// A partition's value as the catalog and the folder's name have it.
fn partition_text(column: &dyn Array, row: usize) -> String {
    let mut text = String::new();
    if write_value(column, row, &mut text) && !text.is_empty() { text } else { "__HIVE_DEFAULT_PARTITION__".to_owned() }
}
