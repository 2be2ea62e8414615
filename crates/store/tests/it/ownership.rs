//! PostgreSQL: what nodes that take each other's place may do, and records that only a table with an index has trouble with.

use std::collections::BTreeMap;
use std::time::Duration;

use store::postgres::Database;
use store::{Error, Key, Store};

use crate::postgres;

async fn put(store: &Store, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Result<(), Error> {
    let (key, value) = (key.into(), value.into());
    store.write(move |tx| tx.put(&key, &value)).await
}

async fn text(store: &Store, key: &str) -> Option<String> {
    store.read(|tx| tx.get(key)).await.unwrap().map(|value| String::from_utf8(value).unwrap())
}

/// Longer than the lease of these tests: it has run out without being renewed.
async fn until_taken(database: &Database, lasts: Duration) -> store::postgres::Lease {
    loop {
        if let Some(lease) = database.take("http://second", lasts).unwrap() {
            return lease;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn one_owner_at_a_time_and_the_next_finds_everything() {
    let Some(url) = postgres::database() else { return };
    let (first, second) = (Database::open(&url).unwrap(), Database::open(&url).unwrap());
    assert_eq!(second.owner().unwrap(), None);
    let lease = first.take("http://first", LONG).unwrap().unwrap();
    assert!(lease.is_valid());
    assert!(second.take("http://second", LONG).unwrap().is_none(), "it is held");
    let owner = second.owner().unwrap().unwrap();
    assert_eq!((owner.endpoint.as_str(), owner.is_alive), ("http://first", true));
    let store = lease.store("t").unwrap();
    for n in 0..50 {
        put(&store, format!("k{n}"), n.to_string()).await.unwrap();
    }
    lease.release();
    let next = second.take("http://second", LONG).unwrap().unwrap();
    assert_eq!(next.fence(), lease.fence() + 1);
    let taken = next.store("t").unwrap();
    for n in 0..50 {
        assert_eq!(text(&taken, &format!("k{n}")).await, Some(n.to_string()), "what was in the log alone");
    }
    put(&taken, "k0", "changed").await.unwrap();
    assert!(!lease.is_valid());
    assert!(matches!(put(&store, "late", "1").await, Err(Error::Closed)));
    assert_eq!(text(&taken, "late").await, None);
    assert_eq!(text(&taken, "k0").await.as_deref(), Some("changed"));
}

/// It sleeps longer than its lease, and wakes: nothing that it then writes is there, in the log or among the records.
#[tokio::test]
async fn an_owner_that_was_thought_dead_can_write_nothing_more() {
    let Some(url) = postgres::database() else { return };
    let (first, second) = (Database::open(&url).unwrap(), Database::open(&url).unwrap());
    let lease = first.take("http://first", LONG).unwrap().unwrap();
    let store = lease.store("t").unwrap();
    put(&store, "a", "1").await.unwrap();
    // What no clock of a test can bring about: the lease has run out although it is renewed.
    let session = std::process::Command::new("psql")
        .args([url.as_str(), "-qc", "UPDATE lakerun_lease SET until = '-infinity'"])
        .status();
    if !session.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no psql");
        return;
    }
    let next = second.take("http://second", LONG).unwrap().unwrap();
    let taken = next.store("t").unwrap();
    assert!(matches!(put(&store, "a", "of the dead").await, Err(Error::Closed)));
    lease.lost().await;
    assert!(!lease.is_valid());
    put(&taken, "a", "2").await.unwrap();
    // Time for what the first one has in memory to go to the table, if it were let.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(text(&taken, "a").await.as_deref(), Some("2"));
    next.release();
    let third = first.take("http://first", LONG).unwrap().unwrap().store("t").unwrap();
    assert_eq!(text(&third, "a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_runs_out() {
    let Some(url) = postgres::database() else { return };
    let (first, second) = (Database::open(&url).unwrap(), Database::open(&url).unwrap());
    let lasts = Duration::from_millis(600);
    let lease = first.take("http://first", lasts).unwrap().unwrap();
    tokio::time::sleep(lasts * 2).await;
    assert_eq!(second.owner().unwrap().unwrap().endpoint, "http://first");
    // Nobody has it any more: its thread ends.
    drop(lease);
    until_taken(&second, lasts).await;
}

/// Keys longer than an index takes, of the same beginning, between short ones: as they are among the records, not only in memory.
#[tokio::test]
async fn long_keys_keep_their_order() {
    let Some((database, lease)) = postgres::owned() else { return };
    let store = lease.store("t").unwrap();
    let chance = |n: u64, len: usize| -> Vec<u8> {
        let mut state = n;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33).to_le_bytes()[0]
        };
        (0..len).map(|_| draw()).collect()
    };
    let common = chance(1, 2000);
    let mut expected = BTreeMap::new();
    for (n, rest) in (0..).zip([0, 1, 2, 700, 3000, 9000]) {
        let key = Key::new("l").push([common.clone(), chance(n + 7, rest)].concat()).into_bytes();
        expected.insert(key, n.to_le_bytes().to_vec());
    }
    for n in 0..5_u8 {
        expected.insert(Key::new("l").push([n * 50]).into_bytes(), vec![100 + n]);
    }
    for (key, value) in &expected {
        put(&store, key.clone(), value.clone()).await.unwrap();
    }
    let gone = Key::new("l").push([common.clone(), chance(99, 5000)].concat()).into_bytes();
    put(&store, gone.clone(), "1").await.unwrap();
    lease.release();
    let lease = database.take("http://again", LONG).unwrap().unwrap();
    let store = lease.store("t").unwrap();
    store
        .write({
            let gone = gone.clone();
            move |tx| tx.delete(&gone)
        })
        .await
        .unwrap();
    lease.release();
    let lease = database.take("http://again", LONG).unwrap().unwrap();
    let store = lease.store("t").unwrap();
    let all: Vec<_> = expected.clone().into_iter().collect();
    for (key, value) in &all {
        assert_eq!(store.read(|tx| tx.get(key)).await.unwrap().as_ref(), Some(value));
    }
    assert_eq!(store.read(|tx| tx.get(&gone)).await.unwrap(), None);
    for reverse in [false, true] {
        for from in 0..all.len() {
            for (to, limit) in [(None, 3), (Some(all.len() - 1), 100), (None, 100), (Some(all.len() - 3), 2)] {
                let (low, high) = (&all[from].0, to.map(|to| &all[to].0));
                let mut wanted: Vec<_> =
                    all.iter().filter(|(key, _)| key >= low && high.is_none_or(|high| key < high)).cloned().collect();
                if reverse {
                    wanted.reverse();
                }
                wanted.truncate(limit);
                let found = store.read(|tx| tx.scan(low, high.map(Vec::as_slice), limit, reverse)).await.unwrap();
                assert_eq!(found, wanted, "{from} {to:?} {limit} {reverse}");
            }
        }
    }
}

/// The server is killed and starts again while there are readers and writers: they wait, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_end_are_made_again() {
    let Some(url) = postgres::database() else { return };
    let database = Database::open(&url).unwrap();
    let lease = database.take("http://first", LONG).unwrap().unwrap();
    let store = lease.store("t").unwrap();
    let writing = store.clone();
    let writer = tokio::spawn(async move {
        let mut drawn = Vec::new();
        for _ in 0..400 {
            drawn.push(writing.write(|tx| tx.next_number("n")).await.unwrap());
        }
        drawn
    });
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lakerun %' AND pid <> pg_backend_pid()
               AND application_name = (SELECT owner FROM lakerun_lease)";
    while !writer.is_finished() {
        let ended = std::process::Command::new("psql").args([url.as_str(), "-qAtc", end]).output();
        if !ended.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no psql");
            return;
        }
        store.rest();
        assert!(store.read(|tx| tx.get("absent")).await.unwrap().is_none());
    }
    assert!(writer.await.unwrap().into_iter().eq(1..=400), "each is counted once");
}

/// As after a failover to a replica that lacked the last commits: the owner, which knows more than the database, gives it up instead of
/// going on over the gap, and whoever takes it next has all that the replica had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_does_not_go_on_where_commits_are_missing() {
    let last = "(SELECT greatest((SELECT record FROM lakerun_applied WHERE store = 't'), (SELECT max(record) FROM lakerun_log_t)))";
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = (SELECT owner FROM lakerun_lease)";
    let of_log = format!(
        "CREATE TEMP TABLE gone AS SELECT {last} AS record; DELETE FROM lakerun_log_t WHERE record = (SELECT record FROM gone);
         UPDATE lakerun_applied SET record = least(record, (SELECT record - 1 FROM gone)) WHERE store = 't'; {end}"
    );
    let of_table = format!("UPDATE lakerun_applied SET record = record - 1 WHERE store = 't'; {end}");
    for (missing, is_whole) in [(of_log, true), (of_table, false)] {
        let Some(url) = postgres::database() else { return };
        let database = Database::open(&url).unwrap();
        let lease = database.take("http://first", LONG).unwrap().unwrap();
        let store = lease.store("t").unwrap();
        put(&store, "a", "1").await.unwrap();
        // Brought to the table.
        store.rest();
        tokio::time::sleep(Duration::from_secs(3)).await;
        put(&store, "b", "2").await.unwrap();
        let deleted = std::process::Command::new("psql").args([url.as_str(), "-qAtc", &missing]).output();
        if !deleted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no psql");
            return;
        }
        for _ in 0..500 {
            if put(&store, "c", "3").await.is_err() {
                break;
            }
            store.rest();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!lease.is_valid());
        lease.release();
        if is_whole {
            let store = database.take("http://second", LONG).unwrap().unwrap().store("t").unwrap();
            assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
        }
    }
}

