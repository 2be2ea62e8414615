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
    /// So many stay, however long they are idle: for each who asked for it.
    pinned: BTreeMap<String, usize>,
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

/// One that somebody uses. Dropped, it is kept warm for the next.
pub struct Taken<W: Warm> {
    one: Option<W>,
    lease: Lease<W>,
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

    /// A warm one, or one that `start` makes now: in a task of its own, which goes on when whoever waits is gone. What was started then
    /// is kept for the next, who would have to begin anew otherwise, and may not wait long enough either.
    pub async fn take<E, S, F>(&self, key: &str, memory_mb: usize, place: Place, start: S) -> Result<Taken<W>, E>
    where
        E: Send + 'static,
        S: FnOnce(Permit) -> F + Send + 'static,
        F: Future<Output = Result<W, E>> + Send,
    {
        let (pool, key) = (self.clone(), key.to_owned());
        let (mut sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let (found, mut lease) = tokio::select! {
                found = pool.find(&key, memory_mb, place) => found,
                // Nothing has been started for it.
                () = sender.closed() => return,
            };
            let taken = match found {
                Found::Warm(one) => Ok(*one),
                Found::Cold(permit) => start(permit).await,
            };
            lease.started();
            let _ = sender.send(taken.map(|one| Taken { one: Some(one), lease }));
        });
        receiver.await.expect("the task sends what it has found or started")
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

    /// From now on so many of a key stay for this holder, beside those of other holders; [`Pool::missing`] says how many there are to
    /// be started. Those past the number go as idle ones do.
    pub fn pin(&self, key: &str, holder: &str, count: usize) {
        let mut all = self.0.alike();
        let alike = all.entry(key.to_owned()).or_default();
        if count == 0 {
            alike.pinned.remove(holder);
        } else {
            alike.pinned.insert(holder.to_owned(), count);
        }
        self.time(key, alike);
        if alike.is_empty() {
            all.remove(key);
        }
    }

    /// Gives those that are past the pinned ones, the longest idle first, their time, where they have none yet; the others have none.
    /// Under the lock: it cannot be up before they are there.
    fn time(&self, key: &str, alike: &mut Alike<W>) {
        let past = alike.idle.len().saturating_sub(alike.pinned());
        let (going, staying) = alike.idle.split_at_mut(past);
        for idle in going.iter_mut().filter(|idle| idle.timer.is_none()) {
            idle.timer = Some(self.timer(key, idle.turn));
        }
        staying.iter_mut().filter_map(|idle| idle.timer.take()).for_each(|timer| timer.abort());
    }

