//! `lakerun up`: open the data folder, wire the services, serve, drain, stop.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use identity::{RootKeys, random_text};
use serde::{Deserialize, Serialize};
use store::{DataDir, Queue};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::{self, Flags, LogFormat, Role, Settings};
use crate::traces::{self, Exporter};
use crate::{backup, bucket, cluster, elsewhere, migrate, monitor, services, tls};

/// How long requests under way may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a client may wait for the server to start before it is told when to come again.
const PATIENCE: Duration = Duration::from_secs(2);

/// What other commands need to reach a running server; kept in the data folder, readable by its owner alone.
#[derive(Serialize, Deserialize)]
pub(crate) struct ServerFile {
    pub(crate) pid: u32,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// Opens the console without keys: `/console/#token=…`.
    pub(crate) console_token: String,
}

pub(crate) const SERVER_FILE: &str = "server.json";
pub(crate) const KEYS_FILE: &str = "root-key.json";

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let settings = settings::load(flags)?;
    // s3s logs every error of a client as an error of its own.
    let filter =
        tracing_subscriber::EnvFilter::try_new(format!("s3s=off,{}", settings.log)).context("setting `log`")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => log.with_ansi(crate::output::is_terminal()).with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

#[expect(clippy::too_many_lines, reason = "the order in which a server starts and ends")]
async fn serve(settings: Settings) -> Result<()> {
    let dir = DataDir::open(&settings.data)?;
    elsewhere::note(&settings)?;
    let addresses = settings.addresses()?;
    let listener = TcpListener::bind(addresses.as_slice()).await.with_context(|| {
        format!("cannot listen on {}: is another server there? (choose another address with --listen)", settings.listen)
    })?;
    let address = listener.local_addr()?;
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let term = match &settings.store {
        None if settings.roles.len() < settings::ROLES.len() => {
            bail!(
                "roles are of nodes that share a database, and `store` is not set: a server that is alone has all of them"
            )
        }
        None if settings.sections().0.contains_key("cluster") => {
            bail!("[cluster] is set, and `store`, the database that its nodes share, is not")
        }
        None => None,
        Some(url) => tokio::select! {
            term = cluster::join(url, &settings, &listener) => Some(term?),
            _ = terminated.recv() => return Ok(()),
            _ = interrupted.recv() => return Ok(()),
        },
    };
    // Of nodes: the address at which the others reach this one, too. Without TLS, as this machine's programs reach it.
    let own = term.as_ref().map_or_else(|| address.to_string(), |term| term.own.clone());
    let endpoint = format!("http://{own}");
    let reached: Vec<_> =
        own.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']).to_owned()).into_iter().collect();
    let tls = match &term {
        Some(term) => term.tls.clone(),
        None => tls::load(&settings, &reached)?,
    };
    let kept = tokio::spawn(tls::keep(tls.clone(), settings.clone(), reached));
    if let Some(term) = &term {
        term.fetch_keys(dir.path()).await?;
    }
    let root = root_keys(&settings)?;
    let objects = bucket::open(&settings, term.as_ref()).await?;
    let lease = term.as_ref().map(|term| term.lease.clone());
    // Side by side: each waits for the disk.
    let open = |name| lease.as_ref().map_or_else(|| dir.store(name), |lease| lease.store(name)).map(Queue::new);
    let [control, s3, dynamodb] = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            ["control", "s3", "dynamodb"]
                .map(|name| scope.spawn(move || open(name)))
                .map(|opening| opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    });
    let platform = service::Platform {
        router: service::Router::new(),
        control: control?,
        s3: s3?,
        dynamodb: dynamodb?,
        data: std::path::absolute(dir.path())?,
        objects,
        endpoint: endpoint.clone(),
        account: settings.account.clone(),
        region: settings.region.clone(),
        settings: settings.sections(),
    };
    migrate::refuse_unfinished(platform.control.store()).await?;
    let exporter = Exporter::of(&platform.settings, traces::Origin { instance: own.clone() })?;
    if let Some(exporter) = &exporter {
        // Before the services are made, which ask for it.
        platform.router.set_tracer(Arc::new(exporter.clone()));
        tokio::spawn(exporter.clone().run());
    }
    let token = identity::random_token();
    // Who comes meanwhile waits at the port; where that becomes long, they are told when to come again.
    let wired = {
        let nodes = term.as_ref().map(|term| term.nodes.clone()).unwrap_or_default();
        let runs = services::Where { here: settings.roles.contains(&Role::Compute), nodes };
        let mut wiring = Box::pin(services::wire(&platform, root.clone(), runs));
        if let Ok(wired) = tokio::time::timeout(PATIENCE, &mut wiring).await {
            wired?
        } else {
            tokio::select! {
                wired = wiring => wired?,
                () = front::starting(&listener, tls.clone()) => unreachable!("it accepts until it is dropped"),
            }
        }
    };
    if let Some(term) = &term {
        term.share_keys(dir.path()).await?;
    }
    let running: Vec<_> = [&platform.control, &platform.s3, &platform.dynamodb].into_iter().map(Queue::start).collect();
    // Of use only as long as this server runs: it need not outlive the machine.
    write_private_unsynced(
        &settings.data.join(SERVER_FILE),
        &serde_json::to_vec_pretty(&ServerFile {
            pid: std::process::id(),
            endpoint: endpoint.clone(),
            region: settings.region.clone(),
            account: settings.account.clone(),
            access_key: root.access_key,
            secret_key: root.secret_key,
            console_token: token.clone(),
        })?,
    )?;
    tracing::info!(%endpoint, data = %settings.data.display(), "serving");
    welcome(&settings, &platform.shown_endpoint(), &token);

    let source = backup::Source {
        data: platform.data.clone(),
        stores: [&platform.control, &platform.s3, &platform.dynamodb].map(|queue| queue.store().clone()).to_vec(),
        s3: wired.objects,
    };
    if let Err(error) = backup::listen(source) {
        tracing::warn!(%error, "no backups can be made while the server runs");
    }
    let shown: monitor::Section = platform.settings.section("metrics").map_err(anyhow::Error::msg)?;
    let nodes = term.as_ref().map(|term| term.nodes.clone()).unwrap_or_default();
    let (lambda, sagemaker) = (Arc::clone(&wired.lambda), Arc::clone(&wired.sagemaker));
    let metrics = monitor::metrics(monitor::Sources {
        lease: lease.clone(),
        nodes,
        queues: vec![
            ("control", platform.control.clone()),
            ("s3", platform.s3.clone()),
            ("dynamodb", platform.dynamodb.clone()),
        ],
        environments: vec![
            ("functions", Box::new(move || lambda.environments())),
            ("models", Box::new(move || sagemaker.servers())),
        ],
        exporter: exporter.clone(),
    });
    platform.router.set_monitor(Arc::new(metrics.clone()));
    let (telemetry, lineage) = (Arc::clone(&wired.telemetry), Arc::clone(&wired.lineage));
    let front = front::Front::new(
        &platform,
        wired.s3,
        (wired.lambda, wired.cloudformation, wired.glue),
        wired.telemetry.clone(),
        wired.links,
        token,
    )
    .map_err(|e| anyhow::anyhow!(e))?
    .by_tls(tls.clone())
    .shows(metrics, shown.token);
    let front = match &term {
        None => front,
        Some(term) => {
            let lease = term.lease.clone();
            front.during(move || lease.is_valid(), term.prefaces.clone(), term.between())
        }
    };
    let front = Arc::new(front);
    if let Err(error) = front.hand_over(&platform.objects_socket()) {
        tracing::info!(%error, "workers read objects over HTTP alone");
    }
    let stores = [&platform.control, &platform.s3, &platform.dynamodb].map(|queue| queue.store().clone());
    tokio::spawn(crate::memory::watch(stores.to_vec()));
    let (account, region) = (platform.account.clone(), platform.region.clone());
    let (router, data, budget) = (Arc::clone(&platform.router), platform.data.clone(), wired.budget);
    let watching = tokio::spawn(monitor::Machine { router, account, region, data, budget }.watch());
    // It goes on while the server drains, to tell who comes when to come again.
    let accepting = tokio::spawn(front.clone().accept(listener));
    tokio::select! {
        _ = terminated.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupted.recv() => tracing::info!("interrupted: draining"),
        () = lost(lease.as_ref()) => cluster::begin_anew()?,
    }
    front.drain(DRAIN).await;
    for queue in running {
        queue.abort();
    }
    telemetry.flush().await?;
    lineage.flush().await?;
    if let Some(exporter) = &exporter {
        exporter.flush().await;
    }
    accepting.abort();
    watching.abort();
    kept.abort();
    if let Some(term) = term {
        term.end().await;
    }
    let _ = std::fs::remove_file(settings.data.join(SERVER_FILE));
    Ok(())
}

