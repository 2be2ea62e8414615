//! Listing keys: prefix, delimiter, pages. One function serves ListObjects, ListObjectsV2 and ListObjectVersions.

use store::key::prefix_end;

use crate::S3;
use crate::errors::{Result, invalid_argument_of};
use crate::keys;
use crate::records::ObjectRecord;
use crate::tx::{Tx, require_bucket};

const BATCH: usize = 1000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Only what comes after this key or common prefix.
    pub(crate) after: Option<String>,
    pub(crate) max: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) contents: Vec<(String, ObjectRecord)>,
    pub(crate) prefixes: Vec<String>,
    /// The last key or common prefix of this page, where more follow.
    pub(crate) next: Option<String>,
}

impl Page {
    pub(crate) fn len(&self) -> usize {
        self.contents.len() + self.prefixes.len()
    }
}

impl S3 {
    pub(crate) async fn list(&self, bucket: &str, query: Query) -> Result<Page> {
        let bucket = bucket.to_owned();
        self.store
            .read(move |tx| {
                require_bucket(tx, &bucket)?;
                page(tx, &bucket, &query)
            })
            .await
    }
}

fn page(tx: &mut Tx<'_>, bucket: &str, query: &Query) -> Result<Page> {
    let mut page = Page::default();
    if query.max == 0 {
        return Ok(page);
    }
    let delimiter = query.delimiter.as_deref().filter(|d| !d.is_empty());
    let start = keys::objects_with_prefix(bucket, &query.prefix);
    let end = prefix_end(&start);
    let mut from = match &query.after {
        None => start,
        Some(after) => start.max(match common_prefix(after, &query.prefix, delimiter) {
            // A page that ended with a common prefix goes on behind all that it stands for.
            Some(whole) if whole == *after => match prefix_end(&keys::objects_with_prefix(bucket, after)) {
                Some(end) => end,
                None => return Ok(page),
            },
            _ => successor(keys::object(bucket, after).into_bytes()),
        }),
    };
    let mut last = String::new();
    // Behind a common prefix another one is likely: then one record is enough, whatever the prefixes hold.
    let first = if delimiter.is_some() { 1 } else { BATCH };
    let mut size = first;
    'scan: loop {
        // One more than the page has room for tells that there is a next page.
        let wanted = size.min(query.max - page.len() + 1);
        let batch = tx.scan(&from, end.as_deref(), wanted, false)?;
        let full = batch.len() == wanted;
        size = (size * 4).min(BATCH);
        for (raw, value) in batch {
            let key = keys::last_part(&raw);
            if page.len() == query.max {
                page.next = Some(last);
                return Ok(page);
            }
            if let Some(prefix) = common_prefix(&key, &query.prefix, delimiter) {
                let Some(behind) = prefix_end(&keys::objects_with_prefix(bucket, &prefix)) else { return Ok(page) };
                last.clone_from(&prefix);
                page.prefixes.push(prefix);
                (from, size) = (behind, first);
                continue 'scan;
            }
            last.clone_from(&key);
            page.contents.push((key, store::kv::decode(&raw, &value)?));
            from = successor(raw);
        }
        if !full {
            return Ok(page);
        }
    }
}

/// A page of versions: of each key the newest first.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    /// Key, record, and whether it is the newest.
    pub(crate) entries: Vec<(String, ObjectRecord, bool)>,
    pub(crate) prefixes: Vec<String>,
    /// The last key (or common prefix) and version of this page, where more follow.
    pub(crate) next: Option<(String, Option<String>)>,
}

/// Where a page of versions begins: behind all of a key, or behind one of its versions.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

impl S3 {
    pub(crate) async fn list_versions(&self, bucket: &str, query: Query, marker: Option<Marker>) -> Result<Versions> {
        let bucket = bucket.to_owned();
        self.store
            .read(move |tx| {
                require_bucket(tx, &bucket)?;
                versions(tx, &bucket, &query, marker.as_ref())
            })
            .await
    }
}

