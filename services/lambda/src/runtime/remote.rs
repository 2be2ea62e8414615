//! An environment on another node: what is asked of it goes over its connection, and its log lines, pieces and answers come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use compute::budget::Permit;
use compute::nodes::Node;
use compute::nodes::link::{Link, Receiver, Sender};
use compute::sandbox::Exit;
use serde::{Deserialize, Serialize};
use service::Cx;
use tokio::sync::{mpsc, oneshot};

use super::environment::Start;
use super::output::Log;
use super::placed::Means;
use super::{Answer, Blueprint, Invocation, InvocationEnd, Keys};
use crate::code::Archive;
use crate::streaming::Piece;

/// The kind of such units of work.
pub(super) const ENVIRONMENT: &str = "lambda:environment";
/// Archives go in pieces of so many bytes.
const PIECE: usize = 1 << 20;

/// What the node is told first.
#[derive(Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) blueprint: Blueprint,
    pub(super) keys: Keys,
    pub(super) token: String,
    pub(super) stream: String,
}

/// What goes to the node.
#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    /// A piece of an archive that it lacks.
    Code {
        bytes: String,
        last: bool,
    },
    NoCode {
        why: String,
    },
    Ready,
    Say {
        line: String,
        begins: bool,
    },
    Tail,
    Invoke {
        request_id: String,
        function_arn: String,
        payload: String,
        client_context: Option<String>,
        trace: Option<String>,
        keys: Option<Keys>,
        streams: bool,
    },
}

/// What comes from the node.
#[derive(Serialize, Deserialize)]
pub(super) enum Said {
    Need { name: String },
    Started,
    Failed { why: String },
    Log { line: String },
    Head { content_type: Option<String> },
    Data { bytes: String },
    Reply(Reply),
}

/// The answer to what was asked, in its order.
#[derive(Serialize, Deserialize)]
pub(super) enum Reply {
    Ready { took: Option<Duration>, end: Option<End> },
    Said,
    Tail { bytes: String },
    Ended { end: End, peak_mb: u64 },
}

/// An [`InvocationEnd`] as nodes tell it.
#[derive(Serialize, Deserialize)]
pub(super) enum End {
    Response(String),
    Streamed,
    Error(String),
    Last(String),
    StartFailed(String),
    Exited(i32),
    OutOfMemory,
    TimedOut,
    NodeLost { sent: bool, told: bool },
}

impl From<InvocationEnd> for End {
    fn from(end: InvocationEnd) -> Self {
        match end {
            InvocationEnd::Answer(Answer::Response(bytes)) => Self::Response(STANDARD.encode(bytes)),
            InvocationEnd::Answer(Answer::Streamed) => Self::Streamed,
            InvocationEnd::Answer(Answer::Error(bytes)) => Self::Error(STANDARD.encode(bytes)),
            InvocationEnd::Answer(Answer::Last(bytes)) => Self::Last(STANDARD.encode(bytes)),
            InvocationEnd::StartFailed(bytes) => Self::StartFailed(STANDARD.encode(bytes)),
            InvocationEnd::Exited(exit) => Self::Exited(exit.raw()),
            InvocationEnd::OutOfMemory => Self::OutOfMemory,
            InvocationEnd::TimedOut => Self::TimedOut,
            InvocationEnd::NodeLost { sent, told } => Self::NodeLost { sent, told },
        }
    }
}

impl From<End> for InvocationEnd {
    fn from(end: End) -> Self {
        // Of a node that proved itself: what cannot be read is the end of it.
        let decoded = |text: String| STANDARD.decode(text).map(Bytes::from);
        let answer = |text, of: fn(Bytes) -> Answer| {
            decoded(text).map_or(Self::NodeLost { sent: true, told: false }, |bytes| Self::Answer(of(bytes)))
        };
        match end {
            End::Response(text) => answer(text, Answer::Response),
            End::Streamed => Self::Answer(Answer::Streamed),
            End::Error(text) => answer(text, Answer::Error),
            End::Last(text) => answer(text, Answer::Last),
            End::StartFailed(text) => {
                decoded(text).map_or(Self::NodeLost { sent: true, told: false }, Self::StartFailed)
            }
            End::Exited(raw) => Self::Exited(Exit::from_raw(raw)),
            End::OutOfMemory => Self::OutOfMemory,
            End::TimedOut => Self::TimedOut,
            End::NodeLost { sent, told } => Self::NodeLost { sent, told },
        }
    }
}

