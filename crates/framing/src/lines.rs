//! Lines out of bytes.

/// Parts bytes at line feeds, wherever they are cut.
#[derive(Debug)]
pub struct Lines {
    pending: Vec<u8>,
    longest: usize,
}

impl Lines {
    /// `longest`: bytes that a line may have.
    pub fn new(longest: usize) -> Self {
        Self { pending: Vec::new(), longest }
    }

    /// More bytes; no bytes are the end. `each` is given every line that has ended, without its line feed.
    ///
    /// # Errors
    /// `each`'s, and `too_long()` for what is longer than a line may be.
    pub fn feed<E>(
        &mut self,
        bytes: &[u8],
        too_long: fn() -> E,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            each(&self.pending)?;
            self.pending.clear();
        }
        self.pending.extend_from_slice(rest);
        if bytes.is_empty() {
            each(&self.pending)?;
            self.pending.clear();
        }
        if self.pending.len() > self.longest { Err(too_long()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_however_they_are_cut() {
        for cut in 1..9 {
            let (mut lines, mut found) = (Lines::new(4), Vec::new());
            for bytes in b"a\n\nbcd\ne".chunks(cut).chain([&b""[..]]) {
                let mut each = |line: &[u8]| {
                    found.push(String::from_utf8_lossy(line).into_owned());
                    Ok(())
                };
                lines.feed(bytes, || "too long", &mut each).unwrap();
            }
            assert_eq!(found, ["a", "", "bcd", "e"], "cut every {cut} bytes");
        }
        assert_eq!(Lines::new(4).feed(b"abcde", || "too long", |_| Ok(())), Err("too long"));
    }
}
