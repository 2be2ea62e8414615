//! Messages as they are kept where a queue or topic has a key of KMS: encrypted under a data key that KMS has made for who sends, and
//! opens for who receives; both are kept in memory for as long as the queue says that one may be used again.
//! Sources: SQS Developer Guide, "Encryption at rest", "Key management"; SNS Developer Guide, "Securing Amazon SNS data with
//! server-side encryption"; NIST SP 800-38D (AES-256-GCM).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use api_kms::{Decrypt, DecryptRequest, GenerateDataKey, GenerateDataKeyRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use service::Cx;
use wire::{Blob, Error};

/// Data keys that are kept.
const KEPT: usize = 1000;

/// For whom it is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By {
    /// As KMS knows the service.
    pub(crate) via: &'static str,
    /// The name of the key in the encryption context.
    pub(crate) context: &'static str,
    /// The service's name for an error of KMS.
    pub(crate) named: fn(&Error) -> Option<Error>,
}

/// Whose text it is, and for how long its key may be used again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    /// The queue or topic.
    pub(crate) arn: &'a str,
    pub(crate) reuse_seconds: i64,
}

struct Known {
    until_ms: i64,
    sealed: Blob,
    key: LessSafeKey,
}

/// Seals and opens texts.
pub(crate) struct Sealer {
    by: By,
    made: Mutex<BTreeMap<String, Known>>,
    opened: Mutex<BTreeMap<String, Known>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    pub(crate) fn new(by: By) -> Self {
        Self { by, made: Mutex::default(), opened: Mutex::default() }
    }

    /// The text as it is kept: the data key as KMS sealed it, and what was encrypted with it.
    pub(crate) async fn seal(&self, cx: &Cx, key: &str, of: Of<'_>, text: &str) -> Result<String, Error> {
        let name = named_for(cx, of, key);
        if let Some(sealed) = with(&self.made, &name, cx, |known| encrypt(known, of.arn, text)) {
            return sealed;
        }
        let request = GenerateDataKeyRequest {
            key_id: key.to_owned(),
            key_spec: Some("AES_256".to_owned()),
            encryption_context: Some(self.context(of)),
            ..GenerateDataKeyRequest::default()
        };
        let made = cx.with_called_via(self.by.via).call::<GenerateDataKey>(request).await;
        let made = made.map_err(|error| self.named(error))?;
        let known = made_known(cx, of, made.plaintext, made.ciphertext_blob)?;
        let sealed = encrypt(&known, of.arn, text);
        keep(&self.made, name, known);
        sealed
    }

    /// The text as it was before.
    pub(crate) async fn open(&self, cx: &Cx, of: Of<'_>, kept: &str) -> Result<String, Error> {
        let (key, content) = kept.split_once('.').ok_or_else(|| Error::internal("a sealed message is damaged"))?;
        let name = named_for(cx, of, key);
        if let Some(opened) = with(&self.opened, &name, cx, |known| decrypt(known, of.arn, content)) {
            return opened;
        }
        let sealed = Blob::from(STANDARD.decode(key).map_err(Error::internal)?);
        let request = DecryptRequest {
            ciphertext_blob: Some(sealed.clone()),
            encryption_context: Some(self.context(of)),
            ..DecryptRequest::default()
        };
        let opened = cx.with_called_via(self.by.via).call::<Decrypt>(request).await;
        let opened = opened.map_err(|error| self.named(error))?;
        let known = made_known(cx, of, opened.plaintext, Some(sealed))?;
        let text = decrypt(&known, of.arn, content);
        keep(&self.opened, name, known);
        text
    }

    fn context(&self, of: Of<'_>) -> BTreeMap<String, String> {
        BTreeMap::from([(self.by.context.to_owned(), of.arn.to_owned())])
    }

    fn named(&self, error: Error) -> Error {
        (self.by.named)(&error).unwrap_or(error)
    }
}

/// Keys are kept for each caller, as KMS decides for each.
fn named_for(cx: &Cx, of: Of<'_>, key: &str) -> String {
    let caller = cx.service().map_or_else(|| cx.principal().arn(cx.account()), |service| service.name.clone());
    format!("{caller} {} {key}", of.arn)
}

fn made_known(cx: &Cx, of: Of<'_>, plain: Option<Blob>, sealed: Option<Blob>) -> Result<Known, Error> {
    let (Some(plain), Some(sealed)) = (plain, sealed) else { return Err(Error::internal("KMS has made no key")) };
    let key = UnboundKey::new(&AES_256_GCM, plain.as_bytes())
        .map_err(|_| Error::internal("a data key has another length"))?;
    let until_ms = cx.now().as_millisecond() + of.reuse_seconds * 1000;
    Ok(Known { until_ms, sealed, key: LessSafeKey::new(key) })
}

fn with<T>(keys: &Mutex<BTreeMap<String, Known>>, name: &str, cx: &Cx, what: impl FnOnce(&Known) -> T) -> Option<T> {
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.get(name).filter(|known| known.until_ms > cx.now().as_millisecond()).map(what)
}

fn keep(keys: &Mutex<BTreeMap<String, Known>>, name: String, known: Known) {
    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= KEPT {
        keys.clear();
    }
    keys.insert(name, known);
}

fn encrypt(known: &Known, arn: &str, text: &str) -> Result<String, Error> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| Error::internal("no randomness"))?;
    let mut content = text.as_bytes().to_vec();
    let sealing = Nonce::assume_unique_for_key(nonce);
    known
        .key
        .seal_in_place_append_tag(sealing, Aad::from(arn), &mut content)
        .map_err(|_| Error::internal("a message could not be encrypted"))?;
    let content: Vec<u8> = nonce.into_iter().chain(content).collect();
    Ok(format!("{}.{}", STANDARD.encode(known.sealed.as_bytes()), STANDARD.encode(content)))
}

fn decrypt(known: &Known, arn: &str, content: &str) -> Result<String, Error> {
    let damaged = || Error::internal("a sealed message is damaged");
    let content = STANDARD.decode(content).map_err(Error::internal)?;
    let (nonce, sealed) = content.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = known.key.open_in_place(nonce, Aad::from(arn), &mut sealed).map_err(|_| damaged())?;
    String::from_utf8(plain.to_vec()).map_err(|_| damaged())
}
