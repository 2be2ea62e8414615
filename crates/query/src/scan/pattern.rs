//! Patterns of dates and times as Java writes them (`yyyy/MM/dd HH:mm`), for `projection.NAME.format` and
//! `timestamp.formats`: `java.text.SimpleDateFormat`, `java.time.format.DateTimeFormatter` and Joda agree on the letters
//! that are read here; another letter is refused by name.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A letter and how often it stands.
    Field(char, usize),
    /// `millis`: milliseconds since 1970.
    Millis,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Pattern {
    /// `Err` says what cannot be understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("millis") {
            return Ok(Self(vec![Piece::Millis]));
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                if chars.next_if_eq(&'\'').is_some() {
                    literal.push('\'');
                    continue;
                }
                loop {
                    match chars.next() {
                        Some('\'') if chars.next_if_eq(&'\'').is_some() => literal.push('\''),
                        Some('\'') => break,
                        Some(other) => literal.push(other),
                        None => return Err(format!("a quote in '{text}' is not closed")),
                    }
                }
            } else if c.is_ascii_alphabetic() {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                if !"yYuMLdDHhKkmsSaEzZXx".contains(c) || (matches!(c, 'D' | 'K' | 'k' | 'Y' | 'x') && c != 'Y') {
                    return Err(format!("the letter '{c}' of '{text}' is not supported"));
                }
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Field(if matches!(c, 'Y' | 'u') { 'y' } else { c }, count));
            } else {
                literal.push(c);
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        if pieces.is_empty() {
            return Err("the pattern is empty".to_owned());
        }
        Ok(Self(pieces))
    }

    /// As [`Self::parse`], of `java.time`'s letters alone: there `Y` is the year that a week belongs to, which is another at the turn of
    /// a year.
    pub(crate) fn parse_java(text: &str) -> Result<Self, String> {
        if text.split('\'').step_by(2).any(|outside| outside.contains('Y')) {
            return Err(format!("the letter 'Y' of '{text}', the year of a week, is not supported: 'y' is the year"));
        }
        Self::parse(text)
    }

    /// Whether it tells hours or less apart, days, or only months.
    pub(crate) fn has(&self, letters: &str) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field(c, _) if letters.contains(*c)))
    }

    pub(crate) fn write(&self, at: NaiveDateTime) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            let _ = match piece {
                Piece::Literal(text) => write!(out, "{text}"),
                Piece::Millis => write!(out, "{}", at.and_utc().timestamp_millis()),
                Piece::Field(letter, count) => write_field(&mut out, *letter, *count, at),
            };
        }
        out
    }

    /// The moment in UTC that the whole text says; what the pattern does not say is that of 1970-01-01 00:00.
    pub(crate) fn read(&self, text: &str) -> Option<NaiveDateTime> {
        let mut rest = text;
        let mut parts = Parts::default();
        for (i, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Piece::Millis => return DateTime::from_timestamp_millis(text.parse().ok()?).map(|at| at.naive_utc()),
                Piece::Field(letter, count) => {
                    let adjacent = matches!(self.0.get(i + 1), Some(Piece::Field(next, _)) if !"aEzZX".contains(*next));
                    parts.read(&mut rest, *letter, *count, adjacent)?;
                }
            }
        }
        if rest.is_empty() { parts.finish() } else { None }
    }
}

fn write_field(out: &mut String, letter: char, count: usize, at: NaiveDateTime) -> std::fmt::Result {
    match letter {
        'y' if count == 2 => write!(out, "{:02}", at.year().rem_euclid(100)),
        'y' => write!(out, "{:0count$}", at.year()),
        'M' | 'L' => match count {
            1 | 2 => write!(out, "{:0count$}", at.month()),
            3 => write!(out, "{}", &MONTHS[at.month0() as usize][..3]),
            _ => write!(out, "{}", MONTHS[at.month0() as usize]),
        },
        'E' => {
            let name = DAYS[at.weekday().num_days_from_monday() as usize];
            write!(out, "{}", if count < 4 { &name[..3] } else { name })
        }
        'd' => write!(out, "{:0count$}", at.day()),
        'H' => write!(out, "{:0count$}", at.hour()),
        'h' => write!(out, "{:0count$}", at.hour12().1),
        'a' => write!(out, "{}", if at.hour() < 12 { "AM" } else { "PM" }),
        'm' => write!(out, "{:0count$}", at.minute()),
        's' => write!(out, "{:0count$}", at.second()),
        'S' => {
            let nanos = format!("{:09}", at.nanosecond());
            write!(out, "{}", &nanos[..count.min(9)])
        }
        'z' => write!(out, "UTC"),
        'X' => write!(out, "Z"),
        _ => write!(out, "+0000"),
    }
}

/// What has been read of a moment.
#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    hour: u32,
    half_day: Option<bool>,
    minute: u32,
    second: u32,
    nanos: u32,
    offset_minutes: i64,
}

