//! What changes operations: the function's updates, timers that end, callbacks and chained invocations that are answered.

use api_lambda::{
    CallbackDetails, CallbackFailedDetails, CallbackStartedDetails, CallbackSucceededDetails, CallbackTimedOutDetails,
    ChainedInvokeDetails, ChainedInvokeFailedDetails, ChainedInvokeStartedDetails, ChainedInvokeSucceededDetails,
    ContextDetails, ContextFailedDetails, ContextStartedDetails, ContextSucceededDetails, ErrorObject, EventError,
    EventInput, EventResult, Operation, OperationUpdate, RetryDetails, StepDetails, StepFailedDetails,
    StepStartedDetails, StepSucceededDetails, WaitCancelledDetails, WaitDetails, WaitStartedDetails,
    WaitSucceededDetails, error,
};
use store::{NewTask, Tx};
use wire::{Error, Timestamp};

use super::drive::{CHAIN, Chained};
use super::{FAILED, Kept, PENDING, Record, STARTED, SUCCEEDED, TIMED_OUT, failure};

const READY: &str = "READY";
const CANCELLED: &str = "CANCELLED";

/// What a function said when it checkpointed.
pub(crate) struct Said {
    pub(crate) token: String,
    pub(crate) client_token: Option<String>,
    pub(crate) updates: Vec<OperationUpdate>,
}

impl Record {
    /// Applies a checkpoint: all of its updates or none. The operations that changed since the last one, and the next token; none when
    /// the execution has ended.
    pub(crate) fn checkpoint(
        &mut self,
        tx: &mut Tx<'_>,
        said: &Said,
        now: Timestamp,
    ) -> Result<(Option<String>, Vec<Operation>), Error> {
        if said.token != self.token() {
            let again = self.last.clone().filter(|(client, used, _)| {
                said.client_token.as_ref() == Some(client)
                    && said.token == self.token_of(*used)
                    && self.token == used + 1
            });
            // The answer was lost on its way.
            let Some((_, _, told)) = again else {
                return Err(invalid("Invalid checkpoint token: it is not the execution's latest"));
            };
            return Ok((self.is_running().then(|| self.token()), self.shown(tx, &told)?));
        }
        if !self.is_running() {
            return Err(invalid("Invalid checkpoint token: the execution has ended"));
        }
        if self.is_paused() {
            return Err(invalid("Invalid checkpoint token: the execution is paused"));
        }
        self.advance(tx, now)?;
        for update in &said.updates {
            self.apply(tx, update, now)?;
            if !self.is_running() {
                break;
            }
        }
        if self.is_pausing() {
            // An answer without a token ends the call; what it has done is kept, and told to the next one.
            let operations = self.shown(tx, &self.unseen.clone())?;
            self.paused(tx, now)?;
            self.interrupted = true;
            return Ok((None, operations));
        }
        let used = self.token;
        if self.is_running() {
            self.token += 1;
        }
        let told = std::mem::take(&mut self.unseen);
        let operations = self.shown(tx, &told)?;
        self.last = said.client_token.clone().map(|client| (client, used, told));
        Ok((self.is_running().then(|| self.token()), operations))
    }

