//! S3's operations in the Router's table, so that state machines, stacks and other services call them without HTTP.

mod buckets;
mod objects;
mod settings;

use std::sync::Arc;

use api_s3 as api;
use serde_json::{Value, json};
use service::{Cx, Router, operations};
use wire::Operation;

use crate::S3;
use crate::access::Ask;
pub(crate) use objects::source;

pub(crate) fn register(router: &Router, service: &Arc<S3>) {
    operations!(router, service, api:
        CopyObject, CreateBucket, DeleteBucket, DeleteBucketPolicy, DeleteBucketTagging, DeleteObject, DeleteObjects,
        GetBucketLocation, GetBucketPolicy, GetBucketTagging, GetBucketVersioning, GetObject, GetObjectTagging, HeadBucket,
        HeadObject, ListBuckets, ListObjects, ListObjectsV2, PutBucketEncryption, PutBucketLifecycleConfiguration,
        DeleteBucketCors, DeleteBucketEncryption, DeleteBucketLifecycle, DeleteBucketOwnershipControls, DeletePublicAccessBlock,
        GetBucketCors, GetBucketEncryption, GetBucketLifecycleConfiguration, GetBucketNotificationConfiguration,
        GetBucketOwnershipControls, GetObjectLockConfiguration, GetPublicAccessBlock, PutBucketCors, PutBucketNotificationConfiguration, PutBucketOwnershipControls, PutBucketPolicy, PutBucketTagging,
        PutBucketVersioning, PutObject, PutObjectTagging, PutPublicAccessBlock);
}

/// Members that this door does not serve are refused by name; HTTP has them all.
pub(super) fn refuse(members: &[(&str, bool)]) -> crate::errors::Result<()> {
    match members.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(crate::errors::not_implemented(&format!("{name} in this way of calling"))),
        None => Ok(()),
    }
}

/// What a caller may do here, the bucket's account and its policy decide as well, as they do over HTTP: the names of buckets hold no account,
/// so the Router has asked a role's own policies and nobody else.
pub(super) async fn guard(
    s3: &S3,
    cx: &Cx,
    action: &str,
    (bucket, key, version): (&str, Option<&str>, Option<&str>),
) -> crate::errors::Result<()> {
    let told = version.map_or(Value::Null, |version| json!({ "VersionId": version }));
    guard_told(s3, cx, action, (bucket, key, version), &told).await
}

/// The same, with the members of the input that condition keys are told by.
pub(super) async fn guard_told(
    s3: &S3,
    cx: &Cx,
    action: &str,
    (bucket, key, version): (&str, Option<&str>, Option<&str>),
    told: &Value,
) -> crate::errors::Result<()> {
    let ask = Ask { action, bucket, key, version, keys: &[], input: Some(told) };
    if cx.principal().has_policies() && s3.is_own(cx, &ask).await {
        return Ok(());
    }
    s3.permit(cx, &ask).await
}

