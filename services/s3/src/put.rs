//! PutObject: bytes first, then one transaction that names them.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::Stream;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::objects::BlobId;

use crate::S3;
use crate::acl::Grant;
use crate::admitted::Home;
use crate::body::{Expected, Received, Sealing};
use crate::buckets::now_ms;
use crate::change::{self, Garbage};
use crate::checksum::Checksums;
use crate::conditions::Conditions;
use crate::errors::{Result, invalid_argument, key_too_long};
use crate::events::{self, Change};
use crate::keys;
use crate::lock::{self, DefaultRetention};
use crate::multipart::{self, Completed, Completion};
use crate::records::{Headers, ObjectRecord, PartSummary, Segment, VERSION};
use crate::settings::OBJECT_LOCK;
use crate::sse::{CustomerKey, Sse};
use crate::tx::require_bucket;
use crate::version;

/// What a write says about its object, apart from the bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) headers: Headers,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) lock: lock::Asked,
    /// The account that owns it, where that is not the bucket's.
    pub(crate) owner: Option<String>,
    pub(crate) grants: Option<Vec<Grant>>,
    pub(crate) sse: Option<Sse>,
}

impl Attributes {
    pub(crate) fn check(&self, key: &str) -> Result<()> {
        if key.is_empty() || key.len() > 1024 {
            return Err(key_too_long(key.len()));
        }
        if let Some(class) = &self.headers.storage_class
            && !STORAGE_CLASSES.contains(&class.as_str())
        {
            return Err(wire::Error::new("InvalidStorageClass", 400, "The storage class you specified is not valid")
                .with("StorageClassRequested", class.as_str()));
        }
        if let Some(place) = &self.headers.website_redirect_location
            && !["/", "http://", "https://"].iter().any(|start| place.starts_with(start))
        {
            return Err(wire::Error::new(
                "InvalidRedirectLocation",
                400,
                "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
            ));
        }
        let size: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        if size > 2048 {
            let message = "Your metadata headers exceed the maximum allowed metadata size";
            let error = wire::Error::new("MetadataTooLarge", 400, message);
            return Err(error.with("Size", size).with("MaxSizeAllowed", 2048));
        }
        check_tags(&self.tags, 10)
    }
}

/// The classes that an object can be written with. Source: API reference, PutObject, without those of other hardware.
pub(crate) const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

/// A write's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) modified_ms: i64,
    pub(crate) checksums: Checksums,
    /// In a bucket with versions.
    #[serde(default)]
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) sse: Option<Sse>,
    /// The blobs that the record names: a repeated call learns by them that its own are not needed.
    blobs: Vec<BlobId>,
    garbage: Garbage,
}

/// What one commit makes of a key.
pub(crate) struct Commit {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) attributes: Attributes,
    pub(crate) conditions: Conditions,
    pub(crate) etag: String,
    pub(crate) checksums: Checksums,
    pub(crate) segments: Vec<Segment>,
    pub(crate) inline: Vec<(BlobId, Bytes)>,
    pub(crate) parts: Option<Vec<PartSummary>>,
    pub(crate) change: Change,
    /// The multipart upload that this completes: what is stored are the parts that the transaction finds. They stay the upload's until
    /// then, so a completion that fails leaves them where they are.
    pub(crate) completion: Option<Completion>,
}

impl S3 {
    pub(crate) async fn put_object(
        &self,
        cx: &Cx,
        (bucket, key): (String, String),
        attributes: Attributes,
        (conditions, expected, customer): (Conditions, Expected, Option<CustomerKey>),
        (body, change): (impl Stream<Item = Result<Bytes>>, Change),
        trailing: impl FnOnce() -> Result<Checksums>,
    ) -> Result<Stored> {
        attributes.check(&key)?;
        // Before a body: is there a bucket, and could the condition hold?
        self.governed(&bucket).await?;
        self.check_write(cx, &bucket, &key, &conditions).await?;
        let sealing = Sealing::of(cx, (&bucket, &key), attributes.sse.clone(), customer);
        let Received { segment, inline, digests } = self.receive(body, &expected, &sealing, trailing).await?;
        let etag = digests.etag();
        self.commit(
            cx,
            Commit {
                bucket,
                key,
                attributes,
                conditions,
                etag,
                checksums: digests.checksums,
                inline: inline.map(|bytes| (segment.id.clone(), bytes)).into_iter().collect(),
                segments: vec![segment],
                parts: None,
                change,
                completion: None,
            },
        )
        .await
    }

