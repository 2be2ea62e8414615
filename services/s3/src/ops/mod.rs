//! S3's operations in the Router's table, so that state machines, stacks and other services call them without HTTP.

mod buckets;
mod objects;
mod settings;

use std::sync::Arc;

use api_s3 as api;
use service::{Cx, Router, operations};

use crate::S3;
use crate::access::Ask;
pub(crate) use objects::source;

pub(crate) fn register(router: &Router, service: &Arc<S3>) {
    operations!(router, service, api:
        CopyObject, CreateBucket, DeleteBucket, DeleteBucketPolicy, DeleteBucketTagging, DeleteObject, DeleteObjects,
        GetBucketLocation, GetBucketPolicy, GetBucketTagging, GetBucketVersioning, GetObject, GetObjectTagging, HeadBucket,
        HeadObject, ListBuckets, ListObjects, ListObjectsV2, PutBucketEncryption, PutBucketLifecycleConfiguration,
        DeleteBucketCors, DeleteBucketEncryption, DeleteBucketLifecycle, DeleteBucketOwnershipControls, DeletePublicAccessBlock,
        GetPublicAccessBlock, PutBucketCors, PutBucketNotificationConfiguration, PutBucketOwnershipControls, PutBucketPolicy, PutBucketTagging,
        PutBucketVersioning, PutObject, PutObjectTagging, PutPublicAccessBlock);
}

/// Members that this door does not serve are refused by name; HTTP has them all.
pub(super) fn refuse(members: &[(&str, bool)]) -> crate::errors::Result<()> {
    match members.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(crate::errors::not_implemented(&format!("{name} in this way of calling"))),
        None => Ok(()),
    }
}

/// What a role may do here, the bucket's policy decides as well, as it does over HTTP: the Router has asked the role's own policies.
pub(super) async fn guard(
    s3: &S3,
    cx: &Cx,
    action: &str,
    named: (&str, Option<&str>, Option<&str>),
) -> crate::errors::Result<()> {
    if !cx.principal().has_policies() {
        return Ok(());
    }
    let (bucket, key, version) = named;
    if s3.governed(bucket).await.is_ok_and(|b| b.policy.is_none()) {
        return Ok(());
    }
    s3.permit(cx, &Ask { action, bucket, key, version, keys: &[] }).await
}
