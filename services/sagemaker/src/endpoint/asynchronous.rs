//! `InvokeEndpointAsync`: a call as a job, whose input and output are objects, read and written as the model's role.

use std::sync::Arc;
use std::time::Duration;

use api_s3::{GetObject, GetObjectOutput, GetObjectRequest, PutObject, PutObjectRequest};
use async_trait::async_trait;
use jiff::SignedDuration;
use jobs::{Attempt, Ended, Kind, Limits, Loaded, Next, Who, Worked};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Cx;
use service::attempts::Outcome;
use store::Tx;
use wire::Error;

use super::call::{Failed, Way, model_error};
use super::server::Asked;
use crate::SageMaker;

pub(crate) const CALL: &str = "sagemaker:call";
/// Calls that work side by side.
pub(crate) const AT_ONCE: usize = 32;
/// Source: `SageMaker` Runtime API Reference, `InvokeEndpointAsync`.
const TTL: SignedDuration = SignedDuration::from_hours(6);
const LIMIT: Duration = Duration::from_mins(15);

/// A call that has been accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) endpoint: String,
    pub(crate) inference_id: String,
    pub(crate) input: String,
    pub(crate) output: String,
    /// Where errors go, if anywhere.
    pub(crate) failure: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<String>,
    pub(crate) accepted_ms: i64,
    pub(crate) ttl_seconds: Option<i32>,
    pub(crate) timeout_seconds: Option<i32>,
    /// The variant that was chosen for it, and its model's role: calls of before have none.
    #[serde(default)]
    pub(crate) variant: Option<String>,
    #[serde(default)]
    pub(crate) role: Option<String>,
}

/// How it ended: the content type of its answer, or why it failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    content_type: Option<String>,
    failure: Option<String>,
    /// Why it failed is not where errors go: there was no role to write it.
    #[serde(default)]
    unwritten: bool,
}

impl Call {
    /// By its output, which no other call has: callers may use an inference id of their own again.
    pub(crate) fn task(&self) -> String {
        self.named(CALL)
    }

    pub(super) fn named(&self, kind: &str) -> String {
        let own = self.output.rsplit('/').next().unwrap_or_default().trim_end_matches(".out");
        format!("{kind}:{}:{}:{own}", self.account, self.region)
    }
}

pub(crate) struct Calls(pub(crate) Arc<SageMaker>);

#[async_trait]
impl Kind for Calls {
    const NAME: &'static str = CALL;
    const BEGINS: bool = false;
    type Payload = Call;
    type Plan = ();
    type End = End;

    fn scope(call: &Call) -> (&str, &str) {
        (&call.account, &call.region)
    }

    fn load(&self, _: &mut Tx<'_>, _: &Call) -> Result<Loaded<()>, Error> {
        Ok(Loaded::Todo(()))
    }

    fn limits(&self, (): &()) -> Limits {
        // The call keeps its own time.
        Limits { tries: 1, timeout: None }
    }

    async fn who(&self, call: &Call, (): &(), attempt: &str) -> Result<Who<End>, Error> {
        let role = if let Some(role) = &call.role {
            Some(role.clone())
        } else {
            let cx = Cx::platform(&self.0.router, &call.account, &call.region);
            let way = self.0.way(&cx, &call.endpoint).await;
            match way.and_then(|way| Ok(way.variant(None)?.model.execution_role_arn.clone())) {
                Ok(role) => role,
                Err(error) if error.status() >= 500 => return Err(error),
                // It would be so the next time.
                Err(error) => return Ok(Who::Nobody(unwritten(error.message()))),
            }
        };
        let Some(role) = role else { return Ok(Who::Nobody(unwritten("the model has no ExecutionRoleArn"))) };
        match self.0.router.identity().role_session(&role, "SageMaker", Some(attempt)).await {
            Ok(principal) => Ok(Who::As(principal)),
            Err(error) if error.status() >= 500 => Err(error),
            Err(error) => Ok(Who::Nobody(unwritten(&format!("role {role} could not be assumed: {}", error.message())))),
        }
    }

