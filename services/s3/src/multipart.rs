//! Multipart uploads: parts are blobs of their own; completing one is a single transaction that names them in order.

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::key::prefix_end;
use store::objects::BlobId;
use wire::Error;

use crate::S3;
use crate::admitted::Home;
use crate::body::{Expected, Reader, Received, Sealing};
use crate::buckets::now_ms;
use crate::change::{self, Garbage};
use crate::checksum::{COMPOSITE, Checksums, FULL_OBJECT, OWN, combined, composite, multipart_etag};
use crate::conditions::Conditions;
use crate::errors::{
    Result, bad_digest, internal, invalid_argument_of, invalid_part_number, invalid_request, malformed_xml,
    no_such_upload,
};
use crate::events::Change;
use crate::keys;
use crate::put::{Attributes, Commit, Stored};
use crate::records::{ObjectRecord, PartRecord, PartSummary, UploadRecord, VERSION};
use crate::sse::{CustomerKey, Sse};
use crate::tags::Named;
use crate::tx::{Tx, require_bucket};

/// The smallest part, the last one excepted.
const MIN_PART: u64 = 5 * 1024 * 1024;
const MAX_PARTS: u32 = 10_000;

/// A part as CompleteMultipartUpload names it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) number: u32,
    pub(crate) etag: String,
    pub(crate) checksums: Checksums,
}

/// Which upload: bucket, key, upload id.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) id: String,
}

/// Remembered for a day, so that a repeated completion gets the first one's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Completed {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) stored: Stored,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartStored {
    part: PartRecord,
    garbage: Garbage,
}

impl S3 {
    pub(crate) async fn create_upload(
        &self,
        cx: &Cx,
        (bucket, key): (String, String),
        attributes: Attributes,
        (algorithm, kind): (Option<String>, Option<String>),
    ) -> Result<UploadRecord> {
        attributes.check(&key)?;
        if let Some(kind) = kind.as_deref().filter(|kind| ![COMPOSITE, FULL_OBJECT].contains(kind)) {
            return Err(invalid_request(format!("Value for x-amz-checksum-type header is invalid: {kind}")));
        }
        let kind = match (algorithm.as_deref(), kind) {
            (None, Some(_)) => {
                return Err(invalid_request(
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
                ));
            }
            (None, None) => None,
            (Some("CRC64NVME"), None) => Some(FULL_OBJECT.to_owned()),
            (Some(_), None) => Some(COMPOSITE.to_owned()),
            (Some(algorithm), Some(kind)) => {
                let impossible = match kind.as_str() {
                    // Only CRCs of parts make that of the whole.
                    FULL_OBJECT => !algorithm.starts_with("CRC"),
                    _ => algorithm == "CRC64NVME",
                };
                if impossible {
                    let text =
                        format!("The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.");
                    return Err(invalid_request(text));
                }
                Some(kind)
            }
        };
        let record = UploadRecord {
            v: VERSION,
            key,
            id: self.objects.new_id().to_string(),
            initiated_ms: now_ms(cx),
            headers: attributes.headers,
            metadata: attributes.metadata,
            tags: attributes.tags,
            algorithm: algorithm.map(|a| crate::body::known_algorithm(&a)).transpose()?.map(str::to_owned),
            checksum_type: kind,
            writer: crate::attempts::of(cx),
            owner: attributes.owner,
            grants: attributes.grants,
            retention: attributes.lock.retention,
            legal_hold: attributes.lock.legal_hold,
            sse: attributes.sse,
            initiator: cx.principal().arn(cx.account()),
        };
        let home = Home::of(&bucket);
        cx.write(&self.store, move |tx| {
            let home = home.require(tx)?;
            if !home.object_lock && (record.retention.is_some() || record.legal_hold.is_some()) {
                return Err(crate::lock::missing());
            }
            tx.put_json(keys::upload(&bucket, &record.key, &record.id), &record)?;
            if let Some(attempt) = &record.writer {
                let place = keys::attempt_uploads(attempt).push(&record.id);
                tx.put_json(place, &(bucket.as_str(), record.key.as_str(), record.id.as_str()))?;
            }
            Ok(record.clone())
        })
        .await
    }

