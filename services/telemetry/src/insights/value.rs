//! What a field holds. Everything of an event is a text; functions make numbers, truths and times of them.

use std::cmp::Ordering;

use jiff::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Number(f64),
    Truth(bool),
    /// Milliseconds since 1970.
    Time(i64),
}

impl Value {
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact")]
            Self::Time(ms) => Some(*ms as f64),
            Self::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            Self::Null | Self::Truth(_) => None,
        }
    }

    /// Bytes of its text.
    pub(super) fn size(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }

    /// A whole number in all its digits, of which a double does not hold all.
    fn whole(&self) -> Option<i128> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Time(ms) => Some((*ms).into()),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
            Self::Number(n) if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 => Some(*n as i128),
            _ => None,
        }
    }

    /// As numbers, where both are: whole ones digit by digit.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.whole(), other.whole()) {
            return Some(a.cmp(&b));
        }
        self.number()?.partial_cmp(&other.number()?)
    }

    /// As a result tells it: none where there is nothing.
    pub(super) fn told(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Text(text) => text.clone(),
            Self::Number(n) => shown(*n),
            Self::Truth(truth) => u8::from(*truth).to_string(),
            Self::Time(ms) => time(*ms),
        })
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Truth(truth) => *truth,
            Self::Number(n) => *n != 0.0,
            Self::Text(text) => text == "true" || text == "1",
            Self::Null | Self::Time(_) => false,
        }
    }

    /// In the order of `sort`: nothing, then texts, then numbers; digits within texts by what they are worth. Source: "sort".
    pub(super) fn natural(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => self.order(other),
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => self.compare(other).unwrap_or_else(|| a.total_cmp(&b)),
                (Some(_), None) => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
                (None, None) => {
                    chunks(&self.told().unwrap_or_default()).cmp(&chunks(&other.told().unwrap_or_default()))
                }
            },
        }
    }

    /// Numbers among numbers, else texts; nothing comes first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            _ => self.compare(other).unwrap_or_else(|| self.told().cmp(&other.told())),
        }
    }
}

/// A row of digits, or of other letters.
#[derive(PartialEq, Eq)]
struct Chunk(String);

impl Chunk {
    fn is_number(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_digit())
    }
}

impl Ord for Chunk {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_number() && other.is_number() {
            return self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0));
        }
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Chunk {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn chunks(text: &str) -> Vec<Chunk> {
    let mut out: Vec<Chunk> = Vec::new();
    for letter in text.chars() {
        match out.last_mut() {
            Some(last) if last.is_number() == letter.is_ascii_digit() => last.0.push(letter),
            _ => out.push(Chunk(letter.to_string())),
        }
    }
    out
}

/// Whole numbers without a point, others with at most four places.
fn shown(n: f64) -> String {
    if n.fract() == 0.0 && n.abs() < 1e15 {
        return format!("{n:.0}");
    }
    let text = format!("{n:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
}
