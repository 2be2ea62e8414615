//! Admission: how many processes may run at once and how much memory they may have been promised. First come, first served.
//!
//! User code (functions, jobs, models) calls back into the platform and waits there for queries and crawls. So what serves
//! those calls has a share of its own, or user code that holds everything would wait for itself.

use std::sync::{Arc, LazyLock};

use futures::future::select_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::nodes::{Node, Nodes};
use crate::sandbox::machine_memory_mb;

/// Whose share a process comes out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Functions, jobs, model servers: what may wait for others.
    User,
    /// Workers that need nothing but storage, such as queries and crawls.
    Leaf,
}

#[derive(Clone, Debug)]
pub struct Budget {
    here: Shares,
    /// What may run on any node may run here.
    works_here: bool,
    nodes: Nodes,
}

/// What one machine promises.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    user: Share,
    leaf: Share,
    whole: (usize, usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Share {
    processes: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_mb: usize,
    waiting: watch::Sender<usize>,
}

/// How much of what a machine promises is promised, or set aside for who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub processes: usize,
    pub processes_most: usize,
    pub memory_mb: usize,
    pub memory_most_mb: usize,
    /// Who waits for their turn.
    pub waiting: usize,
}

/// The right to run one process; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    node: Option<Arc<Node>>,
    _process: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

impl Permit {
    /// Where it is to run; none: here.
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }
}

/// A place where something may run.
struct Site {
    share: Share,
    free_mb: usize,
    node: Option<Arc<Node>>,
}

impl Budget {
    /// `None` takes what the machine has: 8 processes a core, four fifths of its memory.
    pub fn new(processes: Option<usize>, memory_mb: Option<usize>) -> Self {
        Self::among(processes, memory_mb, true, Nodes::default())
    }

    /// `works_here`: what may run on any node may run here, too.
    pub fn among(processes: Option<usize>, memory_mb: Option<usize>, works_here: bool, nodes: Nodes) -> Self {
        let processes = processes.unwrap_or_else(|| (cores() * 8).max(16)).max(2);
        let memory_mb = memory_mb.unwrap_or_else(|| machine_memory_mb() / 5 * 4).max(512);
        Self { here: Shares::of(processes, memory_mb), works_here, nodes }
    }

    /// Waits for its turn on this machine. What asks for more memory than there is gets all of it, alone.
    pub async fn acquire(&self, class: Class, memory_mb: usize) -> Permit {
        let share = self.here.share(class);
        if let Some(permit) = share.try_acquire(memory_mb, None) {
            return permit;
        }
        let _waiting = Waiting::new(&share.waiting);
        share.acquire(memory_mb, None).await
    }

    /// Waits for its turn on whichever machine has room: of several the one with the most memory that is free.
    pub async fn place(&self, class: Class, memory_mb: usize) -> Permit {
        let mut changes = self.nodes.changes();
        let mut waiting = None;
        loop {
            changes.mark_unchanged();
            let sites = self.sites(class, memory_mb);
            if let Some(permit) = sites.iter().find_map(|site| site.share.try_acquire(memory_mb, site.node.clone())) {
                return permit;
            }
            // Who keeps something idle, wherever that is, lets it go.
            waiting.get_or_insert_with(|| Waiting::new(&self.here.share(class).waiting));
            let first = async {
                if sites.is_empty() {
                    return std::future::pending().await;
                }
                let turns = sites.iter().map(|site| Box::pin(site.share.acquire(memory_mb, site.node.clone())));
                select_all(turns).await.0
            };
            tokio::select! {
                permit = first => return permit,
                Ok(()) = changes.changed() => {}
            }
        }
    }

    /// Those that may run it, the freest first; where none has so much memory at all, those that have the most.
    fn sites(&self, class: Class, memory_mb: usize) -> Vec<Site> {
        let here = self.here.share(class);
        let mut sites: Vec<Site> = (self.works_here)
            .then(|| Site { share: here.clone(), free_mb: here.free_mb(), node: None })
            .into_iter()
            .chain(self.nodes.joined().into_iter().map(|node| {
                let (share, free_mb) = (node.share(class).clone(), node.free_mb(class));
                Site { share, free_mb, node: Some(node) }
            }))
            .collect();
        let most = sites.iter().map(|site| site.share.memory_mb).max().unwrap_or(0);
        sites.retain(|site| site.share.memory_mb >= memory_mb.min(most));
        sites.sort_by_key(|site| std::cmp::Reverse(site.free_mb));
        sites
    }

