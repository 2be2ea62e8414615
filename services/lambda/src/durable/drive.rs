//! Driving executions: a durable task each, which calls the function while there is news for it and sleeps until the next timer
//! otherwise. A call that a crash cut short is made again; what was checkpointed stays.

use std::time::Duration;

use api_lambda::{ErrorObject, Event, EventError, InvocationCompletedDetails, InvocationRequest, Invoke, Operation};
use bytes::Bytes;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use store::{Done, NewTask, Task, Tx};
use wire::{Blob, Error, Timestamp};

use super::{FAILED, Id, Record, SUCCEEDED, Start, TIMED_OUT, failure, in_event};
use crate::Lambda;
use crate::function::{Name, Resolved, Scope};
use crate::invoke::{Call, Finished, NODE_LOST};

pub(crate) const DRIVE: &str = "lambda:durable";
pub(crate) const CHAIN: &str = "lambda:durable-invoke";
pub(crate) const EXPIRE: &str = "lambda:durable-expire";
/// Executions whose function runs at once, and chained invocations.
pub(crate) const AT_ONCE: usize = 1000;
/// Calls that fail one after the other before the execution does, and the pause after the first.
const TRIES: u32 = 5;
const PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// How often a paused execution is looked at that nothing else wakes.
const LOOK_MS: i64 = 86_400_000;
/// Operations in a call's event; the rest is asked for.
const PAGE: usize = 1000;
/// How long a caller waits for an execution. Source: Lambda Developer Guide, "Invoking durable functions".
const SYNCHRONOUS: Duration = Duration::from_mins(15);

/// An invocation by an execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chained {
    pub(super) id: Id,
    pub(super) operation: String,
    pub(super) function: String,
    pub(super) payload: String,
}

impl Chained {
    pub(super) fn task(&self) -> String {
        format!("{CHAIN}:{}:{}", self.id.arn(), self.operation)
    }
}

/// What a call of the function begins with.
struct Turn {
    record: Box<Record>,
    operations: Vec<Operation>,
    next: Option<String>,
    updated: Vec<String>,
}

pub(crate) async fn run(lambda: &Lambda, task: &Task) -> Result<Done, Error> {
    match task.kind.as_str() {
        DRIVE => drive(lambda, &task.payload()?).await,
        CHAIN => chain(lambda, task).await,
        _ => {
            let id: Id = task.payload()?;
            let own = task.id.clone();
            lambda
                .store
                .write(move |tx| {
                    Record::forget(tx, &id)?;
                    Ok::<_, Error>(tx.finish_task(&own)?)
                })
                .await?;
            Ok(Done::Committed)
        }
    }
}

async fn drive(lambda: &Lambda, id: &Id) -> Result<Done, Error> {
    loop {
        let (of, now) = (id.clone(), Timestamp(lambda.router.now()));
        let turn = lambda.store.write(move |tx| begin(tx, &of, now)).await?;
        let Some(turn) = turn else {
            lambda.ended.notify_waiters();
            return Ok(Done::Committed);
        };
        let began = Timestamp(lambda.router.now());
        let cx = Cx::platform(&lambda.router, &id.account, &id.region);
        let request_id = cx.uuid();
        let call = Call {
            name: Name { name: id.function.clone(), qualifier: Some(id.version.clone()) },
            payload: event(&turn)?,
            client_context: None,
            request_id: request_id.clone(),
            sink: None,
            durable: Some(id.arn()),
            hidden: None,
        };
        let outcome = lambda.run(&cx, call, None).await;
        let (of, now) = (id.clone(), Timestamp(lambda.router.now()));
        let again = lambda.store.write(move |tx| settle(tx, &of, &outcome, (began, now), &request_id)).await?;
        if !again {
            lambda.ended.notify_waiters();
            return Ok(Done::Committed);
        }
    }
}

