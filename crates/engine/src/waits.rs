//! Who waits for the end of which job: a task that has started a job (`.sync`) becomes a row of kind [`WAIT_KIND`] under the same
//! id, due when the job is to be asked after at the latest, and an index from the job to it. News of the job's end make the row due
//! at once; so does, in its own last commit, an execution that another one waits for.
//!
//! An execution that is in another store has the index's entry there: a task of the wait puts it there ([`FOLLOW_KIND`]), or makes the wait
//! due where there is nothing to wait for any more; at its end the execution leaves a task for each entry, which makes the wait due
//! ([`OVER_KIND`]). Either may run twice, and finds then what it did, or nothing. Should both be late the wait looks by itself.
//!
//! What a job is, how it is asked after and how it is stopped is the caller's.

use std::collections::BTreeSet;
use std::sync::Arc;

use asl::{Status, TaskId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::kv::memo_prefix;
use store::{Done, Key, NewTask, Runner, Task, Tx};
use wire::Error;

use crate::runners::again;
use crate::shards::Site;
use crate::{Engine, ExecutionArn, TASK_KIND, TaskPayload, lock, read};

/// The queue kind of a task that waits for its job; its payload is a [`WaitPayload`]. It asks after the job.
pub const WAIT_KIND: &str = "states:wait";
/// The queue kind of what is left of a wait that was given up; the same payload, or a [`TaskPayload`] where it had not begun. It stops
/// the job.
pub const STOP_KIND: &str = "states:stop";

/// The queue kind of a task that lies ready for an activity's workers; its payload is a [`TaskPayload`].
pub const ACTIVITY_KIND: &str = "states:activity";
/// The queue kind of a task that sees to it that the activity has a place for another task as long as that one lies ready, where activities
/// are in another store; its payload is an [`ActivityPlace`].
pub const PLACE_KIND: &str = "states:activity-place";
/// The queue kinds of what goes between a wait and an execution in another store; the payload is the wait's id.
pub(crate) const FOLLOW_KIND: &str = "states:follow";
pub(crate) const OVER_KIND: &str = "states:over";

/// What the index's keys begin with: apart from the executions, so that it is read without them.
const OWNER: &str = "states.wait";
/// More than a server could start before it is asked to stop.
const MAX_WAITS: usize = 10_000_000;

/// A job, and who waits for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaitPayload {
    pub execution: ExecutionArn,
    pub task: TaskId,
    pub job: JobName,
    /// The machine's role, that of the state's Credentials, and the execution's name, which the session has.
    pub role_arn: String,
    #[serde(default)]
    pub other_role: Option<String>,
    pub name: String,
    /// How the job is asked after and stopped.
    pub how: Value,
}

/// A job, as its service names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobName {
    pub service: String,
    pub account: String,
    pub region: String,
    pub name: String,
}

/// A wait to begin.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The id of the queue's task that started the job; the wait takes its place.
    pub id: String,
    pub payload: WaitPayload,
    /// When the job is asked after, if no news of it come before.
    pub at: jiff::Timestamp,
}

/// A task that lies ready for an activity's workers, and the record that names it among the activity's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActivityPlace {
    /// The id of the task's row.
    pub row: String,
    pub activity: String,
    pub place: Vec<u8>,
}

impl ActivityPlace {
    /// What sees to the place, also when the task no longer lies ready.
    pub fn task(&self) -> Result<NewTask, store::Error> {
        NewTask::new(PLACE_KIND, format!("{}/place", self.row)).payload(self)
    }
}

impl JobName {
    fn key(&self) -> Key {
        Key::new(OWNER).push(&self.account).push(&self.region).push(&self.service).push(&self.name)
    }

    fn of_execution(arn: &ExecutionArn) -> Self {
        Self {
            service: "states".to_owned(),
            account: arn.account().to_owned(),
            region: arn.region().to_owned(),
            name: arn.to_string(),
        }
    }

    /// Whether anybody waits for the job.
    fn is_awaited(&self, tx: &mut Tx<'_>) -> Result<bool, store::Error> {
        Ok(!tx.scan_prefix(self.key(), 1)?.is_empty())
    }

