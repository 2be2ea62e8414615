//! The operations on durable executions: what their functions' SDKs call, what others ask, stop and call back.

use api_lambda::{
    CheckpointDurableExecution, CheckpointDurableExecutionRequest, CheckpointDurableExecutionResponse,
    CheckpointUpdatedExecutionState, DeleteDurableExecution, DeleteDurableExecutionRequest,
    DeleteDurableExecutionResponse, ErrorObject, Event, Execution, GetDurableExecution, GetDurableExecutionHistory,
    GetDurableExecutionHistoryRequest, GetDurableExecutionHistoryResponse, GetDurableExecutionRequest,
    GetDurableExecutionResponse, GetDurableExecutionState, GetDurableExecutionStateRequest,
    GetDurableExecutionStateResponse, ListDurableExecutionsByFunction, ListDurableExecutionsByFunctionRequest,
    ListDurableExecutionsByFunctionResponse, PauseDurableExecution, PauseDurableExecutionRequest,
    PauseDurableExecutionResponse, ResumeDurableExecution, ResumeDurableExecutionRequest,
    ResumeDurableExecutionResponse, SendDurableExecutionCallbackFailure, SendDurableExecutionCallbackFailureRequest,
    SendDurableExecutionCallbackFailureResponse, SendDurableExecutionCallbackHeartbeat,
    SendDurableExecutionCallbackHeartbeatRequest, SendDurableExecutionCallbackHeartbeatResponse,
    SendDurableExecutionCallbackSuccess, SendDurableExecutionCallbackSuccessRequest,
    SendDurableExecutionCallbackSuccessResponse, StopDurableExecution, StopDurableExecutionRequest,
    StopDurableExecutionResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use super::{invalid_marker, page_of};
use crate::Lambda;
use crate::durable::{Asked, Id, Record, Said, of_callback, of_function};
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<CheckpointDurableExecution> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: CheckpointDurableExecutionRequest,
    ) -> Result<CheckpointDurableExecutionResponse, Error> {
        let id = own(cx, &req.durable_execution_arn)?;
        let said = Said {
            token: req.checkpoint_token,
            client_token: req.client_token,
            updates: req.updates.unwrap_or_default(),
        };
        let now = Timestamp(cx.now());
        let (checkpoint_token, operations) = cx
            .write(&self.store, move |tx| {
                let mut record = Record::load(tx, &id)?;
                let answer = record.checkpoint(tx, &said, now)?;
                tx.put_json(id.record(), &record)?;
                Ok::<_, Error>(answer)
            })
            .await?;
        if checkpoint_token.is_none() {
            self.ended.notify_waiters();
        }
        let new_execution_state = CheckpointUpdatedExecutionState { operations: Some(operations), next_marker: None };
        Ok(CheckpointDurableExecutionResponse { checkpoint_token, new_execution_state })
    }
}

#[async_trait]
impl Handle<GetDurableExecutionState> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetDurableExecutionStateRequest,
    ) -> Result<GetDurableExecutionStateResponse, Error> {
        let id = own(cx, &req.durable_execution_arn)?;
        let from = marker(req.marker.as_deref())?;
        let most = most(req.max_items, 1000);
        let (operations, next_marker) = self
            .store
            .read(|tx| {
                let record = Record::load(tx, &id)?;
                if !record.is_token(&req.checkpoint_token) {
                    return Err(error::invalid_parameter_value_exception(
                        "Invalid checkpoint token: it is not the execution's latest",
                    ));
                }
                record.page(tx, from, most)
            })
            .await?;
        Ok(GetDurableExecutionStateResponse { operations, next_marker })
    }
}

