//! The first part of a file with its whole-file compression taken off.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder};

use super::schema::Compression;

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) data: Vec<u8>,
    /// Nothing of the file is missing in `data`.
    pub(super) complete: bool,
    /// Stored bytes that `data` stands for.
    pub(super) stored: u64,
    pub(super) compression: Compression,
}

/// Decodes the beginning of a file. `whole` says that `bytes` is all of it; an error names what cannot be read.
pub(super) fn decode(bytes: &[u8], whole: bool, limit: u64) -> Result<Sample, &'static str> {
    match bytes {
        [0x1f, 0x8b, ..] => inflate(MultiGzDecoder::new(bytes), bytes, whole, limit, Compression::Gzip),
        [b'P', b'K', 3, 4, ..] => {
            let member = zip_member(bytes).ok_or("zip archive of an unsupported kind")?;
            inflate(member, bytes, whole, limit, Compression::Zip)
        }
        [b'B', b'Z', b'h', ..] => {
            inflate(bzip2::read::MultiBzDecoder::new(bytes), bytes, whole, limit, Compression::Bzip2)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|_| "compressed data is corrupt")?;
            inflate(decoder, bytes, whole, limit, Compression::Zstd)
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => {
            inflate(lz4_flex::frame::FrameDecoder::new(bytes), bytes, whole, limit, Compression::Lz4)
        }
        [0xff, 0x06, 0x00, 0x00, b's', b'N', b'a', b'P', b'p', b'Y', ..] => {
            inflate(snap::read::FrameDecoder::new(bytes), bytes, whole, limit, Compression::Snappy)
        }
        plain => Ok(Sample {
            data: plain.to_vec(),
            complete: whole,
            stored: plain.len() as u64,
            compression: Compression::None,
        }),
    }
}

/// Reads what decodes; a stream that breaks off is a sample like any other as long as something came out.
fn inflate(
    reader: impl Read,
    stored: &[u8],
    whole: bool,
    limit: u64,
    compression: Compression,
) -> Result<Sample, &'static str> {
    let mut data = Vec::new();
    let mut reader = reader.take(limit);
    let outcome = reader.read_to_end(&mut data);
    if data.is_empty() && outcome.is_err() {
        return Err("compressed data is corrupt");
    }
    let complete = outcome.is_ok() && whole && reader.limit() > 0;
    Ok(Sample { data, complete, stored: stored.len() as u64, compression })
}

/// The data of the first member behind its local header, if it is deflated.
fn zip_member(bytes: &[u8]) -> Option<DeflateDecoder<&[u8]>> {
    let method = u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?]);
    let name = usize::from(u16::from_le_bytes([*bytes.get(26)?, *bytes.get(27)?]));
    let extra = usize::from(u16::from_le_bytes([*bytes.get(28)?, *bytes.get(29)?]));
    let data = bytes.get(30 + name + extra..)?;
    (method == 8).then(|| DeflateDecoder::new(data))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Compression, decode};

    #[test]
    fn a_gzip_file_cut_short_still_gives_a_sample() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for i in 0..20_000 {
            writeln!(encoder, "{i},{}", i * 7919 % 104_729).unwrap();
        }
        let all = encoder.finish().unwrap();
        let sample = decode(&all, true, 1 << 20).unwrap();
        assert_eq!(sample.compression, Compression::Gzip);
        assert!(sample.complete);
        let half = decode(&all[..all.len() / 2], false, 1 << 20).unwrap();
        assert!(!half.complete && half.data.len() > 1000);
        assert!(decode(&all[..3], true, 100).is_err());
    }
}
