//! Warm environments, by what they are alike in. One leaves after it was idle for a while, or when somebody waits for its place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use compute::budget::{Budget, Class};
use tokio::task::AbortHandle;

use super::Environment;

/// Older ones are not used again: their first keys expire.
const MAX_AGE: Duration = Duration::from_hours(6);

#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    budget: Budget,
    idle_time: Duration,
    turn: AtomicU64,
    idle: Mutex<BTreeMap<String, Vec<Idle>>>,
}

struct Idle {
    turn: u64,
    environment: Environment,
    /// Ends its stay.
    timer: AbortHandle,
}

impl Pool {
    pub(crate) fn new(budget: Budget, idle_time: Duration) -> Self {
        Self(Arc::new(Shared { budget, idle_time, turn: AtomicU64::new(0), idle: Mutex::default() }))
    }

    /// A warm environment, the one used last.
    pub(crate) fn take(&self, key: &str) -> Option<Environment> {
        loop {
            let Idle { mut environment, timer, .. } = self.0.idle().get_mut(key)?.pop()?;
            timer.abort();
            if environment.is_alive() && environment.age() < MAX_AGE {
                return Some(environment);
            }
        }
    }

    pub(crate) fn keep(&self, key: &str, environment: Environment) {
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let (shared, pool) = (Arc::downgrade(&self.0), key.to_owned());
        let (budget, idle_time) = (self.0.budget.clone(), self.0.idle_time);
        // Under the lock: its time cannot be up before it is there.
        let mut idle = self.0.idle();
        let timer = tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(idle_time) => {}
                () = budget.contended(Class::User) => {}
            }
            let Some(shared) = shared.upgrade() else { return };
            let mut idle = shared.idle();
            if let Some(alike) = idle.get_mut(&pool) {
                alike.retain(|kept| kept.turn != turn);
                if alike.is_empty() {
                    idle.remove(&pool);
                }
            }
        });
        let timer = timer.abort_handle();
        idle.entry(key.to_owned()).or_default().push(Idle { turn, environment, timer });
    }

    /// Ends all idle environments whose key begins so: the function was changed or deleted.
    pub(crate) fn retire(&self, prefix: &str) {
        self.0.idle().retain(|key, _| !key.starts_with(prefix));
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
