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

/// What two jobs have changed and both take back is as it was before both, in either order.
#[tokio::test]
async fn two_attempts_on_one_key() {
    let old = "o".repeat(LONG);
    for (first, second) in [("one", "two"), ("two", "one")] {
        let world = World::new();
        world.root("PUT", "/bucket", "").await;
        let (root, one, two) = (world.cx(), world.attempt("one"), world.attempt("two"));
        for key in ["both", "thrice", "deleted", "written", "gone"] {
            put(&world, &root, key, &old).await;
        }
        let body = |text: &str| text.repeat(LONG);
        put(&world, &one, "both", &body("1")).await;
        put(&world, &two, "both", &body("2")).await;
        put(&world, &one, "thrice", &body("1")).await;
        put(&world, &two, "thrice", &body("2")).await;
        put(&world, &one, "thrice", &body("3")).await;
        put(&world, &one, "deleted", &body("1")).await;
        delete(&world, &two, "deleted").await;
        delete(&world, &one, "written").await;
        put(&world, &two, "written", &body("2")).await;
        delete(&world, &one, "gone").await;
        delete(&world, &two, "gone").await;
        put(&world, &one, "fresh", &body("1")).await;
        put(&world, &two, "fresh", &body("2")).await;
        world.s3.finish_attempt(first, false).await.unwrap();
        world.s3.finish_attempt(second, false).await.unwrap();
        for key in ["both", "thrice", "deleted", "written", "gone"] {
            assert!(content(&world, key).await == old, "{key}, {first} first");
        }
        assert_eq!(content(&world, "fresh").await, "404 NoSuchKey", "{first} first");
    }
}

/// One keeps what it wrote, the other does not.
#[tokio::test]
async fn of_two_attempts_one_stays() {
    for order in [["one", "two"], ["two", "one"]] {
        for stays in ["one", "two"] {
            let world = World::new();
            world.root("PUT", "/bucket", "").await;
            let (root, one, two) = (world.cx(), world.attempt("one"), world.attempt("two"));
            let body = |text: &str| text.repeat(LONG);
            for key in ["both", "deleted"] {
                put(&world, &root, key, &body("o")).await;
            }
            put(&world, &one, "both", &body("1")).await;
            put(&world, &two, "both", &body("2")).await;
            delete(&world, &one, "deleted").await;
            put(&world, &two, "deleted", &body("2")).await;
            for job in order {
                world.s3.finish_attempt(job, job == stays).await.unwrap();
            }
            let both = if stays == "one" { body("1") } else { body("2") };
            assert!(content(&world, "both").await == both, "{order:?}, {stays} stays");
            let deleted = if stays == "one" { "404 NoSuchKey".to_owned() } else { body("2") };
            assert!(content(&world, "deleted").await == deleted, "{order:?}, {stays} stays");
        }
    }
}

#[tokio::test]
async fn what_somebody_else_deletes_stays_deleted() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let (root, one) = (world.cx(), world.attempt("one"));
    let old = "o".repeat(LONG);
    for key in ["written", "deleted", "version", "own"] {
        put(&world, &root, key, &old).await;
    }
    put(&world, &one, "written", &"n".repeat(LONG)).await;
    delete(&world, &root, "written").await;
    delete(&world, &one, "deleted").await;
    delete(&world, &root, "deleted").await;
    delete(&world, &one, "version").await;
    assert_eq!(world.root("DELETE", "/bucket/version?versionId=null", "").await.status, 204);
    put(&world, &one, "own", "n").await;
    delete(&world, &one, "own").await;
    put(&world, &one, "fresh", "n").await;
    delete(&world, &root, "fresh").await;
    world.s3.finish_attempt("one", false).await.unwrap();
    for key in ["written", "deleted", "version", "fresh"] {
        assert_eq!(content(&world, key).await, "404 NoSuchKey", "{key}");
    }
    assert_eq!(content(&world, "own").await, old);
}

