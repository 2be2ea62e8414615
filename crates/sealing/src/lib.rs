//! Values as a service keeps them under a key of KMS: encrypted under a data key that KMS has made for who writes, and opens for who
//! reads; both are kept in memory for as long as the resource says that one may be used again. Which key, in whose name and bound to
//! what, its services say.
//! Sources: SQS Developer Guide, "Encryption at rest", "Key management"; SNS Developer Guide, "Securing Amazon SNS data with
//! server-side encryption"; CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS KMS"; NIST SP 800-38D (AES-256-GCM).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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
pub struct By {
    /// As KMS knows the service, where it asks for its caller. `None`: the context that is given asks, as the service itself does.
    pub via: Option<&'static str>,
    /// The name of the key in the encryption context.
    pub context: &'static str,
    /// The service's name for an error of KMS.
    pub named: fn(&Error) -> Option<Error>,
}

/// Whose text it is, and for how long its key may be used again.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The queue, topic or group.
    pub arn: &'a str,
    pub reuse_seconds: i64,
}

/// A data key: as KMS sealed it, and open.
pub struct DataKey {
    sealed: Blob,
    key: LessSafeKey,
}

struct Known {
    until_ms: i64,
    key: Arc<DataKey>,
}

/// Seals and opens texts.
pub struct Sealer {
    by: By,
    made: Mutex<BTreeMap<String, Known>>,
    opened: Mutex<BTreeMap<String, Known>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl Sealer {
    pub fn new(by: By) -> Self {
        Self { by, made: Mutex::default(), opened: Mutex::default() }
    }

    /// The text as it is kept: the data key as KMS sealed it, and what was encrypted with it.
    ///
    /// # Errors
    /// Those of KMS, as the service names them.
    pub async fn seal(&self, cx: &Cx, key: &str, of: Of<'_>, text: &str) -> Result<String, Error> {
        self.data_key(cx, key, of).await?.seal(of.arn, text)
    }

    /// The text as it was before.
    ///
    /// # Errors
    /// Those of KMS, as the service names them.
    pub async fn open(&self, cx: &Cx, of: Of<'_>, kept: &str) -> Result<String, Error> {
        let (key, content) = kept.split_once('.').ok_or_else(damaged)?;
        let key = self.opened(cx, of, key).await?;
        decrypt(&key, of.arn, content)
    }

    /// A data key under a key of KMS: the one in use, or a new one.
    ///
    /// # Errors
    /// Those of KMS, as the service names them.
    pub async fn data_key(&self, cx: &Cx, key: &str, of: Of<'_>) -> Result<Arc<DataKey>, Error> {
        let name = named_for(cx, of, key);
        if let Some(known) = find(&self.made, &name, cx) {
            return Ok(known);
        }
        let request = GenerateDataKeyRequest {
            key_id: key.to_owned(),
            key_spec: Some("AES_256".to_owned()),
            encryption_context: Some(self.context(of)),
            ..GenerateDataKeyRequest::default()
        };
        let made = self.asks(cx).call::<GenerateDataKey>(request).await;
        let made = made.map_err(|error| self.named(error))?;
        let key = opened_key(made.plaintext, made.ciphertext_blob)?;
        Ok(keep(&self.made, name, key, cx, of))
    }

    /// The data key that KMS sealed.
    async fn opened(&self, cx: &Cx, of: Of<'_>, key: &str) -> Result<Arc<DataKey>, Error> {
        let name = named_for(cx, of, key);
        if let Some(known) = find(&self.opened, &name, cx) {
            return Ok(known);
        }
        let sealed = Blob::from(STANDARD.decode(key).map_err(Error::internal)?);
        let request = DecryptRequest {
            ciphertext_blob: Some(sealed.clone()),
            encryption_context: Some(self.context(of)),
            ..DecryptRequest::default()
        };
        let opened = self.asks(cx).call::<Decrypt>(request).await;
        let opened = opened.map_err(|error| self.named(error))?;
        let key = opened_key(opened.plaintext, Some(sealed))?;
        Ok(keep(&self.opened, name, key, cx, of))
    }

    fn asks(&self, cx: &Cx) -> Cx {
        self.by.via.map_or_else(|| cx.clone(), |via| cx.with_called_via(via))
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

fn opened_key(plain: Option<Blob>, sealed: Option<Blob>) -> Result<DataKey, Error> {
    let (Some(plain), Some(sealed)) = (plain, sealed) else { return Err(Error::internal("KMS has made no key")) };
    DataKey::new(plain.as_bytes(), sealed)
}

fn find(keys: &Mutex<BTreeMap<String, Known>>, name: &str, cx: &Cx) -> Option<Arc<DataKey>> {
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.get(name).filter(|known| known.until_ms > cx.now().as_millisecond()).map(|known| known.key.clone())
}

fn keep(keys: &Mutex<BTreeMap<String, Known>>, name: String, key: DataKey, cx: &Cx, of: Of<'_>) -> Arc<DataKey> {
    let (key, until_ms) = (Arc::new(key), cx.now().as_millisecond() + of.reuse_seconds * 1000);
    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= KEPT {
        keys.clear();
    }
    keys.insert(name, Known { until_ms, key: key.clone() });
    key
}

impl DataKey {
    /// A key of 32 bytes, and how it is kept.
    ///
    /// # Errors
    /// Where it is of another length.
    pub fn new(plain: &[u8], sealed: Blob) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, plain).map_err(|_| Error::internal("a data key has another length"))?;
        Ok(Self { sealed, key: LessSafeKey::new(key) })
    }

    /// A text as it is kept: this key as KMS sealed it, and what is encrypted with it.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn seal(&self, arn: &str, text: &str) -> Result<String, Error> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Error::internal("no randomness"))?;
        let mut content = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(arn), &mut content)
            .map_err(|_| Error::internal("a value could not be encrypted"))?;
        let content: Vec<u8> = nonce.into_iter().chain(content).collect();
        Ok(format!("{}.{}", STANDARD.encode(self.sealed.as_bytes()), STANDARD.encode(content)))
    }
}

fn damaged() -> Error {
    Error::internal("a sealed value is damaged")
}

fn decrypt(known: &DataKey, arn: &str, content: &str) -> Result<String, Error> {
    let content = STANDARD.decode(content).map_err(Error::internal)?;
    let (nonce, sealed) = content.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = known.key.open_in_place(nonce, Aad::from(arn), &mut sealed).map_err(|_| damaged())?;
    String::from_utf8(plain.to_vec()).map_err(|_| damaged())
}
