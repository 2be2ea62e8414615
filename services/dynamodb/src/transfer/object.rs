//! The bytes of an object that is imported, a piece at a time and unpacked.

use std::io::Write as _;

use api_s3::{GetObject, GetObjectRequest};
use flate2::write::MultiGzDecoder;
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

enum Unpack {
    No,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

impl<'a> Object<'a> {
    pub(super) fn new(
        cx: &'a Cx,
        (bucket, owner): (&'a str, Option<&'a str>),
        key: &'a str,
        compression: &str,
    ) -> Result<Self, Failure> {
        let unpack = match compression {
            "GZIP" => Unpack::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            "ZSTD" => {
                let decoder = zstd::stream::write::Decoder::new(Vec::new()).map_err(|error| broken(key, &error))?;
                Unpack::Zstd(Box::new(decoder))
            }
            _ => Unpack::No,
        };
        Ok(Self { cx, bucket, owner, key, at: 0, etag: None, ended: false, unpack })
    }

    /// How many bytes of the object were read.
    pub(super) fn read(&self) -> u64 {
        self.at
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.ended {
            return self.rest();
        }
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
                return self.rest();
            }
            Err(error) => return Err(Failure::of_s3(error)),
        };
        self.etag = output.e_tag;
        let bytes = output.body.map(|body| body.as_bytes().to_vec()).unwrap_or_default();
        self.at += bytes.len() as u64;
        let total = output.content_range.as_deref().and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
        self.ended = bytes.is_empty() || total.is_none_or(|total| self.at >= total);
        let failed = |error: std::io::Error| broken(self.key, &error);
        Ok(Some(match &mut self.unpack {
            Unpack::No => bytes,
            Unpack::Gzip(decoder) => {
                decoder.write_all(&bytes).map_err(failed)?;
                std::mem::take(decoder.get_mut())
            }
            Unpack::Zstd(decoder) => {
                decoder.write_all(&bytes).map_err(failed)?;
                std::mem::take(decoder.get_mut())
            }
        }))
    }

    /// What the decoder still has; nothing the second time.
    fn rest(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let failed = |error: std::io::Error| broken(self.key, &error);
        let rest = match std::mem::replace(&mut self.unpack, Unpack::No) {
            Unpack::No => return Ok(None),
            Unpack::Gzip(mut decoder) => {
                if self.at > 0 {
                    decoder.try_finish().map_err(failed)?;
                }
                std::mem::take(decoder.get_mut())
            }
            Unpack::Zstd(mut decoder) => {
                decoder.flush().map_err(failed)?;
                std::mem::take(decoder.get_mut())
            }
        };
        Ok(Some(rest))
    }
}

fn broken(key: &str, error: &std::io::Error) -> Failure {
    Failure::of("InvalidCompression", format!("The object {key} could not be decompressed: {error}"))
}
