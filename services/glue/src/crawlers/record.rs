//! A crawler's record: what the API shows, the crawl under way, and figures of the last ones.

use api_glue::error::{crawler_running_exception, invalid_input_exception, no_schedule_exception};
use api_glue::{Crawler, CrawlerMetrics, CrawlerTargets, CreateCrawlerRequest, LastCrawlInfo, LineageConfiguration};
use api_glue::{RecrawlPolicy, Schedule, SchemaChangePolicy, UpdateCrawlerRequest};
use serde::{Deserialize, Serialize};
use wire::{Error, Timestamp};

use super::LOG_GROUP;
use super::configuration::Configuration;
use super::cron::Cron;
use crate::crawl::Target;

/// Run times kept for the median.
const KEPT: usize = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) crawler: Crawler,
    /// The crawl under way.
    pub(crate) run: Option<Run>,
    runtimes_ms: Vec<i64>,
    last: Counts,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) started: Timestamp,
}

/// Tables that a crawl touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) created: i32,
    pub(crate) updated: i32,
    pub(crate) deleted: i32,
}

impl Record {
    pub(crate) fn create(req: CreateCrawlerRequest, now: jiff::Timestamp) -> Result<Self, Error> {
        let crawler = Crawler {
            name: Some(req.name),
            role: Some(req.role),
            targets: Some(req.targets),
            database_name: req.database_name.map(|db| db.to_lowercase()),
            description: req.description,
            classifiers: Some(req.classifiers.unwrap_or_default()),
            recrawl_policy: req.recrawl_policy.or_else(|| Some(crawl_everything())),
            schema_change_policy: Some(completed(req.schema_change_policy)),
            lineage_configuration: req
                .lineage_configuration
                .or_else(|| Some(LineageConfiguration { crawler_lineage_settings: Some("DISABLE".to_owned()) })),
            lake_formation_configuration: req.lake_formation_configuration,
            state: Some("READY".to_owned()),
            table_prefix: req.table_prefix,
            crawl_elapsed_time: Some(0),
            creation_time: Some(now.into()),
            last_updated: Some(now.into()),
            version: Some(1),
            configuration: req.configuration.filter(|c| !c.is_empty()),
            crawler_security_configuration: req.crawler_security_configuration,
            ..Crawler::default()
        };
        let mut record = Self { crawler, run: None, runtimes_ms: Vec::new(), last: Counts::default() };
        record.set_schedule(req.schedule.as_deref())?;
        record.check()?;
        Ok(record)
    }

    pub(crate) fn update(&mut self, req: UpdateCrawlerRequest, now: jiff::Timestamp) -> Result<(), Error> {
        let crawler = &mut self.crawler;
        let set = |slot: &mut Option<String>, new: Option<String>| {
            if new.is_some() {
                *slot = new;
            }
        };
        set(&mut crawler.role, req.role);
        set(&mut crawler.database_name, req.database_name.map(|db| db.to_lowercase()));
        set(&mut crawler.description, req.description);
        set(&mut crawler.table_prefix, req.table_prefix);
        set(&mut crawler.crawler_security_configuration, req.crawler_security_configuration);
        if let Some(configuration) = req.configuration {
            crawler.configuration = Some(configuration).filter(|c| !c.is_empty());
        }
        crawler.targets = req.targets.or_else(|| crawler.targets.take());
        crawler.classifiers = req.classifiers.or_else(|| crawler.classifiers.take());
        crawler.recrawl_policy = req.recrawl_policy.or_else(|| crawler.recrawl_policy.take());
        crawler.lineage_configuration = req.lineage_configuration.or_else(|| crawler.lineage_configuration.take());
        crawler.lake_formation_configuration =
            req.lake_formation_configuration.or_else(|| crawler.lake_formation_configuration.take());
        if req.schema_change_policy.is_some() {
            crawler.schema_change_policy = Some(completed(req.schema_change_policy));
        }
        crawler.version = Some(crawler.version.unwrap_or(1) + 1);
        crawler.last_updated = Some(now.into());
        if req.schedule.is_some() {
            self.set_schedule(req.schedule.as_deref())?;
        }
        self.check()
    }

