//! MD5 of bodies and attributes, as clients compute it to check what arrived.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};

/// An attribute as it is hashed: name, data type, value.
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) data_type: &'a str,
    pub(super) value: PartValue<'a>,
}

pub(super) enum PartValue<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

pub(super) fn of_body(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

/// AWS: "Calculating the MD5 message digest for message attributes". Nothing for no attributes.
pub(super) fn of_attributes<'a>(parts: impl Iterator<Item = Part<'a>>) -> Option<String> {
    let sorted: BTreeMap<&str, Part<'a>> = parts.map(|part| (part.name, part)).collect();
    if sorted.is_empty() {
        return None;
    }
    let mut hash = Md5::new();
    for part in sorted.values() {
        with_length(&mut hash, part.name.as_bytes());
        with_length(&mut hash, part.data_type.as_bytes());
        let (kind, bytes) = match part.value {
            PartValue::Text(text) => (1, text.as_bytes()),
            PartValue::Bytes(bytes) => (2, bytes),
        };
        hash.update([kind]);
        with_length(&mut hash, bytes);
    }
    Some(hex::encode(hash.finalize()))
}

fn with_length(hash: &mut Md5, bytes: &[u8]) {
    hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_documented() {
        assert_eq!(of_body("hello"), "5d41402abc4b2a76b9719d911017c592");
        let part = Part { name: "a", data_type: "String", value: PartValue::Text("b") };
        let mut bytes = Vec::new();
        for field in ["a", "String"] {
            bytes.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend(field.as_bytes());
        }
        bytes.push(1);
        bytes.extend([0, 0, 0, 1, b'b']);
        assert_eq!(of_attributes([part].into_iter()), Some(hex::encode(Md5::digest(&bytes))));
        assert_eq!(of_attributes(std::iter::empty()), None);
    }
}
