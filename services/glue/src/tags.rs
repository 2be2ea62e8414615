//! Tags of Glue resources, by ARN.

use std::collections::BTreeMap;

use store::{Key, Tx};
use wire::Error;

use crate::scope::Scope;

pub(crate) type Tags = BTreeMap<String, String>;

fn key(scope: &Scope, arn: &str) -> Key {
    scope.key("tags").push(arn)
}

pub(crate) fn read(tx: &mut Tx<'_>, scope: &Scope, arn: &str) -> Result<Tags, Error> {
    Ok(tx.get_json(key(scope, arn))?.unwrap_or_default())
}

/// Adds tags; a present one gets the new value.
pub(crate) fn add(tx: &mut Tx<'_>, scope: &Scope, arn: &str, tags: &Tags) -> Result<(), Error> {
    let mut all = read(tx, scope, arn)?;
    all.extend(tags.clone());
    if !all.is_empty() {
        tx.put_json(key(scope, arn), &all)?;
    }
    Ok(())
}

pub(crate) fn remove(tx: &mut Tx<'_>, scope: &Scope, arn: &str, names: &[String]) -> Result<(), Error> {
    let mut all = read(tx, scope, arn)?;
    all.retain(|name, _| !names.contains(name));
    tx.put_json(key(scope, arn), &all)?;
    Ok(())
}

/// Forgets the tags of a deleted resource.
pub(crate) fn clear(tx: &mut Tx<'_>, scope: &Scope, arn: &str) -> Result<(), Error> {
    tx.delete(key(scope, arn))?;
    Ok(())
}