#[async_trait]
impl Handle<GetDurableExecution> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetDurableExecutionRequest) -> Result<GetDurableExecutionResponse, Error> {
        let id = own(cx, &req.durable_execution_arn)?;
        let record = self.store.read(|tx| Record::load(tx, &id)).await?;
        let with_data = req.include_execution_data.unwrap_or(true);
        let pause_details = record.pause_details();
        Ok(GetDurableExecutionResponse {
            durable_execution_arn: id.arn(),
            durable_execution_name: id.name.clone(),
            expected_execution_timeout_timestamp: Some(Timestamp::from_millis(record.deadline_ms())),
            durable_config: Some(api_lambda::DurableConfig {
                kms_key_arn: None,
                retention_period_in_days: Some(record.retention_days),
                execution_timeout: Some(record.timeout_seconds),
            }),
            function_arn: record.function_arn,
            input_payload: Some(record.input).filter(|_| with_data),
            result: record.result.filter(|_| with_data),
            error: record.error.filter(|_| with_data),
            start_timestamp: record.started,
            status: record.status,
            end_timestamp: record.ended,
            version: Some(id.version),
            execution_data_included: Some(with_data),
            trace_header: None,
            pause_details,
        })
    }
}

#[async_trait]
impl Handle<GetDurableExecutionHistory> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetDurableExecutionHistoryRequest,
    ) -> Result<GetDurableExecutionHistoryResponse, Error> {
        let id = own(cx, &req.durable_execution_arn)?;
        let mut events: Vec<Event> = self
            .store
            .read(|tx| {
                Record::load(tx, &id)?;
                Ok::<_, Error>(tx.list_json(id.events(), usize::MAX >> 1)?)
            })
            .await?;
        if req.reverse_order == Some(true) {
            events.reverse();
        }
        // The marker is the number of the last that was sent: new ones come while it is read.
        let number = |event: &Event| event.event_id.and_then(|id| u64::try_from(id).ok()).unwrap_or(0);
        let last = req.marker.as_deref().filter(|last| !last.is_empty());
        let last = last.map(|last| marker(Some(last))).transpose()?;
        let reversed = req.reverse_order == Some(true);
        let passed = |event: &Event| {
            last.is_some_and(|last| if reversed { number(event) >= last } else { number(event) <= last })
        };
        let most = i32::try_from(most(req.max_items, 1000)).ok();
        let (mut events, next_marker) = page_of(events, passed, |event| number(event).to_string(), most);
        if req.include_execution_data != Some(true) {
            events.iter_mut().for_each(without_data);
        }
        Ok(GetDurableExecutionHistoryResponse { events, next_marker })
    }
}

#[async_trait]
impl Handle<ListDurableExecutionsByFunction> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListDurableExecutionsByFunctionRequest,
    ) -> Result<ListDurableExecutionsByFunctionResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let mut records: Vec<Record> = self
            .store
            .read(|tx| {
                place.resolve(tx, &name, 1.0)?;
                Ok::<_, Error>(tx.list_json(of_function(&place, &name.name), usize::MAX >> 1)?)
            })
            .await?;
        let wanted = |record: &Record| {
            name.qualifier.as_ref().is_none_or(|wanted| record.qualifier == *wanted || record.id.version == *wanted)
                && req.durable_execution_name.as_ref().is_none_or(|wanted| record.id.name == *wanted)
                && req.statuses.as_ref().is_none_or(|wanted| wanted.contains(&record.status))
                && req.started_after.is_none_or(|after| record.started.as_millis() > after.as_millis())
                && req.started_before.is_none_or(|before| record.started.as_millis() < before.as_millis())
        };
        records.retain(wanted);
        records.sort_by_key(Started::of);
        if req.reverse_order == Some(true) {
            records.reverse();
        }
        // The marker is the place of the last that was sent, which may have been deleted since.
        let last = req.marker.as_deref().filter(|last| !last.is_empty()).map(Started::parse).transpose()?;
        let reversed = req.reverse_order == Some(true);
        let passed = |record: &Record| {
            let place = Started::of(record);
            last.as_ref().is_some_and(|last| if reversed { place >= *last } else { place <= *last })
        };
        let most = i32::try_from(most(req.max_items, 100)).ok();
        let (sent, next_marker) = page_of(records, passed, |record| Started::of(record).marker(), most);
        let shown = |record: &Record| Execution {
            durable_execution_arn: record.id.arn(),
            durable_execution_name: record.id.name.clone(),
            function_arn: record.function_arn.clone(),
            status: record.status.clone(),
            start_timestamp: record.started,
            end_timestamp: record.ended,
            kms_key_arn: None,
        };
        let durable_executions = Some(sent.iter().map(shown).collect());
        Ok(ListDurableExecutionsByFunctionResponse { durable_executions, next_marker })
    }
}

