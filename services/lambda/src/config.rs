//! Section `[lambda]` of the settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Folders and files of the host that every function may read.
    pub(crate) read_paths: Vec<PathBuf>,
    /// `LocalMountPath` of a function's file system, and the host's folder that stands for it.
    pub(crate) mounts: BTreeMap<String, PathBuf>,
    /// How long an idle environment is kept.
    pub(crate) idle_seconds: u64,
    /// How long a template, a process that Python functions are forked from, is kept without a start; 0: functions start by themselves.
    pub(crate) template_seconds: u64,
    /// Environments that may be in use at once, as the account's concurrency.
    pub(crate) concurrency: usize,
    /// Functions whose version of Python or Node.js cannot be had are refused, not run on the nearest.
    pub(crate) exact_runtimes: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_paths: Vec::new(),
            mounts: BTreeMap::new(),
            idle_seconds: 60,
            template_seconds: 180,
            concurrency: 1000,
            exact_runtimes: false,
        }
    }
}