    /// Could the condition hold? The transaction decides; a task that is repeated gets its first answer there, whatever holds by now.
    pub(crate) async fn check_write(&self, cx: &Cx, bucket: &str, key: &str, conditions: &Conditions) -> Result<()> {
        if conditions.is_none() || cx.task_id().is_some() {
            return Ok(());
        }
        let (bucket, key, conditions) = (bucket.to_owned(), key.to_owned(), conditions.clone());
        self.store
            .read(move |tx| {
                require_bucket(tx, &bucket)?;
                conditions.check_write(&key, version::current(tx, &bucket, &key)?.as_ref())
            })
            .await
    }

    /// Names bytes that are durable already. On failure they are removed again.
    #[expect(clippy::too_many_lines, reason = "one transaction")]
    pub(crate) async fn commit(&self, cx: &Cx, commit: Commit) -> Result<Stored> {
        let own: Vec<BlobId> = commit.segments.iter().filter(|s| !s.inline).map(|s| s.id.clone()).collect();
        let mut record = ObjectRecord {
            v: VERSION,
            etag: commit.etag,
            size: commit.segments.iter().map(|s| s.size).sum(),
            modified_ms: now_ms(cx),
            segments: commit.segments,
            parts: commit.parts,
            checksums: commit.checksums,
            headers: commit.attributes.headers,
            metadata: commit.attributes.metadata,
            tags: commit.attributes.tags,
            writer: crate::attempts::of(cx),
            version: None,
            seq: 0,
            marker: false,
            owner: commit.attributes.owner,
            grants: commit.attributes.grants,
            retention: commit.attributes.lock.retention,
            legal_hold: commit.attributes.lock.legal_hold,
            sse: commit.attributes.sse,
            restored_until_ms: None,
        };
        let (bucket, key, conditions) = (commit.bucket, commit.key, commit.conditions);
        let place = (bucket.clone(), key.clone());
        let (inline, change, blobs, completion) = (commit.inline, commit.change, own.clone(), commit.completion);
        let (origin, random) = (events::Origin::of(cx), self.objects.new_id().to_string());
        let restored = self.restored.clone();
        let home = Home::of(&bucket);
        let result = cx
            .write(&self.store, move |tx| {
                let home = home.require(tx)?;
                let mut garbage = Garbage::new();
                if let Some(completion) = &completion {
                    // Completed since it was looked for: this one has the first one's answer.
                    if let Some(stored) = multipart::completed(tx, &completion.upload)? {
                        return Ok(stored);
                    }
                    completion.fill(tx, &mut record, &mut garbage)?;
                }
                conditions.check_write(&key, version::current(tx, &bucket, &key)?.as_ref())?;
                if home.object_lock {
                    if record.retention.is_none() {
                        let default: Option<DefaultRetention> = tx.get_json(keys::setting(&bucket, OBJECT_LOCK))?;
                        record.retention = default.map(|d| d.from(record.modified_ms));
                    }
                } else if record.retention.is_some() || record.legal_hold.is_some() {
                    return Err(lock::missing());
                }
                for (id, bytes) in &inline {
                    tx.put(keys::inline(id), bytes)?;
                }
                let attempt = record.writer.clone();
                let place = change::ChangeContext {
                    bucket: &home,
                    key: &key,
                    attempt: attempt.as_deref(),
                    chance: random.as_str(),
                    restored: &restored,
                };
                garbage.extend(change::put(tx, place, &mut record)?);
                let told = events::Details { version: home.versioning.map(|_| record.version_id()) };
                events::record(tx, &origin, &home, &key, Some(&record), change, told)?;
                let stored = Stored {
                    etag: record.etag.clone(),
                    size: record.size,
                    modified_ms: record.modified_ms,
                    checksums: record.checksums.clone(),
                    version: home.versioning.map(|_| record.version_id().to_owned()),
                    sse: record.sse.clone(),
                    blobs: blobs.clone(),
                    garbage,
                };
                if let Some(completion) = &completion {
                    let done = Completed { bucket: bucket.clone(), key: key.clone(), stored: stored.clone() };
                    tx.put_json(keys::completed(&completion.upload.id), &done)?;
                }
                Ok::<_, wire::Error>(stored)
            })
            .await;
        if let Ok(stored) = &result {
            crate::lineage::wrote(cx, &place, stored);
        }
        match &result {
            // The first reply of a repeated call: its bytes are in place, ours are not needed.
            Ok(stored) if stored.blobs != own => self.objects.delete(own).await,
            Ok(stored) => self.objects.delete(stored.garbage.clone()).await,
            // A commit whose fate is unknown keeps its bytes; the next start sweeps them if nothing names them.
            Err(error) if error.status() >= 500 => {}
            Err(_) => self.objects.delete(own).await,
        }
        result
    }
}

