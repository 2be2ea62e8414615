//! Durable executions: their records, and what happens to them. A function with a `DurableConfig` is called again and again until its
//! execution ends; what it has done stands in operations, which it checkpoints and is given at each call. A durable task drives each
//! execution ([`drive`]); what the function checkpoints, and timers and callbacks, change operations ([`checkpoint`]).
//! Sources: Lambda API reference, `CheckpointDurableExecution`; AWS's SDK for Python, `aws-durable-execution-sdk-python`, whose
//! expectations the operations' states follow.

mod checkpoint;
pub(crate) mod drive;
mod pause;

pub(crate) use checkpoint::Said;
pub(crate) use pause::Asked;

use std::collections::{BTreeMap, BTreeSet};

use api_lambda::{ErrorObject, Event, EventError, EventInput, EventResult, ExecutionStartedDetails, Operation, error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{Key, NewTask, Tx};
use wire::{Error, Timestamp};

use crate::asynchronous;
use crate::function::{Name, Resolved, Scope};

/// Source: Lambda Developer Guide, "Durable functions": executions last a day and are kept for 14 days where nothing is said.
const DEFAULT_TIMEOUT_SECONDS: i32 = 86_400;
const DEFAULT_RETENTION_DAYS: i32 = 14;

pub(crate) const RUNNING: &str = "RUNNING";
pub(crate) const SUCCEEDED: &str = "SUCCEEDED";
pub(crate) const FAILED: &str = "FAILED";
pub(crate) const TIMED_OUT: &str = "TIMED_OUT";
pub(crate) const STARTED: &str = "STARTED";
pub(crate) const PENDING: &str = "PENDING";

/// Which execution.
#[expect(clippy::struct_field_names, reason = "an execution's id has AWS's name for it, beside what else names it")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Id {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) function: String,
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) id: String,
}

impl Id {
    pub(crate) fn arn(&self) -> String {
        let (name, id) = (&self.name, &self.id);
        format!("{}/durable-execution/{name}/{id}", self.place().arn(&self.function, Some(&self.version)))
    }

    /// Only what [`Id::arn`] writes: the text is what a caller was authorized for.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let parts = || {
            let (function, rest) = text.split_once("/durable-execution/")?;
            let (name, id) = rest.split_once('/')?;
            let arn = wire::arn::Arn::parse(function)?;
            let (function, version) = arn.resource.strip_prefix("function:")?.split_once(':')?;
            let text = str::to_owned;
            let (account, region) = (arn.account.clone(), arn.region.clone());
            Some(Self {
                account,
                region,
                function: text(function),
                version: text(version),
                name: text(name),
                id: text(id),
            })
        };
        parts()
            .filter(|id| id.arn() == text)
            .ok_or_else(|| error::invalid_parameter_value_exception(format!("Invalid durable execution ARN: {text}")))
    }

    pub(crate) fn place(&self) -> Scope {
        Scope { account: self.account.clone(), region: self.region.clone() }
    }

    fn key(&self, kind: &str) -> Key {
        self.place().key(kind).push(&self.function).push(&self.id)
    }

    pub(crate) fn record(&self) -> Key {
        self.key("durable")
    }

    pub(crate) fn operations(&self) -> Key {
        self.key("durable-operation")
    }

    pub(crate) fn operation(&self, id: &str) -> Key {
        self.operations().push(id)
    }

    pub(crate) fn events(&self) -> Key {
        self.key("durable-event")
    }

    /// The ids of its operations in the order of their starts.
    fn order(&self) -> Key {
        self.key("durable-order")
    }

    /// The task that drives it.
    pub(crate) fn task(&self) -> String {
        format!("{}:{}", drive::DRIVE, self.arn())
    }

    fn by_name(&self) -> Key {
        named(&self.place(), &self.function, &self.name)
    }
}

pub(crate) fn of_function(place: &Scope, function: &str) -> Key {
    place.key("durable").push(function)
}

fn named(place: &Scope, function: &str, name: &str) -> Key {
    place.key("durable-name").push(function).push(name)
}

