//! The Runtime API: what a runtime inside an environment talks to. One listener per environment, on a port of its own.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use compute::sandbox::Group;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::failure;
use crate::streaming::{MAX_STREAM_BYTES, Piece};

/// What a function may return, in bytes.
pub(crate) const MAX_RESPONSE_BYTES: usize = 6_291_556;
const MAX_CONNECTIONS: usize = 64;
/// A connection is the environment's by then, or goes: every process of the machine can open one.
const PROVEN_WITHIN: Duration = Duration::from_secs(20);
const PREFIX: &str = "/2018-06-01/runtime/";

/// One invocation on its way to the runtime.
pub(super) struct Delivery {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    /// Name and value, as the runtime is told.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) reply: oneshot::Sender<Answer>,
    /// Where the pieces of a response go that is written piece by piece; gathered without.
    pub(super) sink: Option<mpsc::Sender<Piece>>,
}

/// What the runtime said of an invocation.
#[derive(Debug)]
pub(crate) enum Answer {
    Response(Bytes),
    /// It went to the sink.
    Streamed,
    Error(Bytes),
    /// An error after which the runtime ends.
    Last(Bytes),
}

/// How far an environment's start has come.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Starting,
    Ready,
    Failed(Bytes),
}

pub(super) struct Api {
    shared: Arc<Shared>,
    address: SocketAddr,
    deliveries: mpsc::Sender<Delivery>,
    phase: watch::Receiver<Phase>,
    server: AbortHandle,
}

struct Shared {
    /// Our own runtimes prove with this that they belong to the environment; any process of the host can reach the port.
    token: Option<String>,
    /// The environment's processes: of other runtimes the connection itself must be theirs.
    owner: watch::Sender<Option<Group>>,
    deliveries: tokio::sync::Mutex<mpsc::Receiver<Delivery>>,
    current: Mutex<Option<Current>>,
    phase: watch::Sender<Phase>,
}

/// The invocation that the runtime works on.
struct Current {
    request_id: String,
    reply: oneshot::Sender<Answer>,
    sink: Option<mpsc::Sender<Piece>>,
}

impl Api {
    pub(super) async fn listen(token: Option<String>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (deliveries, receiver) = mpsc::channel(1);
        let (sender, phase) = watch::channel(Phase::Starting);
        let deliveries_receiver = tokio::sync::Mutex::new(receiver);
        let shared = Arc::new(Shared {
            token,
            owner: watch::Sender::new(None),
            deliveries: deliveries_receiver,
            current: Mutex::default(),
            phase: sender,
        });
        let server = tokio::spawn(accept(listener, address, Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, address, deliveries, phase, server })
    }

