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

/// Each common prefix is told once, however small the pages are.
#[tokio::test]
async fn uploads_are_listed_page_by_page() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    for key in ["a/1", "a/1", "a/2", "b", "b", "c/1", "d"] {
        assert_eq!(world.root("POST", &format!("/bucket/{key}?uploads"), "").await.status, 200);
    }
    let field = |text: &str, name: &str| -> Vec<String> {
        let open = format!("<{name}>");
        let parts = text.split(&open).skip(1);
        parts.map(|part| part.split('<').next().unwrap_or_default().to_owned()).collect()
    };
    for (delimiter, want) in
        [("%2F", vec!["a/", "b", "b", "c/", "d"]), ("", vec!["a/1", "a/1", "a/2", "b", "b", "c/1", "d"])]
    {
        for max in [1, 2, 3, 100] {
            let (mut seen, mut markers) = (Vec::new(), String::new());
            loop {
                let uri = format!("/bucket?delimiter={delimiter}{markers}&max-uploads={max}&uploads");
                let text = world.root("GET", &uri, "").await.text();
                let mut page = field(&text, "Key");
                let rolled = text.split("<CommonPrefixes>").skip(1);
                page.extend(rolled.map(|part| field(part, "Prefix").remove(0)));
                assert!(page.len() <= max, "{text}");
                seen.extend(page);
                if !text.contains("<IsTruncated>true") {
                    break;
                }
                let key = field(&text, "NextKeyMarker").remove(0).replace('/', "%2F");
                let id = field(&text, "NextUploadIdMarker").pop().unwrap_or_default();
                let id = if id.is_empty() { id } else { format!("&upload-id-marker={id}") };
                markers = format!("&key-marker={key}{id}");
            }
            seen.sort();
            assert_eq!(seen, want, "{delimiter} {max}");
        }
    }
}
