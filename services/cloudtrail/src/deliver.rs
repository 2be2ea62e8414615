//! The tasks: what has gathered for a trail goes to its bucket, under the keys that CloudTrail gives them, and what is old is forgotten.
//! Source: CloudTrail User Guide, "Getting and viewing your CloudTrail log files", "CloudTrail log file examples".

use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Cx, Router};
use store::kv::Pair;
use store::{Done, Key, NewTask, Runner, Store, Task, Tx};
use wire::Error;

use crate::bucket;
use crate::trail::{self, Delivered, Trail};

pub(crate) const DELIVER: &str = "cloudtrail:deliver";
/// The daily task.
pub(crate) const FORGET: &str = "cloudtrail:forget";
/// Events of one object.
const EACH: usize = 5000;
/// Records deleted in one transaction.
const AT_ONCE: usize = 500;
/// How long events can be looked up. Source: CloudTrail API Reference, LookupEvents.
const DAYS: i64 = 90;
/// The longest pause after a delivery that failed.
const MOST_MINUTES: u32 = 30;
/// How long it is tried to deliver events. Source: CloudTrail User Guide, "Redelivery of log files" (a bucket that cannot be reached).
const UNDELIVERED_DAYS: i64 = 30;

#[derive(Clone)]
pub(crate) struct Deliverer {
    pub(crate) router: Arc<Router>,
    pub(crate) store: Store,
}

/// Puts the task of a trail on the queue, if it is not there.
pub(crate) fn soon(tx: &mut Tx<'_>, arn: &str, wait: SignedDuration) -> Result<(), Error> {
    let id = format!("{DELIVER}/{arn}");
    if !tx.has_task(&id)? {
        let at = tx.now() + wait;
        tx.enqueue(NewTask::new(DELIVER, id).payload(&arn)?.at(at))?;
    }
    Ok(())
}

/// Lets the task of a trail run at once.
pub(crate) fn now(tx: &mut Tx<'_>, arn: &str) -> Result<(), Error> {
    Ok(tx.enqueue(NewTask::new(DELIVER, format!("{DELIVER}/{arn}")).payload(&arn)?)?)
}

pub(crate) fn forget_daily(tx: &mut Tx<'_>) -> Result<(), store::Error> {
    if tx.has_task(FORGET)? {
        return Ok(());
    }
    tx.enqueue(NewTask::new(FORGET, FORGET).at(tx.now() + SignedDuration::from_hours(24)))
}

#[async_trait]
impl Runner for Deliverer {
    async fn run(&self, task: Task) -> Done {
        if task.kind == FORGET {
            if let Err(error) = self.forget().await {
                tracing::warn!(%error, "old events could not be forgotten; tomorrow again");
            }
            return Done::RetryAfter(SignedDuration::from_hours(24));
        }
        let Ok(arn) = task.payload::<String>() else { return Done::Finished };
        loop {
            let delivered = self.deliver(&arn).await;
            let ended = match delivered {
                Ok(()) => self.close(&task.id, &arn).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(true) => return Done::Committed,
                // Something came meanwhile.
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(trail = arn, %error, "events could not be brought to their bucket; they are kept");
                    if let Err(error) = self.drop_old(&arn).await {
                        tracing::warn!(trail = arn, %error, "events that are too old could not be dropped");
                    }
                    return Done::RetryAfter(pause(task.attempt));
                }
            }
        }
    }
}

/// One minute, two, … at most half an hour.
fn pause(attempt: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(attempt.clamp(1, MOST_MINUTES)))
}

/// The events that make an object: up to which, and whether it is in its bucket. What comes meanwhile is for the next one, so that an object
/// that is put again after a crash is the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cut {
    /// Version of the record's form.
    version: u32,
    last: Vec<u8>,
    is_put: bool,
}

impl Deliverer {
    /// Ends the task, unless something came meanwhile.
    async fn close(&self, task: &str, arn: &str) -> Result<bool, Error> {
        let (id, pending) = (task.to_owned(), trail::pending(arn));
        self.store
            .write(move |tx| {
                if !tx.scan_prefix(&pending, 1)?.is_empty() {
                    return Ok(false);
                }
                tx.finish_task(&id)?;
                Ok::<_, Error>(true)
            })
            .await
    }

