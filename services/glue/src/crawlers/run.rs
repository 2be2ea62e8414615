//! A crawl as a job: plan it from the records, let a worker do it, write what it found in one transaction. Its lifecycle is
//! `jobs`'.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ::jobs::{Attempt, Ended, Kind, Limits, Loaded, Next, Used, Who, Worked};
use api_glue::{Classifier, CrawlerHistory};
use async_trait::async_trait;
use compute::worker;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Cx;
use service::attempts::Outcome;
use service::meter::Usage;
use store::Tx;
use wire::{Error, Timestamp};

use super::apply::{self, Summary, Writer};
use super::record::{Counts, Run};
use super::{Payload, Record, classifiers, event, history_entry, key, task_id};
use crate::Glue;
use crate::catalog;
use crate::crawl::{self, Delete, Known, Policies, Report, Request, Target};
use crate::scope::Scope;
use crate::worker::{Connection, Job};
use crate::{triggers, workflows};

/// How often a crawl is begun again after its worker died, before it has failed.
const TRIES: u32 = 3;
const WORKER_MEMORY_MB: u64 = 512;
const LONGEST_CRAWL: Duration = Duration::from_hours(4);
const SESSION: &str = "AWS-Crawler";

pub(crate) struct Crawls(pub(super) Arc<Glue>);

/// How the worker came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Came {
    Found(Box<Report>),
    Failed(String),
    Stopped,
}

#[async_trait]
impl Kind for Crawls {
    const NAME: &'static str = "glue:crawl";
    const OLD_STOP: Option<&'static str> = Some("glue:crawl-stop");
    /// For memory: a crawl's time is that in which it reads.
    const WAITS: Option<Duration> = Some(Duration::from_hours(24));
    const BEGINS: bool = false;
    type Payload = Payload;
    type Plan = Plan;
    type End = Came;

    fn scope(place: &Payload) -> (&str, &str) {
        (&place.account, &place.region)
    }

    fn load(&self, tx: &mut Tx<'_>, place: &Payload) -> Result<Loaded<Plan>, Error> {
        let Some((record, is_stopping)) = under_way(tx, place)? else { return Ok(Loaded::Over) };
        let plan = plan(tx, &place.scope(), record)?;
        Ok(if is_stopping { Loaded::Stopping(plan) } else { Loaded::Todo(plan) })
    }

    fn limits(&self, _: &Plan) -> Limits {
        Limits { tries: TRIES, timeout: Some(LONGEST_CRAWL) }
    }

    async fn who(&self, place: &Payload, plan: &Plan, attempt: &str) -> Result<Who<Came>, Error> {
        let role = plan.record.crawler.role.as_deref().unwrap_or_default();
        let identity = self.0.platform.router.identity();
        match identity.role_session(&role_arn(&place.account, role), SESSION, Some(attempt)).await {
            Ok(principal) => Ok(Who::As(principal)),
            Err(error) if error.status() >= 500 => Err(error),
            Err(error) => Ok(Who::Nobody(Came::Failed(format!(
                "Service is unable to assume role {role}. Please verify role's TrustPolicy: {}",
                error.message()
            )))),
        }
    }

