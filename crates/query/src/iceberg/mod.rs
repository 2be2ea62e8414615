//! Iceberg tables: their metadata, manifests and snapshots as the specification has them
//! (<https://iceberg.apache.org/spec/>), read by DataFusion and written by the statements of [`crate::run`]. The crate
//! `iceberg` stands on another arrow than this one's and is not used; Avro and Parquet files go through arrow's crates.
//!
//! | module | what it owns |
//! |---|---|
//! | this | a table's state, and which files a snapshot has |
//! | `metadata` | the metadata file |
//! | `types` | types and columns between Hive, Arrow and Iceberg |
//! | `transform` | hidden partitioning |
//! | `avro`, `manifest` | manifests and their lists |
//! | `files` | data files being written, with their figures |
//! | `commit` | new snapshots and new metadata, put into the catalog |
//! | `scan`, `prune` | a snapshot as DataFusion reads it; which of its files a filter leaves |
//! | `inspect` | `$history`, `$snapshots`, `$files`, `$manifests`, `$partitions`, `$refs` |

mod avro;
pub(crate) mod commit;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod manifest;
pub(crate) mod mapping;
pub(crate) mod metadata;
mod prune;
pub(crate) mod scan;
pub(crate) mod transform;
pub(crate) mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, ObjectStore};

use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};
use manifest::{DATA, DataFile, EQUALITY_DELETES, Entry, ManifestFile, POSITION_DELETES};
use metadata::{Snapshot, TableMetadata, broken};

/// Parameters of the catalog's table that say where the metadata is.
pub(crate) const METADATA_LOCATION: &str = "metadata_location";
pub(crate) const PREVIOUS_METADATA_LOCATION: &str = "previous_metadata_location";

const MANIFESTS_AT_ONCE: usize = 8;

/// A table as loaded: changes are made against exactly this state.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) table: Table,
    pub(crate) metadata: Arc<TableMetadata>,
    /// Where the metadata file is.
    pub(crate) place: String,
}

/// One live file.
#[derive(Debug, Clone)]
pub(crate) struct FileEntry {
    pub(crate) file: DataFile,
    /// The data sequence number: deletes count for files that are older.
    pub(crate) sequence: i64,
    pub(crate) spec: i32,
}

/// The live files of a snapshot by what they hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct SnapshotFiles {
    pub(crate) data: Vec<FileEntry>,
    pub(crate) positions: Vec<FileEntry>,
    pub(crate) equalities: Vec<FileEntry>,
}

impl Loaded {
    pub(crate) async fn load(storage: &Storage, table: Table) -> Result<Self> {
        let place = table
            .parameters
            .get(METADATA_LOCATION)
            .cloned()
            .ok_or_else(|| broken(format_args!("Table {} has no metadata_location", table.name)))?;
        let bytes = read_metadata(storage, &place).await?;
        let metadata = Arc::new(TableMetadata::parse(&bytes, &place)?);
        Ok(Self { table, metadata, place })
    }

    /// The snapshot of this number, or the current one.
    pub(crate) fn snapshot(&self, id: Option<i64>) -> Result<Option<&Snapshot>> {
        let Some(id) = id else { return Ok(self.metadata.current_snapshot()) };
        match self.metadata.snapshot(id) {
            Some(snapshot) => Ok(Some(snapshot)),
            None => {
                Err(Error::user(1006, "INVALID_ARGUMENTS", format_args!("Iceberg snapshot ID does not exists: {id}")))
            }
        }
    }

    pub(crate) async fn manifests(&self, storage: &Storage, snapshot: &Snapshot) -> Result<Vec<ManifestFile>> {
        if snapshot.manifest_list.is_empty() {
            return Err(Error::not_supported("Iceberg tables of format version 1 without manifest lists"));
        }
        manifest::read_list(read(storage, &snapshot.manifest_list).await?, &snapshot.manifest_list)
    }

    pub(crate) async fn entries(&self, storage: &Storage, manifest: &ManifestFile) -> Result<Vec<Entry>> {
        let bytes = read(storage, &manifest.path).await?;
        manifest::read_manifest(bytes, manifest, &self.metadata)
    }

    /// The entries of several manifests, in their order.
    pub(crate) async fn all_entries(&self, storage: &Storage, manifests: &[ManifestFile]) -> Result<Vec<Vec<Entry>>> {
        let mut reads = Vec::with_capacity(manifests.len());
        for manifest in manifests {
            reads.push(self.entries(storage, manifest));
        }
        futures::stream::iter(reads).buffered(MANIFESTS_AT_ONCE).try_collect().await
    }

    /// The files of a snapshot that are alive.
    pub(crate) async fn files(&self, storage: &Storage, snapshot: Option<i64>) -> Result<SnapshotFiles> {
        let mut files = SnapshotFiles::default();
        let Some(snapshot) = self.snapshot(snapshot)? else { return Ok(files) };
        let manifests = self.manifests(storage, snapshot).await?;
        let all = self.all_entries(storage, &manifests).await?;
        for (manifest, entries) in manifests.iter().zip(all) {
            for entry in entries.into_iter().filter(Entry::is_alive) {
                let file =
                    FileEntry { sequence: entry.sequence.unwrap_or(0), spec: manifest.spec_id, file: entry.file };
                match file.file.content {
                    DATA => files.data.push(file),
                    POSITION_DELETES => files.positions.push(file),
                    EQUALITY_DELETES => files.equalities.push(file),
                    other => return Err(broken(format_args!("{}: content {other}", manifest.path))),
                }
            }
        }
        Ok(files)
    }

    /// A partition as the names of folders have it, `day=2024-01-01/kind=a`.
    pub(crate) fn partition_path(&self, spec: i32, file: &DataFile) -> String {
        let Some(spec) = self.metadata.spec_by_id(spec) else { return String::new() };
        files::partition_path(spec, &file.partition)
    }
}

/// A metadata file's text, which may be compressed.
async fn read_metadata(storage: &Storage, place: &str) -> Result<Bytes> {
    let bytes = read(storage, place).await?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_ref()), &mut plain)
        .map_err(|error| broken(format_args!("{place}: {error}")))?;
    Ok(Bytes::from(plain))
}

/// Which of some metadata files are a table's by its UUID. One that is gone, or cannot be parsed, is nobody's.
///
/// # Errors
/// When one cannot be read for another reason.
pub(crate) async fn states_of(storage: &Storage, uuid: &str, places: Vec<String>) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Owned {
        #[serde(rename = "table-uuid")]
        uuid: String,
    }
    let found = futures::stream::iter(places).map(|place| async move {
        let bytes = match read_metadata(storage, &place).await {
            Ok(bytes) => bytes,
            Err(error) if is_refusal(&error) => return Err(error),
            Err(_) => return Ok(None),
        };
        let owned: Option<Owned> = serde_json::from_slice(&bytes).ok();
        Ok(owned.filter(|owned| !uuid.is_empty() && owned.uuid == uuid).map(|_| place))
    });
    found.buffered(MANIFESTS_AT_ONCE).try_filter_map(|place| async move { Ok(place) }).try_collect().await
}

/// Whether a file could not be read though it may be there and whole: access is denied, or the storage does not answer.
pub(crate) fn is_refusal(error: &Error) -> bool {
    error.category == 1 || error.error_type == 1501
}

pub(crate) async fn read(storage: &Storage, url: &str) -> Result<Bytes> {
    let location = Location::parse(url)?;
    let store = storage.bucket(&location.bucket)?;
    let result = store.get_opts(&location.path()?, GetOptions::default()).await?;
    Ok(result.bytes().await?)
}
