//! The operations.

mod event_buses;
mod list_rules;
mod permissions;
mod put_events;
mod put_rule;
mod rules;
mod tags;
mod targets;
mod test_event_pattern;
