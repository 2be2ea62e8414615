//! `lakerun backup`, `restore` and `doctor --scrub`: copies of a data folder, made while the server runs or while it does not.
//!
//! A running server holds its folder alone; so it is asked, over a Unix socket in the folder, and does the work itself. The records of
//! all stores are copied as of one moment ([`store::cut`]); the bytes of objects, which never change, are linked, and none is deleted
//! before that is done. A copy is whole when it has a file named [`MARK`], which is written last.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use s3_service::{S3, Scrubbed};
use serde::{Deserialize, Serialize};
use store::dir::RESTORING;
use store::{DataDir, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::output::say;

/// Where a running server is asked.
const SOCKET: &str = "admin.sock";
/// What a whole copy has.
pub(crate) const MARK: &str = "backup.json";
const STORES: [&str; 3] = ["control", "s3", "dynamodb"];
/// Longest question and answer.
const MAX_MESSAGE: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
enum Ask {
    Backup { to: PathBuf },
    Scrub,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Backup(Copied),
    Scrub(Scrubbed),
    Failed(String),
}

/// What a copy holds; kept in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Copied {
    pub(crate) lakerun: String,
    pub(crate) at: String,
    /// Files of object bytes, and bytes of the stores' records.
    pub(crate) objects: u64,
    pub(crate) record_bytes: u64,
}

/// What the work is done on.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) data: PathBuf,
    pub(crate) stores: Vec<Store>,
    pub(crate) s3: Arc<S3>,
}

/// Answers on the folder's socket until the server stops.
///
/// # Errors
/// When there can be no socket there.
pub(crate) fn listen(source: Source) -> io::Result<()> {
    let path = source.data.join(SOCKET);
    remove(&path)?;
    let listener = tokio::net::UnixListener::bind(&path)?;
    tokio::spawn(async move {
        // One at a time.
        while let Ok((stream, _)) = listener.accept().await {
            if let Err(error) = reply(&source, stream).await {
                tracing::warn!(%error, "a backup or scrub could not be answered");
            }
        }
    });
    Ok(())
}

async fn reply(source: &Source, mut stream: tokio::net::UnixStream) -> Result<()> {
    let mut text = Vec::new();
    (&mut stream).take(MAX_MESSAGE).read_to_end(&mut text).await?;
    let done = match serde_json::from_slice(&text)? {
        Ask::Backup { to } => backup(source, &to).await.map(Answer::Backup),
        Ask::Scrub => source.s3.scrub().await.map(Answer::Scrub).map_err(anyhow::Error::msg),
    };
    let answer = done.unwrap_or_else(|error| Answer::Failed(format!("{error:#}")));
    stream.write_all(&serde_json::to_vec(&answer)?).await?;
    Ok(stream.shutdown().await?)
}

/// `lakerun backup TO`.
pub(crate) async fn run(data: &Path, to: &Path) -> Result<()> {
    let to = std::path::absolute(to)?;
    let copied = match ask(data, &Ask::Backup { to: to.clone() })? {
        Some(Answer::Backup(copied)) => copied,
        Some(Answer::Failed(why)) => bail!("{why}"),
        Some(Answer::Scrub(_)) => bail!("the server answered something else"),
        None => {
            let (source, _lock) = closed(data)?;
            backup(&source, &to).await?
        }
    };
    say(&format!("copied    {} objects in files, {} bytes of records", copied.objects, copied.record_bytes));
    say(&format!("as of     {}", copied.at));
    say(&format!("restore   lakerun restore {} --data NEW_FOLDER", to.display()));
    Ok(())
}

/// `lakerun doctor --scrub`.
pub(crate) async fn scrub(data: &Path) -> Result<()> {
    let scrubbed = match ask(data, &Ask::Scrub)? {
        Some(Answer::Scrub(scrubbed)) => scrubbed,
        Some(Answer::Failed(why)) => bail!("{why}"),
        Some(Answer::Backup(_)) => bail!("the server answered something else"),
        None => {
            let (source, _lock) = closed(data)?;
            source.s3.scrub().await.map_err(anyhow::Error::msg)?
        }
    };
    for damage in &scrubbed.damaged {
        say(&format!("DAMAGED  {damage}"));
    }
    say(&format!("scrubbed {} objects, {} bytes", scrubbed.objects, scrubbed.bytes));
    if scrubbed.damaged.is_empty() {
        return Ok(());
    }
    bail!("{} objects are damaged", scrubbed.damaged.len())
}

