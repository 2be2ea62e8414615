//! From `Creating` to `InService`: each variant's model is loaded once, by a task of the queue; an endpoint whose model does not load
//! is `Failed`, and one that was changed stays as it was.

use async_trait::async_trait;
use compute::pool::Place;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::{Error, Timestamp};

use super::call::server_key;
use crate::SageMaker;
use crate::records::{EndpointRecord, endpoint_arn, endpoint_key};

pub(crate) const DEPLOY: &str = "sagemaker:deploy";
/// Models that are loaded side by side.
pub(crate) const AT_ONCE: usize = 4;

#[derive(Serialize, Deserialize)]
struct Wanted {
    account: String,
    region: String,
    endpoint: String,
    generation: String,
}

/// Asks for what is pending, and tells of it.
pub(crate) fn enqueue(tx: &mut Tx<'_>, cx: &Cx, record: &EndpointRecord) -> Result<(), Error> {
    let Some(pending) = &record.pending else { return Ok(()) };
    let wanted = Wanted {
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        endpoint: record.endpoint.endpoint_name.clone(),
        generation: pending.generation.clone(),
    };
    tx.enqueue(NewTask::new(DEPLOY, format!("{DEPLOY}:{}", pending.generation)).payload(&wanted)?)?;
    tell(tx, cx, record, &pending.generation)
}

/// The event `SageMaker Endpoint State Change`, whose status is in capitals of its own.
/// Source: `SageMaker` Developer Guide, "Events that SageMaker sends to EventBridge".
fn tell(tx: &mut Tx<'_>, cx: &Cx, record: &EndpointRecord, generation: &str) -> Result<(), Error> {
    let status = &record.endpoint.endpoint_status;
    let mut detail = serde_json::to_value(&record.endpoint).map_err(Error::internal)?;
    detail["CreationTime"] = record.endpoint.creation_time.as_millis().into();
    detail["LastModifiedTime"] = record.endpoint.last_modified_time.as_millis().into();
    detail["EndpointStatus"] = match status.as_str() {
        "InService" => "IN_SERVICE".into(),
        other => other.to_uppercase().into(),
    };
    let event = jobs::event::Event {
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        time: Timestamp(cx.now()),
        source: "aws.sagemaker".to_owned(),
        detail_type: "SageMaker Endpoint State Change".to_owned(),
        resources: vec![record.endpoint.endpoint_arn.clone()],
        detail,
    };
    jobs::event::enqueue(tx, &format!("sagemaker:endpoint:{generation}:{status}"), &event)
}

#[async_trait]
impl Runner for SageMaker {
    async fn run(&self, task: Task) -> Done {
        self.deploy(&task).await.unwrap_or_else(|error| {
            tracing::warn!(%error, task = task.id, "an endpoint could not be deployed yet");
            Done::RetryAfter(jiff::SignedDuration::from_secs(5))
        })
    }
}

impl SageMaker {
    async fn deploy(&self, task: &Task) -> Result<Done, Error> {
        let wanted: Wanted = task.payload()?;
        let cx = Cx::platform(&self.router, &wanted.account, &wanted.region);
        let key = endpoint_key(&cx, &wanted.endpoint);
        let record: Option<EndpointRecord> = self.store.read(|tx| tx.get_json(&key)).await?;
        let pending = record.and_then(|record| record.pending);
        let Some(pending) = pending.filter(|pending| pending.generation == wanted.generation) else {
            return Ok(Done::Finished);
        };
        let mut failure = None;
        for variant in &pending.variants {
            let memory_mb = usize::try_from(variant.memory_mb() / 2).unwrap_or(2048);
            let permit = self.servers.permit(memory_mb, Place::Here).await;
            match self.serve(&cx, &wanted.endpoint, variant, permit).await {
                Ok(server) => {
                    let key = server_key(&cx, &wanted.endpoint, &pending, variant);
                    self.servers.keep(&key, server, None);
                }
                Err(why) => {
                    let why = why.chars().take(700).collect::<String>();
                    failure = Some(format!(
                        "The primary container for production variant {} did not pass the ping health check: {why}",
                        variant.name()
                    ));
                    break;
                }
            }
        }
        let (id, generation, has_failed) = (task.id.clone(), wanted.generation, failure.is_some());
        let prefix = format!("{} ", endpoint_arn(&cx, &wanted.endpoint));
        let cx_of = cx.clone();
        let kept = self
            .store
            .write(move |tx| {
                let record: Option<EndpointRecord> = tx.get_json(&key)?;
                let is_pending = |record: &EndpointRecord| {
                    record.pending.as_ref().is_some_and(|pending| pending.generation == generation)
                };
                tx.finish_task(&id)?;
                let Some(mut record) = record.filter(is_pending) else { return Ok::<_, Error>((false, None)) };
                let before = record.current.as_ref().map(|current| current.generation.clone());
                settle(&mut record, failure.as_ref(), Timestamp(cx_of.now()));
                tx.put_json(&key, &record)?;
                tell(tx, &cx_of, &record, &generation)?;
                Ok((true, before.filter(|_| failure.is_none())))
            })
            .await?;
        match kept {
            // It was deleted meanwhile, or one of its models did not load: those that did are nobody's.
            (kept, _) if !kept || has_failed => self.servers.retire(&format!("{prefix}{} ", pending.generation)),
            (_, before) => before.iter().for_each(|old| self.servers.retire(&format!("{prefix}{old} "))),
        }
        Ok(Done::Committed)
    }
}

/// What is pending becomes current, or is given up.
fn settle(record: &mut EndpointRecord, failure: Option<&String>, now: Timestamp) {
    let Some(pending) = record.pending.take() else { return };
    let endpoint = &mut record.endpoint;
    endpoint.last_modified_time = now;
    endpoint.failure_reason = failure.cloned();
    if failure.is_some() {
        let stays = record.current.is_some();
        if stays { "InService" } else { "Failed" }.clone_into(&mut endpoint.endpoint_status);
        return;
    }
    "InService".clone_into(&mut endpoint.endpoint_status);
    endpoint.endpoint_config_name = Some(pending.config.clone());
    endpoint.production_variants = Some(pending.summaries(now));
    endpoint.async_inference_config.clone_from(&pending.asynchronous);
    record.current = Some(pending);
}
