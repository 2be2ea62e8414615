//! Invoke: runs a function and waits, or puts the event on the durable queue, or only checks. InvokeWithResponseStream: runs it and
//! answers while it writes.

use api_lambda::{
    InvocationRequest, InvocationResponse, Invoke, InvokeWithResponseStream, InvokeWithResponseStreamRequest,
    InvokeWithResponseStreamResponse, error,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;
use service::lineage::Worker;
use service::{Cx, Handle};
use sha2::{Digest as _, Sha256};
use wire::Error;

use crate::Lambda;
use crate::asynchronous::{Event, Events};
use crate::function::{Name, Scope};
use crate::invoke::{Call, Finished};

const MAX_EVENT_BYTES: usize = 1 << 20;
/// 6 MB; an answer may have a hundred bytes more.
const MAX_REQUEST_BYTES: usize = 6 << 20;

#[async_trait]
impl Handle<Invoke> for Lambda {
    async fn handle(&self, cx: &Cx, req: InvocationRequest) -> Result<InvocationResponse, Error> {
        let name = Name::parse(&req.function_name, req.qualifier.as_deref())?;
        let payload = event_of(req.payload)?;
        // A client's invocation has its request's id. What the platform calls has one of its own: a task calls many functions, and
        // a service that follows a source calls one for each batch, in the same context.
        let is_clients = cx.task_id().is_none() && cx.origin().is_some();
        let request_id = if is_clients { cx.request_id().to_owned() } else { cx.uuid() };
        let context = req.client_context.map(|context| decode_context(&context)).transpose()?;
        let call = Call { name, payload, client_context: context, request_id, sink: None, durable: None, hidden: None };
        let kind = req.invocation_type.as_deref();
        // A plain call finds out by itself: one look at the function less.
        let may_differ = kind == Some("Event") || req.durable_execution_name.is_some() || cx.task_id().is_some();
        if may_differ
            && kind != Some("DryRun")
            && let Some(answer) = self.invoke_durable(cx, &call, kind, req.durable_execution_name.clone()).await?
        {
            return Ok(answer);
        }
        match req.invocation_type.as_deref() {
            None | Some("RequestResponse") => {
                let version_and_log = self.synchronous(cx, call).await?;
                Ok(response(version_and_log, req.log_type.as_deref() == Some("Tail")))
            }
            Some("Event") => self.event(cx, call).await,
            Some("DryRun") => {
                let place = Scope::of(cx);
                self.store.read(|tx| place.resolve_call(tx, &call.name, 1.0)).await?;
                Ok(InvocationResponse { status_code: Some(204), ..Default::default() })
            }
            Some(other) => Err(Error::validation(format!(
                "1 validation error detected: Value '{other}' at 'invocationType' failed to satisfy constraint: Member must \
                 satisfy enum value set: [Event, RequestResponse, DryRun]"
            ))),
        }
    }
}

impl Lambda {
    /// An invocation of a durable function; none where the function is not durable.
    async fn invoke_durable(
        &self,
        cx: &Cx,
        call: &Call,
        kind: Option<&str>,
        name: Option<String>,
    ) -> Result<Option<InvocationResponse>, Error> {
        let place = Scope::of(cx);
        let resolved = self.store.read(|tx| place.resolve_call(tx, &call.name, 1.0)).await?;
        if resolved.version.config.durable_config.is_none() {
            return match name {
                None => Ok(None),
                Some(_) => Err(error::invalid_parameter_value_exception(
                    "DurableExecutionName is for durable functions: this one has no DurableConfig.",
                )),
            };
        }
        // A task that asks again gets the execution that it has started.
        let name = name.or_else(|| cx.task_id().map(|task| hex::encode(&Sha256::digest(task)[..24])));
        if kind == Some("Event") {
            too_large(call.payload.len(), MAX_EVENT_BYTES, "Event")?;
            let (qualifier, event) = (call.name.qualifier.as_deref(), Some(call.request_id.clone()));
            let started = self.start_durable(cx, &resolved, qualifier, (name, &call.payload), event).await?;
            let durable_execution_arn = Some(started.id.arn());
            return Ok(Some(InvocationResponse {
                status_code: Some(202),
                durable_execution_arn,
                ..Default::default()
            }));
        }
        too_large(call.payload.len(), MAX_REQUEST_BYTES, "RequestResponse")?;
        let finished = self.run_durable(cx, &resolved, call, name).await?;
        Ok(Some(response(finished, false)))
    }

    async fn synchronous(&self, cx: &Cx, call: Call) -> Result<Finished, Error> {
        too_large(call.payload.len(), MAX_REQUEST_BYTES, "RequestResponse")?;
        let Some(task) = cx.task_id() else {
            // As on AWS, a function runs to its end though its caller hung up.
            let me = self.me.upgrade().ok_or_else(|| Error::internal("the service is shutting down"))?;
            let cx = cx.clone();
            let run = tokio::spawn(async move { me.run(&cx, call, None).await });
            return run.await.map_err(Error::internal)?;
        };
        // A task that asks again gets the answer that it has not heard. Its asker commits it, which is as soon as it could be kept
        // on disk here: what a crash between the two loses is the same.
        if let Some(finished) = self.answers.of(task) {
            return Ok(finished);
        }
        let task = task.to_owned();
        let finished = self.run(cx, call, None).await?;
        self.answers.keep(task, &finished);
        Ok(finished)
    }

    async fn event(&self, cx: &Cx, call: Call) -> Result<InvocationResponse, Error> {
        too_large(call.payload.len(), MAX_EVENT_BYTES, "Event")?;
        let (place, function) = (Scope::of(cx), call.name.name.clone());
        let event = Event {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            function: call.name.name.clone(),
            qualifier: call.name.qualifier.clone(),
            payload: STANDARD.encode(&call.payload),
            client_context: call.client_context.clone(),
            accepted_ms: cx.now().as_millisecond(),
            request_id: call.request_id,
            trace: cx.trace().map(|span| span.to_string()),
            failures: 0,
            throttles: 0,
        };
        // Of two events none takes the other's place, whatever they are called.
        let other = cx.uuid();
        let task = cx
            .write(&self.store, move |tx| {
                place.resolve_call(tx, &call.name, 1.0)?;
                let mut event = event.clone();
                if tx.has_task(&event.task())? {
                    event.request_id.clone_from(&other);
                }
                jobs::start::<Events>(tx, &event.task(), &event)?;
                Ok::<_, Error>(event.task())
            })
            .await?;
        cx.began(Worker::Job(task));
        self.measure(cx, &function, "AsyncEventsReceived", 1.0, "Count");
        Ok(InvocationResponse { status_code: Some(202), ..Default::default() })
    }
}

/// A streamed answer's head; the front fetches the rest.
#[async_trait]
impl Handle<InvokeWithResponseStream> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: InvokeWithResponseStreamRequest,
    ) -> Result<InvokeWithResponseStreamResponse, Error> {
        let name = Name::parse(&req.function_name, req.qualifier.as_deref())?;
        let payload = event_of(req.payload)?;
        too_large(payload.len(), MAX_REQUEST_BYTES, "RequestResponse")?;
        if req.invocation_type.as_deref() == Some("DryRun") {
            let place = Scope::of(cx);
            self.store.read(|tx| place.resolve_call(tx, &name, 1.0)).await?;
            return Ok(InvokeWithResponseStreamResponse { status_code: Some(204), ..Default::default() });
        }
        if cx.task_id().is_some() {
            return Err(Error::validation(
                "InvokeWithResponseStream has no answer that a service could take: use Invoke.",
            ));
        }
        let context = req.client_context.map(|context| decode_context(&context)).transpose()?;
        let request_id = cx.request_id().to_owned();
        let call = Call { name, payload, client_context: context, request_id, sink: None, durable: None, hidden: None };
        let version = self.stream(cx, call, req.log_type.as_deref() == Some("Tail")).await?;
        Ok(InvokeWithResponseStreamResponse {
            status_code: Some(200),
            executed_version: Some(version),
            response_stream_content_type: Some("application/vnd.amazon.eventstream".to_owned()),
            event_stream: None,
        })
    }
}

