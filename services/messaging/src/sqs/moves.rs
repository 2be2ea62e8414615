//! Tasks that move the messages of a dead-letter queue to another queue, or back to where they came from: records, and the runner that
//! moves. What is moved and what the record says of it are one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use service::Router;
use store::{Done, Key, Runner, Store, Task, Tx};
use wire::Error;

use super::Waiting;
use super::message::{self, Moved};
use super::queue::{Queue, QueueKey};

pub(super) const MOVE: &str = "sqs:move";
/// Messages in one transaction.
const AT_ONCE: usize = 100;

/// A task as AWS tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MoveTask {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) id: String,
    pub(super) source_arn: String,
    pub(super) destination_arn: Option<String>,
    /// Messages a second.
    pub(super) rate: Option<i32>,
    pub(super) status: Status,
    pub(super) moved: i64,
    pub(super) to_move: i64,
    pub(super) started_ms: i64,
    pub(super) failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    Running,
    Cancelling,
    Cancelled,
    Completed,
    Failed,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }

    pub(super) fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Cancelling)
    }
}

impl MoveTask {
    /// How many go in one transaction.
    fn at_once(&self) -> usize {
        self.rate.and_then(|rate| usize::try_from(rate).ok()).map_or(AT_ONCE, |rate| rate.min(AT_ONCE))
    }

    /// Between transactions, for the rate. Source: SQS API Reference, StartMessageMoveTask.
    fn pause(&self) -> SignedDuration {
        let Some(rate) = self.rate.filter(|rate| *rate > 0) else { return SignedDuration::ZERO };
        SignedDuration::from_millis(i64::try_from(self.at_once()).unwrap_or(1) * 1000 / i64::from(rate))
    }

    /// Newer ones stand before older ones.
    fn key(&self, queue: &Queue) -> Key {
        queue.moves().push_i64(-self.started_ms).push(&self.id)
    }

    pub(super) fn save(&self, tx: &mut Tx<'_>, queue: &Queue) -> Result<(), Error> {
        Ok(tx.put_json(self.key(queue), self)?)
    }

    pub(super) fn forget(&self, tx: &mut Tx<'_>, queue: &Queue) -> Result<(), Error> {
        Ok(tx.delete(self.key(queue))?)
    }

    /// The newest of a queue.
    pub(super) fn list(tx: &mut Tx<'_>, queue: &Queue, most: usize) -> Result<Vec<Self>, Error> {
        Ok(tx.list_json(queue.moves(), most)?)
    }
}

/// What the runner is given.
#[derive(Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) source_arn: String,
    pub(super) id: String,
}

pub(super) struct Mover {
    store: Store,
    waiting: Arc<Waiting>,
    router: Arc<Router>,
}

impl Mover {
    pub(super) fn new(store: Store, waiting: Arc<Waiting>, router: Arc<Router>) -> Self {
        Self { store, waiting, router }
    }

    /// Moves some messages. Where there may be more: how long to pause before.
    async fn some(&self, work: &Work) -> Result<Option<SignedDuration>, Error> {
        let Some(place) = QueueKey::of_arn(&work.source_arn) else { return Ok(None) };
        let id = work.id.clone();
        let now = self.router.now().as_millisecond();
        let ids: Vec<String> = (0..AT_ONCE).map(|_| self.router.uuid()).collect();
        let (woken, pause) = self
            .store
            .write(move |tx| {
                let mut woken = BTreeSet::new();
                let Some(queue) = place.find(tx)? else { return Ok((woken, None)) };
                let tasks = MoveTask::list(tx, &queue, AT_ONCE)?;
                let Some(mut task) = tasks.into_iter().find(|task| task.id == id) else {
                    return Ok((woken, None));
                };
                match task.status {
                    Status::Running => some(tx, &queue, &mut task, &ids, now, &mut woken)?,
                    Status::Cancelling => task.status = Status::Cancelled,
                    _ => return Ok((woken, None)),
                }
                task.save(tx, &queue)?;
                Ok::<_, Error>((woken, task.status.is_active().then(|| task.pause())))
            })
            .await?;
        for id in woken {
            self.waiting.wake(&id);
        }
        Ok(pause)
    }
}

/// Moves as many as go at once, and ends the task where it ends.
fn some(
    tx: &mut Tx<'_>,
    queue: &Queue,
    task: &mut MoveTask,
    ids: &[String],
    now: i64,
    woken: &mut BTreeSet<String>,
) -> Result<(), Error> {
    let to = task.destination_arn.as_deref().and_then(QueueKey::of_arn);
    for id in ids.iter().take(task.at_once()) {
        match message::move_one(tx, queue, to.as_ref(), id.clone(), now) {
            Ok(Moved::To(target)) => {
                task.moved += 1;
                woken.insert(target);
            }
            Ok(Moved::Again) => {}
            Ok(Moved::Nothing) => {
                task.status = Status::Completed;
                break;
            }
            Err(error) if error.status() < 500 => {
                task.status = Status::Failed;
                task.failure = Some(error.query_code().unwrap_or_else(|| error.code()).to_owned());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[async_trait]
impl Runner for Mover {
    async fn run(&self, task: Task) -> Done {
        let moved = match task.payload::<Work>() {
            Ok(work) => self.some(&work).await,
            Err(error) => Err(error.into()),
        };
        let after = |duration| Done::RetryAfter(duration);
        match moved {
            Ok(None) => Done::Finished,
            // A rate over what one transaction takes is reached by several a second.
            Ok(Some(pause)) => after(pause),
            Err(error) => {
                tracing::error!(%error, task = task.id, "messages could not be moved; trying again");
                after(SignedDuration::from_secs(10))
            }
        }
    }
}
