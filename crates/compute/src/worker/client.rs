//! The server's side: a pool of warm workers.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use super::server::{Reply, Request};
use super::{At, Limits, SITE_PACKAGES};
use crate::Error;
use crate::budget::{Budget, Class, Permit};
use crate::nodes::OPENINGS;
use crate::nodes::offer::{WORKER, WorkerAnswer, WorkerCall};
use crate::pyenv::PythonEnvs;
use crate::sandbox::{Child, Command, Meter, Used};

/// An answer past this is taken for a worker gone wild.
const MAX_ANSWER_BYTES: u64 = 256 << 20;
const STDERR_BYTES: usize = 8 << 10;

#[derive(Clone)]
pub struct Config {
    /// The program to run as `PROGRAM worker KIND`; `None` is the server's own.
    pub exe: Option<PathBuf>,
    pub env: Vec<(String, String)>,
    /// Each worker gets a folder for temporary files in here.
    pub scratch: PathBuf,
    pub idle: Duration,
    pub budget: Budget,
    /// Of what [`Limits::python`] asks for.
    pub envs: PythonEnvs,
}

/// A request, by where it is worked on.
pub type Asks<'a> = &'a (dyn Fn(At<'_>) -> Value + Send + Sync);

/// Pools of workers by kind. Cheap to clone.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

/// Does the work of workers in another way: the simulation's.
#[async_trait]
pub trait Work: Send + Sync {
    async fn call(&self, kind: &str, request: Value) -> Result<Value, Error>;
    /// Runs a script as [`crate::spark`] does.
    async fn script(&self, job: &crate::spark::Job) -> Result<crate::spark::ScriptEnd, Error>;
}

struct Shared {
    config: Config,
    elsewhere: Option<Arc<dyn Work>>,
    next: AtomicU64,
    idle: Mutex<BTreeMap<String, Vec<Worker>>>,
}

impl Workers {
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Shared { config, elsewhere: None, next: AtomicU64::new(0), idle: Mutex::default() }))
    }

    /// Workers that are not children of this process.
    pub fn elsewhere(config: Config, work: Arc<dyn Work>) -> Self {
        Self(Arc::new(Shared { config, elsewhere: Some(work), next: AtomicU64::new(0), idle: Mutex::default() }))
    }

    pub(crate) fn work(&self) -> Option<&Arc<dyn Work>> {
        self.0.elsewhere.as_ref()
    }

    /// Sends a request to a worker of this kind, on whichever node has room, and waits for its answer, and for what it took. Dropping
    /// the future kills the worker. After [`Error::NodeLost`] another call may do better.
    pub async fn call(&self, kind: &str, asks: Asks<'_>, limits: Limits) -> (Result<Value, Error>, Used) {
        if let Some(work) = &self.0.elsewhere {
            return (work.call(kind, asks(At::Here)).await, Used::default());
        }
        let mut used = Used::default();
        (self.place(kind, asks, limits, &mut used).await, used)
    }

    /// The same on this machine.
    pub(crate) async fn call_here(&self, kind: &str, request: Value, limits: Limits) -> (Result<Value, Error>, Used) {
        let mut used = Used::default();
        let pool = limits.pool(kind);
        let worker = match self.take(&pool) {
            Some(worker) => Ok(worker),
            None => self.start(kind, &limits, self.permit(&limits).await).await,
        };
        let answer = match worker {
            Ok(worker) => self.ask(worker, pool, request, &limits, &mut used).await,
            Err(error) => Err(error),
        };
        (answer, used)
    }

    async fn permit(&self, limits: &Limits) -> Permit {
        self.0.config.budget.acquire(Class::Leaf, limits.megabytes()).await
    }

    async fn place(&self, kind: &str, asks: Asks<'_>, limits: Limits, used: &mut Used) -> Result<Value, Error> {
        let pool = limits.pool(kind);
        if let Some(worker) = self.take(&pool) {
            return self.ask(worker, pool, asks(At::Here), &limits, used).await;
        }
        let budget = &self.0.config.budget;
        let mut failed = 1;
        loop {
            let permit = budget.place(Class::Leaf, limits.megabytes()).await;
            let Some(node) = permit.node().cloned() else {
                let worker = self.start(kind, &limits, permit).await?;
                return self.ask(worker, pool, asks(At::Here), &limits, used).await;
            };
            let endpoint = budget.nodes().endpoint(&node);
            let request = asks(At::Node { endpoint: &endpoint });
            let limits = limits.clone().env("AWS_ENDPOINT_URL", endpoint);
            let call = WorkerCall { kind: kind.to_owned(), request, limits };
            let call = serde_json::to_value(&call).map_err(|error| Error::io("encoding a request")(error.into()))?;
            // Where one cannot be reached, another is chosen.
            let mut link = match budget.nodes().open(&node, WORKER, call).await {
                Ok(link) => link,
                Err(error) if failed >= OPENINGS => return Err(error),
                Err(_) => {
                    failed += 1;
                    continue;
                }
            };
            let answer = tokio::select! {
                answer = link.recv::<WorkerAnswer>() => answer.map_err(|_| Error::lost(&node))?,
                () = node.gone() => return Err(Error::lost(&node)),
            };
            *used = answer.used;
            return answer.answer.map_err(Error::from);
        }
    }

    async fn ask(
        &self,
        mut worker: Worker,
        pool: String,
        request: Value,
        limits: &Limits,
        used: &mut Used,
    ) -> Result<Value, Error> {
        let mut line =
            serde_json::to_vec(&Request { request }).map_err(|error| Error::io("encoding a request")(error.into()))?;
        line.push(b'\n');
        let meter = Meter::new(worker.child.group());
        let timeout = limits.timeout.unwrap_or(Duration::MAX);
        let answer = tokio::select! {
            answer = worker.ask(&line) => answer,
            () = meter.exceeds(Some(limits.memory_mb)) => Err(Error::OutOfMemory { limit_mb: limits.memory_mb }),
            () = tokio::time::sleep(timeout) => Err(Error::TimedOut(timeout)),
        };
        *used = meter.used();
        // Only one that answered is known to be in order.
        match answer? {
            Reply::Ok(value) => {
                self.keep(pool, worker);
                Ok(value)
            }
            Reply::Error(failure) => {
                self.keep(pool, worker);
                Err(Error::Failed { code: failure.code, message: failure.message })
            }
        }
    }

    fn take(&self, pool: &str) -> Option<Worker> {
        loop {
            let mut worker = self.idle().get_mut(pool)?.pop()?;
            if let Some(timer) = worker.timer.take() {
                timer.abort();
            }
            // The kernel ends idle ones first where memory runs out.
            if !worker.child.has_ended() {
                return Some(worker);
            }
        }
    }

    /// Puts a worker back, to be gone when it was idle for long or when somebody waits for its place.
    fn keep(&self, pool: String, mut worker: Worker) {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        worker.turn = turn;
        let (shared, budget, idle) = (Arc::downgrade(&self.0), self.0.config.budget.clone(), self.0.config.idle);
        // Under the lock: its time cannot be up before it is there.
        let mut pools = self.idle();
        let key = pool.clone();
        let timer = tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(idle) => {}
                () = budget.contended(Class::Leaf) => {}
            }
            let Some(shared) = shared.upgrade() else { return };
            let mut pools = shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(workers) = pools.get_mut(&key) {
                workers.retain(|worker| worker.turn != turn);
                if workers.is_empty() {
                    pools.remove(&key);
                }
            }
        });
        worker.timer = Some(timer.abort_handle());
        pools.entry(pool).or_default().push(worker);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Worker>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self, kind: &str, limits: &Limits, permit: Permit) -> Result<Worker, Error> {
        let config = &self.0.config;
        std::fs::create_dir_all(&config.scratch).map_err(Error::io(format!("making {}", config.scratch.display())))?;
        let scratch = tempfile::Builder::new()
            .prefix(kind)
            .tempdir_in(&config.scratch)
            .map_err(Error::io("making a scratch folder"))?;
        let mut command = config.exe.as_ref().map_or_else(Command::this_program, Command::new);
        command.args(["worker", kind]).stdin().memory_mb(limits.memory_mb);
        command
            .folder(scratch.path())
            .read_write(scratch.path())
            .env("TMPDIR", scratch.path())
            .env("HOME", scratch.path());
        for (name, value) in config.env.iter().chain(&limits.env) {
            command.env(name, value);
        }
        for path in &limits.read {
            command.read_only(path);
        }
        if let Some(requirements) = &limits.python {
            let env = config.envs.ensure(requirements, &|line| tracing::info!("{line}")).await?;
            command.env(SITE_PACKAGES, &env.site_packages);
            for path in &env.read_paths {
                command.read_only(path);
            }
        }
        let mut child = command.spawn().await?;
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let (stream, kept) = (child.stderr.take(), Arc::clone(&stderr));
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream.expect("standard error is piped"));
            let mut line = Vec::new();
            while let Ok(1..) = (&mut lines).take(STDERR_BYTES as u64).read_until(b'\n', &mut line).await {
                tracing::debug!(target: "worker", "{}", String::from_utf8_lossy(&line).trim_end());
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&line);
                let excess = kept.len().saturating_sub(STDERR_BYTES);
                kept.drain(..excess);
                line.clear();
            }
        });
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Ok(Worker { stdin, stdout, stderr, child, turn: 0, timer: None, _scratch: scratch, _permit: permit })
    }
}

