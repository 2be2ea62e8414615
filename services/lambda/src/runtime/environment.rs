//! One environment: a sandboxed process that runs one function's code, one invocation at a time.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use compute::budget::Permit;
use compute::node::Node;
use compute::pool::{Place, Warm};
use compute::pyenv::PyEnv;
use compute::sandbox::{Child, Command, Exit, Meter};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::api::{Answer, Api, Delivery};
use super::output::{Log, Output};
use super::templates::{self, Forks, Templates};
use crate::streaming::Piece;

/// AWS gives a start this long before it counts against the function's own timeout.
const START: Duration = Duration::from_secs(10);
/// The size of `/tmp` where nothing is said. Source: Lambda API Reference, `EphemeralStorage`.
pub(crate) const STORAGE_MB: u64 = 512;
/// The smallest `MemorySize`.
pub(super) const LEAST_MB: u64 = 128;

/// What runs inside.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Our runtime in a Python environment; `runtimes` holds its program.
    Python { env: PyEnv, runtimes: PathBuf, forks: Option<Forks> },
    /// Our runtime in Node.js; `modules` are those that the code names and does not bring.
    Node { node: Node, bootstrap: PathBuf, modules: Option<PathBuf> },
    /// The function's own `bootstrap`.
    Custom { in_layer: bool },
}

impl Default for Kind {
    /// Before anything is known of it.
    fn default() -> Self {
        Self::Custom { in_layer: false }
    }
}

impl Kind {
    /// The keys of its start are its keys: only our runtime in Python changes them with each invocation.
    pub(crate) fn keeps_keys(&self) -> bool {
        !matches!(self, Self::Python { .. })
    }
}

/// Everything that decides how an environment is made. Environments of one `key` are alike. What is of one machine is not told to
/// another node, which has its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Blueprint {
    /// Function, version and revision.
    pub(crate) key: String,
    pub(crate) function: String,
    pub(crate) arn: String,
    pub(crate) version: String,
    pub(crate) handler: String,
    pub(crate) runtime: String,
    #[serde(skip)]
    pub(crate) kind: Kind,
    /// A line for its log at each start.
    #[serde(skip)]
    pub(crate) note: Option<String>,
    /// The names of its archives: of its code, and of its layers.
    pub(crate) archives: (String, Vec<String>),
    #[serde(skip)]
    pub(crate) code: PathBuf,
    /// What its layers hold together.
    #[serde(skip)]
    pub(crate) layers: Option<PathBuf>,
    pub(crate) memory_mb: u64,
    /// The size of `/tmp`.
    pub(crate) storage_mb: u64,
    pub(crate) timeout: Duration,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) log_group: String,
    /// The levels of application and platform, where lines are JSON.
    pub(crate) levels: Option<(String, String)>,
    pub(crate) region: String,
    pub(crate) endpoint: String,
    #[serde(skip)]
    pub(crate) scratch: PathBuf,
    #[serde(skip)]
    pub(crate) read: Vec<PathBuf>,
    /// Started before anybody calls.
    pub(crate) provisioned: bool,
    /// Folder of the host, place inside.
    #[serde(skip)]
    pub(crate) mounts: Vec<(PathBuf, PathBuf)>,
}

impl Blueprint {
    /// Where it may run: what is mounted lies on this machine.
    pub(crate) fn place(&self) -> Place {
        if self.mounts.is_empty() { Place::Anywhere } else { Place::Here }
    }

    /// What it is given of the machine's memory: its own, and what it has asked of `/tmp`, which lies in memory, beyond what all have.
    pub(crate) fn budget_mb(&self) -> usize {
        usize::try_from(self.memory_mb + self.storage_mb.saturating_sub(STORAGE_MB)).unwrap_or(usize::MAX)
    }
}

/// Keys of the function's role.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