    /// Returns when somebody waits: whoever keeps an idle process then lets it go.
    pub async fn contended(&self, class: Class) {
        let mut waiting = self.here.share(class).waiting.subscribe();
        // The sender lives as long as `self`.
        let _ = waiting.wait_for(|waiting| *waiting > 0).await;
    }

    /// What of this machine is promised now.
    pub fn load(&self) -> Load {
        let (processes, memory_mb) = self.here.whole;
        let [user, leaf] = [&self.here.user, &self.here.leaf];
        let free = |of: fn(&Share) -> &Arc<Semaphore>| of(user).available_permits() + of(leaf).available_permits();
        Load {
            processes: processes.saturating_sub(free(|share| &share.processes)),
            processes_most: processes,
            memory_mb: memory_mb.saturating_sub(free(|share| &share.memory)),
            memory_most_mb: memory_mb,
            waiting: *user.waiting.borrow() + *leaf.waiting.borrow(),
        }
    }

    /// The nodes that work for this one.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Cores of all machines where work may run.
    pub fn all_cores(&self) -> usize {
        let here = if self.works_here { cores() } else { 0 };
        here + self.nodes.joined().iter().map(|node| node.cores()).sum::<usize>()
    }

    /// Processes and megabytes that this machine promises.
    pub(crate) fn whole(&self) -> (usize, usize) {
        self.here.whole
    }
}

/// Asked once: to know it, files of the control group are read.
pub(crate) fn cores() -> usize {
    static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(2, usize::from));
    *CORES
}

impl Shares {
    pub(crate) fn of(processes: usize, memory_mb: usize) -> Self {
        let (leaf_processes, leaf_memory_mb) = (processes.div_ceil(4), memory_mb / 3);
        Self {
            user: Share::new(processes.saturating_sub(leaf_processes), memory_mb - leaf_memory_mb),
            leaf: Share::new(leaf_processes, leaf_memory_mb),
            whole: (processes, memory_mb),
        }
    }

    pub(crate) fn share(&self, class: Class) -> &Share {
        match class {
            Class::User => &self.user,
            Class::Leaf => &self.leaf,
        }
    }
}

impl Share {
    fn new(processes: usize, memory_mb: usize) -> Self {
        let memory_mb = memory_mb.min(u32::MAX as usize >> 3);
        Self {
            processes: Arc::new(Semaphore::new(processes)),
            memory: Arc::new(Semaphore::new(memory_mb)),
            memory_mb,
            waiting: watch::Sender::new(0),
        }
    }

    pub(crate) fn free_mb(&self) -> usize {
        self.memory.available_permits()
    }

    fn megabytes(&self, memory_mb: usize) -> u32 {
        u32::try_from(memory_mb.clamp(1, self.memory_mb.max(1))).expect("the share fits into 32 bits")
    }

    fn try_acquire(&self, memory_mb: usize, node: Option<Arc<Node>>) -> Option<Permit> {
        let process = Arc::clone(&self.processes).try_acquire_owned().ok()?;
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(self.megabytes(memory_mb)).ok()?;
        Some(Permit { node, _process: process, _memory: memory })
    }

    async fn acquire(&self, memory_mb: usize, node: Option<Arc<Node>>) -> Permit {
        // Always in this order, so two that wait never wait for each other.
        let process = Arc::clone(&self.processes).acquire_owned().await.expect("the budget is never closed");
        let memory = Arc::clone(&self.memory).acquire_many_owned(self.megabytes(memory_mb)).await;
        Permit { node, _process: process, _memory: memory.expect("the budget is never closed") }
    }
}

struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn waits_in_order_and_tells_idle_ones() {
        let budget = Budget::new(Some(8), Some(900));
        let first = budget.acquire(Class::User, 500).await;
        assert!(budget.contended(Class::User).now_or_never().is_none());
        let mut large = Box::pin(budget.acquire(Class::User, 400));
        assert!(large.as_mut().now_or_never().is_none());
        // Who waits has its place, and the 100 MB that were left.
        let load = Load { processes: 2, processes_most: 8, memory_mb: 600, memory_most_mb: 900, waiting: 1 };
        assert_eq!(budget.load(), load);
        budget.contended(Class::User).await;
        // Queries do not wait for functions.
        let _leaf = budget.acquire(Class::Leaf, 300).await;
        drop(first);
        let second = large.await;
        assert!(budget.contended(Class::User).now_or_never().is_none());
        drop(second);
        // More than there is: everything.
        let _all = budget.acquire(Class::User, 100_000).await;
        assert!(budget.acquire(Class::User, 1).now_or_never().is_none());
    }
}