impl Limits {
    fn megabytes(&self) -> usize {
        usize::try_from(self.memory_mb).unwrap_or(usize::MAX)
    }

    /// What workers that are alike have in common.
    fn pool(&self, kind: &str) -> String {
        format!("{kind} {} {:?} {:?} {:?}", self.memory_mb, self.read, self.env, self.python)
    }
}

struct Worker {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
    child: Child,
    turn: u64,
    /// Ends its idle stay.
    timer: Option<tokio::task::AbortHandle>,
    _scratch: tempfile::TempDir,
    _permit: Permit,
}

impl Worker {
    async fn ask(&mut self, request: &[u8]) -> Result<Reply, Error> {
        let mut answer = Vec::new();
        // A worker that is gone shows on reading: its own words are worth more than "broken pipe".
        if self.stdin.write_all(request).await.is_ok() {
            let _ = (&mut self.stdout).take(MAX_ANSWER_BYTES).read_until(b'\n', &mut answer).await;
        }
        if answer.last() == Some(&b'\n')
            && let Ok(reply) = serde_json::from_slice(&answer)
        {
            return Ok(reply);
        }
        // It closed its output: give it a moment to say how it ended.
        let status = match tokio::time::timeout(Duration::from_secs(2), self.child.wait()).await {
            Ok(exit) => exit?.to_string(),
            Err(_) => "it answered nonsense".to_owned(),
        };
        tokio::task::yield_now().await;
        let detail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).make_contiguous().to_vec();
        Err(Error::Crashed { status, detail: String::from_utf8_lossy(&detail).trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    /// A worker in shell: answers a number of its own, or crashes, hangs or fails as it is told.
    const WORKER: &str = r#"#!/bin/sh
number=$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')
while read -r line; do
  case "$line" in
    *crash*) echo "about to crash" >&2; kill -SEGV $$ ;;
    *hang*) sleep 1000 ;;
    *fail*) echo '{"error":{"code":"Bad","message":"no"}}' ;;
    *) echo "{\"ok\":$number}" ;;
  esac
