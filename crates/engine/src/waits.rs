//! Who waits for the end of which job: a task that has started a job (`.sync`) becomes a row of kind [`WAIT_KIND`] under the same
//! id, due when the job is to be asked after at the latest, and an index from the job to it. News of the job's end make the row due
//! at once; so does, in its own last commit, an execution that another one waits for.
//!
//! What a job is, how it is asked after and how it is stopped is the caller's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use asl::{Status, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::kv::memo_prefix;
use store::{Key, NewTask, Tx};

use crate::{ExecutionArn, TASK_KIND, TaskPayload, lock, read};

/// The queue kind of a task that waits for its job; its payload is a [`WaitPayload`]. It asks after the job.
pub const WAIT_KIND: &str = "states:wait";
/// The queue kind of what is left of a wait that was given up; the same payload, or a [`TaskPayload`] where it had not begun. It stops
/// the job.
pub const STOP_KIND: &str = "states:stop";

/// The queue kind of a task that lies ready for an activity's workers; its payload is a [`TaskPayload`].
pub const ACTIVITY_KIND: &str = "states:activity";

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

/// Executions that another one waits for, so that the end of any other costs no look into the store. `None` until first needed.
pub(crate) type Awaited = Arc<Mutex<Option<BTreeSet<String>>>>;

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
    pub fn is_awaited(&self, tx: &mut Tx<'_>) -> Result<bool, store::Error> {
        Ok(!tx.scan_prefix(self.key(), 1)?.is_empty())
    }

    /// The job is over: whoever waits for it looks at once.
    pub fn over(&self, tx: &mut Tx<'_>) -> Result<(), store::Error> {
        for (key, id) in tx.scan_prefix(self.key(), MAX_WAITS)? {
            tx.delete(&key)?;
            tx.hasten_task(&String::from_utf8_lossy(&id))?;
        }
        Ok(())
    }

    fn entry(&self, id: &str) -> Key {
        self.key().push(id)
    }
}

impl Wait {
    /// Begins the wait; when the job is an execution that is over already, it ends at once.
    pub(crate) fn begin(&self, tx: &mut Tx<'_>, awaited: &Awaited) -> Result<(), store::Error> {
        let job = &self.payload.job;
        let child = ExecutionArn::parse(&job.name).filter(|_| job.service == "states");
        let running = match &child {
            Some(arn) => read::summary(tx, arn)?.is_some_and(|summary| summary.status == Status::Running),
            None => true,
        };
        let task = NewTask::new(WAIT_KIND, &self.id).payload(&self.payload)?;
        if !running {
            return tx.enqueue(task);
        }
        if let Some(arn) = child {
            load(tx, awaited)?;
            lock(awaited).get_or_insert_default().insert(arn.to_string());
        }
        tx.put(job.entry(&self.id), self.id.as_bytes())?;
        tx.enqueue(task.at(self.at))
    }
}

/// The execution no longer waits for the task: a job that was started for it is stopped, and what lies ready for an activity's workers
/// is taken away.
pub(crate) fn abandon(tx: &mut Tx<'_>, id: &str) -> Result<(), store::Error> {
    let Some(task) = tx.task(id)? else { return Ok(()) };
    match task.kind.as_str() {
        WAIT_KIND => {
            let payload = task.payload::<WaitPayload>()?;
            tx.delete(payload.job.entry(id))?;
            tx.enqueue(NewTask::new(STOP_KIND, stop_name(id)).payload(&payload)?)
        }
        TASK_KIND => {
            let payload = task.payload::<TaskPayload>()?;
            // The start of its job is remembered, and what was to be waited for is not known yet: a fault came between.
            if payload.resource.contains(".sync") && !tx.scan_prefix(memo_prefix().push(id), 1)?.is_empty() {
                tx.enqueue(NewTask::new(STOP_KIND, stop_name(id)).payload(&payload)?)?;
            }
            Ok(())
        }
        ACTIVITY_KIND => match task.payload::<TaskPayload>()?.place {
            Some(place) => tx.delete(place),
            None => Ok(()),
        },
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

/// An execution has ended.
pub(crate) fn execution_over(tx: &mut Tx<'_>, awaited: &Awaited, arn: &ExecutionArn) -> Result<(), store::Error> {
    load(tx, awaited)?;
    if lock(awaited).as_mut().is_some_and(|known| known.remove(arn.as_str())) {
        JobName::of_execution(arn).over(tx)?;
    }
    Ok(())
}

/// After a start of the server: the executions that are waited for, out of the waits that are left.
fn load(tx: &mut Tx<'_>, awaited: &Awaited) -> Result<(), store::Error> {
    if lock(awaited).is_some() {
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
    *lock(awaited) = Some(known);
    Ok(())
}
