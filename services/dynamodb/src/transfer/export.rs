//! Exports: the table of a moment, or what changed in it between two, as compressed files of DynamoDB JSON in S3, with manifests. The items come together in a snapshot, as
//! for a restore; what is written of it is the same however often a piece is written.
//! Source: DynamoDB Developer Guide, "DynamoDB table export output format".

use std::io::Write as _;
use std::sync::Arc;

use api_s3::{PutObject, PutObjectRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{Cx, Principal};
use store::{Done, Key, NewTask, Task, Tx};
use wire::{Blob, Error};

use super::changes::{Changed, Window};
use super::{Failure, State};
use crate::backups::restore::{CLEAR_COPIES, Undo, take_back};
use crate::backups::{self, copies};
use crate::table::Table;
use crate::tasks::{BATCH, Tasks};
use crate::value::{Item, item_size};
use crate::write::Home;

pub(crate) const EXPORT: &str = "dynamodb:export";

/// Uncompressed bytes of a data file, about.
const FILE_BYTES: usize = 32 << 20;

/// An export as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Export {
    pub(crate) place: TransferKey,
    pub(crate) arn: String,
    pub(crate) table_arn: String,
    pub(crate) table_id: String,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    /// The moment whose items it has, or the end of what changed.
    pub(crate) at_ms: i64,
    /// What changed then is exported, not the table.
    #[serde(default)]
    pub(crate) window: Option<Window>,
    pub(crate) token: Option<String>,
    /// The request, to know it again by its token.
    pub(crate) request: String,
    pub(crate) target: Target,
    pub(crate) caller: Principal,
    pub(crate) undo: Undo,
    pub(crate) state: State,
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

/// Where an export's record is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TransferKey {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) table: String,
    pub(crate) id: String,
}

/// Where the files go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    pub(crate) owner: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) algorithm: Option<String>,
    pub(crate) key: Option<String>,
}

/// A data file that has been written.
struct Written {
    key: String,
    etag: String,
    md5: String,
    items: u64,
}

impl TransferKey {
    fn key(&self) -> Key {
        let home = Home { account: self.account.clone(), region: self.region.clone() };
        Export::all(&home).push(&self.table).push(&self.id)
    }

    pub(crate) fn enqueue(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.enqueue(NewTask::new(EXPORT, format!("{EXPORT}/{}", self.id)).payload(self)?)?)
    }

    /// Nobody is told of it any more.
    pub(crate) fn forget(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.delete(self.key())?)
    }

    pub(crate) fn load(&self, tx: &mut Tx<'_>) -> Result<Option<Export>, Error> {
        Ok(tx.get_json(self.key())?)
    }
}

impl Export {
    /// Where an account's exports are, by table and id.
    pub(crate) fn all(home: &Home) -> Key {
        Key::new("dynamodb").push("export").push(&home.account).push(&home.region)
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(self.place.key(), self)?)
    }

    pub(crate) fn manifest(&self) -> String {
        format!("{}manifest-summary.json", self.folder())
    }

    fn folder(&self) -> String {
        format!("{}{}/", self.root(), self.place.id)
    }

    fn root(&self) -> String {
        let prefix = self.target.prefix.as_deref().map(|prefix| prefix.trim_end_matches('/')).unwrap_or_default();
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{prefix}{slash}AWSDynamoDB/")
    }

    /// `manifest-summary.json`, of items and bytes that the files of a list have.
    fn summary(&self, ended_ms: i64, list: &str, (items, bytes): (u64, u64)) -> Result<Value, Error> {
        let time = |ms: i64| Timestamp::from_millisecond(ms).map_err(Error::internal);
        let told = |ms| time(ms).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        let mut summary = json!({
            "version": "2020-06-30",
            "exportArn": self.arn,
            "startTime": told(self.started_ms)?,
            "endTime": told(ended_ms)?,
            "tableArn": self.table_arn,
            "tableId": self.table_id,
            "s3Bucket": self.target.bucket,
            "s3Prefix": self.target.prefix,
            "s3SseAlgorithm": self.target.algorithm.as_deref().unwrap_or("AES256"),
            "s3SseKmsKeyId": self.target.key,
            "manifestFilesS3Key": list,
            "billedSizeBytes": bytes,
            "itemCount": items,
            "outputFormat": "DYNAMODB_JSON",
        });
        match &self.window {
            None => summary["exportTime"] = json!(told(self.at_ms)?),
            Some(window) => {
                summary["version"] = json!("2023-08-01");
                summary["exportFromTime"] = json!(told(window.from_ms)?);
                summary["exportToTime"] = json!(told(window.to_ms)?);
                summary["outputView"] = json!(window.view());
                summary["exportType"] = json!("INCREMENTAL_EXPORT");
            }
        }
        Ok(summary)
    }

    /// The nth data file: the same name and content each time. Incremental exports share a folder.
    fn file(&self, number: usize) -> String {
        let name = Md5::digest(format!("{}/{number}", self.arn));
        let folder = if self.window.is_some() { self.root() } else { self.folder() };
        format!("{folder}data/{}.json.gz", hex::encode(&name[..13]))
    }

    pub(super) fn home(&self) -> Home {
        Home { account: self.place.account.clone(), region: self.place.region.clone() }
    }
}

