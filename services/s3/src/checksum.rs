//! MD5 for ETags and the checksums that clients ask for, made in one pass over a body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};
use store::objects::Digest;
use xxhash_rust::xxh3::Xxh3;
use xxhash_rust::xxh64::Xxh64;

use crate::errors::{Result, bad_digest, invalid_request};
use crate::records::ObjectRecord;

/// Checksums of a body in base64, each only where it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc64nvme: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha512: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) md5: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) xxhash64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) xxhash3: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) xxhash128: Option<String>,
    /// `COMPOSITE` for checksums of part checksums, `FULL_OBJECT` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
}

/// All algorithms, by S3's names.
pub(crate) const ALGORITHMS: [&str; 10] =
    ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"];

/// The algorithm that S3 computes by itself.
pub(crate) const OWN: &str = "CRC64NVME";
pub(crate) const FULL_OBJECT: &str = "FULL_OBJECT";
pub(crate) const COMPOSITE: &str = "COMPOSITE";

impl Checksums {
    fn named(&self) -> [(&'static str, Option<&str>); 10] {
        [
            ("CRC32", self.crc32.as_deref()),
            ("CRC32C", self.crc32c.as_deref()),
            ("CRC64NVME", self.crc64nvme.as_deref()),
            ("SHA1", self.sha1.as_deref()),
            ("SHA256", self.sha256.as_deref()),
            ("SHA512", self.sha512.as_deref()),
            ("MD5", self.md5.as_deref()),
            ("XXHASH64", self.xxhash64.as_deref()),
            ("XXHASH3", self.xxhash3.as_deref()),
            ("XXHASH128", self.xxhash128.as_deref()),
        ]
    }

    /// The value for an algorithm's name.
    pub(crate) fn of(&self, algorithm: &str) -> Option<&str> {
        self.named().into_iter().find(|(name, _)| *name == algorithm).and_then(|(_, value)| value)
    }

    /// The names of the algorithms that there are values for.
    pub(crate) fn algorithms(&self) -> Vec<&'static str> {
        self.named().into_iter().filter_map(|(name, value)| value.map(|_| name)).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.algorithms().is_empty()
    }

    pub(crate) fn set(&mut self, algorithm: &str, value: String) {
        match algorithm {
            "CRC32" => self.crc32 = Some(value),
            "CRC32C" => self.crc32c = Some(value),
            "CRC64NVME" => self.crc64nvme = Some(value),
            "SHA1" => self.sha1 = Some(value),
            "SHA256" => self.sha256 = Some(value),
            "SHA512" => self.sha512 = Some(value),
            "MD5" => self.md5 = Some(value),
            "XXHASH64" => self.xxhash64 = Some(value),
            "XXHASH3" => self.xxhash3 = Some(value),
            "XXHASH128" => self.xxhash128 = Some(value),
            _ => {}
        }
    }

    /// With what another names.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        for (name, value) in other.named() {
            if let Some(value) = value {
                self.set(name, value.to_owned());
            }
        }
        self
    }

    /// Those of these algorithms.
    pub(crate) fn only(&self, algorithms: &[String]) -> Self {
        let mut kept = Self::default();
        for (name, value) in self.named() {
            if let Some(value) = value.filter(|_| algorithms.iter().any(|a| a == name)) {
                kept.set(name, value.to_owned());
                kept.kind.clone_from(&self.kind);
            }
        }
        kept
    }

    /// Fails when a value that the client sent is not the one computed.
    pub(crate) fn check(&self, computed: &Self) -> Result<()> {
        for (name, expected) in self.named() {
            let Some(expected) = expected else { continue };
            if STANDARD.decode(expected).is_err() {
                return Err(invalid_request(format!(
                    "Value for x-amz-checksum-{} header is invalid.",
                    name.to_ascii_lowercase()
                )));
            }
            if computed.of(name) != Some(expected) {
                return Err(bad_digest(format!("The {name} you specified did not match the calculated checksum.")));
            }
        }
        Ok(())
    }
}

/// The checksums of what is read: of the whole, or of the part that a number or a range names.
/// Source: S3 User Guide, "Checking object integrity": "a byte range that aligns to a single part".
pub(crate) fn of_range(record: &ObjectRecord, range: &std::ops::Range<u64>, partial: bool) -> Checksums {
    if !partial {
        return record.checksums.clone();
    }
    let mut start = 0;
    for part in record.parts.iter().flatten() {
        if *range == (start..start + part.size) && !part.checksums.is_empty() {
            return Checksums { kind: record.checksums.kind.clone(), ..part.checksums.clone() };
        }
        start += part.size;
    }
    Checksums::default()
}