/// Two keys of one beginning whose rests are Wang and Yu's two blocks with one MD5 ("How to break MD5 and other hash functions", 2005).
#[tokio::test]
async fn long_keys_of_one_md5_are_two() {
    let Some((database, lease)) = postgres::owned() else { return };
    let rest = hex::decode(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b\
         d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70",
    )
    .unwrap();
    let mut other = rest.clone();
    for at in [19, 45, 59, 83, 109, 123] {
        other[at] ^= 0x80;
    }
    let keys = [rest, other].map(|rest| [vec![b'k'; 2000], rest].concat());
    let store = lease.store("t").unwrap();
    let both = keys.clone();
    store.write(move |tx| both.iter().try_for_each(|key| tx.put(key, &key[2000..]))).await.unwrap();
    for _ in 0..2 {
        lease.release();
        let lease = database.take("http://again", LONG).unwrap().unwrap();
        let store = lease.store("t").unwrap();
        for key in &keys {
            assert_eq!(store.read(|tx| tx.get(key)).await.unwrap().as_deref(), Some(&key[2000..]));
        }
        lease.release();
    }
}

/// A session of another's that goes on while the test does.
fn session(url: &str, text: &str) -> Option<std::process::Child> {
    let session = std::process::Command::new("psql").args([url, "-qAtc", text]).spawn().ok();
    std::thread::sleep(Duration::from_millis(700));
    session
}

