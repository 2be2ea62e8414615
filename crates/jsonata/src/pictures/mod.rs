//! Numbers and times by picture, as XPath's functions have them and jsonata.js follows.

mod decimal;
mod integer;
mod time;

pub(super) use decimal::format as number;
pub(super) use integer::{format as integer, parse as parse_integer};
pub(super) use time::{format as time, iso, parse as parse_time};

/// A picture that says nothing, or nothing that fits.
#[derive(Debug)]
pub(super) struct PictureError {
    pub(super) code: &'static str,
    pub(super) sentence: String,
}

type Result<T> = std::result::Result<T, PictureError>;

fn refuse<T>(code: &'static str, sentence: impl Into<String>) -> Result<T> {
    Err(PictureError { code, sentence: sentence.into() })
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Mandatory digits and widths beyond this are refused: nothing sensible is wider.
const MAX_WIDTH: usize = 10_000;

/// The distance at which separators repeat; none when they do not.
fn regular_repeat(positions: &[usize]) -> Option<usize> {
    fn gcd(a: usize, b: usize) -> usize {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    let factor = positions.iter().copied().reduce(gcd).filter(|factor| *factor > 0)?;
    (1..=positions.len()).all(|index| positions.contains(&(index * factor))).then_some(factor)
}
