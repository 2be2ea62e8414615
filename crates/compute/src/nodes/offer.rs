//! The node's side: it joins the owner, and does what the owner asks for, each unit over a connection of its own. All of it ends with
//! the connection by which the node has joined: another owner may have begun it anew.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::link::{self, Keys, Link, Wire};
use super::{BEAT, Beat, Joining, SILENCE};
use crate::Compute;
use crate::error::Said;
use crate::sandbox::{Used, available_memory_mb};
use crate::spark::{Job, ScriptEnd, Spark, Stream};
use crate::worker::Limits;

/// Does work of one kind. What it does ends when its future is dropped.
#[async_trait]
pub trait Does: Send + Sync {
    async fn work(&self, what: Value, link: Link) -> io::Result<()>;
}

/// What the owner asks of a node.
#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) kind: String,
    pub(crate) what: Value,
}

/// What this node does for the owner. Cheap to clone.
#[derive(Clone)]
pub struct Offer(Arc<Shared>);

struct Shared {
    compute: Compute,
    does: BTreeMap<&'static str, Arc<dyn Does>>,
    member: Mutex<Option<Member>>,
}

/// While the node has joined an owner.
struct Member {
    units: mpsc::UnboundedSender<Wire>,
}

impl Offer {
    /// `more`: kinds of work that this crate does not know.
    pub fn new(compute: Compute, spark: Spark, more: Vec<(&'static str, Arc<dyn Does>)>) -> Self {
        let mut does: BTreeMap<&'static str, Arc<dyn Does>> = more.into_iter().collect();
        does.insert(WORKER, Arc::new(WorkerCalls(compute.clone())));
        does.insert(SCRIPT, Arc::new(Scripts(spark)));
        Self(Arc::new(Shared { compute, does, member: Mutex::default() }))
    }

    /// Joins the owner, whose connection `wire` is, and works for it until that ends. `address`: where it reaches this node.
    ///
    /// # Errors
    /// Why it has ended.
    pub async fn join(&self, wire: Wire, keys: &Keys, address: &str) -> io::Result<()> {
        let budget = &self.0.compute.budget;
        let mut link = link::connect(wire, keys).await?;
        let (processes, memory_mb) = budget.whole();
        let joining = Joining {
            address: address.to_owned(),
            cores: crate::budget::cores(),
            processes,
            memory_mb,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (units, mut asked) = mpsc::unbounded_channel();
        *self.member() = Some(Member { units });
        let _left = Left(self);
        // The owner may ask for something as soon as it knows.
        link.send(&joining).await?;
        // Dropped with this future, and all that runs in it.
        let mut running = JoinSet::new();
        let beats = async {
            loop {
                let beat = async {
                    link.send(&Beat { free_mb: available_memory_mb() }).await?;
                    link.recv::<Beat>().await
                };
                tokio::time::timeout(SILENCE, beat).await.map_err(|_| io::Error::other("the owner is silent"))??;
                tokio::time::sleep(BEAT).await;
            }
        };
        tokio::pin!(beats);
        loop {
            tokio::select! {
                ended = &mut beats => return ended,
                Some(wire) = asked.recv() => {
                    let (shared, keys) = (Arc::clone(&self.0), keys.clone());
                    running.spawn(async move { shared.unit(wire, &keys).await });
                }
                Some(_) = running.join_next() => {}
            }
        }
    }

    /// A connection that another node has opened to this one: of the owner that it has joined, or of nobody.
    pub fn serve(&self, wire: Wire) {
        if let Some(member) = self.member().as_ref() {
            let _ = member.units.send(wire);
        }
    }

    fn member(&self) -> MutexGuard<'_, Option<Member>> {
        self.0.member.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Left<'a>(&'a Offer);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        *self.0.member() = None;
    }
}

impl Shared {
    async fn unit(&self, wire: Wire, keys: &Keys) {
        let begun = async {
            let mut link = link::accept(wire, keys).await?;
            let asked: Asked = link.recv().await?;
            Ok::<_, io::Error>((link, asked))
        };
        let ended = match tokio::time::timeout(SILENCE, begun).await {
            Ok(Ok((link, asked))) => match self.does.get(asked.kind.as_str()) {
                Some(does) => does.work(asked.what, link).await,
                None => Err(io::Error::other(format!("no such work is done here: {}", asked.kind))),
            },
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a unit of work ended with its connection");
        }
    }
}

/// A request to a worker.
pub(crate) const WORKER: &str = "worker";

#[derive(Serialize, Deserialize)]
pub(crate) struct WorkerCall {
    pub(crate) kind: String,
    pub(crate) request: Value,
    pub(crate) limits: Limits,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct WorkerAnswer {
    pub(crate) answer: Result<Value, Said>,
    pub(crate) used: Used,
}

struct WorkerCalls(Compute);

#[async_trait]
impl Does for WorkerCalls {
    async fn work(&self, what: Value, mut link: Link) -> io::Result<()> {
        let WorkerCall { kind, request, limits } = serde_json::from_value(what)?;
        let work = self.0.workers.call_here(&kind, request, limits);
        let (answer, used) = tokio::select! {
            done = work => done,
            gone = link.receiver.recv::<Value>() => return gone.map(drop),
        };
        link.send(&WorkerAnswer { answer: answer.map_err(Said::from), used }).await
    }
}

/// A Glue job's script.
pub(crate) const SCRIPT: &str = "script";

#[derive(Serialize, Deserialize)]
pub(crate) enum Scripted {
    Started,
    Line(Stream, String),
    Ended { end: Result<(ScriptEnd, Vec<Value>), Said>, used: Used },
}

struct Scripts(Spark);

#[async_trait]
impl Does for Scripts {
    async fn work(&self, what: Value, link: Link) -> io::Result<()> {
        const LINES: usize = 1000;
        let job: Job = serde_json::from_value(what)?;
        let Link { mut receiver, mut sender } = link;
        let (say, mut said) = mpsc::channel(LINES);
        let (runs, running) = tokio::sync::oneshot::channel();
        let mut used = Used::default();
        let started = async {
            let _ = runs.send(());
        };
        let work = async {
            let end = self.0.run_here(&job, say, started, &mut used).await;
            (end, used)
        };
        let tell = async {
            if running.await.is_ok() {
                sender.send(&Scripted::Started).await?;
            }
            while let Some((stream, line)) = said.recv().await {
                sender.send(&Scripted::Line(stream, line)).await?;
            }
            Ok::<_, io::Error>(sender)
        };
        let both = async { tokio::join!(work, tell) };
        let ((end, used), told) = tokio::select! {
            both = both => both,
            gone = receiver.recv::<Value>() => return gone.map(drop),
        };
        told?.send(&Scripted::Ended { end: end.map_err(Said::from), used }).await
    }
}
