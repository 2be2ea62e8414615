//! What is stored: jobs, runs, and which runs are under way.

use api_glue::{Job, JobRun};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::{Error, Timestamp};

use super::{bookmarks, job_not_found, run_not_found};
use crate::quality;
use crate::scope::Scope;
use crate::security::Encryption;

/// Version 1 of both records.
const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct JobRecord {
    pub(super) version: u32,
    pub(super) job: Job,
}

impl JobRecord {
    pub(super) fn new(job: Job) -> Self {
        Self { version: VERSION, job }
    }
}

/// The attempt that a server of an earlier version had under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub(super) version: u32,
    pub(super) run: JobRun,
    /// The job as it was when the run was asked for.
    pub(super) role: String,
    pub(super) command: api_glue::JobCommand,
    pub(super) max_retries: i32,
    /// When that job was created: another one of its name may stand in its place by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) job_created_on: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attempt: Option<Attempt>,
    /// How the script ended, as a server of an earlier version noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Ended>,
    /// When the script began: what it waited for before took no resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began_on: Option<Timestamp>,
    /// What the run took.
    #[serde(default)]
    pub(super) used: Option<::jobs::Used>,
    /// How what it writes to S3 is encrypted, by its security configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encryption: Option<Encryption>,
    /// Why it runs on Apache Spark though that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moved: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) state: String,
    pub(super) message: Option<String>,
    /// It has not ended: it starts over on Apache Spark, for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moved: Option<String>,
    /// The bookmark that the script committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bookmark: Option<String>,
    /// What its evaluations of data quality found, to be published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) quality: Vec<quality::Found>,
}

impl RunRecord {
    pub(super) fn new(run: JobRun, job: &Job) -> Self {
        Self {
            version: VERSION,
            run,
            role: job.role.clone().unwrap_or_default(),
            command: job.command.clone().unwrap_or_default(),
            max_retries: job.max_retries.unwrap_or(0),
            job_created_on: job.created_on,
            attempt: None,
            ended: None,
            began_on: None,
            used: None,
            encryption: None,
            moved: None,
        }
    }
    pub(super) fn state(&self) -> &str {
        self.run.job_run_state.as_deref().unwrap_or_default()
    }
    /// Since when it takes resources; none where it never came to that.
    /// Source: API Reference, `JobRun`, ExecutionTime: "the amount of time (in seconds) that the job run consumed resources".
    pub(super) fn began(&self) -> Option<Timestamp> {
        // A run that a server of an earlier version began does not say.
        self.began_on.or_else(|| self.run.started_on.filter(|_| self.state() == "RUNNING"))
    }
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state(), "SUCCEEDED" | "FAILED" | "STOPPED" | "TIMEOUT" | "ERROR")
    }
}

/// Where a run is. The payload of its tasks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunKey {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) job: String,
    pub(super) run: String,
}

impl RunKey {
    pub(super) fn of(cx: &Cx, job: &str, run: &str) -> Self {
        Self { account: cx.account().into(), region: cx.region().into(), job: job.into(), run: run.into() }
    }
    pub(super) fn scope(&self) -> Scope {
        Scope { account: self.account.clone(), region: self.region.clone() }
    }
    pub(crate) fn task(&self) -> String {
        format!("glue:jobrun:{}", self.run)
    }
    fn under(&self, what: &str) -> Key {
        Key::new("glue").push(&self.account).push(&self.region).push(what).push(&self.job)
    }
    pub(super) fn record(&self) -> Key {
        self.under("jobrun").push(&self.run)
    }
    pub(super) fn active(&self) -> Key {
        self.actives().push(&self.run)
    }
    pub(super) fn job(&self) -> Key {
        self.under("job")
    }
    /// The job's runs that are under way.
    pub(super) fn actives(&self) -> Key {
        self.under("jobrun-active")
    }
    pub(super) fn bookmark(&self) -> Key {
        self.under("bookmark")
    }
    /// How the job's runs left the bookmark.
    pub(super) fn left_bookmarks(&self) -> Key {
        self.under("bookmark-run")
    }
    pub(super) fn left_bookmark(&self) -> Key {
        self.left_bookmarks().push(&self.run)
    }
    pub(super) fn load(&self, tx: &mut Tx<'_>) -> Result<RunRecord, Error> {
        tx.get_json(self.record())?.ok_or_else(|| run_not_found(&self.run))
    }
}

pub(super) fn jobs_key(cx: &Cx) -> Key {
    Key::new("glue").push(cx.account()).push(cx.region()).push("job")
}

pub(super) fn job_key(cx: &Cx, name: &str) -> Key {
    jobs_key(cx).push(name)
}

pub(super) fn runs_key(cx: &Cx, job: &str) -> Key {
    Key::new("glue").push(cx.account()).push(cx.region()).push("jobrun").push(job)
}

/// Whether a run ended before then: then what it left of the bookmark goes with it, unless the job's bookmark is of it yet.
pub(crate) fn is_old(
    tx: &mut Tx<'_>,
    scope: &Scope,
    key: &[u8],
    value: &[u8],
    before: Timestamp,
) -> Result<bool, Error> {
    let record: RunRecord = store::kv::decode(key, value)?;
    let ended = record.run.completed_on.or(record.run.started_on);
    if !record.is_over() || ended.is_none_or(|ended| ended >= before) {
        return Ok(false);
    }
    let place = RunKey {
        account: scope.account.clone(),
        region: scope.region.clone(),
        job: record.run.job_name.unwrap_or_default(),
        run: record.run.id.unwrap_or_default(),
    };
    if !bookmarks::is_of(tx, &place)? && tx.has(place.left_bookmark())? {
        tx.delete(place.left_bookmark())?;
    }
    Ok(true)
}

/// A run and what followed it after failures (MaxRetries), by the id of the first.
pub(crate) fn attempts(tx: &mut Tx<'_>, scope: &Scope, job: &str, first: &str) -> Result<Vec<JobRun>, Error> {
    let place =
        |run: String| RunKey { account: scope.account.clone(), region: scope.region.clone(), job: job.to_owned(), run };
    let mut runs = Vec::new();
    let mut next = place(first.to_owned());
    while let Some(record) = tx.get_json::<RunRecord>(next.record())? {
        runs.push(record.run);
        next = place(format!("{first}_attempt_{}", runs.len()));
    }
    Ok(runs)
}

pub(super) fn load_job(tx: &mut Tx<'_>, key: &Key, name: &str) -> Result<Job, Error> {
    tx.get_json::<JobRecord>(key)?.map(|r| r.job).ok_or_else(|| job_not_found(name))
}
