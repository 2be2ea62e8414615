//! Glue's Spark jobs: a Python process of its own per run, holding the engine (Sail, or Apache Spark's JVM) and the script. The
//! Python side is `runtimes/spark`, embedded here and laid out on disk at the first need; what it needs from PyPI is an
//! environment of [`crate::pyenv`], one for each engine. Starting engine and script takes about a second on Sail, five on
//! Apache Spark.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::sync::{OnceCell, mpsc};

use crate::budget::{Budget, Class, Permit};
use crate::nodes::link::Link;
use crate::nodes::offer::{SCRIPT, Scripted};
use crate::nodes::{Node, OPENINGS};
use crate::pyenv::{PyEnv, PythonEnvs};
use crate::sandbox::{self, Command, Meter, Used, machine_memory_mb};
use crate::worker::Workers;
use crate::{Compute, Error};

mod archive;
mod elsewhere;
mod interactive;
mod jars;
mod standby;
mod warm;

pub use elsewhere::Cluster;
pub use interactive::Interaction;

/// What every job's environment holds.
pub const REQUIREMENTS: &str = include_str!("../../../runtimes/spark/requirements.txt");
/// The same for a job on Apache Spark.
pub const SPARK_REQUIREMENTS: &str = include_str!("../../../runtimes/spark/requirements-spark.txt");
/// The same for a job of a Spark Connect server.
pub const CONNECT_REQUIREMENTS: &str = include_str!("../../../runtimes/spark/requirements-connect.txt");
/// The jars that Apache Spark's wheel lacks.
const JARS: &str = include_str!("../../../runtimes/spark/jars.txt");

macro_rules! runtime {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../runtimes/spark/", $path)))),+]
    };
}

const RUNTIME: &[(&str, &str)] = runtime![
    "awsglue/__init__.py",
    "awsglue/bookmarks.py",
    "awsglue/context.py",
    "awsglue/dynamicframe.py",
    "awsglue/gluetypes.py",
    "awsglue/jdbc.py",
    "awsglue/job.py",
    "awsglue/sources.py",
    "awsglue/transforms/__init__.py",
    "awsglue/utils.py",
    "awsgluedq/__init__.py",
    "awsgluedq/transforms.py",
    "lakerun_spark/__init__.py",
    "lakerun_spark/classes.py",
    "lakerun_spark/classic.py",
    "lakerun_spark/cluster.py",
    "lakerun_spark/compat.py",
    "lakerun_spark/context.py",
    "lakerun_spark/decide.py",
    "lakerun_spark/files.py",
    "lakerun_spark/frames.py",
    "lakerun_spark/jars.py",
    "lakerun_spark/jsonlines.py",
    "lakerun_spark/launcher.py",
    "lakerun_spark/mend.py",
    "lakerun_spark/metastore.py",
    "lakerun_spark/proven.json",
    "lakerun_spark/repl.py",
    "lakerun_spark/results.py",
    "lakerun_spark/s3.py",
    "lakerun_spark/settings.py",
    "lakerun_spark/standby.py",
    "lakerun_spark/textfiles.py",
    "lakerun_spark/unresolved.py",
    "lakerun_spark/warm.py",
];
/// Where a template's program finds its forking side.
const TEMPLATE: (&str, &str) = ("lakerun_spark/template.py", sandbox::template::PROGRAM);
/// The longest line that is kept whole: an event of CloudWatch Logs.
const LINE_BYTES: u64 = 256 << 10;
/// What earlier runs have read, in a job's folder.
const BOOKMARK: &str = "bookmark.json";
/// How long output may stay open after the process's end.
const LINGER: Duration = Duration::from_secs(1);

/// Who runs a job's plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// Sail as far as its answers are proven to be Apache Spark's; at the first construct that is not, [`ScriptEnd::Moved`].
    #[default]
    Auto,
    Sail,
    /// Apache Spark, in a JVM from PyPI.
    Spark,
    /// The same as the driver of a cluster, whose executors do the work.
    Submit,
    /// A Spark Connect server.
    Connect,
}

