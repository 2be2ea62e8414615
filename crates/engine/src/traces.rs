//! Traces of executions: an execution is a trace, or a part of the one of who began it; a state is a span, and so is what it calls.
//!
//! Spans are made of the history, once the execution is over: nothing of it is in a turn's way, and what a crash cut short has its whole
//! trace all the same. Ids are made of the execution's ARN and its events' numbers: so a call can be told its span's before there is one.
//! Neither data nor causes are in them, which may hold data.
//!
//! An execution that is redriven has a span for each time it ran; those after the first are children of the first.

mod spans;

use std::sync::{Arc, OnceLock};

use asl::Info;
use service::trace::{TraceContext, Tracer};
use tokio::sync::mpsc;
use wire::Error;

pub use spans::Spans;

use crate::{Engine, ExecutionArn};

/// Executions whose spans are to be made; beyond that they are not.
const WAITING: usize = 4096;
/// Events read at once.
const EVENTS: usize = 1000;

/// Where executions are left whose spans are to be made.
pub(crate) type Ended = OnceLock<mpsc::Sender<ExecutionArn>>;

/// The trace of a new execution, as [`Info::trace`] keeps it: that of who begins it, or one of its own, whose id begins with the time, as
/// X-Ray's do.
pub fn begin(arn: &ExecutionArn, started: asl::Timestamp, by: Option<TraceContext>) -> String {
    let own = || {
        let seconds = u32::try_from(started.0 / 1000).unwrap_or(u32::MAX);
        let rest = number(&format!("{arn} {}", started.0), 24);
        TraceContext { trace: (u128::from(seconds) << 96) | rest, span: 0 }
    };
    by.unwrap_or_else(own).to_string()
}

/// The trace of a Distributed Map's child is that of the execution whose Map it is.
pub(crate) fn of_child(parent: &Info) -> Option<String> {
    let trace = TraceContext::parse(parent.trace.as_deref()?)?.trace;
    Some(TraceContext { trace, span: span_id(&parent.execution_arn, "execution", 0) }.to_string())
}

/// The span of a call, by the last event before it.
pub(crate) fn of_call(info: &Info, event: u64) -> Option<TraceContext> {
    let trace = TraceContext::parse(info.trace.as_deref()?)?.trace;
    Some(TraceContext { trace, span: span_id(&info.execution_arn, "event", event) })
}

fn span_id(execution: &str, what: &str, number_of: u64) -> u64 {
    u64::try_from(number(&format!("{execution} {what} {number_of}"), 16)).unwrap_or_default().max(1)
}

/// So many hexadecimal digits of a text's hash.
fn number(text: &str, digits: usize) -> u128 {
    u128::from_str_radix(&asl::fingerprint(text)[..digits], 16).unwrap_or_default()
}

/// Makes the spans of executions that end from now on.
pub(crate) fn follow(engine: &Engine, tracer: &Arc<dyn Tracer>) {
    let (leave, mut left) = mpsc::channel(WAITING);
    if engine.inner.ended.set(leave).is_err() {
        return;
    }
    let (engine, tracer) = (engine.clone(), Arc::clone(tracer));
    tokio::spawn(async move {
        while let Some(arn) = left.recv().await {
            // While the collector is away nothing is read for it.
            if !tracer.has_room() {
                tracer.missed();
                continue;
            }
            match engine.spans(&arn).await {
                Ok(spans) => tracer.export(spans.finish()),
                Err(error) => {
                    tracing::warn!(execution = arn.as_str(), %error, "an execution's trace could not be made");
                    tracer.missed();
                }
            }
        }
    });
}

impl Engine {
    /// An execution is over, and that is written.
    pub(crate) fn trace(&self, arn: ExecutionArn) {
        if let Some(ended) = self.inner.ended.get()
            && ended.try_send(arn).is_err()
            && let Some(tracer) = self.router().tracer()
        {
            tracer.missed();
        }
    }

    async fn spans(&self, arn: &ExecutionArn) -> Result<Spans, Error> {
        let Some((_, info)) = self.describe(arn).await? else { return Ok(Spans::default()) };
        let (mut spans, mut next) = (Spans::new(arn, &info), 1);
        loop {
            let events = self.history(arn, next, EVENTS, (false, false)).await?;
            let Some(last) = events.last() else { return Ok(spans) };
            next = last.id + 1;
            for event in &events {
                spans.add(event);
            }
            tokio::task::yield_now().await;
        }
    }
}
