//! Statistics of columns, of tables and of partitions: kept as they are told. What is wrong with one is said beside the others.

use store::Key;

use super::prelude::*;

/// A type of statistics, and whether they are there.
type Kind = (&'static str, fn(&ColumnStatisticsData) -> bool);

const KINDS: [Kind; 7] = [
    ("BOOLEAN", |data| data.boolean_column_statistics_data.is_some()),
    ("DATE", |data| data.date_column_statistics_data.is_some()),
    ("DECIMAL", |data| data.decimal_column_statistics_data.is_some()),
    ("DOUBLE", |data| data.double_column_statistics_data.is_some()),
    ("LONG", |data| data.long_column_statistics_data.is_some()),
    ("STRING", |data| data.string_column_statistics_data.is_some()),
    ("BINARY", |data| data.binary_column_statistics_data.is_some()),
];

/// Whose columns: a table's, or one of its partitions'.
struct Whose {
    scope: Scope,
    db: String,
    table: String,
    partition: Option<Vec<String>>,
}

impl Whose {
    fn new(
        cx: &Cx,
        catalog_id: Option<&str>,
        (db, table): (&str, &str),
        partition: Option<Vec<String>>,
    ) -> Result<Self, Error> {
        let scope = Scope::catalog(cx, catalog_id)?;
        Ok(Self { scope, db: catalog::fold(db), table: catalog::fold(table), partition })
    }

    fn key(&self) -> Key {
        match &self.partition {
            None => self.scope.column_statistics(&self.db, &self.table),
            Some(values) => self.scope.partition_statistics(&self.db, &self.table, values),
        }
    }

    /// The columns that there are, if the table, and the partition, are.
    fn columns(&self, tx: &mut store::Tx<'_>) -> Result<Vec<String>, Error> {
        let table = catalog::table(tx, &self.scope, &self.db, &self.table)?;
        let storage = table.storage_descriptor.and_then(|storage| storage.columns);
        let mut columns = storage.unwrap_or_default();
        match &self.partition {
            None => columns.extend(table.partition_keys.unwrap_or_default()),
            Some(values) => {
                if tx.get(self.scope.partition(&self.db, &self.table, values))?.is_none() {
                    return Err(entity_not_found_exception("Cannot find partition."));
                }
            }
        }
        Ok(columns.into_iter().map(|column| catalog::fold(&column.name)).collect())
    }

    fn read(
        &self,
        tx: &mut store::Tx<'_>,
        names: &[String],
    ) -> Result<(Vec<ColumnStatistics>, Vec<ColumnError>), Error> {
        self.columns(tx)?;
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for name in names {
            match tx.get_json::<ColumnStatistics>(self.key().push(catalog::fold(name)))? {
                Some(statistics) => found.push(statistics),
                None => errors.push(ColumnError {
                    column_name: Some(name.clone()),
                    error: Some(detail("EntityNotFoundException", &format!("Statistics of column {name} not found."))),
                }),
            }
        }
        Ok((found, errors))
    }

    fn write(&self, tx: &mut store::Tx<'_>, all: &[ColumnStatistics]) -> Result<Vec<ColumnStatisticsError>, Error> {
        let columns = self.columns(tx)?;
        let mut errors = Vec::new();
        for one in all {
            let name = catalog::fold(&one.column_name);
            let kind = one.statistics_data.r#type.as_str();
            let wrong = if !columns.contains(&name) {
                Some(("EntityNotFoundException", format!("Column {} not found.", one.column_name)))
            } else if !KINDS.iter().any(|(known, is_there)| *known == kind && is_there(&one.statistics_data)) {
                Some(("InvalidInputException", format!("Statistics of type {kind} are not given for column {name}.")))
            } else {
                None
            };
            match wrong {
                None => tx.put_json(self.key().push(&name), one)?,
                Some((code, message)) => errors.push(ColumnStatisticsError {
                    column_statistics: Some(one.clone()),
                    error: Some(detail(code, &message)),
                }),
            }
        }
        Ok(errors)
    }

    fn delete(&self, tx: &mut store::Tx<'_>, column: &str) -> Result<(), Error> {
        self.columns(tx)?;
        let key = self.key().push(catalog::fold(column));
        if tx.get(&key)?.is_none() {
            return Err(entity_not_found_exception(format!("Statistics of column {column} not found.")));
        }
        tx.delete(key)?;
        Ok(())
    }
}

#[async_trait]
impl Handle<GetColumnStatisticsForTable> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetColumnStatisticsForTableRequest,
    ) -> Result<GetColumnStatisticsForTableResponse, Error> {
        let whose = Whose::new(cx, req.catalog_id.as_deref(), (&req.database_name, &req.table_name), None)?;
        let (found, errors) = self.store.read(|tx| whose.read(tx, &req.column_names)).await?;
        Ok(GetColumnStatisticsForTableResponse { column_statistics_list: Some(found), errors: Some(errors) })
    }
}

#[async_trait]
impl Handle<UpdateColumnStatisticsForTable> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateColumnStatisticsForTableRequest,
    ) -> Result<UpdateColumnStatisticsForTableResponse, Error> {
        let whose = Whose::new(cx, req.catalog_id.as_deref(), (&req.database_name, &req.table_name), None)?;
        let errors = cx.write(&self.store, move |tx| whose.write(tx, &req.column_statistics_list)).await?;
        Ok(UpdateColumnStatisticsForTableResponse { errors: Some(errors) })
    }
}

#[async_trait]
impl Handle<DeleteColumnStatisticsForTable> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteColumnStatisticsForTableRequest,
    ) -> Result<DeleteColumnStatisticsForTableResponse, Error> {
        let whose = Whose::new(cx, req.catalog_id.as_deref(), (&req.database_name, &req.table_name), None)?;
        cx.write(&self.store, move |tx| whose.delete(tx, &req.column_name)).await?;
        Ok(DeleteColumnStatisticsForTableResponse::default())
    }
}

#[async_trait]
impl Handle<GetColumnStatisticsForPartition> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetColumnStatisticsForPartitionRequest,
    ) -> Result<GetColumnStatisticsForPartitionResponse, Error> {
        let values = Some(req.partition_values);
        let whose = Whose::new(cx, req.catalog_id.as_deref(), (&req.database_name, &req.table_name), values)?;
        let (found, errors) = self.store.read(|tx| whose.read(tx, &req.column_names)).await?;
        Ok(GetColumnStatisticsForPartitionResponse { column_statistics_list: Some(found), errors: Some(errors) })
    }
}

#[async_trait]
impl Handle<UpdateColumnStatisticsForPartition> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateColumnStatisticsForPartitionRequest,
    ) -> Result<UpdateColumnStatisticsForPartitionResponse, Error> {
        let values = Some(req.partition_values);
        let whose = Whose::new(cx, req.catalog_id.as_deref(), (&req.database_name, &req.table_name), values)?;
        let errors = cx.write(&self.store, move |tx| whose.write(tx, &req.column_statistics_list)).await?;
        Ok(UpdateColumnStatisticsForPartitionResponse { errors: Some(errors) })
    }
}

#[async_trait]
impl Handle<DeleteColumnStatisticsForPartition> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteColumnStatisticsForPartitionRequest,
    ) -> Result<DeleteColumnStatisticsForPartitionResponse, Error> {
        let values = Some(req.partition_values);
        let whose = Whose::new(cx, req.catalog_id.as_deref(), (&req.database_name, &req.table_name), values)?;
        cx.write(&self.store, move |tx| whose.delete(tx, &req.column_name)).await?;
        Ok(DeleteColumnStatisticsForPartitionResponse::default())
    }
}