/// `a=1&b=2`, as x-amz-tagging has it.
pub(crate) fn parse_tags(header: &str) -> Result<Vec<(String, String)>> {
    let invalid = || {
        invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
        )
    };
    let mut tags: Vec<(String, String)> = Vec::new();
    for pair in header.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = url_decode(name).ok_or_else(invalid)?;
        if tags.iter().any(|(n, _)| *n == name) {
            return Err(invalid());
        }
        tags.push((name, url_decode(value).ok_or_else(invalid)?));
    }
    Ok(tags)
}

pub(crate) fn check_tags(tags: &[(String, String)], max: usize) -> Result<()> {
    if tags.len() > max {
        let message = format!("Object tags cannot be greater than {max}");
        return Err(wire::Error::new(if max == 10 { "BadRequest" } else { "InvalidTag" }, 400, message));
    }
    for (i, (name, value)) in tags.iter().enumerate() {
        if name.is_empty() || name.chars().count() > 128 || !name.chars().all(is_of_tags) {
            return Err(wire::Error::new("InvalidTag", 400, "The TagKey you have provided is invalid"));
        }
        if max == 10 && is_of_system(name) {
            return Err(wire::Error::new("InvalidTag", 400, "Your TagKey cannot be prefixed with aws:"));
        }
        if value.chars().count() > 256 || !value.chars().all(is_of_tags) {
            return Err(wire::Error::new("InvalidTag", 400, "The TagValue you have provided is invalid"));
        }
        if tags[..i].iter().any(|(n, _)| n == name) {
            return Err(wire::Error::new("InvalidTag", 400, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(())
}

/// The prefix that AWS keeps for itself.
pub(crate) fn is_of_system(name: &str) -> bool {
    name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Source: S3 User Guide, "Categorizing your objects using tags": letters, numbers and spaces of any script, and `+ - = . _ : / @`.
fn is_of_tags(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "+-=._:/@".contains(c)
}

pub(crate) fn url_decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [a, b, tail @ ..]) => {
                bytes.extend(hex::decode([*a, *b]).ok()?);
                rest = tail;
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_headers() {
        let tags = parse_tags("a=1&b%20c=x%2By&d").unwrap();
        assert_eq!(tags, [("a", "1"), ("b c", "x+y"), ("d", "")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        for bad in ["a=1&a=2", "a=%zz", "a=%f"] {
            assert!(parse_tags(bad).unwrap_err().is("InvalidArgument"), "{bad}");
        }
        let many: Vec<_> = (0..11).map(|i| (i.to_string(), String::new())).collect();
        assert!(check_tags(&many, 10).unwrap_err().is("BadRequest"));
    }
}
