//! Compressed text files, told apart by the ends of their names as Hadoop does it, and by nothing else: a compressed
//! file under another name is refused, since its bytes would be taken for text.

use std::io::{BufReader, Read};

use bytes::{Buf, Bytes};

use crate::error::{Error, Result};

/// Blocks of Hadoop's own framing are a few hundred kilobytes; a length beyond this is none.
const LARGEST_BLOCK: usize = 256 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip,
    /// zlib's framing, which Hadoop's DefaultCodec writes.
    Deflate,
    Bzip2,
    Zstd,
    Lz4,
    Snappy,
    Lzo,
}

impl Codec {
    pub(crate) fn of(name: &str) -> Self {
        match name.rsplit_once('.').map_or("", |(_, end)| end) {
            "gz" | "gzip" => Self::Gzip,
            "deflate" | "zlib" => Self::Deflate,
            "bz2" => Self::Bzip2,
            "zst" | "zstd" => Self::Zstd,
            "lz4" => Self::Lz4,
            "snappy" | "sz" => Self::Snappy,
            "lzo" | "lzo_deflate" | "lzop" => Self::Lzo,
            _ => Self::None,
        }
    }

    /// The file's text.
    pub(crate) fn open(self, body: Bytes, path: &str) -> Result<Box<dyn Read + Send>> {
        let framed = |magic: &[u8]| body.starts_with(magic);
        Ok(match self {
            Self::None => Box::new(body.reader()),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body.reader())),
            Self::Deflate => Box::new(flate2::read::ZlibDecoder::new(body.reader())),
            Self::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(body.reader())),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(body.reader()).map_err(|e| Error::cursor(path, e))?;
                Box::new(decoder)
            }
            Self::Lz4 if framed(LZ4_FRAME) => Box::new(lz4_flex::frame::FrameDecoder::new(body.reader())),
            Self::Lz4 => Box::new(HadoopBlocks::new(body, |block, size| {
                lz4_flex::block::decompress(block, size).map_err(|e| e.to_string())
            })),
            Self::Snappy if framed(SNAPPY_FRAMES) => Box::new(snap::read::FrameDecoder::new(body.reader())),
            Self::Snappy => Box::new(HadoopBlocks::new(body, |block, size| {
                if snap::raw::decompress_len(block).map_err(|e| e.to_string())? > size {
                    return Err("a snappy block is longer than its frame says".to_owned());
                }
                snap::raw::Decoder::new().decompress_vec(block).map_err(|e| e.to_string())
            })),
            Self::Lzo => return Err(Error::not_supported(format_args!("LZO compression [file {path}]"))),
        })
    }
}

const LZ4_FRAME: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
const SNAPPY_FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Refuses what begins as a compressed file does although its name does not say so.
pub(crate) fn refuse_compressed(head: &[u8], path: &str) -> Result<()> {
    let kind = match head {
        [0x1f, 0x8b, 8, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        head if head.starts_with(LZ4_FRAME) => "lz4",
        head if head.starts_with(SNAPPY_FRAMES) => "snappy",
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => "bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
        [b'P', b'K', 3, 4, ..] => "zip",
        [b'P', b'A', b'R', b'1', ..] => "parquet",
        [b'O', b'R', b'C', ..] if head.get(3).is_some_and(|b| *b < 32 && !b"\r\n\t".contains(b)) => "orc",
        [b'O', b'b', b'j', 1, ..] => "avro",
        _ => return Ok(()),
    };
    Err(Error::cannot_open(
        path,
        format_args!("the file holds {kind}, which neither its name nor its table says; it is not text"),
    ))
}

/// Hadoop's BlockCompressorStream: the length of a block, then its chunks, each with its compressed length.
struct HadoopBlocks<D> {
    body: Bytes,
    decompress: D,
    block: Bytes,
    /// Bytes of the present block that are still to come.
    left: usize,
}

impl<D: Fn(&[u8], usize) -> Result<Vec<u8>, String>> HadoopBlocks<D> {
    fn new(body: Bytes, decompress: D) -> BufReader<Self> {
        BufReader::new(Self { body, decompress, block: Bytes::new(), left: 0 })
    }

    fn length(&mut self) -> std::io::Result<usize> {
        if self.body.len() < 4 {
            return Err(broken("the file ends within a block"));
        }
        let length = usize::try_from(self.body.get_u32()).unwrap_or(usize::MAX);
        if length > LARGEST_BLOCK {
            return Err(broken("a block's length is out of bounds: the file has not Hadoop's framing"));
        }
        Ok(length)
    }
}

fn broken(text: impl Into<String>) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, text.into())
}

