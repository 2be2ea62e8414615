//! Apache Spark that is elsewhere: a cluster whose driver a job's process is, or a Spark Connect server whose client it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pyenv::PyEnv;
use crate::sandbox::{Capture, Command};

/// How long a server may take to end what a run's session does.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is asked to, and after which pause again: once, twice, … as long.
const ATTEMPTS: u32 = 5;
const AGAIN: Duration = Duration::from_secs(2);

/// Where a job's executors work, and what it may have there. As `lakerun_spark.cluster` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// As `spark.master` takes it, or `sc://HOST:PORT` of a Spark Connect server.
    pub at: String,
    /// The interpreter of its machines; none: what they have in their `PATH`.
    pub python: Option<String>,
    /// Where its machines reach this server; none: where the job does.
    pub endpoint: Option<String>,
    /// The folder of its settings (`HADOOP_CONF_DIR`).
    pub config_folder: Option<PathBuf>,
    /// What `spark.` settings it needs beside those that all jobs have.
    pub conf: BTreeMap<String, String>,
    /// The run's session at a Spark Connect server, a UUID.
    pub session: String,
    pub executors: usize,
    pub executor_cores: usize,
    pub executor_memory_mb: u64,
}

impl Cluster {
    pub(super) fn tell(&self, command: &mut Command) {
        let text = serde_json::to_string(self).expect("texts and numbers");
        command.env("LAKERUN_SPARK_CLUSTER", text);
        if let Some(folder) = &self.config_folder {
            command.read_only(folder);
        }
    }
}

/// A run's session at a Spark Connect server. A server goes on with what a client asked for that is no more: once this is dropped, as
/// when the run ended, was stopped or took too long, it is asked to end it.
pub(super) struct Session {
    pub(super) cluster: Cluster,
    pub(super) env: PyEnv,
    pub(super) runtime: PathBuf,
}

impl Session {
    /// One attempt; why it failed, where it did.
    async fn interrupt(cluster: &Cluster, env: &PyEnv, runtime: &Path) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = Command::new(&env.python);
        command.mount(folder.path(), "/dev/shm");
        command.args(["-m", "lakerun_spark.cluster"]).read_only(runtime).env("PYTHONPATH", runtime).merged();
        for path in &env.read_paths {
            command.read_only(path);
        }
        cluster.tell(&mut command);
        let output = command.output(Capture { bytes: 16 << 10 }, Some(PATIENCE)).await;
        let output = output.map_err(|error| error.to_string())?;
        if output.exit.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stdout);
        Err(said.lines().last().unwrap_or("it said nothing").to_owned())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (cluster, env, runtime) = (self.cluster.clone(), self.env.clone(), self.runtime.clone());
        tokio::spawn(async move {
            // A server that is busy or away for a moment would go on for minutes before it misses the client.
            for attempt in 1..=ATTEMPTS {
                let Err(error) = Self::interrupt(&cluster, &env, &runtime).await else { return };
                tracing::warn!(
                    error,
                    attempt,
                    "a run's session at the Spark Connect server could not be ended; trying again"
                );
                tokio::time::sleep(AGAIN * attempt).await;
            }
        });
    }
}
