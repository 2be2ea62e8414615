//! Every operation of S3's model that writes, and requests that are none: what is not served is refused by name and changes nothing.

use std::io::Read as _;

use bytes::Bytes;
use serde_json::Value;

use crate::World;

/// The door has a function for it.
fn served(name: &str) -> bool {
    include_str!("../../src/door/mod.rs").contains(&format!("S3Request<{name}Input>"))
}

fn model() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/s3.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Operation, method, URI and headers.
type Write = (String, String, String, Vec<(String, String)>);

/// A request with all that is required, of each operation that is on the wire a write.
fn writes(model: &Value) -> Vec<Write> {
    let mut all = Vec::new();
    for (name, op) in model["operations"].as_object().unwrap() {
        let method = op["http"]["method"].as_str().unwrap();
        if !matches!(method, "PUT" | "POST" | "DELETE") {
            continue;
        }
        let input = &model["shapes"][op["input"]["shape"].as_str().unwrap()];
        let mut uri = op["http"]["requestUri"].as_str().unwrap().replace("{Bucket}", "bucket").replace("{Key+}", "k");
        let mut headers = Vec::new();
        for member in input["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let member = &input["members"][member];
            let wire = member["locationName"].as_str().unwrap_or_default();
            match member["location"].as_str() {
                Some("querystring") => {
                    uri = format!("{uri}{}{wire}=1", if uri.contains('?') { '&' } else { '?' });
                }
                Some("header") => headers.push((wire.to_lowercase(), "bucket/other".to_owned())),
                _ => {}
            }
        }
        all.push((name.clone(), method.to_owned(), uri, headers));
    }
    all
}

async fn send(world: &World, method: &str, uri: &str, headers: &[(String, String)]) -> crate::Answer {
    let headers: Vec<(&'static str, &str)> =
        headers.iter().map(|(name, value)| (&*name.clone().leak(), value.as_str())).collect();
    world.send("root", "secret", None, method, uri, &headers, Bytes::from_static(b"<a/>")).await
}

async fn kept(world: &World) -> bool {
    world.root("GET", "/bucket/k", "").await.text() == "kept"
}

async fn world() -> World {
    let world = World::new();
    assert_eq!(world.root("PUT", "/bucket", "").await.status, 200);
    assert_eq!(world.root("PUT", "/bucket/k", "kept").await.status, 200);
    world
}

#[tokio::test]
async fn every_write_of_the_model_is_served_or_refused() {
    let model = model();
    let world = world().await;
    for (name, method, uri, headers) in writes(&model) {
        if served(&name) {
            continue;
        }
        // A deprecated operation has the same request as its successor; Object Lambda's has a host of its own.
        if model["operations"][&name]["deprecated"] == true || name == "WriteGetObjectResponse" {
            continue;
        }
        let answer = send(&world, &method, &uri, &headers).await;
        assert_eq!(answer.error(), "400 NotImplemented", "{name}: {method} {uri}");
        assert!(answer.text().contains(&name), "{name}: {}", answer.text());
        assert!(kept(&world).await, "{name}: {method} {uri} changed the object");
    }
}

#[tokio::test]
async fn what_a_served_write_would_pass_over_is_refused() {
    let world = world().await;
    for (name, method, uri, headers) in writes(&model()) {
        let more = format!("{uri}{}future=1", if uri.contains('?') { '&' } else { '?' });
        let answer = send(&world, &method, &more, &headers).await;
        if name != "WriteGetObjectResponse" {
            assert_eq!(answer.error(), "400 NotImplemented", "{name}: {method} {more}");
        }
        for header in ["x-amz-future", "if-modified-since"] {
            let mut headers = headers.clone();
            headers.push((header.to_owned(), "1".to_owned()));
            let answer = send(&world, &method, &uri, &headers).await;
            if name != "WriteGetObjectResponse" {
                assert_eq!(answer.error(), "400 NotImplemented", "{name}: {method} {uri} with {header}");
            }
        }
        assert!(kept(&world).await, "{name}: {method} {uri} changed the object");
    }
}

#[tokio::test]
async fn what_aws_passes_over_is_passed_over() {
    let world = world().await;
    let answer = world.root("PUT", "/bucket/k?x-id=PutObject&x-mine=1", "new").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.root("GET", "/bucket/k?x-id=GetObject", "").await.text(), "new");
    assert_eq!(world.root("GET", "/bucket/k?annotation", "").await.error(), "400 NotImplemented");
    let answer =
        world.send("root", "secret", None, "GET", "/bucket", &[("if-none-match", "\"1\"")], Bytes::new()).await;
    assert_eq!(answer.status, 200);
}

async fn deleted(world: &World, name: &'static str, value: &'static str) -> String {
    let body = Bytes::from_static(b"<Delete><Object><Key>k</Key></Object></Delete>");
    world.send("root", "secret", None, "POST", "/digests?delete", &[(name, value)], body).await.error()
}

/// What a document is held against: its MD5, or a checksum. None is passed over, whatever it is named.
#[tokio::test]
async fn documents_are_held_against_their_digests() {
    let world = World::new();
    assert_eq!(world.root("PUT", "/digests", "").await.status, 200);
    for (name, right, wrong) in [
        ("content-md5", "5DKh5iefM5MSKvRILIuFwQ==", "AAAAAAAAAAAAAAAAAAAAAA=="),
        (
            "x-amz-checksum-sha256",
            "N3LHxLM6RcANrxrdozvL0QrfTWiSV7BCaLd/CXMfyF0=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        ("x-amz-checksum-xxhash3", "8/AmICokXdA=", "AAAAAAAAAAA="),
    ] {
        assert_eq!(deleted(&world, name, right).await, "200 ", "{name}");
        assert_eq!(deleted(&world, name, wrong).await, "400 BadDigest", "{name}");
    }
    let tags = Bytes::from_static(b"<Tagging><TagSet/></Tagging>");
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
    let answer = world.send("root", "secret", None, "PUT", "/digests?tagging", &wrong, tags).await;
    assert_eq!(answer.error(), "400 BadDigest");
    for (headers, message) in [
        (vec![("x-amz-checksum-foo", "x")], "The algorithm type you specified in x-amz-checksum- header is invalid."),
        (vec![("x-amz-sdk-checksum-algorithm", "FOO")], "Value for x-amz-sdk-checksum-algorithm header is invalid."),
        (
            vec![("x-amz-sdk-checksum-algorithm", "SHA256")],
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
        ),
    ] {
        let answer = world.send("root", "secret", None, "PUT", "/digests/k", &headers, Bytes::from_static(b"x")).await;
        assert_eq!(answer.error(), "400 InvalidRequest", "{headers:?}");
        assert!(answer.text().contains(message), "{}", answer.text());
    }
    let named = [("x-amz-sdk-checksum-algorithm", "MD5"), ("x-amz-checksum-md5", "nUTkdZGHrnWpy8FXg2b0PQ==")];
    let answer = world.send("root", "secret", None, "PUT", "/digests/k", &named, Bytes::from_static(b"x")).await;
    assert_eq!(answer.error(), "400 BadDigest");
}