    pub(crate) async fn upload_part(
        &self,
        cx: &Cx,
        (upload, number): (Upload, i32),
        (mut expected, customer): (Expected, Option<CustomerKey>),
        body: impl Stream<Item = Result<Bytes>>,
        trailing: impl FnOnce() -> Result<Checksums>,
    ) -> Result<(PartRecord, Option<Sse>)> {
        let number = u32::try_from(number)
            .ok()
            .filter(|n| (1..=MAX_PARTS).contains(n))
            .ok_or_else(|| invalid_part_number(&number.to_string()))?;
        let record = self.upload(&upload).await?;
        check_algorithm(&record, &expected)?;
        if expected.algorithm.is_none() && expected.checksums.is_empty() {
            expected.algorithm.clone_from(&record.algorithm);
        }
        expected.with_own = record.algorithm.is_none();
        check_upload_key(&record, customer.as_ref())?;
        let sealing = Sealing::of(cx, (&upload.bucket, &upload.key), record.sse.clone(), customer);
        let Received { segment, inline, digests } = self.receive(body, &expected, &sealing, trailing).await?;
        let own: Vec<BlobId> = (!segment.inline).then(|| segment.id.clone()).into_iter().collect();
        let etag = digests.etag();
        let (mut checksums, mut crc64nvme) = (digests.checksums, None);
        // Of an upload that asks for no checksum a part tells only of one that came with it.
        if record.algorithm.is_none() {
            crc64nvme = checksums.crc64nvme.clone();
            checksums = checksums.only(&expected.named());
        }
        let part = PartRecord {
            v: VERSION,
            number,
            etag,
            size: segment.size,
            modified_ms: now_ms(cx),
            segment,
            checksums,
            crc64nvme,
        };
        let result = cx
            .write(&self.store, move |tx| {
                find(tx, &upload)?;
                let place = keys::part(&upload.id, number);
                let mut garbage = Garbage::new();
                if let Some(old) = tx.get_json::<PartRecord>(&place)? {
                    change::drop_segment(tx, &old.segment, &mut garbage)?;
                }
                if let Some(bytes) = &inline {
                    tx.put(keys::inline(&part.segment.id), bytes)?;
                }
                tx.put_json(&place, &part)?;
                Ok::<_, Error>(PartStored { part: part.clone(), garbage })
            })
            .await;
        match result {
            Ok(stored) => {
                let replayed = own.first().is_some_and(|id| *id != stored.part.segment.id);
                self.objects.delete(if replayed { own } else { stored.garbage }).await;
                Ok((stored.part, record.sse))
            }
            Err(error) => {
                if error.status() < 500 {
                    self.objects.delete(own).await;
                }
                Err(error)
            }
        }
    }

