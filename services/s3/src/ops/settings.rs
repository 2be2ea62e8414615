//! Settings of buckets. They are stored as s3s's types; what comes here has the model's names and is renamed.

use api_s3 as api;
use async_trait::async_trait;
use s3s::dto;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::{Cx, Handle};
use wire::schema::Shape;
use wire::types::Empty;

use super::buckets::bad_member;
use crate::S3;
use crate::errors::{Result, internal, malformed_xml, not_implemented};
use crate::lock::DefaultRetention;
use crate::make::Grants;
use crate::records::Versioning;
use crate::settings::{
    CORS, ENCRYPTION, LIFECYCLE, LIFECYCLE_SMALLEST, NOTIFICATION, OBJECT_LOCK, OWNERSHIP, POLICY, PUBLIC_ACCESS,
    TAGGING,
};

#[async_trait]
impl Handle<api::PutBucketNotificationConfiguration> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketNotificationConfigurationRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketNotificationConfiguration>(self, cx, super::home!(input)).await?;
        let value: dto::NotificationConfiguration =
            renamed(&input.notification_configuration, "NotificationConfiguration")?;
        let skip = input.skip_destination_validation.unwrap_or(false);
        self.put_notification(cx, &input.bucket, value, skip).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::PutBucketAcl> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketAclRequest) -> Result<Empty> {
        super::refuse(&[("AccessControlPolicy", input.access_control_policy.is_some())])?;
        super::guard_bucket::<api::PutBucketAcl>(self, cx, super::home!(input)).await?;
        let grants = Grants {
            full_control: input.grant_full_control,
            read: input.grant_read,
            write: input.grant_write,
            read_acp: input.grant_read_acp,
            write_acp: input.grant_write_acp,
        };
        let asked = (input.acl.as_deref(), &grants, None);
        crate::door::set_bucket_acl(self, cx, &input.bucket, asked).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::PutBucketEncryption> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketEncryptionRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketEncryption>(self, cx, super::home!(input)).await?;
        let value: dto::ServerSideEncryptionConfiguration =
            renamed(&input.server_side_encryption_configuration, "ServerSideEncryptionConfiguration")?;
        self.put_encryption(cx, &input.bucket, &value).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::PutBucketLifecycleConfiguration> for S3 {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::PutBucketLifecycleConfigurationRequest,
    ) -> Result<api::PutBucketLifecycleConfigurationOutput> {
        super::guard_bucket::<api::PutBucketLifecycleConfiguration>(self, cx, super::home!(input)).await?;
        let value: dto::BucketLifecycleConfiguration =
            renamed(&input.lifecycle_configuration, "LifecycleConfiguration")?;
        let smallest = input.transition_default_minimum_object_size.as_deref();
        let smallest = self.put_lifecycle(cx, &input.bucket, value, smallest).await?;
        Ok(api::PutBucketLifecycleConfigurationOutput { transition_default_minimum_object_size: Some(smallest) })
    }
}

