//! A small stage for one thing that has to hold: lives of the platform over a disk that outlives them, and a client of one scene.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router, Settings};
use store::{Clock as _, Queue, Store};
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::disk::{Crash, Disks, Faults};
use crate::run::{crash, faults, seen_panic, watch_panics};
use crate::world::Everyone;

/// Commits of one life beyond which it is taken to go round in circles.
const MOST_COMMITS: u64 = 400_000;
/// How long one life takes at most by the simulation's clock; after it the client is taken to wait for what will never be.
const MOST_MS: i64 = 3 * 24 * 3600 * 1000;

/// What outlives the process.
pub(crate) struct Stage {
    pub(crate) clock: SimClock,
    disks: Disks,
    pub(crate) chance: Chance,
    is_calm: bool,
    /// Storage never fails, it only ends.
    is_sound: bool,
}

impl Stage {
    pub(crate) fn new(seed: u64) -> Self {
        Self::over(seed, 0)
    }

    /// With executions in so many stores of their own.
    pub(crate) fn over(seed: u64, shards: usize) -> Self {
        watch_panics();
        let mut chance = Chance::new(seed ^ 0x5CE7_E000);
        let clock = SimClock::new(chance.fork());
        let disks = Disks::new(&clock, &mut chance, shards);
        Self { clock, disks, chance, is_calm: false, is_sound: false }
    }

    /// Nothing crashes or fails.
    pub(crate) fn calm(&mut self) {
        self.is_calm = true;
    }

    /// Storage answers no call with an error, which a Task would have for its own.
    pub(crate) fn sound(&mut self) {
        self.is_sound = true;
    }

    /// Lives that end in crashes, and a last one in which the client comes to its end; `between` is what happens while nothing runs.
    pub(crate) fn play<F>(
        &mut self,
        services: &dyn Fn(&Arc<Router>),
        client: impl Fn(Client) -> F,
        mut between: impl FnMut(&mut Chance),
    ) -> Result<u64, String>
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let crashes = if self.is_calm { 0 } else { self.chance.below(6) };
        let mut all = Vec::new();
        for _ in 0..self.disks.len() {
            let has_faults = crashes > 0 && !self.is_sound;
            all.push(if has_faults { faults(&mut self.chance) } else { Faults::default() });
        }
        for _ in 0..crashes {
            let ends = match crash(&mut self.chance) {
                Crash::Never => Crash::AfterCommit(self.chance.between(30, 90)),
                ends => ends,
            };
            let dies = if all.len() == 1 { 0 } else { self.chance.index(all.len()) };
            let of = |n| (all[n], if n == dies { ends } else { Crash::Never });
            if let Some(end) = self.live(of, services, &client) {
                return end.map(|()| crashes);
            }
            between(&mut self.chance);
            self.clock.pass(Duration::from_millis(self.chance.below(20_000)));
        }
        self.last(services, &client).map(|()| crashes)
    }

    /// Nothing goes wrong but the one thing, on the one disk; where the process dies of it, another goes on. How many commits there were,
    /// of each disk.
    pub(crate) fn play_one<F>(
        &mut self,
        (wrong, with): (usize, (Faults, Crash)),
        services: &dyn Fn(&Arc<Router>),
        client: impl Fn(Client) -> F,
    ) -> Result<Vec<u64>, String>
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let of = |n| if n == wrong { with } else { (Faults::default(), Crash::Never) };
        let first = self.live(of, services, &client);
        let commits = self.disks.commits_of_each();
        first.unwrap_or_else(|| self.last(services, &client)).map(|()| commits)
    }

    /// A life in which nothing goes wrong.
    fn last<F>(&self, services: &dyn Fn(&Arc<Router>), client: &impl Fn(Client) -> F) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let end = self.live(|_| (Faults::default(), Crash::Never), services, client);
        end.unwrap_or_else(|| Err("nothing is left that could happen, and it is not over".to_owned()))
    }

    /// How the client came to its end, where it has.
    fn live<F>(
        &self,
        of: impl FnMut(usize) -> (Faults, Crash),
        services: &dyn Fn(&Arc<Router>),
        client: &impl Fn(Client) -> F,
    ) -> Option<Result<(), String>>
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        self.disks.reopen(of);
        let idle = Arc::new(Notify::new());
        let (clock, disks, told) = (self.clock.clone(), self.disks.clone(), idle.clone());
        let until = clock.now_ms() + MOST_MS;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || {
                if disks.commits() > MOST_COMMITS || clock.now_ms() > until || !clock.advance() {
                    told.notify_one();
                }
            })
            .build()
            .expect("a runtime without drivers needs nothing");
        let end = runtime.block_on(async {
            let client = client(Client { cx: self.platform(services), clock: self.clock.clone() });
            tokio::select! {
                biased;
                () = self.disks.crashed() => None,
                end = client => Some(end),
                () = idle.notified() => None,
            }
        });
        match seen_panic() {
            Some(panic) => Some(Err(panic)),
            None => end,
        }
    }

    fn platform(&self, services: &dyn Fn(&Arc<Router>)) -> Cx {
        let clock: Arc<dyn store::Clock> = Arc::new(self.clock.clone());
        let router = Router::with_clock(Arc::clone(&clock));
        router.set_identity(Arc::new(Everyone));
        let other = || Queue::new(Store::memory());
        let (control, executions) = self.disks.queues(&clock);
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
        services(&router);
        states::register_over(&platform, &executions).expect("no settings, none wrong");
        std::iter::once(&platform.control).chain(&executions).for_each(|queue| drop(queue.start()));
        Cx::new(router, Principal::root("000000000000"), "000000000000", "us-east-1")
    }
}

/// Who asks for things, and asks again while the disk has its faults.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) cx: Cx,
    clock: SimClock,
}

impl Client {
    pub(crate) async fn pause(&self) {
        self.sleep_ms(500).await;
    }

    pub(crate) async fn sleep_ms(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        loop {
            match self.cx.call_json("sfn", operation, input.clone()).await {
                Ok(answer) => return answer,
                Err(_) => self.pause().await,
            }
        }
    }

    /// Makes a machine, and starts it under its own name: twice is once.
    pub(crate) async fn start(&self, name: &str, definition: &Value, input: &Value) -> String {
        self.start_as(name, name, definition, input).await
    }

    /// The same under a name of the execution's own.
    pub(crate) async fn start_as(&self, machine: &str, name: &str, definition: &Value, input: &Value) -> String {
        let role = "arn:aws:iam::000000000000:role/machine";
        let made = json!({ "Name": machine, "Definition": definition.to_string(), "RoleArn": role });
        let arn = self.call("createStateMachine", made).await["StateMachineArn"].clone();
        let start = json!({ "StateMachineArn": arn, "Name": name, "Input": input.to_string() });
        loop {
            let execution = arn.as_str().unwrap_or_default().replace(":stateMachine:", ":execution:");
            match self.cx.call_json("sfn", "startExecution", start.clone()).await {
                // It has ended already.
                Err(error) if error.is("ExecutionAlreadyExists") => return format!("{execution}:{name}"),
                Ok(_) => return format!("{execution}:{name}"),
                Err(_) => self.pause().await,
            }
        }
    }

    /// What has become of an execution.
    pub(crate) async fn ended(&self, execution: &str) -> Value {
        let mut pause_ms = 500;
        loop {
            let described = self.call("describeExecution", json!({ "ExecutionArn": execution })).await;
            if described["Status"] != "RUNNING" {
                return described;
            }
            self.sleep_ms(pause_ms).await;
            pause_ms = 10_000.min(pause_ms * 2);
        }
    }
}
