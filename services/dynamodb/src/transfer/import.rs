//! Imports: a new table of the objects below a prefix. The table is `CREATING` until all have been read; a row that no item can be made
//! of is counted, and the others are taken. An object that was begun is read again after a crash: its items are put once more.

use std::sync::Arc;

use api_dynamodb::{InputFormatOptions, S3BucketSource, TableCreationParameters};
use api_s3::{ListObjectsV2, ListObjectsV2Request};
use serde::{Deserialize, Serialize};
use service::{Cx, Principal};
use store::{Done, Key, NewTask, Task, Tx};
use wire::Error;

use super::object::Object;
use super::rows::{Row, Rows};
use super::{Failure, State};
use crate::items::{self, Cause, Change};
use crate::table::Table;
use crate::tasks::{BATCH, Tasks};
use crate::value::Item;
use crate::write::Home;

pub(crate) const IMPORT: &str = "dynamodb:import";

/// An import as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Import {
    pub(crate) place: TransferKey,
    pub(crate) arn: String,
    pub(crate) table: String,
    pub(crate) table_arn: String,
    pub(crate) table_id: String,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) token: Option<String>,
    /// The request, to know it again by its token.
    pub(crate) request: String,
    pub(crate) source: S3BucketSource,
    pub(crate) format: String,
    pub(crate) options: Option<InputFormatOptions>,
    pub(crate) compression: Option<String>,
    pub(crate) parameters: TableCreationParameters,
    pub(crate) caller: Principal,
    pub(crate) state: State,
    /// The last object that was read whole.
    pub(crate) after: Option<String>,
    pub(crate) counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) bytes: u64,
    pub(crate) processed: u64,
    pub(crate) imported: u64,
    pub(crate) errors: u64,
}

/// Where an import's record is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TransferKey {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) id: String,
}

impl TransferKey {
    /// Nobody is told of it any more.
    pub(crate) fn forget(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.delete(self.key())?)
    }

    fn key(&self) -> Key {
        Import::all(&self.home()).push(&self.id)
    }

    fn home(&self) -> Home {
        Home { account: self.account.clone(), region: self.region.clone() }
    }

    pub(crate) fn enqueue(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.enqueue(NewTask::new(IMPORT, format!("{IMPORT}/{}", self.id)).payload(self)?)?)
    }
}

impl Import {
    /// Where an account's imports are, by id.
    pub(crate) fn all(home: &Home) -> Key {
        Key::new("dynamodb").push("import").push(&home.account).push(&home.region)
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(self.place.key(), self)?)
    }

    fn rows(&self, table: &Table) -> Rows {
        if self.format != "CSV" {
            return Rows::json();
        }
        let options = self.options.as_ref().and_then(|options| options.csv.as_ref());
        let delimiter = options.and_then(|options| options.delimiter.as_ref()?.bytes().next()).unwrap_or(b',');
        Rows::csv(delimiter, options.and_then(|options| options.header_list.clone()), table.attributes.clone())
    }
}

impl Tasks {
    pub(crate) async fn import(&self, task: &Task) -> Result<Done, Error> {
        let place: TransferKey = task.payload()?;
        let found = self.store.read(|tx| Ok::<_, Error>(tx.get_json::<Import>(place.key())?)).await?;
        let Some(mut import) = found.filter(|import| import.state == State::InProgress) else {
            return Ok(Done::Finished);
        };
        let state = match self.taken(&mut import).await {
            Ok(()) if import.counts.errors == 0 => State::Completed,
            Ok(()) => State::Failed {
                code: "ItemValidationError".to_owned(),
                message: "Some of the items failed validation checks and were not imported.".to_owned(),
            },
            Err(Failure::Final { code, message }) => State::Failed { code, message },
            Err(Failure::Again(error)) => return Err(error),
        };
        let ended = self.router.now().as_millisecond();
        self.store
            .write(move |tx| {
                if let Some(mut table) = table(tx, &import)?.map(Arc::unwrap_or_clone) {
                    table.importing = false;
                    table.save(tx)?;
                }
                Import { state: state.clone(), ended_ms: Some(ended), ..import.clone() }.save(tx)
            })
            .await?;
        Ok(Done::Finished)
    }

