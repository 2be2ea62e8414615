//! The table of all operations, and the doors into it.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::Value;
use store::{Clock, SystemClock};
use wire::codec::asl;
use wire::reflect::{self, Mismatch};
use wire::{Error, Operation, OperationSpec};

use crate::attempts::{Open, Outcome, Participant};
use crate::audit::{self, Audit};
use crate::authorization::Guard;
use crate::identity::Identity;
use crate::lineage::{self, Lineage, Noting, Worker};
use crate::listeners::{Listener, ServiceEvent};
use crate::meter::{Measured, Meter};
use crate::trace::Tracer;
use crate::{Cx, Principal};

/// One operation of a service. The input has been decoded and checked and the caller authorised.
#[async_trait]
pub trait Handle<O: Operation>: Send + Sync + 'static {
    async fn handle(&self, cx: &Cx, input: O::Input) -> Result<O::Output, Error>;
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

type Erased = Box<dyn Any + Send>;

struct Entry {
    spec: &'static OperationSpec,
    call: Arc<dyn Fn(Cx, Erased) -> Boxed<Erased> + Send + Sync>,
    /// The input out of its canonical form, and the output into it.
    decode: fn(Value) -> Result<Erased, Mismatch>,
    encode: fn(Erased) -> Result<Value, Error>,
}

/// All operations by service and name.
pub struct Router {
    clock: Arc<dyn Clock>,
    table: RwLock<BTreeMap<(&'static str, &'static str), Arc<Entry>>>,
    identity: OnceLock<Arc<dyn Identity>>,
    participants: RwLock<Vec<Arc<dyn Participant>>>,
    attempts: Open,
    listeners: RwLock<Vec<Arc<dyn Listener>>>,
    meter: OnceLock<Arc<dyn Meter>>,
    /// Who counts besides, for the server's own metrics.
    monitor: OnceLock<Arc<dyn Meter>>,
    tracer: OnceLock<Arc<dyn Tracer>>,
    audience: OnceLock<Arc<dyn Audience>>,
    guards: RwLock<BTreeMap<&'static str, Arc<dyn Guard>>>,
    noting: Noting,
    pub(crate) audit: OnceLock<Arc<dyn Audit>>,
}

/// Who listens to events: asked before an event is made that nobody may want. Implemented by `services/events`.
#[async_trait]
pub trait Audience: Send + Sync {
    /// False when no rule that exists now can match such an event on the default bus.
    async fn may_match(&self, account: &str, region: &str, source: &str, detail_type: &str) -> Result<bool, Error>;
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Router")
    }
}