/// An execution.
#[expect(clippy::struct_excessive_bools, reason = "each says what has happened, and none excludes another")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Format of the record.
    pub(crate) v: u8,
    pub(crate) id: Id,
    /// As it was called.
    pub(crate) function_arn: String,
    pub(crate) qualifier: String,
    pub(crate) input: String,
    pub(crate) status: String,
    pub(crate) result: Option<String>,
    pub(crate) error: Option<ErrorObject>,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) retention_days: i32,
    pub(crate) timeout_seconds: i32,
    /// What makes checkpoint tokens and callbacks' ids known only to who was told them. Records of before have none.
    #[serde(default)]
    secret: String,
    /// Which checkpoint token is valid.
    token: u64,
    /// The client's token of the last checkpoint, the token that it used, and the operations that it was told of.
    last: Option<(String, u64, Vec<String>)>,
    next_operation: u64,
    next_event: i32,
    /// Operations that changed since the function was told of them.
    unseen: Vec<String>,
    /// When operations change by themselves.
    due: BTreeMap<String, i64>,
    /// Operations that somebody else will end.
    open: BTreeSet<String>,
    /// Calls of the function that failed one after the other.
    failures: u32,
    /// Calls in a row that found no room, or that the platform failed: none of the function's.
    #[serde(default)]
    throttles: u32,
    invoked: bool,
    /// A call is on its way; one that is still on its way when the task begins was cut short.
    calling: bool,
    /// Something ended that the function did not end itself since its call began: it may wait for what it was told too late.
    news: bool,
    #[serde(default)]
    pause: Option<pause::Pause>,
    /// How long its time stood still.
    #[serde(default)]
    stood_ms: i64,
    /// The request that started it, where that was an event, whose destinations hear of the end.
    #[serde(default)]
    event: Option<String>,
    /// A pause cut a call short: it is made again.
    #[serde(default)]
    interrupted: bool,
}

/// An operation, and what of it the function is not told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    order: u64,
    pub(crate) operation: Operation,
    /// When a callback is over whatever happens.
    timeout_ms: Option<i64>,
    heartbeat_ms: Option<i64>,
}

/// What to start.
pub(crate) struct Start<'a> {
    pub(crate) resolved: &'a Resolved,
    pub(crate) name: Option<String>,
    pub(crate) qualifier: String,
    pub(crate) input: String,
    pub(crate) fresh: String,
    /// Random.
    pub(crate) secret: String,
    /// The id of the request, where it is an event.
    pub(crate) event: Option<String>,
}

impl Record {
    /// Starts an execution, or finds the one that was started by this name with this input.
    pub(crate) fn start(tx: &mut Tx<'_>, place: &Scope, start: &Start<'_>, now: Timestamp) -> Result<Self, Error> {
        let config = &start.resolved.version.config;
        let function = config.function_name.clone().unwrap_or_default();
        if let Some(name) = &start.name
            && let Some(id) = tx.get_json::<Id>(named(place, &function, name))?
            && let Some(known) = tx.get_json::<Self>(id.record())?
        {
            if known.input == start.input {
                return Ok(known);
            }
            return Err(error::durable_execution_already_started_exception(format!(
                "Execution with name {name} already exists with a different payload"
            ))
            .with("Type", "User"));
        }
        let id = Id {
            account: place.account.clone(),
            region: place.region.clone(),
            version: start.resolved.version.number().to_owned(),
            name: start.name.clone().unwrap_or_else(|| start.fresh.clone()),
            id: start.fresh.clone(),
            function,
        };
        let durable = config.durable_config.clone().unwrap_or_default();
        let mut record = Self::fresh(id, start, &durable, now);
        let execution = Operation {
            id: record.id.id.clone(),
            name: Some(record.id.name.clone()),
            r#type: "EXECUTION".to_owned(),
            start_timestamp: now,
            status: STARTED.to_owned(),
            execution_details: Some(api_lambda::ExecutionDetails { input_payload: Some(start.input.clone()) }),
            ..Default::default()
        };
        let details = ExecutionStartedDetails {
            input: EventInput { payload: Some(record.input.clone()), truncated: Some(false) },
            execution_timeout: record.timeout_seconds,
        };
        record.tell(tx, now, "ExecutionStarted", Some(&execution), |event| {
            event.execution_started_details = Some(details);
        })?;
        record.add(tx, execution)?;
        tx.put_json(record.id.by_name(), &record.id)?;
        tx.put_json(record.id.record(), &record)?;
        tx.enqueue(NewTask::new(drive::DRIVE, record.id.task()).payload(&record.id)?)?;
        Ok(record)
    }

