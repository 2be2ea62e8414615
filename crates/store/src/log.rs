//! The log of a store: a commit is one record here, synced; the records reach SQLite later, many at a time (see [`crate::sqlite`]).
//!
//! Two files take turns: one is written while what the other holds is brought into SQLite, after which that one is written over from
//! its beginning. A record carries its number and a checksum; reading stops at the first that is broken or does not follow the one
//! before, which is where the last commit was cut short or where an earlier turn's records are left.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::{Error, room};

/// Writes by key, the last of each; `None` deletes.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

const MAGIC: [u8; 4] = *b"lrl1";
/// Magic, length, checksum, number.
const HEADER: usize = 20;
/// The files grow by so much at a time, filled with zeros: to write within a file is cheaper to sync than to make it longer.
const GROWTH: usize = 1 << 20;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// Records that a process may write at its start with hardly any room: without them it could not serve what makes some.
const AT_START: u32 = 100;
/// What deletes may put so many bytes without regard to room.
const BESIDE_DELETIONS: usize = 256 << 10;
/// The length that stands for a deletion.
const DELETED: u32 = u32::MAX;

pub(crate) struct Log {
    segments: [Segment; 2],
    current: usize,
    /// The number of the next record.
    next: u64,
    buffer: Vec<u8>,
    /// How many of `AT_START` are left.
    at_start: u32,
    /// A sync failed: what is on disk is unknown from here on.
    is_broken: bool,
}

struct Segment {
    file: File,
    /// Where the next record goes.
    end: u64,
    /// How long the file is.
    length: u64,
}

impl Log {
    /// Opens the log beside a database, in which everything up to record `applied` is. Answers also with what later records wrote:
    /// it must be brought into the database before anything is appended.
    pub(crate) fn open(database: &Path, applied: u64) -> Result<(Self, Writes), Error> {
        let mut records = BTreeMap::new();
        let mut open = |n: u8| -> Result<Segment, Error> {
            let mut path = database.as_os_str().to_owned();
            path.push(format!("-log{n}"));
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
            let length = file.metadata()?.len();
            read(&file, length, applied, &mut records)?;
            Ok(Segment { file, end: 0, length })
        };
        let segments = [open(0)?, open(1)?];
        // The files themselves must be found again, not only what is in them.
        if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        let (mut writes, mut next) = (Writes::new(), applied + 1);
        let records = records.split_off(&next);
        if let Some((first, _)) = records.first_key_value()
            && *first != next
        {
            let cause = format!("the log goes on with record {first} where {next} is expected");
            return Err(Error::Corrupt { key: database.display().to_string(), cause });
        }
        for (number, record) in records {
            if number != next {
                return Err(damaged(next, number));
            }
            next += 1;
            writes.extend(record);
        }
        Ok((Self { segments, current: 0, next, buffer: Vec::new(), at_start: AT_START, is_broken: false }, writes))
    }

    /// The number of the last record.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    /// How many bytes the file being written holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments[self.current].end
    }

    /// Writes a record and syncs it.
    pub(crate) fn append(&mut self, writes: &Writes) -> Result<(), Error> {
        if self.is_broken {
            return Err(Error::Storage("the log could not be synced; restart the server".to_owned()));
        }
        encode(&mut self.buffer, self.next, writes)?;
        let segment = &mut self.segments[self.current];
        self.at_start = self.at_start.saturating_sub(1);
        if needs_room(writes, self.at_start > 0) {
            room::beside(&segment.file, room::BESIDE_RECORDS)?;
        }
        // Nothing of the record is written where there is no room for it.
        segment.reserve(self.buffer.len() as u64)?;
        debug_assert!(segment.end + self.buffer.len() as u64 <= segment.length, "a record beyond its file");
        debug_assert_eq!(number_of(&self.buffer), Some(self.next), "a record under another's number");
        let written = segment.file.write_all_at(&self.buffer, segment.end).and_then(|()| segment.file.sync_data());
        if let Err(error) = written {
            self.is_broken = true;
            return Err(error.into());
        }
        segment.end += self.buffer.len() as u64;
        self.next += 1;
        self.buffer.shrink_to(GROWTH);
        Ok(())
    }

    /// Keeps no room for what is not to be written soon.
    pub(crate) fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    /// Goes on in the other file, from its beginning: all that it held must be in the database.
    pub(crate) fn turn(&mut self) {
        self.current ^= 1;
        self.segments[self.current].end = 0;
    }
}

