//! The archive of classes that Apache Spark's JVM maps at its start (`runtimes/spark/lakerun_spark/classes.py`): made once for each
//! environment and all data folders of this user, beside the first run that could have used it. A run never waits for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::budget::{Budget, Class};
use crate::once;
use crate::pyenv::{PyEnv, why};
use crate::sandbox::{Capture, Command};

/// How long it may take: it is made beside other work.
const PATIENCE: Duration = Duration::from_mins(15);
/// Of its JVM and Python.
const MEMORY_MB: usize = 2048;

/// What it is made of.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) env: PyEnv,
    pub(super) runtime: PathBuf,
    pub(super) jars: PathBuf,
}

/// The folder that holds it, where it is there; where not, it is begun, once in this process.
pub(super) fn find(cache: &Path, parts: &Parts, budget: &Budget, begun: &AtomicBool) -> Option<PathBuf> {
    let folder = cache.join(format!("classes-{}", &hex::encode(Sha256::digest(parts.name()))[..16]));
    if folder.exists() {
        return Some(folder);
    }
    if !begun.swap(true, Ordering::Relaxed) {
        let (parts, budget) = (parts.clone(), budget.clone());
        tokio::spawn(async move {
            let _permit = budget.acquire(Class::User, MEMORY_MB).await;
            if let Err(error) = parts.make(&folder).await {
                tracing::warn!(%error, "Apache Spark starts without an archive of its classes");
            }
        });
    }
    None
}

impl Parts {
    /// Of an environment that was made again the jars are others, by their times.
    fn name(&self) -> String {
        let made = fs::metadata(&self.env.root).and_then(|found| found.modified()).ok();
        let made = made.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default().as_nanos();
        format!("{} {made} {}", self.env.root.display(), self.jars.display())
    }

    async fn make(&self, folder: &Path) -> Result<(), Error> {
        let Some(claim) = once::claim(folder, folder).await? else { return Ok(()) };
        let partial = &claim.partial;
        let mut command = Command::new(&self.env.python);
        command.as_server().args(["-m", "lakerun_spark.classes"]).args([partial]).folder(partial);
        command.read_only(&self.runtime).read_only(&self.jars).read_write(partial).merged();
        command.env("PYTHONPATH", &self.runtime).env("LAKERUN_SPARK_JARS", &self.jars).env("TZ", "UTC");
        for path in &self.env.read_paths {
            command.read_only(path);
        }
        let output = command.output(Capture { bytes: 16 << 10 }, Some(PATIENCE)).await?;
        if !output.exit.success() {
            let said: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
            return Err(Error::Environment(why(&said)));
        }
        claim.keep().await
    }
}
