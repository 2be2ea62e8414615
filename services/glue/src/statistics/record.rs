//! What is stored: runs by their ids, a table's runs and all runs by time, the run under way, settings.

use api_glue::error::entity_not_found_exception;
use api_glue::{ColumnStatisticsTaskRun, ColumnStatisticsTaskSettings};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;

use crate::catalog;
use crate::scope::Scope;

/// Whose columns.
#[derive(Debug, Clone)]
pub(crate) struct Of {
    pub(crate) scope: Scope,
    pub(crate) db: String,
    pub(crate) table: String,
}

impl Of {
    pub(crate) fn new(cx: &Cx, catalog_id: Option<&str>, db: &str, table: &str) -> Result<Self, Error> {
        let scope = Scope::catalog(cx, catalog_id)?;
        Ok(Self { scope, db: catalog::fold(db), table: catalog::fold(table) })
    }

    fn key(&self, kind: &str) -> Key {
        self.scope.key(kind).push(&self.db).push(&self.table)
    }

    /// The id of the run under way.
    pub(crate) fn running(&self) -> Key {
        self.key("statistics-running")
    }

    pub(crate) fn settings(&self) -> Key {
        self.key("statistics-settings")
    }

    /// The table's runs, the newest first.
    pub(crate) fn runs(&self) -> Key {
        self.key("statistics-run-of")
    }
}

/// What a run is to compute, and as whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) role: String,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) sample_size: Option<f64>,
    pub(crate) security_configuration: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) version: u32,
    /// As clients see it.
    pub(crate) shown: ColumnStatisticsTaskRun,
    pub(crate) stopping: bool,
}

impl Run {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.shown.status.as_deref(), Some("SUCCEEDED" | "FAILED" | "STOPPED"))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) version: u32,
    pub(crate) settings: ColumnStatisticsTaskSettings,
}

impl Settings {
    pub(crate) fn asked(&self) -> Asked {
        let settings = self.settings.clone();
        Asked {
            role: settings.role.unwrap_or_default(),
            columns: settings.column_name_list,
            sample_size: settings.sample_size,
            security_configuration: settings.security_configuration,
        }
    }
}

/// What the tasks of a run carry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payload {
    account: String,
    region: String,
    db: String,
    table: String,
    pub(crate) id: String,
}

impl Payload {
    pub(crate) fn new(of: &Of, id: &str) -> Self {
        let (account, region) = (of.scope.account.clone(), of.scope.region.clone());
        Self { account, region, db: of.db.clone(), table: of.table.clone(), id: id.to_owned() }
    }

    pub(crate) fn place(&self) -> (&str, &str) {
        (&self.account, &self.region)
    }

    pub(crate) fn of(&self) -> Of {
        let scope = Scope { account: self.account.clone(), region: self.region.clone() };
        Of { scope, db: self.db.clone(), table: self.table.clone() }
    }

    /// The name of the run's task.
    pub(crate) fn task(&self) -> String {
        format!("{}:{}", super::run::KIND, self.id)
    }
}

pub(crate) fn key(scope: &Scope, id: &str) -> Key {
    scope.key("statistics-run").push(id)
}

/// All runs, the newest first.
pub(crate) fn by_time(scope: &Scope) -> Key {
    scope.key("statistics-run-by-time")
}

pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, id: &str) -> Result<Run, Error> {
    let found = tx.get_json(key(scope, id))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Column statistics task run {id} not found")))
}

pub(crate) fn find_settings(tx: &mut Tx<'_>, of: &Of) -> Result<Settings, Error> {
    let found = tx.get_json(of.settings())?;
    found.ok_or_else(|| {
        let text = format!("Column statistics task settings not found for table {} in database {}", of.table, of.db);
        entity_not_found_exception(text)
    })
}

/// Enters a new run into the lists.
pub(crate) fn enter(tx: &mut Tx<'_>, of: &Of, id: &str, now: jiff::Timestamp) -> Result<(), Error> {
    let entry = serde_json::Value::from(id);
    for list in [of.runs(), by_time(&of.scope)] {
        tx.put_json(list.push_i64(-now.as_millisecond()).push(id), &entry)?;
    }
    Ok(())
}

/// Forgets the table's oldest runs, all but so many.
pub(crate) fn forget_beyond(tx: &mut Tx<'_>, of: &Of, kept: usize) -> Result<(), Error> {
    let entries = tx.scan_prefix(of.runs(), kept * 2)?;
    for (key_of_list, _) in entries.into_iter().skip(kept) {
        let mut parts = Key::parts(&key_of_list);
        let (Some(id), Some(at)) = (parts.pop(), parts.pop()) else { continue };
        let id = String::from_utf8_lossy(&id).into_owned();
        if tx.get_json::<Run>(key(&of.scope, &id))?.is_some_and(|run| !run.is_over()) {
            continue;
        }
        tx.delete(key(&of.scope, &id))?;
        tx.delete(by_time(&of.scope).push(&at).push(&id))?;
        tx.delete(key_of_list)?;
    }
    Ok(())
}