    pub(crate) fn name(&self) -> &str {
        self.crawler.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn database(&self) -> &str {
        self.crawler.database_name.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.crawler.state.as_deref() == Some("READY")
    }

    pub(crate) fn check_ready(&self) -> Result<(), Error> {
        if self.is_ready() {
            return Ok(());
        }
        Err(crawler_running_exception(format!("Crawler with name {} is currently running", self.name())))
    }

    /// Is this the crawl under way?
    pub(crate) fn runs(&self, id: &str) -> bool {
        self.run.as_ref().is_some_and(|run| run.id == id)
    }

    /// As the API shows it.
    pub(crate) fn show(&self, now: jiff::Timestamp) -> Crawler {
        let mut crawler = self.crawler.clone();
        let elapsed = self.run.as_ref().map_or(0, |run| Timestamp::from(now).as_millis() - run.started.as_millis());
        crawler.crawl_elapsed_time = Some(elapsed.max(0));
        crawler
    }

    pub(crate) fn start(&mut self, run: Run) {
        self.crawler.state = Some("RUNNING".to_owned());
        self.run = Some(run);
    }

    /// Ends the crawl under way: the crawler is READY and says how it went.
    pub(crate) fn finish(&mut self, status: &str, error: Option<String>, counts: Counts, now: jiff::Timestamp) {
        let Some(run) = self.run.take() else { return };
        self.crawler.state = Some("READY".to_owned());
        self.crawler.last_crawl = Some(LastCrawlInfo {
            status: Some(status.to_owned()),
            error_message: error,
            log_group: Some(LOG_GROUP.to_owned()),
            log_stream: Some(self.name().to_owned()),
            message_prefix: Some(run.id),
            start_time: Some(run.started),
        });
        self.runtimes_ms.insert(0, (Timestamp::from(now).as_millis() - run.started.as_millis()).max(0));
        self.runtimes_ms.truncate(KEPT);
        self.last = counts;
    }

    pub(crate) fn metrics(&self) -> CrawlerMetrics {
        let mut sorted = self.runtimes_ms.clone();
        sorted.sort_unstable();
        CrawlerMetrics {
            crawler_name: Some(self.name().to_owned()),
            time_left_seconds: Some(0.0),
            still_estimating: Some(!self.is_ready()),
            last_runtime_seconds: Some(seconds(self.runtimes_ms.first())),
            median_runtime_seconds: Some(seconds(sorted.get(sorted.len() / 2))),
            tables_created: Some(self.last.created),
            tables_updated: Some(self.last.updated),
            tables_deleted: Some(self.last.deleted),
        }
    }

    /// Sets or, with an empty expression, removes the schedule.
    pub(crate) fn set_schedule(&mut self, expression: Option<&str>) -> Result<(), Error> {
        self.crawler.schedule = match expression.filter(|e| !e.is_empty()) {
            None => None,
            Some(text) => {
                Cron::parse(text)?;
                Some(Schedule { schedule_expression: Some(text.to_owned()), state: Some("SCHEDULED".to_owned()) })
            }
        };
        Ok(())
    }

    /// Turns the schedule on or off; `already` is the error when it is so.
    pub(crate) fn switch_schedule(&mut self, state: &str, already: Error) -> Result<(), Error> {
        let schedule = self.crawler.schedule.as_mut();
        // Who stops what has no schedule is told that it does not run. Source: API reference, errors of StopCrawlerSchedule.
        let Some(schedule) = schedule else {
            let none = || no_schedule_exception("There is no schedule for this crawler.");
            return Err(if state == "SCHEDULED" { none() } else { already });
        };
        if schedule.state.as_deref() == Some(state) {
            return Err(already);
        }
        schedule.state = Some(state.to_owned());
        Ok(())
    }

    pub(crate) fn configuration(&self) -> Result<Configuration, Error> {
        Configuration::parse(self.crawler.configuration.as_deref())
    }

    pub(crate) fn recrawl(&self) -> &str {
        let policy = self.crawler.recrawl_policy.as_ref();
        policy.and_then(|p| p.recrawl_behavior.as_deref()).unwrap_or("CRAWL_EVERYTHING")
    }

    pub(crate) fn policy(&self) -> (&str, &str) {
        let policy = self.crawler.schema_change_policy.as_ref();
        (
            policy.and_then(|p| p.update_behavior.as_deref()).unwrap_or("UPDATE_IN_DATABASE"),
            policy.and_then(|p| p.delete_behavior.as_deref()).unwrap_or("DEPRECATE_IN_DATABASE"),
        )
    }

    /// What must hold for the crawler as a whole.
    fn check(&self) -> Result<(), Error> {
        let targets = self.crawler.targets.clone().unwrap_or_default();
        check_targets(&targets)?;
        self.configuration()?;
        let prefix = self.crawler.table_prefix.as_deref().unwrap_or_default();
        if prefix.chars().count() > 128 {
            return Err(invalid_input_exception("The table prefix has more than 128 characters"));
        }
        let catalog = targets.catalog_targets.as_ref().is_some_and(|t| !t.is_empty());
        if !catalog && self.database().is_empty() {
            return Err(invalid_input_exception("A database name is required"));
        }
        let (update, delete) = self.policy();
        if catalog && delete != "LOG" {
            return Err(invalid_input_exception(
                "The SchemaChangePolicy for catalog targets can have only LOG DeleteBehavior value.",
            ));
        }
        match self.recrawl() {
            "CRAWL_EVERYTHING" => Ok(()),
            "CRAWL_NEW_FOLDERS_ONLY" if (update, delete) == ("LOG", "LOG") => Ok(()),
            "CRAWL_NEW_FOLDERS_ONLY" => Err(invalid_input_exception(
                "The SchemaChangePolicy for \"Crawl new folders only\" Amazon S3 target can have only LOG DeleteBehavior \
                 value and LOG UpdateBehavior value.",
            )),
            other => Err(Error::not_implemented(format!("RecrawlBehavior {other}"))),
        }
    }
}

/// At least one target, each of a kind that can be crawled here.
fn check_targets(targets: &CrawlerTargets) -> Result<(), Error> {
    let foreign = [
        ("JdbcTargets", targets.jdbc_targets.as_ref().is_some_and(|t| !t.is_empty())),
        ("MongoDBTargets", targets.mongo_db_targets.as_ref().is_some_and(|t| !t.is_empty())),
        ("DynamoDBTargets", targets.dynamo_db_targets.as_ref().is_some_and(|t| !t.is_empty())),
        ("DeltaTargets", targets.delta_targets.as_ref().is_some_and(|t| !t.is_empty())),
        ("IcebergTargets", targets.iceberg_targets.as_ref().is_some_and(|t| !t.is_empty())),
        ("HudiTargets", targets.hudi_targets.as_ref().is_some_and(|t| !t.is_empty())),
    ];
    if let Some((kind, _)) = foreign.iter().find(|(_, present)| *present) {
        return Err(Error::not_implemented(format!("a crawler over {kind}")));
    }
    let s3 = targets.s3_targets.as_deref().unwrap_or_default();
    let catalog = targets.catalog_targets.as_deref().unwrap_or_default();
    if s3.is_empty() && catalog.is_empty() {
        return Err(invalid_input_exception("At least one crawler target is required"));
    }
    if !s3.is_empty() && !catalog.is_empty() {
        return Err(invalid_input_exception("Catalog targets can not be mixed with other targets"));
    }
    for target in s3 {
        let path = target.path.as_deref().unwrap_or_default();
        if Target::parse(path).is_none() {
            return Err(invalid_input_exception(format!("Invalid S3 target path: {path}")));
        }
        if target.sample_size.is_some_and(|n| !(1..=249).contains(&n)) {
            return Err(invalid_input_exception("SampleSize must be between 1 and 249"));
        }
    }
    Ok(())
}

fn crawl_everything() -> RecrawlPolicy {
    RecrawlPolicy { recrawl_behavior: Some("CRAWL_EVERYTHING".to_owned()) }
}

fn completed(policy: Option<SchemaChangePolicy>) -> SchemaChangePolicy {
    let policy = policy.unwrap_or_default();
    SchemaChangePolicy {
        update_behavior: policy.update_behavior.or_else(|| Some("UPDATE_IN_DATABASE".to_owned())),
        delete_behavior: policy.delete_behavior.or_else(|| Some("DEPRECATE_IN_DATABASE".to_owned())),
    }
}

fn seconds(ms: Option<&i64>) -> f64 {
    ms.map_or(0.0, |ms| f64::from(i32::try_from(*ms).unwrap_or(i32::MAX)) / 1000.0)
}

#[cfg(test)]
mod tests {
    use api_glue::{CrawlerTargets, CreateCrawlerRequest, RecrawlPolicy, S3Target, UpdateCrawlerRequest};
    use wire::Error;

