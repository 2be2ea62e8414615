//! Work that outlives requests: expiry of items, and clearing what deleted tables and indexes held.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use service::Router;
use store::{Done, Key, NewTask, Runner, Store, Task, Tx};
use wire::Error;

use crate::backups::recovery::{self, TRIM_LOG};
use crate::backups::restore::{self, CLEAR_COPIES, RESTORE, Restore};
use crate::backups::{self, Backup, COPY, Copy, Then};
use crate::items::{self, EXPIRE, Expire};
use crate::streams::{self, Stream, TRIM};
use crate::table::{Index, Table};
use crate::transfer::export::EXPORT;
use crate::transfer::import::IMPORT;
use crate::write::Home;

pub(crate) const CLEAR: &str = "dynamodb:clear";
pub(crate) const CLEAR_INDEX: &str = "dynamodb:clear-index";
pub(crate) const BACKFILL: &str = "dynamodb:backfill";
pub(crate) const FILL_EXPIRIES: &str = "dynamodb:fill-expiries";
pub(crate) const CLEAR_EXPIRIES: &str = "dynamodb:clear-expiries";
pub(crate) const KINDS: [&str; 13] = [
    EXPIRE,
    CLEAR,
    CLEAR_INDEX,
    BACKFILL,
    FILL_EXPIRIES,
    CLEAR_EXPIRIES,
    TRIM,
    COPY,
    RESTORE,
    CLEAR_COPIES,
    TRIM_LOG,
    EXPORT,
    IMPORT,
];

/// An index that is being filled, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Backfill {
    pub(crate) table: Table,
    pub(crate) index: String,
    /// Which index of that name ([`Index::made`]); absent from tasks of before such were told apart.
    #[serde(default)]
    pub(crate) made: Option<String>,
    pub(crate) after: Option<Vec<u8>>,
}

/// A table whose items' expiries are being noted, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fill {
    account: String,
    region: String,
    table: String,
    table_id: String,
    /// Of which time to live ([`Table::ttl_made`]).
    made: String,
    after: Vec<u8>,
}

impl Fill {
    pub(crate) fn of(table: &Table, after: Vec<u8>) -> Self {
        Self {
            account: table.account.clone(),
            region: table.region.clone(),
            table: table.name.clone(),
            table_id: table.id.clone(),
            made: table.ttl_made.clone(),
            after,
        }
    }

    pub(crate) fn enqueue(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let id = format!("{FILL_EXPIRIES}/{}/{}", self.table_id, self.made);
        Ok(tx.enqueue(NewTask::new(FILL_EXPIRIES, id).payload(self)?)?)
    }
}

/// Records deleted in one transaction.
pub(crate) const BATCH: usize = 500;

pub(crate) struct Tasks {
    pub(crate) store: Store,
    pub(crate) router: Arc<Router>,
}

#[async_trait]
impl Runner for Tasks {
    async fn run(&self, task: Task) -> Done {
        let result = match task.kind.as_str() {
            EXPIRE => self.expire(&task).await,
            CLEAR => self.clear_table(&task).await,
            BACKFILL => self.backfill(&task).await,
            FILL_EXPIRIES => self.fill_expiries(&task).await,
            CLEAR_EXPIRIES => self.clear_expiries(&task).await,
            TRIM => self.trim(&task).await,
            COPY => self.copy(&task).await,
            RESTORE => self.restore(&task).await,
            CLEAR_COPIES => self.clear_copies(&task).await,
            TRIM_LOG => self.trim_log(&task).await,
            EXPORT => self.export(&task).await,
            IMPORT => self.import(&task).await,
            _ => self.clear_index(&task).await,
        };
        result.unwrap_or_else(|error| {
            tracing::error!(task = task.id, %error, "a DynamoDB task failed; it runs again");
            Done::RetryAfter(SignedDuration::from_secs(10))
        })
    }
}