    async fn work(&self, place: &Payload, plan: &Plan, attempt: &Attempt) -> Worked<Came> {
        let keys = match attempt.credentials() {
            Ok(keys) => keys,
            Err(error) => return Worked::Ended(Came::Failed(error.to_string())),
        };
        let job = |at: worker::At<'_>| Job {
            connection: Connection {
                endpoint: at.endpoint(&self.0.platform.endpoint).to_owned(),
                region: place.region.clone(),
                access_key: keys.access_key.clone(),
                secret_key: keys.secret_key.clone(),
                session_token: keys.session_token.clone(),
            },
            crawl: plan.request.clone(),
        };
        let limits = worker::Limits::new().memory_mb(WORKER_MEMORY_MB);
        let asks = |at: worker::At<'_>| {
            // It is asked once it has its place.
            attempt.started();
            json!(job(at))
        };
        let (answer, used) = self.0.compute.workers.call("crawl", &asks, limits).await;
        attempt.use_up(Used { cpu_ms: used.cpu_ms, peak_bytes: used.peak_bytes, ..Used::default() });
        match answer {
            Ok(report) => match serde_json::from_value::<Box<Report>>(report) {
                Ok(report) => match self.may_write(place, plan, &report).await {
                    Ok(()) => match self.write_ahead(place, &report).await {
                        Ok(()) => Worked::Ended(Came::Found(report)),
                        Err(error) => Worked::Passing(Came::Failed(error.to_string())),
                    },
                    Err(error) if error.status() < 500 => Worked::Ended(Came::Failed(error.message().to_owned())),
                    Err(error) => Worked::Passing(Came::Failed(error.to_string())),
                },
                Err(error) => Worked::Passing(Came::Failed(error.to_string())),
            },
            Err(compute::Error::Failed { message, .. }) => Worked::Ended(Came::Failed(message)),
            Err(error @ compute::Error::NodeLost { .. }) => Worked::Lost(Came::Failed(error.to_string())),
            Err(error) => Worked::Passing(Came::Failed(error.to_string())),
        }
    }

    fn stopped(&self) -> Came {
        Came::Stopped
    }

    fn timed_out(&self, _: &Plan) -> Came {
        Came::Failed(compute::Error::TimedOut(LONGEST_CRAWL).to_string())
    }

    fn outcome(&self, _: &Came) -> Outcome {
        Outcome::Commit
    }

    /// Writes what was found, and makes the crawler READY: a reader that sees that sees the tables.
    fn end(&self, tx: &mut Tx<'_>, place: &Payload, ended: &Ended<Came>) -> Result<Next<Payload>, Error> {
        let Some((record, _)) = under_way(tx, place)? else { return Ok(Next::Over) };
        let (name, now) = (&place.crawler, ended.at);
        let mut log = vec![format!("BENCHMARK : Running Start Crawl for Crawler {name}")];
        match &ended.end {
            Came::Found(report) => {
                let plan = plan(tx, &place.scope(), record)?;
                let summary = write_tables(tx, place, &plan, report, now)?;
                log.extend(report.log.iter().cloned());
                log.push(format!(
                    "BENCHMARK : Classification complete, writing results to database {}",
                    plan.record.database()
                ));
                log.extend(summary.log.iter().cloned());
                log.push("BENCHMARK : Finished writing to Catalog".to_owned());
                log.push("BENCHMARK : Crawler has finished running and is in state READY".to_owned());
                finish(tx, place, &End { status: "SUCCEEDED", error: None, summary: &summary, log, now })?;
            }
            Came::Failed(message) => {
                log.push(format!("ERROR : {message}"));
                let error = Some(message.clone());
                finish(tx, place, &End { status: "FAILED", error, summary: &Summary::default(), log, now })?;
            }
            Came::Stopped => {
                let log = vec!["INFO : Crawl stopped".to_owned()];
                finish(tx, place, &End { status: "CANCELLED", error: None, summary: &Summary::default(), log, now })?;
            }
        }
        Ok(Next::Over)
    }

    async fn recorded(&self, place: &Payload) {
        let history = super::history(&place.scope(), &place.crawler);
        let Ok(newest) = self.0.store.read(|tx| tx.scan_prefix(&history, LOOKED_AT)).await else { return };
        let mut crawls = newest.iter().filter_map(|(key, value)| store::kv::decode::<CrawlerHistory>(key, value).ok());
        let Some(crawl) = crawls.find(|crawl| crawl.crawl_id.as_ref() == Some(&place.run)) else { return };
        if let Some(amount) = billed(&crawl) {
            let (service, resource) = ("glue", place.crawler.as_str());
            let used = Usage { service, metric: "CrawlerDPUSeconds", resource, amount, unit: "Seconds" };
            used.tell(&self.0.platform.router, (&place.account, &place.region));
        }
    }
}

/// The newest of a crawler's crawls, of which one has just ended.
const LOOKED_AT: usize = 10;

/// DPU-seconds, ten minutes at least. AWS does not say how many DPUs a crawl takes: two, as in the example of its pricing page. Source: AWS
/// Glue pricing, "Crawlers".
fn billed(crawl: &CrawlerHistory) -> Option<f64> {
    const LEAST_SECONDS: f64 = 600.0;
    const DPUS: f64 = 2.0;
    let millis = crawl.end_time?.as_millis() - crawl.start_time?.as_millis();
    let lasted = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    Some(lasted.as_secs_f64().max(LEAST_SECONDS) * DPUS)
}

