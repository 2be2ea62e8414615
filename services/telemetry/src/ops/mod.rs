//! The operations: groups, streams, events, filters, policies, queries and their definitions.

mod events;
pub(crate) mod exports;
mod groups;
mod keys;
mod list;
mod metric_filters;
pub(crate) mod queries;
mod stored;
mod streams;
mod subscriptions;
mod tail;

/// A page of at most `limit` records under a prefix, after the name in `token`; and the token of the next page.
fn page<T>(
    items: Vec<T>,
    limit: usize,
    name: impl Fn(&T) -> String,
    token: Option<&str>,
    keep: impl Fn(&T) -> bool,
) -> (Vec<T>, Option<String>) {
    let mut kept = items.into_iter().filter(keep).filter(|i| token.is_none_or(|t| name(i).as_str() > t));
    let page: Vec<T> = kept.by_ref().take(limit).collect();
    let next = kept.next().and_then(|_| page.last().map(name));
    (page, next)
}

fn limit(asked: Option<i32>, default: usize) -> usize {
    asked.and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
}
