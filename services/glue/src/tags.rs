//! Tags of Glue resources, by ARN.

use std::collections::BTreeMap;

use api_glue::error::entity_not_found_exception;
use store::{Key, Tx};
use wire::Error;

use crate::scope::Scope;

pub(crate) type Tags = BTreeMap<String, String>;

fn key(scope: &Scope, arn: &str) -> Key {
    scope.key("tags").push(arn)
}

/// Errs where nothing that can have tags has the ARN.
pub(crate) fn exists(tx: &mut Tx<'_>, scope: &Scope, arn: &str) -> Result<(), Error> {
    let not_found = || Err(entity_not_found_exception(format!("Resource {arn} not found")));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "glue", region, account, resource] = parts[..] else { return not_found() };
    // What is elsewhere was asked about there.
    if (region, account) != (scope.region.as_str(), scope.account.as_str()) {
        return not_found();
    }
    let key = match resource.split_once('/') {
        Some(("database", name)) => Some(scope.database(name)),
        Some(("table", path)) => path.split_once('/').map(|(database, name)| scope.table(database, name)),
        Some(("registry", name)) => Some(scope.key("registry").push(name)),
        Some(("schema", path)) => {
            path.split_once('/').map(|(registry, name)| scope.key("schema").push(registry).push(name))
        }
        Some(("dataQualityRuleset", name)) => Some(scope.key("dq-ruleset").push(name)),
        Some((kind @ ("connection" | "crawler" | "job" | "session" | "trigger" | "workflow"), name)) => {
            Some(scope.key(kind).push(name))
        }
        _ => None,
    };
    let found = match key {
        Some(key) => tx.get(key)?.is_some(),
        None => resource == "catalog",
    };
    if found { Ok(()) } else { not_found() }
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
    // Most resources have none: a row is looked for rather than its absence written.
    if tx.has(key(scope, arn))? {
        tx.delete(key(scope, arn))?;
    }
    Ok(())
}
