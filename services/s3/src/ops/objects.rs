//! Objects: written, read, copied, deleted, tagged. Bodies are whole in memory here; workers that move much use HTTP.

use api_s3 as api;
use async_trait::async_trait;
use s3s::dto::{Range, Timestamp as HttpTime, TimestampFormat};
use serde_json::json;
use service::{Cx, Handle};
use wire::{Blob, Timestamp};

use super::Place;
use super::buckets::bad_member;
use crate::S3;
use crate::access::Ask;
use crate::body::{Expected, Reader, content_range, parts_count, wanted};
use crate::checksum::Checksums;
use crate::conditions::{Conditions, Tag};
use crate::copy::{Copied, Copy};
use crate::delete::Deletion;
use crate::errors::{Result, internal, invalid_request};
use crate::events::Change;
use crate::make::{Grants, Making};
use crate::put::{Attributes, parse_tags, url_decode};
use crate::records::{Headers, ObjectRecord};
use crate::sse::{CustomerKey, Sse};
use crate::tags::Named;

/// What the server reads into its own memory for one call. Those that call in process want documents, archives of code and payloads
/// of models, none of which AWS takes as large as that.
const MOST_IN_MEMORY: u64 = if cfg!(test) { 1 << 20 } else { 256 << 20 };

pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The headers that an input wants kept.
macro_rules! headers_of {
    ($input:expr) => {
        Headers {
            content_type: $input.content_type.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_language: $input.content_language.clone(),
            content_disposition: $input.content_disposition.clone(),
            cache_control: $input.cache_control.clone(),
            expires_ms: $input.expires.as_deref().and_then(parse_expires),
            website_redirect_location: $input.website_redirect_location.clone(),
            storage_class: $input.storage_class.clone().filter(|c| c != "STANDARD"),
        }
    };
}

/// The three members of a key that the caller brings.
macro_rules! customer_key {
    ($input:expr) => {
        CustomerKey::parse(
            $input.sse_customer_algorithm.as_deref(),
            $input.sse_customer_key.as_deref(),
            $input.sse_customer_key_md5.as_deref(),
        )?
    };
}

/// What an input says of ACL, lock and encryption of the object that it makes.
macro_rules! making {
    ($input:expr) => {
        Making {
            canned: $input.acl.clone(),
            grants: Grants {
                full_control: $input.grant_full_control.clone(),
                read: $input.grant_read.clone(),
                write: None,
                read_acp: $input.grant_read_acp.clone(),
                write_acp: $input.grant_write_acp.clone(),
            },
            lock_mode: $input.object_lock_mode.clone(),
            lock_until_ms: $input.object_lock_retain_until_date.map(Timestamp::as_millis),
            legal_hold: $input.object_lock_legal_hold_status.clone(),
            encryption: $input.server_side_encryption.clone(),
            kms_key: $input.ssekms_key_id.clone(),
            kms_context: $input.ssekms_encryption_context.clone(),
            bucket_key: $input.bucket_key_enabled.unwrap_or(false),
            customer: customer_key!($input),
        }
    };
}

/// What condition keys are told by of a write: the members of `[s3.keys]` in models/authorization.toml, without the body.
macro_rules! told {
    ($input:expr $(, $name:literal => $more:expr)*) => {
        json!({
            $($name: $more,)*
            "ACL": $input.acl,
            "GrantFullControl": $input.grant_full_control,
            "GrantRead": $input.grant_read,
            "GrantReadACP": $input.grant_read_acp,
            "GrantWriteACP": $input.grant_write_acp,
            "IfMatch": $input.if_match,
            "IfNoneMatch": $input.if_none_match,
            "ObjectLockLegalHoldStatus": $input.object_lock_legal_hold_status,
            "ObjectLockMode": $input.object_lock_mode,
            "ServerSideEncryption": $input.server_side_encryption,
            "SSECustomerAlgorithm": $input.sse_customer_algorithm,
            "SSEKMSKeyId": $input.ssekms_key_id,
            "StorageClass": $input.storage_class,
            "Tagging": $input.tagging,
            "WebsiteRedirectLocation": $input.website_redirect_location,
        })
    };
}