#[async_trait]
impl Handle<api::PutBucketOwnershipControls> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketOwnershipControlsRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketOwnershipControls>(self, cx, super::home!(input)).await?;
        let value: Vec<&str> = input.ownership_controls.rules.iter().map(|r| r.object_ownership.as_str()).collect();
        self.put_ownership(cx, &input.bucket, &value).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::PutPublicAccessBlock> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutPublicAccessBlockRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutPublicAccessBlock>(self, cx, super::home!(input)).await?;
        let value: dto::PublicAccessBlockConfiguration =
            renamed(&input.public_access_block_configuration, "PublicAccessBlockConfiguration")?;
        self.put_setting(cx, &input.bucket, PUBLIC_ACCESS, &value).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::PutBucketVersioning> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketVersioningRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketVersioning>(self, cx, super::home!(input)).await?;
        if input.versioning_configuration.mfa_delete.as_deref() == Some("Enabled") {
            return Err(not_implemented("MFA delete"));
        }
        let state = match input.versioning_configuration.status.as_deref() {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            _ => return Err(bad_member("VersioningConfiguration")),
        };
        self.put_versioning(cx, &input.bucket, state).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::GetBucketVersioning> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketVersioningRequest) -> Result<api::GetBucketVersioningOutput> {
        super::guard_bucket::<api::GetBucketVersioning>(self, cx, super::home!(input)).await?;
        let status = self.bucket(&input.bucket).await?.versioning.map(|v| format!("{v:?}"));
        Ok(api::GetBucketVersioningOutput { status, ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::PutBucketPolicy> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketPolicyRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketPolicy>(self, cx, super::home!(input)).await?;
        self.put_policy(cx, &input.bucket, &input.policy).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::GetBucketPolicy> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketPolicyRequest) -> Result<api::GetBucketPolicyOutput> {
        super::guard_bucket::<api::GetBucketPolicy>(self, cx, super::home!(input)).await?;
        Ok(api::GetBucketPolicyOutput { policy: Some(self.require_setting(&input.bucket, POLICY).await?) })
    }
}

#[async_trait]
impl Handle<api::DeleteBucketPolicy> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketPolicyRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeleteBucketPolicy>(self, cx, super::home!(input)).await?;
        self.delete_setting(cx, &input.bucket, POLICY).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::PutBucketTagging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketTaggingRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketTagging>(self, cx, super::home!(input)).await?;
        let tags: Vec<_> = input.tagging.tag_set.iter().map(|t| (t.key.clone(), t.value.clone())).collect();
        // Stacks mark what they make with tags of the system.
        crate::put::check_tags(&tags, 50)?;
        let value: dto::Tagging = renamed(&input.tagging, "Tagging")?;
        self.put_setting(cx, &input.bucket, TAGGING, &value).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::GetBucketTagging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketTaggingRequest) -> Result<api::GetBucketTaggingOutput> {
        super::guard_bucket::<api::GetBucketTagging>(self, cx, super::home!(input)).await?;
        let found: dto::Tagging = self.require_setting(&input.bucket, TAGGING).await?;
        let tag = |t: dto::Tag| api::Tag { key: t.key.unwrap_or_default(), value: t.value.unwrap_or_default() };
        Ok(api::GetBucketTaggingOutput { tag_set: found.tag_set.into_iter().map(tag).collect() })
    }
}

#[async_trait]
impl Handle<api::DeleteBucketTagging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketTaggingRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeleteBucketTagging>(self, cx, super::home!(input)).await?;
        self.delete_setting(cx, &input.bucket, TAGGING).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::PutBucketCors> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketCorsRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketCors>(self, cx, super::home!(input)).await?;
        let value: dto::CORSConfiguration = renamed(&input.cors_configuration, "CORSConfiguration")?;
        crate::door::check_cors(&value)?;
        self.put_setting(cx, &input.bucket, CORS, &value).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::DeleteBucketCors> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketCorsRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeleteBucketCors>(self, cx, super::home!(input)).await?;
        self.delete_setting(cx, &input.bucket, CORS).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::DeleteBucketEncryption> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketEncryptionRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeleteBucketEncryption>(self, cx, super::home!(input)).await?;
        match self.usual_encryption() {
            Some(usual) => self.put_setting(cx, &input.bucket, ENCRYPTION, &usual).await.map(|()| Empty {}),
            None => self.delete_setting(cx, &input.bucket, ENCRYPTION).await.map(|()| Empty {}),
        }
    }
}

#[async_trait]
impl Handle<api::DeleteBucketLifecycle> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketLifecycleRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeleteBucketLifecycle>(self, cx, super::home!(input)).await?;
        self.delete_setting(cx, &input.bucket, LIFECYCLE).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::DeleteBucketOwnershipControls> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketOwnershipControlsRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeleteBucketOwnershipControls>(self, cx, super::home!(input)).await?;
        self.delete_setting(cx, &input.bucket, OWNERSHIP).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::DeletePublicAccessBlock> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeletePublicAccessBlockRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeletePublicAccessBlock>(self, cx, super::home!(input)).await?;
        self.delete_setting(cx, &input.bucket, PUBLIC_ACCESS).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::GetPublicAccessBlock> for S3 {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::GetPublicAccessBlockRequest,
    ) -> Result<api::GetPublicAccessBlockOutput> {
        super::guard_bucket::<api::GetPublicAccessBlock>(self, cx, super::home!(input)).await?;
        let found: dto::PublicAccessBlockConfiguration = self.require_setting(&input.bucket, PUBLIC_ACCESS).await?;
        Ok(api::GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(api::PublicAccessBlockConfiguration {
                block_public_acls: found.block_public_acls,
                block_public_policy: found.block_public_policy,
                ignore_public_acls: found.ignore_public_acls,
                restrict_public_buckets: found.restrict_public_buckets,
            }),
        })
    }
}

