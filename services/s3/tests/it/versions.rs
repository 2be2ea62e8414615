//! Versions, and what may be done to them: through the door and as attempts leave them.

use service::Handle;

use crate::World;

const ON: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const OFF: &str = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";

async fn world(state: &'static str) -> World {
    let world = World::new();
    assert_eq!(world.root("PUT", "/bucket", "").await.status, 200);
    assert_eq!(world.root("PUT", "/bucket/k", "before").await.status, 200);
    assert_eq!(world.root("PUT", "/bucket?versioning", state).await.status, 200);
    world
}

fn version(answer: &crate::Answer) -> String {
    answer.headers["x-amz-version-id"].to_str().unwrap().to_owned()
}

async fn content(world: &World, at: &str) -> String {
    let answer = world.root("GET", &format!("/bucket/{at}"), "").await;
    if answer.status == 200 { answer.text() } else { answer.error() }
}

#[tokio::test]
async fn old_versions_stay() {
    let world = world(ON).await;
    let one = version(&world.root("PUT", "/bucket/k", "one").await);
    let two = version(&world.root("PUT", "/bucket/k", "two").await);
    assert_eq!(content(&world, "k").await, "two");
    assert_eq!(content(&world, &format!("k?versionId={one}")).await, "one");
    assert_eq!(content(&world, "k?versionId=null").await, "before");
    let gone = world.root("DELETE", "/bucket/k", "").await;
    assert_eq!((gone.status.as_u16(), gone.headers["x-amz-delete-marker"].to_str().unwrap()), (204, "true"));
    let missing = world.root("GET", "/bucket/k", "").await;
    assert_eq!(
        (missing.error().as_str(), missing.headers["x-amz-delete-marker"].to_str().unwrap()),
        ("404 NoSuchKey", "true")
    );
    assert_eq!(content(&world, &format!("k?versionId={}", version(&gone))).await, "405 MethodNotAllowed");
    assert_eq!(world.root("DELETE", &format!("/bucket/k?versionId={}", version(&gone)), "").await.status, 204);
    assert_eq!(content(&world, "k").await, "two");
    assert_eq!(world.root("DELETE", &format!("/bucket/k?versionId={two}"), "").await.status, 204);
    assert_eq!(content(&world, "k").await, "one");
    assert_eq!(world.root("DELETE", "/bucket", "").await.error(), "409 BucketNotEmpty");
}

#[tokio::test]
async fn the_null_version_is_one() {
    let world = world(OFF).await;
    assert_eq!(version(&world.root("PUT", "/bucket/k", "one").await), "null");
    assert_eq!(content(&world, "k?versionId=null").await, "one");
    assert_eq!(world.root("PUT", "/bucket?versioning", ON).await.status, 200);
    let two = version(&world.root("PUT", "/bucket/k", "two").await);
    assert_eq!(world.root("PUT", "/bucket?versioning", OFF).await.status, 200);
    assert_eq!(version(&world.root("PUT", "/bucket/k", "three").await), "null");
    assert_eq!(content(&world, &format!("k?versionId={two}")).await, "two");
    let list = world.root("GET", "/bucket?versions", "").await.text();
    assert_eq!(list.matches("<VersionId>null</VersionId>").count(), 1, "{list}");
}

#[tokio::test]
async fn an_attempt_is_undone_in_versions_too() {
    for (state, commit) in [(ON, false), (ON, true), (OFF, false), (OFF, true)] {
        let world = world(state).await;
        let cx = world.attempt("a1");
        for body in ["by the attempt", "by the attempt again"] {
            let input = api_s3::PutObjectRequest {
                bucket: "bucket".into(),
                key: "k".into(),
                body: Some(wire::Blob::new(body.to_owned())),
                ..Default::default()
            };
            Handle::<api_s3::PutObject>::handle(&*world.s3, &cx, input).await.unwrap();
        }
        world.s3.finish_attempt("a1", commit).await.unwrap();
        let expected = if commit { "by the attempt again" } else { "before" };
        assert_eq!(content(&world, "k").await, expected, "{state} {commit}");
        let list = world.root("GET", "/bucket?versions", "").await.text();
        let versions = match (state == ON, commit) {
            (true, true) => 3,
            _ => 1,
        };
        assert_eq!(list.matches("<Version>").count(), versions, "{state} {commit}: {list}");
    }
}

/// Two attempts, of which the second takes away what the first wrote, and both are undone.
#[tokio::test]
async fn two_attempts_are_undone_in_versions_too() {
    for state in [ON, OFF] {
        for order in [["a1", "a2"], ["a2", "a1"]] {
            let world = world(state).await;
            for attempt in ["a1", "a2"] {
                let cx = world.attempt(attempt);
                let input = api_s3::PutObjectRequest {
                    bucket: "bucket".into(),
                    key: "k".into(),
                    body: Some(wire::Blob::new(attempt.repeat(20_000))),
                    ..Default::default()
                };
                let made = Handle::<api_s3::PutObject>::handle(&*world.s3, &cx, input).await.unwrap();
                if attempt == "a1" && state == ON {
                    let input = api_s3::DeleteObjectRequest {
                        bucket: "bucket".into(),
                        key: "k".into(),
                        version_id: made.version_id,
                        ..Default::default()
                    };
                    Handle::<api_s3::DeleteObject>::handle(&*world.s3, &world.attempt("a2"), input).await.unwrap();
                }
            }
            for attempt in order {
                world.s3.finish_attempt(attempt, false).await.unwrap();
            }
            assert_eq!(content(&world, "k").await, "before", "{state} {order:?}");
            let list = world.root("GET", "/bucket?versions", "").await.text();
            assert_eq!(list.matches("<Version>").count(), 1, "{state} {order:?}: {list}");
        }
    }
}
