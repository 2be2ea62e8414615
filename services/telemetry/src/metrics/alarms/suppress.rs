//! Composite alarms whose actions another alarm holds back: while that is in ALARM, for a while before, in which it may come to that, and
//! for a while after. Then the actions are carried out, if the alarm is still in ALARM.
//! Source: CloudWatch User Guide, "Suppressing composite alarm actions".

use serde::{Deserialize, Serialize};
use store::Tx;
use wire::{Error, Timestamp};

use super::{AlarmRecord, State};

const ALARM: &str = "Alarm";
const WAIT: &str = "WaitPeriod";
const EXTENSION: &str = "ExtensionPeriod";

/// Since when actions are held back, and what the alarm was before it went into ALARM meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::metrics) struct Suppressed {
    since_ms: i64,
    before: Option<State>,
}

/// What is to become of a suppression.
#[derive(Debug, PartialEq)]
enum Next {
    Stays,
    By(&'static str),
    Ends,
}

/// `by` is what holds back now, for `seconds`; the other alarm is in ALARM or not.
fn next(by: Option<&str>, is_alarm: bool, seconds: i64, (wait, extension): (i64, i64)) -> Next {
    match (by, is_alarm) {
        (Some(ALARM), true) | (None, false) => Next::Stays,
        (_, true) => Next::By(ALARM),
        (Some(ALARM), false) if extension > 0 => Next::By(EXTENSION),
        (Some(EXTENSION), false) if seconds < extension => Next::Stays,
        (Some(WAIT), false) if seconds < wait => Next::Stays,
        (Some(_), false) => Next::Ends,
    }
}

fn reason(by: &str) -> &'static str {
    match by {
        ALARM => "Actions are suppressed by the suppressor alarm, which is in ALARM",
        WAIT => "Actions are suppressed for the wait period of the suppressor alarm",
        _ => "Actions are suppressed for the extension period of the suppressor alarm",
    }
}

impl AlarmRecord {
    /// Whether the alarm that holds this one's actions back is in ALARM; `None` where none does.
    fn suppressor(&self, tx: &mut Tx<'_>) -> Result<Option<bool>, Error> {
        let Some(name) = self.composite.as_ref().and_then(|composite| composite.actions_suppressor.as_deref()) else {
            return Ok(None);
        };
        let name = name.split_once(":alarm:").map_or(name, |(_, name)| name);
        let found = Self::load(tx, &self.home(), name)?;
        Ok(Some(found.is_some_and(|alarm| alarm.state() == "ALARM")))
    }

    fn suppressed_by(&self) -> Option<&str> {
        self.composite.as_ref()?.actions_suppressed_by.as_deref()
    }

    fn set_suppressed(&mut self, by: Option<&'static str>, now: Timestamp) {
        if let Some(composite) = &mut self.composite {
            composite.actions_suppressed_by = by.map(str::to_owned);
            composite.actions_suppressed_reason = by.map(|by| reason(by).to_owned());
        }
        let held = self.suppressed.get_or_insert_default();
        held.since_ms = now.as_millis();
        if by.is_none() {
            self.suppressed = None;
        }
    }

    /// Whether the actions of a change are held back, which is then noted.
    pub(super) fn holds_back(
        &mut self,
        tx: &mut Tx<'_>,
        before: &State,
        state: &State,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Some(is_alarm) = self.suppressor(tx)? else { return Ok(false) };
        let waits = self.composite.as_ref().and_then(|composite| composite.actions_suppressor_wait_period);
        if self.suppressed_by().is_none() {
            if is_alarm {
                self.set_suppressed(Some(ALARM), now);
            } else if state.value == "ALARM" && waits.unwrap_or(0) > 0 {
                self.set_suppressed(Some(WAIT), now);
            } else {
                return Ok(false);
            }
        }
        if let Some(held) = &mut self.suppressed {
            held.before = (state.value == "ALARM").then(|| before.clone());
        }
        self.save(tx)?;
        Ok(true)
    }

    /// Looks at what holds the actions back; carries out what is no longer.
    pub(super) fn look_at_suppressor(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Error> {
        let Some(is_alarm) = self.suppressor(tx)? else { return Ok(()) };
        let composite = self.composite.clone().unwrap_or_default();
        let periods = [composite.actions_suppressor_wait_period, composite.actions_suppressor_extension_period];
        let [wait, extension] = periods.map(|seconds| i64::from(seconds.unwrap_or(0)));
        let since = self.suppressed.as_ref().map_or(0, |held| held.since_ms);
        let seconds = (now.as_millis() - since) / 1000;
        match next(self.suppressed_by(), is_alarm, seconds, (wait, extension)) {
            Next::Stays => Ok(()),
            Next::By(by) => {
                self.set_suppressed(Some(by), now);
                Ok(self.save(tx)?)
            }
            Next::Ends => {
                let before = self.suppressed.take().and_then(|held| held.before);
                self.set_suppressed(None, now);
                self.save(tx)?;
                match before {
                    Some(before) if self.state() == "ALARM" => self.act(tx, &before, &self.current(), now),
                    _ => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_wait_are_held_back_and_follow() {
        let periods = (120, 60);
        for (by, is_alarm, seconds, expected) in [
            (None, false, 0, Next::Stays),
            (None, true, 0, Next::By(ALARM)),
            (Some(WAIT), false, 119, Next::Stays),
            (Some(WAIT), false, 120, Next::Ends),
            (Some(WAIT), true, 10, Next::By(ALARM)),
            (Some(ALARM), true, 9999, Next::Stays),
            (Some(ALARM), false, 9999, Next::By(EXTENSION)),
            (Some(EXTENSION), false, 59, Next::Stays),
            (Some(EXTENSION), true, 59, Next::By(ALARM)),
            (Some(EXTENSION), false, 60, Next::Ends),
        ] {
            assert_eq!(next(by, is_alarm, seconds, periods), expected, "{by:?} {is_alarm} {seconds}");
        }
        assert_eq!(next(Some(ALARM), false, 1, (0, 0)), Next::Ends);
    }
}