#[async_trait]
impl Handle<api::GetBucketEncryption> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketEncryptionRequest) -> Result<api::GetBucketEncryptionOutput> {
        super::guard_bucket::<api::GetBucketEncryption>(self, cx, super::home!(input)).await?;
        let mut found: dto::ServerSideEncryptionConfiguration = self.require_setting(&input.bucket, ENCRYPTION).await?;
        for rule in &mut found.rules {
            rule.bucket_key_enabled.get_or_insert(false);
        }
        told::<api::GetBucketEncryption>(&json!({ "server_side_encryption_configuration": found }))
    }
}

#[async_trait]
impl Handle<api::GetBucketCors> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketCorsRequest) -> Result<api::GetBucketCorsOutput> {
        super::guard_bucket::<api::GetBucketCors>(self, cx, super::home!(input)).await?;
        let found: dto::CORSConfiguration = self.require_setting(&input.bucket, CORS).await?;
        told::<api::GetBucketCors>(&json!(found))
    }
}

#[async_trait]
impl Handle<api::GetBucketLifecycleConfiguration> for S3 {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::GetBucketLifecycleConfigurationRequest,
    ) -> Result<api::GetBucketLifecycleConfigurationOutput> {
        super::guard_bucket::<api::GetBucketLifecycleConfiguration>(self, cx, super::home!(input)).await?;
        let found: dto::BucketLifecycleConfiguration = self.require_setting(&input.bucket, LIFECYCLE).await?;
        let smallest: Option<String> = self.setting(&input.bucket, LIFECYCLE_SMALLEST).await?;
        let smallest = smallest.unwrap_or_else(|| crate::lifecycle::USUAL_SMALLEST.to_owned());
        Ok(api::GetBucketLifecycleConfigurationOutput {
            transition_default_minimum_object_size: Some(smallest),
            ..told::<api::GetBucketLifecycleConfiguration>(&json!(found))?
        })
    }
}

#[async_trait]
impl Handle<api::GetBucketOwnershipControls> for S3 {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::GetBucketOwnershipControlsRequest,
    ) -> Result<api::GetBucketOwnershipControlsOutput> {
        super::guard_bucket::<api::GetBucketOwnershipControls>(self, cx, super::home!(input)).await?;
        let found: Vec<String> = self.require_setting(&input.bucket, OWNERSHIP).await?;
        let rules = found.into_iter().map(|object_ownership| api::OwnershipControlsRule { object_ownership });
        Ok(api::GetBucketOwnershipControlsOutput {
            ownership_controls: Some(api::OwnershipControls { rules: rules.collect() }),
        })
    }
}

#[async_trait]
impl Handle<api::PutBucketLogging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::PutBucketLoggingRequest) -> Result<Empty> {
        super::guard_bucket::<api::PutBucketLogging>(self, cx, super::home!(input)).await?;
        super::refuse(&[(
            "TargetGrants",
            input.bucket_logging_status.logging_enabled.as_ref().is_some_and(has_grants),
        )])?;
        let asked = input.bucket_logging_status.logging_enabled.map(|asked| dto::LoggingEnabled {
            target_bucket: asked.target_bucket,
            target_grants: None,
            target_object_key_format: asked.target_object_key_format.map(|format| dto::TargetObjectKeyFormat {
                partitioned_prefix: format.partitioned_prefix.map(|partitioned| dto::PartitionedPrefix {
                    partition_date_source: partitioned.partition_date_source.map(Into::into),
                }),
                simple_prefix: format.simple_prefix.map(|_| dto::SimplePrefix::default()),
            }),
            target_prefix: asked.target_prefix,
        });
        self.put_logging(cx, &input.bucket, asked).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::GetBucketLogging> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketLoggingRequest) -> Result<api::GetBucketLoggingOutput> {
        super::guard_bucket::<api::GetBucketLogging>(self, cx, super::home!(input)).await?;
        self.bucket(&input.bucket).await?;
        let found = self.logging(&input.bucket).await?.map(crate::logging::Log::told);
        let logging_enabled = found.map(|found| api::LoggingEnabled {
            target_bucket: found.target_bucket,
            target_grants: None,
            target_object_key_format: found.target_object_key_format.map(|format| api::TargetObjectKeyFormat {
                partitioned_prefix: format.partitioned_prefix.map(|partitioned| api::PartitionedPrefix {
                    partition_date_source: partitioned.partition_date_source.map(|source| source.as_str().to_owned()),
                }),
                simple_prefix: format.simple_prefix.map(|_| api::SimplePrefix::default()),
            }),
            target_prefix: found.target_prefix,
        });
        Ok(api::GetBucketLoggingOutput { logging_enabled })
    }
}

