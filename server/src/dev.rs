//! `lakerun dev`: deploys a folder's template, runs its state machine and shows how it ends; and all of it again whenever a file of the
//! folder is saved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};

use crate::client::Client;
use crate::executions::{self, RunArgs};
use crate::info::complain;
use crate::{deploy, init};

/// Between two looks at the folder.
const LOOK: Duration = Duration::from_millis(300);
const TEMPLATES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];
/// What is made and not written is not watched.
const LEFT_OUT: [&str; 4] = ["node_modules", "__pycache__", "target", "venv"];

#[derive(clap::Args)]
pub(crate) struct DevArgs {
    /// The folder with template.yaml; what its template names lies below it
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The stack's name; the folder's where none is given
    #[arg(long)]
    stack: Option<String>,
    /// The state machine to run, by its name in the template; needed where there are several
    #[arg(long, value_name = "LOGICAL ID")]
    machine: Option<String>,
    /// The input: JSON, or @FILE
    #[arg(long, default_value = "{}", value_name = "JSON|@FILE")]
    input: String,
    /// A template parameter, NAME=VALUE; may be given several times
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Deploy only
    #[arg(long)]
    no_run: bool,
    /// Deploy and run once, and end as the execution does
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(client: &Client, asked: DevArgs) -> Result<ExitCode> {
    let template = TEMPLATES.iter().map(|name| asked.folder.join(name)).find(|path| path.is_file());
    let Some(template) = template else {
        bail!("{} has no {} (lakerun init FOLDER writes one)", asked.folder.display(), TEMPLATES.join(", "))
    };
    let stack = match &asked.stack {
        Some(stack) => stack.clone(),
        None => init::stack_of(&asked.folder)?,
    };
    if asked.once {
        return cycle(client, &asked, &stack, &template).await;
    }
    loop {
        let before = seen(&asked.folder);
        tokio::select! {
            done = cycle(client, &asked, &stack, &template) => {
                if let Err(error) = done {
                    complain(&format!("lakerun: {error:#}"));
                }
                complain(&format!("\nwatching {} (Ctrl-C leaves)", asked.folder.display()));
                changed(&asked.folder, &before).await;
            }
            // Saved while it runs: that execution goes on by itself.
            () = changed(&asked.folder, &before) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(executions::INTERRUPTED)),
        }
        complain("changed: again\n");
    }
}

/// Once: deploy, run, show the end.
async fn cycle(client: &Client, asked: &DevArgs, stack: &str, template: &Path) -> Result<ExitCode> {
    deploy::run(client, stack, template, &asked.parameters).await?;
    if asked.no_run {
        return Ok(ExitCode::SUCCESS);
    }
    let machines = deploy::resources(client, stack, "AWS::StepFunctions::StateMachine").await?;
    let arn = match (&asked.machine, machines.as_slice()) {
        (Some(wanted), _) => machines.iter().find(|(id, _)| id == wanted).map(|(_, arn)| arn),
        (None, [(_, arn)]) => Some(arn),
        (None, []) => {
            complain("the stack has no state machine: nothing to run");
            return Ok(ExitCode::SUCCESS);
        }
        (None, _) => None,
    };
    let Some(arn) = arn else {
        let names: Vec<_> = machines.iter().map(|(id, _)| id.as_str()).collect();
        bail!("which state machine? --machine takes one of {}", names.join(", "))
    };
    executions::run(client, RunArgs::followed(arn, &asked.input)).await
}

type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Each file with when it was written and how large it is.
fn seen(folder: &Path) -> Seen {
    let mut files = Seen::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || LEFT_OUT.contains(&&*name) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            files.extend(seen(&entry.path()));
        } else {
            files.insert(entry.path(), (metadata.modified().ok(), metadata.len()));
        }
    }
    files
}

/// Returns when something was saved, and nothing more for a moment: an editor writes in several steps.
async fn changed(folder: &Path, before: &Seen) {
    loop {
        tokio::time::sleep(LOOK).await;
        let now = seen(folder);
        if now != *before {
            tokio::time::sleep(LOOK).await;
            if seen(folder) == now {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_not_watched() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        write("clean/clean.py");
        let before = seen(folder.path());
        for name in ["clean/__pycache__/clean.pyc", ".git/HEAD", "node_modules/x/y.js", "clean/.clean.py.swp"] {
            write(name);
        }
        assert_eq!(seen(folder.path()), before);
        std::fs::write(folder.path().join("clean/clean.py"), "xy").unwrap();
        assert_ne!(seen(folder.path()), before);
    }
}
