//! Python virtual environments made from a requirements text: built once, found by the hash of what they are made of, shared
//! by every data folder of this user. The system's own packages are never seen.

mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::OnceCell;

use crate::Error;
use crate::once;
use crate::sandbox::{self, Capture, Command, Meter};

/// Counts up when what is inside an environment changes, so that older ones are not taken for new.
const FORMAT: &str = "1";
const MAKE: &str = include_str!("pyenv/make.py");
/// How long one may take to be made: a package that is built may never end.
const PATIENCE: Duration = Duration::from_mins(30);
const MEMORY_MB: u64 = 8192;
/// `3.10`: what Lakerun's own programs need.
const OLDEST: u32 = 10;
/// Settings of pip and of certificates that the operator made are the environment builder's too.
const PASSED_ON: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "HOME",
];

/// `LAKERUN_CACHE/envs`, or the user's cache folder.
pub fn default_cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".cache");
    let cache = || std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("lakerun");
    std::env::var_os("LAKERUN_CACHE").map_or_else(cache, PathBuf::from).join("envs")
}

/// Makes and finds environments. Cheap to clone.
#[derive(Clone)]
pub struct PythonEnvs(Arc<Shared>);

struct Shared {
    cache: PathBuf,
    python: PathBuf,
    base: OnceCell<Base>,
    building: Mutex<BTreeMap<String, Weak<tokio::sync::Mutex<()>>>>,
    given: Option<PyEnv>,
    /// Of other versions of Python, as far as they have been looked for.
    others: tokio::sync::Mutex<BTreeMap<u32, Option<PythonEnvs>>>,
}

/// The interpreter that environments are made from.
#[derive(Clone, Debug, Deserialize)]
pub struct Base {
    pub executable: PathBuf,
    pub prefix: PathBuf,
    /// Such as `3.11.7`.
    pub version: String,
    machine: String,
}

impl Base {
    /// The second part of its version.
    pub fn minor(&self) -> Option<u32> {
        self.version.strip_prefix("3.")?.split('.').next()?.parse().ok()
    }
}

/// A finished environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PyEnv {
    pub root: PathBuf,
    pub python: PathBuf,
    pub site_packages: PathBuf,
    /// What a sandboxed process must be able to read to use it.
    pub read_paths: Vec<PathBuf>,
}

impl PyEnv {
    /// Whether what a process has loaded from `base` is what it would have loaded from this one: the same releases of all that is
    /// there, and nothing that runs at a start.
    pub fn extends(&self, base: &Self) -> bool {
        let names = |env: &Self| -> BTreeSet<std::ffi::OsString> {
            fs::read_dir(&env.site_packages).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
        };
        let (own, theirs) = (names(self), names(base));
        let ends = |name: &std::ffi::OsString, end: &str| Path::new(name).extension().is_some_and(|found| found == end);
        let releases = theirs.iter().filter(|name| ends(name, "dist-info"));
        let at_start = |name: &std::ffi::OsString| {
            ends(name, "pth")
                || ["sitecustomize", "usercustomize"]
                    .iter()
                    .any(|file| Path::new(name).file_stem() == Some(file.as_ref()))
        };
        self.root == base.root
            || (releases.clone().count() > 0
                && releases.clone().all(|name| own.contains(name))
                && !own.difference(&theirs).any(at_start))
    }
}

impl PythonEnvs {
    pub fn new(cache: PathBuf, python: PathBuf) -> Self {
        Self::made(cache, python, None)
    }

    /// This one, whatever is asked for: for the simulation, which makes none.
    pub fn given(env: PyEnv) -> Self {
        Self::made(env.root.clone(), env.python.clone(), Some(env))
    }

