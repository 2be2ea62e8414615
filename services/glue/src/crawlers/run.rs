//! The durable crawl: plan it from the records, let a worker do it, write what it found in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api_glue::{Classifier, CrawlerHistory};
use async_trait::async_trait;
use compute::worker::Limits;
use serde_json::json;
use service::identity::Credentials;
use store::{Done, Runner, Task, Tx};
use wire::{Error, Timestamp};

use super::apply::{self, Summary, Writer};
use super::record::{Counts, Run};
use super::{Payload, Record, classifiers, event, find, history_entry, key, task_id};
use crate::Glue;
use crate::catalog;
use crate::crawl::{self, Delete, Known, Policies, Report, Request, Target};
use crate::scope::Scope;
use crate::worker::{Connection, Job};

/// How often a crawl is begun again after its worker died, before it has failed.
const ATTEMPTS: u32 = 3;
const WORKER_MEMORY_MB: u64 = 512;
const LONGEST_CRAWL: Duration = Duration::from_hours(4);
const SESSION: &str = "AWS-Crawler";

pub(super) struct CrawlRunner(pub(super) Arc<Glue>);

#[async_trait]
impl Runner for CrawlRunner {
    async fn run(&self, task: Task) -> Done {
        let Ok(payload) = task.payload::<Payload>() else { return Done::Finished };
        match crawl(&self.0, &task, &payload).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a crawl could not be recorded; it will run again");
                Done::Retry(self.0.platform.router.now() + jiff::SignedDuration::from_secs(1))
            }
        }
    }
}

/// Ends a crawl that StopCrawler took off the queue.
pub(super) struct StopRunner(pub(super) Arc<Glue>);

#[async_trait]
impl Runner for StopRunner {
    async fn run(&self, task: Task) -> Done {
        let Ok(payload) = task.payload::<Payload>() else { return Done::Finished };
        let (now, id) = (self.0.platform.router.now(), task.id.clone());
        let ended = self.0.store.write(move |tx| {
            tx.finish_task(&id)?;
            let log = vec!["INFO : Crawl stopped".to_owned()];
            finish(tx, &payload, &End { status: "CANCELLED", error: None, summary: &Summary::default(), log, now })
        });
        match ended.await {
            Ok(_) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a stopped crawl could not be recorded");
                Done::Retry(now + jiff::SignedDuration::from_secs(1))
            }
        }
    }
}

/// All that a crawl needs to know from the records.
struct Plan {
    record: Record,
    request: Request,
    /// Tables of catalog targets, by database.
    targets: BTreeMap<String, Vec<String>>,
}

async fn crawl(glue: &Glue, task: &Task, payload: &Payload) -> Result<Done, Error> {
    let scope = payload.scope();
    let planned = glue
        .store
        .read(|tx| {
            let Some(record) = tx.get_json::<Record>(key(&scope, &payload.crawler))? else { return Ok(None) };
            if !record.runs(&payload.run) {
                return Ok(None);
            }
            plan(tx, &scope, record).map(Some)
        })
        .await?;
    let Some(plan) = planned else { return Ok(Done::Finished) };
    let outcome = tokio::select! {
        outcome = ask_worker(glue, payload, &plan) => outcome,
        () = task.cancelled() => return Ok(Done::Committed),
    };
    let outcome = match outcome {
        Err(Trouble::Passing(_)) if task.attempt < ATTEMPTS => {
            return Ok(Done::Retry(glue.platform.router.now() + jiff::SignedDuration::from_secs(1)));
        }
        Err(Trouble::Passing(message) | Trouble::Lasting(message)) => Err(message),
        Ok(report) => Ok(report),
    };
    let (payload, id, now) = (payload.clone(), task.id.clone(), glue.platform.router.now());
    let mine = glue.store.write(move |tx| record_end(tx, &payload, &plan, &outcome, &id, now)).await?;
    Ok(if mine { Done::Committed } else { Done::Finished })
}