impl Engine {
    /// As `--lakerun-engine` names it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "sail" => Some(Self::Sail),
            "spark" => Some(Self::Spark),
            "submit" => Some(Self::Submit),
            "connect" => Some(Self::Connect),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sail => "sail",
            Self::Spark => "spark",
            Self::Submit => "submit",
            Self::Connect => "connect",
        }
    }

    /// What its Python environment holds.
    fn requirements(self) -> &'static str {
        match self {
            Self::Auto | Self::Sail => REQUIREMENTS,
            Self::Spark | Self::Submit => SPARK_REQUIREMENTS,
            Self::Connect => CONNECT_REQUIREMENTS,
        }
    }
}

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub engine: Engine,
    /// `glueetl`, `gluestreaming` or `pythonshell`.
    pub kind: String,
    /// `s3://bucket/key` of the script.
    pub script: String,
    /// As the script finds them in `sys.argv`.
    pub arguments: Vec<String>,
    /// Credentials, endpoint, region.
    pub env: Vec<(String, String)>,
    /// Further lines for pip.
    pub modules: Vec<String>,
    /// What earlier runs have read, as JSON; none where the job keeps no bookmark.
    pub bookmark: Option<String>,
    pub memory_mb: u64,
    pub parallelism: usize,
    /// Where [`Engine::Submit`] and [`Engine::Connect`] find theirs.
    pub cluster: Option<Cluster>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stream {
    Output,
    Error,
    /// What is done before the script begins: environments, jars.
    Preparation,
}

/// How the script ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptEnd {
    Succeeded,
    /// It succeeded and committed this bookmark, JSON.
    Advanced(String),
    /// With Glue's ErrorMessage.
    Failed(String),
    /// It has to start over on Apache Spark, for this reason; what it wrote counts for nothing.
    Moved(String),
}

/// Runs jobs. Cheap to clone.
#[derive(Clone)]
pub struct Spark(Arc<Shared>);

struct Shared {
    scratch: PathBuf,
    envs: PythonEnvs,
    budget: Budget,
    workers: Workers,
    runtime: OnceCell<PathBuf>,
    /// Whether the archive of Apache Spark's classes has been begun here.
    archive: AtomicBool,
    warm: warm::Warm,
    standby: standby::Standby,
    idle: Duration,
}

#[derive(Deserialize)]
struct Report {
    error: Option<String>,
    moved: Option<String>,
    bookmark: Option<serde_json::Value>,
    #[serde(default)]
    quality: Vec<serde_json::Value>,
}

impl Spark {
    /// `scratch` is emptied: it holds the runtime and each run's folder. What stands by for the next run goes when none came for
    /// `idle`; without a time nothing does.
    pub fn new(scratch: impl Into<PathBuf>, compute: &Compute, idle: Duration) -> Self {
        Self(Arc::new(Shared {
            scratch: scratch.into(),
            envs: compute.envs.clone(),
            budget: compute.budget.clone(),
            workers: compute.workers.clone(),
            runtime: OnceCell::new(),
            archive: AtomicBool::new(false),
            warm: warm::Warm::new(idle),
            standby: standby::Standby::default(),
            idle,
        }))
    }