pub(crate) struct Invocation<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) function_arn: &'a str,
    pub(crate) payload: Bytes,
    pub(crate) client_context: Option<String>,
    /// The span that calls it, in X-Ray's form.
    pub(crate) trace: Option<String>,
    /// Keys for this invocation; `None` leaves those of the start.
    pub(crate) keys: Option<Keys>,
    /// Where the pieces of a streamed response go.
    pub(crate) sink: Option<mpsc::Sender<Piece>>,
}

/// How an invocation ended. After all but an answer the environment is gone.
#[derive(Debug)]
pub(crate) enum InvocationEnd {
    Answer(Answer),
    /// The runtime said that it cannot start.
    StartFailed(Bytes),
    Exited(Exit),
    OutOfMemory,
    TimedOut,
    /// The node that it ran on is gone. Can the function have had the event, and has the caller been sent anything of the answer?
    NodeLost {
        sent: bool,
        told: bool,
    },
}

/// What an environment is started with besides.
pub(crate) struct Start<'a> {
    pub(crate) keys: &'a Keys,
    /// What our runtimes show to the Runtime API.
    pub(crate) token: String,
    /// The name of its log stream.
    pub(crate) stream: &'a str,
    pub(crate) log: Log,
}

pub(crate) struct Environment {
    api: Api,
    meter: Meter,
    output: Output,
    memory_mb: u64,
    /// What it had of its template's from the start: the runtime's, not the function's.
    loaded_mb: u64,
    timeout: Duration,
    started: Instant,
    /// How long the start took, until it has been reported.
    start_took: Option<Duration>,
    /// While it goes on, where it came of a template.
    start: Option<templates::Start>,
    child: Child,
    _scratch: tempfile::TempDir,
    _permit: Permit,
}

impl Environment {
    /// Starts the process; `invoke` waits until it is ready.
    #[expect(clippy::too_many_lines, reason = "the steps of one start, in order")]
    pub(crate) async fn start(
        blueprint: &Blueprint,
        Start { keys, token, stream, log }: Start<'_>,
        permit: Permit,
        templates: &Templates,
    ) -> Result<Self, compute::Error> {
        let io = |context: &str| {
            let context = context.to_owned();
            move |source| compute::Error::Io { context, source }
        };
        std::fs::create_dir_all(&blueprint.scratch).map_err(io("making a folder for functions"))?;
        let scratch = tempfile::tempdir_in(&blueprint.scratch).map_err(io("making a folder for a function"))?;
        let token = (!matches!(blueprint.kind, Kind::Custom { .. })).then_some(token);
        let places = Places::of(blueprint).await;
        let api = Api::listen(token.clone()).await.map_err(io("listening for a runtime"))?;

        let mut command = match &blueprint.kind {
            Kind::Python { env, runtimes, .. } => {
                let mut command = python(env, runtimes, |inside| places.isolated.then_some(inside));
                if places.isolated && blueprint.layers.is_none() {
                    command.show(runtimes.join("empty"), &places.layers);
                }
                command
            }
            Kind::Node { node, bootstrap, modules } => {
                let mut command = Command::new(places.lang(&node.root).join("bin/node"));
                let runtime = places.inside("/var/runtime/bootstrap.mjs", bootstrap);
                // As AWS sets it: the heap ends before the memory does.
                command.arg(format!("--max-old-space-size={}", blueprint.memory_mb * 9 / 10)).arg(&runtime);
                command.show(bootstrap, runtime);
                if !node.is_the_systems() {
                    command.show(&node.root, places.lang(&node.root));
                }
                for path in &node.read_paths {
                    command.read_only(path);
                }
                if let Some(modules) = modules {
                    command.show(modules, places.inside("/var/runtime/node_modules", modules));
                }
                command
            }
            Kind::Custom { in_layer: true } => Command::new(places.layers.join("bootstrap")),
            Kind::Custom { in_layer: false } => Command::new(places.code.join("bootstrap")),
        };
        command.folder(&places.code).show(&blueprint.code, &places.code);
        if let Some(layers) = &blueprint.layers {
            command.show(layers, &places.layers);
        }
        limit(&mut command, blueprint.memory_mb);
        let temporary = places.inside("/tmp", scratch.path());
        if places.isolated {
            command.temporary_mb(blueprint.storage_mb);
        } else {
            command.read_write(scratch.path());
        }
        if !blueprint.mounts.is_empty() {
            // What lies there is the server's user's.
            command.as_server();
        }
        for path in &blueprint.read {
            command.read_only(path);
        }
        for (host, inside) in &blueprint.mounts {
            command.mount(host, inside);
        }
        // The function's own first: it cannot replace what the platform sets.
        for (name, value) in &blueprint.variables {
            command.env(name, value);
        }
        command.env("HOME", &temporary);
        if !places.isolated {
            command.env("TMPDIR", &temporary);
        }
        for (name, value) in variables(blueprint, &places, &api.address().to_string(), stream) {
            command.env(name, value);
        }
        command.env("AWS_ACCESS_KEY_ID", &keys.access_key).env("AWS_SECRET_ACCESS_KEY", &keys.secret_key);
        if let Some(token) = &keys.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        if let Some(token) = &token {
            command.env("LAKERUN_RUNTIME_TOKEN", token);
        }
        let started = Instant::now();
        let (mut child, loaded_mb, start) = spawn(&command, blueprint, templates).await?;
        api.belongs_to(child.group());
        let pipe: OwnedFd = child
            .stdout
            .take()
            .expect("standard output is piped")
            .into_owned_fd()
            .map_err(io("following a function"))?;
        let output = Output::follow(pipe, log).map_err(io("following a function"))?;
        Ok(Self {
            api,
            meter: Meter::new(child.group()),
            output,
            memory_mb: blueprint.memory_mb,
            loaded_mb,
            timeout: blueprint.timeout,
            started,
            start_took: None,
            start,
            child,
            _scratch: scratch,
            _permit: permit,
        })
    }