    /// `range`: `bytes=first-last` of the source, both needed.
    pub(crate) async fn upload_part_copy(
        &self,
        cx: &Cx,
        (part, customer): ((Upload, i32), Option<CustomerKey>),
        (source, conditions, source_customer): (Named, Conditions, Option<CustomerKey>),
        range: Option<&str>,
    ) -> Result<(PartRecord, Option<Sse>, Option<String>)> {
        let reader = Reader { cx, customer: source_customer.as_ref() };
        let opened = self
            .open(&source.bucket, &source.key, source.version.as_deref(), reader)
            .await
            .map_err(crate::copy::of_source)?;
        conditions.check_source(&opened.record)?;
        crate::archive::check_readable(&opened.record, now_ms(cx), true)?;
        let version = opened.record.version.clone();
        let size = opened.record.size;
        let range = match range {
            None => 0..size,
            Some(text) => {
                let (first, last) = text
                    .strip_prefix("bytes=")
                    .and_then(|t| t.split_once('-'))
                    .and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)))
                    .filter(|(first, last)| first <= last)
                    .ok_or_else(|| {
                        let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last \
                                       are the zero-based offsets of the first and last bytes to copy";
                        invalid_argument_of("x-amz-copy-source-range", text, message)
                    })?;
                if last >= size {
                    let message = format!("Range specified is not valid for source object of size: {size}");
                    return Err(invalid_argument_of("x-amz-copy-source-range", text, message));
                }
                first..last + 1
            }
        };
        let body = opened.stream(range).map_err(internal);
        let (part, sse) =
            self.upload_part(cx, part, (Expected::default(), customer), body, crate::checksum::none_trailing).await?;
        Ok((part, sse, version))
    }

    pub(crate) async fn upload(&self, upload: &Upload) -> Result<UploadRecord> {
        let upload = upload.clone();
        self.store.read(move |tx| find(tx, &upload)).await
    }

    pub(crate) async fn list_parts(&self, upload: &Upload) -> Result<(UploadRecord, Vec<PartRecord>)> {
        let upload = upload.clone();
        self.store
            .read(move |tx| {
                let record = find(tx, &upload)?;
                Ok((record, tx.list_json(keys::parts(&upload.id), MAX_PARTS as usize)?))
            })
            .await
    }

    /// A page of the uploads under way, by key and then in the order of their beginning.
    pub(crate) async fn list_uploads(&self, bucket: &str, query: UploadQuery) -> Result<UploadPage> {
        let bucket = bucket.to_owned();
        self.store
            .read(move |tx| {
                require_bucket(tx, &bucket)?;
                upload_page(tx, &bucket, &query)
            })
            .await
    }

    pub(crate) async fn abort_upload(&self, cx: &Cx, upload: Upload) -> Result<()> {
        let garbage = cx
            .write(&self.store, move |tx| {
                let record = find(tx, &upload)?;
                let mut garbage = Garbage::new();
                abort(tx, &upload, &record, &mut garbage)?;
                Ok::<_, Error>(garbage)
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok(())
    }

    pub(crate) async fn complete_upload(
        &self,
        cx: &Cx,
        upload: Upload,
        claims: Vec<Claim>,
        (conditions, expected, customer): (Conditions, Expected, Option<CustomerKey>),
    ) -> Result<Stored> {
        let record = match self.upload(&upload).await {
            Ok(found) => found,
            // Completing is idempotent: a client that has lost the answer asks again.
            Err(error) if error.is("NoSuchUpload") => {
                let done = self.store.read(|tx| completed(tx, &upload)).await?;
                return done.ok_or_else(|| no_such_upload(&upload.id));
            }
            Err(error) => return Err(error),
        };
        if customer.is_some() {
            check_upload_key(&record, customer.as_ref())?;
        }
        self.commit(
            cx,
            Commit {
                bucket: upload.bucket.clone(),
                key: upload.key.clone(),
                attributes: Attributes {
                    headers: record.headers,
                    metadata: record.metadata,
                    tags: record.tags,
                    lock: crate::lock::Asked { retention: record.retention, legal_hold: record.legal_hold },
                    owner: record.owner,
                    grants: record.grants,
                    sse: record.sse,
                },
                conditions,
                etag: String::new(),
                checksums: Checksums::default(),
                segments: Vec::new(),
                inline: Vec::new(),
                parts: None,
                change: Change::Complete,
                completion: Some(Completion { upload, claims, expected }),
            },
        )
        .await
    }
}

/// The answer of an upload that has been completed already.
pub(crate) fn completed(tx: &mut Tx<'_>, upload: &Upload) -> Result<Option<Stored>> {
    if tx.get(keys::upload(&upload.bucket, &upload.key, &upload.id))?.is_some() {
        return Ok(None);
    }
    let done: Option<Completed> = tx.get_json(keys::completed(&upload.id))?;
    Ok(done.filter(|d| (&d.bucket, &d.key) == (&upload.bucket, &upload.key)).map(|d| d.stored))
}

/// What a completion asks for. The parts are looked up where the object is made of them: one that is uploaded again meanwhile has
/// other bytes, and those of before are gone.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) upload: Upload,
    pub(crate) claims: Vec<Claim>,
    pub(crate) expected: Expected,
}

