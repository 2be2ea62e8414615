//! State machines and their versions, as stored.

use api_states::error;
use api_states::{EncryptionConfiguration, LoggingConfiguration, Tag, TracingConfiguration};
use asl::{Definition, Diagnostic, MachineType};
use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

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
}

/// A published version: the machine as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) description: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) machine: StateMachine,
}

/// `arn:aws:states:us-east-1:000000000000:stateMachine:name`, with a version's number where one is meant.
#[derive(Clone, Debug)]
pub(crate) struct MachineArn {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) version: Option<u64>,
    text: String,
}

impl MachineArn {
    pub(crate) fn new(account: &str, region: &str, name: &str) -> Self {
        let text = Arn::new("states", region, account, format!("stateMachine:{name}")).to_string();
        Self { account: account.to_owned(), region: region.to_owned(), name: name.to_owned(), version: None, text }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || error::invalid_arn(format!("Invalid Arn: '{text}'"));
        let arn = Arn::parse(text).filter(|arn| arn.service == "states").ok_or_else(invalid)?;
        let parts: Vec<&str> = arn.resource.split(':').collect();
        let (name, version) = match parts[..] {
            ["stateMachine", name] if !name.is_empty() => (name, None),
            ["stateMachine", name, version] if !name.is_empty() => (name, Some(version)),
            _ => return Err(invalid()),
        };
        // An alias is not known; nor is any machine of that name.
        let version = version.map(|version| version.parse().map_err(|_| does_not_exist(text))).transpose()?;
        let name = name.to_owned();
        Ok(Self { account: arn.account, region: arn.region, name, version, text: text.to_owned() })
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

    pub(crate) fn counter(&self) -> Key {
        Key::new("states").push(&self.account).push(&self.region).push("versions").push(&self.name)
    }

    pub(crate) fn version_arn(&self, number: u64) -> String {
        format!("{}:{number}", Self::new(&self.account, &self.region, &self.name).text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The machine, or the version of it, that the ARN names.
    pub(crate) fn find(&self, tx: &mut Tx<'_>) -> Result<StateMachine, Error> {
        let found = match self.version {
            None => tx.get_json(self.key())?,
            Some(number) => tx.get_json::<Version>(self.version_key(number))?.map(|version| version.machine),
        };
        found.ok_or_else(|| does_not_exist(&self.text))
    }
}

pub(crate) fn machines(account: &str, region: &str) -> Key {
    Key::new("states").push(account).push(region).push("machine")
}

pub(crate) fn does_not_exist(arn: &str) -> Error {
    error::state_machine_does_not_exist(format!("State Machine Does Not Exist: '{arn}'"))
}

/// Reads a definition, or says all that is wrong with it in one line.
pub(crate) fn checked(definition: &str, kind: &str) -> Result<Definition, Error> {
    Definition::parse(definition, machine_type(kind)).map_err(|found| {
        let found: Vec<_> = found.iter().map(Diagnostic::sentence).collect();
        error::invalid_definition(format!("Invalid State Machine Definition: '{}'", found.join(", ")))
    })
}

pub(crate) fn machine_type(kind: &str) -> MachineType {
    if kind == "EXPRESS" { MachineType::Express } else { MachineType::Standard }
}

/// Names of machines and executions.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    if name.is_empty() || name.chars().count() > 80 || name.contains(forbidden) {
        return Err(error::invalid_name(format!("Invalid Name: '{name}'")));
    }
    Ok(())
}

impl StateMachine {
    /// Publishes the machine as it is; an unchanged machine keeps the version that it has.
    pub(crate) fn publish(
        &self,
        tx: &mut Tx<'_>,
        arn: &MachineArn,
        description: Option<&String>,
        now_ms: i64,
    ) -> Result<Version, store::Error> {
        let last = tx.get(arn.counter())?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        if let Some(last) = last
            && let Some(version) = tx.get_json::<Version>(arn.version_key(last))?
            && version.machine.revision_id == self.revision_id
        {
            return Ok(version);
        }
        let number = tx.next_number(arn.counter())?;
        let version = Version { number, description: description.cloned(), created_ms: now_ms, machine: self.clone() };
        tx.put_json(arn.version_key(number), &version)?;
        Ok(version)
    }

    pub(crate) fn logging(&self) -> LoggingConfiguration {
        let mut logging = self.logging.clone().unwrap_or_default();
        logging.level.get_or_insert_with(|| "OFF".to_owned());
        logging.include_execution_data.get_or_insert(false);
        logging
    }

    pub(crate) fn tracing(&self) -> TracingConfiguration {
        self.tracing.clone().unwrap_or(TracingConfiguration { enabled: Some(false) })
    }
}
