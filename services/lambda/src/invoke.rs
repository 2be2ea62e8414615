//! One invocation from its resolved function to its result: admission, environment, keys, log lines, AWS's errors.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api_lambda::{LoggingConfig, error};
use base64::Engine as _;
use bytes::Bytes;
use compute::pool::Found;
use service::lineage::Worker;
use service::meter::{Measured, Usage};
use service::trace::TraceContext;
use service::{Cx, Router};
use sources::hidden::Hidden;
use tokio::sync::mpsc;
use wire::Error;

use crate::Lambda;
use crate::failure;
use crate::function::{Name, Resolved, Scope};
use crate::lines::{self, End, Report};
use crate::prepare::{Language, Ready};
use crate::runtime::{Answer, Blueprint, Environment, Invocation, InvocationEnd, Keys, STORAGE_MB};
use crate::streaming::Piece;

/// How long a call waits for a place on this machine before it is throttled.
const ADMISSION: Duration = Duration::from_mins(5);
/// Keys of custom runtimes live as long as their environment may.
const CUSTOM_KEYS: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);
/// After so many starts whose nodes went away, or could not be reached, an invocation is given up.
const MOVES: u32 = 10;
/// The code of the end of an attempt, or of an execution's call, whose node is gone: who made it makes another one.
pub(crate) const NODE_LOST: &str = "NodeLost";
/// Past its timeout nothing of an invocation runs.
const KEYS_MARGIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(2);

/// What a caller asks for.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: Name,
    pub(crate) payload: Bytes,
    pub(crate) client_context: Option<String>,
    pub(crate) request_id: String,
    /// Where the pieces of a streamed response go.
    pub(crate) sink: Option<mpsc::Sender<Piece>>,
    /// The execution whose call this is; what is called otherwise of a durable function starts one.
    pub(crate) durable: Option<String>,
    /// The batch of a queue that it brings, which is not to be visible again before the function is done with it.
    pub(crate) hidden: Option<Arc<Hidden>>,
}

/// How an invocation ended.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) payload: Bytes,
    /// The function failed; the payload says how.
    pub(crate) failed: bool,
    /// The response went to the call's sink.
    pub(crate) streamed: bool,
    pub(crate) tail: String,
    pub(crate) version: String,
    /// As it was called.
    pub(crate) function_arn: String,
    /// How long its handler took.
    pub(crate) took: Duration,
    /// The durable execution that this was.
    pub(crate) durable: Option<String>,
}

impl Lambda {
    /// Finds the function and runs it; what it does is the attempt's, where it is part of one. Counts it in `AWS/Lambda`.
    pub(crate) async fn run(&self, cx: &Cx, call: Call, attempt: Option<&str>) -> Result<Finished, Error> {
        let function = call.name.name.clone();
        let outcome = self.invoke(cx, call, attempt).await;
        let count =
            |metric: &str, value: bool| self.measure(cx, &function, metric, f64::from(u8::from(value)), "Count");
        match &outcome {
            // Its calls have been counted.
            Ok(finished) if finished.durable.is_some() => {}
            Ok(finished) => {
                count("Invocations", true);
                count("Errors", finished.failed);
                count("Throttles", false);
                self.measure(cx, &function, "Duration", finished.took.as_secs_f64() * 1000.0, "Milliseconds");
            }
            Err(error) if error.status() == 429 => count("Throttles", true),
            Err(_) => {}
        }
        outcome
    }

    /// One measurement of a function's.
    pub(crate) fn measure(&self, cx: &Cx, function: &str, metric: &str, value: f64, unit: &str) {
        let (account, region) = (cx.account(), cx.region());
        let dimensions = &[("FunctionName", function)];
        self.router.measure(Measured { account, region, namespace: "AWS/Lambda", metric, dimensions, value, unit });
    }

    /// What AWS would bill of an invocation. Source: AWS Lambda pricing: requests, and GB-seconds of the memory that is configured.
    fn used(&self, cx: &Cx, function: &str, memory_mb: u64, billed_ms: u128) {
        let scope = (cx.account(), cx.region());
        #[expect(clippy::cast_precision_loss, reason = "15 minutes of milliseconds, 10,240 MB")]
        let gb_seconds = billed_ms as f64 / 1000.0 * memory_mb as f64 / 1024.0;
        for (metric, amount, unit) in [("Requests", 1.0, "Count"), ("GBSeconds", gb_seconds, "None")] {
            Usage { service: "lambda", metric, resource: function, amount, unit }.tell(&self.router, scope);
        }
    }

