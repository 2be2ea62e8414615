//! Pausing executions: while one is paused its function is not called, and what it waits for goes on. A call that is on its way goes on
//! to its next checkpoint, whose answer has no token: the SDKs then end the call as one that waits.
//! Sources: Lambda API reference, `PauseDurableExecution` and `ResumeDurableExecution`; AWS's SDK for Python, whose
//! `CheckpointOutput` says what an answer without a token is.

use api_lambda::{
    EventPauseReason, EventResumeReason, ExecutionPausedDetails, ExecutionResumedDetails, PauseDetails, error,
};
use serde::{Deserialize, Serialize};
use store::Tx;
use wire::{Error, Timestamp};

use super::{RUNNING, Record};

const PAUSING: &str = "PAUSING";
const PAUSED: &str = "PAUSED";

/// A pause that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pause {
    requested: Timestamp,
    reason: Option<String>,
    /// The execution's timeout does not go on.
    stops_clock: bool,
    client_token: Option<String>,
    /// From when on it is PAUSED.
    since: Option<Timestamp>,
}

/// What a pause is asked for with.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) reason: Option<String>,
    pub(crate) client_token: Option<String>,
    pub(crate) stops_clock: bool,
}

impl Record {
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.status.as_str(), RUNNING | PAUSING | PAUSED)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.status == PAUSED
    }

    pub(super) fn is_pausing(&self) -> bool {
        self.status == PAUSING
    }

    /// Whether its time goes on.
    pub(super) fn clock_stands(&self) -> bool {
        self.is_paused() && self.pause.as_ref().is_some_and(|pause| pause.stops_clock)
    }

    pub(crate) fn pause_details(&self) -> Option<PauseDetails> {
        self.pause.as_ref().map(|pause| PauseDetails {
            pause_request_timestamp: pause.requested,
            reason: pause.reason.clone(),
            execution_timeout_paused: pause.stops_clock,
        })
    }

    /// # Errors
    /// `ResourceConflictException` where it has ended, or is paused by another request.
    pub(crate) fn pause(&mut self, tx: &mut Tx<'_>, asked: &Asked, now: Timestamp) -> Result<(), Error> {
        if let Some(pause) = &self.pause {
            return if pause.client_token.is_some() && pause.client_token == asked.client_token {
                Ok(())
            } else {
                Err(self.conflict("it is paused already"))
            };
        }
        if self.status != RUNNING {
            return Err(self.conflict("it has ended"));
        }
        self.pause = Some(Pause {
            requested: now,
            reason: asked.reason.clone(),
            stops_clock: asked.stops_clock,
            client_token: asked.client_token.clone(),
            since: None,
        });
        PAUSING.clone_into(&mut self.status);
        if self.calling { Ok(()) } else { self.paused(tx, now) }
    }

    /// It stands still from now on.
    pub(super) fn paused(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Error> {
        PAUSED.clone_into(&mut self.status);
        // Who holds the token can change nothing more.
        self.token += 1;
        self.last = None;
        let Some(pause) = &mut self.pause else { return Ok(()) };
        pause.since = Some(now);
        let told = ExecutionPausedDetails {
            pause_request_timestamp: pause.requested,
            reason: pause
                .reason
                .clone()
                .map(|reason| EventPauseReason { payload: Some(reason), truncated: Some(false) }),
            execution_timeout_paused: pause.stops_clock,
        };
        let execution = self.operation(tx, &self.id.id.clone())?.map(|kept| kept.operation);
        self.tell(tx, now, "ExecutionPaused", execution.as_ref(), |event| event.execution_paused_details = Some(told))
    }

    /// # Errors
    /// `ResourceConflictException` where it is not paused.
    pub(crate) fn resume(&mut self, tx: &mut Tx<'_>, reason: Option<String>, now: Timestamp) -> Result<(), Error> {
        if !self.is_paused() && !self.is_pausing() {
            return Err(self.conflict("it is not paused"));
        }
        let pause = self.pause.take();
        RUNNING.clone_into(&mut self.status);
        let Some(Pause { since: Some(since), stops_clock, .. }) = pause else { return Ok(()) };
        if stops_clock {
            self.stood_ms += now.as_millis() - since.as_millis();
        }
        let told = ExecutionResumedDetails {
            resume_request_timestamp: now,
            reason: reason.map(|reason| EventResumeReason { payload: Some(reason), truncated: Some(false) }),
        };
        let execution = self.operation(tx, &self.id.id.clone())?.map(|kept| kept.operation);
        self.tell(tx, now, "ExecutionResumed", execution.as_ref(), |event| {
            event.execution_resumed_details = Some(told);
        })?;
        tx.hasten_task(&self.id.task())?;
        Ok(())
    }

    /// # Errors
    /// `ResourceConflictException` where it has not ended.
    pub(crate) fn check_ended(&self) -> Result<(), Error> {
        if self.is_under_way() { Err(self.conflict("it has not ended")) } else { Ok(()) }
    }

    fn conflict(&self, why: &str) -> Error {
        let (arn, status) = (self.id.arn(), &self.status);
        error::resource_conflict_exception(format!("Durable execution {arn} is in status {status}: {why}"))
            .with("Type", "User")
    }
}
