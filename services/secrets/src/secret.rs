//! What is stored of a secret, and the rules of its versions and stages.

use std::collections::BTreeMap;

use api_secretsmanager::Tag;
use api_secretsmanager::error::{
    invalid_request_exception, limit_exceeded_exception, resource_exists_exception, resource_not_found_exception,
};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::{Blob, Error, Timestamp};

use crate::rotation::Rotation;
use crate::seal::{self, Context};

/// Kind of the task that deletes a secret after its recovery window.
pub(crate) const EXPIRE: &str = "secrets:expire";
pub(crate) const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const PENDING: &str = "AWSPENDING";
/// Versions of one secret. Source: Secrets Manager quotas.
const MOST_VERSIONS: usize = 100;
const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) deletion: Option<Timestamp>,
    pub(crate) versions: BTreeMap<String, Version>,
    /// Who else may do what with it.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) rotation: Option<Rotation>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// In the clear only as long as it is in memory, and in records of versions before 0.2, which had no KMS.
    pub(crate) text: Option<String>,
    pub(crate) binary: Option<Blob>,
    /// Encrypted by KMS.
    #[serde(default)]
    pub(crate) sealed: Option<Blob>,
    #[serde(default)]
    pub(crate) sealed_text: bool,
    pub(crate) created: Timestamp,
    pub(crate) stages: Vec<String>,
}

/// Versions by their ids, as they were when they were looked at and with the same value under another key.
pub(crate) type Moved = BTreeMap<String, (Version, Version)>;

pub(crate) fn prefix(cx: &Cx) -> Key {
    Key::new("secretsmanager").push(cx.account()).push(cx.region())
}

/// The name in a secret's id: the id itself, or what an ARN holds, with or without the six random characters at its end.
fn names(id: &str) -> Vec<String> {
    match id.split(":secret:").nth(1) {
        None => vec![id.to_owned()],
        Some(rest) => {
            let short = rest.rsplit_once('-').filter(|(_, suffix)| suffix.len() == 6).map(|(name, _)| name.to_owned());
            short.into_iter().chain([rest.to_owned()]).collect()
        }
    }
}

/// What stands before a secret's name in its ARN: another region's or account's secret is not this one's of the name.
fn place(arn: &str) -> &str {
    arn.split(":secret:").next().unwrap_or_default()
}

/// The secret that an id names, deleted or not, and its key.
pub(crate) fn find(tx: &mut Tx<'_>, prefix: &Key, id: &str) -> Result<(Key, Secret), Error> {
    for name in names(id) {
        let key = prefix.clone().push(&name);
        // A whole ARN is that secret's alone: the next one of its name has another suffix.
        let whole = !id.ends_with(&name);
        let of_here = |secret: &Secret| !id.starts_with("arn:") || place(&secret.arn) == place(id);
        let is_meant = |secret: &Secret| of_here(secret) && (!whole || secret.arn == id);
        if let Some(secret) = tx.get_json::<Secret>(&key)?.filter(is_meant) {
            return Ok((key, secret));
        }
    }
    Err(resource_not_found_exception("Secrets Manager can't find the specified secret."))
}

/// As `find`; a secret that is scheduled for deletion is refused.
pub(crate) fn find_live(tx: &mut Tx<'_>, prefix: &Key, id: &str) -> Result<(Key, Secret), Error> {
    let (key, secret) = find(tx, prefix, id)?;
    if secret.deletion.is_some() {
        return Err(invalid_request_exception(
            "You can't perform this operation on the secret because it was marked for deletion.",
        ));
    }
    Ok((key, secret))
}

impl Version {
    /// A rotation has begun that has put no value yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_none() && self.binary.is_none() && self.sealed.is_none()
    }

    /// The same, with its value encrypted.
    pub(crate) async fn sealed(self, cx: &Cx, key: Option<&str>, arn: &str, id: &str) -> Result<Self, Error> {
        let plain = match (&self.text, &self.binary) {
            (Some(text), _) => text.as_bytes(),
            (None, Some(binary)) => binary.as_bytes(),
            (None, None) => return Ok(self),
        };
        let sealed = seal::seal(cx, seal::SECRETS, key, Secret::context(arn, id), plain).await?;
        Ok(Self { sealed_text: self.text.is_some(), sealed: Some(sealed), text: None, binary: None, ..self })
    }

    /// The same, with its value as it was given.
    pub(crate) async fn opened(self, cx: &Cx, arn: &str, id: &str) -> Result<Self, Error> {
        let Some(sealed) = &self.sealed else { return Ok(self) };
        let plain = seal::open(cx, seal::SECRETS, Secret::context(arn, id), sealed).await?;
        if self.sealed_text {
            let text = String::from_utf8(plain).map_err(|_| Error::internal("a secret's text is damaged"))?;
            return Ok(Self { text: Some(text), sealed: None, ..self });
        }
        Ok(Self { binary: Some(Blob::new(plain)), sealed: None, ..self })
    }
}