impl Tasks {
    async fn expire(&self, task: &Task) -> Result<Done, Error> {
        let about: Expire = task.payload()?;
        let id = task.id.clone();
        self.store
            .write(move |tx| {
                tx.finish_task(&id)?;
                let home = Home { account: about.account.clone(), region: about.region.clone() };
                match home.find(tx, &about.table)? {
                    Some(table) if table.id == about.table_id => items::expire(tx, &table, tx.now(), BATCH),
                    _ => Ok(()),
                }
            })
            .await?;
        Ok(Done::Committed)
    }

    async fn clear_table(&self, task: &Task) -> Result<Done, Error> {
        let table: Table = task.payload()?;
        self.clear(table.items()).await?;
        for index in &table.indexes {
            self.clear(table.entries(index)).await?;
        }
        self.clear(table.expiries()).await?;
        let own = table.clone();
        self.store.write(move |tx| items::stop_expiring(tx, &own)).await?;
        self.clear(table.contents_key()).await?;
        self.clear(recovery::changes(&table.id)).await?;
        Ok(Done::Finished)
    }

    async fn clear_index(&self, task: &Task) -> Result<Done, Error> {
        let (table, index): (Table, Index) = task.payload()?;
        let home = Home { account: table.account.clone(), region: table.region.clone() };
        let now = self.store.read(|tx| home.find(tx, &table.name)).await?;
        // An index of the name that was made before such were told apart has the same entries.
        if now.is_none_or(|now| now.index(&index.name).map_or(true, |now| now.made != index.made)) {
            self.clear(table.entries(&index)).await?;
        }
        Ok(Done::Finished)
    }

