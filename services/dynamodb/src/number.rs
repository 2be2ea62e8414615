//! DynamoDB's numbers: exact decimals of at most 38 digits, 1E-130 to 9.9…E+125, with an
//! order-preserving byte encoding for keys.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::Invalid;

const MAX_DIGITS: usize = 38;
const MAX_MAGNITUDE: i32 = 125;
const MIN_MAGNITUDE: i32 = -130;

/// `digits` × 10^`exponent`, without trailing zeros in `digits`; zero is `0 × 10^0`, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    negative: bool,
    digits: u128,
    exponent: i32,
}

impl Number {
    pub(crate) const ZERO: Self = Self { negative: false, digits: 0, exponent: 0 };

    pub(crate) fn negate(self) -> Self {
        Self { negative: !self.negative && self.digits != 0, ..self }
    }

    /// The sum, rounded half up to 38 digits as DynamoDB does when it cannot be exact.
    pub(crate) fn add(self, other: Self) -> Result<Self, Invalid> {
        let low = self.exponent.min(other.exponent);
        let (a, b) = (self.shifted(low), other.shifted(low));
        let (negative, sum) = if self.negative == other.negative {
            (self.negative, add_digits(&a, &b))
        } else {
            match compare_digits(&a, &b) {
                Ordering::Equal => return Ok(Self::ZERO),
                Ordering::Greater => (self.negative, subtract_digits(&a, &b)),
                Ordering::Less => (other.negative, subtract_digits(&b, &a)),
            }
        };
        Self::from_digits(negative, sum, low, Excess::Round)
    }

    pub(crate) fn subtract(self, other: Self) -> Result<Self, Invalid> {
        self.add(other.negate())
    }

    /// Bytes that sort as the numbers do; no encoding is a prefix of another.
    pub(crate) fn key_bytes(self) -> Vec<u8> {
        if self.digits == 0 {
            return vec![2];
        }
        let text = self.digits.to_string();
        let magnitude = self.magnitude(text.len());
        let mut body = Vec::with_capacity(3 + text.len() / 2 + 1);
        body.push(u8::try_from(magnitude - MIN_MAGNITUDE).unwrap_or(u8::MAX));
        for pair in text.as_bytes().chunks(2) {
            let high = pair[0] - b'0';
            let low = pair.get(1).map_or(0, |digit| digit - b'0');
            body.push(high * 10 + low + 1);
        }
        body.push(0);
        if self.negative {
            for byte in &mut body {
                *byte = !*byte;
            }
            body.insert(0, 1);
        } else {
            body.insert(0, 3);
        }
        body
    }

    /// What the number adds to the size of an item.
    pub(crate) fn size(self) -> usize {
        if self.digits == 0 {
            return 1;
        }
        self.digits.to_string().len().div_ceil(2) + 1 + usize::from(self.negative)
    }

    /// The number as a count, when it is a whole one that fits.
    pub(crate) fn as_i64(self) -> Option<i64> {
        let scale = 10_i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let value = i128::try_from(self.digits).ok()?.checked_mul(scale)?;
        i64::try_from(if self.negative { -value } else { value }).ok()
    }

    /// The whole part, for times of day in seconds (TTL).
    pub(crate) fn floor_i64(self) -> Option<i64> {
        if self.exponent >= 0 {
            return self.as_i64();
        }
        let scale = 10_u128.checked_pow(self.exponent.unsigned_abs())?;
        let value = i64::try_from(self.digits / scale).ok()?;
        Some(if self.negative { -value } else { value })
    }

    fn magnitude(self, digit_count: usize) -> i32 {
        self.exponent + i32::try_from(digit_count).unwrap_or(i32::MAX) - 1
    }

    /// Digits, least significant first, of this number as a multiple of 10^`low`.
    fn shifted(self, low: i32) -> Vec<u8> {
        let zeros = usize::try_from(self.exponent - low).unwrap_or(0);
        let mut digits = vec![0; zeros];
        digits.extend(self.digits.to_string().bytes().rev().map(|digit| digit - b'0'));
        digits
    }