    fn shown(&self, tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<Operation>, Error> {
        let mut operations = Vec::new();
        for id in ids {
            operations.extend(self.operation(tx, id)?.map(|kept| kept.operation));
        }
        Ok(operations)
    }

    pub(crate) fn is_token(&self, token: &str) -> bool {
        self.token() == token
    }

    fn apply(&mut self, tx: &mut Tx<'_>, update: &OperationUpdate, now: Timestamp) -> Result<(), Error> {
        let (kind, action) = (update.r#type.as_str(), update.action.as_str());
        if kind == "EXECUTION" {
            return match action {
                "SUCCEED" => self.end(tx, now, SUCCEEDED, (update.payload.clone(), None)),
                "FAIL" => self.end(tx, now, FAILED, (None, update.error.clone())),
                _ => Err(impossible(update, "an execution succeeds or fails")),
            };
        }
        let found = self.operation(tx, &update.id)?;
        if found.as_ref().is_some_and(|kept| kept.operation.r#type != kind) {
            return Err(impossible(update, "the operation is of another type"));
        }
        if found.as_ref().is_some_and(|kept| is_over(&kept.operation.status)) {
            return Err(impossible(update, "the operation has ended"));
        }
        let may_begin = matches!(action, "START") || (kind == "STEP" || kind == "CONTEXT");
        let mut kept = match found {
            Some(kept) if action == "START" && kind != "STEP" && kept.operation.status == STARTED => {
                return Err(impossible(update, "the operation has started"));
            }
            Some(kept) => kept,
            None if !may_begin => return Err(impossible(update, "there is no such operation")),
            None => self.add(
                tx,
                Operation {
                    id: update.id.clone(),
                    parent_id: update.parent_id.clone(),
                    name: update.name.clone(),
                    r#type: update.r#type.clone(),
                    sub_type: update.sub_type.clone(),
                    start_timestamp: now,
                    status: STARTED.to_owned(),
                    ..Default::default()
                },
            )?,
        };
        self.due.remove(&update.id);
        match kind {
            "STEP" => self.step(tx, &mut kept, update, now)?,
            "CONTEXT" => self.context(tx, &mut kept, update, now)?,
            "WAIT" => self.wait(tx, &mut kept, update, now)?,
            "CALLBACK" => self.callback(tx, &mut kept, update, now)?,
            "CHAINED_INVOKE" => self.chain(tx, &mut kept, update, now)?,
            _ => return Err(impossible(update, "there is no such type")),
        }
        self.keep(tx, &kept)?;
        self.changed(&update.id);
        Ok(())
    }

    fn step(
        &mut self,
        tx: &mut Tx<'_>,
        kept: &mut Kept,
        update: &OperationUpdate,
        now: Timestamp,
    ) -> Result<(), Error> {
        let operation = &mut kept.operation;
        let details =
            operation.step_details.get_or_insert_with(|| StepDetails { attempt: Some(0), ..Default::default() });
        let attempt = details.attempt.unwrap_or(0) + 1;
        details.next_attempt_timestamp = None;
        let retry = |delay| RetryDetails { current_attempt: Some(attempt), next_attempt_delay_seconds: delay };
        match update.action.as_str() {
            "START" => {
                STARTED.clone_into(&mut operation.status);
                self.tell(tx, now, "StepStarted", Some(operation), |event| {
                    event.step_started_details = Some(StepStartedDetails {});
                })
            }
            "SUCCEED" => {
                (details.attempt, details.result, details.error) = (Some(attempt), update.payload.clone(), None);
                over(operation, SUCCEEDED, now);
                let told = StepSucceededDetails { result: result(update.payload.clone()), retry_details: retry(None) };
                self.tell(tx, now, "StepSucceeded", Some(operation), |event| event.step_succeeded_details = Some(told))
            }
            "FAIL" => {
                (details.attempt, details.error) = (Some(attempt), update.error.clone());
                over(operation, FAILED, now);
                let told = StepFailedDetails { error: failed(update.error.clone()), retry_details: retry(None) };
                self.tell(tx, now, "StepFailed", Some(operation), |event| event.step_failed_details = Some(told))
            }
            "RETRY" => {
                let delay = update.step_options.as_ref().and_then(|options| options.next_attempt_delay_seconds);
                let delay = delay.ok_or_else(|| impossible(update, "NextAttemptDelaySeconds is missing"))?;
                let at = now.as_millis() + i64::from(delay) * 1000;
                details.attempt = Some(attempt);
                details.next_attempt_timestamp = Some(Timestamp::from_millis(at));
                details.error.clone_from(&update.error);
                if update.payload.is_some() {
                    details.result.clone_from(&update.payload);
                }
                PENDING.clone_into(&mut operation.status);
                self.due.insert(operation.id.clone(), at);
                if update.error.is_some() {
                    let told =
                        StepFailedDetails { error: failed(update.error.clone()), retry_details: retry(Some(delay)) };
                    return self
                        .tell(tx, now, "StepFailed", Some(operation), |event| event.step_failed_details = Some(told));
                }
                let told =
                    StepSucceededDetails { result: result(update.payload.clone()), retry_details: retry(Some(delay)) };
                self.tell(tx, now, "StepSucceeded", Some(operation), |event| event.step_succeeded_details = Some(told))
            }
            _ => Err(impossible(update, "a step starts, succeeds, fails or is tried again")),
        }
    }

    fn context(
        &mut self,
        tx: &mut Tx<'_>,
        kept: &mut Kept,
        update: &OperationUpdate,
        now: Timestamp,
    ) -> Result<(), Error> {
        let operation = &mut kept.operation;
        let replay_children = update.context_options.as_ref().and_then(|options| options.replay_children);
        match update.action.as_str() {
            "START" => self.tell(tx, now, "ContextStarted", Some(operation), |event| {
                event.context_started_details = Some(ContextStartedDetails {});
            }),
            "SUCCEED" => {
                operation.context_details =
                    Some(ContextDetails { replay_children, result: update.payload.clone(), error: None });
                over(operation, SUCCEEDED, now);
                let told = ContextSucceededDetails { result: result(update.payload.clone()) };
                self.tell(tx, now, "ContextSucceeded", Some(operation), |event| {
                    event.context_succeeded_details = Some(told);
                })
            }
            "FAIL" => {
                operation.context_details =
                    Some(ContextDetails { replay_children, result: None, error: update.error.clone() });
                over(operation, FAILED, now);
                let told = ContextFailedDetails { error: failed(update.error.clone()) };
                self.tell(tx, now, "ContextFailed", Some(operation), |event| event.context_failed_details = Some(told))
            }
            _ => Err(impossible(update, "a context starts, succeeds or fails")),
        }
    }

    fn wait(
        &mut self,
        tx: &mut Tx<'_>,
        kept: &mut Kept,
        update: &OperationUpdate,
        now: Timestamp,
    ) -> Result<(), Error> {
        let operation = &mut kept.operation;
        match update.action.as_str() {
            "START" => {
                let seconds = update.wait_options.as_ref().and_then(|options| options.wait_seconds);
                let seconds = seconds.ok_or_else(|| impossible(update, "WaitSeconds is missing"))?;
                let at = now.as_millis() + i64::from(seconds) * 1000;
                let end = Timestamp::from_millis(at);
                operation.wait_details = Some(WaitDetails { scheduled_end_timestamp: Some(end) });
                self.due.insert(operation.id.clone(), at);
                let told = WaitStartedDetails { duration: seconds, scheduled_end_timestamp: end };
                self.tell(tx, now, "WaitStarted", Some(operation), |event| event.wait_started_details = Some(told))
            }
            "CANCEL" => {
                over(operation, CANCELLED, now);
                let told = WaitCancelledDetails { error: update.error.clone().map(|error| failed(Some(error))) };
                self.tell(tx, now, "WaitCancelled", Some(operation), |event| event.wait_cancelled_details = Some(told))
            }
            _ => Err(impossible(update, "a wait starts or is cancelled")),
        }
    }

    fn callback(
        &mut self,
        tx: &mut Tx<'_>,
        kept: &mut Kept,
        update: &OperationUpdate,
        now: Timestamp,
    ) -> Result<(), Error> {
        if update.action != "START" {
            return Err(impossible(update, "a callback is started only"));
        }
        let id = self.callback_id(&update.id);
        kept.operation.callback_details = Some(CallbackDetails { callback_id: Some(id.clone()), ..Default::default() });
        let options = update.callback_options.clone().unwrap_or_default();
        let after = |seconds: Option<i32>| {
            seconds.filter(|seconds| *seconds > 0).map(|seconds| now.as_millis() + i64::from(seconds) * 1000)
        };
        kept.timeout_ms = after(options.timeout_seconds);
        kept.heartbeat_ms = options.heartbeat_timeout_seconds.filter(|s| *s > 0).map(|s| i64::from(s) * 1000);
        let first = [kept.timeout_ms, after(options.heartbeat_timeout_seconds)].into_iter().flatten().min();
        self.due.extend(first.map(|at| (update.id.clone(), at)));
        self.open.insert(update.id.clone());
        let told = CallbackStartedDetails {
            callback_id: id,
            heartbeat_timeout: options.heartbeat_timeout_seconds,
            timeout: options.timeout_seconds,
        };
        self.tell(tx, now, "CallbackStarted", Some(&kept.operation), |event| {
            event.callback_started_details = Some(told);
        })
    }

    fn chain(
        &mut self,
        tx: &mut Tx<'_>,
        kept: &mut Kept,
        update: &OperationUpdate,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(options) = update.chained_invoke_options.as_ref().filter(|_| update.action == "START") else {
            return Err(impossible(update, "an invocation is started only, with its function's name"));
        };
        kept.operation.chained_invoke_details = Some(ChainedInvokeDetails::default());
        self.open.insert(update.id.clone());
        let chained = Chained {
            id: self.id.clone(),
            operation: update.id.clone(),
            function: options.function_name.clone(),
            payload: update.payload.clone().unwrap_or_else(|| "null".to_owned()),
        };
        tx.enqueue(NewTask::new(CHAIN, chained.task()).payload(&chained)?)?;
        let told = ChainedInvokeStartedDetails {
            function_name: options.function_name.clone(),
            input: Some(EventInput { payload: update.payload.clone(), truncated: Some(false) }),
            ..Default::default()
        };
        self.tell(tx, now, "ChainedInvokeStarted", Some(&kept.operation), |event| {
            event.chained_invoke_started_details = Some(told);
        })
    }

    /// Ends what time ends.
    pub(super) fn advance(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Error> {
        let due: Vec<String> =
            self.due.iter().filter(|(_, at)| **at <= now.as_millis()).map(|(id, _)| id.clone()).collect();
        for id in due {
            let at = self.due.remove(&id);
            let Some(mut kept) = self.operation(tx, &id)?.filter(|kept| !is_over(&kept.operation.status)) else {
                continue;
            };
            match kept.operation.r#type.as_str() {
                "WAIT" => {
                    let took = now.as_millis() - kept.operation.start_timestamp.as_millis();
                    over(&mut kept.operation, SUCCEEDED, now);
                    let told = WaitSucceededDetails { duration: i32::try_from(took / 1000).ok() };
                    self.tell(tx, now, "WaitSucceeded", Some(&kept.operation), |event| {
                        event.wait_succeeded_details = Some(told);
                    })?;
                }
                "STEP" => READY.clone_into(&mut kept.operation.status),
                _ => {
                    let is_heartbeat = kept.timeout_ms.is_none_or(|timeout| at.is_some_and(|at| at < timeout));
                    let error = if is_heartbeat {
                        failure("Callback.Heartbeat", "Callback heartbeat timed out")
                    } else {
                        failure("Callback.Timeout", "Callback timed out")
                    };
                    self.answer_callback(tx, &mut kept, TIMED_OUT, (None, Some(error)), now)?;
                }
            }
            self.keep(tx, &kept)?;
            self.ended_by_others(&id);
        }
        Ok(())
    }

    fn ended_by_others(&mut self, id: &str) {
        self.changed(id);
        self.news = true;
    }

    /// Somebody answers a callback.
    pub(crate) fn called_back(
        &mut self,
        tx: &mut Tx<'_>,
        operation: &str,
        answer: Result<String, ErrorObject>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.advance(tx, now)?;
        let mut kept = self.open_callback(tx, operation)?;
        let (status, outcome) = match answer {
            Ok(result) => (SUCCEEDED, (Some(result), None)),
            Err(error) => (FAILED, (None, Some(error))),
        };
        self.answer_callback(tx, &mut kept, status, outcome, now)?;
        self.keep(tx, &kept)?;
        self.ended_by_others(operation);
        Ok(tx.hasten_task(&self.id.task())?)
    }

    /// Somebody is still at it.
    pub(crate) fn heartbeat(&mut self, tx: &mut Tx<'_>, operation: &str, now: Timestamp) -> Result<(), Error> {
        self.advance(tx, now)?;
        let kept = self.open_callback(tx, operation)?;
        if let Some(heartbeat) = kept.heartbeat_ms {
            let next = now.as_millis() + heartbeat;
            self.due.insert(operation.to_owned(), kept.timeout_ms.map_or(next, |timeout| timeout.min(next)));
        }
        Ok(())
    }

    fn open_callback(&self, tx: &mut Tx<'_>, operation: &str) -> Result<Kept, Error> {
        let missing = || error::resource_not_found_exception("Callback not found").with("Type", "User");
        let kept =
            self.operation(tx, operation)?.filter(|kept| kept.operation.r#type == "CALLBACK").ok_or_else(missing)?;
        if kept.operation.status == TIMED_OUT || !self.is_running() {
            return Err(error::callback_timeout_exception("Callback has timed out or its execution has ended")
                .with("Type", "User"));
        }
        if is_over(&kept.operation.status) {
            return Err(invalid("Callback has been completed already"));
        }
        Ok(kept)
    }

    fn answer_callback(
        &mut self,
        tx: &mut Tx<'_>,
        kept: &mut Kept,
        status: &str,
        (answer, error): (Option<String>, Option<ErrorObject>),
        now: Timestamp,
    ) -> Result<(), Error> {
        let details = kept.operation.callback_details.get_or_insert_default();
        details.result.clone_from(&answer);
        details.error.clone_from(&error);
        over(&mut kept.operation, status, now);
        self.due.remove(&kept.operation.id);
        self.open.remove(&kept.operation.id);
        let (answer, told) = (result(answer), failed(error));
        match status {
            SUCCEEDED => self.tell(tx, now, "CallbackSucceeded", Some(&kept.operation), |event| {
                event.callback_succeeded_details = Some(CallbackSucceededDetails { result: answer });
            }),
            TIMED_OUT => self.tell(tx, now, "CallbackTimedOut", Some(&kept.operation), |event| {
                event.callback_timed_out_details = Some(CallbackTimedOutDetails { error: told });
            }),
            _ => self.tell(tx, now, "CallbackFailed", Some(&kept.operation), |event| {
                event.callback_failed_details = Some(CallbackFailedDetails { error: told });
            }),
        }
    }

    /// A chained invocation ended.
    pub(super) fn chained(
        &mut self,
        tx: &mut Tx<'_>,
        operation: &str,
        answer: Result<Option<String>, ErrorObject>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(mut kept) = self.operation(tx, operation)?.filter(|kept| !is_over(&kept.operation.status)) else {
            return Ok(());
        };
        self.open.remove(operation);
        let details = kept.operation.chained_invoke_details.get_or_insert_default();
        match answer {
            Ok(payload) => {
                details.result.clone_from(&payload);
                over(&mut kept.operation, SUCCEEDED, now);
                self.tell(tx, now, "ChainedInvokeSucceeded", Some(&kept.operation), |event| {
                    event.chained_invoke_succeeded_details =
                        Some(ChainedInvokeSucceededDetails { result: result(payload) });
                })?;
            }
            Err(error) => {
                details.error = Some(error.clone());
                over(&mut kept.operation, FAILED, now);
                self.tell(tx, now, "ChainedInvokeFailed", Some(&kept.operation), |event| {
                    event.chained_invoke_failed_details =
                        Some(ChainedInvokeFailedDetails { error: failed(Some(error)) });
                })?;
            }
        }
        self.keep(tx, &kept)?;
        self.ended_by_others(operation);
        Ok(tx.hasten_task(&self.id.task())?)
    }
}

fn is_over(status: &str) -> bool {
    !matches!(status, STARTED | PENDING | READY)
}

fn over(operation: &mut Operation, status: &str, now: Timestamp) {
    status.clone_into(&mut operation.status);
    operation.end_timestamp = Some(now);
}

fn result(payload: Option<String>) -> EventResult {
    EventResult { payload, truncated: Some(false) }
}

fn failed(error: Option<ErrorObject>) -> EventError {
    EventError { payload: error, truncated: Some(false) }
}

fn invalid(message: impl Into<String>) -> Error {
    error::invalid_parameter_value_exception(message)
}

fn impossible(update: &OperationUpdate, why: &str) -> Error {
    invalid(format!("Invalid update of operation {} ({} {}): {why}", update.id, update.r#type, update.action))
}
