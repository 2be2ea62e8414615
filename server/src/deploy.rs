//! `lakerun deploy` and `lakerun delete`.

use std::path::Path;

use anyhow::{Result, bail};

use crate::client::Client;

pub(crate) async fn run(_client: &Client, _stack: &str, _template: &Path, _parameters: &[String]) -> Result<()> {
    bail!("CloudFormation is not wired yet")
}

pub(crate) async fn delete(_client: &Client, _stack: &str) -> Result<()> {
    bail!("CloudFormation is not wired yet")
}