fn plan(tx: &mut Tx<'_>, scope: &Scope, record: Record) -> Result<Plan, Error> {
    let configuration = record.configuration()?;
    let targets = record.crawler.targets.clone().unwrap_or_default();
    let mut request = Request {
        combine: configuration.combine,
        table_level: configuration.table_level,
        table_threshold: configuration.table_threshold,
        ..Request::default()
    };
    for name in record.crawler.classifiers.iter().flatten() {
        if let Some(classifier) = tx.get_json::<Classifier>(scope.key("classifier").push(name))? {
            request.classifiers.push(classifiers::to_crawl(&classifier)?);
        }
    }
    for s3 in targets.s3_targets.into_iter().flatten() {
        let Some(target) = s3.path.as_deref().and_then(Target::parse) else { continue };
        request.targets.push(Target {
            exclusions: s3.exclusions.unwrap_or_default(),
            sample_size: s3.sample_size.and_then(|n| usize::try_from(n).ok()),
            ..target
        });
    }
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    for target in targets.catalog_targets.into_iter().flatten() {
        let db = catalog::fold(&target.database_name);
        for name in target.tables.iter().map(|name| catalog::fold(name)) {
            let Some(table) = catalog::find_table(tx, scope, &db, &name)? else { continue };
            let location = table.storage_descriptor.and_then(|sd| sd.location).unwrap_or_default();
            if let Some(target) = Target::parse(&location) {
                request.targets.push(Target { whole: true, ..target });
            }
            tables.entry(db.clone()).or_default().push(name);
        }
    }
    if record.recrawl() == "CRAWL_NEW_FOLDERS_ONLY" {
        let folders = known_folders(tx, scope, &record)?;
        for target in &mut request.targets {
            target.known_folders = Some(folders.get(&target.bucket).cloned().unwrap_or_default());
        }
    }
    Ok(Plan { record, request, targets: tables })
}

/// Folders by bucket that tables and partitions of this crawler already cover.
fn known_folders(tx: &mut Tx<'_>, scope: &Scope, record: &Record) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let mut folders = BTreeMap::<String, Vec<String>>::new();
    for table in apply::known(tx, scope, record.database(), &[])? {
        if table.parameters.get("UPDATED_BY_CRAWLER").map(String::as_str) != Some(record.name()) {
            continue;
        }
        let partitions = table.partitions.iter().map(|p| &p.storage.location);
        let own = table.partition_keys.is_empty().then_some(&table.storage.location);
        for target in partitions.chain(own).filter_map(|location| Target::parse(location)) {
            folders.entry(target.bucket).or_default().push(target.prefix);
        }
    }
    Ok(folders)
}

enum Trouble {
    /// The worker died: another attempt may do better.
    Passing(String),
    /// The crawl itself cannot be done.
    Lasting(String),
}

async fn ask_worker(glue: &Glue, payload: &Payload, plan: &Plan) -> Result<Report, Trouble> {
    let role = plan.record.crawler.role.as_deref().unwrap_or_default();
    let credentials = credentials(glue, payload, role).await.map_err(|error| {
        Trouble::Lasting(format!(
            "Service is unable to assume role {role}. Please verify role's TrustPolicy: {}",
            error.message()
        ))
    })?;
    let job = Job {
        connection: Connection {
            endpoint: glue.platform.endpoint.clone(),
            region: payload.region.clone(),
            access_key: credentials.access_key.clone(),
            secret_key: credentials.secret_key.clone(),
            session_token: credentials.session_token.clone(),
        },
        crawl: plan.request.clone(),
    };
    let limits = Limits::new().memory_mb(WORKER_MEMORY_MB).timeout(LONGEST_CRAWL);
    let answer = glue.compute.workers.call("crawl", json!(job), limits).await;
    // Keys that outlive the crawl do no harm for long; they expire by themselves.
    if let Err(error) = glue.platform.router.identity().revoke(&credentials.access_key).await {
        tracing::warn!(%error, "the keys of a crawl could not be revoked");
    }
    match answer {
        Ok(value) => serde_json::from_value(value).map_err(|error| Trouble::Passing(error.to_string())),
        Err(compute::Error::Failed { message, .. }) => Err(Trouble::Lasting(message)),
        Err(error) => Err(Trouble::Passing(error.to_string())),
    }
}

