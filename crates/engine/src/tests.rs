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

#[tokio::test]
async fn who_waits_for_an_end_is_told_of_one_in_doubt() {
    let disk = Doubtful::default();
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
    let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
    let new = NewExecution {
        arn: arn.clone(),
        is_unseen: false,
        info: Info { execution_arn: arn.to_string(), input: Payload::inline("{}".to_owned()), ..Info::default() },
        definition: r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":600,"End":true}}}"#.into(),
        state_machine_version_arn: None,
        state_machine_alias_arn: None,
        trace_header: None,
        logging: None,
        machine_created: None,
        machine: None,
    };
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
