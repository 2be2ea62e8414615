//! Jobs of all kinds under simulated time, faults and crashes: the shipped S3, Glue, Athena, SageMaker and CloudFormation over
//! disks that fail, with workers that answer late, die, hang, or go on writing after they were given up.
//!
//! - [`outside`]: the workers, what they do, and who heard of it;
//! - [`client`]: who starts, stops and follows jobs;
//! - [`audit`]: what must hold at the end. Each job ends once; what it did is there once, or not at all; nothing else is there.

mod audit;
mod client;
mod outside;

use std::sync::Arc;
use std::time::Duration;

use service::{Cx, Platform, Principal, Router, Settings, operations};
use store::objects::Objects;
use store::{Clock as _, Queue, Store};
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::disk::{Crash, Disk, Faults};
use client::Client;
use outside::{Keys, Outside};

pub use client::What;

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "us-east-1";
/// Seconds of simulated time after which a life is taken to go on for ever: before what is done once a day keeps it going.
const LAST: u64 = 23 * 3600;
const MOST_COMMITS: u64 = 100_000;

/// What a seed came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub jobs: u64,
    pub lives: u64,
    pub commits: u64,
    /// How each job ended.
    pub story: String,
}

/// Both disks of the process, and what else outlives it.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) clock: SimClock,
    pub(crate) control: Disk,
    pub(crate) s3: Disk,
    objects: Objects,
    pub(crate) outside: Outside,
}

impl Ground {
    fn new(chance: &mut Chance, calm: bool) -> Self {
        let clock = SimClock::new(chance.fork());
        let (control, s3) = (Disk::new(clock.clone(), chance.fork()), Disk::new(clock.clone(), chance.fork()));
        let outside = Outside::new(clock.clone(), chance.fork(), calm);
        Self { clock, control, s3, objects: Objects::memory(), outside }
    }
}

/// Where a life of the process ends, if not by itself.
#[derive(Clone, Copy, Debug)]
struct End {
    control: Crash,
    s3: Crash,
    at: Option<Duration>,
}

const LIVES_ON: End = End { control: Crash::Never, s3: Crash::Never, at: None };

/// Runs a seed.
pub fn run(seed: u64) -> Result<Report, String> {
    let mut chance = Chance::new(seed ^ 0x0B0B_0B0B);
    let calm = chance.permille(150);
    let ground = Ground::new(&mut chance, calm);
    let faults = if calm { Faults::default() } else { crate::run::faults(&mut chance) };
    let clients: Vec<Client> = (0..chance.between(1, 6)).map(|n| Client::draw(&mut chance, &ground.clock, n)).collect();
    let crashes = if calm { 0 } else { chance.below(7) };
    let mut ends: Vec<End> = Vec::new();
    for _ in 0..crashes {
        let crash = crate::run::crash(&mut chance);
        let at = (crash == Crash::Never).then(|| Duration::from_millis(chance.below(200_000)));
        ends.push(if chance.permille(400) {
            End { control: Crash::Never, s3: crash, at }
        } else {
            End { control: crash, s3: Crash::Never, at }
        });
    }
    play(&ground, &clients, &ends, faults).map_err(|fault| format!("seed {seed} of jobs: {fault}"))
}

/// One job of this kind, with a crash before and after each commit that it makes on either disk; it may be stopped midway.
/// Answers how many crashes there were.
pub fn crash_everywhere(what: What, stops: bool) -> Result<u64, String> {
    let mut crashes = 0;
    for of_s3 in [false, true] {
        for after in [false, true] {
            for commit in 1.. {
                let mut chance = Chance::new(7);
                let ground = Ground::new(&mut chance, true);
                let client = Client::new(what, &ground.clock, stops.then_some(Duration::from_secs(9)));
                let crash = if after { Crash::AfterCommit(commit) } else { Crash::BeforeCommit(commit) };
                let end = if of_s3 { End { s3: crash, ..LIVES_ON } } else { End { control: crash, ..LIVES_ON } };
                let report =
                    play(&ground, std::slice::from_ref(&client), &[end], Faults::default()).map_err(|fault| {
                        format!("{what:?} with {crash:?} of {}: {fault}", if of_s3 { "s3" } else { "control" })
                    })?;
                let ended = client.ended();
                let expected: &[&str] = match (what, stops) {
                    (_, true) => &["SUCCEEDED", "CANCELLED", "Completed", "Stopped", "STOPPED", "DELETE_COMPLETE"],
                    (What::Transform, false) => &["Completed"],
                    (What::Stack, false) => &["CREATE_COMPLETE"],
                    _ => &["SUCCEEDED"],
                };
                if !expected.contains(&ended.as_str()) {
                    return Err(format!("{what:?} with {crash:?} (s3: {of_s3}) ended {ended}\n{}", report.story));
                }
                // Its first life went on to the end: there are no more commits.
                if report.lives == 1 {
                    break;
                }
                crashes += 1;
            }
        }
    }
    Ok(crashes)
}

