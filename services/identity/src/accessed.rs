//! When users and roles last used which service: noted as their calls are weighed, of each service once in a quarter of an hour at most.
//! Source: IAM User Guide, "Refine permissions in AWS using last accessed information".

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use service::Principal;
use store::{Key, Tx};

use crate::Identity;

/// How often a use is written.
const EVERY_MS: i64 = 15 * 60 * 1000;
/// Uses that are remembered as written.
const MOST: usize = 10_000;

/// Uses that are written: by whom, of which service; when.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<BTreeMap<(String, String), i64>>);

/// The last use of a service by a user or role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Access {
    /// Version of the record's form.
    version: u32,
    pub(crate) service: String,
    pub(crate) at_ms: i64,
    pub(crate) region: String,
}

impl Noted {
    /// Whether a use is to be written now.
    fn is_new(&self, who: &str, service: &str, now_ms: i64) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (who.to_owned(), service.to_owned());
        if noted.get(&key).is_some_and(|at| now_ms - at < EVERY_MS) {
            return false;
        }
        if noted.len() >= MOST {
            noted.clear();
        }
        noted.insert(key, now_ms);
        true
    }
}

/// Uses by a user or role, by its ARN.
pub(crate) fn prefix(who: &str) -> Key {
    Key::new("iamaccessed").push(who)
}

/// All uses by a user or role.
pub(crate) fn of(tx: &mut Tx<'_>, who: &str) -> Result<Vec<Access>, store::Error> {
    tx.list_json(prefix(who), usize::MAX)
}

impl Identity {
    /// Notes that a user or role has asked for an action. What cannot be noted stops nobody.
    pub(crate) async fn note(&self, principal: &Principal, action: &str, resource: &str) {
        let (Some(who), Some((service, _))) = (principal.policy_arn(), action.split_once(':')) else { return };
        let at_ms = self.store.clock().now_ms();
        if !self.noted.is_new(who, service, at_ms) {
            return;
        }
        let region = resource.split(':').nth(3).unwrap_or_default().to_owned();
        let key = prefix(who).push(service);
        let access = Access { version: 1, service: service.to_owned(), at_ms, region };
        if let Err(error) = self.store.write(move |tx| tx.put_json(&key, &access)).await {
            tracing::warn!(%error, "the use of a service could not be noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_once_in_a_quarter_of_an_hour() {
        let noted = Noted::default();
        let asked = [("r", "s3", 0), ("r", "s3", EVERY_MS - 1), ("r", "sqs", 5), ("q", "s3", 6), ("r", "s3", EVERY_MS)];
        let new: Vec<bool> = asked.iter().map(|(who, service, at)| noted.is_new(who, service, *at)).collect();
        assert_eq!(new, [true, false, true, true, true]);
    }
}