/// `lakerun restore FROM`.
pub(crate) fn restore(from: &Path, data: &Path) -> Result<()> {
    let mark = fs::read(from.join(MARK))
        .with_context(|| format!("{} is no whole backup: it has no {MARK}", from.display()))?;
    let copied: Copied = serde_json::from_slice(&mark).with_context(|| format!("{MARK} is damaged"))?;
    empty(data)?;
    // Until all is there it is no data folder: keys of its own would be made for what has others.
    let restoring = data.join(RESTORING);
    fs::File::create(&restoring)?.sync_all()?;
    sync_folder(data)?;
    for name in STORES {
        let name = format!("{name}.db");
        fs::copy(from.join(&name), data.join(&name)).with_context(|| format!("cannot copy {name}"))?;
        fs::File::open(data.join(&name))?.sync_all()?;
    }
    copy_tree(&from.join("objects"), &data.join("objects"), Way::Link)?;
    copy_others(from, data)?;
    sync_folder(data)?;
    fs::remove_file(&restoring)?;
    sync_folder(data)?;
    say(&format!("restored  {} as of {}", data.display(), copied.at));
    Ok(())
}

/// The folder of a server that does not run; held as long as the second part lives.
fn closed(data: &Path) -> Result<(Source, DataDir)> {
    if !data.join("format").exists() {
        bail!("{} is no data folder", data.display());
    }
    crate::elsewhere::refuse(data)?;
    let dir = DataDir::open(data)?;
    let stores = STORES.iter().map(|name| dir.store(name)).collect::<Result<Vec<_>, _>>()?;
    let s3 = s3_service::over_folder(data, stores[1].clone())?;
    Ok((Source { data: std::path::absolute(data)?, stores, s3 }, dir))
}

/// Asks the server that runs on the folder; none where none does.
fn ask(data: &Path, ask: &Ask) -> Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(data.join(SOCKET)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error).context("the server cannot be asked"),
    };
    stream.write_all(&serde_json::to_vec(ask)?)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut text = Vec::new();
    stream.take(MAX_MESSAGE).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map(Some).context("the server stopped before it was done")
}

async fn backup(source: &Source, to: &Path) -> Result<Copied> {
    if to.starts_with(&source.data) {
        bail!("{} lies in the data folder itself", to.display());
    }
    crate::elsewhere::refuse(&source.data)?;
    empty(to)?;
    // From here on bytes stay, whatever is deleted; so what the stores name at their moment is there to be linked.
    let held = source.s3.hold_bytes();
    let (from, to, stores) = (source.data.clone(), to.to_owned(), source.stores.clone());
    let copied = tokio::task::spawn_blocking(move || {
        let places = stores.into_iter().zip(STORES.map(|name| to.join(format!("{name}.db")))).collect::<Vec<_>>();
        let cuts = store::cut::begin(&places)?;
        let at = jiff::Timestamp::now().to_string();
        let objects = copy_tree(&from.join("objects/blobs"), &to.join("objects/blobs"), Way::Link)?;
        for cut in cuts {
            cut.finish()?;
        }
        copy_others(&from, &to)?;
        let mut record_bytes = 0;
        for (_, place) in &places {
            record_bytes += fs::metadata(place)?.len();
        }
        let copied = Copied { lakerun: env!("CARGO_PKG_VERSION").to_owned(), at, objects, record_bytes };
        sync_folder(&to)?;
        let mut mark = fs::File::create_new(to.join(MARK))?;
        mark.write_all(&serde_json::to_vec_pretty(&copied)?)?;
        mark.sync_all()?;
        sync_folder(&to)?;
        Ok::<_, anyhow::Error>(copied)
    })
    .await?;
    held.release().await;
    copied
}

/// Makes the folder, or takes it where it is empty.
fn empty(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    if fs::read_dir(folder)?.next().is_some() {
        bail!("{} is not empty", folder.display());
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// A second name for the same bytes, which never change; a copy where the folders are on different file systems.
    Link,
    Copy,
}

/// All files below a folder; how many.
fn copy_tree(from: &Path, to: &Path, way: Way) -> io::Result<u64> {
    let mut copied = 0;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copied += copy_tree(&old, &new, way)?;
        } else if kind.is_file() {
            let done = match way {
                Way::Link => fs::hard_link(&old, &new).or_else(|_| copy_file(&old, &new)),
                Way::Copy => copy_file(&old, &new),
            };
            match done {
                // It was there when the folder was read, and nobody holds it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                done => done?,
            }
            copied += 1;
        }
    }
    fs::File::open(to)?.sync_all()?;
    Ok(copied)
}

fn copy_file(old: &Path, new: &Path) -> io::Result<()> {
    fs::copy(old, new)?;
    fs::File::open(new)?.sync_all()
}

/// What is neither a store, nor the bytes of objects, nor of this run alone.
fn copy_others(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_store = STORES.iter().any(|store| name.starts_with(&format!("{store}.db")));
        let is_own =
            matches!(name.as_str(), "lock" | "scratch" | "objects" | "object-copies" | crate::up::SERVER_FILE | MARK);
        if is_store || is_own || Path::new(&name).extension().is_some_and(|kind| kind == "tmp") {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &to.join(&name), Way::Copy)?;
        } else if kind.is_file() {
            copy_file(&entry.path(), &to.join(&name))?;
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
