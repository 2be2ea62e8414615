//! The operations.

mod event_buses;
mod list_rules;
mod put_events;
mod put_rule;
mod rules;
mod tags;
mod targets;
mod test_event_pattern;

/// The page after `token` of what is sorted by name, and the token of the next.
fn page<T>(
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
