//! Connections as records: everything but their secrets.

use api_events::{ConnectionAuthResponseParameters, error};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::arn::Arn;
use wire::{Error, Timestamp};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Connection {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) kms_key: Option<String>,
    /// `BASIC`, `API_KEY` or `OAUTH_CLIENT_CREDENTIALS`.
    pub(super) kind: String,
    pub(super) state: State,
    /// Where the credentials are; none once they have been taken away.
    pub(super) secret_arn: Option<String>,
    /// What of the parameters may be seen.
    pub(super) shown: Option<ConnectionAuthResponseParameters>,
    pub(super) created_ms: i64,
    pub(super) changed_ms: i64,
    pub(super) authorized_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    Authorized,
    Deauthorized,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Authorized => "AUTHORIZED",
            Self::Deauthorized => "DEAUTHORIZED",
        }
    }
}

pub(super) fn connections(cx: &Cx) -> Key {
    all(cx.account(), cx.region())
}

fn all(account: &str, region: &str) -> Key {
    Key::new("events").push("connection").push(account).push(region)
}

fn missing(name: &str) -> Error {
    error::resource_not_found_exception(format!(
        "Failed to describe the connection(s). Connection '{name}' does not exist."
    ))
}

pub(super) fn find(tx: &mut Tx<'_>, all: &Key, name: &str) -> Result<Connection, Error> {
    tx.get_json(all.clone().push(name))?.ok_or_else(|| missing(name))
}

/// The connection of this very ARN.
fn of_arn(tx: &mut Tx<'_>, arn: &str) -> Result<Option<Connection>, Error> {
    let parsed = Arn::parse(arn).filter(|parsed| parsed.service == "events");
    let name = parsed.as_ref().and_then(|parsed| parsed.resource.strip_prefix("connection/")?.split('/').next());
    let (Some(parsed), Some(name)) = (&parsed, name) else { return Ok(None) };
    let found: Option<Connection> = tx.get_json(all(&parsed.account, &parsed.region).push(name))?;
    Ok(found.filter(|found| found.arn == arn))
}

/// Whether there is such a connection, with credentials.
pub(crate) fn is_authorized(tx: &mut Tx<'_>, arn: &str) -> Result<bool, Error> {
    Ok(of_arn(tx, arn)?.is_some_and(|found| found.state == State::Authorized))
}

/// Fails where there is none of this ARN here.
pub(crate) fn check(tx: &mut Tx<'_>, (account, region): (&str, &str), arn: &str) -> Result<(), Error> {
    let here = Arn::parse(arn).is_some_and(|parsed| parsed.account == account && parsed.region == region);
    match of_arn(tx, arn)? {
        Some(_) if here => Ok(()),
        _ => Err(missing(arn.split('/').nth(1).unwrap_or(arn))),
    }
}

impl Connection {
    pub(super) fn save(&self, tx: &mut Tx<'_>, all: &Key) -> Result<(), Error> {
        Ok(tx.put_json(all.clone().push(&self.name), self)?)
    }

    pub(super) fn created(&self) -> Timestamp {
        Timestamp::from_millis(self.created_ms)
    }

    pub(super) fn changed(&self) -> Timestamp {
        Timestamp::from_millis(self.changed_ms)
    }

    pub(super) fn authorized(&self) -> Option<Timestamp> {
        self.authorized_ms.map(Timestamp::from_millis)
    }
}
