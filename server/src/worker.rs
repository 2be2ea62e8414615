//! `lakerun worker KIND`: the child's side of heavy, user-driven work. Each kind is a function of a library crate.

use anyhow::{Result, bail};

pub(crate) fn run(kind: &str) -> Result<()> {
    bail!("unknown kind of worker: {kind}")
}