impl Parts {
    fn read(&mut self, rest: &mut &str, letter: char, count: usize, adjacent: bool) -> Option<()> {
        match letter {
            'y' if count == 2 => {
                let (digits, number) = digits(rest, if adjacent { 2 } else { 4 })?;
                let number = i32::try_from(number).ok()?;
                self.year = Some(if digits > 2 { number } else { 2000 + number });
            }
            'y' => self.year = i32::try_from(digits(rest, if adjacent { count } else { 9 })?.1).ok(),
            'M' | 'L' if count > 2 => self.month = Some(named(rest, &MONTHS)? + 1),
            'M' | 'L' => self.month = u32::try_from(digits(rest, 2)?.1).ok(),
            'E' => {
                named(rest, &DAYS)?;
            }
            'd' => self.day = u32::try_from(digits(rest, 2)?.1).ok(),
            'H' => self.hour = u32::try_from(digits(rest, 2)?.1).ok()?,
            'h' => self.hour = u32::try_from(digits(rest, 2)?.1).ok().filter(|hour| (1..=12).contains(hour))?,
            'm' => self.minute = u32::try_from(digits(rest, 2)?.1).ok()?,
            's' => self.second = u32::try_from(digits(rest, 2)?.1).ok()?,
            'S' => {
                let (read, number) = digits(rest, count.clamp(1, 9))?;
                self.nanos = u32::try_from(number).ok()? * 10u32.pow(u32::try_from(9 - read).ok()?);
            }
            'a' => {
                let afternoon = match rest.get(..2)?.to_ascii_uppercase().as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                };
                self.half_day = Some(afternoon);
                *rest = &rest[2..];
            }
            _ => self.offset_minutes = zone(rest)?,
        }
        Some(())
    }

    fn finish(self) -> Option<NaiveDateTime> {
        let hour = match self.half_day {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let day = NaiveDate::from_ymd_opt(self.year.unwrap_or(1970), self.month.unwrap_or(1), self.day.unwrap_or(1))?;
        let at = day.and_hms_nano_opt(hour, self.minute, self.second, self.nanos)?;
        at.checked_sub_signed(TimeDelta::minutes(self.offset_minutes))
    }
}

/// Up to `most` digits; how many there were, and the number.
fn digits(rest: &mut &str, most: usize) -> Option<(usize, u64)> {
    let end = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let number = rest[..end].parse().ok()?;
    *rest = &rest[end..];
    Some((end, number))
}

/// A name or its first three letters, in any case.
fn named(rest: &mut &str, names: &[&str]) -> Option<u32> {
    for (i, name) in names.iter().enumerate() {
        for form in [*name, &name[..3]] {
            if rest.get(..form.len()).is_some_and(|text| text.eq_ignore_ascii_case(form)) {
                *rest = &rest[form.len()..];
                return u32::try_from(i).ok();
            }
        }
    }
    None
}

/// `Z`, `UTC`, `GMT`, `+01:00`, `+0100` or `+01`, in minutes.
fn zone(rest: &mut &str) -> Option<i64> {
    for name in ["UTC", "GMT", "Z", "z"] {
        if let Some(after) = rest.strip_prefix(name) {
            *rest = after;
            return Some(0);
        }
    }
    let sign = match rest.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    *rest = &rest[1..];
    let (2, hours) = digits(rest, 2)? else { return None };
    let after = rest.strip_prefix(':').unwrap_or(rest);
    let mut minutes = 0;
    if after.bytes().next().is_some_and(|b| b.is_ascii_digit()) {
        *rest = after;
        let (2, number) = digits(rest, 2)? else { return None };
        minutes = number;
    }
    i64::try_from(hours * 60 + minutes).ok().map(|offset| sign * offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap()
    }

    #[test]
    fn patterns_write_what_they_read() {
        for (pattern, text, moment) in [
            ("yyyy/MM/dd", "2024/02/29", "2024-02-29 00:00:00"),
            ("yyyyMMddHHmm", "202402291530", "2024-02-29 15:30:00"),
            ("'dt='yyyy-M-d", "dt=2024-2-9", "2024-02-09 00:00:00"),
            ("yyyy-MM", "2024-02", "2024-02-01 00:00:00"),
            ("dd MMM yyyy hh:mm a", "29 Feb 2024 03:30 PM", "2024-02-29 15:30:00"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2024-02-29T15:30:01.250Z", "2024-02-29 15:30:01.250"),
            ("millis", "1709220600000", "2024-02-29 15:30:00"),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.write(at(moment)), text);
            assert_eq!(pattern.read(text), Some(at(moment)), "{text}");
        }
        let zoned = Pattern::parse("yyyy-MM-dd HH:mm Z").unwrap();
        assert_eq!(zoned.read("2024-02-29 15:30 +0130"), Some(at("2024-02-29 14:00:00")));
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        let pattern = Pattern::parse("yyyy-MM-dd").unwrap();
        for text in ["2024-02-30", "2024-02", "2024-02-01x", "", "x"] {
            assert_eq!(pattern.read(text), None, "{text}");
        }
        let halves = Pattern::parse("hh:mm a").unwrap();
        assert!(halves.read("13:00 PM").is_none() && halves.read("00:30 AM").is_none());
        assert!(Pattern::parse_java("YYYY-MM-dd").is_err() && Pattern::parse_java("'Year' yyyy").is_ok());
        assert!(Pattern::parse("yyyy-QQ").is_err() && Pattern::parse("'open").is_err());
    }
}