impl Completion {
    /// Inside the completing transaction: gives the object the parts that are there now, and takes the upload away; parts that were not
    /// chosen become garbage.
    pub(crate) fn fill(&self, tx: &mut Tx<'_>, object: &mut ObjectRecord, garbage: &mut Garbage) -> Result<()> {
        let upload = find(tx, &self.upload)?;
        let parts: Vec<PartRecord> = tx.list_json(keys::parts(&self.upload.id), MAX_PARTS as usize)?;
        let chosen = choose(&self.claims, &parts).map_err(|error| match error.code() {
            "InvalidPart" | "InvalidPartOrder" => error.with("UploadId", self.upload.id.as_str()),
            _ => error,
        })?;
        let size = self.check(&upload, &chosen)?;
        let checksums = checksums_of(&upload, &chosen)?;
        if !self.expected.checksums.is_empty() && checksums.kind.is_some() {
            self.expected.checksums.check(&checksums)?;
        }
        let etags: Vec<String> = chosen.iter().map(|p| p.etag.clone()).collect();
        let summary = |p: &&PartRecord| PartSummary { number: p.number, size: p.size, checksums: p.checksums.clone() };
        (object.etag, object.size, object.checksums) = (multipart_etag(&etags)?, size, checksums);
        object.segments = chosen.iter().map(|p| p.segment.clone()).collect();
        object.parts = Some(chosen.iter().map(summary).collect());
        for part in &parts {
            if chosen.binary_search_by_key(&part.number, |p| p.number).is_err() {
                change::drop_segment(tx, &part.segment, garbage)?;
            }
        }
        forget(tx, &self.upload, &upload)
    }

    /// What the request says of its parts besides their names; answers the size of them all.
    fn check(&self, upload: &UploadRecord, chosen: &[&PartRecord]) -> Result<u64> {
        if let (Some(algorithm), Some(COMPOSITE)) = (upload.algorithm.as_deref(), upload.checksum_type.as_deref())
            && let Some(claim) = self.claims.iter().find(|claim| claim.checksums.of(algorithm).is_none())
        {
            return Err(invalid_request(format!(
                "The upload was created using a {} checksum. The complete request must include the checksum for each part. It \
                 was missing for part {} in the request.",
                algorithm.to_ascii_lowercase(),
                claim.number
            )));
        }
        let made = upload.checksum_type.as_deref().unwrap_or(FULL_OBJECT);
        if self.expected.checksums.kind.as_deref().is_some_and(|kind| kind != made) {
            return Err(bad_digest(
                "The x-amz-checksum-type you specified is not the one that the upload was created with.",
            ));
        }
        let size: u64 = chosen.iter().map(|p| p.size).sum();
        if self.expected.length.is_some_and(|length| length != size) {
            return Err(invalid_request(format!(
                "The provided 'x-amz-mp-object-size' header value {} does not match what was computed: {size}",
                self.expected.length.unwrap_or_default()
            )));
        }
        Ok(size)
    }
}

/// The checksums of the whole: composed of the parts' (COMPOSITE), or what one over all bytes would be (FULL_OBJECT), which a CRC is
/// put together of. An upload that asked for none has S3's own. Source: S3 User Guide, "Checking object integrity".
fn checksums_of(record: &UploadRecord, chosen: &[&PartRecord]) -> Result<Checksums> {
    let asked = record.algorithm.as_deref();
    let algorithm = asked.unwrap_or(OWN);
    let full = asked.is_none() || record.checksum_type.as_deref() == Some(FULL_OBJECT);
    let sum = |part: &&PartRecord| match asked {
        Some(algorithm) => part.checksums.of(algorithm).map(str::to_owned),
        None => part.crc64nvme.clone(),
    };
    let Some(sums) = chosen.iter().map(|part| sum(part).map(|sum| (sum, part.size))).collect::<Option<Vec<_>>>() else {
        return Ok(Checksums::default());
    };
    let value = if full {
        combined(algorithm, &sums)?
    } else {
        composite(algorithm, &sums.iter().map(|(sum, _)| sum.as_str()).collect::<Vec<_>>())?
    };
    let kind = if full { FULL_OBJECT } else { COMPOSITE };
    let mut checksums = Checksums { kind: Some(kind.to_owned()), ..Checksums::default() };
    checksums.set(algorithm, value);
    Ok(checksums)
}

