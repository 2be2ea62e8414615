//! Making a version ready to run: code unpacked, Python environment there. Repeatable; what is ready is remembered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use compute::pyenv::PythonEnvs;

use crate::code::Archive;
use crate::runtime::Kind;

/// What AWS's Python runtimes have without being asked; a function's own requirement of it goes first.
const INCLUDED: &str = "boto3==1.43.11";
const BOOTSTRAP: &str = include_str!("../../../runtimes/python/bootstrap.py");

/// A version's code, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) code: PathBuf,
    /// What its layers hold together.
    pub(crate) layers: Option<PathBuf>,
    pub(crate) kind: Kind,
}

/// Archives of code and layers, and the runtime.
type Wanted = (String, Vec<String>, String);

pub(crate) struct Preparer {
    archive: Archive,
    envs: PythonEnvs,
    bootstrap: PathBuf,
    ready: Mutex<BTreeMap<Wanted, Ready>>,
}

impl Preparer {
    /// Writes the runtime's program to `bootstrap`.
    pub(crate) fn new(archive: Archive, envs: PythonEnvs, bootstrap: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(bootstrap.parent().unwrap_or(&bootstrap))
            .and_then(|()| std::fs::write(&bootstrap, BOOTSTRAP))
            .map_err(|error| format!("writing {}: {error}", bootstrap.display()))?;
        Ok(Self { archive, envs, bootstrap, ready: Mutex::default() })
    }

    /// The error is for the function's owner.
    pub(crate) async fn ready(&self, code: &str, layers: &[String], runtime: &str) -> Result<Ready, String> {
        let python = runtime.starts_with("python");
        let key = (code.to_owned(), layers.to_owned(), runtime.to_owned());
        if let Some(ready) = self.remembered().get(&key)
            && ready.code.exists()
            && ready.layers.as_ref().is_none_or(|layers| layers.exists())
        {
            return Ok(ready.clone());
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
        let kind = if python { self.python(&code).await? } else { custom(&code, layers.as_deref())? };
        let ready = Ready { code, layers, kind };
        self.remembered().insert(key, ready.clone());
        Ok(ready)
    }

    async fn python(&self, folder: &Path) -> Result<Kind, String> {
        let wanted = std::fs::read(folder.join("requirements.txt")).unwrap_or_default();
        let wanted = with_included(&String::from_utf8_lossy(&wanted));
        let progress = |line: &str| tracing::info!(target: "lambda::environment", "{line}");
        let env = self.envs.ensure(&wanted, &progress).await.map_err(|error| error.to_string())?;
        Ok(Kind::Python { env, bootstrap: self.bootstrap.clone() })
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<Wanted, Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
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
fn with_included(requirements: &str) -> String {
    let names_it = |line: &str| {
        let line = line.trim().to_ascii_lowercase();
        line.strip_prefix("boto3")
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
    };
    if requirements.lines().any(names_it) { requirements.to_owned() } else { format!("{INCLUDED}\n{requirements}") }
}

#[cfg(test)]
mod tests {
    use super::with_included;

    #[test]
    fn boto3_is_included_once() {
        assert_eq!(with_included("pg8000\n"), "boto3==1.43.11\npg8000\n");
        assert_eq!(with_included("Boto3 >= 1.35\n"), "Boto3 >= 1.35\n");
        assert_eq!(with_included("boto3-stubs\n"), "boto3==1.43.11\nboto3-stubs\n");
    }
}
