//! New states of a table: manifests, a manifest list and a metadata file, then the catalog's table, which decides who of
//! several writers was first.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use serde_json::Map;

use super::manifest::{
    ADDED, DATA, DELETED, DataFile, EXISTING, Entry, ManifestFile, NewManifest, POSITION_DELETES, write_list,
    write_manifest,
};
use super::metadata::{MetadataLog, PartitionSpec, Snapshot, TableMetadata, broken};
use super::types::catalog_column;
use super::{Loaded, METADATA_LOCATION, PREVIOUS_METADATA_LOCATION};
use crate::catalog::{Catalog, Table};
use crate::error::{Error, Result};
use crate::storage::{Location, Storage};

/// How often rows that are only added are put on top of what others have committed meanwhile.
const APPEND_TRIES: usize = 20;
/// Metadata files that the log names, as Iceberg's writers keep them.
const PREVIOUS_VERSIONS: usize = 100;

/// What a snapshot changes.
pub(crate) struct Change {
    /// `append`, `overwrite`, `delete` or `replace`.
    pub(crate) operation: &'static str,
    pub(crate) added: Vec<DataFile>,
    /// Paths of data and delete files that are no more.
    pub(crate) removed: BTreeSet<String>,
}

/// Who commits: `id` is of the statement and makes names its own.
pub(crate) struct Committer<'a> {
    pub(crate) storage: &'a Storage,
    pub(crate) catalog: &'a Arc<dyn Catalog>,
    pub(crate) database: &'a str,
    pub(crate) id: &'a str,
}

fn conflict(table: &str) -> Error {
    Error {
        category: 2,
        error_type: 233,
        retryable: false,
        message: format!(
            "ICEBERG_COMMIT_ERROR: Failed to commit Iceberg update to table: {table}. Another writer changed the table first"
        ),
    }
}

/// Figures of files as summaries have them.
#[derive(Default)]
struct Tally {
    data: i64,
    deletes: i64,
    records: i64,
    positions: i64,
    size: i64,
}

impl Tally {
    fn count(&mut self, file: &DataFile) {
        self.size += file.size;
        if file.content == DATA {
            self.data += 1;
            self.records += file.records;
        } else {
            self.deletes += 1;
            self.positions += if file.content == POSITION_DELETES { file.records } else { 0 };
        }
    }
}

