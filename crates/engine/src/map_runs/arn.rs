//! The names of runs.

use std::fmt;

use serde::{Deserialize, Serialize};
use wire::arn::Arn;

/// `arn:aws:states:us-east-1:000000000000:mapRun:machine/label:id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MapRunArn {
    text: String,
    account: String,
    region: String,
    /// After `mapRun:`.
    run: String,
}

impl MapRunArn {
    pub fn parse(text: &str) -> Option<Self> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "states")?;
        let run = arn.resource.strip_prefix("mapRun:")?;
        let (machine, id) = run.split_once(':')?;
        if id.is_empty() || id.contains(':') || !machine.contains('/') {
            return None;
        }
        let run = run.to_owned();
        Some(Self { text: text.to_owned(), account: arn.account, region: arn.region, run })
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

    /// `machine/label:id`; its children are listed under it.
    pub fn run(&self) -> &str {
        &self.run
    }
}

impl fmt::Display for MapRunArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for MapRunArn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("'{text}' is not a map run's ARN"))
    }
}

impl From<MapRunArn> for String {
    fn from(arn: MapRunArn) -> Self {
        arn.text
    }
}