    /// Waits for the runtime's first request, unless it was seen before.
    pub(crate) async fn ready(&mut self) -> Result<(), InvocationEnd> {
        tokio::select! {
            biased;
            ready = self.api.started() => ready.map_err(InvocationEnd::StartFailed)?,
            exit = self.child.wait() => return Err(exit.map_or(InvocationEnd::TimedOut, InvocationEnd::Exited)),
            () = self.meter.exceeds(Some(self.memory_mb + self.loaded_mb)) => return Err(self.kill(InvocationEnd::OutOfMemory)),
            () = tokio::time::sleep(START.max(self.timeout)) => return Err(self.kill(InvocationEnd::TimedOut)),
        }
        self.start_took = Some(self.started.elapsed());
        self.start = None;
        Ok(())
    }

    pub(crate) async fn invoke(&mut self, invocation: Invocation<'_>) -> InvocationEnd {
        let (reply, mut answer) = oneshot::channel();
        let deadline =
            crate::lines::now().as_millisecond() + i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let mut headers = vec![
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", invocation.function_arn.to_owned()),
            ("lambda-runtime-trace-id", invocation.trace.unwrap_or_else(|| trace_id(invocation.request_id))),
        ];
        if let Some(context) = invocation.client_context {
            headers.push(("lambda-runtime-client-context", context));
        }
        if let Some(keys) = invocation.keys {
            headers.push(("lakerun-access-key-id", keys.access_key));
            headers.push(("lakerun-secret-access-key", keys.secret_key));
            headers.extend(keys.session_token.map(|token| ("lakerun-session-token", token)));
        }
        let request_id = invocation.request_id.to_owned();
        self.api
            .deliver(Delivery { request_id, payload: invocation.payload, headers, reply, sink: invocation.sink })
            .await;
        tokio::select! {
            biased;
            Ok(answer) = &mut answer => InvocationEnd::Answer(answer),
            exit = self.child.wait() => exit.map_or(InvocationEnd::TimedOut, InvocationEnd::Exited),
            () = self.meter.exceeds(Some(self.memory_mb + self.loaded_mb)) => self.kill(InvocationEnd::OutOfMemory),
            () = tokio::time::sleep(self.timeout) => self.kill(InvocationEnd::TimedOut),
        }
    }

