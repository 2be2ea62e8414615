//! Encryption at rest. Every object (every part of a multipart upload) has a key of its own, which encrypts its bytes with
//! AES-256-GCM in pieces of 64 KiB; that key is kept encrypted: under a key of the data folder (SSE-S3), by KMS or under a key
//! derived for a name of the settings (SSE-KMS), or under the client's (SSE-C), which is never kept. Sources: S3 User Guide, "Protecting data with encryption";
//! the construction is STREAM of "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (piece number and a mark of
//! the last piece in the nonce).

use std::fmt;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use s3s::crypto::{Checksum as _, Md5};
use serde::{Deserialize, Serialize};
use store::objects::Seal;
use wire::Error;

use crate::errors::{Result, access_denied, internal, invalid_argument, invalid_request};

/// The plaintext of one piece.
pub(crate) const PIECE: u64 = 64 * 1024;
/// What GCM adds to each.
pub(crate) const TAG: u64 = 16;

/// How an object is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sse {
    /// SSE-S3.
    Managed,
    Kms {
        /// The key's ARN.
        key: String,
        /// The encryption context, as it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bucket_key: bool,
    },
    /// SSE-C; of the key only its MD5, as answers have it.
    Customer { md5: String },
}

impl Sse {
    /// `x-amz-server-side-encryption` of answers.
    pub(crate) fn algorithm(&self) -> Option<&'static str> {
        match self {
            Self::Managed => Some("AES256"),
            Self::Kms { .. } => Some("aws:kms"),
            Self::Customer { .. } => None,
        }
    }
    pub(crate) fn kms_key(&self) -> Option<&str> {
        match self {
            Self::Kms { key, .. } => Some(key),
            _ => None,
        }
    }
    pub(crate) fn customer_md5(&self) -> Option<&str> {
        match self {
            Self::Customer { md5 } => Some(md5),
            _ => None,
        }
    }
}

/// A key that a client has sent along.
#[derive(Clone)]
pub(crate) struct CustomerKey {
    key: [u8; 32],
    pub(crate) md5: String,
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomerKey({})", self.md5)
    }
}

impl CustomerKey {
    /// Out of the three headers.
    pub(crate) fn parse(algorithm: Option<&str>, key: Option<&str>, md5: Option<&str>) -> Result<Option<Self>> {
        if algorithm.is_none() && key.is_none() && md5.is_none() {
            return Ok(None);
        }
        let Some(algorithm) = algorithm else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
            ));
        };
        if algorithm != "AES256" {
            return Err(Error::new(
                "InvalidEncryptionAlgorithmError",
                400,
                "The Encryption request you specified is not valid. Supported value: AES256.",
            ));
        }
        let Some(key) = key else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
            ));
        };
        let Some(said) = md5 else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of \
                 the secret key.",
            ));
        };
        let raw = STANDARD.decode(key).ok().and_then(|raw| <[u8; 32]>::try_from(raw).ok());
        let key = raw.ok_or_else(|| invalid_argument("The secret key was invalid for the specified algorithm."))?;
        let mut digest = Md5::new();
        digest.update(&key);
        let md5 = STANDARD.encode(digest.finalize());
        if md5 != said {
            return Err(invalid_argument(
                "The calculated MD5 hash of the key did not match the hash that was provided.",
            ));
        }
        Ok(Some(Self { key, md5 }))
    }
}

/// What a request brings to read an object: its key for SSE-C.
pub(crate) fn check_customer(sse: Option<&Sse>, customer: Option<&CustomerKey>) -> Result<()> {
    match (sse, customer) {
        (Some(Sse::Customer { md5 }), Some(customer)) if *md5 == customer.md5 => Ok(()),
        (Some(Sse::Customer { .. }), Some(_)) => Err(access_denied("Access Denied")),
        (Some(Sse::Customer { .. }), None) => Err(invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the \
             object.",
        )),
        (_, Some(_)) => Err(invalid_request("The encryption parameters are not applicable to this object.")),
        (_, None) => Ok(()),
    }
}

