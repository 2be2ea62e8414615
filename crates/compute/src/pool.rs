//! Warm processes, functions' environments and models' servers, by what they are alike in. One leaves after it was idle for a while, or when somebody waits for its place.
//!
//! Who finds none waits for one that is in use where that is likely sooner than a start: a burst of short invocations is run by as
//! many environments as the machine can keep busy, and does not start one for each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::budget::{Budget, Class, Permit};

/// What is kept warm: a function's environment, a model's server.
pub trait Warm: Send + 'static {
    fn is_alive(&mut self) -> bool;
    fn age(&self) -> Duration;
}

/// Older ones are not used again: their first keys expire.
const MAX_AGE: Duration = Duration::from_hours(6);
/// What a start takes on a busy machine, about: whoever would wait for longer starts another environment.
const START: Duration = Duration::from_millis(250);
/// How often who waits thinks again.
const PATIENCE: Duration = Duration::from_millis(100);

pub struct Pool<W: Warm>(Arc<Shared<W>>);

impl<W: Warm> Clone for Pool<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<W> {
    budget: Budget,
    idle_time: Duration,
    turn: AtomicU64,
    alike: Mutex<BTreeMap<String, Alike<W>>>,
}

/// The environments of one key.
struct Alike<W> {
    idle: Vec<Idle<W>>,
    waiting: VecDeque<oneshot::Sender<W>>,
    in_use: usize,
    starting: usize,
    /// How long an invocation takes, lately.
    took: Option<Duration>,
    /// So many stay, however long they are idle.
    pinned: usize,
}

struct Idle<W> {
    turn: u64,
    environment: W,
    /// Ends its stay; none for one that is to stay.
    timer: Option<AbortHandle>,
}

/// The right to use an environment of a key.
pub struct Lease<W: Warm> {
    pool: Pool<W>,
    key: String,
    is_starting: bool,
}

/// Where one may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    /// On any node that has room.
    Anywhere,
}

pub enum Found<W> {
    Warm(Box<W>),
    /// None: start one with this.
    Cold(Permit),
}

impl<W: Warm> Pool<W> {
    pub fn new(budget: Budget, idle_time: Duration) -> Self {
        Self(Arc::new(Shared { budget, idle_time, turn: AtomicU64::new(0), alike: Mutex::default() }))
    }

    /// A warm environment, the one used last or the next that becomes free; or the right to start one.
    pub async fn find(&self, key: &str, memory_mb: usize, place: Place) -> (Found<W>, Lease<W>) {
        let mut lease = Lease { pool: self.clone(), key: key.to_owned(), is_starting: false };
        let mut next = {
            let mut all = self.0.alike();
            let alike = all.entry(key.to_owned()).or_default();
            alike.in_use += 1;
            if let Some(environment) = alike.idle_one() {
                return (Found::Warm(Box::new(environment)), lease);
            }
            let (sender, next) = oneshot::channel();
            alike.waiting.push_back(sender);
            next
        };
        loop {
            lease.is_starting |= self.may_start(key);
            if !lease.is_starting {
                tokio::select! {
                    biased;
                    Ok(environment) = &mut next => return (Found::Warm(Box::new(environment)), lease),
                    () = tokio::time::sleep(PATIENCE) => continue,
                }
            }
            let permit = tokio::select! {
                biased;
                Ok(environment) = &mut next => {
                    lease.started();
                    return (Found::Warm(Box::new(environment)), lease);
                }
                permit = self.permit(memory_mb, place) => permit,
            };
            next.close();
            return match next.try_recv() {
                Ok(environment) => {
                    lease.started();
                    (Found::Warm(Box::new(environment)), lease)
                }
                Err(_) => (Found::Cold(permit), lease),
            };
        }
    }

    /// Whether one more environment is worth its start; if so, it counts as starting.
    fn may_start(&self, key: &str) -> bool {
        let at_once = self.0.budget.all_cores().max(1);
        let mut all = self.0.alike();
        let Some(alike) = all.get_mut(key) else { return false };
        let waiting = alike.waiting.iter().filter(|waiting| !waiting.is_closed()).count();
        let running = alike.in_use.saturating_sub(waiting);
        let is_worth_it = match alike.took {
            _ if running + alike.starting < at_once => true,
            Some(took) => {
                let (waiting, running) = (u32::try_from(waiting), u32::try_from(running.max(1)));
                took * waiting.unwrap_or(u32::MAX) / running.unwrap_or(u32::MAX) > START
            }
            None => true,
        };
        let starts = is_worth_it && alike.starting < at_once;
        if starts {
            alike.starting += 1;
        }
        starts
    }

    /// From now on so many of a key stay; [`Pool::missing`] says how many there are to be started.
    pub fn pin(&self, key: &str, count: usize) {
        let mut all = self.0.alike();
        let alike = all.entry(key.to_owned()).or_default();
        alike.pinned = count;
        if alike.is_empty() {
            all.remove(key);
        }
    }

