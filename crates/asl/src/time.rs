//! Points in time as the language writes them: milliseconds since the epoch, ISO 8601 with an offset in text.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads what Java calls an ISO-8601 extended offset date-time; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if !has_offset_date_time_shape(text) {
            return None;
        }
        let parsed: jiff::Timestamp = text.parse().ok()?;
        Some(Self(parsed.as_millisecond()))
    }

    /// The context object's form: `2024-11-06T09:42:03.123Z`.
    pub fn to_iso(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            Err(_) => String::new(),
        }
    }

    #[must_use]
    pub fn plus_seconds(self, seconds: f64) -> Self {
        let millis = (seconds * 1000.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "float casts saturate, which is what is wanted of far-off times"
        )]
        Self(self.0.saturating_add(millis as i64))
    }
}

fn has_offset_date_time_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| bytes.len() >= to && bytes[from..to].iter().all(u8::is_ascii_digit);
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let head = digits(0, 4) && is(4, b'-') && digits(5, 7) && is(7, b'-') && digits(8, 10) && is(10, b'T');
    if !(head && digits(11, 13) && is(13, b':') && digits(14, 16)) {
        return false;
    }
    let mut at = 16;
    if is(at, b':') {
        if !digits(at + 1, at + 3) {
            return false;
        }
        at += 3;
        if is(at, b'.') {
            let fraction = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if fraction == 0 {
                return false;
            }
            at += 1 + fraction;
        }
    }
    match bytes.get(at) {
        Some(b'Z') => at + 1 == bytes.len(),
        Some(b'+' | b'-') => {
            digits(at + 1, at + 3) && is(at + 3, b':') && digits(at + 4, at + 6) && at + 6 == bytes.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn only_full_offset_date_times_are_timestamps() {
        for good in ["2016-03-14T01:59:00Z", "2016-03-14T01:59:00.123456Z", "2016-03-14T01:59:00+02:00"] {
            assert!(Timestamp::parse(good).is_some(), "{good}");
        }
        for bad in [
            "2016-03-14",
            "2016-03-14T01:59:00",
            "2016-12-05T25:29:29Z",
            "05-12-2016T21:29:29Z",
            "",
            "x",
            "2016-03-14T01:59:00z",
        ] {
            assert!(Timestamp::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Timestamp::parse("1970-01-01T01:00:00.5+01:00"), Some(Timestamp(500)));
        assert_eq!(Timestamp(1_730_886_123_456).to_iso(), "2024-11-06T09:42:03.456Z");
    }
}
