//! One invocation: which variant, a server of its model, the model's errors in AWS's words.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api_sagemakerruntime::error;
use compute::pool::Place;
use service::Cx;
use wire::Error;

use super::server::{Answered, Asked, Broken};
use super::{Deployment, Variant, choose, invalid, metrics};
use crate::SageMaker;
use crate::records::{EndpointRecord, endpoint_arn, endpoint_key};

/// What a model of a real-time or serverless endpoint has to answer within.
/// Source: `SageMaker` Runtime API Reference, `InvokeEndpoint`: "must respond to requests within 60 seconds".
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
const TIMED_OUT: &str = "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for \
                         each container in Amazon CloudWatch, resolve the issue, and try again.";

/// A call's way to its model.
pub(crate) struct Way {
    pub(crate) endpoint: String,
    pub(crate) record: EndpointRecord,
    pub(crate) deployment: Deployment,
    /// In `[0, 1)`: which variant gets the call where none is asked for.
    pub(crate) chance: f64,
}

impl Way {
    pub(crate) fn variant(&self, target: Option<&str>) -> Result<&Variant, Error> {
        choose(&self.record, &self.deployment, target, self.chance)
    }
}

/// Why a call of a model failed.
pub(crate) enum Failed {
    /// The model, or its server: what AWS calls `ModelError`.
    Model {
        status: u16,
        message: String,
        stream: String,
    },
    Platform(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Platform(error)
    }
}

impl SageMaker {
    /// An endpoint that answers, as it is now.
    pub(crate) async fn way(&self, cx: &Cx, endpoint: &str) -> Result<Way, Error> {
        let key = endpoint_key(cx, endpoint);
        let missing = || invalid(format!("Endpoint {endpoint} of account {} not found.", cx.account()));
        self.store
            .read(|tx| {
                let record: EndpointRecord = tx.get_json(&key)?.ok_or_else(missing)?;
                let deployment = match record.current.clone() {
                    Some(current) => current,
                    None if record.pending.is_some() || record.endpoint.endpoint_status != "InService" => {
                        return Err(missing());
                    }
                    // A server of an earlier version kept none.
                    None => {
                        let config = record.endpoint.endpoint_config_name.clone().unwrap_or_default();
                        Deployment::of(tx, cx, &config, "")?
                    }
                };
                Ok(Way { endpoint: endpoint.to_owned(), record, deployment, chance: cx.router().clock().fraction() })
            })
            .await
    }

    /// Has a model answer, in a warm server or a new one. Who asks waits for either no longer than `limit`; a server that starts, or
    /// answers, goes on when who asked has hung up: a model that loads for longer than callers wait would never be loaded.
    pub(crate) async fn ask(
        &self,
        cx: &Cx,
        way: &Way,
        variant: &Variant,
        asked: Asked,
        limit: Duration,
    ) -> Result<Answered, Failed> {
        let (began, mut model) = (Instant::now(), None);
        let outcome = self.passed_on(cx, way, variant, (asked, limit), &mut model).await;
        metrics::tell(cx, (&way.endpoint, variant.name()), &outcome, (began.elapsed(), model));
        outcome
    }

    async fn passed_on(
        &self,
        cx: &Cx,
        way: &Way,
        variant: &Variant,
        (asked, limit): (Asked, Duration),
        model: &mut Option<Duration>,
    ) -> Result<Answered, Failed> {
        if asked.body.len() > variant.max_bytes() {
            let message = format!(
                "The request of {} bytes is larger than the {} bytes that the endpoint takes.",
                asked.body.len(),
                variant.max_bytes()
            );
            return Err(invalid(message).into());
        }
        let key = server_key(cx, &way.endpoint, &way.deployment, variant);
        let slot = Slots::enter(&self.slots, &key, variant)?;
        let memory_mb = usize::try_from(variant.memory_mb() / 2).unwrap_or(2048);
        let me = self.me.upgrade().ok_or_else(|| Error::internal("the server is ending"))?;
        let (of, endpoint, starts) = (cx.clone(), way.endpoint.clone(), variant.clone());
        let start = move |permit| async move { me.serve(&of, &endpoint, &starts, permit).await };
        let taking = tokio::time::timeout(limit, self.servers.take(&key, memory_mb, Place::Here, start)).await;
        let nameless = |message| Failed::Model { status: 0, message, stream: String::new() };
        let mut taken = taking.map_err(|_| nameless(TIMED_OUT.to_owned()))?.map_err(nameless)?;
        let memory_mb = variant.memory_mb();
        let calling = tokio::spawn(async move {
            let _slot = slot;
            let clock = Instant::now();
            let stream = taken.get().log_stream().to_owned();
            let outcome = taken.get().call(asked, limit).await;
            if outcome.is_ok() {
                taken.keep(clock.elapsed());
            } else {
                taken.end();
            }
            (answered(outcome, stream, memory_mb), clock.elapsed())
        });
        let (answered, took) = calling.await.map_err(Error::internal)?;
        *model = Some(took);
        answered
    }
}

fn answered(outcome: Result<Answered, Broken>, stream: String, memory_mb: u64) -> Result<Answered, Failed> {
    let (status, message) = match outcome {
        Ok(answered) if (200..300).contains(&answered.status) => return Ok(answered),
        Ok(answered) => (answered.status, String::from_utf8_lossy(&answered.body).into_owned()),
        Err(Broken::TimedOut) => (0, TIMED_OUT.to_owned()),
        Err(Broken::OutOfMemory) => (0, format!("the model took more than {memory_mb} MB of memory")),
        Err(Broken::Ended(why)) => (500, why),
    };
    Err(Failed::Model { status, message, stream })
}

/// Servers of one key are alike.
pub(crate) fn server_key(cx: &Cx, endpoint: &str, deployment: &Deployment, variant: &Variant) -> String {
    format!("{} {} {}", endpoint_arn(cx, endpoint), deployment.generation, variant.name())
}

/// `ModelError`, in the words and with the members that AWS's has.
pub(crate) fn model_error(cx: &Cx, endpoint: &str, failed: Failed) -> Error {
    let (status, message, stream) = match failed {
        Failed::Platform(error) => return error,
        Failed::Model { status, message, stream } => (status, message, stream),
    };
    let kind = if (400..500).contains(&status) { "client" } else { "server" };
    let (region, account) = (cx.region(), cx.account());
    let group = format!("/aws/sagemaker/Endpoints/{endpoint}");
    let text = format!(
        "Received {kind} error ({status}) from primary with message \"{message}\". See https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} in account {account} for more information."
    );
    error::model_error(text)
        .with("OriginalStatusCode", status)
        .with("OriginalMessage", message)
        .with("LogStreamArn", cx.arn("logs", format!("log-group:{group}:log-stream:{stream}")))
}

/// Calls under way of serverless variants.
#[derive(Default)]
pub(crate) struct Slots(Mutex<BTreeMap<String, i32>>);

pub(crate) struct Slot(Arc<Slots>, String);

impl Slots {
    fn enter(slots: &Arc<Self>, key: &str, variant: &Variant) -> Result<Option<Slot>, Error> {
        let Some(config) = &variant.variant.serverless_config else { return Ok(None) };
        let mut all = slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = all.entry(key.to_owned()).or_default();
        if *under_way >= config.max_concurrency {
            return Err(Error::new(
                "ThrottlingException",
                429,
                "Rate exceeded: the variant's MaxConcurrency is reached.",
            ));
        }
        *under_way += 1;
        Ok(Some(Slot(Arc::clone(slots), key.to_owned())))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
}
