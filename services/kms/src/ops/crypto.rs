//! Encrypt, decrypt, data keys, message authentication codes, random bytes.

use std::collections::BTreeMap;

use api_kms::error::{
    dry_run_operation_exception, incorrect_key_exception, invalid_key_usage_exception, kms_invalid_mac_exception,
};
use api_kms::{
    Decrypt, DecryptRequest, DecryptResponse, Encrypt, EncryptRequest, EncryptResponse, GenerateDataKey,
    GenerateDataKeyRequest, GenerateDataKeyResponse, GenerateDataKeyWithoutPlaintext,
    GenerateDataKeyWithoutPlaintextRequest, GenerateDataKeyWithoutPlaintextResponse, GenerateMac, GenerateMacRequest,
    GenerateMacResponse, GenerateRandom, GenerateRandomRequest, GenerateRandomResponse, ReEncrypt, ReEncryptRequest,
    ReEncryptResponse, VerifyMac, VerifyMacRequest, VerifyMacResponse,
};
use async_trait::async_trait;
use ring::hmac;
use service::{Cx, Handle};
use wire::{Blob, Error};

use crate::Kms;
use crate::asymmetric::{self, PairSpec};
use crate::crypt::{self, Context, MATERIAL};
use crate::records::KeyRecord;

pub(super) const SYMMETRIC: &str = "SYMMETRIC_DEFAULT";

/// What a call that only asks whether it might is told.
pub(super) fn dry(dry_run: Option<bool>) -> Result<(), Error> {
    match dry_run {
        Some(true) => {
            Err(dry_run_operation_exception("The request would have succeeded, but the DryRun option is set."))
        }
        _ => Ok(()),
    }
}

/// The algorithm that is meant, if the key has it.
fn algorithm(asked: Option<&str>, record: &KeyRecord) -> Result<String, Error> {
    let asked = asked.unwrap_or(SYMMETRIC);
    let known = PairSpec::of(record.spec()).map_or(&[SYMMETRIC][..], PairSpec::encryption);
    asymmetric::check_algorithm(asked, known, record.spec())?;
    Ok(asked.to_owned())
}

/// Only symmetric encryption binds to a context.
fn no_context(context: &Context) -> Result<(), Error> {
    if context.is_empty() {
        return Ok(());
    }
    Err(Error::validation("An encryption context is not valid with an asymmetric KMS key."))
}

fn context(given: Option<BTreeMap<String, String>>) -> Context {
    given.unwrap_or_default()
}

impl Kms {
    /// The material of a number, counted from one.
    fn material(&self, record: &KeyRecord, number: u32) -> Result<[u8; MATERIAL], Error> {
        let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        let kept = at.and_then(|at| record.materials.get(at));
        let kept = kept.ok_or_else(|| api_kms::error::invalid_ciphertext_exception(""))?;
        self.root.material(&kept.sealed, record.arn())
    }

    /// Encrypts under a key: a symmetric one's newest material, or what is public of a pair.
    pub(super) async fn seal(
        &self,
        cx: &Cx,
        (id, asked): (&str, Option<&str>),
        context: &Context,
        plaintext: &[u8],
    ) -> Result<(Vec<u8>, KeyRecord), Error> {
        let record = self.for_encryption(cx, id).await?;
        let algorithm = algorithm(asked, &record)?;
        if algorithm != SYMMETRIC {
            no_context(context)?;
            let (_, pair) = self.pair(&record)?;
            return Ok((asymmetric::encrypt(&pair, &algorithm, record.spec(), plaintext)?, record));
        }
        let number = u32::try_from(record.materials.len()).unwrap_or(u32::MAX);
        let material = self.material(&record, number)?;
        Ok((crypt::encrypt(record.arn(), (number, &material), context, plaintext)?, record))
    }

    /// The key, for encryption, rotated where that is due.
    async fn for_encryption(&self, cx: &Cx, id: &str) -> Result<KeyRecord, Error> {
        let (place, record) = self.named(cx, id).await?;
        record.serves("ENCRYPT_DECRYPT")?;
        match record.next_rotation_ms {
            Some(at) if at <= cx.now().as_millisecond() => self.rotate(cx, &place, "AUTOMATIC").await,
            _ => Ok(record),
        }
    }

