//! The names of executions.

use std::fmt;

use serde::{Deserialize, Serialize};
use wire::arn::Arn;

/// `arn:aws:states:us-east-1:000000000000:execution:machine:name`, or `…:express:machine:name:id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutionArn {
    text: String,
    account: String,
    region: String,
    /// From `execution` on.
    resource: String,
    machine: String,
}

impl ExecutionArn {
    pub fn standard(account: &str, region: &str, machine: &str, name: &str) -> Self {
        Self::of(account, region, machine, format!("execution:{machine}:{name}"))
    }

    pub fn express(account: &str, region: &str, machine: &str, name: &str, id: &str) -> Self {
        Self::of(account, region, machine, format!("express:{machine}:{name}:{id}"))
    }

    fn of(account: &str, region: &str, machine: &str, resource: String) -> Self {
        let text = Arn::new("states", region, account, resource.clone()).to_string();
        Self { text, account: account.to_owned(), region: region.to_owned(), resource, machine: machine.to_owned() }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let arn = Arn::parse(text)?;
        let parts: Vec<&str> = arn.resource.split(':').collect();
        let machine = match parts[..] {
            ["execution", machine, name] if !name.is_empty() => machine,
            ["express", machine, name, id] if !name.is_empty() && !id.is_empty() => machine,
            _ => return None,
        };
        if arn.service != "states" || machine.is_empty() {
            return None;
        }
        let machine = machine.to_owned();
        Some(Self { text: text.to_owned(), account: arn.account, region: arn.region, resource: arn.resource, machine })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    pub fn machine(&self) -> &str {
        &self.machine
    }

    pub fn is_express(&self) -> bool {
        self.resource.starts_with("express:")
    }

    pub(crate) fn resource(&self) -> &str {
        &self.resource
    }
}

impl fmt::Display for ExecutionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for ExecutionArn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("'{text}' is not an execution's ARN"))
    }
}

impl From<ExecutionArn> for String {
    fn from(arn: ExecutionArn) -> Self {
        arn.text
    }
}