    async fn work(&self, call: &Call, (): &(), attempt: &Attempt) -> Worked<End> {
        let platform = Cx::platform(&self.0.router, &call.account, &call.region);
        let cx = match attempt.credentials() {
            Ok(keys) => platform.with_credentials(keys.clone()),
            Err(error) => return Worked::Ended(unwritten(error.message())),
        };
        let end = match self.0.answer(&cx, call).await {
            Ok(content_type) => End { content_type, failure: None, unwritten: false },
            Err(why) => {
                let Some(place) = &call.failure else { return Worked::Ended(failed(&why)) };
                let written = put(&cx, place, why.clone().into_bytes().into(), Some("text/plain")).await;
                match written {
                    Ok(()) => failed(&why),
                    Err(error) => {
                        tracing::warn!(%error, endpoint = call.endpoint, place, "why a call failed could not be written");
                        unwritten(&why)
                    }
                }
            }
        };
        Worked::Ended(end)
    }

    fn stopped(&self) -> End {
        unwritten("the call was stopped")
    }

    fn timed_out(&self, (): &()) -> End {
        unwritten("the call took too long")
    }

    fn outcome(&self, _: &End) -> Outcome {
        Outcome::Commit
    }

    fn end(&self, tx: &mut Tx<'_>, call: &Call, ended: &Ended<End>) -> Result<Next<Call>, Error> {
        super::notice::enqueue(tx, call, &ended.end, ended.at)?;
        Ok(Next::Over)
    }
}

fn failed(why: &str) -> End {
    End { content_type: None, failure: Some(why.to_owned()), unwritten: false }
}

fn unwritten(why: &str) -> End {
    End { unwritten: true, ..failed(why) }
}

impl SageMaker {
    /// From object to object; the content type of the answer.
    async fn answer(&self, cx: &Cx, call: &Call) -> Result<Option<String>, String> {
        let ttl = call.ttl_seconds.map_or(TTL, |seconds| SignedDuration::from_secs(seconds.into()));
        if cx.now().as_millisecond() - call.accepted_ms > i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX) {
            return Err("The request expired before it was processed: RequestTTLSeconds is over.".to_owned());
        }
        let text = |error: Error| format!("{}: {}", error.code(), error.message());
        let way: Way = self.way(cx, &call.endpoint).await.map_err(text)?;
        // The one that it was accepted for, as long as the endpoint has it: its role reads and writes.
        let chosen = call.variant.as_deref().and_then(|name| way.variant(Some(name)).ok());
        let variant = chosen.map_or_else(|| way.variant(None), Ok).map_err(text)?;
        let (bucket, key) = place(&call.input).ok_or("InputLocation is no object")?;
        let object = get(cx, (bucket, key), variant.max_bytes()).await;
        let object = object.map_err(|error| format!("{} could not be read: {}", call.input, text(error)))?;
        let asked = Asked {
            body: object.body.unwrap_or_default().0,
            content_type: call.content_type.clone().or(object.content_type),
            accept: call.accept.clone(),
        };
        let limit = call.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let answered = self.ask(cx, &way, variant, asked, limit.map_or(LIMIT, Duration::from_secs)).await;
        let answered = answered.map_err(|error: Failed| text(model_error(cx, &call.endpoint, error)))?;
        let content_type = answered.content_type;
        put(cx, &call.output, answered.body, content_type.as_deref())
            .await
            .map_err(|error| format!("{} could not be written: {}", call.output, text(error)))?;
        Ok(content_type)
    }
}

/// No more of an object than one byte that is too many: it may be larger than memory.
async fn get(cx: &Cx, (bucket, key): (String, String), most: usize) -> Result<GetObjectOutput, Error> {
    let request = GetObjectRequest { bucket, key, range: Some(format!("bytes=0-{most}")), ..Default::default() };
    let object = match cx.call::<GetObject>(request.clone()).await {
        // An empty object has no range.
        Err(error) if error.is("InvalidRange") => {
            cx.call::<GetObject>(GetObjectRequest { range: None, ..request }).await?
        }
        came => came?,
    };
    let total = object.content_range.as_deref().and_then(|range| range.rsplit('/').next()?.parse::<usize>().ok());
    match total.filter(|total| *total > most) {
        Some(total) => {
            Err(Error::validation(format!("it has {total} bytes, more than the {most} that the endpoint takes")))
        }
        None => Ok(object),
    }
}

