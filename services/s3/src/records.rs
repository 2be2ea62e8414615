//! What is stored of buckets, objects and uploads. Each record carries its version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::objects::BlobId;

use crate::acl::Grant;
use crate::checksum::Checksums;
use crate::lock::Retention;
use crate::sse::Sse;

pub(crate) const VERSION: u8 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub(crate) v: u8,
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) created_ms: i64,
    /// Never asked for: absent, and what was never asked for is cheaper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) versioning: Option<Versioning>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) object_lock: bool,
}

impl BucketRecord {
    /// What tells it from another of its name, before or after it.
    pub(crate) fn identity(&self) -> (String, i64) {
        (self.account.clone(), self.created_ms)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Versioning {
    Enabled,
    Suspended,
}

/// One version of a key's object, or a delete marker. Which of a key's versions is the current one, [`crate::version`] knows.

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub(crate) v: u8,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) modified_ms: i64,
    /// The bytes, in order; one segment per part of a multipart upload.
    pub(crate) segments: Vec<Segment>,
    /// Of a multipart upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<Vec<PartSummary>>,
    #[serde(default)]
    pub(crate) checksums: Checksums,
    #[serde(default)]
    pub(crate) headers: Headers,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<(String, String)>,
    /// The attempt of user code that wrote it, while that may still be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer: Option<String>,
    /// Absent: the null version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Its place among its key's versions: a larger one is newer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) seq: u64,
    /// A delete marker: no bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) marker: bool,
    /// The account that owns it, where that is not the bucket's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Absent: the owner's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grants: Option<Vec<Grant>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    /// `Some(false)`: it was on once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) legal_hold: Option<bool>,
    /// How its bytes are encrypted; absent: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sse: Option<Sse>,
    /// Until when an archived object is readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restored_until_ms: Option<i64>,
}

impl ObjectRecord {
    /// As requests and answers have it.
    pub(crate) fn version_id(&self) -> &str {
        self.version.as_deref().unwrap_or("null")
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A run of an object's bytes: a blob, or a value in the store under [`crate::keys::inline`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) id: BlobId,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) inline: bool,
    /// The key that its bytes are encrypted with, itself encrypted as the object's [`Sse`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartSummary {
    pub(crate) number: u32,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) checksums: Checksums,
}

/// The headers that are kept with an object and given back with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Headers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) website_redirect_location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) v: u8,
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) initiated_ms: i64,
    pub(crate) headers: Headers,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
    /// `CRC32`, … as the client asked for.
    pub(crate) algorithm: Option<String>,
    /// `COMPOSITE` or `FULL_OBJECT`.
    pub(crate) checksum_type: Option<String>,
    pub(crate) writer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grants: Option<Vec<Grant>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) legal_hold: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sse: Option<Sse>,
    /// Who began it, as an ARN.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) initiator: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) v: u8,
    pub(crate) number: u32,
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) modified_ms: i64,
    pub(crate) segment: Segment,
    pub(crate) checksums: Checksums,
    /// Of an upload that asked for no checksum: what S3's own is put together of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc64nvme: Option<String>,
}

/// What can be said of a version after it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    tags: Vec<(String, String)>,
    grants: Option<Vec<Grant>>,
    retention: Option<Retention>,
    legal_hold: Option<bool>,
    restored_until_ms: Option<i64>,
}

impl ObjectRecord {
    pub(crate) fn said(&self) -> Said {
        Said {
            tags: self.tags.clone(),
            grants: self.grants.clone(),
            retention: self.retention,
            legal_hold: self.legal_hold,
            restored_until_ms: self.restored_until_ms,
        }
    }
}

/// What an attempt has said of a version that it has not written: what was said before, and what it left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Revision {
    pub(crate) version: Option<String>,
    seq: u64,
    modified_ms: i64,
    etag: String,
    before: Said,
    after: Said,
}

impl Revision {
    /// Is it of this version, not of one that has taken its place?
    pub(crate) fn is_of(&self, record: &ObjectRecord) -> bool {
        (&self.version, self.seq, self.modified_ms, &self.etag)
            == (&record.version, record.seq, record.modified_ms, &record.etag)
    }

    /// What somebody else has said since stays.
    pub(crate) fn take_back(&self, record: &mut ObjectRecord) {
        let (now, after, before) = (record.said(), &self.after, &self.before);
        if now.tags == after.tags {
            record.tags.clone_from(&before.tags);
        }
        if now.grants == after.grants {
            record.grants.clone_from(&before.grants);
        }
        if now.retention == after.retention {
            record.retention = before.retention;
        }
        if now.legal_hold == after.legal_hold {
            record.legal_hold = before.legal_hold;
        }
        if now.restored_until_ms == after.restored_until_ms {
            record.restored_until_ms = before.restored_until_ms;
        }
    }
}

/// What a key held before an attempt of user code first changed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UndoRecord {
    pub(crate) v: u8,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) previous: Option<ObjectRecord>,
    /// In a bucket with versions: the ids of those that the attempt wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) written: Vec<String>,
    /// And those that it took away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) removed: Vec<ObjectRecord>,
    /// Which bucket of that name; absent in earlier records, which do not tell who has deleted a key either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) home: Option<(String, i64)>,
    /// What the attempt has said of versions that it has not written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) revised: Vec<Revision>,
    /// Whose deletion undoing goes back to, where the key had been deleted by another attempt that may be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_by: Option<String>,
}

impl UndoRecord {
    pub(crate) fn new(bucket: &BucketRecord, key: &str) -> Self {
        Self {
            v: VERSION,
            bucket: bucket.name.clone(),
            key: key.to_owned(),
            previous: None,
            written: Vec::new(),
            removed: Vec::new(),
            home: Some(bucket.identity()),
            revised: Vec::new(),
            deleted_by: None,
        }
    }

    /// Something was said of a version.
    pub(crate) fn note_revision(&mut self, record: &ObjectRecord, before: Said) {
        match self.revised.iter_mut().find(|revision| revision.is_of(record)) {
            Some(revision) => revision.after = record.said(),
            None => self.revised.push(Revision {
                version: record.version.clone(),
                seq: record.seq,
                modified_ms: record.modified_ms,
                etag: record.etag.clone(),
                before,
                after: record.said(),
            }),
        }
    }

    /// A version without what the attempt has said of it.
    pub(crate) fn unsaid(&self, mut record: ObjectRecord) -> ObjectRecord {
        for revision in self.revised.iter().filter(|revision| revision.is_of(&record)).collect::<Vec<_>>() {
            revision.take_back(&mut record);
        }
        record
    }

    /// Is it of this bucket, not of one before it?
    pub(crate) fn is_of(&self, bucket: &BucketRecord) -> bool {
        self.home.as_ref().is_none_or(|home| *home == bucket.identity())
    }

    /// The attempt to whose work undoing goes back, as long as that may be undone itself.
    pub(crate) fn base(&self) -> Option<&str> {
        match &self.previous {
            Some(previous) => previous.writer.as_deref(),
            None => self.deleted_by.as_deref(),
        }
    }

    /// Whatever undoing would bring back.
    pub(crate) fn kept(self) -> impl Iterator<Item = ObjectRecord> {
        self.previous.into_iter().chain(self.removed)
    }
}
