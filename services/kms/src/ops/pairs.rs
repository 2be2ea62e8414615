//! Sign, Verify, GetPublicKey; data key pairs.

use api_kms::error::unsupported_operation_exception;
use api_kms::{
    GenerateDataKeyPair, GenerateDataKeyPairRequest, GenerateDataKeyPairResponse, GenerateDataKeyPairWithoutPlaintext,
    GenerateDataKeyPairWithoutPlaintextRequest, GenerateDataKeyPairWithoutPlaintextResponse, GetPublicKey,
    GetPublicKeyRequest, GetPublicKeyResponse, Sign, SignRequest, SignResponse, Verify, VerifyRequest, VerifyResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Blob, Error};

use super::crypto::{dry, newest};
use crate::Kms;
use crate::asymmetric::{self, Message, PairSpec};
use crate::crypt::Context;
use crate::records::KeyRecord;

/// A new pair, made where it keeps nobody waiting.
pub(super) async fn generate(spec: PairSpec) -> Result<Vec<u8>, Error> {
    tokio::task::spawn_blocking(move || spec.generate()).await.map_err(Error::internal)?
}

impl Kms {
    /// The pair of a key that has one, as PKCS #8.
    pub(super) fn pair(&self, record: &KeyRecord) -> Result<(PairSpec, Vec<u8>), Error> {
        let spec = PairSpec::of(record.spec());
        let spec = spec.ok_or_else(|| {
            unsupported_operation_exception(format!("{} has no key pair: its spec is {}.", record.arn(), record.spec()))
        })?;
        let kept = record.materials.first().ok_or_else(|| Error::internal("a key has no material"))?;
        Ok((spec, self.root.opened(&kept.sealed, record.arn())?))
    }

    /// The key for a signature by an algorithm.
    async fn signing(&self, cx: &Cx, id: &str, algorithm: &str) -> Result<(KeyRecord, PairSpec, Vec<u8>), Error> {
        let (_, record) = self.named(cx, id).await?;
        record.serves("SIGN_VERIFY")?;
        let (spec, pair) = self.pair(&record)?;
        asymmetric::check_algorithm(algorithm, spec.signing(), record.spec())?;
        Ok((record, spec, pair))
    }

    /// What is told of a pair under a symmetric key: it, what is public of it, and it encrypted.
    async fn data_pair(
        &self,
        cx: &Cx,
        (key, spec): (&str, &str),
        context: Option<Context>,
    ) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>, KeyRecord), Error> {
        let spec = PairSpec::named(spec)?;
        let pair = generate(spec).await?;
        let public = spec.public(&pair)?;
        let (sealed, record) = self.seal(cx, (key, None), &context.unwrap_or_default(), &pair).await?;
        Ok((pair, public, sealed, record))
    }
}

/// `EXTERNAL_MU` is of keys that are not here.
fn message<'a>(bytes: &'a Blob, kind: Option<&str>) -> Result<Message<'a>, Error> {
    match kind {
        None | Some("RAW") => Ok(Message { bytes: bytes.as_bytes(), is_digest: false }),
        Some("DIGEST") => Ok(Message { bytes: bytes.as_bytes(), is_digest: true }),
        Some(other) => Err(Error::validation(format!("MessageType {other} is not valid for this key spec."))),
    }
}

#[async_trait]
impl Handle<Sign> for Kms {
    async fn handle(&self, cx: &Cx, req: SignRequest) -> Result<SignResponse, Error> {
        let (record, spec, pair) = self.signing(cx, &req.key_id, &req.signing_algorithm).await?;
        let message = message(&req.message, req.message_type.as_deref())?;
        let signature = asymmetric::sign(spec, &pair, &req.signing_algorithm, message)?;
        dry(req.dry_run)?;
        Ok(SignResponse {
            key_id: record.metadata.arn,
            signature: Some(Blob::new(signature)),
            signing_algorithm: Some(req.signing_algorithm),
        })
    }
}

#[async_trait]
impl Handle<Verify> for Kms {
    async fn handle(&self, cx: &Cx, req: VerifyRequest) -> Result<VerifyResponse, Error> {
        let (record, spec, pair) = self.signing(cx, &req.key_id, &req.signing_algorithm).await?;
        let message = message(&req.message, req.message_type.as_deref())?;
        dry(req.dry_run)?;
        asymmetric::verify(spec, &pair, &req.signing_algorithm, message, req.signature.as_bytes())?;
        Ok(VerifyResponse {
            key_id: record.metadata.arn,
            signature_valid: Some(true),
            signing_algorithm: Some(req.signing_algorithm),
        })
    }
}

#[async_trait]
impl Handle<GetPublicKey> for Kms {
    async fn handle(&self, cx: &Cx, req: GetPublicKeyRequest) -> Result<GetPublicKeyResponse, Error> {
        let (_, record) = self.named(cx, &req.key_id).await?;
        let (spec, pair) = self.pair(&record)?;
        record.serves(record.metadata.key_usage.as_deref().unwrap_or_default())?;
        let metadata = record.metadata;
        Ok(GetPublicKeyResponse {
            public_key: Some(Blob::new(spec.public(&pair)?)),
            key_id: metadata.arn,
            customer_master_key_spec: metadata.customer_master_key_spec,
            key_spec: metadata.key_spec,
            key_usage: metadata.key_usage,
            encryption_algorithms: metadata.encryption_algorithms,
            signing_algorithms: metadata.signing_algorithms,
            ..GetPublicKeyResponse::default()
        })
    }
}

#[async_trait]
impl Handle<GenerateDataKeyPair> for Kms {
    async fn handle(&self, cx: &Cx, req: GenerateDataKeyPairRequest) -> Result<GenerateDataKeyPairResponse, Error> {
        let asked = (req.key_id.as_str(), req.key_pair_spec.as_str());
        let (pair, public, sealed, record) = self.data_pair(cx, asked, req.encryption_context).await?;
        dry(req.dry_run)?;
        Ok(GenerateDataKeyPairResponse {
            private_key_ciphertext_blob: Some(Blob::new(sealed)),
            private_key_plaintext: Some(Blob::new(pair)),
            public_key: Some(Blob::new(public)),
            key_pair_spec: Some(req.key_pair_spec),
            key_material_id: newest(&record),
            key_id: record.metadata.arn,
            ..GenerateDataKeyPairResponse::default()
        })
    }
}

#[async_trait]
impl Handle<GenerateDataKeyPairWithoutPlaintext> for Kms {
    async fn handle(
        &self,
        cx: &Cx,
        req: GenerateDataKeyPairWithoutPlaintextRequest,
    ) -> Result<GenerateDataKeyPairWithoutPlaintextResponse, Error> {
        let asked = (req.key_id.as_str(), req.key_pair_spec.as_str());
        let (_, public, sealed, record) = self.data_pair(cx, asked, req.encryption_context).await?;
        dry(req.dry_run)?;
        Ok(GenerateDataKeyPairWithoutPlaintextResponse {
            private_key_ciphertext_blob: Some(Blob::new(sealed)),
            public_key: Some(Blob::new(public)),
            key_pair_spec: Some(req.key_pair_spec),
            key_material_id: newest(&record),
            key_id: record.metadata.arn,
        })
    }
}
