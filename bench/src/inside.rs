//! Store, queue, engine and services in this process, without HTTP: the same code as the server's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use identity::RootKeys;
use serde_json::{Value, json};
use service::{Cx, Platform, Principal, Router, Settings};
use store::postgres::{Database, Lease};
use store::{Queue, Store};

use crate::machines;
use crate::measure::{Fsyncs, Spread, count, cpu_ms, ms, resident_mb, say};

#[derive(Subcommand)]
pub(crate) enum Load {
    /// Executions of Pass states that end in their first turn
    Starts {
        #[arg(long, default_value_t = 5)]
        states: usize,
        #[arg(long, default_value_t = 5000)]
        executions: usize,
        #[arg(long, default_value_t = 16)]
        clients: usize,
    },
    /// Task states that call an operation inside: every one is a commit of its own
    Tasks {
        #[arg(long, default_value_t = 50)]
        states: usize,
        #[arg(long, default_value_t = 400)]
        executions: usize,
        /// Executions under way at once
        #[arg(long, default_value_t = 200)]
        clients: usize,
    },
    /// Executions that sleep; some of them wake at once
    Sleepers {
        #[arg(long, default_value_t = 1_000_000)]
        executions: usize,
        /// How many of them wake while it is watched
        #[arg(long, default_value_t = 1000)]
        due: usize,
        #[arg(long, default_value_t = 256)]
        clients: usize,
    },
}

/// How often the end of an execution is asked for: often enough to time it, or too seldom to be a load itself.
pub(crate) const SOON: Duration = Duration::from_millis(5);
pub(crate) const SELDOM: Duration = Duration::from_millis(500);

const LEASE: Duration = Duration::from_mins(1);

struct World {
    cx: Cx,
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    /// The right to write to the database, where there is one.
    _lease: Option<Lease>,
}

pub(crate) async fn run(load: Load, folder: Option<PathBuf>, store: Option<String>, shards: usize) -> Result<()> {
    let world = World::new(folder, store, shards).await?;
    match load {
        Load::Starts { states, executions, clients } => world.starts(states, executions, clients).await,
        Load::Tasks { states, executions, clients } => world.tasks(states, executions, clients).await,
        Load::Sleepers { executions, due, clients } => world.sleepers(executions, due, clients).await,
    }
}

impl World {
    async fn new(folder: Option<PathBuf>, store: Option<String>, shards: usize) -> Result<Self> {
        let temporary = if folder.is_none() { Some(tempfile::tempdir_in(".")?) } else { None };
        let folder = folder.or_else(|| temporary.as_ref().map(|t| t.path().to_owned())).context("a folder")?;
        std::fs::create_dir_all(&folder)?;
        let queue = || Queue::new(Store::memory());
        let lease = match store {
            None => None,
            Some(url) => Some(Database::open(&url)?.take("", LEASE)?.context("the database is another's")?),
        };
        let open = |name: &str| match &lease {
            Some(lease) => lease.store(name),
            None => Store::open(&folder.join(format!("{name}.sqlite"))),
        };
        let control = open("control")?;
        let executions =
            (0..shards).map(|n| Ok(Queue::new(open(&format!("exec{n:02}"))?))).collect::<Result<Vec<_>>>()?;
        let platform = Platform {
            router: Router::new(),
            control: Queue::new(control),
            s3: queue(),
            dynamodb: queue(),
            data: folder.clone(),
            objects: None,
            endpoint: "http://127.0.0.1:1".to_owned(),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            settings: Settings::default(),
        };
        identity::register(&platform, RootKeys { access_key: "bench".to_owned(), secret_key: "bench".to_owned() });
        events::register(&platform).expect("no settings are given");
        states::register_over(&platform, &executions).expect("no settings, none wrong");
        std::iter::once(&platform.control).chain(&executions).for_each(|queue| drop(queue.start()));
        let cx = Cx::new(platform.router, Principal::root(&platform.account), &platform.account, &platform.region);
        let world = Self { cx, folder, _temporary: temporary, _lease: lease };
        let trust = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": { "Service": "states.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
        world
            .cx
            .call_json(
                "iam",
                "createRole",
                json!({ "RoleName": "bench", "AssumeRolePolicyDocument": trust.to_string() }),
            )
            .await?;
        let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
        world.cx.call_json("iam", "attachRolePolicy", json!({ "RoleName": "bench", "PolicyArn": policy })).await?;
        Ok(world)
    }

    async fn machine(&self, definition: &Value) -> Result<String> {
        let input = json!({
            "Name": self.cx.uuid(),
            "Definition": definition.to_string(),
            "RoleArn": "arn:aws:iam::000000000000:role/bench",
        });
        let created = self.cx.call_json("sfn", "createStateMachine", input).await?;
        Ok(created["StateMachineArn"].as_str().context("an ARN")?.to_owned())
    }

    async fn start(&self, machine: &str, input: &Value) -> Result<String> {
        let input = json!({ "StateMachineArn": machine, "Input": input.to_string() });
        let started = self.cx.call_json("sfn", "startExecution", input).await?;
        Ok(started["ExecutionArn"].as_str().context("an ARN")?.to_owned())
    }

