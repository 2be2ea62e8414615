//! The stores that executions are in. All that is kept of one is in one of them, which its ARN says ([`asl::shard_key`]); so are the runs of
//! its Distributed Maps and their children, which are written together with it. No transaction spans two: what an execution has to tell one
//! that is elsewhere goes by a task ([`crate::waits`]).
//!
//! Where there is one store, which has everything else of the service too, there is nothing to be told by tasks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use store::{Queue, Store};

use crate::ExecutionArn;

/// All of them, in their order: which one an execution is in depends on how many there are.
pub(crate) struct Shards(Vec<Shard>);

pub(crate) struct Shard {
    pub(crate) store: Store,
    pub(crate) site: Arc<Site>,
}

/// What a transaction knows of the store that it is in.
#[derive(Debug, Default)]
pub(crate) struct Site {
    number: usize,
    count: usize,
    /// Activities, and the replies that tasks had from other services, are in this store too.
    pub(crate) has_all: bool,
    /// Executions that others wait for, so that the end of any other costs no look into the store. `None` until first needed.
    pub(crate) awaited: Mutex<Option<BTreeSet<String>>>,
}

impl Site {
    /// Is the execution in this store?
    pub(crate) fn has(&self, arn: &ExecutionArn) -> bool {
        number_of(arn.as_str(), self.count) == self.number
    }
}

impl Shards {
    /// Those of these queues; of none of its own an engine has its executions where everything else is.
    pub(crate) fn new(own: &[Queue], control: &Queue) -> Self {
        let (queues, has_all) = if own.is_empty() { (std::slice::from_ref(control), true) } else { (own, false) };
        let count = queues.len();
        let shard = |(number, queue): (usize, &Queue)| {
            let site = Site { number, count, has_all, awaited: Mutex::default() };
            Shard { store: queue.store().clone(), site: Arc::new(site) }
        };
        Self(queues.iter().enumerate().map(shard).collect())
    }

    /// That of an execution or of a run, by its ARN.
    pub(crate) fn of(&self, arn: &str) -> &Shard {
        &self.0[number_of(arn, self.0.len())]
    }

    pub(crate) fn number_of(&self, arn: &ExecutionArn) -> usize {
        number_of(arn.as_str(), self.0.len())
    }

    pub(crate) fn all(&self) -> &[Shard] {
        &self.0
    }
}

fn number_of(arn: &str, count: usize) -> usize {
    if count == 1 { 0 } else { usize::from(asl::shard_key(arn)) % count }
}