async fn credentials(glue: &Glue, payload: &Payload, role: &str) -> Result<Credentials, Error> {
    let identity = glue.platform.router.identity();
    let principal = identity.role_session(&role_arn(&payload.account, role), SESSION, None).await?;
    let valid = jiff::SignedDuration::try_from(LONGEST_CRAWL).map_err(Error::internal)?;
    identity.issue(&principal, valid).await
}

/// A crawler's role is an ARN, or a name that may have a path.
fn role_arn(account: &str, role: &str) -> String {
    if role.starts_with("arn:") { role.to_owned() } else { format!("arn:aws:iam::{account}:role/{role}") }
}

/// Writes tables and state; false when the crawl is no longer the crawler's.
fn record_end(
    tx: &mut Tx<'_>,
    payload: &Payload,
    plan: &Plan,
    outcome: &Result<Report, String>,
    task: &str,
    now: jiff::Timestamp,
) -> Result<bool, Error> {
    let scope = payload.scope();
    let current = match find(tx, &scope, &payload.crawler) {
        Ok(record) => record,
        Err(error) if error.is("EntityNotFoundException") => return Ok(false),
        Err(error) => return Err(error),
    };
    if !current.runs(&payload.run) || !tx.has_task(task)? {
        return Ok(false);
    }
    tx.finish_task(task)?;
    let name = &payload.crawler;
    let mut log = vec![format!("BENCHMARK : Running Start Crawl for Crawler {name}")];
    match outcome {
        Ok(report) => {
            let summary = write_tables(tx, payload, plan, report, now)?;
            log.extend(report.log.iter().cloned());
            log.push(format!(
                "BENCHMARK : Classification complete, writing results to database {}",
                plan.record.database()
            ));
            log.extend(summary.log.iter().cloned());
            log.push("BENCHMARK : Finished writing to Catalog".to_owned());
            log.push("BENCHMARK : Crawler has finished running and is in state READY".to_owned());
            finish(tx, payload, &End { status: "SUCCEEDED", error: None, summary: &summary, log, now })
        }
        Err(message) => {
            log.push(format!("ERROR : {message}"));
            let error = Some(message.clone());
            finish(tx, payload, &End { status: "FAILED", error, summary: &Summary::default(), log, now })
        }
    }
}

fn write_tables(
    tx: &mut Tx<'_>,
    payload: &Payload,
    plan: &Plan,
    report: &Report,
    now: jiff::Timestamp,
) -> Result<Summary, Error> {
    let scope = payload.scope();
    let (policies, role) = (policies(payload, plan, now)?, plan.record.crawler.role.as_deref().unwrap_or_default());
    let role = role.rsplit('/').next().unwrap_or_default();
    let creator = format!("arn:aws:sts::{}:assumed-role/{role}/{SESSION}", scope.account);
    let databases: Vec<(String, Vec<String>)> = if plan.targets.is_empty() {
        vec![(plan.record.database().to_owned(), Vec::new())]
    } else {
        plan.targets.clone().into_iter().collect()
    };
    let mut all = Summary::default();
    for (database, targets) in &databases {
        let tables = apply::known(tx, &scope, database, targets)?;
        let known = Known { tables, catalog_targets: !plan.targets.is_empty() };
        let changes = crawl::merge(report, &known, &policies);
        let writer = Writer { scope: &scope, database, creator: &creator, now };
        let one = apply::apply(tx, &writer, &changes)?;
        all.tables_created.extend(one.tables_created);
        all.tables_updated.extend(one.tables_updated);
        all.tables_deleted.extend(one.tables_deleted);
        all.partitions_created += one.partitions_created;
        all.partitions_updated += one.partitions_updated;
        all.partitions_deleted += one.partitions_deleted;
        all.log.extend(one.log);
    }
    Ok(all)
}

