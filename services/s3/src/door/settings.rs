//! Buckets and what is said about them, over HTTP.

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "every operation brings its types"))]
use s3s::dto::*;
use s3s::{HttpRequest, S3Request, S3Result, s3_error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Cx;

use super::convert::{self, error};
use super::{Answer, answer, cx};
use crate::S3;
use crate::access::caller;
use crate::acl;
use crate::buckets::{Made, check_bucket_tags};
use crate::lock::{self, Mode};
use crate::make::Grants;
use crate::records::Versioning;
use crate::settings::{
    ACL, CORS, ENCRYPTION, LIFECYCLE, LIFECYCLE_SMALLEST, NOTIFICATION, OBJECT_LOCK, OWNERSHIP, POLICY, PUBLIC_ACCESS,
    REQUEST_PAYMENT, TAGGING,
};
use crate::state::Ownership;
use crate::tags::Named;

/// The tags of a bucket that is to be made, which s3s has no member for.
#[derive(Clone, Debug, Default)]
struct NewTags(TagSet);

/// The tags of the bucket that a request is to make.
pub(super) fn new_tags(req: &S3Request<CreateBucketInput>) -> TagSet {
    req.extensions.get::<NewTags>().cloned().unwrap_or_default().0
}

/// Reads the tags out of the body of what can only be a CreateBucket; its other members s3s reads.
pub(super) async fn lift_tags(request: &mut HttpRequest) -> S3Result<()> {
    let body = request.body_mut().store_all_limited(64 * 1024).await;
    let body = body.map_err(|_| error(crate::errors::malformed_xml()))?;
    if body.is_empty() {
        return Ok(());
    }
    let mut tags = TagSet::new();
    let mut reader = s3s::xml::Deserializer::new(&body);
    let read = reader.named_element("CreateBucketConfiguration", |d| {
        d.for_each_element(|d, name| {
            match name {
                b"Tags" => tags = d.list_content("Tag")?,
                b"LocationConstraint" => d.text(|_| Ok(()))?,
                // Of directory buckets.
                _ => d.for_each_element(|d, _| d.text(|_| Ok(())))?,
            }
            Ok(())
        })
    });
    // What is no such document s3s refuses in its own words.
    if read.is_ok() && !tags.is_empty() {
        request.extensions_mut().insert(NewTags(tags));
    }
    Ok(())
}

pub(super) async fn create_bucket(s3: &S3, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
    let cx = cx(&req)?;
    let tags = new_tags(&req);
    let input = req.input;
    let usual = s3.usual();
    let ownership = input.object_ownership.as_ref().map(|o| o.as_str().to_owned());
    // An ACL that is asked for needs ACLs to be on, and is refused otherwise before anything is made.
    let ownership = ownership.unwrap_or(usual.ownership);
    let Some(parsed) = Ownership::parse(&ownership) else {
        return Err(s3_error!(InvalidArgument, "Invalid x-amz-object-ownership header: {ownership}"));
    };
    let grants = Grants {
        full_control: input.grant_full_control.clone(),
        read: input.grant_read.clone(),
        write: input.grant_write.clone(),
        read_acp: input.grant_read_acp.clone(),
        write_acp: input.grant_write_acp.clone(),
    };
    let canned = input.acl.as_ref().map(BucketCannedACL::as_str);
    let listed = acl::of_headers(&s3.known, &grants.list()).map_err(error)?;
    let list = match (canned, listed) {
        (Some(_), Some(_)) => {
            return Err(s3_error!(InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed"));
        }
        (Some(name), None) => {
            let account = caller(&cx);
            Some(acl::canned(name, account, account, true).map_err(error)?)
        }
        (None, list) => list,
    };
    if parsed == Ownership::BucketOwnerEnforced && list.is_some() && canned != Some("private") {
        return Err(error(wire::Error::new(
            "InvalidBucketAclWithObjectOwnership",
            400,
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        )));
    }
    if s3.settings.block_public_access && list.iter().flatten().any(acl::Grant::is_public) {
        return Err(error(wire::Error::new(
            "InvalidBucketAclWithBlockPublicAccessError",
            400,
            "Bucket cannot have public ACLs set with BlockPublicAccess enabled",
        )));
    }
    check_bucket_tags(&convert::tags(tags.clone())).map_err(error)?;
    let made = Made {
        ownership,
        grants: list.filter(|_| parsed != Ownership::BucketOwnerEnforced),
        object_lock: input.object_lock_enabled_for_bucket.unwrap_or(false),
        tags,
    };
    let constraint = input.create_bucket_configuration.and_then(|c| c.location_constraint);
    let region =
        crate::buckets::region_of(&cx, constraint.as_ref().map(BucketLocationConstraint::as_str)).map_err(error)?;
    let bucket = s3.create_bucket(&cx, &input.bucket, region, made).await.map_err(error)?;
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
    let cx = cx(&req)?;
    s3.put_policy(&cx, &req.input.bucket, &req.input.policy).await.map_err(error)?;
    Ok(answer::with_status(PutBucketPolicyOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn policy_status(s3: &S3, bucket: &str) -> Answer<GetBucketPolicyStatusOutput> {
    let _: String = get(s3, bucket, POLICY).await?;
    let is_public = s3.governed(bucket).await.map_err(error)?.public_policy;
    answer(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(is_public) }) })
}

pub(super) async fn bucket_acl(s3: &S3, bucket: &str) -> Answer<GetBucketAclOutput> {
    let bucket = s3.governed(bucket).await.map_err(error)?;
    let list = if bucket.acls() { bucket.grants.clone() } else { acl::private(bucket.owner()) };
    answer(GetBucketAclOutput {
        owner: Some(convert::owner(&s3.known, bucket.owner())),
        grants: Some(convert::grants(&s3.known, &list)),
    })
}

pub(super) async fn put_bucket_acl(s3: &S3, req: S3Request<PutBucketAclInput>) -> Answer<PutBucketAclOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let grants = Grants {
        full_control: input.grant_full_control,
        read: input.grant_read,
        write: input.grant_write,
        read_acp: input.grant_read_acp,
        write_acp: input.grant_write_acp,
    };
    let canned = input.acl.as_ref().map(BucketCannedACL::as_str);
    let asked = (canned, &grants, input.access_control_policy);
    set_bucket_acl(s3, &cx, &input.bucket, asked).await.map_err(error)?;
    answer(PutBucketAclOutput::default())
}

/// A bucket's ACL, said in one of three ways.
pub(crate) async fn set_bucket_acl(
    s3: &S3,
    cx: &Cx,
    name: &str,
    (canned, grants, policy): (Option<&str>, &Grants, Option<AccessControlPolicy>),
) -> crate::errors::Result<()> {
    let bucket = s3.governed(name).await?;
    let owner = bucket.owner();
    let asked = s3.grants_asked(&bucket, canned, grants, owner, true)?;
    let said = canned.is_some() || grants.list().iter().any(|(_, header)| header.is_some());
    let list = match (said, policy) {
        (true, Some(_)) => return Err(both_acls()),
        (true, None) => asked,
        (false, Some(policy)) => S3::check_grants(&bucket, None, listed(s3, policy, owner)?)?,
        (false, None) => return Err(no_acl()),
    };
    match list {
        Some(list) => s3.put_setting(cx, name, ACL, &list).await,
        None => Ok(()),
    }
}

pub(super) async fn object_acl(s3: &S3, req: S3Request<GetObjectAclInput>) -> Answer<GetObjectAclOutput> {
    let input = req.input;
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
    let record = s3.head(&named).await.map_err(error)?;
    let owner = if bucket.acls() { record.owner.as_deref().unwrap_or_else(|| bucket.owner()) } else { bucket.owner() };
    let list = record.grants.filter(|_| bucket.acls()).unwrap_or_else(|| acl::private(owner));
    answer(GetObjectAclOutput {
        owner: Some(convert::owner(&s3.known, owner)),
        grants: Some(convert::grants(&s3.known, &list)),
        ..Default::default()
    })
}

pub(super) async fn put_object_acl(s3: &S3, req: S3Request<PutObjectAclInput>) -> Answer<PutObjectAclOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
    let record = s3.head(&named).await.map_err(error)?;
    let owner = record.owner.clone().unwrap_or_else(|| bucket.owner().to_owned());
    let grants = Grants {
        full_control: input.grant_full_control.clone(),
        read: input.grant_read.clone(),
        write: input.grant_write.clone(),
        read_acp: input.grant_read_acp.clone(),
        write_acp: input.grant_write_acp.clone(),
    };
    let canned = input.acl.as_ref().map(ObjectCannedACL::as_str);
    let asked = s3.grants_asked(&bucket, canned, &grants, &owner, false).map_err(error)?;
    let said = canned.is_some() || grants.list().iter().any(|(_, header)| header.is_some());
    let list = match (said, input.access_control_policy) {
        (true, Some(_)) => return Err(error(both_acls())),
        (true, None) => asked,
        (false, Some(policy)) => {
            let list = listed(s3, policy, &owner).map_err(error)?;
            S3::check_grants(&bucket, None, list).map_err(error)?
        }
        (false, None) => return Err(error(no_acl())),
    };
    if let Some(list) = list {
        s3.put_object_grants(&cx, named, list).await.map_err(error)?;
    }
    answer(PutObjectAclOutput::default())
}

fn both_acls() -> wire::Error {
    wire::Error::new("UnexpectedContent", 400, "This request does not support content")
}

fn no_acl() -> wire::Error {
    wire::Error::new(
        "MissingSecurityHeader",
        400,
        "Your request was missing a required header. Specify an ACL in a header or in the body.",
    )
}

/// The grants of a body. The owner in it must be the one that there is.
fn listed(s3: &S3, policy: AccessControlPolicy, owner: &str) -> crate::errors::Result<Vec<acl::Grant>> {
    let malformed = || {
        wire::Error::new(
            "MalformedACLError",
            400,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let said = policy.owner.and_then(|o| o.id).ok_or_else(malformed)?;
    if said != s3.known.canonical(owner) {
        return Err(if s3.known.of_canonical(&said).is_some() {
            crate::errors::access_denied("Access Denied")
        } else {
            crate::errors::invalid_argument("Invalid id")
        });
    }
    let mut list = Vec::new();
    for grant in policy.grants.unwrap_or_default() {
        let permission = grant.permission.and_then(|p| acl::Permission::parse(p.as_str())).ok_or_else(malformed)?;
        let grantee = grant.grantee.ok_or_else(malformed)?;
        let grantee = match (grantee.id, grantee.uri, grantee.email_address) {
            (Some(id), _, _) => acl::of_id(&s3.known, &id)?,
            (None, Some(uri), _) => acl::of_uri(&uri)?,
            (None, None, Some(email)) => acl::of_email(&s3.known, &email)?,
            (None, None, None) => return Err(malformed()),
        };
        list.push(acl::Grant { grantee, permission });
    }
    acl::checked(list)
}

pub(super) async fn lifecycle(s3: &S3, bucket: &str) -> Answer<GetBucketLifecycleConfigurationOutput> {
    let found: BucketLifecycleConfiguration = get(s3, bucket, LIFECYCLE).await?;
    let smallest: Option<String> = s3.setting(bucket, LIFECYCLE_SMALLEST).await.map_err(error)?;
    answer(GetBucketLifecycleConfigurationOutput {
        rules: Some(found.rules),
        transition_default_minimum_object_size: Some(smallest.map_or_else(usual_smallest, Into::into)),
    })
}

/// The smallest objects that rules move where nothing is said.
fn usual_smallest() -> TransitionDefaultMinimumObjectSize {
    TransitionDefaultMinimumObjectSize::from_static(TransitionDefaultMinimumObjectSize::ALL_STORAGE_CLASSES_128K)
}

pub(super) async fn put_lifecycle(
    s3: &S3,
    req: S3Request<PutBucketLifecycleConfigurationInput>,
) -> Answer<PutBucketLifecycleConfigurationOutput> {
    let Some(value) = &req.input.lifecycle_configuration else {
        return Err(s3_error!(MissingRequestBodyError, "Request Body is empty"));
    };
    let cx = cx(&req)?;
    let smallest =
        req.input.transition_default_minimum_object_size.as_ref().map(TransitionDefaultMinimumObjectSize::as_str);
    let smallest = s3.put_lifecycle(&cx, &req.input.bucket, value.clone(), smallest).await.map_err(error)?;
    answer(PutBucketLifecycleConfigurationOutput { transition_default_minimum_object_size: Some(smallest.into()) })
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
    s3.put_ownership(&cx(&req)?, &req.input.bucket, &value).await.map_err(error)?;
    answer(PutBucketOwnershipControlsOutput::default())
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

pub(super) async fn put_notification(
    s3: &S3,
    req: S3Request<PutBucketNotificationConfigurationInput>,
) -> Answer<PutBucketNotificationConfigurationOutput> {
    let cx = cx(&req)?;
    let skip = req.input.skip_destination_validation.unwrap_or(false);
    let config = req.input.notification_configuration;
    s3.put_notification(&cx, &req.input.bucket, config, skip).await.map_err(error)?;
    answer(PutBucketNotificationConfigurationOutput::default())
}

pub(super) async fn put_encryption(
    s3: &S3,
    req: S3Request<PutBucketEncryptionInput>,
) -> Answer<PutBucketEncryptionOutput> {
    let cx = cx(&req)?;
    let value = &req.input.server_side_encryption_configuration;
    s3.put_encryption(&cx, &req.input.bucket, value).await.map_err(error)?;
    answer(PutBucketEncryptionOutput::default())
}

/// Back to what a new bucket has.
pub(super) async fn delete_encryption(s3: &S3, cx: &Cx, bucket: &str) -> Answer<DeleteBucketEncryptionOutput> {
    match s3.usual_encryption() {
        Some(usual) => {
            s3.put_setting(cx, bucket, ENCRYPTION, &usual).await.map_err(error)?;
            answer(DeleteBucketEncryptionOutput::default())
        }
        None => delete(s3, cx, bucket, ENCRYPTION).await,
    }
}

pub(super) async fn put_cors(s3: &S3, req: S3Request<PutBucketCorsInput>) -> Answer<PutBucketCorsOutput> {
    let value = &req.input.cors_configuration;
    super::cors::check(value).map_err(error)?;
    put(s3, &cx(&req)?, &req.input.bucket, CORS, value).await
}

pub(super) async fn put_public_access(
    s3: &S3,
    req: S3Request<PutPublicAccessBlockInput>,
) -> Answer<PutPublicAccessBlockOutput> {
    let asked = &req.input.public_access_block_configuration;
    let value = PublicAccessBlockConfiguration {
        block_public_acls: Some(asked.block_public_acls.unwrap_or(false)),
        block_public_policy: Some(asked.block_public_policy.unwrap_or(false)),
        ignore_public_acls: Some(asked.ignore_public_acls.unwrap_or(false)),
        restrict_public_buckets: Some(asked.restrict_public_buckets.unwrap_or(false)),
    };
    put(s3, &cx(&req)?, &req.input.bucket, PUBLIC_ACCESS, &value).await
}

pub(super) async fn put_payment(
    s3: &S3,
    req: S3Request<PutBucketRequestPaymentInput>,
) -> Answer<PutBucketRequestPaymentOutput> {
    let payer = req.input.request_payment_configuration.payer.as_str();
    if !["Requester", "BucketOwner"].contains(&payer) {
        return Err(error(crate::errors::malformed_xml()));
    }
    put(s3, &cx(&req)?, &req.input.bucket, REQUEST_PAYMENT, &payer).await
}

pub(super) async fn lock_configuration(s3: &S3, bucket: &str) -> Answer<GetObjectLockConfigurationOutput> {
    let found = s3.governed(bucket).await.map_err(error)?;
    if !found.record.object_lock {
        return Err(error(crate::settings::unset(bucket, OBJECT_LOCK)));
    }
    let rule = found.retention.map(|r| ObjectLockRule {
        default_retention: Some(DefaultRetention {
            days: r.days,
            mode: Some(r.mode.name().to_owned().into()),
            years: r.years,
        }),
    });
    answer(GetObjectLockConfigurationOutput {
        object_lock_configuration: Some(ObjectLockConfiguration {
            object_lock_enabled: Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED)),
            rule,
        }),
    })
}

pub(super) async fn put_lock_configuration(
    s3: &S3,
    req: S3Request<PutObjectLockConfigurationInput>,
) -> Answer<PutObjectLockConfigurationOutput> {
    let cx = cx(&req)?;
    let malformed = || error(crate::errors::malformed_xml());
    let config = req.input.object_lock_configuration.ok_or_else(malformed)?;
    if config.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str) != Some("Enabled") {
        return Err(malformed());
    }
    let default = match config.rule {
        None => None,
        Some(rule) => {
            let rule = rule.default_retention.ok_or_else(malformed)?;
            let mode = rule.mode.as_ref().map(ObjectLockRetentionMode::as_str);
            Some(lock::DefaultRetention::checked(mode, rule.days, rule.years).map_err(error)?)
        }
    };
    s3.put_object_lock(&cx, &req.input.bucket, default).await.map_err(error)?;
    answer(PutObjectLockConfigurationOutput::default())
}

pub(super) async fn retention(s3: &S3, req: S3Request<GetObjectRetentionInput>) -> Answer<GetObjectRetentionOutput> {
    let input = req.input;
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    if !bucket.record.object_lock {
        return Err(error(lock::missing()));
    }
    let record =
        s3.head(&Named { bucket: input.bucket, key: input.key, version: input.version_id }).await.map_err(error)?;
    let found = record.retention.ok_or_else(|| error(no_lock()))?;
    answer(GetObjectRetentionOutput {
        retention: Some(ObjectLockRetention {
            mode: Some(found.mode.name().to_owned().into()),
            retain_until_date: Some(convert::time(found.until_ms)),
        }),
    })
}

pub(super) async fn put_retention(
    s3: &S3,
    req: S3Request<PutObjectRetentionInput>,
) -> Answer<PutObjectRetentionOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let malformed = || error(crate::errors::malformed_xml());
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    if !bucket.record.object_lock {
        return Err(error(lock::missing()));
    }
    let asked = input.retention.ok_or_else(malformed)?;
    let retention = match (asked.mode, asked.retain_until_date) {
        // An empty one takes the retention away.
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = Mode::parse(mode.as_str()).ok_or_else(malformed)?;
            let until_ms = convert::millis(&until).ok_or_else(malformed)?;
            if until_ms <= crate::buckets::now_ms(&cx) {
                return Err(s3_error!(InvalidArgument, "The retain until date must be in the future!"));
            }
            Some(lock::Retention { mode, until_ms })
        }
        _ => return Err(malformed()),
    };
    let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    s3.put_retention(&cx, named, retention, bypass).await.map_err(error)?;
    answer(PutObjectRetentionOutput::default())
}

