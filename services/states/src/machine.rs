//! State machines and their versions, as stored.

use std::sync::Arc;

use api_states::error;
use api_states::{EncryptionConfiguration, LoggingConfiguration, Tag, TracingConfiguration};
use asl::{Definition, Diagnostic, MachineType};
use engine::DefinitionText;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use service::Router;
use store::{Key, Tx};
use wire::Error;

use crate::alias::Alias;
use crate::integrations::findings;
use crate::names::Resource;

/// A state machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StateMachine {
    pub(crate) version: u8,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) definition: String,
    pub(crate) role_arn: String,
    /// `STANDARD` or `EXPRESS`.
    pub(crate) kind: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// None until the first update.
    pub(crate) revision_id: Option<String>,
    pub(crate) logging: Option<LoggingConfiguration>,
    pub(crate) tracing: Option<TracingConfiguration>,
    pub(crate) encryption: Option<EncryptionConfiguration>,
    pub(crate) tags: Vec<Tag>,
    /// Whether it was created with a version, and how that was described: part of what makes a second request the same.
    #[serde(default)]
    pub(crate) published: bool,
    #[serde(default)]
    pub(crate) published_as: Option<String>,
    /// It goes when its executions have ended.
    #[serde(default)]
    pub(crate) deleting: bool,
}

/// A published version: the machine as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) description: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) machine: StateMachine,
}

/// `arn:aws:states:us-east-1:000000000000:stateMachine:name`, with a version's number or an alias where one is meant.
#[derive(Clone, Debug)]
pub(crate) struct MachineArn {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) qualifier: Qualifier,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier {
    None,
    Version(u64),
    Alias(String),
}

impl MachineArn {
    pub(crate) fn new(account: &str, region: &str, name: &str) -> Self {
        let text = format!("arn:aws:states:{region}:{account}:stateMachine:{name}");
        let (account, region, name) = (account.to_owned(), region.to_owned(), name.to_owned());
        Self { account, region, name, qualifier: Qualifier::None, text }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let Resource { account, region, parts } = Resource::parse(text, &["stateMachine"])?;
        let qualifier = match &parts[..] {
            [_, _] => Qualifier::None,
            [_, _, qualifier] if qualifier.chars().all(|c| c.is_ascii_digit()) => {
                Qualifier::Version(qualifier.parse().map_err(|_| does_not_exist(text))?)
            }
            [_, _, qualifier] => Qualifier::Alias(qualifier.clone()),
            _ => return Err(error::invalid_arn(format!("Invalid Arn: '{text}'"))),
        };
        let name = parts.get(1).cloned().unwrap_or_default();
        Ok(Self { account, region, name, qualifier, text: text.to_owned() })
    }

    /// The machine itself: a version or an alias is refused.
    pub(crate) fn parse_unqualified(text: &str) -> Result<Self, Error> {
        let arn = Self::parse(text)?;
        if arn.qualifier == Qualifier::None && arn.label().is_none() { Ok(arn) } else { Err(qualified(text)) }
    }

    /// The machine and the label of one of its Distributed Maps, where the ARN names that: `stateMachine:name/label`.
    pub(crate) fn label(&self) -> Option<(&str, &str)> {
        self.name.split_once('/')
    }

    pub(crate) fn version(&self) -> Option<u64> {
        if let Qualifier::Version(number) = self.qualifier { Some(number) } else { None }
    }

    pub(crate) fn unqualified(&self) -> Self {
        Self::new(&self.account, &self.region, &self.name)
    }

    pub(crate) fn key(&self) -> Key {
        machines(&self.account, &self.region).push(&self.name)
    }

    pub(crate) fn versions(&self) -> Key {
        Key::new("states").push(&self.account).push(&self.region).push("version").push(&self.name)
    }

    pub(crate) fn version_key(&self, number: u64) -> Key {
        self.versions().push_u64(number)
    }

    pub(crate) fn aliases(&self) -> Key {
        Key::new("states").push(&self.account).push(&self.region).push("alias").push(&self.name)
    }