/// The keys that keys are encrypted with.
pub(crate) struct Keys {
    master: [u8; 32],
    random: SystemRandom,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// The data folder's key, made when it is first asked for. Who loses it loses what is encrypted with it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let random = SystemRandom::new();
        match std::fs::read(path) {
            Ok(bytes) => {
                let master =
                    bytes.try_into().map_err(|_| io::Error::other(format!("{} is damaged", path.display())))?;
                Ok(Self { master, random })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut master = [0; 32];
                random.fill(&mut master).map_err(|_| io::Error::other("no random bytes"))?;
                let temporary = path.with_extension("tmp");
                let mut file =
                    std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
                file.write_all(&master)?;
                file.sync_all()?;
                std::fs::rename(&temporary, path)?;
                if let Some(folder) = path.parent() {
                    std::fs::File::open(folder)?.sync_all()?;
                }
                Ok(Self { master, random })
            }
            Err(error) => Err(error),
        }
    }

    /// For what lives only in memory.
    pub(crate) fn passing() -> io::Result<Self> {
        let random = SystemRandom::new();
        let mut master = [0; 32];
        random.fill(&mut master).map_err(|_| io::Error::other("no random bytes"))?;
        Ok(Self { master, random })
    }

    /// A key for new bytes: as it is, and as it is kept.
    pub(crate) fn make(&self, sse: &Sse, customer: Option<&CustomerKey>) -> Result<(DataKey, String)> {
        let mut key = [0; 32];
        self.random.fill(&mut key).map_err(internal)?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(internal)?;
        let mut kept = nonce.to_vec();
        let mut sealed = key.to_vec();
        let wrapping = self.wrapping(sse, customer)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        wrapping.seal_in_place_append_tag(nonce, Aad::from(context(sse)), &mut sealed).map_err(internal)?;
        kept.extend(sealed);
        Ok((DataKey(key), STANDARD.encode(kept)))
    }

    /// The key as it was made.
    pub(crate) fn unwrap(&self, sse: &Sse, customer: Option<&CustomerKey>, kept: &str) -> Result<DataKey> {
        let mut kept = STANDARD.decode(kept).map_err(internal)?;
        let (nonce, sealed) =
            kept.split_at_mut_checked(NONCE_LEN).ok_or_else(|| internal("an object's key is damaged"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(internal)?;
        let wrapping = self.wrapping(sse, customer)?;
        let opened = wrapping.open_in_place(nonce, Aad::from(context(sse)), sealed);
        match (opened, sse) {
            (Ok(key), _) => Ok(DataKey(<[u8; 32]>::try_from(&*key).map_err(internal)?)),
            (Err(_), Sse::Customer { .. }) => Err(access_denied("Access Denied")),
            (Err(_), _) => Err(internal("an object's key cannot be decrypted")),
        }
    }

    fn wrapping(&self, sse: &Sse, customer: Option<&CustomerKey>) -> Result<LessSafeKey> {
        let mut key = [0; 32];
        let salt = Salt::new(HKDF_SHA256, b"lakerun s3");
        let (secret, info) = match sse {
            Sse::Managed => (&self.master, "sse-s3"),
            Sse::Kms { key, .. } => (&self.master, key.as_str()),
            Sse::Customer { .. } => {
                check_customer(Some(sse), customer)?;
                (&customer.ok_or_else(|| internal("a key was checked"))?.key, "sse-c")
            }
        };
        let drawn = salt.extract(secret);
        drawn.expand(&[info.as_bytes()], HKDF_SHA256).and_then(|out| out.fill(&mut key)).map_err(internal)?;
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).map_err(internal)?))
    }
}

/// What a key's encryption is bound to.
fn context(sse: &Sse) -> Vec<u8> {
    match sse {
        Sse::Kms { context: Some(context), .. } => context.clone().into_bytes(),
        _ => Vec::new(),
    }
}

/// The key of one body.
pub(crate) struct DataKey([u8; 32]);

impl DataKey {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
    fn cipher(&self) -> Result<LessSafeKey> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).map_err(internal)?))
    }
    /// Encrypts a body on its way in.
    pub(crate) fn sealer(&self) -> Result<Sealer> {
        Ok(Sealer { cipher: self.cipher()?, number: 0, rest: Vec::new() })
    }
    pub(crate) fn opener(&self, size: u64) -> Result<Opener> {
        Ok(Opener { cipher: self.cipher()?, size })
    }
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[3] = last.into();
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

pub(crate) struct Sealer {
    cipher: LessSafeKey,
    number: u64,
    /// Less than a piece.
    rest: Vec<u8>,
}

impl Seal for Sealer {
    fn seal(&mut self, bytes: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let piece = usize::try_from(PIECE).map_err(io::Error::other)?;
        let mut out = Vec::with_capacity(self.rest.len() + bytes.len() + 64 * (bytes.len() / piece + 2));
        let mut input = std::mem::take(&mut self.rest);
        let mut bytes = bytes;
        loop {
            let take = (piece - input.len()).min(bytes.len());
            input.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            let end = last && bytes.is_empty();
            // The last piece is marked: a full one waits until it is known not to be it.
            if !end && (input.len() < piece || bytes.is_empty()) {
                self.rest = input;
                return Ok(out);
            }
            let tag = self
                .cipher
                .seal_in_place_separate_tag(nonce(self.number, end), Aad::empty(), &mut input)
                .map_err(|_| io::Error::other("encryption failed"))?;
            out.extend_from_slice(&input);
            out.extend_from_slice(tag.as_ref());
            self.number += 1;
            input.clear();
            if end {
                return Ok(out);
            }
        }
    }
}

