//! Templates of our runtime in Python: one for each runtime and environment, started when code is made ready or found none, gone when
//! nothing was forked from it for a while. While it is there some environments stand by, forked already, for the next functions that
//! want nothing unusual. A function whose own modules or variables would have changed what a template has loaded
//! starts by itself, as every function does on a machine without namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use compute::budget::{Budget, Class, Permit};
use compute::pyenv::PyEnv;
use compute::sandbox::template::Template;
use compute::sandbox::{Child, Command, Spare};
use tokio::sync::Notify;

use super::environment::{self, Blueprint, Kind};

/// What one takes, about, in memory that is not its functions', with what stands by.
const MEMORY_MB: usize = 100;
/// Environments that stand by: a second one for who comes while the first is replaced.
const SPARES: usize = 2;
/// Where a function's own folders come.
const PLACES: [&str; 2] = ["/var/task", "/opt"];
/// After a start that failed.
const PAUSE: Duration = Duration::from_mins(5);
/// Variables that the interpreter, its libraries or botocore read before a template forks.
const READ_AT_START: [&str; 9] =
    ["PYTHON", "LD_", "MALLOC_", "GLIBC_TUNABLES", "LC_", "LANG", "OPENSSL_", "BOTO_", "AWS_EC2_METADATA"];

/// What decides whether a function may come of a template.
#[derive(Clone, Debug)]
pub(crate) struct Forks {
    /// The environment that templates are made of; the function's own holds the same and more.
    pub(crate) base: PyEnv,
    /// What of the function's own may be imported.
    pub(crate) own: BTreeSet<String>,
}

pub(crate) struct Templates(Arc<Shared>);

struct Shared {
    budget: Budget,
    idle: Duration,
    /// Folders of the host that every function may read.
    read: Vec<PathBuf>,
    all: Mutex<BTreeMap<String, Entry>>,
}

enum Entry {
    Starting,
    Failed(Instant),
    There(Arc<There>),
}

/// One that can be forked.
pub(crate) struct There {
    template: Template,
    /// One environment of its own is like this.
    alike: Command,
    spares: Mutex<Vec<Spare>>,
    /// Told when one may be missing.
    missing: Notify,
    used: Mutex<Instant>,
    _permit: Permit,
}

/// Until this is dropped nothing takes the machine's time from a start to replace what it has taken.
pub(crate) struct Start(Arc<There>);

impl Drop for Start {
    fn drop(&mut self) {
        self.0.missing.notify_one();
    }
}

impl Templates {
    /// Without a time there are none.
    pub(crate) fn new(budget: Budget, idle: Duration, read: Vec<PathBuf>) -> Self {
        Self(Arc::new(Shared { budget, idle, read, all: Mutex::default() }))
    }

    /// One that this environment may be forked from. Where there is none yet one is started for who comes next.
    pub(crate) fn find(&self, blueprint: &Blueprint) -> Option<Arc<There>> {
        let Kind::Python { runtimes, forks: Some(forks), .. } = &blueprint.kind else { return None };
        if blueprint.variables.keys().any(|name| READ_AT_START.iter().any(|start| name.starts_with(start))) {
            return None;
        }
        let there = self.get(&blueprint.runtime, forks, runtimes)?;
        if there.template.modules.iter().any(|module| forks.own.contains(module)) {
            return None;
        }
        *there.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Some(there)
    }

    /// Starts one for functions of this kind, if there is none.
    pub(crate) fn warm(&self, runtime: &str, kind: &Kind) {
        if let Kind::Python { runtimes, forks: Some(forks), .. } = kind {
            self.get(runtime, forks, runtimes);
        }
    }

    fn get(&self, runtime: &str, forks: &Forks, runtimes: &Path) -> Option<Arc<There>> {
        if self.0.idle.is_zero() {
            return None;
        }
        let key = format!("{runtime} {}", forks.base.root.display());
        let mut all = self.0.all();
        match all.get(&key) {
            Some(Entry::There(there)) if there.template.is_alive() => return Some(Arc::clone(there)),
            Some(Entry::Starting) => return None,
            Some(Entry::Failed(at)) if at.elapsed() < PAUSE => return None,
            _ => all.insert(key.clone(), Entry::Starting),
        };
        drop(all);
        let command = command(runtime, &forks.base, runtimes);
        let alike = self.0.alike(&forks.base, runtimes);
        tokio::spawn(Arc::clone(&self.0).keep(key, command, alike));
        None
    }
}