#[async_trait]
impl Handle<StopDurableExecution> for Lambda {
    async fn handle(&self, cx: &Cx, req: StopDurableExecutionRequest) -> Result<StopDurableExecutionResponse, Error> {
        let id = own(cx, &req.durable_execution_arn)?;
        let now = Timestamp(cx.now());
        let stop_timestamp = cx
            .write(&self.store, move |tx| {
                let mut record = Record::load(tx, &id)?;
                if record.is_running() {
                    record.end(tx, now, "STOPPED", (None, req.error.clone()))?;
                    tx.put_json(id.record(), &record)?;
                    tx.hasten_task(&id.task())?;
                }
                Ok::<_, Error>(record.ended.unwrap_or(now))
            })
            .await?;
        self.ended.notify_waiters();
        Ok(StopDurableExecutionResponse { stop_timestamp })
    }
}

#[async_trait]
impl Handle<PauseDurableExecution> for Lambda {
    async fn handle(&self, cx: &Cx, req: PauseDurableExecutionRequest) -> Result<PauseDurableExecutionResponse, Error> {
        let (id, now) = (own(cx, &req.durable_execution_arn)?, Timestamp(cx.now()));
        let asked = Asked {
            reason: req.reason,
            client_token: req.client_token,
            stops_clock: req.execution_timeout_paused == Some(true),
        };
        cx.write(&self.store, move |tx| {
            let mut record = Record::load(tx, &id)?;
            record.pause(tx, &asked, now)?;
            Ok::<_, Error>(tx.put_json(id.record(), &record)?)
        })
        .await?;
        Ok(PauseDurableExecutionResponse {})
    }
}

#[async_trait]
impl Handle<ResumeDurableExecution> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: ResumeDurableExecutionRequest,
    ) -> Result<ResumeDurableExecutionResponse, Error> {
        let (id, now) = (own(cx, &req.durable_execution_arn)?, Timestamp(cx.now()));
        cx.write(&self.store, move |tx| {
            let mut record = Record::load(tx, &id)?;
            record.resume(tx, req.reason.clone(), now)?;
            Ok::<_, Error>(tx.put_json(id.record(), &record)?)
        })
        .await?;
        Ok(ResumeDurableExecutionResponse {})
    }
}

/// At once, so that nobody sees it in status DELETING.
#[async_trait]
impl Handle<DeleteDurableExecution> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteDurableExecutionRequest,
    ) -> Result<DeleteDurableExecutionResponse, Error> {
        let (id, now) = (own(cx, &req.durable_execution_arn)?, Timestamp(cx.now()));
        cx.write(&self.store, move |tx| {
            Record::load(tx, &id)?.check_ended()?;
            Record::forget(tx, &id)
        })
        .await?;
        Ok(DeleteDurableExecutionResponse { deletion_request_timestamp: now })
    }
}

#[async_trait]
impl Handle<SendDurableExecutionCallbackSuccess> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: SendDurableExecutionCallbackSuccessRequest,
    ) -> Result<SendDurableExecutionCallbackSuccessResponse, Error> {
        let result = req.result.map(|result| result.0).unwrap_or_default();
        let result = String::from_utf8(result.to_vec())
            .map_err(|_| error::invalid_parameter_value_exception("The result of a callback must be text"))?;
        self.call_back(cx, &req.callback_id, Ok(result)).await?;
        Ok(SendDurableExecutionCallbackSuccessResponse {})
    }
}

#[async_trait]
impl Handle<SendDurableExecutionCallbackFailure> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: SendDurableExecutionCallbackFailureRequest,
    ) -> Result<SendDurableExecutionCallbackFailureResponse, Error> {
        self.call_back(cx, &req.callback_id, Err(req.error.unwrap_or_default())).await?;
        Ok(SendDurableExecutionCallbackFailureResponse {})
    }
}