impl Crawls {
    /// Errs where the crawler's role may not make the changes that the crawl has found; then none is made. Source: AWS Glue Developer Guide,
    /// "Crawler prerequisites": the role has permissions to write to the Data Catalog.
    async fn may_write(&self, place: &Payload, plan: &Plan, report: &Report) -> Result<(), Error> {
        let (scope, router) = (place.scope(), &self.0.platform.router);
        let asked = self.0.store.read(|tx| {
            let mut asked = Vec::new();
            for (database, changes) in changes(tx, place, plan, report, router.now())? {
                let is_new = tx.get(scope.database(&database))?.is_none();
                asked.extend(apply::needed(&database, is_new, &changes));
            }
            Ok::<_, Error>(asked)
        });
        let asked = asked.await?;
        let role = role_arn(&place.account, plan.record.crawler.role.as_deref().unwrap_or_default());
        let principal = router.identity().role_session(&role, SESSION, None).await?;
        let cx = Cx::new(Arc::clone(router), principal, &place.account, &place.region);
        for (operation, input) in asked {
            router.admit(&cx, operation, &input).await?;
        }
        Ok(())
    }

    /// Writes the partitions of large new tables a few at a time, before the transaction that makes the tables: that one would hold up
    /// whatever else is written. Cut short, they are of no table, and the next crawl writes them anew.
    async fn write_ahead(&self, place: &Payload, report: &Report) -> Result<(), Error> {
        let (store, scope, now) = (&self.0.store, place.scope(), self.0.platform.router.now());
        let all = store
            .read(|tx| {
                let Some((record, _)) = under_way(tx, place)? else { return Ok::<_, Error>(Vec::new()) };
                let plan = plan(tx, &scope, record)?;
                let mut all = Vec::new();
                for (database, changes) in changes(tx, place, &plan, report, now)? {
                    all.extend(apply::ahead(&changes).into_iter().map(|(table, of)| (database.clone(), table, of)));
                }
                Ok(all)
            })
            .await?;
        for (database, table, partitions) in all {
            for (at, part) in partitions.chunks(apply::AHEAD).enumerate() {
                let (place, scope, part) = (place.clone(), scope.clone(), part.to_vec());
                let (database, table) = (database.clone(), table.clone());
                let written = store.write(move |tx| {
                    if under_way(tx, &place)?.is_none_or(|(_, is_stopping)| is_stopping) {
                        return Ok(());
                    }
                    let writer = Writer { scope: &scope, database: &database, creator: "", now };
                    apply::write_ahead(tx, &writer, &table, &part, at == 0)
                });
                written.await?;
            }
        }
        Ok(())
    }
}

/// What a crawl changes, by database.
fn changes(
    tx: &mut Tx<'_>,
    payload: &Payload,
    plan: &Plan,
    report: &Report,
    now: jiff::Timestamp,
) -> Result<Vec<(String, Vec<crawl::Change>)>, Error> {
    let (scope, policies) = (payload.scope(), policies(payload, plan, now)?);
    let databases: Vec<(String, Vec<String>)> = if plan.targets.is_empty() {
        vec![(plan.record.database().to_owned(), Vec::new())]
    } else {
        plan.targets.clone().into_iter().collect()
    };
    let mut all = Vec::new();
    for (database, targets) in databases {
        // Tables that lie elsewhere are none that the crawl could have found, or missed.
        let wanted = |table: &api_glue::Table| {
            let location = table.storage_descriptor.as_ref().and_then(|sd| sd.location.as_deref()).unwrap_or_default();
            let place = format!("{}/", location.trim_end_matches('/'));
            report.crawled.iter().any(|folder| place.starts_with(folder.as_str()) || folder.starts_with(&place))
        };
        let tables = apply::known(tx, &scope, &database, &targets, wanted)?;
        let known = Known { tables, catalog_targets: !plan.targets.is_empty() };
        let found = crawl::merge(report, &known, &policies);
        all.push((database, found));
    }
    Ok(all)
}

/// The crawler, as long as this is its crawl; and whether it is being stopped.
fn under_way(tx: &mut Tx<'_>, place: &Payload) -> Result<Option<(Record, bool)>, Error> {
    let record: Option<Record> = tx.get_json(key(&place.scope(), &place.crawler))?;
    Ok(record.filter(|record| record.runs(&place.run)).map(|record| {
        let is_stopping = record.crawler.state.as_deref() == Some("STOPPING");
        (record, is_stopping)
    }))
}