#[tokio::test]
async fn another_bucket_of_the_name_is_left_alone() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let (root, one) = (world.cx(), world.attempt("one"));
    put(&world, &root, "k", &"o".repeat(LONG)).await;
    put(&world, &root, "gone", &"o".repeat(LONG)).await;
    put(&world, &one, "k", &"n".repeat(LONG)).await;
    delete(&world, &one, "gone").await;
    delete(&world, &root, "k").await;
    assert_eq!(world.root("DELETE", "/bucket", "").await.status, 204);
    assert_eq!(world.call("other", "PUT", "/bucket", "").await.status, 200);
    world.s3.finish_attempt("one", false).await.unwrap();
    let list = world.call("other", "GET", "/bucket?list-type=2", "").await.text();
    assert!(list.contains("<KeyCount>0</KeyCount>"), "{list}");
    assert_eq!(world.call("other", "DELETE", "/bucket", "").await.status, 204);
}

/// Others have built on what a job had committed of a table: that stays, the rest goes.
#[tokio::test]
async fn what_others_have_built_on_stays() {
    let world = World::new();
    world.root("PUT", "/bucket", "").await;
    let (root, one) = (world.cx(), world.attempt("one"));
    for key in ["t/changed", "tt/changed"] {
        put(&world, &root, key, &"o".repeat(LONG)).await;
    }
    for key in ["t/changed", "t/fresh", "tt/changed", "tt/fresh"] {
        put(&world, &one, key, "new").await;
    }
    world.router.add_participant(world.s3.clone());
    let places = ["s3://bucket/t/".to_owned()];
    for participant in world.router.participants() {
        participant.keep_below("one", &places).await.unwrap();
        participant.keep_below("one", &places).await.unwrap();
    }
    world.s3.finish_attempt("one", false).await.unwrap();
    for key in ["t/changed", "t/fresh"] {
        assert_eq!(content(&world, key).await, "new", "{key}");
    }
    assert_eq!(content(&world, "tt/changed").await, "o".repeat(LONG));
    assert_eq!(content(&world, "tt/fresh").await, "404 NoSuchKey");
}

/// What an attempt says of objects that it has not written is undone as well, but not what somebody else has said since.
#[tokio::test]
async fn what_an_attempt_says_is_taken_back() {
    for commit in [false, true] {
        let world = World::new();
        world.root("PUT", "/bucket", "").await;
        let (root, one) = (world.cx(), world.attempt("one"));
        let tag = |cx: &service::Cx, key: &'static str, value: &'static str| {
            let tag_set = vec![api_s3::Tag { key: "state".into(), value: value.into() }];
            let tagging = api_s3::Tagging { tag_set };
            let input = api_s3::PutObjectTaggingRequest {
                bucket: "bucket".into(),
                key: key.into(),
                tagging,
                ..Default::default()
            };
            let (s3, cx) = (world.s3.clone(), cx.clone());
            async move { Handle::<api_s3::PutObjectTagging>::handle(&*s3, &cx, input).await.unwrap() }
        };
        for key in ["tagged", "written", "theirs", "gone"] {
            put(&world, &root, key, "old").await;
            tag(&root, key, "new").await;
            tag(&one, key, "doing").await;
            tag(&one, key, "done").await;
        }
        put(&world, &one, "written", "new").await;
        tag(&root, "theirs", "seen").await;
        delete(&world, &root, "gone").await;
        put(&world, &root, "gone", "again").await;
        world.s3.finish_attempt("one", commit).await.unwrap();
        let state = |key: &'static str| {
            let world = &world;
            async move {
                let told = world.root("GET", &format!("/bucket/{key}?tagging"), "").await.text();
                told.split("<Value>").nth(1).map(|rest| rest.split('<').next().unwrap_or_default().to_owned())
            }
        };
        let said = |text: &str| Some(text.to_owned());
        let (tagged, written) = if commit { (said("done"), None) } else { (said("new"), said("new")) };
        assert_eq!((state("tagged").await, state("written").await), (tagged, written), "{commit}");
        assert_eq!(content(&world, "written").await, if commit { "new" } else { "old" });
        assert_eq!((state("theirs").await, state("gone").await), (said("seen"), None), "{commit}");
    }
}
