//! What is stored of keys and aliases, and how requests name them.

use std::collections::BTreeMap;

use api_kms::error::{
    disabled_exception, invalid_arn_exception, invalid_key_usage_exception, kms_invalid_state_exception,
    not_found_exception,
};
use api_kms::{GrantListEntry, KeyMetadata, Tag};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::arn::Arn;
use wire::{Error, Timestamp};

/// A key in a place of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyLocation {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub(crate) metadata: KeyMetadata,
    pub(crate) policy: String,
    pub(crate) tags: Vec<Tag>,
    /// Sealed under the root key, the newest last; what is encrypted names its number.
    pub(crate) materials: Vec<Material>,
    /// Days between rotations, where they are on.
    pub(crate) rotation_days: Option<i32>,
    pub(crate) next_rotation_ms: Option<i64>,
    pub(crate) grants: BTreeMap<String, Grant>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Material {
    pub(crate) id: String,
    pub(crate) sealed: String,
    pub(crate) since: Timestamp,
    /// `AUTOMATIC` or `ON_DEMAND`; none of the first.
    pub(crate) by: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) entry: GrantListEntry,
    pub(crate) token: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AliasRecord {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

fn base(account: &str, region: &str) -> Key {
    Key::new("kms").push(account).push(region)
}
pub(crate) fn key_prefix(account: &str, region: &str) -> Key {
    base(account, region).push("key")
}
pub(crate) fn alias_prefix(account: &str, region: &str) -> Key {
    base(account, region).push("alias")
}
pub(crate) fn alias_key(place: (&str, &str), name: &str) -> Key {
    alias_prefix(place.0, place.1).push(name)
}

impl KeyLocation {
    pub(crate) fn key(&self) -> Key {
        key_prefix(&self.account, &self.region).push(&self.id)
    }
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:kms:{}:{}:key/{}", self.region, self.account, self.id)
    }
}

/// The place of a key by its id, its ARN, its alias or its alias's ARN. An alias has to exist.
pub(crate) fn place(tx: &mut Tx<'_>, cx: &Cx, id: &str) -> Result<KeyLocation, Error> {
    let (account, region, name) = if id.starts_with("arn:") {
        let invalid = |what: &str| invalid_arn_exception(format!("Invalid arn {what}"));
        let arn = Arn::parse(id).filter(|arn| arn.service == "kms").ok_or_else(|| invalid(id))?;
        if arn.region != cx.region() {
            return Err(invalid(&arn.region));
        }
        (arn.account, arn.region, arn.resource)
    } else {
        (cx.account().to_owned(), cx.region().to_owned(), id.to_owned())
    };
    if name.starts_with("alias/") {
        let found: Option<AliasRecord> = tx.get_json(alias_key((&account, &region), &name))?;
        let found = found
            .ok_or_else(|| not_found_exception(format!("Alias arn:aws:kms:{region}:{account}:{name} is not found.")))?;
        return Ok(KeyLocation { account, region, id: found.target });
    }
    let id = name.strip_prefix("key/").unwrap_or(&name).to_owned();
    Ok(KeyLocation { account, region, id })
}

/// The key that a request names.
pub(crate) fn find(tx: &mut Tx<'_>, cx: &Cx, id: &str) -> Result<(KeyLocation, KeyRecord), Error> {
    let place = place(tx, cx, id)?;
    let found: Option<KeyRecord> = tx.get_json(place.key())?;
    match found {
        Some(record) => Ok((place, record)),
        None => Err(not_found_exception(format!("Key '{}' does not exist", place.arn()))),
    }
}

impl KeyRecord {
    pub(crate) fn arn(&self) -> &str {
        self.metadata.arn.as_deref().unwrap_or_default()
    }

    pub(crate) fn spec(&self) -> &str {
        self.metadata.key_spec.as_deref().unwrap_or_default()
    }

    fn state(&self) -> &str {
        self.metadata.key_state.as_deref().unwrap_or_default()
    }

    /// Is it to be deleted at that time, or before?
    pub(crate) fn ends_by(&self, ms: i64) -> bool {
        self.state() == "PendingDeletion" && self.metadata.deletion_date.is_some_and(|date| date.as_millis() <= ms)
    }

    /// For changes: not a key that is about to be deleted.
    pub(crate) fn lives(&self) -> Result<(), Error> {
        match self.state() {
            "PendingDeletion" => Err(kms_invalid_state_exception(format!("{} is pending deletion.", self.arn()))),
            _ => Ok(()),
        }
    }

    /// For use in operations of a key usage.
    pub(crate) fn serves(&self, usage: &str) -> Result<(), Error> {
        self.lives()?;
        if self.state() == "Disabled" {
            return Err(disabled_exception(format!("{} is disabled.", self.arn())));
        }
        if self.metadata.key_usage.as_deref() != Some(usage) {
            return Err(self.of_wrong_usage());
        }
        Ok(())
    }

    /// For an alias that goes from one key to another: both are of one type and one usage. Source: KMS API reference, UpdateAlias.
    pub(crate) fn takes_the_place_of(&self, before: &Self) -> Result<(), Error> {
        let kind = |key: &Self| match key.spec() {
            "SYMMETRIC_DEFAULT" => "symmetric",
            spec if spec.starts_with("HMAC_") => "HMAC",
            _ => "asymmetric",
        };
        if self.metadata.key_usage != before.metadata.key_usage || kind(self) != kind(before) {
            return Err(before.of_wrong_usage());
        }
        Ok(())
    }

    fn of_wrong_usage(&self) -> Error {
        invalid_key_usage_exception(format!(
            "{} key usage is {} which is not valid for this operation.",
            self.arn(),
            self.metadata.key_usage.as_deref().unwrap_or_default()
        ))
    }

    /// AWS's own key of a service, which only that service changes.
    pub(crate) fn is_managed(&self) -> bool {
        self.metadata.key_manager.as_deref() == Some("AWS")
    }
}

/// Takes a key away with its aliases.
pub(crate) fn forget(tx: &mut Tx<'_>, place: &KeyLocation) -> Result<(), store::Error> {
    let aliases: Vec<AliasRecord> = tx.list_json(alias_prefix(&place.account, &place.region), usize::MAX)?;
    for alias in aliases.iter().filter(|alias| alias.target == place.id) {
        tx.delete(alias_key((&place.account, &place.region), &alias.name))?;
    }
    tx.delete(place.key())
}