/// The event as the function gets it.
fn event_of(payload: Option<wire::Blob>) -> Result<Bytes, Error> {
    let payload = payload.map(|payload| payload.0).filter(|payload| !payload.is_empty());
    let payload = payload.unwrap_or_else(|| Bytes::from_static(b"{}"));
    match serde_json::from_slice::<IgnoredAny>(&payload) {
        Ok(_) => Ok(payload),
        Err(error) => Err(error::invalid_request_content_exception(format!(
            "Could not parse request body into json: Could not parse payload into json: {error}"
        ))),
    }
}

fn response(finished: Finished, with_log: bool) -> InvocationResponse {
    InvocationResponse {
        status_code: Some(200),
        function_error: finished.failed.then(|| "Unhandled".to_owned()),
        log_result: with_log.then_some(finished.tail),
        payload: Some(wire::Blob(finished.payload)),
        executed_version: Some(finished.version),
        durable_execution_arn: finished.durable,
    }
}

fn too_large(bytes: usize, limit: usize, kind: &str) -> Result<(), Error> {
    if bytes <= limit {
        return Ok(());
    }
    Err(error::request_too_large_exception(format!(
        "{bytes} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
    )))
}

/// Base64 outside, JSON inside.
fn decode_context(context: &str) -> Result<String, Error> {
    let decoded = STANDARD.decode(context).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()).ok_or_else(|| {
        error::invalid_request_content_exception("Client context must be a valid Base64-encoded JSON object.")
    })
}