/// Sees a body on its way in.
pub(crate) struct Hasher {
    md5: Md5,
    checksums: ChecksumHasher,
    more: Vec<(&'static str, More)>,
}

/// Algorithms that s3s has no hasher for.
enum More {
    Sha512(Box<Sha512>),
    /// The ETag's.
    Md5,
    Xxhash64(Box<Xxh64>),
    Xxhash3(Box<Xxh3>),
    Xxhash128(Box<Xxh3>),
}

impl More {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Md5 => {}
            Self::Xxhash64(hasher) => hasher.update(bytes),
            Self::Xxhash3(hasher) | Self::Xxhash128(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self, md5: [u8; 16]) -> String {
        match self {
            Self::Sha512(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Md5 => STANDARD.encode(md5),
            Self::Xxhash64(hasher) => STANDARD.encode(hasher.digest().to_be_bytes()),
            Self::Xxhash3(hasher) => STANDARD.encode(hasher.digest().to_be_bytes()),
            Self::Xxhash128(hasher) => STANDARD.encode(hasher.digest128().to_be_bytes()),
        }
    }
}

/// What [`Hasher`] has made of a body.
#[derive(Debug)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    pub(crate) checksums: Checksums,
}

impl Digests {
    pub(crate) fn etag(&self) -> String {
        hex::encode(self.md5)
    }

    /// `Content-MD5`, when the client sent one.
    pub(crate) fn check_md5(&self, expected: Option<&str>) -> Result<()> {
        let Some(expected) = expected else { return Ok(()) };
        match STANDARD.decode(expected) {
            Ok(bytes) if bytes.len() == 16 && bytes == self.md5 => Ok(()),
            Ok(bytes) if bytes.len() == 16 => {
                let error = bad_digest("The Content-MD5 you specified did not match what we received.");
                Err(error.with("ExpectedDigest", expected).with("CalculatedDigest", STANDARD.encode(self.md5)))
            }
            _ => {
                let error = wire::Error::new("InvalidDigest", 400, "The Content-MD5 you specified is not valid.");
                Err(error.with("Content-MD5", expected))
            }
        }
    }
}

impl Hasher {
    /// Computes MD5 and the named algorithms.
    pub(crate) fn new(algorithms: &[&str]) -> Result<Self> {
        let (mut checksums, mut more) = (ChecksumHasher::default(), Vec::new());
        for algorithm in algorithms {
            match *algorithm {
                "CRC32" => checksums.crc32 = Some(Crc32::new()),
                "CRC32C" => checksums.crc32c = Some(Crc32c::new()),
                "CRC64NVME" => checksums.crc64nvme = Some(Crc64Nvme::new()),
                "SHA1" => checksums.sha1 = Some(Sha1::new()),
                "SHA256" => checksums.sha256 = Some(Sha256::new()),
                "SHA512" => more.push(("SHA512", More::Sha512(Box::default()))),
                "MD5" => more.push(("MD5", More::Md5)),
                "XXHASH64" => more.push(("XXHASH64", More::Xxhash64(Box::new(Xxh64::new(0))))),
                "XXHASH3" => more.push(("XXHASH3", More::Xxhash3(Box::default()))),
                "XXHASH128" => more.push(("XXHASH128", More::Xxhash128(Box::default()))),
                _ => return Err(invalid_request("Checksum algorithm provided is unsupported.")),
            }
        }
        Ok(Self { md5: Md5::new(), checksums, more })
    }

    pub(crate) fn finish(self) -> Digests {
        let sums = self.checksums.finalize();
        let mut checksums = Checksums {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
            ..Checksums::default()
        };
        let md5 = self.md5.finalize();
        for (name, hasher) in self.more {
            checksums.set(name, hasher.finish(md5));
        }
        if !checksums.is_empty() {
            checksums.kind = Some(FULL_OBJECT.to_owned());
        }
        Digests { md5, checksums }
    }
}

impl Digest for Hasher {
    fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
        self.more.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
    }
}

/// The ETag of a multipart upload: the MD5 of the parts' MD5s, and their number.
pub(crate) fn multipart_etag(parts: &[String]) -> Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&hex::decode(part).map_err(crate::errors::internal)?);
    }
    Ok(format!("{}-{}", hex::encode(md5.finalize()), parts.len()))
}

/// The composite checksum of a multipart upload: the checksum of the parts' checksums, and their number.
pub(crate) fn composite(algorithm: &str, parts: &[&str]) -> Result<String> {
    let mut hasher = Hasher::new(&[algorithm])?;
    for part in parts {
        let raw = STANDARD.decode(part).map_err(|_| bad_digest("A part's checksum is not valid."))?;
        hasher.update(&raw);
    }
    let sums = hasher.finish().checksums;
    Ok(format!("{}-{}", sums.of(algorithm).unwrap_or_default(), parts.len()))
}

