//! Objects: written, read, copied, deleted, tagged. Bodies are whole in memory here; workers that move much use HTTP.

use api_s3 as api;
use async_trait::async_trait;
use s3s::dto::{Range, Timestamp as HttpTime, TimestampFormat};
use service::{Cx, Handle};
use wire::{Blob, Timestamp};

use super::buckets::bad_member;
use crate::S3;
use crate::body::Expected;
use crate::checksum::Checksums;
use crate::conditions::{Conditions, Tag};
use crate::copy::Copy;
use crate::delete::Doomed;
use crate::errors::{Result, internal, invalid_range, no_such_version, not_implemented};
use crate::put::{Attributes, parse_tags, url_decode};
use crate::records::{Headers, ObjectRecord};

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

/// The members that GetObject and HeadObject share.
macro_rules! describe {
    ($output:expr, $record:expr) => {{
        let record = &$record;
        let headers = &record.headers;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.cache_control = headers.cache_control.clone();
        $output.content_disposition = headers.content_disposition.clone();
        $output.content_encoding = headers.content_encoding.clone();
        $output.content_language = headers.content_language.clone();
        $output.content_type = Some(headers.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.e_tag = Some(quoted(&record.etag));
        $output.last_modified = Some(Timestamp::from_millis(record.modified_ms));
        $output.metadata = Some(record.metadata.clone());
        $output.storage_class = headers.storage_class.clone();
        $output.server_side_encryption = Some(crate::settings::ENCRYPTED.to_owned());
    }};
}

#[async_trait]
impl Handle<api::PutObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutObjectRequest) -> Result<api::PutObjectOutput> {
        if input.sse_customer_algorithm.is_some() {
            return Err(not_implemented("Server-side encryption with customer-provided keys"));
        }
        let attributes = Attributes {
            headers: headers_of!(input),
            metadata: input.metadata.unwrap_or_default(),
            tags: parse_tags(input.tagging.as_deref().unwrap_or_default())?,
        };
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
                kind: None,
            },
            algorithm: input.checksum_algorithm,
            length: None,
        };
        let body = futures::stream::iter([Ok(input.body.unwrap_or_default().0)]);
        let stored = self
            .put_object(cx, (input.bucket, input.key), attributes, (conditions, expected), body, Checksums::default)
            .await?;
        Ok(api::PutObjectOutput {
            e_tag: Some(quoted(&stored.etag)),
            server_side_encryption: Some(crate::settings::ENCRYPTED.to_owned()),
            checksum_crc32: stored.checksums.crc32,
            checksum_crc32_c: stored.checksums.crc32c,
            checksum_crc64_nvme: stored.checksums.crc64nvme,
            checksum_sha1: stored.checksums.sha1,
            checksum_sha256: stored.checksums.sha256,
            checksum_type: stored.checksums.kind,
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::GetObject> for S3 {
    async fn handle(&self, _: &Cx, input: api::GetObjectRequest) -> Result<api::GetObjectOutput> {
        current(input.version_id.as_deref())?;
        let opened = self.open(&input.bucket, &input.key).await?;
        let record = opened.record.clone();
        let conditions = Conditions {
            if_match: input.if_match.as_deref().map(Tag::parse),
            if_none_match: input.if_none_match.as_deref().map(Tag::parse),
            if_modified_since: input.if_modified_since.map(Timestamp::as_millis),
            if_unmodified_since: input.if_unmodified_since.map(Timestamp::as_millis),
        };
        conditions.check_read(&record)?;
        let range = match input.range.as_deref() {
            None => 0..record.size,
            Some(text) => {
                let range = Range::parse(text).map_err(|_| bad_member("Range"))?;
                range.check(record.size).map_err(|_| invalid_range())?
            }
        };
        let mut output = api::GetObjectOutput::default();
        describe!(output, record);
        output.content_length = i64::try_from(range.end - range.start).ok();
        output.content_range = input
            .range
            .filter(|_| !range.is_empty())
            .map(|_| format!("bytes {}-{}/{}", range.start, range.end - 1, record.size));
        output.tag_count = (!record.tags.is_empty()).then(|| i32::try_from(record.tags.len()).unwrap_or(i32::MAX));
        output.body = Some(Blob(opened.bytes(range).await?));
        Ok(output)
    }
}

#[async_trait]
impl Handle<api::HeadObject> for S3 {
    async fn handle(&self, _: &Cx, input: api::HeadObjectRequest) -> Result<api::HeadObjectOutput> {
        current(input.version_id.as_deref())?;
        let record: ObjectRecord = self.head(&input.bucket, &input.key).await?;
        let conditions = Conditions {
            if_match: input.if_match.as_deref().map(Tag::parse),
            if_none_match: input.if_none_match.as_deref().map(Tag::parse),
            if_modified_since: input.if_modified_since.map(Timestamp::as_millis),
            if_unmodified_since: input.if_unmodified_since.map(Timestamp::as_millis),
        };
        conditions.check_read(&record)?;
        let mut output = api::HeadObjectOutput::default();
        describe!(output, record);
        output.content_length = i64::try_from(record.size).ok();
        Ok(output)
    }
}

#[async_trait]
impl Handle<api::CopyObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::CopyObjectRequest) -> Result<api::CopyObjectOutput> {
        let source = source(&input.copy_source)?;
        let resource = format!("arn:aws:s3:::{}/{}", source.0, source.1);
        cx.router().authorize(cx, "s3:GetObject", &resource).await?;
        let replaces = input.metadata_directive.as_deref() == Some("REPLACE");
        let retags = input.tagging_directive.as_deref() == Some("REPLACE");
        let copy = Copy {
            source,
            source_conditions: Conditions {
                if_match: input.copy_source_if_match.as_deref().map(Tag::parse),
                if_none_match: input.copy_source_if_none_match.as_deref().map(Tag::parse),
                if_modified_since: input.copy_source_if_modified_since.map(Timestamp::as_millis),
                if_unmodified_since: input.copy_source_if_unmodified_since.map(Timestamp::as_millis),
            },
            attributes: replaces.then(|| (headers_of_copy(&input), input.metadata.clone().unwrap_or_default())),
            tags: if retags { Some(parse_tags(input.tagging.as_deref().unwrap_or_default())?) } else { None },
            storage_class: input.storage_class,
            algorithm: input.checksum_algorithm,
            target: (input.bucket, input.key),
        };
        let stored = self.copy_object(cx, copy).await?;
        let result = api::CopyObjectResult {
            e_tag: Some(quoted(&stored.etag)),
            last_modified: Some(Timestamp::from_millis(stored.modified_ms)),
            ..Default::default()
        };
        Ok(api::CopyObjectOutput {
            copy_object_result: Some(result),
            server_side_encryption: Some(crate::settings::ENCRYPTED.to_owned()),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::DeleteObject> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteObjectRequest) -> Result<api::DeleteObjectOutput> {
        let doomed = Doomed {
            key: input.key,
            version: input.version_id,
            conditions: Conditions { if_match: input.if_match.as_deref().map(Tag::parse), ..Conditions::default() },
        };
        self.delete_object(cx, &input.bucket, doomed).await?;
        Ok(api::DeleteObjectOutput::default())
    }
}

#[async_trait]
impl Handle<api::DeleteObjects> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteObjectsRequest) -> Result<api::DeleteObjectsOutput> {
        let quiet = input.delete.quiet.unwrap_or(false);
        let doomed = input.delete.objects.into_iter().map(|o| Doomed {
            key: o.key,
            version: o.version_id,
            conditions: Conditions { if_match: o.e_tag.as_deref().map(Tag::parse), ..Conditions::default() },
        });
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for outcome in self.delete_objects(cx, &input.bucket, doomed.collect()).await? {
            match outcome {
                Ok(key) => deleted.push(api::DeletedObject { key: Some(key), ..Default::default() }),
                Err((key, error)) => errors.push(api::Error {
                    key: Some(key),
                    code: Some(error.code().to_owned()),
                    message: Some(error.message().to_owned()),
                    ..Default::default()
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
    async fn handle(&self, _: &Cx, input: api::GetObjectTaggingRequest) -> Result<api::GetObjectTaggingOutput> {
        current(input.version_id.as_deref())?;
        let record = self.head(&input.bucket, &input.key).await?;
        let tag_set = record.tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect();
        Ok(api::GetObjectTaggingOutput { tag_set, ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::PutObjectTagging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutObjectTaggingRequest) -> Result<api::PutObjectTaggingOutput> {
        current(input.version_id.as_deref())?;
        let tags = input.tagging.tag_set.into_iter().map(|t| (t.key, t.value)).collect();
        self.put_object_tags(cx, (input.bucket, input.key), tags).await?;
        Ok(api::PutObjectTaggingOutput::default())
    }
}

fn current(version: Option<&str>) -> Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(no_such_version()),
    }
}

fn headers_of_copy(input: &api::CopyObjectRequest) -> Headers {
    headers_of!(input)
}

/// `bucket/key` or `/bucket/key`, the key URL-encoded, perhaps with a version.
fn source(text: &str) -> Result<(String, String)> {
    let (text, version) = match text.split_once("?versionId=") {
        Some((text, version)) => (text, Some(version)),
        None => (text, None),
    };
    current(version)?;
    let invalid = || {
        crate::errors::invalid_argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    };
    // A plus sign is itself here, unlike in a query.
    let decoded = url_decode(&text.trim_start_matches('/').replace('+', "%2B")).ok_or_else(invalid)?;
    let (bucket, key) = decoded.split_once('/').filter(|(b, k)| !b.is_empty() && !k.is_empty()).ok_or_else(invalid)?;
    Ok((bucket.to_owned(), key.to_owned()))
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
        assert_eq!(super::source("/b/k%20+a").unwrap(), ("b".to_owned(), "k +a".to_owned()));
        assert!(super::source("b").is_err());
        assert!(super::source("b/k?versionId=x").unwrap_err().is("NoSuchVersion"));
    }
}
