//! Crawlers: their records, and a crawl from StartCrawler to the tables it leaves.
//!
//! A crawl is the durable task `glue:crawl`: a worker process reads S3 with the role's rights and reports tables; one
//! transaction then writes tables, partitions and LastCrawl, makes the crawler READY and removes the task. So a crash at
//! any point runs the crawl again, and a reader that sees READY sees the tables. The steps are those of crate `jobs`.

mod apply;
pub(crate) mod classifiers;
mod configuration;
mod cron;
mod event;
mod record;
mod run;
pub(crate) mod schedule;

pub(crate) use cron::Cron;
pub(crate) use record::Record;
pub(crate) use run::role_arn;

use std::sync::Arc;

use api_glue::CrawlerHistory;
use api_glue::error::{crawler_not_running_exception, crawler_running_exception, crawler_stopping_exception};
use api_glue::error::{entity_not_found_exception, invalid_input_exception};
use serde::{Deserialize, Serialize};
use store::{Key, Queue, Tx};
use wire::Error;

use crate::Glue;
use crate::scope::Scope;
use crate::security;

/// Crawls that run at the same time.
const CRAWLS: usize = 4;
const LOG_GROUP: &str = "/aws-glue/crawlers";

pub(crate) fn register(queue: &Queue, service: &Arc<Glue>) {
    ::jobs::register(queue, &service.platform.router, Arc::new(run::Crawls(Arc::clone(service))), CRAWLS);
    queue.register("glue:crawl-event", CRAWLS, Arc::new(event::EventRunner(Arc::clone(service))));
    queue.register("glue:crawl-schedule", CRAWLS, Arc::new(schedule::ScheduleRunner(Arc::clone(service))));
}

/// What the tasks of a crawl carry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payload {
    account: String,
    region: String,
    crawler: String,
    run: String,
}

impl Payload {
    fn scope(&self) -> Scope {
        Scope { account: self.account.clone(), region: self.region.clone() }
    }
}

pub(crate) fn key(scope: &Scope, name: &str) -> Key {
    scope.key("crawler").push(name)
}

/// Crawls of a crawler, newest first.
pub(crate) fn history(scope: &Scope, name: &str) -> Key {
    scope.key("crawl").push(name)
}

fn history_entry(scope: &Scope, name: &str, run: &record::Run) -> Key {
    history(scope, name).push_i64(-run.started.as_millis()).push(&run.id)
}

/// The triggers that started crawls of a crawler.
pub(crate) fn origins(scope: &Scope, name: &str) -> Key {
    scope.key("crawl-trigger").push(name)
}

/// The trigger that started a crawl, where one did.
pub(crate) fn origin(scope: &Scope, name: &str, run: &str) -> Key {
    origins(scope, name).push(run)
}

pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn(&format!("crawler/{name}"))
}

pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Record, Error> {
    let found = tx.get_json(key(scope, name))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Crawler entry with name {name} does not exist")))
}

/// Refuses classifiers and a security configuration that do not exist. (A crawl writes nothing that the latter would encrypt.)
pub(crate) fn check_classifiers(tx: &mut Tx<'_>, scope: &Scope, record: &Record) -> Result<(), Error> {
    if let Some(name) = record.crawler.crawler_security_configuration.as_deref().filter(|name| !name.is_empty()) {
        security::find(tx, scope, name)?;
    }
    for name in record.crawler.classifiers.iter().flatten() {
        if tx.get(scope.key("classifier").push(name))?.is_none() {
            return Err(invalid_input_exception(format!("Classifier {name} does not exist")));
        }
    }
    Ok(())
}

pub(crate) fn task_id(scope: &Scope, name: &str, run: &str) -> String {
    format!("glue:crawl:{}:{}:{name}:{run}", scope.account, scope.region)
}

/// Makes the crawler RUNNING and puts its crawl on the queue.
pub(crate) fn start(tx: &mut Tx<'_>, scope: &Scope, name: &str, run: &str, now: jiff::Timestamp) -> Result<(), Error> {
    let mut record = find(tx, scope, name)?;
    if !record.is_ready() {
        return Err(crawler_running_exception(format!("Crawler with name {name} has already started")));
    }
    let run = record::Run { id: run.to_owned(), started: now.into() };
    record.start(run.clone());
    tx.put_json(key(scope, name), &record)?;
    tx.put_json(history_entry(scope, name, &run), &begun(&record, &run))?;
    let payload =
        Payload { account: scope.account.clone(), region: scope.region.clone(), crawler: name.to_owned(), run: run.id };
    let id = task_id(scope, name, &payload.run);
    ::jobs::start::<run::Crawls>(tx, &id, &payload)?;
    event::announce(tx, &payload, &id, &event::Stage::Started { at: now.into() })
}

fn begun(record: &Record, run: &record::Run) -> CrawlerHistory {
    CrawlerHistory {
        crawl_id: Some(run.id.clone()),
        state: Some("RUNNING".to_owned()),
        start_time: Some(run.started),
        log_group: Some(LOG_GROUP.to_owned()),
        log_stream: Some(record.name().to_owned()),
        message_prefix: Some(run.id.clone()),
        ..CrawlerHistory::default()
    }
}

/// Stops the crawl; the crawler is STOPPING until what runs of it has been ended.
pub(crate) fn stop(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<(), Error> {
    let mut record = find(tx, scope, name)?;
    match (record.crawler.state.as_deref(), record.run.clone()) {
        (Some("STOPPING"), _) => {
            Err(crawler_stopping_exception(format!("Crawler with name {name} is already stopping")))
        }
        (Some("RUNNING"), Some(run)) => {
            let id = task_id(scope, name, &run.id);
            let (account, region) = (scope.account.clone(), scope.region.clone());
            let payload = Payload { account, region, crawler: name.to_owned(), run: run.id };
            if ::jobs::stop::<run::Crawls>(tx, &id, &payload)? == ::jobs::Stop::Stopping {
                record.crawler.state = Some("STOPPING".to_owned());
                tx.put_json(key(scope, name), &record)?;
            }
            Ok(())
        }
        _ => Err(crawler_not_running_exception(format!("Crawler with name {name} isn't running"))),
    }
}
