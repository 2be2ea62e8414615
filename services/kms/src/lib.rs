//! KMS: keys that encrypt, their aliases, policies, grants and rotation. Key material is kept encrypted under the root key of the data
//! folder, which can also come from a file or a variable (`docs/kms.md`).
//!
//! Map: [`crypt`] what is encrypted and how · [`records`] what is stored · [`guard`] key policies and grants as the Router asks for them ·
//! [`ops`] the operations.
//!
//! Not here: asymmetric keys, imported material, key stores, keys of several regions; they are refused by name.

mod asymmetric;
mod crypt;
mod guard;
mod ops;
mod records;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use serde::Deserialize;
use service::{Platform, operations};
use store::{Done, Runner, Store, Task};

use crate::crypt::Root;

/// The task that deletes a key whose waiting time is over.
pub(crate) const DELETE: &str = "kms:delete";

/// `[kms]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// 32 bytes in base64: the key under which all key material is kept.
    root_key: Option<String>,
    /// A file that holds it, as it is or in base64.
    root_key_file: Option<std::path::PathBuf>,
}

/// The service's state: records in the control store, and the root key.
#[derive(Debug)]
pub struct Kms {
    store: Store,
    root: Root,
}

/// Registers the operations, the key policies, and the task that deletes keys.
///
/// # Errors
/// When the root key is set wrong or cannot be read.
pub fn register(platform: &Platform) -> Result<Arc<Kms>, String> {
    let settings: Settings = platform.settings.section("kms")?;
    let file = platform.data.join("kms.key");
    let store = platform.control.store().clone();
    let root = Root::open(settings.root_key.as_deref(), settings.root_key_file.as_deref(), &file, || has_keys(&store))
        .map_err(|error| format!("[kms]: {error}"))?;
    let service = Arc::new(Kms { store, root });
    operations!(platform.router, service, api_kms:
        CancelKeyDeletion, CreateAlias, CreateGrant, CreateKey, Decrypt, DeleteAlias, DescribeKey, DisableKey, DisableKeyRotation,
        EnableKey, EnableKeyRotation, Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, Sign, Verify, GetPublicKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, GenerateMac, GenerateRandom,
        GetKeyPolicy, GetKeyRotationStatus, ListAliases, ListGrants, ListKeyPolicies, ListKeyRotations, ListKeys, ListResourceTags,
        ListRetirableGrants, PutKeyPolicy, ReEncrypt, RetireGrant, RevokeGrant, RotateKeyOnDemand, ScheduleKeyDeletion,
        TagResource, UntagResource, UpdateAlias, UpdateKeyDescription, VerifyMac);
    platform.router.add_guard("kms", service.clone());
    platform.control.register(DELETE, 1, service.clone());
    Ok(service)
}

/// Whether there are keys already, which another root key than theirs would not open.
fn has_keys(store: &Store) -> std::io::Result<bool> {
    let read = store.read(|tx| Ok::<_, store::Error>(!tx.scan_prefix(store::Key::new("kms"), 1)?.is_empty()));
    // A read is answered where it is asked.
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found.map_err(std::io::Error::other),
        Poll::Pending => Err(std::io::Error::other("the store does not say whether it has keys")),
    }
}

#[async_trait]
impl Runner for Kms {
    /// Deletes a key for good: what it has encrypted cannot be decrypted any more. Only if that is still to be done where it is done:
    /// somebody may have cancelled it since, or scheduled it anew.
    async fn run(&self, task: Task) -> Done {
        let gone = self
            .store
            .write(move |tx| {
                let place: records::KeyLocation = task.payload()?;
                if tx.task(&task.id)?.is_none_or(|asked| asked.at_ms != task.at_ms) {
                    return Ok(());
                }
                let record: Option<records::KeyRecord> = tx.get_json(place.key())?;
                if record.is_some_and(|record| record.ends_by(task.at_ms)) {
                    records::forget(tx, &place)?;
                }
                tx.finish_task(&task.id)
            })
            .await;
        match gone {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(%error, "a key could not be deleted; trying again in an hour");
                Done::RetryAfter(jiff::SignedDuration::from_hours(1))
            }
        }
    }
}