impl Segment {
    fn reserve(&mut self, bytes: u64) -> Result<(), Error> {
        let needed = self.end + bytes;
        while self.length < needed.next_multiple_of(GROWTH as u64) {
            match self.file.write_all_at(&ZEROS, self.length) {
                Ok(()) => self.length += ZEROS.len() as u64,
                // There is less room than the file grows by, but enough.
                Err(_) if self.length >= needed => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Is the last of the disk not for this record?
fn needs_room(writes: &Writes, is_at_start: bool) -> bool {
    let put: usize = writes.values().flatten().map(Vec::len).sum();
    let deletes = writes.values().any(Option::is_none);
    (!is_at_start && !deletes) || put > BESIDE_DELETIONS
}

pub(crate) fn encode(buffer: &mut Vec<u8>, number: u64, writes: &Writes) -> Result<(), Error> {
    buffer.clear();
    buffer.resize(HEADER, 0);
    let length = |bytes: usize| match u32::try_from(bytes) {
        Ok(length) if length != DELETED => Ok(length.to_le_bytes()),
        _ => Err(Error::Storage("a transaction is too large".to_owned())),
    };
    for (key, value) in writes {
        buffer.extend_from_slice(&length(key.len())?);
        let size = value.as_ref().map_or(Ok(DELETED.to_le_bytes()), |value| length(value.len()))?;
        buffer.extend_from_slice(&size);
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let size = length(buffer.len() - HEADER)?;
    buffer[12..HEADER].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32fast::hash(&buffer[12..]);
    buffer[..4].copy_from_slice(&MAGIC);
    buffer[4..8].copy_from_slice(&size);
    buffer[8..12].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// What one whole record of that number wrote.
pub(crate) fn decode(bytes: &[u8], number: u64) -> Option<Vec<Write>> {
    let (_, body, _) = framed(bytes).filter(|(found, _, after)| *found == number && after.is_empty())?;
    writes_of(body)
}

/// A record that was cut short is the last, and was never acknowledged; one with later ones behind it was.
fn damaged(number: u64, later: u64) -> Error {
    let cause = format!("record {number} of the log is damaged, or missing: record {later} is there. Restore a backup");
    Error::Corrupt { key: "log".to_owned(), cause }
}

/// The records behind `applied` among those at the beginning of a file. It is read no further than they go: most of a file is room for more.
fn read(file: &File, length: u64, applied: u64, records: &mut BTreeMap<u64, Vec<Write>>) -> Result<(), Error> {
    let (mut from, mut left) = (BufReader::with_capacity(ZEROS.len(), file), length);
    let (mut bytes, mut expected) = (Vec::new(), None);
    loop {
        bytes.clear();
        left -= from.by_ref().take(HEADER as u64).read_to_end(&mut bytes)? as u64;
        let Some(size) = size_of_record(&bytes).filter(|size| u64::from(*size) <= left) else { return Ok(()) };
        left -= from.by_ref().take(size.into()).read_to_end(&mut bytes)? as u64;
        let Some((number, body, _)) = framed(&bytes) else {
            let number = expected.or_else(|| number_of(&bytes)).unwrap_or_default();
            return match record(&mut from, left)? {
                Some(later) if later == number + 1 && later > applied => Err(damaged(number, later)),
                _ => Ok(()),
            };
        };
        if expected.is_some_and(|expected| expected != number) {
            return Ok(());
        }
        expected = Some(number + 1);
        if number > applied {
            let Some(writes) = writes_of(body) else { return Ok(()) };
            records.insert(number, writes);
        }
    }
}

/// The number of the whole record that comes next, if one does.
fn record(from: &mut BufReader<&File>, left: u64) -> io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    from.by_ref().take((HEADER as u64).min(left)).read_to_end(&mut bytes)?;
    let left = left - bytes.len() as u64;
    let Some(size) = size_of_record(&bytes).filter(|size| u64::from(*size) <= left) else { return Ok(None) };
    from.take(size.into()).read_to_end(&mut bytes)?;
    Ok(framed(&bytes).map(|(number, _, _)| number))
}

fn number_of(header: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(header.get(12..HEADER)?.try_into().ok()?))
}

/// One key and its new value.
pub(crate) type Write = (Vec<u8>, Option<Vec<u8>>);

/// A record's number and body, and the bytes behind it; `None` where it is not whole.
fn framed(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let size = usize::try_from(size_of_record(bytes)?).ok()?;
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let (body, after) = rest.split_at_checked(size)?;
    if crc32fast::hash(&bytes[12..HEADER + size]) != word(header, 8)? {
        return None;
    }
    Some((u64::from_le_bytes(header[12..].try_into().ok()?), body, after))
}

/// How long the body is, as a header says.
fn size_of_record(header: &[u8]) -> Option<u32> {
    if header.len() >= HEADER && header.starts_with(&MAGIC) { word(header, 4) } else { None }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn writes_of(mut body: &[u8]) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    while !body.is_empty() {
        let (lengths, rest) = body.split_at_checked(8)?;
        let key = u32::from_le_bytes(lengths[..4].try_into().ok()?);
        let value = u32::from_le_bytes(lengths[4..].try_into().ok()?);
        let (key, rest) = rest.split_at_checked(usize::try_from(key).ok()?)?;
        let (value, rest) = match value {
            DELETED => (None, rest),
            length => {
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Some(value.to_vec()), rest)
            }
        };
        writes.push((key.to_vec(), value));
        body = rest;
    }
    Some(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(pairs: &[(&str, Option<&str>)]) -> Writes {
        pairs.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.map(|v| v.as_bytes().to_vec()))).collect()
    }

    #[test]
    fn a_deletion_takes_no_large_puts_along() {
        let (put, delete) = (writes(&[("a", Some("1"))]), writes(&[("a", Some("1")), ("b", None)]));
        assert!(needs_room(&put, false) && !needs_room(&put, true) && !needs_room(&delete, false));
        let large = Writes::from([(vec![1], Some(vec![0; BESIDE_DELETIONS + 1])), (vec![2], None)]);
        assert!(needs_room(&large, false) && needs_room(&large, true));
    }

    #[test]
    fn what_was_appended_is_found_again_after_what_was_applied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let (mut log, found) = Log::open(&path, 0).unwrap();
        assert!(found.is_empty());
        log.append(&writes(&[("a", Some("1")), ("b", Some("1"))])).unwrap();
        log.append(&writes(&[("a", None)])).unwrap();
        log.turn();
        log.append(&writes(&[("c", Some("3"))])).unwrap();
        let (log, found) = Log::open(&path, 0).unwrap();
        assert_eq!((found, log.last()), (writes(&[("a", None), ("b", Some("1")), ("c", Some("3"))]), 3));
        assert_eq!(Log::open(&path, 1).unwrap().1, writes(&[("a", None), ("c", Some("3"))]));
        let (mut log, found) = Log::open(&path, 3).unwrap();
        assert!(found.is_empty());
        // Written over the first record; the second one, which does not follow it, is left from before.
        log.append(&writes(&[("d", Some("4"))])).unwrap();
        assert_eq!(Log::open(&path, 3).unwrap().1, writes(&[("d", Some("4"))]));
        assert!(Log::open(&path, 2).is_ok());
        assert!(matches!(Log::open(&path, 0), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn a_record_that_was_cut_short_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let (mut log, _) = Log::open(&path, 0).unwrap();
        log.append(&writes(&[("a", Some("1"))])).unwrap();
        let whole = log.bytes();
        log.append(&writes(&[("b", Some("a longer value"))])).unwrap();
        for damaged in [whole, whole + 9, whole + 25, log.bytes() - 1] {
            let file = OpenOptions::new().read(true).write(true).open(dir.path().join("t.db-log0")).unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, damaged).unwrap();
            file.write_all_at(&[byte[0] ^ 1], damaged).unwrap();
            assert_eq!(Log::open(&path, 0).unwrap().1, writes(&[("a", Some("1"))]), "at {damaged}");
            file.write_all_at(&byte, damaged).unwrap();
        }
        assert_eq!(Log::open(&path, 0).unwrap().1.len(), 2);
    }

    #[test]
    fn a_damaged_record_with_later_ones_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let (mut log, _) = Log::open(&path, 0).unwrap();
        let mut starts = vec![0];
        for name in ["a", "b", "c"] {
            log.append(&writes(&[(name, Some("1"))])).unwrap();
            starts.push(log.bytes());
        }
        log.turn();
        log.append(&writes(&[("d", Some("1"))])).unwrap();
        let flip = |at: u64| {
            let file = OpenOptions::new().read(true).write(true).open(dir.path().join("t.db-log0")).unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        };
        for start in &starts[..3] {
            let body = start + HEADER as u64 + 9;
            flip(body);
            assert!(matches!(Log::open(&path, 0), Err(Error::Corrupt { .. })), "at {body}");
            flip(body);
        }
        // What is in the database already needs no log.
        flip(HEADER as u64 + 9);
        assert_eq!(Log::open(&path, 3).unwrap().1, writes(&[("d", Some("1"))]));
    }
}
