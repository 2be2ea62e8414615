//! Repositories as records.

use std::collections::BTreeMap;

use api_ecr::Repository;
use api_ecr::error::{invalid_parameter_exception, repository_not_found_exception};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Version of the record's form.
    pub(crate) version: u32,
    pub(crate) shown: Repository,
    pub(crate) policy: Option<String>,
    pub(crate) lifecycle: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Where the repositories of an account and region are.
pub(crate) fn prefix(cx: &Cx) -> Key {
    Key::new("ecr").push(cx.account()).push(cx.region())
}

/// Only the account's own registry exists.
pub(crate) fn check_registry(cx: &Cx, id: Option<&str>) -> Result<(), Error> {
    match id {
        Some(id) if id != cx.account() => {
            Err(invalid_parameter_exception(format!("Invalid parameter at 'registryId': no registry {id} is here.")))
        }
        _ => Ok(()),
    }
}

/// The repository of a name, with its key.
pub(crate) fn load(tx: &mut Tx<'_>, prefix: &Key, account: &str, name: &str) -> Result<(Key, Record), Error> {
    let key = prefix.clone().push(name);
    let found: Option<Record> = tx.get_json(&key)?;
    let missing = || {
        repository_not_found_exception(format!(
            "The repository with name '{name}' does not exist in the registry with id '{account}'"
        ))
    };
    Ok((key, found.ok_or_else(missing)?))
}

/// Whether a name is one. Source: the model's pattern of `RepositoryName`.
pub(crate) fn well_formed(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(plain)
            && part.ends_with(plain)
            && part.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-'))
    };
    (2..=256).contains(&name.len()) && name.split('/').all(part)
}