#[tokio::test]
async fn an_owner_that_waited_for_the_next_one_leaves_it_its_lease() {
    let Some(url) = postgres::database() else { return };
    let database = Database::open(&url).unwrap();
    let lease = database.take("http://first", LONG).unwrap().unwrap();
    let next = "BEGIN; UPDATE lakerun_fence SET fence = fence + 1; UPDATE lakerun_lease SET owner = 'next', until = 'infinity';
                SELECT pg_sleep(2); COMMIT";
    let Some(mut session) = session(&url, next) else { return };
    lease.release();
    assert!(session.wait().unwrap().success());
    let owner = database.owner().unwrap().unwrap();
    assert_eq!((owner.node.as_str(), owner.is_alive), ("next", true));
}

#[tokio::test]
async fn a_store_is_opened_again_while_a_dump_runs() {
    let Some(url) = postgres::database() else { return };
    let database = Database::open(&url).unwrap();
    let lease = database.take("http://first", LONG).unwrap().unwrap();
    put(&lease.store("t").unwrap(), "a", "1").await.unwrap();
    lease.release();
    let dump = "BEGIN; LOCK lakerun_log_t, lakerun_kv_t, lakerun_applied IN ACCESS SHARE MODE; SELECT pg_sleep(20)";
    let Some(mut session) = session(&url, dump) else { return };
    let store = database.take("http://first", LONG).unwrap().unwrap().store("t").unwrap();
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
    assert!(session.try_wait().unwrap().is_none(), "it waited for the dump's end");
    session.kill().unwrap();
    session.wait().unwrap();
}
