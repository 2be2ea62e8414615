//! Statistics of columns that the catalog computes itself: task runs, and settings that start them on a schedule.
//!
//! | module | what it holds |
//! |---|---|
//! | `record` | runs and settings, and where they lie |
//! | `measure` | the query that computes them, and what its rows say |
//! | `run` | a run as a job: the query engine's worker reads the table with the role's rights |
//! | `schedule` | the waiting task of a schedule |
//!
//! Source: AWS Glue Developer Guide, "Optimizing query performance using column statistics".

mod measure;
pub(crate) mod record;
mod run;
pub(crate) mod schedule;

use std::sync::Arc;

use api_glue::error::{
    column_statistics_task_not_running_exception, column_statistics_task_running_exception,
    column_statistics_task_stopping_exception, entity_not_found_exception, invalid_input_exception,
};
use api_glue::{Column, ColumnStatisticsTaskRun, Table};
use store::{Queue, Tx};
use wire::Error;

use crate::Glue;
use crate::catalog;
use crate::scope::Scope;
use record::{Asked, Run};
pub(crate) use record::{Of, Payload};

/// Runs that compute at the same time.
const RUNS: usize = 2;
/// Runs of a table that are remembered.
const REMEMBERED: usize = 100;

pub(crate) fn register(queue: &Queue, service: &Arc<Glue>) {
    ::jobs::register(queue, &service.platform.router, Arc::new(run::Runs(Arc::clone(service))), RUNS);
    queue.register(schedule::KIND, RUNS, Arc::new(schedule::Scheduled(Arc::clone(service))));
}

/// Starts a run, and answers where it is.
pub(crate) fn start(tx: &mut Tx<'_>, of: &Of, asked: &Asked, id: &str, now: jiff::Timestamp) -> Result<Payload, Error> {
    let table = checked(tx, of, asked)?;
    if tx.get(of.running())?.is_some() {
        let text = format!("A column statistics task is already running for table {}", of.table);
        return Err(column_statistics_task_running_exception(text));
    }
    let names = asked.columns.clone().unwrap_or_else(|| measured(&table).map(|column| column.name).collect());
    let run = Run {
        version: 1,
        shown: ColumnStatisticsTaskRun {
            customer_id: Some(of.scope.account.clone()),
            column_statistics_task_run_id: Some(id.to_owned()),
            database_name: Some(of.db.clone()),
            table_name: Some(of.table.clone()),
            column_name_list: Some(names),
            catalog_id: Some(of.scope.account.clone()),
            role: Some(asked.role.clone()),
            sample_size: asked.sample_size,
            security_configuration: asked.security_configuration.clone(),
            number_of_workers: Some(1),
            worker_type: Some("G.1X".to_owned()),
            computation_type: Some("FULL".to_owned()),
            status: Some("STARTING".to_owned()),
            creation_time: Some(now.into()),
            last_updated: Some(now.into()),
            ..ColumnStatisticsTaskRun::default()
        },
        stopping: false,
    };
    tx.put_json(record::key(&of.scope, id), &run)?;
    tx.put(of.running(), id.as_bytes())?;
    record::enter(tx, of, id, now)?;
    record::forget_beyond(tx, of, REMEMBERED)?;
    let place = Payload::new(of, id);
    ::jobs::start::<run::Runs>(tx, &place.task(), &place)?;
    Ok(place)
}

/// Stops the run of a table that is under way.
pub(crate) fn stop(tx: &mut Tx<'_>, of: &Of) -> Result<(), Error> {
    catalog::table(tx, &of.scope, &of.db, &of.table)?;
    let none = || {
        let text = format!("No column statistics task is running for table {}", of.table);
        column_statistics_task_not_running_exception(text)
    };
    let id = tx.get(of.running())?.and_then(|id| String::from_utf8(id).ok()).ok_or_else(none)?;
    let mut run = record::find(tx, &of.scope, &id)?;
    if run.stopping {
        let text = format!("The column statistics task of table {} is stopping", of.table);
        return Err(column_statistics_task_stopping_exception(text));
    }
    let place = Payload::new(of, &id);
    if ::jobs::stop::<run::Runs>(tx, &place.task(), &place)? == ::jobs::Stop::Stopping {
        run.stopping = true;
        tx.put_json(record::key(&of.scope, &id), &run)?;
    }
    Ok(())
}

/// What is asked for can be computed: the table, if so.
pub(crate) fn checked(tx: &mut Tx<'_>, of: &Of, asked: &Asked) -> Result<Table, Error> {
    let table = catalog::table(tx, &of.scope, &of.db, &of.table)?;
    if table.table_type.as_deref() == Some("VIRTUAL_VIEW") {
        let text = format!("Column statistics of {} cannot be computed: it is a view", of.table);
        return Err(invalid_input_exception(text));
    }
    if asked.sample_size == Some(0.0) {
        return Err(invalid_input_exception("SampleSize must be greater than 0"));
    }
    if let Some(name) = asked.security_configuration.as_deref() {
        crate::security::find(tx, &of.scope, name)?;
    }
    for name in asked.columns.iter().flatten() {
        let column = all(&table).find(|column| column.name.eq_ignore_ascii_case(name));
        let Some(column) = column else {
            return Err(entity_not_found_exception(format!("Column {name} not found in table {}", of.table)));
        };
        if measure::Measure::of(column.r#type.as_deref().unwrap_or_default()).is_none() {
            let ty = column.r#type.unwrap_or_default();
            return Err(invalid_input_exception(format!("Column {name} has type {ty}, which has no statistics")));
        }
    }
    Ok(table)
}

fn all(table: &Table) -> impl Iterator<Item = Column> {
    let columns = table.storage_descriptor.clone().and_then(|storage| storage.columns).unwrap_or_default();
    columns.into_iter().chain(table.partition_keys.clone().unwrap_or_default())
}

/// The columns that are measured where none are named: those of a type that has statistics, without the partition keys.
fn measured(table: &Table) -> impl Iterator<Item = Column> {
    let columns = table.storage_descriptor.clone().and_then(|storage| storage.columns).unwrap_or_default();
    let known = |column: &Column| measure::Measure::of(column.r#type.as_deref().unwrap_or_default()).is_some();
    columns.into_iter().filter(known)
}

/// What goes with a table that is dropped: its settings; runs are remembered.
pub(crate) fn drop_settings(tx: &mut Tx<'_>, scope: &Scope, db: &str, table: &str) -> Result<(), Error> {
    let of = Of { scope: scope.clone(), db: db.to_owned(), table: table.to_owned() };
    tx.delete(of.settings())?;
    schedule::forget(tx, &of)
}
