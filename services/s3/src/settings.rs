//! What can be said about a bucket besides its objects: policy, tags, notification, and the rest of its sub-resources.
//! Each is one record, kept as it was put and given back; those that act on requests are gathered in [`crate::state`], the
//! others ([`NOTIFICATION`], [`LIFECYCLE`]) are read where they act.

use s3s::dto::NotificationConfiguration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Cx;
use wire::Error;

use crate::S3;
use crate::errors::Result;
use crate::keys;
use crate::tx::require_bucket;

pub(crate) const ACL: &str = "acl";
pub(crate) const CORS: &str = "cors";
pub(crate) const ENCRYPTION: &str = "encryption";
pub(crate) const LIFECYCLE: &str = "lifecycle";
/// `TransitionDefaultMinimumObjectSize`, where it is not the usual one.
pub(crate) const LIFECYCLE_SMALLEST: &str = "lifecycle-smallest";
pub(crate) const LOGGING: &str = "logging";
pub(crate) const NOTIFICATION: &str = "notification";
pub(crate) const OBJECT_LOCK: &str = "object-lock";
pub(crate) const OWNERSHIP: &str = "ownershipControls";
pub(crate) const POLICY: &str = "policy";
pub(crate) const PUBLIC_ACCESS: &str = "publicAccessBlock";
pub(crate) const REQUEST_PAYMENT: &str = "requestPayment";
pub(crate) const TAGGING: &str = "tagging";
pub(crate) const WEBSITE: &str = "website";

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

impl S3 {
    pub(crate) async fn put_policy(&self, cx: &Cx, bucket: &str, policy: &str) -> Result<()> {
        let found = self.governed(bucket).await?;
        let parsed = crate::policy::parse(policy, bucket, &self.known)?;
        if found.access_block.public_policy && crate::policy::is_public(&parsed) {
            let text = "User is not authorized to perform: s3:PutBucketPolicy because public policies are prevented by the \
                        BlockPublicPolicy setting in S3 Block Public Access.";
            return Err(crate::errors::access_denied(text));
        }
        self.put_setting(cx, bucket, POLICY, &policy).await
    }

    /// What is told of a bucket's objects, and to whom; each queue and topic gets a test message.
    pub(crate) async fn put_notification(
        &self,
        cx: &Cx,
        bucket: &str,
        config: NotificationConfiguration,
        skip_validation: bool,
    ) -> Result<()> {
        let config = crate::notification::check(config, &cx.uuid())?;
        if !skip_validation {
            self.check_destinations(cx, &config).await?;
        }
        let value = serde_json::to_value(&config).map_err(crate::errors::internal)?;
        let (bucket, origin) = (bucket.to_owned(), crate::events::Origin::of(cx));
        cx.write(&self.store, move |tx| {
            let home = require_bucket(tx, &bucket)?;
            tx.put_json(keys::setting(&bucket, NOTIFICATION), &value)?;
            crate::events::test(tx, &origin, &home, &config)
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
        OBJECT_LOCK => {
            ("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
        }
        _ => ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    };
    Error::new(code, 404, message).with("BucketName", bucket)
}
