//! Pages of lists in order of names.

/// Entries in one page, where the caller does not say.
const PAGE: usize = 100;

/// A page of a list, in order of names: what comes after the marker, whether more does, and where.
#[expect(clippy::needless_pass_by_value, reason = "it is a member of a request that is used up")]
pub(super) fn page<T>(
    all: Vec<T>,
    max_items: Option<i32>,
    marker: Option<String>,
    name: impl Fn(&T) -> String,
) -> (Vec<T>, Option<bool>, Option<String>) {
    let limit = max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE);
    let mut all = all;
    all.sort_by_key(&name);
    let mut rest: Vec<T> =
        all.into_iter().filter(|one| marker.as_ref().is_none_or(|marker| name(one) > *marker)).collect();
    let more = rest.len() > limit;
    rest.truncate(limit);
    let next = rest.last().filter(|_| more).map(name);
    (rest, Some(more), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let all = || ["c", "a", "b"].map(str::to_owned).to_vec();
        let (found, more, marker) = page(all(), Some(2), None, Clone::clone);
        assert_eq!((found.join(""), more, marker.as_deref()), ("ab".to_owned(), Some(true), Some("b")));
        let (found, more, marker) = page(all(), Some(2), marker, Clone::clone);
        assert_eq!((found.join(""), more, marker), ("c".to_owned(), Some(false), None));
    }
}