    /// Ends an idle one when its time is up, or when somebody waits for its place.
    fn timer(&self, key: &str, turn: u64) -> AbortHandle {
        let (shared, key) = (Arc::downgrade(&self.0), key.to_owned());
        let (budget, idle_time) = (self.0.budget.clone(), self.0.idle_time);
        let timer = tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(idle_time) => {}
                () = budget.contended(Class::User) => {}
            }
            let Some(shared) = shared.upgrade() else { return };
            let mut all = shared.alike();
            if let Some(alike) = all.get_mut(&key) {
                alike.idle.retain(|kept| kept.turn != turn);
                if alike.is_empty() {
                    all.remove(&key);
                }
            }
        });
        timer.abort_handle()
    }

    /// How many of those that are to stay are neither idle nor in use.
    pub fn missing(&self, key: &str) -> usize {
        let mut all = self.0.alike();
        let Some(alike) = all.get_mut(key) else { return 0 };
        alike.idle.retain_mut(|idle| idle.environment.is_alive() && idle.environment.age() < MAX_AGE);
        alike.pinned().saturating_sub(alike.idle.len() + alike.in_use)
    }

    /// How many are idle, and how many are in use or wait to be.
    pub fn census(&self) -> (usize, usize) {
        let all = self.0.alike();
        all.values().fold((0, 0), |(idle, used), alike| (idle + alike.idle.len(), used + alike.in_use))
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
        alike.idle.push(Idle { turn, environment, timer: None });
        self.time(key, alike);
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

impl<W: Warm> Taken<W> {
    pub fn get(&mut self) -> &mut W {
        self.one.as_mut().expect("it is there until it is kept or ended")
    }

    /// It is in order: the next may have it. `took`: how long it was used.
    pub fn keep(mut self, took: Duration) {
        if let Some(one) = self.one.take() {
            self.lease.pool.keep(&self.lease.key, one, Some(took));
        }
    }

    /// It is not to be used again.
    pub fn end(mut self) {
        self.one = None;
    }
}

impl<W: Warm> Drop for Taken<W> {
    fn drop(&mut self) {
        if let Some(one) = self.one.take() {
            self.lease.pool.keep(&self.lease.key, one, None);
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
        Self { idle: Vec::new(), waiting: VecDeque::new(), in_use: 0, starting: 0, took: None, pinned: BTreeMap::new() }
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

    fn pinned(&self) -> usize {
        self.pinned.values().sum()
    }

    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.in_use == 0 && self.pinned.is_empty()
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

    fn pool() -> Pool<Thing> {
        Pool::new(Budget::new(Some(8), Some(900)), Duration::from_millis(5))
    }

    fn idle(pool: &Pool<Thing>) -> usize {
        pool.0.alike().get("k").map_or(0, |alike| alike.idle.len())
    }

    async fn until_idle(pool: &Pool<Thing>, count: usize) {
        while idle(pool) != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_is_pinned_stays() {
        let pool = pool();
        pool.pin("k", "a", 2);
        assert_eq!(pool.missing("k"), 2);
        for _ in 0..3 {
            pool.keep("k", Thing(true), None);
        }
        until_idle(&pool, 2).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!((pool.missing("k"), idle(&pool)), (0, 2), "no more than the third leaves");
        assert_eq!(pool.census(), (2, 0));
        let (found, _place) = pool.find("k", 1, Place::Here).await;
        assert!(matches!(found, Found::Warm(_)), "one of them is used");
        assert_eq!((pool.missing("k"), pool.census()), (0, (1, 1)), "and counts while it is");
        pool.retire("k");
        assert_eq!(pool.missing("k"), 1);
        pool.pin("k", "a", 0);
        assert_eq!(pool.missing("k"), 0);
    }

    #[tokio::test]
    async fn what_starts_goes_on_when_nobody_waits_any_longer() {
        let pool = Pool::new(Budget::new(Some(8), Some(900)), Duration::from_hours(1));
        let (begun, begins) = oneshot::channel();
        let (go, goes) = oneshot::channel::<()>();
        let (from, key) = (pool.clone(), "k");
        let waiting = tokio::spawn(async move {
            let start = move |_| async move {
                begun.send(()).unwrap();
                goes.await.map_err(drop)?;
                Ok::<_, ()>(Thing(true))
            };
            from.take(key, 1, Place::Here, start).await.map(Taken::end)
        });
        begins.await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        until_idle(&pool, 1).await;
        let nothing = |_| async { Err::<Thing, _>("a warm one is there") };
        let mut taken = pool.take("k", 1, Place::Here, nothing).await.map_err(drop).unwrap();
        assert!(taken.get().is_alive());
        taken.keep(Duration::ZERO);
        assert_eq!(idle(&pool), 1);
        pool.take("k", 1, Place::Here, nothing).await.map_err(drop).unwrap().end();
        assert!(pool.0.alike().is_empty());
        let failed = pool.take("k", 1, Place::Here, |_| async { Err::<Thing, _>("why") }).await;
        assert_eq!(failed.err(), Some("why"));
    }

    #[tokio::test]
    async fn what_is_pinned_no_more_leaves() {
        let pool = pool();
        pool.pin("k", "a", 4);
        for _ in 0..4 {
            pool.keep("k", Thing(true), None);
        }
        assert_eq!(pool.missing("k"), 0);
        pool.pin("k", "a", 1);
        until_idle(&pool, 1).await;
        assert_eq!(pool.missing("k"), 0);
        pool.pin("k", "a", 0);
        until_idle(&pool, 0).await;
        assert!(pool.0.alike().is_empty(), "nothing of it is left");
    }

    #[tokio::test]
    async fn holders_of_one_key_do_not_take_from_each_other() {
        let pool = pool();
        pool.pin("k", "a", 2);
        pool.pin("k", "b", 1);
        assert_eq!(pool.missing("k"), 3);
        for _ in 0..3 {
            pool.keep("k", Thing(true), None);
        }
        pool.pin("k", "b", 0);
        until_idle(&pool, 2).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!((pool.missing("k"), idle(&pool)), (0, 2));
    }
}
