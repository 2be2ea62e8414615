//! What a MATCH_RECOGNIZE says besides its expressions. It travels through sqlparser, whose own patterns say less, as the name
//! of the only symbol of a pattern.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Pattern variables are numbers: first those of the pattern, in the order of its text, then those of SUBSET.
pub(crate) type Label = u16;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Primary variables.
    pub(crate) labels: Vec<String>,
    /// Union variables and what they unite.
    pub(crate) subsets: Vec<(String, Vec<Label>)>,
    pub(crate) pattern: Pattern,
    pub(crate) rows: Rows,
    pub(crate) skip: Skip,
    /// Which variable each item of DEFINE is of.
    pub(crate) defined: Vec<Label>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Pattern {
    Empty,
    Label(Label),
    /// `^`
    Start,
    /// `$`
    End,
    Concat(Vec<Pattern>),
    /// The first that matches counts.
    Or(Vec<Pattern>),
    Permute(Vec<Pattern>),
    /// `{- … -}`: matched, and not shown.
    Exclude(Box<Pattern>),
    Repeat {
        inner: Box<Pattern>,
        min: u32,
        max: Option<u32>,
        reluctant: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Rows {
    /// ONE ROW PER MATCH
    One,
    /// ALL ROWS PER MATCH [SHOW EMPTY MATCHES]
    Show,
    Omit,
    WithUnmatched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Skip {
    PastLast,
    ToNext,
    ToFirst(Label),
    ToLast(Label),
}

impl Spec {
    /// The primary variables that a variable stands for.
    pub(crate) fn primary(&self, label: Label) -> Vec<Label> {
        let at = usize::from(label);
        match at.checked_sub(self.labels.len()).and_then(|at| self.subsets.get(at)) {
            Some((_, united)) => united.clone(),
            None => vec![label],
        }
    }

    /// As an identifier without capital letters.
    pub(crate) fn encode(spec: &std::result::Result<Self, (String, String)>) -> String {
        let text = serde_json::to_vec(spec).unwrap_or_default();
        let mut out = String::from(PREFIX);
        for byte in text {
            out.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            out.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        out
    }

    /// What [`Spec::encode`] wrote.
    ///
    /// # Errors
    /// What is wrong with the clause.
    pub(crate) fn decode(text: &str) -> Result<Self> {
        let unread = || Error::syntax(1, 1, "mismatched input 'PATTERN'");
        let digits = text.strip_prefix(PREFIX).ok_or_else(unread)?;
        let digits: Option<Vec<u8>> =
            digits.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let digits = digits.ok_or_else(unread)?;
        let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
        let spec: std::result::Result<Self, (String, String)> =
            serde_json::from_slice(&bytes).map_err(Error::internal)?;
        spec.map_err(|(code, message)| Error::user(1006, &code, message))
    }
}

const PREFIX: &str = "$pattern:";