    fn kill(&self, outcome: InvocationEnd) -> InvocationEnd {
        self.child.group().kill();
        outcome
    }

    /// A line of the platform's in the function's log.
    pub(crate) async fn say(&self, line: String) {
        self.output.say(line).await;
    }

    /// The first line of an invocation.
    pub(crate) async fn begin(&self, line: String) {
        self.output.begin(line).await;
    }

    /// The end of what was said since `begin`.
    pub(crate) async fn tail(&self) -> Vec<u8> {
        self.output.tail().await
    }

    pub(crate) fn peak_memory_mb(&self) -> u64 {
        self.meter.peak_mb().min(self.memory_mb)
    }

    /// How long its start took, told once.
    pub(crate) fn start_took(&mut self) -> Option<Duration> {
        self.start_took.take()
    }
}

/// From a template where there is one, else by itself; and what it has of the template's.
async fn spawn(
    command: &Command,
    blueprint: &Blueprint,
    templates: &Templates,
) -> Result<(Child, u64, Option<templates::Start>), compute::Error> {
    if let Some(there) = templates.find(blueprint) {
        match there.start(command).await {
            Ok((child, loaded_mb, start)) => return Ok((child, loaded_mb, Some(start))),
            Err(error) => tracing::warn!(%error, "a function starts without its template"),
        }
    }
    Ok((command.spawn().await?, 0, None))
}

