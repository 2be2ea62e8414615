//! Room on the disk that holds the target folder: a build that meets a full disk fails far from the cause, in whatever it wrote last.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context as _, Result, bail};

use crate::checks::{root, say};

/// Gigabytes that a whole run of `cargo xtask ci` takes where nothing is built yet: the target folder 26, environments of Python and the data of
/// the suites the rest (seen on 2 cores, Rust 1.91).
const NEEDED: u64 = 32;

/// Below so many nothing is begun: not even the lints end.
const LEAST: u64 = 8;

/// Where the target folder's disk has too little room, deletes what cargo makes again: first incremental sessions, then the programs of earlier
/// tests, which nothing ever deletes, then all that was built. Errors: there is still too little to begin.
pub(crate) fn make() -> Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    fs::create_dir_all(&target)?;
    let debug = target.join("debug");
    // What is there already need not be built again.
    let missing = |debug: &Path| Ok::<_, anyhow::Error>(NEEDED.saturating_sub(gigabytes_below(debug)?).max(LEAST));
    for (what, delete) in [
        ("incremental sessions", (|debug: &Path| remove(&debug.join("incremental"))) as fn(&Path) -> io::Result<()>),
        ("programs of earlier tests", programs),
        ("everything built before", remove),
    ] {
        if free(&target)? >= missing(&debug)? {
            break;
        }
        say(&format!(
            "{} GB are free and {} are needed: {what} in {} are deleted",
            free(&target)?,
            missing(&debug)?,
            debug.display()
        ));
        delete(&debug).with_context(|| format!("cannot make room in {}", debug.display()))?;
    }
    let (free, missing) = (free(&target)?, missing(&debug)?);
    if free < LEAST {
        bail!("the disk of {} has {free} GB free; a run takes {missing}", target.display());
    }
    say(&format!("{free} GB are free, {missing} may be needed"));
    Ok(())
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The files of `deps` without an extension: what was linked, of tests mostly.
fn programs(debug: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(debug.join("deps")) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.path().extension().is_none() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// `df`'s figure: the standard library has none.
fn free(folder: &Path) -> Result<u64> {
    last(Command::new("df").arg("-Pk").arg(folder), 3)
}

fn gigabytes_below(folder: &Path) -> Result<u64> {
    if folder.exists() { last(Command::new("du").arg("-sk").arg(folder), 0) } else { Ok(0) }
}

/// The field of a command's last line that counts kilobytes, in gigabytes.
fn last(command: &mut Command, field: usize) -> Result<u64> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let kilobytes = text.lines().last().and_then(|line| line.split_whitespace().nth(field)?.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("{command:?} says {text:?}"))? / 1_000_000)
}
