//! What happens when nobody knows whether a commit took place.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use asl::{Event, Info, Payload};
use service::{Cx, Platform, Principal, Router, Settings};
use store::kv::{Backend, Job, RawTx};
use store::{Pair, Queue, Store, SystemClock};

use crate::{Engine, ExecutionArn, NewExecution, Started};

/// Records in memory, whose commits take place and are said to have failed while it is in doubt.
#[derive(Clone, Default)]
struct Doubtful {
    records: Arc<Mutex<Records>>,
    doubt: Arc<AtomicBool>,
}

#[derive(Default)]
struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Backend for Doubtful {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), store::Error> {
        f(&mut *self.records.lock().unwrap());
        Ok(())
    }

    fn write(&self, mut job: Box<dyn Job>) {
        job.run(&mut *self.records.lock().unwrap());
        let in_doubt = self.doubt.load(Ordering::Relaxed);
        job.done(if in_doubt { Err(store::Error::Storage("in doubt".to_owned())) } else { Ok(()) });
    }
}

impl RawTx for Records {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, store::Error> {
        Ok(self.0.get(key).cloned())
    }
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), store::Error> {
        self.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }
    fn delete(&mut self, key: &[u8]) -> Result<(), store::Error> {
        self.0.remove(key);
        Ok(())
    }
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, store::Error> {
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let found = self.0.range::<[u8], _>(range).map(|(key, value)| (key.clone(), value.clone()));
        Ok(if reverse { found.rev().take(limit).collect() } else { found.take(limit).collect() })
    }
}

