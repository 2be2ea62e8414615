//! What becomes of a batch of a stream that failed.

/// How a call with a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// What was called failed, or said from which record on it did.
    FailedAt(usize),
    /// It found no room, or the platform failed: nobody has been asked.
    NotCalled,
}

/// What a mapping or a pipe says of batches that fail.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// None: without an end.
    pub most: Option<i32>,
    pub bisect: bool,
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub struct After<T> {
    pub done: Vec<T>,
    /// To be delivered again, the next last, each with how often it has failed.
    pub again: Vec<(Vec<T>, i32)>,
    pub given_up: Vec<T>,
    /// How often what failed has failed now.
    pub tries: i32,
}

impl Retries {
    /// Only failures of what was called are counted, and none that splits its batch. Source: Lambda Developer Guide, "Process DynamoDB
    /// records with Lambda", errors: throttles are retried until the records expire or exceed the maximum age; "Splitting batches
    /// doesn't consume the retry quota".
    pub fn after<T>(self, mut piece: Vec<T>, tries: i32, outcome: Outcome) -> After<T> {
        let (done, bad) = match outcome {
            Outcome::Done => return After { done: piece, again: Vec::new(), given_up: Vec::new(), tries },
            Outcome::NotCalled => {
                return After { done: Vec::new(), again: vec![(piece, tries)], given_up: Vec::new(), tries };
            }
            Outcome::FailedAt(at) => {
                let bad = piece.split_off(at.min(piece.len()));
                (piece, bad)
            }
        };
        // Where some of it is done with, what is left is another batch.
        let before = if done.is_empty() { tries } else { 0 };
        let tries = before + 1;
        if self.bisect && bad.len() > 1 {
            let mut first = bad;
            let second = first.split_off(first.len() / 2);
            return After { done, again: vec![(second, before), (first, before)], given_up: Vec::new(), tries };
        }
        if self.most.is_some_and(|most| tries > most) {
            return After { done, again: Vec::new(), given_up: bad, tries };
        }
        After { done, again: vec![(bad, tries)], given_up: Vec::new(), tries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers 0 to `count` as a mapping does, to a function that fails where a batch holds `poison`: what succeeded, what was given
    /// up, and how many invocations that took. Of the first invocations `throttled` do not come about.
    fn deliver(retries: Retries, count: u32, poison: u32, throttled: usize) -> (Vec<u32>, Vec<u32>, usize) {
        let (mut done, mut given_up, mut calls) = (Vec::new(), Vec::new(), 0);
        let mut pieces = vec![((0..count).collect::<Vec<_>>(), 0)];
        while let Some((piece, tries)) = pieces.pop() {
            calls += 1;
            assert!(calls < 1000, "it ends");
            let outcome = match piece.contains(&poison) {
                _ if calls <= throttled => Outcome::NotCalled,
                true => Outcome::FailedAt(0),
                false => Outcome::Done,
            };
            let after = retries.after(piece, tries, outcome);
            done.extend(after.done);
            given_up.extend(after.given_up);
            pieces.extend(after.again);
        }
        (done, given_up, calls)
    }

    #[test]
    fn bisecting_uses_up_no_retries() {
        for most in [0, 1, 2, 5] {
            let (done, given_up, calls) = deliver(Retries { most: Some(most), bisect: true }, 16, 11, 0);
            assert_eq!(given_up, [11], "retries: {most}");
            assert_eq!(done, (0..16).filter(|record| *record != 11).collect::<Vec<_>>(), "in their order");
            // Four splits, the four halves that are good, and the last one's own tries.
            assert_eq!(calls, 8 + 1 + usize::try_from(most).unwrap());
        }
        let (done, given_up, calls) = deliver(Retries { most: Some(1), bisect: false }, 16, 11, 0);
        assert_eq!((done.len(), given_up.len(), calls), (0, 16, 2));
    }

    #[test]
    fn what_was_never_delivered_is_not_given_up() {
        for bisect in [false, true] {
            let (done, given_up, calls) = deliver(Retries { most: Some(0), bisect }, 8, 99, 50);
            assert_eq!((done.len(), given_up.len(), calls), (8, 0, 51));
        }
    }

    #[test]
    fn what_is_left_of_a_batch_begins_anew() {
        let retries = Retries { most: Some(1), bisect: false };
        let after = retries.after(vec![1, 2, 3], 1, Outcome::FailedAt(1));
        assert_eq!(after, After { done: vec![1], again: vec![(vec![2, 3], 1)], given_up: vec![], tries: 1 });
        let after = retries.after(vec![2, 3], 1, Outcome::FailedAt(0));
        assert_eq!(after, After { done: vec![], again: vec![], given_up: vec![2, 3], tries: 2 });
    }
}
