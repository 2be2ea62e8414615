//! The one lifecycle of everything that runs and takes its time: queries, crawls, job runs, transforms, asynchronous
//! invocations, stack operations.
//!
//! ```text
//! load ─► undo what an attempt cut short left ─► open an attempt, keys ─► begin ─► work ─► note how it ended
//!                                                                                               │
//!              record, event, next job: one transaction ◄─ commit or roll back ◄────────────────┘
//! ```
//!
//! A service says what its jobs are ([`Kind`]): how a record is loaded, who does the work, what is recorded of the end. This
//! crate owns the attempts and their keys, the order of the steps, stop, retry, timeout and metering. Killed between any two
//! steps, a job goes on so that it ends once and its effects are there once or not at all: before its end is noted it starts
//! over, and what it had written is undone first; from then on it is only wound up.
//!
//! What writes for a job takes part as a [`service::attempts::Participant`]: objects (S3), tables and partitions (Glue's catalog).
//! Calls that the platform itself makes for a job bear the task's id, and count once by that.
//!
//! | module | what it holds |
//! |---|---|
//! | `life` | what is stored of a job's course, beside the service's own record |
//! | `run` | the steps |
//! | [`event`] | events about jobs, sent once |
//! | [`log`] | what processes say, to CloudWatch Logs |
//! | [`sweep`] | what no job needs any more |

pub mod event;
mod life;
pub mod log;
mod run;
pub mod sweep;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use service::attempts::Outcome;
use service::identity::Credentials;
use service::{Principal, Router};
use store::{NewTask, Queue, Tx};
use tokio::sync::watch;
use wire::Error;

use life::Life;

/// What a service supplies of its jobs.
#[async_trait]
pub trait Kind: Send + Sync + 'static {
    /// The kind of its tasks: `service:what`.
    const NAME: &'static str;
    /// How an earlier version called the task that wound up what was stopped; such a task may still be on the queue.
    const OLD_STOP: Option<&'static str> = None;
    /// A job that was cut short goes on from its own records, whose steps count once; nothing of it is undone.
    const GOES_ON: bool = false;
    /// How long the work may wait for its place, where that is not of the time that it may take: then that time counts from when
    /// the work says that it has [`Attempt::started`].
    const WAITS: Option<Duration> = None;
    /// Is anything recorded when the work begins?
    const BEGINS: bool = true;

    /// Where a job is: the payload of its task.
    type Payload: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// What is to be done, as the records say.
    type Plan: Send + Sync + 'static;
    /// How the work ended.
    type End: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;

    /// Account and region.
    fn scope(place: &Self::Payload) -> (&str, &str);

    fn load(&self, tx: &mut Tx<'_>, place: &Self::Payload) -> Result<Loaded<Self::Plan>, Error>;

    /// The attempt that an earlier version of the platform noted in the service's own record.
    fn older(&self, _plan: &Self::Plan) -> Option<String> {
        None
    }

    fn limits(&self, plan: &Self::Plan) -> Limits;

    /// Who does the work.
    async fn who(&self, place: &Self::Payload, plan: &Self::Plan, attempt: &str) -> Result<Who<Self::End>, Error>;

    /// Records that the work begins; done again for each attempt.
    fn begin(&self, _tx: &mut Tx<'_>, _place: &Self::Payload, _now: jiff::Timestamp) -> Result<(), Error> {
        Ok(())
    }

    /// Does the work. Dropped when the job is stopped or its time is up; a job that goes on from its own records sees there
    /// that it is no longer wanted.
    async fn work(&self, place: &Self::Payload, plan: &Self::Plan, attempt: &Attempt) -> Worked<Self::End>;

    /// The end of a job that was stopped.
    fn stopped(&self) -> Self::End;
    /// The end of a job whose time was up.
    fn timed_out(&self, plan: &Self::Plan) -> Self::End;

    /// The end of a job that has done what cannot be undone, whatever became of its work after that; none: all of its kind
    /// can be undone.
    fn settled(&self) -> Option<Self::End> {
        None
    }

    /// What becomes of what it wrote.
    fn outcome(&self, end: &Self::End) -> Outcome;

    /// Records the end, and asks for what follows from it.
    fn end(
        &self,
        tx: &mut Tx<'_>,
        place: &Self::Payload,
        ended: &Ended<Self::End>,
    ) -> Result<Next<Self::Payload>, Error>;

    /// Its end has just been recorded: what is to be counted of it. Not after a crash in between.
    async fn recorded(&self, _place: &Self::Payload) {}
}

/// How a job stands by its service's records.
#[derive(Debug)]
pub enum Loaded<P> {
    /// It is over, or there is no record of it.
    Over,
    /// It was asked to stop.
    Stopping(P),
    Todo(P),
}

