//! Encryption: AES-256-GCM, the encryption context authenticated, the key and its material named in the clear before what is encrypted.
//! Material is itself kept encrypted under the root key. A key of each encryption is derived from the material and a random salt, so that
//! random nonces never meet again under one key. Sources: KMS Cryptographic Details, "Symmetric encryption keys"; NIST SP 800-38D, 8.3.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use api_kms::error::invalid_ciphertext_exception;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use service::authorization::{BLOB_MARK, key_of_blob};
use wire::Error;

/// What material a key has: 32 random bytes for each rotation.
pub(crate) const MATERIAL: usize = 32;
const SALT: usize = 16;
const TAG: usize = 16;

fn internal(what: impl fmt::Debug) -> Error {
    Error::internal(format!("KMS: {what:?}"))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(internal)?;
    Ok(bytes)
}

pub(crate) fn random_bytes(length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).map_err(internal)?;
    Ok(bytes)
}

/// An id of 32 random bytes, in hex.
pub(crate) fn random_id() -> Result<String, Error> {
    use std::fmt::Write as _;
    let mut id = String::new();
    for byte in random::<32>()? {
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}

/// The key under which all key material is kept.
pub(crate) struct Root([u8; 32]);

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root")
    }
}

impl Root {
    /// As it is set, or as the data folder has it; made there when it is first asked for. Who loses it loses all keys: where there are some, no
    /// other is made.
    pub(crate) fn open(
        set: Option<&str>,
        set_file: Option<&Path>,
        own: &Path,
        has_keys: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<Self> {
        if let Some(text) = set {
            return Self::parse(text.as_bytes()).ok_or_else(|| io::Error::other("root_key must be 32 bytes in base64"));
        }
        if let Some(file) = set_file {
            let bytes = std::fs::read(file)?;
            let wrong = || io::Error::other(format!("{} must hold 32 bytes, as they are or in base64", file.display()));
            return Self::parse(&bytes).ok_or_else(wrong);
        }
        match std::fs::read(own) {
            Ok(bytes) => Self::parse(&bytes).ok_or_else(|| io::Error::other(format!("{} is damaged", own.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if has_keys()? {
                    return Err(io::Error::other(format!(
                        "{} is missing, and the keys that are kept cannot be used without it: put it back, or set root_key or \
                         root_key_file",
                        own.display()
                    )));
                }
                Self::make(own)
            }
            Err(error) => Err(error),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
            return Some(Self(raw));
        }
        let text = std::str::from_utf8(bytes).ok()?.trim();
        <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok().map(Self)
    }

    fn make(path: &Path) -> io::Result<Self> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let key = random().map_err(|error| io::Error::other(error.message().to_owned()))?;
        let temporary = path.with_extension("tmp");
        let mut file =
            std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(&key)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(Self(key))
    }

    /// New material as it is kept.
    pub(crate) fn new_material(&self, arn: &str) -> Result<String, Error> {
        let material: [u8; MATERIAL] = random()?;
        self.kept(&material, arn)
    }

    /// Material as it is kept, bound to its key.
    pub(crate) fn kept(&self, material: &[u8], arn: &str) -> Result<String, Error> {
        Ok(STANDARD.encode(seal(&self.0, b"lakerun kms root", arn.as_bytes(), material)?))
    }

    pub(crate) fn opened(&self, kept: &str, arn: &str) -> Result<Vec<u8>, Error> {
        let sealed = STANDARD.decode(kept).map_err(internal)?;
        let opened = open(&self.0, b"lakerun kms root", arn.as_bytes(), &sealed);
        opened.ok_or_else(|| internal("the root key does not open this key's material"))
    }

    pub(crate) fn material(&self, kept: &str, arn: &str) -> Result<[u8; MATERIAL], Error> {
        self.opened(kept, arn)?.try_into().map_err(|_| internal("a key's material is damaged"))
    }
}

/// A cipher for one encryption.
fn cipher(secret: &[u8], info: &[u8], salt: &[u8]) -> Result<LessSafeKey, Error> {
    let mut key = [0; 32];
    let drawn = Salt::new(HKDF_SHA256, salt).extract(secret);
    drawn.expand(&[info], HKDF_SHA256).and_then(|out| out.fill(&mut key)).map_err(internal)?;
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).map_err(internal)?))
}

