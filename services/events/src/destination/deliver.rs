//! The task that brings one event to one API destination: at the destination's rate, a few calls of one at once, and again as the target's
//! retry policy says. An event is brought at least once: an endpoint that took it and did not say so in time gets it again.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Done, NewTask, Runner, Task};
use wire::Error;
use wire::arn::Arn;

use super::Destinations;
use super::call::Fault;
use crate::deliver::{Deliverer, Delivery, Exhausted, pause};
use crate::metrics::{self, Met};

/// The task.
pub(crate) const CALL: &str = "events:call";
/// Calls at once.
pub(super) const AT_ONCE: usize = 64;
/// Calls of one destination at once, of the places that all have.
const EACH: usize = 16;
/// Between two looks at a destination that has all its calls under way.
const BUSY_MICROS: i64 = 10_000;

/// What has become of a delivery so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tries {
    failures: u32,
    /// When the event came.
    born_ms: Option<i64>,
    /// Its turn has come: what waited for it does not wait again.
    has_turn: bool,
}

pub(super) struct Caller {
    pub(super) deliverer: Arc<Deliverer>,
    pub(super) destinations: Arc<Destinations>,
}

#[async_trait]
impl Runner for Caller {
    async fn run(&self, task: Task) -> Done {
        let delivery: Delivery = match task.payload() {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::error!(task = task.id, %error, "a delivery cannot be read");
                return Done::Finished;
            }
        };
        match self.bring(&task, &delivery).await {
            Ok(Step::Delivered) => Done::Finished,
            Ok(Step::Later { at_micros, has_turn }) => {
                let tries = Tries { has_turn, ..delivery.tries };
                self.again(&task, Delivery { tries, ..delivery }, at_micros / 1000).await
            }
            Ok(Step::TooOld) => {
                let cause = "The event is too old: so many wait for their turn at the destination's rate";
                let error = Error::new("ThrottlingException", 429, cause);
                let tries = (delivery.tries.failures.saturating_sub(1), Some(Exhausted::Age));
                self.deliverer.give_up(&task, &delivery, &error, tries).await
            }
            Err(fault) => self.failed(&task, delivery, fault).await,
        }
    }
}

enum Step {
    Delivered,
    Later {
        at_micros: i64,
        has_turn: bool,
    },
    /// It is older than the target's policy has events, or would be when its turn comes.
    TooOld,
}

impl Delivery {
    /// When the event is too old.
    fn latest_ms(&self, task: &Task) -> i64 {
        self.tries.born_ms.unwrap_or(task.created_ms).saturating_add(self.max_age_seconds.saturating_mul(1000))
    }
}

impl Caller {
    async fn bring(&self, task: &Task, delivery: &Delivery) -> Result<Step, Fault> {
        let (arn, router) = (&delivery.target_arn, &self.deliverer.router);
        let region = Arn::parse(arn).map_or_else(|| delivery.region.clone(), |arn| arn.region);
        let own = Cx::platform(router, &delivery.account, &region).with_task(&task.id);
        let missing = || Error::validation(format!("RoleArn is required for target {arn}."));
        let role = own.assume(delivery.role_arn.as_deref().ok_or_else(missing)?, "events").await?;
        let destination = self.destinations.find(&role, arn).await?;
        let (pace, now) = (&self.destinations.pace, router.now().as_microsecond());
        let latest = delivery.latest_ms(task).saturating_mul(1000);
        // What has waited until it is too old is not brought any more; what is looked at for the first time is tried, whenever that is.
        if delivery.tries.born_ms.is_some() && now >= latest {
            return Ok(Step::TooOld);
        }
        if !delivery.tries.has_turn {
            match pace.turn_by(arn, destination.interval_micros(), now, latest) {
                Ok(None) => {}
                Ok(Some(at_micros)) => return Ok(Step::Later { at_micros, has_turn: true }),
                Err(egress::TooLate) => return Ok(Step::TooOld),
            }
        }
        let Some(_place) = pace.place(arn, EACH) else {
            let at_micros = pace.turn(&format!("busy {arn}"), BUSY_MICROS, now).unwrap_or(now + BUSY_MICROS);
            return Ok(Step::Later { at_micros, has_turn: true });
        };
        let http = delivery.http.clone().unwrap_or_default();
        metrics::tell(router, delivery, Met::Attempt(delivery.tries.failures + 1));
        self.destinations.call(&role, &destination, &http, &delivery.input).await?;
        metrics::tell(router, delivery, Met::Delivered);
        Ok(Step::Delivered)
    }

    async fn failed(&self, task: &Task, delivery: Delivery, fault: Fault) -> Done {
        let Fault { error, after_ms } = fault;
        metrics::tell(&self.deliverer.router, &delivery, Met::Error(&error));
        let failures = delivery.tries.failures + 1;
        let now = self.deliverer.router.clock().now_ms();
        let born = delivery.tries.born_ms.unwrap_or(task.created_ms);
        let latest = delivery.latest_ms(task);
        let exhausted = if failures > delivery.max_attempts {
            Some(Exhausted::Attempts)
        } else if now >= latest {
            Some(Exhausted::Age)
        } else {
            None
        };
        let again = crate::deliver::may_be_repeated(&error);
        if again && exhausted.is_none() {
            tracing::warn!(task = task.id, failures, %error, "a delivery failed and is tried again");
            let wait = i64::try_from(pause(failures).as_millis()).unwrap_or(i64::MAX);
            let tries = Tries { failures, born_ms: Some(born), has_turn: false };
            let at = now.saturating_add(wait.max(after_ms.unwrap_or(0)));
            return self.again(task, Delivery { tries, ..delivery }, at).await;
        }
        let exhausted = exhausted.filter(|_| again);
        self.deliverer.give_up(task, &delivery, &error, (failures - 1, exhausted)).await
    }

    /// The same task at a later time. A turn that was waited for is no failure.
    async fn again(&self, task: &Task, mut delivery: Delivery, at_ms: i64) -> Done {
        delivery.tries.born_ms.get_or_insert(task.created_ms);
        let store = &self.deliverer.store;
        let id = task.id.clone();
        let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX);
        let written = store.write(move |tx| {
            tx.finish_task(&id)?;
            tx.enqueue(NewTask::new(CALL, id.clone()).payload(&delivery)?.at(at))
        });
        match written.await {
            Ok(()) => Done::Committed,
            Err(_) => Done::RetryAfter(SignedDuration::from_secs(1)),
        }
    }
}