    /// The job is over: whoever waits for it looks at once.
    fn over(&self, tx: &mut Tx<'_>, site: &Site) -> Result<(), store::Error> {
        for (key, id) in tx.scan_prefix(self.key(), MAX_WAITS)? {
            tx.delete(&key)?;
            let id = String::from_utf8_lossy(&id);
            match execution_of(&id) {
                Some(waits) if !site.has(&waits) => {
                    tx.enqueue(NewTask::new(OVER_KIND, format!("{id}/over")).payload(&id)?)?;
                }
                _ => tx.hasten_task(&id)?,
            }
        }
        Ok(())
    }

    /// The execution that the job is.
    fn execution(&self) -> Option<ExecutionArn> {
        if self.service == "states" { ExecutionArn::parse(&self.name) } else { None }
    }

    fn entry(&self, id: &str) -> Key {
        self.key().push(id)
    }
}

impl Wait {
    /// Begins the wait; when the job is an execution that is over already, it ends at once.
    pub(crate) fn begin(&self, tx: &mut Tx<'_>, site: &Site) -> Result<(), store::Error> {
        let job = &self.payload.job;
        let task = NewTask::new(WAIT_KIND, &self.id).payload(&self.payload)?;
        if let Some(child) = job.execution() {
            if !site.has(&child) {
                tx.enqueue(NewTask::new(FOLLOW_KIND, format!("{}/follow", self.id)).payload(&self.id)?)?;
                return tx.enqueue(task.at(self.at));
            }
            if !follow(tx, site, &child, &self.id)? {
                return tx.enqueue(task);
            }
        } else {
            tx.put(job.entry(&self.id), self.id.as_bytes())?;
        }
        tx.enqueue(task.at(self.at))
    }
}

/// Has an execution's end told to the wait of that id. False when it does not run.
fn follow(tx: &mut Tx<'_>, site: &Site, child: &ExecutionArn, wait: &str) -> Result<bool, store::Error> {
    if read::summary(tx, child)?.is_none_or(|summary| summary.status != Status::Running) {
        return Ok(false);
    }
    load(tx, site)?;
    lock(&site.awaited).get_or_insert_default().insert(child.to_string());
    tx.put(JobName::of_execution(child).entry(wait), wait.as_bytes())?;
    Ok(true)
}

/// The execution whose task has that id.
fn execution_of(task: &str) -> Option<ExecutionArn> {
    ExecutionArn::parse(task.rsplit_once(TASK)?.0)
}

/// What stands between an execution and the number of its task in the task's id.
pub(crate) const TASK: &str = "/task/";

