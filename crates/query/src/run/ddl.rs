//! Hive's statements that change the catalog.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use object_store::ObjectStore;

use super::encode::{HiveFormat, hive_format};
use super::iceberg::refuse;
use super::{Answer, Run};
use crate::catalog::{Column, Database, Partition, SerdeInfo, StorageDescriptor, Table};
use crate::delta::DeltaTable;
use crate::error::{Error, Result};
use crate::sql::{ColumnPosition, CreateTable, Name, PartitionSpec};
use crate::storage::Location;

const LAZY: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";

/// The format that a SerDe reads where no STORED AS says one.
fn by_serde(serde: Option<&str>) -> &'static str {
    match serde.and_then(|name| name.rsplit('.').next()).unwrap_or_default() {
        "ParquetHiveSerDe" => "PARQUET",
        "OrcSerde" => "ORC",
        "AvroSerDe" => "AVRO",
        _ => "TEXTFILE",
    }
}

fn done() -> Answer {
    Answer::Lines { columns: Vec::new(), lines: Vec::new() }
}

fn serde_parameters(serde: &str, given: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = given.into_iter().collect();
    if parameters.is_empty() || serde != LAZY {
        parameters.entry("serialization.format".to_owned()).or_insert_with(|| "1".to_owned());
    }
    parameters
}

/// Errors: what only Iceberg tables may have.
fn only_external(create: &CreateTable) -> Result<()> {
    if create.columns.iter().chain(&create.partition_keys).any(|column| column.ty.contains("timestamptz")) {
        return Err(Error::ddl("The type timestamptz is supported for table type ICEBERG only"));
    }
    if !create.external {
        return Err(Error::ddl("Only external tables are supported: use CREATE EXTERNAL TABLE"));
    }
    if !create.partitioning.is_empty() {
        return Err(Error::ddl("PARTITIONED BY needs a type for each column of a Hive table"));
    }
    Ok(())
}

/// Errors: columns of one name, and buckets by what is no column.
fn once_each(create: &CreateTable) -> Result<()> {
    if let Some(name) = twice(&create.columns) {
        return Err(Error::hive(10036, format_args!("Duplicate column name: {name}")));
    }
    let repeated = twice(&create.partition_keys).is_some()
        || create.partition_keys.iter().any(|key| create.columns.iter().any(|column| column.name == key.name));
    if repeated {
        return Err(Error::hive(10035, "Column repeated in partitioning columns"));
    }
    match create.bucketed_by.iter().find(|name| !create.columns.iter().any(|column| column.name == **name)) {
        Some(name) => Err(Error::hive(10002, format_args!("Invalid column reference '{name}'"))),
        None => Ok(()),
    }
}

/// A name that several columns have.
fn twice(columns: &[Column]) -> Option<&str> {
    let again = |(at, column): (usize, &Column)| columns[..at].iter().any(|other| other.name == column.name);
    columns.iter().enumerate().find(|found| again(*found)).map(|(_, column)| column.name.as_str())
}

/// How often a table that others change meanwhile is looked at again.
const TRIES: usize = 5;

