//! Writes in memory over the records on disk: those that are committed but not in SQLite yet ([`Layers`]), and those of the batch under
//! way ([`Overlay`]). A request that fails takes its own writes back; what is written to one key again and again reaches SQLite once.

use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::Arc;

use crate::Error;
use crate::kv::{Pair, RawTx};
use crate::log::Writes;

/// What lies below.
pub(crate) trait Records {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    fn has(&mut self, key: &[u8]) -> Result<bool, Error>;
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error>;
}

/// What is committed and in the log, but not in SQLite yet.
#[derive(Default)]
pub(crate) struct Layers {
    pub(crate) active: Writes,
    /// Being brought into SQLite.
    pub(crate) leaving: Option<Arc<Writes>>,
}

impl Layers {
    fn get(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.active.get(key).or_else(|| self.leaving.as_ref().and_then(|leaving| leaving.get(key)))
    }
}

/// The records as committed: layers over SQLite.
pub(crate) struct View<'a, R> {
    pub(crate) layers: &'a Layers,
    pub(crate) base: &'a mut R,
}

impl<R: Records> Records for View<'_, R> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.layers.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.base.get(key),
        }
    }

    fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        match self.layers.get(key) {
            Some(written) => Ok(written.is_some()),
            None => self.base.has(key),
        }
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        let tables = [self.layers.leaving.as_deref(), Some(&self.layers.active)];
        merged(tables, (from, to), limit, reverse, self.base)
    }
}

/// Records from `from` on, with what the tables, the older one first, have written over them. Looks at no more than the answer needs.
fn merged<R: Records>(
    tables: [Option<&Writes>; 2],
    (from, to): (&[u8], Option<&[u8]>),
    limit: usize,
    reverse: bool,
    base: &mut R,
) -> Result<Vec<Pair>, Error> {
    if limit == 0 || to.is_some_and(|to| to <= from) {
        return Ok(Vec::new());
    }
    let mut written = Written::new(tables, from, to, reverse);
    let mut head = written.next();
    if head.is_none() {
        return base.scan(from, to, limit, reverse);
    }
    let (mut from, mut to) = (from.to_vec(), to.map(<[u8]>::to_vec));
    let mut pairs = Vec::new();
    loop {
        let wanted = limit - pairs.len();
        let below = base.scan(&from, to.as_deref(), wanted, reverse)?;
        let is_last = below.len() < wanted;
        for (key, value) in below {
            // Where the next piece begins, should this one be too short: written records may be deleted ones.
            if reverse {
                to = Some(key.clone());
            } else {
                from.clone_from(&key);
                from.push(0);
            }
            while let Some((at, over)) = head.filter(|(at, _)| precedes(at, &key, reverse)) {
                head = written.next();
                pairs.extend(over.map(|over| (at.to_vec(), over.to_vec())));
                if pairs.len() == limit {
                    return Ok(pairs);
                }
            }
            if let Some((_, over)) = head.filter(|(at, _)| *at == key) {
                head = written.next();
                pairs.extend(over.map(|over| (key, over.to_vec())));
            } else {
                pairs.push((key, value));
            }
            if pairs.len() == limit {
                return Ok(pairs);
            }
        }
        if is_last {
            break;
        }
    }
    let rest = head.into_iter().chain(written).filter_map(|(key, value)| Some((key.to_vec(), value?.to_vec())));
    pairs.extend(rest.take(limit - pairs.len()));
    Ok(pairs)
}

fn precedes(a: &[u8], b: &[u8], reverse: bool) -> bool {
    if reverse { a > b } else { a < b }
}

/// A key, and what was written to it last.
type Entry<'t> = (&'t [u8], Option<&'t [u8]>);

/// What is left of a table's range.
type Left<'t> = Range<'t, Vec<u8>, Option<Vec<u8>>>;