    /// From digits, least significant first.
    fn from_digits(negative: bool, mut digits: Vec<u8>, mut exponent: i32, excess: Excess) -> Result<Self, Invalid> {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        exponent = exponent.saturating_add(i32::try_from(zeros).unwrap_or(i32::MAX));
        if digits.is_empty() {
            return Ok(Self::ZERO);
        }
        if digits.len() > MAX_DIGITS {
            if excess == Excess::Refuse {
                return Err(Invalid::new("Attempting to store more than 38 significant digits in a Number"));
            }
            let cut = digits.len() - MAX_DIGITS;
            let up = digits[cut - 1] >= 5;
            let kept = digits.split_off(cut);
            exponent = exponent.saturating_add(i32::try_from(cut).unwrap_or(i32::MAX));
            let rounded = if up { add_digits(&kept, &[1]) } else { kept };
            return Self::from_digits(negative, rounded, exponent, Excess::Round);
        }
        let value = digits.iter().rev().fold(0_u128, |sum, digit| sum * 10 + u128::from(*digit));
        let number = Self { negative, digits: value, exponent };
        let magnitude = number.magnitude(digits.len());
        if magnitude > MAX_MAGNITUDE {
            return Err(Invalid::new(
                "Number overflow. Attempting to store a number with magnitude larger than supported range",
            ));
        }
        if magnitude < MIN_MAGNITUDE {
            return Err(Invalid::new(
                "Number underflow. Attempting to store a number with magnitude smaller than supported range",
            ));
        }
        Ok(number)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Excess {
    Refuse,
    Round,
}

fn add_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    for place in 0..a.len().max(b.len()) {
        let digit = a.get(place).unwrap_or(&0) + b.get(place).unwrap_or(&0) + carry;
        sum.push(digit % 10);
        carry = digit / 10;
    }
    sum.push(carry);
    sum
}

/// `a` − `b`, where `a` is the larger.
fn subtract_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference = Vec::with_capacity(a.len());
    for (place, digit) in a.iter().enumerate() {
        let taken = b.get(place).unwrap_or(&0) + borrow;
        borrow = u8::from(*digit < taken);
        difference.push(digit + 10 * borrow - taken);
    }
    difference
}

fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let at = |digits: &[u8], place: usize| digits.get(place).copied().unwrap_or(0);
    (0..a.len().max(b.len()))
        .rev()
        .map(|place| at(a, place).cmp(&at(b, place)))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

impl FromStr for Number {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new(format!("The parameter cannot be converted to a numeric value: {text}"));
        if text.is_empty() {
            return Err(Invalid::new("The parameter cannot be converted to a numeric value"));
        }
        let (negative, rest) = match text.as_bytes()[0] {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..]).ok_or_else(malformed)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return Err(malformed());
        }
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).rev().map(|digit| digit - b'0').collect();
        let places = i32::try_from(fraction.len()).map_err(|_| malformed())?;
        Self::from_digits(negative, digits, exponent - places, Excess::Refuse)
    }
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Anything past a million is out of range whatever the mantissa, which is bounded by the request's size.
    let value = digits.parse::<i32>().unwrap_or(i32::MAX).min(100_000_000);
    Some(if text.starts_with('-') { -value } else { value })
}

/// Plain notation, as DynamoDB answers: no exponent, no leading or trailing zeros.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let text = self.digits.to_string();
        let Ok(places) = usize::try_from(-self.exponent) else {
            let zeros = usize::try_from(self.exponent).unwrap_or(0);
            return write!(f, "{text}{}", "0".repeat(zeros));
        };
        if places == 0 {
            f.write_str(&text)
        } else if places < text.len() {
            let point = text.len() - places;
            write!(f, "{}.{}", &text[..point], &text[point..])
        } else {
            write!(f, "0.{}{text}", "0".repeat(places - text.len()))
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key_bytes().cmp(&other.key_bytes())
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn prints_plainly() {
        for (given, expected) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("007", "7"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            ("-12.345E-1", "-1.2345"),
            ("1E-5", "0.00001"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+3", "3"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ] {
            assert_eq!(number(given).to_string(), expected, "{given}");
        }
    }

    #[test]
    fn refuses() {
        for (given, part) in [
            ("", "cannot be converted"),
            ("abc", "cannot be converted to a numeric value: abc"),
            ("1e", "cannot be converted"),
            ("1.2.3", "cannot be converted"),
            ("NaN", "cannot be converted"),
            ("1E126", "overflow"),
            ("1E-131", "underflow"),
            ("1e99999999999", "overflow"),
            ("123456789012345678901234567890123456789", "38 significant"),
        ] {
            let Invalid(message) = given.parse::<Number>().unwrap_err();
            assert!(message.contains(part), "{given}: {message}");
        }
    }

    #[test]
    fn adds_exactly() {
        for (a, b, sum) in [
            ("1", "2", "3"),
            ("0.1", "0.2", "0.3"),
            ("5", "-7", "-2"),
            ("-5", "5", "0"),
            ("99", "1", "100"),
            ("1E30", "0.0001", "1000000000000000000000000000000.0001"),
            ("1E40", "1", "10000000000000000000000000000000000000000"),
            ("99999999999999999999999999999999999999", "0.9", "100000000000000000000000000000000000000"),
        ] {
            assert_eq!(number(a).add(number(b)).unwrap().to_string(), sum, "{a} + {b}");
        }
        assert_eq!(number("10").subtract(number("12.5")).unwrap().to_string(), "-2.5");
        assert!(number("9E125").add(number("9E125")).is_err());
    }

    #[test]
    fn keys_sort_as_numbers() {
        let sorted = [
            "-9E125", "-100", "-99.5", "-12", "-1.5", "-1", "-0.01", "-1E-130", "0", "1E-130", "0.001", "0.0011",
            "0.5", "1", "1.05", "1.5", "9", "10", "11", "99", "100", "1E20", "9E125",
        ];
        for pair in sorted.windows(2) {
            assert!(number(pair[0]).key_bytes() < number(pair[1]).key_bytes(), "{pair:?}");
        }
    }
}
