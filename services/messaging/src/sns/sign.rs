//! Signatures of messages: one RSA key of the server's, made when the first message is signed and kept with the topics, and a
//! certificate of it that anybody may fetch. Version 1 signs with SHA-1, version 2 with SHA-256.
//! Source: SNS Developer Guide, "Verifying the signatures of Amazon SNS messages".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use ring::rand::{SecureRandom as _, SystemRandom};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use rsa::rand_core::{CryptoRng, Error as RandomError, RngCore};
use rsa::{Hash, PaddingScheme, RsaPrivateKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Digest as _;
use store::{Key, Store};
use tokio::sync::OnceCell;
use wire::Error;

/// What a message says of itself that its signature holds, in this order; a subject only where there is one.
const OF_NOTIFICATION: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const OF_CONFIRMATION: [&str; 7] = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
const BITS: usize = 2048;
/// Signatures that are remembered, as one message goes to many subscriptions.
const REMEMBERED: usize = 256;

/// Signs messages.
pub(super) struct Signer {
    store: Store,
    own: OnceCell<Arc<Own>>,
    known: Mutex<BTreeMap<String, String>>,
}

struct Own {
    key: RsaPrivateKey,
    certificate: Certificate,
}

/// The certificate as it is served, and the name under which it is.
#[derive(Clone)]
pub(super) struct Certificate {
    pub(super) file: String,
    pub(super) pem: String,
}

/// As it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    /// Version of the record's form.
    version: u32,
    /// PKCS #8, in base64.
    private_key: String,
    certificate: String,
}

impl Signer {
    pub(super) fn new(store: Store) -> Self {
        Self { store, own: OnceCell::new(), known: Mutex::default() }
    }

    /// Adds `SignatureVersion`, `Signature` and `SigningCertURL` to a message of SNS's.
    pub(super) async fn sign(&self, message: &mut Value, version: &str, endpoint: &str) -> Result<(), Error> {
        let own = self.own().await?;
        let text = signed_text(message);
        message["SignatureVersion"] = version.into();
        message["Signature"] = self.signature(&own.key, version, &text)?.into();
        message["SigningCertURL"] = format!("{}/{}", endpoint.trim_end_matches('/'), own.certificate.file).into();
        Ok(())
    }

    pub(super) async fn certificate(&self) -> Result<Certificate, Error> {
        Ok(self.own().await?.certificate.clone())
    }

    fn signature(&self, key: &RsaPrivateKey, version: &str, text: &str) -> Result<String, Error> {
        let name = format!("{version}{}", hex::encode(sha2::Sha256::digest(text.as_bytes())));
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(known.clone());
        }
        let (hash, digest) = match version {
            "2" => (Hash::SHA2_256, sha2::Sha256::digest(text.as_bytes()).to_vec()),
            _ => (Hash::SHA1, sha1::Sha1::digest(text.as_bytes()).to_vec()),
        };
        let padding = PaddingScheme::PKCS1v15Sign { hash: Some(hash) };
        let signed = STANDARD.encode(key.sign_blinded(&mut Random, padding, &digest).map_err(Error::internal)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name, signed.clone());
        Ok(signed)
    }

    async fn own(&self) -> Result<Arc<Own>, Error> {
        self.own.get_or_try_init(|| self.open()).await.cloned()
    }

    async fn open(&self) -> Result<Arc<Own>, Error> {
        let place = || Key::new("sns").push("signer");
        let kept: Option<Record> = self.store.read(|tx| tx.get_json(place())).await?;
        let record = if let Some(record) = kept {
            record
        } else {
            let made = tokio::task::spawn_blocking(make).await.map_err(Error::internal)??;
            let written = self.store.write(move |tx| {
                if let Some(other) = tx.get_json::<Record>(place())? {
                    return Ok(other);
                }
                tx.put_json(place(), &made)?;
                Ok::<_, Error>(made.clone())
            });
            written.await?
        };
        let der = STANDARD.decode(&record.private_key).map_err(Error::internal)?;
        let key = RsaPrivateKey::from_pkcs8_der(&der).map_err(Error::internal)?;
        let digest = hex::encode(sha2::Sha256::digest(record.certificate.as_bytes()));
        let file = format!("SimpleNotificationService-{}.pem", digest.get(..32).unwrap_or_default());
        Ok(Arc::new(Own { key, certificate: Certificate { file, pem: record.certificate } }))
    }
}

