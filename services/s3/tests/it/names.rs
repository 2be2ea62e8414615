//! A bucket's name, given up and taken by another account while a request is on its way.

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::StreamBody;
use hyper::body::Frame;

use crate::{Answer, World, presigned};

/// The bucket is deleted, and made by another account, before the last bytes of a body come.
async fn while_the_bucket_changes(world: &World, path: &str, more: &str, body: &'static str) -> Answer {
    assert_eq!(world.root("PUT", "/taken", "").await.status, 200);
    let other = World { router: world.router.clone(), s3: world.s3.clone(), door: world.door.clone() };
    let (first, last) = body.split_at(1);
    let first = futures::stream::iter([Bytes::from(first)]);
    let last = futures::stream::once(async move {
        assert_eq!(other.root("DELETE", "/taken", "").await.status, 204);
        assert_eq!(other.call("other", "PUT", "/taken", "").await.status, 200);
        Bytes::from(last)
    });
    let frames = first.chain(last).map(|bytes| Ok::<_, std::io::Error>(Frame::data(bytes)));
    let body_of = s3s::Body::http_body_unsync(StreamBody::new(frames));
    let length = body.len().to_string();
    let headers = [("content-length", length.as_str())];
    world.plain("PUT", &presigned("PUT", path, more, 0), &headers, body_of).await
}

#[tokio::test]
async fn what_was_allowed_of_one_bucket_is_not_done_to_another_of_its_name() {
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::taken/*"}]}"#;
    let ownership =
        "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>";
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    for (path, more, body, then) in [
        ("/taken/k", "", "bytes", "404 NoSuchKey"),
        ("/taken", "policy=&", policy, "404 NoSuchBucketPolicy"),
        ("/taken", "ownershipControls=&", ownership, ""),
        ("/taken", "tagging=&", tags, "404 NoSuchTagSet"),
        ("/taken", "versioning=&", versioning, ""),
    ] {
        let world = World::new();
        let answer = while_the_bucket_changes(&world, path, more, body).await;
        assert_eq!(answer.error(), "404 NoSuchBucket", "{path} {more} {}", answer.text());
        let now = world.call("other", "GET", &format!("{path}?{}", more.trim_end_matches('&')), "").await;
        if then.is_empty() {
            assert!(!["ObjectWriter", "Enabled"].iter().any(|set| now.text().contains(set)), "{more} {}", now.text());
        } else {
            assert_eq!(now.error(), then, "{path} {more}");
        }
    }
}