/// The checksum over bytes of which those of the parts, with their lengths, are known: a CRC of them one after the other.
pub(crate) fn combined(algorithm: &str, parts: &[(String, u64)]) -> Result<String> {
    let (kind, width) = match algorithm {
        "CRC32" => (CrcAlgorithm::Crc32IsoHdlc, 4),
        "CRC32C" => (CrcAlgorithm::Crc32Iscsi, 4),
        "CRC64NVME" => (CrcAlgorithm::Crc64Nvme, 8),
        _ => return Err(invalid_request(format!("{algorithm} is no checksum of a full object in parts"))),
    };
    let mut whole: Option<u64> = None;
    for (sum, size) in parts {
        let raw = STANDARD.decode(sum).map_err(|_| bad_digest("A part's checksum is not valid."))?;
        let next = raw.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        whole = Some(whole.map_or(next, |first| checksum_combine(kind, first, next, *size)));
    }
    let bytes = whole.unwrap_or_default().to_be_bytes();
    Ok(STANDARD.encode(&bytes[8 - width..]))
}

/// Of a body that nothing comes behind.
#[expect(clippy::unnecessary_wraps, reason = "others have something behind them, which may be wrong")]
pub(crate) fn none_trailing() -> Result<Checksums> {
    Ok(Checksums::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_and_mismatches() {
        let mut hasher = Hasher::new(&["CRC32", "SHA256"]).unwrap();
        hasher.update(b"hello");
        let digests = hasher.finish();
        assert_eq!(digests.etag(), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(digests.checksums.of("CRC32"), Some("NhCmhg=="));
        assert_eq!(digests.checksums.algorithms(), ["CRC32", "SHA256"]);
        digests.check_md5(Some("XUFAKrxLKna5cZ2REBfFkg==")).unwrap();
        assert!(digests.check_md5(Some("AAAAAAAAAAAAAAAAAAAAAA==")).unwrap_err().is("BadDigest"));
        assert!(digests.check_md5(Some("x")).unwrap_err().is("InvalidDigest"));
        let wrong = Checksums { crc32: Some("AAAAAA==".into()), ..Checksums::default() };
        assert!(wrong.check(&digests.checksums).unwrap_err().is("BadDigest"));
        assert!(Hasher::new(&["CRC9"]).is_err());
    }

    #[test]
    fn newer_algorithms() {
        let all = ["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"];
        let mut hasher = Hasher::new(&all).unwrap();
        hasher.update(b"hel");
        hasher.update(b"lo");
        let sums = hasher.finish().checksums;
        // As sha512sum, md5sum and xxhsum (-H64, -H3, -H128) have them.
        for (name, wanted) in [
            (
                "SHA512",
                "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043",
            ),
            ("MD5", "5d41402abc4b2a76b9719d911017c592"),
            ("XXHASH64", "26c7827d889f6da3"),
            ("XXHASH3", "9555e8555c62dcfd"),
            ("XXHASH128", "b5e9c1ad071b3e7fc779cfaa5e523818"),
        ] {
            let raw = STANDARD.decode(sums.of(name).unwrap()).unwrap();
            assert_eq!(hex::encode(raw), wanted, "{name}");
        }
        assert_eq!(sums.algorithms(), all);
        let part = sums.of("XXHASH64").unwrap();
        assert!(composite("XXHASH64", &[part, part]).unwrap().ends_with("-2"));
    }

    #[test]
    fn parts_make_the_whole() {
        let of = |algorithm: &str, bytes: &[u8]| {
            let mut hasher = Hasher::new(&[algorithm]).unwrap();
            hasher.update(bytes);
            hasher.finish().checksums.of(algorithm).unwrap().to_owned()
        };
        for algorithm in ["CRC32", "CRC32C", "CRC64NVME"] {
            let parts = [b"hello ".as_slice(), b"", b"wide ", b"world"];
            let sums: Vec<_> = parts.iter().map(|part| (of(algorithm, part), part.len() as u64)).collect();
            assert_eq!(combined(algorithm, &sums).unwrap(), of(algorithm, &parts.concat()), "{algorithm}");
        }
        assert!(combined("SHA1", &[]).is_err());
    }

    #[test]
    fn of_parts() {
        // Two parts of "hello": as botocore's documentation of multipart ETags computes it.
        let part = "5d41402abc4b2a76b9719d911017c592".to_owned();
        let etag = multipart_etag(&[part.clone(), part]).unwrap();
        assert!(etag.ends_with("-2") && etag.len() == 34, "{etag}");
    }
}