/// Names and values of what is signed, each on a line of its own.
fn signed_text(message: &Value) -> String {
    let names: &[&str] = if message["Type"] == "Notification" { &OF_NOTIFICATION } else { &OF_CONFIRMATION };
    let given = names.iter().filter_map(|name| Some([name, message.get(*name)?.as_str()?]));
    given.flatten().flat_map(|line| [line, "\n"]).collect()
}

fn make() -> Result<Record, Error> {
    let key = RsaPrivateKey::new(&mut Random, BITS).map_err(Error::internal)?;
    let der = key.to_pkcs8_der().map_err(Error::internal)?;
    let pair = KeyPair::try_from(der.as_ref()).map_err(Error::internal)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(Error::internal)?;
    params.distinguished_name.push(DnType::CommonName, "sns.amazonaws.com");
    // Nobody can be told of another certificate in time: this one does not run out.
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
    let certificate = params.self_signed(&pair).map_err(Error::internal)?.pem();
    Ok(Record { version: 1, private_key: STANDARD.encode(der.as_ref()), certificate })
}

/// The machine's own randomness, as the RSA crate asks for it.
struct Random;

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }
    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        SystemRandom::new().fill(bytes).expect("the machine has randomness, without which no key may be made");
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Random {}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{
        RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
    };
    use rsa::pkcs1::EncodeRsaPublicKey as _;
    use serde_json::json;

    /// Another library checks what this one signs, over the text that the guide describes.
    #[tokio::test]
    async fn both_versions_can_be_verified() {
        let signer = Signer::new(Store::memory());
        let public = signer.own().await.unwrap().key.to_public_key().to_pkcs1_der().unwrap().as_ref().to_vec();
        let cases: [(&str, &RsaParameters); 2] =
            [("1", &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY), ("2", &RSA_PKCS1_2048_8192_SHA256)];
        let message = json!({"Type": "Notification", "MessageId": "i", "TopicArn": "t", "Message": "m", "Timestamp": "s",
            "MessageAttributes": {"a": 1}, "UnsubscribeURL": "u"});
        let confirmation = json!({"Type": "SubscriptionConfirmation", "MessageId": "i", "Token": "k", "TopicArn": "t", "Message": "m",
            "SubscribeURL": "u", "Timestamp": "s"});
        let texts = [
            "Message\nm\nMessageId\ni\nTimestamp\ns\nTopicArn\nt\nType\nNotification\n",
            "Message\nm\nMessageId\ni\nSubscribeURL\nu\nTimestamp\ns\nToken\nk\nTopicArn\nt\nType\nSubscriptionConfirmation\n",
        ];
        for (version, parameters) in cases {
            for (plain, text) in [&message, &confirmation].into_iter().zip(texts) {
                let mut message = plain.clone();
                signer.sign(&mut message, version, "http://127.0.0.1:4566/").await.unwrap();
                let signature = STANDARD.decode(message["Signature"].as_str().unwrap()).unwrap();
                UnparsedPublicKey::new(parameters, &public).verify(text.as_bytes(), &signature).unwrap();
                assert!(UnparsedPublicKey::new(parameters, &public).verify(b"other", &signature).is_err());
            }
        }
    }

    #[tokio::test]
    async fn the_key_stays_the_same() {
        let store = Store::memory();
        let first = Signer::new(store.clone()).certificate().await.unwrap();
        let again = Signer::new(store).certificate().await.unwrap();
        assert_eq!((&first.file, &first.pem), (&again.file, &again.pem));
        assert!(first.pem.starts_with("-----BEGIN CERTIFICATE-----"), "{}", first.pem);
    }
}
