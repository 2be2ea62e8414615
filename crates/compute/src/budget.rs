//! Admission: how many processes may run at once and how much memory they may have been promised. First come, first served.
//!
//! User code (functions, jobs, models) calls back into the platform and waits there for queries and crawls. So what serves
//! those calls has a share of its own, or user code that holds everything would wait for itself.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

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
    user: Share,
    leaf: Share,
}

#[derive(Clone, Debug)]
struct Share {
    processes: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_mb: usize,
    waiting: watch::Sender<usize>,
}

/// The right to run one process; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _process: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

impl Budget {
    /// `None` takes what the machine has: 8 processes a core, four fifths of its memory.
    pub fn new(processes: Option<usize>, memory_mb: Option<usize>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let processes = processes.unwrap_or_else(|| (cores * 8).max(16)).max(2);
        let memory_mb = memory_mb.unwrap_or_else(|| machine_memory_mb() / 5 * 4).max(512);
        let (leaf_processes, leaf_memory_mb) = (processes.div_ceil(4), memory_mb / 3);
        Self {
            user: Share::new(processes - leaf_processes, memory_mb - leaf_memory_mb),
            leaf: Share::new(leaf_processes, leaf_memory_mb),
        }
    }

    /// Waits for its turn. What asks for more memory than there is gets all of it, alone.
    pub async fn acquire(&self, class: Class, memory_mb: usize) -> Permit {
        self.share(class).acquire(memory_mb).await
    }

    /// Returns when somebody waits: whoever keeps an idle process then lets it go.
    pub async fn contended(&self, class: Class) {
        let mut waiting = self.share(class).waiting.subscribe();
        // The sender lives as long as `self`.
        let _ = waiting.wait_for(|waiting| *waiting > 0).await;
    }

    fn share(&self, class: Class) -> &Share {
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

    async fn acquire(&self, memory_mb: usize) -> Permit {
        let megabytes = u32::try_from(memory_mb.clamp(1, self.memory_mb)).expect("the share fits into 32 bits");
        if let (Ok(process), Ok(memory)) = (
            Arc::clone(&self.processes).try_acquire_owned(),
            Arc::clone(&self.memory).try_acquire_many_owned(megabytes),
        ) {
            return Permit { _process: process, _memory: memory };
        }
        let _waiting = Waiting::new(&self.waiting);
        // Always in this order, so two that wait never wait for each other.
        let process = Arc::clone(&self.processes).acquire_owned().await.expect("the budget is never closed");
        let memory = Arc::clone(&self.memory).acquire_many_owned(megabytes).await.expect("the budget is never closed");
        Permit { _process: process, _memory: memory }
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
