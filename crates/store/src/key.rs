//! Keys: byte strings whose order is the order of their parts. A part ends with `0x00 0x01`; a zero byte inside a part is
//! written `0x00 0xFF`, so that no part can reach into the next and prefixes are exact.

/// A key under construction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Vec<u8>);

/// Room for most keys.
const USUAL: usize = 128;

impl Key {
    /// A key that begins with the name of its owner, e.g. `sqs`.
    pub fn new(owner: &str) -> Self {
        Self(Vec::with_capacity(USUAL)).push(owner)
    }

    /// Adds a part. Parts order as their bytes do.
    #[must_use]
    pub fn push(mut self, part: impl AsRef<[u8]>) -> Self {
        let mut rest = part.as_ref();
        while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
            self.0.extend_from_slice(&rest[..=zero]);
            self.0.push(0xFF);
            rest = &rest[zero + 1..];
        }
        self.0.extend_from_slice(rest);
        self.0.extend_from_slice(&[0, 1]);
        self
    }

    /// Adds a number; numbers order as numbers.
    #[must_use]
    pub fn push_u64(self, n: u64) -> Self {
        self.push(n.to_be_bytes())
    }

    /// Adds a signed number (a time in milliseconds); numbers order as numbers.
    #[must_use]
    pub fn push_i64(self, n: i64) -> Self {
        self.push((n ^ i64::MIN).to_be_bytes())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The parts of a stored key, decoded.
    pub fn parts(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut parts, mut part, mut i) = (Vec::new(), Vec::new(), 0);
        while i < bytes.len() {
            match (bytes[i], bytes.get(i + 1)) {
                (0, Some(1)) => {
                    parts.push(std::mem::take(&mut part));
                    i += 2;
                }
                (0, Some(0xFF)) => {
                    part.push(0);
                    i += 2;
                }
                (b, _) => {
                    part.push(b);
                    i += 1;
                }
            }
        }
        parts
    }

    /// A part that was pushed by `push_i64`.
    pub fn part_i64(part: &[u8]) -> Option<i64> {
        Some(i64::from_be_bytes(part.try_into().ok()?) ^ i64::MIN)
    }
    /// A part that was pushed by `push_u64`.
    pub fn part_u64(part: &[u8]) -> Option<u64> {
        Some(u64::from_be_bytes(part.try_into().ok()?))
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The first key after all keys that begin with `prefix`; `None` where there is no such key.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < 0xFF {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_parts() {
        let a = Key::new("x").push("a").push("b");
        let b = Key::new("x").push("a\0").push("a");
        let c = Key::new("x").push("ab");
        assert!(a < b && b < c);
        assert_eq!(Key::parts(b.as_bytes()), [b"x".to_vec(), b"a\0".to_vec(), b"a".to_vec()]);
        assert!(Key::new("t").push_i64(-5) < Key::new("t").push_i64(3));
        let parts = Key::parts(Key::new("t").push_i64(-5).as_bytes()).remove(1);
        assert_eq!(Key::part_i64(&parts), Some(-5));
        assert_eq!(prefix_end(&[1, 0xFF]), Some(vec![2]));
        assert_eq!(prefix_end(&[0xFF]), None);
    }
}
