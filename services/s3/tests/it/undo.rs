//! What a superseded attempt wrote is undone, what an ended one wrote stays.

use crate::World;
use service::Handle;

async fn put(world: &World, cx: &service::Cx, key: &str, body: &str) {
    let input = api_s3::PutObjectRequest {
        bucket: "bucket".into(),
        key: key.into(),
        body: Some(wire::Blob::new(body.to_owned())),
        ..Default::default()
    };
    Handle::<api_s3::PutObject>::handle(&*world.s3, cx, input).await.unwrap();
}

async fn delete(world: &World, cx: &service::Cx, key: &str) {
    let input = api_s3::DeleteObjectRequest { bucket: "bucket".into(), key: key.into(), ..Default::default() };
    Handle::<api_s3::DeleteObject>::handle(&*world.s3, cx, input).await.unwrap();
}

async fn content(world: &World, key: &str) -> String {
    let answer = world.root("GET", &format!("/bucket/{key}"), "").await;
    if answer.status == 200 { answer.text() } else { answer.error() }
}

const LONG: usize = 40_000;

#[tokio::test]
async fn a_superseded_attempt_is_undone() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let (root, one) = (world.cx(), world.attempt("one"));
    let (old, new) = ("o".repeat(LONG), "n".repeat(LONG));
    for key in ["kept", "changed", "deleted", "other"] {
        put(&world, &root, key, &old).await;
    }
    put(&world, &one, "changed", &new).await;
    put(&world, &one, "changed", "twice").await;
    put(&world, &one, "fresh", &new).await;
    delete(&world, &one, "deleted").await;
    put(&world, &one, "other", &new).await;
    put(&world, &root, "other", "of somebody else").await;

    world.s3.finish_attempt("one", false).await.unwrap();
    world.s3.finish_attempt("one", false).await.unwrap();
    for key in ["kept", "changed", "deleted"] {
        assert_eq!(content(&world, key).await, old, "{key}");
    }
    assert_eq!(content(&world, "fresh").await, "404 NoSuchKey");
    assert_eq!(content(&world, "other").await, "of somebody else");
}

#[tokio::test]
async fn a_finished_attempt_stays() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let one = world.attempt("one");
    put(&world, &world.cx(), "changed", "old").await;
    put(&world, &one, "changed", "new").await;
    put(&world, &one, "fresh", "new").await;
    world.s3.finish_attempt("one", true).await.unwrap();
    world.s3.finish_attempt("one", false).await.unwrap();
    assert_eq!(content(&world, "changed").await, "new");
    assert_eq!(content(&world, "fresh").await, "new");
}

#[tokio::test]
async fn nothing_of_an_attempt_comes_after_its_end() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let (first, late) = (world.attempt("job#1"), world.attempt("job#2"));
    let write = |cx: service::Cx| {
        let input = api_s3::PutObjectRequest { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
        let s3 = world.s3.clone();
        async move { Handle::<api_s3::PutObject>::handle(&*s3, &cx, input).await }
    };
    let refused = write(first).await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("ExpiredTokenException", 403));
    write(late.clone()).await.unwrap();
    world.router.add_participant(world.s3.clone());
    assert!(world.router.holds_attempts("job").await.unwrap());
    world.router.finish_attempts("job", service::attempts::Outcome::Commit).await.unwrap();
    assert!(!world.router.holds_attempts("job").await.unwrap());
    assert_eq!(content(&world, "k").await, "");
    assert_eq!(write(late).await.unwrap_err().code(), "ExpiredTokenException");
}
