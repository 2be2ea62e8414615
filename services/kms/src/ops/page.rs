//! Pages of lists that are in order.

use api_kms::error::invalid_marker_exception;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wire::Error;

/// A page of a list: the entries, whether there are more, and the marker of the next. A marker holds the last entry's id, so that what is made
/// or deleted between two pages moves none of the others.
pub(super) fn page<T>(
    mut all: Vec<T>,
    id: impl Fn(&T) -> String,
    limit: Option<i32>,
    marker: Option<&str>,
) -> Result<(Vec<T>, bool, Option<String>), Error> {
    let after = marker.map(last_of).transpose()?;
    let limit = limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(100);
    all.sort_by_cached_key(&id);
    all.retain(|one| after.as_ref().is_none_or(|after| id(one) > *after));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| STANDARD.encode(id(last)));
    Ok((all, more, next))
}

fn last_of(marker: &str) -> Result<String, Error> {
    let id = STANDARD.decode(marker).ok().and_then(|id| String::from_utf8(id).ok());
    id.ok_or_else(|| invalid_marker_exception("The marker is not valid."))
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn what_is_deleted_between_pages_moves_nothing() {
        let mut all: Vec<String> = (0..5).map(|n| format!("k{n}")).collect();
        let of = |all: &[String], marker: Option<&str>| page(all.to_vec(), String::clone, Some(2), marker).unwrap();
        let (first, more, marker) = of(&all, None);
        assert_eq!((first, more), (vec!["k0".to_owned(), "k1".to_owned()], true));
        all.drain(..2);
        let (second, more, marker) = of(&all, marker.as_deref());
        assert_eq!((second, more), (vec!["k2".to_owned(), "k3".to_owned()], true));
        let (last, more, none) = of(&all, marker.as_deref());
        assert_eq!((last, more, none), (vec!["k4".to_owned()], false, None));
        assert_eq!(page(all, String::clone, None, Some("!")).unwrap_err().code(), "InvalidMarkerException");
    }
}