/// Lives that end so, and a last one in which all must come to its end. Where one does not end as it should, it was the last.
fn play(ground: &Ground, clients: &[Client], ends: &[End], faults: Faults) -> Result<Report, String> {
    crate::run::watch_panics();
    let mut report = Report { jobs: clients.len() as u64, ..Report::default() };
    for end in ends.iter().chain([&LIVES_ON]) {
        let last = report.lives == ends.len() as u64;
        ground.control.reopen(faults, end.control);
        ground.s3.reopen(faults, end.s3);
        let crashed = live(ground, clients, end.at, last);
        report.lives += 1;
        report.commits += ground.control.commits() + ground.s3.commits();
        if let Some(panic) = crate::run::seen_panic() {
            ground.outside.fault(panic);
        }
        if !ground.outside.faults().is_empty() {
            break;
        }
        if !crashed && !last && clients.iter().all(Client::is_over) && ends.len() == 1 {
            break;
        }
        ground.clock.pass(Duration::from_secs(20));
    }
    report.story = clients.iter().map(Client::story).collect();
    let mut wrong = ground.outside.faults();
    wrong.extend(clients.iter().filter(|client| !client.is_over()).map(|client| format!("no end: {}", client.story())));
    if wrong.is_empty() && report.lives > ends.len() as u64 {
        wrong.extend(audit::rows(ground));
    }
    match wrong.first() {
        None => Ok(report),
        Some(fault) => {
            Err(format!("{fault}\nafter {} lives, {} commits\n{}", report.lives, report.commits, report.story))
        }
    }
}

/// One life of the process: until it crashes, which is answered, or nothing is left to do.
fn live(ground: &Ground, clients: &[Client], crash_at: Option<Duration>, last: bool) -> bool {
    let idle = Arc::new(Notify::new());
    let until = ground.clock.seconds() + LAST;
    let (clock, told, control, s3) = (ground.clock.clone(), idle.clone(), ground.control.clone(), ground.s3.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || {
            let endless = clock.seconds() > until || control.commits() + s3.commits() > MOST_COMMITS;
            if endless || !clock.advance() {
                told.notify_one();
            }
        })
        .build()
        .expect("a runtime without drivers needs nothing");
    runtime.block_on(async {
        let cx = platform(ground);
        let ready = Arc::new(tokio::sync::Semaphore::new(0));
        let (opening, open) = (ready.clone(), cx.clone());
        tokio::spawn(async move {
            client::prepare(&open).await;
            opening.add_permits(1);
        });
        for client in clients {
            tokio::spawn(client.clone().follow(ground.clone(), cx.clone(), ready.clone()));
        }
        if let Some(at) = crash_at {
            let ground = ground.clone();
            tokio::spawn(async move {
                ground.clock.sleep(at).await;
                ground.control.crash();
            });
        }
        if last {
            tokio::spawn(audit::audit(ground.clone(), cx, clients.to_vec(), idle.clone()));
        }
        let crashed = tokio::select! {
            biased;
            () = ground.control.crashed() => true,
            () = ground.s3.crashed() => true,
            () = idle.notified() => false,
        };
        ground.control.crash();
        ground.s3.crash();
        crashed
    })
}

/// The platform as the server wires it, as far as jobs go.
fn platform(ground: &Ground) -> Cx {
    let clock = Arc::new(ground.clock.clone());
    let router = Router::with_clock(clock.clone());
    let keys = Arc::new(Keys::new(ground.outside.clone()));
    router.set_identity(keys.clone());
    let platform = Platform {
        router: router.clone(),
        control: Queue::new(Store::over(Arc::new(ground.control.clone()), clock.clone())),
        s3: Queue::new(Store::over(Arc::new(ground.s3.clone()), clock)),
        dynamodb: Queue::new(Store::memory()),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        settings: Settings::default(),
    };
    let outside = Arc::new(ground.outside.clone());
    operations!(router, outside, api_events: PutEvents);
    operations!(router, outside, api_logs: CreateLogGroup, CreateLogStream, PutLogEvents);
    let door: Arc<std::sync::OnceLock<_>> = Arc::default();
    let compute = outside::compute(&ground.outside, &router, keys, &door);
    let s3 = s3_service::register_over(&platform, ground.objects.clone()).expect("there are random bytes");
    assert!(door.set(Arc::new(s3_service::Door::new(s3, ACCOUNT, REGION))).is_ok(), "it is set once");
    jobs::event::register(&platform.control, &router);
    glue::register(&platform, &compute).expect("no settings are wrong");
    athena::register(&platform, &compute).expect("no settings are wrong");
    sagemaker::register(&platform, &compute);
    cloudformation::register(&platform, None);
    platform.control.start();
    platform.s3.start();
    ground.outside.born(&router);
    Cx::new(router, Principal::root(ACCOUNT), ACCOUNT, REGION)
}