pub(super) async fn legal_hold(s3: &S3, req: S3Request<GetObjectLegalHoldInput>) -> Answer<GetObjectLegalHoldOutput> {
    let input = req.input;
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    if !bucket.record.object_lock {
        return Err(error(lock::missing()));
    }
    let record =
        s3.head(&Named { bucket: input.bucket, key: input.key, version: input.version_id }).await.map_err(error)?;
    let on = record.legal_hold.ok_or_else(|| error(no_lock()))?;
    answer(GetObjectLegalHoldOutput {
        legal_hold: Some(ObjectLockLegalHold { status: Some(if on { "ON" } else { "OFF" }.to_owned().into()) }),
    })
}

pub(super) async fn put_legal_hold(
    s3: &S3,
    req: S3Request<PutObjectLegalHoldInput>,
) -> Answer<PutObjectLegalHoldOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    if !bucket.record.object_lock {
        return Err(error(lock::missing()));
    }
    let status = input.legal_hold.and_then(|h| h.status);
    let on = match status.as_ref().map(ObjectLockLegalHoldStatus::as_str) {
        Some("ON") => true,
        Some("OFF") => false,
        _ => return Err(error(crate::errors::malformed_xml())),
    };
    let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
    s3.put_legal_hold(&cx, named, on).await.map_err(error)?;
    answer(PutObjectLegalHoldOutput::default())
}