fn engine_over(disk: &Doubtful) -> (Engine, Cx) {
    let router = Router::new();
    let store = Store::over(Arc::new(disk.clone()), Arc::new(SystemClock));
    let other = || Queue::new(Store::memory());
    let platform = Platform {
        router: router.clone(),
        control: Queue::new(store),
        s3: other(),
        dynamodb: other(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        settings: Settings::default(),
    };
    let engine = Engine::new(&platform);
    let cx = Cx::new(router, Principal::root("000000000000"), "000000000000", "us-east-1");
    (engine, cx)
}

fn new_execution(arn: &ExecutionArn, definition: &str) -> NewExecution {
    NewExecution {
        arn: arn.clone(),
        is_unseen: false,
        info: Info { execution_arn: arn.to_string(), input: Payload::inline("{}".to_owned()), ..Info::default() },
        definition: definition.into(),
        state_machine_version_arn: None,
        state_machine_alias_arn: None,
        trace_header: None,
        logging: None,
        machine_created: None,
        machine: None,
    }
}

#[tokio::test]
async fn who_waits_for_an_end_is_told_of_one_in_doubt() {
    let disk = Doubtful::default();
    let (engine, cx) = engine_over(&disk);
    let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
    let new = new_execution(&arn, r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":600,"End":true}}}"#);
    assert!(matches!(engine.start(&cx, new).await, Ok(Started::At(_))));
    let (waits, of) = (engine.clone(), arn.clone());
    let waits = tokio::spawn(async move { waits.finished(&of).await });
    tokio::task::yield_now().await;
    // Woken for nothing, it looks and waits on.
    engine.wake(&arn);
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    disk.doubt.store(true, Ordering::Relaxed);
    let stop = Event::StopRequested { error: None, cause: None };
    assert!(engine.tell(&arn, stop, None).await.is_err());
    let told = tokio::time::timeout(std::time::Duration::from_mins(10), waits).await;
    assert!(told.is_ok_and(|ended| ended.unwrap().is_ok()));
}

/// Told again and again while it waits, it writes nothing.
#[tokio::test]
async fn what_an_execution_knows_already_costs_no_commit() {
    let disk = Doubtful::default();
    let (engine, cx) = engine_over(&disk);
    let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
    let new = new_execution(&arn, r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":600,"End":true}}}"#);
    assert!(matches!(engine.start(&cx, new).await, Ok(Started::At(_))));
    engine.tell(&arn, Event::StateMachineDeleted, None).await.unwrap();
    disk.doubt.store(true, Ordering::Relaxed);
    engine.tell(&arn, Event::StateMachineDeleted, None).await.unwrap();
}

/// Panics at the first call that it looks at.
#[derive(Debug, Default)]
struct Panics(AtomicBool);

impl asl::Calls for Panics {
    fn faults(&self, _: &str, _: &serde_json::Value) -> Vec<String> {
        assert!(self.0.swap(true, Ordering::Relaxed), "a fault of ours");
        Vec::new()
    }
}

#[tokio::test]
async fn a_panic_within_a_turn_leaves_the_execution_as_it_was() {
    let (engine, cx) = engine_over(&Doubtful::default());
    engine.check_calls(Arc::new(Panics::default()));
    let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
    let token = r#""Resource":"arn:aws:states:us-east-1:000000000000:activity:a""#;
    let definition = format!(
        r#"{{"StartAt":"W","States":{{"W":{{"Type":"Wait","Seconds":600,"Next":"T"}},"T":{{"Type":"Task",{token},"End":true}}}}}}"#
    );
    assert!(matches!(engine.start(&cx, new_execution(&arn, &definition)).await, Ok(Started::At(_))));
    let timer = asl::TimerId { frame: 0, sequence: 1 };
    let fired = || Event::TimerFired { timer };
    assert!(engine.tell(&arn, fired(), None).await.is_err());
    engine.tell(&arn, fired(), None).await.unwrap();
    let history = engine.history(&arn, 1, 100, (false, true)).await.unwrap();
    assert!(
        history.iter().any(|event| matches!(event.details, asl::Details::StateEntered { ref name, .. } if name == "T")),
        "{history:?}"
    );
}

#[tokio::test]
async fn executions_that_wait_are_given_up_and_found_again() {
    let (engine, cx) = engine_over(&Doubtful::default());
    let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
    let definition = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":600,"End":true}}}"#;
    assert!(matches!(engine.start(&cx, new_execution(&arn, definition)).await, Ok(Started::At(_))));
    let loaded = || crate::lock(&engine.inner.loaded).len();
    assert_eq!(loaded(), 1);
    engine.inner.grow(crate::MAX_GROWN - 1);
    assert_eq!(loaded(), 0);
    engine.tell(&arn, Event::StateMachineDeleted, None).await.unwrap();
    assert_eq!(loaded(), 1);
    engine.inner.control.rest();
    assert_eq!(loaded(), 0);
    let timer = asl::TimerId { frame: 0, sequence: 1 };
    engine.tell(&arn, Event::TimerFired { timer }, None).await.unwrap();
    let (summary, _) = engine.describe(&arn).await.unwrap().unwrap();
    assert_eq!(summary.status, asl::Status::Succeeded);
}

#[tokio::test]
async fn a_name_may_be_used_again_after_ninety_days() {
    let (engine, cx) = engine_over(&Doubtful::default());
    let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
    let mut new = new_execution(&arn, r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#);
    new.info.started = engine.now();
    let first = new.info.started.0;
    assert!(matches!(engine.start(&cx, new.clone()).await, Ok(Started::At(_))));
    let day = 24 * 60 * 60 * 1000;
    new.info.started = asl::Timestamp(first + 89 * day);
    assert!(matches!(engine.start(&cx, new.clone()).await, Ok(Started::NameTaken)));
    new.info.started = asl::Timestamp(first + 91 * day);
    new.info.input = Payload::inline("7".to_owned());
    assert!(matches!(engine.start(&cx, new).await, Ok(Started::At(_))));
    let (summary, info) = engine.describe(&arn).await.unwrap().unwrap();
    assert_eq!((summary.started.0, info.input.text()), (first + 91 * day, "7"));
    let listed = engine.list("000000000000", "us-east-1", "m", &crate::Filter::default(), None, 10).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}
