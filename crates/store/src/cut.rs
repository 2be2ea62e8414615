//! A copy of several stores as they were at one moment, made while they are used. At that moment nothing is committed in any of them
//! for as long as it takes to begin a read of each; the copying itself holds nobody up.
//!
//! What the files do not hold yet (see [`crate::sqlite`]) is laid over the copy, so that a copy has no log and needs none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::log::Writes;
use crate::{Error, Store};

/// One store's copy, begun: it sees its store as it was, whatever is written meanwhile.
pub struct Cut {
    connection: Connection,
    to: PathBuf,
    /// Newer than what is in the file, the newest last.
    pub(crate) over: Vec<Arc<Writes>>,
}

impl std::fmt::Debug for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cut").field("to", &self.to).finish_non_exhaustive()
    }
}

/// Begins a copy of each store to its place, all as they are at one moment. Blocks, for as long as their files take to be opened.
///
/// # Errors
/// When a file cannot be made, or a store has no file.
pub fn begin(stores: &[(Store, PathBuf)]) -> Result<Vec<Cut>, Error> {
    fn nested(stores: &[(Store, PathBuf)], cuts: &mut Vec<Cut>) -> Result<(), Error> {
        let Some(((store, to), rest)) = stores.split_first() else { return Ok(()) };
        let cut = store.cut(to, &mut || nested(rest, cuts))?;
        cuts.push(cut);
        Ok(())
    }
    let mut cuts = Vec::with_capacity(stores.len());
    nested(stores, &mut cuts)?;
    Ok(cuts)
}

impl Cut {
    /// Makes the new file beside the old one's connection; the read begins with [`Cut::pin`].
    pub(crate) fn prepare(connection: Connection, to: &Path) -> Result<Self, Error> {
        let place = to.to_str().ok_or_else(|| Error::Unusable(format!("{} is not UTF-8", to.display())))?;
        connection.execute("ATTACH DATABASE ?1 AS copy", params![place])?;
        // Nobody reads it before it is whole and synced, so that it needs no journal of its own.
        connection.execute_batch(
            "PRAGMA copy.page_size=8192; PRAGMA copy.journal_mode=OFF; PRAGMA copy.synchronous=OFF;
             CREATE TABLE copy.kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;
             CREATE TABLE copy.applied (id INTEGER PRIMARY KEY CHECK (id = 0), record INTEGER NOT NULL);",
        )?;
        Ok(Self { connection, to: to.to_owned(), over: Vec::new() })
    }

    /// From here on it sees what is in the file now.
    pub(crate) fn pin(&self) -> Result<(), Error> {
        self.connection.execute_batch("BEGIN")?;
        let mut first = self.connection.prepare("SELECT 1 FROM main.kv LIMIT 1")?;
        first.exists([])?;
        Ok(())
    }

    /// Copies, and makes the copy durable. Blocks for as long as that takes.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn finish(self) -> Result<(), Error> {
        self.connection.execute("INSERT INTO copy.kv SELECT k, v FROM main.kv ORDER BY k", [])?;
        {
            let mut put = self.connection.prepare("REPLACE INTO copy.kv (k, v) VALUES (?1, ?2)")?;
            let mut delete = self.connection.prepare("DELETE FROM copy.kv WHERE k = ?1")?;
            for (key, value) in self.over.iter().flat_map(|writes| writes.iter()) {
                match value {
                    Some(value) => put.execute(params![key, value])?,
                    None => delete.execute(params![key])?,
                };
            }
        }
        self.connection.execute_batch("COMMIT; DETACH DATABASE copy;")?;
        Ok(std::fs::File::open(&self.to)?.sync_all()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lakerun-cut-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    async fn put(store: &Store, key: &'static str, n: u64) {
        store.write(move |tx| tx.put(key, &n.to_be_bytes())).await.unwrap();
    }

    async fn number(store: &Store, key: &str) -> Option<u64> {
        store.read(|tx| tx.get(key)).await.unwrap().map(|v| u64::from_be_bytes(v.try_into().unwrap()))
    }

    /// `b` always follows `a`: in no copy is it ahead, and none holds what was written after it was begun.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn stores_are_copied_as_of_one_moment() {
        let folder = folder("moment");
        let (a, b) = (Store::open(&folder.join("a.db")).unwrap(), Store::open(&folder.join("b.db")).unwrap());
        put(&a, "gone", 1).await;
        let (writing, other) = (a.clone(), b.clone());
        let writer = tokio::spawn(async move {
            for n in 1..=600 {
                put(&writing, "n", n).await;
                put(&other, "n", n).await;
            }
        });
        a.write(|tx| tx.delete("gone")).await.unwrap();
        for round in 0..5 {
            let to = folder.join(round.to_string());
            std::fs::create_dir_all(&to).unwrap();
            let stores = [(a.clone(), to.join("a.db")), (b.clone(), to.join("b.db"))];
            let cuts = tokio::task::spawn_blocking(move || begin(&stores)).await.unwrap().unwrap();
            put(&a, "late", round).await;
            for cut in cuts {
                tokio::task::spawn_blocking(|| cut.finish()).await.unwrap().unwrap();
            }
            let (a, b) = (Store::open(&to.join("a.db")).unwrap(), Store::open(&to.join("b.db")).unwrap());
            let (first, second) = (number(&a, "n").await.unwrap_or(0), number(&b, "n").await.unwrap_or(0));
            assert!(second <= first && first <= second + 1, "{first} and {second}");
            assert_eq!(number(&a, "late").await, (round > 0).then(|| round - 1));
            assert_eq!(number(&a, "gone").await, None);
            // The copy is a store like any other.
            put(&a, "own", 7).await;
            assert_eq!(number(&a, "own").await, Some(7));
        }
        writer.await.unwrap();
        let _ = std::fs::remove_dir_all(folder);
    }
}
