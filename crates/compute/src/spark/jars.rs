//! Jars from Maven Central that Apache Spark needs beside its wheel: fetched once for all data folders of this user, checked by
//! digest (`runtimes/spark/jars.txt`), by the job environment's own Python.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::once;
use crate::pyenv::{PyEnv, pass_on, why};
use crate::sandbox::{Capture, Command};

/// How long all of them may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(10);

/// The folder that holds the jars of `listing`.
pub(super) async fn ensure(
    cache: &Path,
    env: &PyEnv,
    runtime: &Path,
    listing: &str,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<PathBuf, Error> {
    let folder = cache.join(format!("jars-{}", &hex::encode(Sha256::digest(listing))[..16]));
    let Some(claim) = once::claim(&folder, &folder).await? else { return Ok(folder) };
    let partial = &claim.partial;
    let wanted = partial.join("jars.txt");
    fs::write(&wanted, listing).map_err(Error::io(format!("writing {}", wanted.display())))?;
    progress("fetching the jars that Apache Spark needs for S3");
    let mut command = Command::new(&env.python);
    command.as_server().args(["-m", "lakerun_spark.jars"]).args([&wanted, partial]);
    command.read_only(runtime).read_write(partial).env("PYTHONPATH", runtime).merged();
    for path in &env.read_paths {
        command.read_only(path);
    }
    pass_on(&mut command);
    let output = command.output(Capture { bytes: 16 << 10 }, Some(PATIENCE)).await?;
    if !output.exit.success() {
        let said: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        return Err(Error::Environment(format!("Apache Spark's jars could not be fetched: {}", why(&said))));
    }
    claim.keep().await?;
    Ok(folder)
}
