//! A process with a JVM that stands by for the next run on Apache Spark (`runtimes/spark/lakerun_spark/standby.py`): begun in a sandbox and
//! folder of its own when such a run has ended, handed to one run, gone when none came for a while or its memory is wanted. It has no
//! keys and has run nothing of a user's; keys come with the run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::mpsc;

use super::{Engine, Job, Prepared, Spark};
use crate::Error;
use crate::budget::{Class, Permit};
use crate::sandbox::{Child, machine_memory_mb};

/// What one takes, about.
const MEMORY_MB: usize = 512;
/// A machine that has less keeps no JVM between runs.
const LEAST_MB: usize = 12_000;
/// After a start that failed.
const PAUSE: Duration = Duration::from_mins(5);
/// As `standby.py` says it.
const READY: &str = "lakerun: standing by";
const LONGEST_START: Duration = Duration::from_mins(2);

#[derive(Clone, Default)]
pub(super) struct Standby(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    None,
    Starting,
    Failed(Instant),
    There(Box<Standing>),
}

/// One that stands by.
pub(super) struct Standing {
    shape: Shape,
    turn: Instant,
    pub(super) child: Child,
    pub(super) output: BufReader<ChildStdout>,
    pub(super) prepared: Prepared,
    _permit: Permit,
}

/// What must be alike of the run that it stands by for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    memory_mb: u64,
    parallelism: usize,
}

impl Shape {
    /// None: nothing can stand by for such a run.
    fn of(job: &Job) -> Option<Self> {
        let plain =
            job.engine == Engine::Spark && job.kind != "pythonshell" && job.modules.is_empty() && job.cluster.is_none();
        plain.then_some(Self { memory_mb: job.memory_mb, parallelism: job.parallelism })
    }
}

impl Standby {
    /// The one that stands by, if it fits the run: it is this run's.
    pub(super) fn take(&self, job: &Job) -> Option<Box<Standing>> {
        let shape = Shape::of(job)?;
        let mut state = self.state();
        match &mut *state {
            State::There(standing) if standing.shape == shape => {}
            _ => return None,
        }
        let State::There(mut standing) = std::mem::take(&mut *state) else { return None };
        (!standing.child.has_ended()).then_some(standing)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// Gives it the run. An error: it is gone, and the run starts by itself.
    pub(super) async fn begin(&mut self, job: &Job, words: &[&str]) -> Result<(), Error> {
        let mut env: serde_json::Map<_, _> = job.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        env.insert("LAKERUN_ENGINE".to_owned(), json!(job.engine.name()));
        if let Some(state) = &job.bookmark {
            let bookmark = self.prepared.bookmark();
            std::fs::write(&bookmark, state).map_err(Error::io("writing a job's bookmark"))?;
            env.insert("LAKERUN_BOOKMARK".to_owned(), json!(bookmark));
        }
        let mut order = json!({ "env": env, "command": words }).to_string();
        order.push('\n');
        let mut input =
            self.child.stdin.take().ok_or_else(|| Error::io("a standby")(std::io::ErrorKind::BrokenPipe.into()))?;
        input.write_all(order.as_bytes()).await.map_err(Error::io("giving a run to a standby"))?;
        input.flush().await.map_err(Error::io("giving a run to a standby"))
    }
}

impl Spark {
    /// Has one stand by for runs like this one, if there is none.
    pub(super) fn stand_by(&self, job: &Job) {
        let Some(shape) = Shape::of(job).filter(|_| !self.0.idle.is_zero() && machine_memory_mb() >= LEAST_MB) else {
            return;
        };
        let mut state = self.0.standby.state();
        match &*state {
            State::Starting => return,
            State::Failed(at) if at.elapsed() < PAUSE => return,
            State::There(standing) if standing.shape == shape => return,
            // One for other runs makes room.
            _ => *state = State::Starting,
        }
        drop(state);
        let job = Job { script: String::new(), arguments: Vec::new(), env: Vec::new(), bookmark: None, ..job.clone() };
        let spark = self.clone();
        tokio::spawn(async move { spark.keep(job, shape).await });
    }

    async fn keep(self, job: Job, shape: Shape) {
        let standby = self.0.standby.clone();
        let turn = Instant::now();
        match tokio::time::timeout(LONGEST_START, self.start_standby(job, shape, turn)).await {
            Ok(Ok(standing)) => *standby.state() = State::There(Box::new(standing)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no JVM stands by");
                *standby.state() = State::Failed(Instant::now());
                return;
            }
            Err(_) => {
                tracing::warn!("no JVM stands by: it took too long");
                *standby.state() = State::Failed(Instant::now());
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(self.0.idle) => {}
            () = self.0.budget.contended(Class::User) => {}
        }
        let mut state = standby.state();
        if matches!(&*state, State::There(standing) if standing.turn == turn) {
            *state = State::None;
        }
    }

    async fn start_standby(&self, job: Job, shape: Shape, turn: Instant) -> Result<Standing, Error> {
        let permit = self.0.budget.acquire(Class::User, MEMORY_MB).await;
        // Environment and jars are there since the run before.
        let (lines, _) = mpsc::channel(16);
        let mut prepared = self.prepared(&job, &lines).await?;
        prepared.command.args(["-m", "lakerun_spark.standby"]).stdin();
        let mut child = prepared.command.spawn().await?;
        let mut output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        (&mut output).take(4096).read_line(&mut line).await.map_err(Error::io("waiting for a standby"))?;
        if line.trim_end() != READY {
            let mut said = String::new();
            if let Some(errors) = child.stderr.take() {
                child.group().kill();
                let _ = errors.take(4096).read_to_string(&mut said).await;
            }
            return Err(Error::Crashed { status: "a standby did not start".to_owned(), detail: said });
        }
        Ok(Standing { shape, turn, child, output, prepared, _permit: permit })
    }
}