impl Tasks {
    pub(crate) async fn export(&self, task: &Task) -> Result<Done, Error> {
        let place: TransferKey = task.payload()?;
        let found = self.store.read(|tx| place.load(tx)).await?;
        let Some(export) = found.filter(|export| export.state == State::InProgress) else { return Ok(Done::Finished) };
        let (state, items, bytes) = match self.written(&export).await {
            Ok((items, bytes)) => (State::Completed, items, bytes),
            Err(Failure::Final { code, message }) => (State::Failed { code, message }, 0, 0),
            Err(Failure::Again(error)) => return Err(error),
        };
        let ended = self.router.now().as_millisecond();
        self.store
            .write(move |tx| {
                let (state, export) = (state.clone(), export.clone());
                end(tx, &Export { state, items, bytes, ended_ms: Some(ended), ..export })
            })
            .await?;
        Ok(Done::Finished)
    }

    /// All files; how many items and bytes they have.
    async fn written(&self, export: &Export) -> Result<(u64, u64), Failure> {
        let platform = Cx::platform(&self.router, &export.place.account, &export.place.region);
        let cx = platform.as_principal(export.caller.clone());
        // Says whether the bucket takes what follows.
        put(&cx, export, format!("{}_started", export.folder()), Vec::new(), None).await?;
        match &export.window {
            Some(window) => self.gathered(export, window).await?,
            None => self.taken_back(export).await?,
        }
        let (files, items, bytes) = self.data(&cx, export).await?;
        let mut lines = Vec::new();
        for file in &files {
            let line = json!({
                "itemCount": file.items, "md5Checksum": file.md5, "etag": file.etag, "dataFileS3Key": file.key,
            });
            serde_json::to_writer(&mut lines, &line).map_err(Error::internal)?;
            lines.push(b'\n');
        }
        let list = format!("{}manifest-files.json", export.folder());
        put_with_checksum(&cx, export, &list, lines).await?;
        let summary = export.summary(self.router.now().as_millisecond(), &list, (items, bytes))?;
        put_with_checksum(&cx, export, &export.manifest(), summary.to_string().into_bytes()).await?;
        Ok((items, bytes))
    }

    /// Takes back what was changed after the export's moment.
    async fn taken_back(&self, export: &Export) -> Result<(), Failure> {
        let mut undo = export.undo.clone();
        while !undo.done {
            let (from, export) = (undo.clone(), export.clone());
            let step = move |tx: &mut Tx<'_>| {
                // With its table goes the log of its changes.
                if export.home().find(tx, &export.place.table)?.is_none_or(|table| table.id != export.table_id) {
                    return Ok(None);
                }
                let mut next = from.clone();
                take_back(tx, &mut next, &export.place.id, BATCH)?;
                Ok::<_, Error>(Some(next))
            };
            let Some(next) = self.store.write(step).await? else {
                return Err(Failure::of("TableNotFound", "The table was deleted while it was exported"));
            };
            undo = next;
        }
        Ok(())
    }

    async fn data(&self, cx: &Cx, export: &Export) -> Result<(Vec<Written>, u64, u64), Failure> {
        let table = self.store.read(|tx| export.home().find(tx, &export.place.table)).await?;
        let prefix = copies(&export.place.id);
        let mut after = prefix.as_bytes().to_vec();
        let (mut files, mut items, mut bytes) = (Vec::new(), 0, 0);
        let mut file = File::default();
        loop {
            let (prefix, from) = (prefix.clone(), after.clone());
            let records = self.store.read(move |tx| Ok::<_, Error>(tx.scan_after(&prefix, &from, BATCH)?)).await?;
            for (place, record) in &records {
                let Some((line, size)) = line(export, table.as_deref(), (place, record))? else { continue };
                items += 1;
                bytes += size as u64;
                file.take(&line)?;
            }
            let last = records.len() < BATCH;
            if let Some((place, _)) = records.last() {
                after.clone_from(place);
            }
            // A table without items has a file without lines.
            if file.bytes >= FILE_BYTES || (last && (file.items > 0 || files.is_empty())) {
                files.push(std::mem::take(&mut file).put(cx, export, files.len()).await?);
            }
            if last {
                return Ok((files, items, bytes));
            }
        }
    }
}