impl Router {
    pub fn new() -> Arc<Self> {
        Self::with_clock(Arc::new(SystemClock))
    }
    /// A table whose calls see this time and chance.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Arc<Self> {
        let (table, identity, participants, attempts, listeners, meter, audience, guards) = Default::default();
        let (monitor, tracer) = (OnceLock::new(), OnceLock::new());
        let noting = Noting::default();
        Arc::new(Self {
            clock,
            table,
            identity,
            participants,
            attempts,
            listeners,
            meter,
            monitor,
            tracer,
            audience,
            guards,
            noting,
            audit: OnceLock::new(),
        })
    }

    /// Adds an operation to the table; see [`crate::operations!`].
    pub fn register<O, S>(&self, service: &Arc<S>)
    where
        O: Operation,
        S: Handle<O>,
    {
        let service = service.clone();
        let entry = Entry {
            spec: O::SPEC,
            call: Arc::new(move |cx, input| {
                let service = service.clone();
                Box::pin(async move {
                    let output = service.handle(&cx, *downcast::<O::Input>(input)?).await?;
                    Ok(Box::new(output) as Erased)
                })
            }),
            decode: |value| Ok(Box::new(reflect::from_value::<O::Input>(value)?)),
            encode: |output| Ok(reflect::into_value(*downcast::<O::Output>(output)?)),
        };
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert((O::SPEC.service.name, O::SPEC.name), Arc::new(entry));
    }

    pub fn set_identity(&self, identity: Arc<dyn Identity>) {
        assert!(self.identity.set(identity).is_ok(), "identity is set once, at start");
    }
    pub fn identity(&self) -> &Arc<dyn Identity> {
        self.identity.get().expect("the server sets it before it serves")
    }
    pub(crate) fn has_other_accounts(&self) -> bool {
        self.identity.get().is_some_and(|identity| identity.has_other_accounts())
    }
    /// Adds who knows the policies of a service's resources, by the service in their ARNs.
    pub fn add_guard(&self, service: &'static str, guard: Arc<dyn Guard>) {
        self.guards.write().unwrap_or_else(PoisonError::into_inner).insert(service, guard);
    }
    pub(crate) fn guard(&self, service: &str) -> Option<Arc<dyn Guard>> {
        self.guards.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }
    /// Names who records calls.
    pub fn set_audit(&self, audit: Arc<dyn Audit>) {
        assert!(self.audit.set(audit).is_ok(), "the recorder is set once, at start");
    }
    pub fn set_audience(&self, audience: Arc<dyn Audience>) {
        assert!(self.audience.set(audience).is_ok(), "the audience is set once, at start");
    }
    /// Whether an event of the platform is worth making. Without an audience to ask: where events are taken at all.
    pub async fn may_match(&self, account: &str, region: &str, source: &str, detail_type: &str) -> Result<bool, Error> {
        match self.audience.get() {
            Some(audience) => audience.may_match(account, region, source, detail_type).await,
            None => Ok(self.find("events", "PutEvents").is_some()),
        }
    }
    /// Adds a service that can undo what attempts wrote.
    pub fn add_participant(&self, participant: Arc<dyn Participant>) {
        self.participants.write().unwrap_or_else(PoisonError::into_inner).push(participant);
    }
    pub fn set_meter(&self, meter: Arc<dyn Meter>) {
        assert!(self.meter.set(meter).is_ok(), "the meter is set once, at start");
    }
    /// Adds who counts besides the keeper of CloudWatch's metrics.
    pub fn set_monitor(&self, monitor: Arc<dyn Meter>) {
        assert!(self.monitor.set(monitor).is_ok(), "the monitor is set once, at start");
    }
    /// Names who exports traces; to be said before services are made.
    pub fn set_tracer(&self, tracer: Arc<dyn Tracer>) {
        assert!(self.tracer.set(tracer).is_ok(), "the tracer is set once, at start");
    }
    /// Who exports traces, where anybody does.
    pub fn tracer(&self) -> Option<&Arc<dyn Tracer>> {
        self.tracer.get()
    }
    /// Counts; nothing where nobody keeps metrics.
    pub fn measure(&self, measured: Measured<'_>) {
        if let Some(monitor) = self.monitor.get() {
            monitor.measure(measured);
        }
        if let Some(meter) = self.meter.get() {
            meter.measure(measured);
        }
    }
    /// Names who keeps the lineage of data.
    pub fn set_lineage(&self, keeper: Arc<dyn Lineage>) {
        self.noting.set(keeper);
    }
    pub(crate) fn noting(&self) -> &Noting {
        &self.noting
    }
    /// What is done with these keys is this worker's, until they are taken back.
    pub fn lend_to(&self, access_key: &str, worker: Worker) {
        self.noting.credentials_issued(access_key, worker);
    }
    pub fn take_back(&self, access_key: &str) {
        self.noting.take_back(access_key);
    }
    /// Writes what a job is known to have read and written: before its end is noted.
    pub async fn keep_lineage(&self, job: &str) -> Result<(), Error> {
        match self.noting.keeper() {
            Some(keeper) => keeper.keep(job).await,
            None => Ok(()),
        }
    }
    /// Adds a service that hears the platform's events.
    pub fn add_listener(&self, listener: Arc<dyn Listener>) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }
    /// Tells an event to all listeners; the events service does, of the events that the platform sends.
    pub async fn notify_listeners(&self, cx: &Cx, event: ServiceEvent<'_>) -> Result<(), Error> {
        let all = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in all {
            listener.hear(cx, event).await?;
        }
        Ok(())
    }
    /// The attempts that may write.
    pub fn attempts(&self) -> &Open {
        &self.attempts
    }
    /// All services that can undo what attempts wrote.
    pub fn participants(&self) -> Vec<Arc<dyn Participant>> {
        self.participants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Ends what attempts of a job have under way, in every service that takes part; answers how many bytes stay.
    pub async fn finish_attempts(&self, job: &str, outcome: Outcome) -> Result<u64, Error> {
        self.attempts.close(job);
        let mut bytes = 0;
        if outcome == Outcome::Rollback {
            self.release_attempts(job).await?;
        }
        for participant in self.participants() {
            bytes += participant.finish(job, outcome).await?;
        }
        if let Some(keeper) = self.noting.keeper() {
            keeper.finish(job, outcome).await?;
        }
        Ok(bytes)
    }
    /// A state of a table that others have built on cannot be taken from under them: what belongs to it stays.
    async fn release_attempts(&self, job: &str) -> Result<(), Error> {
        let mut places = Vec::new();
        for participant in self.participants() {
            places.extend(participant.release(job).await?);
        }
        if places.is_empty() {
            return Ok(());
        }
        for participant in self.participants() {
            participant.keep_below(job, &places).await?;
        }
        Ok(())
    }
    /// Has any attempt of the job written something that is not confirmed?
    pub async fn holds_attempts(&self, job: &str) -> Result<bool, Error> {
        for participant in self.participants() {
            if participant.holds(job).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// Has the job done something that cannot be undone?
    pub async fn is_settled(&self, job: &str) -> Result<bool, Error> {
        for participant in self.participants() {
            if participant.is_settled(job).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// The records whose changes by attempts are noted.
    pub(crate) fn noted(&self) -> store::journal::Noted {
        let all = self.participants();
        Arc::new(move |key| all.iter().any(|participant| participant.notes(key)))
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }
    /// A random UUID, with dashes.
    pub fn uuid(&self) -> String {
        self.clock.uuid()
    }

    /// A UUID whose order is that of time (version 7): records under it lie beside those made before and after it, so that many of
    /// them change few pages of the store.
    pub fn uuid_in_order(&self) -> String {
        let chance = self.clock.random().to_be_bytes();
        let millis = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        let random = std::array::from_fn(|at| chance[at]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
    }

    fn entry(&self, service: &str, name: &str) -> Option<Arc<Entry>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&(service, name)).cloned()
    }
    /// The operation's row, where the platform has it.
    pub fn find(&self, service: &str, name: &str) -> Option<&'static OperationSpec> {
        self.entry(service, name).map(|e| e.spec)
    }
    /// All rows, in order of service and name.
    pub fn operations(&self) -> Vec<&'static OperationSpec> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.values().map(|e| e.spec).collect()
    }
    /// The row that an `aws-sdk:service:operation` ARN names: lower-case service (with AWS's aliases), camelCase operation.
    pub fn find_asl(&self, service: &str, operation: &str) -> Option<&'static OperationSpec> {
        let service = match service {
            "sfn" => "states",
            "eventbridge" => "events",
            "cloudwatchlogs" => "logs",
            other => other,
        };
        self.find(service, &asl::pascal(operation))
    }

    /// The typed door.
    pub async fn call<O: Operation>(&self, cx: &Cx, input: O::Input) -> Result<O::Output, Error> {
        let spec = O::SPEC;
        let Some(audit) = self.auditor(cx) else { return self.call_unrecorded::<O>(cx, input).await };
        let (at, given) = (self.now(), reflect::into_value(input.clone()));
        // Boxed: what is seldom needed makes every call larger.
        let called = Box::pin(audit::watched(self.call_unrecorded::<O>(cx, input)));
        let (called, statements) = called.await;
        let output = called.as_ref().ok().map(|output| reflect::into_value(output.clone()));
        let outcome = called.as_ref().map(|_| output.as_ref());
        Box::pin(self.record(audit, (cx, spec, at), &given, outcome, &statements)).await;
        called
    }

    async fn call_unrecorded<O: Operation>(&self, cx: &Cx, input: O::Input) -> Result<O::Output, Error> {
        let spec = O::SPEC;
        let Some(entry) = self.entry(spec.service.name, spec.name) else {
            return Err(Error::not_implemented(format!("{}:{}", spec.service.name, spec.name)));
        };
        let (mut home, mut touched) = (None, Vec::new());
        if self.is_weighed(cx, spec.service.name) {
            let value = reflect::into_value(input.clone());
            home = self.admit(cx, spec, &value).await?;
            if cx.principal().has_policies() || matches!(cx.principal(), Principal::Anonymous) {
                touched = self.touches(cx, spec, &value);
            }
        }
        let output = (entry.call)(at_home(cx, home), Box::new(input)).await?;
        note(cx, touched);
        Ok(*downcast::<O::Output>(output)?)
    }

    /// The door of HTTP: input and output in the canonical form, the input checked.
    pub async fn call_canonical(&self, cx: &Cx, spec: &'static OperationSpec, input: Value) -> Result<Value, Error> {
        let Some(audit) = self.auditor(cx) else { return self.call_canonical_unrecorded(cx, spec, input).await };
        let (at, given) = (self.now(), input.clone());
        let (called, statements) = Box::pin(audit::watched(self.call_canonical_unrecorded(cx, spec, input))).await;
        Box::pin(self.record(audit, (cx, spec, at), &given, called.as_ref().map(Some), &statements)).await;
        called
    }

    async fn call_canonical_unrecorded(&self, cx: &Cx, spec: &OperationSpec, input: Value) -> Result<Value, Error> {
        let Some(entry) = self.entry(spec.service.name, spec.name) else {
            return Err(Error::not_implemented(format!("{}:{}", spec.service.name, spec.name)));
        };
        let home = self.admit(cx, spec, &input).await?;
        crate::refused::check(spec, &input)?;
        let touched = self.touches(cx, spec, &input);
        let input = (entry.decode)(input)
            .map_err(|e| Error::serialization(format!("{} of {}: {e}", spec.name, spec.service.name)))?;
        let output = (entry.call)(at_home(cx, home), input).await?;
        note(cx, touched);
        (entry.encode)(output)
    }

    /// The data that a worker's call names; S3 notes by itself.
    fn touches(&self, cx: &Cx, spec: &OperationSpec, input: &Value) -> Vec<(lineage::Did, String)> {
        let service = spec.service.name;
        if self.noting.keeper().is_none() || !matches!(service, "dynamodb" | "glue") || cx.worker().is_none() {
            return Vec::new();
        }
        lineage::named(service, spec.name, input)
    }

    /// The door of services that call by name.
    pub async fn call_json(&self, cx: &Cx, service: &str, operation: &str, parameters: Value) -> Result<Value, Error> {
        self.call_styled(cx, (service, operation), parameters, asl::Style::Model).await
    }

    /// The same, with the result in the style of whom it is for.
    pub async fn call_styled(
        &self,
        cx: &Cx,
        (service, operation): (&str, &str),
        parameters: Value,
        style: asl::Style,
    ) -> Result<Value, Error> {
        let Some(spec) = self.find_asl(service, operation) else {
            return Err(Error::not_implemented(format!("{service}:{operation}")));
        };
        let input = asl::decode(spec.input, parameters).map_err(|error| refusal(spec, error))?;
        let output = self.call_canonical(cx, spec, input).await?;
        Ok(asl::encode(spec.output, output, style))
    }
}

fn note(cx: &Cx, touched: Vec<(lineage::Did, String)>) {
    for (did, data) in touched {
        cx.touched(did, || data, 0, None);
    }
}

/// What a service calls a request that breaks its model's constraints. CloudWatch Logs and ECR have a name of their own for it.
pub fn refusal(spec: &OperationSpec, error: Error) -> Error {
    if matches!(spec.service.name, "ecr" | "logs") && error.is("ValidationException") {
        return Error::new("InvalidParameterException", error.status(), error.message());
    }
    error
}

/// The call where what it acts on is.
fn at_home(cx: &Cx, account: Option<String>) -> Cx {
    account.map_or_else(|| cx.clone(), |account| cx.in_account(&account))
}

fn downcast<T: 'static>(erased: Erased) -> Result<Box<T>, Error> {
    erased.downcast().map_err(|_| Error::internal("a value of another operation"))
}
