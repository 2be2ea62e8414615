//! S3's HTTP door, with signed requests and hostile ones.

use std::sync::Arc;

use bytes::Bytes;
use s3_service::{DefaultEncryption, Settings};
use service::Router;
use store::Store;
use store::objects::Objects;

use crate::{Keys, World};

#[tokio::test]
async fn objects_come_back() {
    let world = World::new();
    assert_eq!(world.root("PUT", "/bucket", "").await.status, 200);
    let put = world.root("PUT", "/bucket/a/b%20c%2B.txt", "hello").await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.headers["etag"], "\"5d41402abc4b2a76b9719d911017c592\"");
    assert!(!put.headers.contains_key("x-amz-server-side-encryption"), "nothing is said that is not so");
    let got = world.root("GET", "/bucket/a/b%20c%2B.txt", "").await;
    assert_eq!((got.status.as_u16(), got.text().as_str()), (200, "hello"));
    let large = Bytes::from(vec![7; 3 * 1024 * 1024]);
    assert_eq!(world.root("PUT", "/bucket/large", large.clone()).await.status, 200);
    assert_eq!(world.root("GET", "/bucket/large", "").await.body, large);
    let part = world.send("root", "secret", None, "GET", "/bucket/large", &[("range", "bytes=-3")], Bytes::new()).await;
    assert_eq!((part.status.as_u16(), part.body.len()), (206, 3));
    let list = world.root("GET", "/bucket?list-type=2&delimiter=%2F", "").await.text();
    assert!(list.contains("<Prefix>a/</Prefix>") && list.contains("<Key>large</Key>"), "{list}");
    assert_eq!(world.root("DELETE", "/bucket", "").await.error(), "409 BucketNotEmpty");
    for key in ["a/b%20c%2B.txt", "large", "never"] {
        assert_eq!(world.root("DELETE", &format!("/bucket/{key}"), "").await.status, 204);
    }
    assert_eq!(world.root("DELETE", "/bucket", "").await.status, 204);
}

#[tokio::test]
async fn what_is_refused() {
    let world = World::new();
    world.root("PUT", "/open", "").await;
    world.root("PUT", "/open/k", "x").await;
    let cases = [
        ("GET", "/none/k", "", "404 NoSuchBucket"),
        ("GET", "/open/none", "", "404 NoSuchKey"),
        ("POST", "/open?delete", "<Delete><Obj", "400 MalformedXML"),
        ("PUT", "/open?versioning", "nonsense", "400 MalformedXML"),
        ("PUT", "/Bad_Name", "", "400 InvalidBucketName"),
        ("GET", "/open?policy", "", "404 NoSuchBucketPolicy"),
    ];
    for (method, uri, body, expected) in cases {
        assert_eq!(world.root(method, uri, body).await.error(), expected, "{method} {uri}");
    }
    let none = Bytes::new();
    let refused = [
        (("root", "wrong", None), "403 SignatureDoesNotMatch"),
        (("nobody", "secret", None), "403 InvalidAccessKeyId"),
        (("role", "secret", None), "400 InvalidToken"),
        (("role", "secret", Some("other")), "400 InvalidToken"),
        (("old", "secret", Some("t")), "400 ExpiredToken"),
        (("root", "secret", Some("t")), "400 InvalidToken"),
    ];
    for ((access, secret, token), expected) in refused {
        let answer = world.send(access, secret, token, "GET", "/open/k", &[], none.clone()).await;
        assert_eq!(answer.error(), expected, "{access} {token:?}");
    }
    assert_eq!(world.call("role", "GET", "/open/k", "").await.text(), "x");
    assert_eq!(world.call("role", "PUT", "/open/k", "y").await.error(), "403 AccessDenied");
    assert_eq!(world.call("role", "GET", "/open?list-type=2", "").await.error(), "403 AccessDenied");
    let delete = "<Delete><Object><Key>k</Key></Object></Delete>";
    let answer = world.call("role", "POST", "/open?delete", delete).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("<Code>AccessDenied</Code>"), "each key has its own outcome: {}", answer.text());
    assert_eq!(world.root("GET", "/open/k", "").await.text(), "x");
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let body = Bytes::from(vec![1; 100_000]);
    for header in [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), ("x-amz-checksum-crc32", "AAAAAA==")] {
        let answer = world.send("root", "secret", None, "PUT", "/bucket/k", &[header], body.clone()).await;
        assert_eq!(answer.error(), "400 BadDigest");
    }
    assert_eq!(world.root("GET", "/bucket/k", "").await.error(), "404 NoSuchKey");
}

