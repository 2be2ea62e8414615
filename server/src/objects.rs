//! `lakerun s3 cp`: one file to or from S3, for who has no AWS CLI.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;

use crate::client::{Call, Client};
use crate::deploy::package::escape;
use crate::output::say;

/// Source: Amazon S3 User Guide, "Uploading objects": a PUT takes up to 5 GB.
const LARGEST: u64 = 5 << 30;

pub(crate) async fn copy(client: &Client, from: &str, to: &str) -> Result<()> {
    match (from.strip_prefix("s3://"), to.strip_prefix("s3://")) {
        (None, Some(to)) => upload(client, Path::new(from), to).await,
        (Some(from), None) => download(client, from, Path::new(to)).await,
        _ => bail!("one of the two is s3://BUCKET/KEY, the other a file"),
    }
}

async fn upload(client: &Client, from: &Path, to: &str) -> Result<()> {
    let name = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let to = if to.ends_with('/') || !to.contains('/') {
        format!("{}/{name}", to.trim_end_matches('/'))
    } else {
        to.to_owned()
    };
    let length = from.metadata().with_context(|| format!("cannot read {}", from.display()))?.len();
    if length > LARGEST {
        bail!("{} is larger than the 5 GB that one PUT takes: aws s3 cp sends it in parts", from.display());
    }
    let body = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let path = path(&to);
    send(client, Call { service: "s3", method: "PUT", path: &path, headers: &[], body: body.into() }).await?;
    say(&format!("s3://{to}"));
    Ok(())
}

async fn download(client: &Client, from: &str, to: &Path) -> Result<()> {
    let path = path(from);
    let to = if to.is_dir() { to.join(from.rsplit('/').next().unwrap_or_default()) } else { to.to_owned() };
    // What is there stays until all of the object has come.
    let mut part = to.clone().into_os_string();
    part.push(".part");
    let mut file = std::fs::File::create(&part).with_context(|| format!("cannot write {}", to.display()))?;
    let call = Call { service: "s3", method: "GET", path: &path, headers: &[], body: Bytes::new() };
    if let Err(error) = client.stream(call, &mut file).await {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, &to).with_context(|| format!("cannot write {}", to.display()))?;
    say(&to.display().to_string());
    Ok(())
}

pub(crate) fn path(object: &str) -> String {
    let parts: Vec<_> = object.split('/').map(escape).collect();
    format!("/{}", parts.join("/"))
}

async fn send(client: &Client, call: Call<'_>) -> Result<Bytes> {
    let (status, body) = client.send(call).await?;
    if status.is_success() {
        return Ok(body);
    }
    bail!("{}", refusal(&String::from_utf8_lossy(&body), status))
}

/// S3's error in words.
pub(crate) fn refusal(xml: &str, status: http::StatusCode) -> String {
    let part = |name| crate::deploy::one(xml, name).unwrap_or_default();
    if xml.is_empty() { status.to_string() } else { format!("{}: {}", part("Code"), part("Message")) }
}
