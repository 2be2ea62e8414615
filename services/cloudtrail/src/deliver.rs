//! The tasks: what has gathered for a trail goes to its bucket, under the keys that CloudTrail gives them, and what is old is forgotten.
//! Source: CloudTrail User Guide, "Getting and viewing your CloudTrail log files", "CloudTrail log file examples".

use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use serde_json::{Value, json};
use service::{Cx, Router};
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
/// After a delivery that failed.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

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
        match self.deliver(&arn).await {
            Ok(()) => Done::Finished,
            Err(error) => {
                tracing::warn!(trail = arn, %error, "events could not be brought to their bucket; they are kept");
                Done::RetryAfter(PAUSE)
            }
        }
    }
}

impl Deliverer {
    /// Brings all that has gathered, region by region, object by object.
    async fn deliver(&self, arn: &str) -> Result<(), Error> {
        let place = wire::arn::Arn::parse(arn)
            .map(|a| (a.account, a.region, a.resource.trim_start_matches("trail/").to_owned()));
        let place = place.ok_or_else(|| Error::internal("a trail's ARN that is none"))?;
        let all = trail::pending(arn);
        loop {
            let found = self
                .store
                .read(|tx| Ok::<_, Error>((tx.get_json::<Trail>(trail::key(&place))?, tx.scan_prefix(&all, EACH)?)));
            let (trail, mut pending) = found.await?;
            let Some((first, _)) = pending.first() else { return Ok(()) };
            // One object is of one region.
            let region = region_of(first);
            pending.retain(|(key, _)| region_of(key) == region);
            if let Some(trail) = trail {
                let put = self.put(&trail, &region, &pending).await;
                self.note(&trail, put.as_ref().err()).await?;
                put?;
            }
            for some in pending.chunks(AT_ONCE) {
                let keys: Vec<Vec<u8>> = some.iter().map(|(key, _)| key.clone()).collect();
                self.store.write(move |tx| keys.iter().try_for_each(|key| tx.delete(key))).await?;
            }
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