/// Asks for all that a write stands for: as the operations' rows have it.
macro_rules! guard_write {
    ($operation:ty, $s3:expr, $cx:expr, $input:expr $(, $name:literal => $more:expr)*) => {
        let grants = [
            &$input.acl,
            &$input.grant_full_control,
            &$input.grant_read,
            &$input.grant_read_acp,
            &$input.grant_write_acp,
        ];
        let actions = [
            ("s3:PutObject", true),
            ("s3:PutObjectAcl", grants.iter().any(|grant| grant.is_some())),
            ("s3:PutObjectTagging", $input.tagging.is_some()),
            ("s3:PutObjectRetention", $input.object_lock_mode.is_some()),
            ("s3:PutObjectLegalHold", $input.object_lock_legal_hold_status.is_some()),
        ];
        let told = told!($input $(, $name => $more)*);
        let place = Place::object(&$input.bucket, &$input.key, None, $input.expected_bucket_owner.as_deref());
        for (action, _) in actions.iter().filter(|(_, asked)| *asked) {
            super::guard_told::<$operation>($s3, $cx, action, place, &told).await?;
        }
    };
}

/// The members that GetObject and HeadObject share.
macro_rules! describe {
    ($output:expr, $record:expr, $input:expr, ($range:expr, $partial:expr)) => {{
        let record = &$record;
        let headers = &record.headers;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.cache_control = $input.response_cache_control.or_else(|| headers.cache_control.clone());
        $output.content_disposition =
            $input.response_content_disposition.or_else(|| headers.content_disposition.clone());
        $output.content_encoding = $input.response_content_encoding.or_else(|| headers.content_encoding.clone());
        $output.content_language = $input.response_content_language.or_else(|| headers.content_language.clone());
        let kind = $input.response_content_type.or_else(|| headers.content_type.clone());
        $output.content_type = Some(kind.unwrap_or_else(|| "binary/octet-stream".to_owned()));
        let expires = $input.response_expires.or_else(|| headers.expires_ms.map(Timestamp::from_millis));
        $output.expires = expires.map(http_date);
        $output.website_redirect_location.clone_from(&headers.website_redirect_location);
        $output.content_length = i64::try_from($range.end - $range.start).ok();
        $output.content_range = $partial.then(|| content_range(&$range, record.size));
        $output.parts_count = parts_count(record, $input.part_number);
        if !$partial && $input.checksum_mode.is_some() {
            $output.checksum_crc32.clone_from(&record.checksums.crc32);
            $output.checksum_crc32_c.clone_from(&record.checksums.crc32c);
            $output.checksum_crc64_nvme.clone_from(&record.checksums.crc64nvme);
            $output.checksum_sha1.clone_from(&record.checksums.sha1);
            $output.checksum_sha256.clone_from(&record.checksums.sha256);
            $output.checksum_sha512.clone_from(&record.checksums.sha512);
            $output.checksum_md5.clone_from(&record.checksums.md5);
            $output.checksum_xxhash64.clone_from(&record.checksums.xxhash64);
            $output.checksum_xxhash3.clone_from(&record.checksums.xxhash3);
            $output.checksum_xxhash128.clone_from(&record.checksums.xxhash128);
            $output.checksum_type.clone_from(&record.checksums.kind);
        }
        $output.e_tag = Some(quoted(&record.etag));
        $output.last_modified = Some(Timestamp::from_millis(record.modified_ms));
        $output.metadata = Some(record.metadata.clone());
        $output.storage_class = headers.storage_class.clone();
        $output.server_side_encryption = record.sse.as_ref().and_then(Sse::algorithm).map(str::to_owned);
        $output.version_id.clone_from(&record.version);
    }};
}