    /// All objects below the prefix, in their order.
    async fn taken(&self, import: &mut Import) -> Result<(), Failure> {
        let platform = Cx::platform(&self.router, &import.place.account, &import.place.region);
        let cx = platform.as_principal(import.caller.clone());
        let (mut token, mut found) = (None, import.after.is_some());
        loop {
            let request = ListObjectsV2Request {
                bucket: import.source.s3_bucket.clone(),
                prefix: import.source.s3_key_prefix.clone(),
                expected_bucket_owner: import.source.s3_bucket_owner.clone(),
                start_after: import.after.clone(),
                continuation_token: token.take(),
                ..ListObjectsV2Request::default()
            };
            let page = cx.call::<ListObjectsV2>(request).await.map_err(Failure::of_s3)?;
            for key in page.contents.into_iter().flatten().filter_map(|object| object.key) {
                // A folder's mark has no rows.
                if key.ends_with('/') {
                    continue;
                }
                found = true;
                import.counts = self.object(&cx, import, &key).await?;
                import.after = Some(key);
                let now = import.clone();
                self.store.write(move |tx| now.save(tx)).await?;
            }
            token = page.next_continuation_token;
            if token.is_none() {
                break;
            }
        }
        if found { Ok(()) } else { Err(Failure::of("S3NoSuchKey", "There is no object below the prefix")) }
    }

    /// One object's items; the counts with it.
    async fn object(&self, cx: &Cx, import: &Import, key: &str) -> Result<Counts, Failure> {
        let compression = import.compression.as_deref().unwrap_or("NONE");
        let source = (import.source.s3_bucket.as_str(), import.source.s3_bucket_owner.as_deref());
        let mut object = Object::new(cx, source, key, compression)?;
        let target = self.store.read(|tx| table(tx, import)).await?;
        let Some(target) = target else { return Err(gone()) };
        let mut rows = import.rows(&target);
        let mut counts = import.counts;
        let mut ended = false;
        while !ended {
            let piece = object.next().await?;
            ended = piece.is_none();
            let mut out = Vec::new();
            let piece = piece.unwrap_or_default();
            rows.feed(&piece, &mut out).map_err(|wrong| Failure::of("InvalidRow", format!("{key}: {wrong}")))?;
            for rows in out.chunks(BATCH) {
                let (taken, refused) = self.put(import, rows).await?;
                counts.processed += rows.len() as u64;
                counts.imported += taken;
                counts.errors += refused.len() as u64;
                for why in refused {
                    tracing::warn!(import = import.arn, object = key, why, "a row was not imported");
                }
            }
        }
        counts.bytes += object.read();
        Ok(counts)
    }

    /// Puts the items of these rows; how many, and why not the others.
    async fn put(&self, import: &Import, rows: &[Row]) -> Result<(u64, Vec<String>), Failure> {
        let mut refused: Vec<String> = rows.iter().filter_map(|row| row.as_ref().err().cloned()).collect();
        let items: Vec<Item> = rows.iter().filter_map(|row| row.as_ref().ok().cloned()).collect();
        let (import, count) = (import.clone(), items.len());
        let step = move |tx: &mut Tx<'_>| {
            let Some(target) = table(tx, &import)? else { return Ok(None) };
            let mut wrong = Vec::new();
            for item in &items {
                let checked = target.key_of(item).and_then(|key| items::check(&target, item, false).map(|()| key));
                let key = match checked {
                    Ok(key) => key,
                    Err(invalid) => {
                        wrong.push(invalid.0);
                        continue;
                    }
                };
                let old = items::get(tx, &key)?;
                let change = Change { key: &key, old: old.as_ref(), new: Some(item), cause: Cause::Request };
                items::replace(tx, &target, change)?;
            }
            Ok::<_, Error>(Some(wrong))
        };
        let Some(wrong) = self.store.write(step).await? else { return Err(gone()) };
        let taken = count.saturating_sub(wrong.len()) as u64;
        refused.extend(wrong);
        Ok((taken, refused))
    }
}

fn gone() -> Failure {
    Failure::of("TableNotFound", "The table was deleted while it was imported")
}

/// The table that is being made.
fn table(tx: &mut Tx<'_>, import: &Import) -> Result<Option<Arc<Table>>, Error> {
    Ok(import.place.home().find(tx, &import.table)?.filter(|table| table.id == import.table_id))
}
