//! Where items come from: the state's own input, a listing, objects.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use api_s3::{ListObjectsV2, ListObjectsV2Request};
use asl::{
    InputType, Item, ManifestType, MapRun, ObjectPlace, Place, Reader, ReaderConfig, ReaderSource, ReaderTransformation,
};
use serde_json::{Value, json};
use service::Cx;

use super::decode::{Decoder, parquet};
use super::manifest;
use super::object::{Address, ObjectBytes, Pauses, describe, patiently};

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
    /// The object that is being read, and how many items of it were handed out or passed over.
    object: Arc<ObjectPlace>,
    item: u64,
    /// Items of it that are in children already.
    passed: u64,
    /// Of the manifest that names the objects.
    manifest_etag: Option<String>,
}

/// Objects still to be read.
struct Left {
    /// The one that reading broke off in, which comes first.
    begun: Option<(Address, Place)>,
    rest: Rest,
    /// How many objects have been begun.
    number: u64,
}

enum Rest {
    These(VecDeque<Address>),
    Listed(Box<Listing>),
}

enum Reading {
    Bytes(Box<(ObjectBytes, Decoder)>),
    Rows(parquet::Rows),
}

impl Source {
    /// The source of a run, after the items that are in children already.
    pub(super) async fn open(cx: Cx, run: &MapRun) -> Result<Self, String> {
        let place = run.progress.place.as_ref();
        let (feed, most) = match &run.reader {
            None => (Feed::State, 0),
            Some(reader) => (feed(cx, reader, place).await?, reader.max_items),
        };
        let most = u64::try_from(most).ok().filter(|most| *most > 0).unwrap_or(u64::MAX);
        let mut source = Self { feed, at: 0, most };
        if place.is_some() || matches!(source.feed, Feed::State) {
            source.at = run.progress.items_taken;
        }
        // Records of the time before places were kept have none: the items that were taken are counted off.
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

/// What a reader reads: all of it, or what stands behind that place.
async fn feed(cx: Cx, reader: &Reader, behind: Option<&Place>) -> Result<Feed, String> {
    let config = &reader.config;
    let manifest_etag = behind.and_then(|place| place.object.manifest_etag.clone());
    if reader.source == ReaderSource::ListObjectsV2 {
        let listing = Box::new(Listing::new(cx.clone(), &reader.parameters, behind)?);
        if config.transformation != Some(ReaderTransformation::LoadAndFlatten) {
            return Ok(Feed::Listing(listing));
        }
        let kind = config.input_type.ok_or("InputType is required to load and flatten objects")?;
        let left = Left::listed(listing, behind);
        return Ok(Objects::feed(cx, config.clone(), kind, left, None));
    }
    let address = Address::of_parameters(&reader.parameters)?;
    let inventory = config.manifest_type == Some(ManifestType::S3Inventory)
        || config.input_type == Some(InputType::Manifest) && config.manifest_type != Some(ManifestType::AthenaData);
    if inventory {
        let found = manifest::inventory(&cx, address, manifest_etag).await?;
        let config = ReaderConfig {
            csv_header_location: Some(asl::CsvHeaderLocation::Given),
            csv_headers: Some(found.columns),
            ..ReaderConfig::default()
        };
        return Ok(Objects::feed(cx, config, found.kind, Left::these(found.files, behind), found.etag));
    }
    let kind = config.input_type.filter(|kind| *kind != InputType::Manifest);
    if config.manifest_type == Some(ManifestType::AthenaData) {
        let (files, etag) = manifest::athena(&cx, address, manifest_etag).await?;
        let kind = kind.unwrap_or(InputType::Csv);
        return Ok(Objects::feed(cx, config.clone(), kind, Left::these(files, behind), etag));
    }
    let kind = kind.ok_or("InputType is required")?;
    Ok(Objects::feed(cx, config.clone(), kind, Left::these([address].into(), behind), None))
}

impl Listing {
    fn new(cx: Cx, parameters: &Value, behind: Option<&Place>) -> Result<Self, String> {
        let text = |name: &str| parameters[name].as_str().map(str::to_owned);
        let bucket = text("Bucket").ok_or("The ItemReader's Bucket must be a string")?;
        let source = format!("S3://{bucket}");
        let request = ListObjectsV2Request {
            bucket,
            prefix: text("Prefix"),
            delimiter: text("Delimiter"),
            start_after: behind.map(|place| place.object.key.clone()).or_else(|| text("StartAfter")),
            expected_bucket_owner: text("ExpectedBucketOwner"),
            ..ListObjectsV2Request::default()
        };
        Ok(Self { cx, request, source, found: VecDeque::new(), ended: false })
    }

    async fn read(&mut self, queue: &mut VecDeque<Item>, wanted: usize) -> Result<bool, String> {
        let mut taken = 0;
        while taken < wanted {
            let Some(value) = self.next().await? else { return Ok(true) };
            let key = value["Key"].as_str().unwrap_or_default().to_owned();
            let object = Arc::new(ObjectPlace { key, ..ObjectPlace::default() });
            let place = Some(Place { object, item: 1, ends_object: true });
            queue.push_back(Item { value, source: self.source.clone(), place, ..Item::default() });
            taken += 1;
        }
        Ok(self.ended && self.found.is_empty())
    }

    async fn next(&mut self) -> Result<Option<Value>, String> {
        while self.found.is_empty() && !self.ended {
            let page = patiently(&self.cx, || self.cx.call::<ListObjectsV2>(self.request.clone())).await;
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
    fn feed(cx: Cx, config: ReaderConfig, kind: InputType, left: Left, manifest_etag: Option<String>) -> Feed {
        Feed::Objects(Box::new(Self {
            cx,
            config,
            kind,
            left,
            reading: None,
            found: VecDeque::new(),
            source: String::new(),
            object: Arc::default(),
            item: 0,
            passed: 0,
            manifest_etag,
        }))
    }

    async fn read(&mut self, queue: &mut VecDeque<Item>, wanted: usize) -> Result<bool, String> {
        let mut taken = 0;
        while taken < wanted {
            // The last item at hand is held back until it is known whether the object ends with it.
            if self.found.len() < 2 && self.reading.is_some() {
                self.more().await?;
                continue;
            }
            let Some(value) = self.found.pop_front() else {
                if self.begin().await? {
                    continue;
                }
                return Ok(true);
            };
            self.item += 1;
            if self.item > self.passed {
                let ends_object = self.found.is_empty();
                let place = Some(Place { object: Arc::clone(&self.object), item: self.item, ends_object });
                queue.push_back(Item { value, source: self.source.clone(), place, ..Item::default() });
                taken += 1;
            }
        }
        Ok(false)
    }

    /// Begins to read the next object. False when there is none.
    async fn begin(&mut self) -> Result<bool, String> {
        let Some((address, begun)) = self.left.next().await? else { return Ok(false) };
        let (etag, passed) = begun.map_or((None, 0), |place| (place.object.etag.clone(), place.item));
        self.source = address.source();
        (self.item, self.passed) = (0, passed);
        let (key, number) = (address.key.clone(), self.left.number - 1);
        let mut object = ObjectPlace { key, number, etag: None, manifest_etag: self.manifest_etag.clone() };
        self.reading = Some(match self.kind {
            InputType::Parquet => {
                let (file, etag) = file(&self.cx, &address, etag).await?;
                object.etag = etag;
                Reading::Rows(parquet::Rows::of(file))
            }
            kind => {
                let bytes = ObjectBytes::in_state(&self.cx, address, etag)?;
                Reading::Bytes(Box::new((bytes, Decoder::new(kind, &self.config)?)))
            }
        });
        self.object = Arc::new(object);
        Ok(true)
    }

    /// Reads on in the object.
    async fn more(&mut self) -> Result<(), String> {
        match &mut self.reading {
            None => {}
            Some(Reading::Bytes(stream)) => {
                let (bytes, decoder) = stream.as_mut();
                let piece = bytes.next().await?;
                if self.object.etag.as_ref() != bytes.etag() {
                    self.object = Arc::new(ObjectPlace { etag: bytes.etag().cloned(), ..(*self.object).clone() });
                }
                if let Some(piece) = piece {
                    decoder.feed(&piece, &mut self.found)?;
                } else {
                    decoder.finish(&mut self.found)?;
                    self.reading = None;
                }
            }
            Some(Reading::Rows(rows)) => match rows.next().await? {
                Some(row) => self.found.push_back(row),
                None => self.reading = None,
            },
        }
        Ok(())
    }
}

/// An object as a file without a name, and its state. Where the disk has no room for it, some may come.
async fn file(cx: &Cx, address: &Address, etag: Option<String>) -> Result<(File, Option<String>), String> {
    let mut pauses = Pauses::default();
    loop {
        let mut bytes = ObjectBytes::in_state(cx, address.clone(), etag.clone())?;
        match (bytes.copied().await?, pauses.next()) {
            (Ok(file), _) => return Ok((file, bytes.etag().cloned())),
            (Err(error), Some(pause)) => {
                tracing::warn!(%error, "a map run waits for room for an object");
                cx.router().clock().sleep(pause).await;
            }
            (Err(error), None) => {
                return Err(format!("An object cannot be kept in a temporary file: {error}"));
            }
        }
    }
}

impl Left {
    /// The objects of a manifest, which names the same ones whenever it is read.
    fn these(mut addresses: VecDeque<Address>, behind: Option<&Place>) -> Self {
        let Some(place) = behind else { return Self { begun: None, rest: Rest::These(addresses), number: 0 } };
        let number = usize::try_from(place.object.number).unwrap_or(usize::MAX).min(addresses.len());
        addresses.drain(..number);
        let begun = addresses.pop_front().filter(|_| !place.ends_object).map(|address| (address, place.clone()));
        let number = place.object.number + u64::from(begun.is_none());
        Self { begun, rest: Rest::These(addresses), number }
    }

    /// Those of a listing that begins behind the place.
    fn listed(listing: Box<Listing>, behind: Option<&Place>) -> Self {
        let begun = behind
            .filter(|place| !place.ends_object)
            .map(|place| (Address::new(listing.request.bucket.clone(), place.object.key.clone()), place.clone()));
        Self { begun, rest: Rest::Listed(listing), number: 0 }
    }

    /// The next object; with the place in it behind which it is to be read, where there is one.
    async fn next(&mut self) -> Result<Option<(Address, Option<Place>)>, String> {
        let next = match (self.begun.take(), &mut self.rest) {
            (Some((address, place)), _) => Some((address, Some(place))),
            (None, Rest::These(addresses)) => addresses.pop_front().map(|address| (address, None)),
            (None, Rest::Listed(listing)) => loop {
                let Some(object) = listing.next().await? else { break None };
                // Folders have no items.
                let key = object["Key"].as_str().filter(|key| !key.ends_with('/'));
                if let Some(key) = key {
                    break Some((Address::new(listing.request.bucket.clone(), key), None));
                }
            },
        };
        self.number += u64::from(next.is_some());
        Ok(next)
    }
}