#[async_trait]
impl Handle<SendDurableExecutionCallbackHeartbeat> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: SendDurableExecutionCallbackHeartbeatRequest,
    ) -> Result<SendDurableExecutionCallbackHeartbeatResponse, Error> {
        let now = Timestamp(cx.now());
        self.on_callback(cx, &req.callback_id, move |record, tx, operation| record.heartbeat(tx, operation, now))
            .await?;
        Ok(SendDurableExecutionCallbackHeartbeatResponse {})
    }
}

impl Lambda {
    async fn call_back(&self, cx: &Cx, callback: &str, answer: Result<String, ErrorObject>) -> Result<(), Error> {
        let now = Timestamp(cx.now());
        let change = move |record: &mut Record, tx: &mut Tx<'_>, operation: &str| {
            record.called_back(tx, operation, answer.clone(), now)
        };
        self.on_callback(cx, callback, change).await
    }

    async fn on_callback(
        &self,
        cx: &Cx,
        callback: &str,
        change: impl Fn(&mut Record, &mut Tx<'_>, &str) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let missing = || error::resource_not_found_exception("Callback not found").with("Type", "User");
        let (id, rest) = of_callback(callback)?;
        if id.account != cx.account() || id.region != cx.region() {
            return Err(missing());
        }
        cx.write(&self.store, move |tx| {
            let mut record = Record::load(tx, &id).map_err(|_| missing())?;
            let operation = record.called(&rest).ok_or_else(missing)?;
            change(&mut record, tx, operation)?;
            Ok(tx.put_json(id.record(), &record)?)
        })
        .await
    }
}

/// Where an execution stands in a list.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Started(i64, String);

impl Started {
    fn of(record: &Record) -> Self {
        Self(record.started.as_millis(), record.id.id.clone())
    }

    fn marker(&self) -> String {
        format!("{}.{}", self.0, self.1)
    }

    fn parse(marker: &str) -> Result<Self, Error> {
        let parts = marker.split_once('.').and_then(|(at, id)| Some(Self(at.parse().ok()?, id.to_owned())));
        parts.ok_or_else(invalid_marker)
    }
}

/// The execution of this account and region that an ARN names.
fn own(cx: &Cx, arn: &str) -> Result<Id, Error> {
    let id = Id::parse(arn)?;
    if id.account == cx.account() && id.region == cx.region() {
        return Ok(id);
    }
    Err(error::resource_not_found_exception(format!("Durable execution not found: {arn}")).with("Type", "User"))
}

fn marker(marker: Option<&str>) -> Result<u64, Error> {
    let Some(marker) = marker.filter(|marker| !marker.is_empty()) else { return Ok(0) };
    marker.parse().map_err(|_| error::invalid_parameter_value_exception(format!("Invalid marker: {marker}")))
}

fn most(asked: Option<i32>, usual: usize) -> usize {
    asked.and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0).unwrap_or(usual)
}

/// Payloads and errors are shown where they are asked for.
fn without_data(event: &mut Event) {
    macro_rules! strip {
        ($($details:ident . $part:ident),*) => {
            $(if let Some(details) = &mut event.$details {
                details.$part = Default::default();
            })*
        };
    }
    strip!(
        execution_started_details.input,
        execution_succeeded_details.result,
        execution_failed_details.error,
        execution_timed_out_details.error,
        execution_stopped_details.error,
        execution_paused_details.reason,
        execution_resumed_details.reason,
        context_succeeded_details.result,
        context_failed_details.error,
        wait_cancelled_details.error,
        step_succeeded_details.result,
        step_failed_details.error,
        chained_invoke_started_details.input,
        chained_invoke_succeeded_details.result,
        chained_invoke_failed_details.error,
        callback_succeeded_details.result,
        callback_failed_details.error,
        callback_timed_out_details.error,
        invocation_completed_details.error
    );
}
