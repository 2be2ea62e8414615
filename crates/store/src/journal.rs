//! What records held before an attempt of a job changed them, for the change to be undone. A transaction that is told to keep
//! a journal ([`Tx::keep_journal`]) notes each change of the records that it is told of, in the same transaction.
//!
//! Rows: `journal/<job>/<key>` holds what the record was and what it became. Not here: who decides that a change is undone.

use std::sync::Arc;

use crate::Error;
use crate::key::Key;
use crate::kv::Tx;

/// Which records' changes are noted.
pub type Noted = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// A journal that a transaction keeps.
#[derive(Clone)]
pub(crate) struct Journal {
    job: Arc<str>,
    of: Noted,
}

/// A record that a job has changed. `None`: there was no such record, or there is none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Vec<u8>,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
    /// Somebody else has changed the record between two changes of the job's: `before` is theirs, and may rest on what the job had made
    /// of it earlier.
    pub is_mixed: bool,
}

fn prefix() -> Key {
    Key::new("\u{1}journal")
}

fn of(job: &str) -> Key {
    prefix().push(job)
}

impl Tx<'_> {
    /// From here on this transaction notes, under the name of `job`, what it changes of the records that `noted` names.
    pub fn keep_journal(&mut self, job: &str, noted: Noted) {
        self.journal = Some(Journal { job: job.into(), of: noted });
    }

    /// All that the job has changed, in the order of keys.
    pub fn journal(&mut self, job: &str) -> Result<Vec<Change>, Error> {
        let rows = self.scan_prefix(of(job), usize::MAX >> 1)?;
        rows.into_iter().map(|(place, row)| decode(&place, &row)).collect()
    }

    pub fn has_journal(&mut self, job: &str) -> Result<bool, Error> {
        Ok(!self.scan_prefix(of(job), 1)?.is_empty())
    }

    /// The changes stand.
    pub fn forget_journal(&mut self, job: &str) -> Result<(), Error> {
        for (key, _) in self.scan_prefix(of(job), usize::MAX >> 1)? {
            self.delete(key)?;
        }
        Ok(())
    }

    /// Jobs that have a journal, the first after `after`.
    pub fn next_journal(&mut self, after: Option<&str>) -> Result<Option<String>, Error> {
        let from = match after {
            // Keys of a job begin with its own prefix; the next job's are behind all of them.
            Some(job) => crate::key::prefix_end(of(job).as_bytes()).unwrap_or_default(),
            None => prefix().into_bytes(),
        };
        let to = crate::key::prefix_end(prefix().as_bytes());
        let found = self.scan(&from, to.as_deref(), 1, false)?;
        Ok(found.first().and_then(|(key, _)| String::from_utf8(Key::parts(key).into_iter().nth(1)?).ok()))
    }

    /// Notes a change that is about to be made.
    pub(crate) fn note(&mut self, key: &[u8], after: Option<&[u8]>) -> Result<(), Error> {
        let Some(journal) = self.journal.clone().filter(|journal| (journal.of)(key)) else { return Ok(()) };
        let place = of(&journal.job).push(key);
        let now = self.get(key)?;
        let (before, is_mixed) = match self.get(&place)?.map(|row| decode(place.as_bytes(), &row)).transpose()? {
            Some(noted) if noted.after == now => (noted.before, noted.is_mixed),
            // Somebody else's change came in between: that is what undo goes back to.
            Some(_) => (now, true),
            None => (now, false),
        };
        let row = encode(before.as_deref(), after, is_mixed);
        self.put_raw(place.as_bytes(), &row)
    }
}

/// Version (2: mixed), then each value: whether there is one, its length, its bytes.
fn encode(before: Option<&[u8]>, after: Option<&[u8]>, is_mixed: bool) -> Vec<u8> {
    let mut row = vec![1 + u8::from(is_mixed)];
    for value in [before, after] {
        row.push(u8::from(value.is_some()));
        let bytes = value.unwrap_or_default();
        row.extend((bytes.len() as u64).to_be_bytes());
        row.extend(bytes);
    }
    row
}

fn decode(place: &[u8], row: &[u8]) -> Result<Change, Error> {
    let value = |row: &[u8]| -> Option<(Option<Vec<u8>>, usize)> {
        let length = usize::try_from(u64::from_be_bytes(row.get(1..9)?.try_into().ok()?)).ok()?;
        let bytes = row.get(9..9 + length)?;
        Some(((row[0] == 1).then(|| bytes.to_vec()), 9 + length))
    };
    let read = || {
        let (version, rest) = row.split_first()?;
        let is_mixed = match version {
            1 => false,
            2 => true,
            _ => return None,
        };
        let (before, length) = value(rest)?;
        let (after, _) = value(&rest[length..])?;
        Some(Change { key: Key::parts(place).pop()?, before, after, is_mixed })
    };
    read().ok_or_else(|| Error::Corrupt { key: "journal".to_owned(), cause: "a row of another form".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn all() -> Noted {
        Arc::new(|key: &[u8]| key.starts_with(b"r"))
    }

    async fn set(store: &Store, job: Option<&'static str>, changes: &'static [(&'static str, Option<&'static str>)]) {
        let write = store.write(move |tx| {
            if let Some(job) = job {
                tx.keep_journal(job, all());
            }
            for (key, value) in changes {
                match value {
                    Some(value) => tx.put(key, value.as_bytes())?,
                    None => tx.delete(key)?,
                }
            }
            Ok::<_, Error>(())
        });
        write.await.unwrap();
    }

    #[tokio::test]
    async fn the_first_change_is_what_counts() {
        let store = Store::memory();
        set(&store, None, &[("ra", Some("1")), ("rb", Some("1"))]).await;
        set(&store, Some("j"), &[("ra", Some("2")), ("rb", None), ("rc", Some("2")), ("other", Some("2"))]).await;
        set(&store, Some("j"), &[("ra", Some("3")), ("rc", None)]).await;
        set(&store, None, &[("rb", Some("somebody"))]).await;
        set(&store, Some("j"), &[("rb", Some("4"))]).await;
        let text = |value: Option<Vec<u8>>| value.map(|bytes| String::from_utf8(bytes).unwrap());
        let seen = store.read(|tx| tx.journal("j")).await.unwrap().into_iter().map(|change| {
            assert_eq!(change.is_mixed, change.key == b"rb");
            (String::from_utf8(change.key).unwrap(), text(change.before), text(change.after))
        });
        let some = |text: &str| Some(text.to_owned());
        let expected = [("ra", some("1"), some("3")), ("rb", some("somebody"), some("4")), ("rc", None, None)];
        assert!(seen.eq(expected.map(|(key, before, after)| (key.to_owned(), before, after))));
        assert_eq!(store.read(|tx| tx.next_journal(None)).await.unwrap().as_deref(), Some("j"));
        assert_eq!(store.read(|tx| tx.next_journal(Some("j"))).await.unwrap(), None);
        store.write(|tx| tx.forget_journal("j")).await.unwrap();
        assert!(!store.read(|tx| tx.has_journal("j")).await.unwrap());
    }
}
