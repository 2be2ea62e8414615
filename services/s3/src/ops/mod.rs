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
        GetBucketLogging, GetBucketOwnershipControls, GetObjectLockConfiguration, GetPublicAccessBlock, PutBucketAcl, PutBucketCors,
        PutBucketLogging, PutBucketNotificationConfiguration, PutBucketOwnershipControls, PutBucketPolicy, PutBucketTagging,
        PutObjectLockConfiguration,
        PutBucketVersioning, PutObject, PutObjectTagging, PutPublicAccessBlock);
}

/// Members that this door does not serve are refused by name; HTTP has them all.
pub(super) fn refuse(members: &[(&str, bool)]) -> crate::errors::Result<()> {
    match members.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(crate::errors::not_implemented(&format!("{name} in this way of calling"))),
        None => Ok(()),
    }
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    /// `ExpectedBucketOwner`: whose bucket the caller takes it for.
    pub(super) owner: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub(super) fn bucket(bucket: &'a str, owner: Option<&'a str>) -> Self {
        Self { bucket, key: None, version: None, owner }
    }
    pub(super) fn object(bucket: &'a str, key: &'a str, version: Option<&'a str>, owner: Option<&'a str>) -> Self {
        Self { bucket, key: Some(key), version, owner }
    }
}

/// What a caller may do here, the bucket's account and its policy decide as well, as they do over HTTP: the names of buckets hold no account,
/// so the Router has asked a role's own policies and nobody else.
pub(super) async fn guard<O: Operation>(s3: &S3, cx: &Cx, action: &str, place: Place<'_>) -> crate::errors::Result<()> {
    let told = place.version.map_or(Value::Null, |version| json!({ "VersionId": version }));
    guard_told::<O>(s3, cx, action, place, &told).await
}

/// The same, with the members of the input that condition keys are told by.
pub(super) async fn guard_told<O: Operation>(
    s3: &S3,
    cx: &Cx,
    action: &str,
    place: Place<'_>,
    told: &Value,
) -> crate::errors::Result<()> {
    s3.owner_is_expected(place.bucket, place.owner).await?;
    let Place { bucket, key, version, .. } = place;
    let upload = matches!(O::SPEC.name, "PutObject" | "CopyObject");
    let ask = Ask { action, bucket, key, version, keys: &[], input: Some(told), upload };
    // What the operation's row does not name, nobody has asked yet.
    let asked = O::SPEC.needs.iter().any(|need| need.action == action);
    if asked && cx.principal().has_policies() && s3.is_own(cx, &ask).await {
        return Ok(());
    }
    s3.permit(cx, &ask).await
}

/// The same for an operation on a bucket as a whole, whose actions its row names.
pub(super) async fn guard_bucket<O: Operation>(
    s3: &S3,
    cx: &Cx,
    (bucket, owner): (&str, Option<&str>),
) -> crate::errors::Result<()> {
    for need in O::SPEC.needs {
        guard::<O>(s3, cx, need.action, Place::bucket(bucket, owner)).await?;
    }
    Ok(())
}

/// The two members of an input that say which bucket it is about.
macro_rules! home {
    ($input:expr) => {
        ($input.bucket.as_str(), $input.expected_bucket_owner.as_deref())
    };
}
pub(super) use home;

