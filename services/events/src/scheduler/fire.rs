//! The next firing of a schedule is a row of the queue, and nothing runs until then. What was missed while the server was
//! down: an `at` fires late, once; `rate` and `cron` make up for the last of the missed times, unless it is older than the
//! target's events may be.

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Done, NewTask, Runner, Store, Task, Tx};
use wire::Error;

use super::record::{Record, ScheduleKey};
use crate::deliver::Delivery;
use crate::destination::Tries;
use crate::expression;

pub(super) const FIRE: &str = "scheduler:fire";
/// Scheduler's defaults.
const MAX_ATTEMPTS: i32 = 185;
const MAX_AGE_SECONDS: i32 = 86_400;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fire {
    place: ScheduleKey,
    generation: String,
    /// For when it is, whenever it is tried.
    #[serde(default)]
    due_ms: Option<i64>,
}

impl Fire {
    fn due(&self, task: &Task) -> Result<Timestamp, Error> {
        Timestamp::from_millisecond(self.due_ms.unwrap_or(task.at_ms)).map_err(Error::internal)
    }
}

fn task_id(place: &ScheduleKey) -> String {
    format!("{FIRE}/{}/{}/{}/{}", place.account, place.region, place.group, place.name)
}

/// Puts the next firing after `after` on the queue, or takes it off. False when there is none to come.
pub(super) fn plan(tx: &mut Tx<'_>, place: &ScheduleKey, record: &Record, after: Timestamp) -> Result<bool, Error> {
    let next = if record.shown.state.as_deref() == Some("ENABLED") { next(record, after)? } else { None };
    let Some(at) = next else {
        cancel(tx, place)?;
        return Ok(false);
    };
    let (generation, due_ms) = (record.generation.clone(), Some(at.as_millisecond()));
    let fire = Fire { place: place.clone(), generation, due_ms };
    tx.enqueue(NewTask::new(FIRE, task_id(place)).payload(&fire)?.at(at))?;
    Ok(true)
}

/// Fires what is due already of a schedule that is about to be changed: the change is for the times after it.
pub(super) fn catch_up(
    tx: &mut Tx<'_>,
    place: &ScheduleKey,
    record: &Record,
    execution: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(task) = tx.task(&task_id(place))? else { return Ok(()) };
    let fire: Fire = task.payload()?;
    let due = fire.due(&task)?;
    if due > now || fire.generation != record.generation {
        return Ok(());
    }
    match to_fire(record, due, now)? {
        Some(due) => delivery(place, record, execution, due).enqueue(tx),
        None => Ok(()),
    }
}

/// For which time it fires, where it was due then.
fn to_fire(record: &Record, due: Timestamp, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    if is_once(record) {
        return Ok(Some(due));
    }
    let retry = record.shown.target.as_ref().and_then(|target| target.retry_policy.as_ref());
    let oldest = retry.and_then(|retry| retry.maximum_event_age_in_seconds).unwrap_or(MAX_AGE_SECONDS);
    schedule::Schedule::late((due, now), SignedDuration::from_secs(oldest.into()), |after| next(record, after))
}

fn is_once(record: &Record) -> bool {
    record.shown.schedule_expression.as_deref().is_some_and(|text| text.starts_with("at("))
}

pub(super) fn cancel(tx: &mut Tx<'_>, place: &ScheduleKey) -> Result<(), Error> {
    let id = task_id(place);
    if tx.has_task(&id)? { Ok(tx.cancel_task(&id)?) } else { Ok(()) }
}

/// When it would fire after `after`: of a disabled schedule too, as if it were enabled.
pub(super) fn next(record: &Record, after: Timestamp) -> Result<Option<Timestamp>, Error> {
    let shown = &record.shown;
    let schedule = expression::parse_of_scheduler(shown.schedule_expression.as_deref().unwrap_or_default())?;
    let zone =
        TimeZone::get(shown.schedule_expression_timezone.as_deref().unwrap_or("UTC")).map_err(Error::internal)?;
    let (start, end) = (shown.start_date.map(|date| date.0), shown.end_date.map(|date| date.0));
    let created = shown.creation_date.map_or(after, |date| date.0);
    let anchor = start.filter(|start| *start > created).unwrap_or(created);
    // Nothing before the start date; what falls on it counts.
    let before_start = start.and_then(|start| start.checked_sub(SignedDuration::from_millis(1)).ok());
    let after = if schedule.is_once() { after } else { before_start.map_or(after, |before| before.max(after)) };
    let next = schedule.next(after, anchor, &zone);
    Ok(next.filter(|next| schedule.is_once() || end.is_none_or(|end| *next <= end)))
}

