//! Writes in memory over the records on disk: those that are committed but not in SQLite yet ([`Layers`]), and those of the batch under
//! way ([`Overlay`]). A request that fails takes its own writes back; what is written to one key again and again reaches SQLite once.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::Error;
use crate::kv::{Pair, RawTx};
use crate::log::Writes;

/// What lies below.
pub(crate) trait Records {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error>;
}

/// What is committed and in the log, but not in SQLite yet.
#[derive(Default)]
pub(crate) struct Layers {
    pub(crate) active: Writes,
    /// Being brought into SQLite.
    pub(crate) leaving: Option<Arc<Writes>>,
}

/// The records as committed: layers over SQLite.
pub(crate) struct View<'a, R> {
    pub(crate) layers: &'a Layers,
    pub(crate) base: &'a mut R,
}

impl<R: Records> Records for View<'_, R> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let leaving = || self.layers.leaving.as_ref().and_then(|leaving| leaving.get(key));
        match self.layers.active.get(key).or_else(leaving) {
            Some(written) => Ok(written.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        let tables = self.layers.leaving.as_deref().into_iter().chain([&self.layers.active]);
        merged(tables, from, to, limit, reverse, self.base)
    }
}

/// Records from `from` on, with what the tables, oldest first, have written over them.
fn merged<'t, R: Records>(
    tables: impl Iterator<Item = &'t Writes>,
    from: &[u8],
    to: Option<&[u8]>,
    limit: usize,
    reverse: bool,
    base: &mut R,
) -> Result<Vec<Pair>, Error> {
    if to.is_some_and(|to| to <= from) {
        return Ok(Vec::new());
    }
    let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
    let mut written: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
    for table in tables {
        written.extend(table.range::<[u8], _>(range).map(|(key, value)| (key.as_slice(), value.as_deref())));
    }
    if written.is_empty() {
        return base.scan(from, to, limit, reverse);
    }
    // Each deletion hides at most one record.
    let hidden = written.values().filter(|value| value.is_none()).count();
    let mut all: BTreeMap<Vec<u8>, Vec<u8>> =
        base.scan(from, to, limit.saturating_add(hidden), reverse)?.into_iter().collect();
    // Only what may be among the first `limit` is copied.
    let mut copied = 0;
    let in_order: &mut dyn Iterator<Item = _> =
        if reverse { &mut written.into_iter().rev() } else { &mut written.into_iter() };
    for (key, value) in in_order {
        match value {
            Some(value) if copied < limit => {
                all.insert(key.to_vec(), value.to_vec());
                copied += 1;
            }
            Some(_) => {}
            None => {
                all.remove(key);
            }
        }
    }
    let all = all.into_iter();
    Ok(if reverse { all.rev().take(limit).collect() } else { all.take(limit).collect() })
}

/// What the batch had written to a key before: nothing, a deletion, a value.
type Before = Option<Option<Vec<u8>>>;

/// What a batch has written so far.
#[derive(Default)]
pub(crate) struct Overlay {
    pub(crate) written: Writes,
    /// What the request under way has replaced, to take it back.
    undo: Vec<(Vec<u8>, Before)>,
}

impl Overlay {
    /// The request under way stays.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The request under way never was.
    pub(crate) fn take_back(&mut self) {
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(before) => self.written.insert(key, before),
                None => self.written.remove(&key),
            };
        }
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) {
        let before = self.written.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        self.undo.push((key.to_vec(), before));
    }
}

/// A request's view: its batch's writes over the records.
pub(crate) struct Over<'a, R> {
    pub(crate) overlay: &'a mut Overlay,
    pub(crate) records: R,
}

impl<R: Records> RawTx for Over<'_, R> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.overlay.written.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.records.get(key),
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.overlay.write(key, Some(value));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.overlay.write(key, None);
        Ok(())
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        merged([&self.overlay.written].into_iter(), from, to, limit, reverse, &mut self.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letters;

    /// `a` to `e`, each with itself.
    impl Records for Letters {
        fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            Ok(matches!(key, [b'a'..=b'e']).then(|| key.to_vec()))
        }
        fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
            let mut all: Vec<Pair> = (b'a'..=b'e').map(|letter| (vec![letter], vec![letter])).collect();
            all.retain(|(key, _)| key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to));
            if reverse {
                all.reverse();
            }
            all.truncate(limit);
            Ok(all)
        }
    }

    fn values(pairs: Vec<Pair>) -> Vec<u8> {
        pairs.into_iter().flat_map(|(_, value)| value).collect()
    }

    #[test]
    fn a_request_sees_its_batch_and_can_be_taken_back() {
        let mut overlay = Overlay::default();
        let mut over = Over { overlay: &mut overlay, records: Letters };
        over.delete(b"b").unwrap();
        over.put(b"c", b"3").unwrap();
        over.overlay.keep();
        over.put(b"c", b"4").unwrap();
        over.put(b"bb", b"2").unwrap();
        over.delete(b"a").unwrap();
        assert_eq!(values(over.scan(b"a", None, 3, false).unwrap()), b"24d");
        assert_eq!(values(over.scan(b"a", Some(b"e"), 2, true).unwrap()), b"d4");
        assert_eq!((over.get(b"a").unwrap(), over.get(b"bb").unwrap()), (None, Some(b"2".to_vec())));
        over.overlay.take_back();
        assert_eq!(values(over.scan(b"a", None, 9, false).unwrap()), b"a3de");
        assert_eq!(overlay.written.len(), 2);
    }

    #[test]
    fn newer_layers_hide_older_ones() {
        let table = |pairs: &[(&str, Option<&str>)]| -> Writes {
            pairs.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.map(|v| v.as_bytes().to_vec()))).collect()
        };
        let leaving = table(&[("a", None), ("b", Some("1")), ("f", Some("1")), ("g", Some("1"))]);
        let active = table(&[("b", Some("2")), ("c", None), ("g", None)]);
        let layers = Layers { active, leaving: Some(Arc::new(leaving)) };
        let mut view = View { layers: &layers, base: &mut Letters };
        assert_eq!(values(view.scan(b"a", None, 9, false).unwrap()), b"2de1");
        assert_eq!(values(view.scan(b"a", None, 2, false).unwrap()), b"2d");
        assert_eq!(values(view.scan(b"a", None, 3, true).unwrap()), b"1ed");
        let got: Vec<_> = ["a", "b", "d", "g"].map(|key| view.get(key.as_bytes()).unwrap()).into();
        assert_eq!(got, [None, Some(b"2".to_vec()), Some(b"d".to_vec()), None]);
    }
}
