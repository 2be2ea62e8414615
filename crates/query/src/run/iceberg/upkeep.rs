//! OPTIMIZE, VACUUM and DROP: what becomes of a table's files.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::rows::TARGET;
use super::{column_list, done, relation};
use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::iceberg::commit::Change;
use crate::iceberg::files::full_file_bytes;
use crate::iceberg::manifest::Entry;
use crate::iceberg::metadata::MAIN;
use crate::iceberg::{Loaded, is_refusal, states_of};
use crate::run::{Answer, Run};
use crate::sql::Name;
use crate::storage::Location;

/// Athena's defaults.
const SNAPSHOT_AGE_SECONDS: i64 = 432_000;
const METADATA_FILES_TO_KEEP: i64 = 100;
/// Files that no state of a table names may be of a statement or a job under way, whatever age its snapshots may have: three days, as
/// Iceberg's own procedure for orphans has it (`remove_orphan_files`, `older_than`).
const ORPHAN_AGE_MS: i64 = 259_200_000;

impl Run<'_> {
    /// OPTIMIZE … REWRITE DATA USING BIN_PACK: the rows of small files, and of files with deletes, go to new ones.
    pub(in crate::run) async fn optimize(&self, name: Name, condition: Option<String>) -> Result<Answer> {
        let (database, loaded) = self.iceberg(&name, "OPTIMIZE").await?;
        self.tick();
        let files = loaded.files(&self.storage, None).await?;
        let small = i64::try_from(full_file_bytes(&loaded.metadata.properties) / 4 * 3).unwrap_or(i64::MAX);
        let limit = number(&loaded, "optimize_rewrite_min_data_file_size_bytes", small);
        let deleting = !files.positions.is_empty();
        let current = loaded.metadata.default_spec_id;
        let mut chosen: BTreeSet<String> = files
            .data
            .iter()
            .filter(|entry| entry.file.size < limit || deleting || entry.spec != current)
            .map(|entry| entry.file.path.clone())
            .collect();
        let own = relation(&name.name);
        if let Some(condition) = &condition {
            let text = format!("SELECT \"$path\", count(*) AS n FROM {TARGET} AS {own} WHERE {condition} GROUP BY 1");
            let (session, plan) = self.changing(&text, &loaded, None, None).await?;
            let (hit, _) = self.touched(&session, plan).await?;
            chosen.retain(|path| hit.contains(path));
        } else if !deleting {
            // A partition's only file has none to be put together with.
            let mut partitions: std::collections::BTreeMap<String, Vec<&str>> = std::collections::BTreeMap::new();
            for entry in files.data.iter().filter(|entry| entry.spec == current) {
                let path = loaded.partition_path(entry.spec, &entry.file);
                partitions.entry(path).or_default().push(&entry.file.path);
            }
            for alone in partitions.values().filter(|all| all.len() == 1) {
                chosen.remove(alone[0]);
            }
        }
        if chosen.is_empty() {
            return Ok(done());
        }
        let text = format!("SELECT {} FROM {TARGET} AS {own}", column_list(&loaded, &own));
        let (session, plan) = self.changing(&text, &loaded, Some(chosen.clone()), None).await?;
        let (added, _) = self.rewrite_rows(&session, plan, &loaded).await?;
        // Deletes are of no use any more when no file is left that they are about.
        let all_rewritten = files.data.iter().all(|entry| chosen.contains(&entry.file.path));
        let mut removed = chosen;
        if all_rewritten {
            removed.extend(files.positions.iter().map(|entry| entry.file.path.clone()));
        }
        let change = Change { operation: "replace", added, removed };
        self.committer(&database).snapshot(&loaded, change).await?;
        Ok(done())
    }

    /// VACUUM: old snapshots go as the table's properties say, then old files that nothing names.
    pub(in crate::run) async fn vacuum(&self, name: Name) -> Result<Answer> {
        let (database, loaded) = self.iceberg(&name, "VACUUM").await?;
        if !owns_its_files(&loaded) {
            return Err(Error::not_supported(
                "VACUUM of a table with the property gc.enabled = false: deleting its files may corrupt other tables",
            ));
        }
        let keep = usize::try_from(number(&loaded, "vacuum_min_snapshots_to_keep", 1)).unwrap_or(1).max(1);
        let age = number(&loaded, "vacuum_max_snapshot_age_seconds", SNAPSHOT_AGE_SECONDS).saturating_mul(1000);
        let limit = chrono::Utc::now().timestamp_millis().saturating_sub(age);
        let metadata = &loaded.metadata;
        let line = metadata.line(metadata.current_snapshot_id);
        let mut stays: BTreeSet<i64> = line.iter().take(keep).copied().collect();
        for reference in metadata.refs.iter().filter(|(name, _)| *name != MAIN).map(|(_, reference)| reference) {
            if reference.kind == "branch" {
                stays.extend(metadata.line(Some(reference.snapshot_id)));
            }
            stays.insert(reference.snapshot_id);
        }
        let expired: Vec<i64> = metadata
            .snapshots
            .iter()
            .filter(|snapshot| !stays.contains(&snapshot.id) && snapshot.timestamp_ms <= limit)
            .map(|snapshot| snapshot.id)
            .collect();
        let before = self.reachable(&loaded).await?;
        let most = number(&loaded, "vacuum_max_metadata_files_to_keep", METADATA_FILES_TO_KEEP);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let excess = metadata.metadata_log.len().saturating_sub(most);
        let after = if expired.is_empty() && excess == 0 {
            loaded.clone()
        } else {
            let change = |metadata: &mut crate::iceberg::metadata::TableMetadata| {
                metadata.remove_snapshots(&expired);
                metadata.metadata_log.drain(..excess);
            };
            self.committer(&database).update(&loaded, change).await?
        };
        let alive = self.reachable(&after).await?;
        for path in before.difference(&alive) {
            self.remove(path).await?;
        }
        let limit = limit.min(chrono::Utc::now().timestamp_millis().saturating_sub(ORPHAN_AGE_MS));
        self.sweep(&after, &alive, limit).await?;
        Ok(done())
    }

    /// Files in the table's folders of data and metadata that no state of it names and that are too old to be of a statement under way.
    async fn sweep(&self, loaded: &Loaded, alive: &BTreeSet<String>, limit: i64) -> Result<()> {
        let root = Location::parse(&loaded.metadata.location)?;
        if root.key.trim_matches('/').is_empty() {
            return Ok(());
        }
        let store = self.storage.bucket(&root.bucket)?;
        let listed: Vec<_> = store.list(Some(&root.path()?)).try_collect().await?;
        let states = listed.iter().filter(|meta| is_state(&root, meta.location.as_ref()));
        let states: Vec<_> = states.map(|meta| format!("s3://{}/{}", root.bucket, meta.location)).collect();
        let others: Vec<_> = states.into_iter().filter(|place| !alive.contains(place)).collect();
        let count = others.len();
        if states_of(&self.storage, &loaded.metadata.table_uuid, others).await?.len() < count {
            // Another table lies, or lay, in the same place: what is not this one's may be that one's.
            return Ok(());
        }
        for meta in listed {
            let path = format!("s3://{}/{}", root.bucket, meta.location);
            let rest = below(&root, meta.location.as_ref());
            let own = rest.is_some_and(|rest| rest.starts_with("data/") || rest.starts_with("metadata/"));
            if own && !alive.contains(&path) && meta.last_modified.timestamp_millis() < limit {
                store.delete(&meta.location).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let location = Location::parse(path)?;
        match self.storage.bucket(&location.bucket)?.delete(&location.path()?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All files that a table's metadata and its snapshots name, in one way of writing S3's addresses.
    async fn reachable(&self, loaded: &Loaded) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::from([plain(&loaded.place)?]);
        for entry in &loaded.metadata.metadata_log {
            all.insert(plain(&entry.file)?);
        }
        for name in ["statistics", "partition-statistics"] {
            for one in loaded.metadata.other.get(name).and_then(serde_json::Value::as_array).into_iter().flatten() {
                if let Some(path) = one["statistics-path"].as_str() {
                    all.insert(plain(path)?);
                }
            }
        }
        for snapshot in &loaded.metadata.snapshots {
            all.insert(plain(&snapshot.manifest_list)?);
            for manifest in loaded.manifests(&self.storage, snapshot).await? {
                if all.insert(plain(&manifest.path)?) {
                    for entry in loaded.entries(&self.storage, &manifest).await?.iter().filter(|e| Entry::is_alive(e)) {
                        all.insert(plain(&entry.file.path)?);
                    }
                }
            }
        }
        Ok(all)
    }

    /// What goes with a table when it is dropped, since an Iceberg table is Athena's own: the files that its states name, and metadata of
    /// earlier ones. What else lies at its place, or outside of it, may be somebody else's and stays; so does all of a table whose metadata
    /// is gone or cannot be parsed. Source: Athena User Guide, "DROP TABLE" of Iceberg tables.
    pub(in crate::run) async fn iceberg_files(&self, table: &Table) -> Result<BTreeSet<String>> {
        let loaded = match Loaded::load(&self.storage, table.clone()).await {
            Ok(loaded) => loaded,
            Err(error) if is_refusal(&error) => return Err(error),
            Err(_) => return Ok(BTreeSet::new()),
        };
        let root = Location::parse(&loaded.metadata.location)?;
        if root.key.trim_matches('/').is_empty() {
            return Ok(BTreeSet::new());
        }
        let metadata_places = metadata_places(&loaded)?;
        let mut places = data_places(&loaded)?;
        places.extend(metadata_places.iter().cloned());
        let mut files = self.reachable(&loaded).await?;
        if !owns_its_files(&loaded) {
            places = metadata_places.clone();
        }
        files.retain(|path| Location::parse(path).is_ok_and(|at| places.iter().any(|place| is_at(place, &at))));
        for place in metadata_places {
            let store = self.storage.bucket(&place.bucket)?;
            let listed: Vec<_> = store.list(Some(&place.path()?)).try_collect().await?;
            // Another table may have been made at the same place.
            let states = listed.iter().filter(|meta| {
                below(&place, meta.location.as_ref()).is_some_and(|name| !name.contains('/') && names_a_state(name))
            });
            let states = states.map(|meta| format!("s3://{}/{}", place.bucket, meta.location));
            let states = states.filter(|path| !files.contains(path)).collect();
            files.extend(states_of(&self.storage, &loaded.metadata.table_uuid, states).await?);
        }
        Ok(files)
    }

    /// Deletes what [`Self::iceberg_files`] has found.
    pub(in crate::run) async fn remove_all(&self, files: &BTreeSet<String>) -> Result<()> {
        for path in files {
            self.remove(path).await?;
        }
        Ok(())
    }
}

/// Where a table's data may lie: its own folder and what its properties name. Source: Iceberg's table properties.
fn data_places(loaded: &Loaded) -> Result<Vec<Location>> {
    let named = ["write.data.path", "write.object-storage.path", "write.folder-storage.path"];
    let named = named.iter().filter_map(|key| loaded.metadata.properties.get(*key).map(String::as_str));
    places(std::iter::once(loaded.metadata.location.as_str()).chain(named))
}

/// Where its metadata may lie.
fn metadata_places(loaded: &Loaded) -> Result<Vec<Location>> {
    let own = format!("{}/metadata", loaded.metadata.location.trim_end_matches('/'));
    let named = loaded.metadata.properties.get("write.metadata.path").map(String::as_str);
    places(std::iter::once(own.as_str()).chain(named))
}

/// Folders; a whole bucket is none.
fn places<'a>(urls: impl Iterator<Item = &'a str>) -> Result<Vec<Location>> {
    let all = urls.map(Location::parse).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(|place| !place.key.trim_matches('/').is_empty()).collect())
}