impl Secret {
    /// The name of the task that deletes it.
    pub(crate) fn task(&self) -> String {
        format!("{EXPIRE}/{}", self.arn)
    }

    /// Is it to be deleted at that time, or before?
    pub(crate) fn ends_by(&self, ms: i64) -> bool {
        self.deletion.is_some_and(|date| date.as_millis() <= ms)
    }

    /// Adds a version and moves the stages to it. The same token with the same value again changes nothing, for as long as the version is kept;
    /// `same` says that it is.
    pub(crate) fn put(&mut self, id: &str, version: Version, stages: &[String], same: bool) -> Result<(), Error> {
        if self.versions.get(id).is_some_and(|there| !there.is_empty()) {
            if !same {
                return Err(resource_exists_exception(
                    "A resource with the ID you requested already exists with a different value.",
                ));
            }
            return Ok(());
        }
        self.changed = version.created;
        // A rotation's version has its stage before it has a value.
        let held = self.versions.get(id).map(|there| there.stages.clone()).unwrap_or_default();
        self.versions.insert(id.to_owned(), Version { stages: held, ..version });
        for stage in stages {
            self.stage(stage, id);
        }
        self.forget_old(self.changed);
        if self.versions.len() > MOST_VERSIONS {
            return Err(limit_exceeded_exception(format!(
                "You have reached the limit of {MOST_VERSIONS} versions of a secret: those of the last 24 hours are not deleted."
            )));
        }
        Ok(())
    }

    /// Where there are more versions than are kept, the oldest go that have no stage and are a day old. A version that never got a value goes
    /// with its stage. Source: Secrets Manager API reference, `PutSecretValue`.
    pub(crate) fn forget_old(&mut self, now: Timestamp) {
        self.versions.retain(|_, version| !version.stages.is_empty() || !version.is_empty());
        let excess = self.versions.len().saturating_sub(MOST_VERSIONS);
        let old = |version: &Version| now.as_millis() - version.created.as_millis() >= DAY_MS;
        let unstaged = self.versions.iter().filter(|(_, version)| version.stages.is_empty() && old(version));
        let mut unstaged: Vec<(i64, String)> =
            unstaged.map(|(id, version)| (version.created.as_millis(), id.clone())).collect();
        unstaged.sort_unstable();
        for (_, id) in unstaged.into_iter().take(excess) {
            self.versions.remove(&id);
        }
    }

    /// The versions with AWS's own stages that have a value.
    pub(crate) fn staged(&self) -> impl Iterator<Item = (&String, &Version)> {
        let own = |stage: &String| [CURRENT, PENDING, PREVIOUS].contains(&stage.as_str());
        self.versions.iter().filter(move |(_, version)| !version.is_empty() && version.stages.iter().any(own))
    }

    /// Takes values under another key; false, and nothing changed, where those are not the values that there are.
    pub(crate) fn move_values(&mut self, moved: &Moved) -> bool {
        let value = |version: &Version| (version.sealed.clone(), version.text.clone(), version.binary.clone());
        let there: Vec<_> = self.staged().map(|(id, version)| (id.clone(), value(version))).collect();
        if there != moved.iter().map(|(id, (before, _))| (id.clone(), value(before))).collect::<Vec<_>>() {
            return false;
        }
        for (id, (_, after)) in moved {
            if let Some(version) = self.versions.get_mut(id) {
                let stages = std::mem::take(&mut version.stages);
                *version = Version { stages, ..after.clone() };
            }
        }
        true
    }