    /// Makes the Python environment ahead of the first job.
    pub async fn prepare(&self, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<(), Error> {
        self.0.envs.ensure(REQUIREMENTS, progress).await.map(drop)
    }

    /// Waits for a place on whichever node has room, and for the environment, calls `started`, runs the script to its end. What it
    /// prints goes to `lines`, a full channel holds it back; what it took goes to `used`. With the outcome come the results of data
    /// quality that the script publishes. Dropping the future kills the job.
    pub async fn run(
        &self,
        job: &Job,
        lines: mpsc::Sender<(Stream, String)>,
        started: impl Future<Output = ()> + Send,
        used: &mut Used,
    ) -> Result<(ScriptEnd, Vec<serde_json::Value>), Error> {
        let shared = &self.0;
        if let Some(work) = shared.workers.work() {
            started.await;
            return work.script(job).await.map(|outcome| (outcome, Vec::new()));
        }
        let mut failed = 1;
        loop {
            let permit = shared.budget.place(Class::User, job.promised_mb()).await;
            let Some(node) = permit.node().cloned() else {
                return self.run_with(permit, job, lines, started, used).await;
            };
            // Where one cannot be reached, another is chosen.
            match shared.budget.nodes().open(&node, SCRIPT, self.there(job, &node)?).await {
                Ok(link) => return follow(link, &node, lines, started, used).await,
                Err(error) if failed >= OPENINGS => return Err(error),
                Err(_) => failed += 1,
            }
        }
    }

    /// The same on this machine.
    pub(crate) async fn run_here(
        &self,
        job: &Job,
        lines: mpsc::Sender<(Stream, String)>,
        started: impl Future<Output = ()> + Send,
        used: &mut Used,
    ) -> Result<(ScriptEnd, Vec<serde_json::Value>), Error> {
        let permit = self.0.budget.acquire(Class::User, job.promised_mb()).await;
        self.run_with(permit, job, lines, started, used).await
    }

    /// A job as another node is told of it.
    fn there(&self, job: &Job, node: &Node) -> Result<serde_json::Value, Error> {
        let mut job = job.clone();
        for (_, value) in job.env.iter_mut().filter(|(name, _)| name == "AWS_ENDPOINT_URL") {
            *value = self.0.budget.nodes().endpoint(node);
        }
        serde_json::to_value(&job).map_err(|error| Error::io("encoding a job")(error.into()))
    }

    #[expect(clippy::too_many_lines, reason = "what a process is made of, in order")]
    /// A job's process as it is to be started, but for its program's arguments, and what it needs until its end.
    async fn prepared(&self, job: &Job, lines: &mpsc::Sender<(Stream, String)>) -> Result<Prepared, Error> {
        let shared = &self.0;
        let runtime = shared.runtime.get_or_try_init(|| async { lay_out(&shared.scratch) }).await?;
        let engine = if job.kind == "pythonshell" { Engine::Sail } else { job.engine };
        let cluster = job.cluster.as_ref().filter(|_| matches!(engine, Engine::Submit | Engine::Connect));
        let base = engine.requirements();
        let requirements = job.modules.iter().fold(base.to_owned(), |all, one| all + "\n" + one);
        let progress = |line: &str| {
            tracing::info!("{line}");
            // pip names the file that asks, which is the server's own.
            let line = line.split(" (from ").next().unwrap_or_default().trim();
            // Where the log does not keep up, a line is not waited for.
            let _ = lines.try_send((Stream::Preparation, line.to_owned()));
        };
        let env = shared.envs.ensure(&requirements, &progress).await?;
        let jars = if matches!(engine, Engine::Spark | Engine::Submit) {
            Some(jars::ensure(shared.envs.cache(), &env, runtime, JARS, &progress).await?)
        } else {
            None
        };
        let memory_mb = job.memory_mb.min(machine_memory_mb() as u64 / 5 * 3).max(1024);
        let folder = tempfile::Builder::new()
            .prefix("run")
            .tempdir_in(&shared.scratch)
            .map_err(Error::io("making a job's folder"))?;
        let [work, temporary, shared_memory] = ["work", "tmp", "shm"].map(|name| folder.path().join(name));
        for path in [&work, &temporary, &shared_memory] {
            std::fs::create_dir(path).map_err(Error::io("making a job's folder"))?;
        }
        let result = folder.path().join("result.json");
        let bookmark = folder.path().join(BOOKMARK);
        if let Some(state) = &job.bookmark {
            std::fs::write(&bookmark, state).map_err(Error::io("writing a job's bookmark"))?;
        }
        let mut command = Command::new(&env.python);
        command.folder(&work).read_only(runtime).read_write(folder.path()).memory_mb(memory_mb);
        for path in &env.read_paths {
            command.read_only(path);
        }
        command
            .env("PYTHONPATH", runtime)
            .env("PYTHONUNBUFFERED", "1")
            .env("HOME", &work)
            .env("TMPDIR", &temporary)
            .env("TZ", "UTC")
            .env("LAKERUN_RESULT", &result)
            .env("LAKERUN_ENGINE", job.engine.name())
            .env("LAKERUN_SPARK_CORES", job.parallelism.max(1).to_string())
            // The rest is for the JVM's own needs and for Python's workers.
            .env("LAKERUN_SPARK_HEAP_MB", (memory_mb / 2).max(512).to_string())
            .env("SAIL_EXECUTION__DEFAULT_PARALLELISM", job.parallelism.max(1).to_string());
        if let Some(jars) = &jars {
            command.read_only(jars).env("LAKERUN_SPARK_JARS", jars);
            let parts = archive::Parts { env: env.clone(), runtime: runtime.clone(), jars: jars.clone() };
            let own = job.modules.is_empty() && engine == Engine::Spark;
            if let Some(classes) =
                own.then(|| archive::find(shared.envs.cache(), &parts, &shared.budget, &shared.archive)).flatten()
            {
                command.read_only(&classes).env("LAKERUN_SPARK_CLASSES", &classes);
            }
        }
        if job.bookmark.is_some() {
            command.env("LAKERUN_BOOKMARK", &bookmark);
        }
        if let Some(cluster) = cluster {
            cluster.tell(&mut command);
        }
        // On the disk: a job may write more than memory holds.
        command.mount(&temporary, "/tmp");
        // Where Python keeps the locks of its pools, also of threads: of scripts', and of the client of Spark Connect.
        command.mount(&shared_memory, "/dev/shm");
        for (name, value) in &job.env {
            command.env(name, value);
        }
        let template = if matches!(engine, Engine::Auto | Engine::Sail) && job.modules.is_empty() {
            shared.warm.find(job, &env, runtime, &shared.budget)
        } else {
            None
        };
        let session =
            cluster.filter(|_| engine == Engine::Connect).map(|cluster| (cluster.clone(), env, runtime.clone()));
        Ok(Prepared { command, folder, result, memory_mb, template, session })
    }

    async fn run_with(
        &self,
        _permit: Permit,
        job: &Job,
        lines: mpsc::Sender<(Stream, String)>,
        started: impl Future<Output = ()> + Send,
        used: &mut Used,
    ) -> Result<(ScriptEnd, Vec<serde_json::Value>), Error> {
        let words: Vec<&str> = [&job.kind, &job.script].into_iter().chain(&job.arguments).map(String::as_str).collect();
        let standing = self.0.standby.take(job);
        let cold = if standing.is_none() { Some(self.prepared(job, &lines).await?) } else { None };
        started.await;
        let (mut prepared, mut child, output) = if let Some(begun) = self.hand_over(standing, job, &words).await {
            begun
        } else {
            let mut prepared = match cold {
                Some(prepared) => prepared,
                None => self.prepared(job, &lines).await?,
            };
            prepared.command.args(["-m", "lakerun_spark.launcher"]).args(&words);
            let mut child = start(&mut prepared.command, prepared.template.take().as_deref(), &words).await?;
            let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
            (prepared, child, output)
        };
        let (result, memory_mb) = (prepared.result.clone(), prepared.memory_mb);
        let _session =
            prepared.session.take().map(|(cluster, env, runtime)| elsewhere::Session { cluster, env, runtime });
        let meter = Meter::new(child.group());
        let error = child.stderr.take();
        let streams = async {
            tokio::join!(forward(Some(output), Stream::Output, &lines), forward(error, Stream::Error, &lines));
        };
        tokio::pin!(streams);
        let mut drained = false;
        let exit = loop {
            tokio::select! {
                exit = child.wait() => {
                    *used = meter.used();
                    break exit?;
                }
                () = &mut streams, if !drained => drained = true,
                () = meter.exceeds(Some(memory_mb)) => {
                    *used = meter.used();
                    let message = format!("Command failed with exit code 137: the job used more than its {memory_mb} MB of memory (OutOfMemory)");
                    return Ok((ScriptEnd::Failed(message), Vec::new()));
                }
            }
        };
        if !drained {
            let _ = tokio::time::timeout(LINGER, streams).await;
        }
        let mut report = match report(&result).await {
            Ok(report) => report,
            // Whether it ended well, and with which bookmark, is not known: it must not be called a success.
            Err(why) => {
                return Ok((ScriptEnd::Failed(format!("The report of the job could not be read: {why}")), Vec::new()));
            }
        };
        let quality = report.as_mut().map(|report| std::mem::take(&mut report.quality)).unwrap_or_default();
        let code = exit.code().unwrap_or_else(|| 128 + exit.signal().unwrap_or_default());
        drop((child, prepared));
        self.stand_by(job);
        Ok((outcome(report, code), quality))
    }

    /// Gives a run to what stands by; none where nothing does.
    async fn hand_over(
        &self,
        standing: Option<Box<standby::Standing>>,
        job: &Job,
        words: &[&str],
    ) -> Option<(Prepared, sandbox::Child, BufReader<tokio::process::ChildStdout>)> {
        let mut standing = standing?;
        match standing.begin(job, words).await {
            Ok(()) => {
                let standby::Standing { child, output, prepared, .. } = *standing;
                Some((prepared, child, output))
            }
            Err(error) => {
                tracing::warn!(%error, "a run starts without the JVM that stood by");
                None
            }
        }
    }
}

/// Forked from what has loaded it already, or by itself.
async fn start(command: &mut Command, template: Option<&warm::There>, words: &[&str]) -> Result<sandbox::Child, Error> {
    if let Some(there) = template {
        command.env("LAKERUN_COMMAND", serde_json::to_string(words).expect("texts"));
        match command.spawn_apart_from(&there.template).await {
            Ok(child) => return Ok(child),
            Err(error) => tracing::warn!(%error, "a job starts without its template"),
        }
    }
    command.spawn().await
}

/// A job's process before its start.
struct Prepared {
    command: Command,
    /// Its own; it goes when this is dropped.
    folder: tempfile::TempDir,
    /// Where the launcher reports.
    result: PathBuf,
    memory_mb: u64,
    /// What it may be forked from.
    template: Option<Arc<warm::There>>,
    /// Of a Spark Connect server, what its session there is ended with.
    session: Option<(Cluster, PyEnv, PathBuf)>,
}

impl Prepared {
    fn bookmark(&self) -> PathBuf {
        self.folder.path().join(BOOKMARK)
    }
}

/// How a script ended whose process ended with this status.
fn outcome(report: Option<Report>, code: i32) -> ScriptEnd {
    match report {
        Some(Report { moved: Some(reason), .. }) => ScriptEnd::Moved(reason),
        Some(Report { error: Some(message), .. }) => ScriptEnd::Failed(message),
        // A signal, a crash of the engine; or it became another program, which did not end well.
        _ if code != 0 => ScriptEnd::Failed(format!("Command failed with exit code {code}")),
        Some(Report { bookmark: Some(bookmark), .. }) => ScriptEnd::Advanced(bookmark.to_string()),
        Some(_) => ScriptEnd::Succeeded,
        // The launcher reports what a script does to end, `os._exit` and `exec` too. A library ended the process under it: nobody
        // knows how far the script had come.
        None => ScriptEnd::Failed(
            "Command ended with exit code 0 before its script had: the process left no report of how the run went"
                .to_owned(),
        ),
    }
}

/// What the launcher has written; none where the program ended without it.
async fn report(path: &Path) -> Result<Option<Report>, String> {
    let bytes = sandbox::result(path).await.map_err(|error| error.to_string())?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string())).transpose()
}