/// Whether the function is to be called now, and with what; otherwise the task sleeps, or is done.
fn begin(tx: &mut Tx<'_>, id: &Id, now: Timestamp) -> Result<Option<Turn>, Error> {
    let Some(mut record) = tx.get_json::<Record>(id.record())? else {
        tx.finish_task(&id.task())?;
        return Ok(None);
    };
    if record.is_running() {
        record.advance(tx, now)?;
    }
    if record.is_running() && !record.clock_stands() && now.as_millis() >= record.deadline_ms() {
        let error = failure("DurableExecution.Timeout", "The execution timed out");
        record.end(tx, now, TIMED_OUT, (None, Some(error)))?;
    }
    if !record.is_running() {
        tx.put_json(id.record(), &record)?;
        tx.finish_task(&id.task())?;
        return Ok(None);
    }
    if record.is_pausing() {
        // The call that was on its way was cut short.
        record.interrupted |= record.calling;
        record.calling = false;
        record.paused(tx, now)?;
    }
    let has_news = !record.invoked
        || record.calling
        || record.interrupted
        // Of what a checkpoint's answer told it the function may have been past already.
        || record.news
        || !record.unseen.is_empty()
        || record.failures > 0
        || record.throttles > 0;
    if record.is_paused() || !has_news {
        record.interrupted |= record.calling;
        record.calling = false;
        sleep(tx, &record, now)?;
        tx.put_json(id.record(), &record)?;
        return Ok(None);
    }
    record.token += 1;
    record.last = None;
    let mut updated = std::mem::take(&mut record.unseen);
    if !record.invoked {
        updated.clear();
    }
    (record.invoked, record.calling, record.news, record.interrupted) = (true, true, false, false);
    tx.put_json(id.record(), &record)?;
    let (operations, next) = record.page(tx, 0, PAGE)?;
    Ok(Some(Turn { record: Box::new(record), operations, next, updated }))
}

/// The task comes again when the next timer ends, or sooner when somebody has news.
fn sleep(tx: &mut Tx<'_>, record: &Record, now: Timestamp) -> Result<(), Error> {
    // A paused execution whose time stands still is only looked at.
    let end = if record.clock_stands() { now.as_millis() + LOOK_MS } else { record.deadline_ms() };
    let next = record.due.values().copied().min().unwrap_or(i64::MAX).min(end);
    let at = Timestamp::from_millis(next).0;
    Ok(tx.enqueue(NewTask::new(DRIVE, record.id.task()).payload(&record.id)?.at(at))?)
}

/// The event of a call. Its names are those that the SDKs read.
fn event(turn: &Turn) -> Result<Bytes, Error> {
    let operations = turn.operations.iter().map(in_event).collect::<Result<Vec<Value>, Error>>()?;
    let event = json!({
        "DurableExecutionArn": turn.record.id.arn(),
        "CheckpointToken": turn.record.token(),
        "InitialExecutionState": { "Operations": operations, "NextMarker": turn.next.clone().unwrap_or_default() },
        "UpdatedOperationIds": turn.updated,
    });
    Ok(event.to_string().into())
}

