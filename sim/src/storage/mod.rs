//! S3 and `DynamoDB` over disks that fail and processes that die, by seed. Each client writes what is its own and remembers what it was
//! told; what it was not told (an error of storage, a crash) may have happened or not, and must be one or the other as a whole.
//!
//! - [`objects`]: plain and versioned objects, small ones and blobs, copies, deletions, uploads in parts;
//! - [`items`]: puts, updates, deletions, batches, transactions, a table's stream.
//!
//! At the end all is read back; then everything is deleted over the protocol, and after one more start nothing may be left: no bytes
//! without a name, no upload, no part, no index.

mod items;
mod objects;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use service::identity::{Credentials, Identity};
use service::{Cx, Platform, Principal, Router, Settings};
use store::objects::Objects;
use store::{Clock as _, Queue, Store};
use tokio::sync::Notify;
use wire::Error;

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::disk::{Crash, Disk, Faults, Planted};
use items::ItemsClient;
use objects::ObjectsClient;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
/// Seconds of simulated time, and commits, after which a run is taken to go on for ever.
const LAST: u64 = 30 * 24 * 3600;
const MOST_COMMITS: u64 = 100_000;
/// How often one thing is tried: with a fifth of a second between them far longer than any trouble of the disk.
const MOST_TRIES: u32 = 5000;

/// What a seed came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub operations: u64,
    /// Of them, what nobody was told the end of.
    pub doubtful: u64,
    pub lives: u64,
    pub commits: u64,
}

/// What outlives the process.
#[derive(Clone)]
struct Ground {
    clock: SimClock,
    s3: Disk,
    dynamodb: Disk,
    objects: Objects,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    faults: Vec<String>,
    operations: u64,
    doubtful: u64,
}

