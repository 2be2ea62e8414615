//! Text of literals and casts to dates, times, timestamps, intervals and decimals.

use chrono::NaiveDate;

use crate::text::instant;
use crate::value::{PICOS, PICOS_PER_DAY, Value};
use crate::zone::{Zone, offset};

/// Digits at the start of a text, at least and at most so many.
fn digits(text: &str, least: usize, most: usize) -> Option<(&str, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count().min(most);
    if end < least { None } else { text.split_at_checked(end) }
}

fn date_prefix(text: &str) -> Option<(i32, &str)> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (year, rest) = digits(rest, 4, 9)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    let year: i32 = year.parse().ok()?;
    let date = NaiveDate::from_ymd_opt(if negative { -year } else { year }, month.parse().ok()?, day.parse().ok()?)?;
    Some((i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()?, rest))
}

/// `H:m[:s[.fraction]]`: picoseconds, digits of the fraction, the rest.
fn clock_prefix(text: &str) -> Option<(i64, u8, &str)> {
    let (hour, rest) = digits(text, 1, 2)?;
    let (minute, mut rest) = digits(rest.strip_prefix(':')?, 1, 2)?;
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let (mut second, mut picos, mut precision) = (0i64, 0i64, 0u8);
    if let Some(after) = rest.strip_prefix(':') {
        let (text, after) = digits(after, 1, 2)?;
        second = text.parse().ok()?;
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (fraction, after) = digits(after, 1, usize::MAX)?;
            rest = after;
            precision = u8::try_from(fraction.len()).ok()?;
            let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(12).collect();
            picos = kept.parse().ok()?;
            // A thirteenth digit rounds.
            if fraction.as_bytes().get(12).is_some_and(|d| *d >= b'5') {
                picos += 1;
            }
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((hour * 3600 + minute * 60 + second) * 1_000_000_000_000 + picos, precision, rest))
}

pub fn date(text: &str) -> Option<i32> {
    match date_prefix(text.trim()) {
        Some((days, "")) => Some(days),
        _ => None,
    }
}

/// A time of day, its digits after the point, and its offset in minutes if it has one.
pub fn time(text: &str) -> Option<(i64, u8, Option<i16>)> {
    let (picos, precision, rest) = clock_prefix(text)?;
    match rest.trim_start() {
        "" => Some((picos, precision, None)),
        // Hours and minutes of two digits each, unlike a timestamp's.
        zone => Some((picos, precision, Some(offset(zone).filter(|_| zone.contains(':'))?))),
    }
}

/// A timestamp as its local picoseconds, its digits after the point, and its zone if it has one.
pub fn timestamp(text: &str) -> Option<(i128, u8, Option<Zone>)> {
    let (days, rest) = date_prefix(text)?;
    let midnight = i128::from(days) * i128::from(PICOS_PER_DAY);
    if rest.is_empty() {
        return Some((midnight, 0, None));
    }
    let rest = rest.strip_prefix(' ')?;
    let (picos, precision, rest) = match clock_prefix(rest) {
        Some(found) => found,
        None if rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()) => return None,
        None => (0, 0, rest),
    };
    let zone = match rest.trim() {
        "" => None,
        zone => Some(Zone::parse(zone)?),
    };
    Some((midnight + i128::from(picos), precision, zone))
}

/// Whether clocks in the zone are put forward over this.
pub(crate) fn is_skipped(local: i128, zone: Zone) -> bool {
    i64::try_from(local.div_euclid(PICOS)).is_ok_and(|seconds| zone.skips(seconds))
}

/// The value of `TIMESTAMP '…'` and its type's precision and whether it has a zone.
pub fn timestamp_literal(text: &str) -> Option<(Value, u8, bool)> {
    let (local, precision, zone) = timestamp(text)?;
    if precision > 12 {
        return None;
    }
    Some(match zone {
        None => (Value::Timestamp(local), precision, false),
        Some(zone) if is_skipped(local, zone) => return None,
        Some(zone) => (Value::TimestampTz(instant(local, zone), zone), precision, true),
    })
}

/// Rounds half up to so many digits of a second.
pub fn round_picos(picos: i128, precision: u8) -> i128 {
    let unit = 10i128.pow(12 - u32::from(precision.min(12)));
    (picos + unit / 2).div_euclid(unit) * unit
}

/// The digits of a decimal number, however many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits {
    negative: bool,
    /// Without zeros before them.
    text: String,
    scale: i64,
}

impl Digits {
    /// `None` of what is no number.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !is_number {
            return None;
        }
        let text = [whole, fraction].concat().trim_start_matches('0').to_owned();
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        Some(Self { negative, text, scale })
    }

    /// The unscaled value at a scale, half away from zero; `None` where 128 bits do not hold it.
    pub fn at(&self, scale: i32) -> Option<i128> {
        if self.text.is_empty() {
            return Some(0);
        }
        let by = i64::from(scale) - self.scale;
        let value = if let Ok(more) = usize::try_from(by) {
            // No more than 39 digits are held.
            let more = Some(more).filter(|more| self.text.len() + more < 40)?;
            self.text.parse::<i128>().ok()?.checked_mul(10i128.checked_pow(u32::try_from(more).ok()?)?)?
        } else {
            let less = usize::try_from(-by).ok()?;
            let Some(kept) = self.text.len().checked_sub(less) else { return Some(0) };
            let (kept, rest) = self.text.split_at(kept);
            let whole: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
            whole.checked_add(i128::from(rest.as_bytes().first().is_some_and(|digit| *digit >= b'5')))?
        };
        Some(if self.negative { -value } else { value })
    }
}

