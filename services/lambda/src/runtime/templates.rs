//! Templates of our runtime in Python: one for each runtime and environment, started when code is made ready or found none, gone when
//! nothing was forked from it for a while. A function whose own modules or variables would have changed what a template has loaded
//! starts by itself, as every function does on a machine without namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use compute::budget::{Budget, Class, Permit};
use compute::pyenv::PyEnv;
use compute::sandbox::Command;
use compute::sandbox::template::Template;

use super::environment::{Blueprint, Kind};

/// What one takes, about, in memory that is not its forks'.
const MEMORY_MB: usize = 80;
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
    all: Mutex<BTreeMap<String, Entry>>,
}

enum Entry {
    Starting,
    Failed(Instant),
    There(Arc<There>),
}

/// One that can be forked.
pub(crate) struct There {
    pub(super) template: Template,
    used: Mutex<Instant>,
    _permit: Permit,
}

impl Templates {
    /// Without a time there are none.
    pub(crate) fn new(budget: Budget, idle: Duration) -> Self {
        Self(Arc::new(Shared { budget, idle, all: Mutex::default() }))
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
        tokio::spawn(Arc::clone(&self.0).keep(key, command));
        None
    }
}

impl Shared {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one and lets it go when it was idle, or when its place is needed.
    async fn keep(self: Arc<Self>, key: String, command: Command) {
        let permit = self.budget.acquire(Class::Leaf, MEMORY_MB).await;
        if !compute::sandbox::is_isolated().await {
            return; // Starting for good: there is nothing to try.
        }
        let there = Template::start(&command).await;
        let there = match there {
            Ok(template) => Arc::new(There { template, used: Mutex::new(Instant::now()), _permit: permit }),
            Err(error) => {
                tracing::warn!(%error, "functions start without a template");
                self.all().insert(key, Entry::Failed(Instant::now()));
                return;
            }
        };
        self.all().insert(key.clone(), Entry::There(Arc::clone(&there)));
        loop {
            let used = *there.used.lock().unwrap_or_else(PoisonError::into_inner);
            let left = self.idle.saturating_sub(used.elapsed());
            if left.is_zero() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = self.budget.contended(Class::Leaf) => break,
            }
        }
        let mut all = self.all();
        // Another may have taken its place, when it was found dead.
        if matches!(all.get(&key), Some(Entry::There(other)) if Arc::ptr_eq(other, &there)) {
            all.remove(&key);
        }
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
