//! A run as a job: the query engine's worker reads the table with the role's rights, the end writes what it found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::jobs::{Attempt, Ended, Kind, Limits, Loaded, Next, Used, Who, Worked};
use api_glue::Table;
use async_trait::async_trait;
use compute::worker;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::attempts::Outcome;
use store::{Key, Tx};
use wire::Error;

use super::measure::{self, Measure, Measured, Target};
use super::record::{self, Of, Payload, Run};
use crate::Glue;
use crate::catalog;
use crate::crawlers::role_arn;

pub(crate) const KIND: &str = "glue:column-statistics";
/// Runs of one whose worker died without an answer.
const TRIES: u32 = 2;
const LONGEST: Duration = Duration::from_hours(2);
const WORKER_MEMORY_MB: u64 = 2048;
/// What operators that can spill may hold of it.
const SPILL_BYTES: u64 = 1 << 30;
const SESSION: &str = "AWSGlueColumnStatistics";
/// Partitions that a table may have for each to get statistics of its own: all are written at once.
const MOST_PARTITIONS: usize = 1000;

pub(crate) struct Runs(pub(super) Arc<Glue>);

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    run: Run,
    table: Table,
    targets: Vec<Target>,
    by_partition: bool,
}

/// How it came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Came {
    Found(Vec<Vec<Option<String>>>),
    Failed(String),
    Stopped,
}

#[async_trait]
impl Kind for Runs {
    const NAME: &'static str = KIND;
    const WAITS: Option<Duration> = Some(Duration::from_hours(24));
    type Payload = Payload;
    type Plan = Plan;
    type End = Came;

    fn scope(place: &Payload) -> (&str, &str) {
        place.place()
    }

    fn load(&self, tx: &mut Tx<'_>, place: &Payload) -> Result<Loaded<Plan>, Error> {
        let of = place.of();
        let run: Option<Run> = tx.get_json(record::key(&of.scope, &place.id))?;
        let Some(run) = run.filter(|run| !run.is_over()) else { return Ok(Loaded::Over) };
        let stopping = run.stopping;
        let plan = plan(tx, &of, run)?;
        Ok(if stopping { Loaded::Stopping(plan) } else { Loaded::Todo(plan) })
    }

    fn limits(&self, _: &Plan) -> Limits {
        Limits { tries: TRIES, timeout: Some(LONGEST) }
    }

    async fn who(&self, place: &Payload, plan: &Plan, attempt: &str) -> Result<Who<Came>, Error> {
        let role = plan.run.shown.role.as_deref().unwrap_or_default();
        let identity = self.0.platform.router.identity();
        match identity.role_session(&role_arn(place.place().0, role), SESSION, Some(attempt)).await {
            Ok(principal) => Ok(Who::As(principal)),
            Err(error) if error.status() >= 500 => Err(error),
            Err(error) => Ok(Who::Nobody(Came::Failed(format!(
                "Service is unable to assume role {role}. Please verify role's TrustPolicy: {}",
                error.message()
            )))),
        }
    }

    fn begin(&self, tx: &mut Tx<'_>, place: &Payload, now: jiff::Timestamp) -> Result<(), Error> {
        let scope = place.of().scope;
        let mut run = record::find(tx, &scope, &place.id)?;
        run.shown.status = Some("RUNNING".to_owned());
        run.shown.start_time.get_or_insert_with(|| now.into());
        run.shown.last_updated = Some(now.into());
        tx.put_json(record::key(&scope, &place.id), &run)?;
        Ok(())
    }

    async fn work(&self, place: &Payload, plan: &Plan, attempt: &Attempt) -> Worked<Came> {
        if plan.table.name.is_empty() {
            return Worked::Ended(Came::Failed(format!("Table {} not found.", place.of().table)));
        }
        if plan.targets.is_empty() {
            return Worked::Ended(Came::Failed("The table has no columns of a type that has statistics".to_owned()));
        }
        let keys = match attempt.credentials() {
            Ok(keys) => keys,
            Err(error) => return Worked::Ended(Came::Failed(error.to_string())),
        };
        let files = self.0.platform.objects_socket();
        let (_, region) = place.place();
        let asks = |at: worker::At<'_>| {
            attempt.started();
            json!({
                "id": place.id,
                "sql": measure::query(&plan.table.name, &plan.targets, plan.by_partition, plan.run.shown.sample_size),
                "inline": true,
                "database": place.of().db,
                "endpoint": at.endpoint(&self.0.platform.endpoint),
                "region": region,
                "access_key_id": keys.access_key,
                "secret_access_key": keys.secret_key,
                "session_token": keys.session_token,
                "memory_bytes": SPILL_BYTES,
                "files": (at == worker::At::Here).then_some(&files),
            })
        };
        let limits = worker::Limits::new().memory_mb(WORKER_MEMORY_MB).read_only(&files);
        let (answer, used) = self.0.compute.workers.call("query", &asks, limits).await;
        attempt.use_up(Used { cpu_ms: used.cpu_ms, peak_bytes: used.peak_bytes, ..Used::default() });
        match answer {
            Ok(reply) => Worked::Ended(came(&reply)),
            Err(error @ compute::Error::OutOfMemory { .. }) => Worked::Ended(Came::Failed(error.to_string())),
            Err(error @ compute::Error::NodeLost { .. }) => Worked::Lost(Came::Failed(error.to_string())),
            Err(error) => Worked::Passing(Came::Failed(error.to_string())),
        }
    }

    fn stopped(&self) -> Came {
        Came::Stopped
    }

    fn timed_out(&self, _: &Plan) -> Came {
        Came::Failed(compute::Error::TimedOut(LONGEST).to_string())
    }

    fn outcome(&self, _: &Came) -> Outcome {
        Outcome::Commit
    }

    fn end(&self, tx: &mut Tx<'_>, place: &Payload, ended: &Ended<Came>) -> Result<Next<Payload>, Error> {
        let (of, now) = (place.of(), ended.at);
        let run: Option<Run> = tx.get_json(record::key(&of.scope, &place.id))?;
        let Some(mut run) = run.filter(|run| !run.is_over()) else { return Ok(Next::Over) };
        let (status, failure) = match &ended.end {
            Came::Found(rows) => match write(tx, &of, run.clone(), rows, now)? {
                None => ("SUCCEEDED", None),
                Some(failure) => ("FAILED", Some(failure)),
            },
            Came::Failed(message) => ("FAILED", Some(message.clone())),
            Came::Stopped => ("STOPPED", None),
        };
        let started = run.shown.start_time.map_or(now, |at| at.0);
        run.shown.status = Some(status.to_owned());
        run.shown.error_message = failure.map(|text| text.chars().take(2048).collect());
        run.shown.end_time = Some(now.into());
        run.shown.last_updated = Some(now.into());
        run.shown.dpu_seconds = Some((now.duration_since(started)).as_secs_f64().max(0.0));
        tx.put_json(record::key(&of.scope, &place.id), &run)?;
        tx.delete(of.running())?;
        Ok(Next::Over)
    }
}