    async fn invoke(&self, cx: &Cx, call: Call, attempt: Option<&str>) -> Result<Finished, Error> {
        let chance = self.router.clock().fraction();
        let place = Scope::of(cx);
        let resolved = self.store.read(|tx| place.resolve_call(tx, &call.name, chance)).await?;
        if resolved.version.config.durable_config.is_some() && call.durable.is_none() {
            return Box::pin(self.run_durable(cx, &resolved, &call, None)).await;
        }
        // Whoever waits for code to be made ready holds no place that another function could run in.
        drop(self.slots.enter(&resolved, self.config.concurrency)?);
        let made = self.made_ready(&resolved).await?;
        let slot = self.slots.enter(&resolved, self.config.concurrency)?;
        self.measure(cx, &call.name.name, "ConcurrentExecutions", slot.in_use(), "Count");
        let config = &resolved.version.config;
        let finished = |payload, failed, tail: &[u8], took| Finished {
            payload,
            failed,
            streamed: false,
            durable: None,
            tail: base64::engine::general_purpose::STANDARD.encode(tail),
            version: resolved.version.number().to_owned(),
            function_arn: resolved.arn.clone(),
            took,
        };
        let runtime = config.runtime.clone().unwrap_or_default();
        let ready = match made {
            Ok(ready) => ready,
            Err(why) => {
                let kind = match Language::of(&runtime) {
                    Some(Language::Python(_)) => "Runtime.InvalidRequirements",
                    _ => "Runtime.InvalidEntrypoint",
                };
                let payload = failure::of_request(&call.request_id, kind, &why);
                return Ok(finished(payload, true, why.as_bytes(), Duration::ZERO));
            }
        };
        let mut blueprint = self.blueprint(cx, &resolved, ready);
        blueprint.variables = self.variables(cx, config).await?;
        let mut began = false;
        for _ in 0..MOVES {
            match self.invoke_once(cx, &resolved, &blueprint, &call, attempt, &mut began).await? {
                Once::Ended(payload, failed, tail, took, streamed) => {
                    return Ok(Finished { streamed, ..finished(payload, failed, &tail, took) });
                }
                // An attempt's writes are undone before another one begins; an execution's next call begins from what it has
                // checkpointed, with a token of its own.
                Once::Lost { .. } if attempt.is_some() || call.durable.is_some() => {
                    return Err(Error::new(NODE_LOST, 500, "The node that ran the function is gone"));
                }
                // As on AWS, what may have begun is not called again but by who asked for it.
                Once::Lost { sent: true } => {
                    return Err(lost("The node that ran the function was lost before the function had answered"));
                }
                Once::Lost { sent: false } => {
                    tracing::warn!(function = blueprint.arn, "the node of an invocation is gone before it began");
                }
            }
        }
        Err(lost("The nodes that were to run the function were lost before it began"))
    }

    /// The version's code, made ready now if it is not: by a task of its own, which goes on for those who come later when this caller
    /// waits no longer. The inner error is for the function's owner.
    async fn made_ready(&self, resolved: &Resolved) -> Result<Result<Ready, String>, Error> {
        let version = &resolved.version;
        let runtime = version.config.runtime.clone().unwrap_or_default();
        if let Some(ready) = self.preparer.known(&version.code, &version.layers, &runtime) {
            return Ok(Ok(ready));
        }
        let Some(lambda) = self.me.upgrade() else { return Err(Error::internal("the server is ending")) };
        let (code, layers) = (version.code.clone(), version.layers.clone());
        let making = tokio::spawn(async move { lambda.preparer.ready(&code, &layers, &runtime).await });
        let waited = tokio::time::timeout(ADMISSION, making).await;
        let made = waited
            .map_err(|_| throttled("the function's code is still being made ready", "CallerRateLimitExceeded"))?;
        made.map_err(Error::internal)
    }