/// What a call came to; whether to call again now.
fn settle(
    tx: &mut Tx<'_>,
    id: &Id,
    outcome: &Result<Finished, Error>,
    (began, now): (Timestamp, Timestamp),
    request_id: &str,
) -> Result<bool, Error> {
    let Some(mut record) = tx.get_json::<Record>(id.record())? else {
        tx.finish_task(&id.task())?;
        return Ok(false);
    };
    let failed = match outcome {
        Ok(finished) if finished.failed => Some(error_of(&finished.payload)),
        Ok(_) => None,
        Err(error) => Some(failure(error.code(), error.to_string())),
    };
    let told = InvocationCompletedDetails {
        start_timestamp: began,
        end_timestamp: now,
        request_id: request_id.to_owned(),
        error: failed.clone().map(|error| EventError { payload: Some(error), truncated: Some(false) }),
    };
    record.tell(tx, now, "InvocationCompleted", None, |event: &mut Event| {
        event.invocation_completed_details = Some(told);
    })?;
    record.calling = false;
    // Its node is gone: as after a crash another call begins from what is checkpointed, with a new token.
    record.interrupted |= record.is_running() && outcome.as_ref().is_err_and(|error| error.is(NODE_LOST));
    let mut again = false;
    if record.is_running() && record.interrupted {
        // Its token was taken from it: what it answers says nothing.
        again = !record.is_paused();
    } else if record.is_running() {
        match (outcome, failed) {
            (Ok(finished), None) => {
                (record.failures, record.throttles) = (0, 0);
                again = answered(tx, &mut record, &finished.payload, now)?;
            }
            (_, Some(error)) => {
                // A machine without room is no fault of the function's, and takes none of its tries.
                if outcome.as_ref().is_err_and(|error| error.status() == 429 || error.status() >= 500) {
                    record.throttles = record.throttles.saturating_add(1);
                } else {
                    record.throttles = 0;
                    record.failures += 1;
                }
                if record.failures >= TRIES {
                    record.end(tx, now, FAILED, (None, Some(error)))?;
                }
            }
            (Err(_), None) => {}
        }
    }
    if record.is_pausing() {
        record.interrupted |= again;
        record.paused(tx, now)?;
        again = false;
    }
    tx.put_json(id.record(), &record)?;
    if !record.is_running() {
        tx.finish_task(&id.task())?;
    } else if record.failures.max(record.throttles) > 0 && !again && !record.is_paused() {
        let at = now.0 + PAUSE * (1 << record.failures.max(record.throttles).min(6).saturating_sub(1));
        tx.enqueue(NewTask::new(DRIVE, id.task()).payload(id)?.at(at))?;
    } else if !again {
        sleep(tx, &record, now)?;
    }
    Ok(again)
}

/// What the function answered: the end, or that it waits. Whether there is news for it already.
fn answered(tx: &mut Tx<'_>, record: &mut Record, payload: &[u8], now: Timestamp) -> Result<bool, Error> {
    let answer: Value = jsontext::read_slice(payload).unwrap_or_default();
    match answer.get("Status").and_then(Value::as_str) {
        Some("SUCCEEDED") => {
            let result = answer.get("Result").and_then(Value::as_str).map(str::to_owned);
            record.end(tx, now, SUCCEEDED, (result, None))?;
        }
        Some("FAILED") => {
            let error = answer.get("Error").cloned().and_then(|error| serde_json::from_value(error).ok());
            record.end(tx, now, FAILED, (None, error))?;
        }
        Some("PENDING") => {
            record.advance(tx, now)?;
            if !record.news && record.due.is_empty() && record.open.is_empty() {
                let message = "Cannot return PENDING status with no pending operations.";
                record.end(tx, now, FAILED, (None, Some(failure("InvalidParameterValueException", message))))?;
            }
            return Ok(record.is_running() && record.news);
        }
        _ => {
            let message = "Invalid Status in invocation output.";
            record.end(tx, now, FAILED, (None, Some(failure("InvalidParameterValueException", message))))?;
        }
    }
    Ok(false)
}

