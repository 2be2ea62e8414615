//! Programs and matches without a query around them.

use super::matcher::{Conditions, Match, Matcher};
use super::{Label, Pattern, program};
use crate::error::Result;

/// Rows by their letters: a row is of the variable of its letter; `*` is of every one.
struct Letters<'a>(&'a str);

impl Conditions for Letters<'_> {
    fn hold(&mut self, label: Label, row: usize, _: &[Label]) -> Result<(bool, u64)> {
        let letter = self.0.as_bytes()[row];
        Ok((letter == b'*' || letter == b'a' + u8::try_from(label).unwrap(), 0))
    }
}

fn many(inner: Pattern, reluctant: bool) -> Pattern {
    Pattern::Repeat { inner: Box::new(inner), min: 0, max: None, reluctant }
}

fn find(pattern: &Pattern, rows: &str, is_free: bool) -> Result<Option<Match>> {
    let ops = program::compile(pattern)?;
    Matcher::new(&ops, rows.len(), is_free)?.find(0, &mut Letters(rows))
}

#[test]
fn the_first_way_counts() {
    let (a, b) = (Pattern::Label(0), Pattern::Label(1));
    for is_free in [true, false] {
        let length = |pattern: &Pattern, rows| find(pattern, rows, is_free).unwrap().map(|found| found.labels);
        assert_eq!(length(&many(a.clone(), false), "aab"), Some(vec![0, 0]));
        assert_eq!(length(&many(a.clone(), true), "aab"), Some(vec![]));
        let both = Pattern::Concat(vec![many(a.clone(), true), b.clone()]);
        assert_eq!(length(&both, "a*b"), Some(vec![0, 1]));
        assert_eq!(length(&both, "aca"), None);
        assert_eq!(length(&Pattern::Or(vec![b.clone(), a.clone()]), "*"), Some(vec![1]));
        assert_eq!(length(&Pattern::Permute(vec![a.clone(), b.clone()]), "ba"), Some(vec![1, 0]));
        // A loop over nothing ends.
        assert_eq!(length(&many(many(a.clone(), false), false), "aa"), Some(vec![0, 0]));
        assert_eq!(length(&Pattern::Concat(vec![a.clone(), Pattern::End]), "ab"), None);
    }
    let hidden = Pattern::Concat(vec![a, Pattern::Exclude(Box::new(b))]);
    assert_eq!(find(&hidden, "ab", true).unwrap().unwrap().hidden, [false, true]);
}

#[test]
fn hostile_patterns_end() {
    let a = Pattern::Label(0);
    let either = || many(Pattern::Or(vec![Pattern::Label(0), Pattern::Label(0)]), false);
    let hostile = Pattern::Concat(vec![either(), either(), either(), Pattern::Label(1)]);
    // Conditions that look at rows alone: each place at each row once.
    assert_eq!(find(&hostile, &"a".repeat(20_000), true).unwrap(), None);
    let error = find(&hostile, &"a".repeat(60), false).unwrap_err();
    assert!(error.message.starts_with("EXCEEDED_CPU_LIMIT"), "{}", error.message);
    let long = |inner: Pattern, n| Pattern::Repeat { inner: Box::new(inner), min: n, max: Some(n), reluctant: false };
    assert!(program::compile(&long(long(long(a.clone(), 1000), 1000), 1000)).is_err());
    assert!(program::compile(&Pattern::Permute(vec![a.clone(); 12])).is_err());
    // Nothing, however often, is nothing, and takes no time to find out.
    let nothing = long(long(Pattern::Empty, 4_000_000_000), 4_000_000_000);
    assert_eq!(program::compile(&Pattern::Concat(vec![a.clone(), nothing])).unwrap().len(), 2);
    let wide = Pattern::Concat([vec![a], vec![Pattern::Empty; 100_000]].concat());
    assert!(program::compile(&long(wide, 9_000)).is_err());
}