    /// One invocation on whichever node has room.
    #[expect(clippy::too_many_lines, reason = "the steps of one invocation, in order")]
    async fn invoke_once(
        &self,
        cx: &Cx,
        resolved: &Resolved,
        blueprint: &Blueprint,
        call: &Call,
        attempt: Option<&str>,
        began: &mut bool,
    ) -> Result<Once, Error> {
        let platform = Cx::platform(cx.router(), cx.account(), cx.region());
        let finding = self.pool.find(&blueprint.key, blueprint.budget_mb(), blueprint.place());
        let found = tokio::time::timeout(ADMISSION, finding).await;
        let (found, mut place) = found
            .map_err(|_| throttled("this machine has no room for another environment", "CallerRateLimitExceeded"))?;
        // It may have waited for longer than its messages are hidden.
        if let Some(hidden) = &call.hidden
            && let Err(gone) = hidden.begin(blueprint.timeout).await
        {
            if let Found::Warm(environment) = found {
                self.pool.keep(&blueprint.key, *environment, None);
            }
            return Err(gone);
        }
        let keeps_keys = blueprint.kind.keeps_keys();
        let keys = match &found {
            Found::Warm(_) if keeps_keys => None,
            _ => Some(self.issue(cx, resolved, &call.request_id, keeps_keys, attempt).await?),
        };
        let _revoked = keys.as_ref().filter(|_| !keeps_keys).map(|keys| Revoked::at_end(cx, keys));
        if attempt.is_none() {
            let worker = Worker::Invocation { function: resolved.arn.clone(), request: call.request_id.clone() };
            cx.began(worker.clone());
            // Keys that a runtime keeps are several invocations': what it does is nobody's.
            if let Some(keys) = keys.as_ref().filter(|_| !keeps_keys) {
                cx.router().lend_to(&keys.access_key, worker);
            }
        }
        let warmed = matches!(found, Found::Warm(_));
        let mut environment = match found {
            Found::Warm(environment) => *environment,
            Found::Cold(permit) => {
                let keys = keys.as_ref().ok_or_else(|| Error::internal("a start without keys"))?;
                match Environment::start(blueprint, keys, permit, self.means(), &platform).await {
                    Ok(environment) => environment,
                    Err(compute::Error::NodeLost { .. }) => {
                        cx.router().identity().revoke(&keys.access_key).await?;
                        return Ok(Once::Lost { sent: false });
                    }
                    Err(error) => return Err(Error::internal(error)),
                }
            }
        };

        let (request_id, version) = (&call.request_id, resolved.version.number());
        let first = lines::start(request_id, version, !warmed, blueprint);
        environment.begin(first).await;
        if let Some(note) = blueprint.note.as_ref().filter(|_| !warmed) {
            environment.say(lines::note(note, blueprint)).await;
        }
        let mut clock = Instant::now();
        let mut outcome = if warmed { Ok(()) } else { environment.ready().await };
        place.started();
        if outcome.is_ok() {
            clock = Instant::now();
            if let Some(sink) = call.sink.as_ref().filter(|_| !*began) {
                // Whoever has hung up does not hear it.
                let _ = sink.send(Piece::Began { version: version.to_owned() }).await;
                *began = true;
            }
            let invocation = Invocation {
                request_id,
                function_arn: &resolved.arn,
                payload: call.payload.clone(),
                client_context: call.client_context.clone(),
                trace: cx.trace().map(TraceContext::x_ray),
                keys: keys.clone().filter(|_| warmed),
                sink: call.sink.clone(),
            };
            outcome = Err(environment.invoke(invocation).await);
        }
        let outcome = outcome.err().unwrap_or(InvocationEnd::TimedOut);
        if let InvocationEnd::NodeLost { sent, told } = outcome {
            let own = keys.as_ref().map(|keys| keys.access_key.as_str());
            for key in own.into_iter().chain(environment.keys_there()) {
                cx.router().identity().revoke(key).await?;
            }
            if !told {
                return Ok(Once::Lost { sent });
            }
        }
        let took = clock.elapsed();
        let streamed = matches!(outcome, InvocationEnd::Answer(Answer::Streamed));
        let (end, billed_ms) = report(&mut environment, request_id, blueprint, took, outcome).await;
        let (payload, failed, alive) = end;
        self.used(cx, &blueprint.function, blueprint.memory_mb, billed_ms);
        let tail = environment.tail().await;
        if alive {
            self.pool.keep(&blueprint.key, environment, Some(took));
        }
        Ok(Once::Ended(payload, failed, tail, took, streamed))
    }

