//! CREATE [OR REPLACE] VIEW and DROP VIEW.

use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use trino_functions::Type;
use trino_functions::types::can_coerce;

use super::session::named;
use super::{Answer, Run};
use crate::analyze::cast_to;
use crate::catalog::{ViewColumn, ViewText};
use crate::error::{Error, Result};
use crate::sql::{Name, Select};
use crate::types::{hive_type, trino_type};

/// What a view's query gives as the columns that the view was made with; their number, names and types may have changed since with
/// those of its tables (Trino's `StatementAnalyzer.checkViewStaleness`).
pub(super) fn as_declared(plan: LogicalPlan, view: &ViewText, name: &str) -> Result<LogicalPlan> {
    if view.columns.is_empty() {
        return Ok(plan);
    }
    let stale = |why: String| {
        let text = format!("line 1:15: View '{name}' is stale or in invalid state: {why}");
        Err(Error::user(1006, "VIEW_IS_STALE", text))
    };
    let (stored, derived) = (view.columns.len(), plan.schema().fields().len());
    if stored != derived {
        return stale(format!(
            "stored view column count ({stored}) does not match column count derived from the view query analysis ({derived})"
        ));
    }
    let mut shown = Vec::with_capacity(derived);
    let mut changed = false;
    for (at, (declared, (qualifier, field))) in view.columns.iter().zip(plan.schema().iter()).enumerate() {
        let (own, stored) = (Type::of(field), &declared.name);
        let what = format!("column [{}] of type {own} projected from query view at position {at}", field.name());
        let of_stored = format!("column [{stored}] of type {} stored in view definition", declared.ty);
        if !stored.eq_ignore_ascii_case(field.name()) {
            return stale(format!("{what} has a different name from {of_stored}"));
        }
        let ty = Type::parse(&declared.ty).ok_or_else(|| {
            let text = format!("line 1:15: Unknown type '{}' for column '{stored}' in view: {name}", declared.ty);
            Error::user(1006, "INVALID_VIEW", text)
        })?;
        if trino_type(field) == declared.ty {
            shown.push(Expr::Column((qualifier, field).into()));
            continue;
        }
        if !can_coerce(&unnamed(&own), &unnamed(&ty)) {
            return stale(format!("{what} cannot be coerced to {of_stored}"));
        }
        let column = Expr::Column((qualifier, field).into());
        if own == ty {
            shown.push(column);
        } else {
            changed = true;
            shown.push(cast_to(column, &ty).alias_qualified(qualifier.cloned(), field.name()));
        }
    }
    if !changed {
        return Ok(plan);
    }
    Ok(LogicalPlanBuilder::from(plan).project(shown)?.build()?)
}

/// A type without the names of rows' fields.
fn unnamed(ty: &Type) -> Type {
    match ty {
        Type::Array(item) => Type::array(unnamed(item)),
        Type::Map(key, value) => Type::map(unnamed(key), unnamed(value)),
        Type::Row(fields) => Type::row(fields.iter().map(|(_, ty)| unnamed(ty)).collect()),
        other => other.clone(),
    }
}

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
            columns.push(ViewColumn { name: field.name().clone(), ty: Type::of(field).to_string() });
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
