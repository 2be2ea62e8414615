//! The contract of the key-value port and of the queue, held by every backend.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod ownership;
mod postgres;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use store::kv::memo_prefix;
use store::{DataDir, Done, Error, Key, NewTask, Queue, Runner, Store, Task};

/// A store, and what it lives in.
type Made = (Store, Box<dyn std::any::Any>);

fn stores() -> Vec<Made> {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Store::open(&dir.path().join("t.db")).unwrap();
    let mut stores: Vec<Made> = vec![(Store::memory(), Box::new(())), (sqlite, Box::new(dir))];
    if let Some((_, lease)) = postgres::owned() {
        stores.push((lease.store("t").unwrap(), Box::new(lease)));
    }
    stores
}

#[tokio::test]
async fn transactions() {
    for (store, _dir) in stores() {
        let key = |n: &str| Key::new("t").push(n);
        store
            .write(move |tx| {
                for n in ["a", "b", "c"] {
                    tx.put(key(n), n.as_bytes())?;
                }
                assert_eq!(tx.get(key("b"))?.as_deref(), Some(&b"b"[..]), "own writes are seen");
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let undone: Result<(), wire::Error> = store
            .write(move |tx| {
                tx.delete(key("a"))?;
                tx.put(key("b"), b"changed")?;
                tx.enqueue(NewTask::new("k", "undone"))?;
                Err(wire::Error::validation("no"))
            })
            .await;
        assert_eq!(undone.unwrap_err().code(), "ValidationException");
        let seen = store
            .read(|tx| {
                assert!(!tx.has_task("undone")?);
                let after = tx.scan_after(Key::new("t"), key("a").as_bytes(), 10)?;
                let last = tx.scan(Key::new("t").as_bytes(), None, 1, true)?;
                Ok::<_, Error>((tx.scan_prefix(Key::new("t"), 2)?, after, last))
            })
            .await
            .unwrap();
        let values = |pairs: &[store::Pair]| pairs.iter().map(|p| p.1.clone()).collect::<Vec<_>>().concat();
        assert_eq!(
            (values(&seen.0), values(&seen.1), values(&seen.2)),
            (b"ab".to_vec(), b"bc".to_vec(), b"c".to_vec())
        );
    }
}

#[tokio::test]
async fn memo_runs_once() {
    for (store, _dir) in stores() {
        for expected in [1, 1] {
            let n = store
                .write_once(memo_prefix().push("task").push("0"), |tx| tx.next_number(Key::new("n")))
                .await
                .unwrap();
            assert_eq!(n, expected);
        }
        let all = [store.clone()];
        let kept = store::sweep::turn(&store, &all, &[], Duration::from_mins(1)).await.unwrap();
        let swept = store::sweep::turn(&store, &all, &[], Duration::ZERO).await.unwrap();
        assert_eq!((kept.forgotten, swept.forgotten), (0, 1));
    }
}

struct Count(AtomicUsize, tokio::sync::Notify);

#[async_trait]
impl Runner for Count {
    async fn run(&self, task: Task) -> Done {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.notify_one();
        match task.payload::<Option<String>>().unwrap().as_deref() {
            Some("retry") if task.attempt == 1 => Done::RetryAfter(jiff::SignedDuration::ZERO),
            Some("hang") => {
                task.cancelled().await;
                Done::Finished
            }
            _ => Done::Finished,
        }
    }
}

/// The time is there to end a test that hangs: a disk that is busy may take seconds over one commit.
async fn until(what: impl AsyncFn() -> bool) {
    tokio::time::timeout(Duration::from_mins(10), async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn queue_runs_retries_and_cancels() {
    for (store, _dir) in stores() {
        let queue = Queue::new(store.clone());
        let count = Arc::new(Count(AtomicUsize::new(0), tokio::sync::Notify::new()));
        queue.register("k", 2, count.clone());
        let dispatcher = queue.start();
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(30);
        let far = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(30);
        store
            .write(move |tx| {
                for i in 0..50 {
                    tx.enqueue(NewTask::new("k", format!("{i}")))?;
                }
                tx.enqueue(NewTask::new("k", "retried").payload(&"retry")?)?;
                tx.enqueue(NewTask::new("k", "soon").at(soon))?;
                tx.enqueue(NewTask::new("k", "far").at(far))?;
                tx.enqueue(NewTask::new("k", "hanging").payload(&"hang")?.at(soon))
            })
            .await
            .unwrap();
        until(async || count.0.load(Ordering::SeqCst) == 54).await;
        store.write(|tx| tx.cancel_task("hanging")).await.unwrap();
        until(async || {
            store.read(|tx| Ok::<_, Error>(tx.scan_prefix(Key::new("\u{1}task"), 9)?.len() == 1)).await.unwrap()
        })
        .await;
        assert!(store.read(|tx| tx.has_task("far")).await.unwrap());
        dispatcher.abort();
    }
}

/// A place that becomes free goes to the next task that is still wanted, however many before it were cancelled.
#[tokio::test]
async fn cancelled_tasks_do_not_hold_up_those_behind_them() {
    for (store, _dir) in stores() {
        let queue = Queue::new(store.clone());
        let count = Arc::new(Count(AtomicUsize::new(0), tokio::sync::Notify::new()));
        let probe = Arc::new(Count(AtomicUsize::new(0), tokio::sync::Notify::new()));
        queue.register("k", 1, count.clone());
        queue.register("probe", 1, probe.clone());
        let dispatcher = queue.start();
        store.write(|tx| tx.enqueue(NewTask::new("k", "running").payload(&"hang")?)).await.unwrap();
        until(async || count.0.load(Ordering::SeqCst) == 1).await;
        store
            .write(|tx| {
                for i in 0..5 {
                    tx.enqueue(NewTask::new("k", format!("waiting {i}")))?;
                }
                tx.enqueue(NewTask::new("k", "waiting, the last"))?;
                tx.enqueue(NewTask::new("probe", "waiting with them"))
            })
            .await
            .unwrap();
        until(async || probe.0.load(Ordering::SeqCst) == 1).await;
        store
            .write(|tx| {
                for i in 0..5 {
                    tx.cancel_task(&format!("waiting {i}"))?;
                }
                tx.cancel_task("running")
            })
            .await
            .unwrap();
        until(async || count.0.load(Ordering::SeqCst) == 2).await;
        dispatcher.abort();
    }
}

#[tokio::test]
async fn tasks_run_again_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let count = Arc::new(Count(AtomicUsize::new(0), tokio::sync::Notify::new()));
    for round in 1..=3 {
        let store = Store::open(&path).unwrap();
        let queue = Queue::new(store.clone());
        queue.register("k", 2, count.clone());
        if round == 1 {
            store.write(|tx| tx.enqueue(NewTask::new("k", "x").payload(&"hang")?)).await.unwrap();
        }
        let dispatcher = queue.start();
        until(async || count.0.load(Ordering::SeqCst) == round).await;
        dispatcher.abort();
    }
}

#[test]
fn data_folder_is_held_by_one_and_refuses_newer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let held = DataDir::open(&path).unwrap();
    assert!(DataDir::open(&path).unwrap_err().to_string().contains("another lakerun server"));
    drop(held);
    std::fs::write(path.join("format"), "99\n").unwrap();
    assert!(DataDir::open(&path).unwrap_err().to_string().contains("format 99"));
}

/// Writes numbered records until it is killed, and says of each when it is acknowledged. Run by the test below as a process.
#[tokio::test]
#[ignore = "not a test by itself"]
async fn write_until_killed() {
    let Some(path) = std::env::var_os("LAKERUN_TEST_STORE") else { return };
    let store = Store::open(std::path::Path::new(&path)).unwrap();
    let first =
        store.read(|tx| Ok::<_, Error>(tx.scan_prefix(Key::new("n"), usize::MAX >> 1)?.len())).await.unwrap() as u64;
    let mut writers = tokio::task::JoinSet::new();
    for lane in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            for n in (first + lane..).step_by(8) {
                store
                    .write(move |tx| {
                        tx.put(Key::new("n").push_u64(n), &[7; 3000])?;
                        tx.put("last", &n.to_be_bytes())?;
                        tx.enqueue(NewTask::new("k", format!("{n}")).unseen())?;
                        if n > 16 { tx.finish_task(&format!("{}", n - 16)) } else { Ok(()) }
                    })
                    .await
                    .unwrap();
                println!("written {n}");
            }
        });
    }
    writers.join_next().await;
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    use std::io::BufRead as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let mut acknowledged = std::collections::BTreeSet::new();
    // Long enough for records to move into the database and for the log's files to change places.
    for wanted in [10, 500, 6_000] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
            .env("LAKERUN_TEST_STORE", &path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let begun = acknowledged.len();
        for line in lines.by_ref() {
            if let Some((_, n)) = line.unwrap().split_once("written ") {
                acknowledged.insert(n.trim().parse::<u64>().unwrap());
            }
            if acknowledged.len() - begun >= wanted {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = lines.map_while(Result::ok).filter_map(|line| line.split_once("written ")?.1.trim().parse().ok());
        acknowledged.extend(rest.collect::<Vec<u64>>());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(&path).unwrap();
            let stored = store.read(|tx| tx.scan_prefix(Key::new("n"), usize::MAX >> 1)).await.unwrap();
            let stored: std::collections::BTreeSet<u64> =
                stored.iter().map(|(key, _)| Key::part_u64(&Key::parts(key)[1]).unwrap()).collect();
            let lost: Vec<_> = acknowledged.difference(&stored).collect();
            assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
            let tasks = store.read(|tx| tx.scan_prefix(Key::new("\u{1}now"), 10_000)).await.unwrap();
            assert!(tasks.len() <= 64, "tasks that were finished are there again: {}", tasks.len());
            // What was written and not acknowledged may be there or not; the next run counts on.
            acknowledged = stored;
        });
    }
}