    /// Keys of one invocation, or of an environment for `long`.
    pub(crate) async fn issue(
        &self,
        cx: &Cx,
        resolved: &Resolved,
        request_id: &str,
        long: bool,
        attempt: Option<&str>,
    ) -> Result<Keys, Error> {
        let config = &resolved.version.config;
        let timeout = jiff::SignedDuration::from_secs(config.timeout.unwrap_or(3).into());
        let valid =
            if long { CUSTOM_KEYS } else { timeout.max(jiff::SignedDuration::from_secs(10)) + timeout + KEYS_MARGIN };
        let identity = cx.router().identity();
        let (role, session) =
            (config.role.as_deref().unwrap_or_default(), config.function_name.as_deref().unwrap_or_default());
        let denied = |error: Error| {
            tracing::debug!(%error, request_id, "a function's role cannot be assumed");
            let message = "The role defined for the function cannot be assumed by Lambda.";
            Error::access_denied(message)
        };
        let principal = identity.role_session(role, session, attempt.filter(|_| !long)).await.map_err(denied)?;
        // The environment, and whatever it holds, ends with the server.
        let issued = identity.issue_unlogged(&principal, valid).await?;
        Ok(Keys { access_key: issued.access_key, secret_key: issued.secret_key, session_token: issued.session_token })
    }

    /// All but the variables, which may have to be asked for.
    pub(crate) fn blueprint(&self, cx: &Cx, resolved: &Resolved, ready: Ready) -> Blueprint {
        let config = &resolved.version.config;
        let function = config.function_name.clone().unwrap_or_default();
        let revision = config.revision_id.as_deref().unwrap_or_default();
        let own_group = config.logging_config.as_ref().and_then(|logging| logging.log_group.clone());
        let mounts = config.file_system_configs.iter().flatten().filter_map(|system| {
            let host = self.config.mounts.get(&system.local_mount_path)?;
            Some((host.clone(), PathBuf::from(&system.local_mount_path)))
        });
        Blueprint {
            key: format!("{} {} {revision}", Scope::of(cx).arn(&function, None), resolved.version.number()),
            arn: resolved.arn.clone(),
            version: resolved.version.number().to_owned(),
            handler: config.handler.clone().unwrap_or_default(),
            runtime: config.runtime.clone().unwrap_or_default(),
            kind: ready.kind,
            note: ready.note,
            archives: (resolved.version.code.clone(), resolved.version.layers.clone()),
            code: ready.code,
            layers: ready.layers,
            storage_mb: config
                .ephemeral_storage
                .as_ref()
                .and_then(|storage| u64::try_from(storage.size).ok())
                .unwrap_or(STORAGE_MB),
            levels: levels(config.logging_config.as_ref()),
            memory_mb: config.memory_size.and_then(|size| u64::try_from(size).ok()).unwrap_or(128),
            timeout: Duration::from_secs(config.timeout.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(3)),
            variables: BTreeMap::new(),
            log_group: own_group.unwrap_or_else(|| format!("/aws/lambda/{function}")),
            region: cx.region().to_owned(),
            endpoint: self.endpoint.clone(),
            scratch: self.scratch.clone(),
            read: self.config.read_paths.clone(),
            mounts: mounts.collect(),
            function,
            provisioned: false,
        }
    }
}

/// What one invocation came to.
enum Once {
    /// The payload, whether it says that the function failed, the end of the log, how long it took, whether it was streamed.
    Ended(Bytes, bool, Vec<u8>, Duration, bool),
    /// Its node is gone: nothing was told of an answer, and its keys are revoked. Can the function have had the event?
    Lost { sent: bool },
}

/// Ends an invocation's keys with it, however it ends.
struct Revoked {
    router: Arc<Router>,
    access_key: String,
}

impl Revoked {
    fn at_end(cx: &Cx, keys: &Keys) -> Self {
        Self { router: Arc::clone(cx.router()), access_key: keys.access_key.clone() }
    }
}

impl Drop for Revoked {
    fn drop(&mut self) {
        let (router, access_key) = (Arc::clone(&self.router), std::mem::take(&mut self.access_key));
        router.take_back(&access_key);
        tokio::spawn(async move {
            if let Err(error) = router.identity().revoke(&access_key).await {
                tracing::warn!(%error, "an invocation's keys could not be revoked; they expire");
            }
        });
    }
}