pub(crate) struct Remote {
    asks: mpsc::Sender<Asked>,
    access_key: String,
    memory_mb: u64,
    started: Instant,
    start_took: Option<Duration>,
    peak_mb: AtomicU64,
    alive: Arc<AtomicBool>,
    _permit: Permit,
}

/// Something asked, and who waits for the answer.
struct Asked {
    ask: Ask,
    sink: Option<mpsc::Sender<Piece>>,
    reply: oneshot::Sender<Reply>,
}

impl Remote {
    pub(super) async fn start(
        blueprint: &Blueprint,
        start: Start<'_>,
        permit: Permit,
        means: Means<'_>,
        cx: &Cx,
    ) -> Result<Self, compute::Error> {
        let node = Arc::clone(permit.node().expect("the permit is another node's"));
        let lost = || compute::Error::NodeLost { node: node.address().to_owned() };
        let nodes = means.budget.nodes();
        let mut blueprint = blueprint.clone();
        blueprint.endpoint = nodes.endpoint(&node);
        let memory_mb = blueprint.memory_mb;
        let opening =
            Opening { blueprint, keys: start.keys.clone(), token: start.token, stream: start.stream.to_owned() };
        let opening = serde_json::to_value(&opening).map_err(|_| lost())?;
        let started = Instant::now();
        let mut link = nodes.open(&node, ENVIRONMENT, opening).await?;
        loop {
            let said = tokio::select! {
                said = link.recv() => said.map_err(|_| lost())?,
                () = node.gone() => return Err(lost()),
            };
            match said {
                Said::Need { name } => send_code(&mut link, means.archive, &name).await.map_err(|_| lost())?,
                Said::Started => break,
                Said::Failed { why } => return Err(compute::Error::Environment(why)),
                _ => return Err(lost()),
            }
        }
        let (asks, asked) = mpsc::channel(4);
        let alive = Arc::new(AtomicBool::new(true));
        let Link { receiver, sender } = link;
        let (cx, key) = (cx.clone(), start.keys.access_key.clone());
        let driver = Driver { node, receiver, log: start.log, pending: None, told: false };
        let living = Arc::clone(&alive);
        tokio::spawn(async move {
            if driver.run(sender, asked, living).await == Over::Lost
                && let Err(error) = cx.router().identity().revoke(&key).await
            {
                tracing::warn!(%error, "keys of an environment that is gone could not be revoked; they expire");
            }
        });
        Ok(Self {
            asks,
            access_key: start.keys.access_key.clone(),
            memory_mb,
            started,
            start_took: None,
            peak_mb: AtomicU64::new(0),
            alive,
            _permit: permit,
        })
    }

