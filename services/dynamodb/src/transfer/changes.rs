//! What changed in a table between two moments, for incremental exports: of each item that was written in that time what there was before
//! and what there was at its end, out of the log of point-in-time recovery.
//!
//! The log has what was there before each change. The first change in the window says what an item was before it, the first after it what
//! the item was at its end; an item that has not changed since is what it is now, which is read together with the end of the log.
//! Source: DynamoDB Developer Guide, "DynamoDB table export output format", "Incremental export output".

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Key, Tx};
use wire::Error;

use super::Failure;
use super::export::Export;
use crate::backups::copies;
use crate::backups::recovery::{Before, changes, first_near};
use crate::table::Table;
use crate::tasks::{BATCH, Tasks};
use crate::value::{Item, item_size};

/// From when to when, in milliseconds since 1970; the end is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// Whether lines have old images too.
    pub(crate) old_images: bool,
}

/// An item that was written in a window, by its place among the export's copies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Changed {
    old: Option<Item>,
    new: Option<Item>,
    /// When it was written last.
    last_ms: i64,
    /// Whether `new` is known.
    settled: bool,
}

/// How far the work is: the number of the log that is read next, and the last place that is settled.
#[derive(Clone, Debug)]
struct Progress {
    next: u64,
    after: Vec<u8>,
    done: bool,
}

impl Window {
    pub(crate) fn view(&self) -> &'static str {
        if self.old_images { "NEW_AND_OLD_IMAGES" } else { "NEW_IMAGE" }
    }
}

impl Changed {
    /// The line of an item, with its bytes; none where it was made and deleted again.
    pub(super) fn line(&self, table: &Table, window: &Window) -> Option<(Value, usize)> {
        let some = self.new.as_ref().or(self.old.as_ref())?;
        let mut line = json!({
            "Metadata": {"WriteTimestampMicros": {"N": (self.last_ms * 1000).to_string()}},
            "Keys": table.place(None, some),
        });
        let old = self.old.as_ref().filter(|_| window.old_images);
        for (name, image) in [("NewImage", self.new.as_ref()), ("OldImage", old)] {
            if let Some(image) = image {
                line[name] = json!(image);
            }
        }
        let bytes = self.new.as_ref().map_or(0, item_size) + old.map_or(0, item_size);
        Some((line, bytes))
    }
}

impl Tasks {
    /// Brings together what changed, piece by piece. Done once more it comes to the same.
    pub(super) async fn gathered(&self, export: &Export, window: &Window) -> Result<(), Failure> {
        let mut progress: Option<Progress> = None;
        loop {
            let (from, export, window) = (progress.clone(), export.clone(), window.clone());
            let step = move |tx: &mut Tx<'_>| {
                let table = export.home().find(tx, &export.place.table)?.filter(|table| table.id == export.table_id);
                let Some(table) = table else { return Ok(Err("TableNotFound")) };
                // What was written while it was off is in no log.
                if table.recovery.as_ref().is_none_or(|recovery| recovery.since_ms > window.from_ms) {
                    return Ok(Err("PointInTimeRecoveryUnavailable"));
                }
                let mut next = match &from {
                    Some(progress) => progress.clone(),
                    None => Progress {
                        next: first_near(tx, &table.id, window.from_ms)?,
                        after: copies(&export.place.id).as_bytes().to_vec(),
                        done: false,
                    },
                };
                next.step(tx, &export, &window)?;
                Ok::<_, Error>(Ok(next))
            };
            match self.store.write(step).await? {
                Ok(next) if next.done => return Ok(()),
                Ok(next) => progress = Some(next),
                Err("TableNotFound") => {
                    return Err(Failure::of("TableNotFound", "The table was deleted while it was exported"));
                }
                Err(code) => {
                    return Err(Failure::of(
                        code,
                        "Point in time recovery was switched off while the table was exported",
                    ));
                }
            }
        }
    }
}

impl Progress {
    fn step(&mut self, tx: &mut Tx<'_>, export: &Export, window: &Window) -> Result<(), Error> {
        let log = changes(&export.table_id);
        let to = store::key::prefix_end(log.as_bytes());
        let records = tx.scan(log.push_u64(self.next).as_bytes(), to.as_deref(), BATCH, false)?;
        for (key, bytes) in &records {
            note(tx, &export.place.id, store::kv::decode(key, bytes)?, window)?;
            let number = Key::parts(key).last().and_then(|part| Key::part_u64(part));
            self.next = number.map_or(self.next, |number| number + 1);
        }
        // Only with the end of the log at hand is what an item is now what it was at the end of the window.
        if records.len() < BATCH {
            self.settle(tx, &export.place.id)?;
        }
        Ok(())
    }

    /// The next items that have not changed since the window.
    fn settle(&mut self, tx: &mut Tx<'_>, export: &str) -> Result<(), Error> {
        let staged = tx.scan_after(copies(export), &self.after, BATCH)?;
        for (place, bytes) in &staged {
            let mut changed: Changed = store::kv::decode(place, bytes)?;
            if !changed.settled {
                let key = Key::parts(place).last().cloned().unwrap_or_default();
                changed.new = tx.get_json(key)?;
                changed.settled = true;
                tx.put_json(place, &changed)?;
            }
        }
        if let Some((last, _)) = staged.last() {
            self.after.clone_from(last);
        }
        self.done = staged.len() < BATCH;
        Ok(())
    }
}

/// Takes one change of the log into account.
fn note(tx: &mut Tx<'_>, export: &str, change: Before, window: &Window) -> Result<(), Error> {
    let Before { at_ms, key, old } = change;
    if at_ms < window.from_ms {
        return Ok(());
    }
    let place = copies(export).push(&key);
    let known: Option<Changed> = tx.get_json(&place)?;
    let changed = match known {
        Some(known) if known.settled => return Ok(()),
        Some(known) if at_ms < window.to_ms => Changed { last_ms: at_ms, ..known },
        Some(known) => Changed { new: old, settled: true, ..known },
        None if at_ms < window.to_ms => Changed { old, new: None, last_ms: at_ms, settled: false },
        None => return Ok(()),
    };
    Ok(tx.put_json(place, &changed)?)
}