done
"#;

    fn workers(folder: &std::path::Path, idle: Duration) -> Workers {
        let exe = folder.join("program");
        std::fs::write(&exe, WORKER).unwrap();
        std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).unwrap();
        let budget = Budget::new(Some(8), Some(6000));
        let envs = PythonEnvs::new(folder.join("envs"), "python3".into());
        Workers::new(Config { exe: Some(exe), env: vec![], scratch: folder.join("scratch"), idle, budget, envs })
    }

    #[tokio::test]
    async fn workers_are_reused_and_survive_failures() {
        let folder = tempfile::tempdir().unwrap();
        let workers = workers(folder.path(), Duration::from_mins(1));
        let limits = || Limits::new().memory_mb(64).timeout(Duration::from_secs(20));
        let first = workers.call("test", &|_| json!("pid"), limits()).await.0.unwrap();
        let failed = workers.call("test", &|_| json!("fail"), limits()).await.0.unwrap_err();
        assert!(matches!(failed, Error::Failed { ref code, .. } if code == "Bad"), "{failed}");
        assert_eq!(workers.call("test", &|_| json!("pid"), limits()).await.0.unwrap(), first);
        let crashed = workers.call("test", &|_| json!("crash"), limits()).await.0.unwrap_err();
        assert!(crashed.to_string().contains("segmentation fault"), "{crashed}");
        assert!(crashed.to_string().contains("about to crash"), "{crashed}");
        let hung =
            workers.call("test", &|_| json!("hang"), limits().timeout(Duration::from_millis(50))).await.0.unwrap_err();
        assert!(matches!(hung, Error::TimedOut(_)), "{hung}");
        assert_ne!(workers.call("test", &|_| json!("pid"), limits()).await.0.unwrap(), first);
    }

    #[tokio::test]
    async fn a_worker_that_died_while_it_was_idle_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let workers = workers(folder.path(), Duration::from_hours(1));
        let limits = || Limits::new().memory_mb(64);
        let first = workers.call("test", &|_| json!("pid"), limits()).await.0.unwrap();
        for worker in workers.idle().values_mut().flatten() {
            worker.child.group().kill();
        }
        let has_ended = || workers.idle().values_mut().flatten().all(|worker| worker.child.has_ended());
        while !has_ended() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let next = workers.call("test", &|_| json!("pid"), limits()).await.0.unwrap();
        assert_ne!(first, next);
    }

    #[tokio::test]
    async fn idle_workers_go() {
        let folder = tempfile::tempdir().unwrap();
        let workers = workers(folder.path(), Duration::from_millis(10));
        workers.call("test", &|_| json!("pid"), Limits::new().memory_mb(64)).await.0.unwrap();
        while !workers.idle().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
