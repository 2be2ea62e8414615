//! Values as they are kept: encrypted by KMS under the key that the caller named or AWS's own of the service, bound to what they are
//! values of. The caller has to be allowed to use a named key, by way of the service (`kms:ViaService`). Sources: Secrets Manager User
//! Guide, "Secret encryption and decryption"; Systems Manager User Guide, "How Parameter Store uses AWS KMS".

use std::collections::BTreeMap;

use api_kms::{Decrypt, DecryptRequest, Encrypt, EncryptRequest};
use service::Cx;
use wire::{Blob, Error};

/// Who encrypts for whom: the service as KMS names it, and its own key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By {
    via: &'static str,
    pub(crate) own_key: &'static str,
}

pub(crate) const SECRETS: By = By { via: "secretsmanager.amazonaws.com", own_key: "alias/aws/secretsmanager" };
pub(crate) const PARAMETERS: By = By { via: "ssm.amazonaws.com", own_key: "alias/aws/ssm" };

pub(crate) type Context = BTreeMap<String, String>;

pub(crate) async fn seal(cx: &Cx, by: By, key: Option<&str>, context: Context, plain: &[u8]) -> Result<Blob, Error> {
    let request = EncryptRequest {
        key_id: key.unwrap_or(by.own_key).to_owned(),
        plaintext: Blob::new(plain.to_vec()),
        encryption_context: Some(context),
        ..EncryptRequest::default()
    };
    let sealed = cx.with_called_via(by.via).call::<Encrypt>(request).await?;
    sealed.ciphertext_blob.ok_or_else(|| Error::internal("KMS answered without a ciphertext"))
}

pub(crate) async fn open(cx: &Cx, by: By, context: Context, sealed: &Blob) -> Result<Vec<u8>, Error> {
    let request = DecryptRequest {
        ciphertext_blob: Some(sealed.clone()),
        encryption_context: Some(context),
        ..DecryptRequest::default()
    };
    let opened = cx.with_called_via(by.via).call::<Decrypt>(request).await?;
    let plain = opened.plaintext.ok_or_else(|| Error::internal("KMS answered without a plaintext"))?;
    Ok(plain.as_bytes().to_vec())
}
