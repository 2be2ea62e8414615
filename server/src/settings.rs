//! What can be set: file, then environment (`LAKERUN_…`), then flags. Unknown keys are errors. Each key is described where it
//! is declared: top-level ones here, a section's in the service that reads it.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Sections that services read with `Settings::section`.
const SECTIONS: [&str; 17] = [
    "smtp",
    "sns",
    "lambda",
    "s3",
    "states",
    "compute",
    "console",
    "kms",
    "cluster",
    "bucket",
    "tls",
    "metrics",
    "spark",
    "telemetry",
    "trino",
    "events",
    "cloudtrail",
];
/// Variables with our prefix that are not settings of the server.
const FOREIGN: [&str; 6] = ["cache", "python", "shared", "config", "demo_profile", "target"];

/// Flags of `lakerun up`.
#[derive(clap::Args, Debug, Serialize)]
pub(crate) struct Flags {
    /// Address to serve on, HOST:PORT; port 0 takes a free one [default: 127.0.0.1:4566]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    /// Folder for everything that is kept [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// A PostgreSQL database for all records, postgres://USER@HOST/DATABASE; several servers may share it [default: files in the data folder]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// A bucket of any S3 for the bytes of large objects, s3://BUCKET/PREFIX [default: files in the data folder]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<String>,
    /// Settings file [default: lakerun.toml here, where there is one]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
}

/// The server's own settings; sections stay as they are.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Settings {
    /// Address to serve on. Port 0 takes a free one.
    pub(crate) listen: String,
    /// Folder for everything that is kept.
    pub(crate) data: PathBuf,
    /// A PostgreSQL database for all records; files in the data folder where it is not set.
    pub(crate) store: Option<String>,
    /// A bucket for the bytes of large objects; files in the data folder where it is not set.
    pub(crate) objects: Option<String>,
    /// What this node does, of several that share a database.
    pub(crate) roles: BTreeSet<Role>,
    /// The account that everything belongs to.
    pub(crate) account: String,
    /// The region of what has none in its request: the console, the CLI.
    pub(crate) region: String,
    /// What to log, as `tracing` filters are written, e.g. `info` or `lakerun=debug`.
    pub(crate) log: String,
    /// How: `text`, or `json`, an object a line.
    pub(crate) log_format: LogFormat,
    /// The owner's keys; made at first start where not set.
    pub(crate) root_access_key_id: Option<String>,
    pub(crate) root_secret_access_key: Option<String>,
    #[serde(flatten)]
    sections: Map<String, Value>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// It takes requests: as the owner it answers them, else it passes them on.
    Api,
    /// It may own the stores.
    Engine,
    /// It runs functions, jobs and queries, its own or the owner's.
    Compute,
}

pub(crate) const ROLES: [Role; 3] = [Role::Api, Role::Engine, Role::Compute];

pub(crate) fn default_data() -> PathBuf {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let base = std::env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
    base.join("lakerun")
}

/// Merges all sources.
///
/// # Errors
/// A text that names the key and the file.
pub(crate) fn load(flags: &Flags) -> Result<Settings> {
    let defaults = serde_json::json!({
        "listen": "127.0.0.1:4566", "data": default_data(), "account": "000000000000", "region": "us-east-1", "log": "info",
        "roles": ROLES, "log_format": LogFormat::Text,
    });
    let file = match flags.config.clone().or_else(|| std::env::var_os("LAKERUN_CONFIG").map(PathBuf::from)) {
        Some(path) if !path.exists() => bail!("settings file {} does not exist", path.display()),
        Some(path) => path,
        None => PathBuf::from("lakerun.toml"),
    };
    let environment =
        Env::prefixed("LAKERUN_").filter(|k| !FOREIGN.contains(&k.as_str().to_ascii_lowercase().as_str())).map(|k| {
            let key = k.as_str().to_ascii_lowercase();
            match key.split_once('_') {
                Some((section, rest)) if SECTIONS.contains(&section) => format!("{section}.{rest}").into(),
                _ => key.into(),
            }
        });
    let settings: Settings = Figment::from(Serialized::defaults(defaults))
        .merge(Toml::file(&file))
        .merge(environment)
        .merge(Serialized::defaults(flags))
        .extract()
        .context("settings")?;
    for key in settings.sections.keys() {
        if !SECTIONS.contains(&key.as_str()) {
            bail!(
                "unknown setting `{key}` (in {} or LAKERUN_{}); sections are {}",
                file.display(),
                key.to_ascii_uppercase(),
                SECTIONS.join(", ")
            );
        }
    }
    if let Some(url) = &settings.store
        && !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
    {
        bail!("store must be postgres://USER@HOST/DATABASE, or not be set: records are in the data folder then");
    }
    if settings.roles.is_empty() {
        bail!("roles: at least one of api, engine, compute");
    }
    if settings.roles.contains(&Role::Engine) && !settings.roles.contains(&Role::Api) {
        bail!("roles: `engine` needs `api`: who owns the stores answers what others pass on");
    }
    if settings.account.len() != 12 || !settings.account.bytes().all(|b| b.is_ascii_digit()) {
        bail!("account must be 12 digits, not {:?}", settings.account);
    }
    Ok(settings)
}

impl Settings {
    /// The addresses that `listen` names; of a name that has several, those of IPv4 first, which clients try first.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let found = self.listen.to_socket_addrs();
        let found = found.with_context(|| format!("listen: {:?} is no HOST:PORT that is known here", self.listen))?;
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        Ok(found)
    }

    pub(crate) fn sections(&self) -> service::Settings {
        service::Settings(Arc::new(self.sections.clone()))
    }
}