impl Committer<'_> {
    /// The snapshot's number, by the statement's id and what it comes after.
    fn snapshot_id(&self, sequence: i64) -> i64 {
        let text = format!("{}/{sequence}", self.id);
        let hash = murmur3::murmur3_x64_128(&mut std::io::Cursor::new(text.as_bytes()), 0).unwrap_or(1);
        i64::try_from(hash >> 65).unwrap_or(1).max(1)
    }

    /// Writes the metadata of a table that is new and makes the table known.
    pub(crate) async fn create(&self, table: Table, metadata: TableMetadata) -> Result<Loaded> {
        let place = self.put_metadata(&metadata, None).await?;
        let table = described(table, &metadata, &place, None);
        self.catalog.create_table(self.database, table.clone()).await?;
        Ok(Loaded { table, metadata: Arc::new(metadata), place })
    }

    /// A new table with its first snapshot, at once.
    pub(crate) async fn create_with(&self, draft: &Loaded, change: Change) -> Result<Loaded> {
        let metadata = self.with_snapshot(draft, &change, 0).await?;
        self.create(draft.table.clone(), metadata).await
    }

    /// Makes a snapshot that adds and removes files. One that only adds is put on top of what others add meanwhile.
    pub(crate) async fn snapshot(&self, loaded: &Loaded, change: Change) -> Result<()> {
        let tries = if change.removed.is_empty() { APPEND_TRIES } else { 1 };
        self.snapshot_in(tries, loaded, change).await
    }

    /// A snapshot of rows that are right only for what was loaded.
    pub(crate) async fn snapshot_exactly(&self, loaded: &Loaded, change: Change) -> Result<()> {
        self.snapshot_in(1, loaded, change).await
    }

    async fn snapshot_in(&self, tries: usize, loaded: &Loaded, change: Change) -> Result<()> {
        let mut loaded = loaded.clone();
        for attempt in 0..tries {
            let metadata = self.with_snapshot(&loaded, &change, attempt).await?;
            if self.replace(&loaded, metadata).await?.is_some() {
                return Ok(());
            }
            let name = loaded.table.name.clone();
            let Some(table) = self.catalog.table(self.database, &name).await?.filter(Table::is_iceberg) else { break };
            let now = Loaded::load(self.storage, table).await?;
            let (old, new) = (&loaded.metadata, &now.metadata);
            if old.current_schema_id != new.current_schema_id
                || old.default_spec_id != new.default_spec_id
                || old.table_uuid != new.table_uuid
            {
                break;
            }
            loaded = now;
        }
        Err(conflict(&format!("{}.{}", self.database, loaded.table.name)))
    }

    /// The metadata with a snapshot more.
    async fn with_snapshot(&self, loaded: &Loaded, change: &Change, attempt: usize) -> Result<TableMetadata> {
        let metadata = loaded.metadata.as_ref();
        if metadata.format_version != 2 {
            return Err(Error::not_supported(format_args!(
                "writing Iceberg tables of format version {}",
                metadata.format_version
            )));
        }
        let sequence = metadata.last_sequence_number + 1;
        let id = self.snapshot_id(sequence);
        let parent = metadata.current_snapshot();
        let folder = metadata.metadata_folder();
        let begin = format!("{folder}/{}-{attempt}", self.id);
        let (mut manifests, removed) = self.kept(loaded, change, (id, sequence, &begin)).await?;
        let mut added = Tally::default();
        change.added.iter().for_each(|file| added.count(file));
        // Files of deletes have manifests of their own.
        for (content, name) in [(1, "deletes"), (0, "new")] {
            let files = change.added.iter().filter(|file| i32::from(file.content != DATA) == content);
            let entries: Vec<Entry> = files
                .map(|file| Entry {
                    status: ADDED,
                    snapshot_id: Some(id),
                    sequence: None,
                    file_sequence: None,
                    file: file.clone(),
                })
                .collect();
            if entries.is_empty() {
                continue;
            }
            let new = NewManifest {
                metadata,
                schema: metadata.schema(),
                spec: metadata.spec(),
                path: format!("{folder}/{}-{attempt}-{name}.avro", self.id),
                snapshot_id: id,
                sequence,
                content,
            };
            manifests.insert(0, self.put_manifest(new, entries).await?);
        }
        let list = format!("{folder}/snap-{id}-{attempt}-{}.avro", self.id);
        let parent_id = parent.map(|parent| parent.id);
        self.storage.put(&Location::parse(&list)?, write_list(&manifests, id, parent_id, sequence)?).await?;
        let mut metadata = metadata.clone();
        metadata.put_snapshot(Snapshot {
            sequence_number: sequence,
            id,
            parent_snapshot_id: parent_id,
            timestamp_ms: now_ms().max(loaded.metadata.last_updated_ms),
            summary: summary(change.operation, &added, &removed, parent.map(|parent| &parent.summary)),
            manifest_list: list,
            schema_id: Some(loaded.metadata.current_schema_id),
            other: Map::new(),
        });
        Ok(metadata)
    }

    /// The manifests of before without the files that are removed, and how much those are. What must be written anew gets a path
    /// that begins as told.
    async fn kept(
        &self,
        loaded: &Loaded,
        change: &Change,
        (id, sequence, begin): (i64, i64, &str),
    ) -> Result<(Vec<ManifestFile>, Tally)> {
        let Some(parent) = loaded.metadata.current_snapshot() else { return Ok((Vec::new(), Tally::default())) };
        let known = loaded.manifests(self.storage, parent).await?;
        if change.removed.is_empty() {
            return Ok((known, Tally::default()));
        }
        let (mut manifests, mut removed) = (Vec::new(), Tally::default());
        let all = loaded.all_entries(self.storage, &known).await?;
        for (number, (manifest, entries)) in known.into_iter().zip(all).enumerate() {
            let path = format!("{begin}-m{number}.avro");
            let mut kept = self.without(loaded, change, manifest, entries, (id, sequence, path)).await?;
            manifests.append(&mut kept.0);
            kept.1.iter().for_each(|file| removed.count(file));
        }
        Ok((manifests, removed))
    }

    /// A manifest of before without the files that are removed, and those files.
    async fn without(
        &self,
        loaded: &Loaded,
        change: &Change,
        manifest: ManifestFile,
        entries: Vec<Entry>,
        (id, sequence, path): (i64, i64, String),
    ) -> Result<(Vec<ManifestFile>, Vec<DataFile>)> {
        let alive: Vec<Entry> = entries.into_iter().filter(Entry::is_alive).collect();
        if alive.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        if !alive.iter().any(|entry| change.removed.contains(&entry.file.path)) {
            return Ok((vec![manifest], Vec::new()));
        }
        let mut gone = Vec::new();
        let entries = alive.into_iter().map(|mut entry| {
            if change.removed.contains(&entry.file.path) {
                gone.push(entry.file.clone());
                (entry.status, entry.snapshot_id) = (DELETED, Some(id));
            } else {
                entry.status = EXISTING;
            }
            entry
        });
        let entries = entries.collect();
        let spec = spec_of(&loaded.metadata, manifest.spec_id)?;
        let new = NewManifest {
            metadata: &loaded.metadata,
            schema: loaded.metadata.schema(),
            spec,
            path,
            snapshot_id: id,
            sequence,
            content: manifest.content,
        };
        Ok((vec![self.put_manifest(new, entries).await?], gone))
    }

    async fn put_manifest(&self, new: NewManifest<'_>, entries: Vec<Entry>) -> Result<ManifestFile> {
        let (bytes, manifest) = write_manifest(new, entries)?;
        self.storage.put(&Location::parse(&manifest.path)?, bytes).await?;
        Ok(manifest)
    }

    /// Puts changed metadata in the place of what was loaded.
    pub(crate) async fn update(&self, loaded: &Loaded, change: impl FnOnce(&mut TableMetadata)) -> Result<Loaded> {
        let version = loaded.metadata.format_version;
        if version != 2 {
            return Err(Error::not_supported(format_args!("changing Iceberg tables of format version {version}")));
        }
        let mut metadata = loaded.metadata.as_ref().clone();
        change(&mut metadata);
        metadata.last_updated_ms = now_ms().max(metadata.last_updated_ms);
        let changed = self.replace(loaded, metadata).await?;
        changed.ok_or_else(|| conflict(&format!("{}.{}", self.database, loaded.table.name)))
    }

    /// `None` if somebody else was first.
    async fn replace(&self, loaded: &Loaded, mut metadata: TableMetadata) -> Result<Option<Loaded>> {
        metadata
            .metadata_log
            .push(MetadataLog { timestamp_ms: loaded.metadata.last_updated_ms, file: loaded.place.clone() });
        let most = metadata.properties.get("write.metadata.previous-versions-max");
        let most = most.and_then(|text| text.parse().ok()).unwrap_or(PREVIOUS_VERSIONS);
        let excess = metadata.metadata_log.len().saturating_sub(most);
        metadata.metadata_log.drain(..excess);
        let place = self.put_metadata(&metadata, Some(&loaded.place)).await?;
        let table = described(loaded.table.clone(), &metadata, &place, Some(&loaded.place));
        if !self.catalog.replace_table(self.database, table.clone(), &loaded.place).await? {
            return Ok(None);
        }
        Ok(Some(Loaded { table, metadata: Arc::new(metadata), place }))
    }

    async fn put_metadata(&self, metadata: &TableMetadata, previous: Option<&str>) -> Result<String> {
        let number = previous
            .and_then(|place| place.rsplit('/').next())
            .and_then(|name| name.split(['-', '.']).next())
            .and_then(|number| number.trim_start_matches('v').parse::<u64>().ok())
            .map_or(0, |number| number + 1);
        let is_packed = metadata.is_packed()?;
        let packed = if is_packed { ".gz" } else { "" };
        let place = format!("{}/{number:05}-{}{packed}.metadata.json", metadata.metadata_folder(), self.id);
        let mut bytes = serde_json::to_vec(metadata).map_err(Error::internal)?;
        if is_packed {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(&bytes).map_err(Error::internal)?;
            bytes = gzip.finish().map_err(Error::internal)?;
        }
        self.storage.put(&Location::parse(&place)?, bytes).await?;
        Ok(place)
    }
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn spec_of(metadata: &TableMetadata, id: i32) -> Result<&PartitionSpec> {
    metadata.spec_by_id(id).ok_or_else(|| broken(format_args!("partition spec {id} does not exist")))
}