/// Returns when another node has taken the lease; never where there is none.
async fn lost(lease: Option<&store::postgres::Lease>) {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}

/// Where to go now. The link that signs in is for the person at the terminal alone: what goes to a file is kept and read by others.
fn welcome(settings: &Settings, endpoint: &str, token: &str) {
    let link = if std::io::stdout().is_terminal() { format!("#token={token}") } else { String::new() };
    let flag = if settings.data == settings::default_data() {
        String::new()
    } else {
        format!(" --data {}", settings.data.display())
    };
    crate::output::say(&format!(
        "Lakerun serves at {endpoint}\n  console  {endpoint}/console/{link}\n  clients  eval \"$(lakerun env{flag})\""
    ));
}

/// The owner's keys: as set, else as made at first start.
fn root_keys(settings: &Settings) -> Result<RootKeys> {
    match (&settings.root_access_key_id, &settings.root_secret_access_key) {
        (Some(access), Some(secret)) => return Ok(RootKeys { access_key: access.clone(), secret_key: secret.clone() }),
        (None, None) => {}
        _ => bail!("set both LAKERUN_ROOT_ACCESS_KEY_ID and LAKERUN_ROOT_SECRET_ACCESS_KEY, or neither"),
    }
    let path = settings.data.join(KEYS_FILE);
    let mut text = String::new();
    if let Ok(mut file) = std::fs::File::open(&path) {
        file.read_to_string(&mut text)?;
        let keys: [String; 2] =
            serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        let [access_key, secret_key] = keys;
        return Ok(RootKeys { access_key, secret_key });
    }
    let keys = RootKeys {
        access_key: format!("AKIA{}", random_text(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
        secret_key: random_text(40, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
    };
    write_private(&path, &serde_json::to_vec(&[&keys.access_key, &keys.secret_key])?)?;
    Ok(keys)
}

/// Writes whole or not at all, readable by the owner alone.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write_private_and(path, bytes, std::fs::File::sync_all)
}

/// The same as long as the machine runs.
fn write_private_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    write_private_and(path, bytes, |_| Ok(()))
}

fn write_private_and(path: &Path, bytes: &[u8], sync: fn(&std::fs::File) -> std::io::Result<()>) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    sync(&file)?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}