pub(super) struct Firer(pub(super) Store);

#[async_trait]
impl Runner for Firer {
    async fn run(&self, task: Task) -> Done {
        match self.fire(&task).await {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a schedule did not fire; trying again");
                Done::RetryAfter(SignedDuration::from_secs(5))
            }
        }
    }
}

impl Firer {
    async fn fire(&self, task: &Task) -> Result<(), Error> {
        let fire: Fire = task.payload()?;
        let due = fire.due(task)?;
        let execution = self.0.clock().uuid();
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
                let Some(record) = fire.place.find(tx)?.filter(|record| record.generation == fire.generation) else {
                    return Ok(Some(due));
                };
                let fired = to_fire(&record, due, now)?;
                if let Some(due) = fired {
                    delivery(&fire.place, &record, &execution, due).enqueue(tx)?;
                }
                let more = !is_once(&record) && plan(tx, &fire.place, &record, now)?;
                if !more && record.shown.action_after_completion.as_deref() == Some("DELETE") {
                    tx.delete(fire.place.key())?;
                }
                Ok::<_, Error>(fired)
            })
            .await?;
        crate::tell_missed(&task.id, due, fired);
        Ok(())
    }
}

fn delivery(place: &ScheduleKey, record: &Record, execution: &str, due: Timestamp) -> Delivery {
    let target = record.shown.target.clone().unwrap_or_default();
    let retry = target.retry_policy.unwrap_or_default();
    let arn = place.arn();
    let input = target
        .input
        .unwrap_or_else(|| "{}".to_owned())
        .replace("<aws.scheduler.schedule-arn>", &arn)
        .replace("<aws.scheduler.scheduled-time>", &due.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .replace("<aws.scheduler.execution-id>", execution)
        .replace("<aws.scheduler.attempt-number>", "1");
    Delivery {
        id: format!("{execution}/schedule/{}/{}", place.group, place.name),
        account: place.account.clone(),
        region: place.region.clone(),
        source_arn: arn,
        target_arn: target.arn,
        role_arn: Some(target.role_arn).filter(|role| !role.is_empty()),
        input,
        group: target.sqs_parameters.and_then(|sqs| sqs.message_group_id),
        event: target.event_bridge_parameters.map(|event| (event.detail_type, event.source)),
        dead_letter_arn: target.dead_letter_config.and_then(|config| config.arn),
        max_attempts: u32::try_from(retry.maximum_retry_attempts.unwrap_or(MAX_ATTEMPTS)).unwrap_or(0),
        max_age_seconds: i64::from(retry.maximum_event_age_in_seconds.unwrap_or(MAX_AGE_SECONDS)),
        http: None,
        tries: Tries::default(),
        scheduled: Some(due.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        is_first: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api_scheduler::{GetScheduleOutput, Target};
    use store::{Clock as _, Key, SystemClock};

    fn now() -> Timestamp {
        SystemClock.now()
    }

    fn place() -> ScheduleKey {
        let [account, region, group, name] = ["000000000000", "eu-west-1", "default", "s"].map(str::to_owned);
        ScheduleKey { account, region, group, name }
    }

    /// A schedule that was made two days and half an hour ago.
    fn record(generation: &str, expression: &str) -> Record {
        let created = now() - SignedDuration::from_mins(48 * 60 + 30);
        let target = Target { arn: "arn:aws:sqs:eu-west-1:000000000000:q".to_owned(), ..Target::default() };
        let shown = GetScheduleOutput {
            creation_date: Some(wire::Timestamp(created)),
            schedule_expression: Some(expression.to_owned()),
            state: Some("ENABLED".to_owned()),
            target: Some(Target { input: Some("<aws.scheduler.scheduled-time>".to_owned()), ..target }),
            ..GetScheduleOutput::default()
        };
        Record { version: 1, generation: generation.to_owned(), shown }
    }

    /// Stores the schedule and plans its firing as that long ago.
    async fn planned(store: &Store, record: Record, ago: SignedDuration) -> Task {
        let write = store.write(move |tx| {
            tx.put_json(place().key(), &record)?;
            plan(tx, &place(), &record, now() - ago)?;
            Ok::<_, Error>(tx.task(&task_id(&place()))?)
        });
        write.await.unwrap().unwrap()
    }

    async fn waiting(store: &Store) -> Option<Task> {
        store.read(|tx| Ok::<_, Error>(tx.task(&task_id(&place()))?)).await.unwrap()
    }

    /// The times for which deliveries wait.
    async fn delivered(store: &Store) -> Vec<Timestamp> {
        let found = store.read(|tx| Ok::<_, Error>(tx.list_json::<Task>(Key::new("\u{1}now"), 100)?));
        let tasks = found.await.unwrap();
        let deliveries = tasks.iter().filter(|task| task.kind == crate::deliver::DELIVER);
        deliveries.map(|task| task.payload::<Delivery>().unwrap().input.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_schedule_that_changes_as_it_fires_fires_on() {
        let store = Store::memory();
        let old = planned(&store, record("g1", "rate(1 minute)"), SignedDuration::from_secs(60)).await;
        let new = planned(&store, record("g2", "rate(1 hour)"), SignedDuration::ZERO).await;
        Firer(store.clone()).fire(&old).await.unwrap();
        let left = waiting(&store).await.expect("the changed schedule is to fire");
        assert_eq!((left.at_ms, left.created_ms), (new.at_ms, new.created_ms));
        assert_eq!(delivered(&store).await, []);
    }

    #[tokio::test]
    async fn a_change_keeps_the_firing_that_was_due() {
        let store = Store::memory();
        let old = record("g1", "rate(1 hour)");
        let due = planned(&store, old.clone(), SignedDuration::from_hours(1)).await;
        let write = store.write(move |tx| {
            catch_up(tx, &place(), &old, "execution", now())?;
            plan(tx, &place(), &record("g2", "rate(2 hours)"), now())
        });
        assert!(write.await.unwrap());
        assert_eq!(delivered(&store).await.len(), 1);
        Firer(store.clone()).fire(&due).await.unwrap();
        assert_eq!(delivered(&store).await.len(), 1, "once");
    }

    /// A write that fails puts the task off by seconds, not what it is for.
    #[tokio::test]
    async fn what_is_tried_again_is_for_its_own_time() {
        for change in [false, true] {
            let store = Store::memory();
            let old = record("g1", "rate(1 hour)");
            let first = planned(&store, old.clone(), SignedDuration::from_hours(1)).await;
            // As the queue stores a task that is tried again in a while.
            let fire: Fire = first.payload().unwrap();
            let again = NewTask::new(FIRE, task_id(&place())).payload(&fire).unwrap();
            let at = now() + SignedDuration::from_secs(if change { 60 } else { 0 });
            store.write(move |tx| tx.enqueue(again.clone().at(at))).await.unwrap();
            if change {
                store.write(move |tx| catch_up(tx, &place(), &old, "execution", now())).await.unwrap();
            } else {
                let task = waiting(&store).await.unwrap();
                Firer(store.clone()).fire(&task).await.unwrap();
            }
            let told: Vec<_> = delivered(&store).await.into_iter().map(Timestamp::as_second).collect();
            assert_eq!(told, [first.at_ms / 1000], "{change}");
        }
    }

    #[tokio::test]
    async fn the_last_missed_time_is_made_up_for() {
        let store = Store::memory();
        let record = record("g1", "rate(1 hour)");
        let missed = planned(&store, record.clone(), SignedDuration::from_hours(3)).await;
        let last = next(&record, now() - SignedDuration::from_hours(1)).unwrap().unwrap();
        Firer(store.clone()).fire(&missed).await.unwrap();
        let second = |at: Timestamp| at.as_second();
        assert_eq!(delivered(&store).await.into_iter().map(second).collect::<Vec<_>>(), [second(last)]);
        assert!(waiting(&store).await.unwrap().at_ms > now().as_millisecond());
    }
}
