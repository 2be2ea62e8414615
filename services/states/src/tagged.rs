//! The resources that have tags: state machines and activities. A version or an alias has none.

use api_states::{Tag, error};
use store::Tx;
use wire::Error;

use crate::activity::{Activity, ActivityArn};
use crate::machine::{MachineArn, Qualifier, StateMachine};
use crate::names::Resource;

/// What an ARN of a tagging operation names.
#[derive(Clone, Debug)]
pub(crate) enum Tagged {
    Machine(MachineArn),
    Activity(ActivityArn),
}

impl Tagged {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let resource = Resource::parse(text, &["stateMachine", "activity"])?;
        if resource.parts.first().is_some_and(|kind| kind == "activity") {
            return Ok(Self::Activity(ActivityArn::parse(text)?));
        }
        let arn = MachineArn::parse(text)?;
        if arn.qualifier == Qualifier::None { Ok(Self::Machine(arn)) } else { Err(not_found(text)) }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Machine(arn) => arn.as_str(),
            Self::Activity(arn) => arn.as_str(),
        }
    }

    pub(crate) fn tags(&self, tx: &mut Tx<'_>) -> Result<Vec<Tag>, Error> {
        let found = match self {
            Self::Machine(arn) => tx.get_json::<StateMachine>(arn.key())?.map(|machine| machine.tags),
            Self::Activity(arn) => tx.get_json::<Activity>(arn.key())?.map(|activity| activity.tags),
        };
        found.ok_or_else(|| not_found(self.as_str()))
    }

    pub(crate) fn change(
        &self,
        tx: &mut Tx<'_>,
        change: impl FnOnce(&mut Vec<Tag>, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tags = self.tags(tx)?;
        change(&mut tags, self.as_str())?;
        match self {
            Self::Machine(arn) => {
                if let Some(mut machine) = tx.get_json::<StateMachine>(arn.key())? {
                    machine.tags = tags;
                    tx.put_json(arn.key(), &machine)?;
                }
            }
            Self::Activity(arn) => {
                if let Some(mut activity) = tx.get_json::<Activity>(arn.key())? {
                    activity.tags = tags;
                    tx.put_json(arn.key(), &activity)?;
                }
            }
        }
        Ok(())
    }
}

fn not_found(arn: &str) -> Error {
    error::resource_not_found(format!("Resource not found: '{arn}'")).with("resourceName", arn)
}
