//! API destinations as records.

use api_events::error;
use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::arn::Arn;
use wire::{Error, Timestamp};

use crate::connection;

/// Calls a second where nobody says how many. Source: EventBridge User Guide, "Invocation rate".
pub(super) const RATE: i32 = 300;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Destination {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) connection_arn: String,
    /// Wildcards (`*`) are filled with the target's path parameters.
    pub(super) endpoint: String,
    pub(super) method: String,
    pub(super) rate: i32,
    pub(super) created_ms: i64,
    pub(super) changed_ms: i64,
}

pub(super) fn all(account: &str, region: &str) -> Key {
    Key::new("events").push("destination").push(account).push(region)
}

pub(super) fn missing(name: &str) -> Error {
    error::resource_not_found_exception(format!(
        "Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
    ))
}

pub(super) fn find(tx: &mut Tx<'_>, all: &Key, name: &str) -> Result<Destination, Error> {
    tx.get_json(all.clone().push(name))?.ok_or_else(|| missing(name))
}

/// The destination of this very ARN: one that was made anew under its name is another.
pub(super) fn of_arn(tx: &mut Tx<'_>, arn: &str) -> Result<Destination, Error> {
    let parsed = Arn::parse(arn);
    let name = parsed.as_ref().and_then(|arn| arn.resource.strip_prefix("api-destination/")?.split('/').next());
    let (Some(parsed), Some(name)) = (&parsed, name) else { return Err(missing(arn)) };
    let found = find(tx, &all(&parsed.account, &parsed.region), name)?;
    if found.arn == arn { Ok(found) } else { Err(missing(name)) }
}

impl Destination {
    pub(super) fn save(&self, tx: &mut Tx<'_>, all: &Key) -> Result<(), Error> {
        Ok(tx.put_json(all.clone().push(&self.name), self)?)
    }

    /// Between two calls.
    pub(super) fn interval_micros(&self) -> i64 {
        1_000_000 / i64::from(self.rate.max(1))
    }

    /// One whose connection has no credentials is not called.
    pub(super) fn state(&self, tx: &mut Tx<'_>) -> Result<&'static str, Error> {
        Ok(if connection::is_authorized(tx, &self.connection_arn)? { "ACTIVE" } else { "INACTIVE" })
    }

    pub(super) fn created(&self) -> Timestamp {
        Timestamp::from_millis(self.created_ms)
    }

    pub(super) fn changed(&self) -> Timestamp {
        Timestamp::from_millis(self.changed_ms)
    }
}