/// The levels of application and platform of a function whose log is JSON.
fn levels(logging: Option<&LoggingConfig>) -> Option<(String, String)> {
    let logging = logging.filter(|logging| logging.log_format.as_deref() == Some("JSON"))?;
    let level = |set: &Option<String>| set.clone().unwrap_or_else(|| "INFO".to_owned());
    Some((level(&logging.application_log_level), level(&logging.system_log_level)))
}

/// Writes the closing lines of an invocation; answers its payload, whether it failed, whether the environment lives on, and the
/// milliseconds that are billed.
async fn report(
    environment: &mut Environment,
    request_id: &str,
    blueprint: &Blueprint,
    took: Duration,
    outcome: InvocationEnd,
) -> ((Bytes, bool, bool), u128) {
    let exited = |kind: &str, message: &str| (failure::of_request(request_id, kind, message), true, false);
    let timed_out = matches!(outcome, InvocationEnd::TimedOut);
    let result = match outcome {
        InvocationEnd::Answer(Answer::Response(payload)) => (payload, false, true),
        InvocationEnd::Answer(Answer::Streamed) => (Bytes::new(), false, true),
        InvocationEnd::Answer(Answer::Error(payload)) => (payload, true, true),
        InvocationEnd::Answer(Answer::Last(payload)) => (payload, true, false),
        InvocationEnd::StartFailed(error) => (failure::of_start(request_id, &error), true, false),
        InvocationEnd::Exited(exit) if exit.success() => {
            exited("Runtime.ExitError", "Runtime exited without providing a reason")
        }
        InvocationEnd::Exited(exit) => exited("Runtime.ExitError", &format!("Runtime exited with error: {exit}")),
        InvocationEnd::OutOfMemory => exited("Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
        // A part of the answer has been sent: it cannot be begun anew.
        InvocationEnd::NodeLost { .. } => exited("Runtime.ExitError", "The node that ran the function is gone"),
        InvocationEnd::TimedOut => {
            let message = format!("Task timed out after {:.2} seconds", blueprint.timeout.as_secs_f64());
            exited("Sandbox.Timedout", &message)
        }
    };
    let (payload, failed, alive) = &result;
    let end = if timed_out {
        End::Timeout { after: blueprint.timeout }
    } else if *failed && !alive {
        End::Error { kind: failure::kind_of(payload).unwrap_or_default() }
    } else {
        End::Success { failed: *failed }
    };
    let report = Report {
        request_id,
        took,
        start: environment.start_took(),
        memory_mb: blueprint.memory_mb,
        used_mb: environment.peak_memory_mb(),
        end,
    };
    let billed = report.billed();
    let lines = match &blueprint.levels {
        Some((_, level)) => report.json(level),
        None => report.text(),
    };
    for line in lines {
        environment.say(line).await;
    }
    (result, billed)
}

/// AWS's error for what is the service's fault.
fn lost(message: &str) -> Error {
    error::service_exception(message).with("Type", "Service")
}

fn throttled(message: &str, reason: &str) -> Error {
    error::too_many_requests_exception(message).with("Reason", reason).with("Type", "User")
}

/// Invocations in progress, per function and in all.
#[derive(Default)]
pub(crate) struct Slots(Mutex<BTreeMap<String, usize>>);

pub(crate) struct Slot<'a>(&'a Slots, String);

impl Slots {
    fn enter(&self, resolved: &Resolved, concurrency: usize) -> Result<Slot<'_>, Error> {
        let function = resolved.function.latest.config.function_arn.clone().unwrap_or_default();
        let mut in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = resolved.function.reserved.map(|reserved| usize::try_from(reserved).unwrap_or(0));
        if reserved.is_some_and(|reserved| in_use.get(&function).copied().unwrap_or(0) >= reserved) {
            return Err(throttled("Rate Exceeded.", "ReservedFunctionConcurrentInvocationLimitExceeded"));
        }
        if in_use.values().sum::<usize>() >= concurrency {
            return Err(throttled("Rate Exceeded.", "ConcurrentInvocationLimitExceeded"));
        }
        *in_use.entry(function.clone()).or_default() += 1;
        Ok(Slot(self, function))
    }
}

impl Slot<'_> {
    /// How many of the function run now.
    fn in_use(&self) -> f64 {
        let in_use = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        f64::from(u32::try_from(in_use.get(&self.1).copied().unwrap_or(0)).unwrap_or(u32::MAX))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut in_use = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = in_use.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                in_use.remove(&self.1);
            }
        }
    }
}