#[tokio::test]
async fn writes_can_be_conditional() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let create = [("if-none-match", "*")];
    let put = |headers: [(&'static str, &'static str); 1]| {
        let world = &world;
        async move { world.send("root", "secret", None, "PUT", "/bucket/k", &headers, "hello".into()).await }
    };
    assert_eq!(put(create).await.status, 200);
    assert_eq!(put(create).await.error(), "412 PreconditionFailed");
    assert_eq!(put([("if-match", "\"5d41402abc4b2a76b9719d911017c592\"")]).await.status, 200);
    assert_eq!(put([("if-match", "\"00000000000000000000000000000000\"")]).await.error(), "412 PreconditionFailed");
}

#[tokio::test]
async fn open_files_are_for_whom_the_bytes_are_for() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::over(Store::memory(), Objects::disk(folder.path()).unwrap());
    world.root("PUT", "/bucket", "").await;
    let large = Bytes::from(vec![7; 300_000]);
    world.root("PUT", "/bucket/large", large.clone()).await;
    world.root("PUT", "/bucket/small", "hello").await;
    let sealed = [("x-amz-server-side-encryption", "AES256")];
    world.send("root", "secret", None, "PUT", "/bucket/sealed", &sealed, large.clone()).await;

    let (answer, files) = world.files("root", "/bucket/large").await;
    assert_eq!((answer.status.as_u16(), answer.body.len(), files.len(), files[0].1), (200, 0, 1, 300_000));
    world.root("PUT", "/bucket/large", "another").await;
    let mut bytes = vec![0; 300_000];
    std::os::unix::fs::FileExt::read_exact_at(&*files[0].0, &mut bytes, 0).unwrap();
    assert_eq!(large, bytes, "what was handed over stays as it was");

    for (key, size) in [("small", 5), ("sealed", 300_000)] {
        let (answer, files) = world.files("root", &format!("/bucket/{key}")).await;
        assert_eq!((answer.status.as_u16(), answer.body.len(), files.len()), (200, size, 0), "{key}");
    }
    let (answer, files) = world.files("nobody", "/bucket/sealed").await;
    assert_eq!((answer.status.as_u16(), files.len()), (403, 0));
}

/// Source: S3 User Guide, "Setting default server-side encryption behavior": what is deleted is only what was set otherwise.
#[tokio::test]
async fn a_new_bucket_encrypts_as_the_settings_say() {
    let router = Router::new();
    router.set_identity(Arc::new(Keys));
    let settings = Settings { default_encryption: DefaultEncryption::Aes256, ..Settings::default() };
    let world = World::with(router, Store::memory(), Objects::memory(), settings);
    world.root("PUT", "/bucket", "").await;
    for changed in [false, true] {
        if changed {
            assert_eq!(world.root("DELETE", "/bucket?encryption", "").await.status, 204);
        }
        let told = world.root("GET", "/bucket?encryption", "").await;
        assert!(told.text().contains("<SSEAlgorithm>AES256</SSEAlgorithm>"), "{}", told.text());
        let put = world.root("PUT", "/bucket/k", "hello").await;
        assert_eq!(put.headers["x-amz-server-side-encryption"], "AES256");
        assert_eq!(world.root("GET", "/bucket/k", "").await.text(), "hello");
    }
}
