//! Machines on their way out: a machine goes when its executions have ended, and they end before their next state.

use std::sync::Arc;

use asl::{Event, Status};
use async_trait::async_trait;
use engine::Filter;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use store::{Done, NewTask, Runner, Task, Tx};
use wire::Error;

use crate::States;
use crate::machine::{MachineArn, StateMachine};

pub(crate) const KIND: &str = "states:delete";
/// Executions told at once.
const PAGE: usize = 1000;
/// How long it waits for executions that wait themselves.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Deletion {
    arn: String,
    /// Which machine of that name, by when it was made; not said of one that was to go before that was kept.
    #[serde(default)]
    created_ms: Option<i64>,
}

/// Asks for the deletion of a machine that has been marked.
pub(crate) fn ask(tx: &mut Tx<'_>, arn: &MachineArn, machine: &StateMachine) -> Result<(), store::Error> {
    let deletion = Deletion { arn: arn.as_str().to_owned(), created_ms: Some(machine.created_ms) };
    tx.enqueue(NewTask::new(KIND, task_name(arn)).payload(&deletion)?)
}

fn task_name(arn: &MachineArn) -> String {
    format!("{}/delete", arn.as_str())
}

/// Takes away a machine with its versions and aliases, and what was to take it away later: the next one of its name is none of it.
pub(crate) fn remove(tx: &mut Tx<'_>, arn: &MachineArn) -> Result<(), store::Error> {
    for prefix in [arn.versions(), arn.aliases()] {
        for (key, _) in tx.scan_prefix(prefix, usize::MAX >> 1)? {
            tx.delete(key)?;
        }
    }
    tx.delete(arn.counter())?;
    tx.cancel_task(&task_name(arn))?;
    tx.delete(arn.key())
}

/// Carries deletions out.
pub(crate) struct Remover(pub(crate) Arc<States>);

#[async_trait]
impl Runner for Remover {
    async fn run(&self, task: Task) -> Done {
        let Ok(deletion) = task.payload::<Deletion>() else { return Done::Finished };
        match self.0.delete_marked(&deletion, task.attempt).await {
            Ok(true) => Done::Finished,
            Ok(false) => Done::RetryAfter(PAUSE),
            Err(error) => {
                tracing::error!(task = task.id, %error, "a state machine could not be deleted; trying again");
                Done::RetryAfter(PAUSE)
            }
        }
    }
}

impl States {
    /// Whether the machine is gone: not while executions of it run. They are told at the first attempts, and at fewer and fewer later.
    async fn delete_marked(&self, deletion: &Deletion, attempt: u32) -> Result<bool, Error> {
        let arn = MachineArn::parse(&deletion.arn)?;
        let created_ms = deletion.created_ms;
        let is_meant = move |machine: &StateMachine| {
            machine.deleting && created_ms.is_none_or(|created_ms| machine.created_ms == created_ms)
        };
        // Before anything is told that its machine goes.
        if !self.store.read(|tx| tx.get_json::<StateMachine>(arn.key())).await?.as_ref().is_some_and(is_meant) {
            return Ok(true);
        }
        if !attempt.is_power_of_two() && self.has_running(&arn, created_ms).await? {
            return Ok(false);
        }
        if self.tell_running(&arn, created_ms).await? > 0 && self.tell_running(&arn, created_ms).await? > 0 {
            return Ok(false);
        }
        self.store
            .write(move |tx| {
                if tx.get_json::<StateMachine>(arn.key())?.as_ref().is_some_and(is_meant) {
                    remove(tx, &arn)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        Ok(true)
    }

    /// Tells the running executions that their machine goes; how many there were.
    async fn tell_running(&self, arn: &MachineArn, created_ms: Option<i64>) -> Result<usize, Error> {
        let (mut after, mut running) = (None, 0);
        let filter = Filter { status: Some(Status::Running), machine_created: created_ms, ..Filter::default() };
        loop {
            let page = self.engine.list(&arn.account, &arn.region, &arn.name, &filter, after, PAGE).await?;
            running += page.items.len();
            for listed in &page.items {
                self.engine.tell(&listed.arn, Event::StateMachineDeleted, None).await?;
            }
            if page.next.is_none() {
                return Ok(running);
            }
            after = page.next;
        }
    }

    /// Whether any execution of the machine runs.
    pub(crate) async fn has_running(&self, arn: &MachineArn, created_ms: Option<i64>) -> Result<bool, Error> {
        let filter = Filter { status: Some(Status::Running), machine_created: created_ms, ..Filter::default() };
        Ok(!self.engine.list(&arn.account, &arn.region, &arn.name, &filter, None, 1).await?.items.is_empty())
    }
}
