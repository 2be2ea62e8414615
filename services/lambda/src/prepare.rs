//! Making a version ready to run: code unpacked, Python environment there. Repeatable; what is ready is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use api_lambda::error;
use compute::node::Node;
use compute::pyenv::PythonEnvs;
use compute::sandbox::Beneath;
use regex::Regex;
use wire::Error;

use crate::code::Archive;
use crate::runtime::{Forks, Kind};

/// What AWS's Python runtimes have without being asked; a function's own requirement of it goes first.
const INCLUDED: &str = "boto3==1.43.11";
const PYTHON: &str = include_str!("../../../runtimes/python/bootstrap.py");
const NODE: &str = include_str!("../../../runtimes/node/bootstrap.mjs");
/// The version of AWS's SDK for JavaScript that functions get which name it and do not bring it.
const SDK: &str = "3";
/// What AWS takes, or took until lately.
const PYTHONS: std::ops::RangeInclusive<u32> = 8..=14;
const NODES: [u32; 4] = [18, 20, 22, 24];

/// What a runtime's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// `python3.x`
    Python(u32),
    /// `nodejsN.x`
    Node(u32),
    Custom,
}

impl Language {
    pub(crate) fn of(runtime: &str) -> Option<Self> {
        if matches!(runtime, "provided" | "provided.al2" | "provided.al2023") {
            return Some(Self::Custom);
        }
        if let Some(minor) = runtime.strip_prefix("python3.") {
            return minor.parse().ok().filter(|minor| PYTHONS.contains(minor)).map(Self::Python);
        }
        let major = runtime.strip_prefix("nodejs")?.strip_suffix(".x")?.parse().ok();
        major.filter(|major| NODES.contains(major)).map(Self::Node)
    }
}

/// A version's code, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) code: PathBuf,
    /// What its layers hold together.
    pub(crate) layers: Option<PathBuf>,
    pub(crate) kind: Kind,
    /// What its log is told at each start: that it does not run on what it asked for.
    pub(crate) note: Option<String>,
}

/// Archives of code and layers, and the runtime.
type Wanted = (String, Vec<String>, String);

pub(crate) struct Preparer {
    archive: Archive,
    envs: PythonEnvs,
    /// Holds the runtimes' programs.
    runtimes: PathBuf,
    ready: Mutex<BTreeMap<Wanted, Ready>>,
}

impl Preparer {
    /// Writes the runtimes' programs to the folder `runtimes`.
    pub(crate) fn new(archive: Archive, envs: PythonEnvs, runtimes: PathBuf) -> Result<Self, String> {
        let programs =
            [("bootstrap.py", PYTHON), ("bootstrap.mjs", NODE), ("template.py", compute::sandbox::template::PROGRAM)];
        fs::create_dir_all(&runtimes)
            // Places of a function's that are empty in a template.
            .and_then(|()| fs::create_dir_all(runtimes.join("nothing/lib")))
            // The place of the layers of a function that has none.
            .and_then(|()| fs::create_dir_all(runtimes.join("empty")))
            .and_then(|()| programs.iter().try_for_each(|(name, text)| fs::write(runtimes.join(name), text)))
            .map_err(|error| format!("writing {}: {error}", runtimes.display()))?;
        Ok(Self { archive, envs, runtimes, ready: Mutex::default() })
    }

    /// Refuses a runtime whose version this machine does not have and cannot get.
    pub(crate) async fn exact(&self, runtime: &str) -> Result<(), Error> {
        let inexact = match Language::of(runtime) {
            Some(Language::Python(minor)) => self.python_envs(minor).await.map_err(Error::internal)?.1,
            Some(Language::Node(major)) if compute::node::nearest(major) != major => {
                let node = self.envs.node(major, &progress).await;
                node.map_or_else(|error| Some(error.to_string()), |node| of_node(major, &node))
            }
            _ => None,
        };
        match inexact {
            None => Ok(()),
            Some(why) => Err(error::invalid_parameter_value_exception(format!(
                "The runtime parameter of {runtime} cannot be had here ([lambda] exact_runtimes): {why}"
            ))),
        }
    }

    /// What has been made ready, if it is still there.
    pub(crate) fn known(&self, code: &str, layers: &[String], runtime: &str) -> Option<Ready> {
        let key = (code.to_owned(), layers.to_owned(), runtime.to_owned());
        let ready = self.remembered().get(&key).cloned()?;
        let is_there = ready.code.exists() && ready.layers.as_ref().is_none_or(|layers| layers.exists());
        is_there.then_some(ready)
    }

