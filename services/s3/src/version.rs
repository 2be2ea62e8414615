//! A key's versions. The current one, where it is no delete marker, stands under [`keys::object`], so that reads and lists of what
//! is current see nothing of versions; all others, and every delete marker, stand under [`keys::version`], the newest first.
//!
//! Invariants: at most one version of a key is the null one; the object under [`keys::object`] is newer than all others; where
//! there is none, the newest of the others is a delete marker.

use store::key::prefix_end;

use crate::errors::{Result, internal};
use crate::keys;
use crate::records::ObjectRecord;
use crate::tx::Tx;

/// A new version's id and number. The number is in the id, so that a version is found by it; `chance` makes it hard to guess.
pub(crate) fn name(tx: &mut Tx<'_>, chance: &str) -> Result<(String, u64)> {
    let seq = tx.next_number(keys::last_version())?;
    Ok((format!("{seq:016x}{}", &chance[chance.len().saturating_sub(16)..]), seq))
}

pub(crate) fn current(tx: &mut Tx<'_>, bucket: &str, key: &str) -> Result<Option<ObjectRecord>> {
    Ok(tx.get_json(keys::object(bucket, key))?)
}

/// The newest version, be it a delete marker.
pub(crate) fn newest(tx: &mut Tx<'_>, bucket: &str, key: &str) -> Result<Option<ObjectRecord>> {
    match current(tx, bucket, key)? {
        Some(record) => Ok(Some(record)),
        None => Ok(tx.list_json(keys::versions_of(bucket, key), 1)?.into_iter().next()),
    }
}

/// A key's versions, the newest first: `limit` at most, of those that are older than the number `than`.
pub(crate) fn list(
    tx: &mut Tx<'_>,
    bucket: &str,
    key: &str,
    than: Option<u64>,
    limit: usize,
) -> Result<Vec<ObjectRecord>> {
    let older = |record: &ObjectRecord| than.is_none_or(|than| record.seq < than);
    let mut all: Vec<ObjectRecord> = current(tx, bucket, key)?.filter(older).into_iter().collect();
    let shelf = keys::versions_of(bucket, key);
    let from = match than {
        None => shelf.as_bytes().to_vec(),
        Some(seq) => {
            let mut behind = keys::version(bucket, key, seq).into_bytes();
            behind.push(0);
            behind
        }
    };
    let end = prefix_end(shelf.as_bytes());
    for (place, value) in tx.scan(&from, end.as_deref(), limit.saturating_sub(all.len()), false)? {
        all.push(store::kv::decode(&place, &value)?);
    }
    Ok(all)
}

/// The version of that id; `null` is one.
pub(crate) fn find(tx: &mut Tx<'_>, bucket: &str, key: &str, id: &str) -> Result<Option<ObjectRecord>> {
    if let Some(record) = current(tx, bucket, key)?
        && record.version_id() == id
    {
        return Ok(Some(record));
    }
    let Some(seq) = number(tx, bucket, key, id)? else { return Ok(None) };
    let found: Option<ObjectRecord> = tx.get_json(keys::version(bucket, key, seq))?;
    Ok(found.filter(|record| record.version_id() == id))
}

/// Puts a record back where it was read.
pub(crate) fn rewrite(tx: &mut Tx<'_>, bucket: &str, key: &str, record: &ObjectRecord) -> Result<()> {
    let is_current = current(tx, bucket, key)?.is_some_and(|c| c.version_id() == record.version_id());
    let place = if is_current { keys::object(bucket, key) } else { keys::version(bucket, key, record.seq) };
    Ok(tx.put_json(place, record)?)
}

/// Adds a version. `fresh`: it is newer than all others.
pub(crate) fn insert(tx: &mut Tx<'_>, bucket: &str, key: &str, record: &ObjectRecord, fresh: bool) -> Result<()> {
    let newest = if fresh { current(tx, bucket, key)? } else { newest(tx, bucket, key)? };
    let older = newest.as_ref().is_some_and(|n| n.seq > record.seq);
    if older {
        return shelve(tx, bucket, key, record);
    }
    if let Some(previous) = newest.filter(|n| !n.marker) {
        shelve(tx, bucket, key, &previous)?;
        tx.delete(keys::object(bucket, key))?;
    }
    if record.marker { shelve(tx, bucket, key, record) } else { Ok(tx.put_json(keys::object(bucket, key), record)?) }
}

/// Takes a version away; the newest of the others becomes the current one.
pub(crate) fn remove(tx: &mut Tx<'_>, bucket: &str, key: &str, id: &str) -> Result<Option<ObjectRecord>> {
    let Some(record) = find(tx, bucket, key, id)? else { return Ok(None) };
    if current(tx, bucket, key)?.is_some_and(|c| c.version_id() == id) {
        tx.delete(keys::object(bucket, key))?;
    } else {
        unshelve(tx, bucket, key, &record)?;
    }
    if current(tx, bucket, key)?.is_none()
        && let Some(next) = newest(tx, bucket, key)?.filter(|n| !n.marker)
    {
        unshelve(tx, bucket, key, &next)?;
        tx.put_json(keys::object(bucket, key), &next)?;
    }
    Ok(Some(record))
}