/// What a snapshot says of itself. Totals are those of the snapshot before, where it has them, and what has changed.
fn summary(
    operation: &str,
    added: &Tally,
    removed: &Tally,
    before: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([("operation".to_owned(), operation.to_owned())]);
    let changes = [
        ("added-data-files", added.data),
        ("deleted-data-files", removed.data),
        ("added-records", added.records),
        ("deleted-records", removed.records),
        ("added-files-size", added.size),
        ("removed-files-size", removed.size),
        ("removed-delete-files", removed.deletes),
        ("removed-position-deletes", removed.positions),
    ];
    let changes = changes.into_iter().filter(|(_, n)| *n > 0);
    all.extend(changes.map(|(key, n)| (key.to_owned(), n.to_string())));
    let totals = [
        ("total-data-files", added.data - removed.data),
        ("total-records", added.records - removed.records),
        ("total-files-size", added.size - removed.size),
        ("total-delete-files", added.deletes - removed.deletes),
        ("total-position-deletes", added.positions - removed.positions),
        ("total-equality-deletes", 0),
    ];
    for (key, change) in totals {
        let total = match before {
            None => Some(0),
            Some(before) => before.get(key).and_then(|text| text.parse::<i64>().ok()),
        };
        if let Some(total) = total {
            all.insert(key.to_owned(), (total + change).max(0).to_string());
        }
    }
    all
}

/// The catalog's table for this metadata.
fn described(mut table: Table, metadata: &TableMetadata, place: &str, previous: Option<&str>) -> Table {
    table.table_type.get_or_insert_with(|| "EXTERNAL_TABLE".to_owned());
    table.parameters.insert("table_type".to_owned(), "ICEBERG".to_owned());
    table.parameters.insert(METADATA_LOCATION.to_owned(), place.to_owned());
    if let Some(previous) = previous {
        table.parameters.insert(PREVIOUS_METADATA_LOCATION.to_owned(), previous.to_owned());
    }
    let storage = table.storage_descriptor.get_or_insert_default();
    // The columns of today, then those that earlier schemas had.
    let mut columns: Vec<_> = metadata.schema().fields.iter().map(|field| catalog_column(field, true)).collect();
    for schema in metadata.schemas.iter().rev() {
        for field in &schema.fields {
            let column = catalog_column(field, false);
            if metadata.schema().field(field.id).is_none() && !columns.iter().any(|known| known.name == column.name) {
                columns.push(column);
            }
        }
    }
    storage.columns = columns;
    storage.location = Some(metadata.location.clone());
    table
}