#[async_trait]
impl Handle<api::PutObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutObjectRequest) -> Result<api::PutObjectOutput> {
        guard_write!(api::PutObject, self, cx, input);
        super::refuse(&[("WriteOffsetBytes", input.write_offset_bytes.is_some())])?;
        let bucket = self.governed(&input.bucket).await?;
        let making = making!(input);
        let attributes = Attributes {
            headers: headers_of!(input),
            metadata: input.metadata.unwrap_or_default(),
            tags: parse_tags(input.tagging.as_deref().unwrap_or_default())?,
            ..Attributes::default()
        };
        let attributes = self.make(cx, &bucket, &making, attributes).await?;
        let conditions = Conditions {
            if_match: input.if_match.as_deref().map(Tag::parse),
            if_none_match: input.if_none_match.as_deref().map(Tag::parse),
            ..Conditions::default()
        };
        let expected = Expected {
            md5: input.content_md5,
            checksums: Checksums {
                crc32: input.checksum_crc32,
                crc32c: input.checksum_crc32_c,
                crc64nvme: input.checksum_crc64_nvme,
                sha1: input.checksum_sha1,
                sha256: input.checksum_sha256,
                sha512: input.checksum_sha512,
                md5: input.checksum_md5,
                xxhash64: input.checksum_xxhash64,
                xxhash3: input.checksum_xxhash3,
                xxhash128: input.checksum_xxhash128,
                kind: None,
            },
            algorithm: input.checksum_algorithm,
            length: input
                .content_length
                .map(|n| u64::try_from(n).map_err(|_| bad_member("ContentLength")))
                .transpose()?,
            ..Expected::default()
        };
        let body = futures::stream::iter([Ok(input.body.unwrap_or_default().0)]);
        let stored = self
            .put_object(
                cx,
                (input.bucket, input.key),
                attributes,
                (conditions, expected, making.customer),
                (body, Change::Put),
                crate::checksum::none_trailing,
            )
            .await?;
        Ok(api::PutObjectOutput {
            e_tag: Some(quoted(&stored.etag)),
            server_side_encryption: stored.sse.as_ref().and_then(Sse::algorithm).map(str::to_owned),
            version_id: stored.version,
            checksum_crc32: stored.checksums.crc32,
            checksum_crc32_c: stored.checksums.crc32c,
            checksum_crc64_nvme: stored.checksums.crc64nvme,
            checksum_sha1: stored.checksums.sha1,
            checksum_sha256: stored.checksums.sha256,
            checksum_sha512: stored.checksums.sha512,
            checksum_md5: stored.checksums.md5,
            checksum_xxhash64: stored.checksums.xxhash64,
            checksum_xxhash3: stored.checksums.xxhash3,
            checksum_xxhash128: stored.checksums.xxhash128,
            checksum_type: stored.checksums.kind,
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::GetObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetObjectRequest) -> Result<api::GetObjectOutput> {
        let action = if input.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        super::guard::<api::GetObject>(self, cx, action, super::place!(input)).await?;
        let customer = customer_key!(input);
        let version = input.version_id.as_deref();
        let reader = Reader { cx, customer: customer.as_ref() };
        let opened = match self.open(&input.bucket, &input.key, version, reader).await {
            Err(error) => return Err(told_missing(self, cx, &input.bucket, error).await),
            Ok(opened) => opened,
        };
        let record = opened.record.clone();
        crate::archive::check_readable(&record, self.router.now().as_millisecond(), false)?;
        let conditions = Conditions {
            if_match: input.if_match.as_deref().map(Tag::parse),
            if_none_match: input.if_none_match.as_deref().map(Tag::parse),
            if_modified_since: input.if_modified_since.map(Timestamp::as_millis),
            if_unmodified_since: input.if_unmodified_since.map(Timestamp::as_millis),
            ..Conditions::default()
        };
        conditions.check_read(&record)?;
        let (range, partial) = wanted(&record, range_of(input.range.as_deref())?, input.part_number)?;
        let size = range.end - range.start;
        if size > MOST_IN_MEMORY {
            return Err(invalid_request(format!(
                "The object has {size} bytes, more than the {MOST_IN_MEMORY} that are read at once in this way of calling; ask for a Range"
            )));
        }
        crate::lineage::read(cx, &input.bucket, &input.key, &record, &range);
        let mut output = api::GetObjectOutput::default();
        describe!(output, record, input, (range, partial));
        output.tag_count = (!record.tags.is_empty()).then(|| i32::try_from(record.tags.len()).unwrap_or(i32::MAX));
        output.body = Some(Blob(opened.bytes(range).await?));
        Ok(output)
    }
}

#[async_trait]
impl Handle<api::HeadObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::HeadObjectRequest) -> Result<api::HeadObjectOutput> {
        let action = if input.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        super::guard::<api::HeadObject>(self, cx, action, super::place!(input)).await?;
        let customer = customer_key!(input);
        let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
        let record: ObjectRecord = match self.head(&named).await {
            Err(error) => return Err(told_missing(self, cx, &named.bucket, error).await),
            Ok(record) => record,
        };
        crate::sse::check_customer(record.sse.as_ref(), customer.as_ref())?;
        let conditions = Conditions {
            if_match: input.if_match.as_deref().map(Tag::parse),
            if_none_match: input.if_none_match.as_deref().map(Tag::parse),
            if_modified_since: input.if_modified_since.map(Timestamp::as_millis),
            if_unmodified_since: input.if_unmodified_since.map(Timestamp::as_millis),
            ..Conditions::default()
        };
        conditions.check_read(&record)?;
        let (range, partial) = wanted(&record, range_of(input.range.as_deref())?, input.part_number)?;
        let mut output = api::HeadObjectOutput::default();
        describe!(output, record, input, (range, partial));
        Ok(output)
    }
}

