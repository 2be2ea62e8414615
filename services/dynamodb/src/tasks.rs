//! Work that outlives requests: expiry of items, and clearing what deleted tables and indexes held.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use store::{Done, Key, Runner, Store, Task};
use wire::Error;

use crate::items::{self, EXPIRE, Expire};
use crate::table::{Index, Table};
use crate::write::Home;

pub(crate) const CLEAR: &str = "dynamodb:clear";
pub(crate) const CLEAR_INDEX: &str = "dynamodb:clear-index";
pub(crate) const KINDS: [&str; 3] = [EXPIRE, CLEAR, CLEAR_INDEX];

/// Records deleted in one transaction.
const BATCH: usize = 500;

pub(crate) struct Tasks {
    pub(crate) store: Store,
}

#[async_trait]
impl Runner for Tasks {
    async fn run(&self, task: Task) -> Done {
        let result = match task.kind.as_str() {
            EXPIRE => self.expire(&task).await,
            CLEAR => self.clear_table(&task).await,
            _ => self.clear_index(&task).await,
        };
        result.unwrap_or_else(|error| {
            tracing::error!(task = task.id, %error, "a DynamoDB task failed; it runs again");
            Done::Retry(Timestamp::now() + SignedDuration::from_secs(10))
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
                    Some(table) if table.id == about.table_id => items::expire(tx, &table, Timestamp::now(), BATCH),
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
        self.clear(table.contents_key()).await?;
        Ok(Done::Finished)
    }

    async fn clear_index(&self, task: &Task) -> Result<Done, Error> {
        let (table, index): (Table, Index) = task.payload()?;
        let home = Home { account: table.account.clone(), region: table.region.clone() };
        let now = self.store.read(|tx| home.find(tx, &table.name)).await?;
        // Made again meanwhile: its entries are wanted.
        if now.is_none_or(|now| now.index(&index.name).is_err()) {
            self.clear(table.entries(&index)).await?;
        }
        Ok(Done::Finished)
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