    /// An execution that has done nothing yet.
    fn fresh(id: Id, start: &Start<'_>, durable: &api_lambda::DurableConfig, now: Timestamp) -> Self {
        Self {
            v: 1,
            function_arn: start.resolved.arn.clone(),
            qualifier: start.qualifier.clone(),
            input: start.input.clone(),
            status: RUNNING.to_owned(),
            result: None,
            error: None,
            started: now,
            ended: None,
            retention_days: durable.retention_period_in_days.unwrap_or(DEFAULT_RETENTION_DAYS),
            timeout_seconds: durable.execution_timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            secret: start.secret.clone(),
            token: 0,
            last: None,
            next_operation: 0,
            next_event: 1,
            unseen: Vec::new(),
            due: BTreeMap::new(),
            open: BTreeSet::new(),
            failures: 0,
            throttles: 0,
            invoked: false,
            calling: false,
            news: false,
            pause: None,
            stood_ms: 0,
            event: start.event.clone(),
            interrupted: false,
            id,
        }
    }

    pub(crate) fn load(tx: &mut Tx<'_>, id: &Id) -> Result<Self, Error> {
        let found = tx.get_json::<Self>(id.record())?.filter(|record| record.id == *id);
        found.ok_or_else(|| {
            error::resource_not_found_exception(format!("Durable execution not found: {}", id.arn()))
                .with("Type", "User")
        })
    }

    /// It has not ended. It may be paused.
    pub(crate) fn is_running(&self) -> bool {
        self.is_under_way()
    }

    pub(crate) fn deadline_ms(&self) -> i64 {
        self.started.as_millis() + i64::from(self.timeout_seconds) * 1000 + self.stood_ms
    }

    fn token(&self) -> String {
        self.token_of(self.token)
    }

    fn token_of(&self, number: u64) -> String {
        let proof = self.proof("token", &number.to_string()).map_or_else(String::new, |proof| format!(":{proof}"));
        STANDARD.encode(format!("{}:{number}{proof}", self.id.id))
    }

    /// A callback's id names it: execution and operation.
    fn callback_id(&self, operation: &str) -> String {
        let proof = self.proof("callback", operation).map_or_else(String::new, |proof| format!("|{proof}"));
        STANDARD.encode(format!("{}|{operation}{proof}", self.id.arn()))
    }