/// What every function in Python runs and sees; `inside` tells whether a place is there, else things are where the host has them.
pub(super) fn python(env: &PyEnv, runtimes: &Path, inside: impl Fn(&'static str) -> Option<&'static str>) -> Command {
    let place = |name: &'static str, host: &Path| inside(name).map_or_else(|| host.to_owned(), PathBuf::from);
    let bootstrap = &runtimes.join("bootstrap.py");
    let runtime = place("/var/runtime/bootstrap.py", bootstrap);
    let mut command = Command::new(place("/var/lang/bin/python", &env.python));
    command.args(["-s", "-u"]).arg(&runtime).show(bootstrap, runtime);
    command.show(&env.root, place("/var/lang", &env.root));
    for path in &env.read_paths {
        command.read_only(path);
    }
    command
}

/// The processes and open files of AWS's environments.
pub(super) fn limit(command: &mut Command, memory_mb: u64) {
    command.merged().memory_mb(memory_mb).open_files(1024).processes(1024);
}

impl Warm for Environment {
    fn is_alive(&mut self) -> bool {
        !self.child.has_ended()
    }

    fn age(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A made-up trace in X-Ray's form, unsampled, so that libraries that read it find what they expect.
fn trace_id(request_id: &str) -> String {
    let hex: String = request_id.chars().filter(char::is_ascii_hexdigit).collect();
    let (seconds, rest) = (crate::lines::now().as_second(), hex.get(..24).unwrap_or("000000000000000000000000"));
    format!("Root=1-{seconds:08x}-{rest};Parent={};Sampled=0", rest.get(..16).unwrap_or_default())
}

/// Where a process finds things: where AWS has them, where the machine allows that.
struct Places {
    isolated: bool,
    code: PathBuf,
    layers: PathBuf,
}

impl Places {
    async fn of(blueprint: &Blueprint) -> Self {
        let isolated = compute::sandbox::is_isolated().await;
        let place = |inside: &str, host: &Path| if isolated { PathBuf::from(inside) } else { host.to_owned() };
        let layers = blueprint.layers.as_deref().unwrap_or_else(|| Path::new("/opt"));
        Self { isolated, code: place("/var/task", &blueprint.code), layers: place("/opt", layers) }
    }

    /// Where a language lies: the system's own stays where it is.
    fn lang(&self, root: &Path) -> PathBuf {
        if root == Path::new("/usr") { root.to_owned() } else { self.inside("/var/lang", root) }
    }

    fn inside(&self, inside: &str, host: &Path) -> PathBuf {
        if self.isolated { PathBuf::from(inside) } else { host.to_owned() }
    }
}

/// As <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html> lists them.
fn variables(blueprint: &Blueprint, places: &Places, api: &str, stream: &str) -> Vec<(&'static str, String)> {
    let (code, layers) = (places.code.to_string_lossy().into_owned(), places.layers.to_string_lossy().into_owned());
    let own_programs = match &blueprint.kind {
        Kind::Python { env, .. } => format!("{}/bin:", places.inside("/var/lang", &env.root).display()),
        Kind::Node { node, .. } => format!("{}/bin:", places.lang(&node.root).display()),
        Kind::Custom { .. } => String::new(),
    };
    let runtime = if places.isolated { "/var/runtime".to_owned() } else { code.clone() };
    let initialization = if blueprint.provisioned { "provisioned-concurrency" } else { "on-demand" };
    let mut variables = vec![
        ("AWS_LAMBDA_FUNCTION_NAME", blueprint.function.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", blueprint.version.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", blueprint.memory_mb.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", blueprint.log_group.clone()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", stream.to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", initialization.to_owned()),
        ("AWS_LAMBDA_RUNTIME_API", api.to_owned()),
        ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", blueprint.runtime)),
        ("AWS_REGION", blueprint.region.clone()),
        ("AWS_DEFAULT_REGION", blueprint.region.clone()),
        ("AWS_ENDPOINT_URL", blueprint.endpoint.clone()),
        ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("_HANDLER", blueprint.handler.clone()),
        ("LAMBDA_TASK_ROOT", code.clone()),
        ("LAMBDA_RUNTIME_DIR", runtime),
        ("LAKERUN_LAYERS", layers.clone()),
    ];
    // Those that a function may set itself.
    let defaults = [
        ("TZ", ":UTC".to_owned()),
        ("PATH", format!("{own_programs}/usr/local/bin:/usr/bin:/bin:{layers}/bin")),
        ("LD_LIBRARY_PATH", format!("{code}:{code}/lib:{layers}/lib")),
    ];
    variables.extend(defaults.into_iter().filter(|(name, _)| !blueprint.variables.contains_key(*name)));
    if let Some((application, _)) = &blueprint.levels {
        variables.push(("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()));
        variables.push(("AWS_LAMBDA_LOG_LEVEL", application.clone()));
    } else {
        variables.push(("AWS_LAMBDA_LOG_FORMAT", "Text".to_owned()));
    }
    match &blueprint.kind {
        Kind::Python { .. } => variables.push(("PYTHONDONTWRITEBYTECODE", "1".to_owned())),
        Kind::Node { node, modules, .. } if !blueprint.variables.contains_key("NODE_PATH") => {
            let own = modules.as_ref().map(|modules| places.inside("/var/runtime/node_modules", modules));
            let own = own.map_or_else(String::new, |own| format!("{}:", own.display()));
            let major = node.major;
            let path = format!("{layers}/nodejs/node{major}/node_modules:{layers}/nodejs/node_modules:{own}{code}");
            variables.push(("NODE_PATH", path));
        }
        _ => {}
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_tmp_is_asked_of_the_machine() {
        let mut blueprint = Blueprint { memory_mb: 256, storage_mb: STORAGE_MB, ..blueprint() };
        assert_eq!(blueprint.budget_mb(), 256);
        blueprint.storage_mb = 10_240;
        assert_eq!(blueprint.budget_mb(), 256 + 10_240 - 512);
    }

    fn blueprint() -> Blueprint {
        let text = serde_json::json!({
            "key": "", "function": "", "arn": "", "version": "", "handler": "", "runtime": "", "archives": ["", []],
            "memory_mb": 0, "storage_mb": 0, "timeout": { "secs": 1, "nanos": 0 }, "variables": {}, "log_group": "",
            "levels": null, "region": "", "endpoint": "", "provisioned": false,
        });
        serde_json::from_value(text).unwrap()
    }
}
