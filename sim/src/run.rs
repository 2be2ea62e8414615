//! One seed: a world, some executions, lives of the process that end in crashes, and a last one in which all must come to its end.

use std::cell::RefCell;
use std::sync::{Arc, Once};
use std::time::Duration;

use service::{Cx, Platform, Principal, Router, Settings, operations};
use store::{Clock as _, Queue, Store};
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::client::{Client, Habits, LAST};
use crate::clock::SimClock;
use crate::disk::{Crash, Disks, Faults};
use crate::generate::generate;
use crate::machines::has_jsonata;
use crate::world::{Everyone, World};

/// What a seed came to.
#[derive(Debug, Default)]
pub struct Report {
    pub executions: u64,
    pub lives: u64,
    pub commits: u64,
    pub events: usize,
    /// All that the clients were told.
    pub story: String,
}

/// Commits of one life beyond which it is taken to go round in circles.
const MOST_COMMITS: u64 = 200_000;

/// Runs a seed.
pub fn run(seed: u64) -> Result<Report, String> {
    run_over(seed, 0)
}

/// The same with executions in so many stores of their own, each with faults of its own.
pub fn run_over(seed: u64, shards: usize) -> Result<Report, String> {
    watch_panics();
    let mut chance = Chance::new(seed ^ 0x00C0_FFEE);
    let clock = SimClock::new(chance.fork());
    let disks = Disks::new(&clock, &mut chance, shards);
    let (of_world, calm) = (chance.fork(), chance.permille(200));
    let world = World::new(clock.clone(), disks.clone(), of_world, !calm);
    let mut faults_of_each = Vec::new();
    for _ in 0..disks.len() {
        faults_of_each.push(if calm { Faults::default() } else { faults(&mut chance) });
    }
    let clients: Vec<Client> = (0..chance.between(1, 4)).map(|n| client(&mut chance, &clock, n, !calm)).collect();
    let crashes = if calm { 0 } else { chance.below(6) };
    let mut report = Report { executions: clients.len() as u64, ..Report::default() };
    for life in 0..=crashes {
        let last = life == crashes;
        let crash = if last { Crash::Never } else { crash(&mut chance) };
        let at = (!last && crash == Crash::Never).then(|| Duration::from_millis(chance.below(300_000)));
        let dies = if shards == 0 { 0 } else { chance.index(disks.len()) };
        disks.reopen(|n| (faults_of_each[n], if n == dies { crash } else { Crash::Never }));
        live(&world, &clients, at, last);
        report.lives += 1;
        report.commits += disks.commits();
        if let Some(panic) = seen_panic() {
            world.fault(panic);
        }
        if !world.faults().is_empty() {
            break;
        }
        clock.pass(Duration::from_millis(chance.below(60_000)));
    }
    report.story = clients.iter().map(Client::story).collect();
    report.events = report.story.lines().count();
    let mut wrong = world.faults();
    for client in clients.iter().filter(|client| !client.is_over()) {
        wrong.push(format!("it does not end\n{}", client.shown()));
    }
    if wrong.is_empty() {
        wrong.extend(left(&disks, &clients));
        // One that was started by a call whose answer a crash has lost is known to nobody.
        wrong.extend(world.running_jobs().into_iter().filter(|_| report.lives == 1));
    }
    match wrong.into_iter().next() {
        None => Ok(report),
        Some(fault) => {
            Err(format!("seed {seed} over {shards}: {fault}\nafter {} lives, {} commits", report.lives, report.commits))
        }
    }
}

pub(crate) fn faults(chance: &mut Chance) -> Faults {
    let mut rate = |most: u64| if chance.permille(500) { chance.below(most) } else { 0 };
    Faults {
        fails_before: rate(60),
        fails_after: rate(60),
        fails_to_read: rate(30),
        slow_us: rate(500_000),
        planted: None,
        at: None,
    }
}

pub(crate) fn crash(chance: &mut Chance) -> Crash {
    match chance.below(4) {
        0 => Crash::BeforeCommit(chance.between(1, 30)),
        1 => Crash::AfterCommit(chance.between(1, 30)),
        2 => Crash::AtRead(chance.between(1, 150)),
        _ => Crash::Never,
    }
}