/// What two tables hold in a range, in order; of a key that both have, what the second one has.
struct Written<'t> {
    ranges: [Option<Left<'t>>; 2],
    heads: [Option<Entry<'t>>; 2],
    reverse: bool,
}

impl<'t> Written<'t> {
    fn new(tables: [Option<&'t Writes>; 2], from: &[u8], to: Option<&[u8]>, reverse: bool) -> Self {
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let ranges = tables.map(|table| table.map(|table| table.range::<[u8], _>(bounds)));
        let mut written = Self { ranges, heads: [None; 2], reverse };
        written.advance(0);
        written.advance(1);
        written
    }

    fn advance(&mut self, table: usize) {
        let next =
            self.ranges[table].as_mut().and_then(|range| if self.reverse { range.next_back() } else { range.next() });
        self.heads[table] = next.map(|(key, value)| (key.as_slice(), value.as_deref()));
    }
}

impl<'t> Iterator for Written<'t> {
    type Item = Entry<'t>;

    fn next(&mut self) -> Option<Entry<'t>> {
        let table = match self.heads {
            [None, None] => return None,
            [Some(_), None] => 0,
            [None, Some(_)] => 1,
            [Some((older, _)), Some((newer, _))] if older == newer => {
                self.advance(0);
                1
            }
            [Some((older, _)), Some((newer, _))] => usize::from(!precedes(older, newer, self.reverse)),
        };
        let entry = self.heads[table];
        self.advance(table);
        entry
    }
}

/// What a batch has written so far.
#[derive(Default)]
pub(crate) struct Overlay {
    pub(crate) written: Writes,
    /// How much that is, at most.
    pub(crate) bytes: usize,
    /// The same of the request under way, which may yet be taken back.
    pending: Writes,
}

impl Overlay {
    /// The request under way stays.
    pub(crate) fn keep(&mut self) {
        self.bytes +=
            self.pending.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        if self.written.is_empty() {
            std::mem::swap(&mut self.written, &mut self.pending);
        } else {
            self.written.extend(std::mem::take(&mut self.pending));
        }
    }

    /// The request under way never was.
    pub(crate) fn take_back(&mut self) {
        self.pending.clear();
    }

    fn get(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.pending.get(key).or_else(|| self.written.get(key))
    }
}

/// A request's view: its batch's writes over the records.
pub(crate) struct Over<'a, R> {
    pub(crate) overlay: &'a mut Overlay,
    pub(crate) records: R,
}

impl<R: Records> RawTx for Over<'_, R> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.overlay.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.records.get(key),
        }
    }

    fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
        match self.overlay.get(key) {
            Some(written) => Ok(written.is_some()),
            None => self.records.has(key),
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.overlay.pending.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.overlay.pending.insert(key.to_vec(), None);
        Ok(())
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, limit: usize, reverse: bool) -> Result<Vec<Pair>, Error> {
        let tables = [Some(&self.overlay.written), Some(&self.overlay.pending)];
        merged(tables, (from, to), limit, reverse, &mut self.records)
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
        fn has(&mut self, key: &[u8]) -> Result<bool, Error> {
            Ok(self.get(key)?.is_some())
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
        assert_eq!(over.overlay.bytes, 3);
        over.put(b"c", b"4").unwrap();
        over.put(b"bb", b"2").unwrap();
        over.delete(b"a").unwrap();
        assert_eq!(values(over.scan(b"a", None, 3, false).unwrap()), b"24d");
        assert_eq!(values(over.scan(b"a", Some(b"e"), 2, true).unwrap()), b"d4");
        assert_eq!((over.get(b"a").unwrap(), over.get(b"bb").unwrap()), (None, Some(b"2".to_vec())));
        over.overlay.take_back();
        assert_eq!(values(over.scan(b"a", None, 9, false).unwrap()), b"a3de");
        assert_eq!((overlay.written.len(), overlay.bytes), (2, 3));
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

    /// Any range, limit and direction: as if all that was written had been put over all that was there.
    #[test]
    fn a_scan_finds_what_a_look_at_everything_would() {
        let mut state = 1_u64;
        let mut draw = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let mut table = || -> Writes {
                let mut one = || (vec![b'a' + u8::try_from(draw(7)).unwrap()], (draw(2) == 0).then(|| vec![b'0']));
                (0..3).map(|_| one()).collect()
            };
            let (older, newer) = (table(), table());
            let mut all: Writes = (b'a'..=b'e').map(|letter| (vec![letter], Some(vec![letter]))).collect();
            all.extend(older.clone());
            all.extend(newer.clone());
            let all: Vec<Pair> = all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            for (from, to) in [("a", None), ("b", Some("e")), ("c", Some("g")), ("d", None)] {
                for (limit, reverse) in (1..8).flat_map(|limit| [(limit, false), (limit, true)]) {
                    let (from, to) = (from.as_bytes(), to.map(str::as_bytes));
                    let mut wanted = all.clone();
                    wanted.retain(|(key, _)| key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to));
                    if reverse {
                        wanted.reverse();
                    }
                    wanted.truncate(limit);
                    let found = merged([Some(&older), Some(&newer)], (from, to), limit, reverse, &mut Letters);
                    assert_eq!(found.unwrap(), wanted, "{older:?} {newer:?} {from:?} {to:?} {limit} {reverse}");
                }
            }
        }
    }
}
