//! Other machines that run work for this one. A node joins the owner by a connection that it keeps up; for each unit of work the
//! owner opens one of its own to the node. Whichever end goes away, what ran over it is over: the node kills it, the owner has it run
//! elsewhere.
//!
//! | module | what it holds |
//! |---|---|
//! | [`link`] | the connection: who is at its other end, frames of JSON |
//! | [`offer`] | the node's side: joining, and doing what it is asked for |

pub mod link;
pub mod offer;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::Error;
use crate::budget::{Class, Share, Shares};
use link::{Keys, Link, Wire};

/// Between two signs of life, either way.
const BEAT: Duration = Duration::from_secs(1);
/// Who gives none for so long counts as gone.
const SILENCE: Duration = Duration::from_secs(10);
/// After a connection that could not be made.
const PAUSE: Duration = Duration::from_millis(200);
/// Connections that cannot be made, for one call of work, before it fails.
pub(crate) const OPENINGS: usize = 3;

/// How another node is reached.
#[async_trait]
pub trait Dial: Send + Sync + fmt::Debug {
    /// A connection to `HOST:PORT`, which the other end knows to be one between nodes.
    async fn dial(&self, address: &str) -> std::io::Result<Wire>;
}

/// What makes this process the one that others work for.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Where work on other nodes reaches the platform; none: each at its own node, which passes it on.
    pub endpoint: Option<String>,
    pub keys: Keys,
    pub dial: Arc<dyn Dial>,
}

/// What a node says of itself when it joins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Joining {
    address: String,
    cores: usize,
    processes: usize,
    memory_mb: usize,
    version: String,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Beat {
    /// What the node's machine has left.
    free_mb: usize,
}

/// The nodes that work for this one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Nodes(Arc<Registry>);

#[derive(Debug, Default)]
struct Registry {
    owner: Option<Owner>,
    joined: Mutex<Vec<Arc<Node>>>,
    changed: watch::Sender<u64>,
}

/// One that has joined.
#[derive(Debug)]
pub struct Node {
    address: String,
    cores: usize,
    shares: Shares,
    free_mb: watch::Sender<usize>,
    lost: watch::Sender<bool>,
}

impl Nodes {
    pub fn of(owner: Owner) -> Self {
        Self(Arc::new(Registry { owner: Some(owner), ..Registry::default() }))
    }

    /// Where work on a node reaches the platform.
    pub fn endpoint(&self, node: &Node) -> String {
        let own = self.0.owner.as_ref().and_then(|owner| owner.endpoint.clone());
        own.unwrap_or_else(|| format!("http://{}", node.address))
    }

    pub(crate) fn joined(&self) -> Vec<Arc<Node>> {
        self.list().clone()
    }

    /// Address and free memory of those that have joined.
    pub fn list_free(&self) -> Vec<(String, usize)> {
        self.list().iter().map(|node| (node.address.clone(), node.free_mb(Class::User))).collect()
    }

    /// Tells of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Node>>> {
        self.0.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that a node has opened: the node works for this one until it ends.
    pub async fn serve(&self, wire: Wire) {
        let Some(owner) = &self.0.owner else { return };
        let joined = async {
            let mut link = link::accept(wire, &owner.keys).await?;
            let joining: Joining = link.recv().await?;
            Ok::<_, std::io::Error>((link, joining))
        };
        let (mut link, joining) = match tokio::time::timeout(SILENCE, joined).await {
            Ok(Ok(joined)) => joined,
            Ok(Err(error)) => return tracing::warn!(%error, "a connection between nodes did not begin as it should"),
            Err(_) => return tracing::warn!("a connection between nodes did not begin in time"),
        };
        if joining.version != env!("CARGO_PKG_VERSION") {
            let (node, version) = (&joining.address, &joining.version);
            return tracing::warn!(node, version, "a node of another version asks for work: it gets none");
        }
        let node = Arc::new(Node {
            shares: Shares::of(joining.processes, joining.memory_mb),
            address: joining.address,
            cores: joining.cores,
            free_mb: watch::Sender::new(joining.memory_mb),
            lost: watch::Sender::new(false),
        });
        tracing::info!(node = node.address, memory_mb = joining.memory_mb, "a node works for this one now");
        self.list().push(Arc::clone(&node));
        self.0.changed.send_modify(|turn| *turn += 1);
        let why = node.watch(&mut link).await;
        node.lost.send_replace(true);
        self.list().retain(|other| !Arc::ptr_eq(other, &node));
        self.0.changed.send_modify(|turn| *turn += 1);
        tracing::info!(node = node.address, %why, "a node is gone; what it did is done elsewhere");
    }
}

