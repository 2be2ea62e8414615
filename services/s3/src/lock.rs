//! Object lock: until when a version may not be deleted, and whether a legal hold is on it. Source: S3 User Guide, "Locking objects
//! with Object Lock", and the API reference of PutObjectRetention, PutObjectLegalHold, PutObjectLockConfiguration.

use serde::{Deserialize, Serialize};
use wire::Error;

use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use crate::records::ObjectRecord;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    #[serde(rename = "GOVERNANCE")]
    Governance,
    #[serde(rename = "COMPLIANCE")]
    Compliance,
}

impl Mode {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "GOVERNANCE" => Some(Self::Governance),
            "COMPLIANCE" => Some(Self::Compliance),
            _ => None,
        }
    }
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    pub(crate) mode: Mode,
    pub(crate) until_ms: i64,
}

/// What a bucket gives every new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DefaultRetention {
    pub(crate) mode: Mode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) days: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) years: Option<i32>,
}

const DAY_MS: i64 = 86_400_000;

impl DefaultRetention {
    /// What a configuration asks for.
    pub(crate) fn checked(mode: Option<&str>, days: Option<i32>, years: Option<i32>) -> Result<Self> {
        let mode = mode.and_then(Mode::parse).ok_or_else(malformed_xml)?;
        if days.is_some() == years.is_some() {
            return Err(malformed_xml());
        }
        if days.or(years).is_some_and(|n| n <= 0) {
            return Err(invalid_argument("Default retention period must be a positive integer value."));
        }
        if days.is_some_and(|n| n > 36_500) || years.is_some_and(|n| n > 100) {
            return Err(invalid_argument("Default retention period too large"));
        }
        Ok(Self { mode, days, years })
    }

    pub(crate) fn from(self, now_ms: i64) -> Retention {
        let days = self.days.map(i64::from).or_else(|| self.years.map(|y| i64::from(y) * 365)).unwrap_or(0);
        Retention { mode: self.mode, until_ms: now_ms + days * DAY_MS }
    }
}

/// What a request says of the lock of the version that it makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) retention: Option<Retention>,
    pub(crate) legal_hold: Option<bool>,
}

impl Asked {
    /// Out of the headers.
    pub(crate) fn parse(mode: Option<&str>, until_ms: Option<i64>, hold: Option<&str>, now_ms: i64) -> Result<Self> {
        let retention = match (mode, until_ms) {
            (None, None) => None,
            (Some(mode), Some(until_ms)) => {
                let mode = Mode::parse(mode).ok_or_else(|| invalid_argument("Unknown wormMode directive."))?;
                if until_ms <= now_ms {
                    return Err(invalid_argument("The retain until date must be in the future!"));
                }
                Some(Retention { mode, until_ms })
            }
            _ => {
                return Err(invalid_argument(
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
                ));
            }
        };
        let legal_hold = match hold {
            None => None,
            Some("ON") => Some(true),
            Some("OFF") => Some(false),
            Some(_) => return Err(invalid_argument("Legal Hold must be either of 'ON' or 'OFF'")),
        };
        Ok(Self { retention, legal_hold })
    }

    pub(crate) fn is_none(self) -> bool {
        self.retention.is_none() && self.legal_hold.is_none()
    }
}

/// May the version be deleted for good? `bypass`: governance is set aside.
pub(crate) fn check_delete(record: &ObjectRecord, now_ms: i64, bypass: bool) -> Result<()> {
    let locked = || Error::new("AccessDenied", 403, "Access Denied because object protected by object lock.");
    if record.legal_hold == Some(true) {
        return Err(locked());
    }
    match record.retention {
        Some(Retention { until_ms, .. }) if until_ms <= now_ms => Ok(()),
        Some(Retention { mode: Mode::Governance, .. }) if bypass => Ok(()),
        Some(_) => Err(locked()),
        None => Ok(()),
    }
}

/// May the retention be changed so?
pub(crate) fn check_change(old: Option<Retention>, new: Option<Retention>, now_ms: i64, bypass: bool) -> Result<()> {
    let Some(old) = old.filter(|r| r.until_ms > now_ms) else { return Ok(()) };
    let longer = new.is_some_and(|n| n.until_ms >= old.until_ms);
    let allowed = match old.mode {
        Mode::Compliance => longer && new.is_some_and(|n| n.mode == Mode::Compliance),
        Mode::Governance => bypass || (longer && new.is_some_and(|n| n.mode == Mode::Governance)),
    };
    if allowed {
        return Ok(());
    }
    Err(Error::new("AccessDenied", 403, "Access Denied because object protected by object lock."))
}

/// A bucket without object lock takes none.
pub(crate) fn missing() -> Error {
    invalid_request("Bucket is missing Object Lock Configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let r = |mode, until_ms| Some(Retention { mode, until_ms });
        let (g, c) = (Mode::Governance, Mode::Compliance);
        let cases = [
            (None, r(g, 20), false, true),
            (r(g, 20), r(g, 30), false, true),
            (r(g, 20), r(g, 15), false, false),
            (r(g, 20), r(g, 15), true, true),
            (r(g, 20), None, true, true),
            (r(g, 20), r(c, 30), false, false),
            (r(c, 20), r(c, 30), false, true),
            (r(c, 20), r(c, 15), true, false),
            (r(c, 20), r(g, 30), true, false),
            (r(c, 20), None, true, false),
            (r(c, 5), None, false, true),
        ];
        for (old, new, bypass, expected) in cases {
            assert_eq!(check_change(old, new, 10, bypass).is_ok(), expected, "{old:?} {new:?} {bypass}");
        }
    }
}
