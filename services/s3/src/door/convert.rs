//! Between s3s's types and ours.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::StatusCode;
use s3s::dto::{
    CopySource, ETag, ETagCondition, Grant, Grantee, Owner, Permission, StreamingBlob, Tag, TagSet, Timestamp,
    TimestampFormat, Type,
};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders};
use sha2::{Digest as _, Sha256};

use crate::checksum::Checksums;
use crate::conditions;
use crate::errors::Result;

/// Our error as S3's: the code, the status and the text; of internal ones only that they are.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
pub(super) fn error(error: wire::Error) -> S3Error {
    if error.status() >= 500 && !error.is("NotImplemented") {
        tracing::error!(%error, "an S3 request failed");
        return S3Error::with_message(
            S3ErrorCode::InternalError,
            "We encountered an internal error. Please try again.",
        );
    }
    let code = S3ErrorCode::from_bytes(error.code().as_bytes()).unwrap_or(S3ErrorCode::InvalidRequest);
    let mut out = S3Error::with_message(code, error.message().to_owned());
    if let Ok(status) = StatusCode::from_u16(error.status()) {
        out.set_status_code(status);
    }
    out
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
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

/// Bucket and key of a copy's source.
pub(super) fn source(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => match version_id.as_deref() {
            None | Some("null") => Ok((bucket.to_string(), key.to_string())),
            Some(_) => Err(error(crate::errors::no_such_version())),
        },
        _ => Err(s3s::s3_error!(NotImplemented, "Access points are not implemented")),
    }
}

pub(super) fn version(id: Option<&str>) -> S3Result<()> {
    match id {
        None | Some("null") => Ok(()),
        Some(_) => Err(error(crate::errors::no_such_version())),
    }
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

/// Checksums that came behind the body.
pub(super) fn trailing(headers: Option<TrailingHeaders>) -> impl FnOnce() -> Checksums {
    move || {
        let mut sums = Checksums::default();
        let Some(headers) = headers else { return sums };
        for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
            let name = format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase());
            let value = headers.read(|h| h.get(&name).and_then(|v| v.to_str().ok()).map(str::to_owned)).flatten();
            if let Some(value) = value {
                sums.set(algorithm, value);
            }
        }
        sums
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

/// The canonical user of an account, which AWS makes of it in its own way.
pub(super) fn owner(account: &str) -> Owner {
    Owner { display_name: None, id: Some(hex::encode(Sha256::digest(account))) }
}

/// Owner and grants of what is private, as everything here is.
pub(super) fn private(account: &str) -> (Owner, Vec<Grant>) {
    let owner = owner(account);
    let grantee = Grantee {
        display_name: None,
        email_address: None,
        id: owner.id.clone(),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let permission = Some(Permission::from_static(Permission::FULL_CONTROL));
    (owner, vec![Grant { grantee: Some(grantee), permission }])
}

/// ACLs are off, as on AWS since 2023: only what says the same is taken.
pub(super) fn acl(canned: Option<&str>, grants: &[Option<&String>]) -> S3Result<()> {
    let plain = matches!(canned, None | Some("private" | "bucket-owner-full-control"));
    if plain && grants.iter().all(Option::is_none) {
        return Ok(());
    }
    Err(s3s::s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs"))
}

/// Encryption with the client's key changes who can read: not taken and then ignored.
pub(super) fn no_customer_key(algorithm: Option<&String>) -> S3Result<()> {
    match algorithm {
        None => Ok(()),
        Some(_) => Err(error(crate::errors::not_implemented("Server-side encryption with customer-provided keys"))),
    }
}

/// Sets the five checksum members of an output from a [`Checksums`].
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

/// The checksums that an input names.
macro_rules! checksums_of {
    ($input:expr) => {
        crate::checksum::Checksums {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
            kind: None,
        }
    };
}
pub(super) use checksums_of;

/// The headers that an input wants kept.
macro_rules! headers_of {
    ($input:expr) => {
        crate::records::Headers {
            content_type: $input.content_type.clone(),
            content_encoding: $input.content_encoding.clone(),
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
        $output.last_modified = Some($crate::door::convert::time(record.modified_ms));
        $output.metadata = Some(record.metadata.clone().into_iter().collect());
        $output.server_side_encryption = Some($crate::settings::ENCRYPTED.to_owned().into());
        if $checksums && !record.checksums.is_empty() {
            $crate::door::convert::set_checksums!($output, record.checksums);
            $output.checksum_type = record.checksums.kind.clone().map(Into::into);
        }
    }};
}
pub(super) use describe;
