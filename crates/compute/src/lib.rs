//! Child processes: everything a user's code or a heavy query runs in. Nothing of it runs inside the server.
//!
//! | module | what it gives |
//! |---|---|
//! | [`sandbox`] | [`sandbox::Command`]: processes of its own that die with the server, see only the listed folders, within limits |
//! | [`budget`] | [`budget::Budget`]: one admission budget (processes, memory) with fair waiting |
//! | [`pool`] | [`pool::Pool`]: processes kept warm for those who come next, by what they are alike in |
//! | [`nodes`] | other machines that run work for this one |
//! | [`node`] | Node.js of a version, and packages of npm |
//! | [`pyenv`] | [`pyenv::PythonEnvs`]: virtual environments from a requirements text, built once, kept by content |
//! | [`worker`] | [`worker::Workers`]: warm `lakerun worker KIND` children that answer JSON lines; [`worker::serve`] is their side |
//!
//! # How a service uses it
//!
//! ```ignore
//! // One per server, made by `server`, cheap to clone:
//! let compute = compute::Compute::new(compute::Settings::new(scratch_folder))?;
//!
//! // A worker: `lakerun worker query` gets one JSON request a line and answers one. Dropping the future kills the child.
//! let limits = worker::Limits::new().memory_mb(1024).timeout(Duration::from_secs(300)).read_only("/a/folder");
//! let (reply, used) = compute.workers.call("query", &|at| json!({ "sql": …, "credentials": … }), limits).await?;
//! // Err(Error::Failed { code, message }) is what the worker's own handler returned.
//!
//! // In the worker's process (server/src/worker.rs):
//! compute::worker::serve(|request: Value| Box::pin(async move { Ok(…) })).await
//!
//! // A Python environment, then a process in it:
//! let env = compute.envs.ensure("boto3==1.40.0\n", &|line| tracing::info!("{line}")).await?;
//! let _permit = compute.budget.acquire(budget::Class::User, 512).await;
//! let mut command = sandbox::Command::new(&env.python);
//! command.arg("job.py").env("AWS_REGION", "us-east-1").read_only("/code").read_write("/scratch").memory_mb(512);
//! for path in &env.read_paths { command.read_only(path); }
//! let output = command.output(sandbox::Capture { bytes: 1 << 20 }, Some(Duration::from_secs(60))).await?;   // kills the whole group
//! ```
//!
//! Workers hold no long-lived rights: credentials of the attempt travel inside the request, the endpoint as `AWS_ENDPOINT_URL`
//! in their environment ([`Settings::env`]).

pub mod budget;
mod error;
pub mod node;
pub mod nodes;
mod once;
pub mod pool;
pub mod pyenv;
pub mod sandbox;
pub mod spark;
pub mod worker;

use std::path::PathBuf;
use std::time::Duration;

pub use error::Error;
pub use once::{age, touch, write_out};

/// What the server tells this crate once, at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder for temporary files of children; emptied at start.
    pub scratch: PathBuf,
    /// Where Python environments are kept; shared between data folders.
    pub env_cache: PathBuf,
    /// The interpreter environments are made from.
    pub python: PathBuf,
    /// Variables that every worker gets, such as `AWS_ENDPOINT_URL`.
    pub env: Vec<(String, String)>,
    /// How long an idle worker is kept.
    pub idle: Duration,
    /// Admission: processes and megabytes; `None` takes what the machine has.
    pub processes: Option<usize>,
    pub memory_mb: Option<usize>,
    /// What may run on any node may run on this one.
    pub works_here: bool,
    /// Other nodes that work for this one.
    pub nodes: nodes::Nodes,
}

impl Settings {
    /// Defaults: `LAKERUN_CACHE` or `~/.cache/lakerun`, `LAKERUN_PYTHON` or `python3`.
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        Self {
            scratch: scratch.into(),
            env_cache: pyenv::default_cache(),
            python: std::env::var_os("LAKERUN_PYTHON").map_or_else(|| "python3".into(), PathBuf::from),
            env: Vec::new(),
            idle: Duration::from_mins(1),
            processes: None,
            memory_mb: None,
            works_here: true,
            nodes: nodes::Nodes::default(),
        }
    }
}

/// The whole of it, made once and cloned.
#[derive(Clone)]
pub struct Compute {
    pub budget: budget::Budget,
    pub envs: pyenv::PythonEnvs,
    pub workers: worker::Workers,
}

impl Compute {
    /// Does no I/O beyond making the scratch folder: Python is looked for at the first need.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        sandbox::reap(&settings.scratch);
        sandbox::empty_folder(&settings.scratch)?;
        let budget = budget::Budget::among(settings.processes, settings.memory_mb, settings.works_here, settings.nodes);
        let envs = pyenv::PythonEnvs::new(settings.env_cache, settings.python);
        let workers = worker::Workers::new(worker::Config {
            exe: None,
            env: settings.env,
            scratch: settings.scratch.join("workers"),
            idle: settings.idle,
            budget: budget.clone(),
            envs: envs.clone(),
        });
        Ok(Self { budget, envs, workers })
    }
}