/// The execution no longer waits for the task: a job that was started for it is stopped, and what lies ready for an activity's workers
/// is taken away.
pub(crate) fn abandon(tx: &mut Tx<'_>, site: &Site, id: &str) -> Result<(), store::Error> {
    let Some(task) = tx.task(id)? else { return Ok(()) };
    match task.kind.as_str() {
        WAIT_KIND => {
            let payload = task.payload::<WaitPayload>()?;
            tx.delete(payload.job.entry(id))?;
            tx.enqueue(NewTask::new(STOP_KIND, stop_name(id)).payload(&payload)?)
        }
        TASK_KIND => {
            let payload = task.payload::<TaskPayload>()?;
            // The start of its job is remembered or under way, and what was to be waited for is not known yet. What stops the job looks
            // whether it was started.
            if payload.resource.contains(".sync") {
                tx.enqueue(NewTask::new(STOP_KIND, stop_name(id)).payload(&payload)?)?;
            }
            Ok(())
        }
        ACTIVITY_KIND => {
            let payload = task.payload::<TaskPayload>()?;
            match payload.place {
                Some(place) if site.has_all => tx.delete(place),
                Some(place) => {
                    let place = ActivityPlace { row: id.to_owned(), activity: payload.resource, place };
                    tx.enqueue(place.task()?)
                }
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The id of what stops a task's job.
fn stop_name(id: &str) -> String {
    format!("{id}{STOP}")
}

/// The id of the task whose job is stopped by the task of that id.
pub fn stopped_task(id: &str) -> &str {
    id.strip_suffix(STOP).unwrap_or(id)
}

const STOP: &str = "/stop";

/// Whether a reply is remembered that the task of that id had.
fn is_remembered(tx: &mut Tx<'_>, task: &str) -> Result<bool, store::Error> {
    Ok(!tx.scan_prefix(memo_prefix().push(task), 1)?.is_empty())
}

/// An execution has ended. That it is waited for is forgotten once this is written ([`forget`]).
pub(crate) fn execution_over(tx: &mut Tx<'_>, site: &Site, arn: &ExecutionArn) -> Result<(), store::Error> {
    load(tx, site)?;
    let is_awaited = lock(&site.awaited).as_ref().is_some_and(|known| known.contains(arn.as_str()));
    if is_awaited { JobName::of_execution(arn).over(tx, site) } else { Ok(()) }
}

/// An execution has ended, and those who waited for it were told. For who holds the execution's slot.
pub(crate) fn forget(site: &Site, arn: &ExecutionArn) {
    if let Some(known) = lock(&site.awaited).as_mut() {
        known.remove(arn.as_str());
    }
}

/// After a start of the server: the executions that are waited for, out of the waits that are left.
fn load(tx: &mut Tx<'_>, site: &Site) -> Result<(), store::Error> {
    if lock(&site.awaited).is_some() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    for (key, _) in tx.scan_prefix(Key::new(OWNER), MAX_WAITS)? {
        if let [_, _, _, service, name, _] = &Key::parts(&key)[..]
            && service == b"states"
        {
            known.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    *lock(&site.awaited) = Some(known);
    Ok(())
}

impl Engine {
    /// The job is over: whoever waits for it looks at once.
    pub async fn job_over(&self, job: &JobName) -> Result<(), Error> {
        for shard in self.inner.shards.all() {
            if shard.store.read(|tx| job.is_awaited(tx)).await? {
                let (job, site) = (job.clone(), Arc::clone(&shard.site));
                shard.store.write(move |tx| job.over(tx, &site)).await?;
            }
        }
        Ok(())
    }

    /// Whether a reply to the task of that id is remembered by any store that may have started a job for it.
    pub async fn is_remembered(&self, task: &str) -> Result<bool, Error> {
        let own = self.inner.shards.all().iter().map(|shard| &shard.store);
        let others = std::iter::once(&self.inner.control).filter(|_| !self.is_in_one_store());
        for store in own.chain(others) {
            if store.read(|tx| is_remembered(tx, task)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Has the job stopped that a task has started and that nobody waits for.
    pub async fn stop_job(&self, task: &str, wait: &WaitPayload) -> Result<(), Error> {
        let stop = NewTask::new(STOP_KIND, stop_name(task)).payload(wait)?;
        Ok(self.store_of(&wait.execution).write(move |tx| tx.enqueue(stop.clone())).await?)
    }

    /// Where the execution is whose task has that id.
    pub fn store_of_task(&self, id: &str) -> Option<&store::Store> {
        execution_of(id).map(|arn| self.store_of(&arn))
    }

    /// Where a wait's execution is, it becomes known that it is waited for.
    async fn follow(&self, id: &str) -> Result<(), Error> {
        let Some(store) = self.store_of_task(id) else { return Ok(()) };
        let waits = store.read(|tx| tx.task(id).map_err(Error::from)).await?;
        // It may have ended meanwhile: nobody is to be told of what it waited for.
        let Some(wait) = waits.filter(|task| task.kind == WAIT_KIND) else { return Ok(()) };
        let Some(child) = wait.payload::<WaitPayload>()?.job.execution() else { return Ok(()) };
        let there = self.shard(&child);
        let (site, wait) = (Arc::clone(&there.site), id.to_owned());
        if there.store.write(move |tx| follow(tx, &site, &child, &wait)).await? {
            return Ok(());
        }
        self.hasten(id).await
    }

    /// A wait looks at once.
    async fn hasten(&self, id: &str) -> Result<(), Error> {
        let Some(store) = self.store_of_task(id) else { return Ok(()) };
        let wait = id.to_owned();
        Ok(store.write(move |tx| tx.hasten_task(&wait)).await?)
    }
}

/// Carries what goes between a wait and an execution in another store.
pub(crate) struct Tell(pub(crate) Engine);

#[async_trait]
impl Runner for Tell {
    async fn run(&self, task: Task) -> Done {
        let Ok(wait) = task.payload::<String>() else { return Done::Finished };
        let told = if task.kind == FOLLOW_KIND { self.0.follow(&wait).await } else { self.0.hasten(&wait).await };
        match told {
            Ok(()) => Done::Finished,
            Err(error) => again(&task, &error),
        }
    }
}
