//! Trails as records.

use std::collections::BTreeMap;

use api_cloudtrail::{AdvancedEventSelector, EventSelector, error};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

const OWNER: &str = "cloudtrail";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trail {
    /// Version of the record's form.
    pub(crate) version: u32,
    pub(crate) account: String,
    pub(crate) home: String,
    pub(crate) name: String,
    pub(crate) bucket: String,
    pub(crate) prefix: Option<String>,
    pub(crate) global: bool,
    pub(crate) multi_region: bool,
    pub(crate) selectors: Vec<EventSelector>,
    pub(crate) advanced: Vec<AdvancedEventSelector>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) logging: bool,
    pub(crate) started_ms: Option<i64>,
    pub(crate) stopped_ms: Option<i64>,
}

/// How a trail's deliveries went; apart from the trail, which is read with every call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Delivered {
    /// Version of the record's form.
    pub(crate) version: u32,
    pub(crate) last_ms: Option<i64>,
    pub(crate) attempt_ms: Option<i64>,
    /// The code of the last attempt's error.
    pub(crate) error: Option<String>,
}

pub(crate) fn all() -> Key {
    Key::new(OWNER).push("trail")
}

pub(crate) fn of_account(account: &str) -> Key {
    all().push(account)
}

/// Events that are on their way to a trail's bucket, by the region where they happened and a number.
pub(crate) fn pending(arn: &str) -> Key {
    Key::new(OWNER).push("pending").push(arn)
}

/// What is under way to the trail's bucket.
pub(crate) fn cut(arn: &str) -> Key {
    Key::new(OWNER).push("cut").push(arn)
}

pub(crate) fn pending_number() -> Key {
    Key::new(OWNER).push("pending-number")
}

/// Events by time, for who looks them up.
pub(crate) fn events(account: &str, region: &str) -> Key {
    Key::new(OWNER).push("event").push(account).push(region)
}

pub(crate) fn all_events() -> Key {
    Key::new(OWNER).push("event")
}

/// Where a trail is: by its ARN or, in the caller's region, by its name.
pub(crate) fn place(cx: &Cx, name: &str) -> (String, String, String) {
    match Arn::parse(name) {
        Some(arn) => {
            let short = arn.resource.strip_prefix("trail/").unwrap_or(&arn.resource).to_owned();
            (arn.account, arn.region, short)
        }
        None => (cx.account().to_owned(), cx.region().to_owned(), name.to_owned()),
    }
}

pub(crate) fn key((account, region, name): &(String, String, String)) -> Key {
    of_account(account).push(region).push(name)
}

pub(crate) fn find(tx: &mut Tx<'_>, place: &(String, String, String)) -> Result<Trail, Error> {
    tx.get_json(key(place))?.ok_or_else(|| {
        error::trail_not_found_exception(format!("Unknown trail: {} for the user: {}", place.2, place.0))
    })
}

impl Trail {
    pub(crate) fn arn(&self) -> String {
        Arn::new("cloudtrail", &self.home, &self.account, format!("trail/{}", self.name)).to_string()
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(of_account(&self.account).push(&self.home).push(&self.name), self)?)
    }

    pub(crate) fn delivered(&self) -> Key {
        Key::new(OWNER).push("delivered").push(self.arn())
    }

    /// The beginning of its objects' keys.
    pub(crate) fn folder(&self) -> String {
        let prefix = self.prefix.as_deref().filter(|prefix| !prefix.is_empty()).map(|prefix| format!("{prefix}/"));
        format!("{}AWSLogs/{}", prefix.unwrap_or_default(), self.account)
    }
}