async fn put(cx: &Cx, url: &str, body: bytes::Bytes, content_type: Option<&str>) -> Result<(), Error> {
    let (bucket, key) = place(url).ok_or_else(|| Error::validation(format!("{url} is no S3 location")))?;
    let request = PutObjectRequest {
        bucket,
        key,
        body: Some(wire::Blob(body)),
        content_type: content_type.map(str::to_owned),
        ..Default::default()
    };
    cx.call::<PutObject>(request).await.map(drop)
}

/// Bucket and key.
pub(crate) fn place(url: &str) -> Option<(String, String)> {
    let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
    (!bucket.is_empty() && !key.is_empty()).then(|| (bucket.to_owned(), key.to_owned()))
}

impl End {
    /// What its topic is told.
    /// Source: `SageMaker` Developer Guide, "Check prediction results", Amazon SNS topics.
    pub(crate) fn message(&self, call: &Call, at: jiff::Timestamp) -> serde_json::Value {
        let time = |ms: i64| {
            jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
        };
        let mut message = json!({
            "awsRegion": call.region,
            "eventTime": time(at.as_millisecond()),
            "receivedTime": time(call.accepted_ms),
            "invocationStatus": if self.failure.is_some() { "Failed" } else { "Completed" },
            "requestParameters": { "contentType": call.content_type, "endpointName": call.endpoint, "inputLocation": call.input },
            "inferenceId": call.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        });
        match &self.failure {
            Some(why) => {
                message["failureReason"] = why.clone().into();
                let place = call.failure.as_ref().filter(|_| !self.unwritten);
                message["responseParameters"] = json!({ "outputLocation": place });
            }
            None => {
                message["responseParameters"] =
                    json!({ "contentType": self.content_type, "outputLocation": call.output });
            }
        }
        message
    }

    pub(crate) fn failed(&self) -> bool {
        self.failure.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_one_inference_id_are_two() {
        let call = |output: &str| Call {
            account: "000000000000".to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint: "e".to_owned(),
            inference_id: "mine".to_owned(),
            input: "s3://b/in".to_owned(),
            output: format!("s3://b/out/{output}.out"),
            failure: None,
            content_type: None,
            accept: None,
            accepted_ms: 0,
            ttl_seconds: None,
            timeout_seconds: None,
            variant: None,
            role: None,
        };
        assert_ne!(call("1").task(), call("2").task());
        assert_eq!(call("1").task(), "sagemaker:call:000000000000:eu-west-1:1".replace("sagemaker:call", CALL));
    }

    /// Answers with as many bytes as an object's key says, as S3 does.
    struct Sized;

    #[async_trait]
    impl service::Handle<GetObject> for Sized {
        async fn handle(&self, _: &Cx, req: GetObjectRequest) -> Result<GetObjectOutput, Error> {
            let size: usize = req.key.parse().unwrap();
            let end =
                req.range.as_deref().map(|range| range.strip_prefix("bytes=0-").unwrap().parse::<usize>().unwrap());
            let sent = end.map_or(size, |end| size.min(end + 1));
            if end.is_some() && size == 0 {
                return Err(Error::new("InvalidRange", 416, "The requested range is not satisfiable"));
            }
            Ok(GetObjectOutput {
                content_range: end.map(|_| format!("bytes 0-{}/{size}", sent - 1)),
                body: Some(wire::Blob(vec![0; sent].into())),
                ..GetObjectOutput::default()
            })
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_an_endpoint_takes() {
        let router = service::Router::new();
        router.register::<GetObject, _>(&Arc::new(Sized));
        let cx = Cx::platform(&router, "000000000000", "eu-west-1");
        for size in [0, 1, 9, 10] {
            let object = get(&cx, ("b".to_owned(), size.to_string()), 10).await.unwrap();
            assert_eq!(object.body.unwrap().0.len(), size);
        }
        let refused = get(&cx, ("b".to_owned(), "11".to_owned()), 10).await.unwrap_err();
        assert_eq!(refused.message(), "it has 11 bytes, more than the 10 that the endpoint takes");
    }
}