    /// The operation of a callback whose id ends with this, see [`of_callback`]; none where the id was not made here.
    pub(crate) fn called<'a>(&self, rest: &'a str) -> Option<&'a str> {
        if self.secret.is_empty() {
            return Some(rest);
        }
        let (operation, proof) = rest.rsplit_once('|')?;
        (self.proof("callback", operation).as_deref() == Some(proof)).then_some(operation)
    }

    /// What only who knows the secret can say of a token or a callback.
    fn proof(&self, kind: &str, what: &str) -> Option<String> {
        let told = || hex::encode(Sha256::digest(format!("{}:{kind}:{what}", self.secret)));
        (!self.secret.is_empty()).then(told)
    }

    /// An operation that is new.
    fn add(&mut self, tx: &mut Tx<'_>, operation: Operation) -> Result<Kept, Error> {
        let kept = Kept { order: self.next_operation, operation, timeout_ms: None, heartbeat_ms: None };
        self.next_operation += 1;
        tx.put_json(self.id.order().push_u64(kept.order), &kept.operation.id)?;
        self.keep(tx, &kept)?;
        Ok(kept)
    }

    fn keep(&mut self, tx: &mut Tx<'_>, kept: &Kept) -> Result<(), Error> {
        Ok(tx.put_json(self.id.operation(&kept.operation.id), kept)?)
    }

    /// An operation changed: the function hears of it at its next checkpoint or call.
    fn changed(&mut self, id: &str) {
        if !self.unseen.iter().any(|unseen| unseen == id) {
            self.unseen.push(id.to_owned());
        }
    }

    /// Writes an event of the history.
    fn tell(
        &mut self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        kind: &str,
        operation: Option<&Operation>,
        fill: impl FnOnce(&mut Event),
    ) -> Result<(), Error> {
        let mut event = Event {
            event_type: Some(kind.to_owned()),
            event_id: Some(self.next_event),
            event_timestamp: Some(now),
            id: operation.map(|operation| operation.id.clone()),
            name: operation.and_then(|operation| operation.name.clone()),
            sub_type: operation.and_then(|operation| operation.sub_type.clone()),
            parent_id: operation.and_then(|operation| operation.parent_id.clone()),
            ..Default::default()
        };
        fill(&mut event);
        let number = u64::try_from(self.next_event).unwrap_or(0);
        self.next_event += 1;
        Ok(tx.put_json(self.id.events().push_u64(number), &event)?)
    }

    /// Ends the execution; nothing changes it any more.
    pub(crate) fn end(
        &mut self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        status: &str,
        (result, failure): (Option<String>, Option<ErrorObject>),
    ) -> Result<(), Error> {
        let told = EventError { payload: failure.clone(), truncated: Some(false) };
        let execution = self.operation(tx, &self.id.id.clone())?.map(|kept| kept.operation);
        let answer = EventResult { payload: result.clone(), truncated: Some(false) };
        let kind = match status {
            SUCCEEDED => "ExecutionSucceeded",
            TIMED_OUT => "ExecutionTimedOut",
            "STOPPED" => "ExecutionStopped",
            _ => "ExecutionFailed",
        };
        self.tell(tx, now, kind, execution.as_ref(), |event| match status {
            SUCCEEDED => {
                event.execution_succeeded_details = Some(api_lambda::ExecutionSucceededDetails { result: answer });
            }
            TIMED_OUT => {
                event.execution_timed_out_details = Some(api_lambda::ExecutionTimedOutDetails { error: Some(told) });
            }
            "STOPPED" => {
                event.execution_stopped_details = Some(api_lambda::ExecutionStoppedDetails { error: told });
            }
            _ => event.execution_failed_details = Some(api_lambda::ExecutionFailedDetails { error: told }),
        })?;
        status.clone_into(&mut self.status);
        (self.result, self.error, self.ended) = (result, failure, Some(now));
        (self.due, self.open) = Default::default();
        self.pause = None;
        self.token += 1;
        self.tell_destinations(tx, now)?;
        let at = now.0 + jiff::SignedDuration::from_hours(24 * i64::from(self.retention_days));
        tx.enqueue(
            NewTask::new(drive::EXPIRE, format!("{}:{}", drive::EXPIRE, self.id.arn())).payload(&self.id)?.at(at),
        )?;
        Ok(())
    }

    /// What a caller hears of an execution that has not succeeded, as functions answer their errors.
    pub(crate) fn error_payload(&self) -> String {
        match &self.error {
            Some(error) => serde_json::json!({
                "errorType": error.error_type, "errorMessage": error.error_message, "stackTrace": error.stack_trace,
            })
            .to_string(),
            None => {
                String::from_utf8_lossy(&crate::failure::payload(&self.status, "The execution has failed")).into_owned()
            }
        }
    }

    fn tell_destinations(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Error> {
        let Some(request_id) = &self.event else { return Ok(()) };
        let succeeded = self.status == SUCCEEDED;
        let end = asynchronous::DurableEnd {
            place: &self.id.place(),
            name: Name { name: self.id.function.clone(), qualifier: Some(self.qualifier.clone()) },
            request_id,
            input: &self.input,
            function_arn: &self.function_arn,
            version: &self.id.version,
            answer: if succeeded { Ok(self.result.clone().unwrap_or_default()) } else { Err(self.error_payload()) },
            started: self.started,
        };
        asynchronous::durable_ended(tx, end, now)
    }

    pub(crate) fn operation(&self, tx: &mut Tx<'_>, id: &str) -> Result<Option<Kept>, Error> {
        Ok(tx.get_json(self.id.operation(id))?)
    }

    /// Its operations in the order of their starts, from one on.
    pub(crate) fn page(
        &self,
        tx: &mut Tx<'_>,
        from: u64,
        most: usize,
    ) -> Result<(Vec<Operation>, Option<String>), Error> {
        let mut page = Page { operations: Vec::new(), bytes: 0, most };
        for order in from..self.next_operation {
            let Some(id) = tx.get_json::<String>(self.id.order().push_u64(order))? else {
                // Begun when their order was not kept.
                return self.page_of_all(tx, from, most);
            };
            let Some(kept) = self.operation(tx, &id)? else { continue };
            if !page.takes(kept.operation) {
                return Ok((page.operations, Some(order.to_string())));
            }
        }
        Ok((page.operations, None))
    }

    fn page_of_all(&self, tx: &mut Tx<'_>, from: u64, most: usize) -> Result<(Vec<Operation>, Option<String>), Error> {
        let mut page = Page { operations: Vec::new(), bytes: 0, most };
        let mut all: Vec<Kept> = tx.list_json(self.id.operations(), usize::MAX >> 1)?;
        all.sort_by_key(|kept| kept.order);
        for kept in all.into_iter().filter(|kept| kept.order >= from) {
            let order = kept.order;
            if !page.takes(kept.operation) {
                return Ok((page.operations, Some(order.to_string())));
            }
        }
        Ok((page.operations, None))
    }

    /// Its function is deleted: executions that run are stopped, and names are free for the next function of its name, which is
    /// another one. What has ended is kept for its time.
    pub(crate) fn orphan(tx: &mut Tx<'_>, place: &Scope, function: &str, now: Timestamp) -> Result<(), Error> {
        for mut record in tx.list_json::<Self>(of_function(place, function), usize::MAX >> 1)? {
            if record.is_running() {
                record.end(tx, now, "STOPPED", (None, Some(failure("FunctionDeleted", "The function was deleted"))))?;
                tx.put_json(record.id.record(), &record)?;
                tx.hasten_task(&record.id.task())?;
            }
        }
        for (key, _) in tx.scan_prefix(place.key("durable-name").push(function), usize::MAX >> 1)? {
            tx.delete(key)?;
        }
        Ok(())
    }

    /// Takes away all of it.
    pub(crate) fn forget(tx: &mut Tx<'_>, id: &Id) -> Result<(), Error> {
        for prefix in [id.operations(), id.events(), id.order()] {
            for (key, _) in tx.scan_prefix(prefix, usize::MAX >> 1)? {
                tx.delete(key)?;
            }
        }
        if tx.get_json::<Id>(id.by_name())?.is_some_and(|named| named == *id) {
            tx.delete(id.by_name())?;
        }
        Ok(tx.delete(id.record())?)
    }
}

