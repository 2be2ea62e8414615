//! `lakerun migrate`: brings what a data folder holds to the database and the bucket that settings name, or back. No server may run on
//! either meanwhile; where it is cut short, what was begun is refused by `lakerun up`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use store::objects::Objects;
use store::{DataDir, Key, Store};

use crate::bucket;
use crate::cluster::Term;
use crate::output::say;
use crate::settings::{self, Flags, Settings};

const STORES: [&str; 3] = ["control", "s3", "dynamodb"];
/// Records brought over at a time.
const PAGE: usize = 500;
/// What the bucket calls a function's code, before its name in the folder.
const CODE: &str = "lambda-";

/// Is in a store into which a migration was begun and not ended.
fn mark() -> Key {
    Key::new("\u{1}migrating")
}

/// # Errors
/// When a migration into this store was cut short.
pub(crate) async fn refuse_unfinished(control: &Store) -> Result<()> {
    if control.read(|tx| tx.has(mark())).await? {
        bail!(
            "a migration into this store was cut short: empty it (the schema, or the data folder), and migrate again"
        );
    }
    Ok(())
}

#[derive(clap::Args)]
pub(crate) struct MigrateArgs {
    /// From the database and the bucket to the data folder, which must be new
    #[arg(long)]
    back: bool,
    #[command(flatten)]
    settings: Flags,
}

pub(crate) async fn run(args: &MigrateArgs) -> Result<()> {
    let settings = settings::load(&args.settings)?;
    if settings.store.is_none() && settings.objects.is_none() {
        bail!("say where to: --store postgres://…, --objects s3://…, or both");
    }
    let is_new = !settings.data.join("format").exists();
    if is_new != args.back {
        let state = if is_new { "is no data folder" } else { "is a data folder already" };
        bail!("{} {state}", settings.data.display());
    }
    let dir = DataDir::open(&settings.data)?;
    let term = match &settings.store {
        Some(url) => Some(Term::alone(url).await?),
        None => None,
    };
    let moved = Box::pin(bring(args.back, &settings, &dir, term.as_ref())).await;
    if let Some(term) = term {
        term.end().await;
    }
    moved
}

async fn bring(back: bool, settings: &Settings, dir: &DataDir, term: Option<&Term>) -> Result<()> {
    if let Some(objects) = bucket::open(settings, term).await? {
        let folder = Objects::disk(settings.data.join("objects"))?;
        let (from, to) = if back { (&objects, &folder) } else { (&folder, &objects) };
        let (ids, count) = (from.names().await?, from.names().await?.len());
        for id in ids {
            to.take_over(from, &id).await.with_context(|| format!("the bytes of {id}"))?;
        }
        let code = settings.data.join("lambda/code");
        let archives = if back { fetch_code(&objects, &code).await? } else { share_code(&objects, &code).await? };
        say(&format!("objects   {count} with bytes of their own, {archives} archives of functions and layers"));
    }
    let Some(term) = term else { return Ok(()) };
    if back {
        term.fetch_keys(&settings.data).await?;
    } else {
        term.share_keys(&settings.data).await?;
        // They are what the database has now; if not what this folder has, then it was another installation's.
        term.fetch_keys(&settings.data).await?;
    }
    let open = |name: &str, is_folder: bool| if is_folder { dir.store(name) } else { term.lease.store(name) };
    let control = open("control", back)?;
    for name in STORES {
        let (from, to) = (open(name, !back)?, if name == "control" { control.clone() } else { open(name, back)? });
        let records = copy(&from, &to, name == "control").await.with_context(|| format!("the store {name}"))?;
        say(&format!("{name:<9} {records} records"));
    }
    Ok(control.write(|tx| tx.delete(mark())).await?)
}

/// All records, into a store that has none; how many. The first store is marked as one that is not whole.
async fn copy(from: &Store, to: &Store, marks: bool) -> Result<usize> {
    if !to.read(|tx| tx.scan(&[], None, 1, false)).await?.is_empty() {
        bail!("there are records where they are to go: use an empty database, or another schema");
    }
    if marks {
        refuse_unfinished(from).await?;
        to.write(|tx| tx.put(mark(), &[])).await?;
    }
    let (mut after, mut copied) = (Vec::new(), 0);
    loop {
        let page = from.read(|tx| tx.scan(&after, None, PAGE, false)).await?;
        let Some((last, _)) = page.last() else { return Ok(copied) };
        after.clone_from(last);
        after.push(0);
        copied += page.len();
        to.write(move |tx| page.iter().try_for_each(|(key, value)| tx.put(key, value))).await?;
    }
}

async fn share_code(objects: &Objects, code: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(code).into_iter().flatten() {
        let path = entry?.path();
        let Some(name) = path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|_| path.extension().is_some_and(|kind| kind == "zip"))
        else {
            continue;
        };
        objects.share_file(&format!("{CODE}{name}"), &path).await?;
        count += 1;
    }
    Ok(count)
}

async fn fetch_code(objects: &Objects, code: &Path) -> Result<usize> {
    let names = objects.file_names().await?;
    let archives: Vec<_> = names.iter().filter_map(|name| Some((name, name.strip_prefix(CODE)?))).collect();
    for (name, archive) in &archives {
        objects.fetch_file(name, &code.join(archive)).await?;
    }
    Ok(archives.len())
}
