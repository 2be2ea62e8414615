//! Compressed bytes, unpacked a little at a time.

use std::io::{self, Write as _};

use bzip2::write::BzDecoder;
use flate2::write::MultiGzDecoder;
use zstd::stream::{raw, zio};

/// Bytes that are unpacked at once: a little can become a thousand times as much, and of bzip2 or Zstandard tens of thousands.
const SLICE: usize = 1 << 10;
/// A piece of what was unpacked ends when it has so many bytes.
const PIECE: usize = 1 << 20;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Bzip2,
    Zstd,
}

/// Bytes go in as they come, what they were before compression comes out in pieces of about a mebibyte.
pub struct Unpack {
    decoder: Decoder,
    packed: Vec<u8>,
    /// How many of `packed` are unpacked.
    at: usize,
    used: u64,
}

enum Decoder {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Bzip2(Box<BzDecoder<Vec<u8>>>),
    Zstd(Box<zio::Writer<Vec<u8>, raw::Decoder<'static>>>),
}

impl std::fmt::Debug for Unpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpack").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Unpack {
    /// # Errors
    /// When a decoder cannot be made, for want of memory.
    pub fn new(packing: Packing) -> io::Result<Self> {
        let decoder = match packing {
            Packing::Plain => Decoder::Plain,
            Packing::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Packing::Bzip2 => Decoder::Bzip2(Box::new(BzDecoder::new(Vec::new()))),
            Packing::Zstd => Decoder::Zstd(Box::new(zio::Writer::new(Vec::new(), raw::Decoder::new()?))),
        };
        Ok(Self { decoder, packed: Vec::new(), at: 0, used: 0 })
    }

    /// Takes the next bytes. Those given before must have been unpacked: [`Unpack::take`] has answered `None`.
    pub fn give(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.at == self.packed.len(), "what was given before is unpacked");
        (self.packed, self.at) = (bytes, 0);
    }

    /// How many of the bytes given are unpacked, in all.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The next piece, never an empty one; `None` where more bytes are needed for one.
    ///
    /// # Errors
    /// When the bytes are not compressed that way.
    pub fn take(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = Vec::new();
        while self.at < self.packed.len() && piece.len() < PIECE {
            let slice = match self.decoder {
                Decoder::Plain => self.packed.len(),
                _ => (self.at + SLICE).min(self.packed.len()),
            };
            let (slice, from) = (&self.packed[self.at..slice], self.at);
            self.at += slice.len();
            self.used += slice.len() as u64;
            match &mut self.decoder {
                Decoder::Plain => {
                    let mut all = std::mem::take(&mut self.packed);
                    self.at = 0;
                    return Ok(Some(all.split_off(from)));
                }
                Decoder::Gzip(decoder) => {
                    decoder.write_all(slice)?;
                    piece.append(decoder.get_mut());
                }
                Decoder::Bzip2(decoder) => {
                    decoder.write_all(slice)?;
                    piece.append(decoder.get_mut());
                }
                Decoder::Zstd(decoder) => {
                    decoder.write_all(slice)?;
                    decoder.flush()?;
                    piece.append(decoder.writer_mut());
                }
            }
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// What is left after the last bytes; nothing when asked again.
    ///
    /// # Errors
    /// When they end in the middle.
    pub fn finish(&mut self) -> io::Result<Vec<u8>> {
        Ok(match std::mem::replace(&mut self.decoder, Decoder::Plain) {
            Decoder::Plain => Vec::new(),
            Decoder::Gzip(mut decoder) => {
                decoder.try_finish()?;
                std::mem::take(decoder.get_mut())
            }
            Decoder::Bzip2(mut decoder) => {
                decoder.try_finish()?;
                std::mem::take(decoder.get_mut())
            }
            Decoder::Zstd(mut decoder) => {
                decoder.finish()?;
                std::mem::take(decoder.writer_mut())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(packing: Packing, packed: &[u8], cut: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut unpack = Unpack::new(packing)?;
        let mut pieces = Vec::new();
        for bytes in packed.chunks(cut) {
            unpack.give(bytes.to_vec());
            while let Some(piece) = unpack.take()? {
                pieces.push(piece);
            }
        }
        pieces.push(unpack.finish()?);
        assert_eq!(unpack.used(), packed.len() as u64);
        Ok(pieces)
    }

    #[test]
    fn what_was_packed_small_comes_in_pieces_and_what_is_cut_off_is_told() {
        let plain: Vec<u8> = (0..8 << 20).map(|at| if at % 4096 == 0 { b'\n' } else { b'a' }).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&plain).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        bzip2.write_all(&plain).unwrap();
        let packed = [
            (Packing::Plain, plain.clone()),
            (Packing::Gzip, gzip.finish().unwrap()),
            (Packing::Bzip2, bzip2.finish().unwrap()),
            (Packing::Zstd, zstd::encode_all(&plain[..], 19).unwrap()),
        ];
        for (packing, packed) in packed {
            for cut in [7, 4 << 20] {
                let pieces = all(packing, &packed, cut).unwrap();
                assert!(pieces.concat() == plain, "{packing:?} cut every {cut} bytes");
            }
            if packing != Packing::Plain {
                assert!(all(packing, &packed[..packed.len() - 1], 4096).is_err(), "{packing:?}");
                assert!(all(packing, &plain[..4096], 4096).is_err(), "{packing:?}");
            }
            if matches!(packing, Packing::Gzip | Packing::Zstd) {
                let two = [packed.clone(), packed].concat();
                assert_eq!(all(packing, &two, 4096).unwrap().concat().len(), 2 * plain.len(), "{packing:?}");
            }
        }
    }
}
