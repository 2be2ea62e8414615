//! Rules with a schedule: the next firing is a row of the queue, and nothing runs until then.

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{Done, NewTask, Runner, Store, Task, Tx};
use wire::Error;

use super::event::{Event, send};
use super::rule::{Home, Rule};
use crate::expression;

pub(super) const FIRE: &str = "events:fire";
/// Of the times that were missed while the server was down the last one is made up for, unless it is older.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);

fn task_id(home: &Home, name: &str) -> String {
    format!("{FIRE}/{}/{}/{}/{name}", home.account, home.region, home.bus)
}

/// Puts the rule's next firing on the queue, or takes it off.
pub(super) fn plan(tx: &mut Tx<'_>, rule: &Rule, now: Timestamp) -> Result<(), Error> {
    let id = task_id(&rule.home(), &rule.name);
    let next = if rule.is_enabled() { next(rule, now)? } else { None };
    match next {
        Some(at) => {
            let payload = (rule.home(), &rule.name, at.as_millisecond());
            Ok(tx.enqueue(NewTask::new(FIRE, id).payload(&payload)?.at(at))?)
        }
        None => cancel(tx, &rule.home(), &rule.name),
    }
}

/// Whose firing a task is, and for when it is, whenever it is tried; tasks of before do not tell it.
fn read(task: &Task) -> Result<(Home, String, Timestamp), Error> {
    let (home, name, due_ms) = match task.payload::<(Home, String, i64)>() {
        Ok(read) => read,
        Err(_) => task.payload::<(Home, String)>().map(|(home, name)| (home, name, task.at_ms))?,
    };
    Ok((home, name, Timestamp::from_millisecond(due_ms).map_err(Error::internal)?))
}

/// When it would fire after `after`: of a disabled rule too, as if it were enabled.
pub(super) fn next(rule: &Rule, after: Timestamp) -> Result<Option<Timestamp>, Error> {
    let schedule = rule.schedule.as_deref().map(expression::parse).transpose()?;
    let anchor = Timestamp::from_millisecond(rule.anchor_ms).unwrap_or(after);
    Ok(schedule.and_then(|schedule| schedule.next(after, anchor, &TimeZone::UTC)))
}

/// Fires what is due already of a rule that is about to be changed: the change is for the times after it.
pub(super) fn catch_up(tx: &mut Tx<'_>, rule: &Rule, event_id: &str, now: Timestamp) -> Result<(), Error> {
    let waiting = tx.task(&task_id(&rule.home(), &rule.name))?;
    let Some(task) = waiting.filter(|_| rule.is_enabled()) else { return Ok(()) };
    let (_, _, due) = read(&task)?;
    if due > now {
        return Ok(());
    }
    match to_fire(rule, due, now)? {
        Some(due) => tell(tx, rule, event_id, due, now),
        None => Ok(()),
    }
}

/// For which time it fires, where it was due then; none where it has no schedule any more.
fn to_fire(rule: &Rule, due: Timestamp, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    if rule.schedule.is_none() {
        return Ok(None);
    }
    schedule::Schedule::late((due, now), OLDEST, |after| next(rule, after))
}

fn tell(tx: &mut Tx<'_>, rule: &Rule, event_id: &str, due: Timestamp, now: Timestamp) -> Result<(), Error> {
    let event = Event {
        id: event_id.to_owned(),
        detail_type: "Scheduled Event".to_owned(),
        source: "aws.events".to_owned(),
        time: due,
        resources: vec![rule.arn.clone()],
        detail: json!({}),
    };
    send(tx, rule, &event.to_json(&rule.home()), now)
}

pub(super) fn cancel(tx: &mut Tx<'_>, home: &Home, name: &str) -> Result<(), Error> {
    let id = task_id(home, name);
    if tx.has_task(&id)? { Ok(tx.cancel_task(&id)?) } else { Ok(()) }
}

pub(super) struct Firer(pub(super) Store);

#[async_trait]
impl Runner for Firer {
    async fn run(&self, task: Task) -> Done {
        match self.fire(&task).await {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a scheduled rule did not fire; trying again");
                Done::RetryAfter(SignedDuration::from_secs(5))
            }
        }
    }
}

impl Firer {
    async fn fire(&self, task: &Task) -> Result<(), Error> {
        let (home, name, due) = read(task)?;
        let event_id = self.0.clock().uuid();
        let now = self.0.clock().now();
        let asked = task.clone();
        let fired = self
            .0
            .write(move |tx| {
                // Changed or made again since this firing was due: the task that is there now is another.
                if !crate::is_current(tx, &asked)? {
                    return Ok(Some(due));
                }
                tx.finish_task(&asked.id)?;
                let Some(rule) = home.find(tx, &name)?.filter(Rule::is_enabled) else { return Ok(Some(due)) };
                if rule.schedule.is_none() {
                    return Ok(Some(due));
                }
                let fired = to_fire(&rule, due, now)?;
                if let Some(due) = fired {
                    tell(tx, &rule, &event_id, due, now)?;
                }
                plan(tx, &rule, now)?;
                Ok::<_, Error>(fired)
            })
            .await?;
        crate::tell_missed(&task.id, due, fired);
        Ok(())
    }
}