#[async_trait]
impl Handle<api::CopyObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::CopyObjectRequest) -> Result<api::CopyObjectOutput> {
        guard_write!(api::CopyObject, self, cx, input, "CopySource" => input.copy_source, "MetadataDirective" => input.metadata_directive);
        let source = source(&input.copy_source)?;
        self.owner_is_expected(&source.bucket, input.expected_source_bucket_owner.as_deref()).await?;
        let version = source.version.is_some();
        let ask = Ask {
            action: if version { "s3:GetObjectVersion" } else { "s3:GetObject" },
            bucket: &source.bucket,
            key: Some(&source.key),
            version: source.version.as_deref(),
            keys: &[],
            input: None,
            upload: false,
        };
        self.permit(cx, &ask).await?;
        let home = self.governed(&input.bucket).await?;
        let making = making!(input);
        let mut attributes = Attributes {
            headers: headers_of_copy(&input),
            metadata: input.metadata.clone().unwrap_or_default(),
            tags: parse_tags(input.tagging.as_deref().unwrap_or_default())?,
            ..Attributes::default()
        };
        attributes = self.make(cx, &home, &making, attributes).await?;
        attributes.headers.storage_class.clone_from(&input.storage_class);
        let copy = Copy {
            source,
            source_customer: CustomerKey::parse(
                input.copy_source_sse_customer_algorithm.as_deref(),
                input.copy_source_sse_customer_key.as_deref(),
                input.copy_source_sse_customer_key_md5.as_deref(),
            )?,
            source_conditions: Conditions {
                if_match: input.copy_source_if_match.as_deref().map(Tag::parse),
                if_none_match: input.copy_source_if_none_match.as_deref().map(Tag::parse),
                if_modified_since: input.copy_source_if_modified_since.map(Timestamp::as_millis),
                if_unmodified_since: input.copy_source_if_unmodified_since.map(Timestamp::as_millis),
                ..Conditions::default()
            },
            conditions: Conditions {
                if_match: input.if_match.as_deref().map(Tag::parse),
                if_none_match: input.if_none_match.as_deref().map(Tag::parse),
                ..Conditions::default()
            },
            replaces: input.metadata_directive.as_deref() == Some("REPLACE"),
            retags: input.tagging_directive.as_deref() == Some("REPLACE"),
            attributes,
            asks_encryption: making.asks_encryption(),
            customer: making.customer,
            algorithm: input.checksum_algorithm,
            target: (input.bucket, input.key),
            keys: Vec::new(),
        };
        let Copied { stored, source_version } = self.copy_object(cx, copy).await?;
        let result = api::CopyObjectResult {
            e_tag: Some(quoted(&stored.etag)),
            last_modified: Some(Timestamp::from_millis(stored.modified_ms)),
            ..Default::default()
        };
        Ok(api::CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source_version,
            server_side_encryption: stored.sse.as_ref().and_then(Sse::algorithm).map(str::to_owned),
            version_id: stored.version,
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::DeleteObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteObjectRequest) -> Result<api::DeleteObjectOutput> {
        let action = if input.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        super::guard::<api::DeleteObject>(self, cx, action, super::place!(input)).await?;
        if input.bypass_governance_retention == Some(true) {
            super::guard::<api::DeleteObject>(self, cx, "s3:BypassGovernanceRetention", super::place!(input)).await?;
        }
        let conditions = Conditions {
            if_match: input.if_match.as_deref().map(Tag::parse),
            if_match_modified: input.if_match_last_modified_time.map(Timestamp::as_millis),
            if_match_size: input.if_match_size.and_then(|n| u64::try_from(n).ok()),
            ..Conditions::default()
        };
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let deletion = Deletion { key: input.key, version: input.version_id.clone(), conditions, bypass };
        let deleted = self.delete_object(cx, &input.bucket, deletion).await?;
        Ok(api::DeleteObjectOutput {
            delete_marker: deleted.marker.is_some().then_some(true),
            version_id: input.version_id.or(deleted.marker),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::DeleteObjects> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteObjectsRequest) -> Result<api::DeleteObjectsOutput> {
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let count = input.delete.objects.len();
        if count == 0 || count > MOST_DELETED || input.delete.objects.iter().any(|object| object.key.is_empty()) {
            return Err(crate::errors::malformed_xml());
        }
        self.owner_is_expected(&input.bucket, input.expected_bucket_owner.as_deref()).await?;
        let (mut allowed, mut refused) = (Vec::with_capacity(count), Vec::new());
        for object in input.delete.objects {
            match may_delete(self, cx, &input.bucket, &object, bypass).await {
                Ok(()) => allowed.push(object),
                Err(error) if error.status() == 403 => refused.push((object.key, object.version_id, error)),
                Err(error) => return Err(error),
            }
        }
        // A bucket that is another account's is closed as a whole.
        if allowed.is_empty()
            && let Some((.., error)) = refused.pop()
        {
            return Err(error);
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        let deletion = allowed.into_iter().map(|o| Deletion {
            key: o.key,
            version: o.version_id,
            conditions: Conditions {
                if_match: o.e_tag.as_deref().map(Tag::parse),
                if_match_modified: o.last_modified_time.map(Timestamp::as_millis),
                if_match_size: o.size.and_then(|n| u64::try_from(n).ok()),
                ..Conditions::default()
            },
            bypass,
        });
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        let outcomes = self.delete_objects(cx, &input.bucket, deletion.collect()).await?;
        for outcome in outcomes.into_iter().chain(refused.into_iter().map(Err)) {
            match outcome {
                Ok(one) => deleted.push(api::DeletedObject {
                    key: Some(one.key),
                    version_id: one.version,
                    delete_marker: one.marker.is_some().then_some(true),
                    delete_marker_version_id: one.marker,
                }),
                Err((key, version_id, error)) => errors.push(api::Error {
                    key: Some(key),
                    version_id,
                    code: Some(error.code().to_owned()),
                    message: Some(error.message().to_owned()),
                }),
            }
        }
        Ok(api::DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::GetObjectTagging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetObjectTaggingRequest) -> Result<api::GetObjectTaggingOutput> {
        let action = if input.version_id.is_some() { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
        super::guard::<api::GetObjectTagging>(self, cx, action, super::place!(input)).await?;
        let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
        let record = self.head(&named).await?;
        let tag_set = record.tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect();
        Ok(api::GetObjectTaggingOutput { tag_set, ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::PutObjectTagging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutObjectTaggingRequest) -> Result<api::PutObjectTaggingOutput> {
        let action = if input.version_id.is_some() { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
        let set: Vec<_> =
            input.tagging.tag_set.iter().map(|tag| json!({ "Key": tag.key, "Value": tag.value })).collect();
        let told = json!({ "Tagging": { "TagSet": set }, "VersionId": input.version_id });
        super::guard_told::<api::PutObjectTagging>(self, cx, action, super::place!(input), &told).await?;
        let tags = input.tagging.tag_set.into_iter().map(|t| (t.key, t.value)).collect();
        let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
        let version_id = self.put_object_tags(cx, named, tags).await?;
        Ok(api::PutObjectTaggingOutput { version_id })
    }
}

/// That there is no such key is told only to who may list the bucket. Source: API reference, GetObject, "Permissions".
async fn told_missing(s3: &S3, cx: &Cx, bucket: &str, error: wire::Error) -> wire::Error {
    if error.is("NoSuchKey") && !s3.may_list(cx, bucket, &[]).await {
        return crate::errors::access_denied("Access Denied");
    }
    error
}

/// Most keys of one call. Source: API reference, DeleteObjects.
const MOST_DELETED: usize = 1000;

/// Each key is asked for by itself, for what is to become of it: the operation's row cannot tell.
async fn may_delete(s3: &S3, cx: &Cx, bucket: &str, object: &api::ObjectIdentifier, bypass: bool) -> Result<()> {
    let version = object.version_id.as_deref();
    let place = Place::object(bucket, &object.key, version, None);
    let action = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
    super::guard::<api::DeleteObjects>(s3, cx, action, place).await?;
    if bypass && version.is_some() {
        super::guard::<api::DeleteObjects>(s3, cx, "s3:BypassGovernanceRetention", place).await?;
    }
    Ok(())
}

fn headers_of_copy(input: &api::CopyObjectRequest) -> Headers {
    headers_of!(input)
}

/// `bucket/key` or `/bucket/key`, the key URL-encoded, perhaps with a version.
pub(crate) fn source(text: &str) -> Result<Named> {
    let (text, version) = match text.split_once("?versionId=") {
        Some((text, version)) => (text, Some(version.to_owned())),
        None => (text, None),
    };
    let invalid = || {
        crate::errors::invalid_argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
            .with("ArgumentName", "x-amz-copy-source")
            .with("ArgumentValue", text)
    };
    if text.starts_with("arn:") {
        return Err(crate::errors::not_implemented("Copying out of access points"));
    }
    // A plus sign is itself here, unlike in a query.
    let decoded = url_decode(&text.replace('+', "%2B")).ok_or_else(invalid)?;
    let decoded = decoded.strip_prefix('/').unwrap_or(&decoded);
    let (bucket, key) = decoded.split_once('/').filter(|(b, k)| !b.is_empty() && !k.is_empty()).ok_or_else(invalid)?;
    Ok(Named { bucket: bucket.to_owned(), key: key.to_owned(), version })
}

fn range_of(text: Option<&str>) -> Result<Option<Range>> {
    text.map(|text| Range::parse(text).map_err(|_| bad_member("Range"))).transpose()
}

fn http_date(time: Timestamp) -> String {
    time.0.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// An HTTP date, or ISO 8601.
fn parse_expires(text: &str) -> Option<i64> {
    if let Some(time) = Timestamp::parse_iso(text) {
        return Some(time.as_millis());
    }
    let time = HttpTime::parse(TimestampFormat::HttpDate, text).ok()?;
    let mut iso = Vec::new();
    time.format(TimestampFormat::DateTime, &mut iso).map_err(internal).ok()?;
    Timestamp::parse_iso(&String::from_utf8(iso).ok()?).map(Timestamp::as_millis)
}

#[cfg(test)]
mod tests {
    #[test]
    fn sources() {
        let named = |text| super::source(text).map(|n| (n.bucket, n.key, n.version));
        let of = |bucket: &str, key: &str, version: Option<&str>| {
            (bucket.to_owned(), key.to_owned(), version.map(str::to_owned))
        };
        assert_eq!(named("/b/k%20+a").unwrap(), of("b", "k +a", None));
        assert_eq!(named("b//k?versionId=x").unwrap(), of("b", "/k", Some("x")));
        assert!(named("b").is_err());
    }
}
