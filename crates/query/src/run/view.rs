//! CREATE [OR REPLACE] VIEW and DROP VIEW.

use super::session::named;
use super::{Answer, Run};
use crate::catalog::{ViewColumn, ViewText};
use crate::error::{Error, Result};
use crate::sql::{Name, Select};
use crate::types::{hive_type, trino_type};

impl Run<'_> {
    pub(super) async fn create_view(
        &mut self,
        name: Name,
        or_replace: bool,
        sql: String,
        select: Select,
    ) -> Result<Answer> {
        let database = self.database_of(&name)?;
        if self.catalog.database(&database).await?.is_none() {
            return Err(Error::user(
                1107,
                "SCHEMA_NOT_FOUND",
                format_args!("line 1:1: Schema '{database}' does not exist"),
            ));
        }
        let existing = self.catalog.table(&database, &name.name).await?;
        match &existing {
            Some(table) if !table.is_view() => {
                return Err(Error::user(
                    1006,
                    "TABLE_ALREADY_EXISTS",
                    format_args!("line 1:1: Table already exists: awsdatacatalog.{database}.{}", name.name),
                ));
            }
            Some(_) if !or_replace => {
                return Err(Error::user(
                    1006,
                    "ALREADY_EXISTS",
                    format_args!("line 1:1: View already exists: awsdatacatalog.{database}.{}", name.name),
                ));
            }
            _ => {}
        }
        let (_, plan) = self.plan(&select).await?;
        let fields: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let labels = select.labels.apply(&fields);
        if let Some(position) = labels.iter().position(Option::is_none) {
            return Err(Error::user(
                1006,
                "MISSING_COLUMN_NAME",
                format_args!("line 1:1: Column name not specified at position {}", position + 1),
            ));
        }
        let plan = named(plan, &select)?;
        let (mut columns, mut hive) = (Vec::new(), Vec::new());
        for field in plan.schema().fields() {
            if columns.iter().any(|column: &ViewColumn| column.name == *field.name()) {
                return Err(Error::user(
                    1006,
                    "DUPLICATE_COLUMN_NAME",
                    format_args!("line 1:1: Column name '{}' specified more than once", field.name()),
                ));
            }
            columns.push(ViewColumn { name: field.name().clone(), ty: trino_type(field) });
            hive.push(hive_type(field));
        }
        let text = ViewText {
            original_sql: sql,
            catalog: "awsdatacatalog".to_owned(),
            schema: Some(self.job.database.to_lowercase()),
            columns,
        };
        let table = text.into_table(&name.name, &hive)?;
        match existing {
            Some(_) => self.catalog.update_table(&database, table).await?,
            None => self.catalog.create_table(&database, table).await?,
        }
        Ok(Answer::Lines { columns: Vec::new(), lines: Vec::new() })
    }

    pub(super) async fn drop_view(&mut self, name: Name, if_exists: bool) -> Result<Answer> {
        let database = self.database_of(&name)?;
        match self.catalog.table(&database, &name.name).await? {
            Some(table) if table.is_view() => self.catalog.delete_table(&database, &name.name).await?,
            Some(_) => {
                return Err(Error::user(
                    1006,
                    "GENERIC_USER_ERROR",
                    format_args!(
                        "line 1:1: View 'awsdatacatalog.{database}.{}' does not exist, but a table with that name exists. Did you mean DROP TABLE?",
                        name.name
                    ),
                ));
            }
            None if if_exists => {}
            None => {
                return Err(Error::user(
                    1110,
                    "TABLE_NOT_FOUND",
                    format_args!("line 1:1: View 'awsdatacatalog.{database}.{}' does not exist", name.name),
                ));
            }
        }
        Ok(Answer::Lines { columns: Vec::new(), lines: Vec::new() })
    }
}
