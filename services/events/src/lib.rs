//! EventBridge and EventBridge Scheduler: rules, buses, targets, schedules, deliveries.

mod schedule;
mod transform;

/// The text of a validation error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
