//! Aliases: names for one or two versions of a machine, and the share of executions that each gets.

use std::collections::BTreeSet;

use api_states::{RoutingConfigurationListItem, error};
use serde::{Deserialize, Serialize};
use store::Tx;
use wire::Error;

use crate::machine::{MachineArn, Qualifier, Version};
use crate::names::wrong_kind;

/// Source: Service quotas of Step Functions, "Quotas related to versions and aliases".
pub(crate) const MAX_ALIASES: usize = 100;

/// An alias.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alias {
    pub(crate) version: u8,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Version and weight; the weights add up to 100.
    pub(crate) routes: Vec<(u64, u32)>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

impl Alias {
    /// The version for a draw below 100.
    pub(crate) fn route(&self, draw: u32) -> u64 {
        match self.routes[..] {
            [(first, weight), (second, _)] => {
                if draw < weight {
                    first
                } else {
                    second
                }
            }
            [(only, _), ..] => only,
            [] => 0,
        }
    }

    pub(crate) fn load(tx: &mut Tx<'_>, arn: &MachineArn, name: &str) -> Result<Option<Self>, store::Error> {
        tx.get_json(arn.aliases().push(name))
    }

    /// All of a machine's, in the order of their making.
    pub(crate) fn all(tx: &mut Tx<'_>, arn: &MachineArn) -> Result<Vec<Self>, store::Error> {
        let mut all: Vec<Self> = tx.list_json(arn.aliases(), MAX_ALIASES)?;
        all.sort_by(|a, b| (a.created_ms, &a.name).cmp(&(b.created_ms, &b.name)));
        Ok(all)
    }

    pub(crate) fn leads_to(&self, number: u64) -> bool {
        self.routes.iter().any(|(version, _)| *version == number)
    }

    pub(crate) fn shown_routes(&self, arn: &MachineArn) -> Vec<RoutingConfigurationListItem> {
        let shown = self.routes.iter().map(|(version, weight)| RoutingConfigurationListItem {
            state_machine_version_arn: arn.version_arn(*version),
            weight: i32::try_from(*weight).unwrap_or(100),
        });
        shown.collect()
    }
}

/// A routing configuration as asked for: the machine that it is for, and where it leads.
#[derive(Clone, Debug)]
pub(crate) struct Routing {
    pub(crate) machine: MachineArn,
    pub(crate) routes: Vec<(u64, u32)>,
}

impl Routing {
    pub(crate) fn parse(items: &[RoutingConfigurationListItem]) -> Result<Self, Error> {
        let arns: Vec<&str> = items.iter().map(|item| item.state_machine_version_arn.as_str()).collect();
        let received = format!("Received: [{}]", arns.join(", "));
        if arns.iter().collect::<BTreeSet<_>>().len() < arns.len() {
            return Err(error::validation_exception(format!(
                "Routing configuration must contain distinct state machine version ARNs. {received}"
            )));
        }
        let weights: Vec<i32> = items.iter().map(|item| item.weight).collect();
        if weights.iter().sum::<i32>() != 100 || weights.iter().any(|weight| *weight < 0) {
            return Err(error::validation_exception(format!(
                "Sum of routing configuration weights must equal 100. Received: {weights:?}"
            )));
        }
        let mut routes = Vec::new();
        let mut machine: Option<MachineArn> = None;
        for item in items {
            let arn = MachineArn::parse(&item.state_machine_version_arn)?;
            let Some(number) = arn.version() else {
                return Err(error::validation_exception(format!(
                    "Routing configuration must contain state machine version ARNs. {received}"
                )));
            };
            let own = arn.unqualified();
            if machine.as_ref().is_some_and(|machine| machine.as_str() != own.as_str()) {
                return Err(error::validation_exception(format!(
                    "Routing configuration must contain state machine versions of the same state machine. {received}"
                )));
            }
            machine = Some(own);
            routes.push((number, u32::try_from(item.weight).unwrap_or(0)));
        }
        let machine = machine.ok_or_else(|| error::validation_exception("Routing configuration must not be empty"))?;
        Ok(Self { machine, routes })
    }

    /// Whether the versions are there.
    pub(crate) fn check(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        for (number, _) in &self.routes {
            if tx.get_json::<Version>(self.machine.version_key(*number))?.is_none() {
                return Err(gone());
            }
        }
        Ok(())
    }
}

/// The machine and the alias that an ARN names.
pub(crate) fn parse(text: &str) -> Result<(MachineArn, String), Error> {
    let arn = MachineArn::parse(text)?;
    match arn.qualifier.clone() {
        Qualifier::Alias(name) => Ok((arn, name)),
        _ => Err(wrong_kind("stateMachine")),
    }
}

pub(crate) fn gone() -> Error {
    error::resource_not_found("Request references a resource that does not exist.")
}

#[cfg(test)]
mod tests {
    use api_states::RoutingConfigurationListItem;

    use super::{Alias, Routing};

    fn refused(routes: &[(&str, i32)]) -> String {
        let items: Vec<_> = routes
            .iter()
            .map(|(version, weight)| RoutingConfigurationListItem {
                state_machine_version_arn: format!("arn:aws:states:us-east-1:000000000000:stateMachine:{version}"),
                weight: *weight,
            })
            .collect();
        Routing::parse(&items)
            .map_or_else(|error| error.message().to_owned(), |routing| format!("{:?}", routing.routes))
    }

    #[test]
    fn routes_are_checked() {
        assert_eq!(refused(&[("m:1", 30), ("m:2", 70)]), "[(1, 30), (2, 70)]");
        assert!(refused(&[("m:1", 50), ("m:1", 50)]).starts_with("Routing configuration must contain distinct"));
        assert_eq!(
            refused(&[("m:1", 50), ("m:2", 60)]),
            "Sum of routing configuration weights must equal 100. Received: [50, 60]"
        );
        assert!(refused(&[("m", 100)]).starts_with("Routing configuration must contain state machine version ARNs."));
        assert!(refused(&[("m:1", 50), ("n:1", 50)]).contains("same state machine"));
    }

    #[test]
    fn draws_follow_the_weights() {
        let alias = |routes: &[(u64, u32)]| Alias {
            version: 1,
            name: "a".to_owned(),
            description: None,
            routes: routes.to_vec(),
            created_ms: 0,
            updated_ms: 0,
        };
        let drawn: Vec<u64> = [0, 29, 30, 99].map(|draw| alias(&[(1, 30), (2, 70)]).route(draw)).to_vec();
        assert_eq!(drawn, [1, 1, 2, 2]);
        assert_eq!((alias(&[(1, 0), (2, 100)]).route(0), alias(&[(7, 100)]).route(99)), (2, 7));
    }
}
