//! Finds the match that a pattern prefers, by trying ways in the order of preference. At one row and with one history no
//! instruction is tried twice, so loops over nothing end; where conditions do not depend on history, none is tried twice at
//! one row at all, and what has failed is remembered from one start to the next.

use super::Label;
use super::program::Op;
use crate::error::{Error, Result};

/// Instructions that one match may take where conditions depend on its history: what is tried may then grow with every row.
const MOST_STEPS: u64 = 20_000_000;
/// Bits that remember what was tried: 256 MB.
const MOST_BITS: usize = 1 << 31;

/// Each row's variable, and whether it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) labels: Vec<Label>,
    pub(crate) hidden: Vec<bool>,
}

/// Whether a row may be of a variable after what is matched before, and how many steps it took to find out.
pub(crate) trait Conditions {
    /// `matched` ends with the variable itself.
    ///
    /// # Errors
    /// When the condition fails.
    fn hold(&mut self, label: Label, row: usize, matched: &[Label]) -> Result<(bool, u64)>;

    /// Takes memory for so many bytes more, until the match is found.
    ///
    /// # Errors
    /// When there is none left.
    fn grow(&mut self, _bytes: usize) -> Result<()> {
        Ok(())
    }
}

pub(crate) struct Matcher<'a> {
    ops: &'a [Op],
    /// Rows of the partition.
    rows: usize,
    /// Conditions look at rows alone.
    is_free: bool,
    /// By row (or, with history, by the length of the match) and instruction.
    tried: Vec<u64>,
    /// Words of `tried` that are not zero, where all of them are forgotten at once.
    dirty: Vec<usize>,
}

struct Way {
    op: usize,
    matched: usize,
    hiding: u32,
}

impl<'a> Matcher<'a> {
    /// # Errors
    /// When pattern and partition are too large together.
    pub(crate) fn new(ops: &'a [Op], rows: usize, is_free: bool) -> Result<Self> {
        if (rows + 1).saturating_mul(ops.len()) > MOST_BITS {
            return Err(Error::not_supported("a row pattern of such length over a partition of so many rows"));
        }
        Ok(Self { ops, rows, is_free, tried: Vec::new(), dirty: Vec::new() })
    }

    /// Bytes that may be needed to remember what was tried: the words, of which there may be twice as many as are in use, and
    /// the list of those to forget.
    pub(crate) fn most_bytes(&self) -> usize {
        let words = ((self.rows + 1) * self.ops.len()).div_ceil(64);
        // And each row's variable, of lists that grow to twice their length.
        words * size_of::<u64>() * 3 + self.rows * (size_of::<Label>() + size_of::<bool>()) * 2
    }

    /// The match that begins at a row.
    ///
    /// # Errors
    /// When a condition fails, or the search takes too long.
    pub(crate) fn find(&mut self, start: usize, conditions: &mut dyn Conditions) -> Result<Option<Match>> {
        let mut found = Match::default();
        let mut ways = vec![Way { op: 0, matched: 0, hiding: 0 }];
        let mut steps = 0u64;
        if !self.is_free {
            self.forget_row(0);
        }
        while let Some(Way { mut op, matched, mut hiding }) = ways.pop() {
            found.labels.truncate(matched);
            found.hidden.truncate(matched);
            loop {
                let depth = found.labels.len();
                let row = start + depth;
                if !self.is_new(op, if self.is_free { row } else { depth }) {
                    break;
                }
                steps += 1;
                match self.ops[op] {
                    Op::Done => {
                        if self.is_free {
                            // Of what was tried, a part has led here.
                            self.forget();
                        }
                        return Ok(Some(found));
                    }
                    Op::Jump(to) => op = to,
                    Op::Split(first, other) => {
                        if ways.len() == ways.capacity() {
                            // What is kept is moved to a list of twice the length.
                            conditions.grow(2 * ways.capacity() * size_of::<Way>())?;
                        }
                        ways.push(Way { op: other, matched: depth, hiding });
                        op = first;
                    }
                    Op::Start if row == 0 => op += 1,
                    Op::End if row == self.rows => op += 1,
                    Op::Start | Op::End => break,
                    Op::Hide => {
                        hiding += 1;
                        op += 1;
                    }
                    Op::Unhide => {
                        hiding = hiding.saturating_sub(1);
                        op += 1;
                    }
                    Op::Label(label) => {
                        if row >= self.rows {
                            break;
                        }
                        found.labels.push(label);
                        let (holds, more) = conditions.hold(label, row, &found.labels)?;
                        steps += more;
                        if !holds {
                            break;
                        }
                        found.hidden.push(hiding > 0);
                        op += 1;
                        if !self.is_free {
                            self.forget_row(found.labels.len());
                        }
                    }
                }
                if !self.is_free && steps > MOST_STEPS {
                    return Err(Error::user(
                        1003,
                        "EXCEEDED_CPU_LIMIT",
                        format_args!("A match of the row pattern takes more than {MOST_STEPS} steps"),
                    ));
                }
            }
        }
        Ok(None)
    }

    /// Notes that an instruction is tried at a row.
    fn is_new(&mut self, op: usize, row: usize) -> bool {
        let bit = row * self.ops.len() + op;
        let (word, mask) = (bit / 64, 1u64 << (bit % 64));
        if word >= self.tried.len() {
            self.tried.resize((word + 1).next_power_of_two(), 0);
        }
        let old = self.tried[word];
        if old == 0 && self.is_free {
            self.dirty.push(word);
        }
        self.tried[word] = old | mask;
        old & mask == 0
    }

    fn forget(&mut self) {
        for word in self.dirty.drain(..) {
            self.tried[word] = 0;
        }
    }

    /// A longer history is another one each time that it is come to.
    fn forget_row(&mut self, row: usize) {
        let (from, to) = (row * self.ops.len(), (row + 1) * self.ops.len());
        for bit in from..to.min(self.tried.len() * 64) {
            self.tried[bit / 64] &= !(1 << (bit % 64));
        }
    }
}
