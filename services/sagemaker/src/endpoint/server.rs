//! A model's server: `runtimes/sagemaker/serve.py` in the model's environment, which answers `/ping` and `/invocations` on a socket
//! in a folder of its own, one call at a time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use compute::budget::Permit;
use compute::pool::Warm;
use compute::sandbox::{Child, Meter};
use compute::worker;
use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use jobs::log::Stream;
use serde::Deserialize;
use serde_json::json;
use service::Cx;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Variant;
use crate::SageMaker;
use crate::program::{MEMORY_MB, Needed};
use crate::records::{container, model_data};
use crate::worker::{Access, Source};

/// AWS's quota for what a real-time endpoint takes and answers. Source: `SageMaker` Developer Guide, "Real-time inference".
pub(crate) const MAX_BYTES: usize = 25 << 20;
/// Source: `SageMaker` Developer Guide, "Serverless inference".
const MAX_SERVERLESS_BYTES: usize = 4 << 20;
/// How long a model may take to load, where its variant does not say.
const START: Duration = Duration::from_mins(10);
/// How often a server that loads is looked at.
const LOOK: Duration = Duration::from_millis(15);
const KEYS: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);
const MAX_LINE_BYTES: usize = 64 << 10;

pub(crate) struct Server {
    child: Child,
    meter: Meter,
    memory_mb: u64,
    socket: PathBuf,
    started: Instant,
    log_stream: String,
    _folder: tempfile::TempDir,
    _permit: Permit,
}

/// One call, as the model's server gets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) body: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<String>,
}

/// What it said.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

/// Why there is no answer; the server is not to be used again.
#[derive(Debug)]
pub(crate) enum Broken {
    TimedOut,
    OutOfMemory,
    Ended(String),
}

#[derive(Deserialize)]
struct End {
    #[serde(default)]
    message: String,
}

impl Warm for Server {
    fn is_alive(&mut self) -> bool {
        !self.child.has_ended()
    }