    /// How many of those that are to stay are neither idle nor in use.
    pub fn missing(&self, key: &str) -> usize {
        let mut all = self.0.alike();
        let Some(alike) = all.get_mut(key) else { return 0 };
        alike.idle.retain_mut(|idle| idle.environment.is_alive() && idle.environment.age() < MAX_AGE);
        alike.pinned.saturating_sub(alike.idle.len() + alike.in_use)
    }

    /// The right to run one more process, in its turn.
    pub async fn permit(&self, memory_mb: usize, place: Place) -> Permit {
        match place {
            Place::Here => self.0.budget.acquire(Class::User, memory_mb).await,
            Place::Anywhere => self.0.budget.place(Class::User, memory_mb).await,
        }
    }

    /// Gives an environment to who waits for it longest, or keeps it warm. `took`: how long its invocation was, if it had one.
    pub fn keep(&self, key: &str, environment: W, took: Option<Duration>) {
        if environment.age() >= MAX_AGE {
            return;
        }
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let (budget, idle_time) = (self.0.budget.clone(), self.0.idle_time);
        // Under the lock: its time cannot be up before it is there.
        let mut all = self.0.alike();
        let alike = all.entry(key.to_owned()).or_default();
        if let Some(took) = took {
            alike.took = Some(alike.took.map_or(took, |before| (before * 3 + took) / 4));
        }
        let mut environment = environment;
        while let Some(waiting) = alike.waiting.pop_front() {
            match waiting.send(environment) {
                Ok(()) => return,
                Err(back) => environment = back,
            }
        }
        if alike.idle.len() < alike.pinned {
            alike.idle.push(Idle { turn, environment, timer: None });
            return;
        }
        let (shared, pool) = (Arc::downgrade(&self.0), key.to_owned());
        let timer = tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(idle_time) => {}
                () = budget.contended(Class::User) => {}
            }
            let Some(shared) = shared.upgrade() else { return };
            let mut all = shared.alike();
            if let Some(alike) = all.get_mut(&pool) {
                alike.idle.retain(|kept| kept.turn != turn);
                if alike.is_empty() {
                    all.remove(&pool);
                }
            }
        });
        let timer = Some(timer.abort_handle());
        alike.idle.push(Idle { turn, environment, timer });
    }

    /// Ends all idle environments whose key begins so: the function was changed or deleted.
    pub fn retire(&self, prefix: &str) {
        let mut all = self.0.alike();
        for (_, alike) in all.iter_mut().filter(|(key, _)| key.starts_with(prefix)) {
            alike.idle.clear();
        }
        all.retain(|_, alike| !alike.is_empty());
    }
}

impl<W: Warm> Lease<W> {
    /// The environment runs: another one may start.
    pub fn started(&mut self) {
        if std::mem::take(&mut self.is_starting)
            && let Some(alike) = self.pool.0.alike().get_mut(&self.key)
        {
            alike.starting -= 1;
        }
    }
}

impl<W: Warm> Drop for Lease<W> {
    fn drop(&mut self) {
        self.started();
        let mut all = self.pool.0.alike();
        if let Some(alike) = all.get_mut(&self.key) {
            alike.in_use -= 1;
            if alike.is_empty() {
                all.remove(&self.key);
            }
        }
    }
}

impl<W> Default for Alike<W> {
    fn default() -> Self {
        Self { idle: Vec::new(), waiting: VecDeque::new(), in_use: 0, starting: 0, took: None, pinned: 0 }
    }
}

impl<W: Warm> Alike<W> {
    fn idle_one(&mut self) -> Option<W> {
        loop {
            let Idle { mut environment, timer, .. } = self.idle.pop()?;
            if let Some(timer) = timer {
                timer.abort();
            }
            if environment.is_alive() && environment.age() < MAX_AGE {
                return Some(environment);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.in_use == 0 && self.pinned == 0
    }
}

impl<W> Shared<W> {
    fn alike(&self) -> MutexGuard<'_, BTreeMap<String, Alike<W>>> {
        self.alike.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(bool);

    impl Warm for Thing {
        fn is_alive(&mut self) -> bool {
            self.0
        }
        fn age(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[tokio::test]
    async fn what_is_pinned_stays() {
        let pool = Pool::new(Budget::new(Some(8), Some(900)), Duration::from_millis(5));
        pool.pin("k", 2);
        assert_eq!(pool.missing("k"), 2);
        for _ in 0..3 {
            pool.keep("k", Thing(true), None);
        }
        let idle = || pool.0.alike().get("k").map(|alike| alike.idle.len());
        while idle() != Some(2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!((pool.missing("k"), idle()), (0, Some(2)), "no more than the third leaves");
        let (found, _place) = pool.find("k", 1, Place::Here).await;
        assert!(matches!(found, Found::Warm(_)), "one of them is used");
        assert_eq!(pool.missing("k"), 0, "and counts while it is");
        pool.retire("k");
        assert_eq!(pool.missing("k"), 1);
        pool.pin("k", 0);
        assert_eq!(pool.missing("k"), 0);
    }
}
