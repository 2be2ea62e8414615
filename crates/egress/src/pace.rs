//! How fast an endpoint is called, and how many calls of it are under way at once: one that does not answer is not to take the places of
//! all others.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// When each that is held back is next called; the calls under way by endpoint.
#[derive(Debug, Default)]
pub struct Pace {
    next: Mutex<BTreeMap<String, i64>>,
    busy: Mutex<BTreeMap<String, usize>>,
}

/// A turn would come too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

/// One of the calls that an endpoint may have at once, until it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    pace: &'a Pace,
    of: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut busy = self.pace.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = busy.get_mut(&self.of) {
            *calls -= 1;
            if *calls == 0 {
                busy.remove(&self.of);
            }
        }
    }
}

impl Pace {
    /// When it is the caller's turn, if not now: the turns of those that wait are one after the other. Times and intervals are in one
    /// unit of the caller's.
    pub fn turn(&self, of: &str, interval: i64, now: i64) -> Option<i64> {
        self.turn_by(of, interval, now, i64::MAX).unwrap_or_default()
    }

    /// The same for what is of no use later: it takes no turn of those that are.
    ///
    /// # Errors
    /// Where its turn would come too late.
    pub fn turn_by(&self, of: &str, interval: i64, now: i64, latest: i64) -> Result<Option<i64>, TooLate> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody waits for any more is dropped on the way.
        next.retain(|other, at| other == of || *at > now);
        let at = next.get(of).copied().unwrap_or(now).max(now);
        if at > now && at >= latest {
            return Err(TooLate);
        }
        next.insert(of.to_owned(), at + interval);
        Ok((at > now).then_some(at))
    }

    /// A place among the calls of an endpoint; none where it has as many as it may.
    pub fn place(&self, of: &str, most: usize) -> Option<Place<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = busy.entry(of.to_owned()).or_default();
        if *calls >= most {
            return None;
        }
        *calls += 1;
        Some(Place { pace: self, of: of.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, TooLate};

    #[test]
    fn turns_are_one_after_the_other() {
        let pace = Pace::default();
        assert_eq!(pace.turn("a", 100, 1000), None);
        assert_eq!(pace.turn("a", 100, 1000), Some(1100));
        assert_eq!(pace.turn("b", 100, 1000), None);
        assert_eq!(pace.turn("a", 100, 1050), Some(1200));
        assert_eq!(pace.turn("a", 100, 5000), None);
    }

    #[test]
    fn what_comes_too_late_takes_no_turn() {
        let pace = Pace::default();
        let turn = |now| pace.turn_by("a", 100, now, now + 250);
        assert_eq!([turn(1000), turn(1000), turn(1000)], [Ok(None), Ok(Some(1100)), Ok(Some(1200))]);
        for _ in 0..1000 {
            assert_eq!(turn(1000), Err(TooLate));
        }
        assert_eq!(turn(1100), Ok(Some(1300)));
    }

    #[test]
    fn places_are_given_back() {
        let pace = Pace::default();
        let (one, two) = (pace.place("a", 2), pace.place("a", 2));
        assert!(one.is_some() && two.is_some() && pace.place("a", 2).is_none() && pace.place("b", 2).is_some());
        drop(one);
        assert!(pace.place("a", 2).is_some());
    }
}