    /// Piece by piece, each of which sees what was written before it.
    async fn backfill(&self, task: &Task) -> Result<Done, Error> {
        let Backfill { table, index, made, mut after } = task.payload()?;
        loop {
            let (table, index, made, from) = (table.clone(), index.clone(), made.clone(), after.take());
            let step = move |tx: &mut Tx<'_>| {
                let home = Home { account: table.account.clone(), region: table.region.clone() };
                let now = home.find(tx, &table.name)?.filter(|now| now.id == table.id);
                let Some(mut now) = now.map(Arc::unwrap_or_clone) else { return Ok(None) };
                // An index made again under the name has a task of its own.
                let is_own = |own: &Index| own.name == index && made.as_ref().is_none_or(|made| own.made == *made);
                let Some(own) = now.indexes.iter().find(|own| is_own(own) && own.backfilling).cloned() else {
                    return Ok(None);
                };
                let after = items::fill_index(tx, &now, &own, from.clone(), BATCH)?;
                if after.is_none() {
                    for own in now.indexes.iter_mut().filter(|own| is_own(own)) {
                        own.backfilling = false;
                    }
                    now.save(tx)?;
                }
                Ok::<_, Error>(after)
            };
            after = self.store.write(step).await?;
            if after.is_none() {
                return Ok(Done::Finished);
            }
        }
    }

    /// Notes when a table's items expire, piece by piece, unless that time to live has ended.
    async fn fill_expiries(&self, task: &Task) -> Result<Done, Error> {
        let about: Fill = task.payload()?;
        let mut after = about.after.clone();
        loop {
            let (about, from) = (about.clone(), after.clone());
            let step = move |tx: &mut Tx<'_>| {
                let home = Home { account: about.account.clone(), region: about.region.clone() };
                let now = home.find(tx, &about.table)?.filter(|now| now.id == about.table_id);
                let Some(mut table) = now.map(Arc::unwrap_or_clone).filter(|now| now.ttl_made == about.made) else {
                    return Ok(None);
                };
                if table.ttl.is_none() {
                    return Ok(None);
                }
                let after = items::note_expiries(tx, &table, Some(from.clone()), BATCH)?;
                if after.is_none() {
                    table.ttl_filling = false;
                    table.save(tx)?;
                }
                Ok::<_, Error>(after)
            };
            match self.store.write(step).await? {
                Some(next) => after = next,
                None => return Ok(Done::Finished),
            }
        }
    }

    async fn clear_expiries(&self, task: &Task) -> Result<Done, Error> {
        let prefix: Vec<u8> = task.payload()?;
        loop {
            let prefix = prefix.clone();
            let step = move |tx: &mut Tx<'_>| {
                let records = tx.scan_prefix(&prefix, BATCH)?;
                records.iter().try_for_each(|(key, _)| tx.delete(key))?;
                Ok::<_, Error>(records.len() < BATCH)
            };
            if self.store.write(step).await? {
                return Ok(Done::Finished);
            }
        }
    }

    async fn trim(&self, task: &Task) -> Result<Done, Error> {
        let stream: Stream = task.payload()?;
        let id = task.id.clone();
        loop {
            let (stream, id) = (stream.clone(), id.clone());
            let done = self
                .store
                .write(move |tx| {
                    let now_ms = tx.now().as_millisecond();
                    tx.finish_task(&id)?;
                    streams::trim(tx, &stream, now_ms, BATCH)
                })
                .await?;
            if done {
                return Ok(Done::Committed);
            }
        }
    }

    /// Goes on with a snapshot; with its last piece goes what it was made for.
    async fn copy(&self, task: &Task) -> Result<Done, Error> {
        let about: Copy = task.payload()?;
        loop {
            let about = about.clone();
            let step = move |tx: &mut Tx<'_>| {
                let home = Home { account: about.account.clone(), region: about.region.clone() };
                let now = home.find(tx, &about.table)?.filter(|now| now.id == about.table_id);
                let Some(mut table) = now.map(Arc::unwrap_or_clone) else {
                    // An export ends by finding its table gone.
                    if let Then::Export(place) = &about.then {
                        place.enqueue(tx)?;
                    }
                    return Ok(true);
                };
                let complete = backups::copy(tx, &mut table, &about.snapshot, BATCH)?;
                match &about.then {
                    Then::Backup(arn) if complete => {
                        backups::end(&mut table, &about.snapshot);
                        if let Some(mut backup) = Backup::find(tx, &home, arn)? {
                            backup.complete = true;
                            backup.save(tx)?;
                        }
                    }
                    Then::Restore(restore) if complete => restore::enqueue(tx, restore)?,
                    Then::Export(place) if complete => place.enqueue(tx)?,
                    _ => {}
                }
                table.save(tx)?;
                Ok::<_, Error>(complete)
            };
            if self.store.write(step).await? {
                return Ok(Done::Finished);
            }
        }
    }

    async fn restore(&self, task: &Task) -> Result<Done, Error> {
        let mut about: Restore = task.payload()?;
        loop {
            let from = about.clone();
            let step = move |tx: &mut Tx<'_>| {
                let mut next = from.clone();
                let done = restore::step(tx, &mut next, BATCH)?;
                Ok::<_, Error>((next, done))
            };
            let (next, done) = self.store.write(step).await?;
            if done {
                return Ok(Done::Finished);
            }
            about = next;
        }
    }

    async fn clear_copies(&self, task: &Task) -> Result<Done, Error> {
        let snapshot: String = task.payload()?;
        self.clear(backups::copies(&snapshot)).await?;
        Ok(Done::Finished)
    }

    async fn trim_log(&self, task: &Task) -> Result<Done, Error> {
        let about: recovery::Trim = task.payload()?;
        let id = task.id.clone();
        loop {
            let (about, id) = (about.clone(), id.clone());
            let step = move |tx: &mut Tx<'_>| {
                tx.finish_task(&id)?;
                recovery::trim(tx, &about, tx.now().as_millisecond(), BATCH)
            };
            if self.store.write(step).await? {
                return Ok(Done::Committed);
            }
        }
    }

    async fn clear(&self, prefix: Key) -> Result<(), Error> {
        loop {
            let prefix = prefix.clone();
            if self.store.write(move |tx| items::clear(tx, &prefix, BATCH)).await? {
                return Ok(());
            }
        }
    }
}