impl Run<'_> {
    pub(super) async fn create_table(&mut self, create: CreateTable) -> Result<Answer> {
        let Some(name) = create.name.clone() else { return Err(Error::internal("a table without a name")) };
        let database = self.database_of(&name)?;
        if self.catalog.database(&database).await?.is_none() {
            return Err(Error::ddl(format_args!("Database {database} not found")));
        }
        if self.catalog.table(&database, &name.name).await?.is_some() {
            if create.if_not_exists {
                return Ok(done());
            }
            return Err(Error::ddl(format_args!("AlreadyExistsException(message:Table {} already exists)", name.name)));
        }
        once_each(&create)?;
        let properties: BTreeMap<String, String> = create.properties.iter().cloned().collect();
        if properties.get("table_type").is_some_and(|ty| ty.eq_ignore_ascii_case("iceberg")) {
            if create.external {
                return Err(Error::ddl("External keyword not supported for table type ICEBERG"));
            }
            return Box::pin(self.create_iceberg(&database, &name, create, properties)).await;
        }
        only_external(&create)?;
        let is_delta = properties.get("table_type").is_some_and(|ty| ty.eq_ignore_ascii_case("delta"));
        let create = if is_delta { self.with_log(&database, &name, create).await? } else { create };
        let Some(location) = create.location else {
            return Err(Error::ddl("MetaException(message:LOCATION is missing: an external table needs one)"));
        };
        Location::parse(&location)?;
        let stored = match create.stored_as.as_deref() {
            // A SerDe of a format of its own brings the format's readers along.
            None => by_serde(create.serde.as_deref()),
            Some("JSONFILE") => "JSON",
            Some(other) => other,
        };
        let HiveFormat { serde, input, output } =
            hive_format(stored).ok_or_else(|| Error::not_supported(format_args!("STORED AS {stored}")))?;
        let serde = create.serde.as_deref().unwrap_or(serde);
        let serde_parameters = serde_parameters(serde, create.serde_properties);
        let table = Table {
            name: name.name.clone(),
            description: create.comment,
            table_type: Some("EXTERNAL_TABLE".to_owned()),
            partition_keys: create.partition_keys,
            parameters: properties.into_iter().chain([("EXTERNAL".to_owned(), "TRUE".to_owned())]).collect(),
            storage_descriptor: Some(StorageDescriptor {
                columns: create.columns,
                location: Some(location),
                input_format: Some(create.input_format.unwrap_or_else(|| input.to_owned())),
                output_format: Some(create.output_format.unwrap_or_else(|| output.to_owned())),
                compressed: Some(false),
                number_of_buckets: Some(if create.buckets > 0 { create.buckets } else { -1 }),
                bucket_columns: create.bucketed_by,
                serde_info: Some(SerdeInfo {
                    name: None,
                    serialization_library: Some(serde.to_owned()),
                    parameters: serde_parameters,
                }),
                parameters: BTreeMap::new(),
                stored_as_sub_directories: Some(false),
                ..StorageDescriptor::default()
            }),
            ..Table::default()
        };
        self.catalog.create_table(&database, table).await?;
        Ok(done())
    }

    /// What CREATE EXTERNAL TABLE says of a Delta table that is there, with the columns of its log. Source: Athena's guide, "Get started with
    /// Delta Lake tables". Errors: columns or a format beside the log's.
    async fn with_log(&self, database: &str, name: &Name, create: CreateTable) -> Result<CreateTable> {
        let Some(location) = &create.location else { return Ok(create) };
        let columns = !create.columns.is_empty() || !create.partition_keys.is_empty() || create.buckets > 0;
        let serde = create.serde.is_some() || !create.serde_properties.is_empty();
        if columns
            || serde
            || [&create.stored_as, &create.input_format, &create.output_format].iter().any(|f| f.is_some())
        {
            return Err(Error::ddl(
                "A Delta Lake table takes its columns and format from its log: give LOCATION and table_type only",
            ));
        }
        let delta = DeltaTable::at(&self.storage, location, &format!("{database}.{}", name.name)).await?;
        let (columns, partition_keys) = delta.catalog_columns();
        Ok(CreateTable { columns, partition_keys, stored_as: Some("PARQUET".to_owned()), ..create })
    }

    /// The table that a statement changes. Errors: its columns and partitions are a Delta log's, which Athena's DDL leaves alone (Athena's
    /// guide, "Limited DDL support").
    async fn changed(&self, name: &Name) -> Result<(String, Table)> {
        let (database, table) = self.table(name).await?;
        if table.is_delta() {
            return Err(Error::not_supported(format_args!(
                "This statement is not supported for the Delta Lake table {}",
                table.name
            )));
        }
        Ok((database, table))
    }

    /// CREATE TABLE of an Iceberg table, which has neither a SerDe nor buckets nor typed partition keys.
    async fn create_iceberg(
        &self,
        database: &str,
        name: &Name,
        create: CreateTable,
        properties: BTreeMap<String, String>,
    ) -> Result<Answer> {
        let hive_words = create.serde.is_some()
            || create.delimited
            || create.stored_as.is_some()
            || create.input_format.is_some()
            || !create.serde_properties.is_empty()
            || create.buckets > 0
            || !create.partition_keys.is_empty();
        if hive_words {
            return Err(Error::ddl(
                "ROW FORMAT, STORED AS, CLUSTERED BY and partition columns with types are not supported for table type ICEBERG",
            ));
        }
        let CreateTable { columns, partitioning, location, comment, .. } = create;
        self.iceberg_create(database, name, columns, &partitioning, location, comment, properties).await
    }

    pub(super) async fn drop_table(&mut self, name: Name, if_exists: bool) -> Result<Answer> {
        let database = self.database_of(&name)?;
        match self.catalog.table(&database, &name.name).await? {
            Some(table) if table.is_view() => {
                return Err(Error::ddl("Cannot drop a view with DROP TABLE"));
            }
            Some(table) => self.drop_one(&database, &table).await?,
            None if if_exists => {}
            None => return Err(Error::ddl_table_not_found(&name.name)),
        }
        Ok(done())
    }

    /// Which files go is found out before the table goes: afterwards its place may be another's. The table goes as it was then; where
    /// others have changed it meanwhile, its files are found out again.
    async fn drop_one(&mut self, database: &str, table: &Table) -> Result<()> {
        let mut table = table.clone();
        for _ in 0..TRIES {
            let files = if table.is_iceberg() { Box::pin(self.iceberg_files(&table)).await? } else { BTreeSet::new() };
            if self.catalog.delete_known(database, &table).await? {
                return Box::pin(self.remove_all(&files)).await;
            }
            match self.catalog.table(database, &table.name).await? {
                None => return Ok(()),
                Some(now) if now.location() == table.location() && now.is_iceberg() == table.is_iceberg() => {
                    table = now;
                }
                // Another has been made under its name.
                Some(_) => break,
            }
        }
        Err(changed_meanwhile(database, &table.name))
    }

    pub(super) async fn create_database(&mut self, database: Database, if_not_exists: bool) -> Result<Answer> {
        if self.catalog.database(&database.name).await?.is_some() {
            if if_not_exists {
                return Ok(done());
            }
            return Err(Error::ddl(format_args!(
                "AlreadyExistsException(message:Database {} already exists)",
                database.name
            )));
        }
        self.catalog.create_database(database).await?;
        Ok(done())
    }

    pub(super) async fn drop_database(&mut self, name: &str, if_exists: bool, cascade: bool) -> Result<Answer> {
        if self.catalog.database(name).await?.is_none() {
            if if_exists {
                return Ok(done());
            }
            return Err(Error::ddl(format_args!("NoSuchObjectException(message:Database {name} not found)")));
        }
        let tables = self.catalog.tables(name).await?;
        if !tables.is_empty() && !cascade {
            return Err(Error::ddl(format_args!(
                "InvalidOperationException(message:Database {name} is not empty. One or more tables exist.)"
            )));
        }
        for table in tables {
            self.drop_one(name, &table).await?;
        }
        self.catalog.delete_database(name).await?;
        Ok(done())
    }

    pub(super) async fn add_partitions(
        &mut self,
        name: &Name,
        if_not_exists: bool,
        specs: Vec<PartitionSpec>,
    ) -> Result<Answer> {
        let (database, table) = self.changed(name).await?;
        refuse(&table, "ALTER TABLE ADD PARTITION")?;
        let mut partitions = Vec::new();
        for spec in specs {
            let values = ordered(&table, &spec.values)?;
            partitions.push(partition(&table, values, spec.location)?);
        }
        let existing = self.catalog.create_partitions(&database, &table.name, partitions).await?;
        match existing.first() {
            Some(values) if !if_not_exists => Err(Error::ddl(format_args!(
                "AlreadyExistsException(message:Partition already exists: {})",
                partition_name(&table, values)
            ))),
            _ => Ok(done()),
        }
    }

    pub(super) async fn drop_partitions(
        &mut self,
        name: &Name,
        if_exists: bool,
        specs: Vec<Vec<(String, String)>>,
    ) -> Result<Answer> {
        let (database, table) = self.changed(name).await?;
        refuse(&table, "ALTER TABLE DROP PARTITION")?;
        for spec in specs {
            let values = ordered(&table, &spec)?;
            let dropped = self.catalog.delete_partition(&database, &table.name, &values).await?;
            if !dropped && !if_exists {
                return Err(Error::ddl(format_args!("Partition not found {}", partition_name(&table, &values))));
            }
        }
        Ok(done())
    }

    /// MSCK REPAIR TABLE: adds the partitions whose `key=value` folders are there; removes none.
    pub(super) async fn repair(&mut self, name: &Name) -> Result<Answer> {
        let (database, table) = self.changed(name).await?;
        refuse(&table, "MSCK REPAIR TABLE")?;
        let root = Location::parse(table.location().ok_or_else(|| Error::ddl("the table has no location"))?)?;
        let prefix = root.path()?;
        let store = self.storage.bucket(&root.bucket)?;
        let metas: Vec<_> = store.list(Some(&prefix)).try_collect().await?;
        let mut found = BTreeSet::new();
        for meta in &metas {
            let below =
                meta.location.as_ref().strip_prefix(prefix.as_ref()).unwrap_or_default().trim_start_matches('/');
            let mut folders = below.split('/');
            let values: Option<Vec<String>> = table
                .partition_keys
                .iter()
                .map(|key| {
                    let (found, value) = folders.next()?.split_once('=')?;
                    (found == key.name).then(|| decode(value))
                })
                .collect();
            // The file itself must follow the folders.
            if let Some(values) = values
                && folders.next().is_some_and(|rest| !rest.starts_with(['_', '.']))
                && !values.is_empty()
            {
                let folder: Vec<&str> = below.split('/').take(values.len()).collect();
                found.insert((values, format!("{}/", folder.join("/"))));
            }
        }
        let known: BTreeSet<Vec<String>> = self
            .catalog
            .partitions(&database, &table.name)
            .await?
            .into_iter()
            .map(|partition| partition.values)
            .collect();
        let slash = if root.key.is_empty() || root.key.ends_with('/') { "" } else { "/" };
        let new: Vec<_> = found.into_iter().filter(|(values, _)| !known.contains(values)).collect();
        let mut partitions = Vec::new();
        let mut lines = Vec::new();
        if !new.is_empty() {
            let names: Vec<_> =
                new.iter().map(|(_, folder)| format!("{}:{}", table.name, folder.trim_end_matches('/'))).collect();
            lines.push(format!("Partitions not in metastore:\t{}", names.join("\t")));
        }
        for (values, folder) in new {
            lines.push(format!("Repair: Added partition to metastore {}:{}", table.name, folder.trim_end_matches('/')));
            partitions.push(partition(
                &table,
                values,
                Some(format!("s3://{}/{}{slash}{folder}", root.bucket, root.key)),
            )?);
        }
        self.catalog.create_partitions(&database, &table.name, partitions).await?;
        Ok(Answer::Lines { columns: Vec::new(), lines })
    }

    pub(super) async fn set_location(
        &mut self,
        name: &Name,
        spec: Option<Vec<(String, String)>>,
        location: String,
    ) -> Result<Answer> {
        let (database, mut table) = self.changed(name).await?;
        refuse(&table, "ALTER TABLE SET LOCATION")?;
        Location::parse(&location)?;
        match spec {
            None => {
                table.storage_descriptor.get_or_insert_default().location = Some(location);
                self.catalog.update_table(&database, table).await?;
            }
            Some(spec) => {
                let values = ordered(&table, &spec)?;
                let mut moved = self.existing(&database, &table, &values).await?;
                moved.storage_descriptor.get_or_insert_default().location = Some(location);
                self.catalog.update_partition(&database, &table.name, &values, moved).await?;
            }
        }
        Ok(done())
    }

    pub(super) async fn set_properties(&mut self, name: &Name, properties: Vec<(String, String)>) -> Result<Answer> {
        let (database, mut table) = self.changed(name).await?;
        if table.is_iceberg() {
            return Box::pin(self.iceberg_properties(&database, &table, &properties, &[])).await;
        }
        table.parameters.extend(properties);
        self.catalog.update_table(&database, table).await?;
        Ok(done())
    }

    pub(super) async fn unset_properties(&mut self, name: &Name, keys: &[String]) -> Result<Answer> {
        let (database, mut table) = self.changed(name).await?;
        if table.is_iceberg() {
            return Box::pin(self.iceberg_properties(&database, &table, &[], keys)).await;
        }
        table.parameters.retain(|key, _| !keys.contains(key));
        self.catalog.update_table(&database, table).await?;
        Ok(done())
    }

    pub(super) async fn set_database_properties(
        &mut self,
        name: &str,
        properties: Vec<(String, String)>,
    ) -> Result<Answer> {
        let Some(mut database) = self.catalog.database(name).await? else {
            return Err(Error::ddl(format_args!("NoSuchObjectException(message:Database {name} not found)")));
        };
        database.parameters.extend(properties);
        self.catalog.update_database(database).await?;
        Ok(done())
    }

    /// One step of the catalog: what others commit is in the table before it, or finds no table of the old name. Data stays where it is.
    pub(super) async fn rename_table(&mut self, name: &Name, to: &Name) -> Result<Answer> {
        self.owned(to)?;
        for _ in 0..TRIES {
            let (database, table) = self.changed(name).await?;
            if to.database.as_ref().is_some_and(|other| *other != database) {
                return Err(Error::ddl(format_args!("Unable to move table {} to another database", table.name)));
            }
            if table.is_view() {
                return Err(Error::ddl(format_args!("{} is a view", table.name)));
            }
            if self.catalog.table(&database, &to.name).await?.is_some() {
                let text = format_args!("AlreadyExistsException(message:Table {} already exists)", to.name);
                return Err(Error::ddl(text));
            }
            if self.catalog.rename_table(&database, &table, &to.name).await? {
                return Ok(done());
            }
        }
        Err(changed_meanwhile(&self.database_of(name)?, &name.name))
    }

    pub(super) async fn rename_partition(
        &mut self,
        name: &Name,
        from: &[(String, String)],
        to: &[(String, String)],
    ) -> Result<Answer> {
        let (database, table) = self.changed(name).await?;
        refuse(&table, "ALTER TABLE RENAME PARTITION")?;
        let (from, to) = (ordered(&table, from)?, ordered(&table, to)?);
        if self.catalog.partition(&database, &table.name, &to).await?.is_some() {
            return Err(Error::ddl(format_args!("Partition already exists: {}", partition_name(&table, &to))));
        }
        let mut moved = self.existing(&database, &table, &from).await?;
        moved.values = to;
        self.catalog.update_partition(&database, &table.name, &from, moved).await?;
        Ok(done())
    }

    /// A partition with all that is its own: its columns and SerDe may be others than the table's.
    async fn existing(&self, database: &str, table: &Table, values: &[String]) -> Result<Partition> {
        let found = self.catalog.partition(database, &table.name, values).await?;
        found.ok_or_else(|| Error::ddl(format_args!("Partition not found {}", partition_name(table, values))))
    }

    pub(super) async fn change_column(
        &mut self,
        name: &Name,
        old: &str,
        new: Column,
        place: Option<ColumnPosition>,
    ) -> Result<Answer> {
        let (database, mut table) = self.changed(name).await?;
        if table.is_iceberg() {
            return Box::pin(self.iceberg_change_column(&database, &table, old, &new, place)).await;
        }
        if place.is_some() {
            return Err(Error::not_supported("CHANGE COLUMN with FIRST or AFTER in a Hive table"));
        }
        let is_key = table.partition_keys.iter().any(|key| key.name == new.name);
        let columns = &mut table.storage_descriptor.get_or_insert_default().columns;
        if new.name != old && (is_key || columns.iter().any(|column| column.name == new.name)) {
            return Err(Error::ddl(format_args!("Duplicate column name: {}", new.name)));
        }
        let Some(column) = columns.iter_mut().find(|column| column.name == old) else {
            return Err(Error::ddl(format_args!("Invalid column reference {old}")));
        };
        *column = Column { comment: new.comment.or_else(|| column.comment.take()), ..new };
        self.catalog.update_table(&database, table).await?;
        Ok(done())
    }

    pub(super) async fn drop_column(&mut self, name: &Name, column: &str) -> Result<Answer> {
        let (database, mut table) = self.changed(name).await?;
        if table.is_iceberg() {
            return Box::pin(self.iceberg_drop_column(&database, &table, column)).await;
        }
        let columns = &mut table.storage_descriptor.get_or_insert_default().columns;
        let before = columns.len();
        columns.retain(|known| known.name != column);
        if columns.len() == before {
            return Err(Error::ddl(format_args!("Invalid column reference {column}")));
        }
        self.catalog.update_table(&database, table).await?;
        Ok(done())
    }

    pub(super) async fn set_columns(&mut self, name: &Name, columns: Vec<Column>, replace: bool) -> Result<Answer> {
        let (database, mut table) = self.changed(name).await?;
        if table.is_iceberg() {
            return Box::pin(self.iceberg_columns(&database, &table, &columns, replace)).await;
        }
        let key = |column: &&Column| table.partition_keys.iter().any(|key| key.name == column.name);
        if let Some(name) = twice(&columns).or_else(|| columns.iter().find(key).map(|column| column.name.as_str())) {
            return Err(Error::ddl(format_args!("Duplicate column name: {name}")));
        }
        let storage = table.storage_descriptor.get_or_insert_default();
        if replace {
            storage.columns = columns;
        } else {
            if let Some(column) =
                columns.iter().find(|column| storage.columns.iter().any(|known| known.name == column.name))
            {
                return Err(Error::ddl(format_args!("Duplicate column name: {}", column.name)));
            }
            storage.columns.extend(columns);
        }
        self.catalog.update_table(&database, table).await?;
        Ok(done())
    }
}

