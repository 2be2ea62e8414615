//! Queries as time passes: after 45 days they are forgotten.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;
use service::Router;
use store::{Clock, Store, SystemClock};

use super::{Bench, bench_on};

/// The real time, and what a test has let pass.
#[derive(Debug, Default)]
struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now() + jiff::SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep(time)
    }
    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

impl Shifted {
    fn pass_days(&self, days: i64) {
        self.0.fetch_add(days * 24 * 60 * 60, Ordering::Relaxed);
    }
}

impl Bench {
    /// One that is over.
    async fn stopped(&self, group: &str, token: &str) -> String {
        let input = json!({"QueryString": "SELECT 1", "WorkGroup": group, "ClientRequestToken": token.repeat(32),
            "ResultConfiguration": {"OutputLocation": "s3://results/"}});
        let id = self.call("startQueryExecution", input).await["QueryExecutionId"].as_str().unwrap().to_owned();
        self.call("stopQueryExecution", json!({"QueryExecutionId": id})).await;
        id
    }

    async fn is_known(&self, id: &str) -> bool {
        self.try_call("getQueryExecution", json!({"QueryExecutionId": id})).await.is_ok()
    }
}

#[tokio::test]
async fn a_query_is_forgotten_after_45_days() {
    let clock = Arc::new(Shifted::default());
    let bench = bench_on(Router::with_clock(clock.clone()), &Store::memory());
    let free = json!({"EnforceWorkGroupConfiguration": false});
    bench.call("createWorkGroup", json!({"Name": "g", "Configuration": free})).await;
    let mut old = Vec::new();
    // More than one page of them.
    for n in 0..120 {
        old.push(bench.stopped(if n % 2 == 0 { "primary" } else { "g" }, &char::from(b'!' + n).to_string()).await);
    }
    clock.pass_days(44);
    let young = bench.stopped("primary", "\u{e4}").await;
    clock.pass_days(2);
    let hasten = bench.platform.control.store().write(|tx| tx.hasten_task("athena:sweep"));
    hasten.await.unwrap();
    let running = bench.platform.control.start();
    for id in &old {
        while bench.is_known(id).await {
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
    }
    running.abort();
    assert!(bench.is_known(&young).await);
    let listed = bench.call("listQueryExecutions", json!({})).await;
    assert_eq!(listed["QueryExecutionIds"], json!([young]));
    assert_eq!(bench.call("listQueryExecutions", json!({"WorkGroup": "g"})).await["QueryExecutionIds"], json!([]));
    // Its token asks anew; that of the young one does not.
    assert!(!old.contains(&bench.stopped("g", "!").await));
    assert_eq!(bench.stopped("primary", "\u{e4}").await, young);
}