fn policies(payload: &Payload, plan: &Plan, now: jiff::Timestamp) -> Result<Policies, Error> {
    let configuration = plan.record.configuration()?;
    let (update, delete) = plan.record.policy();
    Ok(Policies {
        crawler: payload.crawler.clone(),
        table_prefix: plan.record.crawler.table_prefix.clone().unwrap_or_default(),
        run_id: payload.run.clone(),
        update_log: update == "LOG",
        delete: match delete {
            "DELETE_FROM_DATABASE" => Delete::Delete,
            "LOG" => Delete::Log,
            _ => Delete::Deprecate,
        },
        merge_new_columns: configuration.merge_new_columns,
        inherit: configuration.inherit,
        new_folders_only: plan.record.recrawl() == "CRAWL_NEW_FOLDERS_ONLY",
        now_ms: now.as_millisecond(),
    })
}

/// How a crawl ended.
struct End<'a> {
    status: &'static str,
    error: Option<String>,
    summary: &'a Summary,
    log: Vec<String>,
    now: jiff::Timestamp,
}

/// Makes the crawler READY, with LastCrawl, history and the event; false when the crawl is no longer the crawler's.
fn finish(tx: &mut Tx<'_>, payload: &Payload, end: &End<'_>) -> Result<bool, Error> {
    let scope = payload.scope();
    let Some(mut record) = tx.get_json::<Record>(key(&scope, &payload.crawler))? else { return Ok(false) };
    let Some(run) = record.run.clone().filter(|run| run.id == payload.run) else { return Ok(false) };
    let count = |names: &[String]| i32::try_from(names.len()).unwrap_or(i32::MAX);
    let counts = Counts {
        created: count(&end.summary.tables_created),
        updated: count(&end.summary.tables_updated),
        deleted: count(&end.summary.tables_deleted),
    };
    record.finish(end.status, end.error.clone(), counts, end.now);
    tx.put_json(key(&scope, &payload.crawler), &record)?;
    tx.put_json(history_entry(&scope, &payload.crawler, &run), &ended(&record, &run, end))?;
    let at = Timestamp::from(end.now);
    let stage = event::Stage::Ended {
        at,
        state: match end.status {
            "SUCCEEDED" => "Succeeded",
            "CANCELLED" => "Stopped",
            _ => "Failed",
        }
        .to_owned(),
        error: end.error.clone(),
        seconds: (at.as_millis() - run.started.as_millis()) / 1000,
        summary: Summary { log: Vec::new(), ..end.summary.clone() },
        log: end.log.clone(),
    };
    event::announce(tx, payload, &task_id(&scope, &payload.crawler, &payload.run), &stage)?;
    Ok(true)
}

fn ended(record: &Record, run: &Run, end: &End<'_>) -> CrawlerHistory {
    let of = |names: &[String]| json!({"Details": names, "Count": names.len()});
    let summary = end.summary;
    let text = json!({
        "TABLE": {"Details": {
            "ADD": of(&summary.tables_created),
            "UPDATE": of(&summary.tables_updated),
            "DELETE": of(&summary.tables_deleted),
        }, "Count": summary.tables_created.len() + summary.tables_updated.len() + summary.tables_deleted.len()},
        "PARTITION": {"Details": {
            "ADD": {"Count": summary.partitions_created},
            "UPDATE": {"Count": summary.partitions_updated},
            "DELETE": {"Count": summary.partitions_deleted},
        }, "Count": summary.partitions_created + summary.partitions_updated + summary.partitions_deleted},
    });
    CrawlerHistory {
        state: Some(
            match end.status {
                "SUCCEEDED" => "COMPLETED",
                "CANCELLED" => "STOPPED",
                _ => "FAILED",
            }
            .to_owned(),
        ),
        end_time: Some(end.now.into()),
        summary: Some(text.to_string()),
        error_message: end.error.clone(),
        ..super::begun(record, run)
    }
}