/// The place that an input names.
macro_rules! place {
    ($input:expr) => {
        $crate::ops::Place::object(
            &$input.bucket,
            &$input.key,
            $input.version_id.as_deref(),
            $input.expected_bucket_owner.as_deref(),
        )
    };
}
pub(super) use place;

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
            "PutBucketEncryption" => json!({ "ServerSideEncryptionConfiguration": { "Rules": [
                { "ApplyServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }] } }),
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
            "PutBucketLogging" => json!({ "BucketLoggingStatus": {} }),
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

    /// A service over nothing, with its operations in the table, and a caller.
    fn world(identity: impl Identity + 'static) -> (Arc<Router>, Cx) {
        let router = Router::new();
        router.set_identity(Arc::new(identity));
        let (objects, settings) = (Objects::memory(), crate::Settings::default());
        let s3 = S3::new(router.clone(), Store::memory(), objects, (OWN, Accounts::default()), settings).unwrap();
        register(&router, &s3);
        let cx = Cx::new(router.clone(), Principal::root(OWN), OWN, "us-east-1");
        (router, cx)
    }

    /// Names of buckets are given up and taken by others: whose a caller takes it for is asked by every operation that has the member.
    #[tokio::test]
    async fn a_bucket_of_another_owner_than_is_expected_is_left_alone() {
        let (router, own) = world(Generous);
        let call = |name: &'static str, more: Value| {
            let mut input = parameters(name);
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let (router, own) = (&router, own.clone());
            async move { router.call_json(&own, "s3", name, input).await }
        };
        call("CreateBucket", json!({})).await.unwrap();
        call("PutObject", json!({})).await.unwrap();
        let has = |spec: &&wire::OperationSpec| match spec.input {
            wire::schema::Shape::Structure(input) => input.members.iter().any(|m| m.name == "ExpectedBucketOwner"),
            _ => false,
        };
        let specs = router.operations();
        let names: Vec<&'static str> = specs.iter().filter(|spec| has(spec)).map(|spec| spec.name).collect();
        assert!(names.len() > 30, "{names:?}");
        for name in &names {
            let refused = call(name, json!({ "ExpectedBucketOwner": OTHER })).await.unwrap_err();
            assert_eq!((refused.code(), refused.status()), ("AccessDenied", 403), "{name}");
            let none = call(name, json!({ "ExpectedBucketOwner": "me" })).await.unwrap_err();
            assert_eq!(none.code(), "InvalidBucketOwnerAWSAccountID", "{name}");
        }
        let refused = call("CopyObject", json!({ "ExpectedSourceBucketOwner": OTHER })).await.unwrap_err();
        assert_eq!(refused.code(), "AccessDenied");
        for name in names.iter().filter(|name| **name != "DeleteBucket") {
            if let Err(error) = call(name, json!({ "ExpectedBucketOwner": OWN })).await {
                assert_ne!(error.status(), 403, "{name}: {error}");
            }
        }
    }

    /// Every role may delete what is current, and nothing else.
    struct Deletes;

    #[async_trait]
    impl Identity for Deletes {
        async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
            Ok(None)
        }
        async fn authorize(&self, _: &Principal, action: &str, _: &str) -> Result<(), Error> {
            if action == "s3:DeleteObject" { Ok(()) } else { Err(Error::access_denied(action)) }
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

    #[tokio::test]
    async fn who_may_delete_a_key_may_not_delete_its_versions() {
        let (router, own) = world(Deletes);
        let role = own.as_principal(role(OWN));
        let call = |cx: &Cx, name: &'static str, input: Value| {
            let (router, cx) = (&router, cx.clone());
            async move { router.call_json(&cx, "s3", name, input).await }
        };
        let made = json!({ "Bucket": "bucket", "ObjectLockEnabledForBucket": true });
        call(&own, "CreateBucket", made).await.unwrap();
        let put = call(&own, "PutObject", json!({ "Bucket": "bucket", "Key": "k", "Body": "x" })).await.unwrap();
        let version = put["VersionId"].clone();
        let delete = |objects: Value, bypass: bool| json!({ "Bucket": "bucket", "Delete": { "Objects": objects }, "BypassGovernanceRetention": bypass });
        for bypass in [false, true] {
            let input = delete(json!([{ "Key": "k", "VersionId": version }]), bypass);
            assert_eq!(call(&role, "DeleteObjects", input).await.unwrap_err().code(), "AccessDenied", "{bypass}");
        }
        let both = delete(json!([{ "Key": "k", "VersionId": version }, { "Key": "k" }]), false);
        let told = call(&role, "DeleteObjects", both).await.unwrap();
        assert_eq!(
            (told["Deleted"].as_array().unwrap().len(), &told["Errors"][0]["Code"]),
            (1, &json!("AccessDenied"))
        );
        // The version is there still, behind a delete marker.
        let head = json!({ "Bucket": "bucket", "Key": "k", "VersionId": version });
        call(&own, "HeadObject", head).await.unwrap();
    }

    /// What cannot be obeyed is refused when it is set, by this door as by the other.
    #[tokio::test]
    async fn a_setting_that_could_not_be_obeyed_is_refused() {
        let (router, own) = world(Generous);
        let call = |name: &'static str, member: &'static str, value: Value| {
            let (router, own) = (&router, own.clone());
            async move { router.call_json(&own, "s3", name, json!({ "Bucket": "bucket", member: value })).await }
        };
        call("CreateBucket", "Tags", Value::Null).await.unwrap();
        let by = |default: Value| json!({ "ApplyServerSideEncryptionByDefault": default });
        let good = by(json!({ "SSEAlgorithm": "AES256" }));
        for (rules, code) in [
            (json!([]), "MalformedXML"),
            (json!([{ "BucketKeyEnabled": true }]), "MalformedXML"),
            (json!([good, good]), "MalformedXML"),
            (json!([by(json!({ "SSEAlgorithm": "aws:kms:dsse" }))]), "NotImplemented"),
            (json!([by(json!({ "SSEAlgorithm": "AES256", "KMSMasterKeyID": "k" }))]), "InvalidArgument"),
        ] {
            let set = json!({ "Rules": rules });
            let refused = call("PutBucketEncryption", "ServerSideEncryptionConfiguration", set.clone()).await;
            assert_eq!(refused.unwrap_err().code(), code, "{set}");
        }
        let set = json!({ "Rules": [good] });
        call("PutBucketEncryption", "ServerSideEncryptionConfiguration", set).await.unwrap();
        let elsewhere =
            json!({ "Bucket": "other", "CreateBucketConfiguration": { "LocationConstraint": "eu-west-2" } });
        let cx = own.with_region("eu-west-1");
        let refused = router.call_json(&cx, "s3", "CreateBucket", elsewhere).await.unwrap_err();
        assert_eq!(refused.code(), "IllegalLocationConstraintException");
        let tagged =
            json!({ "Bucket": "other", "CreateBucketConfiguration": { "Tags": [{ "Key": "aws:a", "Value": "" }] } });
        assert_eq!(router.call_json(&own, "s3", "CreateBucket", tagged).await.unwrap_err().code(), "InvalidTag");
    }

    /// A task that a crash cut short calls again under its id: it is answered as the first time, whatever its own writing has changed.
    #[tokio::test]
    async fn a_task_that_calls_again_gets_its_first_answer() {
        let (router, own) = world(Generous);
        let call = |name: &'static str, input: Value| {
            let (router, cx) = (&router, own.with_task(&format!("{name} {input}")));
            async move { router.call_json(&cx, "s3", name, input).await }
        };
        let calls = [
            ("CreateBucket", json!({ "Bucket": "bucket" })),
            ("PutObject", json!({ "Bucket": "bucket", "Key": "k", "Body": "x", "IfNoneMatch": "*" })),
            ("CopyObject", json!({ "Bucket": "bucket", "Key": "copy", "CopySource": "bucket/k", "IfNoneMatch": "*" })),
            (
                "DeleteObjects",
                json!({ "Bucket": "bucket", "Delete": { "Objects": [{ "Key": "k" }, { "Key": "copy" }] } }),
            ),
        ];
        for (name, input) in &calls {
            let first = call(name, input.clone()).await.unwrap();
            assert_eq!(call(name, input.clone()).await.unwrap(), first, "{name}");
        }
        let bucket = json!({ "Bucket": "bucket" });
        call("DeleteBucket", bucket.clone()).await.unwrap();
        call("DeleteBucket", bucket.clone()).await.unwrap();
        let another = router.call_json(&own.with_task("another"), "s3", "DeleteBucket", bucket).await;
        assert_eq!(another.unwrap_err().code(), "NoSuchBucket");
    }

    /// Members that HTTP has as headers and queries count here as well.
    #[tokio::test]
    async fn what_is_asked_of_a_read_or_a_list_is_obeyed() {
        let (router, own) = world(Generous);
        let call = |name: &'static str, input: Value| {
            let (router, own) = (&router, own.clone());
            async move { router.call_json(&own, "s3", name, input).await }
        };
        for name in ["one", "two"] {
            call("CreateBucket", json!({ "Bucket": name.repeat(2) })).await.unwrap();
        }
        let put = json!({ "Bucket": "oneone", "Key": "a b", "Body": "hello", "ContentLength": 4 });
        assert_eq!(call("PutObject", put).await.unwrap_err().code(), "IncompleteBody");
        call("PutObject", json!({ "Bucket": "oneone", "Key": "a b", "Body": "hello" })).await.unwrap();
        let of = |more: Value| {
            let mut input = json!({ "Bucket": "oneone", "Key": "a b" });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let refused = call("GetObject", of(json!({ "PartNumber": 2 }))).await.unwrap_err();
        assert_eq!((refused.code(), refused.status()), ("InvalidPartNumber", 416));
        let head = call("HeadObject", of(json!({ "Range": "bytes=1-2", "ResponseContentType": "a/b" }))).await.unwrap();
        assert_eq!((&head["ContentLength"], &head["ContentRange"]), (&json!(2), &json!("bytes 1-2/5")));
        assert_eq!(head["ContentType"], "a/b");
        let summed = call("GetObject", of(json!({ "ChecksumMode": "ENABLED" }))).await.unwrap();
        assert!(summed["ChecksumCRC64NVME"].is_string(), "{summed}");
        let listed = json!({ "Bucket": "oneone", "EncodingType": "url", "FetchOwner": true });
        let listed = call("ListObjectsV2", listed).await.unwrap();
        assert_eq!((&listed["Contents"][0]["Key"], &listed["EncodingType"]), (&json!("a+b"), &json!("url")));
        assert!(listed["Contents"][0]["Owner"]["ID"].is_string(), "{listed}");
        let first = call("ListBuckets", json!({ "MaxBuckets": 1 })).await.unwrap();
        assert_eq!(first["Buckets"].as_array().unwrap().len(), 1);
        let next = json!({ "ContinuationToken": first["ContinuationToken"] });
        assert_eq!(call("ListBuckets", next).await.unwrap()["Buckets"][0]["Name"], "twotwo");
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
