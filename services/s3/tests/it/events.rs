//! Events of object changes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use service::{Cx, Handle};
use store::objects::Objects;
use store::{Queue, Store};
use tokio::sync::mpsc;
use wire::Error;

use crate::{ACCOUNT, World};

struct Bus(mpsc::UnboundedSender<api_events::PutEventsRequestEntry>);

#[async_trait]
impl Handle<api_events::PutEvents> for Bus {
    async fn handle(
        &self,
        _: &Cx,
        input: api_events::PutEventsRequest,
    ) -> Result<api_events::PutEventsResponse, Error> {
        for entry in input.entries {
            self.0.send(entry).unwrap();
        }
        Ok(api_events::PutEventsResponse { failed_entry_count: Some(0), ..Default::default() })
    }
}

#[tokio::test]
async fn changes_reach_the_bus() {
    let store = Store::memory();
    let world = World::over(store.clone(), Objects::memory());
    let (send, mut receive) = mpsc::unbounded_channel();
    world.router.register::<api_events::PutEvents, _>(&Arc::new(Bus(send)));
    let queue = Queue::new(store);
    queue.register("s3:event", 4, world.s3.clone());
    let _running = queue.start();

    world.root("PUT", "/bucket", "").await;
    world.root("PUT", "/bucket/before", "x").await;
    let bridge = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    assert_eq!(world.root("PUT", "/bucket?notification", bridge).await.status, 200);
    world.root("PUT", "/bucket/in/k.csv", "hello").await;
    world.root("DELETE", "/bucket/in/k.csv", "").await;

    let mut seen = Vec::new();
    while seen.len() < 2 {
        let next = tokio::time::timeout(Duration::from_mins(10), receive.recv());
        seen.push(next.await.unwrap().unwrap());
    }
    seen.sort_by_key(|e| e.detail_type.clone());
    let details: Vec<serde_json::Value> =
        seen.iter().map(|e| serde_json::from_str(e.detail.as_deref().unwrap()).unwrap()).collect();
    assert_eq!(seen[0].detail_type.as_deref(), Some("Object Created"));
    assert_eq!(seen[0].source.as_deref(), Some("aws.s3"));
    assert_eq!(details[0]["object"]["key"], "in/k.csv");
    assert_eq!(details[0]["object"]["size"], 5);
    assert_eq!(details[0]["reason"], "PutObject");
    assert_eq!(details[0]["requester"], ACCOUNT);
    assert_eq!(seen[1].detail_type.as_deref(), Some("Object Deleted"));
    assert_eq!(details[1]["object"]["key"], "in/k.csv");
}

/// Of what an attempt does nobody is told before it counts, and of what is undone nobody at all.
#[tokio::test]
async fn an_attempt_is_told_of_when_it_counts() {
    let store = Store::memory();
    let world = World::over(store.clone(), Objects::memory());
    let (send, mut receive) = mpsc::unbounded_channel();
    world.router.register::<api_events::PutEvents, _>(&Arc::new(Bus(send)));
    let queue = Queue::new(store);
    queue.register("s3:event", 1, world.s3.clone());
    let _running = queue.start();
    world.root("PUT", "/bucket", "").await;
    let bridge = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    assert_eq!(world.root("PUT", "/bucket?notification", bridge).await.status, 200);
    let write = |cx: Cx, key: &'static str| {
        let input = api_s3::PutObjectRequest { bucket: "bucket".into(), key: key.into(), ..Default::default() };
        let s3 = world.s3.clone();
        async move { Handle::<api_s3::PutObject>::handle(&*s3, &cx, input).await.unwrap() }
    };
    let (undone, kept) = (world.attempt("undone"), world.attempt("kept"));
    for _ in 0..2 {
        write(undone.clone(), "undone").await;
        write(kept.clone(), "kept").await;
    }
    world.root("PUT", "/bucket/first", "x").await;
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_mins(10), receive.recv()).await.unwrap().unwrap();
        let detail: serde_json::Value = serde_json::from_str(next.detail.as_deref().unwrap()).unwrap();
        detail["object"]["key"].as_str().unwrap().to_owned()
    };
    assert_eq!(next().await, "first");
    world.s3.finish_attempt("undone", false).await.unwrap();
    world.s3.finish_attempt("kept", true).await.unwrap();
    world.root("PUT", "/bucket/last", "x").await;
    let mut seen = [next().await, next().await, next().await];
    seen.sort();
    assert_eq!(seen, ["kept", "kept", "last"]);
    // Of what was undone nothing is left that could be told.
    world.router.add_participant(world.s3.clone());
    assert!(!world.router.holds_attempts("undone").await.unwrap());
}
