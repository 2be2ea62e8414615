//! What nobody asks for any more is forgotten, once a day and some at a time: deleted stacks with their events, change sets and detections
//! of drift; client tokens; links whose answers have been read.
//! Source: CloudFormation API Reference, ListStacks: deleted stacks are told for 90 days.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use store::{Done, Key, NewTask, Runner, Store, Task, Tx};

use crate::answers::Answers;
use crate::records::{self, StackRecord};
use crate::{CloudFormation, Result, cloud_control, ops};

pub(crate) const SWEEP: &str = "cloudformation:sweep";
/// How long a deleted stack, and what was found of one that is there, is known.
const KEPT_MS: i64 = 90 * 24 * 3_600_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Records that are deleted, or looked at, in one transaction.
const AT_ONCE: usize = 200;

pub(crate) struct Sweeper(pub(crate) Arc<CloudFormation>);

/// Puts the task on the queue where it is not there; it puts itself there for the next day.
pub(crate) async fn start(store: &Store) -> Result<(), store::Error> {
    store
        .write(|tx| {
            if tx.has_task(SWEEP)? {
                return Ok(());
            }
            tx.enqueue(NewTask::new(SWEEP, SWEEP).at(tx.now() + DAY))
        })
        .await
}

#[async_trait]
impl Runner for Sweeper {
    async fn run(&self, _: Task) -> Done {
        if let Err(error) = sweep(&self.0.store, self.0.store.clock().now_ms()).await {
            tracing::error!(%error, "old stacks are not forgotten; it is tried again tomorrow");
        }
        Done::RetryAfter(DAY)
    }
}

async fn sweep(store: &Store, now: i64) -> Result<()> {
    pieces(store, Answers::all(), move |tx, page| Answers::forget(tx, page, now)).await?;
    pieces(store, Key::new("cloudformation"), move |tx, page| forget(tx, page, now)).await
}

/// A piece of records: keys and values in their order.
type Page = [(Vec<u8>, Vec<u8>)];