fn versions(tx: &mut Tx<'_>, bucket: &str, query: &Query, marker: Option<&Marker>) -> Result<Versions> {
    let mut page = Versions::default();
    if query.max == 0 {
        return Ok(page);
    }
    let delimiter = query.delimiter.as_deref().filter(|d| !d.is_empty());
    // What is listed is what comes at or behind `from`, and of that key itself only what is older than `older`.
    let mut from = query.prefix.clone();
    let mut older = None;
    if let Some(marker) = marker.filter(|m| !m.key.is_empty()) {
        match common_prefix(&marker.key, &query.prefix, delimiter) {
            Some(whole) if whole == marker.key => match prefix_after(&whole) {
                Some(next) => from = from.max(next),
                None => return Ok(page),
            },
            _ => match &marker.version {
                None => from = from.max(format!("{}\0", marker.key)),
                Some(id) => {
                    if !crate::version::is_id(id) {
                        return Err(invalid_argument_of("version-id-marker", id, "Invalid version id specified"));
                    }
                    // Of a null version that is gone nobody knows where it was: then the key is listed from its newest again.
                    older = match crate::version::find(tx, bucket, &marker.key, id)? {
                        Some(record) => Some(record.seq),
                        None => crate::version::seq_of(id).ok(),
                    };
                    from = from.max(marker.key.clone());
                }
            },
        }
    }
    let mut last = (String::new(), None);
    loop {
        let Some(key) = next_key(tx, bucket, &query.prefix, &from)? else { return Ok(page) };
        if let Some(prefix) = common_prefix(&key, &query.prefix, delimiter) {
            if page.entries.len() + page.prefixes.len() == query.max {
                page.next = Some(last);
                return Ok(page);
            }
            last = (prefix.clone(), None);
            let Some(next) = prefix_after(&prefix) else {
                page.prefixes.push(prefix);
                return Ok(page);
            };
            page.prefixes.push(prefix);
            from = next;
            continue;
        }
        let than = older.filter(|_| marker.is_some_and(|m| m.key == key));
        let newest = crate::version::newest(tx, bucket, &key)?.map(|record| record.seq);
        // One more than the page has room for tells that there is a next page.
        let room = query.max - page.entries.len() - page.prefixes.len() + 1;
        for record in crate::version::list(tx, bucket, &key, than, room)? {
            let newest = newest == Some(record.seq);
            if page.entries.len() + page.prefixes.len() == query.max {
                page.next = Some(last);
                return Ok(page);
            }
            last = (key.clone(), Some(record.version_id().to_owned()));
            page.entries.push((key.clone(), record, newest));
        }
        from = format!("{key}\0");
    }
}

/// The first key at or behind `from` that has a version or is one.
pub(crate) fn next_key(tx: &mut Tx<'_>, bucket: &str, prefix: &str, from: &str) -> Result<Option<String>> {
    let mut found: Option<String> = None;
    let places = [
        (keys::objects_with_prefix(bucket, prefix), keys::objects_with_prefix(bucket, from), false),
        (keys::versions_with_prefix(bucket, prefix), keys::versions_with_prefix(bucket, from), true),
    ];
    for (start, at, shelf) in places {
        let end = prefix_end(&start);
        let Some((raw, _)) = tx.scan(&at.max(start), end.as_deref(), 1, false)?.pop() else { continue };
        let key = if shelf { keys::key_of_version(&raw) } else { keys::last_part(&raw) };
        if found.as_ref().is_none_or(|f| key < *f) {
            found = Some(key);
        }
    }
    Ok(found)
}

/// The first text behind all that begin with `prefix`.
fn prefix_after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            c => char::from_u32(u32::from(c) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// What a key is rolled up into: up to and with the first delimiter behind the prefix.
pub(crate) fn common_prefix(key: &str, prefix: &str, delimiter: Option<&str>) -> Option<String> {
    let delimiter = delimiter?;
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter)?;
    Some(format!("{prefix}{}", &rest[..at + delimiter.len()]))
}

