//! The bytes of an object that is imported, a piece at a time and unpacked.

use api_s3::{GetObject, GetObjectRequest};
use framing::{Packing, Unpack};
use service::Cx;

use super::Failure;

/// Bytes that are asked for at once.
const PIECE: u64 = 4 << 20;

/// An object that is being read. All its pieces are of the same state of it.
pub(super) struct Object<'a> {
    cx: &'a Cx,
    bucket: &'a str,
    owner: Option<&'a str>,
    key: &'a str,
    at: u64,
    etag: Option<String>,
    ended: bool,
    unpack: Unpack,
}

impl<'a> Object<'a> {
    pub(super) fn new(
        cx: &'a Cx,
        (bucket, owner): (&'a str, Option<&'a str>),
        key: &'a str,
        compression: &str,
    ) -> Result<Self, Failure> {
        let packing = match compression {
            "GZIP" => Packing::Gzip,
            "ZSTD" => Packing::Zstd,
            _ => Packing::Plain,
        };
        let unpack = Unpack::new(packing).map_err(|error| broken(key, &error))?;
        Ok(Self { cx, bucket, owner, key, at: 0, etag: None, ended: false, unpack })
    }

    /// How many bytes of the object were read.
    pub(super) fn read(&self) -> u64 {
        self.at
    }

    /// The next piece, never an empty one; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(piece) = self.unpack.take().map_err(|error| broken(self.key, &error))? {
                return Ok(Some(piece));
            }
            if self.ended {
                // Of an empty object nothing was compressed.
                let rest = if self.at > 0 { self.unpack.finish() } else { Ok(Vec::new()) };
                return Ok(Some(rest.map_err(|error| broken(self.key, &error))?).filter(|rest| !rest.is_empty()));
            }
            self.fetch().await?;
        }
    }

    /// Reads the next bytes of the object.
    async fn fetch(&mut self) -> Result<(), Failure> {
        let request = GetObjectRequest {
            bucket: self.bucket.to_owned(),
            key: self.key.to_owned(),
            expected_bucket_owner: self.owner.map(str::to_owned),
            range: Some(format!("bytes={}-{}", self.at, self.at + PIECE - 1)),
            if_match: self.etag.clone(),
            ..GetObjectRequest::default()
        };
        let output = match self.cx.call::<GetObject>(request).await {
            Ok(output) => output,
            // An empty object has no range.
            Err(error) if error.is("InvalidRange") => {
                self.ended = true;
                return Ok(());
            }
            Err(error) => return Err(Failure::of_s3(error)),
        };
        self.etag = output.e_tag;
        let bytes = output.body.map(|body| body.as_bytes().to_vec()).unwrap_or_default();
        self.at += bytes.len() as u64;
        let total = output.content_range.as_deref().and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
        self.ended = bytes.is_empty() || total.is_none_or(|total| self.at >= total);
        self.unpack.give(bytes);
        Ok(())
    }
}

fn broken(key: &str, error: &std::io::Error) -> Failure {
    Failure::of("InvalidCompression", format!("The object {key} could not be decompressed: {error}"))
}