    pub(crate) fn counter(&self) -> Key {
        Key::new("states").push(&self.account).push(&self.region).push("versions").push(&self.name)
    }

    pub(crate) fn version_arn(&self, number: u64) -> String {
        format!("{}:{number}", self.unqualified().text)
    }

    pub(crate) fn alias_arn(&self, name: &str) -> String {
        format!("{}:{name}", self.unqualified().text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The machine without its qualifier, where it is not being deleted.
    pub(crate) fn machine(&self, tx: &mut Tx<'_>) -> Result<StateMachine, Error> {
        let machine: StateMachine = tx.get_json(self.key())?.ok_or_else(|| does_not_exist(&self.text))?;
        if machine.deleting { Err(deleting(&self.text)) } else { Ok(machine) }
    }

    /// What the ARN names: the machine as it is, a version of it, or the version that an alias leads to this time. `draw` is a
    /// number below 100.
    pub(crate) fn find(&self, tx: &mut Tx<'_>, draw: u32) -> Result<Found, Error> {
        let (number, alias_arn) = match &self.qualifier {
            Qualifier::None => {
                let machine = tx.get_json(self.key())?.ok_or_else(|| does_not_exist(&self.text))?;
                return Ok(Found { machine, version: None, alias_arn: None });
            }
            Qualifier::Version(number) => (*number, None),
            Qualifier::Alias(name) => {
                let alias = Alias::load(tx, self, name)?.ok_or_else(|| does_not_exist(&self.text))?;
                (alias.route(draw), Some(self.text.clone()))
            }
        };
        let mut version: Version = tx.get_json(self.version_key(number))?.ok_or_else(|| does_not_exist(&self.text))?;
        let machine: Option<StateMachine> = tx.get_json(self.key())?;
        version.machine.deleting = machine.is_some_and(|machine| machine.deleting);
        Ok(Found { machine: version.machine.clone(), version: Some(version), alias_arn })
    }
}

/// What an ARN led to.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) machine: StateMachine,
    pub(crate) version: Option<Version>,
    pub(crate) alias_arn: Option<String>,
}

/// A machine as it is remembered, ready to be started.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) machine: StateMachine,
    pub(crate) definition: DefinitionText,
    /// What its executions keep of it: a [`Revision`].
    pub(crate) revision: Option<Arc<RawValue>>,
}

impl From<StateMachine> for Ready {
    fn from(machine: StateMachine) -> Self {
        let definition = machine.definition.as_str().into();
        let revision = serde_json::value::to_raw_value(&Revision::of(&machine)).ok().map(Arc::from);
        Self { machine, definition, revision }
    }
}

/// What a machine is at a time, beside its definition and role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Revision {
    pub(crate) updated_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logging: Option<LoggingConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracing: Option<TracingConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<EncryptionConfiguration>,
}

impl Revision {
    pub(crate) fn of(machine: &StateMachine) -> Self {
        Self {
            updated_ms: machine.updated_ms,
            id: machine.revision_id.clone(),
            logging: machine.logging.clone(),
            tracing: machine.tracing.clone(),
            encryption: machine.encryption.clone(),
        }
    }

    pub(crate) fn logging(&self) -> LoggingConfiguration {
        logging_or_off(self.logging.as_ref())
    }

    pub(crate) fn tracing(&self) -> TracingConfiguration {
        self.tracing.clone().unwrap_or(TracingConfiguration { enabled: Some(false) })
    }
}

fn logging_or_off(logging: Option<&LoggingConfiguration>) -> LoggingConfiguration {
    let mut logging = logging.cloned().unwrap_or_default();
    logging.level.get_or_insert_with(|| "OFF".to_owned());
    logging.include_execution_data.get_or_insert(false);
    logging
}

