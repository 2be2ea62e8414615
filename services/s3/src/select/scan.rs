//! A ScanRange: the records whose first byte lies in it, whole, found by the delimiters before them.
//! Source: Amazon S3 API Reference, SelectObjectContent, `ScanRange`.

use std::ops::Range;

use s3s::dto::ScanRange;

use super::Invalid;

pub(super) fn unsupported() -> Invalid {
    Invalid::new("UnsupportedScanRangeInput", "Scan range queries are not supported on this type of object.")
}

/// The bytes in which a record must begin. With an end alone they are the last of the object.
pub(super) fn range(asked: &ScanRange, size: u64) -> Result<Range<u64>, Invalid> {
    let invalid = || Invalid::new("InvalidScanRange", "The provided scan range is not valid.");
    let number = |given: Option<i64>| given.map(|number| u64::try_from(number).map_err(|_| invalid())).transpose();
    match (number(asked.start)?, number(asked.end)?) {
        (None, None) => Err(invalid()),
        (Some(start), Some(end)) if start > end => Err(invalid()),
        (Some(start), end) => Ok(start.min(size)..end.map_or(size, |end| end.saturating_add(1).min(size))),
        (None, Some(last)) => Ok(size.saturating_sub(last)..size),
    }
}

/// Lets the bytes through that are records of a range.
pub(super) struct Window {
    range: Range<u64>,
    delimiter: Vec<u8>,
    place: Place,
    /// Where the next byte stands in the object.
    at: u64,
    /// The last bytes, as many as a delimiter has.
    tail: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In the first record of the object, which is its header.
    Header,
    Before,
    Within,
    After,
}

impl Window {
    pub(super) fn new(range: Range<u64>, delimiter: &[u8], header: bool) -> Self {
        let place = match (header, range.start) {
            (_, 0) => Place::Within,
            (true, _) => Place::Header,
            (false, _) => Place::Before,
        };
        let mut window = Self { range, delimiter: delimiter.to_vec(), place, at: 0, tail: Vec::new() };
        if place == Place::Before {
            window.at = window.first();
        }
        window
    }

    /// From where the object is read to find the first record: a delimiter may end where the range begins.
    fn first(&self) -> u64 {
        self.range.start.saturating_sub(self.delimiter.len() as u64)
    }

    /// Where the next bytes are to be read from.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn is_after(&self) -> bool {
        self.place == Place::After
    }

    /// What of the bytes, the next ones of the object, is of the records; and whether the bytes from [`Self::at`] on are wanted instead of
    /// those that follow.
    pub(super) fn cut<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], bool) {
        match self.place {
            Place::Header => match self.boundary(bytes, 0) {
                Some(end) => {
                    (self.place, self.at) = (Place::Before, self.first());
                    self.tail.clear();
                    (&bytes[..end], true)
                }
                None => (self.passed(bytes), false),
            },
            Place::Before => {
                if let Some(begin) = self.boundary(bytes, self.range.start) {
                    let starts = self.at + begin as u64;
                    self.place = if starts < self.range.end { Place::Within } else { Place::After };
                    self.at = starts;
                    self.tail.clear();
                    (self.cut(&bytes[begin..]).0, false)
                } else {
                    self.passed(bytes);
                    (&[], false)
                }
            }
            Place::Within if self.range.is_empty() => {
                self.place = Place::After;
                (&[], false)
            }
            Place::Within => match self.boundary(bytes, self.range.end) {
                Some(end) => {
                    self.place = Place::After;
                    (&bytes[..end], false)
                }
                None => (self.passed(bytes), false),
            },
            Place::After => (&[], false),
        }
    }

    fn passed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.at += bytes.len() as u64;
        bytes
    }

    /// Where the first delimiter ends that ends at `least` or behind it.
    fn boundary(&mut self, bytes: &[u8], least: u64) -> Option<usize> {
        let length = self.delimiter.len();
        let skipped = least.saturating_sub(self.at + length as u64);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(bytes.len());
        if skipped > 0 {
            self.tail.clear();
        }
        for (at, byte) in bytes.iter().enumerate().skip(skipped) {
            if self.tail.len() == length {
                self.tail.remove(0);
            }
            self.tail.push(*byte);
            if self.tail == self.delimiter && self.at + at as u64 + 1 >= least {
                return Some(at + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let of = |start, end| range(&ScanRange { start, end }, 100);
        assert_eq!(of(Some(10), Some(19)).unwrap(), 10..20);
        assert_eq!(of(Some(10), None).unwrap(), 10..100);
        assert_eq!(of(None, Some(30)).unwrap(), 70..100);
        assert_eq!(of(None, Some(300)).unwrap(), 0..100);
        assert_eq!(of(Some(200), Some(300)).unwrap(), 100..100);
        for (start, end) in [(None, None), (Some(5), Some(4)), (Some(-1), None)] {
            assert_eq!(of(start, end).unwrap_err().code, "InvalidScanRange");
        }
    }

    /// However an object is parted into ranges, and however its bytes are cut, each record is in one range.
    #[test]
    fn every_record_is_in_one_range() {
        for (text, delimiter) in [("ab\n\nc\nlonger\nx", "\n"), ("ab\r\nc\r\r\nd\re\r\n", "\r\n"), ("a||b|c||", "||")] {
            for parts in 1..=text.len() {
                for piece in 1..=4 {
                    let mut found = Vec::new();
                    for start in (0..text.len()).step_by(parts) {
                        let range = start as u64..(start + parts).min(text.len()) as u64;
                        let mut window = Window::new(range, delimiter.as_bytes(), false);
                        let from = usize::try_from(window.at()).unwrap();
                        for bytes in text.as_bytes()[from..].chunks(piece) {
                            found.extend_from_slice(window.cut(bytes).0);
                        }
                    }
                    assert_eq!(String::from_utf8(found).unwrap(), text, "parts of {parts}, pieces of {piece}");
                }
            }
        }
    }
}