    /// None: the node is gone.
    async fn ask(&self, ask: Ask, sink: Option<mpsc::Sender<Piece>>) -> Option<Reply> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Asked { ask, sink, reply }).await.ok()?;
        answer.await.ok()
    }

    pub(super) async fn ready(&mut self) -> Result<(), InvocationEnd> {
        match self.ask(Ask::Ready, None).await {
            Some(Reply::Ready { took, end }) => {
                self.start_took = took;
                end.map_or(Ok(()), |end| Err(end.into()))
            }
            _ => Err(InvocationEnd::NodeLost { sent: false, told: false }),
        }
    }

    pub(super) async fn invoke(&mut self, invocation: Invocation<'_>) -> InvocationEnd {
        let ask = Ask::Invoke {
            request_id: invocation.request_id.to_owned(),
            function_arn: invocation.function_arn.to_owned(),
            payload: STANDARD.encode(&invocation.payload),
            client_context: invocation.client_context,
            trace: invocation.trace,
            keys: invocation.keys,
            streams: invocation.sink.is_some(),
        };
        match self.ask(ask, invocation.sink).await {
            Some(Reply::Ended { end, peak_mb }) => {
                self.peak_mb.store(peak_mb, Ordering::Relaxed);
                end.into()
            }
            // Nobody took it to the node.
            None => InvocationEnd::NodeLost { sent: false, told: false },
            Some(_) => InvocationEnd::NodeLost { sent: true, told: false },
        }
    }

    pub(super) async fn say(&self, line: String, begins: bool) {
        let _ = self.ask(Ask::Say { line, begins }, None).await;
    }

    pub(super) async fn tail(&self) -> Vec<u8> {
        match self.ask(Ask::Tail, None).await {
            Some(Reply::Tail { bytes }) => STANDARD.decode(bytes).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    pub(super) fn peak_memory_mb(&self) -> u64 {
        self.peak_mb.load(Ordering::Relaxed).min(self.memory_mb)
    }

    pub(super) fn start_took(&mut self) -> Option<Duration> {
        self.start_took.take()
    }

    pub(super) fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Gives the node an archive.
async fn send_code(link: &mut Link, archive: &Archive, name: &str) -> std::io::Result<()> {
    let code = match archive.fetch(name).await {
        Ok(()) => tokio::fs::read(archive.file(name)).await,
        Err(error) => Err(error),
    };
    let code = match code {
        Ok(code) => code,
        Err(error) => return link.send(&Ask::NoCode { why: error.to_string() }).await,
    };
    for piece in code.chunks(PIECE) {
        link.send(&Ask::Code { bytes: STANDARD.encode(piece), last: false }).await?;
    }
    link.send(&Ask::Code { bytes: String::new(), last: true }).await
}

/// Why a connection is no longer needed.
#[derive(PartialEq, Eq)]
enum Over {
    GivenUp,
    Lost,
}

/// Owns the connection, which ends with it: the node then ends the environment.
struct Driver {
    node: Arc<Node>,
    receiver: Receiver,
    log: Log,
    /// What is asked now: one thing at a time.
    pending: Option<Asked>,
    /// The caller has been sent something of the answer.
    told: bool,
}

impl Driver {
    async fn run(mut self, mut sender: Sender, mut asked: mpsc::Receiver<Asked>, alive: Arc<AtomicBool>) -> Over {
        let over = loop {
            tokio::select! {
                next = asked.recv(), if self.pending.is_none() => {
                    let Some(next) = next else { break Over::GivenUp };
                    self.told = false;
                    let sent = sender.send(&next.ask).await;
                    self.pending = Some(next);
                    if sent.is_err() {
                        break Over::Lost;
                    }
                }
                // Nobody wants it any more.
                () = given_up(self.pending.as_mut()) => break Over::GivenUp,
                said = self.receiver.recv() => match said {
                    Ok(said) => self.hear(said).await,
                    Err(_) => break Over::Lost,
                },
                () = self.node.gone() => break Over::Lost,
            }
        };
        alive.store(false, Ordering::Relaxed);
        if let Some(Asked { ask: Ask::Invoke { .. }, reply, .. }) = self.pending.take() {
            let _ = reply.send(Reply::Ended { end: End::NodeLost { sent: true, told: self.told }, peak_mb: 0 });
        }
        over
    }

    async fn hear(&mut self, said: Said) {
        match said {
            Said::Log { line } => self.log.write(line).await,
            Said::Head { content_type } => self.piece(Piece::Head { content_type }).await,
            Said::Data { bytes } => {
                let bytes = STANDARD.decode(bytes).unwrap_or_default();
                self.piece(Piece::Data(bytes.into())).await;
            }
            Said::Reply(reply) => {
                if let Some(asked) = self.pending.take() {
                    let _ = asked.reply.send(reply);
                }
            }
            Said::Need { .. } | Said::Started | Said::Failed { .. } => {}
        }
    }

    async fn piece(&mut self, piece: Piece) {
        self.told = true;
        if let Some(sink) = self.pending.as_ref().and_then(|asked| asked.sink.as_ref()) {
            // Whoever has hung up does not hear it.
            let _ = sink.send(piece).await;
        }
    }
}

/// Returns when nobody waits for the answer any more.
async fn given_up(pending: Option<&mut Asked>) {
    match pending {
        Some(asked) => asked.reply.closed().await,
        None => std::future::pending().await,
    }
}
