//! What can be said about a bucket besides its objects: policy, tags, notification, and the rest of its sub-resources.
//! Each is one record, kept as it was put and given back; those that act on requests are gathered in [`crate::state`], the
//! others ([`NOTIFICATION`], [`LIFECYCLE`]) are read where they act.

use s3s::dto::{BucketLifecycleConfiguration, NotificationConfiguration, ServerSideEncryptionConfiguration};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Cx;
use wire::Error;

use crate::S3;
use crate::acl::{Grant, Grantee};
use crate::admitted::Home;
use crate::errors::{Result, invalid_argument, malformed_xml};
use crate::keys;
use crate::state::Ownership;
use crate::tx::require_bucket;

pub(crate) const ACL: &str = "acl";
pub(crate) const CORS: &str = "cors";
pub(crate) const ENCRYPTION: &str = "encryption";
pub(crate) const LIFECYCLE: &str = "lifecycle";
/// `TransitionDefaultMinimumObjectSize`, where it is not the usual one.
pub(crate) const LIFECYCLE_SMALLEST: &str = "lifecycle-smallest";
pub(crate) const LOGGING: &str = "logging";
pub(crate) const METRICS: &str = "metrics";
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
        let (home, bucket) = (Home::of(bucket), bucket.to_owned());
        cx.write(&self.store, move |tx| {
            home.require(tx)?;
            Ok(tx.put_json(keys::setting(&bucket, name), &value)?)
        })
        .await
    }

    pub(crate) async fn delete_setting(&self, cx: &Cx, bucket: &str, name: &'static str) -> Result<()> {
        let (home, bucket) = (Home::of(bucket), bucket.to_owned());
        cx.write(&self.store, move |tx| {
            home.require(tx)?;
            Ok(tx.delete(keys::setting(&bucket, name))?)
        })
        .await
    }
}

impl S3 {
    /// How new objects are encrypted of which nothing is said. Source: API reference, PutBucketEncryption.
    pub(crate) async fn put_encryption(
        &self,
        cx: &Cx,
        bucket: &str,
        value: &ServerSideEncryptionConfiguration,
    ) -> Result<()> {
        let [rule] = value.rules.as_slice() else { return Err(malformed_xml()) };
        let default = rule.apply_server_side_encryption_by_default.as_ref().ok_or_else(malformed_xml)?;
        let algorithm = default.sse_algorithm.as_str();
        if !["AES256", "aws:kms", "aws:kms:dsse"].contains(&algorithm) {
            return Err(malformed_xml());
        }
        if algorithm == "AES256" && default.kms_master_key_id.is_some() {
            return Err(invalid_argument(
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            ));
        }
        let found = self.governed(bucket).await?;
        self.default_encryption(cx, &found, default, false).await?;
        self.put_setting(cx, bucket, ENCRYPTION, value).await
    }

    /// Whether ACLs count; they can be turned off only where there are none. Source: S3 User Guide, "Prerequisites for disabling ACLs".
    pub(crate) async fn put_ownership(&self, cx: &Cx, bucket: &str, rules: &[&str]) -> Result<()> {
        let [one] = rules else { return Err(malformed_xml()) };
        let ownership = Ownership::parse(one).ok_or_else(malformed_xml)?;
        let found = self.governed(bucket).await?;
        let others = |g: &Grant| g.grantee != Grantee::Account(found.owner().to_owned());
        if ownership == Ownership::BucketOwnerEnforced && found.grants.iter().any(others) {
            return Err(Error::new(
                "InvalidBucketAclWithObjectOwnership",
                400,
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            ));
        }
        self.put_setting(cx, bucket, OWNERSHIP, &rules).await
    }

    /// The rules, and the smallest objects that they move: answers what holds of those.
    pub(crate) async fn put_lifecycle(
        &self,
        cx: &Cx,
        bucket: &str,
        value: BucketLifecycleConfiguration,
        smallest: Option<&str>,
    ) -> Result<String> {
        let value = crate::lifecycle::check(value, &cx.uuid(), self.day_ms())?;
        let smallest = smallest.unwrap_or(crate::lifecycle::USUAL_SMALLEST).to_owned();
        if ![crate::lifecycle::VARIES, crate::lifecycle::USUAL_SMALLEST].contains(&smallest.as_str()) {
            return Err(invalid_argument("Invalid TransitionDefaultMinimumObjectSize found"));
        }
        let (home, bucket) = (Home::of(bucket), bucket.to_owned());
        let value = serde_json::to_value(value).map_err(crate::errors::internal)?;
        let told = smallest.clone();
        cx.write(&self.store, move |tx| {
            home.require(tx)?;
            tx.put_json(keys::setting(&bucket, LIFECYCLE_SMALLEST), &smallest)?;
            Ok::<_, Error>(tx.put_json(keys::setting(&bucket, LIFECYCLE), &value)?)
        })
        .await?;
        Ok(told)
    }

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

    /// What is told of a bucket's objects, and to whom; each queue and topic gets a test message, and has to take it.
    pub(crate) async fn put_notification(
        &self,
        cx: &Cx,
        bucket: &str,
        config: NotificationConfiguration,
        skip_validation: bool,
    ) -> Result<()> {
        let config = crate::notification::check(config, &cx.uuid())?;
        let origin = crate::events::Origin::of(cx);
        if !skip_validation {
            self.check_destinations(cx, &config).await?;
        }
        let refused = self.try_destinations(&origin, &self.governed(bucket).await?.record, &config).await;
        if let Some((target, error)) = refused.filter(|_| !skip_validation) {
            tracing::debug!(%error, target, "a destination of notifications takes no message");
            return Err(crate::notification::unfit(
                &target,
                "Permissions on the destination queue do not allow S3 to publish notifications from this bucket",
            ));
        }
        let value = serde_json::to_value(&config).map_err(crate::errors::internal)?;
        let (home, bucket) = (Home::of(bucket), bucket.to_owned());
        cx.write(&self.store, move |tx| {
            home.require(tx)?;
            Ok(tx.put_json(keys::setting(&bucket, NOTIFICATION), &value)?)
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
