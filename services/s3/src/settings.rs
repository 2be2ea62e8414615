//! What can be said about a bucket besides its objects: policy, tags, notification, and the rest of its sub-resources.
//! Each is one record, kept as it was put and given back; the ones that act ([`NOTIFICATION`]) are read where they act.

use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Cx;
use wire::Error;

use crate::S3;
use crate::errors::Result;
use crate::keys;
use crate::tx::require_bucket;

pub(crate) const CORS: &str = "cors";
pub(crate) const ENCRYPTION: &str = "encryption";
pub(crate) const LIFECYCLE: &str = "lifecycle";
pub(crate) const NOTIFICATION: &str = "notification";
pub(crate) const OWNERSHIP: &str = "ownershipControls";
pub(crate) const POLICY: &str = "policy";
pub(crate) const PUBLIC_ACCESS: &str = "publicAccessBlock";
pub(crate) const TAGGING: &str = "tagging";
pub(crate) const VERSIONING: &str = "versioning";
pub(crate) const WEBSITE: &str = "website";

/// What S3 says of every object since January 2023: encrypted, with its own keys. Clients that read it find what they find at AWS;
/// here it says no more than that no key of the caller's is needed. Lakerun itself encrypts nothing on its disk.
pub(crate) const ENCRYPTED: &str = "AES256";

impl S3 {
    pub(crate) async fn setting<T: DeserializeOwned>(&self, bucket: &str, name: &str) -> Result<Option<T>> {
        self.store
            .read(|tx| {
                require_bucket(tx, bucket)?;
                Ok(tx.get_json(keys::setting(bucket, name))?)
            })
            .await
    }

    /// The setting, or S3's own error for an unset one.
    pub(crate) async fn require_setting<T: DeserializeOwned>(&self, bucket: &str, name: &str) -> Result<T> {
        self.setting(bucket, name).await?.ok_or_else(|| unset(bucket, name))
    }

    pub(crate) async fn put_setting(
        &self,
        cx: &Cx,
        bucket: &str,
        name: &'static str,
        value: &impl Serialize,
    ) -> Result<()> {
        let value = serde_json::to_value(value).map_err(crate::errors::internal)?;
        let bucket = bucket.to_owned();
        cx.write(&self.store, move |tx| {
            require_bucket(tx, &bucket)?;
            Ok(tx.put_json(keys::setting(&bucket, name), &value)?)
        })
        .await
    }

    pub(crate) async fn delete_setting(&self, cx: &Cx, bucket: &str, name: &'static str) -> Result<()> {
        let bucket = bucket.to_owned();
        cx.write(&self.store, move |tx| {
            require_bucket(tx, &bucket)?;
            Ok(tx.delete(keys::setting(&bucket, name))?)
        })
        .await
    }
}

/// What S3 says where nothing has been put.
pub(crate) fn unset(bucket: &str, name: &str) -> Error {
    let (code, message) = match name {
        CORS => ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        ENCRYPTION => {
            ("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found")
        }
        LIFECYCLE => ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
        OWNERSHIP => ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
        POLICY => ("NoSuchBucketPolicy", "The bucket policy does not exist"),
        PUBLIC_ACCESS => {
            ("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
        }
        TAGGING => ("NoSuchTagSet", "The TagSet does not exist"),
        WEBSITE => ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
        "object-lock" => {
            ("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
        }
        _ => ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    };
    Error::new(code, 404, message).with("BucketName", bucket)
}
