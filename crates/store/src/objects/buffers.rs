//! Memory that pieces of files are read into. It is used again and again: to get it anew each time, zeroed and page by page, costs about
//! as much as to copy a file's bytes into it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// What one read brings into memory at most: it and what reads it stay within a processor's second cache.
pub(super) const CHUNK: usize = 256 << 10;
/// What is smaller has memory of its own.
const SMALL: usize = 32 << 10;
/// So many are kept when nobody needs them.
const SPARE: usize = 16;

static BUFFERS: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

fn spare() -> MutexGuard<'static, Vec<Box<[u8]>>> {
    BUFFERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A piece of memory with a length.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
}

impl Buffer {
    pub(super) fn of(len: usize) -> Self {
        let bytes = if (SMALL..=CHUNK).contains(&len) {
            let found = spare().pop();
            found.unwrap_or_else(|| vec![0; CHUNK].into())
        } else {
            vec![0; len].into()
        };
        Self { bytes, len }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// Whoever holds the answer, or a part of it, holds the memory.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() == CHUNK {
            let mut spare = spare();
            if spare.len() < SPARE {
                spare.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_not_used_again() {
        let mut first = Buffer::of(CHUNK);
        first.bytes().fill(1);
        let first = first.freeze();
        let part = first.slice(10..20);
        drop(first);
        let mut second = Buffer::of(SMALL + 1);
        assert_eq!(second.bytes().len(), SMALL + 1);
        second.bytes().fill(2);
        assert_eq!(part[..], [1; 10]);
        for len in [0, 1, SMALL - 1, SMALL, CHUNK, CHUNK + 1] {
            assert_eq!(Buffer::of(len).freeze().len(), len);
        }
    }
}
