//! Delimiters of more than one byte, for a reader and a writer of text that know one byte: each stands for one that no UTF-8 has.

use super::Invalid;

/// Longest delimiter.
const MAX_BYTES: usize = 64;
const FIELD: u8 = 0xff;
const RECORD: u8 = 0xfe;

#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// What is written, and the byte that stands for it; a longer one first.
    all: Vec<(Vec<u8>, u8)>,
    /// The beginning of one, it may be.
    pending: Vec<u8>,
}

impl Marks {
    /// The byte of a field's delimiter.
    pub(super) fn field(&mut self, given: Option<&str>, usual: u8) -> Result<u8, Invalid> {
        self.byte(given, usual, FIELD)
    }

    /// The byte of a record's delimiter.
    pub(super) fn record(&mut self, given: Option<&str>, usual: u8) -> Result<u8, Invalid> {
        self.byte(given, usual, RECORD)
    }

    fn byte(&mut self, given: Option<&str>, usual: u8, mark: u8) -> Result<u8, Invalid> {
        match given.map(str::as_bytes) {
            None | Some([]) => Ok(usual),
            Some([byte]) => Ok(*byte),
            Some(long) if long.len() > MAX_BYTES => {
                let told = format!("A delimiter of more than {MAX_BYTES} bytes is not supported");
                Err(Invalid::new("InvalidRequestParameter", told))
            }
            Some(many) => {
                self.all.push((many.to_vec(), mark));
                self.all.sort_by_key(|(many, _)| std::cmp::Reverse(many.len()));
                Ok(mark)
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The bytes with marks for delimiters; no bytes are the end.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
        let mut text = std::mem::take(&mut self.pending);
        text.extend_from_slice(bytes);
        let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_slice());
        while let Some(first) = rest.first() {
            if let Some((many, mark)) = self.all.iter().find(|(many, _)| rest.starts_with(many)) {
                out.push(*mark);
                rest = &rest[many.len()..];
            } else if !bytes.is_empty() && self.all.iter().any(|(many, _)| many.starts_with(rest)) {
                self.pending = rest.to_vec();
                break;
            } else if *first >= RECORD {
                return Err(super::input::not_text());
            } else {
                out.push(*first);
                rest = &rest[1..];
            }
        }
        Ok(out)
    }

    /// The bytes with what the marks stand for.
    pub(super) fn take_off(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.all.is_empty() || !bytes.iter().any(|byte| *byte >= RECORD) {
            return bytes;
        }
        let mut out = Vec::with_capacity(bytes.len() + 16);
        for byte in bytes {
            match self.all.iter().find(|(_, mark)| *mark == byte) {
                Some((many, _)) => out.extend_from_slice(many),
                None => out.push(byte),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let text = "a||b|c||~|~d~é|";
        for piece in 1..9 {
            let mut marks = Marks::default();
            assert_eq!(marks.field(Some("||"), b','), Ok(FIELD));
            assert_eq!(marks.record(Some("~|~"), b'\n'), Ok(RECORD));
            let mut out = Vec::new();
            for bytes in text.as_bytes().chunks(piece).chain([&b""[..]]) {
                out.extend(marks.put(bytes).unwrap());
            }
            assert_eq!(out, b"a\xffb|c\xff\xfed~\xc3\xa9|", "pieces of {piece}");
            assert_eq!(marks.take_off(out), text.as_bytes());
        }
        assert_eq!(Marks::default().field(Some(";"), b','), Ok(b';'));
        assert_eq!(Marks::default().put(b"\xff").unwrap_err().code, "InvalidTextEncoding");
        assert!(Marks::default().field(Some(&"x".repeat(65)), b',').is_err());
    }
}
