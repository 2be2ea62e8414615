//! Whether a trail's bucket lets CloudTrail in. Source: CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail".

use serde_json::Value;
use service::Cx;
use service::policy::{Asked, Caller, Verdict, asked_about, evaluate_for};
use wire::Error;

use crate::trail::Trail;

pub(crate) const SERVICE: &str = "cloudtrail.amazonaws.com";
/// What objects are put with.
pub(crate) const ACL: &str = "bucket-owner-full-control";

/// Fails with `NoSuchBucket`, or with `AccessDenied` where the policy of the bucket does not let the trail's objects in.
pub(crate) async fn may_put(own: &Cx, trail: &Trail, region: &str) -> Result<(), Error> {
    let bucket = &trail.bucket;
    let denied =
        || Error::new("AccessDenied", 403, format!("The policy of the bucket {bucket} does not let CloudTrail in"));
    let request = api_s3::GetBucketPolicyRequest { bucket: bucket.clone(), ..Default::default() };
    let policy = match own.call::<api_s3::GetBucketPolicy>(request).await {
        Err(error) if error.is("NoSuchBucketPolicy") => return Err(denied()),
        other => other?.policy.unwrap_or_default(),
    };
    let policy: Value = serde_json::from_str(&policy).map_err(Error::internal)?;
    let (action, resource) =
        ("s3:PutObject", format!("arn:aws:s3:::{bucket}/{}/CloudTrail/{region}/x", trail.folder()));
    let arn = trail.arn();
    let keys = [
        ("aws:PrincipalIsAWSService", "true"),
        ("aws:SecureTransport", "true"),
        ("aws:SourceAccount", trail.account.as_str()),
        ("aws:SourceArn", arn.as_str()),
        ("s3:x-amz-acl", ACL),
    ];
    let given = |key: &String| keys.iter().any(|(name, _)| name.eq_ignore_ascii_case(key));
    let unknown: Vec<String> =
        asked_about(std::slice::from_ref(&policy), action).into_iter().filter(|key| !given(key)).collect();
    let asked = Asked { action, resource: &resource, keys: &keys, unknown: &unknown };
    let caller = Caller { account: "", arns: &[], canonical: "", service: SERVICE };
    if evaluate_for(&policy, caller, asked) == Verdict::Allowed { Ok(()) } else { Err(denied()) }
}