    /// Decrypts what a key has encrypted; where the caller names a key, it has to be that. Of a pair's it has to be named, with the
    /// algorithm.
    async fn unseal(
        &self,
        cx: &Cx,
        blob: &[u8],
        (named, asked): (Option<&str>, Option<&str>),
        context: &Context,
    ) -> Result<Opened, Error> {
        if let Some(id) = named {
            let (_, record) = self.named(cx, id).await?;
            if PairSpec::of(record.spec()).is_some() {
                record.serves("ENCRYPT_DECRYPT")?;
                let algorithm = algorithm(asked, &record)?;
                no_context(context)?;
                let (_, pair) = self.pair(&record)?;
                let plaintext = asymmetric::decrypt(&pair, &algorithm, blob)?;
                return Ok(Opened { plaintext, record, material: None, algorithm });
            }
        }
        let parsed = crypt::parse(blob)?;
        if let Some(id) = named {
            let (place, _) = self.named(cx, id).await?;
            if place.arn() != parsed.arn {
                return Err(incorrect_key_exception(
                    "The key ID in the request does not identify a CMK that can perform this operation.",
                ));
            }
        }
        let (_, record) = self.named(cx, &parsed.arn).await?;
        record.serves("ENCRYPT_DECRYPT")?;
        let algorithm = algorithm(asked, &record)?;
        let material = self.material(&record, parsed.number)?;
        let plaintext = parsed.decrypt(&material, context)?;
        let id =
            record.materials.get(usize::try_from(parsed.number).unwrap_or(0).saturating_sub(1)).map(|m| m.id.clone());
        Ok(Opened { plaintext, record, material: id, algorithm })
    }
}

/// What was encrypted, and by what.
struct Opened {
    plaintext: Vec<u8>,
    record: KeyRecord,
    /// Of a symmetric key.
    material: Option<String>,
    algorithm: String,
}

/// The material that a symmetric key encrypts with.
pub(super) fn newest(record: &KeyRecord) -> Option<String> {
    record.materials.last().filter(|_| record.spec() == SYMMETRIC).map(|material| material.id.clone())
}

#[async_trait]
impl Handle<Encrypt> for Kms {
    async fn handle(&self, cx: &Cx, req: EncryptRequest) -> Result<EncryptResponse, Error> {
        let context = context(req.encryption_context);
        let key = (req.key_id.as_str(), req.encryption_algorithm.as_deref());
        let (blob, record) = self.seal(cx, key, &context, req.plaintext.as_bytes()).await?;
        dry(req.dry_run)?;
        Ok(EncryptResponse {
            ciphertext_blob: Some(Blob::new(blob)),
            key_id: record.metadata.arn,
            encryption_algorithm: Some(req.encryption_algorithm.unwrap_or_else(|| SYMMETRIC.to_owned())),
        })
    }
}

#[async_trait]
impl Handle<Decrypt> for Kms {
    async fn handle(&self, cx: &Cx, req: DecryptRequest) -> Result<DecryptResponse, Error> {
        let blob = req.ciphertext_blob.ok_or_else(|| Error::validation("CiphertextBlob is required"))?;
        let context = context(req.encryption_context);
        let key = (req.key_id.as_deref(), req.encryption_algorithm.as_deref());
        let opened = self.unseal(cx, blob.as_bytes(), key, &context).await?;
        dry(req.dry_run)?;
        Ok(DecryptResponse {
            key_id: opened.record.metadata.arn,
            plaintext: Some(Blob::new(opened.plaintext)),
            encryption_algorithm: Some(opened.algorithm),
            key_material_id: opened.material,
            ..DecryptResponse::default()
        })
    }
}

#[async_trait]
impl Handle<ReEncrypt> for Kms {
    async fn handle(&self, cx: &Cx, req: ReEncryptRequest) -> Result<ReEncryptResponse, Error> {
        let blob = req.ciphertext_blob.ok_or_else(|| Error::validation("CiphertextBlob is required"))?;
        let before = context(req.source_encryption_context);
        let from = (req.source_key_id.as_deref(), req.source_encryption_algorithm.as_deref());
        let opened = self.unseal(cx, blob.as_bytes(), from, &before).await?;
        let after = context(req.destination_encryption_context);
        let to = (req.destination_key_id.as_str(), req.destination_encryption_algorithm.as_deref());
        let (blob, record) = self.seal(cx, to, &after, &opened.plaintext).await?;
        dry(req.dry_run)?;
        Ok(ReEncryptResponse {
            ciphertext_blob: Some(Blob::new(blob)),
            source_key_id: opened.record.metadata.arn,
            destination_key_material_id: newest(&record),
            key_id: record.metadata.arn,
            source_encryption_algorithm: Some(opened.algorithm),
            destination_encryption_algorithm: Some(
                req.destination_encryption_algorithm.unwrap_or_else(|| SYMMETRIC.to_owned()),
            ),
            source_key_material_id: opened.material,
        })
    }
}

