//! A store's backend that fails: commits come late, fail before or after they took place (the caller cannot tell which), and a
//! crash at any of them loses all that was not committed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::kv::{Backend, Job, RawTx};
use store::{Clock, Error, Pair, Queue, Store};
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::clock::SimClock;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// A guarantee that is broken on purpose, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// What was told to be committed is not.
    Lost,
    /// Of what was committed together some is not.
    Halved,
}

/// How often what goes wrong, in thousandths, and how long a commit takes at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub fails_before: u64,
    pub fails_after: u64,
    pub fails_to_read: u64,
    pub slow_us: u64,
    pub planted: Option<Planted>,
    /// The one commit that fails, by its number in this life.
    pub at: Option<Fails>,
}

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    Before(u64),
    /// It took place, and nobody is told.
    After(u64),
}

/// How often a guarantee is broken that is to be, in thousandths of the commits.
const PLANTED: u64 = 50;

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Never,
    BeforeCommit(u64),
    AfterCommit(u64),
    AtRead(u64),
}

/// The disk: it outlives the processes that use it.
#[derive(Clone)]
pub struct Disk(Arc<Inner>);

struct Inner {
    clock: SimClock,
    state: Mutex<State>,
    /// The process that uses the disk is to die.
    crashed: Notify,
}

