//! Time zones: an offset or a name of the tz database, small enough to stand beside each timestamp.

use chrono::{NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::error::{Error, Result};

/// A zone as Trino keeps it: `UTC`, an offset of minutes, or a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    Offset(i16),
    Named(Tz),
}

const FIRST_NAME: usize = 2000;

impl Zone {
    pub const UTC: Self = Self::Named(Tz::UTC);

    pub fn key(self) -> i16 {
        match self {
            Self::Offset(minutes) => minutes,
            Self::Named(tz) => {
                let index = TZ_VARIANTS.iter().position(|known| *known == tz).unwrap_or(0);
                i16::try_from(FIRST_NAME + index).unwrap_or(i16::MAX)
            }
        }
    }

    pub fn from_key(key: i64) -> Self {
        match usize::try_from(key).ok().and_then(|key| key.checked_sub(FIRST_NAME)) {
            Some(index) => Self::Named(TZ_VARIANTS.get(index).copied().unwrap_or(Tz::UTC)),
            None => Self::Offset(i16::try_from(key).unwrap_or(0)),
        }
    }

    /// `Europe/Berlin`, `UTC`, `+05:30`, `+5`, `Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let bare = lower.strip_prefix("etc/").unwrap_or(&lower);
        if matches!(
            bare,
            "utc" | "z" | "ut" | "uct" | "gmt" | "gmt0" | "gmt+0" | "gmt-0" | "greenwich" | "universal" | "zulu"
        ) {
            return Some(Self::UTC);
        }
        let signed = ["utc", "gmt", "ut"]
            .iter()
            .find_map(|prefix| lower.strip_prefix(prefix).filter(|rest| rest.starts_with(['+', '-'])));
        if let Some(minutes) = offset(signed.unwrap_or(text)) {
            return Some(if minutes == 0 { Self::UTC } else { Self::Offset(minutes) });
        }
        match text.parse::<Tz>() {
            Ok(tz) => Some(Self::Named(tz)),
            Err(_) => TZ_VARIANTS.iter().find(|tz| tz.name().eq_ignore_ascii_case(text)).map(|tz| Self::Named(*tz)),
        }
    }

    /// As [`Self::parse`], with the error of functions that take a zone.
    pub fn of(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| Error::argument(format!("'{text}' is not a valid time zone")))
    }

    pub fn offset(minutes: i64) -> Result<Self> {
        match i16::try_from(minutes) {
            Ok(0) => Ok(Self::UTC),
            Ok(minutes @ -840..=840) => Ok(Self::Offset(minutes)),
            _ => Err(Error::argument(format!("Invalid offset minutes {minutes}"))),
        }
    }

    /// Seconds east of UTC at an instant.
    pub fn seconds_at(self, epoch_seconds: i64) -> i64 {
        match self {
            Self::Offset(minutes) => i64::from(minutes) * 60,
            Self::Named(tz) => match chrono::DateTime::from_timestamp(epoch_seconds, 0) {
                Some(utc) => i64::from(tz.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc()),
                None => 0,
            },
        }
    }

    /// Whether clocks there never show this, because they are put forward over it.
    pub fn skips(self, local_seconds: i64) -> bool {
        let (Self::Named(tz), Some(local)) = (self, chrono::DateTime::from_timestamp(local_seconds, 0)) else {
            return false;
        };
        matches!(tz.offset_from_local_datetime(&local.naive_utc()), chrono::LocalResult::None)
    }

    /// Seconds east of UTC when clocks there show this; in a gap the offset before it, in an overlap the earlier.
    pub fn seconds_for_local(self, local_seconds: i64) -> i64 {
        let Self::Named(tz) = self else { return self.seconds_at(local_seconds) };
        let Some(local) = chrono::DateTime::from_timestamp(local_seconds, 0) else { return 0 };
        let local: NaiveDateTime = local.naive_utc();
        match tz.offset_from_local_datetime(&local) {
            chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(offset, _) => {
                i64::from(offset.fix().local_minus_utc())
            }
            chrono::LocalResult::None => {
                let before = local - chrono::TimeDelta::hours(3);
                i64::from(tz.offset_from_utc_datetime(&before).fix().local_minus_utc())
            }
        }
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(tz) => f.write_str(tz.name()),
            Self::Offset(minutes) => write_offset(*minutes, f),
        }
    }
}

/// `+05:30`
pub fn write_offset(minutes: i16, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    let sign = if minutes < 0 { '-' } else { '+' };
    write!(out, "{sign}{:02}:{:02}", minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60)
}

/// Minutes of `+05:30`, `-0530`, `+05`, `+5`; up to fourteen hours. Source: Trino 476, asked.
pub fn offset(text: &str) -> Option<i16> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    if !rest.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) if hours.len() == 2 && minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if rest.len() == 4 => rest.split_at(2),
        None if rest.len() <= 2 => (rest, "0"),
        None => return None,
    };
    let (hours, minutes): (i16, i16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 840).then_some(sign * total)
}
