//! `lakerun worker KIND`: children of the server's own binary that answer one request at a time over standard input and
//! output, a line of JSON each way. They stay warm for a while and go when idle or when their place is needed.
//!
//! A request is `{"request": …}`, an answer `{"ok": …}` or `{"error": {"code": …, "message": …}}`.

mod client;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use client::{Asks, Config, Work, Workers};
pub use server::{Answer, Failure, serve};

/// What one call may use. Workers started under different memory limits or folders are kept apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limits {
    memory_mb: u64,
    timeout: Option<Duration>,
    /// On this machine alone.
    #[serde(skip)]
    read: Vec<PathBuf>,
    env: Vec<(String, String)>,
    python: Option<String>,
}

/// Where a request is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At<'a> {
    /// On this machine, whose files may be read.
    Here,
    /// On another node, from which the platform is reached there.
    Node { endpoint: &'a str },
}

impl<'a> At<'a> {
    /// Where the platform is reached; `own`: on this machine.
    pub fn endpoint(self, own: &'a str) -> &'a str {
        match self {
            Self::Here => own,
            Self::Node { endpoint } => endpoint,
        }
    }
}

/// The variable that tells it.
const SITE_PACKAGES: &str = "LAKERUN_SITE_PACKAGES";

/// The folder of the packages that this worker asked for by [`Limits::python`].
pub fn site_packages() -> Option<PathBuf> {
    std::env::var_os(SITE_PACKAGES).map(PathBuf::from)
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mb: 1024, timeout: None, read: Vec::new(), env: Vec::new(), python: None }
    }
}

impl Limits {
    /// 1024 MB, no timeout.
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn memory_mb(mut self, megabytes: u64) -> Self {
        self.memory_mb = megabytes;
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A file or folder that the worker may read besides the system's.
    #[must_use]
    pub fn read_only(mut self, path: impl AsRef<Path>) -> Self {
        self.read.push(path.as_ref().to_owned());
        self
    }

    /// Packages of Python, as lines for pip, that the worker finds in [`site_packages`].
    #[must_use]
    pub fn python(mut self, requirements: impl Into<String>) -> Self {
        self.python = Some(requirements.into());
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}