/// How long a data key is to be.
fn length(spec: Option<&str>, bytes: Option<i32>) -> Result<usize, Error> {
    match (spec, bytes) {
        (Some("AES_256"), None) => Ok(32),
        (Some("AES_128"), None) => Ok(16),
        (None, Some(bytes)) => usize::try_from(bytes).map_err(|_| Error::validation("NumberOfBytes must be positive")),
        (Some(_), Some(_)) | (None, None) => {
            Err(Error::validation("Please specify either number of bytes or key spec."))
        }
        (Some(other), None) => Err(Error::validation(format!("KeySpec {other} is not valid"))),
    }
}

#[async_trait]
impl Handle<GenerateDataKey> for Kms {
    async fn handle(&self, cx: &Cx, req: GenerateDataKeyRequest) -> Result<GenerateDataKeyResponse, Error> {
        let key = crypt::random_bytes(length(req.key_spec.as_deref(), req.number_of_bytes)?)?;
        let context = context(req.encryption_context);
        let (blob, record) = self.seal(cx, (&req.key_id, None), &context, &key).await?;
        dry(req.dry_run)?;
        Ok(GenerateDataKeyResponse {
            ciphertext_blob: Some(Blob::new(blob)),
            plaintext: Some(Blob::new(key)),
            key_material_id: newest(&record),
            key_id: record.metadata.arn,
            ..GenerateDataKeyResponse::default()
        })
    }
}

#[async_trait]
impl Handle<GenerateDataKeyWithoutPlaintext> for Kms {
    async fn handle(
        &self,
        cx: &Cx,
        req: GenerateDataKeyWithoutPlaintextRequest,
    ) -> Result<GenerateDataKeyWithoutPlaintextResponse, Error> {
        let key = crypt::random_bytes(length(req.key_spec.as_deref(), req.number_of_bytes)?)?;
        let context = context(req.encryption_context);
        let (blob, record) = self.seal(cx, (&req.key_id, None), &context, &key).await?;
        dry(req.dry_run)?;
        Ok(GenerateDataKeyWithoutPlaintextResponse {
            ciphertext_blob: Some(Blob::new(blob)),
            key_material_id: newest(&record),
            key_id: record.metadata.arn,
        })
    }
}

#[async_trait]
impl Handle<GenerateRandom> for Kms {
    async fn handle(&self, _: &Cx, req: GenerateRandomRequest) -> Result<GenerateRandomResponse, Error> {
        let length = req.number_of_bytes.and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or_else(|| Error::validation("NumberOfBytes is required."))?;
        Ok(GenerateRandomResponse { plaintext: Some(Blob::new(crypt::random_bytes(length)?)), ..Default::default() })
    }
}

impl Kms {
    /// The key of a message authentication code.
    async fn mac_key(&self, cx: &Cx, id: &str, asked: &str) -> Result<(hmac::Key, KeyRecord), Error> {
        let (_, record) = self.named(cx, id).await?;
        record.serves("GENERATE_VERIFY_MAC")?;
        let own = record.metadata.mac_algorithms.iter().flatten().any(|one| one == asked);
        let algorithm = match asked {
            "HMAC_SHA_256" if own => hmac::HMAC_SHA256,
            "HMAC_SHA_384" if own => hmac::HMAC_SHA384,
            "HMAC_SHA_512" if own => hmac::HMAC_SHA512,
            _ => {
                let spec = record.metadata.key_spec.as_deref().unwrap_or_default();
                return Err(invalid_key_usage_exception(format!(
                    "Algorithm {asked} is incompatible with key spec {spec}."
                )));
            }
        };
        Ok((hmac::Key::new(algorithm, &self.material(&record, 1)?), record))
    }
}

#[async_trait]
impl Handle<GenerateMac> for Kms {
    async fn handle(&self, cx: &Cx, req: GenerateMacRequest) -> Result<GenerateMacResponse, Error> {
        let (key, record) = self.mac_key(cx, &req.key_id, &req.mac_algorithm).await?;
        dry(req.dry_run)?;
        let mac = hmac::sign(&key, req.message.as_bytes()).as_ref().to_vec();
        Ok(GenerateMacResponse {
            mac: Some(Blob::new(mac)),
            mac_algorithm: Some(req.mac_algorithm),
            key_id: record.metadata.arn,
        })
    }
}

#[async_trait]
impl Handle<VerifyMac> for Kms {
    async fn handle(&self, cx: &Cx, req: VerifyMacRequest) -> Result<VerifyMacResponse, Error> {
        let (key, record) = self.mac_key(cx, &req.key_id, &req.mac_algorithm).await?;
        dry(req.dry_run)?;
        hmac::verify(&key, req.message.as_bytes(), req.mac.as_bytes()).map_err(|_| kms_invalid_mac_exception(""))?;
        Ok(VerifyMacResponse {
            key_id: record.metadata.arn,
            mac_valid: Some(true),
            mac_algorithm: Some(req.mac_algorithm),
        })
    }
}