fn no_lock() -> wire::Error {
    wire::Error::new(
        "NoSuchObjectLockConfiguration",
        404,
        "The specified object does not have a ObjectLock configuration",
    )
}

pub(super) async fn restore(s3: &S3, req: S3Request<RestoreObjectInput>) -> Answer<RestoreObjectOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let asked = input.restore_request.unwrap_or_default();
    if asked.type_.is_some() || asked.select_parameters.is_some() || asked.output_location.is_some() {
        return Err(error(crate::errors::not_implemented("Restoring with a SELECT")));
    }
    let tier = asked.tier.as_ref().or_else(|| asked.glacier_job_parameters.as_ref().map(|g| &g.tier));
    if tier.is_some_and(|tier| !["Standard", "Bulk", "Expedited"].contains(&tier.as_str())) {
        return Err(error(crate::errors::malformed_xml()));
    }
    let days = asked.days.ok_or_else(|| error(crate::errors::malformed_xml()))?;
    if days <= 0 {
        return Err(s3_error!(InvalidArgument, "The days must be a positive integer"));
    }
    let named = Named { bucket: input.bucket, key: input.key, version: input.version_id };
    let record = s3.head(&named).await.map_err(error)?;
    if !crate::archive::is_archived(&record) {
        return Err(error(wire::Error::new(
            "InvalidObjectState",
            403,
            "Restore is not allowed for the object's current storage class",
        )));
    }
    let until = (crate::buckets::now_ms(&cx) + i64::from(days) * 86_400_000).min(crate::archive::LAST_MS);
    let was = s3.restore(&cx, named, until).await.map_err(error)?;
    let status = if was { http::StatusCode::OK } else { http::StatusCode::ACCEPTED };
    Ok(answer::with_status(RestoreObjectOutput::default(), status))
}