    /// The error is for the function's owner.
    pub(crate) async fn ready(&self, code: &str, layers: &[String], runtime: &str) -> Result<Ready, String> {
        if let Some(ready) = self.known(code, layers, runtime) {
            return Ok(ready);
        }
        let key = (code.to_owned(), layers.to_owned(), runtime.to_owned());
        for name in layers.iter().map(String::as_str).chain([code]) {
            self.archive.fetch(name).await.map_err(|error| format!("fetching the code: {error}"))?;
        }
        let (archive, name, names) = (self.archive.clone(), code.to_owned(), layers.to_owned());
        let unpacked = tokio::task::spawn_blocking(move || {
            let layers = if names.is_empty() { None } else { Some(archive.merge(&names)?) };
            Ok::<_, std::io::Error>((archive.unpack(&name)?, layers))
        });
        let (code, layers) = unpacked
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("unpacking the code: {error}"))?;
        let (kind, note) = match Language::of(runtime) {
            Some(Language::Python(minor)) => self.python(&code, layers.as_deref(), minor).await?,
            Some(Language::Node(major)) => self.node(&code, layers.as_deref(), major).await?,
            _ => (custom(&code, layers.as_deref())?, None),
        };
        let ready = Ready { code, layers, kind, note };
        self.remembered().insert(key, ready.clone());
        Ok(ready)
    }

    /// Environments of a version of Python, or of the nearest, and what is to be said of that.
    async fn python_envs(&self, minor: u32) -> Result<(PythonEnvs, Option<String>), String> {
        if let Some(envs) = self.envs.of_version(minor).await.map_err(|error| error.to_string())? {
            return Ok((envs, None));
        }
        let has = &self.envs.base().await.map_err(|error| error.to_string())?.version;
        let note = format!(
            "this function asks for python3.{minor} and runs on Python {has}: this machine has no python3.{minor} (on the PATH, by \
             uv or by pyenv). Modules that were built for 3.{minor} do not load."
        );
        Ok((self.envs.clone(), Some(note)))
    }

    async fn python(&self, folder: &Path, layers: Option<&Path>, minor: u32) -> Result<(Kind, Option<String>), String> {
        let (envs, note) = self.python_envs(minor).await?;
        let wanted = requirements(folder)?;
        let env = match envs.ensure(&with_included(&wanted, INCLUDED), &progress).await {
            Ok(env) => env,
            // What the function asks for may need a later boto3 than the runtime's, and goes before it.
            Err(first) => {
                envs.ensure(&with_included(&wanted, "boto3"), &progress).await.map_err(|_| first.to_string())?
            }
        };
        let base = envs.known(&format!("{INCLUDED}\n")).await;
        let forks = base.filter(|base| env.extends(base)).map(|base| {
            let python = layers.map(|layers| layers.join("python"));
            let version = env.site_packages.parent().and_then(Path::file_name).unwrap_or_default();
            let of_version = python.as_ref().map(|python| python.join("lib").join(version).join("site-packages"));
            let places = [Some(folder.to_owned()), python, of_version];
            Forks { base, own: places.iter().flatten().flat_map(|place| importable(place)).collect() }
        });
        Ok((Kind::Python { env, runtimes: self.runtimes.clone(), forks }, note))
    }

    async fn node(&self, code: &Path, layers: Option<&Path>, major: u32) -> Result<(Kind, Option<String>), String> {
        let node = self.envs.node(major, &progress).await.map_err(|error| error.to_string())?;
        let mut said = of_node(major, &node);
        let (folder, layers) = (code.to_owned(), layers.map(Path::to_owned));
        let lacks = tokio::task::spawn_blocking(move || lacking(&folder, layers.as_deref())).await;
        let lacks = lacks.map_err(|error| error.to_string())?;
        let modules = if lacks.is_empty() {
            None
        } else {
            match self.envs.packages(&node, &lacks, &progress).await {
                Ok(folder) => Some(folder.join("node_modules")),
                // The function may never come to the line that needs one.
                Err(error) => {
                    said = Some(format!("the packages {lacks:?} that the code names could not be installed: {error}"));
                    None
                }
            }
        };
        Ok((Kind::Node { node, bootstrap: self.runtimes.join("bootstrap.mjs"), modules }, said))
    }

    /// Forgets what is not there any more.
    pub(crate) fn forget(&self) {
        self.remembered().retain(|_, ready| ready.code.exists());
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<Wanted, Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of a function's `requirements.txt`, which is its author's: a link that leads to a file of the server's is not followed.
fn requirements(folder: &Path) -> Result<String, String> {
    const MOST_BYTES: u64 = 1 << 20;
    let name = Path::new("requirements.txt");
    let text =
        Beneath::open(folder).and_then(|folder| folder.read(name, MOST_BYTES)).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&text.unwrap_or_default()).into_owned())
}

/// What a folder may hold by the name that it is imported by.
fn importable(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.file_name().to_str()?.split('.').next()?.to_owned()))
}

