//! The names of executions.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::arn::ArnRef;

/// `arn:aws:states:us-east-1:000000000000:execution:machine:name`, or `…:express:machine:name:id`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutionArn {
    text: Arc<str>,
    parts: Parts,
}

/// Where parts of the text begin; each ends before a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    region: usize,
    account: usize,
    /// `execution` or `express`, and all that follows.
    resource: usize,
    machine: usize,
    /// What follows the machine.
    name: usize,
}

impl ExecutionArn {
    pub fn standard(account: &str, region: &str, machine: &str, name: &str) -> Self {
        Self::of(&["arn:aws:states", region, account, "execution", machine, name])
    }

    pub fn express(account: &str, region: &str, machine: &str, name: &str, id: &str) -> Self {
        Self::of(&["arn:aws:states", region, account, "express", machine, name, id])
    }

    fn of(parts: &[&str]) -> Self {
        let begin = |n: usize| parts.iter().take(n).map(|part| part.len() + 1).sum();
        let places =
            Parts { region: begin(1), account: begin(2), resource: begin(3), machine: begin(4), name: begin(5) };
        Self { text: parts.join(":").into(), parts: places }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let arn = ArnRef::parse(text)?;
        let mut names = arn.resource.split(':');
        let (kind, machine, name, id) = (names.next()?, names.next()?, names.next()?, names.next());
        let is_one = match (kind, id) {
            ("execution", None) => true,
            ("express", Some(id)) => !id.is_empty() && names.next().is_none(),
            _ => false,
        };
        if !is_one || arn.service != "states" || machine.is_empty() || name.is_empty() {
            return None;
        }
        let resource = text.len() - arn.resource.len();
        let account = resource - 1 - arn.account.len();
        let region = account - 1 - arn.region.len();
        let machine_at = resource + kind.len() + 1;
        let parts = Parts { region, account, resource, machine: machine_at, name: machine_at + machine.len() + 1 };
        Some(Self { text: text.into(), parts })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn account(&self) -> &str {
        &self.text[self.parts.account..self.parts.resource - 1]
    }

    pub fn region(&self) -> &str {
        &self.text[self.parts.region..self.parts.account - 1]
    }

    pub fn machine(&self) -> &str {
        &self.text[self.parts.machine..self.parts.name - 1]
    }

    pub fn is_express(&self) -> bool {
        self.resource().starts_with("express:")
    }

    pub(crate) fn resource(&self) -> &str {
        &self.text[self.parts.resource..]
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
        arn.text.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_where_they_were_put() {
        let standard = ExecutionArn::standard("000000000000", "eu-west-1", "m", "e");
        assert_eq!(standard.as_str(), "arn:aws:states:eu-west-1:000000000000:execution:m:e");
        let express = ExecutionArn::express("000000000000", "eu-west-1", "m", "e", "id");
        assert_eq!(express.as_str(), "arn:aws:states:eu-west-1:000000000000:express:m:e:id");
        for (arn, resource) in [(standard, "execution:m:e"), (express, "express:m:e:id")] {
            assert_eq!((arn.account(), arn.region(), arn.machine()), ("000000000000", "eu-west-1", "m"));
            assert_eq!((arn.resource(), arn.is_express()), (resource, resource.starts_with("express")));
            assert_eq!(ExecutionArn::parse(arn.as_str()), Some(arn));
        }
        // Of another partition.
        let arn = ExecutionArn::parse("arn:aws-cn:states:cn-north-1:000000000000:execution:mm:e").unwrap();
        assert_eq!((arn.account(), arn.region(), arn.machine()), ("000000000000", "cn-north-1", "mm"));
        for other in [
            "execution:m",
            "execution:m:",
            "execution::e",
            "execution:m:e:f",
            "express:m:e",
            "express:m:e:",
            "express:m:e:i:j",
            "stateMachine:m:e",
        ] {
            let text = format!("arn:aws:states:eu-west-1:000000000000:{other}");
            assert_eq!(ExecutionArn::parse(&text), None, "{text}");
        }
        assert_eq!(ExecutionArn::parse("arn:aws:lambda:eu-west-1:000000000000:execution:m:e"), None);
    }
}
