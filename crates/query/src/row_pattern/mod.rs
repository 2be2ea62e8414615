//! Row pattern recognition: MATCH_RECOGNIZE as Trino has it (SQL:2016, part 2, 7.6 and ISO/IEC TR 19075-5).
//!
//! Map: [`spec`] what the clause says besides expressions · [`program`] its pattern as instructions · [`matcher`] finds one match ·
//! [`plan`] expressions taken apart into what is read of a match · [`table`] the relation in a plan · [`exec`] rows in, matches out.
//!
//! An expression over a match reads rows of it: the last one of a variable, the one before that, how many there are. Each such
//! reading is a [`Leaf`], a column of its own; what is left of MEASURES is a projection above the matches, and what is left of
//! DEFINE is evaluated over leaves. A condition that reads rows by their distance from its own alone (`price < PREV(price)`)
//! does not depend on the match: it is evaluated for all rows at once, and then no place of a pattern is tried twice at a row.

mod exec;
mod matcher;
mod plan;
mod program;
mod spec;
mod table;

pub(crate) use plan::{INPUT, is_marker_name as is_marker, markers, planned};
pub(crate) use spec::{Label, Pattern, Rows, Skip, Spec};
pub(crate) use table::MatchTable;

/// What is read of a match for one row of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// A column of the input at a row.
    Column {
        column: usize,
        at: Navigation,
    },
    /// The variable that a row was matched to.
    Classifier(Navigation),
    MatchNumber,
    /// An aggregate, by its place in the list of them, over rows of some variables.
    Aggregate {
        aggregate: usize,
        labels: Vec<Label>,
        is_final: bool,
    },
}

/// A row of a match, or near it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Navigation {
    /// Which variables' rows count; none: all rows.
    pub(crate) labels: Vec<Label>,
    /// Counted from the end.
    pub(crate) from_last: bool,
    pub(crate) offset: usize,
    /// Of the whole match, not only of what of it is up to the current row.
    pub(crate) is_final: bool,
    /// From there on, rows of the partition.
    pub(crate) then: i64,
}

impl Navigation {
    /// `x` alone is `RUNNING LAST(x, 0)`.
    pub(crate) fn current(labels: Vec<Label>) -> Self {
        Self { labels, from_last: true, offset: 0, is_final: false, then: 0 }
    }

    /// Whether a row that is tried for `label` is itself what this begins with.
    pub(crate) fn is_own(&self, label: Label) -> bool {
        self.from_last && self.offset == 0 && !self.is_final && (self.labels.is_empty() || self.labels.contains(&label))
    }
}

#[cfg(test)]
mod tests;