    fn age(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Variant {
    /// What its processes may take.
    pub(crate) fn memory_mb(&self) -> u64 {
        let serverless = self.variant.serverless_config.as_ref();
        serverless.and_then(|config| u64::try_from(config.memory_size_in_mb).ok()).unwrap_or(MEMORY_MB)
    }

    pub(crate) fn max_bytes(&self) -> usize {
        if self.variant.serverless_config.is_some() { MAX_SERVERLESS_BYTES } else { MAX_BYTES }
    }
}

impl SageMaker {
    /// Starts a server of a variant's model and waits until it answers. The error is for the endpoint's owner.
    pub(crate) async fn serve(
        &self,
        cx: &Cx,
        endpoint: &str,
        variant: &Variant,
        permit: Permit,
    ) -> Result<Server, String> {
        let broken = |error: std::io::Error| format!("InternalServerError: {error}");
        let access = self.access_of(cx, variant).await?;
        let container = container(&variant.model);
        let image = container.and_then(|container| container.image.clone()).unwrap_or_default();
        let source = Source {
            access: access.clone(),
            model_data_url: model_data(&variant.model),
            named: container.and_then(|one| one.environment.as_ref()?.get("SAGEMAKER_PROGRAM").cloned()),
            image: image.clone(),
        };
        let needed = self.inspect(&source).await?;
        let env = self.model_environment(&image, &needed, false).await?;
        self.lay_out().await?;
        let folder = tempfile::tempdir_in(&self.scratch).map_err(broken)?;
        let at = |name: &str| folder.path().join(name);
        let (config, result, socket) = (at("config.json"), at("result.json"), at("model.sock"));
        let text = json!({
            "model_data_url": source.model_data_url, "program": needed.program, "builtin": needed.builtin,
        });
        std::fs::write(&config, text.to_string()).map_err(broken)?;
        let own = container.and_then(|container| container.environment.clone()).unwrap_or_default();
        let mut command = self.model_command(&env, folder.path(), own, &access).await.map_err(broken)?;
        command.arg(self.program_at("serve.py").await).args([&config, &result]).arg("model.sock");
        command.memory_mb(variant.memory_mb()).merged();
        let started = Instant::now();
        let mut child = command.spawn().await.map_err(|error| error.to_string())?;
        let log_stream = format!("{}/{}", variant.name(), cx.uuid());
        let log = Stream::open(cx.as_platform(), format!("/aws/sagemaker/Endpoints/{endpoint}"), log_stream.clone());
        if let Some(said) = child.stdout.take() {
            tokio::spawn(follow(said, log));
        }
        let meter = Meter::new(child.group());
        let mut server = Server {
            child,
            meter,
            memory_mb: variant.memory_mb(),
            socket,
            started,
            log_stream,
            _folder: folder,
            _permit: permit,
        };
        let seconds = variant.variant.container_startup_health_check_timeout_in_seconds;
        let limit = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(START, Duration::from_secs);
        server.loaded(limit, &result).await?;
        Ok(server)
    }

    /// Keys of the model's role, for as long as a server may live.
    async fn access_of(&self, cx: &Cx, variant: &Variant) -> Result<Access, String> {
        let role = variant.model.execution_role_arn.as_deref().ok_or("the model has no ExecutionRoleArn")?;
        let identity = self.router.identity();
        let denied = |error: wire::Error| format!("role {role} could not be assumed: {}", error.message());
        let principal = identity.role_session(role, "SageMaker", None).await.map_err(denied)?;
        let keys = identity.issue_unlogged(&principal, KEYS).await.map_err(denied)?;
        Ok(Access {
            endpoint: self.endpoint.clone(),
            region: cx.region().to_owned(),
            key_id: keys.access_key,
            secret_key: keys.secret_key,
            session_token: keys.session_token,
        })
    }

    /// What the model's archive asks for.
    async fn inspect(&self, source: &Source) -> Result<Needed, String> {
        let asks = |at: worker::At<'_>| {
            let mut source = source.clone();
            at.endpoint(&self.endpoint).clone_into(&mut source.access.endpoint);
            json!({ "inspect": source })
        };
        let limits = worker::Limits::new().memory_mb(2048);
        match self.compute.workers.call("onnx", &asks, limits).await.0 {
            Ok(answer) => serde_json::from_value(answer["needed"].clone()).map_err(|error| error.to_string()),
            Err(compute::Error::Failed { message, .. }) => Err(message),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Server {
    pub(crate) fn log_stream(&self) -> &str {
        &self.log_stream
    }

    /// Waits until the model is loaded.
    async fn loaded(&mut self, limit: Duration, result: &Path) -> Result<(), String> {
        let until = Instant::now() + limit;
        let ping = Request::get("/ping").header("host", "localhost").body(Full::default());
        let ping = ping.map_err(|error| error.to_string())?;
        loop {
            // A program that takes the connection and says nothing has not loaded its model either.
            let pinged = tokio::select! {
                pinged = exchange(&self.socket, ping.clone()) => pinged,
                () = self.meter.exceeds(Some(self.memory_mb)) => return Err(self.too_large()),
                () = tokio::time::sleep_until(until.into()) => return Err(too_slow(limit)),
            };
            if let Ok(answered) = pinged {
                return if answered.status == 200 {
                    Ok(())
                } else {
                    Err(format!("the model did not pass the ping health check (status {})", answered.status))
                };
            }
            if self.child.has_ended() {
                // It may have put anything there.
                let end = compute::sandbox::result(result).await.ok().flatten();
                let end = end.and_then(|bytes| serde_json::from_slice::<End>(&bytes).ok());
                let exit = self.child.wait().await.map_or_else(|error| error.to_string(), |exit| exit.to_string());
                return Err(end.map_or_else(|| format!("the model's program ended: {exit}"), |end| end.message));
            }
            if Instant::now() >= until {
                return Err(too_slow(limit));
            }
            tokio::select! {
                () = self.meter.exceeds(Some(self.memory_mb)) => return Err(self.too_large()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn too_large(&self) -> String {
        format!("the model took more than {} MB of memory", self.memory_mb)
    }

    pub(crate) async fn call(&mut self, asked: Asked, limit: Duration) -> Result<Answered, Broken> {
        let mut request = Request::post("/invocations").header("host", "localhost").header("connection", "close");
        for (name, value) in [("content-type", asked.content_type), ("accept", asked.accept)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(asked.body)).map_err(|error| Broken::Ended(error.to_string()))?;
        tokio::select! {
            biased;
            answered = exchange(&self.socket, request) => answered.map_err(Broken::Ended),
            () = self.meter.exceeds(Some(self.memory_mb)) => Err(self.kill(Broken::OutOfMemory)),
            () = tokio::time::sleep(limit) => Err(self.kill(Broken::TimedOut)),
        }
    }

    fn kill(&self, why: Broken) -> Broken {
        self.child.group().kill();
        why
    }
}

fn too_slow(limit: Duration) -> String {
    format!("the model was not loaded after {} s", limit.as_secs())
}

/// One request on a connection of its own.
async fn exchange(socket: &Path, request: Request<Full<Bytes>>) -> Result<Answered, String> {
    let stream = compute::sandbox::connect(socket).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let response =
        sender.send_request(request).await.map_err(|error| format!("the model's server hung up: {error}"))?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_BYTES).collect().await;
    driver.abort();
    let body = body.map_err(|error| format!("the model's answer could not be read: {error}"))?.to_bytes();
    let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Answered { status: head.status.as_u16(), content_type, body })
}

/// Passes what a model prints to its log, line by line.
async fn follow(mut said: impl AsyncRead + Unpin, log: Stream) {
    let (mut line, mut chunk) = (Vec::new(), [0_u8; 8192]);
    loop {
        let count = said.read(&mut chunk).await.unwrap_or(0);
        for byte in &chunk[..count] {
            if *byte == b'\n' || line.len() >= MAX_LINE_BYTES {
                log.write(String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned()).await;
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
        if count == 0 {
            log.write(String::from_utf8_lossy(&line).into_owned()).await;
            return;
        }
    }
}