#[async_trait]
impl Handle<api::PutObjectLockConfiguration> for S3 {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::PutObjectLockConfigurationRequest,
    ) -> Result<api::PutObjectLockConfigurationOutput> {
        super::guard_bucket::<api::PutObjectLockConfiguration>(self, cx, super::home!(input)).await?;
        let config = input.object_lock_configuration.ok_or_else(malformed_xml)?;
        if config.object_lock_enabled.as_deref() != Some("Enabled") {
            return Err(malformed_xml());
        }
        let default = match config.rule {
            None => None,
            Some(rule) => {
                let rule = rule.default_retention.ok_or_else(malformed_xml)?;
                Some(DefaultRetention::checked(rule.mode.as_deref(), rule.days, rule.years)?)
            }
        };
        self.put_object_lock(cx, &input.bucket, default).await?;
        Ok(api::PutObjectLockConfigurationOutput::default())
    }
}

#[async_trait]
impl Handle<api::GetObjectLockConfiguration> for S3 {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::GetObjectLockConfigurationRequest,
    ) -> Result<api::GetObjectLockConfigurationOutput> {
        super::guard_bucket::<api::GetObjectLockConfiguration>(self, cx, super::home!(input)).await?;
        let found = self.governed(&input.bucket).await?;
        if !found.record.object_lock {
            return Err(crate::settings::unset(&input.bucket, OBJECT_LOCK));
        }
        let rule = found.retention.as_ref().map(|r| api::ObjectLockRule {
            default_retention: Some(api::DefaultRetention {
                mode: Some(r.mode.name().to_owned()),
                days: r.days,
                years: r.years,
                ..Default::default()
            }),
        });
        Ok(api::GetObjectLockConfigurationOutput {
            object_lock_configuration: Some(api::ObjectLockConfiguration {
                object_lock_enabled: Some("Enabled".to_owned()),
                rule,
            }),
        })
    }
}

#[async_trait]
impl Handle<api::GetBucketNotificationConfiguration> for S3 {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::GetBucketNotificationConfigurationRequest,
    ) -> Result<api::NotificationConfiguration> {
        super::guard_bucket::<api::GetBucketNotificationConfiguration>(self, cx, super::home!(input)).await?;
        self.bucket(&input.bucket).await?;
        let found: Option<dto::NotificationConfiguration> = self.setting(&input.bucket, NOTIFICATION).await?;
        told::<api::GetBucketNotificationConfiguration>(&found.map_or_else(|| json!({}), |found| json!(found)))
    }
}

fn has_grants(asked: &api::LoggingEnabled) -> bool {
    asked.target_grants.as_ref().is_some_and(|grants| !grants.is_empty())
}

/// What an operation answers, of s3s's types, by the names of the model.
fn told<O: wire::Operation>(value: &Value) -> Result<O::Output>
where
    O::Output: DeserializeOwned,
{
    serde_json::from_value(named_back(O::SPEC.output, value)).map_err(internal)
}

fn named_back(shape: &Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Structure(structure), Value::Object(map)) => {
            let members = structure.members.iter().filter_map(|member| {
                let value = map.get(&snake(member.name)).filter(|value| !value.is_null())?;
                Some((member.name.to_owned(), named_back(member.shape, value)))
            });
            Value::Object(members.collect())
        }
        (Shape::List(list), Value::Array(items)) => items.iter().map(|item| named_back(list.member, item)).collect(),
        (_, plain) => plain.clone(),
    }
}

/// The same structure as s3s's type, whose members are called as Rust calls them.
fn renamed<T: DeserializeOwned>(value: &impl Serialize, member: &str) -> Result<T> {
    let value = rename(serde_json::to_value(value).map_err(internal)?);
    T::deserialize(value).map_err(|_| bad_member(member))
}

fn rename(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().map(|(key, value)| (snake(&key), rename(value))).collect(),
        Value::Array(items) => items.into_iter().map(rename).collect(),
        plain => plain,
    }
}

/// `SSEAlgorithm` is `sse_algorithm`, `EventBridgeConfiguration` is `event_bridge_configuration`.
fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, c) in chars.iter().enumerate() {
        let begins = c.is_uppercase()
            && i > 0
            && (chars[i - 1].is_lowercase() || chars.get(i + 1).is_some_and(|next| next.is_lowercase()));
        if begins {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let cases = [
            ("SSEAlgorithm", "sse_algorithm"),
            ("KMSMasterKeyID", "kms_master_key_id"),
            ("EventBridgeConfiguration", "event_bridge_configuration"),
            ("BlockPublicAcls", "block_public_acls"),
            ("Id", "id"),
            ("ID", "id"),
        ];
        for (name, expected) in cases {
            assert_eq!(snake(name), expected);
        }
    }
}
