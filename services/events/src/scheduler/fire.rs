//! The next firing of a schedule is a row of the queue, and nothing runs until then. What was missed while the server was
//! down: an `at` fires late, once; `rate` and `cron` go on with the next.

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Done, NewTask, Runner, Store, Task, Tx};
use wire::Error;

use super::record::{Record, ScheduleKey};
use crate::deliver::Delivery;
use crate::expression;

pub(super) const FIRE: &str = "scheduler:fire";
/// A firing that is later than this was missed.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Scheduler's defaults.
const MAX_ATTEMPTS: i32 = 185;
const MAX_AGE_SECONDS: i32 = 86_400;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fire {
    place: ScheduleKey,
    generation: String,
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
    let fire = Fire { place: place.clone(), generation: record.generation.clone() };
    tx.enqueue(NewTask::new(FIRE, task_id(place)).payload(&fire)?.at(at))?;
    Ok(true)
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
        let (task_id, due) = (task.id.clone(), Timestamp::from_millisecond(task.at_ms).map_err(Error::internal)?);
        let execution = self.0.clock().uuid();
        let now = self.0.clock().now();
        self.0
            .write(move |tx| {
                tx.finish_task(&task_id)?;
                let Some(record) = fire.place.find(tx)?.filter(|record| record.generation == fire.generation) else {
                    return Ok(());
                };
                let once = record.shown.schedule_expression.as_deref().is_some_and(|text| text.starts_with("at("));
                if once || now.duration_since(due) <= GRACE {
                    delivery(&fire.place, &record, &execution, due).enqueue(tx)?;
                }
                let more = !once && plan(tx, &fire.place, &record, now)?;
                if !more && record.shown.action_after_completion.as_deref() == Some("DELETE") {
                    tx.delete(fire.place.key())?;
                }
                Ok::<_, Error>(())
            })
            .await
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
    }
}