/// Goes through all records under a prefix, a piece in each transaction.
async fn pieces(
    store: &Store,
    prefix: Key,
    each: impl Fn(&mut Tx<'_>, &Page) -> Result<()> + Clone + Send + 'static,
) -> Result<()> {
    let mut after = prefix.as_bytes().to_vec();
    loop {
        let (prefix, from, each) = (prefix.clone(), after.clone(), each.clone());
        let last = store
            .write(move |tx| {
                let page = tx.scan_after(&prefix, &from, AT_ONCE)?;
                each(tx, &page)?;
                Ok::<_, wire::Error>(page.last().filter(|_| page.len() == AT_ONCE).map(|(key, _)| key.clone()))
            })
            .await?;
        match last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Deletes what is too old of a page of the service's records: `cloudformation`, account, region, kind, more.
fn forget(tx: &mut Tx<'_>, page: &Page, now_ms: i64) -> Result<()> {
    for (key, value) in page {
        let parts = Key::parts(key);
        let part = |at: usize| parts.get(at).map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default();
        let home = (part(1), part(2));
        match part(3).as_str() {
            "deleted" => {
                let stack: StackRecord = store::kv::decode(key, value)?;
                if now_ms - stack.deleted_ms.unwrap_or(now_ms) > KEPT_MS && forget_stack(tx, &home, &stack.id)? {
                    tx.delete(key)?;
                }
            }
            "drift-detection" if ops::detection_is_old(key, value, now_ms - KEPT_MS)? => tx.delete(key)?,
            "resource-client-token" if cloud_control::token_is_old(key, value, now_ms)? => tx.delete(key)?,
            _ => {}
        }
    }
    Ok(())
}

/// Deletes what is known of a stack beside its record, some of it at a time; whether all is gone.
fn forget_stack(tx: &mut Tx<'_>, (account, region): &(String, String), id: &str) -> Result<bool> {
    for prefix in [
        records::events(account, region, id),
        records::change_sets(account, region, id),
        records::signals_of(account, region, id),
    ] {
        let page = tx.scan_prefix(&prefix, AT_ONCE)?;
        for (key, _) in &page {
            tx.delete(key)?;
        }
        if page.len() == AT_ONCE {
            // The rest goes another day.
            return Ok(false);
        }
    }
    tx.delete(records::event_counter(account, region, id))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use api_cloudformation as api;
    use service::{Cx, Platform, Principal, Router, Settings};
    use store::Queue;

    use super::*;

    const TEMPLATE: &str = "Resources: {Link: {Type: AWS::CloudFormation::WaitConditionHandle}}";

    fn platform() -> Platform {
        Platform {
            router: Router::new(),
            control: Queue::new(Store::memory()),
            s3: Queue::new(Store::memory()),
            dynamodb: Queue::new(Store::memory()),
            data: std::path::PathBuf::new(),
            objects: None,
            endpoint: String::new(),
            account: "000000000000".into(),
            region: "us-east-1".into(),
            settings: Settings::default(),
        }
    }

    /// The stack's id and its status, once nothing is under way.
    async fn settled(cx: &Cx, name: &str) -> (String, String) {
        let clock = cx.router().clock();
        loop {
            let input = api::DescribeStacksInput { stack_name: Some(name.into()), ..Default::default() };
            let stack = cx.call::<api::DescribeStacks>(input).await.unwrap().stacks.unwrap().remove(0);
            if !stack.stack_status.ends_with("_IN_PROGRESS") {
                return (stack.stack_id.unwrap(), stack.stack_status);
            }
            clock.sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    async fn records(store: &Store, id: &str) -> usize {
        let all = store.read(|tx| tx.scan_prefix(Key::new("cloudformation"), usize::MAX)).await.unwrap();
        let uuid = id.rsplit('/').next().unwrap();
        all.iter().filter(|(_, value)| String::from_utf8_lossy(value).contains(uuid)).count()
    }

    #[tokio::test]
    async fn a_deleted_stack_is_known_for_90_days() {
        let platform = platform();
        crate::register(&platform, None);
        let _dispatcher = platform.control.start();
        let store = platform.control.store().clone();
        let cx = Cx::new(platform.router.clone(), Principal::root("000000000000"), "000000000000", "us-east-1");
        let mut ids = Vec::new();
        for name in ["gone", "there"] {
            let template_body = Some(TEMPLATE.to_owned());
            let input = api::CreateStackInput { stack_name: name.into(), template_body, ..Default::default() };
            cx.call::<api::CreateStack>(input).await.unwrap();
            let (id, status) = settled(&cx, name).await;
            assert_eq!(status, "CREATE_COMPLETE");
            ids.push(id);
        }
        // What is found of a stack that stays is told for as long.
        let input = api::DetectStackDriftInput { stack_name: "there".into(), ..Default::default() };
        let detection = cx.call::<api::DetectStackDrift>(input).await.unwrap().stack_drift_detection_id;
        let input = api::DeleteStackInput { stack_name: "gone".into(), ..Default::default() };
        cx.call::<api::DeleteStack>(input).await.unwrap();
        assert_eq!(settled(&cx, &ids[0]).await.1, "DELETE_COMPLETE");
        let asked = |id: &str| {
            let input = api::DescribeStackDriftDetectionStatusInput { stack_drift_detection_id: id.to_owned() };
            let cx = cx.clone();
            async move { cx.call::<api::DescribeStackDriftDetectionStatus>(input).await.is_ok() }
        };
        let now = store.clock().now_ms();
        let day = 24 * 3_600_000;
        sweep(&store, now + 89 * day).await.unwrap();
        assert_eq!(settled(&cx, &ids[0]).await.1, "DELETE_COMPLETE");
        assert!(asked(&detection).await);
        assert!(records(&store, &ids[0]).await > 1);
        sweep(&store, now + 91 * day).await.unwrap();
        let input = api::DescribeStacksInput { stack_name: Some(ids[0].clone()), ..Default::default() };
        assert!(cx.call::<api::DescribeStacks>(input).await.is_err());
        assert_eq!(records(&store, &ids[0]).await, 0, "its events and records are gone, too");
        assert!(!asked(&detection).await);
        assert_eq!(settled(&cx, "there").await.1, "CREATE_COMPLETE");
        assert!(records(&store, &ids[1]).await > 1);
    }
}
