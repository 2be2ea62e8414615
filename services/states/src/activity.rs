//! Activities: tasks that workers outside fetch, and the queue in which they wait.
//!
//! A waiting task is the execution's own row on the durable queue, put far into the future, so that whatever ends it (a timeout, a
//! stop) removes it too; `activity-task/<activity>/` orders the rows. A worker's claim on one lasts
//! until the execution has recorded it. Where the execution is in another store a task of that store puts the place there and takes it
//! away ([`Places`]); a place whose row no longer waits is nobody's to fetch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use api_states::{EncryptionConfiguration, Tag, error};
use asl::Event;
use async_trait::async_trait;
use engine::{ActivityPlace, Delivery, Engine, TaskPayload};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use store::{Done, Key, NewTask, Runner, Store, Task, Tx};
use tokio::sync::Notify;
use wire::Error;
use wire::arn::Arn;

use crate::names::Resource;

/// An activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) version: u8,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) encryption: Option<EncryptionConfiguration>,
    pub(crate) tags: Vec<Tag>,
}

/// `arn:aws:states:us-east-1:000000000000:activity:name`
#[derive(Clone, Debug)]
pub(crate) struct ActivityArn {
    account: String,
    region: String,
    name: String,
    text: String,
}

impl ActivityArn {
    pub(crate) fn new(account: &str, region: &str, name: &str) -> Self {
        let text = Arn::new("states", region, account, format!("activity:{name}")).to_string();
        Self { account: account.to_owned(), region: region.to_owned(), name: name.to_owned(), text }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let Resource { account, region, parts } = Resource::parse(text, &["activity"])?;
        match &parts[..] {
            [_, name] => Ok(Self { account, region, name: name.clone(), text: text.to_owned() }),
            _ => Err(error::invalid_arn(format!("Invalid Arn: '{text}'"))),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn key(&self) -> Key {
        activities(&self.account, &self.region).push(&self.name)
    }

    fn tasks(&self) -> Key {
        Key::new("states").push(&self.account).push(&self.region).push("activity-task").push(&self.name)
    }

    fn counter(&self) -> Key {
        Key::new("states").push(&self.account).push(&self.region).push("activity-tasks").push(&self.name)
    }

    pub(crate) fn find(&self, tx: &mut Tx<'_>) -> Result<Activity, Error> {
        tx.get_json(self.key())?.ok_or_else(|| self.does_not_exist())
    }

    fn does_not_exist(&self) -> Error {
        error::activity_does_not_exist(format!("Activity Does Not Exist: '{}'", self.text))
    }
}

pub(crate) fn activities(account: &str, region: &str) -> Key {
    Key::new("states").push(account).push(region).push("activity")
}

/// The kind of a waiting task's row. It falls due in a time that does not come.
const WAITING_KIND: &str = engine::ACTIVITY_KIND;
/// Places that are taken away in one transaction.
const AT_ONCE: usize = 10_000;

/// What a worker gets.
pub(crate) struct Taken {
    pub(crate) token: String,
    pub(crate) input: String,
}

/// The waiting tasks of all activities.
#[derive(Clone)]
pub(crate) struct Tasks {
    engine: Engine,
    store: Store,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct Memory {
    claimed: Mutex<BTreeSet<Vec<u8>>>,
    told: Mutex<BTreeMap<String, Arc<Notify>>>,
}

impl Tasks {
    pub(crate) fn new(engine: Engine, store: Store) -> Self {
        Self { engine, store, memory: Arc::default() }
    }

    /// Lays the task ready for a worker, in place of the row `id` that brought it, once the execution has recorded that. Of an
    /// activity that does not exist the task fails.
    pub(crate) async fn offer(&self, id: &str, payload: &TaskPayload) -> Result<(), Error> {
        let of = payload.task;
        let arn = match ActivityArn::parse(&payload.resource) {
            Ok(arn) if self.store.read(|tx| tx.get(arn.key()).map_err(Error::from)).await?.is_some() => arn,
            _ => {
                let missing = Event::ActivityMissing { task: of };
                self.engine.tell(&payload.execution, missing, Some(id.to_owned())).await?;
                return Ok(());
            }
        };
        let scheduled = Event::ActivityScheduled { task: of, input: payload.parameters.clone() };
        self.engine.tell(&payload.execution, scheduled, None).await?;
        let (row, stored, activity) = (id.to_owned(), payload.clone(), arn.clone());
        let is_here = self.engine.is_in_one_store();
        self.engine
            .store_of(&payload.execution)
            .write(move |tx| {
                // It has been cancelled in the meantime.
                if !tx.has_task(&row)? {
                    return Ok::<_, Error>(());
                }
                let place = if is_here {
                    let number = tx.next_number(activity.counter())?;
                    let place = activity.tasks().push_u64(number);
                    tx.put(&place, row.as_bytes())?;
                    place.into_bytes()
                } else {
                    let place = activity.tasks().push_i64(tx.now().as_microsecond()).push(&row).into_bytes();
                    let put = ActivityPlace { row: row.clone(), activity: activity.text.clone(), place };
                    tx.enqueue(put.task()?)?;
                    put.place
                };
                let stored = TaskPayload { place: Some(place), ..stored.clone() };
                tx.enqueue(NewTask::new(WAITING_KIND, &row).payload(&stored)?.at(jiff::Timestamp::MAX))?;
                Ok(())
            })
            .await?;
        if is_here {
            self.told(&arn).notify_waiters();
        }
        Ok(())
    }

    /// The row of that id, while it waits for a worker.
    async fn waiting(&self, row: &str) -> Result<Option<TaskPayload>, Error> {
        let Some(store) = self.engine.store_of_task(row) else { return Ok(None) };
        let waiting = store.read(|tx| tx.task(row).map_err(Error::from)).await?;
        Ok(waiting.filter(|task| task.kind == WAITING_KIND).map(|task| task.payload()).transpose()?)
    }

    /// Puts a place where its row waits, and takes it away where it no longer does.
    async fn see_to(&self, of: ActivityPlace) -> Result<(), Error> {
        let waits = self.waiting(&of.row).await?.is_some_and(|payload| payload.place.as_ref() == Some(&of.place));
        let arn = ActivityArn::parse(&of.activity)?;
        let key = arn.key();
        self.store
            .write(move |tx| {
                // Where the activity is gone, nobody fetches what waits for it.
                if waits && tx.has(&key)? { tx.put(&of.place, of.row.as_bytes()) } else { tx.delete(&of.place) }
            })
            .await?;
        if waits {
            self.told(&arn).notify_waiters();
        }
        Ok(())
    }

    /// Takes the activity's places away: what waits there is nobody's to fetch any more, also when another has its name.
    pub(crate) async fn forget(&self, arn: &ActivityArn) -> Result<(), Error> {
        loop {
            let tasks = arn.tasks();
            let gone = self.store.write(move |tx| {
                let found = tx.scan_prefix(&tasks, AT_ONCE)?;
                for (place, _) in &found {
                    tx.delete(place)?;
                }
                Ok::<_, Error>(found.len())
            });
            if gone.await? < AT_ONCE {
                return Ok(());
            }
        }
    }

    /// What wakes those who wait for a task of the activity.
    pub(crate) fn told(&self, arn: &ActivityArn) -> Arc<Notify> {
        let mut told = self.memory.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, notify| Arc::strong_count(notify) > 1);
        Arc::clone(told.entry(arn.text.clone()).or_default())
    }

    /// The task that has waited longest, handed to the worker.
    pub(crate) async fn take(&self, arn: &ActivityArn, worker: Option<&String>) -> Result<Option<Taken>, Error> {
        while let Some((claim, row)) = self.claim(arn).await? {
            let taken = self.hand_out(&row, worker).await?;
            let place = claim.0.clone();
            let gone = self.store.write(move |tx| tx.delete(&place)).await;
            // The worker has its task, whatever becomes of the place: one without its row is taken away by whoever finds it.
            if taken.is_some() {
                return Ok(taken);
            }
            gone?;
        }
        Ok(None)
    }

    async fn claim(&self, arn: &ActivityArn) -> Result<Option<(Claim, String)>, Error> {
        let prefix = arn.tasks();
        let mut after = Vec::new();
        loop {
            let found = self.store.read(|tx| tx.scan_after(&prefix, &after, 100).map_err(Error::from)).await?;
            let Some((last, _)) = found.last() else { return Ok(None) };
            after.clone_from(last);
            for (place, row) in found {
                let mut claimed = self.memory.claimed.lock().unwrap_or_else(PoisonError::into_inner);
                if claimed.insert(place.clone()) {
                    let claim = Claim(place, Arc::clone(&self.memory));
                    return Ok(Some((claim, String::from_utf8_lossy(&row).into_owned())));
                }
            }
        }
    }

    /// Records the start with the execution, whose transaction removes the row.
    async fn hand_out(&self, row: &str, worker: Option<&String>) -> Result<Option<Taken>, Error> {
        let Some(payload) = self.waiting(row).await? else { return Ok(None) };
        let input = self.engine.fetched(&payload.execution, &payload.parameters).await?;
        let event = Event::ActivityStarted { task: payload.task, worker_name: worker.cloned() };
        // The worker's connection may end at any moment.
        match self.engine.tell_alone(&payload.execution, event, Some(row.to_owned())).await? {
            Delivery::NotRunning => Ok(None),
            Delivery::Delivered => {
                let token = payload.token.unwrap_or_default();
                Ok(Some(Taken { token, input: input.text().to_owned() }))
            }
        }
    }
}

/// Sees to the places of executions' tasks that are in other stores. One task does it for a row, again and again: a later order to the same
/// comes after an earlier one.
pub(crate) struct Places(pub(crate) Tasks);

#[async_trait]
impl Runner for Places {
    async fn run(&self, task: Task) -> Done {
        let Ok(place) = task.payload::<ActivityPlace>() else { return Done::Finished };
        match self.0.see_to(place).await {
            Ok(()) => Done::Finished,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a place among an activity's tasks could not be seen to; trying again");
                Done::RetryAfter(SignedDuration::from_secs(1))
            }
        }
    }
}

/// One worker's hold on a place in the queue; it ends with it.
struct Claim(Vec<u8>, Arc<Memory>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.1.claimed.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}