/// Operations of one answer, or of one event.
struct Page {
    operations: Vec<Operation>,
    bytes: usize,
    most: usize,
}

impl Page {
    /// Whether it has room for one more.
    fn takes(&mut self, operation: Operation) -> bool {
        /// What fits into an event beside all else.
        const BYTES: usize = 4 << 20;
        self.bytes += serde_json::to_vec(&operation).map_or(0, |text| text.len());
        let fits = self.operations.is_empty() || (self.operations.len() < self.most && self.bytes <= BYTES);
        if fits {
            self.operations.push(operation);
        }
        fits
    }
}

/// An operation as a call's event holds it: times in milliseconds, where answers have seconds.
fn in_event(operation: &Operation) -> Result<Value, Error> {
    let mut value = serde_json::to_value(operation).map_err(Error::internal)?;
    let ms = |time: Option<Timestamp>| time.map(|time| Value::from(time.as_millis()));
    let mut set = |place: &[&str], time: Option<Timestamp>| {
        if let Some(time) = ms(time)
            && let Some(object) = place[..place.len() - 1].iter().try_fold(&mut value, |at, name| at.get_mut(*name))
        {
            object[place[place.len() - 1]] = time;
        }
    };
    set(&["StartTimestamp"], Some(operation.start_timestamp));
    set(&["EndTimestamp"], operation.end_timestamp);
    set(
        &["StepDetails", "NextAttemptTimestamp"],
        operation.step_details.as_ref().and_then(|details| details.next_attempt_timestamp),
    );
    set(
        &["WaitDetails", "ScheduledEndTimestamp"],
        operation.wait_details.as_ref().and_then(|details| details.scheduled_end_timestamp),
    );
    Ok(value)
}