    /// Says whose it is, once the process is there.
    pub(super) fn belongs_to(&self, group: Group) {
        self.shared.owner.send_replace(Some(group));
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the runtime asks for its first invocation or says that it cannot.
    pub(super) async fn started(&self) -> Result<(), Bytes> {
        let mut phase = self.phase.clone();
        loop {
            match phase.borrow_and_update().clone() {
                Phase::Starting => {}
                Phase::Ready => return Ok(()),
                Phase::Failed(error) => return Err(error),
            }
            if phase.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    pub(super) async fn deliver(&self, delivery: Delivery) {
        // The receiver lives as long as the server task, which ends with `self`.
        let _ = self.deliveries.send(delivery).await;
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Connections end with this task.
async fn accept(listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // So many are not one runtime's: now each has to be the environment's by its process, and is closed else.
                    let crowded = connections.len() >= MAX_CONNECTIONS / 2;
                    connections.spawn(serve(stream, (peer, address), crowded, Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the Runtime API cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
    }
}

async fn serve(stream: TcpStream, ends: (SocketAddr, SocketAddr), crowded: bool, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let is_theirs = (shared.token.is_some() && !crowded) || shared.is_owners(ends).await;
    if crowded && !is_theirs {
        return;
    }
    let proven = AtomicBool::new(is_theirs && (shared.token.is_none() || crowded));
    let service = service_fn(|request| {
        let (shared, proven) = (Arc::clone(&shared), &proven);
        async move {
            if !is_theirs || !shared.is_told(&request) {
                return Ok::<_, Infallible>(others());
            }
            proven.store(true, Ordering::Relaxed);
            Ok(shared.handle(request).await)
        }
    });
    // A runtime that breaks the connection shows by its end.
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    if tokio::time::timeout(PROVEN_WITHIN, connection.as_mut()).await.is_err() && proven.load(Ordering::Relaxed) {
        let _ = connection.await;
    }
}

impl Shared {
    async fn is_owners(&self, (peer, local): (SocketAddr, SocketAddr)) -> bool {
        let mut owner = self.owner.subscribe();
        let Ok(group) = owner.wait_for(Option::is_some).await.map(|group| *group) else { return false };
        let held = tokio::task::spawn_blocking(move || group.is_some_and(|group| group.holds(peer, local)));
        held.await.unwrap_or(false)
    }

    /// Whether a request has the token, where there is one.
    fn is_told(&self, request: &Request<Incoming>) -> bool {
        let told = request.headers().get("lakerun-runtime-token").and_then(|value| value.to_str().ok());
        self.token.is_none() || self.token.as_deref() == told
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Some(path) = head.uri.path().strip_prefix(PREFIX) else { return unknown() };
        let parts: Vec<_> = path.split('/').collect();
        match (&head.method, parts.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) if is_streaming(&head.headers) => {
                self.stream(id, &head.headers, body).await
            }
            (&Method::POST, ["invocation", id, kind @ ("response" | "error")]) => {
                let ends = head.headers.contains_key("lakerun-runtime-ends");
                self.answer(id, (*kind == "error", ends), body).await
            }
            (&Method::POST, ["init", "error"]) => {
                let error = read(body).await.unwrap_or_default();
                self.phase.send_replace(Phase::Failed(error));
                accepted()
            }
            _ => unknown(),
        }
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        self.phase.send_if_modified(|phase| {
            let first = matches!(phase, Phase::Starting);
            if first {
                *phase = Phase::Ready;
            }
            first
        });
        let Some(delivery) = self.deliveries.lock().await.recv().await else { return unknown() };
        let mut response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &delivery.request_id);
        for (name, value) in &delivery.headers {
            response = response.header(*name, value);
        }
        let payload = delivery.payload;
        let Delivery { request_id, reply, sink, .. } = delivery;
        *self.current() = Some(Current { request_id, reply, sink });
        response
            .body(Full::new(payload))
            .unwrap_or_else(|error| refuse(StatusCode::INTERNAL_SERVER_ERROR, "Runtime.Unknown", &error.to_string()))
    }

    async fn answer(&self, id: &str, (is_error, ends): (bool, bool), body: Incoming) -> Response<Full<Bytes>> {
        let body = read(body).await;
        let Some(Current { reply, .. }) = self.take(id) else { return not_current() };
        let (answer, response) = match body {
            Some(body) if is_error && ends => (Answer::Last(body), accepted()),
            Some(body) if is_error => (Answer::Error(body), accepted()),
            Some(body) => (Answer::Response(body), accepted()),
            None => too_large(MAX_RESPONSE_BYTES),
        };
        // Nobody waits any more for an invocation that was given up.
        let _ = reply.send(answer);
        response
    }

    /// A response that comes piece by piece. Source: Lambda Developer Guide, "Building a custom runtime", response streaming: errors
    /// on the way stand in trailers.
    async fn stream(&self, id: &str, headers: &HeaderMap, mut body: Incoming) -> Response<Full<Bytes>> {
        let Some(Current { reply, sink, .. }) = self.take(id) else { return not_current() };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(sink) = &sink {
            // Nobody listens any more: the function runs to its end all the same.
            let _ = sink.send(Piece::Head { content_type: text("content-type") }).await;
        }
        let limit = if sink.is_some() { MAX_STREAM_BYTES } else { MAX_RESPONSE_BYTES };
        let (mut kept, mut bytes, mut trailers) = (BytesMut::new(), 0_usize, HeaderMap::new());
        while let Some(frame) = body.frame().await {
            // The connection broke: its process's end, or the time, ends the invocation.
            let Ok(frame) = frame else { return unknown() };
            match frame.into_data() {
                Ok(data) => {
                    bytes += data.len();
                    match &sink {
                        _ if bytes > limit => {}
                        Some(sink) => drop(sink.send(Piece::Data(data)).await),
                        None => kept.extend_from_slice(&data),
                    }
                }
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        let failed = trailers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
        let (answer, response) = match failed {
            _ if bytes > limit => too_large(limit),
            Some(kind) => {
                let told = trailers.get("lambda-runtime-function-error-body");
                let told = told.and_then(|told| STANDARD.decode(told).ok()).map(Bytes::from);
                (Answer::Error(told.unwrap_or_else(|| failure::payload(kind, ""))), accepted())
            }
            None if sink.is_some() => (Answer::Streamed, accepted()),
            None => (Answer::Response(kept.freeze()), accepted()),
        };
        let _ = reply.send(answer);
        response
    }

    fn take(&self, id: &str) -> Option<Current> {
        self.current().take_if(|current| current.request_id == id)
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` for one that is too large. It is read to its end all the same, so that the runtime hears the answer.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let mut kept = BytesMut::new();
    let mut fits = true;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            fits &= kept.len() + data.len() <= MAX_RESPONSE_BYTES;
            if fits {
                kept.extend_from_slice(&data);
            }
        }
    }
    fits.then(|| kept.freeze())
}

fn is_streaming(headers: &HeaderMap) -> bool {
    headers
        .get("lambda-runtime-function-response-mode")
        .is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"))
}

/// What the caller and the runtime are told of a response past `limit`.
fn too_large(limit: usize) -> (Answer, Response<Full<Bytes>>) {
    let message = format!("Response payload size exceeded maximum allowed payload size ({limit} bytes).");
    (
        Answer::Error(failure::payload("Function.ResponseSizeTooLarge", &message)),
        refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message),
    )
}

fn not_current() -> Response<Full<Bytes>> {
    refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
}

fn accepted() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"status":"OK"}"#)));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn others() -> Response<Full<Bytes>> {
    refuse(StatusCode::FORBIDDEN, "Forbidden", "This is another environment's Runtime API")
}

fn unknown() -> Response<Full<Bytes>> {
    refuse(StatusCode::NOT_FOUND, "NotFound", "No such resource")
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(failure::payload(kind, message)));
    *response.status_mut() = status;
    response
}