/// Decrypts pieces of a body whose plaintext has `size` bytes.
pub(crate) struct Opener {
    cipher: LessSafeKey,
    size: u64,
}

impl Opener {
    /// How many pieces there are: an empty body has one.
    fn pieces(&self) -> u64 {
        self.size.div_ceil(PIECE).max(1)
    }

    /// Where the pieces `first..first + n` are in what was written, at most to its end.
    pub(crate) fn place(&self, first: u64, n: u64) -> std::ops::Range<u64> {
        let end = (first + n).min(self.pieces());
        let whole = PIECE + TAG;
        first * whole..(end * whole).min(self.size + self.pieces() * TAG)
    }

    /// The plaintext of pieces from `first` on.
    pub(crate) fn open(&self, first: u64, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let whole = usize::try_from(PIECE + TAG).map_err(io::Error::other)?;
        let mut out = Vec::with_capacity(bytes.len());
        for (number, piece) in (first..).zip(bytes.chunks(whole)) {
            let mut piece = piece.to_vec();
            let last = number + 1 == self.pieces();
            let plain = self
                .cipher
                .open_in_place(nonce(number, last), Aad::empty(), &mut piece)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "encrypted bytes are damaged"))?;
            out.extend_from_slice(plain);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(byte: u8) -> CustomerKey {
        let key = [byte; 32];
        let mut digest = Md5::new();
        digest.update(&key);
        let md5 = STANDARD.encode(digest.finalize());
        CustomerKey::parse(Some("AES256"), Some(&STANDARD.encode(key)), Some(&md5)).unwrap().unwrap()
    }

    #[test]
    fn bodies_come_back() {
        let keys = Keys::passing().unwrap();
        let piece = usize::try_from(PIECE).unwrap();
        for size in [0, 1, piece - 1, piece, piece + 1, 3 * piece, 3 * piece + 7] {
            let body: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let (key, kept) = keys.make(&Sse::Managed, None).unwrap();
            let mut sealer = key.sealer().unwrap();
            let mut kept_bytes = Vec::new();
            for part in body.chunks(100_000) {
                kept_bytes.extend(sealer.seal(part, false).unwrap());
            }
            kept_bytes.extend(sealer.seal(&[], true).unwrap());
            let opener = keys.unwrap(&Sse::Managed, None, &kept).unwrap().opener(size as u64).unwrap();
            assert_eq!(opener.place(0, u64::MAX / PIECE / 2).end, kept_bytes.len() as u64, "{size}");
            assert_eq!(opener.open(0, &kept_bytes).unwrap(), body, "{size}");
            if let Some(last) = kept_bytes.last_mut() {
                *last ^= 1;
            }
            assert!(opener.open(0, &kept_bytes).is_err());
            // Cut off at a piece's end it is not taken for whole.
            if size > piece {
                assert!(opener.open(0, &kept_bytes[..piece + 16]).is_ok());
                let shorter = keys.unwrap(&Sse::Managed, None, &kept).unwrap().opener(PIECE).unwrap();
                assert!(shorter.open(0, &kept_bytes[..piece + 16]).is_err());
            }
        }
    }

    #[test]
    fn keys_of_clients() {
        let keys = Keys::passing().unwrap();
        let (one, other) = (customer(1), customer(2));
        let sse = Sse::Customer { md5: one.md5.clone() };
        let (_, kept) = keys.make(&sse, Some(&one)).unwrap();
        assert!(keys.unwrap(&sse, Some(&one), &kept).is_ok());
        assert_eq!(keys.unwrap(&sse, Some(&other), &kept).err().unwrap().code(), "AccessDenied");
        assert_eq!(keys.unwrap(&sse, None, &kept).err().unwrap().code(), "InvalidRequest");
        let bad = [
            (Some("AES128"), Some("x"), Some("x"), "InvalidEncryptionAlgorithmError"),
            (None, Some("x"), Some("x"), "InvalidArgument"),
            (Some("AES256"), None, Some("x"), "InvalidArgument"),
            (Some("AES256"), Some("AAAA"), Some("x"), "InvalidArgument"),
            (Some("AES256"), Some("AAAA"), None, "InvalidArgument"),
        ];
        for (algorithm, key, md5, code) in bad {
            assert_eq!(CustomerKey::parse(algorithm, key, md5).unwrap_err().code(), code);
        }
    }
}