/// An error of the platform's.
pub(crate) fn failure(kind: &str, message: impl Into<String>) -> ErrorObject {
    ErrorObject { error_type: Some(kind.to_owned()), error_message: Some(message.into()), ..Default::default() }
}

/// The execution that a callback's id names, and the rest of the id, which [`Record::called`] checks.
pub(crate) fn of_callback(callback: &str) -> Result<(Id, String), Error> {
    let parts = || {
        let text = String::from_utf8(STANDARD.decode(callback).ok()?).ok()?;
        let (arn, rest) = text.split_once('|')?;
        Some((Id::parse(arn).ok()?, rest.to_owned()))
    };
    parts().ok_or_else(|| error::resource_not_found_exception("Callback not found").with("Type", "User"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_and_callbacks_are_named() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST/durable-execution/mine/0123-45";
        let id = Id::parse(arn).unwrap();
        assert_eq!(
            (id.function.as_str(), id.version.as_str(), id.name.as_str(), id.id.as_str()),
            ("f", "$LATEST", "mine", "0123-45")
        );
        assert_eq!(id.arn(), arn);
        assert!(Id::parse("arn:aws:lambda:us-east-1:000000000000:function:f:1").is_err());
        assert!(Id::parse(&arn.replace("arn:aws:", "arn:aws-x:")).is_err());
        assert!(of_callback("AAAA").is_err() && of_callback("no base64!").is_err());
    }

    #[test]
    fn tokens_and_callbacks_are_not_guessed() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:1/durable-execution/mine/0123-45";
        let record = |secret: &str| -> Record {
            let mut record = serde_json::json!({
                "v": 1, "id": Id::parse(arn).unwrap(), "function_arn": "", "qualifier": "1", "input": "", "status": RUNNING,
                "started": Timestamp::from_millis(0), "retention_days": 1, "timeout_seconds": 1, "token": 7,
                "next_operation": 0, "next_event": 1, "unseen": [], "due": {}, "open": [], "failures": 0, "invoked": false,
                "calling": false, "news": false,
            });
            if !secret.is_empty() {
                record["secret"] = secret.into();
            }
            serde_json::from_value(record).unwrap()
        };
        let (old, one, other) = (record(""), record("one"), record("other"));
        assert_eq!(old.token(), STANDARD.encode("0123-45:7"));
        assert_eq!(old.callback_id("a|b"), STANDARD.encode(format!("{arn}|a|b")));
        assert!(one.is_token(&one.token()) && !one.is_token(&other.token()) && !one.is_token(&old.token()));
        let rest = |record: &Record, operation: &str| of_callback(&record.callback_id(operation)).unwrap().1;
        for record in [&old, &one] {
            assert_eq!(record.called(&rest(record, "a|b")), Some("a|b"));
        }
        assert_eq!((one.called(&rest(&other, "op")), one.called(&rest(&old, "op"))), (None, None));
        // An operation named as a token's number tells nothing of the token.
        assert_ne!(one.proof("callback", "7"), one.proof("token", "7"));
    }

    #[test]
    fn times_in_events_are_milliseconds() {
        let operation = Operation {
            id: "w".to_owned(),
            r#type: "WAIT".to_owned(),
            status: STARTED.to_owned(),
            start_timestamp: Timestamp::from_millis(1_500),
            wait_details: Some(api_lambda::WaitDetails {
                scheduled_end_timestamp: Some(Timestamp::from_millis(2_750)),
            }),
            ..Default::default()
        };
        let told = in_event(&operation).unwrap();
        assert_eq!(
            (&told["StartTimestamp"], &told["WaitDetails"]["ScheduledEndTimestamp"]),
            (&1_500.into(), &2_750.into())
        );
        assert!(told.get("EndTimestamp").is_none_or(Value::is_null));
    }
}
