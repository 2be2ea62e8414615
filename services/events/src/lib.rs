//! EventBridge and EventBridge Scheduler: rules, buses, targets, schedules, deliveries, connections.
//!
//! Map: [`transform`] what a target receives · [`expression`] schedule expressions (both pure; patterns are in the crate
//! `pattern`, when schedules fire in `schedule`) · [`deliver`] the task that brings one event to one target · [`bridge`] rules and events · [`scheduler`]
//! schedules · [`connection`] credentials for HTTP endpoints · [`destination`] those endpoints · [`archive`] archives of events, and
//! replays · [`pipes`] from queues and streams to targets.

mod archive;
mod bridge;
mod connection;
mod deliver;
mod destination;
mod expression;
mod metrics;
mod pipes;
mod scheduler;
mod transform;

use std::sync::Arc;

use service::Platform;

/// Calls of targets that are done with an event as soon as they have it.
const DELIVERIES_AT_ONCE: usize = 16;
/// Operations of any service, some of which wait: for a function's end, for messages.
const OPERATIONS_AT_ONCE: usize = 64;

/// Adds the operations to the router and the tasks to the queue.
///
/// # Errors
/// A text that says what is wrong in the settings.
pub fn register(platform: &Platform) -> Result<(), String> {
    let (router, endpoint) = (platform.router.clone(), platform.endpoint.clone());
    let deliverer = Arc::new(deliver::Deliverer { router, endpoint, store: platform.control.store().clone() });
    let destinations = destination::Destinations::new(platform)?;
    platform.control.register(deliver::DELIVER, DELIVERIES_AT_ONCE, deliverer.clone());
    platform.control.register(deliver::OPERATION, OPERATIONS_AT_ONCE, deliverer.clone());
    bridge::register(platform);
    connection::register(platform);
    destination::register(platform, &destinations, &deliverer);
    pipes::register(platform, destinations);
    scheduler::register(platform);
    Ok(())
}

/// Whether this very task, not a later one of its name, is on the queue.
pub(crate) fn is_current(tx: &mut store::Tx<'_>, asked: &store::Task) -> Result<bool, wire::Error> {
    let of = |task: &store::Task| (task.created_ms, task.at_ms, task.attempt);
    Ok(tx.task(&asked.id)?.is_some_and(|task| of(&task) == of(asked)))
}

/// Logs that a firing came for another time than the one that was due, or for none.
pub(crate) fn tell_missed(task: &str, due: jiff::Timestamp, fired: Option<jiff::Timestamp>) {
    match fired {
        Some(at) if at == due => {}
        Some(at) => tracing::warn!(task, %due, fired = %at, "firings were missed; the last one is made up for"),
        None => tracing::warn!(task, %due, "firings were missed, and are too old to be made up for"),
    }
}

/// The text of a validation error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<Invalid> for wire::Error {
    fn from(invalid: Invalid) -> Self {
        Self::validation(invalid.0)
    }
}

/// The page after `token` of what is sorted by name, and the token of the next.
pub(crate) fn page<T>(
    mut all: Vec<T>,
    name: impl Fn(&T) -> &str,
    token: Option<&str>,
    limit: Option<i32>,
) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit.unwrap_or(100)).unwrap_or(100).clamp(1, 100);
    all.retain(|one| token.is_none_or(|token| name(one) > token));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| name(last).to_owned());
    (all, next)
}
