//! Between s3s's types and ours.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::StatusCode;
use s3s::dto::{
    ETag, ETagCondition, Grant, Grantee, Owner, StreamingBlob, Tag, TagSet, Timestamp, TimestampFormat, Type,
};
use s3s::{S3Error, S3ErrorCode, TrailingHeaders};

use crate::account::Known;
use crate::acl;
use crate::checksum::Checksums;
use crate::conditions;
use crate::errors::Result;

/// Our error as S3's: the code, the status and the text; of internal ones only that they are, or that the disk is full.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
pub(super) fn error(error: wire::Error) -> S3Error {
    if error.status() >= 500 && !error.is("NotImplemented") {
        tracing::error!(%error, "an S3 request failed");
        // What the caller's operator can mend is told; other causes are the log's.
        let told = if store::room::is_full(error.message()) {
            "The server's disk is full: what is deleted makes room."
        } else {
            "We encountered an internal error. Please try again."
        };
        return S3Error::with_message(S3ErrorCode::InternalError, told);
    }
    let code = S3ErrorCode::from_bytes(error.code().as_bytes())
        .unwrap_or_else(|| S3ErrorCode::Custom(error.code().to_owned().into()));
    let mut out = S3Error::with_message(code, error.message().to_owned());
    if let Ok(status) = StatusCode::from_u16(error.status()) {
        out.set_status_code(status);
    }
    let mut headers = http::HeaderMap::new();
    let mut members = serde_json::Map::new();
    for (name, value) in error.fields() {
        match name.as_str() {
            crate::body::MODIFIED => {
                let date = value.as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
                let date = date.map(|d| d.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
                if let Some(value) = date.and_then(|d| http::HeaderValue::from_str(&d).ok()) {
                    headers.insert(http::header::LAST_MODIFIED, value);
                }
            }
            name if name.starts_with("x-amz-") || name == crate::body::ALLOW => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if let (Ok(name), Ok(value)) =
                    (http::HeaderName::from_bytes(name.as_bytes()), http::HeaderValue::from_str(&text))
                {
                    headers.insert(name, value);
                }
            }
            _ => {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    if !members.is_empty() {
        // Hexadecimal: a key may hold what a header may not.
        let text = hex::encode(serde_json::Value::Object(members).to_string());
        if let Ok(value) = http::HeaderValue::from_str(&text) {
            headers.insert(super::answer::MEMBERS, value);
        }
    }
    if !headers.is_empty() {
        out.set_headers(headers);
    }
    out
}

pub(super) fn time(ms: i64) -> Timestamp {
    // No calendar of HTTP goes further.
    let ms = ms.clamp(0, crate::archive::LAST_MS);
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

/// As S3 tells when something was made or changed: in whole seconds, in documents as in headers, so that a list and a HEAD say the same.
/// Source: API reference, the examples of ListObjectsV2 and CopyObject.
pub(super) fn second(ms: i64) -> Timestamp {
    time(ms - ms.rem_euclid(1000))
}

pub(super) fn millis(time: &Timestamp) -> Option<i64> {
    let mut text = Vec::new();
    time.format(TimestampFormat::DateTime, &mut text).ok()?;
    wire::Timestamp::parse_iso(&String::from_utf8(text).ok()?).map(wire::Timestamp::as_millis)
}

pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

pub(super) fn size(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn condition(condition: Option<&ETagCondition>) -> Option<conditions::Tag> {
    condition.map(|c| match c.as_etag() {
        Some(etag) => conditions::Tag::Value(etag.value().to_owned()),
        None => conditions::Tag::Any,
    })
}

/// A request's body, with what s3s finds wrong in it as S3's errors.
pub(super) fn body(blob: Option<StreamingBlob>) -> impl Stream<Item = Result<Bytes>> {
    futures::stream::iter(blob).flatten().map(|chunk| {
        chunk.map_err(|cause| {
            let text = cause.to_string();
            let (code, status, message) = if text.contains("Sha256Mismatch") {
                let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
                ("XAmzContentSHA256Mismatch", 400, message)
            } else if text.contains("SignatureMismatch") {
                let message = "The request signature we calculated does not match the signature you provided. Check your \
                               key and signing method.";
                ("SignatureDoesNotMatch", 403, message)
            } else {
                let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
                ("IncompleteBody", 400, message)
            };
            tracing::debug!(cause = text, "a body broke off");
            wire::Error::new(code, status, message)
        })
    })
}

/// Checksums that came behind the body. The one that was announced must come.
pub(super) fn trailing(
    headers: Option<TrailingHeaders>,
    announced: Option<String>,
) -> impl FnOnce() -> Result<Checksums> {
    move || {
        let mut sums = Checksums::default();
        let Some(headers) = headers else { return Ok(sums) };
        for algorithm in crate::checksum::ALGORITHMS {
            let name = format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase());
            let value = headers.read(|h| h.get(&name).and_then(|v| v.to_str().ok()).map(str::to_owned)).flatten();
            if let Some(value) = value {
                sums.set(algorithm, value);
            }
        }
        if announced.is_some_and(|algorithm| sums.of(&algorithm).is_none()) {
            let message = "The request contained trailing data that was not well-formed or did not conform to our published schema.";
            return Err(wire::Error::new("MalformedTrailerError", 400, message));
        }
        Ok(sums)
    }
}

/// The algorithms that `x-amz-trailer` announces.
pub(super) fn announced(headers: &http::HeaderMap) -> Option<String> {
    let trailer = headers.get("x-amz-trailer")?.to_str().ok()?;
    trailer.trim().strip_prefix("x-amz-checksum-").map(str::to_ascii_uppercase)
}

pub(super) fn tags(set: TagSet) -> Vec<(String, String)> {
    set.into_iter().map(|t| (t.key.unwrap_or_default(), t.value.unwrap_or_default())).collect()
}

pub(super) fn tag_set(tags: Vec<(String, String)>) -> TagSet {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

pub(super) fn metadata(metadata: Option<s3s::dto::Metadata>) -> BTreeMap<String, String> {
    metadata.unwrap_or_default().into_iter().collect()
}

/// An owner as answers name them.
pub(super) fn owner(known: &Known, account: &str) -> Owner {
    Owner { display_name: known.display_name(account), id: Some(known.canonical(account)) }
}

/// Grants as answers list them.
pub(super) fn grants(known: &Known, list: &[acl::Grant]) -> Vec<Grant> {
    list.iter()
        .map(|grant| {
            let none = Grantee {
                display_name: None,
                email_address: None,
                id: None,
                type_: Type::from_static(Type::GROUP),
                uri: None,
            };
            let grantee = match &grant.grantee {
                acl::Grantee::Group(uri) => Grantee { uri: Some(uri.clone()), ..none },
                acl::Grantee::Account(account) => Grantee {
                    display_name: known.display_name(account),
                    id: Some(known.canonical(account)),
                    type_: Type::from_static(Type::CANONICAL_USER),
                    ..none
                },
            };
            Grant { grantee: Some(grantee), permission: Some(grant.permission.name().to_owned().into()) }
        })
        .collect()
}

/// The three headers of a key that the client brings.
macro_rules! customer_key {
    ($input:expr) => {
        crate::sse::CustomerKey::parse(
            $input.sse_customer_algorithm.as_deref(),
            $input.sse_customer_key.as_deref(),
            $input.sse_customer_key_md5.as_deref(),
        )
        .map_err($crate::door::convert::error)?
    };
}
pub(super) use customer_key;

/// The same of a copy's source.
macro_rules! source_customer_key {
    ($input:expr) => {
        crate::sse::CustomerKey::parse(
            $input.copy_source_sse_customer_algorithm.as_deref(),
            $input.copy_source_sse_customer_key.as_deref(),
            $input.copy_source_sse_customer_key_md5.as_deref(),
        )
        .map_err($crate::door::convert::error)?
    };
}
pub(super) use source_customer_key;

/// What an input says of ACL, lock and encryption of the object that it makes.
macro_rules! making {
    ($input:expr) => {
        crate::make::Making {
            canned: $input.acl.as_ref().map(|a| a.as_str().to_owned()),
            grants: crate::make::Grants {
                full_control: $input.grant_full_control.clone(),
                read: $input.grant_read.clone(),
                write: None,
                read_acp: $input.grant_read_acp.clone(),
                write_acp: $input.grant_write_acp.clone(),
            },
            lock_mode: $input.object_lock_mode.as_ref().map(|m| m.as_str().to_owned()),
            lock_until_ms: $input.object_lock_retain_until_date.as_ref().and_then($crate::door::convert::millis),
            legal_hold: $input.object_lock_legal_hold_status.as_ref().map(|s| s.as_str().to_owned()),
            encryption: $input.server_side_encryption.as_ref().map(|e| e.as_str().to_owned()),
            kms_key: $input.ssekms_key_id.clone(),
            kms_context: $input.ssekms_encryption_context.clone(),
            bucket_key: $input.bucket_key_enabled.unwrap_or(false),
            customer: $crate::door::convert::customer_key!($input),
        }
    };
}
pub(super) use making;

/// The members that say how an object is encrypted.
macro_rules! set_encryption {
    ($output:expr, $sse:expr) => {{
        let sse: Option<&crate::sse::Sse> = $sse;
        $output.server_side_encryption = sse.and_then(crate::sse::Sse::algorithm).map(|a| a.to_owned().into());
        $output.ssekms_key_id = sse.and_then(crate::sse::Sse::kms_key).map(str::to_owned);
        $output.sse_customer_key_md5 = sse.and_then(crate::sse::Sse::customer_md5).map(str::to_owned);
        $output.sse_customer_algorithm = $output.sse_customer_key_md5.as_ref().map(|_| "AES256".to_owned());
        if let Some(crate::sse::Sse::Kms { bucket_key: true, .. }) = sse {
            $output.bucket_key_enabled = Some(true);
        }
    }};
}
pub(super) use set_encryption;

/// Sets the checksum members that an output of s3s has from a [`Checksums`]; [`super::sums`] tells the others.
macro_rules! set_checksums {
    ($output:expr, $sums:expr) => {{
        let sums = &$sums;
        $output.checksum_crc32 = sums.crc32.clone();
        $output.checksum_crc32c = sums.crc32c.clone();
        $output.checksum_crc64nvme = sums.crc64nvme.clone();
        $output.checksum_sha1 = sums.sha1.clone();
        $output.checksum_sha256 = sums.sha256.clone();
    }};
}
pub(super) use set_checksums;

/// `aws-chunked` is how a body came, not what it is.
pub(super) fn encoding(header: Option<String>) -> Option<String> {
    let kept: Vec<String> = header?
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty() && !one.eq_ignore_ascii_case("aws-chunked"))
        .map(str::to_owned)
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// The checksums that an input names.
macro_rules! checksums_of {
    ($input:expr) => {
        crate::checksum::Checksums {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
            ..crate::checksum::Checksums::default()
        }
    };
}
pub(super) use checksums_of;

/// The headers that an input wants kept.
macro_rules! headers_of {
    ($input:expr) => {
        crate::records::Headers {
            content_type: $input.content_type.clone(),
            content_encoding: $crate::door::convert::encoding($input.content_encoding.clone()),
            content_language: $input.content_language.clone(),
            content_disposition: $input.content_disposition.clone(),
            cache_control: $input.cache_control.clone(),
            expires_ms: $input.expires.as_ref().and_then($crate::door::convert::millis),
            website_redirect_location: $input.website_redirect_location.clone(),
            storage_class: $input.storage_class.as_ref().map(|c| c.as_str().to_owned()).filter(|c| c != "STANDARD"),
        }
    };
}
pub(super) use headers_of;

/// The members that GetObject and HeadObject share.
macro_rules! describe {
    ($output:expr, $record:expr, $checksums:expr) => {{
        let record = &$record;
        let headers = &record.headers;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.cache_control = headers.cache_control.clone();
        $output.content_disposition = headers.content_disposition.clone();
        $output.content_encoding = headers.content_encoding.clone();
        $output.content_language = headers.content_language.clone();
        $output.content_type = Some(headers.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.expires = headers.expires_ms.map($crate::door::convert::time);
        $output.website_redirect_location = headers.website_redirect_location.clone();
        $output.storage_class = headers.storage_class.clone().map(Into::into);
        $output.e_tag = Some($crate::door::convert::etag(&record.etag));
        $output.last_modified = Some($crate::door::convert::second(record.modified_ms));
        $output.metadata = Some(record.metadata.clone().into_iter().collect());
        $crate::door::convert::set_encryption!($output, record.sse.as_ref());
        $output.object_lock_mode = record.retention.map(|r| r.mode.name().to_owned().into());
        $output.object_lock_retain_until_date = record.retention.map(|r| $crate::door::convert::time(r.until_ms));
        $output.object_lock_legal_hold_status =
            record.legal_hold.map(|on| if on { "ON" } else { "OFF" }.to_owned().into());
        $crate::door::convert::set_checksums!($output, $checksums);
        $output.checksum_type = $checksums.kind.clone().map(Into::into);
    }};
}
pub(super) use describe;