impl<D: Fn(&[u8], usize) -> Result<Vec<u8>, String>> Read for HadoopBlocks<D> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.block.is_empty() {
            if self.left == 0 {
                if self.body.is_empty() {
                    return Ok(0);
                }
                self.left = self.length()?;
                continue;
            }
            let length = self.length()?;
            if length > self.body.len() {
                return Err(broken("the file ends within a block"));
            }
            let chunk = self.body.split_to(length);
            let text = (self.decompress)(&chunk, self.left).map_err(broken)?;
            if text.is_empty() || text.len() > self.left {
                return Err(broken("a block has another length than it says"));
            }
            self.left -= text.len();
            self.block = text.into();
        }
        let count = out.len().min(self.block.len());
        self.block.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text_of(name: &str, body: Vec<u8>) -> std::io::Result<String> {
        let mut out = String::new();
        let mut reader = Codec::of(name).open(body.into(), name).map_err(std::io::Error::other)?;
        reader.read_to_string(&mut out)?;
        Ok(out)
    }

    /// Two blocks, the first of two chunks.
    fn hadoop(compress: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        for chunks in [vec!["one\n", "two\n"], vec!["three\n"]] {
            let length: usize = chunks.iter().map(|chunk| chunk.len()).sum();
            out.extend(u32::try_from(length).unwrap().to_be_bytes());
            for chunk in chunks {
                let compressed = compress(chunk.as_bytes());
                out.extend(u32::try_from(compressed.len()).unwrap().to_be_bytes());
                out.extend(compressed);
            }
        }
        out
    }

    #[test]
    fn every_codec_is_read() {
        let text = "one\ntwo\nthree\n";
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(text.as_bytes()).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(text.as_bytes()).unwrap();
        let mut snappy = snap::write::FrameEncoder::new(Vec::new());
        snappy.write_all(text.as_bytes()).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(text.as_bytes()).unwrap();
        let cases = [
            ("a.bz2", bzip2.finish().unwrap()),
            ("a.deflate", zlib.finish().unwrap()),
            ("a.zst", zstd::encode_all(text.as_bytes(), 0).unwrap()),
            ("a.snappy", snappy.into_inner().unwrap()),
            ("a.lz4", lz4.finish().unwrap()),
            ("a.snappy", hadoop(|chunk| snap::raw::Encoder::new().compress_vec(chunk).unwrap())),
            ("a.lz4", hadoop(lz4_flex::block::compress)),
        ];
        for (name, body) in cases {
            assert_eq!(text_of(name, body.clone()).unwrap(), text, "{name}");
            for cut in [1, body.len() / 2] {
                let read = text_of(name, body[..cut].to_vec());
                assert!(read.is_err() || !read.unwrap().contains("three\n"), "{name} cut at {cut}");
            }
            assert!(refuse_compressed(&body, "a.csv").is_err() || name.ends_with(['y', '4', 'e']), "{name}");
        }
        assert!(text_of("a.lzo", vec![1]).is_err());
        assert!(text_of("a.snappy", b"plain text, not compressed".to_vec()).is_err());
        assert!(refuse_compressed(b"ORC,1\n", "a.csv").is_ok() && refuse_compressed(b"", "a.csv").is_ok());
    }
}