impl Job {
    /// Workers are promised more than they use: a job must not keep every function of its pipeline waiting.
    fn promised_mb(&self) -> usize {
        usize::try_from(self.memory_mb.clamp(1024, 2048)).unwrap_or(2048)
    }
}

/// A job that runs on another node.
async fn follow(
    mut link: Link,
    node: &Node,
    lines: mpsc::Sender<(Stream, String)>,
    started: impl Future<Output = ()> + Send,
    used: &mut Used,
) -> Result<(ScriptEnd, Vec<serde_json::Value>), Error> {
    let mut started = Some(started);
    loop {
        let said = tokio::select! {
            said = link.recv() => said.map_err(|_| Error::lost(node))?,
            () = node.gone() => return Err(Error::lost(node)),
        };
        match said {
            Scripted::Started => {
                if let Some(started) = started.take() {
                    started.await;
                }
            }
            Scripted::Line(stream, text) => {
                // Nobody listens: the job goes on.
                let _ = lines.send((stream, text)).await;
            }
            Scripted::Ended { end, used: there } => {
                *used = there;
                return end.map_err(Error::from);
            }
        }
    }
}

/// Writes the embedded Python files, compiled by Python as they are imported.
fn lay_out(scratch: &Path) -> Result<PathBuf, Error> {
    sandbox::empty_folder(scratch)?;
    let root = scratch.join("runtime");
    for (path, text) in RUNTIME.iter().chain([&TEMPLATE]) {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io(format!("making {}", folder.display())))?;
        }
        std::fs::write(&path, text).map_err(Error::io(format!("writing {}", path.display())))?;
    }
    Ok(root)
}

