//! The catalog's part in attempts of jobs: what a query, a job run or a function has changed of databases, tables and
//! partitions is noted with the change (see [`store::journal`]), and taken back when the attempt counts for nothing.
//!
//! What somebody else has changed since stays as they left it; a table that they have changed stays with all that it holds. So does what
//! they go by: a partition that another job has looked at, or that somebody finds there when adding it, a table that somebody adds partitions
//! to (none, after an INSERT without any): rows that are written by it would be in no table without it. (Iceberg's tables have states, whose files are looked after by [`undo`] itself.)

use std::collections::BTreeSet;

use async_trait::async_trait;
use service::Cx;
use service::attempts::{Outcome, Participant, job_of};
use store::journal::Change;
use store::{Key, Tx};
use wire::Error;

use crate::Glue;
use crate::iceberg::files;
use crate::scope::{self, Scope};

/// The records of the catalog that jobs change.
const KINDS: [&str; 8] =
    ["column-statistics", "db", "function", "index", "partition", "partition-statistics", "table", "version"];

/// The places whose objects stay when the job's are undone, from the undoing of the catalog to that of the objects.
fn kept(job: &str) -> Key {
    Key::new("glue-kept").push(job)
}

/// The records of a job that others go by.
fn relied(job: &str) -> Key {
    Key::new("glue-relied").push(job)
}

/// Which of the records other jobs that are under way have changed, with those jobs.
fn under_way(tx: &mut Tx<'_>, own: Option<&str>, keys: &[Key]) -> Result<Vec<(String, Key)>, store::Error> {
    let (mut found, mut last) = (Vec::new(), None::<String>);
    while let Some(job) = tx.next_journal(last.as_deref())? {
        for key in keys.iter().filter(|_| own != Some(job.as_str())) {
            if tx.get(noted(&job, key))?.is_some() && tx.get(relied(&job).push(key))?.is_none() {
                found.push((job.clone(), key.clone()));
            }
        }
        last = Some(job);
    }
    Ok(found)
}

/// The row of a job's journal that is about a record (see [`store::journal`]).
fn noted(job: &str, key: &Key) -> Key {
    Key::new("\u{1}journal").push(job).push(key)
}

/// Somebody goes by these records: the jobs that have made them do not take them back.
pub(crate) fn rely(tx: &mut Tx<'_>, cx_job: Option<&str>, keys: &[Key]) -> Result<(), store::Error> {
    for (job, key) in under_way(tx, cx_job, keys)? {
        tx.put(relied(&job).push(&key), b"")?;
    }
    Ok(())
}

/// The job on whose behalf a call is made.
pub(crate) fn job(cx: &Cx) -> Option<String> {
    cx.attempt().map(|attempt| job_of(attempt).to_owned())
}

impl Glue {
    /// Reads something; where a job reads it, what it has read (the keys beside the answer) is what it may go by from here on.
    pub(crate) async fn look<T>(
        &self,
        cx: &Cx,
        mut f: impl FnMut(&mut Tx<'_>) -> Result<(T, Vec<Key>), Error>,
    ) -> Result<T, Error> {
        let Some(own) = job(cx) else { return Ok(self.store.read(f).await?.0) };
        loop {
            let read = self.store.read(|tx| {
                let (found, keys) = f(tx)?;
                Ok::<_, Error>((found, under_way(tx, Some(&own), &keys)?))
            });
            let (found, open) = read.await?;
            if open.is_empty() {
                return Ok(found);
            }
            // What has been taken back meanwhile is not there when it is read again.
            let note = self.store.write(move |tx| {
                for (job, key) in &open {
                    if tx.get(noted(job, key))?.is_some() {
                        tx.put(relied(job).push(key), b"")?;
                    }
                }
                Ok::<_, store::Error>(())
            });
            note.await?;
        }
    }
}

#[async_trait]
impl Participant for Glue {
    /// With the catalog back as it was, a commit on top of what the job has made is refused; one that has come before is seen here.
    async fn release(&self, job: &str) -> Result<Vec<String>, Error> {
        if !self.holds(job).await? {
            return Ok(Vec::new());
        }
        let name = job.to_owned();
        let released = self.store.write(move |tx| {
            let job = name.as_str();
            let mut places: BTreeSet<String> = tx.get_json(kept(job))?.unwrap_or_default();
            let changes = tx.journal(job)?;
            let gone_by = relied(job);
            let of_others: BTreeSet<Vec<u8>> = tx
                .scan_prefix(&gone_by, usize::MAX >> 1)?
                .into_iter()
                .filter_map(|(key, _)| Key::parts(&key).pop())
                .collect();
            places.extend(undo(tx, &changes, &of_others)?);
            tx.forget_journal(job)?;
            scope::clear(tx, &gone_by)?;
            if !places.is_empty() {
                tx.put_json(kept(job), &places)?;
            }
            Ok::<_, store::Error>(places)
        });
        let places = released.await?;
        if !places.is_empty() {
            tracing::warn!(
                job,
                ?places,
                "others have built on what an undone job had committed: its objects there stay"
            );
        }
        Ok(places.into_iter().collect())
    }

    async fn finish(&self, job: &str, outcome: Outcome) -> Result<u64, Error> {
        if outcome == Outcome::Rollback {
            self.release(job).await?;
        }
        if self.holds(job).await? {
            let job = job.to_owned();
            let forgotten = self.store.write(move |tx| {
                tx.forget_journal(&job)?;
                scope::clear(tx, &relied(&job))?;
                tx.delete(kept(&job))
            });
            forgotten.await?;
        }
        Ok(0)
    }

    async fn holds(&self, job: &str) -> Result<bool, Error> {
        Ok(self.store.read(|tx| Ok::<_, store::Error>(tx.has_journal(job)? || tx.get(kept(job))?.is_some())).await?)
    }