fn shelve(tx: &mut Tx<'_>, bucket: &str, key: &str, record: &ObjectRecord) -> Result<()> {
    if record.version.is_none() {
        tx.put_json(keys::null_version(bucket, key), &record.seq)?;
    }
    Ok(tx.put_json(keys::version(bucket, key, record.seq), record)?)
}

fn unshelve(tx: &mut Tx<'_>, bucket: &str, key: &str, record: &ObjectRecord) -> Result<()> {
    if record.version.is_none() {
        tx.delete(keys::null_version(bucket, key))?;
    }
    Ok(tx.delete(keys::version(bucket, key, record.seq))?)
}

fn number(tx: &mut Tx<'_>, bucket: &str, key: &str, id: &str) -> Result<Option<u64>> {
    if id == "null" {
        return Ok(tx.get_json(keys::null_version(bucket, key))?);
    }
    Ok(id.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()))
}

/// Is this the form of a version's id? AWS tells a malformed one from one that does not exist.
pub(crate) fn is_id(id: &str) -> bool {
    id == "null" || (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The place of a version in a list of its key's, for paging.
pub(crate) fn seq_of(id: &str) -> Result<u64> {
    id.get(..16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| internal("a version's id without its number"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use store::Store;
    use wire::Error;

    use super::*;

    fn record(seq: u64, version: Option<&str>, marker: bool) -> ObjectRecord {
        serde_json::from_value(json!({
            "v": 1, "etag": "e", "size": 0, "modified_ms": 0, "segments": [], "version": version, "seq": seq, "marker": marker,
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn pieces_of_a_keys_versions() {
        let store = Store::memory();
        let seen = store
            .write(|tx| {
                let (mut seen, mut than) = (Vec::new(), None);
                for seq in 1..=7 {
                    insert(tx, "b", "k", &record(seq, Some(&format!("{seq:032x}")), seq == 7), true)?;
                    insert(tx, "b", "kk", &record(seq + 10, Some(&format!("{seq:032x}")), false), true)?;
                }
                loop {
                    let piece: Vec<u64> = list(tx, "b", "k", than, 3)?.iter().map(|record| record.seq).collect();
                    than = piece.last().copied();
                    seen.push(piece);
                    if than == Some(1) {
                        seen.push(list(tx, "b", "kk", None, 2)?.iter().map(|record| record.seq).collect());
                        return Ok::<_, Error>(seen);
                    }
                }
            })
            .await
            .unwrap();
        assert_eq!(seen, [vec![7, 6, 5], vec![4, 3, 2], vec![1], vec![17, 16]]);
    }

    #[tokio::test]
    async fn what_is_current() {
        let store = Store::memory();
        let seen = store
            .write(|tx| {
                let chance = "0".repeat(32);
                let mut seen = Vec::new();
                let ids: Vec<(String, u64)> = (0..3).map(|_| name(tx, &chance)).collect::<Result<_>>()?;
                let mut now = |tx: &mut Tx<'_>| {
                    let current = current(tx, "b", "k")?.map(|r| r.version_id().to_owned());
                    let newest = newest(tx, "b", "k")?.map(|r| (r.version_id().to_owned(), r.marker));
                    seen.push((current, newest));
                    Ok::<_, Error>(())
                };
                insert(tx, "b", "k", &record(0, None, false), true)?;
                insert(tx, "b", "k", &record(ids[0].1, Some(&ids[0].0), false), true)?;
                now(tx)?;
                insert(tx, "b", "k", &record(ids[1].1, Some(&ids[1].0), true), true)?;
                now(tx)?;
                remove(tx, "b", "k", &ids[1].0)?;
                now(tx)?;
                remove(tx, "b", "k", &ids[0].0)?;
                now(tx)?;
                // Put back, an older one is not the current one again.
                insert(tx, "b", "k", &record(ids[2].1, Some(&ids[2].0), false), true)?;
                insert(tx, "b", "k", &record(ids[0].1, Some(&ids[0].0), false), false)?;
                now(tx)?;
                assert!(find(tx, "b", "k", "null")?.is_some() && find(tx, "b", "k", &ids[0].0)?.is_some());
                assert!(find(tx, "b", "k", &ids[1].0)?.is_none() && find(tx, "b", "k", "x")?.is_none());
                Ok::<_, Error>((seen, ids))
            })
            .await
            .unwrap();
        let (seen, ids) = seen;
        let id = |n: usize| ids[n].0.clone();
        let null = || "null".to_owned();
        let expected = [
            (Some(id(0)), Some((id(0), false))),
            (None, Some((id(1), true))),
            (Some(id(0)), Some((id(0), false))),
            (Some(null()), Some((null(), false))),
            (Some(id(2)), Some((id(2), false))),
        ];
        assert_eq!(seen, expected);
    }
}