    fn stage(&mut self, stage: &str, id: &str) {
        let holder = self.holder(stage);
        if holder.as_deref() == Some(id) {
            return;
        }
        for version in self.versions.values_mut() {
            version.stages.retain(|s| s != stage && !(stage == CURRENT && s == PREVIOUS));
        }
        if stage == CURRENT
            && let Some(old) = holder.filter(|h| h != id).and_then(|h| self.versions.get_mut(&h))
        {
            old.stages.push(PREVIOUS.to_owned());
        }
        if let Some(version) = self.versions.get_mut(id) {
            version.stages.push(stage.to_owned());
        }
    }

    /// The version that has a stage.
    pub(crate) fn holder(&self, stage: &str) -> Option<String> {
        self.versions.iter().find(|(_, v)| v.stages.iter().any(|s| s == stage)).map(|(id, _)| id.clone())
    }

    /// Gives a stage to a version, or takes it from the one that has it.
    pub(crate) fn move_stage(&mut self, stage: &str, to: Option<&str>) {
        match to {
            Some(to) => self.stage(stage, to),
            None => self.versions.values_mut().for_each(|version| version.stages.retain(|s| s != stage)),
        }
    }

    /// What a version's encryption is bound to.
    pub(crate) fn context(arn: &str, version: &str) -> Context {
        let pairs = [("SecretARN", arn), ("SecretVersionId", version)];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    /// Those that have stages: the others are deprecated.
    pub(crate) fn stages(&self) -> BTreeMap<String, Vec<String>> {
        let staged = self.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        staged.map(|(id, version)| (id.clone(), version.stages.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_move() {
        let mut secret = Secret::default();
        let version = |text: &str| Version { text: Some(text.to_owned()), ..Version::default() };
        let current = [CURRENT.to_owned()];
        for id in ["1", "2", "3"] {
            secret.put(id, version(id), &current, false).unwrap();
        }
        assert_eq!(
            secret.stages(),
            BTreeMap::from([("2".to_owned(), vec![PREVIOUS.to_owned()]), ("3".to_owned(), vec![CURRENT.to_owned()]),])
        );
        secret.put("3", version("3"), &current, true).unwrap();
        assert_eq!(secret.put("3", version("x"), &current, false).unwrap_err().code(), "ResourceExistsException");
        // What has lost its stages is known all the same: neither an old put that comes again nor another value moves a stage.
        secret.put("1", version("1"), &current, true).unwrap();
        assert_eq!(secret.put("1", version("x"), &current, false).unwrap_err().code(), "ResourceExistsException");
        assert_eq!(secret.holder(CURRENT).as_deref(), Some("3"));
        // Moving a stage to where it is changes nothing.
        let before = secret.stages();
        secret.move_stage(CURRENT, Some("3"));
        assert_eq!(secret.stages(), before);
        secret.move_stage(CURRENT, Some("1"));
        assert_eq!(secret.holder(PREVIOUS).as_deref(), Some("3"));
    }

    #[test]
    fn versions_of_a_day_are_kept() {
        let at =
            |ms: i64| Version { text: Some("x".to_owned()), created: Timestamp::from_millis(ms), ..Version::default() };
        let current = [CURRENT.to_owned()];
        let mut secret = Secret::default();
        for n in 0..100_i64 {
            secret.put(&format!("{n:03}"), at(n), &current, false).unwrap();
        }
        let one_more = secret.clone().put("100", at(1000), &current, false);
        assert_eq!(one_more.unwrap_err().code(), "LimitExceededException");
        secret.put("100", at(DAY_MS), &current, false).unwrap();
        assert_eq!(secret.versions.len(), 100);
        assert!(!secret.versions.contains_key("000"));
        secret.put("101", at(3 * DAY_MS), &current, false).unwrap();
        assert_eq!(secret.versions.first_key_value().unwrap().0, "002");
        // A rotation that has put no value leaves nothing behind.
        secret
            .versions
            .insert("empty".to_owned(), Version { created: Timestamp::from_millis(4 * DAY_MS), ..Version::default() });
        secret.forget_old(Timestamp::from_millis(4 * DAY_MS));
        assert!(!secret.versions.contains_key("empty"));
    }

    #[test]
    fn ids() {
        assert_eq!(names("a/b"), ["a/b"]);
        assert_eq!(names("arn:aws:secretsmanager:r:0:secret:a/b-x-AbCdEf"), ["a/b-x", "a/b-x-AbCdEf"]);
    }
}