fn count() -> Key {
    Key::new("n")
}

async fn next(store: Store) -> u64 {
    store.write(move |tx| tx.next_number(count())).await.unwrap()
}

/// Requests that come alone are committed by whoever brings them, those that come together by the writer's thread: each counts once, and
/// is seen by who comes after its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_alone_and_together_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("t.db")).unwrap();
    let mut expected = 0;
    for round in 0..4 {
        for _ in 0..20 {
            expected += 1;
            assert_eq!(next(store.clone()).await, expected, "alone");
            let seen = store.read(|tx| tx.get(count())).await.unwrap();
            assert_eq!(seen, Some(expected.to_be_bytes().to_vec()));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let together: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    for _ in 0..50 {
                        mine.push(next(store.clone()).await);
                    }
                    mine
                })
            })
            .collect();
        let mut drawn = Vec::new();
        for one in together {
            let mine = one.await.unwrap();
            assert!(mine.is_sorted(), "who asks in order is answered in order");
            drawn.extend(mine);
        }
        drawn.sort_unstable();
        assert!(drawn.into_iter().eq(expected + 1..=expected + 400), "round {round}");
        expected += 400;
        store.rest();
        expected += 1;
        assert_eq!(next(store.clone()).await, expected, "after a rest");
        let panics = store.write(|_| -> Result<(), Error> { unreachable!("as some request may") }).await;
        assert!(panics.is_err());
        expected += 1;
        assert_eq!(next(store.clone()).await, expected, "after one that panicked");
    }
}