fn client(chance: &mut Chance, clock: &SimClock, n: u64, in_trouble: bool) -> Client {
    let made = generate(chance, has_jsonata(), true);
    let start_at = clock.now() + Duration::from_millis(chance.below(20_000));
    let stop_at = chance.permille(160).then(|| start_at + Duration::from_millis(chance.below(400_000)));
    let habits = Habits { stop_at, redrives: chance.permille(650), has_alias: chance.permille(250), in_trouble };
    Client::new(format!("m{n}"), made, start_at, habits)
}

/// One life of the process: until it crashes, or nothing is left to do.
fn live(world: &World, clients: &[Client], crash_at: Option<Duration>, last: bool) {
    let idle = Arc::new(Notify::new());
    let (clock, told, disks) = (world.clock.clone(), idle.clone(), world.disks.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || {
            let endless = clock.now() > LAST || disks.commits() > MOST_COMMITS;
            if endless || !clock.advance() {
                told.notify_one();
            }
        })
        .build()
        .expect("a runtime without drivers needs nothing");
    runtime.block_on(async {
        let cx = platform(world);
        tokio::spawn(world.clone().post(cx.clone()));
        for client in clients {
            tokio::spawn(client.clone().follow(world.clone(), cx.clone()));
        }
        let (worker, clients) = (world.clone(), clients.to_vec());
        tokio::spawn(worker.work(cx, move || clients.iter().any(Client::needs_worker)));
        if let Some(at) = crash_at {
            let world = world.clone();
            tokio::spawn(async move {
                world.clock.sleep(at).await;
                world.disks.crash();
            });
        }
        if last {
            let world = world.clone();
            tokio::spawn(async move {
                world.clock.sleep(Duration::from_mins(10)).await;
                world.disks.heal();
            });
        }
        tokio::select! {
            biased;
            () = world.disks.crashed() => {}
            () = idle.notified() => {}
        }
    });
}

/// The platform as the server wires it, as far as Step Functions goes.
fn platform(world: &World) -> Cx {
    let clock: Arc<dyn store::Clock> = Arc::new(world.clock.clone());
    let router = Router::with_clock(Arc::clone(&clock));
    router.set_identity(Arc::new(Everyone));
    let other = || Queue::new(Store::memory());
    let (control, executions) = world.disks.queues(&clock);
    let platform = Platform {
        router: router.clone(),
        control,
        s3: other(),
        dynamodb: other(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        settings: Settings::default(),
    };
    let outside = Arc::new(world.clone());
    operations!(router, outside, api_lambda: Invoke);
    operations!(router, outside, api_s3: GetObject, PutObject);
    operations!(router, outside, api_sqs: SendMessage);
    operations!(router, outside, api_events: PutEvents);
    operations!(router, outside, api_glue: StartJobRun, GetJobRun, BatchStopJobRun);
    states::register_over(&platform, &executions).expect("no settings, none wrong");
    std::iter::once(&platform.control).chain(&executions).for_each(|queue| drop(queue.start()));
    Cx::new(router, Principal::root("000000000000"), "000000000000", "us-east-1")
}

/// Rows that nothing will ever take away: of executions that are over, and of the queue.
fn left(disk: &Disks, clients: &[Client]) -> Vec<String> {
    let of =
        |key: &[u8]| store::Key::parts(key).iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect::<Vec<_>>();
    let mut left: Vec<String> = ["\u{1}now", "\u{1}task", "\u{1}due"]
        .iter()
        .flat_map(|owner| disk.keys(store::Key::new(owner).as_bytes()))
        .map(|key| format!("a row of the queue is left: {:?}", of(&key)))
        .collect();
    // What has failed can be redriven, and keeps what that takes.
    let done: Vec<String> = clients.iter().filter_map(Client::succeeded).collect();
    for key in disk.keys(store::Key::new("states").as_bytes()) {
        let parts = of(&key);
        let running = parts.iter().any(|part| part == "root" || part == "frame");
        if running && parts.iter().any(|part| done.contains(part)) {
            left.push(format!("a row of an execution that is over is left: {parts:?}"));
        }
    }
    left
}

thread_local! {
    static PANICS: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What panicked since the last look.
pub(crate) fn seen_panic() -> Option<String> {
    PANICS.with(RefCell::take)
}

/// A runner that panics is run again, and would hide here what it found.
pub(crate) fn watch_panics() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with(|seen| *seen.borrow_mut() = Some(panic.to_string()));
            before(panic);
        }));
    });
}
