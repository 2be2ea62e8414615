//! The last answers to tasks, for those that ask again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::invoke::Finished;

const MAX_ANSWERS: usize = 1024;
const MAX_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(crate) struct Answers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_task: BTreeMap<String, Finished>,
    /// Tasks, oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl Answers {
    pub(crate) fn of(&self, task: &str) -> Option<Finished> {
        self.lock().by_task.get(task).cloned()
    }

    pub(crate) fn keep(&self, task: String, finished: &Finished) {
        let mut kept = self.lock();
        kept.bytes += finished.payload.len();
        kept.by_task.insert(task.clone(), finished.clone());
        kept.order.push_back(task);
        while kept.order.len() > MAX_ANSWERS || kept.bytes > MAX_BYTES {
            let Some(oldest) = kept.order.pop_front() else { break };
            let bytes = kept.by_task.remove(&oldest).map_or(0, |old| old.payload.len());
            kept.bytes -= bytes.min(kept.bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
