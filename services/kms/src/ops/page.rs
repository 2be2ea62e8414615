//! Pages of lists that are in order.

use api_kms::error::invalid_marker_exception;
use wire::Error;

/// A page of a list in order: the entries, whether there are more, and the marker of the next.
pub(super) fn page<T>(
    all: Vec<T>,
    limit: Option<i32>,
    marker: Option<&str>,
) -> Result<(Vec<T>, bool, Option<String>), Error> {
    let start = match marker {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| invalid_marker_exception("The marker is not valid."))?,
    };
    let limit = limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(100);
    let total = all.len();
    let page: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let end = start + page.len();
    let more = end < total;
    Ok((page, more, more.then(|| end.to_string())))
}