    fn made(cache: PathBuf, python: PathBuf, given: Option<PyEnv>) -> Self {
        let (base, building, others) = (OnceCell::new(), Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Shared { cache, python, base, building, given, others }))
    }

    /// Environments of Python 3.`minor`, where this machine has it; looked for once.
    pub async fn of_version(&self, minor: u32) -> Result<Option<Self>, Error> {
        if self.0.given.is_some() || self.base().await?.minor() == Some(minor) {
            return Ok(Some(self.clone()));
        }
        let mut others = self.0.others.lock().await;
        if let Some(known) = others.get(&minor) {
            return Ok(known.clone());
        }
        let mut found = None;
        for candidate in versions::candidates(minor) {
            let envs = Self::new(self.0.cache.clone(), candidate);
            if envs.base().await.is_ok_and(|base| base.minor() == Some(minor)) {
                found = Some(envs);
                break;
            }
        }
        others.insert(minor, found.clone());
        Ok(found)
    }

    /// The folder that holds the environments, and what else is fetched once for all data folders.
    pub(crate) fn cache(&self) -> &Path {
        &self.0.cache
    }

    /// The interpreter, looked for once. An error says what to install.
    pub async fn base(&self) -> Result<&Base, Error> {
        self.0.base.get_or_try_init(|| find_base(&self.0.python)).await
    }

    /// The environment of this requirements text, made now if it is not there. `progress` gets pip's lines while it is made;
    /// who asks for the same one meanwhile waits and shares it.
    pub async fn ensure(&self, requirements: &str, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<PyEnv, Error> {
        if let Some(env) = &self.0.given {
            return Ok(env.clone());
        }
        let base = self.base().await?;
        let requirements = normalise(requirements);
        let key = key(&requirements, base);
        let env = self.describe(&key, base);
        if env.python.exists() {
            return Ok(env);
        }
        let one_at_a_time = {
            let mut building = self.0.building.lock().unwrap_or_else(PoisonError::into_inner);
            building.retain(|_, lock| lock.strong_count() > 0);
            let lock = building.get(&key).and_then(Weak::upgrade).unwrap_or_default();
            building.insert(key.clone(), Arc::downgrade(&lock));
            lock
        };
        let _turn = if let Ok(turn) = one_at_a_time.try_lock() {
            turn
        } else {
            progress("waiting for the environment, which is being made for another");
            one_at_a_time.lock().await
        };
        if env.python.exists() {
            return Ok(env);
        }
        if let Some(claim) = once::claim(&env.root, &env.python).await? {
            self.build(&requirements, base, &env, &claim.partial, progress).await?;
            claim.keep().await?;
        }
        Ok(env)
    }

    /// The environment of this requirements text, if it is there.
    pub async fn known(&self, requirements: &str) -> Option<PyEnv> {
        if self.0.given.is_some() {
            return None;
        }
        let base = self.base().await.ok()?;
        Some(self.describe(&key(&normalise(requirements), base), base)).filter(|env| env.python.exists())
    }

    fn describe(&self, key: &str, base: &Base) -> PyEnv {
        let root = self.0.cache.join(key);
        let mut version = base.version.splitn(3, '.');
        let (major, minor) = (version.next().unwrap_or("3"), version.next().unwrap_or("0"));
        let mut read_paths = vec![root.clone(), base.prefix.clone()];
        read_paths.extend(fs::canonicalize(&base.executable).ok());
        PyEnv {
            python: root.join("bin/python"),
            site_packages: root.join(format!("lib/python{major}.{minor}/site-packages")),
            read_paths,
            root,
        }
    }

    /// Builds into `partial`, as it will be in its place: out of wheels, of which nothing runs; where there is none of something, or
    /// something is named by its place, with what its sources run.
    async fn build(
        &self,
        requirements: &str,
        base: &Base,
        env: &PyEnv,
        partial: &Path,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), Error> {
        let start = std::time::Instant::now();
        progress(&format!("making a Python {} environment", base.version));
        let plain = requirements.lines().all(is_plain);
        let mut said = Vec::new();
        let mut done = false;
        if plain {
            done = self.make(Kinds::Wheels, requirements, base, (env, partial), &mut said, progress).await?;
            if !done && !said.iter().any(|line| line.contains("No matching distribution found")) {
                return Err(Error::Environment(why(&said)));
            }
        }
        if !done {
            if plain {
                progress("not all of it is there as wheels: what is not is built from its sources, in a sandbox");
                sandbox::empty_folder(partial)?;
                said.clear();
            }
            if !self.make(Kinds::Any, requirements, base, (env, partial), &mut said, progress).await? {
                return Err(Error::Environment(why(&said)));
            }
            sandbox::take_back(partial);
            // Whoever uses it is shown what stands here.
            let python = |path: &Path| fs::canonicalize(path).ok();
            if python(&partial.join("bin/python")) != python(&base.executable) {
                return Err(Error::Environment(
                    "a package has put another program in the interpreter's place".to_owned(),
                ));
            }
        }
        progress(&format!("environment ready after {:.1} s", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// One way to build it; whether that came off, and what was said.
    async fn make(
        &self,
        kinds: Kinds,
        requirements: &str,
        base: &Base,
        (env, partial): (&PyEnv, &Path),
        said: &mut Vec<String>,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<bool, Error> {
        let (temporary, wanted) = (partial.join("tmp"), partial.join("requirements.txt"));
        let cache = match kinds {
            Kinds::Wheels => self.0.cache.join("pip"),
            Kinds::Any => partial.join("pip"),
        };
        for folder in [&cache, &temporary] {
            fs::create_dir_all(folder).map_err(Error::io(format!("making {}", folder.display())))?;
        }
        fs::write(&wanted, requirements).map_err(Error::io(format!("writing {}", wanted.display())))?;
        let mut command = Command::new(&base.executable);
        command.args(["-I", "-c", MAKE]).args([partial, &env.root, &wanted, &cache]).arg(kinds.name());
        command.read_only(&base.prefix).read_only(&base.executable).read_write(partial);
        match kinds {
            Kinds::Wheels => {
                // What it writes is everybody's.
                command.as_server().read_write(&cache);
                pass_on(&mut command);
            }
            Kinds::Any => pass_on_to_strangers(&mut command, &temporary)?,
        }
        command
            .env("TMPDIR", &temporary)
            .env("PIP_CACHE_DIR", &cache)
            .env("PYTHONUNBUFFERED", "1")
            .memory_mb(MEMORY_MB);
        tracing::debug!(folder = %env.root.display(), kinds = kinds.name(), "making an environment");
        let mut child = command.spawn().await?;
        let group = child.group();
        let meter = Meter::new(group);
        let made = tokio::select! {
            made = finish(&mut child, said, progress) => made,
            () = tokio::time::sleep(PATIENCE) => Err(Error::TimedOut(PATIENCE)),
            () = meter.exceeds(Some(MEMORY_MB)) => Err(Error::OutOfMemory { limit_mb: MEMORY_MB }),
        };
        drop(child);
        let _ = fs::remove_dir_all(&temporary);
        if kinds == Kinds::Any {
            let _ = fs::remove_dir_all(&cache);
        }
        made
    }
}

/// What of a package may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    /// Nothing of it runs: by the server's own user, with the cache of all environments.
    Wheels,
    /// Sources, which run what they like: by a unit's user, which can write to the environment and to a cache of its own.
    Any,
}

impl Kinds {
    fn name(self) -> &'static str {
        match self {
            Self::Wheels => "wheels",
            Self::Any => "any",
        }
    }
}

/// Whether a line names a package, by versions maybe: neither an option of pip nor a place, whatever lies there.
fn is_plain(line: &str) -> bool {
    let line = line.trim_end_matches('\\').trim();
    line.is_empty()
        || line.starts_with("--hash=")
        || (line.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !line.contains(['@', '/', '\\'])
            && !line.contains("://")
            && !line.split_whitespace().any(|word| word.starts_with('-') && !word.starts_with("--hash=")))
}

/// Waits for its end; what it says goes to both.
async fn finish(
    child: &mut sandbox::Child,
    said: &mut Vec<String>,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<bool, Error> {
    let mut errors = BufReader::new(child.stderr.take().expect("standard error is piped")).split(b'\n');
    let mut lines = BufReader::new(child.stdout.take().expect("standard output is piped")).split(b'\n');
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        let line = tokio::select! {
            line = lines.next_segment(), if out_open => { out_open = matches!(line, Ok(Some(_))); line }
            line = errors.next_segment(), if err_open => { err_open = matches!(line, Ok(Some(_))); line }
        };
        if let Ok(Some(line)) = line {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            progress(&line);
            said.push(line);
        }
    }
    Ok(child.wait().await?.success())
}

/// The same for what may run anything. Where the settings hold credentials nothing is built: a package's sources could read them, and
/// without them pip would ask another index than the operator's.
fn pass_on_to_strangers(command: &mut Command, home: &Path) -> Result<(), Error> {
    let named = std::env::var_os("PIP_CONFIG_FILE").map(PathBuf::from);
    let own = std::env::var_os("HOME").map(PathBuf::from);
    let own = own.iter().flat_map(|home| [".config/pip/pip.conf", ".pip/pip.conf"].map(|at| home.join(at)));
    let mut files = named.into_iter().chain(own);
    if let Some((file, text)) = files.find_map(|file| Some((file.clone(), fs::read_to_string(file).ok()?))) {
        if holds_credentials(&text) {
            return Err(refused(&file.display().to_string()));
        }
        command.read_only(&file).env("PIP_CONFIG_FILE", &file);
    }
    for (name, value) in std::env::vars_os() {
        let Some((name, value)) = name.to_str().zip(value.to_str()) else { continue };
        let wanted = name.starts_with("PIP_") || PASSED_ON.contains(&name);
        if matches!(name, "PIP_CACHE_DIR" | "PIP_CONFIG_FILE" | "HOME") || !wanted {
            continue;
        }
        if name == "PIP_CLIENT_CERT" || holds_credentials(value) {
            return Err(refused(name));
        }
        if Path::new(value).is_absolute() {
            command.read_only(value);
        }
        command.env(name, value);
    }
    command.env("HOME", home);
    Ok(())
}

/// A URL with a user in it, or a certificate that says who asks.
fn holds_credentials(text: &str) -> bool {
    text.contains("client_cert")
        || text.contains("client-cert")
        || text
            .split("://")
            .skip(1)
            .any(|rest| rest.split(['/', ' ', '\n', '"']).next().is_some_and(|host| host.contains('@')))
}

fn refused(place: &str) -> Error {
    Error::Environment(format!(
        "a package is there as sources only, or is named by its place, and is not built: the server's settings of pip hold credentials \
         ({place}), which its sources could read. Put a wheel of it into the index"
    ))
}

/// The operator's settings of pip, certificates and proxies.
pub(crate) fn pass_on(command: &mut Command) {
    for (name, value) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let wanted = text.starts_with("PIP_") || text == "LAKERUN_IVY_SETTINGS" || PASSED_ON.contains(&text);
        if text == "PIP_CACHE_DIR" || !wanted {
            continue;
        }
        if text == "HOME" {
            command
                .read_only(Path::new(&value).join(".config/pip"))
                .read_only(Path::new(&value).join(".pip"))
                .read_only(Path::new(&value).join(".netrc"));
        } else if Path::new(&value).is_absolute() {
            command.read_only(&value);
        }
        command.env(&name, &value);
    }
}

async fn find_base(python: &Path) -> Result<Base, Error> {
    const ASK: &str = "import json, platform, sys; print(json.dumps({'executable': getattr(sys, '_base_executable', None) or sys.executable, \
                       'prefix': sys.base_prefix, 'version': platform.python_version(), 'machine': platform.machine() + '-' + platform.libc_ver()[0]}))";
    let mut command = Command::new(python);
    command.args(["-I", "-c", ASK]).unconfined();
    for name in ["PATH", "HOME", "PYENV_VERSION", "PYENV_ROOT"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let wanted = "Python 3.10 or later is needed; install it or set LAKERUN_PYTHON";
    let output = command
        .output(Capture { bytes: 4096 }, Some(Duration::from_secs(30)))
        .await
        .map_err(|error| Error::Environment(format!("{error}. {wanted}")))?;
    let base: Base = serde_json::from_slice(&output.stdout).map_err(|_| {
        Error::Environment(format!(
            "{} does not work: {}. {wanted}",
            python.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    })?;
    if base.minor().is_none_or(|minor| minor < OLDEST) {
        return Err(Error::Environment(format!("{} is Python {}. {wanted}", python.display(), base.version)));
    }
    Ok(base)
}

/// Comments, blank lines and order do not make another environment.
fn normalise(requirements: &str) -> String {
    let without_comment = |line: &str| line.split_once(" #").map_or(line, |(wanted, _)| wanted).trim().to_owned();
    let mut lines: Vec<_> =
        requirements.lines().map(without_comment).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if !lines.iter().any(|line| line.ends_with('\\')) {
        lines.sort();
        lines.dedup();
    }
    lines.join("\n") + "\n"
}

fn key(requirements: &str, base: &Base) -> String {
    let prefix = base.prefix.to_string_lossy();
    let mut hash = Sha256::new();
    for part in [FORMAT, requirements, &base.version, &base.machine, &prefix] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

/// pip's own errors, or the last of what was said.
pub(crate) fn why(said: &[String]) -> String {
    let errors: Vec<_> = said.iter().filter_map(|line| line.strip_prefix("ERROR: ")).collect();
    if errors.is_empty() { said[said.len().saturating_sub(5)..].join("\n") } else { errors.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pip_may_be_asked_for_without_running_it() {
        for line in [
            "a",
            "a==1.0",
            "a[b,c] >= 1, <2 ; python_version < '3.12'",
            "a==1 \\",
            "--hash=sha256:0f",
            "a==1 --hash=sha256:0f",
            "",
        ] {
            assert!(is_plain(line), "{line}");
        }
        for line in [
            "a @ https://h/a.tar.gz",
            "https://h/a-1-py3-none-any.whl",
            "git+https://h/a",
            "-e .",
            "./a",
            "--index-url https://h",
            "-r other.txt",
            "a==1 --global-option=x",
            "a --config-settings=x=y",
        ] {
            assert!(!is_plain(line), "{line}");
        }
    }

    #[test]
    fn credentials_among_settings() {
        for text in ["https://u:p@h/simple", "[global]\nindex-url = https://token@h/simple\n", "client-cert = /c.pem"] {
            assert!(holds_credentials(text), "{text}");
        }
        for text in ["https://h/simple", "[global]\nindex-url = https://h/a@b\nextra-index-url = http://i", "a@b"] {
            assert!(!holds_credentials(text), "{text}");
        }
    }

    #[test]
    fn requirements_are_normalised() {
        assert_eq!(normalise("# c\nb==1  # why\n\na"), "a\nb==1\n");
        assert_eq!(normalise("b \\\n  --hash=x\na"), "b \\\n--hash=x\na\n");
    }

    #[test]
    fn what_extends_an_environment() {
        let folder = tempfile::tempdir().unwrap();
        let env = |name: &str, files: &[&str]| {
            let root = folder.path().join(name);
            let site_packages = root.join("site-packages");
            fs::create_dir_all(&site_packages).unwrap();
            for file in files {
                fs::write(site_packages.join(file), "").unwrap();
            }
            PyEnv { python: root.join("python"), site_packages, read_paths: Vec::new(), root }
        };
        let base = env("base", &["six.py", "six-1.dist-info"]);
        assert!(base.extends(&base));
        assert!(env("more", &["six.py", "six-1.dist-info", "a.py", "a-1.dist-info"]).extends(&base));
        assert!(!env("newer", &["six.py", "six-2.dist-info"]).extends(&base));
        assert!(!env("at start", &["six.py", "six-1.dist-info", "a.pth"]).extends(&base));
        assert!(!env("customized", &["six.py", "six-1.dist-info", "sitecustomize.py"]).extends(&base));
        assert!(!env("other", &["six.py", "six-1.dist-info"]).extends(&env("nothing", &[])));
    }

    #[tokio::test]
    async fn an_environment_is_built_once_and_is_isolated() {
        let cache = tempfile::tempdir().unwrap();
        let envs = PythonEnvs::new(cache.path().to_owned(), "python3".into());
        let quiet = |_: &str| {};
        let (first, second) = tokio::join!(envs.ensure("", &quiet), envs.ensure("# nothing\n", &quiet));
        let env = first.unwrap();
        assert_eq!(env, second.unwrap());
        let mut command = Command::new(&env.python);
        command.args(["-c", "import sys; print(sys.prefix); print([p for p in sys.path if 'site-packages' in p])"]);
        for path in &env.read_paths {
            command.read_only(path);
        }
        let output = command.output(Capture { bytes: 4096 }, None).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said,
            format!("{}\n['{}']\n", env.root.display(), env.site_packages.display()),
            "{:?}",
            output.stderr
        );
    }

    #[tokio::test]
    async fn what_pip_refuses_is_told() {
        let cache = tempfile::tempdir().unwrap();
        let envs = PythonEnvs::new(cache.path().to_owned(), "python3".into());
        let error = envs.ensure("./no-such-folder-here", &|_: &str| {}).await.unwrap_err();
        assert!(error.to_string().contains("no-such-folder-here"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_python_says_what_to_do() {
        let cache = tempfile::tempdir().unwrap();
        let envs = PythonEnvs::new(cache.path().to_owned(), "/no/python".into());
        let error = envs.ensure("", &|_: &str| {}).await.unwrap_err();
        assert!(error.to_string().contains("LAKERUN_PYTHON"), "{error}");
    }
}