    /// Brings all that has gathered, region by region, object by object.
    async fn deliver(&self, arn: &str) -> Result<(), Error> {
        let place = wire::arn::Arn::parse(arn)
            .map(|a| (a.account, a.region, a.resource.trim_start_matches("trail/").to_owned()));
        let place = place.ok_or_else(|| Error::internal("a trail's ARN that is none"))?;
        loop {
            let trail = self.store.read(|tx| tx.get_json::<Trail>(trail::key(&place))).await?;
            let Some((cut, pending)) = self.next_cut(arn).await? else { return Ok(()) };
            if let (Some(trail), false) = (trail, cut.is_put) {
                let region = pending.first().map(|(key, _)| region_of(key)).unwrap_or_default();
                let put = self.put(&trail, &region, &pending).await;
                self.note(&trail, put.as_ref().err()).await?;
                put?;
                let (key, cut) = (trail::cut(arn), Cut { is_put: true, ..cut });
                self.store.write(move |tx| tx.put_json(&key, &cut)).await?;
            }
            for some in pending.chunks(AT_ONCE) {
                let keys: Vec<Vec<u8>> = some.iter().map(|(key, _)| key.clone()).collect();
                self.store.write(move |tx| keys.iter().try_for_each(|key| tx.delete(key))).await?;
            }
            let key = trail::cut(arn);
            self.store.write(move |tx| tx.delete(&key)).await?;
        }
    }

    /// The events of the next object, or of that which is under way; none where nothing has gathered.
    async fn next_cut(&self, arn: &str) -> Result<Option<(Cut, Vec<Pair>)>, Error> {
        let (key, all) = (trail::cut(arn), trail::pending(arn));
        let read = |tx: &mut Tx<'_>| Ok::<_, store::Error>((tx.get_json::<Cut>(&key)?, tx.scan_prefix(&all, EACH)?));
        let (known, mut pending) = self.store.read(read).await?;
        if let Some(cut) = known {
            pending.retain(|(key, _)| *key <= cut.last);
            return Ok(Some((cut, pending)));
        }
        // One object is of one region.
        let Some(region) = pending.first().map(|(key, _)| region_of(key)) else { return Ok(None) };
        pending.retain(|(key, _)| region_of(key) == region);
        let last = pending.last().map(|(key, _)| key.clone()).unwrap_or_default();
        let cut = Cut { version: 1, last, is_put: false };
        let (key, new) = (trail::cut(arn), cut.clone());
        self.store.write(move |tx| tx.put_json(&key, &new)).await?;
        Ok(Some((cut, pending)))
    }

