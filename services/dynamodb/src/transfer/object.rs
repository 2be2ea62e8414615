//! The bytes of an object that is imported, a piece at a time and unpacked.

use std::io::Write as _;

use api_s3::{GetObject, GetObjectRequest};
use flate2::write::MultiGzDecoder;
use service::Cx;
use zstd::stream::{raw, zio};

use super::Failure;

/// Bytes that are asked for at once.
const PIECE: u64 = 4 << 20;
/// And that are unpacked at once: a little can become tens of thousands of times as much.
const SLICE: usize = 1 << 10;
/// A piece of what was unpacked ends when it has so many bytes.
const UNPACKED: usize = 1 << 20;

/// An object that is being read. All its pieces are of the same state of it.
pub(super) struct Object<'a> {
    cx: &'a Cx,
    bucket: &'a str,
    owner: Option<&'a str>,
    key: &'a str,
    at: u64,
    etag: Option<String>,
    /// What was read and is not yet unpacked: from the second on.
    packed: (Vec<u8>, usize),
    ended: bool,
    unpack: Unpack,
}

enum Unpack {
    No,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<zio::Writer<Vec<u8>, raw::Decoder<'static>>>),
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
                let decoder = raw::Decoder::new().map_err(|error| broken(key, &error))?;
                Unpack::Zstd(Box::new(zio::Writer::new(Vec::new(), decoder)))
            }
            _ => Unpack::No,
        };
        Ok(Self { cx, bucket, owner, key, at: 0, etag: None, packed: (Vec::new(), 0), ended: false, unpack })
    }

    /// How many bytes of the object were read.
    pub(super) fn read(&self) -> u64 {
        self.at
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if self.packed.1 < self.packed.0.len() {
                return self.unpacked().map(Some);
            }
            if self.ended {
                return self.rest();
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
        self.packed = (bytes, 0);
        Ok(())
    }

    /// What the bytes at hand come to, or the first of it.
    fn unpacked(&mut self) -> Result<Vec<u8>, Failure> {
        let failed = |error: std::io::Error| broken(self.key, &error);
        let (packed, from) = &mut self.packed;
        let mut out = Vec::new();
        while *from < packed.len() && out.len() < UNPACKED {
            let slice = &packed[*from..(*from + SLICE).min(packed.len())];
            *from += slice.len();
            match &mut self.unpack {
                Unpack::No => {
                    *from = 0;
                    return Ok(std::mem::take(packed));
                }
                Unpack::Gzip(decoder) => {
                    decoder.write_all(slice).map_err(failed)?;
                    out.append(decoder.get_mut());
                }
                Unpack::Zstd(decoder) => {
                    decoder.write_all(slice).map_err(failed)?;
                    decoder.flush().map_err(failed)?;
                    out.append(decoder.writer_mut());
                }
            }
        }
        Ok(out)
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
                if self.at > 0 {
                    // Fails where a frame is cut off.
                    decoder.finish().map_err(failed)?;
                }
                std::mem::take(decoder.writer_mut())
            }
        };
        Ok(Some(rest))
    }
}

fn broken(key: &str, error: &std::io::Error) -> Failure {
    Failure::of("InvalidCompression", format!("The object {key} could not be decompressed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object of which these bytes were read.
    fn object<'a>(cx: &'a Cx, compression: &str, bytes: &[u8]) -> Object<'a> {
        let mut object = Object::new(cx, ("b", None), "k", compression).unwrap_or_else(|_| unreachable!("it is known"));
        (object.at, object.ended, object.packed) = (bytes.len() as u64, true, (bytes.to_vec(), 0));
        object
    }

    async fn all(mut object: Object<'_>) -> Option<Vec<Vec<u8>>> {
        let mut pieces = Vec::new();
        while let Some(piece) = object.next().await.ok()? {
            pieces.push(piece);
        }
        Some(pieces)
    }

    #[tokio::test]
    async fn what_was_packed_small_comes_in_pieces_and_what_is_cut_off_is_told() {
        let cx = Cx::new(service::Router::new(), service::Principal::Root, "000000000000", "us-east-1");
        let plain = vec![b'a'; 8 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&plain).unwrap();
        for (compression, packed) in
            [("GZIP", gzip.finish().unwrap()), ("ZSTD", zstd::encode_all(&plain[..], 19).unwrap())]
        {
            let pieces = all(object(&cx, compression, &packed)).await.unwrap();
            assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), plain.len(), "{compression}");
            let cut = &packed[..packed.len() - 1];
            assert!(all(object(&cx, compression, cut)).await.is_none(), "{compression}");
            let two = [packed.clone(), packed].concat();
            let pieces = all(object(&cx, compression, &two)).await.unwrap();
            assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), 2 * plain.len(), "{compression}");
        }
    }
}
