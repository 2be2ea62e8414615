//! Signals that resources wait for (`CreationPolicy`) before they count as made. Sources: CloudFormation Template Reference, "CreationPolicy
//! attribute"; API Reference, SignalResource.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Key, Store};
use wire::Error;

use crate::parameters::text;
use crate::template::validation;
use crate::{Result, records};

/// Between two looks.
pub(crate) const EVERY: Duration = Duration::from_millis(200);
/// Source: `Timeout`, "PT5M (5 minutes)" where nothing is said, and "The maximum is 12 hours".
const USUAL: SignedDuration = SignedDuration::from_mins(5);
const LONGEST: SignedDuration = SignedDuration::from_hours(12);

/// How many a resource waits for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signals {
    pub(crate) count: usize,
    pub(crate) timeout_ms: i64,
}

impl Signals {
    /// Of a resolved `CreationPolicy`.
    pub(crate) fn of(policy: Option<&Value>) -> Result<Option<Self>> {
        let Some(signal) = policy.and_then(|policy| policy.get("ResourceSignal")) else { return Ok(None) };
        let wrong = |what: &str| validation(format!("{what} of a ResourceSignal is not valid"));
        let count = signal.get("Count").map_or(Ok(1), |count| text(count).parse());
        let count = count.map_err(|_| wrong("Count"))?;
        let timeout = signal.get("Timeout").map_or(Ok(USUAL), |timeout| text(timeout).parse::<SignedDuration>());
        let timeout = timeout.map_err(|_| wrong("Timeout"))?;
        if timeout.is_negative() || timeout > LONGEST {
            return Err(wrong("Timeout"));
        }
        Ok(Some(Self { count, timeout_ms: i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX) }))
    }
}

/// One that came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignalRecord {
    pub(crate) v: u8,
    pub(crate) id: String,
    pub(crate) success: bool,
}

/// Whose signals: of a resource that an operation of a stack makes.
pub(crate) struct Place<'a> {
    /// Account and region.
    pub(crate) place: (&'a str, &'a str),
    pub(crate) of: (&'a str, u32, &'a str),
}

impl Place<'_> {
    pub(crate) fn came(&self) -> Key {
        records::signals(self.place.0, self.place.1, self.of).push("came")
    }

    /// Where it is noted since when they are waited for.
    pub(crate) fn since(&self) -> Key {
        records::signals(self.place.0, self.place.1, self.of).push("since")
    }
}

/// Since when a resource waits: from `now_ms` on, where it has not waited yet.
pub(crate) async fn since(store: &Store, place: &Place<'_>, now_ms: i64) -> Result<i64> {
    let key = place.since();
    store
        .write(move |tx| {
            if let Some(since) = tx.get_json::<i64>(&key)? {
                return Ok(since);
            }
            tx.put_json(&key, &now_ms)?;
            Ok::<_, Error>(now_ms)
        })
        .await
}

/// How the waiting has ended; `None` where it goes on.
pub(crate) async fn outcome(
    store: &Store,
    place: &Place<'_>,
    wanted: Signals,
) -> Result<Option<std::result::Result<(), String>>> {
    let key = place.came();
    let came: Vec<SignalRecord> = store.read(|tx| Ok::<_, Error>(tx.list_json(&key, usize::MAX)?)).await?;
    if let Some(failed) = came.iter().find(|signal| !signal.success) {
        return Ok(Some(Err(format!("Received FAILURE signal with UniqueId {}", failed.id))));
    }
    Ok((came.len() >= wanted.count).then_some(Ok(())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_waited_for() {
        let of = |signal: Value| Signals::of(Some(&json!({ "ResourceSignal": signal }))).map(Option::unwrap);
        assert_eq!(of(json!({})).unwrap(), Signals { count: 1, timeout_ms: 300_000 });
        let given = of(json!({ "Count": "3", "Timeout": "PT1H30M" })).unwrap();
        assert_eq!(given, Signals { count: 3, timeout_ms: 5_400_000 });
        for wrong in [json!({ "Count": "x" }), json!({ "Timeout": "soon" }), json!({ "Timeout": "PT13H" })] {
            assert!(of(wrong).is_err());
        }
        assert_eq!(Signals::of(Some(&json!({}))).unwrap(), None);
    }
}