/// Lines of a stream, as text; what is too long is cut into several.
async fn forward(stream: Option<impl AsyncRead + Unpin>, which: Stream, lines: &mpsc::Sender<(Stream, String)>) {
    let Some(stream) = stream else { return };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut stream).take(LINE_BYTES).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
        if !text.is_empty() && lines.send((which, text)).await.is_err() {
            // Nobody listens: read on, so that the script is not held back.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_laid_out_whole() {
        let folder = tempfile::tempdir().unwrap();
        let root = lay_out(&folder.path().join("spark")).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtimes/spark");
        for package in ["awsglue", "awsglue/transforms", "awsgluedq", "lakerun_spark"] {
            for entry in std::fs::read_dir(source.join(package)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|e| e == "py" || e == "json") {
                    let copy = root.join(package).join(path.file_name().unwrap());
                    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(copy).unwrap(), "{}", path.display());
                }
            }
        }
    }

    #[test]
    fn only_what_is_reported_is_a_success() {
        let report = |text: &str| serde_json::from_str::<Report>(text).ok();
        let none = outcome(None, 0);
        assert!(matches!(&none, ScriptEnd::Failed(why) if why.contains("exit code 0")), "{none:?}");
        let failed = |code| ScriptEnd::Failed(format!("Command failed with exit code {code}"));
        assert_eq!(outcome(None, 137), failed(137));
        assert_eq!(outcome(report(r#"{"error": null}"#), 0), ScriptEnd::Succeeded);
        assert_eq!(outcome(report(r#"{"bookmark": {"a": 1}}"#), 0), ScriptEnd::Advanced(r#"{"a":1}"#.to_owned()));
        // It became another program.
        assert_eq!(outcome(report(r#"{"bookmark": {"a": 1}}"#), 3), failed(3));
        assert_eq!(outcome(report(r#"{"error": "E"}"#), 1), ScriptEnd::Failed("E".to_owned()));
        assert_eq!(outcome(report(r#"{"moved": "rdd"}"#), 1), ScriptEnd::Moved("rdd".to_owned()));
    }

    #[tokio::test]
    async fn an_unreadable_report_is_no_success() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        assert!(report(&path).await.unwrap().is_none(), "it ended without the launcher");
        std::fs::write(&path, r#"{"error": null, "bookmark": {"version": 1}}"#).unwrap();
        assert!(report(&path).await.unwrap().is_some_and(|report| report.bookmark.is_some()));
        // As Python writes what is no number, and what was cut.
        for text in [r#"{"bookmark": {}, "quality": [NaN]}"#, r#"{"bookmark": {"#, ""] {
            std::fs::write(&path, text).unwrap();
            assert!(report(&path).await.is_err(), "{text}");
        }
    }
}