pub(super) async fn put_logging(s3: &S3, req: S3Request<PutBucketLoggingInput>) -> Answer<PutBucketLoggingOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    s3.put_logging(&cx, &input.bucket, input.bucket_logging_status.logging_enabled).await.map_err(error)?;
    answer(PutBucketLoggingOutput::default())
}

/// With `BucketKeyEnabled`, which AWS tells of every rule.
pub(super) async fn encryption(s3: &S3, bucket: &str) -> Answer<GetBucketEncryptionOutput> {
    let mut found: ServerSideEncryptionConfiguration = get(s3, bucket, ENCRYPTION).await?;
    for rule in &mut found.rules {
        rule.bucket_key_enabled.get_or_insert(false);
    }
    answer(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(found) })
}

pub(super) async fn put_metrics(
    s3: &S3,
    req: S3Request<PutBucketMetricsConfigurationInput>,
) -> Answer<PutBucketMetricsConfigurationOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    s3.put_metrics(&cx, &input.bucket, &input.id, input.metrics_configuration).await.map_err(error)?;
    answer(PutBucketMetricsConfigurationOutput::default())
}

pub(super) async fn delete_metrics(
    s3: &S3,
    req: S3Request<DeleteBucketMetricsConfigurationInput>,
) -> Answer<DeleteBucketMetricsConfigurationOutput> {
    s3.delete_metrics(&cx(&req)?, &req.input.bucket, &req.input.id).await.map_err(error)?;
    answer(DeleteBucketMetricsConfigurationOutput::default())
}