/// The values in the order of the table's keys.
fn ordered(table: &Table, spec: &[(String, String)]) -> Result<Vec<String>> {
    if spec.len() != table.partition_keys.len() {
        return Err(Error::ddl(format_args!("partition spec is incomplete or wrong: {spec:?}")));
    }
    table
        .partition_keys
        .iter()
        .map(|key| {
            spec.iter().find(|(name, _)| *name == key.name.to_lowercase()).map(|(_, value)| value.clone()).ok_or_else(
                || Error::ddl(format_args!("table is not partitioned by what is given: {} is missing", key.name)),
            )
        })
        .collect()
}

pub(super) fn partition_name(table: &Table, values: &[String]) -> String {
    let pairs: Vec<_> = table
        .partition_keys
        .iter()
        .zip(values)
        .map(|(key, value)| format!("{}={}", key.name, encoded(value)))
        .collect();
    pairs.join("/")
}

/// A partition that reads like its table.
pub(super) fn partition(table: &Table, values: Vec<String>, location: Option<String>) -> Result<Partition> {
    let storage = table.storage_descriptor.clone().ok_or_else(|| Error::ddl("the table has no storage"))?;
    let location = location.unwrap_or_else(|| {
        let root = storage.location.as_deref().unwrap_or_default();
        format!("{}/{}/", root.trim_end_matches('/'), partition_name(table, &values))
    });
    Location::parse(&location)?;
    Ok(Partition {
        values,
        storage_descriptor: Some(StorageDescriptor { location: Some(location), ..storage }),
        ..Partition::default()
    })
}

fn changed_meanwhile(database: &str, name: &str) -> Error {
    Error::ddl(format_args!(
        "ConcurrentModificationException(message:Table {database}.{name} has been changed meanwhile)"
    ))
}

/// `:` → `%3A`: characters that Hive does not put into the names of folders.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_control() || "\"#%'*/:=?\\{[]^\u{7f}".contains(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = std::fmt::Write::write_fmt(&mut out, format_args!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// `%3A` → `:`, as Hive names folders.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