    /// Drops events that could not be delivered for too long, and with them the object that was under way.
    async fn drop_old(&self, arn: &str) -> Result<(), Error> {
        let oldest = self.router.now() - SignedDuration::from_hours(24 * UNDELIVERED_DAYS);
        let mut after = trail::pending(arn).as_bytes().to_vec();
        loop {
            let all = trail::pending(arn);
            let page = self.store.read(|tx| tx.scan_after(&all, &after, AT_ONCE)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let mut gone = Vec::new();
            for (key, value) in &page {
                let record: Value = store::kv::decode(key, value)?;
                let at = record["eventTime"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
                if at.is_some_and(|at| at < oldest) {
                    gone.push(key.clone());
                }
            }
            // In the order in which they came: of each region those that follow are younger.
            if gone.is_empty() {
                let region = region_of(&after);
                let Some(next) = store::key::prefix_end(trail::pending(arn).push(&region).as_bytes()) else {
                    return Ok(());
                };
                after = next;
                continue;
            }
            let cut = trail::cut(arn);
            let delete = move |tx: &mut Tx<'_>| {
                // What is in its bucket already is not brought again.
                if tx.get_json::<Cut>(&cut)?.is_some_and(|cut| !cut.is_put) {
                    tx.delete(&cut)?;
                }
                gone.iter().try_for_each(|key| tx.delete(key))
            };
            self.store.write(delete).await?;
        }
    }

    async fn put(&self, trail: &Trail, region: &str, pending: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        let records = pending.iter().map(|(key, value)| store::kv::decode::<Value>(key, value));
        let records: Vec<Value> = records.collect::<Result<_, _>>()?;
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(json!({ "Records": records }).to_string().as_bytes()).map_err(Error::internal)?;
        let bytes = packed.finish().map_err(Error::internal)?;
        // The same events make the same name, whenever a delivery that was cut short is made again.
        let number = pending.first().and_then(|(key, _)| Key::parts(key).last().and_then(|part| Key::part_u64(part)));
        let at = records.last().and_then(|record| record["eventTime"].as_str()?.parse::<jiff::Timestamp>().ok());
        let at = at.unwrap_or_else(|| self.router.now());
        let cx = Cx::platform(&self.router, &trail.account, region);
        bucket::may_put(&cx, trail, region).await?;
        let name = format!(
            "{}/CloudTrail/{region}/{}/{}_CloudTrail_{region}_{}_{:016X}.json.gz",
            trail.folder(),
            at.strftime("%Y/%m/%d"),
            trail.account,
            at.strftime("%Y%m%dT%H%MZ"),
            number.unwrap_or_default(),
        );
        let request = api_s3::PutObjectRequest {
            bucket: trail.bucket.clone(),
            key: name,
            body: Some(bytes.into()),
            acl: Some(bucket::ACL.to_owned()),
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("gzip".to_owned()),
            ..api_s3::PutObjectRequest::default()
        };
        cx.call::<api_s3::PutObject>(request).await.map(drop)
    }

    async fn note(&self, trail: &Trail, error: Option<&Error>) -> Result<(), Error> {
        let (key, code) = (trail.delivered(), error.map(|error| error.code().to_owned()));
        self.store
            .write(move |tx| {
                let now = tx.now().as_millisecond();
                let before: Delivered = tx.get_json(&key)?.unwrap_or_default();
                let last_ms = if code.is_none() { Some(now) } else { before.last_ms };
                let after = Delivered { version: 1, last_ms, attempt_ms: Some(now), error: code.clone() };
                Ok::<_, Error>(tx.put_json(&key, &after)?)
            })
            .await
    }

    /// Deletes events that are too old to be looked up.
    async fn forget(&self) -> Result<(), Error> {
        let oldest = self.router.clock().now_ms() - DAYS * 86_400_000;
        let mut after: Vec<u8> = Vec::new();
        loop {
            let pairs = self.store.read(|tx| tx.scan_after(trail::all_events(), &after, AT_ONCE)).await?;
            let Some((last, _)) = pairs.last() else { return Ok(()) };
            after.clone_from(last);
            let old = |key: &[u8]| {
                let parts = Key::parts(key);
                parts.get(4).and_then(|part| Key::part_i64(part)).is_some_and(|at| at < oldest)
            };
            let gone: Vec<Vec<u8>> = pairs.into_iter().map(|(key, _)| key).filter(|key| old(key)).collect();
            if !gone.is_empty() {
                self.store.write(move |tx| gone.iter().try_for_each(|key| tx.delete(key))).await?;
            }
        }
    }
}

fn region_of(key: &[u8]) -> String {
    Key::parts(key).get(3).map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::time::Duration;

    use service::{Handle, operations};
    use store::Clock;

    use super::*;

    const ARN: &str = "arn:aws:cloudtrail:eu-west-1:000000000000:trail/t";

    /// The objects of a bucket that takes what it is given, or nothing.
    #[derive(Debug, Default)]
    struct Bucket {
        objects: Mutex<BTreeMap<String, usize>>,
        puts: Mutex<u32>,
        /// Is told of each object before it is there: what comes while it is put.
        meanwhile: Mutex<Vec<(Store, u64)>>,
        is_gone: bool,
    }

    #[async_trait]
    impl Handle<api_s3::GetBucketPolicy> for Bucket {
        async fn handle(
            &self,
            _: &Cx,
            _: api_s3::GetBucketPolicyRequest,
        ) -> Result<api_s3::GetBucketPolicyOutput, Error> {
            if self.is_gone {
                return Err(Error::new("NoSuchBucket", 404, "it is gone"));
            }
            let policy = json!({ "Statement": [{
                "Effect": "Allow", "Principal": { "Service": "cloudtrail.amazonaws.com" }, "Action": "s3:*", "Resource": "*",
            }]});
            Ok(api_s3::GetBucketPolicyOutput { policy: Some(policy.to_string()) })
        }
    }

    #[async_trait]
    impl Handle<api_s3::PutObject> for Bucket {
        async fn handle(&self, _: &Cx, req: api_s3::PutObjectRequest) -> Result<api_s3::PutObjectOutput, Error> {
            let others = std::mem::take(&mut *self.meanwhile.lock().unwrap());
            for (store, number) in others {
                gather(&store, number, "2024-01-01T00:05:00Z").await;
            }
            *self.puts.lock().unwrap() += 1;
            let size = req.body.map_or(0, |body| body.as_bytes().len());
            self.objects.lock().unwrap().insert(req.key, size);
            Ok(api_s3::PutObjectOutput::default())
        }
    }

    #[derive(Debug)]
    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> jiff::Timestamp {
            "2024-02-15T00:00:00Z".parse().unwrap()
        }
        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::pending())
        }
        fn random(&self) -> u128 {
            7
        }
    }

    async fn gather(store: &Store, number: u64, time: &str) {
        let (key, record) = (trail::pending(ARN).push("eu-west-1").push_u64(number), json!({ "eventTime": time }));
        store.write(move |tx| tx.put_json(&key, &record)).await.unwrap();
    }

    async fn left(store: &Store) -> usize {
        store.read(|tx| Ok::<_, store::Error>(tx.scan_prefix(trail::pending(ARN), 100)?.len())).await.unwrap()
    }

    async fn deliverer(bucket: &Arc<Bucket>) -> Deliverer {
        let router = Router::with_clock(Arc::new(Fixed));
        operations!(router, bucket, api_s3: GetBucketPolicy, PutObject);
        let store = Store::memory();
        let trail = Trail {
            version: 1,
            account: "000000000000".to_owned(),
            home: "eu-west-1".to_owned(),
            name: "t".to_owned(),
            bucket: "b".to_owned(),
            prefix: None,
            global: false,
            multi_region: false,
            selectors: Vec::new(),
            advanced: Vec::new(),
            tags: BTreeMap::new(),
            logging: true,
            started_ms: None,
            stopped_ms: None,
        };
        let key = trail::key(&("000000000000".to_owned(), "eu-west-1".to_owned(), "t".to_owned()));
        store.write(move |tx| tx.put_json(&key, &trail)).await.unwrap();
        Deliverer { router, store }
    }

    #[tokio::test]
    async fn an_event_that_comes_last_has_a_task() {
        let (bucket, id) = (Arc::new(Bucket::default()), format!("{DELIVER}/{ARN}"));
        let deliverer = deliverer(&bucket).await;
        deliverer.store.write(|tx| soon(tx, ARN, SignedDuration::ZERO)).await.unwrap();
        gather(&deliverer.store, 1, "2024-01-01T00:00:00Z").await;
        deliverer.deliver(ARN).await.unwrap();
        // Before the task is gone.
        gather(&deliverer.store, 2, "2024-01-01T00:01:00Z").await;
        assert!(!deliverer.close(&id, ARN).await.unwrap(), "it goes on");
        deliverer.deliver(ARN).await.unwrap();
        assert!(deliverer.close(&id, ARN).await.unwrap());
        assert!(!deliverer.store.read(|tx| tx.has_task(&id)).await.unwrap());
        assert_eq!(left(&deliverer.store).await, 0);
        assert_eq!(bucket.objects.lock().unwrap().len(), 2);
    }

    /// Whatever comes while an object is put: the same events are not in two.
    #[tokio::test]
    async fn an_object_that_is_put_again_is_the_same() {
        let bucket = Arc::new(Bucket::default());
        let deliverer = deliverer(&bucket).await;
        gather(&deliverer.store, 1, "2024-01-01T00:00:00Z").await;
        // It is put, and the server ends before that is noted; another event has come.
        let (_, pending) = deliverer.next_cut(ARN).await.unwrap().unwrap();
        let place = ("000000000000".to_owned(), "eu-west-1".to_owned(), "t".to_owned());
        let trail: Trail = deliverer.store.read(|tx| tx.get_json(trail::key(&place))).await.unwrap().unwrap();
        bucket.meanwhile.lock().unwrap().push((deliverer.store.clone(), 2));
        deliverer.put(&trail, "eu-west-1", &pending).await.unwrap();
        deliverer.deliver(ARN).await.unwrap();
        assert_eq!((*bucket.puts.lock().unwrap(), bucket.objects.lock().unwrap().len()), (3, 2));
        assert_eq!(left(&deliverer.store).await, 0);
    }

    #[tokio::test]
    async fn what_cannot_be_delivered_is_dropped_in_the_end() {
        let bucket = Arc::new(Bucket { is_gone: true, ..Bucket::default() });
        let deliverer = deliverer(&bucket).await;
        for (number, time) in [(1, "2024-01-01T00:00:00Z"), (2, "2024-01-15T00:00:00Z"), (3, "2024-02-01T00:00:00Z")] {
            gather(&deliverer.store, number, time).await;
        }
        deliverer.deliver(ARN).await.unwrap_err();
        deliverer.drop_old(ARN).await.unwrap();
        assert_eq!(left(&deliverer.store).await, 1);
        let (cut, pending) = deliverer.next_cut(ARN).await.unwrap().unwrap();
        assert!(!cut.is_put && pending.len() == 1, "the rest is another object");
        assert_eq!((pause(1).as_mins(), pause(500).as_mins()), (1, 30));
    }
}
