//! Nodes that share a database take each other's place: one owns the stores, the others stand by and pass connections on to it. Which
//! one, a lease in the database says (`store::postgres`); one that has lost it starts again, as one that stands by.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use compute::nodes::link::Keys;
use compute::nodes::{self, Nodes};
use front::Tls;
use serde::Deserialize;
use store::postgres::{Database, Lease};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::settings::{Role, Settings};

mod node;

/// Keys that all nodes must have, as files of their data folders. None that its setting gives is made, or shared.
const SHARED: [&str; 3] = [crate::up::KEYS_FILE, "s3.key", "kms.key"];
/// What connections that are passed on are signed with.
const PREFACES: &str = "preface.key";
const PREFACE_KEY_BYTES: usize = 32;
/// Between two looks at the lease of another.
const LOOK: Duration = Duration::from_millis(250);
/// While the database is not to be reached.
const AGAIN: Duration = Duration::from_secs(1);

/// Section `[cluster]` of the settings.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    /// How long a node that does not answer keeps the stores.
    lease_seconds: u64,
    /// Where other nodes reach this one, `HOST:PORT`; its own address where it is not set.
    advertise: Option<String>,
}

impl Default for Section {
    fn default() -> Self {
        Self { lease_seconds: 3, advertise: None }
    }
}

/// What a node has that owns the stores.
pub(crate) struct Term {
    pub(crate) lease: Lease,
    pub(crate) prefaces: front::PrefaceKey,
    /// The nodes that work for this one.
    pub(crate) nodes: Nodes,
    /// `HOST:PORT` where other nodes reach this one.
    pub(crate) own: String,
    pub(crate) tls: Option<Tls>,
    database: Arc<Database>,
}

impl Term {
    fn new(lease: Lease, secret: Vec<u8>, own: String, tls: Option<Tls>, database: Arc<Database>) -> Self {
        let keys = Keys { secret: secret.clone(), fence: lease.fence() };
        // By TLS the node brings it here: programs need not know the authority.
        let endpoint = tls.is_none().then(|| format!("http://{own}"));
        let owner = nodes::Owner { endpoint, keys, dial: Arc::new(node::Dial(tls.clone())) };
        let prefaces = front::PrefaceKey { secret, fence: lease.fence() };
        Self { lease, prefaces, nodes: Nodes::of(owner), own, tls, database }
    }

    /// Nodes that come to work for this one.
    pub(crate) fn between(&self) -> front::Between {
        let (nodes, tls) = (self.nodes.clone(), self.tls.clone());
        Arc::new(move |stream| {
            let (nodes, tls) = (nodes.clone(), tls.clone());
            tokio::spawn(async move {
                match node::accepted(stream, tls).await {
                    Ok(wire) => nodes.serve(wire).await,
                    Err(error) => tracing::warn!(%error, "a node's connection did not begin as it should"),
                }
            });
        })
    }
}

/// Waits, standing by, until this node owns the stores of the database.
///
/// # Errors
/// When a setting is wrong, or the database was made by a newer version.
pub(crate) async fn join(url: &str, settings: &Settings, listener: &TcpListener) -> Result<Term> {
    let section: Section = settings.sections().section("cluster").map_err(anyhow::Error::msg)?;
    if !(1..=3600).contains(&section.lease_seconds) {
        bail!("[cluster] lease_seconds: from 1 to 3600, not {}", section.lease_seconds);
    }
    let own = section.advertise.map_or_else(|| listener.local_addr().map(|address| address.to_string()), Ok)?;
    if own.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        bail!("[cluster] advertise: HOST:PORT, not {own:?}");
    }
    let database = Arc::new(open(url).await?);
    let secret = {
        let database = Arc::clone(&database);
        blocking(move || database.share(PREFACES, &rand_bytes())).await?
    };
    let (tell, told) = watch::channel(None);
    let lasts = Duration::from_secs(section.lease_seconds);
    let roles = &settings.roles;
    let offer = if roles.contains(&Role::Compute) { Some(node::offer(settings).await?) } else { None };
    if let Some(authority) = crate::tls::own_authority(settings)? {
        let sharing = Arc::clone(&database);
        let shared = blocking(move || sharing.share("tls-authority", &authority)).await?;
        crate::tls::take_authority(settings, &shared)?;
    }
    let host = own.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']).to_owned());
    let tls = crate::tls::load(settings, host.as_slice())?;
    let between: front::Between = match offer.clone() {
        Some(offer) => {
            let tls = tls.clone();
            Arc::new(move |stream| {
                let (offer, tls) = (offer.clone(), tls.clone());
                tokio::spawn(async move {
                    match node::accepted(stream, tls).await {
                        Ok(wire) => offer.serve(wire),
                        Err(error) => tracing::warn!(%error, "a node's connection did not begin as it should"),
                    }
                });
            })
        }
        None => Arc::new(drop),
    };
    let passes_on = roles.contains(&Role::Api);
    let standby = front::Standby { owner: told.clone(), between, passes_on, tls: tls.clone() };
    let lease = tokio::select! {
        lease = take(&database, own.clone(), lasts, &secret, (tell, roles.contains(&Role::Engine))) => lease,
        () = front::standing_by(listener, standby) => unreachable!("it accepts until it is dropped"),
        () = node::work(offer, told, &own, tls.clone()) => unreachable!("it works until it is dropped"),
        () = crate::tls::keep(tls.clone(), settings.clone(), host.clone().into_iter().collect()) => unreachable!("it goes on"),
    };
    tracing::info!(node = database.node(), fence = lease.fence(), "this node owns the stores now");
    Ok(Term::new(lease, secret, own, tls, database))
}