/// What the worker has said, as crate `query` writes it.
fn came(reply: &Value) -> Came {
    let found = reply["ok"].get("values").cloned().unwrap_or(Value::Null);
    match serde_json::from_value(found) {
        Ok(rows) => Came::Found(rows),
        Err(_) => Came::Failed(reply["failed"]["error"]["message"].as_str().unwrap_or("no answer").to_owned()),
    }
}

/// By the table as it is now; it may be gone, or have lost columns.
fn plan(tx: &mut Tx<'_>, of: &Of, run: Run) -> Result<Plan, Error> {
    let Some(table) = catalog::find_table(tx, &of.scope, &of.db, &of.table)? else {
        return Ok(Plan { run, table: Table::default(), targets: Vec::new(), by_partition: false });
    };
    let named = run.shown.column_name_list.clone().unwrap_or_default();
    let wanted = |name: &str| named.iter().any(|column| column.eq_ignore_ascii_case(name));
    let targets = super::all(&table).filter(|column| wanted(&column.name)).filter_map(|column| {
        let ty = column.r#type.unwrap_or_default();
        Some(Target { measure: Measure::of(&ty)?, name: column.name, ty })
    });
    let targets = targets.collect();
    let is_iceberg = table.parameters.as_ref().and_then(|all| all.get("table_type"));
    let is_iceberg = is_iceberg.is_some_and(|kind| kind.eq_ignore_ascii_case("iceberg"));
    let has_keys = table.partition_keys.as_ref().is_some_and(|keys| !keys.is_empty());
    let by_partition = has_keys && !is_iceberg && partitions(tx, of, &table)?.is_some();
    Ok(Plan { run, table, targets, by_partition })
}

/// The values of partitions by the names that queries have for them; none where there are too many.
fn partitions(tx: &mut Tx<'_>, of: &Of, table: &Table) -> Result<Option<BTreeMap<String, Vec<String>>>, Error> {
    let keys = table.partition_keys.clone().unwrap_or_default();
    let prefix = of.scope.partitions(&of.db, &of.table);
    let parts = Key::parts(prefix.as_bytes()).len();
    let found = tx.scan_prefix(prefix, MOST_PARTITIONS + 1)?;
    if found.len() > MOST_PARTITIONS {
        return Ok(None);
    }
    let named = found.into_iter().map(|(key, _)| {
        let values = Key::parts(&key).into_iter().skip(parts);
        let values: Vec<_> = values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect();
        let pairs: Vec<_> = keys.iter().zip(&values).map(|(key, value)| format!("{}={value}", key.name)).collect();
        (pairs.join("/"), values)
    });
    Ok(Some(named.collect()))
}

/// Writes what was found; answers why it could not.
fn write(
    tx: &mut Tx<'_>,
    of: &Of,
    run: Run,
    rows: &[Vec<Option<String>>],
    now: jiff::Timestamp,
) -> Result<Option<String>, Error> {
    let sample = run.shown.sample_size;
    let plan = plan(tx, of, run)?;
    if plan.table.name.is_empty() {
        return Ok(Some(format!("Table {} not found.", of.table)));
    }
    let measured = match measure::read(rows, &plan.targets, sample, now.into()) {
        Ok(measured) => measured,
        Err(text) => return Ok(Some(text)),
    };
    let known = partitions(tx, of, &plan.table)?.unwrap_or_default();
    for Measured { partition, columns } in measured {
        let place = match &partition {
            None => of.scope.column_statistics(&of.db, &of.table),
            Some(name) => match known.get(name) {
                Some(values) => of.scope.partition_statistics(&of.db, &of.table, values),
                // It has been dropped meanwhile, or the table computes its partitions.
                None => continue,
            },
        };
        for column in columns {
            tx.put_json(place.clone().push(catalog::fold(&column.column_name)), &column)?;
        }
    }
    Ok(None)
}