impl Shared {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an environment is that stands by, but for the folders of a function's own.
    fn alike(&self, env: &PyEnv, runtimes: &Path) -> Command {
        let mut command = environment::python(env, runtimes, Some);
        environment::limit(&mut command, environment::LEAST_MB);
        for path in &self.read {
            command.read_only(path);
        }
        for place in PLACES {
            // The loader of libraries remembers which folders there are.
            command.show(runtimes.join("nothing"), place);
        }
        command.temporary_mb(environment::STORAGE_MB);
        command
    }

    /// Starts one and lets it go when it was idle, or when its place is needed.
    async fn keep(self: Arc<Self>, key: String, command: Command, alike: Command) {
        let permit = self.budget.acquire(Class::Leaf, MEMORY_MB).await;
        if !compute::sandbox::is_isolated().await {
            return; // Starting for good: there is nothing to try.
        }
        let there = Template::start(&command).await;
        let there = match there {
            Ok(template) => Arc::new(There {
                template,
                alike,
                spares: Mutex::default(),
                missing: Notify::new(),
                used: Mutex::new(Instant::now()),
                _permit: permit,
            }),
            Err(error) => {
                tracing::warn!(%error, "functions start without a template");
                self.all().insert(key, Entry::Failed(Instant::now()));
                return;
            }
        };
        self.all().insert(key.clone(), Entry::There(Arc::clone(&there)));
        let mut stands_by = there.fill().await;
        loop {
            let used = *there.used.lock().unwrap_or_else(PoisonError::into_inner);
            let left = self.idle.saturating_sub(used.elapsed());
            if left.is_zero() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = there.missing.notified(), if stands_by => stands_by = there.fill().await,
                () = self.budget.contended(Class::Leaf) => break,
            }
        }
        there.spares().clear();
        let mut all = self.all();
        // Another may have taken its place, when it was found dead.
        if matches!(all.get(&key), Some(Entry::There(other)) if Arc::ptr_eq(other, &there)) {
            all.remove(&key);
        }
    }
}

impl There {
    /// A fork of it, one that stands by if there is one for this; and what it has of memory from its start.
    pub(super) async fn start(self: &Arc<Self>, command: &Command) -> Result<(Child, u64, Start), compute::Error> {
        if let Some(spare) = self.take(command) {
            let loaded_mb = spare.loaded_mb;
            match spare.become_unit(command).await {
                Ok(child) => return Ok((child, loaded_mb, Start(Arc::clone(self)))),
                Err(error) => tracing::warn!(%error, "a function starts without what stood by"),
            }
        }
        let child = command.spawn_from(&self.template).await?;
        Ok((child, self.template.loaded_mb, Start(Arc::clone(self))))
    }

    fn take(&self, command: &Command) -> Option<Spare> {
        let mut spares = self.spares();
        spares.retain_mut(Spare::is_alive);
        let at = spares.iter().position(|spare| spare.fits(command))?;
        Some(spares.remove(at))
    }

    /// Has environments stand by until there are enough; false where the machine allows none.
    async fn fill(&self) -> bool {
        while self.spares().len() < SPARES {
            match Spare::start(&self.template, &self.alike, &PLACES.map(Path::new)).await {
                Ok(spare) => self.spares().push(spare),
                Err(error) => {
                    tracing::debug!(%error, "no environment stands by");
                    return false;
                }
            }
        }
        true
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As a function's own start, without anything of a function's.
fn command(runtime: &str, env: &PyEnv, runtimes: &Path) -> Command {
    let mut command = Command::new("/var/lang/bin/python");
    command.args(["-s", "-u", "/var/runtime/bootstrap.py"]).show(&env.root, "/var/lang");
    for program in ["bootstrap.py", "template.py"] {
        command.show(runtimes.join(program), Path::new("/var/runtime").join(program));
    }
    for path in &env.read_paths {
        command.read_only(path);
    }
    // The loader of libraries remembers which folders there are.
    for place in ["/var/task", "/opt"] {
        command.show(runtimes.join("nothing"), place);
    }
    for (name, value) in [
        ("HOME", "/tmp"),
        ("TZ", ":UTC"),
        ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("LD_LIBRARY_PATH", "/var/task:/var/task/lib:/opt/lib"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        command.env(name, value);
    }
    command.env("AWS_EXECUTION_ENV", format!("AWS_Lambda_{runtime}"));
    command
}