struct State {
    records: Records,
    pending: Vec<Box<dyn Job>>,
    /// Of a process that is dying: neither done nor refused.
    lost: Vec<Box<dyn Job>>,
    dead: bool,
    faults: Faults,
    crash: Crash,
    commits: u64,
    reads: u64,
    chance: Chance,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    pub fn new(clock: SimClock, chance: Chance) -> Self {
        let state = State {
            records: Records::new(),
            pending: Vec::new(),
            lost: Vec::new(),
            dead: false,
            faults: Faults::default(),
            crash: Crash::Never,
            commits: 0,
            reads: 0,
            chance,
        };
        Self(Arc::new(Inner { clock, state: Mutex::new(state), crashed: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process uses the disk: what the one before had not committed is gone.
    pub fn reopen(&self, faults: Faults, crash: Crash) {
        let mut state = self.state();
        state.faults = faults;
        state.crash = crash;
        (state.dead, state.commits, state.reads) = (false, 0, 0);
        let gone = (std::mem::take(&mut state.lost), std::mem::take(&mut state.pending));
        drop(state);
        drop(gone);
    }

    /// Nothing fails from now on.
    pub fn heal(&self) {
        self.state().faults = Faults::default();
    }

    /// The process dies now.
    pub fn crash(&self) {
        self.state().dead = true;
        self.0.crashed.notify_one();
    }

    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Returns when the process is to die.
    pub async fn crashed(&self) {
        while !self.is_dead() {
            self.0.crashed.notified().await;
        }
    }

    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// All keys that begin so.
    pub fn keys(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        self.state().records.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    fn commit(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut jobs = std::mem::take(&mut state.pending);
        state.commits += 1;
        let here = state.commits;
        if state.dead || state.crash == Crash::BeforeCommit(here) {
            state.lost.extend(jobs);
            drop(guard);
            return self.crash();
        }
        let mut undo = Vec::new();
        for job in &mut jobs {
            let mut tx = DiskTx { records: &mut state.records, undo: Vec::new(), writes: true };
            let keep = job.run(&mut tx);
            let own = std::mem::take(&mut tx.undo);
            if keep {
                undo.extend(own);
            } else {
                roll_back(&mut state.records, own);
            }
        }
        let refused = || Err(Error::Storage("simulated".to_owned()));
        let result = if state.chance.permille(state.faults.fails_before) || state.faults.at == Some(Fails::Before(here))
        {
            roll_back(&mut state.records, undo);
            refused()
        } else if state.chance.permille(state.faults.fails_after) || state.faults.at == Some(Fails::After(here)) {
            refused()
        } else {
            if let Some(planted) = state.faults.planted.filter(|_| state.chance.permille(PLANTED)) {
                let kept = if planted == Planted::Lost { 0 } else { undo.len() / 2 };
                roll_back(&mut state.records, undo.split_off(kept));
            }
            Ok(())
        };
        if state.crash == Crash::AfterCommit(here) {
            state.lost.extend(jobs);
            drop(guard);
            return self.crash();
        }
        drop(guard);
        for job in jobs {
            job.done(result.clone());
        }
    }
}

/// The disks of one process: where one of them has it die, it dies whole. Of what is told apart by ARNs the first has all else.
#[derive(Clone, Debug)]
pub struct Disks(Arc<[Disk]>);

impl Disks {
    /// The first, and so many for executions; without these the first has the executions too.
    pub fn new(clock: &SimClock, chance: &mut Chance, shards: usize) -> Self {
        Self((0..=shards).map(|_| Disk::new(clock.clone(), chance.fork())).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A new process uses them; of each what goes wrong.
    pub fn reopen(&self, mut of: impl FnMut(usize) -> (Faults, Crash)) {
        for (n, disk) in self.0.iter().enumerate() {
            let (faults, crash) = of(n);
            disk.reopen(faults, crash);
        }
    }

    pub fn heal(&self) {
        self.0.iter().for_each(Disk::heal);
    }

    pub fn crash(&self) {
        self.0.iter().for_each(Disk::crash);
    }

    pub fn is_dead(&self) -> bool {
        self.0.iter().any(Disk::is_dead)
    }

    pub async fn crashed(&self) {
        futures::future::select_all(self.0.iter().map(|disk| Box::pin(disk.crashed()))).await;
        self.crash();
    }

    /// How many commits there were, of each.
    pub fn commits_of_each(&self) -> Vec<u64> {
        self.0.iter().map(Disk::commits).collect()
    }

    pub fn commits(&self) -> u64 {
        self.commits_of_each().into_iter().sum()
    }

    pub fn keys(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        self.0.iter().flat_map(|disk| disk.keys(prefix)).collect()
    }

    /// The queues of a process: that of all else, and those of executions.
    pub fn queues(&self, clock: &Arc<dyn Clock>) -> (Queue, Vec<Queue>) {
        let queue = |disk: &Disk| Queue::new(Store::over(Arc::new(disk.clone()), Arc::clone(clock)));
        let mut all = self.0.iter().map(queue);
        let first = all.next().expect("there is always one");
        (first, all.collect())
    }
}

fn roll_back(records: &mut Records, undo: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
    for (key, old) in undo.into_iter().rev() {
        match old {
            Some(value) => records.insert(key, value),
            None => records.remove(&key),
        };
    }
}

impl Backend for Disk {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error> {
        let mut guard = self.state();
        let state = &mut *guard;
        state.reads += 1;
        if state.crash == Crash::AtRead(state.reads) {
            state.dead = true;
            self.0.crashed.notify_one();
        }
        if state.chance.permille(state.faults.fails_to_read) {
            return Err(Error::Storage("simulated".to_owned()));
        }
        f(&mut DiskTx { records: &mut state.records, undo: Vec::new(), writes: false });
        Ok(())
    }

    fn write(&self, job: Box<dyn Job>) {
        let mut state = self.state();
        if state.dead {
            return state.lost.push(job);
        }
        state.pending.push(job);
        if state.pending.len() > 1 {
            return;
        }
        let most = state.faults.slow_us;
        // Mostly quick, at times as slow as a disk that others use.
        let takes = if state.chance.permille(50) { state.chance.below(most + 1) } else { state.chance.below(300) };
        drop(state);
        let (disk, wait) = (self.clone(), self.0.clock.sleep(Duration::from_micros(takes)));
        tokio::spawn(async move {
            wait.await;
            disk.commit();
        });
    }
}

struct DiskTx<'a> {
    records: &'a mut Records,
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    writes: bool,
}

impl DiskTx<'_> {
    fn check(&self) -> Result<(), Error> {
        if self.writes { Ok(()) } else { Err(Error::Storage("a write in a read transaction".to_owned())) }
    }
}

impl RawTx for DiskTx<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.records.get(key).cloned())
    }
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.check()?;
        let old = self.records.insert(key.to_vec(), value.to_vec());
        self.undo.push((key.to_vec(), old));
        Ok(())
    }
    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.check()?;
        if let Some(old) = self.records.remove(key) {
            self.undo.push((key.to_vec(), Some(old)));
        }
        Ok(())
    }
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let found = self.records.range::<[u8], _>(range).map(|(k, v)| (k.clone(), v.clone()));
        Ok(if reverse { found.rev().take(limit).collect() } else { found.take(limit).collect() })
    }
}
