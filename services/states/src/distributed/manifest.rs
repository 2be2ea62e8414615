//! Manifests: objects that name the objects with the items.

use std::collections::VecDeque;

use asl::InputType;
use serde::Deserialize;
use service::Cx;

use super::object::{Address, ObjectBytes};

/// What an S3 inventory's manifest says.
pub(super) struct Inventory {
    pub(super) columns: Vec<String>,
    pub(super) kind: InputType,
    pub(super) files: VecDeque<Address>,
    /// Of the manifest.
    pub(super) etag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InventoryManifest {
    destination_bucket: String,
    #[serde(default)]
    file_format: String,
    #[serde(default)]
    file_schema: String,
    #[serde(default)]
    files: Vec<InventoryFile>,
}

#[derive(Deserialize)]
struct InventoryFile {
    key: String,
}

/// Reads a manifest, in the state of that ETag where one is given.
pub(super) async fn inventory(cx: &Cx, address: Address, etag: Option<String>) -> Result<Inventory, String> {
    let source = address.source();
    let (text, etag) = ObjectBytes::in_state(cx, address, etag)?.whole().await?;
    let manifest: InventoryManifest =
        serde_json::from_slice(&text).map_err(|error| format!("{source} is not an inventory's manifest: {error}"))?;
    let bucket = manifest.destination_bucket.rsplit(":::").next().unwrap_or_default().to_owned();
    let kind = match manifest.file_format.as_str() {
        "" | "CSV" => InputType::Csv,
        "Parquet" => InputType::Parquet,
        other => return Err(format!("Inventories in the format {other} cannot be read")),
    };
    let columns = manifest.file_schema.split(',').map(|name| name.trim().to_owned()).collect();
    let files = manifest.files.into_iter().map(|file| Address::new(bucket.clone(), file.key)).collect();
    Ok(Inventory { columns, kind, files, etag })
}

/// Athena's list of the files that a query wrote: one address a line.
pub(super) async fn athena(
    cx: &Cx,
    address: Address,
    etag: Option<String>,
) -> Result<(VecDeque<Address>, Option<String>), String> {
    let source = address.source();
    let (text, etag) = ObjectBytes::in_state(cx, address, etag)?.whole().await?;
    let text = String::from_utf8(text).map_err(|_| format!("{source} is not a text"))?;
    let lines = text.lines().map(|line| line.trim().trim_matches('"')).filter(|line| !line.is_empty());
    let files = lines
        .map(|line| Address::of_uri(line).ok_or_else(|| format!("{source}: '{line}' is not the URI of an object")))
        .collect::<Result<_, _>>()?;
    Ok((files, etag))
}