/// A function's error as executions have it.
fn error_of(payload: &[u8]) -> ErrorObject {
    let value: Value = jsontext::read_slice(payload).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let trace = value.get("stackTrace").and_then(Value::as_array);
    ErrorObject {
        error_type: text("errorType"),
        error_message: text("errorMessage"),
        error_data: None,
        stack_trace: trace.map(|lines| lines.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
    }
}

/// Runs an invocation that an execution asked for, as its function's role, and tells the execution its answer.
async fn chain(lambda: &Lambda, task: &Task) -> Result<Done, Error> {
    let chained: Chained = task.payload()?;
    let id = chained.id.clone();
    let platform = Cx::platform(&lambda.router, &id.account, &id.region);
    let place = id.place();
    let name = Name { name: id.function.clone(), qualifier: Some(id.version.clone()) };
    let role = lambda.store.read(|tx| place.resolve(tx, &name, 1.0)).await;
    let answer = match role {
        Err(error) => Err(error),
        Ok(resolved) => {
            let role = resolved.version.config.role.clone().unwrap_or_default();
            match platform.assume(&role, &id.function).await {
                Err(error) => Err(error),
                Ok(cx) => {
                    let input = InvocationRequest {
                        function_name: chained.function.clone(),
                        payload: Some(Blob(chained.payload.clone().into())),
                        ..Default::default()
                    };
                    cx.with_task(&task.id).call::<Invoke>(input).await
                }
            }
        }
    };
    let answer = match answer {
        Err(error) if error.status() == 429 || error.status() >= 500 => {
            tracing::warn!(%error, task = task.id, "a chained invocation found no room; it is tried again");
            return Ok(Done::RetryAfter(SignedDuration::from_secs(1_i64 << task.attempt.min(6))));
        }
        Err(error) => Err(failure(error.code(), error.to_string())),
        Ok(answer) => {
            let payload = answer.payload.map(|payload| payload.0).unwrap_or_default();
            match answer.function_error {
                Some(_) => Err(error_of(&payload)),
                None => Ok(Some(String::from_utf8_lossy(&payload).into_owned())),
            }
        }
    };
    let (own, now) = (task.id.clone(), Timestamp(lambda.router.now()));
    lambda
        .store
        .write(move |tx| {
            tx.finish_task(&own)?;
            if let Some(mut record) = tx.get_json::<Record>(chained.id.record())?.filter(Record::is_running) {
                record.chained(tx, &chained.operation, answer.clone(), now)?;
                tx.put_json(chained.id.record(), &record)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    Ok(Done::Committed)
}

impl Lambda {
    /// Starts an execution of a durable function, or finds it by its name.
    pub(crate) async fn start_durable(
        &self,
        cx: &Cx,
        resolved: &Resolved,
        qualifier: Option<&str>,
        (name, input): (Option<String>, &Bytes),
        event: Option<String>,
    ) -> Result<Record, Error> {
        let Some(qualifier) = qualifier.map(str::to_owned) else {
            return Err(api_lambda::error::invalid_parameter_value_exception(
                "You cannot invoke a durable function using an unqualified ARN.",
            ));
        };
        let (place, now, fresh, secret) = (Scope::of(cx), Timestamp(cx.now()), cx.uuid(), cx.uuid());
        let input = String::from_utf8_lossy(input).into_owned();
        let (version, function, arn) = (resolved.version.clone(), resolved.function.clone(), resolved.arn.clone());
        let resolved = Resolved { version, function, arn, invoke_config: None };
        let write = move |tx: &mut Tx<'_>| {
            let start = Start {
                resolved: &resolved,
                name: name.clone(),
                qualifier: qualifier.clone(),
                input: input.clone(),
                fresh: fresh.clone(),
                secret: secret.clone(),
                event: event.clone(),
            };
            Record::start(tx, &place, &start, now)
        };
        self.store.write(write).await
    }

    /// Starts an execution and waits for its end.
    pub(crate) async fn run_durable(
        &self,
        cx: &Cx,
        resolved: &Resolved,
        call: &Call,
        name: Option<String>,
    ) -> Result<Finished, Error> {
        let started =
            self.start_durable(cx, resolved, call.name.qualifier.as_deref(), (name, &call.payload), None).await?;
        let wait = self.end_of(&started.id);
        let record = if cx.task_id().is_some() {
            wait.await?
        } else {
            tokio::time::timeout(SYNCHRONOUS, wait).await.map_err(|_| {
                Error::new("ServiceException", 500, "The execution goes on; this call waited for 15 minutes")
                    .with("Type", "Service")
            })??
        };
        let failed = record.status != SUCCEEDED;
        let payload: Bytes =
            if failed { record.error_payload().into() } else { record.result.clone().unwrap_or_default().into() };
        Ok(Finished {
            payload,
            failed,
            streamed: false,
            tail: String::new(),
            version: record.id.version.clone(),
            function_arn: record.function_arn.clone(),
            took: Duration::ZERO,
            durable: Some(record.id.arn()),
        })
    }

    async fn end_of(&self, id: &Id) -> Result<Record, Error> {
        loop {
            let ended = self.ended.notified();
            let record = self.store.read(|tx| Record::load(tx, id)).await?;
            if !record.is_running() {
                return Ok(record);
            }
            ended.await;
        }
    }
}

#[cfg(test)]
mod tests;
