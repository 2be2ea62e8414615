//! Whose catalog: account and region, the keys under them, and pages over those keys.

use api_glue::error::invalid_input_exception;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use service::Cx;
use store::{Key, Tx};
use wire::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Scope {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned() }
    }

    /// The scope of a call that may name a catalog: only the account's own exists.
    pub(crate) fn catalog(cx: &Cx, catalog_id: Option<&str>) -> Result<Self, Error> {
        match catalog_id {
            Some(id) if id != cx.account() => {
                Err(api_glue::error::entity_not_found_exception(format!("Catalog {id} not found.")))
            }
            _ => Ok(Self::of(cx)),
        }
    }

    /// Keys of one kind of record.
    pub(crate) fn key(&self, kind: &str) -> Key {
        Key::new("glue").push(&self.account).push(&self.region).push(kind)
    }

    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:glue:{}:{}:{resource}", self.region, self.account)
    }
}

/// A page of records under a prefix: those that `keep` takes, and the token of the next page.
pub(crate) fn page<T: DeserializeOwned, U>(
    tx: &mut Tx<'_>,
    prefix: &Key,
    token: Option<&str>,
    limit: usize,
    keep: impl FnMut(T) -> Result<Option<U>, Error>,
) -> Result<(Vec<U>, Option<String>), Error> {
    page_where(tx, prefix, token, limit, |_| true, keep)
}

/// Such a page where the key alone may tell that a record is not wanted, so that it need not be read.
pub(crate) fn page_where<T: DeserializeOwned, U>(
    tx: &mut Tx<'_>,
    prefix: &Key,
    token: Option<&str>,
    limit: usize,
    mut wanted: impl FnMut(&[u8]) -> bool,
    mut keep: impl FnMut(T) -> Result<Option<U>, Error>,
) -> Result<(Vec<U>, Option<String>), Error> {
    let mut after = match token {
        Some(token) => from_token(prefix, token)?,
        // A prefix may be a whole key: that record is wanted, too.
        None => Vec::new(),
    };
    let mut out = Vec::new();
    loop {
        let batch = tx.scan_after(prefix, &after, limit + 1)?;
        let full = batch.len() > limit;
        for (key, value) in batch {
            if out.len() == limit {
                return Ok((out, Some(URL_SAFE_NO_PAD.encode(&after))));
            }
            if wanted(&key)
                && let Some(item) = keep(store::kv::decode(&key, &value)?)?
            {
                out.push(item);
            }
            after = key;
        }
        if !full {
            return Ok((out, None));
        }
    }
}

fn from_token(prefix: &Key, token: &str) -> Result<Vec<u8>, Error> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().filter(|key| key.starts_with(prefix.as_bytes()));
    key.ok_or_else(|| invalid_input_exception("Invalid NextToken"))
}

/// `MaxResults` within its bounds.
pub(crate) fn limit(max: Option<i32>, default: usize) -> usize {
    max.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).map_or(default, |n| n.min(1000))
}

/// Calls `f` with the key of each record under a prefix, whatever `f` does to that record.
pub(crate) fn each(
    tx: &mut Tx<'_>,
    prefix: &Key,
    mut f: impl FnMut(&mut Tx<'_>, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = Vec::new();
    loop {
        let batch = tx.scan_after(prefix, &after, 1000)?;
        let Some((last, _)) = batch.last() else { return Ok(()) };
        after.clone_from(last);
        for (key, _) in &batch {
            f(tx, key)?;
        }
    }
}

/// Moves all records under a prefix below another one.
pub(crate) fn shift(tx: &mut Tx<'_>, from: &Key, to: &Key) -> Result<(), Error> {
    if from == to {
        return Ok(());
    }
    loop {
        let batch = tx.scan_prefix(from, 1000)?;
        if batch.is_empty() {
            return Ok(());
        }
        for (key, value) in batch {
            let mut moved = to.as_bytes().to_vec();
            moved.extend_from_slice(&key[from.as_bytes().len()..]);
            tx.put(moved, &value)?;
            tx.delete(key)?;
        }
    }
}

/// Deletes all records under a prefix.
pub(crate) fn clear(tx: &mut Tx<'_>, prefix: &Key) -> Result<(), store::Error> {
    loop {
        let batch = tx.scan_prefix(prefix, 1000)?;
        if batch.is_empty() {
            return Ok(());
        }
        for (key, _) in batch {
            tx.delete(key)?;
        }
    }
}