fn progress(line: &str) {
    tracing::info!(target: "lambda::environment", "{line}");
}

fn of_node(major: u32, node: &Node) -> Option<String> {
    let has = node.major;
    (has != major).then(|| {
        format!("this function asks for nodejs{major}.x and runs on Node.js {has}, the nearest that can be had.")
    })
}

/// Packages of AWS's SDK for JavaScript that the code loads and neither it nor a layer has: AWS's runtimes have them all.
fn lacking(code: &Path, layers: Option<&Path>) -> BTreeSet<String> {
    static LOADS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:\brequire\(|\bimport\(|\bfrom\s|\bimport\s)\s*["'](@(?:aws-sdk|smithy)/[a-z0-9-]+)"#)
            .expect("the expression is constant")
    });
    let mut texts = Vec::new();
    scripts(code, &mut texts);
    let named: BTreeSet<String> =
        texts.iter().flat_map(|text| LOADS.captures_iter(text).map(|found| found[1].to_owned())).collect();
    let has = |name: &str| {
        let of_layers = layers.map(|layers| layers.join("nodejs/node_modules").join(name));
        code.join("node_modules").join(name).exists() || of_layers.is_some_and(|place| place.exists())
    };
    let version = |name: &str| if name.starts_with("@aws-sdk/") { format!("{name}@{SDK}") } else { name.to_owned() };
    named.iter().filter(|name| !has(name)).map(|name| version(name)).collect()
}

/// The texts of a function's own scripts.
fn scripts(folder: &Path, texts: &mut Vec<String>) {
    const MAX_BYTES: u64 = 20 << 20;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        if kind.is_dir() && entry.file_name() != "node_modules" {
            scripts(&path, texts);
        }
        let is_script = path.extension().is_some_and(|end| ["js", "mjs", "cjs"].iter().any(|script| end == *script));
        if kind.is_file() && is_script && entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_BYTES) {
            texts.extend(fs::read_to_string(path));
        }
    }
}

fn custom(code: &Path, layers: Option<&Path>) -> Result<Kind, String> {
    if code.join("bootstrap").is_file() {
        Ok(Kind::Custom { in_layer: false })
    } else if layers.is_some_and(|layers| layers.join("bootstrap").is_file()) {
        Ok(Kind::Custom { in_layer: true })
    } else {
        Err("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]".to_owned())
    }
}

/// The requirements with what the runtime includes, unless they name it themselves.
fn with_included(requirements: &str, included: &str) -> String {
    let names_it = |line: &str| {
        let line = line.trim().to_ascii_lowercase();
        line.strip_prefix("boto3")
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
    };
    if requirements.lines().any(names_it) { requirements.to_owned() } else { format!("{included}\n{requirements}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_the_sdk_that_are_loaded_and_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("index.js", "const { S3 } = require('@aws-sdk/client-s3'); // and not \"@aws-sdk/client-sns\"");
        write(
            "lib/a.mjs",
            "import { A } from \"@aws-sdk/client-sqs\"; import x from '@smithy/types'; await import('@aws-sdk/client-sts')",
        );
        write("node_modules/@aws-sdk/client-sqs/package.json", "{}");
        write("node_modules/other/index.js", "require('@aws-sdk/client-ssm')");
        let found: Vec<_> = lacking(folder.path(), None).into_iter().collect();
        assert_eq!(found, ["@aws-sdk/client-s3@3", "@aws-sdk/client-sts@3", "@smithy/types"]);
    }

    #[test]
    fn requirements_are_the_archives_own() {
        use std::os::unix::fs::symlink;
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("marker"), "secret").unwrap();
        let folder = outer.path().join("function");
        fs::create_dir_all(folder.join("d")).unwrap();
        assert_eq!(requirements(&folder).unwrap(), "");
        fs::write(folder.join("d/mine.txt"), "six").unwrap();
        symlink("d/mine.txt", folder.join("requirements.txt")).unwrap();
        assert_eq!(requirements(&folder).unwrap(), "six");
        fs::remove_file(folder.join("requirements.txt")).unwrap();
        symlink("..", folder.join("d/x")).unwrap();
        symlink("d/x/../marker", folder.join("requirements.txt")).unwrap();
        let refused = requirements(&folder).unwrap_err();
        assert!(refused.contains("leads out of its folder") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn boto3_is_included_once() {
        assert_eq!(with_included("pg8000\n", INCLUDED), "boto3==1.43.11\npg8000\n");
        assert_eq!(with_included("Boto3 >= 1.35\n", INCLUDED), "Boto3 >= 1.35\n");
        assert_eq!(with_included("boto3-stubs\n", INCLUDED), "boto3==1.43.11\nboto3-stubs\n");
    }
}