    /// A new state of an Iceberg table is there for others to build on as soon as the catalog names it. The state's file is
    /// called after its statement; one that is not has been made before, and the table has another name now.
    async fn is_settled(&self, job: &str) -> Result<bool, Error> {
        let statement = job.rsplit(':').next().unwrap_or(job);
        let changes = self.store.read(|tx| tx.journal(job)).await?;
        Ok(changes.iter().any(|change| {
            let table = UndoKey::of(&change.key).is_some_and(|place| place.kind == "table");
            let now = change.after.as_deref().and_then(state);
            table
                && now.as_ref().is_some_and(|now| now.contains(statement))
                && now != change.before.as_deref().and_then(state)
        }))
    }

    async fn next(&self, after: Option<&str>) -> Result<Option<String>, Error> {
        Ok(self.store.read(|tx| tx.next_journal(after)).await?)
    }

    fn notes(&self, key: &[u8]) -> bool {
        UndoKey::of(key).is_some()
    }
}

/// The state of an Iceberg table that its record names.
fn state(record: &[u8]) -> Option<String> {
    let table: api_glue::Table = serde_json::from_slice(record).ok()?;
    let parameters = table.parameters?;
    let is_iceberg = parameters.get("table_type").is_some_and(|kind| kind.eq_ignore_ascii_case("ICEBERG"));
    parameters.get("metadata_location").filter(|_| is_iceberg).cloned()
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UndoKey {
    kind: String,
    account: String,
    region: String,
    database: String,
    /// Of all but databases.
    table: String,
}

impl UndoKey {
    fn of(key: &[u8]) -> Option<Self> {
        if !key.starts_with(Key::new("glue").as_bytes()) {
            return None;
        }
        let parts = Key::parts(key);
        let part = |at: usize| parts.get(at).map(|part| String::from_utf8_lossy(part).into_owned());
        let kind = part(3).filter(|kind| KINDS.contains(&kind.as_str()))?;
        let table = part(5).unwrap_or_default();
        Some(Self { kind, account: part(1)?, region: part(2)?, database: part(4)?, table })
    }

    fn scope(&self) -> Scope {
        Scope { account: self.account.clone(), region: self.region.clone() }
    }

    /// The table that the record is, or is of.
    fn of_table(&self) -> Self {
        Self { kind: "table".to_owned(), ..self.clone() }
    }
}

/// Where the objects of an Iceberg table lie: at its location and beside its metadata; nothing where the record is of no such table.
/// (Where its metadata says other places, `write.data.path` and the like, those are not known here.)
fn places_of(record: &[u8]) -> Vec<String> {
    let Some(state) = state(record) else { return Vec::new() };
    let table: Option<api_glue::Table> = serde_json::from_slice(record).ok();
    let location = table.and_then(|table| table.storage_descriptor?.location);
    let beside = state.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let folders = location.into_iter().chain(beside);
    let url = |folder: String| {
        let (bucket, folder) = files::place(&format!("{}/", folder.trim_end_matches('/')))?;
        Some(format!("s3://{bucket}/{folder}"))
    };
    folders.filter_map(url).collect()
}

/// Takes changes back; answers the places of Iceberg tables that the job has given a new state and others have changed since, or between
/// two of its own: they may have built on it. `relied` are the records that others go by: a table of Hive's that the job has made, a
/// partition whatever the job has made of it.
fn undo(tx: &mut Tx<'_>, changes: &[Change], relied: &BTreeSet<Vec<u8>>) -> Result<Vec<String>, store::Error> {
    let (mut foreign, mut built_on) = (BTreeSet::new(), Vec::new());
    for change in changes {
        let Some(place) = UndoKey::of(&change.key).filter(|place| place.kind == "table") else { continue };
        let now = tx.get(&change.key)?;
        let is_made = change.before.is_none() && change.after.as_deref().and_then(state).is_none();
        let is_foreign = now != change.after || is_made && relied.contains(&change.key);
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let made = after.and_then(state);
        if change.is_mixed || is_foreign && made.is_some() && made != before.and_then(state) {
            built_on.extend([before, after, now.as_deref()].into_iter().flatten().flat_map(places_of));
        }
        if is_foreign {
            foreign.insert(place);
        }
    }
    let mut gone = Vec::new();
    for change in changes {
        let Some(place) = UndoKey::of(&change.key) else { continue };
        let is_used = place.kind == "partition" && change.after.is_some() && relied.contains(&change.key);
        if is_used || foreign.contains(&place.of_table()) || tx.get(&change.key)? != change.after {
            continue;
        }
        if let Some(before) = &change.before {
            tx.put(&change.key, before)?;
        } else {
            tx.delete(&change.key)?;
            gone.push(place);
        }
    }
    for place in gone.iter().filter(|place| place.kind == "table") {
        // What others have added to it has no table any more.
        let scope = place.scope();
        let (database, table) = (&place.database, &place.table);
        for of in [
            scope.partitions(database, table),
            scope.versions(database, table),
            scope.column_statistics(database, table),
            scope.partition_statistics(database, table, &[]),
        ] {
            scope::clear(tx, &of)?;
        }
        tx.delete(scope.indexes(&place.database, &place.table))?;
    }
    for place in gone.iter().filter(|place| place.kind == "db") {
        // Others have made tables in it meanwhile: it stays.
        let (scope, name) = (place.scope(), &place.database);
        let key = scope.database(name);
        let made = changes.iter().find(|change| change.key == key.as_bytes()).and_then(|change| change.after.clone());
        if let Some(made) = made.filter(|_| tx.scan_prefix(scope.tables(name), 1).is_ok_and(|found| !found.is_empty()))
        {
            tx.put(key, &made)?;
        }
    }
    Ok(built_on)
}
