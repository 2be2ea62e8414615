//! How long it is remembered what has run: job runs, workflow runs, crawls and results of data quality, a page at a time, for as long as
//! AWS tells of them. What is under way is never old.
//!
//! Sources: AWS Glue Developer Guide, "Job run statuses" (job and workflow runs: 90 days); API Reference, ListCrawls ("only retains up to
//! 12 months of crawls"). Of results of data quality AWS says nothing; they go a year after they were found.

use std::sync::Arc;
use std::time::Duration;

use api_glue::CrawlerHistory;
use jiff::SignedDuration;
use store::{Key, Tx};
use wire::{Error, Timestamp};

use crate::quality::ResultRecord;
use crate::scope::Scope;
use crate::{Glue, crawlers, jobs, sessions, workflows};

/// Before the first round: a server that has just started has other things to do.
const FIRST: Duration = Duration::from_mins(10);
const EVERY: Duration = Duration::from_hours(6);
/// Between two pages.
const BREATH: Duration = Duration::from_millis(50);
/// Records looked at in one transaction.
const PAGE: usize = 200;
const OF_RUNS: SignedDuration = SignedDuration::from_hours(90 * 24);
const OF_CRAWLS: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Whether a record is of before then. What belongs to it is removed by this, the record itself by the caller.
type IsOld = fn(&mut Tx<'_>, &Scope, &[u8], &[u8], Timestamp) -> Result<bool, Error>;

/// A kind of record, and what of it goes.
struct Kept {
    kind: &'static str,
    time: SignedDuration,
    is_old: IsOld,
}

static KINDS: [Kept; 6] = [
    Kept { kind: "session", time: OF_RUNS, is_old: sessions::is_old },
    Kept { kind: "jobrun", time: OF_RUNS, is_old: jobs::is_old },
    Kept { kind: "workflow-run", time: OF_RUNS, is_old: workflows::is_old },
    Kept { kind: "crawl", time: OF_CRAWLS, is_old: crawl_is_old },
    Kept { kind: "crawl-trigger", time: SignedDuration::ZERO, is_old: origin_is_old },
    Kept { kind: "dq-result", time: OF_CRAWLS, is_old: result_is_old },
];

/// Forgets for ever.
pub(crate) async fn run(service: Arc<Glue>) {
    let clock = service.platform.router.clock().clone();
    clock.sleep(FIRST).await;
    loop {
        match round(&service).await {
            Ok(0) => {}
            Ok(records) => tracing::info!(records, "forgot runs, crawls and results that were old"),
            Err(error) => tracing::warn!(%error, "runs, crawls and results that are old could not be forgotten"),
        }
        clock.sleep(EVERY).await;
    }
}

/// One look at all records; answers how many went.
pub(crate) async fn round(service: &Glue) -> Result<usize, Error> {
    let router = &service.platform.router;
    let (mut gone, mut from) = (0, Key::new("glue").into_bytes());
    while let Some(scope) = service.store.read(|tx| next_scope(tx, &from)).await? {
        for kept in &KINDS {
            let before = Timestamp(router.now() - kept.time);
            let mut after = Vec::new();
            loop {
                let (of, at) = (scope.clone(), after.clone());
                let (next, old) = service.store.write(move |tx| turn(tx, &of, kept, &at, before)).await?;
                gone += old;
                let Some(next) = next else { break };
                after = next;
                router.clock().sleep(BREATH).await;
            }
        }
        let Some(next) = store::key::prefix_end(of(&scope).as_bytes()) else { break };
        from = next;
    }
    Ok(gone)
}

fn of(scope: &Scope) -> Key {
    Key::new("glue").push(&scope.account).push(&scope.region)
}

/// The account and region of the first record from here on.
fn next_scope(tx: &mut Tx<'_>, from: &[u8]) -> Result<Option<Scope>, Error> {
    let all = Key::new("glue");
    let end = store::key::prefix_end(all.as_bytes());
    let found = tx.scan(from, end.as_deref(), 1, false)?;
    Ok(found.first().and_then(|(key, _)| {
        let text = |part: &Vec<u8>| String::from_utf8(part.clone()).ok();
        let parts = Key::parts(key);
        Some(Scope { account: text(parts.get(1)?)?, region: text(parts.get(2)?)? })
    }))
}

/// One page: where the next one begins, and how many records went.
fn turn(
    tx: &mut Tx<'_>,
    scope: &Scope,
    kept: &Kept,
    after: &[u8],
    before: Timestamp,
) -> Result<(Option<Vec<u8>>, usize), Error> {
    let page = tx.scan_after(scope.key(kept.kind), after, PAGE)?;
    let mut gone = 0;
    for (key, value) in &page {
        if (kept.is_old)(tx, scope, key, value, before)? {
            tx.delete(key)?;
            gone += 1;
        }
    }
    Ok((page.last().filter(|_| page.len() == PAGE).map(|(key, _)| key.clone()), gone))
}

fn crawl_is_old(_: &mut Tx<'_>, _: &Scope, key: &[u8], value: &[u8], before: Timestamp) -> Result<bool, Error> {
    let crawl: CrawlerHistory = store::kv::decode(key, value)?;
    Ok(crawl.end_time.is_some_and(|ended| ended < before))
}

/// Triggers noted for crawls that are not under way: servers of earlier versions left them.
fn origin_is_old(tx: &mut Tx<'_>, scope: &Scope, key: &[u8], _: &[u8], _: Timestamp) -> Result<bool, Error> {
    let mut parts = Key::parts(key).into_iter().skip(4).map(|part| String::from_utf8_lossy(&part).into_owned());
    let (crawler, run) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let record: Option<crawlers::Record> = tx.get_json(crawlers::key(scope, &crawler))?;
    Ok(!record.is_some_and(|record| record.runs(&run)))
}

fn result_is_old(_: &mut Tx<'_>, _: &Scope, key: &[u8], value: &[u8], before: Timestamp) -> Result<bool, Error> {
    let record: ResultRecord = store::kv::decode(key, value)?;
    Ok(record.result.completed_on.is_some_and(|at| at < before))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use store::Store;

    use super::*;

    fn scope(account: &str) -> Scope {
        Scope { account: account.to_owned(), region: "r".to_owned() }
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 24 * 3600 * 1000)
    }

    async fn sweep(store: &Store, scope: &Scope, now: Timestamp) -> usize {
        let mut gone = 0;
        for kept in &KINDS {
            let (scope, before) = (scope.clone(), Timestamp(now.0 - kept.time));
            gone += store.write(move |tx| turn(tx, &scope, kept, &[], before)).await.unwrap().1;
        }
        gone
    }

    #[tokio::test]
    async fn what_ended_long_ago_is_forgotten() {
        let store = Store::memory();
        let of = scope("1");
        let run = |name: &str, state: &str, ended: Option<i64>| {
            json!({"version": 1, "role": "r", "command": {}, "max_retries": 0, "run": {
                "Id": name, "JobName": "j", "JobRunState": state, "StartedOn": at(0), "CompletedOn": ended.map(at)}})
        };
        let bookmark = |run: &str| json!({"format": 1, "version": 1, "run": 1, "attempt": 0, "run_id": run, "previous_run_id": null, "state": {}});
        let rows = [
            (of.key("jobrun").push("j").push("old"), run("old", "SUCCEEDED", Some(1))),
            (of.key("bookmark-run").push("j").push("old"), bookmark("old")),
            (of.key("jobrun").push("j").push("last"), run("last", "SUCCEEDED", Some(2))),
            (of.key("bookmark-run").push("j").push("last"), bookmark("last")),
            (of.key("bookmark").push("j"), bookmark("last")),
            (of.key("jobrun").push("j").push("new"), run("new", "FAILED", Some(50))),
            (of.key("jobrun").push("j").push("slow"), run("slow", "RUNNING", None)),
            (of.key("crawl").push("c").push("1"), json!({"CrawlId": "1", "EndTime": at(1)})),
            (of.key("crawl").push("c").push("2"), json!({"CrawlId": "2"})),
            (of.key("crawl-trigger").push("c").push("1"), json!("t")),
        ];
        let put = rows.clone();
        store.write(move |tx| put.iter().try_for_each(|(key, value)| tx.put_json(key, value))).await.unwrap();
        // The note of a crawl that is not under way goes at once; of the runs those of 90 days ago.
        assert_eq!(sweep(&store, &of, at(80)).await, 1);
        assert_eq!(sweep(&store, &of, at(100)).await, 2);
        let left = |from: usize| rows[from].0.clone();
        let (gone, kept) = ([0, 1, 2, 9].map(left), [3, 4, 5, 6, 7, 8].map(left));
        store
            .read(|tx| {
                for key in &gone {
                    assert!(!tx.has(key)?, "{key:?}");
                }
                for key in &kept {
                    assert!(tx.has(key)?, "{key:?}");
                }
                Ok::<_, store::Error>(())
            })
            .await
            .unwrap();
        assert_eq!(sweep(&store, &of, at(400)).await, 2, "the run of day 50 and the crawl of day 1");
    }

    #[tokio::test]
    async fn every_account_has_its_turn() {
        let store = Store::memory();
        store
            .write(|tx| {
                for account in ["1", "10", "2"] {
                    tx.put_json(scope(account).key("job").push("j"), &1)?;
                    tx.put_json(scope(account).key("zzz").push("j"), &1)?;
                }
                tx.put_json(Key::new("gluf").push("3").push("r").push("job"), &1)
            })
            .await
            .unwrap();
        let (mut found, mut from) = (Vec::new(), Key::new("glue").into_bytes());
        while let Some(scope) = store.read(|tx| next_scope(tx, &from)).await.unwrap() {
            from = store::key::prefix_end(of(&scope).as_bytes()).unwrap();
            found.push(scope.account);
        }
        assert_eq!(found, ["1", "10", "2"]);
    }
}