    async fn ended(&self, execution: &str, poll: Duration) -> Result<Value> {
        loop {
            let described = self.cx.call_json("sfn", "describeExecution", json!({ "ExecutionArn": execution })).await?;
            if described["Status"] != "RUNNING" {
                anyhow::ensure!(described["Status"] == "SUCCEEDED", "{described}");
                return Ok(described);
            }
            tokio::time::sleep(poll).await;
        }
    }

    async fn starts(self, states: usize, executions: usize, clients: usize) -> Result<()> {
        let machine = self.machine(&machines::chain(states)).await?;
        let world = Arc::new(self);
        let measured = Run::begin(&world)?;
        let took = clients_of(clients, executions, |_| {
            let (world, machine) = (Arc::clone(&world), machine.clone());
            async move {
                let begun = Instant::now();
                let execution = world.start(&machine, &json!({})).await?;
                world.ended(&execution, SOON).await?;
                Ok(ms(begun.elapsed()))
            }
        })
        .await?;
        measured.end("starts", executions, "execution", &Spread::of(took))
    }

    async fn tasks(self, states: usize, executions: usize, clients: usize) -> Result<()> {
        let machine = self.machine(&machines::tasks(states)).await?;
        let world = Arc::new(self);
        let measured = Run::begin(&world)?;
        let took = clients_of(clients, executions, |_| {
            let (world, machine) = (Arc::clone(&world), machine.clone());
            async move {
                let begun = Instant::now();
                let execution = world.start(&machine, &json!({})).await?;
                let started = ms(begun.elapsed());
                world.ended(&execution, SELDOM).await?;
                Ok(started)
            }
        })
        .await?;
        measured.end("tasks", executions * states, "transition", &Spread::of(took))
    }

    async fn sleepers(self, executions: usize, due: usize, clients: usize) -> Result<()> {
        let machine = self.machine(&machines::sleeper()).await?;
        let world = Arc::new(self);
        let measured = Run::begin(&world)?;
        let took = clients_of(clients, executions, |_| {
            let (world, machine) = (Arc::clone(&world), machine.clone());
            async move {
                let begun = Instant::now();
                world.start(&machine, &json!({ "until": "2099-01-01T00:00:00Z" })).await?;
                Ok(ms(begun.elapsed()))
            }
        })
        .await?;
        measured.end("asleep", executions, "execution", &Spread::of(took))?;
        say("asleep", &[("resident MiB", resident_mb(std::process::id())?.to_string())]);
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(10);
        let until = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let at = at.as_second() * 1000;
        let late = clients_of(due, due, |_| {
            let (world, machine, until) = (Arc::clone(&world), machine.clone(), until.clone());
            async move {
                let execution = world.start(&machine, &json!({ "until": until })).await?;
                let left = at - jiff::Timestamp::now().as_millisecond();
                tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap_or(0))).await;
                let described = world.ended(&execution, SOON).await?;
                let stopped: jiff::Timestamp = described["StopDate"].as_str().context("a time")?.parse()?;
                Ok(count(usize::try_from(stopped.as_millisecond() - at).unwrap_or(0)))
            }
        })
        .await?;
        let late = Spread::of(late);
        say(
            "woken",
            &[
                ("count", due.to_string()),
                ("late ms", late.show()),
                ("resident MiB", resident_mb(std::process::id())?.to_string()),
            ],
        );
        Ok(())
    }
}

/// Runs `total` pieces of work, `clients` at a time; answers with what each came to.
pub(crate) async fn clients_of<F, W>(clients: usize, total: usize, work: F) -> Result<Vec<f64>>
where
    F: Fn(usize) -> W,
    W: Future<Output = Result<f64>> + Send + 'static,
{
    let mut running = tokio::task::JoinSet::new();
    let mut all = Vec::with_capacity(total);
    for n in 0..total {
        if running.len() >= clients
            && let Some(done) = running.join_next().await
        {
            all.push(done??);
        }
        running.spawn(work(n));
    }
    while let Some(done) = running.join_next().await {
        all.push(done??);
    }
    Ok(all)
}

/// A load under way.
struct Run {
    fsyncs: Fsyncs,
    begun: Instant,
    cpu: f64,
}

impl Run {
    fn begin(world: &World) -> Result<Self> {
        Ok(Self { fsyncs: Fsyncs::beside(&world.folder), begun: Instant::now(), cpu: cpu_ms(std::process::id())? })
    }

    fn end(self, name: &str, done: usize, unit: &str, took: &Spread) -> Result<()> {
        let wall = self.begun.elapsed();
        let cpu = cpu_ms(std::process::id())? - self.cpu;
        let fsync = self.fsyncs.end()?;
        say(
            name,
            &[
                ("done", done.to_string()),
                ("per second", format!("{:.0}", count(done) / wall.as_secs_f64())),
                (&format!("cpu us per {unit}"), format!("{:.1}", cpu * 1000.0 / count(done))),
                ("start ms", took.show()),
                ("fsync ms", fsync.show()),
            ],
        );
        Ok(())
    }
}
