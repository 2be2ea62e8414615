//! Buckets and what is said about them, over HTTP.

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "every operation brings its types"))]
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Cx;

use super::convert::{self, error};
use super::{Answer, answer, cx};
use crate::S3;
use crate::settings::{LIFECYCLE, NOTIFICATION, OWNERSHIP, POLICY, TAGGING, VERSIONING};

pub(super) async fn create_bucket(s3: &S3, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let grants = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    convert::acl(input.acl.as_ref().map(BucketCannedACL::as_str), &grants.map(Option::as_ref))?;
    if input.object_lock_enabled_for_bucket.unwrap_or(false) {
        return Err(error(crate::errors::not_implemented("Object lock")));
    }
    let constraint = input.create_bucket_configuration.and_then(|c| c.location_constraint);
    let region = match constraint.as_ref().map(BucketLocationConstraint::as_str).filter(|c| !c.is_empty()) {
        Some("EU") => "eu-west-1",
        Some(constraint) if constraint == cx.region() || cx.region() == "us-east-1" => constraint,
        Some(constraint) => {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The {constraint} location constraint is incompatible for the region specific endpoint this request was \
                 sent to."
            ));
        }
        None if cx.region() == "us-east-1" => "us-east-1",
        None => {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The unspecified location constraint is incompatible for the region specific endpoint this request was \
                 sent to."
            ));
        }
    };
    let bucket = s3.create_bucket(&cx, &input.bucket, region).await.map_err(error)?;
    if let Some(ownership) = input.object_ownership {
        s3.put_setting(&cx, &bucket.name, OWNERSHIP, &[ownership.as_str()]).await.map_err(error)?;
    }
    answer(CreateBucketOutput { location: Some(format!("/{}", bucket.name)) })
}

pub(super) async fn get<T: DeserializeOwned>(s3: &S3, bucket: &str, name: &str) -> S3Result<T> {
    s3.require_setting(bucket, name).await.map_err(error)
}

pub(super) async fn put<T: Default>(
    s3: &S3,
    cx: &Cx,
    bucket: &str,
    name: &'static str,
    value: &impl Serialize,
) -> Answer<T> {
    s3.put_setting(cx, bucket, name, value).await.map_err(error)?;
    answer(T::default())
}

pub(super) async fn delete<T: Default>(s3: &S3, cx: &Cx, bucket: &str, name: &'static str) -> Answer<T> {
    s3.delete_setting(cx, bucket, name).await.map_err(error)?;
    answer(T::default())
}

pub(super) async fn policy(s3: &S3, bucket: &str) -> Answer<GetBucketPolicyOutput> {
    let policy: String = get(s3, bucket, POLICY).await?;
    answer(GetBucketPolicyOutput { policy: Some(policy) })
}

pub(super) async fn put_policy(s3: &S3, req: S3Request<PutBucketPolicyInput>) -> Answer<PutBucketPolicyOutput> {
    let policy = &req.input.policy;
    if !serde_json::from_str::<serde_json::Value>(policy).is_ok_and(|p| p.get("Statement").is_some()) {
        return Err(s3_error!(MalformedPolicy, "Policies must be valid JSON and the first byte must be '{{'"));
    }
    put(s3, &cx(&req)?, &req.input.bucket, POLICY, policy).await
}

pub(super) async fn policy_status(s3: &S3, bucket: &str) -> Answer<GetBucketPolicyStatusOutput> {
    let _: String = get(s3, bucket, POLICY).await?;
    answer(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(false) }) })
}

pub(super) async fn lifecycle(s3: &S3, bucket: &str) -> Answer<GetBucketLifecycleConfigurationOutput> {
    let found: BucketLifecycleConfiguration = get(s3, bucket, LIFECYCLE).await?;
    answer(GetBucketLifecycleConfigurationOutput {
        rules: Some(found.rules),
        transition_default_minimum_object_size: Some(TransitionDefaultMinimumObjectSize::from_static(
            TransitionDefaultMinimumObjectSize::ALL_STORAGE_CLASSES_128K,
        )),
    })
}

pub(super) async fn put_lifecycle(
    s3: &S3,
    req: S3Request<PutBucketLifecycleConfigurationInput>,
) -> Answer<PutBucketLifecycleConfigurationOutput> {
    let Some(value) = &req.input.lifecycle_configuration else {
        return Err(s3_error!(MissingRequestBodyError, "Request Body is empty"));
    };
    put(s3, &cx(&req)?, &req.input.bucket, LIFECYCLE, value).await
}

pub(super) async fn ownership(s3: &S3, bucket: &str) -> Answer<GetBucketOwnershipControlsOutput> {
    let found: Vec<String> = get(s3, bucket, OWNERSHIP).await?;
    let rules = found.into_iter().map(|o| OwnershipControlsRule { object_ownership: o.into() }).collect();
    answer(GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) })
}

pub(super) async fn put_ownership(
    s3: &S3,
    req: S3Request<PutBucketOwnershipControlsInput>,
) -> Answer<PutBucketOwnershipControlsOutput> {
    let rules = &req.input.ownership_controls.rules;
    let value: Vec<&str> = rules.iter().map(|r| r.object_ownership.as_str()).collect();
    put(s3, &cx(&req)?, &req.input.bucket, OWNERSHIP, &value).await
}

pub(super) async fn notification(s3: &S3, bucket: &str) -> Answer<GetBucketNotificationConfigurationOutput> {
    let found: Option<NotificationConfiguration> = s3.setting(bucket, NOTIFICATION).await.map_err(error)?;
    let found = found.unwrap_or_default();
    answer(GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: found.event_bridge_configuration,
        lambda_function_configurations: found.lambda_function_configurations,
        queue_configurations: found.queue_configurations,
        topic_configurations: found.topic_configurations,
    })
}

pub(super) async fn put_tagging(s3: &S3, req: S3Request<PutBucketTaggingInput>) -> Answer<PutBucketTaggingOutput> {
    let tags = convert::tags(req.input.tagging.tag_set.clone());
    crate::put::check_tags(&tags, 50).map_err(error)?;
    put(s3, &cx(&req)?, &req.input.bucket, TAGGING, &req.input.tagging).await
}

pub(super) async fn versioning(s3: &S3, bucket: &str) -> Answer<GetBucketVersioningOutput> {
    let found: Option<VersioningConfiguration> = s3.setting(bucket, VERSIONING).await.map_err(error)?;
    answer(GetBucketVersioningOutput { mfa_delete: None, status: found.and_then(|f| f.status) })
}

/// Only the state without versions exists so far: suspending changes nothing, enabling is refused.
pub(super) async fn put_versioning(
    s3: &S3,
    req: S3Request<PutBucketVersioningInput>,
) -> Answer<PutBucketVersioningOutput> {
    let value = &req.input.versioning_configuration;
    match value.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::SUSPENDED) => put(s3, &cx(&req)?, &req.input.bucket, VERSIONING, value).await,
        Some(_) => Err(error(crate::errors::not_implemented("Bucket versioning"))),
        None => Err(s3_error!(IllegalVersioningConfigurationException, "The Versioning element must be specified")),
    }
}
