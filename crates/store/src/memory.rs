//! Records in a `BTreeMap`: for tests. Same contract as on disk, without the disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use crate::Error;
use crate::kv::{Backend, Job, Pair, RawTx};

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
pub(crate) struct Memory(Mutex<Records>);

impl Backend for Memory {
    fn read(&self, f: &mut dyn FnMut(&mut dyn RawTx)) -> Result<(), Error> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut MemoryTx { records: &mut records, undo: Vec::new() });
        Ok(())
    }

    fn write(&self, mut job: Box<dyn Job>) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tx = MemoryTx { records: &mut records, undo: Vec::new() };
        if !job.run(&mut tx) {
            let undo = std::mem::take(&mut tx.undo);
            for (key, old) in undo.into_iter().rev() {
                match old {
                    Some(value) => records.insert(key, value),
                    None => records.remove(&key),
                };
            }
        }
        drop(records);
        job.done(Ok(()));
    }
}

struct MemoryTx<'a> {
    records: &'a mut Records,
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl RawTx for MemoryTx<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.records.get(key).cloned())
    }
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let old = self.records.insert(key.to_vec(), value.to_vec());
        self.undo.push((key.to_vec(), old));
        Ok(())
    }
    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        if let Some(old) = self.records.remove(key) {
            self.undo.push((key.to_vec(), Some(old)));
        }
        Ok(())
    }
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let found = self.records.range::<[u8], _>(range).map(|(k, v)| (k.clone(), v.clone()));
        Ok(if reverse { found.rev().take(limit).collect() } else { found.take(limit).collect() })
    }
}