impl Node {
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn cores(&self) -> usize {
        self.cores
    }

    pub(crate) fn share(&self, class: Class) -> &Share {
        self.shares.share(class)
    }

    /// Of what it promised and of what its machine has, the less.
    pub(crate) fn free_mb(&self, class: Class) -> usize {
        self.share(class).free_mb().min(*self.free_mb.borrow())
    }

    /// Returns, why, when it has gone.
    async fn watch(&self, link: &mut Link) -> std::io::Error {
        loop {
            let turn = async {
                let beat: Beat = link.recv().await?;
                self.free_mb.send_replace(beat.free_mb);
                link.send(&beat).await
            };
            match tokio::time::timeout(SILENCE, turn).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(_) => return std::io::Error::other("it is silent"),
            }
        }
    }

    /// Returns when it has gone.
    pub async fn gone(&self) {
        let mut lost = self.lost.subscribe();
        // The sender lives as long as `self`.
        let _ = lost.wait_for(|lost| *lost).await;
    }
}

impl Nodes {
    /// A connection for one unit of work, of which `what` says more to those at the node that do such work. One that cannot be made
    /// says nothing of the node's other work, the fault may be this end's: whether the node is gone its beats tell. Until the next
    /// one the others come first.
    ///
    /// # Errors
    /// [`Error::NodeLost`]: nothing has been begun.
    pub async fn open(&self, node: &Arc<Node>, kind: &str, what: Value) -> Result<Link, Error> {
        let owner = self.0.owner.as_ref().ok_or_else(|| Error::lost(node))?;
        let opening = async {
            let mut link = link::connect(owner.dial.dial(&node.address).await?, &owner.keys).await?;
            link.send(&offer::Asked { kind: kind.to_owned(), what }).await?;
            Ok::<_, std::io::Error>(link)
        };
        let opened = tokio::select! {
            opened = tokio::time::timeout(SILENCE, opening) => opened,
            () = node.gone() => return Err(Error::lost(node)),
        };
        let why = match opened {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        tracing::warn!(node = node.address, why, "a node could not be reached for a unit of work");
        node.free_mb.send_replace(0);
        let _ = tokio::time::timeout(PAUSE, node.gone()).await;
        Err(Error::lost(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has no file descriptors left.
    #[derive(Debug)]
    struct Exhausted;

    #[async_trait]
    impl Dial for Exhausted {
        async fn dial(&self, _: &str) -> std::io::Result<Wire> {
            Err(std::io::Error::other("Too many open files"))
        }
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_made_leaves_the_nodes_other_work() {
        let keys = Keys { secret: b"secret".to_vec(), fence: 1 };
        let nodes = Nodes::of(Owner { endpoint: None, keys, dial: Arc::new(Exhausted) });
        let node = Arc::new(Node {
            address: "node:4566".to_owned(),
            cores: 2,
            shares: Shares::of(16, 4096),
            free_mb: watch::Sender::new(4096),
            lost: watch::Sender::new(false),
        });
        let opened = nodes.open(&node, "work", Value::Null).await;
        assert!(matches!(opened, Err(Error::NodeLost { .. })));
        assert!(!*node.lost.borrow(), "its beats tell whether it is gone");
        assert_eq!(node.free_mb(Class::User), 0, "others come first until its next beat");
    }
}
