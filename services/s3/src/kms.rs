//! SSE-KMS under keys of KMS: the key of each body is one that KMS has made for who writes it, and opens for who reads it, bound to the
//! object's ARN. Sources: S3 User Guide, "Using server-side encryption with AWS KMS keys" ("Encryption context", "Permissions");
//! KMS API reference, GenerateDataKey, Decrypt.

use std::collections::BTreeMap;

use api_kms::{Decrypt, DecryptRequest, DescribeKey, DescribeKeyRequest, GenerateDataKey, GenerateDataKeyRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use service::Cx;
use wire::{Blob, Error};

use crate::errors::{Result, access_denied, internal};
use crate::sse::{DataKey, Sse};

/// Before a kept key that KMS has sealed; base64 has no colon.
const SEALED: &str = "kms:";

/// The ARN of a key that KMS has. `home`: the ARNs of the bucket's account and region.
///
/// # Errors
/// `KMS.NotFoundException`, `KMS.DisabledException`.
pub(crate) async fn arn(cx: &Cx, id: &str, home: &str) -> Result<String> {
    let missing = || {
        let id = id.strip_prefix(home).unwrap_or(id);
        let id = if id.contains('/') { id.to_owned() } else { format!("key/{id}") };
        let arn = if id.starts_with("arn:") { id } else { format!("{home}{id}") };
        Error::new("KMS.NotFoundException", 400, format!("Key '{arn}' does not exist"))
    };
    if cx.router().find("kms", "DescribeKey").is_none() {
        return Err(missing());
    }
    // Whether the caller may use it, making a data key asks.
    let asks = cx.as_principal(service::Principal::Platform);
    let asked = DescribeKeyRequest { key_id: id.to_owned(), ..DescribeKeyRequest::default() };
    let described = match asks.call::<DescribeKey>(asked).await {
        Ok(described) => described,
        Err(error) if error.is("NotFoundException") => return Err(missing()),
        Err(error) => return Err(named(error)),
    };
    described.key_metadata.and_then(|key| key.arn).ok_or_else(|| internal("a key of KMS has no ARN"))
}

/// A key for new bytes, of KMS; `None` where the key is not one of KMS.
pub(crate) async fn data_key(
    cx: &Cx,
    sse: &Sse,
    derived: &[String],
    object: &str,
) -> Result<Option<(DataKey, String)>> {
    let Sse::Kms { key, context, .. } = sse else { return Ok(None) };
    let id = key.rsplit_once(":key/").map(|(_, id)| id);
    if id.is_none_or(|id| derived.iter().any(|own| own == id)) {
        return Ok(None);
    }
    same_account(cx, key)?;
    let made = cx
        .call::<GenerateDataKey>(GenerateDataKeyRequest {
            key_id: key.clone(),
            key_spec: Some("AES_256".to_owned()),
            encryption_context: Some(bound(context.as_deref(), object)),
            ..GenerateDataKeyRequest::default()
        })
        .await
        .map_err(named)?;
    let (Some(plain), Some(sealed)) = (made.plaintext, made.ciphertext_blob) else {
        return Err(internal("KMS has made no key"));
    };
    Ok(Some((read(&plain)?, format!("{SEALED}{}", STANDARD.encode(&sealed.0)))))
}

/// Is it a key that only KMS can open?
pub(crate) fn is_sealed(kept: &str) -> bool {
    kept.starts_with(SEALED)
}

/// The key as KMS made it; `None` where `kept` is none of KMS.
pub(crate) async fn open(cx: &Cx, sse: &Sse, kept: &str, object: &str) -> Result<Option<DataKey>> {
    let (Some(sealed), Sse::Kms { key, context, .. }) = (kept.strip_prefix(SEALED), sse) else { return Ok(None) };
    same_account(cx, key)?;
    let opened = cx
        .call::<Decrypt>(DecryptRequest {
            key_id: Some(key.clone()),
            ciphertext_blob: Some(Blob::from(STANDARD.decode(sealed).map_err(internal)?)),
            encryption_context: Some(bound(context.as_deref(), object)),
            ..DecryptRequest::default()
        })
        .await
        .map_err(named)?;
    read(&opened.plaintext.unwrap_or_default()).map(Some)
}

/// Keys are used within their account; across accounts, and by who has not signed, none is.
fn same_account(cx: &Cx, key: &str) -> Result<()> {
    let anonymous = matches!(cx.principal(), service::Principal::Anonymous);
    if !anonymous && key.split(':').nth(4) == Some(cx.account()) {
        return Ok(());
    }
    Err(access_denied(
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed \
         to access.",
    ))
}

fn read(plain: &Blob) -> Result<DataKey> {
    <[u8; 32]>::try_from(&plain.0[..]).map(DataKey::new).map_err(|_| internal("a key of KMS has another length"))
}

/// The encryption context: the object's ARN beside what the request gave.
fn bound(context: Option<&str>, object: &str) -> BTreeMap<String, String> {
    let mut bound = context.and_then(parse_context).unwrap_or_default();
    bound.entry("aws:s3:arn".to_owned()).or_insert_with(|| object.to_owned());
    bound
}

/// `x-amz-server-side-encryption-context`: base64 of a JSON object of strings.
pub(crate) fn parse_context(header: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_slice(&STANDARD.decode(header).ok()?).ok()
}

/// KMS's errors as S3 names them.
fn named(error: Error) -> Error {
    match error.code() {
        "AccessDeniedException" => access_denied(error.message().to_owned()),
        code if error.status() < 500 => Error::new(format!("KMS.{code}"), 400, error.message().to_owned()),
        _ => error,
    }
}
