//! Where items come from: the state's own input, a listing, objects.

use std::collections::VecDeque;

use api_s3::{ListObjectsV2, ListObjectsV2Request};
use asl::{InputType, Item, ManifestType, MapRun, Reader, ReaderConfig, ReaderSource, ReaderTransformation};
use serde_json::{Value, json};
use service::Cx;
use tokio::sync::mpsc;

use super::decode::{Decoder, parquet};
use super::manifest;
use super::object::{Address, ObjectBytes, describe};

/// Items, one after the other.
pub(super) struct Source {
    feed: Feed,
    /// Items handed out or passed over.
    at: u64,
    /// Not more than this many.
    most: u64,
}

enum Feed {
    /// The array or object that the state was given.
    State,
    Listing(Box<Listing>),
    Objects(Box<Objects>),
}

/// The objects under a prefix.
struct Listing {
    cx: Cx,
    request: ListObjectsV2Request,
    source: String,
    found: VecDeque<Value>,
    ended: bool,
}

/// The items in objects.
struct Objects {
    cx: Cx,
    config: ReaderConfig,
    kind: InputType,
    left: Left,
    reading: Option<Reading>,
    found: VecDeque<Value>,
    /// Of what is in `found`.
    source: String,
}

/// Objects still to be read.
enum Left {
    These(VecDeque<Address>),
    Listed(Box<Listing>),
}

enum Reading {
    Bytes(Box<(ObjectBytes, Decoder)>),
    Rows(mpsc::Receiver<Result<Value, String>>),
}

impl Source {
    /// The source of a run, after the items that are in children already.
    pub(super) async fn open(cx: Cx, run: &MapRun) -> Result<Self, String> {
        let (feed, most) = match &run.reader {
            None => (Feed::State, 0),
            Some(reader) => (feed(cx, reader).await?, reader.max_items),
        };
        let most = u64::try_from(most).ok().filter(|most| *most > 0).unwrap_or(u64::MAX);
        let mut source = Self { feed, at: 0, most };
        if matches!(source.feed, Feed::State) {
            source.at = run.progress.items_taken;
        }
        let mut passed = VecDeque::new();
        while source.at < run.progress.items_taken {
            let left = usize::try_from(run.progress.items_taken - source.at).unwrap_or(usize::MAX);
            let last = source.read(run, &mut passed, left.min(1000)).await?;
            passed.clear();
            if last {
                break;
            }
        }
        Ok(source)
    }

    /// Appends up to `wanted` items. True when there are no more.
    pub(super) async fn read(
        &mut self,
        run: &MapRun,
        queue: &mut VecDeque<Item>,
        wanted: usize,
    ) -> Result<bool, String> {
        let allowed = usize::try_from(self.most - self.at).unwrap_or(usize::MAX);
        let wanted = wanted.min(allowed);
        let before = queue.len();
        let ended = match &mut self.feed {
            Feed::State => {
                let found = run.state_items(usize::try_from(self.at).unwrap_or(usize::MAX), wanted);
                let ended = found.len() < wanted;
                queue.extend(found);
                ended
            }
            Feed::Listing(listing) => listing.read(queue, wanted).await?,
            Feed::Objects(objects) => objects.read(queue, wanted).await?,
        };
        self.at += (queue.len() - before) as u64;
        Ok(ended || self.at >= self.most)
    }
}

async fn feed(cx: Cx, reader: &Reader) -> Result<Feed, String> {
    let config = &reader.config;
    if reader.source == ReaderSource::ListObjectsV2 {
        let listing = Box::new(Listing::new(cx.clone(), &reader.parameters)?);
        if config.transformation != Some(ReaderTransformation::LoadAndFlatten) {
            return Ok(Feed::Listing(listing));
        }
        let kind = config.input_type.ok_or("InputType is required to load and flatten objects")?;
        return Ok(Objects::feed(cx, config.clone(), kind, Left::Listed(listing)));
    }
    let address = Address::of_parameters(&reader.parameters)?;
    let inventory = config.manifest_type == Some(ManifestType::S3Inventory)
        || config.input_type == Some(InputType::Manifest) && config.manifest_type != Some(ManifestType::AthenaData);
    if inventory {
        let found = manifest::inventory(&cx, address).await?;
        let config = ReaderConfig {
            csv_header_location: Some(asl::CsvHeaderLocation::Given),
            csv_headers: Some(found.columns),
            ..ReaderConfig::default()
        };
        return Ok(Objects::feed(cx, config, found.kind, Left::These(found.files)));
    }
    let kind = config.input_type.filter(|kind| *kind != InputType::Manifest);
    if config.manifest_type == Some(ManifestType::AthenaData) {
        let files = manifest::athena(&cx, address).await?;
        return Ok(Objects::feed(cx, config.clone(), kind.unwrap_or(InputType::Csv), Left::These(files)));
    }
    let kind = kind.ok_or("InputType is required")?;
    Ok(Objects::feed(cx, config.clone(), kind, Left::These([address].into())))
}