/// What a job may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Attempts that may fail for reasons that may pass, such as the death of a worker.
    pub tries: u32,
    /// None: the work ends by itself. What it waits for counts too, but for kinds that say how long they wait ([`Kind::WAITS`]).
    pub timeout: Option<Duration>,
}

/// Who does a job's work.
#[derive(Debug)]
pub enum Who<E> {
    /// The platform itself: no keys are given out.
    Platform,
    As(Principal),
    /// Nobody may: so the job ends.
    Nobody(E),
}

/// How an attempt's work came out.
#[derive(Debug)]
pub enum Worked<E> {
    Ended(E),
    /// Another attempt may do better; this is the end if there is none.
    Passing(E),
    /// Who worked is gone, the fault of neither: another attempt is made, however many the job may have; this is the end where who
    /// works on it is gone again and again.
    Lost(E),
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct Ended<E> {
    pub end: E,
    pub used: Used,
    pub at: jiff::Timestamp,
}

/// What follows the end.
#[derive(Debug)]
pub enum Next<P> {
    Over,
    /// The same job again, then.
    Again(P, jiff::Timestamp),
}

/// What a job's work used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub cpu_ms: u64,
    pub peak_bytes: u64,
    pub read_bytes: u64,
    /// That stayed.
    pub written_bytes: u64,
}

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt {
    name: String,
    credentials: Option<Credentials>,
    used: Mutex<Used>,
    started: watch::Sender<()>,
}

impl Attempt {
    fn new(name: &str, credentials: Option<Credentials>) -> Self {
        let used = Mutex::default();
        Self { name: name.to_owned(), credentials, used, started: watch::channel(()).0 }
    }

    /// The keys of whoever does the work.
    ///
    /// # Errors
    /// Where the platform itself does it.
    pub fn credentials(&self) -> Result<&Credentials, Error> {
        self.credentials.as_ref().ok_or_else(|| Error::internal("an attempt without keys"))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time that the work may take counts from now: what it waited for before does not.
    pub fn started(&self) {
        self.started.send_replace(());
    }

    /// Counts what the work used.
    pub fn use_up(&self, used: Used) {
        let mut all = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        all.cpu_ms += used.cpu_ms;
        all.peak_bytes = all.peak_bytes.max(used.peak_bytes);
        all.read_bytes += used.read_bytes;
        all.written_bytes += used.written_bytes;
    }

    fn used(&self) -> Used {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs of all kinds that are being stopped at once.
const STOPS: usize = 8;

/// Names the runner of a kind of job; at most `at_once` work side by side.
pub fn register<K: Kind>(queue: &Queue, router: &Arc<Router>, kind: Arc<K>, at_once: usize) {
    let jobs = Arc::new(run::Jobs { kind, store: queue.store().clone(), router: router.clone() });
    queue.register(K::NAME, at_once, jobs.clone());
    queue.register(stop_kind::<K>(), STOPS, jobs.clone());
    if let Some(old) = K::OLD_STOP {
        queue.register(old, STOPS, jobs);
    }
}

fn stop_kind<K: Kind>() -> String {
    format!("{}:stop", K::NAME)
}

/// Puts a job on the queue, in the transaction that records it. `id` is the task's, and names the job everywhere.
///
/// # Errors
/// Where a job of that id is under way: it would be lost, whatever had been promised of it.
pub fn start<K: Kind>(tx: &mut Tx<'_>, id: &str, place: &K::Payload) -> Result<(), Error> {
    if tx.has_task(id)? {
        return Err(Error::internal(format!("a job {id} is under way already")));
    }
    Ok(tx.enqueue(NewTask::new(K::NAME, id).payload(place)?)?)
}

/// What came of the wish to stop a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its work is cut short; then its end is recorded as [`Kind::stopped`] says.
    Stopping,
    /// Its work has ended already: so it ends as it would have.
    TooLate,
}

/// Stops a job, whether it waits, works or is between two attempts.
pub fn stop<K: Kind>(tx: &mut Tx<'_>, id: &str, place: &K::Payload) -> Result<Stop, Error> {
    let life = Life::of(tx, id)?;
    if life.ended.is_some() {
        return Ok(Stop::TooLate);
    }
    Life { stop: true, ..life }.put(tx, id)?;
    // Who works is told to stop, and winds up; should that not come about, the new task does.
    tx.cancel_task(id)?;
    tx.enqueue(NewTask::new(stop_kind::<K>(), id).payload(place)?)?;
    Ok(Stop::Stopping)
}

/// Takes a job off the queue that nobody has begun to work on; its service records the end itself.
pub fn forget(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    Life::forget(tx, id)?;
    Ok(tx.cancel_task(id)?)
}