fn successor(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// `max-keys` and its like: 1000 at most, never negative.
pub(crate) fn page_size(asked: Option<i32>, name: &str) -> Result<usize> {
    match asked {
        None => Ok(1000),
        Some(n) => usize::try_from(n).map(|n| n.min(1000)).map_err(|_| {
            let message = format!("Argument {name} must be an integer between 0 and 2147483647");
            invalid_argument_of(name, &n.to_string(), message)
        }),
    }
}

/// Continuation tokens are opaque: the key in hexadecimal.
pub(crate) fn token(key: &str) -> String {
    hex::encode(key)
}
pub(crate) fn parse_token(token: &str) -> Result<String> {
    hex::decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| invalid_argument_of("continuation-token", token, "The continuation token provided is incorrect"))
}

/// `encoding-type=url`: everything but unreserved characters and `/` is percent-encoded.
pub(crate) fn encode(text: &str, url: bool) -> String {
    if !url {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.*/".contains(&byte) {
            out.push(char::from(byte));
        } else if byte == b' ' {
            out.push('+');
        } else {
            out.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
    out
}

fn hex_digit(n: u8) -> char {
    char::from_digit(n.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Only `url` exists.
pub(crate) fn wants_url(encoding: Option<&str>) -> Result<bool> {
    match encoding {
        None => Ok(false),
        Some("url") => Ok(true),
        Some(other) => Err(invalid_argument_of("encoding-type", other, "Invalid Encoding Method specified in Request")),
    }
}

#[cfg(test)]
mod tests {
    use store::Store;
    use wire::Error;

    use super::*;

    async fn listed(keys: &[&str], query: Query) -> (Vec<String>, Vec<String>, Option<String>) {
        let store = Store::memory();
        let stored: Vec<String> = keys.iter().map(|k| (*k).to_owned()).collect();
        store
            .write(move |tx| {
                for key in &stored {
                    let record = serde_json::json!({"v":1,"etag":"e","size":0,"modified_ms":0,"segments":[]});
                    tx.put_json(keys::object("b", key), &record)?;
                }
                tx.put_json(keys::object("bb", "a"), &0)?;
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let page = store.read(|tx| page(tx, "b", &query)).await.unwrap();
        (page.contents.into_iter().map(|(k, _)| k).collect(), page.prefixes, page.next)
    }

    #[tokio::test]
    async fn prefixes_and_pages() {
        let keys = ["a", "a/1", "a/2", "b/x/1", "b/x/2", "b/y", "c", "ä"];
        let all = Query { max: 1000, ..Query::default() };
        assert_eq!(listed(&keys, all.clone()).await.0, keys);
        let slash = Query { delimiter: Some("/".into()), ..all.clone() };
        let (contents, prefixes, next) = listed(&keys, slash.clone()).await;
        assert_eq!((contents, prefixes), (vec!["a".into(), "c".into(), "ä".into()], vec!["a/".into(), "b/".into()]));
        assert_eq!(next, None);
        let (contents, prefixes, _) = listed(&keys, Query { prefix: "b/".into(), ..slash.clone() }).await;
        assert_eq!((contents, prefixes), (vec!["b/y".to_owned()], vec!["b/x/".to_owned()]));

        // Page by page, one at a time, the same comes out.
        for query in [all, slash] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (contents, prefixes, next) = listed(&keys, Query { max: 1, after, ..query.clone() }).await;
                seen.extend(contents);
                seen.extend(prefixes);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            let (contents, prefixes, _) = listed(&keys, query).await;
            assert_eq!(seen.len(), contents.len() + prefixes.len(), "{seen:?}");
        }
    }

    #[test]
    fn encoding() {
        assert_eq!(encode("a b/ä+%", true), "a+b/%C3%A4%2B%25");
        assert_eq!(parse_token(&token("a/ä")).unwrap(), "a/ä");
        assert!(parse_token("x").is_err());
    }
}
