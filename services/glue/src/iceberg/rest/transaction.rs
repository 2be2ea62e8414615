//! What changes more than one record: commits of several tables, which are made together or not at all, and new names.

use api_glue::{CreateTable, DeleteTable, GetTable, Table, UpdateTable};
use serde::Deserialize;
use serde_json::json;
use wire::{Error, Operation as _};

use super::super::table::{Name, Next, place};
use super::tables::Changes;
use super::{Answer, Call, Identifier, bad, conflict, exists, no_namespace, no_table};
use crate::catalog;
use crate::scope::Scope;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Transaction {
    table_changes: Vec<Changes>,
}

#[derive(Deserialize)]
struct Renaming {
    source: Identifier,
    destination: Identifier,
}

impl Call<'_> {
    pub(super) async fn commit_transaction(&self) -> Result<Answer, Error> {
        let transaction: Transaction = self.body()?;
        let mut written = Vec::new();
        for changes in &transaction.table_changes {
            match self.prepare(changes, &written).await {
                Ok(one) => written.push(one),
                Err(error) => {
                    self.discard(written, &error).await;
                    return Err(error);
                }
            }
        }
        match self.put(&written).await {
            Ok(()) => {
                for (_, next) in &written {
                    next.settle(self.cx).await;
                }
                Ok(Answer::Nothing)
            }
            Err(error) => {
                self.discard(written, &error).await;
                Err(error)
            }
        }
    }

    /// Writes what one table is to become.
    async fn prepare(&self, changes: &Changes, before: &[(Name, Next)]) -> Result<(Name, Next), Error> {
        let name = changes.identifier.as_ref().ok_or_else(|| bad("Each change needs an identifier"))?.name()?;
        if before.iter().any(|(other, _)| *other == name) {
            return Err(bad(format_args!("Table {}.{} is changed twice", name.database, name.table)));
        }
        let cx = self.cx;
        let wanted = json!({ "DatabaseName": name.database, "TableInput": { "Name": name.table } });
        cx.router().admit(cx, UpdateTable::SPEC, &wanted).await?;
        let loaded = self.loaded(&name).await?;
        let builder = changes.on(Some(&loaded.metadata))?;
        Ok((name, Next::write(cx, &loaded.place, builder).await?))
    }

    /// All or none: each table must still be as it was when it was loaded.
    async fn put(&self, written: &[(Name, Next)]) -> Result<(), Error> {
        let scope = Scope::of(self.cx);
        let changes: Vec<(Name, String, Table)> = written
            .iter()
            .map(|(name, next)| (name.clone(), next.previous.clone(), next.describe(Table::default())))
            .collect();
        let now = self.cx.now();
        let put = self.cx.write(&self.glue.store, move |tx| {
            for (name, previous, new) in &changes {
                let old = catalog::find_table(tx, &scope, &name.database, &name.table)?;
                let Some(old) = old.filter(|old| place(old) == Some(previous)) else {
                    let message = format!("Cannot commit {}.{}: it has been changed", name.database, name.table);
                    return Err(conflict(message));
                };
                let mut table = old.clone();
                table.parameters.get_or_insert_default().extend(new.parameters.clone().unwrap_or_default());
                let storage = table.storage_descriptor.get_or_insert_default();
                if let Some(described) = &new.storage_descriptor {
                    storage.columns.clone_from(&described.columns);
                    storage.location.clone_from(&described.location);
                }
                table.description = new.description.clone().or(table.description);
                table.update_time = Some(now.into());
                catalog::replace_table(tx, &scope, &old, table, false)?;
            }
            Ok::<_, Error>(())
        });
        put.await
    }

    async fn discard(&self, written: Vec<(Name, Next)>, why: &Error) {
        for (_, next) in written {
            next.discard(self.cx, why).await;
        }
    }

    /// A table under another name, maybe of another database. It needs what making the one and deleting the other needs.
    pub(super) async fn rename_table(&self) -> Result<Answer, Error> {
        let asked: Renaming = self.body()?;
        let (from, to) = (asked.source.name()?, asked.destination.name()?);
        let to = Name { table: catalog::check_name(&to.table)?, ..to };
        let cx = self.cx;
        let source = json!({ "DatabaseName": from.database, "Name": from.table });
        cx.router().admit(cx, GetTable::SPEC, &source).await?;
        cx.router().admit(cx, DeleteTable::SPEC, &source).await?;
        let destination = json!({ "DatabaseName": to.database, "TableInput": { "Name": to.table } });
        cx.router().admit(cx, CreateTable::SPEC, &destination).await?;
        let (scope, now) = (Scope::of(cx), cx.now());
        cx.write(&self.glue.store, move |tx| {
            let found = catalog::find_table(tx, &scope, &from.database, &from.table)?;
            let found = found.filter(|table| place(table).is_some()).ok_or_else(|| no_table(&from))?;
            if tx.get(scope.database(&to.database))?.is_none() {
                return Err(no_namespace(&to.database));
            }
            if tx.get(scope.table(&to.database, &to.table))?.is_some() {
                return Err(exists("Table", &format!("{}.{}", to.database, to.table)));
            }
            let renamed = Table {
                name: to.table.clone(),
                database_name: Some(to.database.clone()),
                update_time: Some(now.into()),
                ..found
            };
            let (old, new) = ((&*from.database, &*from.table), (&*to.database, &*to.table));
            catalog::rename_table(tx, &scope, old, new)?;
            tx.put_json(scope.table(&to.database, &to.table), &renamed)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Answer::Nothing)
    }
}
