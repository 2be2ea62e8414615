//! An object's bytes, a piece at a time, unpacked when its name says that it is compressed.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;

use api_s3::{GetObject, GetObjectRequest};
use framing::{Packing, Unpack};
use serde_json::Value;
use service::Cx;
use wire::Error;

use crate::integrations::passes;

/// Bytes that are asked for at once.
const PIECE: u64 = 4 * 1024 * 1024;
/// Objects that have to be whole in memory (manifests) may be this large.
const MAX_WHOLE_BYTES: usize = 256 * 1024 * 1024;

/// What S3 refuses in a bad moment is asked for so often, at first after so long and then after twice as long each time, but no more
/// than the longest pause: about two minutes in all.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// An object's address.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Address {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version_id: Option<String>,
    pub(super) owner: Option<String>,
}

/// An object that is being read. All its pieces are of the same state of it.
pub(super) struct ObjectBytes {
    cx: Cx,
    address: Address,
    at: u64,
    etag: Option<String>,
    ended: bool,
    unpack: Unpack,
}

impl Address {
    pub(super) fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into(), version_id: None, owner: None }
    }

    /// `Bucket` and `Key` of parameters.
    pub(super) fn of_parameters(parameters: &Value) -> Result<Self, String> {
        let text = |name: &str| parameters[name].as_str().map(str::to_owned);
        let needed = |name: &str| text(name).ok_or_else(|| format!("The ItemReader's {name} must be a string"));
        Ok(Self {
            bucket: needed("Bucket")?,
            key: needed("Key")?,
            version_id: text("VersionId"),
            owner: text("ExpectedBucketOwner"),
        })
    }

    /// `s3://bucket/key`.
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("s3://").or_else(|| uri.strip_prefix("S3://"))?;
        let (bucket, key) = rest.split_once('/')?;
        Some(Self::new(bucket, key))
    }

    /// As the context object shows where an item is from.
    pub(super) fn source(&self) -> String {
        format!("S3://{}/{}", self.bucket, self.key)
    }
}

impl ObjectBytes {
    /// An object in the state of that ETag, where one is given: reading it fails when it has another one.
    pub(super) fn in_state(cx: &Cx, address: Address, etag: Option<String>) -> Result<Self, String> {
        let packing = match address.key.rsplit_once('.') {
            Some((_, "gz" | "gzip")) => Packing::Gzip,
            Some((_, "zst" | "zstd")) => Packing::Zstd,
            _ => Packing::Plain,
        };
        let unpack = Unpack::new(packing).map_err(|error| format!("{}: {error}", address.source()))?;
        Ok(Self { cx: cx.clone(), address, at: 0, etag, ended: false, unpack })
    }

    /// The state that it is read in, once something has been read.
    pub(super) fn etag(&self) -> Option<&String> {
        self.etag.as_ref()
    }

    /// The next piece, never an empty one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            if let Some(piece) = self.unpack.take().map_err(|error| self.broken(&error))? {
                return Ok(Some(piece));
            }
            if self.ended {
                let rest = self.unpack.finish().map_err(|error| self.broken(&error))?;
                return Ok(Some(rest).filter(|rest| !rest.is_empty()));
            }
            self.fetch().await?;
        }
    }

    fn broken(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.address.source())
    }

    /// Reads the next bytes of the object.
    async fn fetch(&mut self) -> Result<(), String> {
        let request = GetObjectRequest {
            bucket: self.address.bucket.clone(),
            key: self.address.key.clone(),
            version_id: self.address.version_id.clone(),
            expected_bucket_owner: self.address.owner.clone(),
            range: Some(format!("bytes={}-{}", self.at, self.at + PIECE - 1)),
            if_match: self.etag.clone(),
            ..GetObjectRequest::default()
        };
        let output = match patiently(&self.cx, || self.cx.call::<GetObject>(request.clone())).await {
            Ok(output) => output,
            // An empty object has no range.
            Err(error) if error.is("InvalidRange") => {
                self.ended = true;
                return Ok(());
            }
            Err(error) if error.is("PreconditionFailed") => {
                let why = describe(&error, self.cx.request_id());
                return Err(format!("{} has changed since the Map Run began to read it: {why}", self.address.source()));
            }
            Err(error) => return Err(describe(&error, self.cx.request_id())),
        };
        self.etag = output.e_tag;
        let bytes = output.body.map(|body| body.as_bytes().to_vec()).unwrap_or_default();
        self.at += bytes.len() as u64;
        let total = output.content_range.as_deref().and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
        self.ended = bytes.is_empty() || total.is_none_or(|total| self.at >= total);
        self.unpack.give(bytes);
        Ok(())
    }

    /// All of it in a file without a name.
    pub(super) async fn copied(&mut self) -> Result<io::Result<File>, String> {
        let mut file = match tempfile::tempfile() {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        while let Some(piece) = self.next().await? {
            if let Err(error) = file.write_all(&piece) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(file))
    }

    /// All of it with its state, for what is small.
    pub(super) async fn whole(mut self) -> Result<(Vec<u8>, Option<String>), String> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
            if all.len() > MAX_WHOLE_BYTES {
                return Err(format!("{} is larger than {MAX_WHOLE_BYTES} bytes", self.address.source()));
            }
        }
        Ok((all, self.etag))
    }
}

/// Asks once more for what a service refuses in a bad moment.
pub(super) async fn patiently<T, F>(cx: &Cx, mut ask: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = Pauses::default();
    loop {
        match ask().await {
            Err(error) if passes(&error) => match pauses.next() {
                Some(pause) => {
                    tracing::warn!(%error, "a map run waits for S3");
                    cx.router().clock().sleep(pause).await;
                }
                None => return Err(error),
            },
            answer => return answer,
        }
    }
}

/// How long to wait before each further try.
#[derive(Default)]
pub(super) struct Pauses(u32);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0 += 1;
        (self.0 < TRIES).then(|| (FIRST_PAUSE * (1 << (self.0 - 1))).min(LONGEST_PAUSE))
    }
}

/// S3's error, as tasks that call S3 show it.
pub(super) fn describe(error: &Error, request_id: &str) -> String {
    let (message, status) = (error.message(), error.status());
    format!(
        "{message} (Service: S3, Status Code: {status}, Request ID: {request_id}, Extended Request ID: {request_id})"
    )
}