/// The same for an operation on a bucket as a whole, whose actions its row names.
pub(super) async fn guard_bucket<O: Operation>(s3: &S3, cx: &Cx, bucket: &str) -> crate::errors::Result<()> {
    for need in O::SPEC.needs {
        guard(s3, cx, need.action, (bucket, None, None)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use service::identity::{Credentials, Identity};
    use service::{Accounts, Principal};
    use store::Store;
    use store::objects::Objects;
    use wire::Error;

    use super::*;

    const OWN: &str = "000000000000";
    const OTHER: &str = "111111111111";

    /// Every role may do everything, as far as its own policies say.
    struct Generous;

    #[async_trait]
    impl Identity for Generous {
        async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
            Ok(None)
        }
        async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
            Ok(())
        }
        async fn role_session(&self, role_arn: &str, _: &str, attempt: Option<&str>) -> Result<Principal, Error> {
            Ok(Principal::role(role_arn, "s", attempt.map(str::to_owned)))
        }
        async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
            Err(Error::not_implemented("issue"))
        }
        async fn revoke(&self, _: &str) -> Result<(), Error> {
            Ok(())
        }
    }

    fn role(account: &str) -> Principal {
        Principal::role(format!("arn:aws:iam::{account}:role/all"), "s", None)
    }

    /// What each operation requires beside the bucket.
    fn parameters(operation: &str) -> Value {
        let mut all = match operation {
            "CopyObject" => json!({ "Key": "copy", "CopySource": "bucket/k" }),
            "DeleteObject" => json!({ "Key": "gone" }),
            "GetObject" | "HeadObject" | "GetObjectTagging" | "PutObject" => json!({ "Key": "k" }),
            "DeleteObjects" => json!({ "Delete": { "Objects": [{ "Key": "gone" }] } }),
            "PutObjectTagging" => json!({ "Key": "k", "Tagging": { "TagSet": [] } }),
            "PutBucketTagging" => json!({ "Tagging": { "TagSet": [] } }),
            "PutBucketEncryption" => json!({ "ServerSideEncryptionConfiguration": { "Rules": [] } }),
            "PutBucketLifecycleConfiguration" => json!({ "LifecycleConfiguration": { "Rules": [
                { "Status": "Enabled", "Prefix": "", "Expiration": { "Days": 1 } }] } }),
            "PutBucketCors" => {
                json!({ "CORSConfiguration": { "CORSRules": [{ "AllowedMethods": ["GET"], "AllowedOrigins": ["*"] }] } })
            }
            "PutBucketNotificationConfiguration" => json!({ "NotificationConfiguration": {} }),
            "PutBucketOwnershipControls" => {
                json!({ "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] } })
            }
            "PutBucketPolicy" => json!({ "Policy": json!({ "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": { "AWS": OWN }, "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::bucket/*" }] }).to_string() }),
            "PutBucketVersioning" => json!({ "VersioningConfiguration": { "Status": "Suspended" } }),
            "PutPublicAccessBlock" => json!({ "PublicAccessBlockConfiguration": {} }),
            _ => json!({}),
        };
        all["Bucket"] = json!("bucket");
        all
    }

    /// What a bucket's policy asks of a request is told by its members.
    #[tokio::test]
    async fn a_policy_asks_about_what_is_called_for() {
        let router = Router::new();
        router.set_identity(Arc::new(Generous));
        let settings = crate::Settings::default();
        let objects = Objects::memory();
        let s3 = S3::new(router.clone(), Store::memory(), objects, (OWN, Accounts::default()), settings).unwrap();
        register(&router, &s3);
        let cx = |principal| Cx::new(router.clone(), principal, OWN, "us-east-1");
        let call = |principal: Principal, name: &'static str, input: Value| {
            let cx = cx(principal);
            async move { cx.call_json("s3", name, input).await.map_err(|error| error.code().to_owned()) }
        };
        let own = || Principal::root(OWN);
        call(own(), "CreateBucket", json!({ "Bucket": "bucket" })).await.unwrap();
        let tagged = json!({ "Bucket": "bucket", "Key": "in/secret", "Body": "x", "Tagging": "class=secret" });
        call(own(), "PutObject", tagged).await.unwrap();
        let deny = |action: &str, resource: &str, condition: Value| json!({ "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, "Condition": condition });
        let policy = json!({ "Version": "2012-10-17", "Statement": [
            deny("s3:ListBucket", "arn:aws:s3:::bucket", json!({ "StringNotLike": { "s3:prefix": "in/*" } })),
            deny("s3:PutObject", "arn:aws:s3:::bucket/*", json!({ "StringNotEquals": { "s3:x-amz-server-side-encryption": "AES256" } })),
            deny("s3:GetObject", "arn:aws:s3:::bucket/*", json!({ "StringEquals": { "s3:ExistingObjectTag/class": "secret" } })),
            deny("s3:PutObject", "arn:aws:s3:::bucket/*", json!({ "StringEquals": { "s3:RequestObjectTag/class": "secret" } })),
        ] });
        call(own(), "PutBucketPolicy", json!({ "Bucket": "bucket", "Policy": policy.to_string() })).await.unwrap();
        let of = |more: Value| {
            let mut input = json!({ "Bucket": "bucket" });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let put = |more: Value| {
            let mut input = of(json!({ "Key": "in/k", "Body": "x" }));
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        for who in [own(), role(OWN)] {
            let call = |name, input| call(who.clone(), name, input);
            call("ListObjectsV2", of(json!({ "Prefix": "in/a" }))).await.unwrap();
            call("PutObject", put(json!({ "ServerSideEncryption": "AES256" }))).await.unwrap();
            call("GetObject", of(json!({ "Key": "in/k" }))).await.unwrap();
            for (name, input) in [
                ("ListObjectsV2", of(json!({}))),
                ("ListObjects", of(json!({ "Prefix": "out/" }))),
                ("PutObject", put(json!({}))),
                ("PutObject", put(json!({ "ServerSideEncryption": "AES256", "Tagging": "class=secret" }))),
                ("GetObject", of(json!({ "Key": "in/secret" }))),
            ] {
                assert_eq!(call(name, input.clone()).await.unwrap_err(), "AccessDenied", "{name} {input}");
            }
        }
    }

    /// Whoever calls in process has all of it in the server's memory.
    #[tokio::test]
    async fn what_is_read_at_once_is_bounded() {
        let router = Router::new();
        router.set_identity(Arc::new(Generous));
        let settings = crate::Settings::default();
        let objects = Objects::memory();
        let s3 = S3::new(router.clone(), Store::memory(), objects, (OWN, Accounts::default()), settings).unwrap();
        register(&router, &s3);
        let cx = Cx::new(router.clone(), Principal::root(OWN), OWN, "us-east-1");
        cx.call_json("s3", "CreateBucket", json!({ "Bucket": "bucket" })).await.unwrap();
        let of = |key: &str, range: Option<&str>| api::GetObjectRequest {
            bucket: "bucket".to_owned(),
            key: key.to_owned(),
            range: range.map(str::to_owned),
            ..api::GetObjectRequest::default()
        };
        for (key, size) in [("fits", 1 << 20), ("large", (1 << 20) + 1)] {
            let body: Vec<u8> = (0..=255).cycle().take(size).collect();
            let put = api::PutObjectRequest {
                bucket: "bucket".to_owned(),
                key: key.to_owned(),
                body: Some(wire::Blob(body.into())),
                ..api::PutObjectRequest::default()
            };
            cx.call::<api::PutObject>(put).await.unwrap();
        }
        let body = |output: api::GetObjectOutput| output.body.unwrap().0;
        let whole = body(cx.call::<api::GetObject>(of("fits", None)).await.unwrap());
        assert_eq!((whole.len(), whole[1000], whole[(1 << 20) - 1]), (1 << 20, 232, 255));
        let refused = cx.call::<api::GetObject>(of("large", None)).await.unwrap_err();
        assert!(refused.is("InvalidRequest") && refused.message().contains("1048577 bytes"), "{refused:?}");
        let end = body(cx.call::<api::GetObject>(of("large", Some("bytes=1-1048576"))).await.unwrap());
        assert_eq!((end.len(), end[0], end[(1 << 20) - 1]), (1 << 20, 1, 0));
    }

    #[tokio::test]
    async fn another_accounts_bucket_is_closed() {
        let router = Router::new();
        router.set_identity(Arc::new(Generous));
        let settings = crate::Settings::default();
        let objects = Objects::memory();
        let s3 = S3::new(router.clone(), Store::memory(), objects, (OWN, Accounts::default()), settings).unwrap();
        register(&router, &s3);
        let cx = |account: &str, principal| Cx::new(router.clone(), principal, account, "us-east-1");
        let own = cx(OWN, Principal::root(OWN));
        let call = |cx: Cx, name: &'static str| {
            let mut input = parameters(name);
            if name == "ListBuckets" {
                input = json!({});
            }
            let router = &router;
            async move { router.call_json(&cx, "s3", name, input).await }
        };
        call(own.clone(), "CreateBucket").await.unwrap();
        call(own.clone(), "PutObject").await.unwrap();
        let names: Vec<&str> = router.operations().iter().map(|spec| spec.name).collect();
        assert!(names.len() > 30);
        let foreign = [
            cx(OTHER, Principal::root(OTHER)),
            cx(OTHER, role(OTHER)),
            // Let into the account by what another service has, which says nothing of buckets.
            cx(OWN, role(OTHER)),
        ];
        for name in names.iter().filter(|name| !matches!(**name, "CreateBucket" | "ListBuckets")) {
            for cx in &foreign {
                let answer = call(cx.clone(), name).await;
                assert_eq!(answer.unwrap_err().code(), "AccessDenied", "{name} by {:?}", cx.principal());
            }
        }
        let listed = call(foreign[0].clone(), "ListBuckets").await.unwrap();
        assert!(listed["Buckets"].as_array().is_none_or(Vec::is_empty), "{listed}");
        // And open to its own, and to the platform.
        for cx in [own, cx(OWN, role(OWN)), cx(OWN, Principal::Platform), cx(OTHER, Principal::Platform)] {
            for name in names.iter().filter(|name| !matches!(**name, "CreateBucket" | "DeleteBucket")) {
                if let Err(error) = call(cx.clone(), name).await {
                    assert_ne!(error.status(), 403, "{name} by {:?}: {error}", cx.principal());
                }
            }
        }
    }
}