/// Salt, nonce, ciphertext with its tag.
fn seal(secret: &[u8], info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let (salt, nonce): ([u8; SALT], [u8; NONCE_LEN]) = (random()?, random()?);
    let mut sealed = plaintext.to_vec();
    let key = cipher(secret, info, &salt)?;
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed).map_err(internal)?;
    Ok([&salt[..], &nonce[..], &sealed].concat())
}

/// `None` where it is not what was sealed with the secret for these data.
fn open(secret: &[u8], info: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    if sealed.len() < SALT + NONCE_LEN + TAG {
        return None;
    }
    let (salt, rest) = sealed.split_at(SALT);
    let (nonce, rest) = rest.split_at(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut opened = rest.to_vec();
    let length = cipher(secret, info, salt).ok()?.open_in_place(nonce, Aad::from(aad), &mut opened).ok()?.len();
    opened.truncate(length);
    Some(opened)
}

/// Pairs that an encryption is bound to.
pub(crate) type Context = BTreeMap<String, String>;

/// What is authenticated beside the text: all that stands before it in the clear, and the context, each part with its length.
fn authenticated(head: &[u8], context: &Context) -> Vec<u8> {
    let mut aad = head.to_vec();
    for (key, value) in context {
        for part in [key, value] {
            aad.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            aad.extend(part.as_bytes());
        }
    }
    aad
}

/// The beginning of a ciphertext: mark, key, number of its material.
fn head(arn: &str, number: u32) -> Result<Vec<u8>, Error> {
    let length = u16::try_from(arn.len()).map_err(internal)?;
    Ok([&BLOB_MARK[..], &length.to_be_bytes(), arn.as_bytes(), &number.to_be_bytes()].concat())
}

/// Encrypts with a key's material of a number.
pub(crate) fn encrypt(
    arn: &str,
    (number, material): (u32, &[u8; MATERIAL]),
    context: &Context,
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    let head = head(arn, number)?;
    let sealed = seal(material, b"lakerun kms data", &authenticated(&head, context), plaintext)?;
    Ok([head, sealed].concat())
}

/// A ciphertext taken apart.
pub(crate) struct Blob<'a> {
    pub(crate) arn: String,
    pub(crate) number: u32,
    head: &'a [u8],
    sealed: &'a [u8],
}

/// # Errors
/// `InvalidCiphertextException`, which has no message on AWS either.
pub(crate) fn parse(bytes: &[u8]) -> Result<Blob<'_>, Error> {
    let invalid = || invalid_ciphertext_exception("");
    let arn = key_of_blob(bytes).ok_or_else(invalid)?;
    let at = BLOB_MARK.len() + 2 + arn.len();
    let (number, _) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<4>()).ok_or_else(invalid)?;
    let (head, sealed) = bytes.split_at(at + 4);
    Ok(Blob { arn, number: u32::from_be_bytes(*number), head, sealed })
}

impl Blob<'_> {
    pub(crate) fn decrypt(&self, material: &[u8; MATERIAL], context: &Context) -> Result<Vec<u8>, Error> {
        open(material, b"lakerun kms data", &authenticated(self.head, context), self.sealed)
            .ok_or_else(|| invalid_ciphertext_exception(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_opens_with_its_key_and_context_only() {
        let root = Root([7; 32]);
        let arn = "arn:aws:kms:us-east-1:000000000000:key/1";
        let material = root.material(&root.new_material(arn).unwrap(), arn).unwrap();
        let context = Context::from([("a".to_owned(), "b".to_owned())]);
        let blob = encrypt(arn, (3, &material), &context, b"secret").unwrap();
        let parsed = parse(&blob).unwrap();
        assert_eq!((parsed.arn.as_str(), parsed.number), (arn, 3));
        assert_eq!(parsed.decrypt(&material, &context).unwrap(), b"secret");
        for other in [
            Context::new(),
            Context::from([("a".to_owned(), "c".to_owned())]),
            Context::from([("ab".to_owned(), String::new())]),
        ] {
            assert_eq!(parsed.decrypt(&material, &other).unwrap_err().code(), "InvalidCiphertextException");
        }
        assert!(parsed.decrypt(&[0; MATERIAL], &context).is_err());
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            let opened = parse(&changed).and_then(|blob| blob.decrypt(&material, &context));
            assert!(opened.is_err(), "{at}");
        }
        assert!(root.material(&root.new_material(arn).unwrap(), "arn:aws:kms:us-east-1:000000000000:key/2").is_err());
        assert!(parse(b"LKM1\0").is_err());
    }
}