/// The unscaled value of a decimal number and its scale, if 128 bits hold it.
pub fn decimal(text: &str) -> Option<(i128, i32)> {
    let digits = Digits::parse(text)?;
    let scale = i32::try_from(digits.scale).ok()?;
    Some((digits.at(scale)?, scale))
}

/// A decimal's digits brought to another scale, half up; `None` where it does not fit 38 digits.
pub fn rescale(value: i128, from: i32, to: i32) -> Option<i128> {
    let by = to.checked_sub(from)?;
    if by >= 0 {
        if value == 0 {
            return Some(0);
        }
        return value.checked_mul(10i128.checked_pow(by.unsigned_abs())?);
    }
    let Some(unit) = 10i128.checked_pow(by.unsigned_abs()) else { return Some(0) };
    Some(divide_half_up(value, unit))
}

/// `a / b`, half away from zero.
pub fn divide_half_up(a: i128, b: i128) -> i128 {
    let (quotient, rest) = (a / b, a % b);
    if rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs() {
        quotient + if (a < 0) == (b < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

/// `INTERVAL 'value' from [TO to]`: milliseconds or months. Each field may have a plus and has at most ten digits, which an `int`
/// holds; the last may be left out, and all after one that is. Source: Trino 476, asked (its reader is Joda's `PeriodFormatter`).
pub fn interval(text: &str, from: &str, to: Option<&str>, negative: bool) -> Option<Value> {
    const UNITS: [(&str, i64); 6] =
        [("year", 12), ("month", 1), ("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000)];
    let (minus, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let sign = if minus == negative { 1 } else { -1 };
    let place = |name: &str| UNITS.iter().position(|(unit, _)| *unit == name);
    let (first, last) = (place(from)?, place(to.unwrap_or(from))?);
    let (mut rest, mut sum) = (text, 0i64);
    for (at, (unit, size)) in UNITS.iter().enumerate().take(last + 1).skip(first) {
        if rest.is_empty() {
            break;
        }
        if at > first {
            rest = rest.strip_prefix(match *unit {
                "month" => '-',
                "hour" => ' ',
                _ => ':',
            })?;
            if rest.is_empty() {
                break;
            }
        }
        let (whole, millis, after) = interval_field(rest, *unit == "second")?;
        sum += i64::from(whole) * size + millis;
        rest = after;
    }
    if !rest.is_empty() {
        return None;
    }
    if first < 2 {
        Some(Value::IntervalYear(i32::try_from(sum * sign).ok()?))
    } else {
        Some(Value::IntervalDay(sum * sign))
    }
}

/// A field's number, its milliseconds where it may have a fraction, and what follows it.
fn interval_field(text: &str, has_fraction: bool) -> Option<(i32, i64, &str)> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let number = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let length = number(text);
    let (whole, rest) = text.split_at(length);
    let (fraction, rest) = match rest.strip_prefix(['.', ',']).filter(|_| has_fraction) {
        Some(rest) => rest.split_at(number(rest)),
        None => ("", rest),
    };
    if !(1..=10).contains(&(whole.len() + fraction.len())) {
        return None;
    }
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let whole = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole, millis.parse().ok()?, rest))
}

/// Seconds of a count of picoseconds.
pub fn seconds(picos: i128) -> i64 {
    i64::try_from(picos.div_euclid(PICOS)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        assert_eq!(timestamp("1970-01-02 00:00:01.5").unwrap(), (i128::from(PICOS_PER_DAY) + 3 * PICOS / 2, 1, None));
        assert_eq!(timestamp("1970-1-1 01:00 +01:00").unwrap().2, Some(Zone::Offset(60)));
        for wrong in ["", "1", "2020-13-01", "2020-01-01 24:00", "2020-01-01T00:00", "2020-01-01 00:00 Nowhere/No"] {
            assert!(timestamp(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal("-1.50"), Some((-150, 2)));
        assert_eq!(decimal("1e3"), Some((1, -3)));
        assert_eq!(decimal("1.2.3"), None);
        assert_eq!(rescale(15, 1, 0), Some(2));
        assert_eq!(rescale(-15, 1, 0), Some(-2));
        assert_eq!(rescale(14, 1, 0), Some(1));
    }

    #[test]
    fn intervals() {
        assert_eq!(interval("1 02:03", "day", Some("minute"), false), Some(Value::IntervalDay(93_780_000)));
        assert_eq!(interval("1-2", "year", Some("month"), true), Some(Value::IntervalYear(-14)));
        assert_eq!(interval("x", "day", None, false), None);
    }
}