fn is_at(place: &Location, file: &Location) -> bool {
    place.bucket == file.bucket && below(place, &file.key).is_some()
}

fn names_a_state(name: &str) -> bool {
    name.ends_with(".metadata.json") || name.ends_with(".metadata.json.gz")
}

/// Whether a key is that of a state in a table's folder of metadata.
fn is_state(root: &Location, key: &str) -> bool {
    below(root, key)
        .and_then(|rest| rest.strip_prefix("metadata/"))
        .is_some_and(|name| !name.contains('/') && names_a_state(name))
}

/// Whether a table may delete its data files: those of a table that was made by Spark's `snapshot` are its source's, too. Source: Iceberg
/// specification of table properties, `gc.enabled`.
fn owns_its_files(loaded: &Loaded) -> bool {
    let value = loaded.metadata.properties.get("gc.enabled");
    value.is_none_or(|value| !value.eq_ignore_ascii_case("false"))
}

/// The rest of a key after a folder.
fn below<'a>(root: &Location, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(root.key.trim_end_matches('/'))?.strip_prefix('/')
}

fn plain(url: &str) -> Result<String> {
    Ok(Location::parse(url)?.to_string())
}

fn number(loaded: &Loaded, key: &str, default: i64) -> i64 {
    loaded.metadata.properties.get(key).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What Hive's statements cannot do to an Iceberg table.
pub(in crate::run) fn refuse(table: &Table, what: &str) -> Result<()> {
    if table.is_iceberg() {
        return Err(Error::not_supported(format_args!("{what} is not supported for table type ICEBERG")));
    }
    Ok(())
}
