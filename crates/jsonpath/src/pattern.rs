//! The patterns of filters: `/…/` and `/…/i`. Checked when they are read, compiled when they are used.

use std::cell::RefCell;
use std::collections::VecDeque;

use regex::{Regex, RegexBuilder};

/// The largest compiled pattern, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// Compiled patterns that a thread keeps: a definition can have ten thousands.
const KEPT: usize = 16;

/// A pattern that the whole text must match.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern(String);

thread_local! {
    static COMPILED: RefCell<VecDeque<(String, Option<Regex>)>> = const { RefCell::new(VecDeque::new()) };
}

impl Pattern {
    /// `None`: it is no pattern.
    pub(super) fn new(source: &str, ignores_case: bool) -> Option<Self> {
        let flags = if ignores_case { "(?i)" } else { "" };
        let whole = format!("^(?:{flags}{source})$");
        regex_syntax::parse(&whole).ok().map(|_| Self(whole))
    }

    /// One that is too large when it is compiled matches nothing.
    pub(super) fn matches(&self, text: &str) -> bool {
        COMPILED.with_borrow_mut(|known| {
            let at = known.iter().position(|(source, _)| *source == self.0).unwrap_or_else(|| {
                if known.len() >= KEPT {
                    known.pop_front();
                }
                let compiled = RegexBuilder::new(&self.0).size_limit(MAX_COMPILED_BYTES).build().ok();
                known.push_back((self.0.clone(), compiled));
                known.len() - 1
            });
            known[at].1.as_ref().is_some_and(|regex| regex.is_match(text))
        })
    }
}