impl Listing {
    fn new(cx: Cx, parameters: &Value) -> Result<Self, String> {
        let text = |name: &str| parameters[name].as_str().map(str::to_owned);
        let bucket = text("Bucket").ok_or("The ItemReader's Bucket must be a string")?;
        let source = format!("S3://{bucket}");
        let request = ListObjectsV2Request {
            bucket,
            prefix: text("Prefix"),
            delimiter: text("Delimiter"),
            start_after: text("StartAfter"),
            expected_bucket_owner: text("ExpectedBucketOwner"),
            ..ListObjectsV2Request::default()
        };
        Ok(Self { cx, request, source, found: VecDeque::new(), ended: false })
    }

    async fn read(&mut self, queue: &mut VecDeque<Item>, wanted: usize) -> Result<bool, String> {
        let mut taken = 0;
        while taken < wanted {
            let Some(value) = self.next().await? else { return Ok(true) };
            queue.push_back(Item { value, source: self.source.clone(), ..Item::default() });
            taken += 1;
        }
        Ok(self.ended && self.found.is_empty())
    }

    async fn next(&mut self) -> Result<Option<Value>, String> {
        while self.found.is_empty() && !self.ended {
            let page = self.cx.call::<ListObjectsV2>(self.request.clone()).await;
            let page = page.map_err(|error| describe(&error, self.cx.request_id()))?;
            self.found.extend(page.contents.unwrap_or_default().into_iter().map(|object| {
                json!({
                    "Etag": object.e_tag,
                    "Key": object.key,
                    "LastModified": object.last_modified.map(|at| at.as_millis() / 1000),
                    "Size": object.size,
                    "StorageClass": object.storage_class.unwrap_or_else(|| "STANDARD".to_owned()),
                })
            }));
            self.request.continuation_token = page.next_continuation_token;
            self.ended = self.request.continuation_token.is_none();
        }
        Ok(self.found.pop_front())
    }
}

impl Objects {
    fn feed(cx: Cx, config: ReaderConfig, kind: InputType, left: Left) -> Feed {
        let (found, source) = (VecDeque::new(), String::new());
        Feed::Objects(Box::new(Self { cx, config, kind, left, reading: None, found, source }))
    }

    async fn read(&mut self, queue: &mut VecDeque<Item>, wanted: usize) -> Result<bool, String> {
        let mut taken = 0;
        while taken < wanted {
            if let Some(value) = self.found.pop_front() {
                queue.push_back(Item { value, source: self.source.clone(), ..Item::default() });
                taken += 1;
            } else if !self.more().await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads on. False when there is nothing more to read.
    async fn more(&mut self) -> Result<bool, String> {
        let Some(reading) = &mut self.reading else {
            let Some(address) = self.left.next().await? else { return Ok(false) };
            self.source = address.source();
            let bytes = ObjectBytes::new(&self.cx, address)?;
            self.reading = Some(match self.kind {
                InputType::Parquet => Reading::Rows(parquet::rows(bytes.file().await?)),
                kind => Reading::Bytes(Box::new((bytes, Decoder::new(kind, &self.config)?))),
            });
            return Ok(true);
        };
        match reading {
            Reading::Bytes(stream) => {
                let (bytes, decoder) = stream.as_mut();
                if let Some(piece) = bytes.next().await? {
                    decoder.feed(&piece, &mut self.found)?;
                } else {
                    decoder.finish(&mut self.found)?;
                    self.reading = None;
                }
            }
            Reading::Rows(rows) => match rows.recv().await {
                Some(row) => self.found.push_back(row?),
                None => self.reading = None,
            },
        }
        Ok(true)
    }
}

impl Left {
    async fn next(&mut self) -> Result<Option<Address>, String> {
        match self {
            Self::These(addresses) => Ok(addresses.pop_front()),
            Self::Listed(listing) => loop {
                let Some(object) = listing.next().await? else { return Ok(None) };
                // Folders have no items.
                let key = object["Key"].as_str().filter(|key| !key.ends_with('/'));
                if let Some(key) = key {
                    return Ok(Some(Address::new(listing.request.bucket.clone(), key)));
                }
            },
        }
    }
}