    use super::{Counts, Record, Run};

    fn request(path: &str) -> CreateCrawlerRequest {
        let target = S3Target { path: Some(path.to_owned()), ..S3Target::default() };
        CreateCrawlerRequest {
            name: "c".into(),
            role: "r".into(),
            database_name: Some("DB".into()),
            targets: CrawlerTargets { s3_targets: Some(vec![target]), ..CrawlerTargets::default() },
            ..CreateCrawlerRequest::default()
        }
    }

    fn create(change: impl FnOnce(&mut CreateCrawlerRequest)) -> Result<Record, Error> {
        let mut req = request("s3://b/x");
        change(&mut req);
        Record::create(req, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn refuses_what_cannot_be_crawled() {
        let new_only = RecrawlPolicy { recrawl_behavior: Some("CRAWL_NEW_FOLDERS_ONLY".into()) };
        for (record, code) in [
            (create(|r| r.targets = CrawlerTargets::default()), "InvalidInputException"),
            (create(|r| *r = request("http://x")), "InvalidInputException"),
            (create(|r| r.database_name = None), "InvalidInputException"),
            (create(|r| r.configuration = Some("{".into())), "InvalidInputException"),
            (create(|r| r.schedule = Some("rate(1 day)".into())), "InvalidInputException"),
            (create(|r| r.recrawl_policy = Some(new_only)), "InvalidInputException"),
            (
                create(|r| r.targets.dynamo_db_targets = Some(vec![api_glue::DynamoDBTarget::default()])),
                "NotImplemented",
            ),
        ] {
            assert_eq!(record.unwrap_err().code(), code);
        }
    }

    #[test]
    fn an_update_changes_what_it_names() {
        let mut record = create(|r| r.table_prefix = Some("p_".into())).unwrap();
        let update =
            UpdateCrawlerRequest { name: "c".into(), role: Some("s".into()), ..UpdateCrawlerRequest::default() };
        record.update(update, jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(record.crawler.role.as_deref(), Some("s"));
        assert_eq!(record.crawler.table_prefix.as_deref(), Some("p_"));
        assert_eq!((record.crawler.version, record.database()), (Some(2), "db"));
    }

    #[test]
    fn a_finished_crawl_is_told() {
        let mut record = create(|_| ()).unwrap();
        record.start(Run { id: "x".into(), started: jiff::Timestamp::UNIX_EPOCH.into() });
        assert!(!record.is_ready() && record.check_ready().is_err());
        let now = jiff::Timestamp::from_millisecond(1500).unwrap();
        assert_eq!(record.show(now).crawl_elapsed_time, Some(1500));
        record.finish("SUCCEEDED", None, Counts { created: 2, ..Counts::default() }, now);
        assert!(record.is_ready());
        let metrics = record.metrics();
        assert_eq!((metrics.tables_created, metrics.last_runtime_seconds), (Some(2), Some(1.5)));
        assert_eq!(record.crawler.last_crawl.unwrap().status.as_deref(), Some("SUCCEEDED"));
    }
}
