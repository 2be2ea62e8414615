//! The template of jobs on Sail (`runtimes/spark/lakerun_spark/warm.py`): one process that has loaded what each of them loads, begun beside
//! the first that could have used it, gone when no job came for a while or its memory is wanted. A job whose own modules could stand in
//! the place of what is loaded starts by itself, as all do on a machine without namespaces.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Job;
use crate::budget::{Budget, Class, Permit};
use crate::pyenv::PyEnv;
use crate::sandbox::template::Template;
use crate::sandbox::{self, Command, machine_memory_mb};

/// What one takes, about.
const MEMORY_MB: usize = 256;
/// A machine that has less keeps nothing between jobs.
const LEAST_MB: usize = 6000;
/// After a start that failed.
const PAUSE: Duration = Duration::from_mins(5);
/// Arguments that bring modules of the job's own.
const MODULES: [&str; 3] = ["--extra-py-files", "--extra-files", "--additional-python-modules"];

#[derive(Clone)]
pub(super) struct Warm {
    state: Arc<Mutex<State>>,
    idle: Duration,
}

#[derive(Default)]
enum State {
    #[default]
    None,
    Starting,
    Failed(Instant),
    There(Arc<There>),
}

pub(super) struct There {
    pub(super) template: Template,
    root: std::path::PathBuf,
    used: Mutex<Instant>,
    _permit: Permit,
}

impl Warm {
    /// One that stays without jobs for so long; without a time there is none.
    pub(super) fn new(idle: Duration) -> Self {
        Self { state: Arc::default(), idle }
    }

    /// One that this job may be forked from. Where there is none yet one is started for who comes next.
    pub(super) fn find(&self, job: &Job, env: &PyEnv, runtime: &Path, budget: &Budget) -> Option<Arc<There>> {
        let given = |name: &str| job.arguments.iter().any(|argument| argument == name);
        if self.idle.is_zero() || machine_memory_mb() < LEAST_MB || MODULES.iter().any(|name| given(name)) {
            return None;
        }
        let there = self.get(env, runtime, budget)?;
        let script = Path::new(&job.script).file_stem().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        if there.root != env.root || there.template.modules.contains(script) {
            return None;
        }
        *there.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Some(there)
    }

    fn get(&self, env: &PyEnv, runtime: &Path, budget: &Budget) -> Option<Arc<There>> {
        let mut state = self.state();
        match &*state {
            State::There(there) if there.template.is_alive() => return Some(Arc::clone(there)),
            State::Starting => return None,
            State::Failed(at) if at.elapsed() < PAUSE => return None,
            _ => *state = State::Starting,
        }
        drop(state);
        tokio::spawn(self.clone().keep(env.clone(), runtime.to_owned(), budget.clone()));
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one and lets it go when it was idle, or when its place is needed.
    async fn keep(self, env: PyEnv, runtime: std::path::PathBuf, budget: Budget) {
        if !sandbox::is_isolated().await {
            return; // Starting for good: there is nothing to try.
        }
        let permit = budget.acquire(Class::User, MEMORY_MB).await;
        let there = match Template::start(&command(&env, &runtime)).await {
            Ok(template) => {
                Arc::new(There { template, root: env.root, used: Mutex::new(Instant::now()), _permit: permit })
            }
            Err(error) => {
                tracing::warn!(%error, "jobs start without a template");
                *self.state() = State::Failed(Instant::now());
                return;
            }
        };
        *self.state() = State::There(Arc::clone(&there));
        loop {
            let used = *there.used.lock().unwrap_or_else(PoisonError::into_inner);
            let left = self.idle.saturating_sub(used.elapsed());
            if left.is_zero() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = budget.contended(Class::User) => break,
            }
        }
        let mut state = self.state();
        // Another may have taken its place, when it was found dead.
        if matches!(&*state, State::There(other) if Arc::ptr_eq(other, &there)) {
            *state = State::None;
        }
    }
}

/// As a job's own start, without anything of a job's.
fn command(env: &PyEnv, runtime: &Path) -> Command {
    let mut command = Command::new(&env.python);
    command.args(["-m", "lakerun_spark.warm"]).read_only(runtime);
    for path in &env.read_paths {
        command.read_only(path);
    }
    command
        .env("PYTHONPATH", runtime)
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TZ", "UTC")
        .env("HOME", "/tmp")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}
