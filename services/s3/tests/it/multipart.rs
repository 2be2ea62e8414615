//! Uploads in parts whose completion fails, comes twice, or meets a part that is uploaded again: nothing that was acknowledged is without
//! its bytes.

use bytes::Bytes;

use crate::{Answer, World};

/// More than is kept with the metadata.
const LONG: usize = 40_000;

async fn world() -> World {
    let world = World::new();
    assert_eq!(world.root("PUT", "/bucket", "").await.status, 200);
    world
}

async fn begin(world: &World, key: &str) -> String {
    let begun = world.root("POST", &format!("/bucket/{key}?uploads"), "").await.text();
    begun.split_once("<UploadId>").unwrap().1.split_once('<').unwrap().0.to_owned()
}

async fn part(world: &World, (key, id): (&str, &str), body: &Bytes) -> Answer {
    world.root("PUT", &format!("/bucket/{key}?partNumber=1&uploadId={id}"), body.clone()).await
}

fn etag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

async fn complete(world: &World, (key, id): (&str, &str), etag: &str, headers: &[(&'static str, &str)]) -> Answer {
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let uri = format!("/bucket/{key}?uploadId={id}");
    world.send("root", "secret", None, "POST", &uri, headers, body.into()).await
}

#[tokio::test]
async fn a_completion_that_is_refused_leaves_the_parts() {
    let world = world().await;
    let body = Bytes::from(vec![7; LONG]);
    world.root("PUT", "/bucket/k", "there already").await;
    for (key, header, expected) in [
        ("k", ("if-none-match", "*"), "412 PreconditionFailed"),
        ("k", ("if-match", "\"00000000000000000000000000000000\""), "412 PreconditionFailed"),
        ("none", ("if-match", "\"00000000000000000000000000000000\""), "404 NoSuchKey"),
        ("wrong", ("x-amz-mp-object-size", "1"), "400 InvalidRequest"),
    ] {
        let id = begin(&world, key).await;
        let etag = etag(&part(&world, (key, &id), &body).await);
        assert_eq!(complete(&world, (key, &id), &etag, &[header]).await.error(), expected, "{header:?}");
        let listed = world.root("GET", &format!("/bucket/{key}?uploadId={id}"), "").await.text();
        assert!(listed.contains(&etag.replace('"', "&quot;")) || listed.contains(&etag), "{listed}");
        assert_eq!(complete(&world, (key, &id), &etag, &[]).await.status, 200, "{header:?}");
        assert_eq!(world.root("GET", &format!("/bucket/{key}"), "").await.body, body, "{header:?}");
        // Asked again, with what cannot hold any more: the first one's answer. Source: API reference, CompleteMultipartUpload.
        assert_eq!(complete(&world, (key, &id), &etag, &[("if-none-match", "*")]).await.status, 200, "{header:?}");
        assert_eq!(world.root("GET", &format!("/bucket/{key}"), "").await.body, body, "{header:?}");
    }
}

/// Some rounds, for they meet in every order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn completions_and_parts_that_meet() {
    let world = world().await;
    let body = Bytes::from(vec![7; LONG]);
    for n in 0..30 {
        let key = format!("k{n}");
        let id = begin(&world, &key).await;
        let at = (key.as_str(), id.as_str());
        let etag = etag(&part(&world, at, &body).await);
        let (one, two, again) = tokio::join!(
            complete(&world, at, &etag, &[("if-none-match", "*")]),
            complete(&world, at, &etag, &[("if-none-match", "*")]),
            part(&world, at, &body),
        );
        assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200), "{} {}", one.text(), two.text());
        assert!(again.status == 200 || again.error() == "404 NoSuchUpload", "{}", again.text());
        assert_eq!(world.root("GET", &format!("/bucket/{key}"), "").await.body, body, "{n}");
    }
    assert!(!world.root("GET", "/bucket?uploads", "").await.text().contains("<Upload>"));
}