impl Ground {
    fn new(chance: &mut Chance) -> Self {
        let clock = SimClock::new(chance.fork());
        let mut disk = || Disk::new(clock.clone(), chance.fork());
        let (s3, dynamodb) = (disk(), disk());
        Self { clock, s3, dynamodb, objects: Objects::memory(), told: Arc::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, what: String) {
        self.told().faults.push(what);
    }

    fn commits(&self) -> u64 {
        self.s3.commits() + self.dynamodb.commits()
    }

    /// What a dying process answers reaches nobody.
    async fn unless_dead(&self) {
        if self.s3.is_dead() || self.dynamodb.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether what was tried in vain is to be given up, which is a fault; else waits until it may be tried again.
    async fn is_lasting(&self, tries: &mut u32, what: &str) -> bool {
        *tries += 1;
        let is_lasting = *tries == MOST_TRIES;
        if is_lasting {
            self.fault(format!("{what} fails for ever"));
        } else {
            self.sleep_ms(200).await;
        }
        is_lasting
    }

    async fn sleep_ms(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }
}

/// What came of an operation.
enum Outcome<T> {
    Done(T),
    /// Refused: nothing has happened.
    Refused(String),
    /// Nobody knows.
    Doubtful,
}

/// Where a life of the process ends, if not by itself.
#[derive(Clone, Copy, Debug)]
struct End {
    s3: Crash,
    dynamodb: Crash,
    at: Option<Duration>,
}

const LIVES_ON: End = End { s3: Crash::Never, dynamodb: Crash::Never, at: None };

/// Runs a seed.
pub fn run(seed: u64) -> Result<Report, String> {
    run_with(seed, None)
}

/// Of so many seeds, how many miss what the disks have broken on purpose.
pub fn finds(planted: Planted, seeds: std::ops::Range<u64>) -> usize {
    seeds.filter(|seed| run_with(*seed, Some(planted)).is_err()).count()
}

/// A crash before and after each commit of a client of S3, whatever it is in the middle of: a copy, a version, an upload in parts.
/// Answers how many there were.
pub fn crash_everywhere(seed: u64, steps: u64) -> Result<u64, String> {
    let begin = || {
        let mut chance = Chance::new(seed);
        let ground = Ground::new(&mut chance);
        let objects = vec![ObjectsClient::new(0, steps, chance.fork())];
        (ground, Clients { objects, items: Vec::new() })
    };
    let (ground, clients) = begin();
    ground.s3.reopen(Faults::default(), Crash::Never);
    ground.dynamodb.reopen(Faults::default(), Crash::Never);
    live(&ground, &clients, None, Part::Write);
    let commits = ground.s3.commits();
    for commit in 1..=commits {
        for s3 in [Crash::BeforeCommit(commit), Crash::AfterCommit(commit)] {
            let (ground, clients) = begin();
            play(&ground, &clients, &[End { s3, ..LIVES_ON }], Faults::default())
                .map_err(|fault| format!("seed {seed} of storage with {s3:?}: {fault}"))?;
        }
    }
    Ok(2 * commits)
}

fn run_with(seed: u64, planted: Option<Planted>) -> Result<Report, String> {
    let mut chance = Chance::new(seed ^ 0x0053_7044);
    let ground = Ground::new(&mut chance);
    let calm = chance.permille(100);
    let faults = if calm { Faults::default() } else { crate::run::faults(&mut chance) };
    let faults = Faults { planted, ..faults };
    let mut ends = Vec::new();
    for _ in 0..if calm { 0 } else { chance.below(8) } {
        let crash = match chance.below(4) {
            0 => Crash::BeforeCommit(chance.between(1, 60)),
            1 => Crash::AfterCommit(chance.between(1, 60)),
            2 => Crash::AtRead(chance.between(1, 200)),
            _ => Crash::Never,
        };
        let at = (crash == Crash::Never).then(|| Duration::from_millis(chance.below(20_000)));
        let of_s3 = chance.permille(500);
        let [s3, dynamodb] = if of_s3 { [crash, Crash::Never] } else { [Crash::Never, crash] };
        ends.push(End { s3, dynamodb, at });
    }
    let steps = chance.between(5, 60);
    let objects = (0..chance.between(1, 4)).map(|n| ObjectsClient::new(n, steps, chance.fork())).collect();
    let items = (0..chance.between(1, 4)).map(|n| ItemsClient::new(n, steps, chance.fork())).collect();
    play(&ground, &Clients { objects, items }, &ends, faults)
        .map_err(|fault| format!("seed {seed} of storage: {fault}"))
}

/// Who writes.
#[derive(Clone)]
struct Clients {
    objects: Vec<ObjectsClient>,
    items: Vec<ItemsClient>,
}

impl Clients {
    fn are_done(&self) -> bool {
        self.objects.iter().all(ObjectsClient::is_done) && self.items.iter().all(ItemsClient::is_done)
    }
}

/// What a life is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Clients write, until it ends.
    Write,
    /// They come to their end, all is looked at, and all is deleted.
    Audit,
    /// A start alone.
    Sweep,
}

/// Lives that end so, one in which all must come to its end, and one more that finds nothing.
fn play(ground: &Ground, clients: &Clients, ends: &[End], faults: Faults) -> Result<Report, String> {
    crate::run::watch_panics();
    let mut report = Report::default();
    let lives = ends.iter().map(|end| (*end, Part::Write)).chain([(LIVES_ON, Part::Audit), (LIVES_ON, Part::Sweep)]);
    for (end, part) in lives {
        // Nothing was left to do before it could end: it is no life of its own.
        if part == Part::Write && clients.are_done() {
            continue;
        }
        let faults = if part == Part::Write { faults } else { Faults::default() };
        ground.s3.reopen(faults, end.s3);
        ground.dynamodb.reopen(faults, end.dynamodb);
        let ground = Ground { objects: ground.objects.after_restart(), ..ground.clone() };
        live(&ground, clients, end.at, part);
        report.lives += 1;
        report.commits += ground.commits();
        if let Some(panic) = crate::run::seen_panic() {
            ground.fault(panic);
        }
        if !ground.told().faults.is_empty() {
            break;
        }
        ground.clock.pass(Duration::from_secs(20));
    }
    let told = ground.told();
    let mut wrong = told.faults.clone();
    if wrong.is_empty() && !clients.are_done() {
        wrong.push("the clients did not come to their end".to_owned());
    }
    (report.operations, report.doubtful) = (told.operations, told.doubtful);
    match wrong.first() {
        None => Ok(report),
        Some(fault) => Err(format!("{fault}\nafter {} lives, {} commits", report.lives, report.commits)),
    }
}

/// One life of the process: until it crashes, or what it is for is done.
fn live(ground: &Ground, clients: &Clients, crash_at: Option<Duration>, part: Part) {
    let idle = Arc::new(Notify::new());
    let (clock, told, of_park) = (ground.clock.clone(), idle.clone(), ground.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || {
            let endless = clock.seconds() > LAST || of_park.commits() > MOST_COMMITS;
            if endless || !clock.advance() {
                told.notify_one();
            }
        })
        .build()
        .expect("a runtime without drivers needs nothing");
    runtime.block_on(async {
        let world = World::start(ground);
        let done = idle.clone();
        let (of_life, clients) = (world.clone(), clients.clone());
        tokio::spawn(async move {
            of_life.sweep(part != Part::Write).await;
            if part == Part::Sweep {
                objects::nothing_left(&of_life).await;
            } else {
                let mut writers = Vec::new();
                for client in &clients.objects {
                    writers.push(tokio::spawn(client.clone().follow(of_life.clone())));
                }
                for client in &clients.items {
                    writers.push(tokio::spawn(client.clone().follow(of_life.clone())));
                }
                for writer in writers {
                    let _ = writer.await;
                }
                if part == Part::Audit {
                    objects::audit(&of_life, &clients.objects).await;
                    if !clients.items.is_empty() {
                        items::audit(&of_life, &clients.items).await;
                    }
                }
            }
            done.notify_one();
        });
        if let Some(at) = crash_at {
            let ground = ground.clone();
            tokio::spawn(async move {
                ground.clock.sleep(at).await;
                ground.s3.crash();
            });
        }
        tokio::select! {
            biased;
            () = ground.s3.crashed() => {}
            () = ground.dynamodb.crashed() => {}
            () = idle.notified() => {}
        }
        ground.s3.crash();
        ground.dynamodb.crash();
    });
}

/// The services of one life.
#[derive(Clone)]
struct World {
    ground: Ground,
    s3: Arc<s3_service::S3>,
    door: Arc<s3_service::Door>,
    cx: Cx,
}

impl World {
    fn start(ground: &Ground) -> Self {
        let clock = Arc::new(ground.clock.clone());
        let router = Router::with_clock(clock.clone());
        router.set_identity(Arc::new(Root));
        let platform = Platform {
            router: router.clone(),
            control: Queue::new(Store::memory()),
            s3: Queue::new(Store::over(Arc::new(ground.s3.clone()), clock.clone())),
            dynamodb: Queue::new(Store::over(Arc::new(ground.dynamodb.clone()), clock)),
            data: std::env::temp_dir(),
            objects: None,
            endpoint: "http://127.0.0.1:1".to_owned(),
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            settings: Settings::default(),
        };
        let s3 = s3_service::register_over(&platform, ground.objects.clone()).expect("there are random bytes");
        dynamodb::register(&platform);
        platform.s3.start();
        platform.dynamodb.start();
        let door = Arc::new(s3_service::Door::new(s3.clone(), ACCOUNT, REGION));
        Self { ground: ground.clone(), s3, door, cx: Cx::new(router, Principal::root(ACCOUNT), ACCOUNT, REGION) }
    }

    /// As every start does.
    async fn sweep(&self, must: bool) {
        while self.s3.sweep(self.ground.clock.now().as_millisecond()).await.is_err() {
            if !must {
                return;
            }
            self.ground.sleep_ms(1000).await;
        }
    }
}

/// One key, which may do everything.
struct Root;

#[async_trait]
impl Identity for Root {
    async fn credentials(&self, access_key: &str) -> Result<Option<Credentials>, Error> {
        Ok(Some(Credentials {
            access_key: access_key.to_owned(),
            secret_key: "secret".to_owned(),
            session_token: None,
            expires: None,
            principal: Principal::root(ACCOUNT),
            account: ACCOUNT.to_owned(),
            attempt: None,
        }))
    }
    async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn role_session(&self, _: &str, _: &str, _: Option<&str>) -> Result<Principal, Error> {
        Err(Error::not_implemented("roles"))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("keys"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}