/// True for the keys of machines themselves.
pub(crate) fn is_machine(key: &[u8]) -> bool {
    const END: [u8; 2] = [0, 1];
    let part = |key: &mut &[u8]| {
        let end = key.windows(2).position(|two| two == END)?;
        let (part, rest) = (&key[..end], &key[end + 2..]);
        *key = rest;
        Some(part == b"machine")
    };
    let Some(mut rest) = key.strip_prefix(b"states\x00\x01") else { return false };
    let (_account, _region) = (part(&mut rest), part(&mut rest));
    part(&mut rest) == Some(true)
}

pub(crate) fn machines(account: &str, region: &str) -> Key {
    Key::new("states").push(account).push(region).push("machine")
}

pub(crate) fn does_not_exist(arn: &str) -> Error {
    error::state_machine_does_not_exist(format!("State Machine Does Not Exist: '{arn}'"))
}

pub(crate) fn deleting(arn: &str) -> Error {
    error::state_machine_deleting(format!("State Machine Deleting: '{arn}'"))
}

fn qualified(arn: &str) -> Error {
    let by = if arn.rsplit(':').next().is_some_and(|name| name.contains('/')) {
        "a Distributed Map state"
    } else {
        "a version or an alias"
    };
    error::validation_exception(format!("State machine ARN must not be qualified by {by}: '{arn}'"))
}

/// Reads a definition, or says all that is wrong with it in one line.
pub(crate) fn checked(router: &Router, definition: &str, kind: &str) -> Result<Definition, Error> {
    let parsed = Definition::parse(definition, machine_type(kind)).and_then(|parsed| {
        let found = findings(router, definition);
        if found.is_empty() { Ok(parsed) } else { Err(found) }
    });
    parsed.map_err(|found| {
        let found: Vec<_> = found.iter().map(Diagnostic::sentence).collect();
        error::invalid_definition(format!("Invalid State Machine Definition: '{}'", found.join(", ")))
    })
}

pub(crate) fn machine_type(kind: &str) -> MachineType {
    if kind == "EXPRESS" { MachineType::Express } else { MachineType::Standard }
}

/// Source: Service quotas of Step Functions, "Quotas related to versions and aliases".
const MAX_VERSIONS: usize = 1000;

impl StateMachine {
    pub(crate) fn status(&self) -> &'static str {
        if self.deleting { "DELETING" } else { "ACTIVE" }
    }

    /// Publishes the machine as it is; an unchanged machine keeps the version that it has.
    pub(crate) fn publish(
        &self,
        tx: &mut Tx<'_>,
        arn: &MachineArn,
        description: Option<&String>,
        now_ms: i64,
    ) -> Result<Version, Error> {
        let last = tx.get(arn.counter())?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        if let Some(last) = last
            && let Some(version) = tx.get_json::<Version>(arn.version_key(last))?
            && version.machine.revision_id == self.revision_id
        {
            return Ok(version);
        }
        if tx.scan_prefix(arn.versions(), MAX_VERSIONS)?.len() == MAX_VERSIONS {
            return Err(error::service_quota_exceeded_exception(format!(
                "State machine '{}' has reached the limit of {MAX_VERSIONS} versions",
                arn.as_str()
            )));
        }
        let number = tx.next_number(arn.counter())?;
        let version = Version { number, description: description.cloned(), created_ms: now_ms, machine: self.clone() };
        tx.put_json(arn.version_key(number), &version)?;
        Ok(version)
    }

    pub(crate) fn logging(&self) -> LoggingConfiguration {
        logging_or_off(self.logging.as_ref())
    }

    pub(crate) fn tracing(&self) -> TracingConfiguration {
        self.tracing.clone().unwrap_or(TracingConfiguration { enabled: Some(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::{MachineArn, is_machine};

    #[test]
    fn keys_of_machines_are_told_from_others() {
        let arn = MachineArn::new("000000000000", "eu-west-1", "m");
        assert!(is_machine(arn.key().as_bytes()));
        for other in [arn.versions(), arn.aliases(), arn.counter(), store::Key::new("states"), store::Key::new("sqs")] {
            assert!(!is_machine(other.as_bytes()), "{other:?}");
        }
    }
}
