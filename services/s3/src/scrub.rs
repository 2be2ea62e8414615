//! Reads every object's bytes and holds them against what was said of them when they were written: size, ETag, checksums, and the seal
//! of encrypted ones. Of an object whose key is not here (a customer's, one of KMS) it looks whether the bytes are there and as many as
//! they should be.

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::objects::Digest as _;

use crate::S3;
use crate::body::{Opened, Reader};
use crate::checksum::{FULL_OBJECT, Hasher};
use crate::errors::{Result, internal};
use crate::keys;
use crate::records::ObjectRecord;
use crate::sse::Sse;

/// Objects looked at before the next page is read.
const BATCH: usize = 200;

/// What a scrub came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    pub objects: u64,
    pub bytes: u64,
    /// `bucket/key (version): what is wrong`.
    pub damaged: Vec<String>,
}

impl S3 {
    /// Looks at every version of every object. Whoever changes one meanwhile is not held up, and is not taken for damage.
    ///
    /// # Errors
    /// When metadata cannot be read.
    pub async fn scrub(&self) -> Result<Scrubbed> {
        let mut scrubbed = Scrubbed::default();
        for prefix in [keys::all_objects(), keys::all_versions()] {
            let mut after = Vec::new();
            loop {
                let page = self.store.read(|tx| tx.scan_after(&prefix, &after, BATCH)).await?;
                for (place, value) in &page {
                    let record: ObjectRecord = store::kv::decode(place, value)?;
                    if record.marker {
                        continue;
                    }
                    scrubbed.objects += 1;
                    scrubbed.bytes += record.size;
                    let Err(wrong) = self.scrub_one(&record).await else { continue };
                    let now = self.store.read(|tx| tx.get(place)).await?;
                    if now.as_ref() == Some(value) {
                        let parts = store::Key::parts(place);
                        let name = |at: usize| parts.get(at).map(|p| String::from_utf8_lossy(p)).unwrap_or_default();
                        let (bucket, key) = (name(2), name(3));
                        scrubbed.damaged.push(format!("{bucket}/{key} ({}): {wrong}", record.version_id()));
                    }
                }
                match page.last() {
                    Some((place, _)) if page.len() == BATCH => after.clone_from(place),
                    _ => break,
                }
            }
        }
        Ok(scrubbed)
    }

    async fn scrub_one(&self, record: &ObjectRecord) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let stated: u64 = record.segments.iter().map(|segment| segment.size).sum();
        if stated != record.size {
            return Err(format!("its parts have {stated} bytes, it {}", record.size));
        }
        let of_kms = |key: &String| crate::kms::is_sealed(key);
        let elsewhere = record.segments.iter().any(|segment| segment.key.as_ref().is_some_and(of_kms));
        if elsewhere || matches!(record.sse, Some(Sse::Customer { .. })) {
            for segment in record.segments.iter().filter(|segment| !segment.inline) {
                let blob = self.objects.open(&segment.id).await.map_err(|e| told(&e))?;
                let held = blob.len().map_err(|e| told(&e))?;
                if held < segment.size {
                    return Err(format!("{held} bytes where {} should be", segment.size));
                }
            }
            return Ok(());
        }
        let opened = self.open_record(record).await.map_err(|e| told(&e))?;
        let sizes: Vec<u64> = match &record.parts {
            Some(parts) => parts.iter().map(|part| part.size).collect(),
            None => vec![record.size],
        };
        // Of parts the ETag is the MD5 of their MD5s; a checksum is of the whole, or of the parts' own.
        let full = record.checksums.kind.as_deref() == Some(FULL_OBJECT) || record.parts.is_none();
        let algorithms = if full { record.checksums.algorithms() } else { Vec::new() };
        let mut whole = Hasher::new(&algorithms).map_err(|e| told(&e))?;
        let (mut md5s, mut start) = (Vec::new(), 0);
        for size in sizes {
            let mut part = Hasher::new(&[]).map_err(|e| told(&e))?;
            let mut bytes = opened.clone().stream(start..start + size);
            while let Some(piece) = bytes.try_next().await.map_err(|e| told(&e))? {
                part.update(&piece);
                whole.update(&piece);
            }
            start += size;
            md5s.extend(part.finish().md5);
        }
        let digests = whole.finish();
        let etag = match &record.parts {
            None => digests.etag(),
            Some(parts) => {
                let mut of_md5s = Hasher::new(&[]).map_err(|e| told(&e))?;
                of_md5s.update(&md5s);
                format!("{}-{}", of_md5s.finish().etag(), parts.len())
            }
        };
        if etag != record.etag {
            return Err(format!("its ETag is {}, its bytes' {etag}", record.etag));
        }
        if full {
            for algorithm in algorithms {
                if digests.checksums.of(algorithm) != record.checksums.of(algorithm) {
                    return Err(format!("its {algorithm} is not its bytes'"));
                }
            }
        }
        Ok(())
    }

    async fn open_record(&self, record: &ObjectRecord) -> Result<Opened> {
        let mut inline = Vec::new();
        for segment in record.segments.iter().filter(|segment| segment.inline) {
            let bytes = self.store.read(|tx| tx.get(keys::inline(&segment.id))).await?;
            inline.push(bytes::Bytes::from(bytes.unwrap_or_default()));
        }
        let blobs = self.open_segments(record, inline).await.map_err(internal)?;
        let (account, region) = self.known.own();
        let cx = Cx::platform(&self.router, account, region);
        self.opened(record.clone(), blobs, Reader { cx: &cx, customer: None }, "").await
    }
}
