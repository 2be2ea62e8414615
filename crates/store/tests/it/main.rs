//! The contract of the key-value port and of the queue, held by every backend.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use store::kv::memo_prefix;
use store::{DataDir, Done, Error, Key, NewTask, Queue, Runner, Store, Task};

fn stores() -> Vec<(Store, Option<tempfile::TempDir>)> {
    let dir = tempfile::tempdir().unwrap();
    vec![(Store::memory(), None), (Store::open(&dir.path().join("t.db")).unwrap(), Some(dir))]
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
        assert_eq!(store.sweep_memos(1).await.unwrap(), 0);
        assert_eq!(store.sweep_memos(-1).await.unwrap(), 1);
    }
}

struct Count(AtomicUsize, tokio::sync::Notify);

#[async_trait]
impl Runner for Count {
    async fn run(&self, task: Task) -> Done {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.notify_one();
        match task.payload.as_str() {
            Some("retry") if task.attempt == 1 => Done::Retry(jiff::Timestamp::now()),
            Some("hang") => {
                task.cancelled().await;
                Done::Finished
            }
            _ => Done::Finished,
        }
    }
}

async fn until(what: impl AsyncFn() -> bool) {
    tokio::time::timeout(Duration::from_secs(10), async {
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