/// A secret of the first node's making.
fn rand_bytes() -> Vec<u8> {
    identity::random_text(PREFACE_KEY_BYTES, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        .into_bytes()
}

async fn open(url: &str) -> Result<Database> {
    loop {
        let url = url.to_owned();
        match blocking(move || Database::open(&url)).await {
            Err(store::Error::Storage(error)) => {
                tracing::warn!(%error, "the database cannot be reached; trying again");
                tokio::time::sleep(AGAIN).await;
            }
            opened => return Ok(opened?),
        }
    }
}

async fn take(
    database: &Arc<Database>,
    own: String,
    lasts: Duration,
    secret: &[u8],
    (tell, may_own): (watch::Sender<Option<front::Owner>>, bool),
) -> Lease {
    loop {
        let (trying, endpoint) = (Arc::clone(database), own.clone());
        let taken = blocking(move || {
            let taken = if may_own { trying.take(&endpoint, lasts)? } else { None };
            match taken {
                Some(lease) => Ok::<_, store::Error>((Some(lease), None)),
                None => Ok((None, trying.owner()?)),
            }
        });
        match taken.await {
            Ok((Some(lease), _)) => return lease,
            Ok((None, owner)) => {
                // This node's own address is that of the process that it was before: nobody serves there.
                let other = owner.filter(|owner| owner.is_alive && owner.endpoint != own);
                let alive = other.map(|owner| front::Owner {
                    address: owner.endpoint,
                    key: front::PrefaceKey { secret: secret.to_vec(), fence: owner.fence },
                });
                tell.send_if_modified(|known| {
                    let is_other = *known != alive;
                    if is_other {
                        let owner = alive.as_ref().map_or("nobody", |owner| owner.address.as_str());
                        tracing::info!(owner, "standing by");
                        known.clone_from(&alive);
                    }
                    is_other
                });
                tokio::time::sleep(LOOK).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the lease cannot be looked at; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Term {
    /// For work on the stores while no server runs.
    ///
    /// # Errors
    /// When a server does.
    pub(crate) async fn alone(url: &str) -> Result<Self> {
        let database = Arc::new(open(url).await?);
        let (trying, lasts) = (Arc::clone(&database), Duration::from_mins(1));
        let Some(lease) = blocking(move || trying.take("", lasts)).await? else {
            bail!("a server owns the database: stop all of them first");
        };
        Ok(Self::new(lease, Vec::new(), String::new(), None, database))
    }

    /// Brings the keys that nodes share into the data folder.
    ///
    /// # Errors
    /// When the folder has others: it was one of another installation.
    pub(crate) async fn fetch_keys(&self, folder: &Path) -> Result<()> {
        for name in SHARED {
            let (database, path) = (Arc::clone(&self.database), folder.join(name));
            let Some(shared) = blocking(move || database.file(name)).await? else { continue };
            match std::fs::read(&path) {
                Ok(own) if own == shared => {}
                Ok(_) => bail!(
                    "{} is not the key that the database's nodes share: start with a data folder that is empty",
                    path.display()
                ),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => crate::up::write_private(&path, &shared)?,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            }
        }
        Ok(())
    }

    /// Shares the keys that this node has made. Nothing is encrypted with them before that.
    ///
    /// # Errors
    /// When one cannot be read, or another node has shared its own meanwhile.
    pub(crate) async fn share_keys(&self, folder: &Path) -> Result<()> {
        for name in SHARED {
            let (database, path) = (Arc::clone(&self.database), folder.join(name));
            let own = match std::fs::read(&path) {
                Ok(own) => own,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            };
            let offered = own.clone();
            if blocking(move || database.share(name, &offered)).await? != own {
                bail!("{}: another node has shared its own", path.display());
            }
        }
        Ok(())
    }

    /// What the nodes' installation is called: `new` if it has no name yet.
    pub(crate) async fn installation(&self, new: String) -> Result<String> {
        let database = Arc::clone(&self.database);
        let name = blocking(move || database.share("installation", new.as_bytes())).await?;
        Ok(String::from_utf8(name)?)
    }

    /// Lets another node go on at once.
    pub(crate) async fn end(self) {
        blocking(move || self.lease.release()).await;
    }
}

/// Another node owns the stores: begins anew, with nothing left of what this one was doing.
///
/// # Errors
/// When the program cannot be started again.
pub(crate) fn begin_anew() -> Result<()> {
    tracing::warn!("another node owns the stores now: starting again, to stand by");
    let error = std::process::Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).exec();
    Err(error).context("cannot start again")
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(f).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