/// A part has the checksum that its upload was begun with.
fn check_algorithm(record: &UploadRecord, expected: &Expected) -> Result<()> {
    let Some(wanted) = record.algorithm.as_deref() else { return Ok(()) };
    match expected.named().into_iter().next() {
        Some(sent) if sent != wanted => Err(invalid_request(format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            wanted.to_ascii_lowercase(),
            sent.to_ascii_lowercase()
        ))),
        _ => Ok(()),
    }
}

/// The key that an upload was begun with has to come with every part.
fn check_upload_key(record: &UploadRecord, customer: Option<&CustomerKey>) -> Result<()> {
    match (record.sse.as_ref().and_then(Sse::customer_md5), customer) {
        (Some(md5), Some(customer)) if md5 == customer.md5 => Ok(()),
        (None, None) => Ok(()),
        (Some(_), Some(_)) => {
            Err(invalid_request("The provided encryption parameters did not match the ones used originally."))
        }
        (Some(_), None) => Err(invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption \
             parameters.",
        )),
        (None, Some(_)) => Err(invalid_request(
            "The multipart upload initiate did not request encryption. Please resend the request without sending encryption \
             parameters.",
        )),
    }
}

/// Which uploads are to be listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadQuery {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Only what comes behind this key or common prefix: of the key itself, behind the upload of that id.
    pub(crate) after: Option<(String, Option<String>)>,
    pub(crate) max: usize,
}

#[derive(Debug, Default)]
pub(crate) struct UploadPage {
    pub(crate) uploads: Vec<UploadRecord>,
    pub(crate) prefixes: Vec<String>,
    /// The last key and id of this page, or its last common prefix, where more follow.
    pub(crate) next: Option<(String, Option<String>)>,
}

fn upload_page(tx: &mut Tx<'_>, bucket: &str, query: &UploadQuery) -> Result<UploadPage> {
    let mut page = UploadPage::default();
    if query.max == 0 {
        return Ok(page);
    }
    let delimiter = query.delimiter.as_deref().filter(|d| !d.is_empty());
    let rolled = |key: &str| crate::list::common_prefix(key, &query.prefix, delimiter);
    let start = keys::uploads_with_prefix(bucket, &query.prefix);
    let end = prefix_end(&start);
    let Some(behind) = (match &query.after {
        None => Some(start.clone()),
        Some((key, _)) if rolled(key).as_ref() == Some(key) => prefix_end(&keys::uploads_with_prefix(bucket, key)),
        Some((key, Some(id))) => {
            let mut behind = keys::upload(bucket, key, id).into_bytes();
            behind.push(0);
            Some(behind)
        }
        Some((key, None)) => prefix_end(keys::uploads(bucket).push(key).as_bytes()),
    }) else {
        return Ok(page);
    };
    let (mut from, mut last) = (start.max(behind), None);
    'scan: loop {
        // One more than the page has room for tells that there is a next page.
        let wanted = query.max - page.uploads.len() - page.prefixes.len() + 1;
        let batch = tx.scan(&from, end.as_deref(), wanted, false)?;
        let full = batch.len() == wanted;
        for (place, value) in batch {
            let upload: UploadRecord = store::kv::decode(&place, &value)?;
            if page.uploads.len() + page.prefixes.len() == query.max {
                page.next = last;
                return Ok(page);
            }
            if let Some(prefix) = rolled(&upload.key) {
                let Some(behind) = prefix_end(&keys::uploads_with_prefix(bucket, &prefix)) else { return Ok(page) };
                last = Some((prefix.clone(), None));
                page.prefixes.push(prefix);
                from = behind;
                continue 'scan;
            }
            last = Some((upload.key.clone(), Some(upload.id.clone())));
            page.uploads.push(upload);
            from = place;
            from.push(0);
        }
        if !full {
            return Ok(page);
        }
    }
}

/// Inside a transaction: the upload, or NoSuchUpload.
fn find(tx: &mut Tx<'_>, upload: &Upload) -> Result<UploadRecord> {
    require_bucket(tx, &upload.bucket)?;
    tx.get_json(keys::upload(&upload.bucket, &upload.key, &upload.id))?.ok_or_else(|| no_such_upload(&upload.id))
}