/// The line of a record among the export's copies, with the bytes of the items in it.
fn line(
    export: &Export,
    table: Option<&Table>,
    (place, record): (&[u8], &[u8]),
) -> Result<Option<(Value, usize)>, Failure> {
    let Some(window) = &export.window else {
        let item: Option<Item> = store::kv::decode(place, record).map_err(Error::from)?;
        return Ok(item.map(|item| (json!({ "Item": item }), item_size(&item))));
    };
    let changed: Changed = store::kv::decode(place, record).map_err(Error::from)?;
    let gone = || Failure::of("TableNotFound", "The table was deleted while it was exported");
    let table = table.filter(|table| table.id == export.table_id).ok_or_else(gone)?;
    Ok(changed.line(table, window))
}

/// A data file that is being made.
struct File {
    packed: GzEncoder<Vec<u8>>,
    items: u64,
    bytes: usize,
}

impl Default for File {
    fn default() -> Self {
        Self { packed: GzEncoder::new(Vec::new(), Compression::default()), items: 0, bytes: 0 }
    }
}

impl File {
    fn take(&mut self, line: &Value) -> Result<(), Error> {
        let mut line = serde_json::to_vec(line).map_err(Error::internal)?;
        line.push(b'\n');
        self.items += 1;
        self.bytes += line.len();
        self.packed.write_all(&line).map_err(Error::internal)
    }

    async fn put(self, cx: &Cx, export: &Export, number: usize) -> Result<Written, Failure> {
        let packed = self.packed.finish().map_err(Error::internal)?;
        let (key, md5) = (export.file(number), STANDARD.encode(Md5::digest(&packed)));
        let etag = put(cx, export, key.clone(), packed, Some("application/gzip")).await?;
        Ok(Written { key, etag, md5, items: self.items })
    }
}

async fn put_with_checksum(cx: &Cx, export: &Export, key: &str, content: Vec<u8>) -> Result<(), Failure> {
    let checksum = STANDARD.encode(Md5::digest(&content));
    put(cx, export, key.to_owned(), content, Some("application/json")).await?;
    let beside = key.replace(".json", ".checksum");
    put(cx, export, beside, checksum.into_bytes(), None).await.map(drop)
}

/// Puts one object of the export; its ETag.
async fn put(cx: &Cx, export: &Export, key: String, content: Vec<u8>, kind: Option<&str>) -> Result<String, Failure> {
    let target = &export.target;
    let request = PutObjectRequest {
        bucket: target.bucket.clone(),
        key,
        body: Some(Blob(content.into())),
        content_type: kind.map(str::to_owned),
        expected_bucket_owner: target.owner.clone(),
        server_side_encryption: target.algorithm.as_deref().map(|name| match name {
            "KMS" => "aws:kms".to_owned(),
            other => other.to_owned(),
        }),
        ssekms_key_id: target.key.clone(),
        ..PutObjectRequest::default()
    };
    let output = cx.call::<PutObject>(request).await.map_err(Failure::of_s3)?;
    Ok(output.e_tag.unwrap_or_default().trim_matches('"').to_owned())
}

/// Ends an export: its table goes on without the snapshot, whose items are cleared.
pub(crate) fn end(tx: &mut Tx<'_>, export: &Export) -> Result<(), Error> {
    let id = export.place.id.clone();
    let table = export.home().find(tx, &export.place.table)?.filter(|table| table.id == export.table_id);
    if let Some(mut table) = table.map(Arc::unwrap_or_clone) {
        backups::end(&mut table, &id);
        Table::save(&table, tx)?;
    }
    export.save(tx)?;
    Ok(tx.enqueue(NewTask::new(CLEAR_COPIES, format!("{CLEAR_COPIES}/{id}")).payload(&id)?)?)
}