pub(super) async fn list_metrics(
    s3: &S3,
    req: S3Request<ListBucketMetricsConfigurationsInput>,
) -> Answer<ListBucketMetricsConfigurationsOutput> {
    let after = req.input.continuation_token;
    let (page, next) = s3.metrics_page(&req.input.bucket, after.as_deref()).await.map_err(error)?;
    answer(ListBucketMetricsConfigurationsOutput {
        continuation_token: after,
        is_truncated: Some(next.is_some()),
        metrics_configuration_list: (!page.is_empty()).then_some(page),
        next_continuation_token: next,
    })
}

pub(super) async fn put_tagging(s3: &S3, req: S3Request<PutBucketTaggingInput>) -> Answer<PutBucketTaggingOutput> {
    check_bucket_tags(&convert::tags(req.input.tagging.tag_set.clone())).map_err(error)?;
    s3.put_setting(&cx(&req)?, &req.input.bucket, TAGGING, &req.input.tagging).await.map_err(error)?;
    // Source: API reference, PutBucketTagging, "Sample Response".
    Ok(answer::with_status(PutBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn versioning(s3: &S3, bucket: &str) -> Answer<GetBucketVersioningOutput> {
    let found = s3.bucket(bucket).await.map_err(error)?;
    let status = found.versioning.map(|v| match v {
        Versioning::Enabled => BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED),
    });
    answer(GetBucketVersioningOutput { mfa_delete: None, status })
}

pub(super) async fn put_versioning(
    s3: &S3,
    req: S3Request<PutBucketVersioningInput>,
) -> Answer<PutBucketVersioningOutput> {
    let value = &req.input.versioning_configuration;
    if value.mfa_delete.as_ref().is_some_and(|m| m.as_str() == MFADelete::ENABLED) {
        return Err(error(crate::errors::not_implemented("MFA delete")));
    }
    let state = match value.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(_) => return Err(error(crate::errors::malformed_xml())),
        None => {
            return Err(s3_error!(IllegalVersioningConfigurationException, "The Versioning element must be specified"));
        }
    };
    s3.put_versioning(&cx(&req)?, &req.input.bucket, state).await.map_err(error)?;
    answer(PutBucketVersioningOutput::default())
}