/// Inside a transaction: ends an upload, whose parts become garbage.
pub(crate) fn abort(tx: &mut Tx<'_>, upload: &Upload, record: &UploadRecord, garbage: &mut Garbage) -> Result<()> {
    for part in tx.list_json::<PartRecord>(keys::parts(&upload.id), MAX_PARTS as usize)? {
        change::drop_segment(tx, &part.segment, garbage)?;
    }
    forget(tx, upload, record)
}

/// Removes an upload and its parts' records; the bytes are the caller's.
fn forget(tx: &mut Tx<'_>, upload: &Upload, record: &UploadRecord) -> Result<()> {
    tx.delete(keys::upload(&upload.bucket, &upload.key, &upload.id))?;
    if let Some(attempt) = &record.writer {
        tx.delete(keys::attempt_uploads(attempt).push(&upload.id))?;
    }
    crate::tx::delete_all(tx, &keys::parts(&upload.id))
}

/// Of the stored parts, in order of their numbers, those that the claims name; all of S3's rules about them.
fn choose<'a>(claims: &[Claim], parts: &'a [PartRecord]) -> Result<Vec<&'a PartRecord>> {
    if claims.is_empty() {
        return Err(malformed_xml());
    }
    if claims.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(Error::new(
            "InvalidPartOrder",
            400,
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
        ));
    }
    let invalid = |claim: &Claim| {
        Error::new(
            "InvalidPart",
            400,
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified \
             entity tag may not match the part's entity tag.",
        )
        .with("PartNumber", claim.number)
        .with("ETag", claim.etag.as_str())
    };
    let mut chosen = Vec::with_capacity(claims.len());
    for claim in claims {
        let part = parts.binary_search_by_key(&claim.number, |p| p.number).map_err(|_| invalid(claim))?;
        let part = &parts[part];
        if part.etag != claim.etag {
            return Err(invalid(claim));
        }
        claim.checksums.check(&part.checksums).map_err(|_| invalid(claim))?;
        chosen.push(part);
    }
    if let Some((_, earlier)) = chosen.split_last()
        && let Some(small) = earlier.iter().find(|p| p.size < MIN_PART)
    {
        return Err(Error::new("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size")
            .with("ProposedSize", small.size)
            .with("MinSizeAllowed", MIN_PART)
            .with("PartNumber", small.number)
            .with("ETag", small.etag.as_str()));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_validated() {
        let part = |number: u32, size: u64| -> PartRecord {
            serde_json::from_value(serde_json::json!({
                "v": 1, "number": number, "etag": format!("e{number}"), "size": size, "modified_ms": 0,
                "segment": { "id": "00000000000000000000000000000000", "size": size }, "checksums": {},
            }))
            .unwrap()
        };
        let claim = |number: u32, etag: &str| Claim { number, etag: etag.into(), checksums: Checksums::default() };
        let parts = [part(1, MIN_PART), part(2, 7), part(3, 1)];
        let code =
            |claims: &[Claim]| choose(claims, &parts).map_or_else(|e| e.code().to_owned(), |c| c.len().to_string());
        assert_eq!(code(&[claim(1, "e1"), claim(2, "e2")]), "2");
        assert_eq!(code(&[claim(1, "e1"), claim(2, "e2"), claim(3, "e3")]), "EntityTooSmall");
        let small = choose(&[claim(1, "e1"), claim(2, "e2"), claim(3, "e3")], &parts).unwrap_err();
        let told = serde_json::json!({"ETag": "e2", "MinSizeAllowed": MIN_PART, "PartNumber": 2, "ProposedSize": 7});
        assert_eq!(serde_json::Value::Object(small.fields().clone()), told);
        assert_eq!(code(&[claim(2, "e2"), claim(1, "e1")]), "InvalidPartOrder");
        assert_eq!(code(&[claim(1, "e9")]), "InvalidPart");
        assert_eq!(code(&[claim(9, "e9")]), "InvalidPart");
        assert_eq!(code(&[]), "MalformedXML");
    }
}
