//! Schedule expressions as rules and EventBridge Scheduler take them, and their next firings as lists.

use jiff::Timestamp;
use schedule::Schedule;

use crate::Invalid;

fn invalid() -> Invalid {
    Invalid::new("Parameter ScheduleExpression is not valid.")
}

pub(crate) fn parse(text: &str) -> Result<Schedule, Invalid> {
    Schedule::parse(text).ok_or_else(invalid)
}

pub(crate) fn parse_of_scheduler(text: &str) -> Result<Schedule, Invalid> {
    Schedule::parse_of_scheduler(text).ok_or_else(invalid)
}

/// The first firings after `after`, of which `next` tells each.
pub(crate) fn times(
    most: Option<i32>,
    after: Timestamp,
    mut next: impl FnMut(Timestamp) -> Result<Option<Timestamp>, wire::Error>,
) -> Result<Vec<wire::Timestamp>, wire::Error> {
    let most = usize::try_from(most.unwrap_or(10)).unwrap_or_default();
    let (mut at, mut found) = (after, Vec::new());
    while found.len() < most {
        let Some(then) = next(at)? else { break };
        found.push(wire::Timestamp(then));
        at = then;
    }
    Ok(found)
}