/// All that a crawl needs to know from the records.
#[derive(Debug)]
pub(crate) struct Plan {
    record: Record,
    request: Request,
    /// Tables of catalog targets, by database.
    targets: BTreeMap<String, Vec<String>>,
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
    let is_incremental = record.recrawl() == "CRAWL_NEW_FOLDERS_ONLY";
    if is_incremental {
        let folders = known_folders(tx, scope, &record)?;
        for target in &mut request.targets {
            target.known_folders = Some(folders.get(&target.bucket).cloned().unwrap_or_default());
        }
    }
    // Who says how folders become tables may say it anew.
    if tables.is_empty() && (is_incremental || !request.combine && request.table_level.is_none()) {
        let roots = roots(tx, scope, &record)?;
        for target in &mut request.targets {
            target.roots = roots.get(&target.bucket).cloned().unwrap_or_default();
        }
    }
    Ok(Plan { record, request, targets: tables })
}

/// Where the crawler's tables lie, by bucket.
fn roots(tx: &mut Tx<'_>, scope: &Scope, record: &Record) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let mut roots = BTreeMap::<String, BTreeSet<String>>::new();
    for table in apply::known(tx, scope, record.database(), &[], |_| false)? {
        let is_own = table.parameters.get("UPDATED_BY_CRAWLER").map(String::as_str) == Some(record.name());
        if is_own
            && !table.parameters.contains_key("DEPRECATED_BY_CRAWLER")
            && let Some(target) = Target::parse(&table.storage.location)
        {
            roots.entry(target.bucket).or_default().insert(target.prefix);
        }
    }
    Ok(roots)
}

/// Folders by bucket that tables and partitions of this crawler already cover.
fn known_folders(tx: &mut Tx<'_>, scope: &Scope, record: &Record) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let mut folders = BTreeMap::<String, Vec<String>>::new();
    let own = |parameters: &BTreeMap<String, String>| {
        parameters.get("UPDATED_BY_CRAWLER").map(String::as_str) == Some(record.name())
    };
    let wanted = |table: &api_glue::Table| table.parameters.as_ref().is_some_and(own);
    for table in apply::known(tx, scope, record.database(), &[], wanted)? {
        if !own(&table.parameters) {
            continue;
        }
        let partitions = table.partitions.iter().map(|p| &p.storage.location);
        let own = table.partition_keys.is_empty().then_some(&table.storage.location);
        for target in partitions.chain(own).filter_map(|location| Target::parse(location)) {
            let folder = target.folder();
            folders.entry(target.bucket).or_default().push(folder);
        }
    }
    Ok(folders)
}

/// A crawler's role is an ARN, or a name that may have a path.
pub(crate) fn role_arn(account: &str, role: &str) -> String {
    if role.starts_with("arn:") { role.to_owned() } else { format!("arn:aws:iam::{account}:role/{role}") }
}

fn write_tables(
    tx: &mut Tx<'_>,
    payload: &Payload,
    plan: &Plan,
    report: &Report,
    now: jiff::Timestamp,
) -> Result<Summary, Error> {
    let scope = payload.scope();
    let role = plan.record.crawler.role.as_deref().unwrap_or_default();
    let role = role.rsplit('/').next().unwrap_or_default();
    let creator = format!("arn:aws:sts::{}:assumed-role/{role}/{SESSION}", scope.account);
    let mut all = Summary::default();
    for (database, changes) in changes(tx, payload, plan, report, now)? {
        let writer = Writer { scope: &scope, database: &database, creator: &creator, now };
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
        began_ms: plan.record.run.as_ref().map_or(0, |run| run.started.as_millis()),
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

/// Makes the crawler READY, with LastCrawl, history and the event.
fn finish(tx: &mut Tx<'_>, payload: &Payload, end: &End<'_>) -> Result<(), Error> {
    let scope = payload.scope();
    let Some(mut record) = tx.get_json::<Record>(key(&scope, &payload.crawler))? else { return Ok(()) };
    let Some(run) = record.run.clone().filter(|run| run.id == payload.run) else { return Ok(()) };
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
    let origin = super::origin(&scope, &payload.crawler, &payload.run);
    if tx.get(&origin)?.is_some() {
        tx.delete(&origin)?;
        let crawl = triggers::Ended::Crawl { name: &payload.crawler, state: end.status };
        if !workflows::observe(tx, &scope, &payload.run, &crawl, end.now)? {
            triggers::observe(tx, &scope, &crawl, end.now)?;
        }
    }
    Ok(())
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
